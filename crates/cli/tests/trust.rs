//! `dsops trust` on the real binary: what needs it, what it shows, and when it ends.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{Project, code, stderr};

const DANGEROUS: &str = "version: 1\nenvs:\n  dev:\n    LD_PRELOAD: { literal: ./evil.so }\n";

fn dangerous() -> Project {
    let project = Project::empty();
    project.write("dsops.yaml", DANGEROUS);
    project
}

#[test]
fn what_can_run_code_needs_trust_once() {
    let project = dangerous();
    let output = project.run(&["exec", "true"]);
    assert_eq!(code(&output), 125, "{}", stderr(&output));
    assert!(stderr(&output).contains("LD_PRELOAD"), "{}", stderr(&output));
    assert!(stderr(&output).contains("dsops trust"), "{}", stderr(&output));
    let output = project.run(&["trust", "--show"]);
    assert_eq!(code(&output), 1);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("sets LD_PRELOAD") && text.contains("dsops.yaml:4:5"), "{text}");
    project.ok(&["trust", "--yes"]);
    let text = project.ok(&["exec", "--clean", "/bin/sh", "-c", "echo \"$LD_PRELOAD\""]);
    assert_eq!(text, "./evil.so\n");
    project.ok(&["trust", "--show"]);
}

#[test]
fn trust_ends_with_the_content_and_when_it_is_taken_back() {
    let project = dangerous();
    project.ok(&["trust", "--yes"]);
    project.write("dsops.yaml", &format!("{DANGEROUS}# one more line\n"));
    assert_eq!(code(&project.run(&["exec", "true"])), 125);
    project.write("dsops.yaml", DANGEROUS);
    assert_eq!(code(&project.run(&["exec", "true"])), 0);
    project.ok(&["trust", "--revoke"]);
    assert_eq!(code(&project.run(&["exec", "true"])), 125);
    assert_eq!(project.ok(&["trust", "--list"]), "");
}

#[test]
fn it_is_given_by_a_person_or_said_explicitly() {
    let project = dangerous();
    let output = project.run(&["trust"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("--yes"), "{}", stderr(&output));
    // CI names the one content that it means.
    let text = project.run(&["trust", "--show", "--json"]).stdout;
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let hash = value["hash"].as_str().unwrap().to_owned();
    let with = |hash: &str| {
        project.command().args(["exec", "true"]).env("DSOPS_TRUST", hash).output().unwrap()
    };
    assert_eq!(code(&with(&hash)), 0);
    let other = if hash.starts_with('0') { '1' } else { '0' };
    assert_eq!(code(&with(&format!("{other}{}", &hash[1..]))), 125);
    assert_eq!(code(&with("")), 125);
}

#[test]
fn a_record_that_others_can_write_is_no_trust() {
    let project = dangerous();
    project.ok(&["trust", "--yes"]);
    let folder = project.path("home/.local/share/dsops/trust");
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let record = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    assert_eq!(record.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&record, PermissionsExt::from_mode(0o666)).unwrap();
    assert_eq!(code(&project.run(&["exec", "true"])), 125);
}

#[test]
fn one_run_may_be_allowed_by_name() {
    let project = dangerous();
    let output = project.run(&["exec", "--allow-dangerous", "LD_PRELOAD", "true"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

#[test]
fn plain_data_needs_none() {
    let project = Project::new();
    project.set("A", b"x");
    project.ok(&["exec", "true"]);
    assert!(project.ok(&["trust", "--list"]).is_empty());
}
