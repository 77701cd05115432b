//! The real `sops` with identities in a folder of its own.
//!
//! The binary is named by `DSOPS_TEST_SOPS`. Without it tests print "not run"; with
//! `DSOPS_TEST_REQUIRE_INTEROP=1` that is a failure.

#![allow(dead_code, reason = "each test uses a part")]

use std::{collections::BTreeMap, env, fs, path::PathBuf, process::Command};

use dsops_stores::{
    age::{Identity, Recipient},
    sops::{Document, OpenDocument},
};
use serde_json::Value;

/// A folder with identities, and the real sops.
pub struct Sops {
    binary: PathBuf,
    folder: tempfile::TempDir,
    pub recipients: Vec<String>,
}

impl Sops {
    pub fn find() -> Option<Self> {
        let Some(binary) = env::var_os("DSOPS_TEST_SOPS").map(PathBuf::from) else {
            let required = env::var("DSOPS_TEST_REQUIRE_INTEROP").is_ok_and(|value| value == "1");
            assert!(!required, "interoperability is required, but DSOPS_TEST_SOPS is not set");
            println!("not run: real sops is not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let mut recipients = Vec::new();
        let mut all = Vec::new();
        for number in 0..3 {
            let identity = Identity::generate().unwrap();
            recipients.push(identity.recipient().to_string());
            let text = identity.to_text().unwrap();
            fs::write(folder.path().join(format!("key{number}.txt")), &*text.expose()).unwrap();
            all.extend_from_slice(&text.expose());
            all.push(b'\n');
        }
        fs::write(folder.path().join("all.txt"), all).unwrap();
        Some(Self { binary, folder, recipients })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn identity(&self, number: usize) -> Identity {
        Identity::parse(&fs::read(self.path(&format!("key{number}.txt"))).unwrap()).unwrap()
    }

    pub fn recipient(&self, number: usize) -> Recipient {
        self.recipients[number].parse().unwrap()
    }

    pub fn try_run(&self, args: &[&str]) -> Result<Vec<u8>, String> {
        let output = Command::new(&self.binary)
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("SOPS_AGE_KEY_FILE", self.path("all.txt"))
            .env("SOPS_DISABLE_VERSION_CHECK", "1")
            .output()
            .unwrap();
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    pub fn run(&self, args: &[&str]) -> Vec<u8> {
        self.try_run(args).unwrap_or_else(|error| panic!("sops {args:?}: {error}"))
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Encrypts a plain text with sops into a file.
    pub fn encrypt(&self, name: &str, plain: &str, args: &[&str]) {
        self.write(&format!("plain-{name}"), plain);
        let plain = format!("plain-{name}");
        let mut all = vec!["--encrypt", "--age", &self.recipients[0]];
        all.extend(args);
        all.push(&plain);
        fs::write(self.path(name), self.run(&all)).unwrap();
    }

    /// Every value of a file as the real sops decrypts it.
    pub fn values(&self, name: &str) -> BTreeMap<String, Value> {
        let json = self.run(&["decrypt", "--output-type", "json", name]);
        let mut values = BTreeMap::new();
        flatten(&serde_json::from_slice(&json).unwrap(), "", &mut values);
        values
    }

    pub fn document(&self, name: &str) -> Document {
        Document::parse(name, fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }

    pub fn open(&self, name: &str) -> OpenDocument {
        self.document(name).open(&[self.identity(0)]).unwrap()
    }

    /// Both read the same from a file.
    pub fn assert_same(&self, name: &str) {
        let theirs = self.values(name);
        let ours = self.open(name);
        let mut keys = ours.keys().unwrap();
        keys.sort();
        assert_eq!(keys, theirs.keys().cloned().collect::<Vec<_>>(), "{name}");
        for (key, want) in theirs {
            let got = ours.get(&key).unwrap();
            let got = std::str::from_utf8(&got.expose()).unwrap().to_owned();
            let same = match &want {
                Value::String(text) => got == *text,
                Value::Number(number) if number.is_f64() => got.parse().ok() == number.as_f64(),
                other => format!("{other}") == got,
            };
            assert!(same, "{name} {key}: {got:?} is not {want}");
        }
    }
}

fn flatten(value: &Value, key: &str, into: &mut BTreeMap<String, Value>) {
    let below = |part: &str| {
        let part = part.replace('~', "~0").replace('/', "~1");
        if key.is_empty() { part } else { format!("{key}/{part}") }
    };
    match value {
        Value::Object(entries) => {
            entries.iter().for_each(|(part, value)| flatten(value, &below(part), into));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, value)| flatten(value, &below(&index.to_string()), into));
        }
        Value::Null => {}
        value => drop(into.insert(key.to_owned(), value.clone())),
    }
}
