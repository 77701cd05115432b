//! `dsops import` on the real binary: what is taken, what is left, and what is never overwritten.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Project, code, stderr};

#[test]
fn a_dotenv_file_moves_into_the_store() {
    let project = Project::new();
    project.write(
        ".env",
        "# ours\nexport TOKEN='q z' # why\nURL=\"http://x/\\n\"\nLIVE=${HOME}\nBAD-NAME=1\n",
    );
    let output = project.run(&["import", ".env"]);
    let text = stderr(&output);
    assert_eq!(code(&output), 0, "{text}");
    assert_eq!(project.run(&["get", "TOKEN"]).stdout, b"q z");
    assert_eq!(project.run(&["get", "LIVE"]).stdout, b"${HOME}");
    assert!(text.contains(".env still holds the values in clear"), "{text}");
    assert!(text.contains("line 4"), "{text}");
    assert!(!text.contains("q z"), "{text}");
    assert!(project.read("dsops.yaml").contains("TOKEN: { from: store://secrets/TOKEN }"));
    // The file is the user's to remove.
    assert!(project.path(".env").exists());
    // Once more changes nothing.
    let before = project.read("secrets.sops.yaml");
    project.ok(&["import", ".env"]);
    assert_eq!(project.read("secrets.sops.yaml"), before);
}

#[test]
fn what_is_there_is_not_overwritten_unless_told() {
    let project = Project::new();
    project.set("TOKEN", b"mine");
    project.write("other.env", "TOKEN=theirs\nNEW=x\n");
    let output = project.run(&["import", "other.env"]);
    assert_eq!(code(&output), 4);
    assert!(stderr(&output).contains("has other values for: TOKEN"), "{}", stderr(&output));
    assert!(!project.read("secrets.sops.yaml").contains("NEW"));
    project.ok(&["import", "other.env", "--overwrite"]);
    assert_eq!(project.run(&["get", "TOKEN"]).stdout, b"theirs");
}

#[test]
fn a_variable_that_comes_from_elsewhere_is_told() {
    let project = Project::new();
    project.set("TOKEN", b"old");
    let config = project.read("dsops.yaml");
    let renamed = config.replace(
        "TOKEN: { from: store://secrets/TOKEN }",
        "MINE: { from: store://secrets/TOKEN }\n    LIT: { literal: x }",
    );
    assert_ne!(renamed, config);
    project.write("dsops.yaml", &renamed);
    project.write("a.env", "MINE=new\nLIT=y\n");
    let output = project.run(&["import", "a.env"]);
    let text = stderr(&output);
    assert_eq!(code(&output), 0, "{text}");
    assert!(text.contains("MINE comes from store://secrets/TOKEN"), "{text}");
    assert!(text.contains("LIT comes from"), "{text}");
    assert_eq!(project.run(&["get", "MINE"]).stdout, b"old");
}

#[test]
fn a_configuration_that_cannot_be_edited_keeps_the_store_as_it_was() {
    let project = Project::new();
    project.set("OLD", b"x");
    let config = project.read("dsops.yaml");
    // An environment behind an anchor is not edited.
    let (head, tail) = config.split_once("envs:").unwrap();
    let name = tail.trim().split(':').next().unwrap().to_owned();
    project.write(
        "dsops.yaml",
        &format!(
            "{head}envs:\n  base: &all {{ OLD: {{ from: store://secrets/OLD }} }}\n  {name}: *all\n"
        ),
    );
    let before = (project.read("secrets.sops.yaml"), project.read("dsops.yaml"));
    project.write("a.env", "NEW=y\n");
    let output = project.run(&["import", "a.env", "--env", &name]);
    let after = (project.read("secrets.sops.yaml"), project.read("dsops.yaml"));
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert_eq!(after, before);
}

#[test]
fn a_dry_run_changes_nothing() {
    let project = Project::new();
    project.write("a.json", r#"{"TOKEN":"x","N":{"computed":"y"}}"#);
    let files = || (project.read("secrets.sops.yaml"), project.read("dsops.yaml"));
    let before = files();
    let text = project.ok(&["import", "a.json", "--dry-run", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["stored"], serde_json::json!(["N", "TOKEN"]));
    assert_eq!(files(), before);
}

#[test]
fn profiles_and_references_of_fnox_are_told() {
    let project = Project::new();
    project.write(
        "fnox.toml",
        "[providers.op]\ntype = \"1password\"\n[secrets]\nPLAIN = { default = \"shared\" }\nELSE = { provider = \"op\", value = \"op://v/i\" }\n[profiles.prod.secrets]\nPLAIN = { default = \"production\" }\n",
    );
    let output = project.run(&["import", "fnox.toml", "--profile", "prod"]);
    let text = stderr(&output);
    assert_eq!(code(&output), 0, "{text}");
    assert_eq!(project.run(&["get", "PLAIN"]).stdout, b"production");
    assert!(text.contains("left out ELSE"), "{text}");
}

#[test]
fn another_sops_file_is_opened_with_our_identity() {
    let project = Project::new();
    project.set("OLD", b"value");
    std::fs::rename(project.path("secrets.sops.yaml"), project.path("old.sops.yaml")).unwrap();
    std::fs::remove_file(project.path("dsops.yaml")).unwrap();
    project.ok(&["init"]);
    let output = project.run(&["import", "old.sops.yaml"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(project.run(&["get", "OLD"]).stdout, b"value");
    assert!(!stderr(&output).contains("in clear"), "{}", stderr(&output));
}

#[test]
fn a_file_that_is_nothing_known_is_refused() {
    let project = Project::new();
    project.write("notes.txt", "TOKEN=hunter2\n");
    let output = project.run(&["import", "notes.txt"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("--from"), "{}", stderr(&output));
    project.write("broken.json", "{\"TOKEN\": \"hunter2\"");
    let output = project.run(&["import", "broken.json"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(!stderr(&output).contains("hunter2"), "{}", stderr(&output));
}

#[test]
fn standard_input_is_a_file_without_a_name() {
    let project = Project::new();
    let output = project.feed(&["import", "--from", "json", "-"], br#"{"TOKEN": "made up"}"#);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(!stderr(&output).contains("still holds"), "there is no file: {}", stderr(&output));
    assert_eq!(project.ok(&["get", "TOKEN"]), "made up");
    // Its kind cannot be seen, and a SOPS document is changed where it lies.
    for args in [&["import", "-"][..], &["import", "--from", "sops", "-"]] {
        let output = project.feed(args, b"A=1\n");
        assert_eq!(code(&output), 2, "{}", stderr(&output));
    }
}
