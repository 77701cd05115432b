//! The other verifiers: one process each, one line a question. One that is not there is "not run".

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::UNIX_EPOCH;

use dsops_testkit::sigstore::{Services, base64, cases, server};
use serde_json::json;

use crate::Verdicts;
use crate::questions::{Question, Wanted};

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

/// Has sigstore-python sign a file, or a statement about it, with Rekor of that generation.
pub fn sign(services: &Services, generation: u32, is_statement: bool) -> Option<Question> {
    let mut command = Command::new("python3");
    command.arg(script("sign.py")).env("PYTHONPATH", packages()?.join("python"));
    let now = services.world().now.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let issuer = "https://accounts.test";
    let claims = json!({
        "iss": issuer, "aud": "sigstore", "sub": "signer", "email": "signer@example.com",
        "email_verified": true, "iat": now, "exp": now + 600,
    });
    let asked = json!({
        "trust_config": services.trust_config(generation).to_string(),
        "token": server::token(&claims),
        "artifact": base64(cases::ARTIFACT),
        "statement": is_statement.then(|| cases::statement(cases::ARTIFACT)),
    });
    let output = run(&mut command, asked.to_string() + "\n")?;
    Some(Question {
        name: format!("signed by sigstore-python, Rekor v{generation}, {is_statement}"),
        bundle: output.trim().to_owned(),
        root: services.world().trusted_root().to_string(),
        artifact: cases::ARTIFACT.to_vec(),
        wanted: Wanted::Identity("signer@example.com".into(), issuer.into()),
        is_good: true,
    })
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
    let output = run(command, questions.iter().map(|question| question.line() + "\n").collect())?;
    let verdict = |line: &str| match line {
        "ok" => Some(Ok(())),
        _ if line.contains("unsupported: ") => None,
        _ => Some(Err(line.to_owned())),
    };
    Some(output.lines().map(verdict).collect())
}

/// What a program prints that is given this text; it must succeed.
fn run(command: &mut Command, text: String) -> Option<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        println!("not run: {program} is not installed");
        return None;
    };
    let mut input = child.stdin.take().unwrap();
    // Both pipes are small: one side must not wait for the other.
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {}: {errors}", output.status);
    writer.join().unwrap().unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}
