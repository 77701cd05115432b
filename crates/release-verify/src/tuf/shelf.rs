//! Where verified metadata is kept between runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dsops_integrity_cache::{Freshness, Key, Namespace, Policy, PutOutcome};

/// Keeps files by name.
///
/// # Security
/// What it gives back is believed: it must be what was kept, or nothing.
pub trait Shelf: Send + Sync {
    /// What was kept under a name. What cannot be read is not there.
    fn load(&self, name: &str) -> Option<Vec<u8>>;

    /// Keeps a file in the place of what was there.
    ///
    /// # Errors
    /// Why it could not be kept, in words.
    fn save(&self, name: &str, bytes: &[u8]) -> Result<(), String>;
}

/// Keeps nothing longer than the process lives.
#[derive(Debug, Default)]
pub struct MemoryShelf(Mutex<BTreeMap<String, Vec<u8>>>);

impl Shelf for MemoryShelf {
    fn load(&self, name: &str) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn save(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }
}

/// Keeps files in an authenticated cache: what comes back is the last that we kept, or nothing.
pub struct CacheShelf {
    namespace: Namespace,
    repository: String,
}

impl CacheShelf {
    /// The files of one repository, named by its address, in a namespace opened with [`CacheShelf::policy`].
    pub fn new(namespace: Namespace, repository: impl Into<String>) -> Self {
        Self { namespace, repository: repository.into() }
    }

    /// The policy its namespace needs: two years, and older entries cannot be put back.
    pub fn policy() -> Policy {
        let long = Duration::from_hours(2 * 365 * 24);
        Policy::new().with(|policy| {
            policy.ttl = long;
            policy.max_ttl = long;
            policy.freshness = Freshness::Strict;
        })
    }

    fn key(&self, name: &str) -> Key {
        Key::new().part("repository", &self.repository).part("file", name)
    }
}

impl Shelf for CacheShelf {
    fn load(&self, name: &str) -> Option<Vec<u8>> {
        Some(self.namespace.get(&self.key(name)).ok()?.hit()?.into_bytes())
    }

    fn save(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        match self.namespace.put(&self.key(name), None, bytes) {
            Ok(PutOutcome::Stored) => Ok(()),
            Ok(PutOutcome::Skipped(reason)) => Err(format!("{name}: not kept ({reason:?})")),
            Err(error) => Err(format!("{name}: {error}")),
        }
    }
}
