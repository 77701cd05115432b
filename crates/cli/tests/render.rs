//! `dsops render` on the real binary: what it writes, where it refuses to, and what it leaves alone.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

mod common;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use common::{Project, code, stderr};

fn mode(project: &Project, name: &str) -> u32 {
    project.path(name).metadata().unwrap().permissions().mode() & 0o7777
}

fn project() -> Project {
    let project = Project::new();
    project.set("A", b"it's $5");
    project.set("B", b"plain");
    project
}

#[test]
fn a_shell_reads_back_what_was_stored() {
    let project = project();
    project.ok(&["render", "--out", "app.env"]);
    assert_eq!(mode(&project, "app.env"), 0o600);
    let output = Command::new("sh")
        .args(["-c", ". ./app.env; printf '%s|%s' \"$A\" \"$B\""])
        .current_dir(project.folder.path())
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"it's $5|plain");
}

#[test]
fn the_extension_or_the_flag_chooses_the_format() {
    let project = project();
    project.ok(&["render", "--out", "a.json"]);
    let value: serde_json::Value = serde_json::from_str(&project.read("a.json")).unwrap();
    assert_eq!(value["variables"]["A"], "it's $5");
    assert_eq!(value["generated_by"], "dsops");
    let text = project.ok(&["render", "--format", "shell", "--out", "-"]);
    assert_eq!(text, "export A='it'\\''s $5'\nexport B='plain'\n");
    let output = project.run(&["render", "--format", "dotnev", "--out", "-"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("dotenv"), "{}", stderr(&output));
}

#[test]
fn an_existing_file_is_replaced_with_its_mode_set_right() {
    let project = project();
    project.write("app.env", "xyzzy");
    std::fs::set_permissions(project.path("app.env"), PermissionsExt::from_mode(0o644)).unwrap();
    project.ok(&["render", "--out", "app.env", "--permissions", "640"]);
    assert_eq!(mode(&project, "app.env"), 0o640);
    assert!(!project.read("app.env").contains("xyzzy"));
    let output = project.run(&["render", "--out", "app.env", "--permissions", "0777"]);
    assert_eq!(code(&output), 2);
}

#[test]
fn a_symbolic_link_is_not_followed() {
    let project = project();
    project.write("elsewhere", "old");
    symlink("elsewhere", project.path("app.env")).unwrap();
    let output = project.run(&["render", "--out", "app.env"]);
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    assert!(stderr(&output).contains("no regular file"), "{}", stderr(&output));
    assert_eq!(project.read("elsewhere"), "old");
}

#[test]
fn nothing_is_written_where_git_would_commit_it() {
    let project = project();
    let git = |words: &[&str]| {
        Command::new("git").args(words).current_dir(project.folder.path()).output()
    };
    if !git(&["init", "--quiet"]).is_ok_and(|output| output.status.success()) {
        println!("not run: there is no git");
        return;
    }
    let output = project.run(&["render", "--out", "app.env"]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("app.env would be in the next commit"), "{}", stderr(&output));
    assert!(!project.path("app.env").exists());
    project.ok(&["render", "--out", "app.env", "--force"]);
    project.write(".gitignore", "*.env\n");
    project.ok(&["render", "--out", "other.env"]);
    git(&["add", "--force", "other.env"]).unwrap();
    let output = project.run(&["render", "--out", "other.env"]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("is in the repository"), "{}", stderr(&output));
}

#[test]
fn what_a_format_cannot_carry_leaves_the_old_file() {
    let project = project();
    project.set("LINES", b"zebra\nyak");
    project.write("app.env", "xyzzy");
    let output = project.run(&["render", "--out", "app.env", "--format", "docker"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(stderr(&output).contains("LINES"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("zebra"), "{}", stderr(&output));
    assert_eq!(project.read("app.env"), "xyzzy");
}

#[test]
fn a_missing_secret_writes_nothing() {
    let project = project();
    let text = project.read("dsops.yaml") + "    GONE: { from: store://secrets/GONE }\n";
    project.write("dsops.yaml", &text);
    let output = project.run(&["render", "--out", "app.env"]);
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    assert!(!project.path("app.env").exists());
}

#[test]
fn what_a_format_needs_is_named_by_its_flag() {
    let project = project();
    for (format, flag) in [("k8s", "--secret-name"), ("template", "--template")] {
        let output = project.run(&["render", "--format", format, "--out", "-"]);
        assert_eq!(code(&output), 3);
        assert!(stderr(&output).contains(flag), "{}", stderr(&output));
    }
    let text = project.ok(&["render", "--format", "k8s", "--secret-name", "app", "--out", "-"]);
    assert!(text.contains("kind: Secret") && text.contains("app"), "{text}");
}

#[test]
fn a_time_to_live_is_not_promised() {
    let project = project();
    let output = project.run(&["render", "--out", "app.env", "--ttl", "1h"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("does not delete itself"), "{}", stderr(&output));
    assert!(!project.path("app.env").exists());
}

#[test]
fn configured_templates_are_written_together_or_not_at_all() {
    let project = project();
    let text = project.read("dsops.yaml")
        + "templates:\n\
           - { name: app, format: json, out: app.json }\n\
           - { name: conf, template_path: conf.j2, out: conf/app.conf }\n";
    project.write("dsops.yaml", &text);
    project.write("conf.j2", "a = {{ A }}\nb = {{ B | base64 }}\n");
    // The folder of the second is not there, which is known before the first is written only by
    // trying; what is certain is that nothing is half written.
    std::fs::create_dir(project.path("conf")).unwrap();
    project.ok(&["render", "--all"]);
    assert_eq!(project.read("conf/app.conf"), "a = it's $5\nb = cGxhaW4=\n");
    assert_eq!(mode(&project, "conf/app.conf"), 0o600);
    assert!(project.read("app.json").contains("it's $5"));
    // An undefined name is an error, and the other file stays as it was.
    project.write("conf.j2", "{{ MISSING }}\n");
    project.write("app.json", "before");
    let output = project.run(&["render", "app", "conf"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert_eq!(project.read("app.json"), "before");
    let output = project.run(&["render", "ap"]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("did you mean `app`?"), "{}", stderr(&output));
}

#[test]
fn scopes_and_globs_choose_what_is_written() {
    let project = project();
    let text = project.read("dsops.yaml") + "scopes:\n  web: [A*]\n";
    project.write("dsops.yaml", &text);
    let render = |flags: &[&str]| {
        project.ok(&[&["render", "--format", "shell", "--out", "-"], flags].concat())
    };
    assert_eq!(render(&["--scope", "web"]), "export A='it'\\''s $5'\n");
    assert_eq!(render(&["--only", "B*"]), "export B='plain'\n");
    assert_eq!(render(&["--except", "A"]), "export B='plain'\n");
    let output = project.run(&["exec", "--scope", "wbe", "true"]);
    assert_eq!(code(&output), 125);
    assert!(stderr(&output).contains("did you mean `web`?"), "{}", stderr(&output));
    let output = project.run(&["exec", "--only", "X*", "true"]);
    assert_eq!(code(&output), 125, "{}", stderr(&output));
}
