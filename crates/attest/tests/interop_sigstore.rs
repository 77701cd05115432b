//! What is signed here, before the other verifiers: sigstore-python and `@sigstore/verify`.
//!
//! `DSOPS_TEST_SIGSTORE` names the folder where `cargo xtask tools` installed them; what is missing is
//! printed as "not run".

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use dsops_attest::{Algorithm, Keyless, Provenance, Services, Signer, SigningKey, Subject};
use dsops_secure_mem::SecretBytes;
use dsops_testkit::sigstore::{Services as StandIn, World, base64, server, sha256};
use dsops_transport::Client;
use serde_json::{Value, json};

const FILE: &[u8] = b"the file";

/// What was signed, as the scripts beside `judge.py` take it, and whether it is good.
fn questions() -> Vec<(String, Value, bool)> {
    let mut all = Vec::new();
    let subjects = [Subject::sha256("file", &sha256(FILE))];
    let statement = Provenance::local().statement(&subjects).unwrap();
    let client = Client::builder().allow_loopback_http().build().unwrap();
    for generation in [1, 2] {
        let stand_in = StandIn::start(World::at("interop", SystemTime::now()));
        let world = stand_in.world();
        let config = stand_in.signing_config(generation).to_string();
        let services = Services::read(config.as_bytes()).unwrap();
        let reference = "refs/tags/v1.2.3";
        let claims =
            server::workflow_claims(world, "octo/demo", "release.yml", reference, &"a".repeat(40));
        let token = SecretBytes::copy_from(server::token(&claims).as_bytes()).unwrap();
        let session = Keyless::begin(&client, &services, &token).unwrap();
        let key = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
        let by = [Signer::Keyless(&session), Signer::LoggedKey(&key, &client, &services)];
        for signer in by {
            let file = signer.sign_artifact(&mut &FILE[..]).unwrap();
            let said = signer.sign_statement(&statement).unwrap();
            for (kind, bundle) in [("file", file), ("statement", said)] {
                let mut question = json!({
                    "bundle": bundle.to_string(),
                    "root": world.trusted_root().to_string(),
                    "artifact": base64(FILE),
                });
                if matches!(signer, Signer::Keyless(_)) {
                    question["identity"] = format!(
                        "https://github.com/octo/demo/.github/workflows/release.yml@{reference}"
                    )
                    .into();
                    question["issuer"] = "https://token.actions.githubusercontent.com".into();
                } else {
                    question["key"] = key.public_pem().into();
                }
                let name = format!("{kind}, Rekor v{generation}, {signer:?}");
                all.push((name.clone(), question.clone(), true));
                // Each judge has to tell good from bad; comparing subjects is left to its caller by
                // `@sigstore/verify`, so the signature itself is broken.
                let text = question["bundle"].as_str().unwrap();
                let at = text.find("\"sig").unwrap() + 20;
                let at = at + text[at..].find("ME").map_or(0, |found| found + 30);
                let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
                let broken = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                question["bundle"] = broken.into();
                all.push((format!("broken: {name}"), question, false));
            }
        }
    }
    all
}

fn ask(mut command: Command, questions: &[(String, Value, bool)]) -> Vec<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text: String =
        questions.iter().map(|(_, question, _)| question.to_string() + "\n").collect();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn compare(verifier: &str, command: Command) {
    let questions = questions();
    let verdicts = ask(command, &questions);
    assert_eq!(verdicts.len(), questions.len(), "{verifier}");
    let mut judged = 0;
    for ((name, _, is_good), verdict) in questions.iter().zip(&verdicts) {
        if verdict.contains("unsupported: ") {
            continue;
        }
        judged += 1;
        assert_eq!(verdict == "ok", *is_good, "{verifier}, {name}: {verdict}");
    }
    assert!(judged >= 8, "{verifier} judged {judged}");
    println!("{verifier}: {judged} of {} verdicts are right", questions.len());
}

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("DSOPS_TEST_SIGSTORE").map(PathBuf::from);
    if folder.is_none() {
        println!("not run: DSOPS_TEST_SIGSTORE does not name the folder of pinned packages");
    }
    folder
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/sigstore-peers").join(name)
}

#[test]
fn sigstore_python_takes_what_we_sign() {
    let Some(folder) = folder() else { return };
    let mut command = Command::new("python3");
    command.arg(script("judge.py")).env("PYTHONPATH", folder.join("python"));
    compare("sigstore-python", command);
}

#[test]
fn sigstore_js_takes_what_we_sign() {
    let Some(folder) = folder() else { return };
    let mut command = Command::new("node");
    command.arg(script("judge.cjs")).env("NODE_PATH", folder.join("node/node_modules"));
    compare("sigstore-js", command);
}
