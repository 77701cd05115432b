//! Every kind of tampering that the format lets anyone notice, each refused with its error; and
//! the kinds that it does not, so that the documentation stays true.
//!
//! The files in `tests/data` were written by sops 3.11.0 for the example identity of the age
//! specification.

#![allow(clippy::unwrap_used)]

use std::error::Error as _;

use dsops_stores::{
    age::{self, Identity},
    sops::{Document, Error, OpenDocument},
};

const IDENTITY: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
const MARKER: &str = "MARKER-of-a-secret-value";
const TEXT: &str = include_str!("data/newer.sops.yaml");
const OLDER: &str = include_str!("data/older.sops.yaml");
const OTHER: &str = include_str!("data/other.sops.yaml");
const MAC_ONLY: &str = include_str!("data/mac-only.sops.yaml");

fn open(text: &str) -> Result<OpenDocument, Error> {
    Document::parse("f.yaml", text)?.open(&[Identity::parse(IDENTITY.as_bytes()).unwrap()])
}

/// The line of a key, without its line break.
fn line<'a>(text: &'a str, key: &str) -> &'a str {
    let start = format!("{key}:");
    text.lines().find(|line| line.trim_start().starts_with(&start)).unwrap()
}

fn value<'a>(text: &'a str, key: &str) -> &'a str {
    line(text, key).split_once(": ").unwrap().1
}

fn with_value(key: &str, new: &str) -> String {
    let old = line(TEXT, key);
    TEXT.replacen(old, &old.replacen(value(TEXT, key), new, 1), 1)
}

fn without_line(key: &str) -> String {
    TEXT.replacen(&format!("{}\n", line(TEXT, key)), "", 1)
}

fn swapped(one: &str, two: &str) -> String {
    TEXT.replacen(one, "\0", 1).replacen(two, one, 1).replacen('\0', two, 1)
}

/// Changes the first character of a part (`data`, `iv`, `tag`) of a value.
fn flipped(key: &str, part: &str) -> String {
    let mut changed = value(TEXT, key).to_owned();
    let at = changed.find(&format!("{part}:")).unwrap() + part.len() + 1;
    let flipped = if changed.as_bytes()[at] == b'A' { "B" } else { "A" };
    changed.replace_range(at..=at, flipped);
    with_value(key, &changed)
}

/// The wrapped data key as it stands in a document.
fn wrapped(text: &str) -> &str {
    let end = text.find("-----END AGE ENCRYPTED FILE-----").unwrap();
    &text[text.find("-----BEGIN").unwrap()..end]
}

/// An armored age file for the recipient, indented as in a document.
fn wrap(data_key: &[u8]) -> String {
    let recipient = Identity::parse(IDENTITY.as_bytes()).unwrap().recipient().clone();
    let armored = age::encrypt_armored(data_key, &[recipient]).unwrap();
    let end = armored.find("-----END").unwrap();
    armored[..end].replace('\n', "\n            ")
}

fn variant(error: &Error) -> String {
    format!("{error:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// What was done, the document after it, and the error that has to come of it.
#[allow(clippy::too_many_lines, reason = "a table")]
fn tamperings() -> Vec<(&'static str, String, &'static str)> {
    let first = line(TEXT, "first");
    let second = line(TEXT, "second");
    let mac = value(TEXT, "mac");
    let alphas: Vec<&str> =
        TEXT.lines().filter(|line| line.trim_start().starts_with("- ENC[")).collect();
    let group = &TEXT[TEXT.find("group:").unwrap()..TEXT.find("empty:").unwrap()];
    vec![
        ("data flipped", flipped("first", "data"), "Changed"),
        ("iv flipped", flipped("first", "iv"), "Changed"),
        ("tag flipped", flipped("first", "tag"), "Changed"),
        ("data flipped in a group", flipped("inner", "data"), "Changed"),
        ("data emptied", with_value("first", "ENC[AES256_GCM,data:,iv:,tag:,type:str]"), "Value"),
        (
            "data cut",
            with_value("second", &value(TEXT, "second").replacen("data:JZe0", "data:", 1)),
            "Changed",
        ),
        (
            "tag cut",
            with_value("first", &value(TEXT, "first").replacen("==,type", ",type", 1)),
            "Value",
        ),
        (
            "iv cut",
            with_value("first", &value(TEXT, "first").replacen("iv:e5PD", "iv:", 1)),
            "Value",
        ),
        ("value cut off", with_value("first", &value(TEXT, "first")[..60]), "Value"),
        ("value replaced by plain text", with_value("first", "hunter2"), "Value"),
        ("value replaced by a number", with_value("first", "42"), "Value"),
        ("value emptied", with_value("first", "\"\""), "Mac"),
        ("value made null", with_value("first", "null"), "Mac"),
        ("two values swapped", swapped(value(TEXT, "first"), value(TEXT, "second")), "Changed"),
        ("value copied to another key", with_value("second", value(TEXT, "first")), "Changed"),
        ("value moved into a group", with_value("inner", value(TEXT, "first")), "Changed"),
        ("value of another file", with_value("first", value(OTHER, "first")), "Changed"),
        ("value of an older version", with_value("second", value(OLDER, "second")), "Mac"),
        ("key renamed", TEXT.replacen("first:", "First:", 1), "Changed"),
        ("group renamed", TEXT.replacen("group:", "groups:", 1), "Changed"),
        ("entry removed", without_line("first"), "Mac"),
        ("group removed", TEXT.replacen(group, "", 1), "Mac"),
        ("last item of a list removed", TEXT.replacen(&format!("{}\n", alphas[1]), "", 1), "Mac"),
        ("entry doubled", TEXT.replacen(first, &format!("{first}\n{first}"), 1), "Syntax"),
        ("entry added in the clear", TEXT.replacen(first, &format!("{first}\nnew: x"), 1), "Value"),
        (
            "clear entry added",
            TEXT.replacen(first, &format!("{first}\nnew_unencrypted: x"), 1),
            "Mac",
        ),
        (
            "item of a list repeated",
            TEXT.replacen(alphas[0], &format!("{0}\n{0}", alphas[0]), 1),
            "Mac",
        ),
        ("items of a list reordered", swapped(alphas[0], alphas[1]), "Mac"),
        ("entries reordered", swapped(first, second), "Mac"),
        (
            "type of a number changed",
            with_value("third", &value(TEXT, "third").replace("type:str", "type:bool")),
            "Value",
        ),
        (
            "type of text changed to int",
            with_value("first", &value(TEXT, "first").replace("type:str", "type:int")),
            "Value",
        ),
        (
            "value relabelled a comment",
            with_value("first", &value(TEXT, "first").replace("type:str", "type:comment")),
            "Mac",
        ),
        (
            "type unknown",
            with_value("first", &value(TEXT, "first").replace("type:str", "type:other")),
            "Value",
        ),
        ("clear text changed", with_value("note_unencrypted", "other"), "Mac"),
        ("clear number changed", with_value("port_unencrypted", "8081"), "Mac"),
        ("clear entry removed", without_line("note_unencrypted"), "Mac"),
        ("clear key without its suffix", TEXT.replacen("note_unencrypted:", "note:", 1), "Value"),
        ("encrypted key given the suffix", TEXT.replacen("first:", "first_unencrypted:", 1), "Mac"),
        ("lastmodified changed", with_value("lastmodified", "\"2020-01-01T00:00:00Z\""), "Mac"),
        ("lastmodified no time", with_value("lastmodified", "yesterday"), "Metadata"),
        ("lastmodified removed", without_line("lastmodified"), "Metadata"),
        ("mac removed", without_line("mac"), "Metadata"),
        ("mac emptied", with_value("mac", "\"\""), "Metadata"),
        ("mac flipped", flipped("mac", "data"), "Mac"),
        ("mac of an older version", with_value("mac", value(OLDER, "mac")), "Mac"),
        (
            "mac and time of an older version",
            TEXT.replacen(mac, value(OLDER, "mac"), 1).replacen(
                value(TEXT, "lastmodified"),
                value(OLDER, "lastmodified"),
                1,
            ),
            "Mac",
        ),
        ("mac of another file", with_value("mac", value(OTHER, "mac")), "Mac"),
        ("mac replaced by a value", with_value("mac", value(TEXT, "first")), "Mac"),
        ("mac in the clear", with_value("mac", &"0".repeat(128)), "Mac"),
        ("mac relabelled", with_value("mac", &mac.replace("type:str", "type:bytes")), "Mac"),
        (
            "mac_only_encrypted added",
            TEXT.replacen("    version:", "    mac_only_encrypted: true\n    version:", 1),
            "Mac",
        ),
        (
            "mac_only_encrypted removed",
            MAC_ONLY.replacen("    mac_only_encrypted: true\n", "", 1),
            "Mac",
        ),
        ("suffix changed", with_value("unencrypted_suffix", "st"), "Value"),
        ("suffix made to fit an encrypted key", with_value("unencrypted_suffix", "irst"), "Value"),
        (
            "rule turned round",
            TEXT.replacen("unencrypted_suffix: _un", "encrypted_suffix: _un", 1),
            "Value",
        ),
        (
            "two rules",
            TEXT.replacen("    version:", "    encrypted_suffix: x\n    version:", 1),
            "Metadata",
        ),
        (
            "rule by regular expression",
            TEXT.replacen("unencrypted_suffix: _unencrypted", "encrypted_regex: ^x", 1),
            "Mac",
        ),
        ("wrapped key of another file", TEXT.replacen(wrapped(TEXT), wrapped(OTHER), 1), "Changed"),
        (
            "wrapped key made by a stranger",
            TEXT.replacen(wrapped(TEXT), &wrap(&[7; 32]), 1),
            "Changed",
        ),
        ("wrapped key too short", TEXT.replacen(wrapped(TEXT), &wrap(&[7; 16]), 1), "Metadata"),
        (
            "wrapped key flipped",
            TEXT.replacen(
                &wrapped(TEXT)[wrapped(TEXT).len() - 30..],
                &wrapped(TEXT)[wrapped(TEXT).len() - 30..]
                    .replace(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'], "Z"),
                1,
            ),
            "WrappedKey",
        ),
        ("armor broken", TEXT.replacen("-----BEGIN AGE", "-----BEGIN", 1), "WrappedKey"),
        (
            "recipients removed",
            format!(
                "{}    age: []\n{}",
                &TEXT[..TEXT.find("    age:").unwrap()],
                &TEXT[TEXT.find("    lastmodified").unwrap()..]
            ),
            "Metadata",
        ),
        (
            "only a pgp recipient",
            format!(
                "{}    pgp:\n        - fp: X\n          enc: X\n{}",
                &TEXT[..TEXT.find("    age:").unwrap()],
                &TEXT[TEXT.find("    lastmodified").unwrap()..]
            ),
            "NoAgeRecipient",
        ),
        (
            "key groups",
            TEXT.replacen("    age:", "    key_groups:\n        - age: []\n    age:", 1),
            "Metadata",
        ),
        ("version removed", without_line("version"), "Metadata"),
        ("version of another format", with_value("version", "1.14"), "Unsupported"),
        ("sops section removed", TEXT[..TEXT.find("sops:").unwrap()].to_owned(), "NotSops"),
        (
            "sops section not a mapping",
            format!("{}sops: x\n", &TEXT[..TEXT.find("sops:").unwrap()]),
            "Metadata",
        ),
        (
            "cut off in the wrapped key",
            TEXT[..TEXT.find("-----END").unwrap()].to_owned(),
            "Metadata",
        ),
        ("cut off in the data", TEXT[..TEXT.find("number:").unwrap()].to_owned(), "NotSops"),
        ("a second document", format!("{TEXT}---\nfirst: x\n"), "Syntax"),
        (
            "an alias",
            TEXT.replacen("first: ENC", "first: &x ENC", 1).replacen(
                value(TEXT, "second"),
                "*x",
                1,
            ),
            "Unsupported",
        ),
        ("a list at the top", "- a\n- sops\n".to_owned(), "NotSops"),
        (
            "a merge conflict",
            TEXT.replacen(
                second,
                &format!("<<<<<<< ours\n{second}\n=======\n{second}\n>>>>>>> theirs"),
                1,
            ),
            "Syntax",
        ),
        ("empty", String::new(), "NotSops"),
    ]
}

#[test]
fn the_untouched_files_open() {
    for text in [TEXT, OLDER, OTHER, MAC_ONLY] {
        let document = open(text).unwrap();
        assert_eq!(&*document.get("group/inner").unwrap().expose(), MARKER.as_bytes());
        assert_eq!(&*document.get("flag").unwrap().expose(), b"true");
        assert_eq!(&*document.get("number").unwrap().expose(), b"42");
        assert_eq!(&*document.get("port_unencrypted").unwrap().expose(), b"8080");
        assert_eq!(document.keys().unwrap().len(), 11);
    }
}

#[test]
fn every_tampering_is_refused_with_its_error() {
    let mut wrong = Vec::new();
    for (what, text, expected) in tamperings() {
        assert_ne!(text, TEXT, "{what}");
        match open(&text) {
            Err(error) if variant(&error) == expected => {}
            Err(error) => wrong.push(format!("{what}: want {expected}, got {error:?}")),
            Ok(_) => wrong.push(format!("{what}: want {expected}, but it opens")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_error_shows_a_value() {
    let plain = ["one", "changed later", "alpha", "hunter2", MARKER, "clear", "8080"];
    for (what, text, _) in tamperings() {
        let error = open(&text).unwrap_err();
        let mut shown = format!("{error} {error:?} {:?}", error.help());
        let mut source = error.source();
        while let Some(cause) = source {
            shown.extend([" ", &cause.to_string(), " ", &format!("{cause:?}")]);
            source = cause.source();
        }
        let data = value(TEXT, "first").get(20..40).unwrap();
        assert!(!shown.contains(data), "{what}: {shown}");
        for word in plain {
            // Words of our own messages do not count.
            let leaked = shown.split(|c: char| !c.is_alphanumeric() && c != '-').any(|w| w == word);
            assert!(!leaked || word == "clear" || word == "one", "{what} shows {word}: {shown}");
        }
    }
}

#[test]
fn errors_name_file_line_and_column_and_a_next_step() {
    for (what, text, _) in tamperings() {
        let error = open(&text).unwrap_err();
        assert!(error.to_string().starts_with("f.yaml:"), "{what}: {error}");
        if variant(&error) != "Syntax" {
            assert!(error.help().is_some(), "{what}");
        }
    }
    let error = open(&flipped("first", "data")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "f.yaml:2:8: the value of `first` was changed, or moved here from another key or file"
    );
}

/// Listed in the documentation of the module. If one of these is refused one day, say so there.
#[test]
fn what_the_format_does_not_protect() {
    let first = line(TEXT, "first");
    let recipient = value(TEXT, "- recipient");
    for (what, text) in [
        ("a comment", TEXT.replacen("# made by", "# not made by", 1)),
        ("the name of a recipient", TEXT.replacen(recipient, "age1someoneelse", 1)),
        ("the name of a clear key", TEXT.replacen("note_unencrypted", "hint_unencrypted", 1)),
        ("the name of an empty entry", TEXT.replacen("empty:", "void:", 1)),
        ("an empty entry removed", TEXT.replacen("empty: \"\"\n", "", 1)),
        ("an empty entry added", TEXT.replacen(first, &format!("{first}\nnew: \"\""), 1)),
        ("a null entry added", TEXT.replacen(first, &format!("{first}\nnew: null"), 1)),
        (
            "where clear values end",
            TEXT.replacen("note_unencrypted: clear", "note_unencrypted: clear8", 1)
                .replacen("8080", "\"080\"", 1),
        ),
        ("the type of a clear value", TEXT.replacen("8080", "\"8080\"", 1)),
        (
            "the type of a value whose text fits both",
            with_value("third", &value(TEXT, "third").replace("type:str", "type:int")),
        ),
        (
            "clear values, with mac_only_encrypted",
            MAC_ONLY.replacen("note_unencrypted: clear", "note_unencrypted: other", 1),
        ),
        ("an older version of the file", OLDER.to_owned()),
    ] {
        assert_ne!(text, TEXT, "{what}");
        assert!(open(&text).is_ok(), "{what}");
    }
}
