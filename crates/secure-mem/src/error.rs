//! What can go wrong with protected memory. A message names sizes and reasons, never a value.

use std::io;

/// The reasons a secret can't be made, opened or taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source holds more than the caller allowed.
    #[error("the value is longer than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The limit the caller set.
        limit_bytes: usize,
    },
    /// The reader handed to [`SecretBytes::from_reader`](crate::SecretBytes::from_reader) failed.
    #[error("reading the value failed")]
    Read(#[source] io::Error),
    /// The bytes are not text.
    #[error("the value is not valid UTF-8 (first bad byte at offset {offset})")]
    NotUtf8 {
        /// Where the valid text ends.
        offset: usize,
    },
    /// The policy asks for more protection than the system gives.
    #[error("protected memory is not available: {reason}")]
    Unavailable {
        /// What was tried and what the system answered.
        reason: String,
    },
    /// The handle is older than the last [`wipe_all`](crate::wipe_all), or belongs to the parent of a fork.
    #[error("the value was wiped")]
    Wiped,
    /// The process was forked: protected memory stays with the parent.
    #[error("protected memory does not exist in a forked child")]
    Forked,
    /// The ciphertext of a value changed between two openings.
    #[error("the sealed value of {len} bytes was altered in memory")]
    Altered {
        /// Length of the value.
        len: usize,
    },
    /// Changing the access to the pages of a value failed.
    #[error("changing the access to protected memory failed")]
    Access(#[source] io::Error),
    /// The environment can be changed safely only while one thread runs.
    #[error("can't take `{name}` from the environment while {threads} threads run")]
    Threads {
        /// Name of the variable.
        name: String,
        /// How many threads run.
        threads: usize,
    },
    /// The operation does not exist on this platform, or the system refused to answer.
    #[error("{what} failed")]
    System {
        /// The operation.
        what: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The process-wide vault is in use already, its settings can't change any more.
    #[error("the process-wide vault is already in use")]
    AlreadyInUse,
}
