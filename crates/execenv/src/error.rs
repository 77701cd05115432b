//! Why a child could not be started, and which exit code says so.

use std::{io, path::PathBuf};

use crate::name::{Name, NameError};

/// Why a command could not be planned or started. No text here holds a secret's value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// There is no such command.
    #[error("command `{program}` was not found")]
    NotFound {
        /// The command as given.
        program: String,
        /// Whether the absolute entries of `PATH` were searched (no `/` in the command).
        searched_path: bool,
    },
    /// The command is there but cannot be run.
    #[error("{} cannot be executed: {reason}", path.display())]
    NotExecutable {
        /// The file that was found.
        path: PathBuf,
        /// What is wrong with it.
        reason: NotExecutable,
    },
    /// A secret's name is no variable name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// An environment variable ends at its first NUL byte, so this value would arrive cut short.
    #[error("the value of {name} has a NUL byte, which an environment variable cannot carry")]
    NulInValue {
        /// The variable's name.
        name: Name,
    },
    /// An argument ends at its first NUL byte.
    #[error("argument {index} has a NUL byte")]
    NulInArgument {
        /// The argument's place, the command itself being 0.
        index: usize,
    },
    /// A store could run code in the child through a variable of this name.
    #[error("{name} is not accepted as a secret: programs run code or load files named by it")]
    Dangerous {
        /// The variable's name.
        name: Name,
    },
    /// A secret was announced and never given.
    #[error("no value was given for {name}")]
    MissingSecret {
        /// The variable's name.
        name: Name,
    },
    /// `PATH` itself is a secret, so nobody can say before the fetch which `program` is meant.
    #[error("PATH comes from a secret, so `{program}` cannot be looked up in it")]
    PathFromSecret {
        /// The command as given.
        program: String,
    },
    /// One `NAME=value` string is longer than the system passes on.
    #[error("{name} is too long for the environment: {len_bytes} of at most {limit_bytes} bytes")]
    EntryTooLong {
        /// The variable's name.
        name: String,
        /// Length of `NAME=value`.
        len_bytes: usize,
        /// The system's limit for it.
        limit_bytes: usize,
    },
    /// One argument is longer than the system passes on.
    #[error("argument {index} is too long: {len_bytes} of at most {limit_bytes} bytes")]
    ArgumentTooLong {
        /// The argument's place, the command itself being 0.
        index: usize,
        /// Its length.
        len_bytes: usize,
        /// The system's limit for it.
        limit_bytes: usize,
    },
    /// Arguments and environment together are longer than the system passes on.
    #[error(
        "arguments and environment are too long together: {total_bytes} of at most {limit_bytes} \
         bytes, the largest being {largest} with {largest_bytes}"
    )]
    TooLongTogether {
        /// Strings, their ends and their pointers.
        total_bytes: usize,
        /// The system's limit for it.
        limit_bytes: usize,
        /// The variable that takes most.
        largest: String,
        /// Length of its `NAME=value`.
        largest_bytes: usize,
    },
    /// The child's working directory cannot be entered.
    #[error("working directory {} cannot be entered", path.display())]
    WorkingDir {
        /// The directory as given.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A file descriptor that the child should get is not open.
    #[error("file descriptor {fd} is to be kept but is not open")]
    KeptFd {
        /// Its number.
        fd: i32,
    },
    /// Replacing ourselves leaves nobody to do this.
    #[error("{feature} needs a supervising parent, so the command cannot replace this process")]
    NeedsParent {
        /// What was asked for.
        feature: &'static str,
    },
    /// Protected memory failed.
    #[error("the secrets could not be laid out in protected memory")]
    Protected(#[from] dsops_secure_mem::Error),
    /// Not done on this system.
    #[error("{what} is not supported on this system")]
    Unsupported {
        /// What is missing.
        what: &'static str,
    },
    /// The system refused a step.
    #[error("{step} failed")]
    Os {
        /// What was being done.
        step: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// What is wrong with a file that should run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotExecutable {
    /// A directory or another thing that is no file.
    #[error("it is not a regular file")]
    NotAFile,
    /// The mode, the file system or a security module forbids it.
    #[error("permission denied")]
    Permission,
    /// Neither a program for this machine nor a script that names its interpreter.
    #[error("it is neither a program for this machine nor a script with a `#!` line")]
    Format,
    /// The interpreter of the script or the loader of the program is missing.
    #[error("its interpreter or loader was not found")]
    Interpreter,
    /// The system gave another reason.
    #[error("{}", io::Error::from_raw_os_error(*errno))]
    Refused {
        /// The system's error number.
        errno: i32,
    },
}

impl ExecError {
    /// The exit code that tells a caller what happened, as `env` and `timeout` use them: 127 not
    /// found, 126 not executable, 125 for every other failure of ours.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotExecutable { .. } => 126,
            _ => 125,
        }
    }

    /// What to do about it, where there is something to do.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotFound { searched_path: true, .. } => {
                "PATH is searched as the child will see it; empty and relative entries are skipped. \
                 Write ./name for a program in the working directory"
            }
            Self::NotExecutable { reason: NotExecutable::Format, .. } => {
                "give a script a first line such as `#!/bin/sh`"
            }
            Self::NotExecutable { reason: NotExecutable::Permission, .. } => {
                "check the file's mode (chmod +x) and that its file system is not mounted noexec"
            }
            Self::Dangerous { .. } => "rename the secret, or allow the name explicitly",
            Self::PathFromSecret { .. } => "give the command as an absolute path",
            Self::EntryTooLong { .. } | Self::TooLongTogether { .. } => {
                "hand large values over in a file, not in the environment"
            }
            Self::NulInValue { .. } => "store binary values encoded, for example as base64",
            Self::NeedsParent { .. } => "supervise the command, or leave the option out",
            _ => return None,
        })
    }

    #[cfg(any(target_os = "linux", target_os = "macos"))]
    pub(crate) fn os(step: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Os { step, source: source.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_env() {
        let not_found = ExecError::NotFound { program: "x".into(), searched_path: true };
        let reason = NotExecutable::Format;
        let not_executable = ExecError::NotExecutable { path: "/x".into(), reason };
        let other = ExecError::Unsupported { what: "x" };
        assert_eq!(
            [not_found.exit_code(), not_executable.exit_code(), other.exit_code()],
            [127, 126, 125]
        );
    }
}
