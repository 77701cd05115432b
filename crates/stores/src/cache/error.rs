//! Why the cache could not be used.

use std::path::PathBuf;

use dsops_integrity_cache::{Error, KeyProblem, SkipReason};

use crate::file::FileError;

/// What failed. Names paths, never a key byte or a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The cache itself.
    #[error(transparent)]
    Cache(#[from] Error),
    /// The file of what names are made with is not what was written.
    #[error("{} is not a salt of dsops", path.display())]
    Salt {
        /// The file.
        path: PathBuf,
    },
    /// A file beside the key.
    #[error(transparent)]
    File(#[from] FileError),
    /// There are no random bytes.
    #[error("no random bytes for {}", path.display())]
    Random {
        /// What they were for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A value was not stored.
    #[error("{}", skipped(*.0))]
    Skipped(SkipReason),
    /// There is no protected memory.
    #[error("protected memory for the cache failed")]
    Memory(#[from] dsops_secure_mem::Error),
}

impl CacheError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        const REKEY: &str =
            "`dsops cache rekey` starts anew: what was kept is gone, the stores have it";
        match self {
            Self::Cache(Error::Key {
                problem: KeyProblem::Missing | KeyProblem::Length { .. } | KeyProblem::Corrupt,
                ..
            })
            | Self::Salt { .. } => Some(REKEY),
            Self::Cache(Error::Key { problem: KeyProblem::TooOpen { .. }, .. }) => {
                Some("others may have read the key: `dsops cache rekey` makes a new one")
            }
            Self::Cache(error) => error.help(),
            Self::Skipped(SkipReason::NoSpace) => Some("`dsops cache clean` makes room"),
            _ => None,
        }
    }
}

fn skipped(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::NoSpace => "there is no space left",
        SkipReason::ReadOnly => "the cache cannot be written",
        SkipReason::Resources => "the system has no file descriptors or no memory left",
        SkipReason::TooLarge => "a value is larger than what is kept",
        SkipReason::Busy => "another process has the cache locked",
        SkipReason::Unsafe => "something in the cache is not what was put there",
        _ => "the cache did not take it",
    }
}
