//! Opening a cache: the directory, the superblock, the keys, the state.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use dsops_secure_mem::SecretBytes;

use crate::{
    Cache, Clock, Error, EventKind, EventSink, KeyProblem, KeySource, Limits, Offenders,
    SystemClock,
    cache::Inner,
    event::Observer,
    format::Superblock,
    fs::{self, Dir, Kind, Opened, PATIENCE, Published},
    keyfile::{KeyFile, Master},
    keys::KeySet,
    state::{State, Volatile},
};

/// The file that makes a directory a cache.
pub(crate) const SUPERBLOCK: &str = "CACHE";
pub(crate) const TAG: &str = "CACHEDIR.TAG";
pub(crate) const FLIGHTS: &str = "flight";
pub(crate) const QUARANTINE: &str = "quarantine";
/// The key file of [`KeySource::BesideData`] and [`KeySource::StateDir`].
pub(crate) const KEY: &str = "key";

/// Everything of ours at the top of the directory.
pub(crate) const CACHE_FILES: [&str; 3] = [TAG, KEY, SUPERBLOCK];

/// <https://bford.info/cachedir/>: backup programs leave the directory out.
const TAG_CONTENT: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory is a cache. What it holds can be made again.\n";

/// Sets up a cache to open. Made by [`Cache::builder`].
#[must_use]
pub struct Builder {
    dir: PathBuf,
    state_dir: Option<PathBuf>,
    key: KeySource,
    limits: Limits,
    offenders: Offenders,
    identity: Option<Vec<u8>>,
    events: Option<Box<dyn EventSink>>,
    clock: Box<dyn Clock>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("dir", &self.dir)
            .field("state_dir", &self.state_dir)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Builder {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            state_dir: None,
            key: KeySource::StateDir,
            limits: Limits::default(),
            offenders: Offenders::default(),
            identity: None,
            events: None,
            clock: Box::new(SystemClock::new()),
        }
    }

    /// The directory of what must not lie beside the data: the key, the epoch, the ledgers. It is
    /// made if it is missing, for us alone. `$XDG_STATE_HOME/PROGRAM` is a good place.
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// Where the key comes from, if not from the state directory.
    pub fn key(mut self, key: KeySource) -> Self {
        self.key = key;
        self
    }

    /// How large the cache may become.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What `maintain` does with files that cannot be trusted.
    pub fn offenders(mut self, offenders: Offenders) -> Self {
        self.offenders = offenders;
        self
    }

    /// Makes a new cache one with another, whose [identity](Cache::identity) this is and whose key is
    /// the same: what one [exports](crate::Namespace::export), the other
    /// [admits](crate::Namespace::admit). A cache that is there already has to be of this identity.
    pub fn join(mut self, identity: impl Into<Vec<u8>>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// Where events go.
    pub fn events(mut self, sink: impl EventSink + 'static) -> Self {
        self.events = Some(Box::new(sink));
        self
    }

    /// Another clock than the system's.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Opens the cache; makes it when the directory is missing or empty.
    ///
    /// # Errors
    /// [`Error::NotACache`] when the directory holds anything else, [`Error::BaseUnsafe`] when
    /// others can write it, [`Error::Key`] when there is a cache and its key is missing or damaged,
    /// [`Error::Config`], [`Error::Io`].
    ///
    /// # Security
    /// A key is never made for a cache that exists: its loss is an error, not a fresh start. An
    /// existing cache of an unknown key opens, and every lookup misses.
    pub fn open(self) -> Result<Cache, Error> {
        if self.limits.max_entries == 0 || self.limits.max_bytes == 0 {
            return Err(Error::config("a cache that may hold nothing"));
        }
        let base = self.open_base()?;
        let base_lock = Dir::open(&self.dir).map_err(Error::io("open", &self.dir))?;
        base_lock.lock(true, PATIENCE).map_err(|_| Error::Busy { path: self.dir.clone() })?;
        let superblock = read_superblock(&self.dir, &base)?;
        if superblock.is_none() {
            self.check_empty(&base)?;
        }
        let state_base = self.open_state_base()?;
        let (masters, key_place) = self.load_key(state_base.as_ref(), superblock.is_some())?;
        let now_ms = self.clock.wall_ms();
        let observer = Observer::new(self.events);
        let (superblock, keys) = match superblock {
            Some((superblock, tag)) => {
                let keys = masters.derive(&superblock.cache_id)?;
                check_superblock(&self.dir, &superblock, &tag, &keys, &observer)?;
                (superblock, keys)
            }
            None => match &self.identity {
                None => make_superblock(&self.dir, &base, &masters, now_ms, &observer)?,
                Some(identity) => join_superblock(&self.dir, &base, &masters, identity, &observer)?,
            },
        };
        // The first epoch is the time when the cache was made: caches that are one agree on it.
        let mut first_ms = now_ms;
        if let Some(identity) = &self.identity {
            if superblock.encode() != identity.get(..Superblock::SIGNED).unwrap_or(&[]) {
                return Err(Error::NotACache { path: self.dir, why: "it is another cache" });
            }
            first_ms = superblock.created_ms;
        }
        drop(base_lock);
        let read_only = !keys[0].can_sign();
        let state = state_base
            .map(|(dir, path)| open_state(&dir, &path, &superblock.cache_id, first_ms, read_only))
            .transpose()?;
        if base.is_network() {
            observer.emit(EventKind::NetworkFileSystem, None, None, None);
        }
        let beside_data = matches!(self.key, KeySource::BesideData);
        Ok(Cache::new(Inner {
            path: self.dir,
            base,
            uid: fs::effective_uid(),
            superblock: superblock.into(),
            keys: std::sync::RwLock::new(keys.into()),
            key_place,
            beside_data,
            state,
            volatile: Volatile::default(),
            limits: self.limits,
            offenders: self.offenders,
            observer,
            clock: self.clock,
        }))
    }

    /// The identity of the cache that is here, or one for a new cache, which is not made yet.
    pub(crate) fn propose(&self) -> Result<Vec<u8>, Error> {
        let base = self.open_base()?;
        if let Some((superblock, tag)) = read_superblock(&self.dir, &base)? {
            return Ok(identity(&superblock, &tag));
        }
        let state_base = self.open_state_base()?;
        let (masters, _) = self.load_key(state_base.as_ref(), false)?;
        let (superblock, keys) = new_superblock(&self.dir, &masters, self.clock.wall_ms())?;
        sealed_superblock(&superblock, &keys[0])
    }

    fn open_base(&self) -> Result<Dir, Error> {
        let dir = match Dir::open(&self.dir) {
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && (!self.is_reader() || self.identity.is_some()) =>
            {
                make_private(&self.dir).map_err(Error::io("make", &self.dir))?;
                Dir::open(&self.dir)
            }
            other => other,
        };
        let dir = dir.map_err(|error| match std::fs::symlink_metadata(&self.dir) {
            Ok(found) if found.is_symlink() => {
                Error::BaseUnsafe { path: self.dir.clone(), why: "it is a symbolic link" }
            }
            _ => Error::io("open", &self.dir)(error),
        })?;
        check_ours(&self.dir, &dir, 0o022)?;
        Ok(dir)
    }

    fn is_reader(&self) -> bool {
        matches!(self.key, KeySource::Sealed(_))
    }

    /// Without a superblock, only what a crashed first start leaves may be there.
    fn check_empty(&self, base: &Dir) -> Result<(), Error> {
        if self.is_reader() && self.identity.is_none() {
            let why = "it has no superblock, and a reader of a sealed cache makes none";
            return Err(Error::NotACache { path: self.dir.clone(), why });
        }
        let names = base.names().map_err(Error::io("list", &self.dir))?;
        let ours = |name: &str| {
            [TAG, KEY].contains(&name)
                || name.starts_with(".CACHE.")
                || name.starts_with(".CACHEDIR.TAG.")
                || name.starts_with(".key.")
        };
        if names.iter().all(|name| name.to_str().is_some_and(ours)) {
            Ok(())
        } else {
            Err(Error::NotACache { path: self.dir.clone(), why: "it holds other files" })
        }
    }

    fn open_state_base(&self) -> Result<Option<(Dir, PathBuf)>, Error> {
        let Some(path) = &self.state_dir else { return Ok(None) };
        make_private(path).map_err(Error::io("make", path))?;
        let inside =
            fs::uninterrupted(|| Ok(path.canonicalize()?.starts_with(self.dir.canonicalize()?)));
        if inside.map_err(Error::io("open", path))? {
            return Err(Error::config("the state directory is inside the cache"));
        }
        let dir = Dir::open(path).map_err(Error::io("open", path))?;
        check_ours(path, &dir, 0o077)?;
        Ok(Some((dir, path.clone())))
    }

    fn load_key(
        &self,
        state: Option<&(Dir, PathBuf)>,
        cache_exists: bool,
    ) -> Result<(Masters, Option<KeyPlace>), Error> {
        let place = match &self.key {
            KeySource::StateDir => {
                let Some((_, path)) = state else {
                    return Err(Error::config("neither a key nor a state directory is given"));
                };
                KeyPlace { folder: path.clone(), name: KEY.to_owned() }
            }
            KeySource::File(path) => KeyPlace::of(path)?,
            KeySource::BesideData => KeyPlace { folder: self.dir.clone(), name: KEY.to_owned() },
            KeySource::Bytes(bytes) => {
                return Ok((Masters::Shared(vec![Master::given(bytes)?]), None));
            }
            KeySource::Ephemeral => return Ok((Masters::Shared(vec![Master::random()?]), None)),
            KeySource::Sealing(seed) => {
                let public = crate::keys::public_key(seed)?;
                let seed = SecretBytes::copy_from(&seed.try_expose()?)?;
                return Ok((Masters::Sealed { public, seed: Some(seed) }, None));
            }
            KeySource::Sealed(public) => {
                return Ok((Masters::Sealed { public: *public, seed: None }, None));
            }
        };
        let beside = matches!(self.key, KeySource::BesideData);
        let folder = if beside {
            // The base was checked; it may be readable to others, the key file is not.
            Dir::open(&self.dir).map_err(Error::io("open", &self.dir))?
        } else {
            if !cache_exists {
                make_private(&place.folder).map_err(Error::io("make", &place.folder))?;
            }
            place.open(cache_exists)?
        };
        let path = place.path();
        let file = KeyFile { dir: &folder, name: &place.name, path: &path };
        // What a crash left of a key that nobody uses.
        let _ = folder.sweep_temporaries(&place.name);
        let masters = match file.load()? {
            Some(masters) => masters,
            None if cache_exists => {
                return Err(Error::Key { path, problem: KeyProblem::Missing });
            }
            None => file.create()?,
        };
        Ok((Masters::Shared(masters), Some(place)))
    }
}

/// Where a key file is.
#[derive(Debug, Clone)]
pub(crate) struct KeyPlace {
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
}

impl KeyPlace {
    fn of(path: &Path) -> Result<Self, Error> {
        let name = path.file_name().and_then(|name| name.to_str());
        match (path.parent(), name) {
            (Some(folder), Some(name)) if !folder.as_os_str().is_empty() => {
                Ok(Self { folder: folder.to_owned(), name: name.to_owned() })
            }
            _ => Err(Error::config("the key file needs a path with a folder and a name")),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    pub(crate) fn open(&self, cache_exists: bool) -> Result<Dir, Error> {
        let dir = Dir::open(&self.folder).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound && cache_exists {
                Error::Key { path: self.path(), problem: KeyProblem::Missing }
            } else {
                Error::io("open", &self.folder)(error)
            }
        })?;
        check_ours(&self.folder, &dir, 0o022)?;
        Ok(dir)
    }
}

/// The master keys before they meet a cache.
enum Masters {
    Shared(Vec<Master>),
    Sealed { public: [u8; 32], seed: Option<SecretBytes> },
}

impl Masters {
    fn derive(&self, cache_id: &[u8; 16]) -> Result<Vec<KeySet>, Error> {
        match self {
            Self::Shared(masters) => derive(masters, cache_id),
            Self::Sealed { public, seed } => {
                Ok(vec![KeySet::sealed(public, seed.as_ref(), cache_id)?])
            }
        }
    }
}

pub(crate) fn derive(masters: &[Master], cache_id: &[u8; 16]) -> Result<Vec<KeySet>, Error> {
    masters.iter().map(|master| KeySet::derive(&master.key.try_expose()?, cache_id)).collect()
}

fn check_superblock(
    dir: &Path,
    superblock: &Superblock,
    tag: &[u8],
    keys: &[KeySet],
    observer: &Observer,
) -> Result<(), Error> {
    match keys.iter().find(|keys| keys.id == superblock.key_id) {
        Some(keys) if keys.is_superblock(&superblock.encode(), tag)? => Ok(()),
        Some(_) => {
            let why = "its superblock was altered";
            Err(Error::NotACache { path: dir.to_owned(), why })
        }
        None => {
            observer.emit(EventKind::ForeignSuperblock, None, None, None);
            Ok(())
        }
    }
}

fn make_superblock(
    path: &Path,
    base: &Dir,
    masters: &Masters,
    now_ms: i64,
    observer: &Observer,
) -> Result<(Superblock, Vec<KeySet>), Error> {
    let (superblock, keys) = new_superblock(path, masters, now_ms)?;
    let bytes = sealed_superblock(&superblock, &keys[0])?;
    publish_superblock(path, base, masters, superblock, keys, &bytes, observer)
}

/// An identity that no other cache has.
fn new_superblock(
    path: &Path,
    masters: &Masters,
    now_ms: i64,
) -> Result<(Superblock, Vec<KeySet>), Error> {
    let mut cache_id = [0; 16];
    getrandom::fill(&mut cache_id)
        .map_err(|error| Error::io("make random bytes for", path.join(SUPERBLOCK))(error.into()))?;
    let keys = masters.derive(&cache_id)?;
    let superblock =
        Superblock { auth: keys[0].auth(), cache_id, key_id: keys[0].id, created_ms: now_ms };
    Ok((superblock, keys))
}

/// Publishes the superblock of the cache to join, if our key authenticates it.
fn join_superblock(
    path: &Path,
    base: &Dir,
    masters: &Masters,
    identity: &[u8],
    observer: &Observer,
) -> Result<(Superblock, Vec<KeySet>), Error> {
    let bad = |why| Error::NotACache { path: path.to_owned(), why };
    let (superblock, tag) = Superblock::decode(identity)
        .ok_or_else(|| bad("the identity to join is of another version"))?;
    let keys = masters.derive(&superblock.cache_id)?;
    if superblock.key_id != keys[0].id || !keys[0].is_superblock(&superblock.encode(), tag)? {
        return Err(bad("the identity to join is of another key"));
    }
    publish_superblock(path, base, masters, superblock, keys, identity, observer)
}

fn publish_superblock(
    path: &Path,
    base: &Dir,
    masters: &Masters,
    superblock: Superblock,
    keys: Vec<KeySet>,
    bytes: &[u8],
    observer: &Observer,
) -> Result<(Superblock, Vec<KeySet>), Error> {
    let file = path.join(SUPERBLOCK);
    // Without locks another may have been quicker; then its identity holds.
    if base.publish_new(SUPERBLOCK, bytes).map_err(Error::io("create", &file))? == Published::New {
        let _ = base.publish_new(TAG, TAG_CONTENT);
        return Ok((superblock, keys));
    }
    let (superblock, tag) = read_superblock(path, base)?
        .ok_or_else(|| Error::NotACache { path: path.to_owned(), why: "it is being removed" })?;
    let keys = masters.derive(&superblock.cache_id)?;
    check_superblock(path, &superblock, &tag, &keys, observer)?;
    Ok((superblock, keys))
}

/// The superblock and its tag, if there is one; not authenticated yet.
pub(crate) fn read_superblock(
    path: &Path,
    base: &Dir,
) -> Result<Option<(Superblock, Vec<u8>)>, Error> {
    let bad = |why| Error::NotACache { path: path.to_owned(), why };
    let file = path.join(SUPERBLOCK);
    let (file, stat) = match base.open_file(SUPERBLOCK).map_err(Error::io("open", &file))? {
        Opened::File(file, stat) => (file, stat),
        Opened::Absent => return Ok(None),
        Opened::Unsafe(..) => return Err(bad("its superblock is not a regular file")),
    };
    let mut bytes = [0; Superblock::LEN];
    let len =
        fs::read_at(&file, &mut bytes, 0).map_err(Error::io("read", path.join(SUPERBLOCK)))?;
    if len != Superblock::LEN || stat.size != Superblock::LEN as u64 {
        return Err(bad("its superblock has another length"));
    }
    let (superblock, tag) =
        Superblock::decode(&bytes).ok_or_else(|| bad("its superblock is of another version"))?;
    Ok(Some((superblock, tag.to_vec())))
}

/// The file's bytes, of its parts.
pub(crate) fn identity(superblock: &Superblock, tag: &[u8]) -> Vec<u8> {
    let mut bytes = [&superblock.encode()[..], tag].concat();
    bytes.resize(Superblock::LEN, 0);
    bytes
}

/// The file's bytes.
pub(crate) fn sealed_superblock(superblock: &Superblock, keys: &KeySet) -> Result<Vec<u8>, Error> {
    let tag = keys.sign_superblock(&superblock.encode())?;
    Ok(identity(superblock, tag.as_ref()))
}

fn open_state(
    base: &Dir,
    path: &Path,
    cache_id: &[u8; 16],
    now_ms: i64,
    floor_only: bool,
) -> Result<State, Error> {
    let id = fs::hex(cache_id);
    let path = path.join(&id);
    let dir = base.sub_or_make(&id).map_err(Error::io("make", &path))?;
    check_ours(&path, &dir, 0o077)?;
    State::open(dir, &path, now_ms, floor_only)
}

/// Whether a directory is ours and not open to others in the ways of `forbidden`.
fn check_ours(path: &Path, dir: &Dir, forbidden: u32) -> Result<(), Error> {
    let stat = dir.stat().map_err(Error::io("open", path))?;
    let bad = |why| Err(Error::BaseUnsafe { path: path.to_owned(), why });
    match fs::effective_uid() {
        _ if stat.kind != Kind::Folder => bad("it is not a directory"),
        Some(uid) if uid != stat.uid => bad("it belongs to another user"),
        Some(_) if stat.mode & forbidden != 0 => bad("other users have access to it"),
        _ => Ok(()),
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match fs::uninterrupted(|| builder.create(path)) {
        // An interrupted look makes the library take a folder for something else.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::uninterrupted(|| path.metadata())?;
            if found.is_dir() { Ok(()) } else { Err(error) }
        }
        other => other,
    }
}
