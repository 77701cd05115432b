//! Storing an entry: prepared beside its place, published whole.

use std::{
    fmt,
    fs::File,
    io::{self, Write},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use aws_lc_rs::aead::LessSafeKey;
use zeroize::Zeroize as _;

use crate::{
    Durability, Error, EventKind, Key, Namespace, PutOutcome, SkipReason,
    body::{self, Hash},
    cache::LONGEST_TTL_MS,
    format::{AEAD_TAG, CHUNK, Header, length, take},
    fs::{self, Dir, PATIENCE},
    keys::{KeySet, Name},
    namespace::generation,
};

/// Starts the names of files that are being written.
pub(crate) const TEMPORARY: &str = "tmp-";
/// How often a name for a new file is tried when others remove it at once.
const ATTEMPTS: u8 = 16;

/// An entry that is being written. Dropped without [`EntryWriter::commit`], it leaves nothing.
pub struct EntryWriter {
    namespace: Namespace,
    keys: Arc<[KeySet]>,
    canonical: Vec<u8>,
    name: Name,
    ttl: Duration,
    negative: bool,
    nonce: [u8; 32],
    /// Names the temporary file.
    label: [u8; 16],
    /// Decides whether this store looks after the limits.
    chance: [u8; 3],
    form: Form,
    /// Room for header and tag, then the chunk that is not written yet.
    buffer: Vec<u8>,
    room: usize,
    payload_len: u64,
    chunks: u64,
    temporary: Option<Temporary>,
    failed: Option<Error>,
}

impl EntryWriter {
    pub(crate) fn new(
        namespace: &Namespace,
        key: &Key,
        ttl: Option<Duration>,
        negative: bool,
        hint: Option<usize>,
    ) -> Result<Self, Error> {
        let policy = &namespace.policy;
        let keys = namespace.inner.keys();
        let active = &keys[0];
        if !active.can_sign() {
            return Err(Error::ReadOnlyKey);
        }
        let canonical = key.canonical().into_owned();
        let name = active.name(&namespace.name, &canonical)?;
        // All that a store needs, asked for at once.
        let mut random = [0; 64];
        getrandom::fill(&mut random).map_err(|error| {
            Error::io("make random bytes for", &namespace.inner.path)(error.into())
        })?;
        let (nonce, form) = if let Some(hash) = Hash::of(body::form(policy.body)) {
            ([0; 32], Form::Clear { hash, table: Vec::new() })
        } else {
            let nonce = take(&random, 0);
            (nonce, Form::Sealed(active.cipher(&nonce)?))
        };
        let ttl = ttl.filter(|ttl| !ttl.is_zero()).unwrap_or(policy.ttl).min(policy.max_ttl);
        let room = length(namespace.name.len(), canonical.len()) + active.auth().tag_len();
        // Never grows: what is secret must not be left behind by a move.
        let mut buffer = Vec::with_capacity(room + hint.unwrap_or(CHUNK).min(CHUNK) + AEAD_TAG);
        buffer.resize(room, 0);
        Ok(Self {
            namespace: namespace.clone(),
            keys,
            canonical,
            name,
            ttl,
            negative,
            nonce,
            label: take(&random, 32),
            chance: take(&random, 48),
            form,
            buffer,
            room,
            payload_len: 0,
            chunks: 0,
            temporary: None,
            failed: None,
        })
    }

    /// Length of the payload so far.
    pub fn len(&self) -> u64 {
        self.payload_len
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.payload_len == 0
    }

    /// Takes bytes; a failure is kept for `commit`.
    pub(crate) fn push_all(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.push(bytes).err();
        }
    }

    fn push(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        let limit_bytes = self.namespace.inner.limits.max_entry_bytes;
        let len_bytes = self.payload_len.saturating_add(bytes.len() as u64);
        if len_bytes > limit_bytes {
            return Err(Error::TooLarge { len_bytes, limit_bytes });
        }
        self.payload_len = len_bytes;
        while !bytes.is_empty() {
            match self.buffer.len() - self.room {
                // A whole chunk that is not the last goes straight from where the caller has it.
                0 if bytes.len() > CHUNK => {
                    let (chunk, later) = bytes.split_at(CHUNK);
                    self.write_chunk(chunk)?;
                    bytes = later;
                }
                CHUNK => {
                    self.seal_pending(false);
                    self.write_pending()?;
                }
                filled => {
                    let (now, later) = bytes.split_at(bytes.len().min(CHUNK - filled));
                    self.buffer.extend_from_slice(now);
                    bytes = later;
                }
            }
        }
        Ok(())
    }

    /// Seals the chunk in the buffer where it lies.
    fn seal_pending(&mut self, last: bool) {
        let chunk = &mut self.buffer[self.room..];
        match &mut self.form {
            Form::Sealed(cipher) => {
                let tag = body::seal(cipher, self.chunks, last, chunk);
                scrub(self.namespace.policy.sensitive);
                self.buffer.extend_from_slice(&tag);
            }
            Form::Clear { hash, table } => {
                table.extend_from_slice(&hash.leaf(self.chunks, last, chunk));
            }
        }
        self.chunks += 1;
    }

    fn write_pending(&mut self) -> Result<(), Error> {
        self.start()?;
        append(&mut self.temporary, &self.buffer[self.room..])?;
        self.buffer.truncate(self.room);
        Ok(())
    }

    fn write_chunk(&mut self, chunk: &[u8]) -> Result<(), Error> {
        let index = self.chunks;
        self.chunks += 1;
        match &mut self.form {
            Form::Sealed(cipher) => {
                self.buffer.resize(self.room + CHUNK + AEAD_TAG, 0);
                body::seal_to(cipher, index, chunk, &mut self.buffer[self.room..]);
                scrub(self.namespace.policy.sensitive);
                self.write_pending()
            }
            Form::Clear { hash, table } => {
                table.extend_from_slice(&hash.leaf(index, false, chunk));
                self.start()?;
                append(&mut self.temporary, chunk)
            }
        }
    }

    /// Makes the file, when it is needed first.
    fn start(&mut self) -> Result<(), Error> {
        if self.temporary.is_none() {
            let room = self.room as u64;
            self.temporary =
                Some(Temporary::create(&self.namespace, &self.name, self.label, room)?);
        }
        Ok(())
    }

    /// Publishes the entry: from now on lookups find it, whole.
    ///
    /// # Errors
    /// As [`Namespace::put`].
    pub fn commit(mut self) -> Result<PutOutcome, Error> {
        let result = match self.failed.take() {
            Some(error) => Err(error),
            None => self.publish(),
        };
        self.namespace.stored(result, &self.name, self.payload_len, self.chance)
    }

    fn publish(&mut self) -> Result<(), Error> {
        self.seal_pending(true);
        self.start()?;
        let namespace = self.namespace.clone();
        let inner = &namespace.inner;
        let active = &self.keys[0];
        let marks = inner.marks()?;
        let now = inner.now_ms(&marks);
        let ttl = i64::try_from(self.ttl.as_millis()).unwrap_or(i64::MAX).min(LONGEST_TTL_MS);
        let expires_ms = now.saturating_add(ttl);
        let path = inner.path.join(self.name.path());
        let busy = |_| Error::Busy { path: path.clone() };
        let ledger = namespace.ledger(active);
        let mut generation = generation(now);
        if let Some((ledger, dir)) = &ledger {
            // Nobody may publish between what the ledger says and what lies there.
            self.shard().lock(true, PATIENCE).map_err(busy)?;
            generation =
                ledger.raise(dir, active, &self.name.digest, generation, expires_ms, now)?;
        }
        let (boot_tag, boot_ms) = match inner.clock.since_boot() {
            Some((boot, since)) => (active.boot_tag(&boot)?, since),
            None => ([0; 8], 0),
        };
        let header = Header {
            auth: active.auth(),
            body: body::form(namespace.policy.body),
            negative: self.negative,
            sensitive: namespace.policy.sensitive,
            schema: namespace.policy.schema,
            cache_id: inner.cache_id(),
            key_id: active.id,
            epoch: marks.epoch,
            generation,
            created_ms: now,
            expires_ms,
            boot_tag,
            boot_ms,
            payload_len: self.payload_len,
            nonce: self.nonce,
            root: match &self.form {
                Form::Sealed(_) => [0; 32],
                Form::Clear { hash, table } => hash.root(table),
            },
            namespace: namespace.name.as_bytes(),
            key: &self.canonical,
        };
        let mut head = Vec::with_capacity(header.len() + header.auth.tag_len());
        header.encode(&mut head);
        let tag = active.sign_entry(&head)?;
        head.extend_from_slice(tag.as_ref());
        let temporary = self.temporary.as_mut().expect("made above");
        if self.chunks == 1 {
            self.buffer[..head.len()].copy_from_slice(&head);
            temporary.write_at(&self.buffer, 0)?;
        } else {
            temporary.append(&self.buffer[self.room..])?;
            if let Form::Clear { table, .. } = &self.form {
                temporary.append(table)?;
            }
            temporary.write_at(&head, 0)?;
        }
        let durability = namespace.policy.durability;
        if durability >= Durability::Data {
            temporary.sync()?;
        }
        if ledger.is_none() {
            temporary.shard.lock(false, PATIENCE).map_err(busy)?;
        }
        temporary.publish(&self.name)?;
        if durability == Durability::Full {
            temporary.shard.sync().map_err(Error::io("write", &path))?;
        }
        // Its lock goes with it: the folder below may be the same.
        self.temporary = None;
        // What was stored with a replaced key is older than this.
        for retired in &self.keys[1..] {
            let name = retired.name(&namespace.name, &self.canonical)?;
            self.namespace.forget(retired, &name)?;
        }
        inner.saw_time(now, &marks)
    }

    fn shard(&self) -> &Dir {
        &self.temporary.as_ref().expect("made before it is asked for").shard
    }
}

impl Write for EntryWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push_all(bytes);
        match &self.failed {
            None => Ok(bytes.len()),
            Some(error) => Err(io::Error::other(error.to_string())),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for EntryWriter {
    fn drop(&mut self) {
        if self.namespace.policy.sensitive {
            self.buffer.zeroize();
        }
    }
}

impl fmt::Debug for EntryWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("EntryWriter");
        debug.field("namespace", &self.namespace.name).field("len", &self.payload_len);
        debug.finish_non_exhaustive()
    }
}

fn append(temporary: &mut Option<Temporary>, bytes: &[u8]) -> Result<(), Error> {
    temporary.as_mut().expect("started").append(bytes)
}

/// How chunks become what is stored.
enum Form {
    Clear { hash: Hash, table: Vec<u8> },
    Sealed(LessSafeKey),
}

/// Leaves nothing of a secret where the cipher and the copy before it had it.
fn scrub(sensitive: bool) {
    if sensitive {
        dsops_secure_mem::scrub_stack();
    }
}

/// A file in the shard that is removed unless it was published. Its lock says that the writer lives.
pub(crate) struct Temporary {
    pub(crate) shard: Dir,
    file: File,
    name: String,
    path: std::path::PathBuf,
    end: u64,
    published: bool,
}

impl Temporary {
    /// Made with room at the start, where the header comes last.
    pub(crate) fn create(
        namespace: &Namespace,
        name: &Name,
        mut label: [u8; 16],
        room: u64,
    ) -> Result<Self, Error> {
        let inner = &namespace.inner;
        let path = inner.path.join(name.path());
        let io = |error| Error::io("write", &path)(error);
        let shard = inner.base.sub_or_make(name.folder()).map_err(io)?;
        for attempt in 0..ATTEMPTS {
            label[0] = label[0].wrapping_add(attempt);
            let name = format!("{TEMPORARY}{}", fs::hex(&label));
            let file = shard.create_new(&name).map_err(io)?;
            if fs::claim(&file).map_err(io)? {
                return Ok(Self { shard, file, name, path, end: room, published: false });
            }
        }
        Err(Error::Busy { path })
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.write_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), Error> {
        fs::write_at(&self.file, bytes, at).map_err(Error::io("write", &self.path))
    }

    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(Error::io("write", &self.path))
    }

    pub(crate) fn publish(&mut self, name: &Name) -> Result<(), Error> {
        self.shard
            .rename_to(&self.name, &self.shard, name.file())
            .map_err(Error::io("publish", &self.path))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published {
            // When it fails, `maintain` finds it without its lock.
            let _ = self.shard.unlink(&self.name);
        }
    }
}

impl Namespace {
    /// Counts what became of a store, and passes over what a cache may pass over.
    pub(crate) fn stored(
        &self,
        result: Result<(), Error>,
        name: &Name,
        len: u64,
        chance: [u8; 3],
    ) -> Result<PutOutcome, Error> {
        let counters = &self.inner.observer.counters;
        match result {
            Ok(()) => {
                counters.stored.fetch_add(1, Relaxed);
                counters.written_bytes.fetch_add(len, Relaxed);
                self.inner.keep_within_limits(name, len, chance);
                Ok(PutOutcome::Stored)
            }
            Err(error) => match skip_reason(&error) {
                Some(reason) if !self.policy.strict_store => {
                    counters.skipped.fetch_add(1, Relaxed);
                    let name = Some(&self.name[..]);
                    self.inner.observer.emit(EventKind::Skipped(reason), name, None, None);
                    Ok(PutOutcome::Skipped(reason))
                }
                _ => Err(error),
            },
        }
    }
}

/// Whether a failure is one that a cache may pass over.
fn skip_reason(error: &Error) -> Option<SkipReason> {
    use io::ErrorKind as Kind;
    let source = match error {
        Error::TooLarge { .. } => return Some(SkipReason::TooLarge),
        Error::Busy { .. } => return Some(SkipReason::Busy),
        Error::Io { source, .. } => source,
        _ => return None,
    };
    if fs::is_no_space(source) {
        return Some(SkipReason::NoSpace);
    }
    match source.kind() {
        Kind::ReadOnlyFilesystem | Kind::PermissionDenied => Some(SkipReason::ReadOnly),
        Kind::OutOfMemory => Some(SkipReason::Resources),
        Kind::WouldBlock => Some(SkipReason::Busy),
        Kind::NotADirectory
        | Kind::IsADirectory
        | Kind::AlreadyExists
        | Kind::DirectoryNotEmpty => Some(SkipReason::Unsafe),
        _ => os_reason(source),
    }
}

#[cfg(unix)]
fn os_reason(error: &io::Error) -> Option<SkipReason> {
    use rustix::io::Errno;
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE => Some(SkipReason::Resources),
        Errno::LOOP => Some(SkipReason::Unsafe),
        _ => None,
    }
}

#[cfg(not(unix))]
fn os_reason(_: &io::Error) -> Option<SkipReason> {
    None
}
