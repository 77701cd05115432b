//! The one place that reads the process environment for stores, and remembers what they asked for.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::sync::Mutex;

use dsops_resolver::{Environment, StoreError};
use dsops_secure_mem::SecretBytes;

/// The environment `dsops` was started with.
///
/// A variable that a store reads as a credential is moved into protected memory and recorded: the
/// child does not inherit it unless it is kept by name.
#[derive(Debug, Default)]
pub struct ProcessEnvironment {
    credentials: Mutex<BTreeSet<String>>,
}

impl ProcessEnvironment {
    /// The names that were read as credentials so far.
    pub fn credentials(&self) -> BTreeSet<String> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        // A set of names is whole whatever a panicking thread did.
        self.credentials.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "this is the one home of reading the environment")]
    fn var(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn credential(&self, name: &str) -> Result<Option<SecretBytes>, StoreError> {
        self.lock().insert(name.to_owned());
        dsops_secure_mem::take_env(OsStr::new(name)).map_err(StoreError::from)
    }
}
