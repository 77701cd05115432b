//! What a secret store is: the traits a store implements, and what it is given.
//!
//! A store is two things: a [`StoreFactory`] that knows its types and settings, and the open
//! [`Store`] that fetches items. Everything else is done for it: grouping, one fetch per item,
//! deadlines, threads, errors for people.
//!
//! The whole of a store that keeps its items in files of a folder:
//!
//! ```
//! use std::fs::File;
//! use std::path::PathBuf;
//!
//! use dsops_resolver::{
//!     Config, Diagnostic, FetchContext, Item, NoEnvironment, OpenContext, ResolveOptions, Store,
//!     StoreError, StoreFactory, StoreSettings, plan, resolve,
//! };
//! use dsops_secure_mem::SecretBytes;
//!
//! struct Folder(PathBuf);
//!
//! impl Store for Folder {
//!     fn fetch(&self, items: &[Item], _: &FetchContext<'_>) -> Vec<Result<SecretBytes, StoreError>> {
//!         items.iter().map(|item| self.read(item)).collect()
//!     }
//! }
//!
//! impl Folder {
//!     fn read(&self, item: &Item) -> Result<SecretBytes, StoreError> {
//!         if item.version.is_some() {
//!             return Err(StoreError::unsupported("a version"));
//!         }
//!         if item.key.contains(['/', '\\']) {
//!             return Err(StoreError::not_found(&item.key));
//!         }
//!         let path = self.0.join(&item.key);
//!         let mut file = File::open(&path).map_err(|error| match error.kind() {
//!             std::io::ErrorKind::NotFound => StoreError::not_found(&item.key),
//!             _ => StoreError::io("open", &path, error),
//!         })?;
//!         Ok(SecretBytes::from_reader(&mut file, 64 * 1024)?)
//!     }
//! }
//!
//! struct Folders;
//!
//! impl StoreFactory for Folders {
//!     fn types(&self) -> &[&str] {
//!         &["folder"]
//!     }
//!
//!     fn validate(&self, settings: &StoreSettings) -> Vec<Diagnostic> {
//!         let mut problems = settings.unknown_keys(&["path"]);
//!         problems.extend(settings.required_text("path").err());
//!         problems
//!     }
//!
//!     fn open(&self, settings: &StoreSettings, cx: &OpenContext<'_>) -> Result<Box<dyn Store>, StoreError> {
//!         Ok(Box::new(Folder(cx.base_dir.join(settings.required_text("path")?))))
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! # #[allow(clippy::disallowed_methods)]
//! std::fs::write(dir.path().join("token"), b"hunter2")?;
//! let text = "
//! version: 1
//! secretStores:
//!   here: { type: folder, path: . }
//! envs:
//!   dev:
//!     TOKEN: { from: store://here/token }
//! ";
//! let config = Config::parse("dsops.yaml", text)?;
//! let plan = plan(&config, "dev", &Folders)?;
//! let cx = OpenContext::new(dir.path(), &NoEnvironment);
//! let resolved = resolve(&plan, &Folders, &cx, &ResolveOptions::default())?;
//! assert_eq!(&*resolved.get("TOKEN").expect("resolved").expose(), b"hunter2");
//! # Ok(())
//! # }
//! ```

use std::ffi::OsString;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use dsops_secure_mem::SecretBytes;

use crate::cache::{Caching, Identity};
use crate::diagnostic::{Diagnostic, Place};
use crate::error::StoreError;
use crate::format::Setting;
use crate::settings::StoreSettings;

/// An open store.
///
/// A store may be asked from another thread than the one that opened it, and by as many threads at
/// a time as its [`Limits`] say: one, if its factory says nothing.
pub trait Store: Send + Sync {
    /// Fetches items: one result for each, in the order of `items`, which holds no item twice.
    ///
    /// An item that is missing must not keep the others from being fetched. An error that concerns
    /// all of them is repeated for each ([`StoreError`] is `Clone`) and shown once.
    ///
    /// # Security
    /// Values go into protected memory as they come in; no error holds a value.
    fn fetch(&self, items: &[Item], cx: &FetchContext<'_>) -> Vec<Result<SecretBytes, StoreError>>;

    /// Says which items are there and what is known about them, without fetching a value: one
    /// result for each, in the order of `items`, which holds no item twice.
    ///
    /// The default says [`StoreError::NotDescribed`] for each: nothing was looked at.
    fn describe(
        &self,
        items: &[Item],
        cx: &FetchContext<'_>,
    ) -> Vec<Result<Description, StoreError>> {
        let _ = cx;
        items.iter().map(|_| Err(StoreError::NotDescribed)).collect()
    }

    /// Says whether the store would answer, without fetching an item's value.
    ///
    /// # Errors
    /// Why it would not.
    fn check(&self, cx: &FetchContext<'_>) -> Result<Health, StoreError> {
        let _ = cx;
        Ok(Health::NotChecked)
    }
}

/// The outcome of [`Store::check`] when nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// The store would answer.
    Checked {
        /// What was looked at, for people.
        summary: String,
        /// What is unsafe about it all the same, such as a key that others may read.
        warnings: Vec<String>,
    },
    /// The store has no check. This is not a pass.
    NotChecked,
}

impl Health {
    /// The store would answer, and there is nothing to warn of.
    pub fn checked(summary: impl Into<String>) -> Self {
        Self::Checked { summary: summary.into(), warnings: Vec::new() }
    }
}

/// What a store knows about an item that is there, beside its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The version that a fetch would give.
    pub version: Option<String>,
    /// When it was last changed.
    pub changed: Option<SystemTime>,
    /// What kind of item it is, in the store's words, as `encrypted text`.
    pub kind: Option<String>,
}

impl Description {
    /// The item is there; nothing else is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, of this kind.
    #[must_use]
    pub fn with_kind(self, kind: impl Into<String>) -> Self {
        Self { kind: Some(kind.into()), ..self }
    }
}

/// How much a store takes at once. Known from its settings, before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many calls may run at the same time. One for what asks the user or cannot share: a
    /// keyring, an agent, a command line tool with a session.
    pub concurrency: NonZeroUsize,
    /// How many items one call takes; `None` is as many as there are.
    pub batch: Option<NonZeroUsize>,
    /// How long one call may take if the settings have no `timeout_ms`; `None` is without end.
    pub timeout: Option<Duration>,
    /// It answers from memory and never waits for anything: no thread is worth its start.
    pub immediate: bool,
}

impl Default for Limits {
    /// One call at a time for all items, without end.
    fn default() -> Self {
        Self { concurrency: NonZeroUsize::MIN, batch: None, timeout: None, immediate: false }
    }
}

impl Limits {
    /// For a store that has every value in memory once it is open.
    pub fn immediate() -> Self {
        Self { immediate: true, ..Self::default() }
    }

    /// The same with so many calls at a time; 0 is taken as 1.
    #[must_use]
    pub fn with_concurrency(self, calls: usize) -> Self {
        Self { concurrency: NonZeroUsize::new(calls).unwrap_or(NonZeroUsize::MIN), ..self }
    }

    /// What is left of it under the settings of a store.
    pub(crate) fn under(self, settings: &StoreSettings) -> Self {
        let concurrency = settings.concurrency().into_iter().chain([self.concurrency]).min();
        Self { concurrency: concurrency.unwrap_or(self.concurrency), ..self }
    }

    /// The same with so many items in one call; 0 is taken as 1.
    #[must_use]
    pub fn with_batch(self, items: usize) -> Self {
        Self { batch: Some(NonZeroUsize::new(items).unwrap_or(NonZeroUsize::MIN)), ..self }
    }

    /// The same with this much time for a call whose store has no `timeout_ms`.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }
}

/// Who finds a field (`#…`) inside an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fields {
    /// The store has fields of its own: [`StoreFactory::item`] gets the field.
    Own,
    /// The store gives the whole item, and the field is extracted from it as JSON or YAML.
    #[default]
    Extract,
}

/// Something a store could do because of its settings that a user has to agree to, when the
/// configuration came from somebody else: to run a program, to send secrets to another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Power {
    /// The stable code, one of [`codes`](crate::codes).
    pub code: &'static str,
    /// What it would do, for people, as "runs `/usr/bin/helper --get`".
    pub what: String,
    /// Where the setting stands.
    pub place: Place,
}

/// What a store is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item {
    /// The item, in the store's own grammar.
    pub key: String,
    /// The version, if one was asked for; a store that keeps none refuses.
    pub version: Option<String>,
}

/// What a reference asks of a store, before the store's factory has made it an [`Item`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The path of the reference, or the `key`.
    pub key: String,
    /// The part after `#`: one value inside the item.
    pub field: Option<String>,
    /// The version.
    pub version: Option<String>,
}

/// Makes stores of some types.
pub trait StoreFactory: Sync {
    /// The types it makes, as written in `type:`.
    fn types(&self) -> &[&str];

    /// What to do about a type that it does not make but knows of; the help of the error that says
    /// so. The default is that it knows of none.
    fn missing_type_help(&self, store_type: &str) -> Option<String> {
        let _ = store_type;
        None
    }

    /// What the settings of a type are, beside those that every store has. The default is that they
    /// are not described: the schema then takes any.
    fn settings(&self, store_type: &str) -> Option<&'static [Setting]> {
        let _ = store_type;
        None
    }

    /// Checks the settings of a store without touching anything outside: unknown keys, missing
    /// keys, wrong kinds.
    fn validate(&self, settings: &StoreSettings) -> Vec<Diagnostic>;

    /// Makes an address an item, without touching anything outside.
    ///
    /// The default takes key and version as they are and refuses a field, which it gets only when
    /// [`StoreFactory::fields`] says [`Fields::Own`]. A store that finds values inside items by key
    /// joins key and field here.
    ///
    /// # Errors
    /// What the store cannot do with the address, as "a field (`#…`) is not supported".
    fn item(&self, settings: &StoreSettings, address: Address) -> Result<Item, StoreError> {
        let _ = settings;
        match address.field {
            Some(_) => Err(StoreError::unsupported("a field (`#…`)")),
            None => Ok(Item { key: address.key, version: address.version }),
        }
    }

    /// Who finds a field (`#…`) of an item. The default is [`Fields::Extract`].
    fn fields(&self, settings: &StoreSettings) -> Fields {
        let _ = settings;
        Fields::Extract
    }

    /// What these settings let the store do that needs the user's trust. The default is nothing.
    fn powers(&self, settings: &StoreSettings) -> Vec<Power> {
        let _ = settings;
        Vec::new()
    }

    /// How much the store takes at once. The default is one call at a time for all items.
    fn limits(&self, settings: &StoreSettings) -> Limits {
        let _ = settings;
        Limits::default()
    }

    /// Whether keeping what the store answers makes sense (`cache:`). The default is that it does.
    fn caching(&self, settings: &StoreSettings) -> Caching {
        let _ = settings;
        Caching::Useful
    }

    /// What decides, beside the settings, what the store answers and to whom, found out without
    /// asking it: the credential that comes from the environment, the state of a local file. Only
    /// asked for a store with `cache:`. The default is that the settings alone decide.
    ///
    /// # Security
    /// What is left out here lets one identity get what was kept for another: a store that takes a
    /// credential from anywhere but its settings has to say so.
    ///
    /// # Errors
    /// It cannot be found out; then nothing is kept.
    fn identity(
        &self,
        settings: &StoreSettings,
        cx: &OpenContext<'_>,
    ) -> Result<Identity, StoreError> {
        let _ = (settings, cx);
        Ok(Identity::new())
    }

    /// Opens a store. Called on the main thread before any other thread is started, so that
    /// credentials can be moved out of the environment. Nobody watches how long it takes: what
    /// may wait for a network belongs into [`Store::fetch`].
    ///
    /// # Errors
    /// Why it cannot be opened.
    fn open(
        &self,
        settings: &StoreSettings,
        cx: &OpenContext<'_>,
    ) -> Result<Box<dyn Store>, StoreError>;
}

/// What a store may use while it is opened.
#[derive(Clone, Copy)]
pub struct OpenContext<'a> {
    /// The folder of the configuration file: relative paths in settings start here.
    pub base_dir: &'a Path,
    /// The environment `dsops` was started with.
    pub environment: &'a dyn Environment,
    /// What the store will be asked for, when that is known. A store that has to fetch on the main
    /// thread, as one of the environment has, can do it while it is opened.
    pub items: &'a [Item],
}

impl<'a> OpenContext<'a> {
    /// A context that does not say yet what will be asked for.
    pub fn new(base_dir: &'a Path, environment: &'a dyn Environment) -> Self {
        Self { base_dir, environment, items: &[] }
    }

    /// The same, for a store that will be asked for these items.
    #[must_use]
    pub fn for_items(self, items: &'a [Item]) -> Self {
        Self { items, ..self }
    }
}

/// What a store may use while it fetches.
#[derive(Clone, Copy, Debug, Default)]
pub struct FetchContext<'a> {
    deadline: Option<Instant>,
    borrowed: PhantomData<&'a ()>,
}

impl FetchContext<'_> {
    /// A context with a deadline, or with none.
    pub fn new(deadline: Option<Instant>) -> Self {
        Self { deadline, borrowed: PhantomData }
    }

    /// When the answer has to be there.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How long is left; `None` when there is no deadline, zero when it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Fails when the deadline has passed: for loops and before each outside call.
    ///
    /// # Errors
    /// [`StoreError::DeadlineExceeded`].
    pub fn check_deadline(&self) -> Result<(), StoreError> {
        if self.remaining().is_some_and(|left| left.is_zero()) {
            Err(StoreError::DeadlineExceeded)
        } else {
            Ok(())
        }
    }
}

/// The process environment as stores see it.
pub trait Environment: Sync {
    /// A variable that is no secret, as a path or an address.
    fn var(&self, name: &str) -> Option<OsString>;

    /// A variable that is a secret, or names where one is.
    ///
    /// # Security
    /// The implementor keeps the value from the child that is started later.
    ///
    /// # Errors
    /// When the variable is there but cannot be moved into protected memory.
    fn credential(&self, name: &str) -> Result<Option<SecretBytes>, StoreError>;

    /// Asks the user for a passphrase; `None` when there is nobody to ask, which is the default.
    ///
    /// `prompt` says what it is for, without a colon, as "passphrase of `key.age`".
    ///
    /// # Errors
    /// The user declined, or what was typed cannot be kept.
    fn passphrase(&self, prompt: &str) -> Result<Option<SecretBytes>, StoreError> {
        let _ = prompt;
        Ok(None)
    }
}

/// An environment without variables, for tests and for programs that give stores nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEnvironment;

impl Environment for NoEnvironment {
    fn var(&self, _: &str) -> Option<OsString> {
        None
    }

    fn credential(&self, _: &str) -> Result<Option<SecretBytes>, StoreError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passed_deadline_is_an_error() {
        assert_eq!(FetchContext::default().remaining(), None);
        assert!(FetchContext::default().check_deadline().is_ok());
        let past = FetchContext::new(Some(Instant::now()));
        assert!(matches!(past.check_deadline(), Err(StoreError::DeadlineExceeded)));
        let future = FetchContext::new(Some(Instant::now() + Duration::from_hours(1)));
        assert!(future.check_deadline().is_ok());
    }
}
