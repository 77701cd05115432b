//! Every kind of tampering in JSON, dotenv and INI, each refused with its error; YAML has a table
//! of its own in `sops_tampering.rs`.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use dsops_secure_mem::SecretBytes;
use dsops_stores::{
    age::Identity,
    sops::{Document, Error, Format, OpenDocument},
};

const MARKER: &str = "MARKER-of-a-secret-value";

/// A document in a format, with an older version and another document for the same identity.
struct Case {
    format: Format,
    file: &'static str,
    identity: Identity,
    text: String,
    older: String,
    other: String,
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn secret(text: &str) -> SecretBytes {
    SecretBytes::copy_from(text.as_bytes()).unwrap()
}

impl Case {
    fn new(format: Format) -> Self {
        let (file, plain) = match format {
            Format::Json => (
                "f.json",
                "{\n\t\"first\": \"MARKER\",\n\t\"second\": \"two\",\n\t\"third\": \"3\",\n\t\"note_unencrypted\": \"clear\",\n\t\"last\": \"x\"\n}\n",
            ),
            Format::Dotenv => {
                ("f.env", "first=MARKER\nsecond=two\nthird=3\nnote_unencrypted=clear\nlast=x\n")
            }
            _ => (
                "f.ini",
                "[s]\nfirst = MARKER\nsecond = two\nthird = 3\nnote_unencrypted = clear\nlast = x\n",
            ),
        };
        let identity = Identity::generate().unwrap();
        let made = || {
            let recipients = [identity.recipient().clone()];
            let mut open = OpenDocument::create(file, &recipients, at(1_800_000_000)).unwrap();
            let plain = secret(&plain.replace("MARKER", MARKER));
            open.apply_plaintext(&plain, at(1_800_000_000)).unwrap();
            open
        };
        let other = made().text().to_owned();
        let mut open = made();
        let older = open.text().to_owned();
        let key = if format == Format::Ini { "s/second" } else { "second" };
        open.set(key, &secret("2222"), at(1_800_000_100)).unwrap();
        let text = open.text().to_owned();
        Self { format, file, identity, text, older, other }
    }

    fn open(&self, text: &str) -> Result<OpenDocument, Error> {
        Document::parse(self.file, text)?.open(&[&self.identity])
    }

    /// The line of a key or a setting, without its line break.
    fn line<'a>(text: &'a str, key: &str) -> &'a str {
        let name = |line: &str| {
            let line = line.trim_start();
            let line = line.strip_prefix("sops_").unwrap_or(line);
            line.trim_start_matches('"').split(['"', '=', ' ']).next() == Some(key)
        };
        text.lines().find(|line| name(line)).unwrap()
    }

    /// The value on the line of a key, without quotes.
    fn value<'a>(&self, text: &'a str, key: &str) -> &'a str {
        let line = Self::line(text, key);
        let sign = if self.format == Format::Json { "\": " } else { "=" };
        line.split_once(sign).unwrap().1.trim().trim_end_matches(',').trim_matches('"')
    }

    fn with_value(&self, key: &str, new: &str) -> String {
        let line = Self::line(&self.text, key);
        let old = self.value(&self.text, key);
        let at = line.rfind(old).unwrap();
        let changed = [&line[..at], new, &line[at + old.len()..]].concat();
        self.text.replacen(line, &changed, 1)
    }

    fn changed(&self, key: &str, change: impl Fn(&str) -> String) -> String {
        self.with_value(key, &change(self.value(&self.text, key)))
    }

    fn flipped(&self, key: &str, part: &str) -> String {
        self.changed(key, |value| {
            let at = value.find(&format!("{part}:")).unwrap() + part.len() + 1;
            let flipped = if value.as_bytes()[at] == b'A' { "B" } else { "A" };
            [&value[..at], flipped, &value[at + 1..]].concat()
        })
    }

    fn cut(&self, key: &str, part: &str) -> String {
        self.changed(key, |value| {
            let at = value.find(&format!("{part}:")).unwrap() + part.len() + 1;
            [&value[..at], &value[at + 4..]].concat()
        })
    }

    fn without(&self, key: &str) -> String {
        self.text.replacen(&format!("{}\n", Self::line(&self.text, key)), "", 1)
    }

    fn swapped(&self, one: &str, two: &str) -> String {
        self.text.replacen(one, "\0", 1).replacen(two, one, 1).replacen('\0', two, 1)
    }

    /// One more line before that of a key or setting.
    fn added(&self, before: &str, key: &str, value: &str) -> String {
        let line = Self::line(&self.text, before);
        let old_name =
            if line.starts_with("sops_") { format!("sops_{before}") } else { before.to_owned() };
        let name = if line.starts_with("sops_") { format!("sops_{key}") } else { key.to_owned() };
        let new = line.replacen(&old_name, &name, 1);
        let new = new.replacen(self.value(&self.text, before), value, 1);
        self.text.replacen(line, &format!("{new}\n{line}"), 1)
    }

    /// The wrapped data key, as it stands in the text.
    fn wrapped(text: &str) -> &str {
        let end = text.find("-----END AGE").unwrap();
        &text[text.find("-----BEGIN").unwrap()..end]
    }

    #[allow(clippy::too_many_lines, reason = "a table")]
    fn tamperings(&self) -> Vec<(&'static str, String, &'static str)> {
        let text = &self.text;
        let wrapped = Self::wrapped(text);
        let middle = wrapped.len() / 2;
        let flip = if wrapped.as_bytes()[middle] == b'A' { "B" } else { "A" };
        let broken = [&wrapped[..middle], flip, &wrapped[middle + 1..]].concat();
        let (first, second) = (Self::line(text, "first"), Self::line(text, "second"));
        let raw = |text, key| self.value(text, key).to_owned();
        let enc = if self.format == Format::Json { "enc" } else { "age__list_0__map_enc" };
        let recipient =
            if self.format == Format::Json { "recipient" } else { "age__list_0__map_recipient" };
        vec![
            ("data flipped", self.flipped("first", "data"), "Changed"),
            ("iv flipped", self.flipped("first", "iv"), "Changed"),
            ("tag flipped", self.flipped("first", "tag"), "Changed"),
            ("data cut", self.cut("first", "data"), "Changed"),
            ("iv cut", self.cut("first", "iv"), "Value"),
            ("tag cut", self.cut("first", "tag"), "Value"),
            (
                "data emptied",
                self.with_value("first", "ENC[AES256_GCM,data:,iv:,tag:,type:str]"),
                "Value",
            ),
            ("value cut off", self.changed("first", |value| value[..60].to_owned()), "Value"),
            ("value in the clear", self.with_value("first", "hunter2"), "Value"),
            ("value emptied", self.with_value("first", ""), "Mac"),
            (
                "cipher renamed",
                self.changed("first", |value| value.replacen("AES256", "AES128", 1)),
                "Value",
            ),
            (
                "type unknown",
                self.changed("first", |value| value.replacen("type:str", "type:text", 1)),
                "Value",
            ),
            (
                "type changed",
                self.changed("first", |value| value.replacen("type:str", "type:int", 1)),
                "Value",
            ),
            ("values swapped", self.swapped(&raw(text, "first"), &raw(text, "second")), "Changed"),
            ("value copied", self.with_value("second", &raw(text, "first")), "Changed"),
            (
                "value of another file",
                self.with_value("first", &raw(&self.other, "first")),
                "Changed",
            ),
            (
                "value of an older version",
                self.with_value("second", &raw(&self.older, "second")),
                "Mac",
            ),
            ("key renamed", text.replacen("first", "First", 1), "Changed"),
            ("entry removed", self.without("second"), "Mac"),
            ("entry twice", text.replacen(first, &format!("{first}\n{first}"), 1), "Syntax"),
            ("entries swapped", self.swapped(first, second), "Mac"),
            ("clear value changed", self.with_value("note_unencrypted", "other"), "Mac"),
            ("clear value removed", self.without("note_unencrypted"), "Mac"),
            ("clear value added", self.added("note_unencrypted", "more_unencrypted", "x"), "Mac"),
            (
                "clear value encrypted",
                self.with_value("note_unencrypted", &raw(text, "first")),
                "Mac",
            ),
            ("mac flipped", self.flipped("mac", "data"), "Mac"),
            ("mac in the clear", self.with_value("mac", "0123"), "Mac"),
            ("mac emptied", self.with_value("mac", ""), "Metadata"),
            ("mac removed", self.without("mac"), "Metadata"),
            ("mac of an older version", self.with_value("mac", &raw(&self.older, "mac")), "Mac"),
            ("mac is a value", self.with_value("mac", &raw(text, "first")), "Mac"),
            ("time changed", self.with_value("lastmodified", "2027-01-15T08:00:00Z"), "Mac"),
            ("time malformed", self.with_value("lastmodified", "yesterday"), "Metadata"),
            ("time removed", self.without("lastmodified"), "Metadata"),
            ("suffix changed", self.with_value("unencrypted_suffix", "_open"), "Value"),
            ("two rules", self.added("unencrypted_suffix", "encrypted_suffix", "_x"), "Metadata"),
            (
                "rule turned around",
                text.replacen("unencrypted_suffix", "encrypted_suffix", 1),
                "Value",
            ),
            (
                "rule is a regular expression that matches all",
                self.with_value("unencrypted_suffix", ".").replacen(
                    "unencrypted_suffix",
                    "unencrypted_regex",
                    1,
                ),
                "Mac",
            ),
            (
                "rule is no regular expression",
                self.with_value("unencrypted_suffix", "(").replacen(
                    "unencrypted_suffix",
                    "encrypted_regex",
                    1,
                ),
                "Pattern",
            ),
            ("version of another format", self.with_value("version", "1.14"), "Unsupported"),
            ("version removed", self.version_removed(), "Metadata"),
            ("wrapped key flipped", text.replacen(wrapped, &broken, 1), "WrappedKey"),
            (
                "wrapped key of another file",
                text.replacen(wrapped, Self::wrapped(&self.other), 1),
                "Changed",
            ),
            ("wrapped key emptied", self.with_value(enc, ""), "WrappedKey"),
            ("recipient without a key", text.replacen(recipient, "nobody", 1), "Metadata"),
        ]
    }

    fn version_removed(&self) -> String {
        match self.format {
            // It is the last of its object.
            Format::Json => self.text.replacen("\"version\"", "\"versions\"", 1),
            _ => self.without("version"),
        }
    }
}

fn variant(error: &Error) -> String {
    format!("{error:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

#[test]
fn every_tampering_is_refused_with_its_error() {
    for format in [Format::Json, Format::Dotenv, Format::Ini] {
        let case = Case::new(format);
        case.open(&case.text).unwrap();
        let tamperings = case.tamperings();
        assert!(tamperings.len() >= 40);
        for (what, text, want) in tamperings {
            assert_ne!(text, case.text, "{format}: {what} changes nothing");
            let error = case.open(&text).expect_err(what);
            assert_eq!(variant(&error), want, "{format}: {what}: {error}");
            let shown = format!("{error} {error:?} {:?}", error.help());
            assert!(!shown.contains(MARKER), "{format}: {what}: {shown}");
            assert!(shown.contains(case.file), "{format}: {what}: {shown}");
        }
    }
}

#[test]
fn what_the_format_leaves_open_is_as_documented() {
    for format in [Format::Dotenv, Format::Ini] {
        let case = Case::new(format);
        // Comments and blank lines are not authenticated.
        let sign = if format == Format::Ini { ";" } else { "#" };
        let first = Case::line(&case.text, "first");
        let text = case.text.replacen(first, &format!("\n{sign} new\n{first}"), 1);
        case.open(&text).unwrap();
    }
    let case = Case::new(Format::Json);
    // Neither is white space, nor an entry that is null or empty.
    case.open(&case.text.replace('\t', "  ")).unwrap();
    case.open(&case.text.replacen("\t\"first\"", "\"n\": null, \"e\": \"\",\n\t\"first\"", 1))
        .unwrap();
}

#[test]
fn data_keys_for_others_are_named() {
    for (section, want) in [
        ("    pgp:\n        - fp: ABCD\n          enc: x\n", "pgp ABCD"),
        (
            "    kms:\n        - arn: arn:aws:kms:eu:1:key/2\n          enc: x\n",
            "kms arn:aws:kms:eu:1:key/2",
        ),
        (
            "    gcp_kms:\n        - resource_id: projects/p/k\n          enc: x\n",
            "gcp_kms projects/p/k",
        ),
        ("    hckms:\n        - key_id: eu:1234\n          enc: x\n", "hckms eu:1234"),
        (
            "    azure_kv:\n        - vault_url: https://v\n          name: k\n          version: \"1\"\n          enc: x\n",
            "azure_kv https://v k 1",
        ),
        (
            "    hc_vault:\n        - vault_address: https://v\n          engine_path: e\n          key_name: k\n          enc: x\n",
            "hc_vault https://v e k",
        ),
    ] {
        let text = format!(
            "a: x\nsops:\n{section}    lastmodified: \"2026-11-21T12:26:27Z\"\n    mac: m\n    version: 3.11.0\n"
        );
        let error = Document::parse("f.yaml", text).unwrap_err();
        let Error::NoAgeRecipient { needs, .. } = &error else { panic!("{error}") };
        assert_eq!(*needs, [want]);
        assert!(error.to_string().contains(want) && error.help().unwrap().contains("--add-age"));
    }
}
