//! `list`, `unset`, `providers` and `login` on the real binary and the real embedded store.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Project, code, stderr};

/// A project with two values in `dev`, one of which `prod` uses too.
fn project() -> Project {
    let project = Project::new();
    project.set("A", b"value a");
    project.set("B", b"value b");
    let text = project.read("dsops.yaml");
    project.write(
        "dsops.yaml",
        &format!(
            "{text}    # stays\n    C: {{ from: store://secrets/C, optional: true }}\n    L: {{ literal: x }}\n  prod:\n    SHARED: {{ from: store://secrets/B }}\n"
        ),
    );
    project
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn list_says_what_is_stored_and_needs_no_key() {
    let project = project();
    std::fs::remove_dir_all(project.path("home")).unwrap();
    let text = project.ok(&["list", "--env", "dev"]);
    let expected = "VARIABLE  SOURCE             NEEDED    STORED
A         store://secrets/A  required  yes
B         store://secrets/B  required  yes
C         store://secrets/C  optional  no
L         literal            required  -
4 variables, 1 without a stored value
";
    assert_eq!(text, expected);
    let listed = json(&project.ok(&["list", "--env", "dev", "--json"]));
    assert_eq!(listed["version"], 1);
    let stored: Vec<_> =
        listed["variables"].as_array().unwrap().iter().map(|v| v["stored"].clone()).collect();
    assert_eq!(stored, [true.into(), true.into(), false.into(), serde_json::Value::Null]);
    std::fs::remove_file(project.path("secrets.sops.yaml")).unwrap();
    assert_eq!(code(&project.run(&["list", "--env", "dev"])), 4);
}

#[test]
fn unset_removes_the_value_and_warns_of_the_declaration() {
    let project = project();
    let before = project.read("dsops.yaml");
    let output = project.run(&["unset", "A", "--env", "dev"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("removed A from secrets.sops.yaml"), "{}", stderr(&output));
    assert!(stderr(&output).contains("still declared as required"), "{}", stderr(&output));
    assert_eq!(project.read("dsops.yaml"), before);
    assert_eq!(code(&project.run(&["get", "A", "--env", "dev"])), 4);
    assert_eq!(project.ok(&["get", "B", "--env", "dev"]), "value b");
    // A second time there is nothing left to remove.
    assert_eq!(code(&project.run(&["unset", "A", "--env", "dev"])), 4);
}

#[test]
fn unset_removes_the_declaration_when_asked_and_keeps_the_rest() {
    let project = project();
    let before = project.read("dsops.yaml");
    let output = project.run(&["unset", "A", "--env", "dev", "--declaration"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let line = "    A: { from: store://secrets/A }\n";
    assert!(before.contains(line));
    assert_eq!(project.read("dsops.yaml"), before.replace(line, ""));
}

#[test]
fn unset_does_not_take_a_value_from_others() {
    let project = project();
    let before = (project.read("dsops.yaml"), project.read("secrets.sops.yaml"));
    for flags in [&["--declaration"][..], &[]] {
        let output = project.run(&[&["unset", "B", "--env", "dev"], flags].concat());
        assert_eq!(code(&output), 3, "{}", stderr(&output));
        assert!(stderr(&output).contains("SHARED (environment `prod`)"), "{}", stderr(&output));
    }
    assert_eq!((project.read("dsops.yaml"), project.read("secrets.sops.yaml")), before);
    assert_eq!(code(&project.run(&["unset", "B", "--env", "dev", "--force"])), 0);
    assert_eq!(code(&project.run(&["get", "SHARED", "--env", "prod"])), 4);
}

#[test]
fn unset_refuses_what_is_not_its_own() {
    let project = project();
    let before = (project.read("dsops.yaml"), project.read("secrets.sops.yaml"));
    for (name, expected, text) in [
        ("L", 3, "is a literal of the configuration"),
        ("AA", 3, "has no variable `AA`"),
        ("C", 4, "C"),
    ] {
        let output = project.run(&["unset", name, "--env", "dev"]);
        assert_eq!(code(&output), expected, "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains(text), "{}", stderr(&output));
    }
    // An inherited declaration is removed where it stands.
    let text = project.read("dsops.yaml");
    project.write("dsops.yaml", &format!("{text}  stage:\n    extends: dev\n"));
    let output = project.run(&["unset", "A", "--env", "stage", "--declaration", "--force"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(stderr(&output).contains("inherits it"), "{}", stderr(&output));
    assert_eq!(project.read("secrets.sops.yaml"), before.1);
}

#[test]
fn providers_lists_types_and_stores_and_needs_no_project() {
    let text = Project::empty().ok(&["providers"]);
    assert!(text.contains("literal") && text.contains("no dsops.yaml"), "{text}");
    let project = project();
    let text = project.ok(&["providers"]);
    assert!(text.lines().any(|line| line.starts_with("secrets  sops  configured")), "{text}");
    let listed = json(&project.ok(&["providers", "--json"]));
    assert_eq!(listed["stores"][0]["name"], "secrets");
    let types: Vec<_> =
        listed["types"].as_array().unwrap().iter().map(|t| t["type"].clone()).collect();
    assert!(types.contains(&"sops".into()), "{types:?}");
}

#[test]
fn login_says_which_identity_opens_a_store_and_makes_none() {
    let project = project();
    let text = project.ok(&["login"]);
    assert!(
        text.starts_with("secrets: secrets.sops.yaml opens with the identity of age1"),
        "{text}"
    );
    assert!(project.ok(&["login", "literal"]).contains("need no login"));
    assert!(project.ok(&["login", "sops"]).contains("keys.txt"));
    std::fs::remove_dir_all(project.path("home")).unwrap();
    for args in [&["login"][..], &["login", "secrets"], &["login", "sops"]] {
        let output = project.run(args);
        assert_eq!(code(&output), 4, "{args:?}: {}", stderr(&output));
        assert!(!project.path("home").exists(), "nothing is made");
    }
    assert!(stderr(&project.run(&["login", "sops"])).contains("`dsops init` makes one"));
}

#[test]
fn login_knows_the_names_of_the_first_dsops() {
    let project = Project::empty();
    for (name, told) in [
        ("bw", "`bitwarden`"),
        ("1password", "`onepassword`"),
        ("google", "`gcp`"),
        ("az", "`azure`"),
        ("hashicorp-vault", "`vault`"),
    ] {
        let output = project.run(&["login", name]);
        assert_eq!(code(&output), 3);
        assert!(stderr(&output).contains(told), "{}", stderr(&output));
    }
    let output = project.run(&["login", "litteral"]);
    assert!(stderr(&output).contains("did you mean `literal`?"), "{}", stderr(&output));
}
