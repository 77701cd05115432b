//! Documents at the edges of what sops writes: odd line breaks, names and numbers, lone comments.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use dsops_secure_mem::SecretBytes;
use dsops_stores::{
    age::Identity,
    sops::{CreationRule, Document, Format, OpenDocument},
};

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

fn text(bytes: &SecretBytes) -> String {
    String::from_utf8(bytes.expose().to_vec()).unwrap()
}

/// A new document that has this plaintext, read back from its text.
fn written(file: &str, setting: &str, plain: &str) -> OpenDocument {
    let identity = Identity::generate().unwrap();
    let rules = format!("creation_rules:\n  - age: {}\n    {setting}\n", identity.recipient());
    let rule = CreationRule::of(".sops.yaml", &rules, file).unwrap().unwrap();
    let mut open = OpenDocument::create_by(Format::of(file), file, &rule, now()).unwrap();
    open.apply_plaintext(&SecretBytes::copy_from(plain.as_bytes()).unwrap(), now()).unwrap();
    Document::parse(file, open.text()).unwrap().open(&[identity]).unwrap()
}

#[test]
fn carriage_returns_are_part_of_the_values_of_dotenv_and_of_nothing_else() {
    let plain = "A_open=x\r\nB=y\r\n";
    let mut open = written("f.env", "unencrypted_suffix: _open", plain);
    assert_eq!(text(&open.get("B").unwrap()), "y\r");
    assert_eq!(text(&open.plaintext().unwrap()), plain);
    open.set("C", &SecretBytes::copy_from(b"z").unwrap(), now()).unwrap();
    open.rekey(now()).unwrap();
    assert_eq!(text(&open.plaintext().unwrap()), format!("{plain}C=z\n"));
}

#[test]
fn comments_without_any_value_are_encrypted() {
    for (file, plain) in [("f.yaml", "# note\n"), ("f.env", "# note\n"), ("f.ini", "; note\n")] {
        let open = written(file, "", plain);
        assert!(!open.text().contains("note"), "{}", open.text());
        assert_eq!(text(&open.plaintext().unwrap()).trim_end(), plain.trim_end());
    }
}

#[test]
fn a_colon_in_a_name_is_not_two_names_to_a_rule() {
    let plain = "\"x:open\":\n  # note\n  a: \"1\"\n";
    let open = written("f.yaml", "unencrypted_regex: ^open$", plain);
    assert!(!open.text().contains("note"), "{}", open.text());
    assert!(text(&open.plaintext().unwrap()).contains("# note"));
}

#[test]
fn what_is_below_a_name_without_a_letter_is_not_taken_for_another() {
    for file in ["f.yaml", "f.json"] {
        for plain in
            ["{\"a\": \"1\", \"\": {\"a\": \"2\"}}", "{\"\": {\"a\": \"2\"}, \"a\": \"1\"}"]
        {
            let open = written(file, "", plain);
            assert_eq!(text(&open.get("a").unwrap()), "1", "{file}: {plain}");
        }
    }
}

#[test]
fn a_zero_keeps_its_sign() {
    for (file, plain) in [("f.yaml", "a: -0.0\n"), ("f.json", "{\"a\": -0, \"b_open\": -0}")] {
        let mut open = written(file, "unencrypted_suffix: _open", plain);
        assert_eq!(text(&open.get("a").unwrap()), "-0");
        let again = text(&open.plaintext().unwrap());
        let spaced = SecretBytes::copy_from(format!("{again}\n").as_bytes()).unwrap();
        let changes = open.apply_plaintext(&spaced, now()).unwrap();
        assert!(changes.changed.is_empty(), "{again}: {changes:?}");
    }
}
