//! Rows 27, 41 to 44 and 62 of the attack table in `docs/integrity-cache.md`: many processes, many threads, and a model.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::unwrap_used, missing_docs)]

mod common;

use std::{
    collections::HashMap,
    env, fs,
    path::Path,
    process::{Child, Command, ExitStatus},
    sync::{
        Arc, Barrier,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use common::*;
use dsops_integrity_cache::{
    Body, Cache, Freshness, Limits, Lookup, MissReason, Namespace, PutOutcome,
};
use proptest::prelude::*;

const ROLE: &str = "DSOPS_CACHE_TEST_ROLE";
const ROOT: &str = "DSOPS_CACHE_TEST_ROOT";

/// Asks for more rounds than a test run has time for.
const ROUNDS: &str = "DSOPS_CACHE_ROUNDS";

fn rounds(usual: u32) -> u32 {
    env::var(ROUNDS).map_or(usual, |rounds| rounds.parse().unwrap())
}

/// Runs this program again, for one test only, in a role.
fn child(test: &str, role: &str, root: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(ROOT, root)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

fn role() -> Option<(String, std::path::PathBuf)> {
    Some((env::var(ROLE).ok()?, env::var_os(ROOT)?.into()))
}

fn open_at(root: &Path) -> Cache {
    Cache::builder(root.join("cache")).state_dir(root.join("state")).open().unwrap()
}

fn all_well(children: Vec<Child>) {
    let statuses: Vec<ExitStatus> = children.into_iter().map(|mut c| c.wait().unwrap()).collect();
    assert!(statuses.iter().all(ExitStatus::success), "{statuses:?}");
}

#[test]
fn row_27_processes_that_start_a_cache_together_make_one() {
    if let Some((role, root)) = role() {
        // All at once, as near as a file can say.
        while !root.join("go").exists() {
            thread::yield_now();
        }
        let namespace = open_at(&root).namespace("ns").unwrap();
        put(&namespace, &role, role.as_bytes());
        return;
    }
    for round in 0..rounds(10) {
        let root = folder();
        let count = match env::var_os(ROUNDS) {
            Some(_) => 64,
            None if round == 0 => 24,
            None => 8,
        };
        let test = "row_27_processes_that_start_a_cache_together_make_one";
        let children = (0..count).map(|at| child(test, &at.to_string(), root.path())).collect();
        fs::write(root.path().join("go"), "").unwrap();
        all_well(children);
        let namespace = open_at(root.path()).namespace("ns").unwrap();
        for at in 0..count {
            assert_hit(&namespace, &at.to_string(), at.to_string().as_bytes());
        }
        let states = fs::read_dir(root.path().join("state")).unwrap().count();
        assert_eq!(states, 2, "one key and the state of one cache, round {round}");
    }
}

#[test]
fn row_27_and_28_without_links_too() {
    let test = "row_27_processes_that_start_a_cache_together_make_one";
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("not run: strace is not installed");
        return;
    }
    for errno in ["EPERM", "EOPNOTSUPP", "EXDEV", "EINVAL", "ENOSYS", "EMLINK", "EIO", "EACCES"] {
        for calls in ["linkat", "linkat,renameat2"] {
            let root = folder();
            let start = |at: u32| {
                Command::new("strace")
                    .args(["-f", "-qq", "-o", "/dev/null", "-e"])
                    .arg(format!("inject={calls}:error={errno}"))
                    .arg(env::current_exe().unwrap())
                    .args(["--exact", test, "--test-threads=1"])
                    .env(ROLE, at.to_string())
                    .env(ROOT, root.path())
                    .stdout(std::process::Stdio::null())
                    .spawn()
                    .unwrap()
            };
            let children = (0..4).map(start).collect();
            fs::write(root.path().join("go"), "").unwrap();
            all_well(children);
            let namespace = open_at(root.path()).namespace("ns").unwrap();
            (0..4).for_each(|at: u32| {
                assert_hit(&namespace, &at.to_string(), at.to_string().as_bytes());
            });
            let states = fs::read_dir(root.path().join("state")).unwrap().count();
            assert_eq!(states, 2, "{calls} {errno}: one key and the state of one cache");
        }
    }
}

#[test]
fn row_27_threads_that_start_a_cache_together_make_one() {
    for _ in 0..50 {
        let root = folder();
        let barrier = Barrier::new(8);
        thread::scope(|scope| {
            for at in 0..8 {
                let (root, barrier) = (root.path(), &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    put(&open_at(root).namespace("ns").unwrap(), &at.to_string(), b"v");
                });
            }
        });
        let namespace = open_at(root.path()).namespace("ns").unwrap();
        (0..8).for_each(|at: u32| assert_hit(&namespace, &at.to_string(), b"v"));
    }
}

#[test]
fn row_41_no_fresh_entry_is_lost_to_readers_and_maintenance() {
    let root = folder();
    let namespace = open_at(root.path()).namespace("ns").unwrap();
    let short = Some(Duration::from_millis(1));
    let done = AtomicU32::new(0);
    thread::scope(|scope| {
        // Two that read what has expired, one that sweeps it away.
        for _ in 0..2 {
            scope.spawn(|| {
                while done.load(SeqCst) == 0 {
                    let _ = namespace.get(&key("k")).unwrap();
                }
            });
        }
        scope.spawn(|| {
            let cache = open_at(root.path());
            while done.load(SeqCst) == 0 {
                cache.maintain(Duration::from_mins(1)).unwrap();
            }
        });
        for round in 0..rounds(3000) {
            let _ = namespace.put(&key("k"), short, b"expires at once").unwrap();
            if round % 16 == 0 {
                thread::sleep(Duration::from_millis(2));
            }
            let fresh = round.to_le_bytes();
            assert_eq!(namespace.put(&key("k"), None, &fresh).unwrap(), PutOutcome::Stored);
            let Lookup::Hit(entry) = namespace.get(&key("k")).unwrap() else {
                done.store(1, SeqCst);
                panic!("round {round}: the fresh entry was lost");
            };
            assert_eq!(entry.bytes(), fresh);
        }
        done.store(1, SeqCst);
    });
}

#[test]
fn row_42_eight_processes_store_read_and_sweep() {
    const KEYS: u32 = 40;
    let value = |at: u32, by: u8| {
        let len = 1 + (at as usize * 977) % 90_000;
        vec![by; len]
    };
    if let Some((role, root)) = role() {
        let limits = Limits::default().with(|l| l.max_entries = 30);
        let cache = Cache::builder(root.join("cache"))
            .state_dir(root.join("state"))
            .limits(limits)
            .open()
            .unwrap();
        let by: u8 = role.parse().unwrap();
        let strict = policy(Body::Aes256Gcm).with(|p| p.freshness = Freshness::Strict);
        let namespaces =
            [cache.namespace("ns").unwrap(), cache.namespace_with("strict", strict).unwrap()];
        let end = Instant::now() + Duration::from_secs(4);
        let mut at = u32::from(by);
        while Instant::now() < end {
            at = at.wrapping_mul(1_103_515_245).wrapping_add(12345);
            let number = (at >> 8) % KEYS;
            let namespace = &namespaces[usize::from(at & 0x1_0000 != 0)];
            match (at >> 20) % 8 {
                0..=2 => {
                    let _ =
                        namespace.put(&key(&number.to_string()), None, &value(number, by)).unwrap();
                }
                3 => drop(namespace.invalidate(&key(&number.to_string())).unwrap()),
                4 if by == 0 => drop(cache.maintain(Duration::from_secs(1)).unwrap()),
                _ => match get(namespace, &number.to_string()) {
                    Lookup::Hit(bytes) => {
                        assert!(bytes[0] < 8 && bytes == value(number, bytes[0]), "wrong bytes");
                    }
                    // With the ledger ahead of the entry for a moment, a lookup waits for the writer.
                    Lookup::Miss(MissReason::Absent) => {}
                    Lookup::Miss(reason) => panic!("{reason:?}"),
                },
            }
        }
        return;
    }
    let root = folder();
    drop(open_at(root.path()));
    let test = "row_42_eight_processes_store_read_and_sweep";
    all_well((0..8).map(|at| child(test, &at.to_string(), root.path())).collect());
    let cache = open_at(root.path());
    assert_eq!(cache.verify(true).unwrap().problems, []);
    assert_eq!(cache.maintain(Duration::from_mins(1)).unwrap().orphans, 0);
}

#[test]
fn row_43_one_computes_however_many_ask() {
    if let Some((_, root)) = role() {
        let namespace = open_at(&root).namespace("ns").unwrap();
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let value = namespace.get_or_try_put(&key("k"), None, || {
                        let name =
                            format!("computed-{}-{:?}", std::process::id(), thread::current().id());
                        fs::write(root.join(name), "").unwrap();
                        thread::sleep(Duration::from_millis(300));
                        Ok::<_, std::io::Error>(b"value".to_vec())
                    });
                    assert_eq!(value.unwrap(), b"value");
                });
            }
        });
        return;
    }
    let root = folder();
    drop(open_at(root.path()));
    let test = "row_43_one_computes_however_many_ask";
    all_well((0..4).map(|at| child(test, &at.to_string(), root.path())).collect());
    let names = fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name());
    let computed = names.filter(|name| name.to_str().unwrap().starts_with("computed")).count();
    assert_eq!(computed, 1);
    assert_eq!(fs::read_dir(root.path().join("cache/flight")).unwrap().count(), 0);
}

#[test]
fn row_43_when_who_computes_dies_or_fails_the_next_takes_over() {
    if let Some((_, root)) = role() {
        let namespace = open_at(&root).namespace("ns").unwrap();
        let _ = namespace.get_or_try_put(&key("k"), None, || -> Result<Vec<u8>, std::io::Error> {
            fs::write(root.join("computing"), "").unwrap();
            loop {
                thread::park();
            }
        });
        return;
    }
    let root = folder();
    let namespace = open_at(root.path()).namespace("ns").unwrap();
    let test = "row_43_when_who_computes_dies_or_fails_the_next_takes_over";
    let mut leader = child(test, "leader", root.path());
    while !root.path().join("computing").exists() {
        thread::sleep(Duration::from_millis(5));
    }
    let waiting = {
        let namespace = namespace.clone();
        thread::spawn(move || {
            namespace.get_or_try_put(&key("k"), None, || Ok::<_, std::io::Error>(b"mine".to_vec()))
        })
    };
    thread::sleep(Duration::from_millis(100));
    assert!(!waiting.is_finished(), "it waits for the one that computes");
    leader.kill().unwrap();
    leader.wait().unwrap();
    assert_eq!(waiting.join().unwrap().unwrap(), b"mine");
    // Row 44: a failure and a panic store nothing and let the next one in.
    let failed = namespace.get_or_try_put(&key("f"), None, || Err::<Vec<u8>, _>("no"));
    assert!(failed.is_err());
    let namespace = Arc::new(namespace);
    let panicking = namespace.clone();
    let panicked = thread::spawn(move || {
        let _ = panicking
            .get_or_try_put(&key("f"), None, || -> Result<Vec<u8>, &str> { panic!("in compute") });
    });
    assert!(panicked.join().is_err());
    let value = namespace.get_or_try_put(&key("f"), None, || Ok::<_, &str>(b"v".to_vec()));
    assert_eq!(value.unwrap(), b"v");
}

/// What the model does.
#[derive(Clone, Debug)]
enum Step {
    Put {
        key: u8,
        len: u16,
        ttl_s: u16,
        strict: bool,
    },
    Get {
        key: u8,
        strict: bool,
    },
    Invalidate {
        key: u8,
        strict: bool,
    },
    InvalidateAll,
    Clear,
    Maintain,
    Reopen,
    Advance {
        s: u16,
    },
    SetWall {
        s: i32,
    },
    Reboot,
    RotateKey,
    /// Damages one entry's file.
    Damage {
        which: u8,
        how: u8,
        at: u16,
    },
    /// Saves all files, or puts the saved ones back.
    Backup {
        restore: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..6u8;
    prop_oneof![
        6 => (key.clone(), 0..3000u16, 1..5000u16, any::<bool>())
            .prop_map(|(key, len, ttl_s, strict)| Step::Put { key, len, ttl_s, strict }),
        8 => (key.clone(), any::<bool>()).prop_map(|(key, strict)| Step::Get { key, strict }),
        2 => (key, any::<bool>()).prop_map(|(key, strict)| Step::Invalidate { key, strict }),
        1 => Just(Step::InvalidateAll),
        1 => Just(Step::Clear),
        2 => Just(Step::Maintain),
        2 => Just(Step::Reopen),
        3 => (0..4000u16).prop_map(|s| Step::Advance { s }),
        1 => (-10_000..10_000i32).prop_map(|s| Step::SetWall { s }),
        1 => Just(Step::Reboot),
        1 => Just(Step::RotateKey),
        3 => (any::<u8>(), 0..5u8, any::<u16>())
            .prop_map(|(which, how, at)| Step::Damage { which, how, at }),
        1 => any::<bool>().prop_map(|restore| Step::Backup { restore }),
    ]
}

/// An entry of the model: what was stored last, and until when by the clock that cannot be set.
struct Known {
    bytes: Vec<u8>,
    dead_after_ms: u64,
    /// Whether nothing has interfered since, so that it has to be found.
    sure: bool,
}

fn open_both(place: &Place) -> (Cache, [Namespace; 2]) {
    let cache = place.open();
    let strict = policy(Body::Sha256).with(|p| p.freshness = Freshness::Strict);
    let both = [cache.namespace("loose").unwrap(), cache.namespace_with("strict", strict).unwrap()];
    (cache, both)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Row 62: against a map with a clock of its own. What was stored last comes back as long as it lives and
    /// nobody interferes; whoever interferes, and however the wall clock is set, a strict namespace
    /// never gives anything but what was stored last, and never after its time in the same boot.
    #[test]
    fn row_62_a_cache_is_a_map_that_forgets(steps in prop::collection::vec(step(), 1..60)) {
        let place = Place::new();
        let (mut cache, mut namespaces) = open_both(&place);
        let mut model: HashMap<(u8, bool), Known> = HashMap::new();
        let (mut age_ms, mut counter, mut backup) = (0u64, 0u32, Vec::new());
        let unsure = |model: &mut HashMap<(u8, bool), Known>| {
            for known in model.values_mut() {
                known.sure = false;
            }
        };
        for step in steps {
            match step {
                Step::Put { key: number, len, ttl_s, strict } => {
                    counter += 1;
                    let mut bytes = counter.to_le_bytes().to_vec();
                    bytes.resize(4 + usize::from(len), number);
                    let ttl = Duration::from_secs(ttl_s.into());
                    let outcome = namespaces[usize::from(strict)].put(&key(&number.to_string()), Some(ttl), &bytes);
                    prop_assert_eq!(outcome.unwrap(), PutOutcome::Stored);
                    let dead_after_ms = age_ms + u64::from(ttl_s) * 1000;
                    model.insert((number, strict), Known { bytes, dead_after_ms, sure: true });
                    place.clock.advance(1);
                    age_ms += 1;
                }
                Step::Get { key: number, strict } => {
                    let found = get(&namespaces[usize::from(strict)], &number.to_string());
                    let known = model.get(&(number, strict));
                    match (found, known) {
                        (Lookup::Hit(bytes), Some(known)) if strict => {
                            prop_assert!(bytes == known.bytes, "not what was stored last");
                            prop_assert!(age_ms < known.dead_after_ms || !known.sure, "after its time");
                        }
                        (Lookup::Hit(bytes), Some(known)) if known.sure => {
                            prop_assert!(bytes == known.bytes);
                            prop_assert!(age_ms < known.dead_after_ms);
                        }
                        // An older one of the same key may come back where there is no ledger.
                        (Lookup::Hit(bytes), known) => {
                            prop_assert!(!strict, "a strict namespace gave what was removed");
                            prop_assert!(bytes[4..].iter().all(|byte| *byte == number));
                            let last = known.is_some_and(|known| known.bytes == bytes);
                            prop_assert!(last || !backup.is_empty(), "it came from nowhere");
                        }
                        (Lookup::Miss(reason), Some(known)) if known.sure => {
                            prop_assert!(age_ms >= known.dead_after_ms, "{:?}", reason);
                        }
                        (Lookup::Miss(_), _) => {}
                    }
                }
                Step::Invalidate { key: number, strict } => {
                    namespaces[usize::from(strict)].invalidate(&key(&number.to_string())).unwrap();
                    model.remove(&(number, strict));
                }
                Step::InvalidateAll => {
                    cache.invalidate_all().unwrap();
                    model.clear();
                    backup.clear();
                }
                Step::Clear => {
                    cache.clear().unwrap();
                    model.clear();
                    backup.clear();
                }
                Step::Maintain => {
                    prop_assert!(cache.maintain(Duration::from_mins(1)).unwrap().complete);
                }
                Step::Reopen => (cache, namespaces) = open_both(&place),
                Step::Advance { s } => {
                    place.clock.advance(u64::from(s) * 1000);
                    age_ms += u64::from(s) * 1000;
                }
                Step::SetWall { s } => place.clock.set_wall(START_MS + i64::from(s) * 1000),
                // From here on the wall clock decides, which may have been set.
                Step::Reboot => {
                    place.clock.reboot(u64::from(counter) + 10);
                    unsure(&mut model);
                    cache.reset_clock().unwrap();
                    place.clock.set_wall(START_MS);
                    cache.invalidate_all().unwrap();
                    model.clear();
                    backup.clear();
                }
                // Two keys back still verify; what was stored before may go.
                Step::RotateKey => {
                    cache.rotate_key().unwrap();
                    (cache, namespaces) = open_both(&place);
                    unsure(&mut model);
                }
                Step::Damage { which, how, at } => {
                    let files = place.entries();
                    if files.is_empty() {
                        continue;
                    }
                    let path = &files[usize::from(which) % files.len()];
                    let other = &files[usize::from(at) % files.len()];
                    let mut bytes = fs::read(path).unwrap();
                    let place_in = usize::from(at) % bytes.len().max(1);
                    match how {
                        0 if !bytes.is_empty() => {
                            bytes[place_in] ^= 1;
                            fs::write(path, bytes).unwrap();
                        }
                        1 => fs::write(path, &bytes[..place_in]).unwrap(),
                        2 => fs::remove_file(path).unwrap(),
                        3 if path != other => drop(fs::copy(other, path).unwrap()),
                        _ => fs::write(path, [&bytes[..], b"more"].concat()).unwrap(),
                    }
                    unsure(&mut model);
                }
                Step::Backup { restore: false } => {
                    backup = place.entries().into_iter().map(|p| (p.clone(), fs::read(p).unwrap())).collect();
                }
                Step::Backup { restore: true } => {
                    for (path, bytes) in &backup {
                        fs::create_dir_all(path.parent().unwrap()).unwrap();
                        fs::write(path, bytes).unwrap();
                    }
                    unsure(&mut model);
                }
            }
        }
    }
}
