//! The one place that reads the process environment for stores, and remembers what they asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::sync::Mutex;

use dsops_resolver::{Environment, StoreError};
use dsops_secure_mem::SecretBytes;

use crate::{env_vars, prompt, ui};

/// The environment `dsops` was started with.
///
/// A variable that a store reads as a credential is moved into protected memory and recorded: the
/// child does not inherit it unless it is kept by name.
#[derive(Debug, Default)]
pub struct ProcessEnvironment {
    /// Credentials that stay where they are, because the child is to inherit them.
    kept: BTreeSet<String>,
    /// Whether a person may be asked.
    may_ask: bool,
    /// What was read, by name: a second reader finds what the first one took out.
    credentials: Mutex<BTreeMap<String, Option<SecretBytes>>>,
}

/// Whether any of these variables is there, empty or not.
pub fn is_any_set(names: &[&str]) -> bool {
    let environment = ProcessEnvironment::default();
    names.iter().any(|name| environment.var(name).is_some())
}

impl ProcessEnvironment {
    /// The environment of this run; `may_ask` says whether a person may be asked for a passphrase.
    pub fn new(may_ask: bool) -> Self {
        Self { may_ask, ..Self::default() }
    }

    /// Leaves these credentials in place for the child, by their exact names.
    pub fn keep(&mut self, names: &[String]) {
        self.kept.extend(names.iter().cloned());
    }

    /// The names that were read as credentials so far.
    pub fn credentials(&self) -> BTreeSet<String> {
        self.lock().keys().cloned().collect()
    }

    /// Whether this credential was asked for and is there.
    pub fn has_credential(&self, name: &str) -> bool {
        self.lock().get(name).is_some_and(Option::is_some)
    }

    /// Whether a variable is there, or was before it was moved into protected memory.
    pub fn is_set(&self, name: &str) -> bool {
        self.has_credential(name) || self.var(name).is_some()
    }

    /// Drops the values, keeps the names. Nobody can read the credentials again.
    pub fn forget(&self) {
        self.lock().values_mut().for_each(|value| *value = None);
    }

    /// Whether the user's settings allow colours at all.
    pub fn allows_colour(&self) -> bool {
        let is_set = |name| self.var(name).is_some_and(|value| !value.is_empty());
        !is_set(env_vars::NO_COLOR) && self.var(env_vars::TERM).is_none_or(|term| term != "dumb")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Option<SecretBytes>>> {
        // A map of names is whole whatever a panicking thread did.
        self.credentials.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Environment for ProcessEnvironment {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one home of reading the environment"
    )]
    fn var(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn credential(&self, name: &str) -> Result<Option<SecretBytes>, StoreError> {
        let copy = |value: &SecretBytes| SecretBytes::copy_from(&value.expose());
        let mut credentials = self.lock();
        if let Some(known) = credentials.get(name) {
            return Ok(known.as_ref().map(copy).transpose()?);
        }
        let value = if self.kept.contains(name) {
            self.var(name)
                .map(|value| SecretBytes::adopt(&mut value.into_encoded_bytes()))
                .transpose()?
        } else {
            dsops_secure_mem::take_env(OsStr::new(name))?
        };
        let answer = value.as_ref().map(copy).transpose()?;
        credentials.insert(name.to_owned(), value);
        Ok(answer)
    }

    fn passphrase(&self, prompt: &str) -> Result<Option<SecretBytes>, StoreError> {
        if !self.may_ask || !prompt::has_terminal() {
            return Ok(None);
        }
        let mut question = ui::one_line(prompt);
        question.push_str(": ");
        prompt::passphrase(&question).map(Some).map_err(|failure| {
            let report = failure.reports.into_iter().next();
            let (reason, help) = report.map(|r| (r.message, r.help)).unwrap_or_default();
            StoreError::Locked { reason, help }
        })
    }
}
