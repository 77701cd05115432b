//! Rows 14 to 28, 34, 56 to 58 and 60 of the attack table in `docs/integrity-cache.md`: files and directories.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::unwrap_used, missing_docs)]

mod common;

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::UnixListener,
    },
    time::{Duration, Instant},
};

use common::*;
use dsops_integrity_cache::{
    Body, Cache, Error, KeyProblem, KeySource, Limits, Lookup, MissReason, Offenders, PutOutcome,
    SkipReason, Unsafe,
};
use rustix::fs::{CWD, FileType, Mode};

const LONG: Duration = Duration::from_mins(1);

type Make = fn(&std::path::Path);

fn fifo(path: &std::path::Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
}

#[test]
fn row_14_links_in_an_entrys_place_are_not_followed() {
    let place = Place::new();
    let namespace = place.open().namespace("ns").unwrap();
    put(&namespace, "k", b"v");
    let path = place.entry();
    let elsewhere = place.root.path().join("valid");
    fs::rename(&path, &elsewhere).unwrap();
    let target = elsewhere.to_str().unwrap();
    for target in [target, "/etc/passwd", "/dev/zero", "nowhere", path.to_str().unwrap()] {
        symlink(target, &path).unwrap();
        assert_eq!(miss(&namespace, "k"), MissReason::Unsafe(Unsafe::Symlink), "{target}");
        fs::remove_file(&path).unwrap();
    }
    fs::rename(&elsewhere, &path).unwrap();
    assert_hit(&namespace, "k", b"v");
}

#[test]
fn row_15_what_is_no_regular_file_never_blocks() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace("ns").unwrap();
    put(&namespace, "k", b"v");
    let path = place.entry();
    let kinds: [Make; 3] = [
        fifo,
        |path| fs::create_dir(path).unwrap(),
        |path| drop(UnixListener::bind_addr(&short_address(path)).unwrap()),
    ];
    for (at, make) in kinds.iter().enumerate() {
        fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
        make(&path);
        let start = Instant::now();
        assert_eq!(miss(&namespace, "k"), MissReason::Unsafe(Unsafe::Type), "{at}");
        assert!(start.elapsed() < Duration::from_secs(5), "{at} blocked");
        let done = cache.maintain(LONG).unwrap();
        assert_eq!(done.offenders, u64::from(at != 1), "a directory stays, the others go: {at}");
        if at != 1 {
            fs::write(&path, b"").unwrap();
        }
    }
    // Nothing can be stored over a directory, which is said and is no crash.
    fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
    fs::create_dir(&path).unwrap();
    let outcome = namespace.put(&key("k"), None, b"v").unwrap();
    assert_eq!(outcome, PutOutcome::Skipped(SkipReason::Unsafe));
}

/// Socket paths are short: bound through the open folder.
fn short_address(path: &std::path::Path) -> std::os::unix::net::SocketAddr {
    use std::os::fd::AsRawFd as _;
    let folder = Box::leak(Box::new(fs::File::open(path.parent().unwrap()).unwrap()));
    let own = format!(
        "/proc/self/fd/{}/{}",
        folder.as_raw_fd(),
        path.file_name().unwrap().to_str().unwrap()
    );
    std::os::unix::net::SocketAddr::from_pathname(own).unwrap()
}

#[test]
fn row_15_devices() {
    let place = Place::new();
    let namespace = place.open().namespace("ns").unwrap();
    put(&namespace, "k", b"v");
    let path = place.entry();
    fs::remove_file(&path).unwrap();
    let zero = rustix::fs::makedev(1, 5);
    if rustix::fs::mknodat(CWD, &path, FileType::CharacterDevice, Mode::RWXU, zero).is_err() {
        eprintln!("not run: making a device takes rights that this user does not have");
        return;
    }
    assert_eq!(miss(&namespace, "k"), MissReason::Unsafe(Unsafe::Type));
}

#[test]
fn row_16_and_17_odd_metadata_is_reported_and_a_miss_only_if_asked() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace("ns").unwrap();
    let strict =
        cache.namespace_with("ns", policy(Body::Aes256Gcm).with(|p| p.strict_fs = true)).unwrap();
    put(&namespace, "k", b"v");
    let path = place.entry();
    let second = place.root.path().join("second name");
    fs::hard_link(&path, &second).unwrap();
    assert_hit(&namespace, "k", b"v");
    assert_eq!(place.reported("OddMetadata"), 1);
    assert_eq!(miss(&strict, "k"), MissReason::Unsafe(Unsafe::Links));
    // Changed through the other name, it is not authentic any more.
    let mut bytes = fs::read(&second).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&second, bytes).unwrap();
    assert!(get(&namespace, "k").miss().unwrap().is_suspicious());
    put(&namespace, "k", b"v");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert_hit(&namespace, "k", b"v");
    assert_eq!(miss(&strict, "k"), MissReason::Unsafe(Unsafe::Mode));
    if std::os::unix::fs::chown(&path, Some(12345), None).is_ok() {
        assert_eq!(miss(&strict, "k"), MissReason::Unsafe(Unsafe::Owner));
        assert_hit(&namespace, "k", b"v");
    }
}

#[test]
fn row_18_folders_replaced_by_links_lead_nowhere() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace("ns").unwrap();
    put(&namespace, "k", b"v");
    let entry = place.entry();
    let shard = entry.parent().unwrap();
    let outside = place.root.path().join("outside");
    fs::rename(shard, &outside).unwrap();
    let before = snapshot(&outside);
    symlink(&outside, shard).unwrap();
    symlink(&outside, place.dir().join("quarantine")).unwrap();
    symlink(&outside, place.dir().join("flight")).unwrap();
    let reason = miss(&namespace, "k");
    assert!(matches!(reason, MissReason::Unsafe(_)), "{reason:?}");
    let outcome = namespace.put(&key("k"), None, b"other").unwrap();
    assert_eq!(outcome, PutOutcome::Skipped(SkipReason::Unsafe));
    cache.maintain(LONG).unwrap();
    assert_eq!(cache.stats().unwrap().usage.entries, 0);
    assert!(namespace.invalidate(&key("k")).is_err());
    let computed = namespace.get_or_try_put(&key("k"), None, || Ok::<_, Error>(b"c".to_vec()));
    assert_eq!(computed.unwrap(), b"c");
    cache.clear().unwrap();
    cache.destroy().unwrap();
    assert_eq!(snapshot(&outside), before);
}

#[test]
fn row_19_bases_that_are_not_ours() {
    let place = Place::new();
    let canary = place.root.path().join("home");
    fs::create_dir_all(canary.join(".ssh")).unwrap();
    fs::write(canary.join("thesis.txt"), "years").unwrap();
    fs::write(canary.join(".ssh/id_ed25519"), "key").unwrap();
    let before = snapshot(&canary);
    let open = |dir: &std::path::Path| {
        Cache::builder(dir).state_dir(place.state()).open().map(|_| ()).unwrap_err()
    };
    assert!(matches!(open(&canary), Error::NotACache { .. }));
    assert_eq!(snapshot(&canary), before);
    assert!(matches!(open("/".as_ref()), Error::NotACache { .. } | Error::BaseUnsafe { .. }));
    let link = place.root.path().join("link");
    symlink(&canary, &link).unwrap();
    assert!(matches!(open(&link), Error::BaseUnsafe { .. }));
    for mode in [0o777, 0o770, 0o702] {
        let open_to_others = place.root.path().join(format!("m{mode:o}"));
        fs::create_dir(&open_to_others).unwrap();
        fs::set_permissions(&open_to_others, fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(open(&open_to_others), Error::BaseUnsafe { .. }), "{mode:o}");
    }
    let file = place.root.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(open(&file), Error::Io { .. }));
    assert!(matches!(open(&file.join("below")), Error::Io { .. }));
}

#[test]
fn row_19_maintain_and_destroy_leave_what_is_not_ours() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace("ns").unwrap();
    put(&namespace, "k", b"v");
    let shard = place.entry().parent().unwrap().to_owned();
    let foreign = [
        place.dir().join("notes.txt"),
        place.dir().join("tmp-00000000000000000000000000000000"),
        shard.join("README"),
        shard.join("A".repeat(62)),
        shard.join("tmp-short"),
    ];
    for path in &foreign {
        fs::write(path, "mine").unwrap();
    }
    cache.maintain(LONG).unwrap();
    cache.clear().unwrap();
    cache.destroy().unwrap();
    for path in &foreign {
        assert_eq!(fs::read(path).unwrap(), b"mine", "{}", path.display());
    }
    assert_eq!(place.entries().len(), 1, "the one whose name is in capitals");
    assert!(!place.dir().join("CACHE").exists());
}

#[test]
fn row_20_a_base_that_is_moved_while_open() {
    let place = Place::new();
    let namespace = place.open().namespace("ns").unwrap();
    put(&namespace, "k", b"v");
    let moved = place.root.path().join("moved");
    fs::rename(place.dir(), &moved).unwrap();
    fs::create_dir(place.dir()).unwrap();
    assert_hit(&namespace, "k", b"v");
    put(&namespace, "other", b"w");
    assert_eq!(entries(&moved).len(), 2);
    assert_eq!(snapshot(&place.dir()), []);
}

#[test]
fn row_24_key_files_of_the_wrong_length_or_content() {
    let place = Place::new();
    put(&place.open().namespace("ns").unwrap(), "k", b"v");
    let path = place.state().join("key");
    let good = fs::read(&path).unwrap();
    assert_eq!(good.len(), 96);
    for len in [0, 31, 32, 63, 64, 65, 95, 97, 144] {
        let mut bad = good.clone();
        bad.resize(len, 7);
        fs::write(&path, &bad).unwrap();
        let error = place.builder().open().unwrap_err();
        let expected = if len == 144 {
            matches!(error, Error::Key { problem: KeyProblem::Corrupt, .. })
        } else {
            matches!(error, Error::Key { problem: KeyProblem::Length { .. }, .. })
        };
        assert!(expected, "{len}: {error}");
        assert_eq!(fs::read(&path).unwrap(), bad, "never made anew");
    }
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    assert!(matches!(
        place.builder().open().unwrap_err(),
        Error::Key { problem: KeyProblem::Length { len_bytes: 0x4000_0000 }, .. }
    ));
    let mut bad = good.clone();
    bad[20] ^= 1;
    fs::write(&path, &bad).unwrap();
    let error = place.builder().open().unwrap_err();
    assert!(matches!(error, Error::Key { problem: KeyProblem::Corrupt, .. }), "{error}");
    assert!(error.help().is_some());
    fs::write(&path, &good).unwrap();
    assert_hit(&place.open().namespace("ns").unwrap(), "k", b"v");
}

#[test]
fn row_25_key_files_that_others_can_reach() {
    let place = Place::new();
    drop(place.open());
    let path = place.state().join("key");
    let problem = || match place.builder().open() {
        Err(Error::Key { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    for mode in [0o644, 0o660, 0o604, 0o640] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(problem(), KeyProblem::TooOpen { mode });
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let aside = place.root.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    symlink(&aside, &path).unwrap();
    assert_eq!(problem(), KeyProblem::NotAFile);
    fs::remove_file(&path).unwrap();
    fifo(&path);
    assert_eq!(problem(), KeyProblem::NotAFile);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(problem(), KeyProblem::NotAFile);
    fs::remove_dir(&path).unwrap();
    fs::hard_link(&aside, &path).unwrap();
    place.open();
    if std::os::unix::fs::chown(&path, Some(12345), None).is_ok() {
        assert_eq!(problem(), KeyProblem::Foreign { uid: 12345 });
        std::os::unix::fs::chown(&path, Some(rustix::process::geteuid().as_raw()), None).unwrap();
    }
    fs::set_permissions(place.state(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(place.builder().open(), Err(Error::BaseUnsafe { .. })));
}

#[test]
fn row_26_a_key_that_is_gone() {
    let place = Place::new();
    let namespace = place.open().namespace("ns").unwrap();
    let path = place.state().join("key");
    fs::remove_file(&path).unwrap();
    put(&namespace, "k", b"v");
    assert_hit(&namespace, "k", b"v");
    let error = place.builder().open().unwrap_err();
    assert!(matches!(error, Error::Key { problem: KeyProblem::Missing, .. }), "{error}");
    assert!(!path.exists(), "not made anew for a cache that exists");
    fs::remove_dir_all(place.dir()).unwrap();
    drop(place.open());
    assert!(path.exists());
}

#[test]
fn row_34_times_of_files_carry_no_trust() {
    let place = Place::new();
    let namespace = place.open().namespace("ns").unwrap();
    put(&namespace, "k", b"v");
    let file = fs::OpenOptions::new().write(true).open(place.entry()).unwrap();
    for time in [std::time::UNIX_EPOCH, std::time::SystemTime::now() + Duration::from_secs(1 << 30)]
    {
        file.set_modified(time).unwrap();
        assert_hit(&namespace, "k", b"v");
    }
}

#[test]
fn row_57_nothing_prints_a_key_or_a_payload() {
    let place = Place::new();
    let cache = place.open_known();
    let namespace = cache.namespace("ns").unwrap();
    put(&namespace, "k", b"the payload that is not shown");
    let entry = namespace.get(&key("k")).unwrap().hit().unwrap();
    let text = format!(
        "{:?} {cache:?} {namespace:?} {entry:?} {:?}",
        place.builder().key(known()),
        known()
    );
    let text = format!("{text} {:?}", namespace.writer(&key("k"), None).unwrap());
    assert!(!text.contains("the payload") && !text.contains("a master key"), "{text}");
}

#[test]
fn row_58_quarantine_has_a_cap() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace("ns").unwrap();
    for at in 0..60 {
        put(&namespace, &at.to_string(), b"v");
    }
    for path in place.entries() {
        let mut bytes = fs::read(&path).unwrap();
        bytes[200] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let done = cache.maintain(LONG).unwrap();
    assert_eq!((done.offenders, done.left.entries, done.complete), (60, 0, true));
    let kept = fs::read_dir(place.dir().join("quarantine")).unwrap().count();
    assert_eq!(kept, 16);
    assert_eq!(cache.stats().unwrap().quarantined.entries, 16);
    assert_eq!(cache.counters().quarantined, 60);
}

#[test]
fn offenders_can_be_kept_or_removed() {
    for (offenders, left) in [(Offenders::Keep, 1), (Offenders::Remove, 0)] {
        let place = Place::new();
        let cache = place.builder().offenders(offenders).open().unwrap();
        put(&cache.namespace("ns").unwrap(), "k", b"v");
        let path = place.entry();
        let mut bytes = fs::read(&path).unwrap();
        bytes[200] ^= 1;
        fs::write(&path, bytes).unwrap();
        cache.maintain(LONG).unwrap();
        assert_eq!(place.entries().len(), left);
        assert!(!place.dir().join("quarantine").exists());
    }
}

#[test]
fn row_60_an_entry_of_a_newer_version_is_kept() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace("ns").unwrap();
    put(&namespace, "k", b"v");
    let path = place.entry();
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(miss(&namespace, "k"), MissReason::Unsupported);
    cache.maintain(LONG).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn maintain_evicts_what_was_used_longest_ago() {
    let place = Place::new();
    let limits = Limits::default().with(|l| l.max_entries = 20);
    let cache = place.builder().limits(limits).open().unwrap();
    let namespace = cache.namespace("ns").unwrap();
    for at in 0..40 {
        put(&namespace, &at.to_string(), b"v");
        let newest = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000 + at);
        for path in place.entries() {
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            if file.metadata().unwrap().modified().unwrap() > newest + Duration::from_secs(1000) {
                file.set_modified(newest).unwrap();
            }
        }
    }
    let done = cache.maintain(LONG).unwrap();
    assert_eq!((done.evicted, done.left.entries), (22, 18));
    for at in 0..40 {
        let found = matches!(get(&namespace, &at.to_string()), Lookup::Hit(_));
        assert_eq!(found, at >= 22, "{at}");
    }
    let limits = Limits::default().with(|l| l.max_bytes = 1000);
    let small = place.builder().limits(limits).open().unwrap();
    let left = small.maintain(LONG).unwrap().left;
    assert!(left.bytes <= 1000 && left.entries > 0, "{left:?}");
}

#[test]
fn stores_alone_keep_a_cache_near_its_limit() {
    let place = Place::new();
    let limits = Limits::default().with(|l| l.max_bytes = 200_000);
    let cache = place.builder().limits(limits).open().unwrap();
    let namespace = cache.namespace("ns").unwrap();
    for at in 0..300 {
        put(&namespace, &at.to_string(), &payload(10_000));
    }
    let usage = cache.stats().unwrap().usage;
    assert!(usage.bytes < 600_000, "{usage:?}");
    let outcome = place
        .builder()
        .limits(limits.with(|l| l.max_entry_bytes = 10))
        .open()
        .unwrap()
        .namespace("ns")
        .unwrap()
        .put(&key("big"), None, b"more than ten")
        .unwrap();
    assert_eq!(outcome, PutOutcome::Skipped(SkipReason::TooLarge));
}

#[test]
fn orphans_of_dead_writers_are_swept_and_those_of_living_ones_stay() {
    use std::io::Write as _;
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace("ns").unwrap();
    let mut writer = namespace.writer(&key("alive"), None).unwrap();
    writer.write_all(&payload(200_000)).unwrap();
    put(&namespace, "k", b"v");
    let shard = place.entry().parent().unwrap().to_owned();
    fs::write(shard.join(format!("tmp-{}", "0".repeat(32))), "of the dead").unwrap();
    assert_eq!(cache.maintain(LONG).unwrap().orphans, 1);
    assert_eq!(writer.commit().unwrap(), PutOutcome::Stored);
    assert_hit(&namespace, "alive", &payload(200_000));
    // Row 44: dropped without commit, it leaves nothing.
    let mut writer = namespace.writer(&key("dropped"), None).unwrap();
    writer.write_all(&payload(200_000)).unwrap();
    drop(writer);
    assert_eq!(miss(&namespace, "dropped"), MissReason::Absent);
    assert_eq!(cache.maintain(LONG).unwrap().orphans, 0);
}

#[test]
fn secrets_come_out_in_protected_memory_only() {
    let place = Place::new();
    let cache = place.open();
    let sensitive = policy(Body::Aes256Gcm).with(|p| p.sensitive = true);
    let namespace = cache.namespace_with("secrets", sensitive.clone()).unwrap();
    put(&namespace, "k", b"hunter2-hunter2");
    assert!(matches!(namespace.get(&key("k")), Err(Error::Config { .. })));
    assert!(matches!(namespace.reader(&key("k")), Err(Error::Config { .. })));
    let secret = namespace.get_secret(&key("k")).unwrap().hit().unwrap();
    assert_eq!(*secret.expose(), *b"hunter2-hunter2");
    let on_disk = fs::read(place.entry()).unwrap();
    assert!(!on_disk.windows(7).any(|w| w == b"hunter2"));
    // The same names without the promise do not open it.
    assert_eq!(miss(&cache.namespace("secrets").unwrap(), "k"), MissReason::Unsupported);
    assert!(cache.namespace_with("s", sensitive.clone().with(|p| p.body = Body::Sha256)).is_err());
    let other = Place::new();
    let beside = other.builder().key(KeySource::BesideData).open().unwrap();
    assert!(matches!(beside.namespace_with("s", sensitive), Err(Error::Config { .. })));
    put(&beside.namespace("ns").unwrap(), "k", b"v");
    let again = other.builder().key(KeySource::BesideData).open().unwrap();
    assert_hit(&again.namespace("ns").unwrap(), "k", b"v");
}

#[test]
fn key_sources() {
    let place = Place::new();
    let weak = dsops_secure_mem::SecretBytes::copy_from(&[1; 31]).unwrap();
    let error = place.builder().key(KeySource::Bytes(weak)).open().unwrap_err();
    assert!(matches!(error, Error::Key { problem: KeyProblem::Weak, .. }), "{error}");
    let inside = Cache::builder(place.dir()).state_dir(place.dir().join("state")).open();
    assert!(matches!(inside, Err(Error::Config { .. })));
    let place = Place::new();
    let file = place.root.path().join("keys/mine");
    let namespace = |place: &Place| {
        let cache = place.builder().key(KeySource::File(file.clone())).open().unwrap();
        cache.namespace("ns").unwrap()
    };
    put(&namespace(&place), "k", b"v");
    assert_hit(&namespace(&place), "k", b"v");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let place = Place::new();
    let none = Cache::builder(place.dir()).open();
    assert!(matches!(none, Err(Error::Config { .. })), "no key and no place for one");
    let ephemeral = Cache::builder(place.dir()).key(KeySource::Ephemeral).open().unwrap();
    put(&ephemeral.namespace("ns").unwrap(), "k", b"v");
    assert_hit(&ephemeral.namespace("ns").unwrap(), "k", b"v");
    let next = Cache::builder(place.dir()).key(KeySource::Ephemeral).open().unwrap();
    assert_eq!(miss(&next.namespace("ns").unwrap(), "k"), MissReason::Absent);
}

#[test]
fn a_damaged_superblock_is_an_error_with_a_remedy() {
    let place = Place::new();
    drop(place.open());
    let path = place.dir().join("CACHE");
    let good = fs::read(&path).unwrap();
    assert_eq!(good.len(), 256);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        // In the key's name or the cache's identity it is another cache, of which nothing can be read.
        match place.builder().open() {
            Err(error @ Error::NotACache { .. }) => assert!(error.help().is_some()),
            Ok(_) => assert!((16..40).contains(&at), "byte {at}"),
            Err(error) => panic!("{at}: {error}"),
        }
    }
    assert!(place.reported("ForeignSuperblock") > 0);
}

/// A file system of its own, unmounted when dropped.
struct Mount(std::path::PathBuf);

impl Mount {
    /// `None` where that takes rights that this user does not have.
    fn tmpfs(at: &std::path::Path, size: &str) -> Option<Self> {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "none"])
            .arg(at)
            .stderr(std::process::Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("not run: mounting takes rights that this user does not have");
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn row_38_and_39_a_full_and_a_read_only_file_system() {
    let place = Place::new();
    fs::create_dir(place.dir()).unwrap();
    let Some(mount) = Mount::tmpfs(&place.dir(), "512k") else { return };
    let cache = place.open();
    let namespace = cache.namespace("ns").unwrap();
    put(&namespace, "old", &payload(100_000));
    let mut skipped = 0;
    for at in 0..20 {
        let len = 10_000 * (at + 1);
        // Over an old entry, and under a new name.
        for name in ["old", "new"] {
            match namespace.put(&key(name), None, &payload(len)).unwrap() {
                PutOutcome::Stored => assert_hit(&namespace, name, &payload(len)),
                PutOutcome::Skipped(reason) => {
                    assert_eq!(reason, SkipReason::NoSpace);
                    skipped += 1;
                    assert!(
                        matches!(get(&namespace, name), Lookup::Hit(_)),
                        "what was there stays"
                    );
                }
            }
        }
    }
    assert!(skipped > 0);
    assert_eq!(cache.maintain(LONG).unwrap().orphans, 0, "a failed store cleans up");
    let remounted =
        std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(&mount.0).status();
    assert!(remounted.unwrap().success());
    let namespace = place.open().namespace("ns").unwrap();
    assert!(matches!(get(&namespace, "old"), Lookup::Hit(_)));
    let outcome = namespace.put(&key("old"), None, b"v").unwrap();
    assert_eq!(outcome, PutOutcome::Skipped(SkipReason::ReadOnly));
    let value = namespace.get_or_try_put(&key("x"), None, || Ok::<_, Error>(b"v".to_vec()));
    assert_eq!(value.unwrap(), b"v");
}
