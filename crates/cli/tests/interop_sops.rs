//! The whole tool beside the real `sops`, on the same file and the same identity.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::ffi::OsString;
use std::process::{Command, Output};

use common::{Project, code, stderr};

/// The real `sops`, as named by whoever installed it; without it the tests are not run.
fn sops() -> Option<OsString> {
    let program = std::env::var_os("DSOPS_TEST_SOPS");
    if program.is_none() {
        assert!(
            std::env::var_os("DSOPS_TEST_REQUIRE_INTEROP").is_none(),
            "DSOPS_TEST_SOPS does not name the real sops"
        );
        println!("not run: the real sops is not installed");
    }
    program
}

/// Runs sops in the project, with the project's home.
fn run(sops: &OsString, project: &Project, args: &[&str]) -> Output {
    let dsops = project.command();
    let mut command = Command::new(sops);
    command.current_dir(project.folder.path()).env_clear().args(args);
    command.envs(dsops.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    assert!(output.status.success(), "sops {args:?}: {}", stderr(&output));
    output
}

#[test]
fn sops_reads_what_dsops_set() {
    let Some(sops) = sops() else { return };
    let project = Project::new();
    for (name, value) in [("A", "first"), ("B", "two\nlines"), ("C", "grüße: #1"), ("A", "changed")]
    {
        project.set(name, value.as_bytes());
    }
    for (key, value) in [("A", "changed"), ("B", "two\nlines"), ("C", "grüße: #1")] {
        let path = format!("[\"{key}\"]");
        let output = run(&sops, &project, &["decrypt", "--extract", &path, "secrets.sops.yaml"]);
        assert_eq!(output.stdout, value.as_bytes(), "{key}");
    }
}

#[test]
fn dsops_reads_what_sops_set_and_both_take_turns() {
    let Some(sops) = sops() else { return };
    let project = Project::new();
    project.set("A", b"from dsops");
    run(&sops, &project, &["set", "secrets.sops.yaml", "[\"A\"]", "\"from sops\""]);
    assert_eq!(project.run(&["get", "A"]).stdout, b"from sops");
    project.set("B", b"from dsops again");
    run(&sops, &project, &["rotate", "--in-place", "secrets.sops.yaml"]);
    let output = project.run(&["exec", "--", "sh", "-c", "printf '%s|%s' \"$A\" \"$B\""]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(output.stdout, b"from sops|from dsops again");
}
