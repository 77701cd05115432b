//! Each key that a command prints with `--json` is told of in its section of `docs/reference/json.md`.
#![cfg(all(unix, feature = "verify", feature = "sbom", feature = "sign"))]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

use std::collections::BTreeSet;

use common::{Project, code, stderr};
use serde_json::Value;

/// All keys in a document, of objects in it too.
fn keys(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                all.insert(key.clone());
                keys(value, all);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, all)),
        _ => {}
    }
}

#[test]
fn every_key_is_told_of() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/json.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let project = Project::new();
    project.set("TOKEN", b"hunter2hunter2");
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cmd/sbom.in");
    for name in ["app.cdx.json", "next.cdx.json"] {
        std::fs::copy(format!("{cases}/{name}"), project.path(name)).unwrap();
    }
    project.ok(&["sign", "keygen", "--output", "release", "--no-passphrase"]);
    let statement =
        ["attest", "sbom", "app.cdx.json", "--sbom", "app.cdx.json", "--key", "release.key"];
    let calls: [(&str, &[&str], &[&str]); 8] = [
        ("plan", &["plan"], &["environment", "variables", "stores", "place"]),
        ("list", &["list"], &["stored"]),
        ("doctor", &["doctor"], &["protection", "findings"]),
        ("sbom check", &["sbom", "check", "next.cdx.json"], &["in_order", "findings", "found"]),
        ("sbom show", &["sbom", "show", "app.cdx.json"], &["packages", "relationships"]),
        ("sbom diff", &["sbom", "diff", "app.cdx.json", "next.cdx.json"], &["changed", "aspect"]),
        (
            "sign",
            &["sign", "app.cdx.json", "--key", "release.key"],
            &["signed", "bundle", "signer"],
        ),
        ("attest", &statement, &["attested", "subjects", "signer"]),
    ];
    for (name, args, least) in calls {
        let output = project.run(&[args, &["--json"]].concat());
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{name}: {} {}", code(&output), stderr(&output)));
        assert_eq!(value["version"], 1, "{name}");
        let section = guide.split_once(&format!("\n## `dsops {name}`\n")).unwrap().1;
        let section = section.split("\n## ").next().unwrap();
        let mut all = BTreeSet::new();
        keys(&value, &mut all);
        all.remove("version");
        let untold: Vec<_> =
            all.iter().filter(|key| !section.contains(&format!("`{key}`"))).collect();
        assert!(untold.is_empty(), "{name}: {untold:?} is not in docs/reference/json.md");
        assert!(least.iter().all(|key| all.contains(*key)), "{name}: {all:?}");
    }
}
