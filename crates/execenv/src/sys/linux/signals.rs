//! Which signals a supervisor takes, and what it does with each. Pure but for reading the queue.

use std::{fs::File, io::Read};

use super::calls::SignalSet;

/// Job control on the terminal works by default actions: with these blocked, the shell would never
/// see the job stop.
const TERMINAL_STOPS: [i32; 3] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

/// Faults of our own, which must not be held back, and the two that the C library keeps for itself.
const LEFT_ALONE: [i32; 8] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, 32, 33];

/// The signals a supervisor reads from its queue instead of acting on them.
pub(super) fn taken(on_terminal: bool) -> SignalSet {
    let mut set = SignalSet::ALL;
    for signal in LEFT_ALONE {
        set = set.without(signal);
    }
    if on_terminal {
        for signal in TERMINAL_STOPS {
            set = set.without(signal);
        }
    }
    set
}

/// A signal from the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) signal: i32,
    /// `si_code`: zero or less when a process sent it.
    pub(super) code: i32,
    /// Who sent it; 0 when that cannot be told.
    pub(super) sender: i32,
}

impl Received {
    /// Size of `signalfd_siginfo`.
    const BYTES: usize = 128;

    /// signalfd(2): signal, errno, code, pid, … of 4 bytes each.
    fn parse(info: &[u8]) -> Option<Self> {
        let word = |index: usize| info.get(index * 4..index * 4 + 4)?.try_into().ok();
        Some(Self {
            signal: i32::from_ne_bytes(word(0)?),
            code: i32::from_ne_bytes(word(2)?),
            sender: i32::from_ne_bytes(word(3)?),
        })
    }

    /// Whether it is to be handed on, if its sender is not in the child's own tree.
    ///
    /// What the terminal makes goes to its whole foreground group, the child included; the kernel
    /// is its sender. On no terminal the child is in a group of its own, and what the kernel tells
    /// us (hang-up, continue, our caller's alarm) it would not hear.
    pub(super) fn is_to_forward(self, on_terminal: bool) -> bool {
        match self.signal {
            libc::SIGCHLD => false,
            _ if self.code <= 0 => true,
            libc::SIGALRM => true,
            libc::SIGHUP | libc::SIGCONT => !on_terminal,
            _ => false,
        }
    }

    /// Whether it asks the child to end.
    pub(super) fn asks_to_end(self) -> bool {
        matches!(self.signal, libc::SIGTERM | libc::SIGINT | libc::SIGHUP)
    }
}

/// Empties the queue.
pub(super) fn read_all(queue: &mut File) -> Vec<Received> {
    let mut all = Vec::new();
    let mut buffer = [0; Received::BYTES * 8];
    while let Ok(len) = queue.read(&mut buffer) {
        if len == 0 {
            break;
        }
        all.extend(buffer[..len].chunks_exact(Received::BYTES).filter_map(Received::parse));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(set: SignalSet, signal: i32) -> bool {
        set.0 & 1 << (signal - 1) != 0
    }

    #[test]
    fn stops_are_left_to_the_terminal_when_there_is_one() {
        assert!(!has(taken(true), libc::SIGTSTP) && has(taken(false), libc::SIGTSTP));
        assert!(has(taken(true), libc::SIGCHLD) && has(taken(true), 35) && has(taken(true), 64));
        assert!(!has(taken(false), libc::SIGSEGV) && !has(taken(false), 33));
    }

    #[test]
    fn what_the_terminal_sent_is_not_sent_again() {
        let by = |signal, code| Received { signal, code, sender: 1 };
        let (user, kernel, queue) = (0, 0x80, -1);
        for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGWINCH, libc::SIGHUP, libc::SIGCONT] {
            assert!(!by(signal, kernel).is_to_forward(true));
            assert!(by(signal, user).is_to_forward(true));
            assert!(by(signal, queue).is_to_forward(false));
        }
        assert!(by(libc::SIGHUP, kernel).is_to_forward(false));
        assert!(by(libc::SIGALRM, kernel).is_to_forward(true));
        assert!(!by(libc::SIGCHLD, user).is_to_forward(false));
    }

    #[test]
    fn a_record_has_three_words_that_count() {
        let mut info = [0; 128];
        info[0..4].copy_from_slice(&15_i32.to_ne_bytes());
        info[8..12].copy_from_slice(&(-6_i32).to_ne_bytes());
        info[12..16].copy_from_slice(&77_i32.to_ne_bytes());
        let expected = Received { signal: 15, code: -6, sender: 77 };
        assert_eq!(Received::parse(&info), Some(expected));
        assert_eq!(Received::parse(&info[..10]), None);
    }
}
