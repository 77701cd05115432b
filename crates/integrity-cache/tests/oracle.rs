//! The format against a second implementation, `tests/data/oracle.py`: each reads what the other writes.
#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::unwrap_used, missing_docs)]

mod common;

use std::process::{Command, Output};

use common::*;
use dsops_integrity_cache::{Body, Key, PutOutcome};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// `None` where there is no Python.
fn oracle(args: &[&str]) -> Option<Output> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/oracle.py");
    match Command::new("python3").arg(script).args(args).output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("not run: python3: {error}");
            None
        }
    }
}

fn number(json: &str, name: &str) -> i64 {
    let rest = json.split(&format!("\"{name}\": ")).nth(1).unwrap();
    rest.split([',', '}']).next().unwrap().parse().unwrap()
}

#[test]
fn python_reads_what_we_write_and_we_read_what_python_writes() {
    let place = Place::new();
    let cache = place.open_known();
    let dir = place.dir();
    let (dir, master) = (dir.to_str().unwrap(), hex(&MASTER));
    for (form, body) in [("3", Body::Aes256Gcm), ("1", Body::Sha256)] {
        let namespace = cache.namespace_with("sbom", policy(body)).unwrap();
        for len in [0, 1, 17, 66_000] {
            let bytes = payload(len);
            let long = "x".repeat(if len == 17 { 5000 } else { 5 });
            let key = Key::new().part("image", [0xff, 0, 7]).part("tool", &long);
            assert_eq!(namespace.put(&key, None, &bytes).unwrap(), PutOutcome::Stored);
            let tool = hex(long.as_bytes());
            let parts = ["image", "ff0007", "tool", &tool];
            let read = [&["read", dir, &master, "sbom"][..], &parts].concat();
            let Some(output) = oracle(&read) else { return };
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let json = String::from_utf8(output.stdout).unwrap();
            assert!(json.contains(&format!("\"payload\": \"{}\"", hex(&bytes))), "{body:?} {len}");
            assert_eq!(number(&json, "created"), START_MS);
            assert_eq!(number(&json, "expires"), START_MS + 6 * 3_600_000);
            // The other way round, another payload under the same key.
            let other: Vec<u8> = bytes.iter().rev().copied().chain([5]).collect();
            let (epoch, expires) =
                (number(&json, "epoch").to_string(), (START_MS + 1000).to_string());
            let head = ["write", dir, &master, "sbom", form, &epoch, "9"];
            let (start, file) = (START_MS.to_string(), place.root.path().join("payload"));
            std::fs::write(&file, &other).unwrap();
            let write = [&head[..], &[&start, &expires, file.to_str().unwrap()], &parts].concat();
            let output = oracle(&write).unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let entry = namespace.get(&key).unwrap().hit().unwrap();
            assert!(entry.bytes() == other, "{body:?} {len}");
            assert_eq!(entry.metadata().generation, 9);
            // And it refuses what we refuse.
            let path = place
                .entries()
                .into_iter()
                .max_by_key(|p| p.metadata().unwrap().modified().unwrap());
            let path = path.unwrap();
            let mut changed = std::fs::read(&path).unwrap();
            *changed.last_mut().unwrap() ^= 1;
            std::fs::write(&path, changed).unwrap();
            assert!(!oracle(&read).unwrap().status.success());
            std::fs::remove_file(path).unwrap();
        }
    }
}
