//! Row 65 of the attack table in `docs/integrity-cache.md`: the 32 behaviours that the tests of the Go cache (simple-container,
//! `pkg/security`) hold, in their order, and its 17 weaknesses, reproduced there and absent here.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs)]

mod common;

use std::{fs, os::unix::fs::PermissionsExt as _, thread, time::Duration};

use common::*;
use dsops_integrity_cache::{
    Body, Cache, Error, Freshness, Key, KeyProblem, Lookup, MissReason, PutOutcome, SkipReason,
};

const LONG: Duration = Duration::from_mins(1);

#[test]
fn go_01_to_02_a_new_cache_stores_and_finds() {
    let place = Place::new();
    let cache = place.open();
    assert_eq!(cache.path(), place.dir());
    assert_eq!(fs::metadata(place.dir()).unwrap().permissions().mode() & 0o7777, 0o700);
    let namespace = cache.namespace("sbom").unwrap();
    assert_eq!(miss(&namespace, "unknown"), MissReason::Absent);
    put(&namespace, "k", b"v");
    assert_hit(&namespace, "k", b"v");
}

#[test]
fn go_03_what_expired_is_a_miss_and_goes_with_maintenance() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace("sbom").unwrap();
    let _ = namespace.put(&key("k"), Some(Duration::from_secs(1)), b"v").unwrap();
    place.clock.advance(1000);
    assert_eq!(miss(&namespace, "k"), MissReason::Expired);
    assert_eq!(place.entries().len(), 1, "deviation: a reader removes nothing");
    assert_eq!(cache.maintain(LONG).unwrap().expired, 1);
    assert_eq!(place.entries().len(), 0);
}

#[test]
fn go_04_and_28_invalidating_twice_is_no_error() {
    let place = Place::new();
    let namespace = place.open().namespace("sbom").unwrap();
    put(&namespace, "k", b"v");
    assert!(namespace.invalidate(&key("k")).unwrap());
    assert_eq!(miss(&namespace, "k"), MissReason::Absent);
    assert!(!namespace.invalidate(&key("k")).unwrap());
}

#[test]
fn go_05_to_07_cleaning_size_and_clearing() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace("sbom").unwrap();
    assert_eq!(cache.stats().unwrap().usage.bytes, 0);
    put(&namespace, "k", &payload(1000));
    assert!(cache.stats().unwrap().usage.bytes > 1000);
    let done = cache.maintain(LONG).unwrap();
    assert_eq!((done.examined, done.left.entries), (1, 1));
    assert_hit(&namespace, "k", &payload(1000));
    cache.clear().unwrap();
    assert_eq!(cache.stats().unwrap().usage.entries, 0);
    assert_eq!(miss(&namespace, "k"), MissReason::Absent);
    put(&namespace, "k", b"again");
    assert_hit(&namespace, "k", b"again");
    cache.destroy().unwrap();
    assert!(!place.dir().exists());
}

#[test]
fn go_08_10_and_24_keys_are_stable_and_cannot_fail() {
    let a = || Key::new().part("format", "spdx").part("image", "x");
    assert_eq!(a(), a());
    assert_ne!(a(), Key::new().part("format", "cyclonedx").part("image", "x"));
    let place = Place::new();
    let namespace = place.open().namespace("sbom").unwrap();
    let _ = namespace.put(&a(), None, b"v").unwrap();
    let first = place.entry();
    let _ = namespace.put(&a(), None, b"w").unwrap();
    assert_eq!(place.entry(), first, "deterministic");
    assert!(first.starts_with(place.dir()) && first.is_absolute());
    let _ = namespace.put(&key("other"), None, b"w").unwrap();
    assert_eq!(place.entries().len(), 2);
}

#[test]
fn go_09_and_30_the_policys_time_when_none_is_given() {
    let place = Place::new();
    let cache = place.open();
    for (name, hours) in [("sbom", 24), ("scan-grype", 6), ("scan-trivy", 6)] {
        let own = policy(Body::Aes256Gcm).with(|p| p.ttl = Duration::from_hours(hours));
        let namespace = cache.namespace_with(name, own).unwrap();
        for ttl in [None, Some(Duration::ZERO)] {
            let _ = namespace.put(&key("k"), ttl, b"v").unwrap();
            let metadata = namespace.metadata(&key("k")).unwrap().hit().unwrap();
            let lives = u64::try_from(metadata.expires_ms - metadata.created_ms).unwrap();
            assert_eq!(lives, hours * 3_600_000);
        }
    }
    assert_eq!(cache.namespace("other").unwrap().policy().ttl, Duration::from_hours(6));
}

#[test]
fn go_11_and_12_the_key_is_kept_and_a_wrong_one_is_refused() {
    let place = Place::new();
    put(&place.open().namespace("ns").unwrap(), "k", b"v");
    let path = place.state().join("key");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let bytes = fs::read(&path).unwrap();
    assert_hit(&place.open().namespace("ns").unwrap(), "k", b"v");
    assert_eq!(fs::read(&path).unwrap(), bytes);
    fs::write(&path, &bytes[..16]).unwrap();
    let error = place.builder().open().unwrap_err();
    assert!(error.to_string().contains("cache key"), "{error}");
}

#[test]
fn go_13_to_17_tampering_is_a_miss_and_kept_as_evidence() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace_with("ns", policy(Body::Sha256)).unwrap();
    put(&namespace, "a", b"0 critical");
    let path = place.entry();
    let good = fs::read(&path).unwrap();
    // 14: the time of the file carries no trust.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::now() + Duration::from_hours(1)).unwrap();
    assert_hit(&namespace, "a", b"0 critical");
    // 13: changed data.
    let mut bad = good.clone();
    let at = bad.windows(2).rposition(|pair| pair == b"0 ").unwrap();
    bad[at] = b'9';
    fs::write(&path, &bad).unwrap();
    assert!(miss(&namespace, "a").is_suspicious());
    assert_eq!(fs::read(&path).unwrap(), bad, "deviation: kept until maintenance");
    // 16: an unsigned entry of before.
    fs::write(&path, r#"{"key":{},"data":"aGk="}"#).unwrap();
    assert!(matches!(miss(&namespace, "a"), MissReason::Unsupported));
    // 17: a's file in the place of b.
    fs::write(&path, &good).unwrap();
    put(&namespace, "b", b"for b");
    let b = place.entries().into_iter().find(|other| *other != path).unwrap();
    fs::copy(&path, &b).unwrap();
    assert_eq!(miss(&namespace, "b"), MissReason::WrongEntry);
    assert_hit(&namespace, "a", b"0 critical");
    assert_eq!(cache.maintain(LONG).unwrap().offenders, 1, "to quarantine");
    assert_eq!(place.entry(), path);
    // 15: another key.
    fs::remove_file(place.state().join("key")).unwrap();
    let other = Place::new();
    drop(other.open());
    fs::copy(other.state().join("key"), place.state().join("key")).unwrap();
    assert_eq!(miss(&place.open().namespace("ns").unwrap(), "a"), MissReason::Absent);
}

#[test]
fn go_18_threads_that_start_together_have_one_key() {
    let place = Place::new();
    thread::scope(|scope| {
        for at in 0..8 {
            let place = &place;
            scope.spawn(move || put(&place.open().namespace("ns").unwrap(), &at.to_string(), b"v"));
        }
    });
    let namespace = place.open().namespace("ns").unwrap();
    (0..8).for_each(|at: u32| assert_hit(&namespace, &at.to_string(), b"v"));
}

#[test]
fn go_19_21_and_22_temporary_files() {
    use std::io::Write as _;
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace("ns").unwrap();
    let mut writer = namespace.writer(&key("k"), None).unwrap();
    writer.write_all(&payload(256 << 10)).unwrap();
    // 19: one that is being written stays, 21: a dead one goes at once, by its lock and not its age.
    assert_eq!(cache.maintain(LONG).unwrap().orphans, 0);
    let _ = writer.commit().unwrap();
    assert_hit(&namespace, "k", &payload(256 << 10));
    let dead = place.entry().with_file_name(format!("tmp-{}", "a".repeat(32)));
    fs::write(&dead, "half").unwrap();
    assert_eq!(cache.maintain(LONG).unwrap().orphans, 1);
    // 22: nothing is left beside the entry.
    assert_eq!(fs::read_dir(place.entry().parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn go_20_and_32_hostile_names_stay_inside() {
    let place = Place::new();
    let cache = place.open();
    for name in ["../../../etc", "..", "/etc/passwd", "..\\..\\windows", "a/b", "", ".hmac.key\0"] {
        if let Ok(namespace) = cache.namespace(name) {
            assert_eq!(name, "..", "only names without separators, which are never paths");
            put(&namespace, "k", b"v");
        }
    }
    let entry = place.entry();
    assert!(entry.starts_with(place.dir()));
    assert_eq!(fs::read_dir(place.root.path()).unwrap().count(), 2);
}

#[test]
fn go_23_cleaning_leaves_the_key() {
    let place = Place::new();
    let cache = place.open();
    put(&cache.namespace("ns").unwrap(), "k", b"v");
    let before = fs::read(place.state().join("key")).unwrap();
    let mut bytes = fs::read(place.entry()).unwrap();
    bytes[180] ^= 1;
    fs::write(place.entry(), bytes).unwrap();
    assert_eq!(cache.maintain(LONG).unwrap().offenders, 1);
    assert_eq!(place.entries().len(), 0);
    assert_eq!(fs::read(place.state().join("key")).unwrap(), before);
}

#[test]
fn go_25_to_27_and_29_what_stands_in_the_way() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace("ns").unwrap();
    put(&namespace, "k", b"v");
    let path = place.entry();
    // 26: a directory in the place of an entry. Deviation: a miss, as any file an attacker can make.
    fs::remove_file(&path).unwrap();
    fs::create_dir_all(path.join("below")).unwrap();
    assert!(matches!(miss(&namespace, "k"), MissReason::Unsafe(_)));
    // 27: it cannot be removed, which is an error.
    assert!(matches!(namespace.invalidate(&key("k")), Err(Error::Io { .. })));
    // 25: a file in the place of a folder: skipped, or an error for who asks for it.
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path.parent().unwrap(), "").unwrap();
    let outcome = namespace.put(&key("k"), None, b"v").unwrap();
    assert_eq!(outcome, PutOutcome::Skipped(SkipReason::Unsafe));
    let strict = policy(Body::Aes256Gcm).with(|p| p.strict_store = true);
    let strict = cache.namespace_with("ns", strict).unwrap();
    assert!(matches!(strict.put(&key("k"), None, b"v"), Err(Error::Io { .. })));
    // 29: a base below a file.
    let below = Cache::builder(place.state().join("key/cache")).state_dir(place.state());
    assert!(matches!(below.open(), Err(Error::Io { .. })));
}

// 31 and 32 are the fuzz targets `cache_files` and `cache_parse`.

#[test]
fn w01_foreign_files_are_never_deleted() {
    let place = Place::new();
    fs::create_dir_all(place.dir()).unwrap();
    fs::set_permissions(place.dir(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(place.dir().join("thesis.txt"), "years").unwrap();
    assert!(matches!(place.builder().open(), Err(Error::NotACache { .. })));
    assert_eq!(fs::read(place.dir().join("thesis.txt")).unwrap(), b"years");
}

// W2 (FIFO): rows_files::row_15. W3 (2 GiB): rows_bytes::row_21.

#[test]
fn w04_a_key_that_others_can_reach_is_refused() {
    let place = Place::new();
    drop(place.open());
    let path = place.state().join("key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let error = place.builder().open().unwrap_err();
    assert!(matches!(error, Error::Key { problem: KeyProblem::TooOpen { mode: 0o666 }, .. }));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, [0; 96]).unwrap();
    let error = place.builder().open().unwrap_err();
    assert!(matches!(error, Error::Key { problem: KeyProblem::Corrupt, .. }), "all zero");
    fs::set_permissions(place.dir(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(place.builder().open(), Err(Error::BaseUnsafe { .. })));
}

#[test]
fn w05_the_key_does_not_travel_with_the_cache() {
    let place = Place::new();
    put(&place.open().namespace("ns").unwrap(), "k", b"v");
    let key = fs::read(place.state().join("key")).unwrap();
    for (path, content) in snapshot(&place.dir()) {
        let content = content.unwrap_or_default();
        assert!(!content.windows(32).any(|window| window == &key[16..48]), "{}", path.display());
    }
}

#[test]
fn w06_an_older_result_cannot_be_put_back() {
    let place = Place::new();
    let strict = policy(Body::Aes256Gcm).with(|p| p.freshness = Freshness::Strict);
    let namespace = place.open().namespace_with("scan", strict).unwrap();
    put(&namespace, "image", b"0 critical");
    let old = fs::read(place.entry()).unwrap();
    put(&namespace, "image", b"9 critical");
    fs::write(place.entry(), old).unwrap();
    assert_eq!(miss(&namespace, "image"), MissReason::RolledBack);
}

// W7 (a reader unlinks a fresh entry): processes::row_41. W8 (malleable): rows_bytes::row_01.
// W9 (parses before it authenticates): format::tests, fuzz target `cache_parse`.

#[test]
fn w10_and_w11_keys_are_bytes_in_parts() {
    let place = Place::new();
    let namespace = place.open().namespace("ns").unwrap();
    let (one, two) = (
        Key::new().part("digest", "sha256:ab").part("config", "c"),
        Key::new().part("digest", "sha256:a").part("config", "bc"),
    );
    let broken = Key::new().part("digest", [0xff, 0xfe]);
    for (at, key) in (0u8..).zip([&one, &two, &broken]) {
        let _ = namespace.put(key, None, &[at]).unwrap();
    }
    for (at, key) in (0u8..).zip([&one, &two, &broken]) {
        assert_eq!(namespace.get(key).unwrap().hit().unwrap().bytes(), [at]);
    }
}

#[test]
fn w12_neither_the_future_nor_a_clock_set_back() {
    let place = Place::new();
    let namespace = place.open().namespace("ns").unwrap();
    place.clock.set_wall(START_MS + 1000 * 3_600_000);
    put(&namespace, "k", b"of the future");
    place.clock.set_wall(START_MS);
    place.clock.reboot(2);
    assert_eq!(place.reported("ClockWentBack"), 0);
    assert_hit(&namespace, "k", b"of the future");
    assert_eq!(place.reported("ClockWentBack"), 1, "the floor holds: it is as late as it ever was");
    let fresh = Place::new();
    fresh.clock.set_wall(START_MS + 1000 * 3_600_000);
    let cache = Cache::builder(fresh.dir()).key(known()).clock(fresh.clock.clone()).open().unwrap();
    put(&cache.namespace("ns").unwrap(), "k", b"of the future");
    fresh.clock.set_wall(START_MS);
    fresh.clock.reboot(2);
    let later = Cache::builder(fresh.dir()).key(known()).clock(fresh.clock.clone()).open().unwrap();
    assert_eq!(miss(&later.namespace("ns").unwrap(), "k"), MissReason::FromFuture);
}

#[test]
fn w13_clearing_under_a_live_handle_loses_no_key() {
    let place = Place::new();
    let alive = place.open().namespace("ns").unwrap();
    put(&alive, "k", b"v");
    place.open().clear().unwrap();
    put(&alive, "k", b"after");
    assert_hit(&place.open().namespace("ns").unwrap(), "k", b"after");
    // Taken away altogether, it can store no more, and says so or skips; nothing is half there.
    place.open().destroy().unwrap();
    let stored = alive.put(&key("k"), None, b"lost");
    assert!(!matches!(stored, Ok(PutOutcome::Stored)), "{stored:?}");
    drop(place.open());
    assert_eq!(miss(&place.open().namespace("ns").unwrap(), "k"), MissReason::Absent);
}

// W14 (odd operations): go_20. W15 (file systems without links): sweep::degraded. W16 (crash leftovers): sweep.

#[test]
fn w17_maintenance_does_not_read_payloads() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace("ns").unwrap();
    put(&namespace, "k", &payload(1 << 20));
    // A damaged payload is not looked for: that is what `verify` is for.
    let path = place.entry();
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(cache.maintain(LONG).unwrap().offenders, 0);
    assert_eq!(cache.verify(false).unwrap().problems.len(), 0);
    assert_eq!(cache.verify(true).unwrap().problems.len(), 1);
    assert!(matches!(get(&namespace, "k"), Lookup::Miss(MissReason::Tampered(_))));
}
