//! An open cache, and what it knows.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    Builder, Clock, Counters, Error, EventKind, Limits, Namespace, Offenders, Policy, Unsafe,
    event::Observer,
    format::Superblock,
    fs::{Dir, Stat},
    keyfile::{self, KeyFile},
    keys::KeySet,
    open::{self, KeyPlace},
    state::{Marks, State, Volatile},
};

/// How far a clock may go back, or an entry may be ahead, before it counts.
pub(crate) const CLOCK_SLACK_MS: i64 = 5 * 60 * 1000;
/// How long a replaced key still verifies: no entry lives longer.
pub(crate) const LONGEST_TTL_MS: i64 = 30 * 24 * 3600 * 1000;

/// An authenticated cache in a directory. Clones are handles to the same.
#[derive(Clone)]
pub struct Cache {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) path: PathBuf,
    pub(crate) base: Dir,
    /// Who we were when the cache was opened.
    pub(crate) uid: Option<u32>,
    pub(crate) superblock: RwLock<Superblock>,
    pub(crate) keys: RwLock<Arc<[KeySet]>>,
    pub(crate) key_place: Option<KeyPlace>,
    pub(crate) beside_data: bool,
    pub(crate) state: Option<State>,
    pub(crate) volatile: Volatile,
    pub(crate) limits: Limits,
    pub(crate) offenders: Offenders,
    pub(crate) observer: Observer,
    pub(crate) clock: Box<dyn Clock>,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Cache {
    /// Sets up a cache in a directory of its own.
    pub fn builder(dir: impl AsRef<Path>) -> Builder {
        Builder::new(dir.as_ref())
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// A namespace with the default policy.
    ///
    /// # Errors
    /// As [`Cache::namespace_with`].
    pub fn namespace(&self, name: &str) -> Result<Namespace, Error> {
        self.namespace_with(name, Policy::default())
    }

    /// A namespace: entries of different namespaces never meet.
    ///
    /// # Errors
    /// [`Error::Config`] when the name is not `[a-z0-9._-]{1,64}`, when the policy contradicts
    /// itself or asks for what this cache cannot give: strict freshness without a state directory,
    /// an encrypted body in a sealed cache, secrets with the key beside the data.
    pub fn namespace_with(&self, name: &str, mut policy: Policy) -> Result<Namespace, Error> {
        let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(known) {
            return Err(Error::config(format!(
                "a namespace is 1 to 64 of a-z 0-9 . _ -, not {name:?}"
            )));
        }
        policy.check()?;
        policy.max_ttl =
            policy.max_ttl.min(std::time::Duration::from_millis(LONGEST_TTL_MS.unsigned_abs()));
        Namespace::new(self.inner.clone(), name, policy)
    }

    /// Where the cache is.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// What tells this cache from every other: the file `CACHE`, for [`Builder::join`]. No secret.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::NotACache`] when the file is not there any more.
    pub fn identity(&self) -> Result<Vec<u8>, Error> {
        let (superblock, tag) =
            open::read_superblock(&self.inner.path, &self.inner.base)?.ok_or_else(|| {
                Error::NotACache { path: self.inner.path.clone(), why: "it was removed" }
            })?;
        Ok(open::identity(&superblock, &tag))
    }

    /// What this handle and its clones have done.
    pub fn counters(&self) -> Counters {
        self.inner.observer.counters()
    }

    /// Makes every entry stale, at the cost of one number. With a state directory this holds for
    /// all processes, also for copies of old entries that are put back later.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Config`] without a state directory, where only removing entries helps;
    /// [`Error::ReadOnlyKey`] for a reader of a sealed cache.
    pub fn invalidate_all(&self) -> Result<(), Error> {
        if !self.inner.keys()[0].can_sign() {
            return Err(Error::ReadOnlyKey);
        }
        match &self.inner.state {
            Some(state) => state.raise_epoch(self.inner.clock.wall_ms()),
            None => Err(Error::config("without a state directory there is no epoch to raise")),
        }
    }

    /// The highest time that a store has seen, milliseconds since 1970; 0 when there was none. A
    /// clock that is far behind it counts as this.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn time_floor_ms(&self) -> Result<i64, Error> {
        Ok(self.inner.marks()?.time_floor_ms)
    }

    /// Forgets the highest time that was seen, after a clock was wrong for a while.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn reset_clock(&self) -> Result<(), Error> {
        match &self.inner.state {
            Some(state) => state.reset_time_floor(),
            None => Ok(()),
        }
    }

    /// Makes a new key; entries of the two before it still verify until they expire. Handles that
    /// are open elsewhere go on with the key they know, and do not see entries of the new one
    /// until they are opened again.
    ///
    /// # Errors
    /// [`Error::Config`] when the key is not in a file, [`Error::Key`], [`Error::Io`].
    pub fn rotate_key(&self) -> Result<(), Error> {
        let now_ms = self.inner.clock.wall_ms();
        self.rewrite_keys(|masters| keyfile::rotated(masters, now_ms))
    }

    /// Drops replaced keys that no living entry can have.
    pub(crate) fn retire_keys(&self) -> Result<(), Error> {
        let now_ms = self.inner.clock.wall_ms();
        if self.inner.key_place.is_none() || self.inner.keys().len() == 1 {
            return Ok(());
        }
        self.rewrite_keys(|masters| {
            let lives = |since: i64| now_ms < since.saturating_add(LONGEST_TTL_MS);
            Ok(masters.into_iter().filter(|key| key.retired_ms.is_none_or(lives)).collect())
        })
    }

    fn rewrite_keys(
        &self,
        change: impl FnOnce(Vec<keyfile::Master>) -> Result<Vec<keyfile::Master>, Error>,
    ) -> Result<(), Error> {
        let inner = &self.inner;
        let Some(place) = &inner.key_place else {
            return Err(Error::config("only a key in a file can be replaced"));
        };
        let folder = place.open(true)?;
        folder.lock(true, crate::fs::PATIENCE).map_err(|_| Error::Busy { path: place.path() })?;
        let path = place.path();
        let file = KeyFile { dir: &folder, name: &place.name, path: &path };
        let old = file.load()?.ok_or_else(|| Error::Key {
            path: path.clone(),
            problem: crate::KeyProblem::Missing,
        })?;
        let old_len = old.len();
        let masters = change(old)?;
        let mut superblock = inner.superblock().clone();
        let keys = open::derive(&masters, &superblock.cache_id)?;
        if masters.len() == old_len && keys[0].id == superblock.key_id {
            return Ok(());
        }
        // First the key, which still has the old one to verify the superblock; a crash between the
        // two leaves a cache that opens.
        file.store(&masters)?;
        superblock.key_id = keys[0].id;
        let bytes = open::sealed_superblock(&superblock, &keys[0])?;
        inner
            .base
            .replace(open::SUPERBLOCK, &bytes)
            .map_err(Error::io("replace", inner.path.join(open::SUPERBLOCK)))?;
        *inner.superblock.write().unwrap_or_else(PoisonError::into_inner) = superblock;
        *inner.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.into();
        Ok(())
    }
}

impl Inner {
    pub(crate) fn keys(&self) -> Arc<[KeySet]> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn superblock(&self) -> std::sync::RwLockReadGuard<'_, Superblock> {
        self.superblock.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn cache_id(&self) -> [u8; 16] {
        self.superblock().cache_id
    }

    pub(crate) fn marks(&self) -> Result<Marks, Error> {
        match &self.state {
            Some(state) => state.marks(),
            None => Ok(self.volatile.marks()),
        }
    }

    /// The wall clock, which never goes far behind the highest time ever seen.
    pub(crate) fn now_ms(&self, marks: &Marks) -> i64 {
        let now = self.clock.wall_ms();
        if now < marks.time_floor_ms.saturating_sub(CLOCK_SLACK_MS) {
            self.observer.emit(EventKind::ClockWentBack, None, None, None);
            return marks.time_floor_ms;
        }
        now
    }

    /// What is odd about an entry's file: owner, mode and links carry no trust, but we made them
    /// otherwise.
    pub(crate) fn odd(&self, stat: &Stat) -> Option<Unsafe> {
        if self.uid.is_some_and(|uid| uid != stat.uid) {
            Some(Unsafe::Owner)
        } else if stat.mode & 0o022 != 0 {
            Some(Unsafe::Mode)
        } else if stat.links > 1 {
            Some(Unsafe::Links)
        } else {
            None
        }
    }

    /// Remembers the time of an authenticated write.
    pub(crate) fn saw_time(&self, now_ms: i64, marks: &Marks) -> Result<(), Error> {
        if let Some(state) = &self.state {
            return state.raise_time_floor(now_ms, marks);
        }
        let floor = &self.volatile.time_floor_ms;
        floor.fetch_max(now_ms, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}
