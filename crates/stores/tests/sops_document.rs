//! Documents through the public API: round trips, edits, keys.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use dsops_secure_mem::SecretBytes;
use dsops_stores::{
    age::Identity,
    sops::{Document, Error, OpenDocument},
};
use proptest::prelude::*;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000)
}

fn secret(text: &str) -> SecretBytes {
    SecretBytes::copy_from(text.as_bytes()).unwrap()
}

fn created() -> (OpenDocument, Identity) {
    let identity = Identity::generate().unwrap();
    let recipients = [identity.recipient().clone()];
    (OpenDocument::create("new.yaml", &recipients, now()).unwrap(), identity)
}

fn reopen(document: &OpenDocument, identity: Identity) -> (OpenDocument, [Identity; 1]) {
    let identities = [identity];
    let parsed = Document::parse("new.yaml", document.text()).unwrap();
    (parsed.open(&identities).unwrap(), identities)
}

#[test]
fn values_survive_the_file() {
    let (mut document, identity) = created();
    assert!(document.set("TOKEN", &secret("hunter2"), now()).unwrap());
    assert!(document.set("db/password", &secret("ünï\n'quoted' \"x\": #"), now()).unwrap());
    assert!(document.set("empty", &secret(""), now()).unwrap());
    assert!(!document.text().contains("hunter2"));
    let (document, _) = reopen(&document, identity);
    assert_eq!(document.keys().unwrap(), ["TOKEN", "db/password", "empty"]);
    assert_eq!(&*document.get("TOKEN").unwrap().expose(), b"hunter2");
    assert_eq!(
        &*document.get("db/password").unwrap().expose(),
        "ünï\n'quoted' \"x\": #".as_bytes()
    );
    assert!(document.get("empty").unwrap().is_empty());
}

#[test]
fn a_value_that_makes_the_file_too_large_is_refused_as_that() {
    let (mut document, _) = created();
    document.set("a", &secret("x"), now()).unwrap();
    let before = document.text().to_owned();
    // As base64 it has more than the 8 MiB that a file may have.
    let large = SecretBytes::copy_from(&vec![b'v'; 6_300_000]).unwrap();
    let refused = document.set("b", &large, now()).unwrap_err();
    assert!(matches!(refused, Error::TooLarge { limit_bytes: 8_388_608, .. }), "{refused}");
    assert_eq!(document.text(), before);
}

#[test]
fn the_same_value_again_changes_nothing() {
    let (mut document, _) = created();
    document.set("a", &secret("x"), now()).unwrap();
    let before = document.text().to_owned();
    let later = now() + Duration::from_mins(1);
    assert!(!document.set("a", &secret("x"), later).unwrap());
    assert_eq!(document.text(), before);
    assert!(document.set("a", &secret("y"), later).unwrap());
    assert_ne!(document.text(), before);
}

#[test]
fn an_edit_touches_its_line_and_the_metadata_only() {
    let (mut document, identity) = created();
    for key in ["a", "b", "c"] {
        document.set(key, &secret(key), now()).unwrap();
    }
    let commented = document.text().replacen("\nb: ", "\n# about b\nb:    ", 1).replacen(
        "\nc: ",
        "\n\n\nc: ",
        1,
    );
    let mut document =
        Document::parse("new.yaml", commented.clone()).unwrap().open(&[identity]).unwrap();
    let later = now() + Duration::from_mins(1);
    document.set("b", &secret("new"), later).unwrap();
    let changed: Vec<(&str, &str)> =
        commented.lines().zip(document.text().lines()).filter(|(old, new)| old != new).collect();
    let starts: Vec<&str> = changed.iter().map(|(_, new)| new.split(':').next().unwrap()).collect();
    assert_eq!(starts, ["b", "    lastmodified", "    mac"]);
    document.unset("b", later).unwrap();
    assert!(document.text().contains("# about b\n\n\nc: "));
    assert_eq!(document.keys().unwrap(), ["a", "c"]);
}

#[test]
fn every_recipient_opens_it_and_a_stranger_is_told_who_can() {
    let identities: Vec<Identity> = (0..3).map(|_| Identity::generate().unwrap()).collect();
    let recipients: Vec<_> = identities.iter().map(|id| id.recipient().clone()).collect();
    let document = OpenDocument::create("team.yaml", &recipients, now()).unwrap();
    for identity in identities {
        Document::parse("team.yaml", document.text()).unwrap().open(&[identity]).unwrap();
    }
    let stranger = [Identity::generate().unwrap()];
    let error = Document::parse("team.yaml", document.text()).unwrap().open(&stranger).unwrap_err();
    assert!(matches!(error, Error::NoIdentity { .. }));
    for recipient in recipients {
        assert!(error.to_string().contains(&recipient.to_string()), "{error}");
    }
}

#[test]
fn wrong_keys_are_explained() {
    let (mut document, _) = created();
    document.set("db/password", &secret("x"), now()).unwrap();
    let error = document.get("db/pasword").unwrap_err();
    assert_eq!(error.to_string(), "new.yaml: there is no key `db/pasword`");
    assert_eq!(error.help().unwrap(), "did you mean `db/password`?");
    assert!(matches!(document.get("db"), Err(Error::NotAValue { kind: "a group of values", .. })));
    assert!(matches!(document.get("sops/mac"), Err(Error::Key { .. })));
    assert!(matches!(document.set("sops", &secret("x"), now()), Err(Error::Key { .. })));
    assert!(matches!(document.set("db", &secret("x"), now()), Err(Error::NotAValue { .. })));
    assert!(matches!(document.unset("nothing", now()), Err(Error::NotFound { .. })));
}

#[test]
fn a_value_is_never_written_in_the_clear() {
    let (mut document, _) = created();
    for key in ["note_unencrypted", "group_unencrypted/inner"] {
        let error = document.set(key, &secret("hunter2"), now()).unwrap_err();
        assert!(matches!(error, Error::Edit { .. }), "{error}");
    }
    assert!(!document.text().contains("hunter2"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_value_under_any_key_comes_back(
        entries in proptest::collection::vec(("[^/~]{1,8}", proptest::collection::vec(any::<u8>(), 0..80)), 1..5)
    ) {
        let (mut document, identity) = created();
        let mut expected: Vec<(String, Vec<u8>)> = Vec::new();
        for (key, value) in entries {
            prop_assume!(key != "sops" && !key.ends_with("_unencrypted"));
            document.set(&key, &SecretBytes::copy_from(&value).unwrap(), now()).unwrap();
            expected.retain(|(known, _)| *known != key);
            expected.push((key, value));
        }
        let (mut document, _) = reopen(&document, identity);
        for (key, value) in &expected {
            let got = document.get(key).unwrap();
            prop_assert_eq!(&*got.expose(), value.as_slice());
        }
        for (key, _) in &expected {
            document.unset(key, now()).unwrap();
        }
        prop_assert!(document.keys().unwrap().is_empty());
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        let _ = Document::parse("x.yaml", text);
    }

    #[test]
    fn arbitrary_damage_never_panics_and_never_opens(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (mut document, identity) = created();
        document.set("list/a", &secret("x"), now()).unwrap();
        let mut bytes = document.text().as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes)
            && text != document.text()
            && let Ok(parsed) = Document::parse("x.yaml", text)
            && let Ok(open) = parsed.open(&[identity])
        {
            // Only what the format does not protect may differ: layout and names of recipients.
            let got = open.get("list/a").unwrap();
            prop_assert_eq!(&*got.expose(), b"x");
        }
    }
}
