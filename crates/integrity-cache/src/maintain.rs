//! Keeping a cache small and clean; looking at all of it; taking it away. The only code that removes.

use std::{
    ffi::OsString,
    fs::File,
    io,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use crate::{
    Cache, Counters, Error, MissReason, Offenders, Unsafe,
    cache::{Inner, LONGEST_TTL_MS},
    format::Header,
    fs::{self, Dir, Kind, Opened, PATIENCE, Stat},
    keys::{KeySet, Name},
    open::{CACHE_FILES, FLIGHTS, QUARANTINE, SUPERBLOCK},
    state::Marks,
    verify,
    writer::TEMPORARY,
};

/// What quarantine keeps.
const QUARANTINE_FILES: usize = 16;
const QUARANTINE_BYTES: u64 = 64 << 20;
/// One store in so many looks whether its folder is too full.
const LOOK_EVERY: u8 = 64;
/// What a store may spend on making room.
const PUT_BUDGET: Duration = Duration::from_millis(2);
/// Eviction goes this far below the limit, so that it is not due again at once.
const LOW_WATER: (u64, u64) = (9, 10);

/// What [`Cache::maintain`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintained {
    /// Files looked at.
    pub examined: u64,
    /// Removed because their time was over or everything had been invalidated.
    pub expired: u64,
    /// Removed because a crash had left them half written.
    pub torn: u64,
    /// Removed, or moved to quarantine, because they could not be trusted.
    pub offenders: u64,
    /// Removed to keep within the limits.
    pub evicted: u64,
    /// Temporary files of writers that are gone.
    pub orphans: u64,
    /// Entries and their bytes that are left.
    pub left: Usage,
    /// Whether everything was looked at within the budget.
    pub complete: bool,
}

/// What lies on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of entries.
    pub entries: u64,
    /// Bytes of their files.
    pub bytes: u64,
}

/// What [`Cache::stats`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// What lies on disk, expired entries included.
    pub usage: Usage,
    /// Files in quarantine.
    pub quarantined: Usage,
    /// What this handle and its clones have done.
    pub counters: Counters,
}

/// What [`Cache::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Entries that are authentic and alive.
    pub sound: u64,
    /// Entries that are authentic, but whose time is over.
    pub expired: u64,
    /// The others: first characters of the file name, and what is wrong.
    pub problems: Vec<(String, MissReason)>,
}

/// What is to become of a file.
enum Fate {
    Keep,
    Expired,
    Torn,
    Offends,
}

impl Cache {
    /// Removes what has expired, what crashes left and what cannot be trusted, and evicts the
    /// entries that were used longest ago until the limits hold. Spends about `budget`; a pass that
    /// was cut short continues elsewhere next time, because it starts in a random folder.
    ///
    /// Entries of unknown keys, other caches and other versions are only removed to make room.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::ReadOnlyKey`] for a reader of a sealed cache.
    pub fn maintain(&self, budget: Duration) -> Result<Maintained, Error> {
        let keys = self.inner.keys();
        if !keys[0].can_sign() {
            return Err(Error::ReadOnlyKey);
        }
        let start = Instant::now();
        let mut pass = Pass::new(&self.inner, &keys)?;
        let mut done = Maintained { complete: true, ..Maintained::default() };
        let mut survivors = Vec::new();
        for shard in self.inner.shards()? {
            if start.elapsed() > budget {
                done.complete = false;
                break;
            }
            pass.clean_shard(&shard, &mut done, &mut survivors)?;
        }
        if done.complete {
            self.inner.evict(survivors, &self.inner.limits.goal(), None, &mut done)?;
        } else {
            count(&survivors, &mut done.left);
        }
        self.inner.trim_quarantine()?;
        done.orphans += self.inner.sweep_orphans()?;
        self.retire_keys()?;
        Ok(done)
    }

    /// Counts what lies on disk, without reading it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn stats(&self) -> Result<Stats, Error> {
        let mut usage = Usage::default();
        for shard in self.inner.shards()? {
            let Some(dir) = self.inner.shard(&shard)? else { continue };
            count(&self.inner.entries(&shard, &dir)?, &mut usage);
        }
        let mut quarantined = Usage::default();
        if let Some(dir) = self.inner.shard(QUARANTINE)? {
            count(&self.inner.entries(QUARANTINE, &dir)?, &mut quarantined);
        }
        Ok(Stats { usage, quarantined, counters: self.counters() })
    }

    /// Verifies every entry and changes nothing; `deep` includes the payloads. Freshness and
    /// whether an entry is in its own place are part of it, a namespace's policy is not.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn verify(&self, deep: bool) -> Result<Verified, Error> {
        let keys = self.inner.keys();
        let mut pass = Pass::new(&self.inner, &keys)?;
        let mut verified = Verified::default();
        for shard in self.inner.shards()? {
            let Some(dir) = self.inner.shard(&shard)? else { continue };
            for name in self.inner.names(&shard, &dir)? {
                let Some(name) = name.to_str().filter(|name| fs::is_our_name(name)) else {
                    continue;
                };
                match pass.examine(&shard, &dir, name, deep)?.0 {
                    None => verified.sound += 1,
                    Some(MissReason::Absent) => {}
                    Some(MissReason::Expired) => verified.expired += 1,
                    Some(reason) => {
                        verified.problems.push((format!("{shard}{}", &name[..6]), reason));
                    }
                }
            }
        }
        verified.problems.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(verified)
    }

    /// Removes every entry, and makes copies that are put back later stale where there is a state
    /// directory. The cache itself and its key stay.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::ReadOnlyKey`] for a reader of a sealed cache.
    pub fn clear(&self) -> Result<(), Error> {
        if !self.inner.keys()[0].can_sign() {
            return Err(Error::ReadOnlyKey);
        }
        if self.inner.state.is_some() {
            self.invalidate_all()?;
        }
        for shard in self.inner.shards()?.iter().map(String::as_str).chain([QUARANTINE]) {
            self.inner.empty_folder(shard)?;
        }
        Ok(())
    }

    /// Takes the cache away: every file of ours, then the directories that are empty. Files that are
    /// not ours stay, and so does the key, which other caches may use.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::ReadOnlyKey`] for a reader of a sealed cache.
    pub fn destroy(self) -> Result<(), Error> {
        self.clear()?;
        let inner = &self.inner;
        let io = |name: &str| {
            let path = inner.path.join(name);
            move |error| Error::io("remove", path)(error)
        };
        for shard in inner.shards()?.iter().map(String::as_str).chain([QUARANTINE, FLIGHTS]) {
            inner.empty_folder(shard)?;
            remove_if_empty(&inner.base, shard).map_err(io(shard))?;
        }
        for name in CACHE_FILES {
            inner.base.unlink(name).map_err(io(name))?;
        }
        // Only when nothing else is in it.
        let _ = std::fs::remove_dir(&inner.path);
        if let Some(state) = &inner.state {
            for name in state.dir.names().map_err(Error::io("list", &state.path))? {
                if let Some(name) = name.to_str() {
                    state.dir.unlink(name).map_err(Error::io("remove", state.path.join(name)))?;
                }
            }
            let _ = std::fs::remove_dir(&state.path);
        }
        Ok(())
    }
}

/// One look at all entries.
struct Pass<'a> {
    inner: &'a Inner,
    keys: &'a [KeySet],
    marks: Marks,
    now_ms: i64,
}

impl<'a> Pass<'a> {
    fn new(inner: &'a Inner, keys: &'a [KeySet]) -> Result<Self, Error> {
        let marks = inner.marks()?;
        Ok(Self { inner, keys, marks, now_ms: inner.now_ms(&marks) })
    }

    /// What is wrong with the file of a name, nothing if it is a living entry; and what file it is.
    fn examine(
        &mut self,
        shard: &str,
        dir: &Dir,
        name: &str,
        deep: bool,
    ) -> Result<(Option<MissReason>, Option<Stat>), Error> {
        let path = || self.inner.path.join(shard).join(name);
        let (file, stat) = match dir.open_file(name).map_err(|e| Error::io("open", path())(e))? {
            Opened::File(file, stat) => (file, stat),
            Opened::Absent => return Ok((Some(MissReason::Absent), None)),
            Opened::Unsafe(kind, stat) => {
                let stat = stat.or_else(|| dir.stat_at(name).ok());
                return Ok((Some(MissReason::Unsafe(kind)), stat));
            }
        };
        let head =
            verify::read_head(&file, &stat, false).map_err(|e| Error::io("read", path())(e))?;
        let authentic = verify::authenticate(self.inner, self.keys, &head, stat.size)?;
        let reason = match authentic {
            Ok((header, signer)) => self.judge(&header, signer, (shard, name), &file, deep)?,
            Err(reason) => Some(reason),
        };
        Ok((reason, Some(stat)))
    }

    fn judge(
        &mut self,
        header: &Header<'_>,
        signer: &KeySet,
        place: (&str, &str),
        file: &File,
        deep: bool,
    ) -> Result<Option<MissReason>, Error> {
        let right = std::str::from_utf8(header.namespace)
            .ok()
            .map(|namespace| signer.name(namespace, header.key))
            .transpose()?;
        if right.is_none_or(|right| (right.folder(), right.file()) != place) {
            return Ok(Some(MissReason::WrongEntry));
        }
        if header.epoch != self.marks.epoch && signer.can_sign() {
            // It may have been raised since the pass began.
            self.marks = self.inner.marks()?;
            if header.epoch != self.marks.epoch {
                return Ok(Some(MissReason::StaleEpoch));
            }
        }
        let boot = self.inner.clock.since_boot();
        let longest = Duration::from_millis(LONGEST_TTL_MS.unsigned_abs());
        if let Some(reason) = verify::expiry(header, signer, self.now_ms, boot, longest)? {
            return Ok(Some(reason));
        }
        if !deep {
            return Ok(None);
        }
        Ok(match verify::chunks(header, signer, file)? {
            Ok(chunks) => verify::check_body(&chunks, file)?.err(),
            Err(reason) => Some(reason),
        })
    }

    fn clean_shard(
        &mut self,
        shard: &str,
        done: &mut Maintained,
        survivors: &mut Vec<Listed>,
    ) -> Result<(), Error> {
        let Some(dir) = self.inner.shard(shard)? else { return Ok(()) };
        for name in self.inner.names(shard, &dir)? {
            let Ok(name) = name.into_string() else { continue };
            if is_temporary(&name) {
                let removed = dir.unlink_orphan(&name);
                let path = self.inner.path.join(shard).join(name);
                done.orphans += u64::from(removed.map_err(Error::io("remove", path))?);
                continue;
            }
            if !fs::is_our_name(&name) {
                continue;
            }
            let (reason, stat) = self.examine(shard, &dir, &name, false)?;
            let Some(stat) = stat else { continue };
            done.examined += 1;
            let entry = Listed { shard: shard.to_owned(), name, stat };
            let fate = self.fate(reason.as_ref());
            let counter = match fate {
                Fate::Keep => {
                    survivors.push(entry);
                    continue;
                }
                Fate::Expired => &mut done.expired,
                Fate::Torn => &mut done.torn,
                Fate::Offends => &mut done.offenders,
            };
            let quarantine =
                matches!(fate, Fate::Offends) && self.inner.offenders == Offenders::Quarantine;
            if self.inner.take_away(&dir, &entry, quarantine)? {
                *counter += 1;
            }
        }
        Ok(())
    }

    fn fate(&self, reason: Option<&MissReason>) -> Fate {
        match reason {
            Some(MissReason::Expired | MissReason::StaleEpoch) => Fate::Expired,
            Some(MissReason::Torn) => Fate::Torn,
            // Another version, key, limit or a clock that is right may still want them.
            None
            | Some(
                MissReason::Absent
                | MissReason::UnknownKey
                | MissReason::WrongCache
                | MissReason::Unsupported
                | MissReason::TooLarge
                | MissReason::FromFuture
                | MissReason::Unsafe(Unsafe::Mode),
            ) => Fate::Keep,
            Some(_) if self.inner.offenders == Offenders::Keep => Fate::Keep,
            Some(_) => Fate::Offends,
        }
    }
}

/// A file with an entry's name.
struct Listed {
    shard: String,
    name: String,
    stat: Stat,
}

impl Inner {
    fn shard(&self, name: &str) -> Result<Option<Dir>, Error> {
        match self.base.sub(name) {
            Ok(dir) => Ok(Some(dir)),
            // A link or a file in a folder's place is not ours: nothing in it is looked at.
            Err(error) if is_not_a_folder(&error) => Ok(None),
            Err(error) => Err(Error::io("open", self.path.join(name))(error)),
        }
    }

    fn entries(&self, shard: &str, dir: &Dir) -> Result<Vec<Listed>, Error> {
        self.listed(shard, dir, self.names(shard, dir)?)
    }

    fn listed(&self, shard: &str, dir: &Dir, names: Vec<OsString>) -> Result<Vec<Listed>, Error> {
        let path = self.path.join(shard);
        let mut entries = Vec::new();
        for name in names {
            let Some(name) = name.to_str().filter(|name| fs::is_our_name(name)) else { continue };
            match dir.stat_at(name) {
                Ok(stat) => {
                    entries.push(Listed { shard: shard.to_owned(), name: name.to_owned(), stat });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("read", path.join(name))(error)),
            }
        }
        Ok(entries)
    }

    fn names(&self, shard: &str, dir: &Dir) -> Result<Vec<OsString>, Error> {
        dir.names().map_err(Error::io("list", self.path.join(shard)))
    }

    /// The folders of entries that there are, from a random one on.
    fn shards(&self) -> Result<Vec<String>, Error> {
        let mut start = [0];
        getrandom::fill(&mut start)
            .map_err(|error| Error::io("make random bytes for", &self.path)(error.into()))?;
        let names = self.base.names().map_err(Error::io("list", &self.path))?;
        let mut shards: Vec<String> =
            names.into_iter().filter_map(|name| name.into_string().ok()).collect();
        shards.retain(|name| name.len() == 2 && fs::is_hex(name));
        shards.sort_unstable();
        let first = usize::from(start[0]) % shards.len().max(1);
        shards.rotate_left(first);
        Ok(shards)
    }

    /// Removes a file, or moves it to quarantine, if it is still the one that was judged.
    fn take_away(&self, dir: &Dir, entry: &Listed, quarantine: bool) -> Result<bool, Error> {
        let path = self.path.join(&entry.shard).join(&entry.name);
        if entry.stat.kind == Kind::Folder {
            return Ok(false);
        }
        // A handle of its own: the lock ends with it.
        let Some(lock) = self.shard(&entry.shard)? else { return Ok(false) };
        lock.lock(true, PATIENCE).map_err(|_| Error::Busy { path: path.clone() })?;
        match dir.stat_at(&entry.name) {
            Ok(now) if now.is(&entry.stat) => {}
            _ => return Ok(false),
        }
        if quarantine && entry.stat.size <= QUARANTINE_BYTES {
            let io = |error| Error::io("quarantine", &path)(error);
            let to = self.base.sub_or_make(QUARANTINE).map_err(io)?;
            dir.rename_to(&entry.name, &to, &fs::random_name().map_err(io)?).map_err(io)?;
            self.observer.counters.quarantined.fetch_add(1, Relaxed);
            return Ok(true);
        }
        dir.unlink(&entry.name).map_err(Error::io("remove", &path))
    }

    /// Removes the entries used longest ago until what is left is within the goal.
    fn evict(
        &self,
        mut found: Vec<Listed>,
        goal: &Goal,
        deadline: Option<Instant>,
        done: &mut Maintained,
    ) -> Result<(), Error> {
        let mut usage = Usage::default();
        count(&found, &mut usage);
        if goal.is_exceeded(usage) {
            found.sort_unstable_by_key(|entry| (entry.stat.modified_ms, entry.stat.inode));
            for entry in found {
                if goal.is_low(usage) || deadline.is_some_and(|at| Instant::now() > at) {
                    break;
                }
                let Some(dir) = self.shard(&entry.shard)? else { continue };
                if self.take_away(&dir, &entry, false)? {
                    done.evicted += 1;
                    usage.entries -= 1;
                    usage.bytes -= entry.stat.size;
                }
            }
            self.observer.counters.evicted.fetch_add(done.evicted, Relaxed);
        }
        done.left = usage;
        Ok(())
    }

    /// What each store does for the limits: rarely, little, and without failing the store.
    pub(crate) fn keep_within_limits(&self, name: &Name, len: u64, chance: [u8; 3]) {
        let deadline = Instant::now() + PUT_BUDGET;
        if chance[0].is_multiple_of(LOOK_EVERY) {
            let goal = Goal { entries: self.limits.max_entries / 256 + 16, bytes: u64::MAX };
            let _ = self.evict_in(&[name.folder().to_owned()], &goal, deadline);
        }
        // Stores of much look with a probability that grows with it.
        let share = u128::from(u16::from_le_bytes([chance[1], chance[2]]));
        let due = u128::from(len) * 16 * 65536 / u128::from(self.limits.max_bytes);
        if share < due
            && let Ok(shards) = self.shards()
        {
            let goal = Goal { entries: u64::MAX, bytes: self.limits.max_bytes };
            let _ = self.evict_in(&shards, &goal, deadline);
        }
    }

    /// Looks at folders until the deadline, and evicts there as if the others were like them.
    fn evict_in(&self, shards: &[String], goal: &Goal, deadline: Instant) -> Result<(), Error> {
        let (mut found, mut looked) = (Vec::new(), 0);
        for shard in shards {
            looked += 1;
            if let Some(dir) = self.shard(shard)? {
                let names = self.names(shard, &dir)?;
                // Counting is cheap, looking at each is not.
                if goal.bytes < u64::MAX || names.len() as u64 > goal.entries {
                    found.extend(self.listed(shard, &dir, names)?);
                }
            }
            if Instant::now() > deadline {
                break;
            }
        }
        let bytes = u128::from(goal.bytes) * looked / shards.len().max(1) as u128;
        let share = Goal { bytes: u64::try_from(bytes).unwrap_or(u64::MAX), ..*goal };
        let deadline = Some(deadline.max(Instant::now()) + PUT_BUDGET);
        self.evict(found, &share, deadline, &mut Maintained::default())
    }

    fn trim_quarantine(&self) -> Result<(), Error> {
        let Some(dir) = self.shard(QUARANTINE)? else { return Ok(()) };
        let mut found = self.entries(QUARANTINE, &dir)?;
        found.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.stat.modified_ms));
        let mut bytes = 0;
        for (at, entry) in found.into_iter().enumerate() {
            bytes += entry.stat.size;
            if at >= QUARANTINE_FILES || bytes > QUARANTINE_BYTES {
                let path = self.path.join(QUARANTINE).join(&entry.name);
                dir.unlink(&entry.name).map_err(Error::io("remove", path))?;
            }
        }
        Ok(())
    }

    /// Removes what dead writers left outside the shards.
    fn sweep_orphans(&self) -> Result<u64, Error> {
        let _ = self.base.sweep_temporaries(SUPERBLOCK);
        if let Some(state) = &self.state {
            state.dir.sweep_temporaries("ledger.").map_err(Error::io("clean", &state.path))?;
        }
        let Some(flights) = self.shard(FLIGHTS)? else { return Ok(0) };
        let mut swept = 0;
        for name in flights.names().map_err(Error::io("list", self.path.join(FLIGHTS)))? {
            if let Some(name) = name.to_str().filter(|name| fs::is_our_name(name)) {
                swept += u64::from(flights.unlink_orphan(name).unwrap_or(false));
            }
        }
        Ok(swept)
    }

    fn empty_folder(&self, shard: &str) -> Result<(), Error> {
        let Some(dir) = self.shard(shard)? else { return Ok(()) };
        for name in self.names(shard, &dir)? {
            let Some(name) = name.to_str() else { continue };
            let removed = match dir.stat_at(name) {
                Ok(stat) if stat.kind == Kind::Folder => continue,
                _ if fs::is_our_name(name) => dir.unlink(name),
                _ if is_temporary(name) => dir.unlink_orphan(name),
                _ => continue,
            };
            removed.map_err(Error::io("remove", self.path.join(shard).join(name)))?;
        }
        Ok(())
    }
}

/// Where eviction starts, and ends a little below.
#[derive(Clone, Copy)]
struct Goal {
    entries: u64,
    bytes: u64,
}

impl crate::Limits {
    fn goal(&self) -> Goal {
        Goal { entries: self.max_entries, bytes: self.max_bytes }
    }
}

impl Goal {
    fn is_exceeded(&self, usage: Usage) -> bool {
        usage.entries > self.entries || usage.bytes > self.bytes
    }

    fn is_low(&self, usage: Usage) -> bool {
        let low = |goal: u64| goal / LOW_WATER.1 * LOW_WATER.0 + goal % LOW_WATER.1;
        usage.entries <= low(self.entries) && usage.bytes <= low(self.bytes)
    }
}

fn count(found: &[Listed], usage: &mut Usage) {
    for entry in found {
        usage.entries += 1;
        usage.bytes += entry.stat.size;
    }
}

fn is_temporary(name: &str) -> bool {
    name.strip_prefix(TEMPORARY).is_some_and(|rest| rest.len() == 32 && fs::is_hex(rest))
}

fn remove_if_empty(base: &Dir, name: &str) -> io::Result<()> {
    match base.remove_sub(name) {
        Err(error) if is_not_a_folder(&error) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        other => other,
    }
}

fn is_not_a_folder(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) || is_loop(error)
}

#[cfg(unix)]
fn is_loop(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP)
}

#[cfg(not(unix))]
fn is_loop(_: &io::Error) -> bool {
    false
}
