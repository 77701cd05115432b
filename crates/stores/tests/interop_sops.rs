//! The real `sops` reads what we write, and we read what it writes: YAML.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

mod real_sops;

use std::{collections::BTreeMap, fs, time::SystemTime};

use dsops_secure_mem::SecretBytes;
use dsops_stores::sops::{Document, OpenDocument};
use serde_json::Value;

use real_sops::Sops;

/// Name, plain text, further arguments of `sops encrypt`.
const DOCUMENTS: [(&str, &str, &[&str]); 45] = [
    ("one", "a: hello\n", &[]),
    ("several", "a: x\nb: y\nc: z\n", &[]),
    ("same-values", "a: x\nb: x\nc: x\n", &[]),
    ("empty-text", "a: \"\"\nb: ''\nc: x\n", &[]),
    ("only-empty", "a: \"\"\n", &[]),
    ("null", "a: ~\nb: null\nc:\nd: x\n", &[]),
    ("int", "a: 0\nb: -1\nc: 9223372036854775807\nd: -9223372036854775808\n", &[]),
    ("int-forms", "a: 0x1F\nb: 0o17\nc: 017\nd: 1_000\ne: 0b101\nf: +5\n", &[]),
    ("float", "a: 1.5\nb: -0.25\nc: 1e3\nd: 1.0\ne: 3.141592653589793\n", &[]),
    ("float-extremes", "a: 1e21\nb: 1e-7\nc: 1234567.125\nd: 1e-300\ne: 1e300\n", &[]),
    ("bool", "a: true\nb: false\nc: True\nd: FALSE\n", &[]),
    ("bool-like", "a: yes\nb: no\nc: on\nd: off\ne: y\nf: 'true'\n", &[]),
    ("number-like", "a: '12'\nb: \"1.5\"\nc: '0x10'\nd: 1.2.3\n", &[]),
    ("date", "a: 2001-12-14\nb: 2001-12-14T21:59:43Z\nc: 2001-12-14t21:59:43.10-05:00\n", &[]),
    ("date-odd", "a: 2001-1-2\nb: 2001-12-14 21:59:43.1\nc: '2001-12-14'\n", &[]),
    ("nested", "a:\n  b:\n    c:\n      d: deep\n  e: x\nf: y\n", &[]),
    ("list", "a:\n  - x\n  - y\n  - 3\n  - true\n", &[]),
    ("list-of-maps", "a:\n  - k: v\n    l: w\n  - k: v2\n", &[]),
    ("list-of-lists", "a:\n  - - x\n    - y\n  - - z\n", &[]),
    ("empty-collections", "a: {}\nb: []\nc: x\n", &[]),
    ("flow", "a: {b: x, c: [y, z, {d: w}]}\n", &[]),
    ("unicode", "a: grüß dich\nb: \"\\U0001F980 crab\"\nc: 日本語\n", &[]),
    ("unicode-keys", "schlüssel: x\n鍵: y\n\"\\U0001F980\": z\n", &[]),
    ("multi-line", "a: |\n  one\n  two\nb: |-\n  no end\nc: |+\n  kept\n\nd: x\n", &[]),
    ("folded", "a: >\n  one\n  two\n\n  three\nb: >-\n  x\n  y\n", &[]),
    ("leading-space", "a: |2\n    indented\n  less\nb: '  spaces  '\n", &[]),
    ("quotes", "a: 'it''s'\nb: \"say \\\"hi\\\"\"\nc: 'back\\slash'\n", &[]),
    ("escapes", "a: \"tab\\tnewline\\nbell\\a\"\nb: \"nul-free\\x01\"\n", &[]),
    (
        "yaml-special",
        "a: 'x: y'\nb: '# no comment'\nc: '- dash'\nd: '{brace}'\ne: '*star'\nf: '&amp'\n",
        &[],
    ),
    ("odd-keys", "\"a b\": x\n\"c: d\": y\n\"e/f\": z\n\"g~h\": w\n'true': v\n'12': u\n", &[]),
    ("colon-keys", "\"a:b\": x\na:\n  \"b:c\": y\n", &[]),
    ("comments", "# head\na: x # inline\n# between\nb: y\n# end\n", &[]),
    ("comments-nested", "a:\n  # inner\n  b: x\n  # after\nc: y\n", &[]),
    ("comments-in-list", "a:\n  # first\n  - x # one\n  - y\n  # last\n", &[]),
    ("comment-then-map", "a:\n  - k: v # inline\n  # more\n  - k: w\n", &[]),
    (
        "default-suffix",
        "a: x\nb_unencrypted: clear\nc_unencrypted:\n  d: 1\n  e: [true, ~, '', 1.5, 2001-12-14]\n",
        &[],
    ),
    (
        "unencrypted-suffix",
        "a: x\nb_open: clear\nc_unencrypted: not clear\n",
        &["--unencrypted-suffix", "_open"],
    ),
    (
        "encrypted-suffix",
        "a: clear\nb_secret: x\nc_secret:\n  d: y\ne:\n  f: 1\n  g_secret: z\n",
        &["--encrypted-suffix", "_secret"],
    ),
    (
        "clear-types",
        "a: 1\nb: 1.50\nc: true\nd: 0x10\ne: 1e3\nf: .5\ng: text\nh: ~\ni: 2001-12-14\nj_secret: x\n",
        &["--encrypted-suffix", "_secret"],
    ),
    ("mac-only-encrypted", "a: x\nb_unencrypted: clear\n", &["--mac-only-encrypted"]),
    (
        "mac-only-suffix",
        "a: clear\nb_secret: x\n",
        &["--mac-only-encrypted", "--encrypted-suffix", "_secret"],
    ),
    ("long-value", "a: LONG\nb: x\n", &[]),
    ("many-keys", "MANY", &[]),
    ("anchors", "a: &x hello\nb: *x\nc: &m {k: v}\nd: *m\n", &[]),
    ("binary", "a: !!binary aGVsbG8=\nb: !!str 12\nc: !!int '7'\n", &[]),
];

#[test]
fn we_read_what_sops_writes() {
    let Some(sops) = Sops::find() else { return };
    for (name, plain, args) in DOCUMENTS {
        let plain = match plain {
            "MANY" => (0..200).map(|n| format!("key{n}: value {n}")).collect::<Vec<_>>().join("\n"),
            plain => plain.replace("LONG", &"0123456789abcdef".repeat(1000)),
        };
        sops.write("plain.yaml", &plain);
        let mut all = vec!["--encrypt", "--age", &sops.recipients[0]];
        all.extend(args);
        all.push("plain.yaml");
        let name = format!("{name}.yaml");
        fs::write(sops.path(&name), sops.run(&all)).unwrap();
        sops.assert_same(&name);
    }
}

#[test]
fn extracted_text_is_the_same_to_the_byte() {
    let Some(sops) = Sops::find() else { return };
    for name in
        ["multi-line", "folded", "leading-space", "quotes", "escapes", "unicode", "yaml-special"]
    {
        let (_, plain, _) = DOCUMENTS.iter().find(|(document, _, _)| *document == name).unwrap();
        sops.write("plain.yaml", plain);
        let encrypted = sops.run(&["encrypt", "--age", &sops.recipients[0], "plain.yaml"]);
        fs::write(sops.path("enc.yaml"), encrypted).unwrap();
        let ours = sops.open("enc.yaml");
        for key in ours.keys().unwrap() {
            let theirs = sops.run(&["decrypt", "--extract", &format!("[\"{key}\"]"), "enc.yaml"]);
            assert_eq!(&*ours.get(&key).unwrap().expose(), theirs.as_slice(), "{name} {key}");
        }
    }
}

#[test]
fn several_recipients_rotated_and_added() {
    let Some(sops) = Sops::find() else { return };
    sops.write("plain.yaml", "a: x\nb: [1, 2]\n");
    let all = sops.recipients.join(",");
    fs::write(sops.path("team.yaml"), sops.run(&["encrypt", "--age", &all, "plain.yaml"])).unwrap();
    sops.assert_same("team.yaml");
    for number in 0..3 {
        let text = fs::read_to_string(sops.path("team.yaml")).unwrap();
        let document = Document::parse("team.yaml", text).unwrap();
        assert_eq!(document.recipients().collect::<Vec<_>>(), sops.recipients);
        document.open(&[sops.identity(number)]).unwrap();
    }
    sops.run(&["rotate", "--in-place", "team.yaml"]);
    sops.assert_same("team.yaml");
    sops.run(&["rotate", "--in-place", "--rm-age", &sops.recipients[1], "team.yaml"]);
    sops.assert_same("team.yaml");
    let text = fs::read_to_string(sops.path("team.yaml")).unwrap();
    let document = Document::parse("team.yaml", text).unwrap();
    assert!(document.open(&[sops.identity(1)]).is_err());
}

#[test]
fn sops_reads_what_we_create_and_edit() {
    let Some(sops) = Sops::find() else { return };
    let recipients: Vec<_> = (0..2).map(|n| sops.identity(n).recipient().clone()).collect();
    let mut ours = OpenDocument::create("ours.yaml", &recipients, SystemTime::now()).unwrap();
    let path = sops.write("ours.yaml", ours.text());
    assert!(sops.values("ours.yaml").is_empty());
    let mut expected: BTreeMap<String, Value> = BTreeMap::new();
    let steps: [(&str, Option<&str>); 22] = [
        ("TOKEN", Some("hunter2")),
        ("db/password", Some("p w: #'\"\\")),
        ("db/user", Some("")),
        ("multi", Some("one\ntwo\n")),
        ("ünï/鍵", Some("🦀")),
        ("TOKEN", Some("changed")),
        ("a~1b", Some("slash in the key")),
        ("true", Some("a key that looks like a boolean")),
        ("12", Some("a key that looks like a number")),
        ("db/user", None),
        ("list_like", Some("12")),
        ("x/y/z/deep", Some("deep")),
        ("x/y/w", Some("w")),
        ("x/y/z", None),
        ("multi", None),
        ("multi", Some("again")),
        ("colon: key", Some("v")),
        ("db/password", None),
        ("db/new", Some("in the emptied group")),
        ("TOKEN", None),
        ("last", Some("true")),
        ("tab", Some("a\tb")),
    ];
    for (key, value) in steps {
        if let Some(value) = value {
            let secret = SecretBytes::copy_from(value.as_bytes()).unwrap();
            ours.set(key, &secret, SystemTime::now()).unwrap();
            expected.insert(key.to_owned(), Value::String(value.to_owned()));
        } else {
            ours.unset(key, SystemTime::now()).unwrap();
            let below = format!("{key}/");
            expected.retain(|known, _| known != key && !known.starts_with(&below));
        }
        fs::write(&path, ours.text()).unwrap();
        assert_eq!(sops.values("ours.yaml"), expected, "after {key}\n{}", ours.text());
    }
}

#[test]
fn sops_edits_our_file_and_we_edit_its_file() {
    let Some(sops) = Sops::find() else { return };
    let recipients = [sops.identity(0).recipient().clone()];
    let now = SystemTime::now();
    let mut ours = OpenDocument::create("shared.yaml", &recipients, now).unwrap();
    ours.set("a", &SecretBytes::copy_from(b"from us").unwrap(), now).unwrap();
    let path = sops.write("shared.yaml", ours.text());
    for (place, value) in [
        (r#"["b"]"#, r#""from sops""#),
        (r#"["n"]"#, "12"),
        (r#"["group"]["flag"]"#, "true"),
        (r#"["list"]"#, r#"{"x": ["y", "z"]}"#),
        (r#"["a"]"#, r#""changed""#),
    ] {
        sops.run(&["set", "shared.yaml", place, value]);
        sops.assert_same("shared.yaml");
        let mut ours = sops.open("shared.yaml");
        let value = SecretBytes::copy_from(place.as_bytes()).unwrap();
        ours.set("ours/last", &value, SystemTime::now()).unwrap();
        fs::write(&path, ours.text()).unwrap();
        sops.assert_same("shared.yaml");
    }
    sops.run(&["unset", "shared.yaml", r#"["list"]"#]);
    sops.assert_same("shared.yaml");
}

#[test]
fn our_edits_of_every_kind_of_file_keep_the_rest() {
    let Some(sops) = Sops::find() else { return };
    let edited = [
        "comments",
        "comments-in-list",
        "list",
        "flow",
        "nested",
        "multi-line",
        "default-suffix",
        "mac-only-encrypted",
        "odd-keys",
        "list-of-maps",
    ];
    for name in edited {
        let (_, plain, args) = DOCUMENTS.iter().find(|(document, _, _)| *document == name).unwrap();
        sops.write("plain.yaml", plain);
        let mut all = vec!["--encrypt", "--age", &sops.recipients[0]];
        all.extend(*args);
        all.push("plain.yaml");
        let path = sops.write("e.yaml", std::str::from_utf8(&sops.run(&all)).unwrap());
        let mut expected = sops.values("e.yaml");
        let mut ours = sops.open("e.yaml");
        let comments = |text: &str| text.matches('#').count();
        let before = comments(ours.text());
        ours.set("zz/new", &SecretBytes::copy_from(b"new").unwrap(), SystemTime::now()).unwrap();
        expected.insert("zz/new".to_owned(), Value::from("new"));
        let text_keys =
            expected.iter().find(|(key, value)| value.is_string() && !key.contains("_unencrypted"));
        let changed = text_keys.unwrap().0.clone();
        ours.set(&changed, &SecretBytes::copy_from(b"changed").unwrap(), SystemTime::now())
            .unwrap();
        expected.insert(changed, Value::from("changed"));
        assert_eq!(comments(ours.text()), before, "{name}");
        fs::write(&path, ours.text()).unwrap();
        assert_eq!(sops.values("e.yaml"), expected, "{name}");
        sops.assert_same("e.yaml");
    }
}

#[test]
fn the_binary_is_the_one_we_name() {
    let Some(sops) = Sops::find() else { return };
    let version = String::from_utf8(sops.run(&["--version"])).unwrap();
    println!("interoperability with {}", version.lines().next().unwrap());
    assert!(version.starts_with("sops 3."));
}
