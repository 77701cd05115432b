//! The public API: what goes in comes out, in every mode, and nothing else does.
#![allow(clippy::unwrap_used, reason = "tests")]

use dsops_secure_mem::{
    AtRest, Backend, Error, Policy, SecretBytes, SecretStr, Vault, VaultBuilder, Writer,
};
use proptest::prelude::*;
use secrecy::ExposeSecret;
use std::io::{self, Read, Write};
use subtle::ConstantTimeEq;

const LENGTHS: [usize; 12] = [0, 1, 15, 16, 17, 32, 255, 257, 4096, 8192, 70_000, 1 << 20];

/// One vault of each kind that behaves differently.
fn vaults() -> Vec<(&'static str, Vault)> {
    let builders: [(&str, VaultBuilder); 6] = [
        ("default", Vault::builder()),
        ("no access", Vault::builder().at_rest(AtRest::NoAccess)),
        ("encrypted", Vault::builder().at_rest(AtRest::Encrypted)),
        ("locked", Vault::builder().best_backend(Backend::Locked)),
        ("locked open", Vault::builder().best_backend(Backend::Locked).at_rest(AtRest::Open)),
        ("wipe only", Vault::builder().best_backend(Backend::WipeOnly)),
    ];
    builders.into_iter().map(|(name, builder)| (name, builder.build().unwrap())).collect()
}

fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (1..=u8::MAX).cycle().skip(seed * 7 % 255).take(len).collect()
}

#[test]
fn what_goes_in_comes_out_in_every_mode() {
    for (name, vault) in vaults() {
        for len in LENGTHS {
            let value = pattern(len, 1);
            let mut source = value.clone();
            let mut secret = vault.adopt(&mut source).unwrap();
            assert!(source.iter().all(|&b| b == 0), "{name} {len}: the source is wiped");
            assert_eq!(secret.len(), len);
            assert_eq!(&*secret.expose(), &value[..], "{name} {len}");
            assert_eq!(&*secret.expose(), &value[..], "{name} {len}, again");
            if len > 0 {
                secret.expose_mut()[0] ^= 0xFF;
                assert_eq!(secret.expose()[0], value[0] ^ 0xFF, "{name} {len}, changed");
                secret.expose_mut()[0] ^= 0xFF;
            }
            for shorter in [len * 2 / 3, len / 5, 0] {
                secret.truncate(shorter);
                assert_eq!(&*secret.expose(), &value[..shorter], "{name} {len} to {shorter}");
            }
        }
        vault.check();
        assert!(vault.trim() > 0, "{name}: everything is empty now");
        assert_eq!(&*vault.copy_from(b"after").unwrap().expose(), b"after", "{name}");
    }
}

#[test]
fn two_guards_see_the_same_bytes() {
    for (name, vault) in vaults() {
        let secret = vault.copy_from(b"shared").unwrap();
        let (one, two) = (secret.expose(), secret.expose());
        assert_eq!(&*one, &*two, "{name}");
        drop(one);
        assert_eq!(&*two, b"shared", "{name}");
        drop(two);
        assert_eq!(&*secret.expose(), b"shared", "{name}");
    }
}

#[test]
fn a_forgotten_guard_does_no_harm() {
    for (name, vault) in vaults() {
        let mut secret = vault.copy_from(b"forgotten").unwrap();
        std::mem::forget(secret.expose());
        secret.expose_mut()[0] = b'F';
        assert_eq!(&*secret.expose(), b"Forgotten", "{name}");
        secret.truncate(3);
        assert_eq!(&*secret.expose(), b"For", "{name}");
        drop(secret);
        assert_eq!(&*vault.copy_from(b"next").unwrap().expose(), b"next", "{name}");
    }
}

#[test]
fn build_keeps_what_the_filler_used() {
    for (name, vault) in vaults() {
        let secret = vault
            .build::<Error>(100, |room| {
                assert!(room.iter().all(|&b| b == 0), "{name}: a slot starts with zeros");
                room.fill(b'x');
                Ok(40)
            })
            .unwrap();
        assert_eq!(&*secret.expose(), &[b'x'; 40], "{name}");
        let refused = vault.build(10, |_| Err(Error::TooLarge { limit_bytes: 3 }));
        assert!(matches!(refused, Err(Error::TooLarge { limit_bytes: 3 })), "{name}");
    }
}

#[test]
#[should_panic(expected = "used 11 bytes of 10")]
fn build_refuses_a_filler_that_claims_too_much() {
    let _ = SecretBytes::build::<Error>(10, |_| Ok(11));
}

/// Gives its bytes in odd pieces, with interruptions.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        if self.1.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = self.0.len().min(room.len()).min(self.1 * 97 % 1500 + 1);
        room[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn reading_stops_at_the_limit_and_not_before() {
    for (name, vault) in vaults() {
        for len in [0, 1, 1007, 1008, 1009, 50_000] {
            let value = pattern(len, 2);
            let secret = vault.from_reader(&mut Trickle(&value, 0), len).unwrap();
            assert_eq!(&*secret.expose(), &value[..], "{name} {len}");
            if len > 0 {
                let refused = vault.from_reader(&mut Trickle(&value, 0), len - 1);
                assert!(matches!(refused, Err(Error::TooLarge { .. })), "{name} {len}");
            }
        }
    }
}

#[test]
fn a_failing_reader_is_an_error_with_its_cause() {
    let mut failing = io::Cursor::new(b"begin").chain(FailingReader);
    let error = SecretBytes::from_reader(&mut failing, 100).unwrap_err();
    assert!(matches!(error, Error::Read(ref cause) if cause.to_string() == "broken pipe"));
}

struct FailingReader;

impl Read for FailingReader {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("broken pipe"))
    }
}

#[test]
fn a_reader_that_lies_is_refused() {
    struct Liar;
    impl Read for Liar {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            Ok(room.len() + 1)
        }
    }
    assert!(matches!(SecretBytes::from_reader(&mut Liar, 10_000), Err(Error::Read(_))));
}

#[test]
fn a_writer_joins_its_pieces() {
    for (name, vault) in vaults() {
        for (pieces, size) in [(1, 40), (3, 40), (100, 37), (7, 30_000), (1, 0)] {
            let mut writer = vault.writer();
            let mut model = Vec::new();
            for piece in 0..pieces {
                let bytes = pattern(size, piece);
                writer.push(&bytes).unwrap();
                model.extend(bytes);
            }
            assert_eq!(writer.len(), model.len());
            let secret = writer.finish().unwrap();
            assert_eq!(&*secret.expose(), &model[..], "{name} {pieces} x {size}");
        }
        let empty = vault.writer().finish().unwrap();
        assert!(empty.is_empty() && empty.expose().is_empty(), "{name}");
    }
}

#[test]
fn a_writer_keeps_its_limit_and_what_it_had() {
    let mut writer = Writer::with_limit(10);
    writer.push(b"12345678").unwrap();
    assert!(matches!(writer.push(b"901"), Err(Error::TooLarge { limit_bytes: 10 })));
    assert!(writer.write_all(b"901").is_err());
    writer.push(b"90").unwrap();
    assert_eq!(&*writer.finish().unwrap().expose(), b"1234567890");
}

#[test]
fn equality_is_constant_time_and_right() {
    let make = |bytes: &[u8]| SecretBytes::copy_from(bytes).unwrap();
    assert!(bool::from(make(b"same").ct_eq(&make(b"same"))));
    assert!(!bool::from(make(b"same").ct_eq(&make(b"sane"))));
    assert!(!bool::from(make(b"same").ct_eq(&make(b"same longer"))));
}

#[test]
fn nothing_prints_a_value() {
    let mut secret = SecretBytes::copy_from(b"hunter2hunter2").unwrap();
    let mut writer = Writer::new();
    writer.push(b"hunter2").unwrap();
    let mut texts = vec![
        format!("{secret:?}"),
        format!("{:?}", secret.expose()),
        format!("{writer:?}"),
        format!("{:?}", dsops_secure_mem::vault()),
        format!("{:?}", secret.expose_mut()),
    ];
    let text = SecretStr::from_utf8(secret).unwrap();
    texts.extend([format!("{text:?}"), format!("{:?}", text.expose())]);
    for printed in texts {
        assert!(!printed.contains("hunter"), "{printed}");
        assert!(!printed.contains("104, 117"), "{printed}");
    }
}

#[test]
fn text_is_checked_and_the_offset_told() {
    let bad = SecretBytes::copy_from(b"good\xFFbad").unwrap();
    assert!(matches!(SecretStr::from_utf8(bad), Err(Error::NotUtf8 { offset: 4 })));
    let good = SecretStr::from_utf8(SecretBytes::copy_from("häh".as_bytes()).unwrap()).unwrap();
    assert_eq!(&*good.expose(), "häh");
    assert_eq!(good.expose().expose_secret(), "häh");
    assert_eq!(&*good.into_bytes().expose(), "häh".as_bytes());
}

#[test]
fn secrecy_values_come_in_and_guards_serve_its_trait() {
    fn length<S: ExposeSecret<[u8]>>(secret: &S) -> usize {
        secret.expose_secret().len()
    }
    let secret = SecretBytes::try_from(secrecy::SecretSlice::from(vec![7u8; 20])).unwrap();
    assert_eq!(length(&secret.expose()), 20);
    let text = SecretStr::try_from(secrecy::SecretString::from("hello")).unwrap();
    assert_eq!(&*text.expose(), "hello");
}

#[test]
fn a_cap_is_an_error_under_strict_and_a_report_under_degrade() {
    let strict = Vault::builder().policy(Policy::Strict).cap_bytes(16 * 1024).build().unwrap();
    assert!(strict.copy_from(&[1; 8000]).is_ok());
    let refused = strict.copy_from(&vec![1; 20_000]).unwrap_err();
    assert!(refused.to_string().contains("cap of 16384 bytes"), "{refused}");
    assert!(strict.protection().locked);
}

#[test]
fn secrets_are_shared_between_threads() {
    fn assert_send_sync<T: Send + Sync>(_: &T) {}
    let secret = SecretBytes::copy_from(b"threads").unwrap();
    assert_send_sync(&secret);
    assert_send_sync(&secret.expose());
}

/// What the model does next.
#[derive(Debug, Clone)]
enum Step {
    Make(usize),
    Drop(usize),
    Truncate(usize, usize),
    Change(usize),
    Write(Vec<usize>),
    Trim,
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![4 => 0usize..100, 2 => 100usize..5000, 1 => 5000usize..200_000];
    prop_oneof![
        5 => len.prop_map(Step::Make),
        3 => any::<usize>().prop_map(Step::Drop),
        1 => (any::<usize>(), 0usize..5000).prop_map(|(which, len)| Step::Truncate(which, len)),
        1 => any::<usize>().prop_map(Step::Change),
        1 => prop::collection::vec(0usize..2000, 0..8).prop_map(Step::Write),
        1 => Just(Step::Trim),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// The allocator against a list of vectors: contents, canaries and the count of live blocks agree.
    #[test]
    fn the_allocator_agrees_with_a_list_of_vectors(
        steps in prop::collection::vec(step(), 1..60),
        which in 0usize..6,
    ) {
        let (_, vault) = vaults().swap_remove(which);
        let mut model: Vec<(SecretBytes, Vec<u8>)> = Vec::new();
        for (seed, step) in steps.into_iter().enumerate() {
            match step {
                Step::Make(len) => {
                    let value = pattern(len, seed);
                    model.push((vault.copy_from(&value).unwrap(), value));
                }
                Step::Write(pieces) => {
                    let mut writer = vault.writer();
                    let mut value = Vec::new();
                    for len in pieces {
                        let piece = pattern(len, seed);
                        writer.push(&piece).unwrap();
                        value.extend(piece);
                    }
                    model.push((writer.finish().unwrap(), value));
                }
                Step::Trim => { vault.trim(); }
                Step::Drop(_) | Step::Truncate(..) | Step::Change(_) if model.is_empty() => {}
                Step::Drop(at) => { model.swap_remove(at % model.len()); }
                Step::Truncate(at, len) => {
                    let at = at % model.len();
                    let (secret, value) = &mut model[at];
                    secret.truncate(len);
                    value.truncate(len);
                }
                Step::Change(at) => {
                    let at = at % model.len();
                    let (secret, value) = &mut model[at];
                    secret.expose_mut().fill(0x5A);
                    value.fill(0x5A);
                }
            }
            prop_assert_eq!(vault.check(), model.len());
        }
        for (secret, value) in &model {
            prop_assert_eq!(&*secret.expose(), &value[..]);
        }
        let report = vault.protection();
        prop_assert!(report.used_bytes <= report.capacity_bytes);
        drop(model);
        prop_assert_eq!(vault.check(), 0);
    }
}
