//! What the caller handed over, taken down before Rust's runtime changes it.
//!
//! Before `main`, Rust's standard library ignores `SIGPIPE` and opens `/dev/null` in place of
//! closed standard descriptors. A child must find what the caller of this process had set, so both
//! are read in `.init_array`, which runs earlier, in static and dynamic programs alike.
#![allow(unsafe_code)]

use std::{
    mem::MaybeUninit,
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
};

/// Whether `SIGPIPE` was ignored when this process started.
pub(super) fn sigpipe_was_ignored() -> bool {
    is_captured() && SIGPIPE_IGNORED.load(Ordering::Relaxed)
}

/// Whether the standard descriptor `fd` (0 to 2) was closed when this process started.
pub(super) fn was_closed(fd: i32) -> bool {
    is_captured() && CLOSED.load(Ordering::Relaxed) & (1 << fd) != 0
}

/// Refers to the entry itself, so that whoever uses this module links it.
fn is_captured() -> bool {
    // SAFETY: a static is always readable; volatile, so that the reference is not optimised out.
    let entry = unsafe { std::ptr::read_volatile(&raw const CAPTURE) };
    entry as usize != 0 && CAPTURED.load(Ordering::Relaxed)
}

static CAPTURED: AtomicBool = AtomicBool::new(false);
static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);
static CLOSED: AtomicU8 = AtomicU8::new(0);

#[used]
// SAFETY: `.init_array` holds pointers to functions that the C runtime calls before `main`; this is
// one, and it needs nothing that is set up later.
#[unsafe(link_section = ".init_array")]
static CAPTURE: extern "C" fn() = capture;

/// Two system calls and no use of the standard library, which is not up yet.
extern "C" fn capture() {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only reads; `action` has room for the answer.
    let done = unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), action.as_mut_ptr()) };
    if done == 0 {
        // SAFETY: zeroed is a valid `sigaction`, and the call has filled it in.
        let action = unsafe { action.assume_init() };
        SIGPIPE_IGNORED.store(action.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
    }
    let mut fds = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: `fds` is an array of three; a timeout of 0 does not wait.
    let count = unsafe { libc::poll(fds.as_mut_ptr(), 3, 0) };
    if count >= 0 {
        let mut closed = 0;
        for (bit, fd) in fds.iter().enumerate() {
            if fd.revents & libc::POLLNVAL != 0 {
                closed |= 1 << bit;
            }
        }
        CLOSED.store(closed, Ordering::Relaxed);
    }
    CAPTURED.store(true, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    /// What was captured is compared with what the caller set by t11 and t12 of `tests/cases`.
    #[test]
    fn the_entry_ran_before_main() {
        assert!(super::is_captured());
    }
}
