//! Puts arbitrary bytes in the place of each file of a cache, or changes some: never a panic, never wrong bytes.
#![no_main]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use dsops_integrity_cache::{Cache, Freshness, Key, Lookup, Policy};
use libfuzzer_sys::fuzz_target;

struct Setup {
    root: PathBuf,
    /// Entry, key file, superblock, epoch, ledger.
    files: Vec<(PathBuf, Vec<u8>)>,
}

const PAYLOAD: &[u8] = b"what the key holder stored";

fn open(root: &Path) -> Option<Cache> {
    Cache::builder(root.join("cache")).state_dir(root.join("state")).open().ok()
}

fn lookup(cache: &Cache) -> Option<Vec<u8>> {
    let mut policy = Policy::new();
    policy.freshness = Freshness::Strict;
    let namespace = cache.namespace_with("ns", policy).ok()?;
    match namespace.get(&Key::new().part("k", "k")).ok()? {
        Lookup::Hit(entry) => Some(entry.into_bytes()),
        Lookup::Miss(_) => None,
    }
}

fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| {
        let shared = Path::new("/dev/shm");
        let base = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let root = base.join(format!("dsops-cache-fuzz-{}", std::process::id()));
        let cache = open(&root).expect("a fresh cache opens");
        let mut policy = Policy::new();
        policy.freshness = Freshness::Strict;
        policy.ttl = Duration::from_secs(7 * 24 * 3600);
        let namespace = cache.namespace_with("ns", policy).expect("a good name");
        let _ = namespace.put(&Key::new().part("k", "k"), None, PAYLOAD).expect("stores");
        let mut files = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in
                fs::read_dir(folder).expect("lists").map(|entry| entry.expect("lists").path())
            {
                if entry.is_dir() {
                    folders.push(entry);
                } else if entry.file_name().is_some_and(|name| name != "CACHEDIR.TAG") {
                    files.push((entry.clone(), fs::read(entry).expect("reads")));
                }
            }
        }
        files.sort();
        assert_eq!(files.len(), 5);
        assert_eq!(lookup(&cache).as_deref(), Some(PAYLOAD));
        Setup { root, files }
    })
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else { return };
    let setup = setup();
    let (path, good) = &setup.files[usize::from(choice & 7) % setup.files.len()];
    let mut bytes = good.clone();
    match choice >> 6 {
        // Whole, or a start, of arbitrary bytes.
        0 => bytes = rest.to_vec(),
        1 => {
            let len = rest.len().min(bytes.len());
            bytes[..len].copy_from_slice(&rest[..len]);
        }
        // Pairs of place and change.
        2 => {
            for pair in rest.chunks_exact(3) {
                let at = usize::from(u16::from_le_bytes([pair[0], pair[1]])) % bytes.len();
                bytes[at] ^= pair[2];
            }
        }
        _ => bytes.truncate(rest.first().map_or(0, |len| usize::from(*len) * bytes.len() / 256)),
    }
    // A short key file is waited for, as another process may be writing it: seldom, or nothing else is tried.
    let is_short_key =
        path.file_name().is_some_and(|name| name == "key") && bytes.len() < good.len();
    if is_short_key && rest.first().is_some_and(|byte| byte % 64 != 0) {
        return;
    }
    let changed = bytes != *good;
    fs::write(path, &bytes).expect("writes");
    if let Some(cache) = open(&setup.root) {
        let found = lookup(&cache);
        assert!(found.is_none() || found.as_deref() == Some(PAYLOAD), "wrong bytes");
        let is_entry = path.file_name().is_some_and(|name| name.len() == 62);
        assert!(!(changed && is_entry && found.is_some()), "a changed entry was a hit");
        let _ = cache.verify(true);
    }
    // As it was, and without the state of caches that a changed identity made.
    if path.file_name().is_some_and(|name| name == "CACHE") {
        for entry in fs::read_dir(setup.root.join("state")).expect("lists") {
            let entry = entry.expect("lists").path();
            if entry.is_dir() && !setup.files.iter().any(|(path, _)| path.starts_with(&entry)) {
                fs::remove_dir_all(entry).expect("removes");
            }
        }
    }
    for (path, good) in &setup.files {
        fs::write(path, good).expect("writes");
    }
});
