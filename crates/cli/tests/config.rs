//! Configurations of several parts, through the real binary.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

use common::{Project, code, stderr};

#[test]
fn files_environments_and_variables_come_together() {
    let project = Project::empty();
    project.write(
        "dsops.yaml",
        "version: 1\ninclude: common.yaml\nenvs:\n  dev:\n    extends: base\n    GREETING: { literal: 'hello ${NAME}, $${NAME}', transform: clean }\n    GONE:\n",
    );
    project.write(
        "common.yaml",
        "transforms: { clean: [ trim, upper ] }\nenvs:\n  base: { PORT: { literal: 8080 }, GONE: { literal: x } }\n",
    );
    let script = "echo \"$GREETING|$PORT|${GONE-gone}|$NAME\"";
    let run = |with: Option<&str>| {
        let mut command = project.command();
        command
            .args(["--env", "dev", "exec", "--", "sh", "-c", script])
            .envs(with.map(|name| ("NAME", name)));
        command.output().unwrap()
    };
    let output = run(Some("you"));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "HELLO YOU, ${NAME}|8080|gone|you\n",
        "{}",
        stderr(&output)
    );
    let output = run(None);
    assert_eq!(code(&output), 125);
    let said = stderr(&output);
    assert!(said.contains("the environment variable `NAME` is not set"), "{said}");
    assert!(said.contains("dsops.yaml:6:"), "{said}");
}

#[test]
fn a_value_can_be_stored_where_a_file_is_included() {
    let project = Project::new();
    let config = project.read("dsops.yaml");
    project.write("dsops.yaml", &format!("include: more.yaml\n{config}"));
    project.write("more.yaml", "envs: { other: { X: { literal: x } } }\n");
    let output = project.feed(&["--env", "dev", "set", "TOKEN"], b"made up");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(project.ok(&["--env", "dev", "get", "TOKEN"]).trim_end(), "made up");
}
