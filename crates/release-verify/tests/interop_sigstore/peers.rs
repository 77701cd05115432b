//! The other verifiers: one process each, one line a question. One that is not there is "not run".

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Verdicts;
use crate::questions::Question;

/// sigstore-python.
pub fn python(questions: &[Question]) -> Option<Verdicts> {
    let mut command = Command::new("python3");
    command.arg(script("judge.py")).env("PYTHONPATH", packages()?.join("python"));
    ask(&mut command, questions)
}

/// `@sigstore/verify`.
pub fn node(questions: &[Question]) -> Option<Verdicts> {
    let mut command = Command::new("node");
    command.arg(script("judge.cjs")).env("NODE_PATH", packages()?.join("node/node_modules"));
    ask(&mut command, questions)
}

/// The folder of pinned packages that `cargo xtask tools` installs; see `xtask/src/tools/packages.rs`.
fn packages() -> Option<PathBuf> {
    let folder = env::var_os("DSOPS_TEST_SIGSTORE").map(PathBuf::from);
    if folder.is_none() {
        println!("not run: DSOPS_TEST_SIGSTORE does not name the folder of pinned packages");
    }
    folder
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/sigstore-peers").join(name)
}

fn ask(command: &mut Command, questions: &[Question]) -> Option<Verdicts> {
    let program = command.get_program().to_string_lossy().into_owned();
    let spawned =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = spawned else {
        println!("not run: {program} is not installed");
        return None;
    };
    let mut input = child.stdin.take().unwrap();
    let lines: String = questions.iter().map(|question| question.line() + "\n").collect();
    // Both pipes are small: one side must not wait for the other.
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{program}: {}", output.status);
    let verdict = |line: &str| match line {
        "ok" => Some(Ok(())),
        _ if line.contains("unsupported: ") => None,
        _ => Some(Err(line.to_owned())),
    };
    Some(String::from_utf8(output.stdout).unwrap().lines().map(verdict).collect())
}
