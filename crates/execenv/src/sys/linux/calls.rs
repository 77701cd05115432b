//! System calls that no safe crate offers, each wrapped so that its callers are safe.
#![allow(unsafe_code)]

use std::{
    ffi::CStr,
    fs::File,
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

unsafe extern "C" {
    static environ: *const *const libc::c_char;
}

/// Lends the process's own environment strings, without copying them.
///
/// # Security
/// The strings may be the caller's secrets; a copy would be one more place to wipe.
pub(crate) fn with_environ<R>(use_it: impl FnOnce(&[&CStr]) -> R) -> R {
    let mut entries = Vec::new();
    // SAFETY: the C runtime has set `environ` before `main`. Whoever changes the environment
    // promises (`std::env::set_var`) that no other thread reads it meanwhile.
    let mut next = unsafe { environ };
    while !next.is_null() {
        // SAFETY: `next` is within the array, whose last element is null and ends the loop.
        let entry = unsafe { *next };
        if entry.is_null() {
            break;
        }
        // SAFETY: elements before the null are NUL-terminated strings. They live until the
        // environment is changed, which by the promise above is not while we run.
        entries.push(unsafe { CStr::from_ptr(entry) });
        // SAFETY: the element at `next` was not the last.
        next = unsafe { next.add(1) };
    }
    use_it(&entries)
}

/// A set of signals as the kernel keeps it: bit N-1 is signal N.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SignalSet(pub(super) u64);

impl SignalSet {
    pub(super) const ALL: Self = Self(u64::MAX);

    #[cfg(test)]
    pub(super) const fn with(self, signal: i32) -> Self {
        Self(self.0 | 1 << (signal - 1))
    }

    pub(super) const fn without(self, signal: i32) -> Self {
        Self(self.0 & !(1 << (signal - 1)))
    }
}

/// Sets which signals this thread blocks and tells which it blocked before. Unlike the C library's
/// call it leaves no signal out.
pub(super) fn set_blocked(set: SignalSet) -> SignalSet {
    change_blocked(libc::SIG_SETMASK, set)
}

/// Blocks more signals and tells which were blocked before.
pub(super) fn block(set: SignalSet) -> SignalSet {
    change_blocked(libc::SIG_BLOCK, set)
}

fn change_blocked(how: libc::c_int, set: SignalSet) -> SignalSet {
    let mut old = 0_u64;
    // SAFETY: both pointers are to 8 bytes, the size given. The call fails only on bad pointers or
    // sizes.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            how,
            &raw const set.0,
            &raw mut old,
            size_of::<u64>(),
        )
    };
    SignalSet(old)
}

/// What a signal does to this process.
#[derive(Clone, Copy)]
pub(super) struct Disposition(libc::sigaction);

impl Disposition {
    pub(super) fn default_action() -> Self {
        // SAFETY: all zero is a valid `sigaction`: default action, empty mask, no flags.
        Self(unsafe { MaybeUninit::zeroed().assume_init() })
    }

    #[cfg(test)]
    pub(super) fn ignore() -> Self {
        let mut disposition = Self::default_action();
        disposition.0.sa_sigaction = libc::SIG_IGN;
        disposition
    }

    pub(super) fn is_ignore(&self) -> bool {
        self.0.sa_sigaction == libc::SIG_IGN
    }
}

/// Changes what a signal does and tells what it did. Only what an earlier call returned, or the
/// default, or ignoring can be set: a handler is never made up here.
pub(super) fn set_disposition(signal: i32, new: &Disposition) -> io::Result<Disposition> {
    let mut old = Disposition::default_action();
    // SAFETY: `new` is default, ignore, or what the kernel gave us for this process; `old` has room.
    check(unsafe { libc::sigaction(signal, &raw const new.0, &raw mut old.0) })?;
    Ok(old)
}

/// Opens a descriptor from which blocked signals of `set` are read.
pub(super) fn signal_fd(set: SignalSet) -> io::Result<File> {
    // SAFETY: the pointer is to 8 bytes, the size given; -1 asks for a new descriptor.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_signalfd4,
            -1,
            &raw const set.0,
            size_of::<u64>(),
            libc::SFD_CLOEXEC | libc::SFD_NONBLOCK,
        )
    };
    Ok(File::from(owned(fd)?))
}

/// Sends a signal to the process behind a pidfd.
pub(super) fn signal_pidfd(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: no pointers but a null one, which means "as `kill` would".
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends a signal to a process (positive) or a process group (negative). Zero and -1, which mean
/// many more, are refused.
pub(super) fn signal_pid(pid: i32, signal: i32) -> io::Result<()> {
    if matches!(pid, 0 | -1) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: plain numbers.
    check(unsafe { libc::kill(pid, signal) })
}

/// Ends this process by a signal with its default action and without a core file. Returns when
/// that cannot be: for PID 1, and for signals that do not kill.
pub(crate) fn die_by(signal: i32) {
    use rustix::process::{DumpableBehavior, Resource, Rlimit};
    // Both, because a core handler that is a program is not bound by the limit.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let hard = rustix::process::getrlimit(Resource::Core).maximum;
    let _ = rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: hard });
    // Fails for SIGKILL, which needs no default action.
    let _ = set_disposition(signal, &Disposition::default_action());
    set_blocked(SignalSet(0));
    // SAFETY: a plain number; unblocked, the signal acts before the call returns.
    unsafe { libc::raise(signal) };
}

pub(super) fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(fd) {
        // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Asks the kernel to mark all descriptors from `first` on close-on-exec.
pub(super) fn mark_range(first: u32) -> io::Result<()> {
    // SAFETY: plain numbers.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Tells whether a descriptor number is open.
pub(crate) fn is_open(fd: i32) -> bool {
    // SAFETY: plain numbers; F_GETFD changes nothing.
    fd >= 0 && unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "compared with what the standard library sees")]
    fn the_environment_is_the_process_own() {
        let count = with_environ(|entries| {
            assert!(entries.iter().any(|entry| entry.to_bytes().starts_with(b"PATH=")));
            entries.len()
        });
        assert_eq!(count, std::env::vars_os().count());
    }

    #[test]
    fn a_blocked_signal_is_read_with_its_sender() {
        let set = SignalSet(0).with(libc::SIGURG);
        let old = block(set);
        let mut fd = signal_fd(set).expect("a descriptor");
        let me = i32::try_from(std::process::id()).expect("pids are small");
        // To the thread, so that no other thread of the test program takes it.
        // SAFETY: plain numbers.
        unsafe { libc::raise(libc::SIGURG) };
        let mut info = [0; 128];
        fd.read_exact(&mut info).expect("pending");
        assert_eq!(info[..4], libc::SIGURG.to_ne_bytes());
        assert_eq!(info[12..16], me.to_ne_bytes());
        assert_eq!(set_blocked(old).0, old.0 | set.0);
    }

    #[test]
    fn dispositions_come_back_as_they_were() {
        // SIGURG is ignored by default, so nothing happens meanwhile.
        let before = set_disposition(libc::SIGURG, &Disposition::ignore()).expect("valid");
        assert!(set_disposition(libc::SIGURG, &before).expect("valid").is_ignore());
        assert!(set_disposition(libc::SIGKILL, &before).is_err());
    }

    #[test]
    fn signals_to_everybody_are_refused() {
        for pid in [0, -1] {
            let error = signal_pid(pid, 0).expect_err("refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
        signal_pid(i32::try_from(std::process::id()).expect("small"), 0).expect("we exist");
    }

    #[test]
    fn open_descriptors_are_told_from_closed() {
        let file = File::open("/dev/null").expect("always there");
        assert!(is_open(file.as_raw_fd()));
        assert!(!is_open(-1));
        assert!(!is_open(1_000_000));
        assert!(owned(-1).is_err());
    }
}
