//! Rows 1 to 13 and 53 of the attack table in `docs/integrity-cache.md`: changed bytes.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs)]

mod common;

use std::{
    collections::HashSet,
    fs,
    io::{Read as _, Write as _},
};

use common::*;
use dsops_integrity_cache::{
    Body, Cache, Key, KeySource, Lookup, MissReason, Part, PutOutcome, Unsafe,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Authenticates a changed header as a key holder would.
fn resign(bytes: &mut [u8]) {
    let len = u32::from_le_bytes(bytes[16..20].try_into().unwrap()) as usize;
    let mut entry_key = [0; 32];
    hkdf::Hkdf::<Sha256>::new(Some(&bytes[32..48]), &MASTER)
        .expand(b"dsops.ic.v1/entry", &mut entry_key)
        .unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&entry_key).unwrap();
    mac.update(b"dsops.integrity-cache.entry.v1\0");
    mac.update(&bytes[..len]);
    bytes[len..len + 32].copy_from_slice(&mac.finalize().into_bytes());
}

fn header_len(bytes: &[u8]) -> usize {
    u32::from_le_bytes(bytes[16..20].try_into().unwrap()) as usize + 32
}

#[test]
fn row_01_every_flipped_bit_of_every_byte_is_a_miss() {
    for body in BODIES.iter().copied() {
        for len in [0, 1, 700] {
            let place = Place::new();
            let namespace = place.open().namespace_with("ns", policy(body)).unwrap();
            put(&namespace, "k", &payload(len));
            let path = place.entry();
            let good = fs::read(&path).unwrap();
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            let set = |at: usize, byte: u8| {
                std::os::unix::fs::FileExt::write_all_at(&file, &[byte], at as u64).unwrap();
            };
            for bit in 0..good.len() * 8 {
                set(bit / 8, good[bit / 8] ^ 1 << (bit % 8));
                let reason = miss(&namespace, "k");
                let expected = matches!(
                    reason,
                    MissReason::Tampered(_)
                        | MissReason::Unsupported
                        | MissReason::Torn
                        | MissReason::WrongCache
                        | MissReason::UnknownKey
                );
                assert!(expected, "{body:?} {len} bit {bit}: {reason:?}");
                set(bit / 8, good[bit / 8]);
            }
            assert_hit(&namespace, "k", &payload(len));
        }
    }
}

#[test]
fn row_01_every_byte_of_several_chunks_is_covered() {
    for body in BODIES.iter().copied() {
        let place = Place::new();
        let namespace = place.open().namespace_with("ns", policy(body)).unwrap();
        let len = 2 * 65_536 + 100;
        put(&namespace, "k", &payload(len));
        let path = place.entry();
        let good = fs::read(&path).unwrap();
        let chunks = header_len(&good);
        // All of header, table, tags and edges; a sample of the middle of the chunks.
        let interesting = |at: &usize| {
            *at < chunks + 64
                || *at > good.len() - 400
                || at.is_multiple_of(509)
                || (at - chunks) % 65_536 < 40
        };
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let set = |at: usize, byte: u8| {
            std::os::unix::fs::FileExt::write_all_at(&file, &[byte], at as u64).unwrap();
        };
        for at in (0..good.len()).filter(interesting) {
            set(at, good[at] ^ 1 << (at % 8));
            assert!(get(&namespace, "k").miss().is_some(), "{body:?} byte {at}");
            set(at, good[at]);
        }
        assert_hit(&namespace, "k", &payload(len));
    }
}

#[test]
fn row_02_truncated_to_every_length() {
    for body in BODIES.iter().copied() {
        let place = Place::new();
        let namespace = place.open().namespace_with("ns", policy(body)).unwrap();
        put(&namespace, "k", &payload(700));
        let path = place.entry();
        let good = fs::read(&path).unwrap();
        for len in 0..good.len() {
            fs::write(&path, &good[..len]).unwrap();
            assert_eq!(miss(&namespace, "k"), MissReason::Torn, "{body:?} {len}");
        }
    }
}

#[test]
fn row_03_appended_bytes() {
    for body in BODIES.iter().copied() {
        let place = Place::new();
        let namespace = place.open().namespace_with("ns", policy(body)).unwrap();
        put(&namespace, "k", &payload(300));
        let path = place.entry();
        let good = fs::read(&path).unwrap();
        for extra in [vec![0], vec![7; 1 << 20], good.clone()] {
            fs::write(&path, [&good[..], &extra].concat()).unwrap();
            assert_eq!(miss(&namespace, "k"), MissReason::Tampered(Part::Size), "{body:?}");
        }
    }
}

#[test]
fn row_04_chunks_cannot_take_each_others_place() {
    for body in BODIES.iter().copied() {
        let place = Place::new();
        let namespace = place.open().namespace_with("ns", policy(body)).unwrap();
        let mut bytes = payload(65_536);
        bytes.extend_from_slice(&bytes.clone());
        bytes.extend(vec![9; 65_536]);
        put(&namespace, "k", &bytes);
        let path = place.entry();
        let first = fs::read(&path).unwrap();
        let start = header_len(&first);
        let stored = if body == Body::Aes256Gcm { 65_552 } else { 65_536 };
        let chunk = |at: usize| start + at * stored..start + (at + 1) * stored;
        for (from, to) in [(0, 2), (2, 0), (1, 2)] {
            let mut bad = first.clone();
            bad.copy_within(chunk(from), chunk(to).start);
            fs::write(&path, &bad).unwrap();
            assert!(get(&namespace, "k").miss().is_some(), "{body:?} {from} over {to}");
        }
        if body == Body::Aes256Gcm {
            // In clear, equal chunks are equal bytes; encrypted, the first two differ by index.
            let mut bad = first.clone();
            bad.copy_within(chunk(0), chunk(1).start);
            fs::write(&path, &bad).unwrap();
            assert_eq!(miss(&namespace, "k"), MissReason::Tampered(Part::Body));
        }
        // A chunk of an earlier store of the same key.
        place.clock.advance(10);
        let newer: Vec<u8> = bytes.iter().map(|b| b ^ 1).collect();
        put(&namespace, "k", &newer);
        let mut bad = fs::read(&path).unwrap();
        bad[chunk(1)].copy_from_slice(&first[chunk(1)]);
        fs::write(&path, &bad).unwrap();
        assert_eq!(miss(&namespace, "k"), MissReason::Tampered(Part::Body), "{body:?}");
        let Lookup::Hit(mut reader) = namespace.reader(&key("k")).unwrap() else { panic!() };
        let mut out = Vec::new();
        assert!(reader.read_to_end(&mut out).is_err());
        assert!(out == newer[..65_536], "only the authentic chunk before came out");
    }
}

#[test]
fn row_05_the_header_of_one_with_the_body_of_another() {
    for body in BODIES.iter().copied() {
        let place = Place::new();
        let namespace = place.open().namespace_with("ns", policy(body)).unwrap();
        put(&namespace, "a", &payload(500));
        let a = place.entry();
        let other: Vec<u8> = payload(500).into_iter().map(|b| b ^ 3).collect();
        put(&namespace, "b", &other);
        let b = place.entries().into_iter().find(|path| *path != a).unwrap();
        let (mut head, tail) = (fs::read(&a).unwrap(), fs::read(&b).unwrap());
        let start = header_len(&head);
        head[start..].copy_from_slice(&tail[start..]);
        fs::write(&a, head).unwrap();
        assert_eq!(miss(&namespace, "a"), MissReason::Tampered(Part::Body), "{body:?}");
        assert_hit(&namespace, "b", &other);
    }
}

#[test]
fn row_06_the_file_of_one_key_in_the_place_of_another() {
    let place = Place::new();
    let namespace = place.open().namespace("ns").unwrap();
    put(&namespace, "a", b"for a");
    let a = place.entry();
    put(&namespace, "b", b"for b");
    let b = place.entries().into_iter().find(|path| *path != a).unwrap();
    fs::copy(&a, &b).unwrap();
    assert_eq!(miss(&namespace, "b"), MissReason::WrongEntry);
    assert_hit(&namespace, "a", b"for a");
    assert_eq!(place.reported("wrong-entry"), 1);
}

#[test]
fn row_07_the_same_key_of_another_namespace() {
    let place = Place::new();
    let cache = place.open();
    let (one, two) = (cache.namespace("one").unwrap(), cache.namespace("two").unwrap());
    put(&one, "k", b"of one");
    let first = place.entry();
    put(&two, "k", b"of two");
    let second = place.entries().into_iter().find(|path| *path != first).unwrap();
    fs::copy(&first, &second).unwrap();
    assert_eq!(miss(&two, "k"), MissReason::WrongEntry);
}

#[test]
fn row_08_an_entry_of_another_cache_with_the_same_master_key() {
    let (here, there) = (Place::new(), Place::new());
    let (ours, theirs) = (here.open_known(), there.open_known());
    let (ours, theirs) = (ours.namespace("ns").unwrap(), theirs.namespace("ns").unwrap());
    put(&ours, "k", b"ours");
    put(&theirs, "k", b"theirs");
    fs::copy(there.entry(), here.entry()).unwrap();
    assert_eq!(miss(&ours, "k"), MissReason::WrongCache);
}

#[test]
fn row_09_a_directory_from_elsewhere_with_another_key() {
    let (here, there) = (Place::new(), Place::new());
    let namespace = there.open().namespace("ns").unwrap();
    put(&namespace, "k", b"theirs");
    fs::rename(there.dir(), here.dir()).unwrap();
    let before = snapshot(&here.dir());
    let other = dsops_secure_mem::SecretBytes::copy_from(&[7; 32]).unwrap();
    let cache = here.builder().key(KeySource::Bytes(other)).open().unwrap();
    assert_eq!(here.reported("ForeignSuperblock"), 1);
    // Names are keyed: nothing is even found. Put in its place, it is of an unknown key.
    let namespace = cache.namespace("ns").unwrap();
    assert_eq!(miss(&namespace, "k"), MissReason::Absent);
    cache.maintain(std::time::Duration::from_secs(10)).unwrap();
    assert_eq!(snapshot(&here.dir()), before, "nothing was deleted");
    let theirs = here.entry();
    put(&namespace, "k", b"ours");
    let ours = here.entries().into_iter().find(|path| *path != theirs).unwrap();
    fs::copy(&theirs, &ours).unwrap();
    assert_eq!(miss(&namespace, "k"), MissReason::UnknownKey);
}

#[test]
fn row_10_a_key_planted_in_the_cache_directory_is_ignored() {
    let place = Place::new();
    let namespace = place.open().namespace("ns").unwrap();
    put(&namespace, "k", b"v");
    fs::write(place.dir().join("key"), [7; 96]).unwrap();
    fs::write(place.dir().join(".hmac.key"), [7; 32]).unwrap();
    assert_hit(&namespace, "k", b"v");
    assert_hit(&place.open().namespace("ns").unwrap(), "k", b"v");
}

#[test]
fn row_11_files_that_never_were_entries() {
    let place = Place::new();
    let cache = place.open();
    let namespace = cache.namespace("ns").unwrap();
    put(&namespace, "k", b"v");
    let path = place.entry();
    let legacy = br#"{"entry":{"key":{"Operation":"sbom"},"data":"aGk="},"mac":"00"}"#;
    for (content, expected) in [
        (legacy.repeat(4), MissReason::Unsupported),
        (Vec::new(), MissReason::Torn),
        (vec![0; 4096], MissReason::Torn),
        (payload(1 << 20), MissReason::Unsupported),
    ] {
        fs::write(&path, content).unwrap();
        assert_eq!(miss(&namespace, "k"), expected);
        assert!(path.exists(), "a reader removes nothing");
    }
    let foreign = path.with_file_name(format!("{}.json", "a".repeat(64)));
    fs::write(&foreign, legacy).unwrap();
    cache.maintain(std::time::Duration::from_secs(10)).unwrap();
    assert!(foreign.exists(), "a name that is not ours");
}

#[test]
fn row_12_other_forms_even_when_authenticated() {
    let place = Place::new();
    let cache = place.open_known();
    let namespace = cache.namespace_with("ns", policy(Body::Sha256)).unwrap();
    put(&namespace, "k", b"v");
    let path = place.entry();
    let good = fs::read(&path).unwrap();
    let mut same = good.clone();
    resign(&mut same);
    assert!(same == good, "the test authenticates as the crate does");
    let padding = header_len(&good) - 33;
    for &(at, value) in &[
        (8, 2),
        (9, 1),
        (10, 3),
        #[cfg(not(feature = "blake3"))]
        (11, 2),
        (11, 4),
        (12, 4),
        (13, 128),
        (14, 15),
        (15, 1),
        (24, 1),
        (28, 1),
        (31, 1),
        (112, 1),
        (143, 9),
        (padding, 1),
    ] {
        let mut other = good.clone();
        other[at] = value;
        resign(&mut other);
        fs::write(&path, &other).unwrap();
        assert_eq!(miss(&namespace, "k"), MissReason::Unsupported, "{value} at {at}");
    }
    cache.maintain(std::time::Duration::from_secs(10)).unwrap();
    assert!(path.exists(), "another version may still want it");
}

#[test]
fn row_13_lengths_at_their_extremes() {
    let place = Place::new();
    let namespace = place.open_known().namespace("ns").unwrap();
    put(&namespace, "k", b"v");
    let path = place.entry();
    let good = fs::read(&path).unwrap();
    for len in [0, 2, 65_537, u64::MAX / 2, u64::MAX - 16, u64::MAX] {
        let mut other = good.clone();
        other[104..112].copy_from_slice(&len.to_le_bytes());
        resign(&mut other);
        fs::write(&path, &other).unwrap();
        let reason = miss(&namespace, "k");
        let expected = matches!(
            reason,
            MissReason::Torn | MissReason::TooLarge | MissReason::Tampered(Part::Size)
        );
        assert!(expected, "{len}: {reason:?}");
    }
    for (at, width) in [(16, 4), (20, 2), (22, 2)] {
        for value in [0u32, 1, 0xffff, u32::MAX] {
            let mut other = good.clone();
            other[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
            fs::write(&path, &other).unwrap();
            assert!(get(&namespace, "k").miss().is_some(), "{value} at {at}");
        }
    }
}

#[test]
fn row_21_huge_sparse_files_are_refused_by_their_header() {
    let place = Place::new();
    let namespace = place.open_known().namespace("ns").unwrap();
    put(&namespace, "k", b"v");
    let path = place.entry();
    let good = fs::read(&path).unwrap();
    for size in [2u64 << 30, 1 << 40] {
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(size).unwrap();
        let start = std::time::Instant::now();
        assert_eq!(miss(&namespace, "k"), MissReason::Tampered(Part::Size));
        // A key holder who claims it: over the limit, before anything is allocated.
        let mut claimed = good.clone();
        claimed[104..112].copy_from_slice(&(size - header_len(&good) as u64).to_le_bytes());
        resign(&mut claimed);
        std::os::unix::fs::FileExt::write_all_at(&file, &claimed, 0).unwrap();
        assert_eq!(miss(&namespace, "k"), MissReason::TooLarge);
        // Reading either would take longer, and more memory than there is; the bench has the figures.
        assert!(start.elapsed() < std::time::Duration::from_secs(5));
        fs::write(&path, &good).unwrap();
    }
    assert_hit(&namespace, "k", b"v");
}

#[test]
fn row_22_a_file_that_changes_while_it_is_read() {
    for body in BODIES.iter().copied() {
        let place = Place::new();
        let namespace = place.open().namespace_with("ns", policy(body)).unwrap();
        let bytes = payload(300_000);
        put(&namespace, "k", &bytes);
        let path = place.entry();
        let Lookup::Hit(mut reader) = namespace.reader(&key("k")).unwrap() else { panic!() };
        let mut out = vec![0; 65_536];
        reader.read_exact(&mut out).unwrap();
        assert!(out == bytes[..65_536]);
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(150_000).unwrap();
        let mut rest = Vec::new();
        assert_eq!(
            reader.read_to_end(&mut rest).unwrap_err().kind(),
            std::io::ErrorKind::InvalidData
        );
        assert!(rest == bytes[65_536..131_072], "{body:?}: the chunk that was whole");
        assert_eq!(miss(&namespace, "k"), MissReason::Torn);
    }
}

#[test]
fn row_23_what_was_returned_does_not_change() {
    let place = Place::new();
    let namespace = place.open().namespace_with("ns", policy(Body::Sha256)).unwrap();
    put(&namespace, "k", &payload(5000));
    let Lookup::Hit(entry) = namespace.get(&key("k")).unwrap() else { panic!() };
    fs::write(place.entry(), vec![0; 6000]).unwrap();
    assert!(entry.bytes() == payload(5000));
}

#[test]
fn row_46_parts_are_not_ambiguous() {
    use dsops_integrity_cache::Key;
    let place = Place::new();
    let namespace = place.open().namespace("ns").unwrap();
    let keys = [
        Key::new().part("a", "ab").part("b", "c"),
        Key::new().part("a", "a").part("b", "bc"),
        Key::new().part("b", "c").part("a", "ab"),
        Key::new().part("a", "ab").part("b", "c").part("c", ""),
        Key::new().part("a", "").part("b", "abc"),
        Key::new(),
        Key::new().part("", ""),
    ];
    for (at, key) in keys.iter().enumerate() {
        let _ = namespace.put(key, None, &[u8::try_from(at).unwrap()]).unwrap();
    }
    for (at, key) in keys.iter().enumerate() {
        let entry = namespace.get(key).unwrap().hit().unwrap();
        assert_eq!(entry.bytes(), [u8::try_from(at).unwrap()]);
    }
    assert_eq!(place.entries().len(), keys.len());
}

#[test]
fn row_45_hostile_keys_stay_inside_and_distinct() {
    use dsops_integrity_cache::Key;
    let place = Place::new();
    let namespace = place.open().namespace("ns").unwrap();
    let long = vec![b'x'; 10 << 20];
    let values: [&[u8]; 12] = [
        b"../..",
        b"/etc/passwd",
        b"a\0b",
        b"a/b",
        b"",
        b"\xff\xfe",
        "\u{202e}txt".as_bytes(),
        "\u{e9}".as_bytes(),
        "e\u{301}".as_bytes(),
        b"Key",
        b"kEY",
        &long,
    ];
    for value in values {
        let _ = namespace
            .put(&Key::new().part("k", value), None, &value[..value.len().min(20)])
            .unwrap();
    }
    for value in values {
        let entry = namespace.get(&Key::new().part("k", value)).unwrap().hit().unwrap();
        assert_eq!(entry.bytes(), &value[..value.len().min(20)]);
    }
    assert_eq!(place.entries().len(), values.len());
    let names: Vec<_> =
        fs::read_dir(place.root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "only the cache and its state: {names:?}");
}

#[test]
fn row_47_namespaces_have_plain_names() {
    let place = Place::new();
    let cache = place.open();
    for name in ["", "Upper", "a/b", "a b", "\u{e9}", &"x".repeat(65), "a\0"] {
        assert!(cache.namespace(name).is_err(), "{name:?}");
    }
    for name in ["tmp", "quarantine", "..", ".", "CACHE".to_lowercase().as_str(), &"x".repeat(64)] {
        let namespace = cache.namespace(name).unwrap();
        put(&namespace, "k", name.as_bytes());
        assert_hit(&namespace, "k", name.as_bytes());
    }
    assert_eq!(place.entries().len(), 6);
}

#[test]
fn row_53_no_two_stores_share_a_nonce_and_a_flipped_tag_is_caught() {
    let place = Place::new();
    let namespace = place.open().namespace("ns").unwrap();
    let mut nonces = HashSet::new();
    for _ in 0..2000 {
        put(&namespace, "k", b"the same payload each time");
        let bytes = fs::read(place.entry()).unwrap();
        assert!(nonces.insert(bytes[112..144].to_vec()));
    }
    let path = place.entry();
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(miss(&namespace, "k"), MissReason::Tampered(Part::Body));
}

#[test]
fn every_length_and_body_makes_the_round_trip() {
    for body in BODIES.iter().copied() {
        let place = Place::new();
        let namespace = place.open().namespace_with("ns", policy(body)).unwrap();
        for len in LENGTHS {
            let bytes = payload(len);
            put(&namespace, "k", &bytes);
            assert_hit(&namespace, "k", &bytes);
            let Lookup::Hit(mut reader) = namespace.reader(&key("k")).unwrap() else { panic!() };
            let mut out = Vec::new();
            reader.read_to_end(&mut out).unwrap();
            assert!(out == bytes, "{body:?} {len}");
            let metadata = namespace.metadata(&key("k")).unwrap().hit().unwrap();
            assert_eq!(metadata.size_bytes, len as u64);
            if body == Body::Aes256Gcm {
                let secret = namespace.get_secret(&key("k")).unwrap().hit().unwrap();
                assert!(*secret.expose() == bytes[..]);
            }
            // Written in odd pieces, it is the same.
            let mut writer = namespace.writer(&key("pieces"), None).unwrap();
            for piece in bytes.chunks(7919) {
                writer.write_all(piece).unwrap();
            }
            let _ = writer.commit().unwrap();
            assert_hit(&namespace, "pieces", &bytes);
            let overhead = fs::metadata(place.entries()[0].clone()).unwrap().len() - len as u64;
            assert!(overhead <= len as u64 / 1000 + 400, "{body:?} {len}: {overhead}");
        }
    }
}

#[test]
fn a_namespace_can_ask_for_an_error_instead_of_a_suspicious_miss() {
    let place = Place::new();
    let cache: Cache = place.open();
    let strict = policy(Body::Sha256).with(|p| p.tampering_is_an_error = true);
    let namespace = cache.namespace_with("ns", strict).unwrap();
    assert_eq!(miss(&namespace, "k"), MissReason::Absent);
    put(&namespace, "k", b"v");
    let path = place.entry();
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    let error = namespace.get(&key("k")).unwrap_err();
    let dsops_integrity_cache::Error::Tampered { reason, .. } = &error else { panic!("{error}") };
    assert_eq!(*reason, MissReason::Unsafe(Unsafe::Symlink));
}

#[test]
fn row_64_long_headers_are_read_whole() {
    let place = Place::new();
    let cache = place.open_known();
    let namespace = cache.namespace("ns").unwrap();
    for (len, value) in [(300, 1), (330, 10), (3000, 10), (4000, 70_000)] {
        let key = Key::new().part("long", "x".repeat(len));
        let _ = namespace.put(&key, None, &payload(value)).unwrap();
        let metadata = namespace.metadata(&key).unwrap().hit().unwrap();
        assert_eq!(metadata.size_bytes, value as u64, "{len}");
        assert!(namespace.reader(&key).unwrap().hit().is_some(), "{len}");
    }
    let done = cache.maintain(std::time::Duration::from_mins(1)).unwrap();
    assert_eq!((done.left.entries, done.torn), (4, 0));
    assert_eq!(cache.verify(true).unwrap().sound, 4);
}

#[test]
fn row_64_a_limit_is_what_still_fits() {
    let place = Place::new();
    let limits = dsops_integrity_cache::Limits::default().with(|l| l.max_entry_bytes = 1000);
    let namespace = place.builder().key(known()).limits(limits).open().unwrap();
    let namespace = namespace.namespace("ns").unwrap();
    put(&namespace, "k", &payload(1000));
    assert_hit(&namespace, "k", &payload(1000));
    let outcome = namespace.put(&key("l"), None, &payload(1001)).unwrap();
    assert_eq!(outcome, PutOutcome::Skipped(dsops_integrity_cache::SkipReason::TooLarge));
}

#[test]
fn row_64_a_deep_look_finds_what_a_header_does_not_tell() {
    for body in BODIES.iter().copied() {
        for len in [5, 70_000] {
            let place = Place::new();
            let cache = place.open_known();
            put(&cache.namespace_with("ns", policy(body)).unwrap(), "k", &payload(len));
            let path = place.entry();
            let mut bytes = fs::read(&path).unwrap();
            let body_at = header_len(&bytes);
            bytes[body_at + 1] ^= 1;
            fs::write(&path, &bytes).unwrap();
            let shallow = cache.verify(false).unwrap();
            assert_eq!((shallow.sound, shallow.problems.len()), (1, 0));
            let deep = cache.verify(true).unwrap();
            assert_eq!((deep.sound, deep.problems.len()), (0, 1), "{body:?} {len}");
            assert_eq!(deep.problems[0].1, MissReason::Tampered(Part::Body));
        }
    }
}
