//! What the tests share: a cache in a throw-away folder, its files, a clock that is moved by hand.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, dead_code, missing_docs)]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use dsops_integrity_cache::{
    Body, Builder, Cache, Event, Key, KeySource, Lookup, ManualClock, MissReason, Namespace,
    Policy, PutOutcome,
};
use dsops_secure_mem::SecretBytes;

pub const START_MS: i64 = 1_790_000_000_000;
pub const MASTER: [u8; 32] = *b"a master key that tests may know";
pub const BODIES: &[Body] = &[
    Body::Aes256Gcm,
    Body::Sha256,
    #[cfg(feature = "blake3")]
    Body::Blake3,
];
/// Payload lengths around the chunk of 64 KiB.
pub const LENGTHS: [usize; 6] = [0, 1, 65_535, 65_536, 65_537, 200_000];

/// A cache directory, a state directory, a clock and what was reported.
pub struct Place {
    pub root: tempfile::TempDir,
    pub clock: Arc<ManualClock>,
    pub events: Arc<Mutex<Vec<Event>>>,
}

impl Place {
    pub fn new() -> Self {
        Self { root: folder(), clock: Arc::new(ManualClock::new(START_MS)), events: Arc::default() }
    }

    pub fn dir(&self) -> PathBuf {
        self.root.path().join("cache")
    }

    pub fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    pub fn builder(&self) -> Builder {
        let events = self.events.clone();
        Cache::builder(self.dir())
            .state_dir(self.state())
            .clock(self.clock.clone())
            .events(move |event: &Event| events.lock().unwrap().push(event.clone()))
    }

    pub fn open(&self) -> Cache {
        self.builder().open().unwrap()
    }

    /// A cache whose master key the test knows.
    pub fn open_known(&self) -> Cache {
        self.builder().key(known()).open().unwrap()
    }

    pub fn entries(&self) -> Vec<PathBuf> {
        entries(&self.dir())
    }

    pub fn entry(&self) -> PathBuf {
        let found = self.entries();
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap()
    }

    /// How often a kind of event was reported.
    pub fn reported(&self, code: &str) -> usize {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| event_code(event) == code).count()
    }
}

/// In memory where there is such a file system: nothing here needs a disk, and some cases sync often.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub fn event_code(event: &Event) -> String {
    match &event.kind {
        dsops_integrity_cache::EventKind::Rejected(reason) => reason.code().to_owned(),
        other => format!("{other:?}"),
    }
}

pub fn known() -> KeySource {
    KeySource::Bytes(SecretBytes::copy_from(&MASTER).unwrap())
}

pub fn key(name: &str) -> Key {
    Key::new().part("name", name)
}

pub fn policy(body: Body) -> Policy {
    Policy::new().with(|p| p.body = body)
}

pub fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at * 31 + at / 251) % 255 + 1).unwrap()).collect()
}

pub fn put(namespace: &Namespace, name: &str, bytes: &[u8]) {
    assert_eq!(namespace.put(&key(name), None, bytes).unwrap(), PutOutcome::Stored);
}

pub fn get(namespace: &Namespace, name: &str) -> Lookup<Vec<u8>> {
    match namespace.get(&key(name)).unwrap() {
        Lookup::Hit(entry) => Lookup::Hit(entry.into_bytes()),
        Lookup::Miss(reason) => Lookup::Miss(reason),
    }
}

#[track_caller]
pub fn assert_hit(namespace: &Namespace, name: &str, bytes: &[u8]) {
    match get(namespace, name) {
        Lookup::Hit(found) => assert!(found == bytes, "another payload"),
        Lookup::Miss(reason) => panic!("{name}: {reason:?}"),
    }
}

#[track_caller]
pub fn miss(namespace: &Namespace, name: &str) -> MissReason {
    match get(namespace, name) {
        Lookup::Hit(_) => panic!("{name} is a hit"),
        Lookup::Miss(reason) => reason,
    }
}

/// All files with an entry's name, sorted.
pub fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for shard in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if shard.file_name().len() != 2 || !shard.file_type().unwrap().is_dir() {
            continue;
        }
        for file in fs::read_dir(shard.path()).unwrap().map(Result::unwrap) {
            if file.file_name().len() == 62 {
                found.push(file.path());
            }
        }
    }
    found.sort();
    found
}

/// Every file below a folder with its content, to see that nothing was touched.
pub fn snapshot(dir: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                open.push(entry.path());
            }
            found.push((entry.path(), kind.is_file().then(|| fs::read(entry.path()).unwrap())));
        }
    }
    found.sort();
    found
}
