//! The real `sops` and we read each other's JSON, dotenv, INI and binary files, rules by regular
//! expression, key groups, comments, and files made by creation rules.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

mod real_sops;

use std::{fs, time::SystemTime};

use dsops_secure_mem::SecretBytes;
use dsops_stores::sops::{CreationRule, Document, Error, Format, OpenDocument, ValueType};
use serde_json::Value;

use real_sops::Sops;

fn secret(text: &str) -> SecretBytes {
    SecretBytes::copy_from(text.as_bytes()).unwrap()
}

fn text(bytes: &SecretBytes) -> String {
    String::from_utf8(bytes.expose().to_vec()).unwrap()
}

const SECRET: &[&str] = &["--encrypted-suffix", "_secret"];
const MAC_ONLY: &[&str] = &["--mac-only-encrypted"];
const DATA: &[&str] = &["--encrypted-regex", "^(data|stringData)$"];
const NOT_KIND: &[&str] = &["--unencrypted-regex", "^(kind|apiVersion|metadata)$"];
const KUBERNETES: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n  labels: [a, 2, true]\n\
    stringData:\n  password: hunter2\n  nested:\n    n: 5\ndata:\n  blob: aGk=\n";

/// File, plain text, further arguments of `sops encrypt`.
const DOCUMENTS: [(&str, &str, &[&str]); 54] = [
    ("one.json", "{\"a\": \"hello\"}", &[]),
    ("compact.json", "{\"a\":\"x\",\"b\":{\"c\":[1,2,{\"d\":\"e\"}]}}", &[]),
    (
        "types.json",
        "{\"s\":\"x\",\"i\":12,\"n\":-3,\"f\":1.5,\"t\":true,\"b\":false,\"z\":null}",
        &[],
    ),
    (
        "numbers.json",
        "{\"a\":0,\"b\":1e3,\"c\":1.0,\"d\":123456789,\"e\":-0.25,\"f\":1e21,\"g\":1e-7}",
        &[],
    ),
    ("large-int.json", "{\"a\":9007199254740993,\"b\":12345678901234567890}", &[]),
    ("empty.json", "{\"a\":\"\",\"b\":[],\"c\":{},\"d\":\"x\"}", &[]),
    ("nothing.json", "{}", &[]),
    (
        "escapes.json",
        "{\"a\":\"\\u0001\\t\\n\\r\\b\\f\\\"\\\\\\/\",\"b\":\"\\u00e9\\ud83d\\ude00\"}",
        &[],
    ),
    ("html.json", "{\"a<b\":\"<&>\",\"c_unencrypted\":\"<&>\\u2028\"}", &[]),
    ("unicode.json", "{\"schlüssel\":\"grüß\",\"鍵\":\"日本\",\"🦀\":\"crab\"}", &[]),
    (
        "keys.json",
        "{\"a b\":\"x\",\"c/d\":\"y\",\"e~f\":\"z\",\"g:h\":\"w\",\"12\":\"v\",\"\\\"q\\\"\":\"u\"}",
        &[],
    ),
    ("deep.json", "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":[[[\"x\"]]]}}}}}", &[]),
    ("lists.json", "{\"a\":[\"x\",\"x\",1,true,null,\"\",[\"y\"],{\"k\":\"v\"}]}", &[]),
    (
        "clear.json",
        "{\"a\":\"x\",\"b_unencrypted\":{\"i\":1,\"f\":1.50,\"t\":true,\"z\":null,\"l\":[1,\"x\"]}}",
        &[],
    ),
    ("suffix.json", "{\"a\":\"clear\",\"b_secret\":\"x\",\"c_secret\":{\"d\":1}}", SECRET),
    ("mac-only.json", "{\"a\":\"x\",\"b_unencrypted\":\"y\"}", MAC_ONLY),
    (
        "regex.json",
        "{\"kind\":\"Secret\",\"data\":{\"a\":\"x\",\"b\":[1]},\"stringData\":{\"c\":\"y\"}}",
        DATA,
    ),
    (
        "not-regex.json",
        "{\"kind\":\"Secret\",\"metadata\":{\"a\":\"x\"},\"kinds\":\"y\"}",
        NOT_KIND,
    ),
    ("one.env", "A=hello\n", &[]),
    ("no-newline.env", "A=hello", &[]),
    ("comments.env", "# head\nA=x\n\n# between\nB=y # no comment\n# end\n", &[]),
    ("quotes.env", "A=\"double\"\nB='single'\nC= spaces \nD=a=b=c\n", &[]),
    ("line-breaks.env", "A=one\\ntwo\\n\nB=\\n\nC=back\\\\slash\n", &[]),
    ("empty.env", "A=\nB=x\n", &[]),
    ("types.env", "A=12\nB=1.5\nC=true\nD=null\n", &[]),
    ("names.env", "a-b=1\nA B=2\n export C=3\nÜ=4\nexport D=5\n", &[]),
    ("clear.env", "A=x\nB_unencrypted=clear # text\nC_unencrypted=1.50\n", &[]),
    ("suffix.env", "A=clear\nB_secret=x\n", SECRET),
    ("mac-only.env", "A=x\nB_unencrypted=y\n", MAC_ONLY),
    (
        "regex.env",
        "DATABASE=x\nDATABASE_PASSWORD=y\nAPI_KEY=z\n",
        &["--encrypted-regex", "(?i)password|_key$"],
    ),
    ("not-regex.env", "PORT=1\nHOST=x\nTOKEN=y\n", &["--unencrypted-regex", "^(PORT|HOST)$"]),
    ("unicode.env", "A=grüß\nB=🦀\n", &[]),
    ("one.ini", "[s]\na = hello\n", &[]),
    ("sections.ini", "[one]\na = 1\n[two]\na = 2\n[three.four]\nb = 3\n", &[]),
    ("default.ini", "top = x\n\n[s]\na = y\n", &[]),
    ("comments.ini", "; head\n[s]\n; about a\na = x ; inline\n# about b\nb = y\n", &[]),
    ("comment-lines.ini", "; one\n; two\n[s]\n; three\n\n# four\na = x\n", &[]),
    (
        "quotes.ini",
        "[s]\na = \"quoted\"\nb = 'single'\nc = `a;b#c`\nd = \"\"\"x\ny\"\"\"\ne = it's \"so\"\n",
        &[],
    ),
    ("empty.ini", "[s]\na =\nb = x\n[nothing]\n", &[]),
    ("continued.ini", "[s]\na = one \\\n  two \\\n  three\nb = x\n", &[]),
    ("names.ini", "[with space]\n`a=b` = 1\n\"c:d\" = 2\ne f = 3\n[ü]\nä = 4\n", &[]),
    ("colon.ini", "[s]\na: x\nb:y\n", &[]),
    (
        "clear.ini",
        "[s]\na = x\nb_unencrypted = 1.50 ; c\n[t_unencrypted]\nc = `x;y`\nd = \" sp \"\n",
        &[],
    ),
    ("suffix.ini", "[s]\na = clear\nb_secret = x\n[t_secret]\nc = y\n", SECRET),
    ("mac-only.ini", "[s]\na = x\nb_unencrypted = y\n", MAC_ONLY),
    (
        "regex.ini",
        "[database]\npassword = x\nhost = y\n[other]\nhost = z\n",
        &["--encrypted-regex", "^(password|other)$"],
    ),
    ("not-regex.ini", "[meta]\na = 1\n[s]\nb = 2\n", &["--unencrypted-regex", "^meta$"]),
    ("regex.yaml", KUBERNETES, DATA),
    ("not-regex.yaml", KUBERNETES, NOT_KIND),
    (
        "regex-list.yaml",
        "users:\n  - name: a\n    password: x\n  - name: b\n    password: y\n",
        &["--encrypted-regex", "^pass"],
    ),
    (
        "regex-mac-only.yaml",
        KUBERNETES,
        &["--mac-only-encrypted", "--encrypted-regex", "^(data|stringData)$"],
    ),
    (
        "comment-rule.yaml",
        "a: clear\n# secret\nb: x\nc:\n  # secret\n  d: y\n  e: clear\n",
        &["--encrypted-comment-regex", "secret"],
    ),
    (
        "comment-not-rule.yaml",
        "a: x\n# clear\nb: clear\nc: 5\n",
        &["--unencrypted-comment-regex", "clear"],
    ),
    ("pem.txt", "-----BEGIN X-----\nabc\n-----END X-----\n", &[]),
];

#[test]
fn we_read_what_sops_writes() {
    let Some(sops) = Sops::find() else { return };
    for (name, plain, args) in DOCUMENTS {
        sops.encrypt(name, plain, args);
        if Format::of(name) == Format::Binary {
            assert_eq!(text(&sops.open(name).get("data").unwrap()), plain);
            continue;
        }
        sops.assert_same(name);
    }
    println!("{} documents written by sops are read here", DOCUMENTS.len());
}

/// Sops reads a file after every kind of change that we make to it, and finds the same values.
#[test]
fn sops_reads_what_we_edit() {
    let Some(sops) = Sops::find() else { return };
    let mut count = 0;
    for (name, plain, args) in DOCUMENTS {
        if Format::of(name) == Format::Binary {
            continue;
        }
        sops.encrypt(name, plain, args);
        let now = SystemTime::now();
        let mut ours = sops.open(name);
        let save = |ours: &OpenDocument| {
            fs::write(sops.path(name), ours.text()).unwrap();
            sops.assert_same(name);
        };
        // Another data key: every value and comment is written anew.
        let plain_before = text(&ours.plaintext().unwrap());
        let comments = |name: &str| {
            let out = sops.run(&["decrypt", name]);
            String::from_utf8(out).unwrap().matches(['#', ';']).count()
        };
        let comments_before = comments(name);
        ours.rekey(now).unwrap();
        save(&ours);
        assert_eq!(text(&ours.plaintext().unwrap()), plain_before, "{name}");
        assert_eq!(comments(name), comments_before, "{name}");
        ours.add_recipients(&[sops.recipient(1)]).unwrap();
        save(&ours);
        assert!(sops.document(name).open(&[sops.identity(1)]).is_ok());
        ours.remove_recipients(&[&sops.recipients[1]], now).unwrap();
        save(&ours);
        // A value in place, and one that is new.
        let keys = ours.document().entries().unwrap();
        let encrypted = keys.iter().find(|entry| entry.value_type == Some("str"));
        if let Some(entry) = encrypted {
            ours.set(&entry.key, &secret("changed \"it\"\n; #"), now).unwrap();
            save(&ours);
        }
        let new = match Format::of(name) {
            Format::Dotenv => "NEW_secret_PASSWORD_KEY",
            Format::Ini => "data/password",
            _ => "data/new_secret",
        };
        match ours.set(new, &secret("new"), now) {
            Ok(changed) => {
                assert!(changed);
                save(&ours);
                ours.unset(new, now).unwrap();
                save(&ours);
            }
            // The rules of some keep such a key in the clear.
            Err(error) => assert!(matches!(error, Error::Edit { .. }), "{name}: {error}"),
        }
        count += 1;
    }
    println!("{count} documents of sops are read by sops after every kind of edit");
}

/// A document edited as a whole: sops finds what the plain text says.
#[test]
fn sops_reads_what_we_edit_as_a_whole() {
    let Some(sops) = Sops::find() else { return };
    let mut count = 0;
    for (name, plain, args) in DOCUMENTS {
        if name.starts_with("comment-") && args.len() > 1 || Format::of(name) == Format::Binary {
            continue;
        }
        sops.encrypt(name, plain, args);
        let theirs = sops.values(name);
        // Made empty, then given back what sops was given first, in its first layout.
        let mut ours = sops.open(name);
        let empty = if Format::of(name) == Format::Json { "{}" } else { "" };
        ours.apply_plaintext(&secret(empty), SystemTime::now()).unwrap();
        fs::write(sops.path(name), ours.text()).unwrap();
        assert!(sops.values(name).is_empty(), "{name}\n{}", ours.text());
        ours.apply_plaintext(&secret(plain), SystemTime::now()).unwrap();
        fs::write(sops.path(name), ours.text()).unwrap();
        assert_eq!(
            sops.values(name).into_iter().map(shown).collect::<Vec<_>>(),
            theirs.into_iter().map(shown).collect::<Vec<_>>(),
            "{name}\n{}",
            ours.text()
        );
        sops.assert_same(name);
        count += 1;
    }
    println!("{count} documents written here from plain text are read by sops");
}

/// Numbers by their value: sops keeps all those of JSON as fractions.
fn shown((key, value): (String, Value)) -> (String, String) {
    let value = value.as_f64().map_or_else(|| value.to_string(), |number| number.to_string());
    (key, value)
}

#[test]
fn comments_are_those_that_sops_shows() {
    let Some(sops) = Sops::find() else { return };
    for (name, plain) in [
        (
            "c.yaml",
            "# head\na: x # inline\n# between\nb:\n    # inner\n    c: y\n    # after\nd:\n    - p # item\n    # in list\n    - q\n# end\n",
        ),
        ("c.env", "# head\nA=x\n# between\nB=y\n# end\n"),
        ("c.ini", "; head\n[s]\n; about a\na = x\n\n; other\n[t]\n; one\n; two\nb = y\n"),
    ] {
        // What sops encrypted, we show.
        sops.encrypt(name, plain, &[]);
        let words = |text: &str| -> Vec<String> {
            let comments = text.lines().filter_map(|line| line.split_once(['#', ';']));
            comments.map(|(_, comment)| comment.trim().to_owned()).collect()
        };
        let sorted = |mut words: Vec<String>| {
            words.sort();
            words
        };
        let mut ours = sops.open(name);
        let shown = text(&ours.plaintext().unwrap());
        let theirs = String::from_utf8(sops.run(&["decrypt", name])).unwrap();
        assert_eq!(sorted(words(&shown)), sorted(words(&theirs)), "{name}\n{shown}");
        // What we encrypt, sops shows.
        ours.apply_plaintext(&secret(&plain.replace("= x", "= z")), SystemTime::now()).unwrap();
        ours.rekey(SystemTime::now()).unwrap();
        assert!(
            !words(ours.text()).iter().any(|word| words(plain).contains(word)),
            "{}",
            ours.text()
        );
        fs::write(sops.path(name), ours.text()).unwrap();
        let theirs = String::from_utf8(sops.run(&["decrypt", name])).unwrap();
        assert_eq!(
            sorted(words(&theirs)),
            sorted(words(plain)),
            "{name}\n{theirs}\n{}",
            ours.text()
        );
    }
}

#[test]
fn types_that_we_set_are_types_to_sops() {
    let Some(sops) = Sops::find() else { return };
    for name in ["t.yaml", "t.json"] {
        let mut ours = OpenDocument::create(name, &[sops.recipient(0)], SystemTime::now()).unwrap();
        let mut set = |key: &str, value: &str, value_type| {
            ours.set_as(key, &secret(value), value_type, SystemTime::now()).unwrap();
        };
        set("i", "42", ValueType::Int);
        set("f", "2.50", ValueType::Float);
        set("b", "true", ValueType::Bool);
        set("s", "true", ValueType::Str);
        sops.write(name, ours.text());
        let values = sops.values(name);
        let want = serde_json::json!({"b": true, "f": 2.5, "i": 42, "s": "true"});
        assert_eq!(serde_json::to_value(values).unwrap(), want);
        let tree = r#"{"k: \"q\"": ["x", 1, {"é": true}], "z": 0.5}"#;
        ours.set_json("g/t", &secret(tree), SystemTime::now()).unwrap();
        sops.write(name, ours.text());
        sops.assert_same(name);
        let plain =
            sops.run(&["decrypt", "--output-type", "json", "--extract", "[\"g\"][\"t\"]", name]);
        let (plain, tree): (Value, Value) =
            (serde_json::from_slice(&plain).unwrap(), serde_json::from_str(tree).unwrap());
        assert_eq!(plain, tree);
    }
}

#[test]
fn new_files_of_every_format_are_files_of_sops() {
    let Some(sops) = Sops::find() else { return };
    for (name, key) in [
        ("n.yaml", "a/b"),
        ("n.yml", "a/0x"),
        ("n.json", "a/b"),
        ("n.env", "A"),
        ("n.ini", "s/a"),
        ("n.ini", "DEFAULT/a"),
        ("n.bin", "data"),
    ] {
        let mut ours = OpenDocument::create(name, &[sops.recipient(0)], SystemTime::now()).unwrap();
        let value = "v a l\n\"'#;`\\";
        ours.set(key, &secret(value), SystemTime::now()).unwrap();
        sops.write(name, ours.text());
        if name == "n.bin" {
            assert_eq!(sops.run(&["decrypt", name]), value.as_bytes());
            continue;
        }
        assert_eq!(
            sops.values(name).into_iter().collect::<Vec<_>>(),
            [(key.to_owned(), Value::from(value))]
        );
        let place = format!("[\"{}\"]", key.replace('/', "\"][\""));
        sops.run(&["set", name, &place, "\"theirs\""]);
        sops.assert_same(name);
    }
}

#[test]
fn key_groups_open_with_enough_of_them() {
    let Some(sops) = Sops::find() else { return };
    let groups = sops.recipients.iter().map(|recipient| format!("      - age: [{recipient}]\n"));
    let config = format!(
        "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n{}",
        groups.collect::<String>()
    );
    sops.write(".sops.yaml", &config);
    for (name, plain) in [
        ("g.yaml", "a: x\n"),
        ("g.json", "{\"a\": \"x\"}"),
        ("g.env", "a=x\n"),
        ("g.ini", "[s]\na = x\n"),
    ] {
        sops.write(name, plain);
        sops.run(&["encrypt", "--in-place", name]);
        let key = if name == "g.ini" { "s/a" } else { "a" };
        for pair in [[0, 1], [0, 2], [1, 2]] {
            let open = sops.document(name).open(&pair.map(|at| sops.identity(at))).unwrap();
            assert_eq!(text(&open.get(key).unwrap()), "x");
        }
        let few = sops.document(name).open(&[sops.identity(1)]).unwrap_err();
        let Error::TooFewGroups { opened: 1, needed: 2, missing, .. } = &few else {
            panic!("{few}");
        };
        assert_eq!(*missing, [sops.recipients[0].clone(), sops.recipients[2].clone()]);
        assert!(few.help().is_some());

        let whole = std::fs::read_to_string(sops.path(name)).unwrap();
        let damaged = whole.replacen("BEGIN AGE", "BEGIN AGED", 1);
        let damaged = |pair: [usize; 2]| {
            let document = Document::parse(name, damaged.as_str()).unwrap();
            document.open(&pair.map(|at| sops.identity(at)))
        };
        // Which group comes first in the text is for sops to say, and in INI it varies.
        let mut opened = 0;
        for pair in [[0, 1], [0, 2], [1, 2]] {
            match damaged(pair) {
                Ok(open) => {
                    assert_eq!(text(&open.get(key).unwrap()), "x");
                    opened += 1;
                }
                Err(error) => assert!(matches!(error, Error::WrappedKey { .. }), "{name}: {error}"),
            }
        }
        assert_eq!(opened, 1, "{name}");

        let all = [0, 1].map(|at| sops.identity(at));
        let mut open = sops.document(name).open(&all).unwrap();
        open.set(key, &secret("changed"), SystemTime::now()).unwrap();
        assert!(matches!(open.rekey(SystemTime::now()), Err(Error::Unsupported { .. })));
        let refused = open.add_recipients(&[sops.recipient(0)]);
        assert!(matches!(refused, Err(Error::Unsupported { .. })));
        sops.write(name, open.text());
        assert_eq!(sops.values(name)[key], "changed");
    }
    // We make no such files.
    let found = CreationRule::find(&sops.path("new.yaml"));
    assert!(matches!(found, Err(Error::Unsupported { .. })));
}

#[test]
fn creation_rules_choose_what_sops_chooses() {
    let Some(sops) = Sops::find() else { return };
    let [one, two, three] = [0, 1, 2].map(|at| &sops.recipients[at]);
    sops.write(
        ".sops.yaml",
        &format!(
            "creation_rules:\n\
             \x20 - path_regex: ^prod/.*\\.ya?ml$\n    age: {one}, {two}\n    encrypted_regex: ^data$\n\
             \x20 - path_regex: \\.json$\n    key_groups:\n      - age: [{three}]\n    mac_only_encrypted: true\n\
             \x20 - path_regex: (?i)env\n    age: [{two}]\n    unencrypted_suffix: _open\n\
             \x20 - path_regex: pgp\n    pgp: FINGER\n    kms: arn:aws:kms:x\n\
             \x20 - age: {three}\n    encrypted_suffix: _secret\n"
        ),
    );
    fs::create_dir_all(sops.path("prod/sub")).unwrap();
    for name in
        ["prod/a.yaml", "prod/sub/b.yml", "x.yaml", "c.json", "prod/d.json", "e.env", "f.ini"]
    {
        let plain = match Format::of(name) {
            Format::Json => "{\"data\": \"x\", \"b_open\": \"y\", \"c_secret\": \"z\"}",
            Format::Dotenv => "data=x\nb_open=y\nc_secret=z\n",
            Format::Ini => "[data]\nx = 1\n[c_secret]\ny = 1\n",
            _ => "data: x\nb_open: y\nc_secret: z\n",
        };
        sops.write(name, plain);
        sops.run(&["encrypt", "--in-place", name]);
        let theirs = sops.document(name);
        let rule = CreationRule::find(&sops.path(name)).unwrap().unwrap();
        let format = Format::of(name);
        let ours = OpenDocument::create_by(format, name, &rule, SystemTime::now()).unwrap();
        assert_eq!(
            ours.recipients().collect::<Vec<_>>(),
            theirs.recipients().collect::<Vec<_>>(),
            "{name}"
        );
        let rules = |text: &str| -> Vec<String> {
            let settings = ["suffix", "_regex", "mac_only_encrypted"];
            let mut lines: Vec<String> = text
                .lines()
                .filter(|line| settings.iter().any(|setting| line.contains(setting)))
                .map(|line| line.replace([' ', '\t', '"', ','], ""))
                .collect();
            lines.sort();
            lines
        };
        assert_eq!(rules(ours.text()), rules(theirs.text()), "{name}");
    }
    let refused = CreationRule::find(&sops.path("pgp.txt")).unwrap_err();
    let Error::ForeignRecipients { needs, .. } = refused else { panic!("{refused}") };
    assert_eq!(needs, ["kms arn:aws:kms:x", "pgp FINGER"]);
}
