//! Documents in every format: made, edited in place, edited as a whole, renewed, without the real
//! sops.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use dsops_secure_mem::SecretBytes;
use dsops_stores::{
    age::Identity,
    sops::{Changes, CreationRule, Document, EntryKind, Error, Format, OpenDocument, ValueType},
};
use proptest::prelude::*;

const NAMED: [(&str, Format); 4] = [
    ("f.yaml", Format::Yaml),
    ("f.json", Format::Json),
    ("f.env", Format::Dotenv),
    ("f.ini", Format::Ini),
];

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

fn secret(text: &str) -> SecretBytes {
    SecretBytes::copy_from(text.as_bytes()).unwrap()
}

fn text(bytes: &SecretBytes) -> String {
    String::from_utf8(bytes.expose().to_vec()).unwrap()
}

/// A key that the format can hold.
fn key(format: Format, name: &str) -> String {
    match format {
        Format::Dotenv => name.to_owned(),
        _ => format!("group/{name}"),
    }
}

fn reopen(open: &OpenDocument, file: &str, identity: &Identity) -> OpenDocument {
    Document::parse(file, open.text()).unwrap().open(&[identity]).unwrap()
}

fn edited(open: &mut OpenDocument, edit: impl Fn(String) -> String) -> Changes {
    let plain = text(&open.plaintext().unwrap());
    open.apply_plaintext(&secret(&edit(plain)), now()).unwrap()
}

#[test]
fn every_format_is_made_edited_and_read() {
    let identity = Identity::generate().unwrap();
    for (file, format) in NAMED {
        assert_eq!(Format::of(file), format);
        let mut open = OpenDocument::create(file, &[identity.recipient().clone()], now()).unwrap();
        assert!(open.keys().unwrap().is_empty());
        let (one, two) = (key(format, "ONE"), key(format, "TWO"));
        assert!(open.set(&one, &secret("first \"value\"\n#;`'"), now()).unwrap());
        assert!(open.set(&two, &secret("2"), now()).unwrap());
        assert!(!open.set(&two, &secret("2"), now()).unwrap());
        let mut open = reopen(&open, file, &identity);
        assert_eq!(text(&open.get(&one).unwrap()), "first \"value\"\n#;`'");
        assert_eq!(open.keys().unwrap(), [one.clone(), two.clone()]);
        open.unset(&one, now()).unwrap();
        let open = reopen(&open, file, &identity);
        assert_eq!(open.keys().unwrap(), [two], "{}", open.text());
    }
}

#[test]
fn types_are_kept_and_checked() {
    let identity = Identity::generate().unwrap();
    for (file, format) in NAMED {
        let mut open = OpenDocument::create(file, &[identity.recipient().clone()], now()).unwrap();
        let name = key(format, "V");
        for (value, value_type, shown, listed) in [
            ("-12", ValueType::Int, "-12", "int"),
            ("1e3", ValueType::Float, "1000", "float"),
            ("true", ValueType::Bool, "true", "bool"),
            ("false", ValueType::Bool, "false", "bool"),
            ("true", ValueType::Str, "true", "str"),
        ] {
            assert!(open.set_as(&name, &secret(value), value_type, now()).unwrap(), "{value}");
            assert!(!open.set_as(&name, &secret(value), value_type, now()).unwrap(), "{value}");
            open = reopen(&open, file, &identity);
            assert_eq!(text(&open.get(&name).unwrap()), shown);
            let entry = open.document().entries().unwrap().remove(0);
            assert_eq!((entry.kind, entry.value_type), (EntryKind::Encrypted, Some(listed)));
        }
        for (value, value_type) in [
            ("012", ValueType::Int),
            ("1.5", ValueType::Int),
            ("x", ValueType::Float),
            ("inf", ValueType::Float),
            ("True", ValueType::Bool),
        ] {
            let before = open.text().to_owned();
            let refused = open.set_as(&name, &secret(value), value_type, now());
            assert!(matches!(refused, Err(Error::Edit { .. })), "{value}");
            assert_eq!(open.text(), before);
        }
    }
}

#[test]
fn json_sets_lists_and_groups_with_their_types() {
    let identity = Identity::generate().unwrap();
    for (file, format) in [NAMED[0], NAMED[1]] {
        let mut open = OpenDocument::create(file, &[identity.recipient().clone()], now()).unwrap();
        open.set("first", &secret("x"), now()).unwrap();
        let json = |text: &str| secret(text);
        let tree = r#"{"a: b": ["x", 1, 1.5, true, null, {"c": ""}], "d": {}}"#;
        assert!(open.set_json("group/tree", &json(tree), now()).unwrap());
        assert!(open.set_json("group/n", &json("-7"), now()).unwrap());
        assert!(open.set_json("group/s", &json("\"\\u00e9\\n\""), now()).unwrap());
        let mut open = reopen(&open, file, &identity);
        let entries: Vec<(String, Option<&str>)> = open
            .document()
            .entries()
            .unwrap()
            .into_iter()
            .map(|entry| (entry.key, entry.value_type))
            .collect();
        let want = [
            ("first", Some("str")),
            ("group/tree/a: b/0", Some("str")),
            ("group/tree/a: b/1", Some("int")),
            ("group/tree/a: b/2", Some("float")),
            ("group/tree/a: b/3", Some("bool")),
            ("group/tree/a: b/5/c", None),
            ("group/n", Some("int")),
            ("group/s", Some("str")),
        ];
        assert_eq!(entries, want.map(|(key, kind)| (key.to_owned(), kind)), "{format}");
        assert_eq!(text(&open.get("group/s").unwrap()), "é\n");
        assert!(open.set_json("group/tree", &json("[\"only\"]"), now()).unwrap());
        assert!(open.set_json("first", &json("[[2]]"), now()).unwrap());
        let mut open = reopen(&open, file, &identity);
        let mut keys = open.keys().unwrap();
        keys.sort();
        assert_eq!(keys, ["first/0/0", "group/n", "group/s", "group/tree/0"]);
        let before = open.text().to_owned();
        for (key, bad) in [
            ("a", "{"),
            ("a", "null"),
            ("a", "hunter2"),
            ("a", "{\"b_unencrypted\": 1}"),
            ("a_unencrypted", "[1]"),
            ("group/n/x", "[1]"),
            ("sops", "[1]"),
        ] {
            assert!(open.set_json(key, &json(bad), now()).is_err(), "{key} {bad}");
            assert_eq!(open.text(), before);
        }
    }
    let mut open = OpenDocument::create("f.env", &[identity.recipient().clone()], now()).unwrap();
    assert!(open.set_json("A", &secret("[1]"), now()).is_err());
    assert!(open.set_json("A", &secret("12"), now()).unwrap());
}

#[test]
fn recipients_come_and_go() {
    let ids: Vec<Identity> = (0..3).map(|_| Identity::generate().unwrap()).collect();
    let recipient = |at: usize| ids[at].recipient().clone();
    for (file, format) in NAMED {
        let mut open = OpenDocument::create(file, &[recipient(0)], now()).unwrap();
        let name = key(format, "V");
        open.set(&name, &secret("value"), now()).unwrap();
        let value_before = open.text().to_owned();
        assert_eq!(open.add_recipients(&[recipient(1), recipient(0), recipient(2)]).unwrap(), 2);
        assert_eq!(open.add_recipients(&[recipient(1)]).unwrap(), 0);
        for id in &ids {
            let open = reopen(&open, file, id);
            assert_eq!(text(&open.get(&name).unwrap()), "value");
        }
        let line = |text: &str| {
            text.lines()
                .find(|line| line.contains("ENC["))
                .unwrap()
                .trim_end_matches(',')
                .to_owned()
        };
        assert_eq!(line(open.text()), line(&value_before), "adding does not touch values");

        let gone = recipient(1).to_string();
        open.remove_recipients(&[&gone], now()).unwrap();
        assert_ne!(line(open.text()), line(&value_before), "removing renews them");
        assert!(!open.text().contains(&gone));
        let stranger = Document::parse(file, open.text()).unwrap().open(&[&ids[1]]);
        assert!(matches!(stranger, Err(Error::NoIdentity { .. })));
        let mut open = reopen(&open, file, &ids[2]);
        assert_eq!(text(&open.get(&name).unwrap()), "value");

        let before = open.text().to_owned();
        let refused = open.remove_recipients(&[&gone], now());
        assert!(matches!(refused, Err(Error::NotARecipient { .. })));
        let all: Vec<String> = open.recipients().map(str::to_owned).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let refused = open.remove_recipients(&all, now());
        assert!(matches!(refused, Err(Error::NoRecipients)));
        assert_eq!(open.text(), before);
        open.rekey(now()).unwrap();
        assert_ne!(line(open.text()), line(&before));
        assert_eq!(text(&reopen(&open, file, &ids[0]).get(&name).unwrap()), "value");
    }
}

#[test]
fn a_whole_edit_keeps_the_ciphertext_of_what_is_unchanged() {
    let identity = Identity::generate().unwrap();
    for (file, format) in NAMED {
        let mut open = OpenDocument::create(file, &[identity.recipient().clone()], now()).unwrap();
        for (name, value) in [("A", "one"), ("B", "two"), ("C", "three")] {
            open.set(&key(format, name), &secret(value), now()).unwrap();
        }
        assert_eq!(edited(&mut open, |same| same), Changes::default());
        let before = open.text().to_owned();
        let changes = edited(&mut open, |plain| {
            assert!(!plain.contains("ENC[") && !plain.contains("sops"), "{plain}");
            plain.replace("two", "changed")
        });
        assert_eq!(changes.changed, [key(format, "B")]);
        assert!(changes.added.is_empty() && changes.removed.is_empty() && changes.text);
        let open = reopen(&open, file, &identity);
        assert_eq!(text(&open.get(&key(format, "B")).unwrap()), "changed");
        let kept = before.lines().filter(|line| open.text().lines().any(|new| new == *line));
        assert!(kept.filter(|line| line.contains("ENC[")).count() >= 2, "{}", open.text());
    }
}

#[test]
fn a_whole_edit_adds_removes_and_comments() {
    let identity = Identity::generate().unwrap();
    let add = [
        (
            "f.yaml",
            "# note\nnew: |-\n  two\n  lines\nlist:\n  - 1\n  - x # inline\nclear_unencrypted: c\n",
        ),
        ("f.env", "# note\nnew=two\\nlines\nclear_unencrypted=c\n"),
        ("f.ini", "[s]\n; note\nnew = \"\"\"two\nlines\"\"\"\nclear_unencrypted = c\n"),
        (
            "f.json",
            "{\"new\": \"two\\nlines\", \"list\": [1, \"x\"], \"clear_unencrypted\": \"c\"}\n",
        ),
    ];
    for (file, plain) in add {
        let mut open = OpenDocument::create(file, &[identity.recipient().clone()], now()).unwrap();
        let name = if file == "f.ini" { "s/new" } else { "new" };
        let changes = edited(&mut open, |_| plain.to_owned());
        assert!(changes.added.contains(&name.to_owned()), "{file} {changes:?}");
        assert!(
            !open.text().contains("note") && !open.text().contains("inline"),
            "{}",
            open.text()
        );
        let mut open = reopen(&open, file, &identity);
        assert_eq!(text(&open.get(name).unwrap()), "two\nlines", "{file}");
        let back = text(&open.plaintext().unwrap());
        if file != "f.json" {
            assert!(back.contains("note"), "{file}: {back}");
        }
        let comments: Vec<String> = open
            .text()
            .lines()
            .filter(|line| line.contains("type:comment"))
            .map(str::to_owned)
            .collect();
        open.rekey(now()).unwrap();
        let mut open = reopen(&open, file, &identity);
        assert_eq!(text(&open.plaintext().unwrap()), back, "a new key keeps comments");
        assert!(comments.iter().all(|comment| !open.text().contains(comment.as_str())));
        let changes =
            edited(&mut open, |_| if file == "f.json" { "{}".into() } else { String::new() });
        assert!(changes.removed.contains(&name.to_owned()));
        assert!(reopen(&open, file, &identity).keys().unwrap().is_empty());
    }
}

#[test]
fn what_is_wrong_with_an_edit_leaves_the_document() {
    let identity = Identity::generate().unwrap();
    for (file, bad) in [
        ("f.yaml", "a: [\n"),
        ("f.yaml", "sops:\n  mac: x\n"),
        ("f.yaml", "- x\n"),
        ("f.yaml", "a: &x v\nb: *x\n"),
        ("f.yaml", "a: !!str v\n"),
        ("f.yaml", "1: v\n"),
        ("f.json", "{\"a\": 1"),
        ("f.json", "[]"),
        ("f.json", "{\"a\": 1, \"a\": 2}"),
        ("f.env", "no value\n"),
        ("f.env", "sops_mac=x\n"),
        ("f.ini", "[sops]\nmac = x\n"),
        ("f.ini", "loose\n"),
    ] {
        let mut open = OpenDocument::create(file, &[identity.recipient().clone()], now()).unwrap();
        let before = open.text().to_owned();
        assert!(open.apply_plaintext(&secret(bad), now()).is_err(), "{file}: {bad}");
        assert_eq!(open.text(), before);
    }
}

#[test]
fn any_file_is_one_value() {
    let identity = Identity::generate().unwrap();
    let rule = CreationRule::new(&[identity.recipient().clone()]);
    let mut open = OpenDocument::create_by(Format::Binary, "key.pem", &rule, now()).unwrap();
    let bytes = SecretBytes::copy_from(&[0, 255, b'\n', 7]).unwrap();
    open.set("data", &bytes, now()).unwrap();
    assert!(matches!(open.set("other", &bytes, now()), Err(Error::Edit { .. })));
    let mut open = Document::parse("key.pem", open.text()).unwrap().open(&[&identity]).unwrap();
    assert_eq!(&*open.plaintext().unwrap().expose(), &[0, 255, b'\n', 7]);
    let changes = open.apply_plaintext(&secret("new"), now()).unwrap();
    assert_eq!(changes.changed, ["data"]);
    assert_eq!(text(&open.get("data").unwrap()), "new");
}

/// Names and values of a document that the format can hold.
fn values(format: Format) -> impl Strategy<Value = BTreeMap<String, String>> {
    let name = "[A-Za-z][A-Za-z0-9_]{0,10}";
    let value = match format {
        Format::Ini => "[ -~äß🦀]{0,24}",
        Format::Dotenv => "[ -\\[\\]-~äß🦀\n]{0,24}",
        _ => "(.|\n){0,24}",
    };
    proptest::collection::btree_map(name, value, 0..6).prop_map(move |map| {
        let entries = map.into_iter().filter(|(name, _)| !name.starts_with("sops"));
        entries.map(|(name, value)| (key(format, &name), value)).collect()
    })
}

#[test]
fn blanks_at_the_end_of_a_block_belong_to_it() {
    let identity = Identity::generate().unwrap();
    for value in ["!\na\t", "x\na ", "x\na \t\n", "x\n\ny\t\t"] {
        let mut open =
            OpenDocument::create("f.yaml", &[identity.recipient().clone()], now()).unwrap();
        open.set("group/a", &secret(value), now()).unwrap();
        let plain = open.plaintext().unwrap();
        let mut other =
            OpenDocument::create("f.yaml", &[identity.recipient().clone()], now()).unwrap();
        other.apply_plaintext(&plain, now()).unwrap();
        assert_eq!(text(&other.get("group/a").unwrap()), value);
        assert_eq!(text(&other.plaintext().unwrap()), text(&plain));
        // What is set in its place has nothing of it.
        other.set("group/a", &secret("b\nc"), now()).unwrap();
        let plain = other.plaintext().unwrap();
        open.apply_plaintext(&plain, now()).unwrap();
        assert_eq!(text(&open.get("group/a").unwrap()), "b\nc");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn random_documents_round_trip(
        (at, first, second) in (0..NAMED.len()).prop_flat_map(|at| {
            (Just(at), values(NAMED[at].1), values(NAMED[at].1))
        })
    ) {
        let (file, _) = NAMED[at];
        let identity = Identity::parse(
            b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
        ).unwrap();
        let fill = |values: &BTreeMap<String, String>| {
            let recipients = [identity.recipient().clone()];
            let mut open = OpenDocument::create(file, &recipients, now()).unwrap();
            for (name, value) in values {
                open.set(name, &secret(value), now()).unwrap();
            }
            open
        };
        let read = |open: &OpenDocument| -> BTreeMap<String, String> {
            let keys = open.keys().unwrap().into_iter();
            keys.map(|name| { let value = text(&open.get(&name).unwrap()); (name, value) }).collect()
        };
        let (mut one, two) = (fill(&first), fill(&second));
        prop_assert_eq!(&read(&reopen(&one, file, &identity)), &first);
        // The plaintext of one, taken over by the other, makes them alike.
        if let Ok(plain) = two.plaintext() {
            one.apply_plaintext(&plain, now()).unwrap();
            prop_assert_eq!(&read(&reopen(&one, file, &identity)), &second);
            prop_assert_eq!(text(&one.plaintext().unwrap()), text(&plain));
        } else {
            prop_assert_eq!(file, "f.ini");
        }
    }
}

/// Pieces of which documents are made, and which they are broken with.
const PIECES: [&str; 48] = [
    "a",
    "b",
    "key",
    "a: ",
    "b: ",
    "- ",
    "\n",
    "\n",
    "\n",
    "  ",
    "    ",
    " ",
    "# c",
    "#",
    " # d",
    "'",
    "\"",
    "|\n",
    ">-\n",
    "{",
    "}",
    "[",
    "]",
    ", ",
    ",",
    ": ",
    "=",
    " = ",
    ";",
    "; e",
    "[s]\n",
    "[t]\n",
    "x = 1\n",
    "A=v\n",
    "\"k\": ",
    "\"v\"",
    "12",
    "1.5",
    "true",
    "~",
    "null",
    "\\n",
    "\\",
    "`",
    "\"\"\"",
    "é",
    "\t",
    "_unencrypted",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// What is taken as a plaintext is given back, and means the same.
    #[test]
    fn any_plaintext_that_is_taken_comes_back(
        at in 0..NAMED.len(),
        pieces in proptest::collection::vec(0..PIECES.len(), 0..14),
    ) {
        let (file, format) = NAMED[at];
        let plain: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
        let plain = if format == Format::Json && !plain.starts_with('{') {
            format!("{{{plain}}}")
        } else {
            plain
        };
        let identity = Identity::parse(
            b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
        ).unwrap();
        let made = || OpenDocument::create(file, &[identity.recipient().clone()], now()).unwrap();
        let (mut one, mut two) = (made(), made());
        if one.apply_plaintext(&secret(&plain), now()).is_err() {
            return Ok(());
        }
        let Ok(back) = one.plaintext() else { return Ok(()) };
        two.apply_plaintext(&back, now()).unwrap();
        let values = |open: &OpenDocument| -> Vec<(String, String)> {
            let keys = open.keys().unwrap().into_iter();
            keys.map(|name| { let value = text(&open.get(&name).unwrap()); (name, value) }).collect()
        };
        prop_assert_eq!(values(&one), values(&two), "{:?}", plain);
        prop_assert_eq!(text(&back), text(&two.plaintext().unwrap()), "{:?}", plain);
        // Another data key changes nothing of it.
        one.rekey(now()).unwrap();
        prop_assert_eq!(text(&back), text(&one.plaintext().unwrap()), "{:?}", plain);
    }
}

const MARKER: &str = "MARKER-of-a-secret-value";
/// The name of a file, its text, and its keys with their values.
type File<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// Files in `tests/data` that sops 3.11.0 wrote for the example identity of the age specification.
#[test]
fn files_of_sops_are_read() {
    let identity = Identity::parse(
        b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
    )
    .unwrap();
    let files: [File<'_>; 3] = [
        (
            "f.json",
            include_str!("data/newer.sops.json"),
            &[
                ("first", "one"),
                ("number", "42"),
                ("fraction", "1.5"),
                ("flag", "true"),
                ("empty", ""),
                ("group/inner", MARKER),
                ("group/list/0", "alpha"),
                ("group/list/1", "beta"),
                ("group/list/2/k", "v"),
                ("note_unencrypted", "clear"),
                ("port_unencrypted", "8080"),
            ],
        ),
        (
            "f.env",
            include_str!("data/newer.sops.env"),
            &[
                ("FIRST", "one"),
                ("LINES", "a\nb"),
                ("EMPTY", ""),
                ("MARKER", MARKER),
                ("NOTE_unencrypted", "clear # text"),
            ],
        ),
        (
            "f.ini",
            include_str!("data/newer.sops.ini"),
            &[
                ("DEFAULT/top", "one"),
                ("group/inner", MARKER),
                ("group/list.0", "quoted"),
                ("group/note_unencrypted", "clear; text"),
                ("group/empty", ""),
            ],
        ),
    ];
    for (file, written, want) in files {
        let open = Document::parse(file, written).unwrap().open(&[&identity]).unwrap();
        let keys = open.keys().unwrap();
        assert_eq!(keys, want.iter().map(|(key, _)| *key).collect::<Vec<_>>(), "{file}");
        for (key, value) in want {
            assert_eq!(text(&open.get(key).unwrap()), *value, "{file} {key}");
        }
        let plain = text(&open.plaintext().unwrap());
        assert!(file == "f.json" || plain.contains("made by sops 3.11.0"), "{plain}");
        let comments = open.document().comments();
        assert!(comments.iter().all(|comment| comment.encrypted));
        assert_eq!(
            comments.len(),
            [0, 2, 3][usize::from(file != "f.json") + usize::from(file == "f.ini")]
        );
    }
}
