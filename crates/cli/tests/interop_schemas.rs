//! What is printed for programs, before judges of others: JSON by an independent validator of JSON Schema, SARIF by
//! Microsoft's validator, with the official schema, the rules of the standard and those of GitHub's code scanning.
//!
//! `cargo xtask interop` installs them; without them this says "not run".
#![cfg(all(target_os = "linux", feature = "verify"))]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod common;

#[path = "common/outputs.rs"]
mod outputs;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// Tells of each document on a line, after the schema and pairs of a place in it and a file.
const JUDGE: &str = "
import json, sys
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
for place, file in zip(sys.argv[2::2], sys.argv[3::2]):
    part = {'$ref': schema['$id'] + '#' + place}
    from referencing import Registry, Resource
    registry = Registry().with_resource(schema['$id'], Resource.from_contents(schema))
    errors = list(Draft202012Validator(part, registry=registry).iter_errors(json.load(open(file))))
    print('; '.join(error.json_path + ' ' + error.message[:200] for error in errors) or 'ok')
";

/// What is not for us to follow, and why.
const NOT_FOLLOWED: &[(&str, &str)] = &[
    ("SARIF2002", "a message has its text: nothing is translated"),
    ("SARIF2003", "artifacts are no files of a repository"),
    ("SARIF2006", "the address of the schema is not asked for: there is no network"),
    ("SARIF2010", "there are no lines to show of a program or an archive"),
    ("SARIF2011", "nor lines around them"),
    ("SARIF2016", "what lies outside the folder that is worked in has no relative name"),
    ("SARIF2013", "nor is it put into the report"),
    ("SARIF2009", "codes have a slash everywhere, and were never read as a rule and its part"),
];

/// Where the judges are, or `None` with a word about it.
fn judges() -> Option<PathBuf> {
    let folder = std::env::var_os("DSOPS_TEST_SCHEMAS").filter(|folder| !folder.is_empty());
    if folder.is_none() {
        let required = std::env::var_os("DSOPS_TEST_REQUIRE_INTEROP").is_some_and(|one| one == "1");
        assert!(!required, "DSOPS_TEST_SCHEMAS must name the judges");
        println!("not run: DSOPS_TEST_SCHEMAS does not name the judges");
    }
    folder.map(PathBuf::from)
}

#[test]
fn an_independent_validator_says_the_same_of_the_schema() {
    let Some(judges) = judges() else { return };
    let folder = tempfile::tempdir().unwrap();
    let outputs = outputs::all();
    let mut names = Vec::new();
    let mut python = Command::new("python3");
    python.args(["-c", JUDGE]).env("PYTHONPATH", judges.join("python"));
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/dsops-verify.schema.json"));
    let mut more = outputs.json[0].value.clone();
    more["more"] = Value::Null;
    let json = outputs.json.iter().map(|one| (one.name.as_str(), one.schema, &one.value));
    for (index, (name, schema, value)) in json.chain([("a field more", "", &more)]).enumerate() {
        let file = folder.path().join(format!("{index}.json"));
        std::fs::write(&file, value.to_string()).unwrap();
        python.arg(schema).arg(file);
        names.push(name);
    }
    let output = python.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said.len(), names.len());
    for (name, said) in names.iter().zip(said) {
        assert_eq!(said == "ok", *name != "a field more", "{name}: {said}");
    }
}

#[test]
fn sarif_is_what_the_standard_and_code_scanning_want() {
    let Some(judges) = judges() else { return };
    let program = judges.join("node/node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool");
    // No script of the package ran, which would have done it.
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let outputs = outputs::all();
    assert!(outputs.sarif.len() >= 15, "{}", outputs.sarif.len());
    let judge = |name: &str, value: &Value| -> BTreeSet<(String, String)> {
        let (file, verdict) = (folder.path().join("in.sarif"), folder.path().join("out.sarif"));
        std::fs::write(&file, value.to_string()).unwrap();
        let output = Command::new(&program)
            .env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")
            .env("DOTNET_BUNDLE_EXTRACT_BASE_DIR", folder.path())
            .args(["validate", "--rule-kind", "Sarif;Ghas", "--level", "Error;Warning;Note"])
            .args(["--log", "ForceOverwrite", "--output"])
            .arg(&verdict)
            .arg(&file)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let report = std::fs::read(&verdict).unwrap_or_else(|_| panic!("{name}: {text}"));
        let report: Value = serde_json::from_slice(&report).unwrap();
        let results = report["runs"][0]["results"].as_array().unwrap().clone();
        let followed = |id: &str| !NOT_FOLLOWED.iter().any(|(known, _)| *known == id);
        let results = results.iter().filter_map(|result| {
            let id = result["ruleId"].as_str().unwrap();
            let line = text.lines().find(|line| line.contains(id)).unwrap_or_default();
            followed(id).then(|| (id.to_owned(), line.to_owned()))
        });
        results.collect()
    };
    let results = |value: &Value| value["runs"][0]["results"].as_array().unwrap().len();
    let mut wrong = Vec::new();
    for (name, value) in &outputs.sarif {
        let mut found = judge(name, value);
        // Where nothing is to be told there is no rule.
        found.retain(|(id, _)| id != "SARIF2012" || results(value) > 0);
        wrong.extend(found.into_iter().map(|(_, line)| format!("{name}: {line}")));
    }
    assert_eq!(wrong, Vec::<String>::new());
    // It would notice.
    let (_, good) = outputs.sarif.iter().find(|(_, value)| results(value) > 0).unwrap();
    for (place, wrong, rule) in [
        ("/runs/0/results/0/more", "1", "JSON1005"),
        ("/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri", "a b", "SARIF1002"),
        ("/runs/0/tool/driver/rules/0/help", "", "GH2012"),
    ] {
        let mut bad = good.clone();
        let (parent, key) = place.rsplit_once('/').unwrap();
        let parent = bad.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if wrong.is_empty() {
            parent.remove(key);
        } else {
            parent.insert(key.to_owned(), wrong.into());
        }
        let found = judge(place, &bad);
        assert!(found.iter().any(|(id, _)| id == rule), "{place}: {found:?}");
    }
}
