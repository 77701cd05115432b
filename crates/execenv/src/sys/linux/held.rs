//! Signals that ask this process to end, held back while something has to be put right first.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd},
};

use super::calls::{SignalSet, block, set_blocked, signal_fd};

const HELD: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Holds back SIGHUP, SIGINT, SIGQUIT and SIGTERM on this thread until dropped; those that came
/// meanwhile then do what they always do.
///
/// For a prompt that has changed the terminal: wait with `poll` for a key and for this, and when
/// this is readable put the terminal right and drop it.
///
/// Takes effect in a process of one thread; other threads would still get the signals.
///
/// # Platform
/// Linux only.
#[derive(Debug)]
pub struct HeldSignals {
    /// Readable when a signal is waiting. Never read: the signal has to stay.
    waiting: File,
    before: SignalSet,
}

impl HeldSignals {
    /// Holds them from here on.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn hold() -> io::Result<Self> {
        let mut others = SignalSet::ALL;
        for signal in HELD {
            others = others.without(signal);
        }
        let held = SignalSet(!others.0);
        let before = block(held);
        match signal_fd(held) {
            Ok(waiting) => Ok(Self { waiting, before }),
            Err(error) => {
                set_blocked(before);
                Err(error)
            }
        }
    }
}

impl HeldSignals {
    /// What was blocked before: bit N-1 is signal N.
    pub(crate) fn before(&self) -> u64 {
        self.before.0
    }
}

impl AsFd for HeldSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waiting.as_fd()
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        set_blocked(self.before);
    }
}
