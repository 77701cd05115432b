//! Rows 29 to 33 and 52 of the attack table in `docs/integrity-cache.md`: clocks, older entries, keys that change.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs)]

mod common;

use std::{fs, time::Duration};

use common::*;
use dsops_integrity_cache::{
    Body, Cache, Error, Freshness, KeySource, MissReason, Namespace, Policy,
};

const HOUR: u64 = 3_600_000;

fn strict() -> Policy {
    policy(Body::Aes256Gcm).with(|p| p.freshness = Freshness::Strict)
}

fn ledger(place: &Place) -> std::path::PathBuf {
    let id = fs::read_dir(place.state()).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir());
    let mut files = fs::read_dir(id.unwrap()).unwrap().map(|e| e.unwrap().path());
    files.find(|p| p.file_name().unwrap().to_str().unwrap().starts_with("ledger.")).unwrap()
}

#[test]
fn row_29_an_older_entry_that_is_put_back() {
    let place = Place::new();
    let cache = place.open();
    let (loose, tight) =
        (cache.namespace("loose").unwrap(), cache.namespace_with("tight", strict()).unwrap());
    let roll_back = |namespace: &Namespace, change: &dyn Fn()| {
        for path in place.entries() {
            fs::remove_file(path).unwrap();
        }
        put(namespace, "k", b"9 critical");
        let path = place.entry();
        let old = fs::read(&path).unwrap();
        place.clock.advance(1000);
        change();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, old).unwrap();
    };
    roll_back(&tight, &|| put(&tight, "k", b"0 critical"));
    assert_eq!(miss(&tight, "k"), MissReason::RolledBack);
    assert_eq!(miss(&tight, "k"), MissReason::RolledBack);
    assert_eq!(place.reported("rolled-back"), 1, "one event, not one for each lookup");
    roll_back(&tight, &|| assert!(tight.invalidate(&key("k")).unwrap()));
    assert_eq!(miss(&tight, "k"), MissReason::RolledBack);
    for namespace in [&tight, &loose] {
        roll_back(namespace, &|| cache.invalidate_all().unwrap());
        assert_eq!(miss(namespace, "k"), MissReason::StaleEpoch);
        roll_back(namespace, &|| cache.clear().unwrap());
        assert_eq!(miss(namespace, "k"), MissReason::StaleEpoch);
    }
    // Not a lock-out: the next store holds.
    put(&tight, "k", b"again");
    assert_hit(&tight, "k", b"again");
    assert_hit(&place.open().namespace_with("tight", strict()).unwrap(), "k", b"again");
    // Without the ledger, an older entry lives as long as it would have.
    roll_back(&loose, &|| put(&loose, "k", b"newer"));
    assert_hit(&loose, "k", b"9 critical");
    place.clock.advance(7 * HOUR);
    assert_eq!(miss(&loose, "k"), MissReason::Expired);
}

#[test]
fn row_29_strict_without_state_is_refused() {
    let place = Place::new();
    let cache = Cache::builder(place.dir()).key(known()).open().unwrap();
    assert!(matches!(cache.namespace_with("ns", strict()), Err(Error::Config { .. })));
    assert!(matches!(cache.invalidate_all(), Err(Error::Config { .. })));
}

#[test]
fn row_30_a_ledger_that_was_changed_only_causes_misses() {
    let place = Place::new();
    let open = || place.open().namespace_with("ns", strict()).unwrap();
    let namespace = open();
    put(&namespace, "k", b"old");
    let path = place.entry();
    let old = fs::read(&path).unwrap();
    place.clock.advance(1000);
    put(&namespace, "k", b"new");
    let new = fs::read(&path).unwrap();
    let ledger = ledger(&place);
    let good = fs::read(&ledger).unwrap();
    assert_eq!(good.len(), 128, "two records");
    let reason = |entry: &[u8]| {
        fs::write(&path, entry).unwrap();
        get(&open(), "k").miss().cloned()
    };
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(&ledger, &bad).unwrap();
        assert_eq!(reason(&old), Some(MissReason::RolledBack), "bit {bit}");
        // A damaged first record is of no matter to the second.
        let expected = (bit / 8 >= 64).then_some(MissReason::RolledBack);
        assert_eq!(reason(&new), expected, "bit {bit}");
    }
    // Records that change places are not authentic.
    fs::write(&ledger, [&good[64..], &good[..64]].concat()).unwrap();
    assert_eq!(reason(&old), Some(MissReason::RolledBack));
    for len in [0, 1, 63] {
        fs::write(&ledger, &good[..len]).unwrap();
        assert_eq!(reason(&old), Some(MissReason::RolledBack), "{len}");
    }
    fs::remove_file(&ledger).unwrap();
    assert_eq!(reason(&old), Some(MissReason::RolledBack));
    assert_eq!(reason(&new), Some(MissReason::RolledBack));
    // The documented limit: the state directory rolled back together with the entry.
    fs::write(&ledger, &good[..64]).unwrap();
    assert_eq!(reason(&old), None);
    // It heals with the next store, and a torn end is no obstacle.
    fs::write(&ledger, &good[..100]).unwrap();
    let namespace = open();
    put(&namespace, "k", b"healed");
    assert_hit(&namespace, "k", b"healed");
    assert_hit(&open(), "k", b"healed");
}

#[test]
fn row_30_damage_is_reported_and_a_live_handle_notices() {
    let place = Place::new();
    let namespace = place.open().namespace_with("ns", strict()).unwrap();
    put(&namespace, "a", b"a");
    put(&namespace, "b", b"b");
    assert_hit(&namespace, "a", b"a");
    fs::OpenOptions::new().write(true).open(ledger(&place)).unwrap().set_len(64).unwrap();
    assert_hit(&namespace, "a", b"a");
    assert_eq!(miss(&namespace, "b"), MissReason::RolledBack);
    assert_eq!(place.reported("LedgerDamaged"), 1);
}

#[test]
fn the_ledger_is_rewritten_before_it_grows_without_end() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace_with("ns", strict()).unwrap();
    let other = place.open().namespace_with("ns", strict()).unwrap();
    put(&other, "kept", b"kept");
    for at in 0..1500u32 {
        put(&namespace, "k", &at.to_le_bytes());
    }
    let records = fs::metadata(ledger(&place)).unwrap().len() / 64;
    assert!(records < 1100, "{records}");
    for namespace in [&namespace, &other] {
        assert_hit(namespace, "k", &1499u32.to_le_bytes());
        assert_hit(namespace, "kept", b"kept");
    }
}

#[test]
fn row_31_a_cache_restored_from_a_backup_is_misses_and_no_lock_out() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace_with("ns", strict()).unwrap();
    for at in 0..20 {
        put(&namespace, &at.to_string(), b"old");
    }
    let backup: Vec<_> =
        place.entries().into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    place.clock.advance(1000);
    for at in 0..20 {
        put(&namespace, &at.to_string(), b"new");
    }
    for (path, bytes) in backup {
        fs::write(path, bytes).unwrap();
    }
    for at in 0..20 {
        assert_eq!(miss(&namespace, &at.to_string()), MissReason::RolledBack);
    }
    assert_eq!(place.reported("rolled-back"), 1);
    put(&namespace, "3", b"newest");
    assert_hit(&namespace, "3", b"newest");
}

#[test]
fn row_32_no_clock_revives_an_entry_in_the_same_boot() {
    let place = Place::new();
    let namespace = place.open().namespace("ns").unwrap();
    let ttl = Some(Duration::from_hours(1));
    let _ = namespace.put(&key("k"), ttl, b"v").unwrap();
    // The wall clock goes anywhere: within the boot it does not matter.
    for wall in [START_MS - 30 * 3_600_000, START_MS + 315_360_000_000, 0, i64::MIN, i64::MAX] {
        place.clock.set_wall(wall);
        assert_hit(&namespace, "k", b"v");
    }
    place.clock.set_wall(START_MS);
    place.clock.advance(HOUR);
    for wall in [START_MS + 3_600_000, START_MS, 0, i64::MIN, i64::MAX] {
        place.clock.set_wall(wall);
        assert_eq!(miss(&namespace, "k"), MissReason::Expired, "{wall}");
    }
    // Another time namespace: younger than the boot it claims.
    place.clock.set_since_boot(5);
    assert_eq!(miss(&namespace, "k"), MissReason::FromFuture);
}

#[test]
fn row_32_lengths_of_life_at_their_extremes() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace("ns").unwrap();
    for wall in [START_MS, i64::MAX, i64::MIN, 0, -1, 253_402_300_800_000] {
        place.clock.set_wall(wall);
        for ttl in [Duration::ZERO, Duration::MAX, Duration::from_nanos(1)] {
            let _ = namespace.put(&key("k"), Some(ttl), b"v").unwrap();
            let _ = namespace.get(&key("k")).unwrap();
        }
    }
    // A clock that was at the end of time leaves a floor there, which an operator resets.
    cache.reset_clock().unwrap();
    place.clock.set_wall(START_MS);
    let _ = namespace.put(&key("max"), Some(Duration::MAX), b"v").unwrap();
    let metadata = namespace.metadata(&key("max")).unwrap().hit().unwrap();
    assert_eq!(metadata.expires_ms - metadata.created_ms, 7 * 24 * 3_600_000, "the policy's most");
    let _ = namespace.put(&key("zero"), Some(Duration::ZERO), b"v").unwrap();
    let metadata = namespace.metadata(&key("zero")).unwrap().hit().unwrap();
    assert_eq!(metadata.expires_ms - metadata.created_ms, 6 * 3_600_000, "the policy's usual");
}

#[test]
fn row_32_a_secret_does_not_outlive_a_pause_that_the_boot_clock_missed() {
    let place = Place::new();
    let sensitive = policy(Body::Aes256Gcm).with(|p| p.sensitive = true);
    let namespace = place.open().namespace_with("secrets", sensitive).unwrap();
    let ttl = Some(Duration::from_hours(1));
    let _ = namespace.put(&key("k"), ttl, b"v").unwrap();
    // Restored from a snapshot, or paused: the same boot, and only the wall clock knows.
    for (wall, is_there) in [(3_599_999, true), (3_600_000, false), (i64::MAX / 2, false)] {
        place.clock.set_wall(START_MS + wall);
        let found = namespace.get_secret(&key("k")).unwrap();
        assert_eq!(found.hit().is_some(), is_there, "{wall}");
    }
    // Set back, it revives nothing either.
    place.clock.set_wall(0);
    place.clock.set_since_boot(1_000_000 + HOUR);
    assert!(namespace.get_secret(&key("k")).unwrap().hit().is_none());
}

#[test]
fn row_32_and_33_across_boots_the_wall_clock_and_its_floor_decide() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace("ns").unwrap();
    put(&namespace, "k", b"v");
    place.clock.reboot(2);
    assert_hit(&namespace, "k", b"v");
    place.clock.set_wall(START_MS + 6 * 3_600_000 - 1);
    assert_hit(&namespace, "k", b"v");
    place.clock.set_wall(START_MS + 6 * 3_600_000);
    assert_eq!(miss(&namespace, "k"), MissReason::Expired);
    // A later store is seen; after it, setting the clock back revives nothing.
    put(&namespace, "other", b"w");
    place.clock.reboot(3);
    place.clock.set_wall(START_MS);
    assert_eq!(miss(&namespace, "k"), MissReason::Expired);
    assert_eq!(place.reported("ClockWentBack"), 1);
    assert_eq!(miss(&place.open().namespace("ns").unwrap(), "k"), MissReason::Expired);
    cache.reset_clock().unwrap();
    assert_hit(&namespace, "k", b"v");
    assert_eq!(miss(&namespace, "other"), MissReason::FromFuture);
    // Where the system does not tell the boot, the wall clock alone decides.
    place.clock.reboot(0);
    assert_hit(&namespace, "k", b"v");
    // Five minutes ahead are not the future yet.
    place.clock.set_wall(START_MS - 5 * 60_000);
    assert_hit(&namespace, "k", b"v");
    place.clock.set_wall(START_MS - 5 * 60_000 - 1);
    assert_eq!(miss(&namespace, "k"), MissReason::FromFuture);
}

#[test]
fn row_33_suspend_counts() {
    let place = Place::new();
    let namespace = place.open().namespace("ns").unwrap();
    put(&namespace, "k", b"v");
    place.clock.set_since_boot(1_000_000 + 6 * HOUR - 1);
    assert_hit(&namespace, "k", b"v");
    place.clock.set_since_boot(1_000_000 + 6 * HOUR);
    assert_eq!(miss(&namespace, "k"), MissReason::Expired, "though the wall clock stood still");
}

#[test]
fn a_shorter_most_holds_for_entries_that_exist() {
    let place = Place::new();
    let cache = place.open();
    put(&cache.namespace("ns").unwrap(), "k", b"v");
    place.clock.advance(HOUR);
    let shorter = policy(Body::Aes256Gcm).with(|p| p.max_ttl = Duration::from_mins(1));
    assert_eq!(miss(&cache.namespace_with("ns", shorter).unwrap(), "k"), MissReason::Expired);
    assert_hit(&cache.namespace("ns").unwrap(), "k", b"v");
    let schema = policy(Body::Aes256Gcm).with(|p| p.schema = 1);
    assert_eq!(miss(&cache.namespace_with("ns", schema).unwrap(), "k"), MissReason::Unsupported);
}

#[test]
fn negative_entries_are_believed_for_five_minutes() {
    let place = Place::new();
    let namespace = place.open().namespace("ns").unwrap();
    let note = "no such image \u{e9}".repeat(200);
    let _ = namespace.put_negative(&key("k"), None, &note).unwrap();
    let MissReason::Negative(found) = miss(&namespace, "k") else { panic!() };
    assert!(note.starts_with(&found) && found.len() > 1000 && found.len() <= 1024);
    place.clock.advance(5 * 60_000);
    assert_eq!(miss(&namespace, "k"), MissReason::Expired);
    put(&namespace, "k", b"now there is one");
    assert_hit(&namespace, "k", b"now there is one");
}

#[test]
fn row_52_keys_that_are_replaced() {
    let place = Place::new();
    let cache = place.open();
    let (plain, tight) =
        (cache.namespace("ns").unwrap(), cache.namespace_with("tight", strict()).unwrap());
    for namespace in [&plain, &tight] {
        put(namespace, "k", b"first");
        put(namespace, "stays", b"first");
    }
    let before: Vec<_> =
        place.entries().into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    cache.rotate_key().unwrap();
    // What was open before goes on, as strictly.
    assert_hit(&tight, "stays", b"first");
    put(&tight, "during", b"old");
    let path = place
        .entries()
        .into_iter()
        .find(|path| !before.iter().any(|(old, _)| old == path))
        .unwrap();
    let old = fs::read(&path).unwrap();
    put(&tight, "during", b"new");
    assert_hit(&tight, "during", b"new");
    fs::write(path, old).unwrap();
    assert_eq!(miss(&tight, "during"), MissReason::RolledBack);
    assert!(tight.invalidate(&key("during")).unwrap());
    let reopened = || {
        let cache = place.open();
        (cache.namespace("ns").unwrap(), cache.namespace_with("tight", strict()).unwrap())
    };
    let (plain, tight) = reopened();
    for namespace in [&plain, &tight] {
        assert_hit(namespace, "stays", b"first");
        put(namespace, "k", b"second");
        assert_hit(namespace, "k", b"second");
    }
    // What the old key stored under this name is gone; put back, it is found again only without a ledger,
    // and only when the new one is not there.
    for (path, bytes) in &before {
        fs::write(path, bytes).unwrap();
    }
    assert_hit(&plain, "k", b"second");
    assert_hit(&tight, "k", b"second");
    assert!(tight.invalidate(&key("k")).unwrap());
    for (path, bytes) in &before {
        fs::write(path, bytes).unwrap();
    }
    assert_eq!(miss(&tight, "k"), MissReason::RolledBack);
    let _ = tight.invalidate(&key("k")).unwrap();
    // After a month no entry of the old key can live, and it goes.
    let keys = place.state().join("key");
    assert_eq!(fs::metadata(&keys).unwrap().len(), 144);
    cache.maintain(Duration::from_mins(1)).unwrap();
    assert_eq!(fs::metadata(&keys).unwrap().len(), 144);
    place.clock.advance(31 * 24 * HOUR);
    cache.maintain(Duration::from_mins(1)).unwrap();
    assert_eq!(fs::metadata(&keys).unwrap().len(), 96);
    let (plain, _) = reopened();
    assert_eq!(miss(&plain, "stays"), MissReason::Absent);
    put(&plain, "k", b"third");
    assert_hit(&reopened().0, "k", b"third");
    assert_eq!(place.reported("ForeignSuperblock"), 0);
    let given = Place::new();
    let cache = given.builder().key(KeySource::Ephemeral).open().unwrap();
    assert!(matches!(cache.rotate_key(), Err(Error::Config { .. })));
}
