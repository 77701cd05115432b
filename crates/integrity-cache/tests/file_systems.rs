//! Rows 37 and 48 of the attack table in `docs/integrity-cache.md`, on a real file system that misbehaves (FUSE).
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::unwrap_used, missing_docs)]

mod common;

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use common::*;
use dsops_integrity_cache::{Cache, Error, Event, Freshness, Lookup, Namespace, PutOutcome};

/// A mounted `tests/data/faulty_fs.py`.
struct Faulty {
    root: tempfile::TempDir,
    server: Child,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Faulty {
    /// `None` where nothing can be mounted.
    fn mount(faults: &[&str]) -> Option<Self> {
        let root = folder();
        let (behind, at) = (root.path().join("behind"), root.path().join("at"));
        std::fs::create_dir(&behind).unwrap();
        std::fs::create_dir(&at).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/faulty_fs.py");
        let started = Command::new("python3")
            .arg(script)
            .args([&behind, &at])
            .args(faults)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut server) = started else {
            eprintln!("not run: no python3");
            return None;
        };
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line != "ready\n" {
            eprintln!("not run: FUSE cannot be mounted here");
            server.wait().unwrap();
            return None;
        }
        Some(Self { root, server, events: Arc::default() })
    }

    fn cache_dir(&self) -> PathBuf {
        self.root.path().join("at/cache")
    }

    /// Everything lies there, the key and the state too.
    fn open(&self) -> Result<Cache, Error> {
        let events = self.events.clone();
        Cache::builder(self.cache_dir())
            .state_dir(self.root.path().join("at/state"))
            .events(move |event: &Event| events.lock().unwrap().push(event.clone()))
            .open()
    }

    fn heal(&self) {
        let pid = self.server.id().to_string();
        assert!(Command::new("kill").args(["-USR1", &pid]).status().unwrap().success());
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.root.path().join("at")).status();
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn namespaces(cache: &Cache) -> Vec<Namespace> {
    let mut all = Vec::new();
    for body in BODIES {
        for (kind, freshness) in [("loose", Freshness::Ttl), ("strict", Freshness::Strict)] {
            let policy = policy(*body).with(|p| p.freshness = freshness);
            let name = format!("{kind}-{body:?}").to_lowercase();
            all.push(cache.namespace_with(&name, policy).unwrap());
        }
    }
    all
}

/// Every operation, with the answer that it has to have.
fn everything_works(faulty: &Faulty) {
    let cache = faulty.open().unwrap();
    for namespace in namespaces(&cache) {
        for len in LENGTHS {
            let (name, bytes) = (len.to_string(), payload(len));
            put(&namespace, &name, b"before");
            put(&namespace, &name, &bytes);
            assert_hit(&namespace, &name, &bytes);
            let Lookup::Hit(mut reader) = namespace.reader(&key(&name)).unwrap() else {
                panic!("{name} is a miss");
            };
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            assert!(read == bytes);
        }
        assert!(namespace.invalidate(&key("1")).unwrap());
        assert!(matches!(get(&namespace, "1"), Lookup::Miss(_)));
        let made =
            namespace.get_or_try_put(&key("made"), None, || Ok::<_, Error>(b"made".to_vec()));
        assert_eq!(made.unwrap(), b"made");
    }
    let done = cache.maintain(Duration::from_mins(1)).unwrap();
    assert_eq!((done.offenders, done.torn, done.orphans, done.complete), (0, 0, 0, true));
    cache.rotate_key().unwrap();
    drop(cache);
    let cache = faulty.open().unwrap();
    for namespace in namespaces(&cache) {
        assert_hit(&namespace, "200000", &payload(200_000));
    }
    assert_eq!(cache.verify(true).unwrap().problems, []);
    cache.destroy().unwrap();
    assert!(!faulty.cache_dir().exists());
}

#[test]
fn row_37_short_reads_and_short_writes() {
    let Some(faulty) = Faulty::mount(&["short"]) else { return };
    // The file system does what it was told.
    let file = faulty.root.path().join("at/file");
    std::fs::write(&file, payload(5000)).unwrap();
    let mut buffer = [0; 5000];
    assert_eq!(std::fs::File::open(&file).unwrap().read(&mut buffer).unwrap(), 1000);
    std::fs::remove_file(&file).unwrap();
    everything_works(&faulty);
}

#[test]
fn row_37_interrupted_one_time_in_two() {
    let Some(faulty) = Faulty::mount(&["eintr"]) else { return };
    everything_works(&faulty);
}

#[test]
fn row_48_a_network_file_system() {
    let Some(faulty) = Faulty::mount(&["nolink", "noflock", "coarse"]) else { return };
    let at = faulty.root.path().join("at");
    std::fs::write(at.join("file"), "").unwrap();
    assert!(std::fs::hard_link(at.join("file"), at.join("link")).is_err());
    assert!(std::fs::File::open(at.join("file")).unwrap().lock().is_err());
    std::fs::remove_file(at.join("file")).unwrap();
    everything_works(&faulty);
    let told = faulty.events.lock().unwrap().iter().any(|e| event_code(e) == "NetworkFileSystem");
    assert!(told, "that it is a network file system was reported");
}

#[test]
fn row_48_stale_handles_are_typed_errors_or_skips() {
    let Some(faulty) = Faulty::mount(&["estale", "nolink", "noflock"]) else { return };
    let (mut opened, mut failed) = (0, 0);
    for _ in 0..60 {
        let Ok(cache) = faulty.open() else {
            failed += 1;
            continue;
        };
        opened += 1;
        for namespace in namespaces(&cache) {
            for len in [1, 65_537] {
                let (key, bytes) = (key("k"), payload(len));
                match namespace.put(&key, None, &bytes) {
                    Ok(PutOutcome::Stored) => {}
                    Ok(PutOutcome::Skipped(_)) | Err(Error::Io { .. } | Error::Busy { .. }) => {
                        failed += 1;
                    }
                    Err(error) => panic!("{error:?}"),
                }
                match namespace.get(&key) {
                    Ok(Lookup::Hit(hit)) => {
                        assert!([payload(1), payload(65_537)].contains(&hit.into_bytes()));
                    }
                    Ok(Lookup::Miss(_)) => {}
                    Err(Error::Io { .. }) => failed += 1,
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
    }
    assert!(opened > 0 && failed > 0, "{opened} times open, {failed} failures");
    faulty.heal();
    let cache = faulty.open().unwrap();
    for namespace in namespaces(&cache) {
        put(&namespace, "k", b"after");
        assert_hit(&namespace, "k", b"after");
    }
    let done = cache.maintain(Duration::from_mins(1)).unwrap();
    assert!(done.complete);
}
