//! The exit codes of `dsops`, each named once.

use std::process::ExitCode;

/// What a finished `dsops` tells its caller.
///
/// `exec` is different: it mirrors the child, and uses 124 to 127 for what happens before or
/// around the child, as `env(1)` and `timeout(1)` do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Ok = 0,
    /// A check found something.
    Found = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The configuration is wrong.
    Config = 3,
    /// A store, a file or the network failed.
    Store = 4,
    /// What was verified is not what its publisher signed.
    NotVerified = 5,
    /// Protection that was required is not there.
    Protection = 6,
    /// A check could not be made, so nothing is claimed.
    Undecided = 7,
    /// `exec`: dsops failed before the child started.
    BeforeChild = 125,
    /// `exec`: the command was found but cannot be executed.
    NotExecutable = 126,
    /// `exec`: the command was not found.
    NotFound = 127,
    /// The reader of stdout is gone (128 + SIGPIPE).
    ClosedPipe = 141,
    /// A person pressed ^C at a prompt (128 + SIGINT).
    Interrupted = 130,
}

impl Exit {
    /// The code of an error that has no code of its own.
    pub fn code(self) -> &'static str {
        match self {
            Self::Ok | Self::Found | Self::Undecided => "cli/check",
            Self::Usage => "cli/usage",
            Self::Config => "cli/config",
            Self::Store => "cli/store",
            Self::NotVerified => "cli/not-verified",
            Self::Protection => "cli/protection",
            Self::BeforeChild => "exec/failed",
            Self::NotExecutable => "exec/not-executable",
            Self::NotFound => "exec/not-found",
            Self::ClosedPipe => "cli/closed-pipe",
            Self::Interrupted => "cli/interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
