//! Why a store could not be opened or gave no value.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::{Diagnostic, codes};

/// What to do about a file that is not what was written.
pub const TAMPERED_HELP: &str = "do not use it: restore the last good version from your history, and find out who changed it; after a merge, take one side of the file and set the values of the other again with `dsops set`";

/// A failure of a store. Never holds a value.
///
/// Only [`NotFound`](Self::NotFound) lets an optional variable be left out or a default be used;
/// everything else fails the whole.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store answered: there is no such item.
    #[error("there is no item `{key}`")]
    NotFound {
        /// The item.
        key: String,
        /// An item there is that may be meant.
        suggestion: Option<String>,
    },
    /// The store has to be unlocked first, or no key fits it.
    #[error("locked: {reason}")]
    Locked {
        /// What is missing.
        reason: String,
        /// How to unlock it.
        help: Option<String>,
    },
    /// The store refuses.
    #[error("access denied: {reason}")]
    Denied {
        /// What it says.
        reason: String,
        /// What to do.
        help: Option<String>,
    },
    /// The store does not answer.
    #[error("not available: {reason}")]
    Unavailable {
        /// What was tried.
        reason: String,
        /// What came of it.
        #[source]
        cause: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// The store has been asked too often.
    #[error("asked too often: {reason}")]
    Throttled {
        /// What it says.
        reason: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The store did not answer before the deadline.
    #[error("no answer before the deadline")]
    DeadlineExceeded,
    /// What the store holds cannot be read.
    #[error("{}: {reason}", malformed_place(what, *at))]
    Malformed {
        /// The file or item.
        what: String,
        /// Line and column, from 1, if known.
        at: Option<(usize, usize)>,
        /// What is wrong.
        reason: String,
        /// What to do.
        help: Option<String>,
    },
    /// What the store holds is not what was put there.
    #[error("`{what}` was changed by someone without the key: {reason}")]
    Tampered {
        /// The file or item.
        what: String,
        /// How it shows.
        reason: String,
    },
    /// A file cannot be opened, read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// As in "cannot … the path".
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: Arc<io::Error>,
    },
    /// A setting turned out wrong when the store was opened.
    #[error("{message}")]
    Setting {
        /// What is wrong, with the setting's name.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// The store cannot do what was asked.
    #[error("{what} is not supported by this store")]
    Unsupported {
        /// What was asked, as "a version".
        what: String,
    },
    /// The store cannot say whether an item is there without fetching its value.
    #[error("this store cannot be asked without fetching the value")]
    NotDescribed,
    /// Nothing that may be used is in the cache, and the store may not be asked.
    #[error("not in the cache: {reason}")]
    NotCached {
        /// Why.
        reason: String,
        /// What to do.
        help: Option<String>,
    },
    /// There is no protected memory for a value.
    #[error("no protected memory for the value")]
    Memory(#[source] Arc<dsops_secure_mem::Error>),
    /// The store answered with the wrong number of results.
    #[error("the store answered {got} items instead of {expected} (a bug in the store)")]
    WrongCount {
        /// How many were asked for.
        expected: usize,
        /// How many came.
        got: usize,
    },
    /// The store panicked.
    #[error("the store stopped unexpectedly (a bug in the store)")]
    Panicked,
}

impl StoreError {
    /// There is no such item, and nothing is like it.
    pub fn not_found(key: impl Into<String>) -> Self {
        Self::NotFound { key: key.into(), suggestion: None }
    }

    /// The store cannot do what was asked.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }

    /// A file cannot be opened, read or written.
    pub fn io(action: &'static str, path: impl AsRef<Path>, cause: io::Error) -> Self {
        Self::Io { action, path: path.as_ref().to_owned(), cause: Arc::new(cause) }
    }

    /// The store does not answer.
    pub fn unavailable(
        reason: impl Into<String>,
        cause: impl Into<Option<Arc<dyn Error + Send + Sync>>>,
    ) -> Self {
        Self::Unavailable { reason: reason.into(), cause: cause.into() }
    }

    /// Whether the same call may go well a moment later, and is safe to be made again.
    ///
    /// So are [`Unavailable`](Self::Unavailable), [`Throttled`](Self::Throttled) and an
    /// [`Io`](Self::Io) that the system says is for now only.
    pub fn is_retryable(&self) -> bool {
        use io::ErrorKind::{Interrupted, ResourceBusy, TimedOut, WouldBlock};
        match self {
            Self::Unavailable { .. } | Self::Throttled { .. } => true,
            Self::Io { cause, .. } => {
                matches!(cause.kind(), Interrupted | ResourceBusy | TimedOut | WouldBlock)
            }
            _ => false,
        }
    }

    /// Whether the store did not answer, so that an earlier answer may stand in for a while.
    ///
    /// Not so what is an answer: that there is no such item, that the store refuses or is locked,
    /// that what it holds is damaged or was changed. A file that is gone or may not be read is one
    /// too.
    pub fn is_no_answer(&self) -> bool {
        use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
        match self {
            Self::Unavailable { .. } | Self::Throttled { .. } | Self::DeadlineExceeded => true,
            Self::Io { cause, .. } => {
                !matches!(cause.kind(), NotFound | PermissionDenied | IsADirectory | NotADirectory)
            }
            _ => false,
        }
    }

    /// How long the store wants to be left alone before it is asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NotFound { suggestion, .. } => {
                suggestion.as_ref().map(|suggestion| format!("did you mean `{suggestion}`?"))
            }
            Self::Locked { help, .. }
            | Self::Denied { help, .. }
            | Self::Malformed { help, .. }
            | Self::Setting { help, .. }
            | Self::NotCached { help, .. } => help.clone(),
            Self::Io { cause, .. } => match cause.kind() {
                io::ErrorKind::NotFound => {
                    Some("check the path; it starts at the folder of the configuration".to_owned())
                }
                io::ErrorKind::PermissionDenied => {
                    Some("check the permissions of the file and of its folder".to_owned())
                }
                _ => None,
            },
            Self::DeadlineExceeded => Some(
                "give it more time with `timeout_ms` or `--fetch-timeout`; `dsops doctor` shows how long it takes"
                    .to_owned(),
            ),
            Self::Unsupported { .. } => Some("leave it out of the reference".to_owned()),
            Self::Tampered { .. } => Some(TAMPERED_HELP.to_owned()),
            Self::Throttled { .. } => {
                Some("wait a while, or lower the store's `concurrency`".to_owned())
            }
            Self::Memory(_) => Some("raise the limit of locked memory (`ulimit -l`)".to_owned()),
            _ => None,
        }
    }

    /// The stable code, one of [`codes`](crate::codes).
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => codes::STORE_NOT_FOUND,
            Self::Locked { .. } => codes::STORE_LOCKED,
            Self::Denied { .. } => codes::STORE_DENIED,
            Self::Unavailable { .. } => codes::STORE_UNAVAILABLE,
            Self::Throttled { .. } => codes::STORE_THROTTLED,
            Self::DeadlineExceeded => codes::STORE_TIMEOUT,
            Self::Malformed { .. } => codes::STORE_MALFORMED,
            Self::Tampered { .. } => codes::STORE_TAMPERED,
            Self::Io { .. } => codes::STORE_IO,
            Self::Setting { .. } => codes::STORE_SETTING_AT_OPEN,
            Self::Unsupported { .. } | Self::NotDescribed => codes::STORE_UNSUPPORTED,
            Self::NotCached { .. } => codes::STORE_NOT_CACHED,
            Self::Memory(_) => codes::STORE_MEMORY,
            Self::WrongCount { .. } | Self::Panicked => codes::STORE_BUG,
        }
    }
}

impl From<dsops_secure_mem::Error> for StoreError {
    fn from(error: dsops_secure_mem::Error) -> Self {
        Self::Memory(Arc::new(error))
    }
}

/// For `open`: a setting that `validate` let through is still refused.
impl From<Diagnostic> for StoreError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Setting { message: diagnostic.message, help: diagnostic.help }
    }
}

fn malformed_place(what: &str, at: Option<(usize, usize)>) -> String {
    match at {
        Some((line, column)) => format!("{what}:{line}:{column}"),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_where_and_what_next() {
        let missing = StoreError::NotFound {
            key: "db/pasword".into(),
            suggestion: Some("db/password".into()),
        };
        assert_eq!(missing.to_string(), "there is no item `db/pasword`");
        assert_eq!(missing.help().as_deref(), Some("did you mean `db/password`?"));
        let tampered = StoreError::Tampered { what: "s.yaml".into(), reason: "MAC".into() };
        assert!(tampered.help().unwrap().contains("after a merge, take one side"));
        let io = StoreError::io("read", "s.yaml", io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(io.to_string(), "cannot read s.yaml");
        assert_eq!(io.source().unwrap().to_string(), "permission denied");
        let malformed = StoreError::Malformed {
            what: "s.yaml".into(),
            at: Some((3, 7)),
            reason: "no MAC".into(),
            help: None,
        };
        assert_eq!(malformed.to_string(), "s.yaml:3:7: no MAC");
        assert_eq!(
            StoreError::unsupported("a version").to_string(),
            "a version is not supported by this store"
        );
    }
}
