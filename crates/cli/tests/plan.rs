//! `dsops plan` on the real binary: what it shows, and what its checks come to.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Project, code, stderr};

fn project(more: &str) -> Project {
    let project = Project::new();
    project.set("A", b"x");
    let text = project.read("dsops.yaml") + more;
    project.write("dsops.yaml", &text);
    project
}

#[test]
fn a_check_asks_without_fetching() {
    let project = project("    GONE: { from: store://secrets/GONE, optional: true }\n");
    // Without a key nothing could be decrypted, and nothing has to be.
    std::fs::remove_dir_all(project.path("home")).unwrap();
    let output = project.run(&["plan", "--check"]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(code(&output), 0, "{text}{}", stderr(&output));
    assert!(text.contains("there") && text.contains("missing"), "{text}");
    assert_eq!(code(&project.run(&["plan", "--check", "--detailed-exitcode"])), 1);
    let json: serde_json::Value =
        serde_json::from_str(&project.ok(&["plan", "--check", "--json"])).unwrap();
    assert_eq!(json["variables"][0]["state"], "there");
    assert_eq!(json["variables"][1]["state"], "missing");
}

#[test]
fn a_required_item_that_is_missing_is_found() {
    let project = project("    GONE: { from: store://secrets/GONE }\n");
    assert_eq!(code(&project.run(&["plan"])), 0);
    assert_eq!(code(&project.run(&["plan", "--check"])), 1);
}

#[test]
fn what_wins_and_what_is_done_is_shown() {
    let project = Project::empty();
    project.write(
        "dsops.yaml",
        "version: 1\nenvs:\n  base:\n    A: { literal: x }\n  dev:\n    extends: base\n    A: { literal: ' y ', transform: trim }\n",
    );
    let text = project.ok(&["plan", "--env", "dev"]);
    assert!(text.contains("WINS OVER") && text.contains("base (dsops.yaml:4:5)"), "{text}");
    assert!(text.contains("TRANSFORM") && text.contains("trim"), "{text}");
    assert_eq!(project.ok(&["plan", "--env", "dev"]), text);
}

#[test]
fn stores_that_may_take_no_time_are_not_waited_for() {
    let project = project("");
    let output = project.run(&["get", "A", "--fetch-timeout", "0s"]);
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    assert!(stderr(&output).contains("deadline"), "{}", stderr(&output));
    assert_eq!(code(&project.run(&["get", "A", "--fetch-timeout", "1m"])), 0);
    assert_eq!(code(&project.run(&["get", "A", "--fetch-timeout", "soon"])), 2);
}
