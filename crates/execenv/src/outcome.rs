//! How a child ended, and how to end the same way.

/// How the child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It called `exit` with this code.
    Exited(u8),
    /// This signal killed it.
    Signaled(i32),
    /// It ran out of time and was ended with everything it had started.
    TimedOut {
        /// Whether `SIGKILL` was needed after the grace period.
        killed: bool,
    },
}

impl Outcome {
    /// The exit code that stands for this outcome: the child's own, 128+N for signal N, 124 for a
    /// timeout, 137 for a timeout that needed `SIGKILL`.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => u8::try_from(128 + (signal & 0x7f)).unwrap_or(u8::MAX),
            Self::TimedOut { killed: false } => 124,
            Self::TimedOut { killed: true } => 137,
        }
    }

    /// Ends this process as the child ended.
    ///
    /// A child that died by a signal is mirrored by the same signal with its default action and
    /// without a core file, because a shell tells `Ctrl-C` from an exit code 130. Where that
    /// cannot work, as for PID 1, the exit code is 128+N.
    ///
    /// # Platform
    /// Elsewhere than on Unix the exit code alone is used.
    pub fn exit_like_child(self) -> ! {
        if let Self::Signaled(signal) = self {
            crate::sys::die_by(signal);
        }
        #[allow(clippy::disallowed_methods, reason = "ending the process is what this is for")]
        std::process::exit(i32::from(self.exit_code()))
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn codes_follow_the_shell_and_timeout() {
        assert_eq!(Outcome::Exited(7).exit_code(), 7);
        assert_eq!(Outcome::Signaled(9).exit_code(), 137);
        assert_eq!(Outcome::Signaled(64).exit_code(), 192);
        assert_eq!(Outcome::TimedOut { killed: false }.exit_code(), 124);
        assert_eq!(Outcome::TimedOut { killed: true }.exit_code(), 137);
    }
}
