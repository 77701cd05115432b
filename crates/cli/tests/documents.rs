//! What the documents show, held against the code: library programs, the example project, exit codes.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{Project, code, stderr};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_library_guide_shows_the_programs_as_they_are_and_they_run() {
    let guide = std::fs::read_to_string(root().join("docs/library.md")).unwrap();
    let mut shown = Vec::new();
    for part in guide.split("\n[crates/").skip(1) {
        let (name, rest) = part.split_once("](../crates/").unwrap();
        let (target, rest) = rest.split_once("):\n```rust\n").unwrap();
        let (program, _) = rest.split_once("```\n").unwrap();
        assert_eq!(name, target, "the link leads to the file it names");
        let file = std::fs::read_to_string(root().join("crates").join(name)).unwrap();
        assert!(program == file, "docs/library.md differs from crates/{name}");
        shown.push(name.split('/').next().unwrap());
        run_example(Path::new(name).file_stem().unwrap().to_str().unwrap());
    }
    let expected = [
        "secure-mem",
        "formats",
        "resolver",
        "stores",
        "execenv",
        "transport",
        "integrity-cache",
        "release-verify",
        "attest",
        "sbom",
    ];
    assert_eq!(shown, expected);
    assert_eq!(guide.matches("```rust").count(), shown.len(), "no program goes unchecked");
}

/// Runs an example of another crate, as `cargo build --workspace --examples` made it.
fn run_example(name: &str) {
    let program = Path::new(env!("CARGO_BIN_EXE_dsops")).with_file_name("examples").join(name);
    if !program.exists() {
        println!(
            "not run: the example `{name}`, as `cargo build --workspace --examples` was not run before"
        );
        return;
    }
    let project = Project::empty();
    let run = |args: &[&str]| {
        std::process::Command::new(&program)
            .args(args)
            .current_dir(project.folder.path())
            .output()
            .unwrap()
    };
    if name != "folder" {
        let output = run(&[]);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        return;
    }
    let release =
        dsops_testkit::sigstore::Release::write(project.folder.path(), "library").unwrap();
    let good = run(&["dist", "octo/demo@v1.*", "trusted_root.json"]);
    assert!(good.status.success(), "{}", stderr(&good));
    let wrong = run(&["dist", "octo/other", "trusted_root.json"]);
    assert!(!wrong.status.success());
    assert!(String::from_utf8_lossy(&wrong.stdout).contains("policy/identity"));
    release.put("install.sh", b"curl | sh\n").unwrap();
    assert!(!run(&["dist", "octo/demo", "trusted_root.json"]).status.success());
}

#[test]
fn the_example_project_works() {
    let config = root().join("examples/quickstart/dsops.yaml");
    let config = config.to_str().unwrap();
    let project = Project::empty();
    let plan = project.ok(&["--config", config, "plan"]);
    assert!(plan.contains("store://ci/API_TOKEN"), "{plan}");
    let script = r#"echo "$GREETING|$API_TOKEN|$REGION|$PORT|${CI_API_TOKEN-gone}""#;
    let output = project
        .command()
        .args(["--config", config, "exec", "--", "sh", "-c", script])
        .env("CI_API_TOKEN", "made up")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "hello|made up|nearby|8080|gone\n", "{}", stderr(&output));
}

#[test]
fn a_closed_pipe_is_141_and_silent() {
    let project = Project::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = project.command().arg("plan").stdout(writer).stderr(Stdio::piped()).output();
    let output = output.unwrap();
    assert_eq!((code(&output), stderr(&output)), (141, String::new()));
}

#[test]
fn a_timeout_that_needs_a_kill_is_137() {
    let project = Project::new();
    let script = "trap '' TERM; while :; do sleep 0.1; done";
    let output =
        project.run(&["exec", "--timeout", "300ms", "--grace", "300ms", "--", "sh", "-c", script]);
    assert_eq!(code(&output), 137, "{}", stderr(&output));
}

#[test]
fn empty_stdin_is_stored_only_when_asked_for() {
    let project = Project::new();
    assert_eq!(code(&project.feed(&["set", "A"], b"")), 2);
    assert_eq!(code(&project.run(&["get", "A"])), 3, "nothing was declared");
    assert_eq!(code(&project.feed(&["set", "A", "--allow-empty"], b"")), 0);
    assert_eq!(project.ok(&["get", "A"]), "");
}

#[test]
fn the_environment_variable_is_never_ignored() {
    let project = Project::new();
    let run = |args: &[&str]| {
        code(&project.command().args(args).env("DSOPS_ENV", "prod").output().unwrap())
    };
    assert_eq!(run(&["plan"]), 3, "there is one environment, and it is not the one asked for");
    assert_eq!(run(&["plan", "--env", "dev"]), 0, "the flag comes first");
}

#[test]
fn doctor_warns_of_modes() {
    let project = Project::new();
    let set = |name: &str, mode| {
        std::fs::set_permissions(project.path(name), std::fs::Permissions::from_mode(mode))
            .unwrap();
    };
    assert!(!project.ok(&["doctor"]).contains("chmod"));
    set("dsops.yaml", 0o666);
    assert!(project.ok(&["doctor"]).contains("dsops.yaml can be changed by others"));
    set("home/.config/sops/age/keys.txt", 0o644);
    assert!(project.ok(&["doctor"]).contains("can be read by others"));
}

#[test]
fn process_substitution_needs_keep_fd() {
    let project = Project::new();
    let run = |flags: &str| {
        let script = format!(r#""$0" exec {flags} -- cat /dev/fd/9 9< dsops.yaml"#);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_dsops")]);
        command.current_dir(project.folder.path()).env("HOME", project.path("home"));
        code(&command.output().unwrap())
    };
    assert_ne!(run(""), 0);
    assert_eq!(run("--keep-fd 9"), 0);
}
