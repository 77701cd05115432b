//! Entries as bytes: what one cache exports, another of the same identity admits, and nothing else.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs)]

mod common;

use common::*;
use dsops_integrity_cache::{
    Body, Cache, Error, Freshness, KeySource, Lookup, MissReason, Namespace, Part, PutOutcome,
};
use dsops_secure_mem::SecretBytes;

const STRICT: Freshness = Freshness::Strict;

/// Two caches of one identity, on two machines.
fn two() -> (Place, Place, Cache, Cache) {
    let (here, there) = (Place::new(), Place::new());
    let first = here.open_known();
    // Another machine: another boot, and a clock that is a little ahead.
    there.clock.reboot(2);
    there.clock.advance(90_000);
    let second = there.builder().key(known()).join(first.identity().unwrap()).open().unwrap();
    (here, there, first, second)
}

fn export(namespace: &Namespace, name: &str) -> Vec<u8> {
    namespace.export(&key(name)).unwrap().hit().unwrap()
}

#[track_caller]
fn refused(namespace: &Namespace, name: &str, bytes: &[u8]) -> MissReason {
    match namespace.admit(&key(name), bytes).unwrap() {
        Lookup::Miss(reason) => reason,
        Lookup::Hit(outcome) => panic!("{name}: {outcome:?}"),
    }
}

fn admitted(namespace: &Namespace, name: &str, bytes: &[u8]) {
    let answer = namespace.admit(&key(name), bytes).unwrap().hit();
    assert_eq!(answer, Some(PutOutcome::Stored), "{name}");
}

#[test]
fn what_one_exports_the_other_admits() {
    let (_here, _there, first, second) = two();
    for body in BODIES {
        for freshness in [Freshness::Ttl, STRICT] {
            let policy = policy(*body).with(|p| p.freshness = freshness);
            let name = format!("{body:?}-{freshness:?}").to_lowercase();
            let from = first.namespace_with(&name, policy.clone()).unwrap();
            let to = second.namespace_with(&name, policy).unwrap();
            for len in LENGTHS {
                let (name, value) = (len.to_string(), payload(len));
                put(&from, &name, &value);
                let bytes = export(&from, &name);
                admitted(&to, &name, &bytes);
                assert_hit(&to, &name, &value);
                assert!(export(&to, &name) == bytes);
                // The way back, too.
                put(&to, "back", &value);
                admitted(&from, "back", &export(&to, "back"));
                assert_hit(&from, "back", &value);
            }
        }
    }
    assert!(second.verify(true).unwrap().problems.is_empty());
}

#[test]
fn a_lying_carrier_is_not_believed() {
    let (_here, there, first, second) = two();
    for body in BODIES {
        let (from, to) = (
            first.namespace_with("ns", policy(*body)).unwrap(),
            second.namespace_with("ns", policy(*body)).unwrap(),
        );
        put(&from, "a", &payload(70_000));
        put(&from, "b", b"another");
        let good = export(&from, "a");
        // Every byte, and every length near the ends of its parts.
        for at in (0..good.len()).filter(|at| *at < 400 || at % 97 == 0) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            refused(&to, "a", &bad);
        }
        for len in (0..good.len()).filter(|len| *len < 400 || len % 997 == 0) {
            refused(&to, "a", &good[..len]);
        }
        let longer = [&good[..], &[0]].concat();
        assert_eq!(refused(&to, "a", &longer), MissReason::Tampered(Part::Size));
        assert_eq!(refused(&to, "a", &export(&from, "b")), MissReason::WrongEntry);
        assert_eq!(refused(&to, "b", &good), MissReason::WrongEntry);
        assert_eq!(miss(&to, "a"), MissReason::Absent, "nothing was published");
    }
    assert_eq!(there.entries().len(), 0);
    assert_eq!(second.maintain(std::time::Duration::from_secs(9)).unwrap().orphans, 0);
}

#[test]
fn an_older_entry_is_not_admitted_over_a_newer() {
    let (here, _there, first, second) = two();
    let policy = policy(Body::Sha256).with(|p| p.freshness = STRICT);
    let from = first.namespace_with("ns", policy.clone()).unwrap();
    let to = second.namespace_with("ns", policy).unwrap();
    put(&from, "k", b"old");
    let old = export(&from, "k");
    here.clock.advance(10);
    put(&from, "k", b"new");
    admitted(&to, "k", &export(&from, "k"));
    assert_eq!(refused(&to, "k", &old), MissReason::RolledBack);
    assert_hit(&to, "k", b"new");
    // What is admitted twice is the same.
    admitted(&to, "k", &export(&from, "k"));
    assert_hit(&to, "k", b"new");
}

#[test]
fn an_epoch_that_was_raised_elsewhere_is_raised_here() {
    let (_here, _there, first, second) = two();
    let (from, to) = (first.namespace("ns").unwrap(), second.namespace("ns").unwrap());
    put(&from, "stale", b"v");
    let stale = export(&from, "stale");
    put(&to, "local", b"v");
    first.invalidate_all().unwrap();
    put(&from, "fresh", b"v");
    admitted(&to, "fresh", &export(&from, "fresh"));
    assert_eq!(miss(&to, "local"), MissReason::StaleEpoch);
    assert_eq!(refused(&to, "stale", &stale), MissReason::StaleEpoch);
    assert_hit(&to, "fresh", b"v");
}

#[test]
fn only_the_same_cache_and_key_can_be_joined() {
    let (here, there) = (Place::new(), Place::new());
    let first = here.open_known();
    let identity = first.identity().unwrap();
    let join = |identity: &[u8]| there.builder().key(known()).join(identity).open();
    for at in 0..identity.len() {
        let mut bad = identity.clone();
        bad[at] ^= 1;
        assert!(matches!(join(&bad), Err(Error::NotACache { .. })), "{at}");
    }
    let other_key = KeySource::Bytes(SecretBytes::copy_from(&[8; 32]).unwrap());
    let other = there.builder().key(other_key).join(&identity[..]).open();
    assert!(matches!(other, Err(Error::NotACache { .. })));
    assert!(!there.dir().join("CACHE").exists());
    let joined = join(&identity).unwrap();
    assert_eq!(joined.identity().unwrap(), identity);
    join(&identity).unwrap();
    // A cache that is another stays so.
    let third = Place::new();
    third.open_known();
    let third = third.builder().key(known()).join(&identity[..]).open();
    assert!(matches!(third, Err(Error::NotACache { .. })));
}

#[test]
fn a_reader_of_a_sealed_cache_admits_what_the_writer_signed() {
    let seed = SecretBytes::copy_from(&[42; 32]).unwrap();
    let (writer, reader) = (Place::new(), Place::new());
    let from = writer.builder().key(KeySource::Sealing(seed)).open().unwrap();
    let identity = from.identity().unwrap();
    let public = {
        use aws_lc_rs::signature::KeyPair as _;
        let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&[42; 32]).unwrap();
        pair.public_key().as_ref().try_into().unwrap()
    };
    let to = reader.builder().key(KeySource::Sealed(public)).join(identity).open().unwrap();
    let (from, to) = (
        from.namespace_with("ns", policy(Body::Sha256)).unwrap(),
        to.namespace_with("ns", policy(Body::Sha256)).unwrap(),
    );
    put(&from, "k", b"signed");
    let mut bytes = export(&from, "k");
    admitted(&to, "k", &bytes);
    assert_hit(&to, "k", b"signed");
    bytes[60] ^= 1;
    refused(&to, "k", &bytes);
    assert!(matches!(to.put(&key("k"), None, b"forged"), Err(Error::ReadOnlyKey)));
}
