//! The public age test vectors (C2SP/CCTV), read where they lie; "not run" without them.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, path::Path};

use dsops_secure_mem::SecretBytes;
use dsops_stores::age::{self, Error, Identity, IdentityFile};
use sha2::{Digest, Sha256};

/// What vectors need that we do not support, and how many of them need it. Of these we only ask
/// that they are refused.
const UNSUPPORTED: [(&str, usize); 1] = [("post-quantum hybrid", 19)];
const VECTORS: usize = 143;

struct Vector {
    name: String,
    expect: String,
    payload: Option<String>,
    identities: String,
    passphrases: Vec<SecretBytes>,
    armored: bool,
    file: Vec<u8>,
}

#[test]
fn every_vector_of_a_supported_kind_agrees() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/age");
    if !folder.is_dir() {
        println!("not run: the public age vectors are not at {}", folder.display());
        return;
    }
    let mut seen = 0;
    let mut unsupported: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for path in names {
        let vector = Vector::read(&path);
        seen += 1;
        let verdict = vector.verdict();
        let agrees = match vector.unsupported_feature() {
            Some(feature) => {
                unsupported.entry(feature).or_default().push(vector.name.clone());
                verdict != "success" && verdict != "another payload"
            }
            None => verdict == vector.expect,
        };
        if !agrees {
            wrong.push(format!("{}: want {}, got {verdict}", vector.name, vector.expect));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen, VECTORS);
    let counted: Vec<(&str, usize)> =
        unsupported.iter().map(|(feature, names)| (*feature, names.len())).collect();
    assert_eq!(counted, UNSUPPORTED, "{unsupported:#?}");
    let agreeing = seen - UNSUPPORTED.iter().map(|(_, count)| count).sum::<usize>();
    println!("{agreeing} of {seen} age vectors agree; not supported: {unsupported:#?}");
}

impl Vector {
    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
        let header = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut vector = Self {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            expect: String::new(),
            payload: None,
            identities: String::new(),
            passphrases: Vec::new(),
            armored: false,
            file: bytes[end + 2..].to_vec(),
        };
        for line in header.lines() {
            let (key, value) = line.split_once(": ").unwrap();
            match key {
                "expect" => value.clone_into(&mut vector.expect),
                "payload" => vector.payload = Some(value.to_owned()),
                "identity" => vector.identities.extend([value, "\n"]),
                "passphrase" => {
                    vector.passphrases.push(SecretBytes::copy_from(value.as_bytes()).unwrap());
                }
                "armored" => vector.armored = true,
                "compressed" => {
                    assert_eq!(value, "zlib");
                    vector.file =
                        miniz_oxide::inflate::decompress_to_vec_zlib(&vector.file).unwrap();
                }
                "comment" | "file key" => {}
                other => panic!("{}: header {other} is not known", vector.name),
            }
        }
        vector
    }

    fn unsupported_feature(&self) -> Option<&'static str> {
        self.identities.contains("AGE-SECRET-KEY-PQ-1").then_some("post-quantum hybrid")
    }

    fn verdict(&self) -> &'static str {
        let identities: Vec<Identity> =
            IdentityFile::parse(self.identities.as_bytes()).unwrap().identities;
        let plaintext = match (self.passphrases.first(), self.armored) {
            (Some(passphrase), true) => {
                age::decrypt_armored_with_passphrase(&self.file, passphrase)
            }
            (Some(passphrase), false) => age::decrypt_with_passphrase(&self.file, passphrase),
            (None, true) => age::decrypt_armored(&self.file, &identities),
            (None, false) => age::decrypt(&self.file, &identities),
        };
        match plaintext {
            Ok(plaintext) => {
                let digest = Sha256::digest(&*plaintext.expose());
                let digest = base16(&digest);
                if Some(digest) == self.payload { "success" } else { "another payload" }
            }
            Err(Error::Armor { .. }) => "armor failure",
            Err(Error::Header { .. }) => "header failure",
            Err(Error::HeaderMac) => "HMAC failure",
            Err(
                Error::NoMatch { .. } | Error::WrongPassphrase | Error::NotForPassphrase { .. },
            ) => "no match",
            Err(Error::Payload { .. }) => "payload failure",
            Err(_) => "another error",
        }
    }
}

fn base16(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect()
}
