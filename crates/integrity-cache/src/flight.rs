//! Computing what is missing once, however many ask for it at the same time.

use std::{fs::File, time::Duration};

use crate::{
    Error, Key, Lookup, Namespace,
    fs::{self, Dir},
    open::FLIGHTS,
};

/// How long others' computing is waited for, before it is done here too.
pub(crate) const LONGEST_FLIGHT: Duration = Duration::from_mins(10);

/// Why [`Namespace::get_or_try_put`] has no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlightError<E> {
    /// The cache failed.
    #[error("the cache could not be used")]
    Cache(#[source] Error),
    /// Computing failed; nothing was stored.
    #[error("the value could not be computed")]
    Compute(#[source] E),
}

impl<E> From<Error> for FlightError<E> {
    fn from(error: Error) -> Self {
        Self::Cache(error)
    }
}

impl Namespace {
    /// Answers the entry, or computes and stores it. Among all threads and processes that ask for
    /// the same key at the same time one computes and the others wait for it; when it dies, the next
    /// takes over. A value that could not be stored is answered all the same.
    ///
    /// # Errors
    /// [`FlightError::Compute`] with what `compute` failed of; nothing is stored then, and the next
    /// who waits computes. [`FlightError::Cache`] as [`Namespace::get`] and [`Namespace::put`].
    ///
    /// # Platform
    /// Where the file system has no locks, several may compute.
    pub fn get_or_try_put<E>(
        &self,
        key: &Key,
        ttl: Option<Duration>,
        compute: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, FlightError<E>> {
        if let Lookup::Hit(entry) = self.get(key)? {
            return Ok(entry.into_bytes());
        }
        let flight = Flight::board(self, key)?;
        if flight.is_some()
            && let Lookup::Hit(entry) = self.get(key)?
        {
            return Ok(entry.into_bytes());
        }
        let value = compute().map_err(FlightError::Compute)?;
        let _skipped_or_stored = self.put(key, ttl, &value)?;
        Ok(value)
    }
}

/// The right to compute one entry, held as long as the process lives.
pub(crate) struct Flight {
    dir: Dir,
    name: String,
    _lock: File,
}

impl Flight {
    /// Waits for the right; `None` where there are no locks, or nobody came back for very long.
    pub(crate) fn board(namespace: &Namespace, key: &Key) -> Result<Option<Self>, Error> {
        let inner = &namespace.inner;
        let keys = inner.keys();
        let entry = keys[0].name(&namespace.name, &key.canonical())?;
        let Ok(dir) = inner.base.sub_or_make(FLIGHTS) else { return Ok(None) };
        loop {
            let Ok(lock) = dir.open_or_create(entry.file()) else { return Ok(None) };
            if !fs::lock(&lock, true, LONGEST_FLIGHT).unwrap_or(false) {
                return Ok(None);
            }
            // Who had it before us removed it: those who come now use a new file.
            let stat = fs::stat_file(&lock).map_err(Error::io("lock", &inner.path))?;
            if stat.links > 0 {
                return Ok(Some(Self { dir, name: entry.file().to_owned(), _lock: lock }));
            }
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let _ = self.dir.unlink(&self.name);
    }
}
