//! SSH keys as age identities: the files `ssh-keygen` writes, and files the real `age` wrote for them.

#![allow(clippy::unwrap_used)]

use std::{fs, path::PathBuf};

use base64ct::{Base64, Encoding as _};
use dsops_secure_mem::SecretBytes;
use dsops_stores::age::{self, Error, Identity, IdentityFile, Recipient};

const OPEN: [&str; 3] = ["ed25519", "rsa2048", "rsa4096_pkcs1"];
const LOCKED: [&str; 3] = ["ed25519_passphrase", "ed25519_cbc", "rsa3072_passphrase"];

fn data(name: &str) -> Vec<u8> {
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/ssh").join(name)).unwrap()
}

fn recipient(name: &str) -> Recipient {
    String::from_utf8(data(&format!("{name}.pub"))).unwrap().parse().unwrap()
}

fn passphrase(text: &str) -> SecretBytes {
    SecretBytes::copy_from(text.as_bytes()).unwrap()
}

fn identity(name: &str) -> Identity {
    let mut file = IdentityFile::parse(&data(&format!("{name}.key"))).unwrap();
    match file.locked.pop() {
        Some(locked) => locked.unlock(&passphrase("hunter2")).unwrap().identities.remove(0),
        None => file.identities.remove(0),
    }
}

#[test]
fn what_age_wrote_for_a_key_is_read_with_it() {
    for name in OPEN.into_iter().chain(LOCKED) {
        let plaintext = age::decrypt_armored(&data(&format!("{name}.age")), &[identity(name)]);
        assert_eq!(&*plaintext.unwrap().expose(), format!("for {name}").as_bytes());
    }
}

#[test]
fn a_private_key_knows_its_public_key() {
    for name in OPEN.into_iter().chain(LOCKED) {
        assert_eq!(identity(name).recipient(), &recipient(name));
        let text = recipient(name).to_string();
        assert!(String::from_utf8(data(&format!("{name}.pub"))).unwrap().starts_with(&text));
        assert_eq!(text.parse::<Recipient>().unwrap(), recipient(name));
    }
    for name in LOCKED {
        let file = IdentityFile::parse(&data(&format!("{name}.key"))).unwrap();
        assert_eq!(file.locked[0].recipient(), Some(&recipient(name)));
    }
}

#[test]
fn what_is_written_for_keys_of_all_kinds_is_read_with_each_of_them() {
    let names = ["ed25519", "rsa2048", "rsa4096_pkcs1"];
    let own = Identity::generate().unwrap();
    let mut recipients = vec![own.recipient().clone()];
    recipients.extend(names.map(recipient));
    let file = age::encrypt(b"for all", &recipients).unwrap();
    for identity in names.map(identity).into_iter().chain([own]) {
        assert_eq!(&*age::decrypt(&file, &[identity]).unwrap().expose(), b"for all");
    }
    let stranger = age::decrypt(&file, &[Identity::generate().unwrap(), identity("ed25519_cbc")]);
    assert!(matches!(stranger, Err(Error::NoMatch { identities: 2, kinds }) if kinds.len() == 3));
}

#[test]
fn every_changed_byte_of_a_file_for_an_ssh_key_is_refused() {
    for name in ["ed25519", "rsa2048"] {
        let identities = [identity(name)];
        let file = age::encrypt(b"short", &[recipient(name)]).unwrap();
        for byte in 0..file.len() {
            let mut changed = file.clone();
            changed[byte] ^= 1;
            assert!(age::decrypt(&changed, &identities).is_err(), "{name}: byte {byte}");
        }
    }
}

#[test]
fn another_passphrase_opens_nothing() {
    for name in LOCKED {
        let file = IdentityFile::parse(&data(&format!("{name}.key"))).unwrap();
        let wrong = file.locked[0].unlock(&passphrase("hunter3"));
        assert!(matches!(wrong, Err(Error::WrongPassphrase)), "{name}");
    }
}

#[test]
fn keys_of_other_kinds_are_named_and_not_used() {
    for (name, kind) in [
        ("ecdsa", "ECDSA"),
        ("rsa2048_pem_encrypted", "old format"),
        ("ed25519_aes128", "another cipher"),
    ] {
        let file = IdentityFile::parse(&data(&format!("{name}.key"))).unwrap();
        assert!(file.identities.is_empty() && file.locked.is_empty());
        assert!(matches!(file.unsupported[..], [(1, found)] if found.contains(kind)), "{name}");
    }
    let error = IdentityFile::parse(&data("rsa1024.key")).unwrap_err().to_string();
    assert!(error.contains("2048 to 4096 bits"), "{error}");
}

/// A key of which any part is changed or cut off must give a typed error, or the same key where the
/// change is of no account (the comment).
#[test]
fn damaged_keys_are_refused() {
    for name in ["ed25519", "rsa2048", "rsa4096_pkcs1", "ed25519_passphrase"] {
        let whole = data(&format!("{name}.key"));
        for cut in (0..whole.len() - 1).step_by(7) {
            if let Ok(file) = IdentityFile::parse(&whole[..cut]) {
                assert!(file.identities.is_empty() && file.locked.is_empty(), "{name}: {cut}");
            }
        }
        for at in (40..whole.len() - 40).step_by(13) {
            let mut changed = whole.clone();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let Ok(file) = IdentityFile::parse(&changed) else { continue };
            for identity in file.identities {
                assert_eq!(identity.recipient(), &recipient(name), "{name}: {at}");
                let text = data(&format!("{name}.age"));
                let opened = age::decrypt_armored(&text, &[identity]);
                // A changed private number that no check of the file covers must open nothing.
                assert!(opened.is_ok() || matches!(opened, Err(Error::NoMatch { .. })));
            }
        }
    }
}

#[test]
fn nothing_of_a_key_is_shown() {
    let identity = identity("ed25519");
    assert_eq!(format!("{identity:?}"), format!("Identity(of {})", recipient("ed25519")));
    let error = identity.to_text().unwrap_err().to_string();
    assert_eq!(error, "writing an SSH key out is not supported");
}

/// The padding counts its bytes up from 1; more than a block of it is nobody's.
#[test]
fn padding_that_is_too_long_is_refused() {
    let key = String::from_utf8(data("ed25519.key")).unwrap();
    let lines: Vec<&str> = key.lines().collect();
    let body = lines[1..lines.len() - 1].concat();
    let mut buffer = [0u8; 4096];
    let mut bytes = Base64::decode(&body, &mut buffer).unwrap().to_vec();
    let length = |bytes: &[u8], at: usize| {
        usize::try_from(u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())).unwrap()
    };
    let start =
        (15..bytes.len() - 4).find(|at| length(&bytes, *at) == bytes.len() - at - 4).unwrap();
    let padding = bytes.last().copied().filter(|last| *last < 16).unwrap_or(0);
    bytes.extend((padding..=255).skip(1));
    bytes.extend(0..=255u8);
    let sealed = u32::try_from(bytes.len() - start - 4).unwrap();
    bytes[start..start + 4].copy_from_slice(&sealed.to_be_bytes());
    let encoded = Base64::encode(&bytes, &mut buffer).unwrap();
    let text = [lines[0], encoded, lines[lines.len() - 1]].join("\n");
    let error = IdentityFile::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("padding"), "{error}");
}

#[test]
fn a_file_cannot_have_a_key_tried_for_ever() {
    // Stanzas for another key, with the tag of ours.
    let tag = |file: &str| file.split_whitespace().nth(3).unwrap().to_owned();
    let text = |recipient: Recipient, count: usize| {
        let file = age::encrypt(b"x", &vec![recipient; count]).unwrap();
        file.iter().map(|byte| char::from(*byte)).collect::<String>()
    };
    let (ours, other) = (recipient("ed25519"), recipient("ed25519_passphrase"));
    let (own_tag, other_tag) = (tag(&text(ours, 1)), tag(&text(other.clone(), 1)));
    let decrypted = |count: usize| {
        let text = text(other.clone(), count).replace(&other_tag, &own_tag);
        let file: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap()).collect();
        age::decrypt(&file, &[identity("ed25519")]).unwrap_err().to_string()
    };
    assert!(!decrypted(16).contains("too many stanzas"));
    assert!(decrypted(17).contains("too many stanzas"), "{}", decrypted(17));
}
