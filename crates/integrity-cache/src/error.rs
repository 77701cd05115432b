//! What can go wrong with a cache itself. An entry that cannot be used is a miss, not an error.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::MissReason;

/// Why the cache could not answer, store or open. Names paths and sizes, never a key byte or a payload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key cannot be used.
    #[error("the cache key {} {problem}", path.display())]
    Key {
        /// Where the key is, or would be.
        path: PathBuf,
        /// What is wrong with it.
        problem: KeyProblem,
    },
    /// The directory is in use for something else, or its superblock is damaged.
    #[error("{} is not a cache: {why}", path.display())]
    NotACache {
        /// The directory.
        path: PathBuf,
        /// What was found.
        why: &'static str,
    },
    /// The directory cannot be trusted to be ours.
    #[error("{} is not a safe place: {why}", path.display())]
    BaseUnsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The cache, a namespace or a call was set up in a way that cannot work.
    #[error("the cache is set up wrongly: {what}")]
    Config {
        /// What contradicts what.
        what: String,
    },
    /// This handle holds only a public key, so it cannot store.
    #[error("a reader of a sealed cache cannot store")]
    ReadOnlyKey,
    /// The payload is larger than an entry may be.
    #[error("an entry of {len_bytes} bytes is over the limit of {limit_bytes}")]
    TooLarge {
        /// What was to be stored.
        len_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// Another process holds a lock for longer than we wait.
    #[error("{} is locked by another process", path.display())]
    Busy {
        /// What is locked.
        path: PathBuf,
    },
    /// An entry was altered, and the namespace's policy asks for an error then.
    #[error("entry {name} of namespace `{namespace}` cannot be trusted: {reason}")]
    Tampered {
        /// The namespace.
        namespace: String,
        /// First characters of the entry's file name.
        name: String,
        /// What was found.
        reason: MissReason,
    },
    /// Protected memory failed.
    #[error("protected memory for the cache failed")]
    Memory(#[from] dsops_secure_mem::Error),
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyProblem {
    /// The cache exists, its key does not.
    #[error("is missing, though the cache exists")]
    Missing,
    /// The file ends too early, or has bytes too many.
    #[error("has {len_bytes} bytes, which no key file has")]
    Length {
        /// How many bytes there are.
        len_bytes: u64,
    },
    /// The check sum or a field does not fit.
    #[error("is corrupt")]
    Corrupt,
    /// Others may read or change it.
    #[error("is open to others (mode {mode:o})")]
    TooOpen {
        /// The mode.
        mode: u32,
    },
    /// It belongs to another user.
    #[error("belongs to another user (uid {uid})")]
    Foreign {
        /// The owner.
        uid: u32,
    },
    /// A symbolic link, FIFO, directory or device stands in its place.
    #[error("is not a regular file")]
    NotAFile,
    /// A key given by the caller is shorter than 32 bytes.
    #[error("is weaker than 32 bytes")]
    Weak,
}

impl Error {
    /// What the user can do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Key { problem: KeyProblem::Missing, .. } => Some(
                "restore the key, or remove the cache directory: its entries cannot be verified without it",
            ),
            Self::Key { problem: KeyProblem::Length { .. } | KeyProblem::Corrupt, .. } => Some(
                "restore the key from a backup, or remove both the key and the cache directory",
            ),
            Self::Key { problem: KeyProblem::TooOpen { .. }, .. } => {
                Some("others may have read the key: remove it together with the cache directory")
            }
            Self::NotACache { .. } => Some("choose an empty directory or one that does not exist"),
            Self::BaseUnsafe { .. } => {
                Some("choose a directory that you own and only you can write to")
            }
            _ => None,
        }
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.as_ref().to_owned(), source }
    }

    pub(crate) fn config(what: impl Into<String>) -> Self {
        Self::Config { what: what.into() }
    }
}
