//! Row 54 of the attack table in `docs/integrity-cache.md`: one writer signs, readers cannot forge.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use common::*;
use dsops_integrity_cache::{
    Body, Cache, Error, Freshness, KeySource, Lookup, MissReason, Namespace, Part, Policy,
};
use dsops_secure_mem::SecretBytes;

const SEED: [u8; 32] = [42; 32];

fn public() -> [u8; 32] {
    let pair = Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap();
    pair.public_key().as_ref().try_into().unwrap()
}

fn writer(place: &Place) -> Cache {
    let seed = SecretBytes::copy_from(&SEED).unwrap();
    place.builder().key(KeySource::Sealing(seed)).open().unwrap()
}

fn reader(place: &Place) -> Cache {
    let state = place.root.path().join("reader");
    Cache::builder(place.dir())
        .state_dir(state)
        .clock(place.clock.clone())
        .key(KeySource::Sealed(public()))
        .open()
        .unwrap()
}

fn clear() -> Policy {
    policy(Body::Sha256)
}

fn namespaces(place: &Place, policy: &Policy) -> (Namespace, Namespace) {
    let writer = writer(place).namespace_with("ns", policy.clone()).unwrap();
    (writer, reader(place).namespace_with("ns", policy.clone()).unwrap())
}

#[test]
fn row_54_readers_read_and_store_nothing() {
    let place = Place::new();
    let (ours, theirs) = namespaces(&place, &clear());
    for len in LENGTHS {
        put(&ours, "k", &payload(len));
        assert_hit(&theirs, "k", &payload(len));
        assert_hit(&ours, "k", &payload(len));
    }
    let before = snapshot(&place.dir());
    assert!(matches!(theirs.put(&key("k"), None, b"v"), Err(Error::ReadOnlyKey)));
    assert!(matches!(theirs.put_negative(&key("k"), None, ""), Err(Error::ReadOnlyKey)));
    assert!(matches!(theirs.invalidate(&key("k")), Err(Error::ReadOnlyKey)));
    let cache = reader(&place);
    assert!(matches!(cache.clear(), Err(Error::ReadOnlyKey)));
    assert!(matches!(cache.invalidate_all(), Err(Error::ReadOnlyKey)));
    assert!(matches!(cache.maintain(std::time::Duration::MAX), Err(Error::ReadOnlyKey)));
    assert!(matches!(cache.rotate_key(), Err(Error::Config { .. })));
    assert!(matches!(cache.destroy(), Err(Error::ReadOnlyKey)));
    assert_eq!(snapshot(&place.dir()), before);
    assert_eq!(reader(&place).verify(true).unwrap().sound, 1);
    assert!(reader(&place).namespace("ns").is_err(), "there is no secret to encrypt with");
    let fresh = Place::new();
    let error = fresh.builder().key(KeySource::Sealed(public())).open().unwrap_err();
    assert!(matches!(error, Error::Io { .. } | Error::NotACache { .. }), "a reader makes none");
    assert!(!fresh.dir().exists());
}

#[test]
fn row_54_every_flipped_bit_is_a_miss() {
    let place = Place::new();
    let (ours, theirs) = namespaces(&place, &clear());
    put(&ours, "k", &payload(100));
    let path = place.entry();
    let good = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let set = |at: usize, byte: u8| {
        std::os::unix::fs::FileExt::write_all_at(&file, &[byte], at as u64).unwrap();
    };
    for bit in 0..good.len() * 8 {
        set(bit / 8, good[bit / 8] ^ 1 << (bit % 8));
        assert!(get(&theirs, "k").miss().is_some(), "bit {bit}");
        set(bit / 8, good[bit / 8]);
    }
    assert_hit(&theirs, "k", &payload(100));
}

#[test]
fn row_54_what_a_reader_or_another_writer_makes_is_not_taken() {
    let place = Place::new();
    let (ours, theirs) = namespaces(&place, &clear());
    put(&ours, "k", b"signed");
    let path = place.entry();
    let superblock = fs::read(place.dir().join("CACHE")).unwrap();
    // Another signing key, in a directory that claims to be this cache.
    let other = Place::new();
    let signing = SecretBytes::copy_from(&[43; 32]).unwrap();
    let stranger = other.builder().key(KeySource::Sealing(signing)).open().unwrap();
    let stranger = stranger.namespace_with("ns", clear()).unwrap();
    put(&stranger, "k", b"forged");
    let mut forged = fs::read(other.entry()).unwrap();
    fs::write(&path, &forged).unwrap();
    assert_eq!(miss(&theirs, "k"), MissReason::WrongCache);
    forged[32..48].copy_from_slice(&superblock[16..32]);
    fs::write(&path, &forged).unwrap();
    assert_eq!(miss(&theirs, "k"), MissReason::UnknownKey);
    forged[48..56].copy_from_slice(&superblock[32..40]);
    fs::write(&path, &forged).unwrap();
    assert_eq!(miss(&theirs, "k"), MissReason::Tampered(Part::Header));
    // An entry authenticated by a shared key, as a reader could make from all that it knows.
    let shared = Place::new();
    let master = SecretBytes::copy_from(&public()).unwrap();
    let maker = shared.builder().key(KeySource::Bytes(master)).open().unwrap();
    put(&maker.namespace_with("ns", clear()).unwrap(), "k", b"forged");
    let mut forged = fs::read(shared.entry()).unwrap();
    forged[32..48].copy_from_slice(&superblock[16..32]);
    forged[48..56].copy_from_slice(&superblock[32..40]);
    fs::write(&path, &forged).unwrap();
    assert_eq!(miss(&theirs, "k"), MissReason::Tampered(Part::Header));
    assert_eq!(miss(&ours, "k"), MissReason::Tampered(Part::Header));
    // Even with the authentic superblock in a directory of its own, the public key opens nothing it
    // made: the tag of an HMAC is not taken where a signature is due.
    let mut bent = superblock;
    bent[10] = 1;
    fs::write(place.dir().join("CACHE"), bent).unwrap();
    let opened = Cache::builder(place.dir()).key(KeySource::Sealed(public())).open();
    assert!(matches!(opened, Err(Error::NotACache { .. })));
}

#[test]
fn row_54_a_reader_remembers_the_newest_it_has_seen() {
    let place = Place::new();
    let strict = clear().with(|p| p.freshness = Freshness::Strict);
    let (ours, theirs) = namespaces(&place, &strict);
    put(&ours, "k", b"old");
    let path = place.entry();
    let old = fs::read(&path).unwrap();
    assert_hit(&theirs, "k", b"old");
    place.clock.advance(1000);
    put(&ours, "k", b"new");
    assert_hit(&theirs, "k", b"new");
    assert_hit(&theirs, "k", b"new");
    fs::write(&path, &old).unwrap();
    assert_eq!(miss(&theirs, "k"), MissReason::RolledBack);
    let again = reader(&place).namespace_with("ns", strict).unwrap();
    assert_eq!(miss(&again, "k"), MissReason::RolledBack, "also in the next process");
}

#[test]
fn row_54_a_reader_learns_the_writers_epoch() {
    let place = Place::new();
    let (ours, theirs) = namespaces(&place, &clear());
    put(&ours, "a", b"of the first epoch");
    let path = place.entry();
    let old = fs::read(&path).unwrap();
    assert_hit(&theirs, "a", b"of the first epoch");
    let cache = writer(&place);
    cache.invalidate_all().unwrap();
    // Nothing tells a reader yet; the first entry of the new epoch does.
    assert!(matches!(get(&theirs, "a"), Lookup::Hit(_)));
    place.clock.advance(1);
    put(&cache.namespace_with("ns", clear()).unwrap(), "b", b"of the second");
    assert_hit(&theirs, "b", b"of the second");
    fs::write(&path, old).unwrap();
    assert_eq!(miss(&theirs, "a"), MissReason::StaleEpoch);
    assert_eq!(
        miss(&reader(&place).namespace_with("ns", clear()).unwrap(), "a"),
        MissReason::StaleEpoch
    );
}

#[test]
fn weak_and_malformed_keys_are_refused() {
    let place = Place::new();
    drop(writer(&place));
    for key in [[0; 32], [1; 32], [0xff; 32]] {
        let opened = Cache::builder(place.dir()).key(KeySource::Sealed(key)).open();
        if let Ok(cache) = opened {
            assert_eq!(
                miss(&cache.namespace_with("ns", clear()).unwrap(), "k"),
                MissReason::Absent
            );
            assert!(key != [0; 32], "the all-zero key is of small order");
        }
    }
    let short = SecretBytes::copy_from(&[1; 31]).unwrap();
    let opened = place.builder().key(KeySource::Sealing(short)).open();
    assert!(matches!(opened, Err(Error::Config { .. })));
}
