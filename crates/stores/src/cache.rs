//! Keeps what stores answered on this machine, for stores with `cache:`: encrypted, authenticated,
//! and under everything that tells one answer from another.
//!
//! Entries lie in one directory; the key, the ledger and the salt in another, so that who copies or
//! changes the first has neither the secrets nor a way to forge them. The names of stores and items
//! are in neither: an entry is found by a keyed hash of them.
//!
//! Whatever goes wrong makes a miss and a [`Note`], never a failure: the stores are there to ask.
//!
//! ```
//! use dsops_resolver::{CacheScope, Identity, Item, SecretCache as _, StoreSettings};
//! use dsops_secure_mem::SecretBytes;
//! use dsops_stores::cache::{Places, StoreCache};
//! use std::time::Duration;
//!
//! let folder = tempfile::tempdir()?;
//! let cache = StoreCache::new(Places {
//!     cache_dir: folder.path().join("cache"),
//!     state_dir: folder.path().join("state"),
//! });
//! let settings = StoreSettings::parse("vault", "type: vault\nurl: https://v\n").map_err(|p| p.message)?;
//! let scope = CacheScope::new(&settings, folder.path(), Identity::new());
//! let item = Item { key: "db/password".to_owned(), version: None };
//!
//! let hour = Duration::from_hours(1);
//! cache.keep(&scope, &[(&item, &SecretBytes::copy_from(b"hunter2")?)], hour);
//! let found = cache.get(&scope, &[item], hour).remove(0).expect("was kept");
//! assert_eq!(&*found.expose(), b"hunter2");
//! assert!(cache.notes().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod events;
mod manage;
mod name;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use dsops_integrity_cache::{
    Cache, Clock, Event, EventKind, Freshness, Limits, Lookup, Namespace, Policy, PutOutcome,
    Severity, SkipReason,
};
use dsops_resolver::cache::LONGEST_CACHED;
use dsops_resolver::{CacheScope, Item, SecretCache};
use dsops_secure_mem::SecretBytes;

pub use self::error::CacheError;
pub use self::events::{Record, read_events};
pub use self::manage::{destroy, is_key_there, is_there, open_existing, rekey};

/// The one namespace.
const NAMESPACE: &str = "secrets";
/// What the payload means: the value of an item, byte for byte.
const SCHEMA: u32 = 1;
/// Secrets are few and small.
const MAX_BYTES: u64 = 256 << 20;
const MAX_ENTRIES: u64 = 50_000;
const MAX_ENTRY_BYTES: u64 = 16 << 20;
/// What a run that stored something spends on removing what has expired.
const MAINTAIN_BUDGET: Duration = Duration::from_millis(5);

/// The directories of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The entries.
    pub cache_dir: PathBuf,
    /// The key, the salt, the ledger and what was noticed.
    pub state_dir: PathBuf,
}

impl Places {
    /// The file of the key.
    pub fn key_file(&self) -> PathBuf {
        self.state_dir.join("key")
    }

    /// The file of what entries' names are made with.
    pub fn salt_file(&self) -> PathBuf {
        self.state_dir.join("salt")
    }

    /// The file of what was noticed.
    pub fn events_file(&self) -> PathBuf {
        self.state_dir.join("events")
    }

    fn builder(&self) -> dsops_integrity_cache::Builder {
        let limits = Limits::default().with(|limits| {
            limits.max_bytes = MAX_BYTES;
            limits.max_entries = MAX_ENTRIES;
            limits.max_entry_bytes = MAX_ENTRY_BYTES;
        });
        Cache::builder(&self.cache_dir).state_dir(&self.state_dir).limits(limits)
    }
}

/// Something that the user should know of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Note {
    /// The cache was not used at all.
    Unusable(Arc<CacheError>),
    /// Values could not be kept.
    NotKept(Arc<CacheError>),
    /// Somebody may have interfered; what was found was not used. With what it was.
    Suspicious {
        /// What was found.
        what: String,
        /// A stable word for it.
        code: &'static str,
        /// First characters of the entry's file name.
        entry: Option<String>,
    },
    /// Something else is odd.
    Odd(String),
}

/// A [`SecretCache`] on disk. Touches nothing before it is asked, and makes nothing before there is
/// something to keep.
pub struct StoreCache {
    places: Places,
    clock: Option<Arc<dyn Clock>>,
    opened: OnceLock<Option<Open>>,
    notes: Arc<Mutex<Vec<Note>>>,
}

struct Open {
    cache: Cache,
    salt: SecretBytes,
}

impl fmt::Debug for StoreCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreCache").field("places", &self.places).finish_non_exhaustive()
    }
}

impl StoreCache {
    /// A cache in these places.
    pub fn new(places: Places) -> Self {
        Self { places, clock: None, opened: OnceLock::new(), notes: Arc::default() }
    }

    /// The same with another clock than the system's, for tests.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// Where it is.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// What was noticed since the last time this was asked.
    pub fn notes(&self) -> Vec<Note> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, note: Note) {
        push(&self.notes, note);
    }

    /// The cache, if there is one or if it may be made.
    fn open(&self, make: bool) -> Option<&Open> {
        if self.opened.get().is_none() && !make && !is_there(&self.places) {
            return None;
        }
        let open = || match self.try_open() {
            Ok(open) => Some(open),
            Err(error) => {
                self.note(Note::Unusable(Arc::new(error)));
                None
            }
        };
        self.opened.get_or_init(open).as_ref()
    }

    fn try_open(&self) -> Result<Open, CacheError> {
        let (notes, events) = (Arc::clone(&self.notes), self.places.events_file());
        let sink = move |event: &Event| hear(&notes, &events, event);
        let builder = self.places.builder().events(sink);
        let cache = match &self.clock {
            Some(clock) => builder.clock(Arc::clone(clock)).open()?,
            None => builder.open()?,
        };
        let salt = name::salt(&self.places.salt_file())?;
        Ok(Open { cache, salt })
    }
}

impl Open {
    /// The entries that were kept no longer ago than `oldest`.
    fn namespace(&self, oldest: Duration) -> Result<Namespace, CacheError> {
        let policy = Policy::new().with(|policy| {
            policy.ttl = oldest;
            policy.max_ttl = oldest;
            policy.sensitive = true;
            policy.freshness = Freshness::Strict;
            policy.schema = SCHEMA;
        });
        Ok(self.cache.namespace_with(NAMESPACE, policy)?)
    }

    fn get(
        &self,
        scope: &CacheScope<'_>,
        items: &[Item],
        oldest: Duration,
    ) -> Result<Vec<Option<SecretBytes>>, CacheError> {
        let (namespace, namer) = (self.namespace(oldest)?, name::Namer::new(&self.salt, scope)?);
        let one = |item| Ok(namespace.get_secret(&namer.key(item))?.hit());
        items.iter().map(one).collect()
    }

    fn kept_at(
        &self,
        scope: &CacheScope<'_>,
        items: &[Item],
        oldest: Duration,
    ) -> Result<Vec<Option<SystemTime>>, CacheError> {
        let (namespace, namer) = (self.namespace(oldest)?, name::Namer::new(&self.salt, scope)?);
        let one = |item| {
            Ok(match namespace.metadata(&namer.key(item))? {
                Lookup::Hit(metadata) => {
                    let since = Duration::from_millis(metadata.created_ms.max(0).unsigned_abs());
                    SystemTime::UNIX_EPOCH.checked_add(since)
                }
                Lookup::Miss(_) => None,
            })
        };
        items.iter().map(one).collect()
    }

    fn keep(
        &self,
        scope: &CacheScope<'_>,
        values: &[(&Item, &SecretBytes)],
        longest: Duration,
    ) -> Result<(), CacheError> {
        let (namespace, namer) = (self.namespace(longest)?, name::Namer::new(&self.salt, scope)?);
        let mut skipped = None;
        for (item, value) in values {
            let key = namer.key(item);
            let reason = match skipped {
                None | Some(SkipReason::TooLarge) => {
                    let value = value.try_expose()?;
                    match namespace.put(&key, Some(longest), &value)? {
                        PutOutcome::Stored => continue,
                        PutOutcome::Skipped(reason) => reason,
                    }
                }
                // The others would fail in the same way.
                Some(reason) => reason,
            };
            skipped = Some(reason);
            // What lies there is not what the store says any more, and must not be given once this
            // has been. Who has the folder locked would have to be waited for again.
            if reason != SkipReason::Busy {
                let _ = namespace.invalidate(&key);
            }
        }
        if let Some(reason) = skipped {
            return Err(CacheError::Skipped(reason));
        }
        // What has expired should not lie around. What cannot be removed now can be later.
        let _ = self.cache.maintain(MAINTAIN_BUDGET);
        Ok(())
    }

    fn forget(&self, scope: &CacheScope<'_>, items: &[&Item]) -> Result<(), CacheError> {
        let namespace = self.namespace(LONGEST_CACHED)?;
        let namer = name::Namer::new(&self.salt, scope)?;
        for item in items {
            namespace.invalidate(&namer.key(item))?;
        }
        Ok(())
    }
}

impl SecretCache for StoreCache {
    fn get(
        &self,
        scope: &CacheScope<'_>,
        items: &[Item],
        oldest: Duration,
    ) -> Vec<Option<SecretBytes>> {
        let found = self.open(false).map(|open| open.get(scope, items, oldest));
        self.or_none(found, items)
    }

    fn kept_at(
        &self,
        scope: &CacheScope<'_>,
        items: &[Item],
        oldest: Duration,
    ) -> Vec<Option<SystemTime>> {
        let found = self.open(false).map(|open| open.kept_at(scope, items, oldest));
        self.or_none(found, items)
    }

    fn keep(&self, scope: &CacheScope<'_>, values: &[(&Item, &SecretBytes)], longest: Duration) {
        if let Some(Err(error)) = self.open(true).map(|open| open.keep(scope, values, longest)) {
            self.note(Note::NotKept(Arc::new(error)));
        }
    }

    fn forget(&self, scope: &CacheScope<'_>, items: &[&Item]) {
        if let Some(Err(error)) = self.open(false).map(|open| open.forget(scope, items)) {
            self.note(Note::Unusable(Arc::new(error)));
        }
    }
}

impl StoreCache {
    /// What was found; nothing when there is no cache or it failed, which is noted.
    fn or_none<T>(
        &self,
        found: Option<Result<Vec<Option<T>>, CacheError>>,
        items: &[Item],
    ) -> Vec<Option<T>> {
        let nothing = || items.iter().map(|_| None).collect();
        match found {
            None => nothing(),
            Some(Ok(found)) => found,
            Some(Err(error)) => {
                self.note(Note::Unusable(Arc::new(error)));
                nothing()
            }
        }
    }
}

/// Notes what the cache reports, each thing once, and records what may be somebody's doing.
fn hear(notes: &Mutex<Vec<Note>>, events: &Path, event: &Event) {
    let note = match &event.kind {
        EventKind::Rejected(reason) if event.severity == Severity::Alarm => {
            let (code, entry) = (reason.code(), event.name_prefix.clone());
            Note::Suspicious { what: reason.to_string(), code, entry }
        }
        EventKind::ForeignSuperblock => Note::Suspicious {
            what: "the cache was made with another key".to_owned(),
            code: "foreign-superblock",
            entry: None,
        },
        EventKind::ClockWentBack => Note::Odd(
            "the clock was set back; the latest time that the cache has seen counts instead"
                .to_owned(),
        ),
        EventKind::LedgerDamaged => {
            Note::Odd("the ledger of the cache is damaged; what it covered is forgotten".to_owned())
        }
        // What is skipped is an answer to who stores; the rest is no reason to bother anybody.
        _ => return,
    };
    if let Note::Suspicious { code, entry, .. } = &note {
        events::record(events, code, entry.as_deref());
    }
    push(notes, note);
}

/// Each thing once.
fn push(notes: &Mutex<Vec<Note>>, note: Note) {
    let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    let said: BTreeSet<String> = notes.iter().map(Note::gist).collect();
    if !said.contains(&note.gist()) {
        notes.push(note);
    }
}

impl Note {
    /// What makes two notes the same.
    fn gist(&self) -> String {
        match self {
            Self::Unusable(error) => format!("unusable {error}"),
            Self::NotKept(error) => format!("not kept {error}"),
            Self::Suspicious { code, .. } => (*code).to_owned(),
            Self::Odd(text) => text.clone(),
        }
    }
}
