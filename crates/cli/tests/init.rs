//! `dsops init` beyond its defaults, and `dsops set --type`, through the real binary.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

use common::{Project, code, stderr};

const PASSPHRASE: &str = "DSOPS_AGE_PASSPHRASE";
const OTHER: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

fn key_file(project: &Project) -> String {
    // Where sops looks, on Linux and on macOS.
    let linux = "home/.config/sops/age/keys.txt";
    let macos = "home/Library/Application Support/sops/age/keys.txt";
    if project.path(linux).exists() { project.read(linux) } else { project.read(macos) }
}

#[test]
fn an_identity_can_be_protected_by_a_passphrase() {
    let project = Project::empty();
    let output = project.run(&["init", "--passphrase"]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("set DSOPS_AGE_PASSPHRASE"), "{}", stderr(&output));
    assert!(!project.path("dsops.yaml").exists() && !project.path("home").exists());

    let output =
        project.command().args(["init", "--passphrase"]).env(PASSPHRASE, "made up").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(key_file(&project).starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));
    let mut set = project.command();
    project.write("value", "told");
    set.args(["set", "A", "--from-file", "value"]).env(PASSPHRASE, "made up");
    assert!(set.output().unwrap().status.success());
    assert_eq!(code(&project.run(&["get", "A"])), 4, "nobody to ask");

    // A key that is there is not what the flag is for.
    std::fs::remove_file(project.path("dsops.yaml")).unwrap();
    std::fs::remove_file(project.path("secrets.sops.yaml")).unwrap();
    let output =
        project.command().args(["init", "--passphrase"]).env(PASSPHRASE, "made up").output();
    assert_eq!(code(&output.unwrap()), 2);
    assert!(!project.path("dsops.yaml").exists());
}

#[test]
fn a_rule_of_sops_says_for_whom_and_how() {
    let project = Project::empty();
    let rule = format!(
        "creation_rules:\n  - path_regex: secrets\n    age: {OTHER}\n    encrypted_regex: ^SECRET_\n"
    );
    project.write(".sops.yaml", &rule);
    let output = project.run(&["init", "--recipient", OTHER]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(!project.path("dsops.yaml").exists());
    let output = project.run(&["init"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("you cannot open secrets.sops.yaml"), "{}", stderr(&output));
    let store = project.read("secrets.sops.yaml");
    assert!(store.contains(OTHER) && store.contains(r#"encrypted_regex: "^SECRET_""#), "{store}");
    assert_eq!(store.matches("recipient: ").count(), 1, "{store}");

    let project = Project::empty();
    project.write(".sops.yaml", "creation_rules:\n  - path_regex: other\n    age: x\n");
    let output = project.run(&["init"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(stderr(&output).contains("no creation rule matches"), "{}", stderr(&output));
    assert!(!project.path("dsops.yaml").exists() && !project.path("home").exists());
}

#[test]
fn the_store_can_be_of_any_format_with_names() {
    for file in ["secrets.sops.json", "config/secrets.env"] {
        let project = Project::empty();
        std::fs::create_dir(project.path("config")).unwrap();
        project.ok(&["init", "--store-file", file]);
        project.set("TOKEN", b"made up");
        assert_eq!(project.ok(&["get", "TOKEN"]), "made up", "{file}");
        assert!(!project.read(file).contains("made up"), "{file}");
    }
    for file in ["secrets.ini", "secrets", "../secrets.yaml", "/tmp/secrets.yaml", "a: b.yaml", ""]
    {
        let project = Project::empty();
        let output = project.run(&["init", "--store-file", file]);
        assert_eq!(code(&output), 2, "{file}: {}", stderr(&output));
        assert!(!project.path("dsops.yaml").exists());
    }
}

#[test]
fn a_value_can_have_a_type() {
    let project = Project::new();
    let set =
        |name: &str, of: &str, value: &[u8]| project.feed(&["set", name, "--type", of], value);
    for (name, of, value, is) in [
        ("PORT", "int", "8080", "8080"),
        ("RATIO", "float", "0.50", "0.5"),
        ("ENABLED", "bool", "true", "true"),
        ("TEXT", "str", "8080", "8080"),
    ] {
        let output = set(name, of, value.as_bytes());
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(project.ok(&["get", name]), is);
        let store = project.read("secrets.sops.yaml");
        let line = store.lines().find(|line| line.starts_with(&format!("{name}: "))).unwrap();
        assert!(line.ends_with(&format!("type:{of}]")), "{line}");
    }
    let before = project.read("secrets.sops.yaml");
    for (of, value) in [("int", "80a"), ("bool", "yes"), ("float", "hunter2")] {
        let output = set("PORT", of, value.as_bytes());
        assert_eq!(code(&output), 4, "{}", stderr(&output));
        assert!(!stderr(&output).contains(value), "{}", stderr(&output));
    }
    assert_eq!(code(&set("PORT", "date", b"x")), 2);
    assert_eq!(project.read("secrets.sops.yaml"), before);
}

#[test]
fn what_a_configuration_names_and_lacks_is_made() {
    let project = Project::empty();
    let config = "version: 1\nsecretStores:\n  secrets: { type: sops, path: secrets.sops.yaml }\n\
                  envs:\n  dev:\n    TOKEN: store://secrets/TOKEN\n";
    project.write("dsops.yaml", config);
    let output = project.feed(&["set", "TOKEN"], b"made up");
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    assert!(stderr(&output).contains("help: `dsops init` makes"), "{}", stderr(&output));
    project.ok(&["init"]);
    assert_eq!(project.read("dsops.yaml"), config, "the configuration is as it was");
    project.set("TOKEN", b"made up");
    assert_eq!(project.ok(&["get", "TOKEN"]), "made up");
    // Now there is nothing to make.
    let output = project.run(&["init"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(stderr(&output).contains("secrets.sops.yaml is already there"), "{}", stderr(&output));
    assert_eq!(project.ok(&["get", "TOKEN"]), "made up");
}

#[test]
fn a_configuration_without_an_encrypted_store_is_left_alone() {
    let project = Project::empty();
    project.write("dsops.yaml", "version: 1\nenvs:\n  dev:\n    PORT: { literal: 8080 }\n");
    for args in [&["init"][..], &["rekey"]] {
        let output = project.run(args);
        assert_eq!(code(&output), 3, "{}", stderr(&output));
        assert!(stderr(&output).contains("add one under `secretStores`"), "{}", stderr(&output));
    }
    assert!(!project.path("secrets.sops.yaml").exists());
    assert!(!project.path("home").exists(), "no identity was made");
}

#[test]
fn the_key_file_of_a_store_says_for_whom_it_is_made() {
    let project = Project::new();
    let key = key_file(&project);
    let project = Project::empty();
    project.write("ci.txt", &key);
    let store = |name: &str| {
        format!("  {name}: {{ type: sops, path: in/s.sops.yaml, age_key_file: ci.txt }}\n")
    };
    // Two stores of one file, in a folder that is not there.
    project.write(
        "dsops.yaml",
        &format!(
            "version: 1\nsecretStores:\n{}{}envs:\n  dev:\n    TOKEN: store://a/TOKEN\n",
            store("a"),
            store("b")
        ),
    );
    let output = project.run(&["init", "--env", "prod"]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("no environment `prod`"), "{}", stderr(&output));
    assert!(!project.path("in").exists());
    let output = project.run(&["init", "--env", "dev"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output).matches("made in/s.sops.yaml").count(), 1, "{}", stderr(&output));
    assert!(!project.path("home").exists(), "no other identity was made");
    project.set("TOKEN", b"made up");
    assert_eq!(project.ok(&["get", "TOKEN"]), "made up");
}

#[test]
fn init_is_no_help_for_what_is_no_store() {
    let project = Project::new();
    let output = project.run(&["import", "typo.sops.yaml"]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("typo.sops.yaml"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("dsops init"), "{}", stderr(&output));
    // Where a folder cannot be made, the error names it.
    let project = Project::empty();
    project.write("config", "a file");
    let output = project.run(&["init", "--store-file", "config/secrets.env"]);
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    assert!(!stderr(&output).contains("`dsops init`"), "{}", stderr(&output));
    assert!(stderr(&output).contains("config"), "{}", stderr(&output));
}
