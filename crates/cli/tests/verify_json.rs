//! Everything that `dsops verify --json` prints fits the schema that is checked in, which is closed: a new field
//! needs a line in it.
#![cfg(all(unix, feature = "verify"))]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

#[path = "common/outputs.rs"]
mod outputs;

use std::collections::BTreeSet;

use dsops_testkit::json_schema::faults;
use serde_json::Value;

fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/dsops-verify.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_output_fits_the_schema_and_every_part_of_the_schema_is_used() {
    let schema = schema();
    let outputs = outputs::all();
    for one in &outputs.json {
        let faults = faults(&schema, one.schema, &one.value);
        assert!(faults.is_empty(), "{}: {faults:#?}\n{:#}", one.name, one.value);
    }
    let used: BTreeSet<&str> = outputs.json.iter().map(|one| one.schema).collect();
    let kinds = ["", "explanation", "policy", "problems", "roots", "updated"];
    let kinds =
        kinds.map(|kind| if kind.is_empty() { String::new() } else { format!("/$defs/{kind}") });
    assert_eq!(used, kinds.iter().map(String::as_str).collect());
    let verdicts: BTreeSet<&str> =
        outputs.json.iter().filter_map(|one| one.value["verdict"].as_str()).collect();
    assert_eq!(verdicts, ["verified", "failed", "undecided", "error"].into());
}

#[test]
fn a_field_more_does_not_fit() {
    let schema = schema();
    let project = common::Project::empty();
    project.write("app", "x");
    let output = project.run(&["verify", "sha256", "app", &"0".repeat(64), "--json"]);
    let good: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(faults(&schema, "", &good), Vec::<String>::new());
    for place in ["", "/counts", "/artifacts/0", "/artifacts/0/digests", "/artifacts/0/findings/0"]
    {
        let mut more = good.clone();
        more.pointer_mut(place).unwrap()["more"] = Value::Null;
        assert!(!faults(&schema, "", &more).is_empty(), "{place}");
    }
}
