//! `dsops config` where it writes or prints what is too long for a case: through the real binary.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

use common::{Project, code, stderr};

const OLD: &str = "# ours\nversion: 0\nproviders:   # the stores\n  s: { type: literal, values: { a: first } }\nenvs:\n  dev:\n    A: { from: { provider: s, key: a } }  # kept\n";
const NEW: &str = "# ours\nversion: 1\nsecretStores:   # the stores\n  s: { type: literal, values: { a: first } }\nenvs:\n  dev:\n    A: { from: store://s/a }  # kept\n";

#[test]
fn migrate_writes_once_and_the_values_stay() {
    let project = Project::empty();
    project.write("dsops.yaml", OLD);
    let before = project.ok(&["get", "A"]);
    assert_eq!(project.ok(&["config", "migrate"]), NEW);
    assert_eq!(project.read("dsops.yaml"), OLD, "without --write nothing is written");
    assert_eq!(code(&project.run(&["config", "migrate", "--check"])), 1);
    assert_eq!(project.ok(&["config", "migrate", "--write"]), "");
    assert_eq!(project.read("dsops.yaml"), NEW);
    assert_eq!(project.ok(&["get", "A"]), before);
    assert_eq!(project.ok(&["config", "migrate", "--check"]), "");
    let output = project.run(&["config", "migrate", "--write"]);
    assert!(stderr(&output).contains("nothing to change"), "{}", stderr(&output));
    assert_eq!(project.read("dsops.yaml"), NEW);
}

#[test]
fn what_cannot_be_migrated_is_left_as_it_is() {
    let project = Project::empty();
    for (text, said) in [("a: [", "config/syntax"), ("\u{0}", "config/syntax")] {
        project.write("dsops.yaml", text);
        let output = project.run(&["config", "migrate", "--write"]);
        assert_eq!(code(&output), 3);
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
        assert_eq!(project.read("dsops.yaml"), text);
    }
    std::fs::write(project.path("dsops.yaml"), b"a: \xff").unwrap();
    let output = project.run(&["config", "migrate", "--write"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
}

#[test]
fn the_schema_is_the_one_in_the_repository() {
    let project = Project::empty();
    let checked_in = include_str!("../../../schema/dsops.schema.json");
    assert_eq!(project.ok(&["config", "schema"]), checked_in);
}

#[test]
fn a_check_puts_in_variables_and_looks_at_credentials_in_clear() {
    let project = Project::empty();
    project.write(
        "dsops.yaml",
        "version: 1\nenvs:\n  dev: { A: { literal: '${STAGE}' } }\n  prod: { TOKEN: { literal: ghp_madeupmadeupmadeup } }\n",
    );
    let output = project.run(&["config", "check"]);
    assert_eq!(code(&output), 3);
    let said = stderr(&output);
    assert!(said.contains("error[config/expansion]") && said.contains("`STAGE`"), "{said}");
    assert!(said.contains("warning[config/plaintext]") && !said.contains("madeup"), "{said}");
    // Only what was asked for.
    let output = project.run(&["config", "check", "--env", "prod", "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["problems"], serde_json::json!([]));
    assert_eq!(json["warnings"][0]["code"], "config/plaintext");
    assert_eq!(json["environments"], serde_json::json!([{ "name": "prod", "variables": 1 }]));
}
