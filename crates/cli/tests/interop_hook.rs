//! The hook in the real shells: loaded on `cd` in, gone on `cd` out, never without trust.
#![cfg(unix)]
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::Project;

/// A shell of this machine.
struct Shell {
    name: &'static str,
    program: PathBuf,
    flags: &'static [&'static str],
    /// Takes the hook in, with `DSOPS` for the program.
    take_in: &'static str,
    /// Goes to the folder in its place, as a person would.
    go: fn(&str) -> String,
    /// Prints `A` and whether it is set.
    show: &'static str,
}

/// A shell that is not there is not run.
fn shell(shell: Shell) -> Option<Shell> {
    let found = Command::new(&shell.program).arg("--version").output().is_ok();
    if !found {
        println!("not run: there is no {}", shell.name);
    }
    found.then_some(shell)
}

fn posix(name: &'static str, take_in: &'static str, go: fn(&str) -> String) -> Shell {
    let flags: &[&str] = if name == "bash" { &["--norc", "-c"] } else { &["-f", "-c"] };
    Shell { name, program: name.into(), flags, take_in, go, show: "echo \"[${A-unset}]\"" }
}

fn shells() -> Vec<Shell> {
    // bash runs the hook with its prompt; a script has none, so the test plays it.
    let bash = posix("bash", "eval \"$(DSOPS hook bash)\"; _dsops_hook", |folder| {
        format!("cd '{folder}'; _dsops_hook")
    });
    let zsh = posix("zsh", "eval \"$(DSOPS hook zsh)\"", |folder| format!("cd '{folder}'"));
    let fish = Shell {
        name: "fish",
        program: "fish".into(),
        flags: &["--no-config", "-c"],
        take_in: "DSOPS hook fish | source",
        go: |folder| format!("cd '{folder}'"),
        show: "if set -q A; echo \"[$A]\"; else; echo '[unset]'; end",
    };
    [bash, zsh, fish].into_iter().filter_map(shell).chain(nu()).collect()
}

/// Nushell, from the pinned packages. A script has no prompt that would run the hooks, so the test
/// plays it.
fn nu() -> Option<Shell> {
    let readers = std::env::var_os("DSOPS_TEST_READERS").map(PathBuf::from)?;
    let program = readers.join("node/node_modules/@nushell/linux-x64/bin/nu");
    shell(Shell {
        name: "nu",
        program,
        flags: &["--no-config-file", "-c"],
        take_in: "source HOOK_FILE\ndef --env go [folder] { cd $folder; for hook in $env.config.hooks.env_change.PWD { do --env $hook '' $env.PWD } }",
        go: |folder| format!("go '{folder}'"),
        show: "print $\"[($env.A? | default unset)]\"",
    })
}

/// Runs lines in a shell, outside of the project to begin with; returns what it printed.
fn run(project: &Project, shell: &Shell, lines: &[String]) -> (String, String) {
    project.write("hook.nu", &project.ok(&["hook", "nu"]));
    let hook = project.path("hook.nu").display().to_string();
    let script = lines.join("\n").replace("DSOPS", env!("CARGO_BIN_EXE_dsops"));
    let script = script.replace("HOOK_FILE", &hook);
    let output = Command::new(&shell.program)
        .args(shell.flags)
        .arg(script)
        .current_dir("/")
        .env_remove("DSOPS_CONFIG")
        .env_remove("DSOPS_ENV")
        .env("HOME", project.path("home"))
        .env_remove("XDG_DATA_HOME")
        .env_remove("XDG_CONFIG_HOME")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn a_trusted_project_is_loaded_and_unloaded() {
    let project = Project::new();
    project.set("A", b"it's\n$5 `x` \"y\"");
    std::fs::create_dir(project.path("below")).unwrap();
    let folder = project.folder.path().display().to_string();
    project.ok(&["trust", "--yes"]);
    for shell in shells() {
        let lines = [
            shell.take_in.to_owned(),
            shell.show.to_owned(),
            (shell.go)(&folder),
            shell.show.to_owned(),
            (shell.go)(&format!("{folder}/below")),
            shell.show.to_owned(),
            (shell.go)("/"),
            shell.show.to_owned(),
        ];
        let (out, err) = run(&project, &shell, &lines);
        let value = "[it's\n$5 `x` \"y\"]\n";
        assert_eq!(out, format!("[unset]\n{value}{value}[unset]\n"), "{}: {err}", shell.name);
    }
}

#[test]
fn what_was_set_before_comes_back() {
    let project = Project::new();
    project.set("A", b"inside");
    project.ok(&["trust", "--yes"]);
    let folder = project.folder.path().display().to_string();
    for shell in shells() {
        let before = match shell.name {
            "fish" => "set -gx A before",
            "nu" => "$env.A = 'before'",
            _ => "export A=before",
        };
        let lines = [
            before.to_owned(),
            shell.take_in.to_owned(),
            (shell.go)(&folder),
            shell.show.to_owned(),
            (shell.go)("/"),
            shell.show.to_owned(),
        ];
        let (out, err) = run(&project, &shell, &lines);
        assert_eq!(out, "[inside]\n[before]\n", "{}: {err}", shell.name);
    }
}

#[test]
fn without_trust_nothing_is_loaded() {
    let project = Project::new();
    project.set("A", b"inside");
    let folder = project.folder.path().display().to_string();
    for shell in shells() {
        let lines = [shell.take_in.to_owned(), (shell.go)(&folder), shell.show.to_owned()];
        let (out, err) = run(&project, &shell, &lines);
        assert_eq!(out, "[unset]\n", "{}", shell.name);
        assert!(err.contains("is not trusted") && err.contains("dsops trust"), "{err}");
    }
    // Trust is in one content: after a change it is gone.
    project.ok(&["trust", "--yes"]);
    project.write("dsops.yaml", &(project.read("dsops.yaml") + "# changed\n"));
    for shell in shells() {
        let lines = [shell.take_in.to_owned(), (shell.go)(&folder), shell.show.to_owned()];
        assert_eq!(run(&project, &shell, &lines).0, "[unset]\n", "{}", shell.name);
    }
}
