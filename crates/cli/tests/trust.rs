//! `dsops trust` on the real binary: what needs it, what it shows, and when it ends.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

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
    // Where there is no home to keep a record in, too.
    let mut homeless = project.command();
    homeless.args(["exec", "true"]).env_remove("HOME");
    let output = homeless.output().unwrap();
    assert_eq!(code(&output), 125);
    assert!(stderr(&output).contains("LD_PRELOAD"), "{}", stderr(&output));
    let output = homeless.env("DSOPS_TRUST", &hash).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let output = project.command().args(["trust", "--yes"]).env_remove("HOME").output().unwrap();
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("XDG_DATA_HOME"), "{}", stderr(&output));
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
    // What does not count is not said to be there.
    let output = project.run(&["trust", "--yes"]);
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    assert!(stderr(&output).contains("no record of trust"), "{}", stderr(&output));
    std::fs::remove_file(&record).unwrap();
    project.ok(&["trust", "--yes"]);
    assert_eq!(code(&project.run(&["exec", "true"])), 0);
}

#[test]
fn what_several_environments_would_be_allowed_is_said_once() {
    let project = Project::empty();
    let two = "{ LD_PRELOAD: { literal: x }, BASH_ENV: { literal: y } }";
    project.write(
        "dsops.yaml",
        &format!("envs:\n  base: {two}\n  dev: {{ extends: base }}\n  prod: {{ extends: base }}\n"),
    );
    let output = project.run(&["trust", "--show"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("sets LD_PRELOAD").count(), 1, "{text}");
    assert_eq!(text.matches("sets BASH_ENV").count(), 1, "{text}");
}

#[test]
fn a_template_outside_the_project_needs_trust() {
    let project = Project::empty();
    std::fs::create_dir_all(project.path("p/in")).unwrap();
    std::fs::create_dir_all(project.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", project.path("p/link")).unwrap();
    project.write("p/own.j2", "{{ A }}");
    project.write("theirs.j2", "{{ A }}");
    let run = |args: &[&str]| {
        project.command().current_dir(project.path("p")).args(args).output().unwrap()
    };
    let with = |out: &str, template: &str| {
        let text = format!(
            "envs: {{ dev: {{ A: {{ literal: x }} }} }}\ntemplates:\n  - {{ name: t, out: '{out}', template_path: '{template}' }}\n"
        );
        project.write("p/dsops.yaml", &text);
    };
    let absolute = project.path("elsewhere/rc").display().to_string();
    for (out, template) in [
        ("../elsewhere/rc", "own.j2"),
        ("link/rc", "own.j2"),
        ("in/../../elsewhere/rc", "own.j2"),
        ("none/../../elsewhere/rc", "own.j2"),
        (absolute.as_str(), "own.j2"),
        ("in/rc", "../theirs.j2"),
    ] {
        with(out, template);
        let output = run(&["render", "--all"]);
        assert_eq!(code(&output), 3, "{out}: {}", stderr(&output));
        assert!(stderr(&output).contains("outside its folder"), "{out}: {}", stderr(&output));
        assert!(!project.path("elsewhere/rc").exists(), "{out}");
        // It is nothing to anyone who does not render it.
        assert_eq!(code(&run(&["exec", "true"])), 0, "{out}");
        assert_eq!(code(&run(&["render", "--out", "-"])), 0, "{out}");
    }
    with("in/rc", "own.j2");
    assert_eq!(code(&run(&["render", "--all"])), 0);
    assert_eq!(project.read("p/in/rc"), "x");
    with("link/rc", "own.j2");
    assert_eq!(code(&run(&["trust", "--yes"])), 0);
    assert_eq!(code(&run(&["render", "--all"])), 0);
    assert_eq!(project.read("elsewhere/rc"), "x");
}

#[test]
fn what_the_hook_loads_is_trusted_when_it_is_read() {
    let project = Project::empty();
    project.write("dsops.yaml", "envs: { dev: { A: { literal: x } } }\n");
    project.ok(&["trust", "--yes"]);
    let state = project.ok(&["hook-state", "bash"]);
    assert!(state.contains("render --only-trusted"), "{state}");
    // Changed after the hook was told to load it.
    project.write("dsops.yaml", "envs: { dev: { A: { literal: y } } }\n");
    let output = Command::new("bash").arg("-c").arg(format!("{state}\necho \"$A\"")).output();
    match output {
        Ok(output) => assert_eq!(output.stdout, b"\n"),
        Err(error) => println!("not run: bash cannot be had: {error}"),
    }
    let output = project.run(&["render", "--only-trusted", "--out", "-"]);
    assert_eq!((code(&output), output.stdout.len()), (3, 0), "{}", stderr(&output));
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
