//! Lookups and stores in one namespace.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use dsops_secure_mem::SecretBytes;

use crate::{
    Error, EventKind, Freshness, Key, Lookup, MissReason, Policy, PutOutcome,
    body::Chunks,
    cache::Inner,
    format::Header,
    fs::{self, Dir, Opened, PATIENCE, Stat},
    keys::{KeySet, Name},
    ledger::Ledger,
    reader::VerifiedReader,
    verify,
    writer::EntryWriter,
};

/// How long "there is nothing" is believed at most.
const LONGEST_NEGATIVE: Duration = Duration::from_mins(5);
/// The longest note of a negative entry.
const LONGEST_NOTE: usize = 1024;
/// A use is marked when the last mark is this old.
const TOUCH_AFTER_MS: i64 = 3600 * 1000;

/// A part of a cache with its own names and policy. Clones are handles to the same.
#[derive(Clone)]
pub struct Namespace {
    pub(crate) inner: Arc<Inner>,
    pub(crate) name: Arc<str>,
    pub(crate) policy: Policy,
    /// One ledger for each key, made when it is asked for.
    ledgers: Ledgers,
}

/// The ledgers of a namespace, by key id.
type Ledgers = Arc<Mutex<Vec<([u8; 8], Arc<Ledger>)>>>;

/// What is known of an entry besides its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Length of the payload.
    pub size_bytes: u64,
    /// When it was stored, milliseconds since 1970.
    pub created_ms: i64,
    /// When its time is over, milliseconds since 1970.
    pub expires_ms: i64,
    /// Grows with every store under the same key.
    pub generation: u64,
}

/// A payload that was verified, in memory of our own.
pub struct Entry {
    buffer: Vec<u8>,
    start: usize,
    metadata: Metadata,
}

impl Entry {
    /// The payload.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// The payload, without a copy where it lies at the start.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.buffer.drain(..self.start);
        self.buffer
    }

    /// What else is known of it.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Namespace");
        debug.field("name", &self.name).field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// An authentic entry, its payload not read yet.
pub(crate) struct Found {
    pub(crate) file: std::fs::File,
    pub(crate) head: Vec<u8>,
    body_at: usize,
    pub(crate) chunks: Chunks,
    negative: bool,
    pub(crate) metadata: Metadata,
}

/// Why a payload could not be loaded.
pub(crate) enum Load {
    Miss(MissReason),
    Error(Error),
}

impl From<dsops_secure_mem::Error> for Load {
    fn from(error: dsops_secure_mem::Error) -> Self {
        Self::Error(error.into())
    }
}

impl Namespace {
    pub(crate) fn new(inner: Arc<Inner>, name: &str, policy: Policy) -> Result<Self, Error> {
        let keys = inner.keys();
        if policy.body == crate::Body::Aes256Gcm && keys[0].auth() != crate::format::Auth::Hmac {
            return Err(Error::config("a sealed cache has no secret to encrypt with"));
        }
        if policy.sensitive && inner.beside_data {
            return Err(Error::config("secrets need a key that does not lie beside them"));
        }
        if policy.freshness == Freshness::Strict && inner.state.is_none() {
            return Err(Error::config("strict freshness needs a state directory"));
        }
        Ok(Self { inner, name: name.into(), policy, ledgers: Arc::default() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Looks an entry up and verifies all of it.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk or the system fails; [`Error::Tampered`] where the policy asks
    /// for it; [`Error::Config`] in a sensitive namespace, see [`Namespace::get_secret`].
    pub fn get(&self, key: &Key) -> Result<Lookup<Entry>, Error> {
        if self.policy.sensitive {
            return Err(Error::config("a sensitive namespace hands out protected memory only"));
        }
        self.look_up(key, true, |found| {
            let Found { file, mut head, body_at, chunks, metadata, .. } = found;
            let (_, stored, len) = chunks.place(0);
            if chunks.count() > 1 || head.len() < body_at + stored {
                let buffer = load_all(&file, &chunks, &metadata)?;
                return Ok(Entry { buffer, start: 0, metadata });
            }
            // The payload came with the header: it stays where it is.
            chunks.open(0, &mut head[body_at..body_at + stored]).map_err(Load::Miss)?;
            head.truncate(body_at + len);
            Ok(Entry { buffer: head, start: body_at, metadata })
        })
    }

    /// Looks an entry up straight into protected memory. The body has to be encrypted.
    ///
    /// # Errors
    /// As [`Namespace::get`], and [`Error::Memory`].
    pub fn get_secret(&self, key: &Key) -> Result<Lookup<SecretBytes>, Error> {
        if self.policy.body != crate::Body::Aes256Gcm {
            return Err(Error::config("only encrypted entries are handed out as secrets"));
        }
        self.look_up(key, false, |found| {
            let len = payload_len(&found.metadata)?;
            // A chunk lies with its tag until it is opened.
            SecretBytes::build(len + crate::format::AEAD_TAG, |buffer| {
                load_into(&found.file, &found.chunks, buffer)?;
                Ok(len)
            })
        })
    }

    /// Opens an entry for reading piece by piece; only verified bytes come out.
    ///
    /// # Errors
    /// As [`Namespace::get`].
    pub fn reader(&self, key: &Key) -> Result<Lookup<VerifiedReader>, Error> {
        if self.policy.sensitive {
            return Err(Error::config("a sensitive namespace hands out protected memory only"));
        }
        self.look_up(key, false, |found| {
            Ok(VerifiedReader::new(found.file, found.chunks, found.metadata.size_bytes))
        })
    }

    /// Verifies only the header: whether there is an entry, how long and how old. Costs the same
    /// for any payload.
    ///
    /// # Errors
    /// As [`Namespace::get`].
    pub fn metadata(&self, key: &Key) -> Result<Lookup<Metadata>, Error> {
        self.look_up(key, false, |found| Ok(found.metadata))
    }

    /// Stores a payload; `ttl` of `None` or zero is the policy's.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Busy`] for what a cache may not pass over in silence, everything
    /// with [`Policy::strict_store`]; [`Error::ReadOnlyKey`] for a reader of a sealed cache.
    pub fn put(&self, key: &Key, ttl: Option<Duration>, bytes: &[u8]) -> Result<PutOutcome, Error> {
        let mut writer = EntryWriter::new(self, key, ttl, false, Some(bytes.len()))?;
        writer.push_all(bytes);
        writer.commit()
    }

    /// Stores a payload piece by piece; nothing is visible before [`EntryWriter::commit`].
    ///
    /// # Errors
    /// As [`Namespace::put`].
    pub fn writer(&self, key: &Key, ttl: Option<Duration>) -> Result<EntryWriter, Error> {
        EntryWriter::new(self, key, ttl, false, None)
    }

    /// Stores that there is nothing, and why: lookups answer [`MissReason::Negative`]. Believed for
    /// 5 minutes at most. The note is cut after 1024 bytes.
    ///
    /// # Errors
    /// As [`Namespace::put`].
    pub fn put_negative(
        &self,
        key: &Key,
        ttl: Option<Duration>,
        note: &str,
    ) -> Result<PutOutcome, Error> {
        let ttl = ttl.filter(|ttl| !ttl.is_zero()).unwrap_or(self.policy.ttl);
        let note = &note[..note.floor_char_boundary(LONGEST_NOTE)];
        let ttl = Some(ttl.min(LONGEST_NEGATIVE));
        let mut writer = EntryWriter::new(self, key, ttl, true, Some(note.len()))?;
        writer.push_all(note.as_bytes());
        writer.commit()
    }

    /// Removes an entry; says whether there was one. With strict freshness a copy that is put back
    /// later is a miss too.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Busy`], [`Error::ReadOnlyKey`].
    pub fn invalidate(&self, key: &Key) -> Result<bool, Error> {
        let keys = self.inner.keys();
        if !keys[0].can_sign() {
            return Err(Error::ReadOnlyKey);
        }
        let canonical = key.canonical();
        let mut was_there = false;
        for keys in &*keys {
            let name = keys.name(&self.name, &canonical)?;
            was_there |= self.forget(keys, &name)?;
        }
        Ok(was_there)
    }

    /// Removes the entry of a name, and raises its floor.
    pub(crate) fn forget(&self, keys: &KeySet, name: &Name) -> Result<bool, Error> {
        let path = || self.inner.path.join(name.path());
        let shard = match self.inner.base.sub(name.folder()) {
            Ok(shard) => Some(shard),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io("open", path())(error)),
        };
        if let Some(shard) = &shard {
            shard.lock(true, PATIENCE).map_err(|_| Error::Busy { path: path() })?;
        }
        if let Some((ledger, dir)) = self.ledger(keys) {
            let marks = self.inner.marks()?;
            let now = self.inner.now_ms(&marks);
            let expires = now.saturating_add(crate::cache::LONGEST_TTL_MS);
            ledger.raise(dir, keys, &name.digest, generation(now), expires, now)?;
        }
        match shard {
            Some(shard) => shard.unlink(name.file()).map_err(Error::io("remove", path())),
            None => Ok(false),
        }
    }

    /// The ledger of a key and where it lies; `None` when freshness is not strict.
    pub(crate) fn ledger(&self, keys: &KeySet) -> Option<(Arc<Ledger>, &Dir)> {
        let state = self.inner.state.as_ref()?;
        if self.policy.freshness != Freshness::Strict {
            return None;
        }
        let mut ledgers = self.ledgers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, ledger)) = ledgers.iter().find(|(id, _)| *id == keys.id) {
            return Some((ledger.clone(), &state.dir));
        }
        // A key that came by rotation since this handle was made has one too.
        let ledger = Arc::new(Ledger::new(&state.path, keys, &self.name));
        ledgers.push((keys.id, ledger.clone()));
        Some((ledger, &state.dir))
    }

    /// Finds an authentic entry, loads its payload, counts and reports. `whole` says that all of a
    /// small file is wanted.
    pub(crate) fn look_up<T>(
        &self,
        key: &Key,
        whole: bool,
        load: impl FnOnce(Found) -> Result<T, Load>,
    ) -> Result<Lookup<T>, Error> {
        let canonical = key.canonical();
        let keys = self.inner.keys();
        let mut last = (MissReason::Absent, None, None);
        for keys_of_name in &*keys {
            let name = keys_of_name.name(&self.name, &canonical)?;
            let mut found = self.find(&keys, keys_of_name, &name, &canonical, whole)?;
            if matches!(found, Err((MissReason::RolledBack, _))) && keys_of_name.can_sign() {
                // A writer records first and publishes then; one that is alive holds the lock.
                let shard = self.inner.base.sub(name.folder());
                let _held = shard.and_then(|shard| shard.lock(false, PATIENCE).map(|_| shard));
                found = self.find(&keys, keys_of_name, &name, &canonical, whole)?;
            }
            match found {
                Err((MissReason::Absent, _)) => {}
                Err((reason, stat)) => {
                    last = (reason, stat, Some(name));
                    break;
                }
                Ok(found) => {
                    let negative = found.negative;
                    if negative {
                        let note = load_note(&found);
                        last = match note {
                            Ok(note) => (MissReason::Negative(note), None, Some(name)),
                            Err(Load::Miss(reason)) => (reason, None, Some(name)),
                            Err(Load::Error(error)) => return Err(error),
                        };
                        break;
                    }
                    let size = found.metadata.size_bytes;
                    match load(found) {
                        Ok(value) => {
                            let counters = &self.inner.observer.counters;
                            counters.hits.fetch_add(1, Relaxed);
                            counters.read_bytes.fetch_add(size, Relaxed);
                            return Ok(Lookup::Hit(value));
                        }
                        Err(Load::Miss(reason)) => {
                            last = (reason, None, Some(name));
                            break;
                        }
                        Err(Load::Error(error)) => return Err(error),
                    }
                }
            }
        }
        self.missed(last.0, last.1, last.2)
    }

    pub(crate) fn missed<T>(
        &self,
        reason: MissReason,
        stat: Option<Stat>,
        name: Option<Name>,
    ) -> Result<Lookup<T>, Error> {
        let observer = &self.inner.observer;
        observer.counters.misses[reason.index()].fetch_add(1, Relaxed);
        let quiet =
            matches!(reason, MissReason::Absent | MissReason::Expired | MissReason::Negative(_));
        let text = name.map(|name| format!("{}{}", name.folder(), name.file()));
        if !quiet {
            let kind = EventKind::Rejected(reason.clone());
            let offender = stat.map(|stat| stat.offender());
            observer.emit(kind, Some(&self.name), text.as_deref(), offender);
        }
        if self.policy.tampering_is_an_error && reason.is_suspicious() {
            return Err(Error::Tampered {
                namespace: self.name.to_string(),
                name: text.map_or_else(String::new, |text| text[..8].to_owned()),
                reason,
            });
        }
        Ok(Lookup::Miss(reason))
    }

    /// Opens and judges the entry of a name.
    fn find(
        &self,
        all: &[KeySet],
        keys: &KeySet,
        name: &Name,
        canonical: &[u8],
        whole: bool,
    ) -> Result<Result<Found, (MissReason, Option<Stat>)>, Error> {
        let path = || self.inner.path.join(name.path());
        let opened =
            self.inner.base.open_file(name.path()).map_err(|e| Error::io("open", path())(e))?;
        let (file, stat) = match opened {
            Opened::File(file, stat) => (file, stat),
            Opened::Absent => return Ok(Err((MissReason::Absent, None))),
            Opened::Unsafe(kind, stat) => return Ok(Err((MissReason::Unsafe(kind), stat))),
        };
        let head =
            verify::read_head(&file, &stat, whole).map_err(|e| Error::io("read", path())(e))?;
        let miss = |reason| Ok(Err((reason, Some(stat))));
        let (header, signer) = match verify::authenticate(&self.inner, all, &head, stat.size)? {
            Ok(authentic) => authentic,
            Err(reason) => return miss(reason),
        };
        if signer.id != keys.id {
            return miss(MissReason::WrongEntry);
        }
        if let Some(reason) = self.judge(&header, keys, name, canonical, !keys.can_sign())? {
            return miss(reason);
        }
        if let Some(kind) = self.inner.odd(&stat) {
            if self.policy.strict_fs {
                return miss(MissReason::Unsafe(kind));
            }
            let text = format!("{}{}", name.folder(), name.file());
            let offender = Some(stat.offender());
            self.inner.observer.emit(
                EventKind::OddMetadata,
                Some(&self.name),
                Some(&text),
                offender,
            );
        }
        let chunks = match verify::chunks(&header, keys, &file)? {
            Ok(chunks) => chunks,
            Err(reason) => return miss(reason),
        };
        let now = self.inner.clock.wall_ms();
        if now.saturating_sub(stat.modified_ms) > TOUCH_AFTER_MS {
            fs::touch(&file);
        }
        let metadata = Metadata {
            size_bytes: header.payload_len,
            created_ms: header.created_ms,
            expires_ms: header.expires_ms,
            generation: header.generation,
        };
        let body_at = header.len() + header.auth.tag_len();
        let negative = header.negative;
        Ok(Ok(Found { file, head, body_at, chunks, negative, metadata }))
    }

    /// Whether an authentic entry is the one that was asked for, and may be handed out now. Who
    /// `follows` others learns epochs and generations from what they authenticated.
    pub(crate) fn judge(
        &self,
        header: &Header<'_>,
        keys: &KeySet,
        name: &Name,
        canonical: &[u8],
        follows: bool,
    ) -> Result<Option<MissReason>, Error> {
        if header.namespace != self.name.as_bytes() || header.key != canonical {
            return Ok(Some(MissReason::WrongEntry));
        }
        if header.schema != self.policy.schema || header.sensitive != self.policy.sensitive {
            return Ok(Some(MissReason::Unsupported));
        }
        let marks = self.inner.marks()?;
        let now = self.inner.now_ms(&marks);
        let boot = self.inner.clock.since_boot();
        if header.epoch < marks.epoch || (header.epoch > marks.epoch && !follows) {
            return Ok(Some(MissReason::StaleEpoch));
        }
        if let Some(reason) = verify::expiry(header, keys, now, boot, self.policy.max_ttl)? {
            return Ok(Some(reason));
        }
        if header.epoch > marks.epoch {
            match &self.inner.state {
                Some(state) => state.raise_epoch_to(header.epoch)?,
                None => drop(self.inner.volatile.epoch.fetch_max(header.epoch, Relaxed)),
            }
        }
        self.is_rolled_back(header, keys, name, now, follows)
            .map(|rolled_back| rolled_back.then_some(MissReason::RolledBack))
    }

    fn is_rolled_back(
        &self,
        header: &Header<'_>,
        keys: &KeySet,
        name: &Name,
        now: i64,
        follows: bool,
    ) -> Result<bool, Error> {
        let Some((ledger, dir)) = self.ledger(keys) else { return Ok(false) };
        let (floor, damaged) = ledger.floor(dir, keys, &name.digest)?;
        if damaged {
            self.inner.observer.emit(EventKind::LedgerDamaged, Some(&self.name), None, None);
        }
        if !follows {
            return Ok(floor.is_none_or(|floor| floor.generation != header.generation));
        }
        // Records the newest that it has seen.
        match floor {
            Some(floor) if header.generation < floor.generation => Ok(true),
            Some(floor) if header.generation == floor.generation => Ok(false),
            _ => {
                let (generation, expires) = (header.generation, header.expires_ms);
                let raised = ledger.raise(dir, keys, &name.digest, generation, expires, now)?;
                Ok(raised != generation)
            }
        }
    }
}

/// The generation that a time stands for.
pub(crate) fn generation(now_ms: i64) -> u64 {
    u64::try_from(now_ms).unwrap_or(0).saturating_mul(1000)
}

fn payload_len(metadata: &Metadata) -> Result<usize, Load> {
    usize::try_from(metadata.size_bytes).map_err(|_| Load::Miss(MissReason::TooLarge))
}

fn load_all(file: &std::fs::File, chunks: &Chunks, metadata: &Metadata) -> Result<Vec<u8>, Load> {
    let len = payload_len(metadata)?;
    // A chunk lies with its tag until it is opened.
    let mut buffer = Vec::with_capacity(len + crate::format::AEAD_TAG);
    for index in 0..chunks.count() {
        let (at, stored, clear) = chunks.place(index);
        let start = buffer.len();
        buffer.resize(start + stored, 0);
        load_chunk(file, chunks, index, at, &mut buffer[start..])?;
        buffer.truncate(start + clear);
    }
    Ok(buffer)
}

fn load_into(file: &std::fs::File, chunks: &Chunks, buffer: &mut [u8]) -> Result<(), Load> {
    let mut done = 0;
    for index in 0..chunks.count() {
        let (at, stored, len) = chunks.place(index);
        load_chunk(file, chunks, index, at, &mut buffer[done..done + stored])?;
        done += len;
    }
    Ok(())
}

fn load_chunk(
    file: &std::fs::File,
    chunks: &Chunks,
    index: u64,
    at: u64,
    stored: &mut [u8],
) -> Result<(), Load> {
    let read = fs::read_at(file, stored, at)
        .map_err(|error| Load::Error(Error::io("read", "an entry")(error)))?;
    if read < stored.len() {
        return Err(Load::Miss(MissReason::Torn));
    }
    chunks.open(index, stored).map_err(Load::Miss)
}

fn load_note(found: &Found) -> Result<String, Load> {
    if found.metadata.size_bytes > LONGEST_NOTE as u64 {
        return Err(Load::Miss(MissReason::Unsupported));
    }
    let bytes = load_all(&found.file, &found.chunks, &found.metadata)?;
    String::from_utf8(bytes).map_err(|_| Load::Miss(MissReason::Unsupported))
}
