//! What a remote tier has to offer: a flat store of named objects that need not be trusted.

#[cfg(feature = "remote")]
pub(crate) mod object_store;

use std::{error::Error as StdError, io, time::Duration};

/// A place that several machines share: a bucket, a web server, a directory on another host.
///
/// It is not trusted: entries authenticate themselves, so whatever comes from it is verified as a
/// whole before it is used, and what does not verify is a miss. It can withhold, delay, and hand
/// out older entries until their time is over; it can read what is not encrypted, which the
/// headers of entries with their namespaces and keys never are.
///
/// Names are made of `a-z 0-9 / -` and `CACHE`, 80 characters at most.
pub trait Remote: Send + Sync {
    /// Writes the object to `to`, piece by piece; says whether there is one. What was written is
    /// of no use when this fails. A failure of `to` ends it: the object is too long.
    ///
    /// # Errors
    /// [`RemoteError::Failed`].
    fn fetch(&self, name: &str, to: &mut dyn io::Write) -> Result<bool, RemoteError>;

    /// Stores `len` bytes. Replaces an object of that name, or, with `only_new`, leaves it and
    /// answers `false`.
    ///
    /// # Errors
    /// [`RemoteError::Unsupported`] where `only_new` cannot be promised, [`RemoteError::Failed`].
    fn store(
        &self,
        name: &str,
        from: &mut dyn io::Read,
        len: u64,
        only_new: bool,
    ) -> Result<bool, RemoteError>;

    /// Removes the object; one that is not there is no failure.
    ///
    /// # Errors
    /// [`RemoteError::Failed`].
    fn remove(&self, name: &str) -> Result<(), RemoteError>;

    /// How long ago the object was stored; `None` when there is none or that is not known.
    ///
    /// # Errors
    /// [`RemoteError::Failed`].
    fn age(&self, name: &str) -> Result<Option<Duration>, RemoteError>;
}

/// Why a remote tier did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// It cannot do this at all.
    #[error("the remote tier cannot do this")]
    Unsupported,
    /// It did not do it this time.
    #[error("the remote tier failed")]
    Failed(#[source] Box<dyn StdError + Send + Sync>),
}

impl RemoteError {
    /// A failure for that reason.
    pub fn failed(reason: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Failed(reason.into())
    }
}
