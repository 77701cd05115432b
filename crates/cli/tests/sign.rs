//! `dsops sign` and `dsops attest` through the real binary, with keys and with the stand-in's services.
#![cfg(all(unix, feature = "sign"))]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::time::SystemTime;

use common::{Project, code, files, stderr};
use dsops_testkit::sigstore::{Services, World, server};
use dsops_testkit::{HttpAnswer, HttpServer};
use serde_json::{Value, json};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const PASSPHRASE: &str = "correct-horse";
const KEYLESS: &[&str] = &[
    "--identity-token-file",
    "token",
    "--signing-config",
    "config.json",
    "--trusted-root",
    "root.json",
];
const SOURCE: &[&str] = &[
    "--source-uri",
    "git+https://github.com/octo/demo@refs/tags/v1.2.3",
    "--source-digest",
    COMMIT,
];
const PUBLISHER: &[&str] = &["--policy", "github:octo/demo@v1.2.3", "--trusted-root", "root.json"];

fn ok(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        stderr(output)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A project with files, and keys `plain` and `locked`.
fn project() -> Project {
    let project = Project::empty();
    project.write("app", "the program\n");
    project.write("other", "something else\n");
    ok(&project.run(&["sign", "keygen", "--output", "plain", "--no-passphrase"]));
    project
}

/// The stand-in's services, and what a client needs to use them, in the project.
fn services(project: &Project, generation: u32) -> Services {
    let services = Services::start(World::at("cli", SystemTime::now()));
    let world = services.world();
    let claims =
        server::workflow_claims(world, "octo/demo", "release.yml", "refs/tags/v1.2.3", COMMIT);
    project.write("token", &(server::token(&claims) + "\n"));
    project.write("root.json", &world.trusted_root().to_string());
    project.write("config.json", &services.signing_config(generation).to_string());
    services
}

/// As in a job of GitHub Actions.
fn in_job(project: &Project, args: &[&str]) -> Output {
    let mut command = project.command();
    for (name, value) in [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "octo/demo"),
        ("GITHUB_REF", "refs/tags/v1.2.3"),
        ("GITHUB_SHA", COMMIT),
        ("GITHUB_WORKFLOW_REF", "octo/demo/.github/workflows/release.yml@refs/tags/v1.2.3"),
        ("GITHUB_RUN_ID", "1"),
        ("GITHUB_RUN_ATTEMPT", "1"),
        ("GITHUB_EVENT_NAME", "push"),
        ("RUNNER_ENVIRONMENT", "github-hosted"),
    ] {
        command.env(name, value);
    }
    command.args(args).output().unwrap()
}

fn predicate(project: &Project, bundle: &str) -> Value {
    let bundle: Value = serde_json::from_str(&project.read(bundle)).unwrap();
    let text = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    let payload = <base64ct::Base64 as base64ct::Encoding>::decode_vec(text).unwrap();
    serde_json::from_slice::<Value>(&payload).unwrap()
}

#[test]
fn a_key_signs_and_verify_takes_it() {
    let project = project();
    let output = project.run(&["sign", "app", "other", "--key", "plain.key"]);
    ok(&output);
    assert!(stderr(&output).starts_with("signed app by the key sha256:"), "{}", stderr(&output));
    let verify = |args: &[&str]| {
        project.run(&[&["verify", "app", "other", "--key", "plain.pub"], args].concat())
    };
    ok(&verify(&["--keys-without-log"]));
    // Without a log, nothing says when that was: verifiers have to be told that this is enough.
    assert_eq!(code(&verify(&[])), 5);
    project.write("app", "the program!\n");
    assert_eq!(code(&verify(&["--keys-without-log"])), 5);
    project.write("app", "the program\n");
    std::fs::rename(project.path("app.sigstore.json"), project.path("x")).unwrap();
    std::fs::rename(project.path("other.sigstore.json"), project.path("app.sigstore.json"))
        .unwrap();
    std::fs::rename(project.path("x"), project.path("other.sigstore.json")).unwrap();
    assert_eq!(code(&verify(&["--keys-without-log"])), 5);
}

#[test]
fn keys_have_passphrases() {
    let project = project();
    let keygen = |name: &str, more: &[&str]| {
        let args = [&["sign", "keygen", "--output", name], more].concat();
        project.command().args(args).env("DSOPS_KEY_PASSPHRASE", PASSPHRASE).output().unwrap()
    };
    ok(&keygen("locked", &["--algorithm", "ed25519"]));
    let text = project.read("locked.key");
    assert!(text.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"), "{text}");
    for key in ["locked.key", "plain.key"] {
        let mode = project.path(key).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    // Never overwritten, and no key without a passphrase by accident.
    assert_eq!(code(&keygen("locked", &[])), 2);
    assert_eq!(project.read("locked.key"), text);
    // Both or none: a public key without its private one is no reason to make a private one.
    project.write("half.pub", "another's");
    let half = keygen("half", &[]);
    assert_eq!(code(&half), 2);
    assert!(stderr(&half).contains("there is no half.key"), "{}", stderr(&half));
    assert!(!project.path("half.key").exists() && project.read("half.pub") == "another's");
    let asked = project.run(&["sign", "keygen", "--output", "none"]);
    assert_eq!(code(&asked), 2, "{}", stderr(&asked));
    assert!(!project.path("none.key").exists() && !project.path("none.pub").exists());

    let sign = |passphrase: &str| {
        let mut command = project.command();
        command.args(["sign", "app", "--key", "locked.key"]);
        command.env("DSOPS_KEY_PASSPHRASE", passphrase).output().unwrap()
    };
    let wrong = sign("wrong-horse");
    assert_eq!(code(&wrong), 3);
    assert!(stderr(&wrong).contains("the passphrase does not open it"), "{}", stderr(&wrong));
    assert!(!stderr(&wrong).contains("wrong-horse"));
    assert_eq!(code(&project.run(&["sign", "app", "--key", "locked.key"])), 3, "nobody to ask");
    assert!(!project.path("app.sigstore.json").exists());
    ok(&sign(PASSPHRASE));
    ok(&project.run(&["verify", "app", "--key", "locked.pub", "--keys-without-log"]));
}

#[test]
fn nothing_is_overwritten_or_half_done() {
    let project = project();
    let sign = |args: &[&str]| project.run(&[&["sign", "--key", "plain.key"], args].concat());
    ok(&sign(&["other"]));
    let before = project.read("other.sigstore.json");
    let again = sign(&["app", "other"]);
    assert_eq!(code(&again), 2);
    assert!(stderr(&again).contains("other.sigstore.json is there already"), "{}", stderr(&again));
    assert!(!project.path("app.sigstore.json").exists(), "the first of them is not written either");
    assert_eq!(project.read("other.sigstore.json"), before);
    ok(&sign(&["app", "other", "--force"]));
    assert_ne!(project.read("other.sigstore.json"), before);
    ok(&sign(&["app", "--output", "elsewhere.json"]));
    assert!(project.path("elsewhere.json").exists());

    std::fs::create_dir(project.path("folder")).unwrap();
    let mkfifo = std::process::Command::new("mkfifo").arg(project.path("pipe")).status();
    assert!(mkfifo.unwrap().success());
    for (args, wanted) in [
        (&["app", "folder", "--force"][..], 4),
        // Refused, and not waited for.
        (&["app", "pipe", "--force"], 4),
        (&["app", "missing", "--force"], 4),
        (&["app", "app", "--force"], 2),
        (&["app", "other", "--output", "one"], 2),
        (&[], 2),
    ] {
        let output = sign(args);
        assert_eq!(code(&output), wanted, "{args:?}: {}", stderr(&output));
    }
    let no_key = project.run(&["sign", "app", "--key", "app", "--force"]);
    assert_eq!(code(&no_key), 3);
    assert!(stderr(&no_key).contains("is no PEM file"), "{}", stderr(&no_key));
    let nobody = project.run(&["sign", "app", "--force"]);
    assert_eq!(code(&nobody), 2);
    assert!(stderr(&nobody).contains("nobody is named who signs"), "{}", stderr(&nobody));
}

#[test]
fn nothing_but_a_bundle_is_replaced() {
    let project = project();
    let services = services(&project, 1);
    project.write("app.spdx.json", &spdx(&project));
    std::os::unix::fs::symlink("plain.key", project.path("app.sigstore.json")).unwrap();
    let before = files(project.folder.path());
    let by_key = ["--key", "plain.key", "--force"];
    let sbom = ["attest", "sbom", "app", "--sbom", "app.spdx.json", "--output", "app.spdx.json"];
    for args in [
        &["sign", "app", "--output", "app"][..],
        &["sign", "app", "--output", "plain.key"],
        &["sign", "app", "--output", "missing/app.json"],
        &["sign", "app"],
        &sbom,
    ] {
        let output = project.run(&[args, &by_key].concat());
        assert_eq!(code(&output), 2, "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("nothing was signed"), "{}", stderr(&output));
        // It is found out before anything is in a public log.
        let output = project.run(&[args, KEYLESS, &["--force"]].concat());
        assert_eq!(code(&output), 2, "{args:?}: {}", stderr(&output));
    }
    assert!(services.requests().is_empty());
    assert_eq!(files(project.folder.path()), before);
}

#[test]
fn keyless_signatures_and_statements_make_a_release() {
    for generation in [1, 2] {
        let project = project();
        let services = services(&project, generation);
        let output = project.run(&[&["sign", "app", "other", "--json"], KEYLESS].concat());
        let said: Value = serde_json::from_str(&ok(&output)).unwrap();
        assert_eq!(
            said["signed"][1],
            json!({
                "file": "other",
                "bundle": "other.sigstore.json",
                "signer": {
                    "identity": "https://github.com/octo/demo/.github/workflows/release.yml@refs/tags/v1.2.3",
                    "issuer": "https://token.actions.githubusercontent.com",
                },
            })
        );
        project.write("app.spdx.json", &spdx(&project));
        ok(&in_job(&project, &[&["attest", "provenance", "app"], KEYLESS].concat()));
        ok(&project
            .run(&[&["attest", "sbom", "app", "--sbom", "app.spdx.json"], KEYLESS].concat()));
        let verified =
            project.run(&[&["verify", "app", "--require", "provenance,sbom"], PUBLISHER].concat());
        let text = ok(&verified);
        assert!(text.starts_with("verified: app\n"), "{text}");
        let certificates = services.requests();
        let certificates =
            certificates.iter().filter(|request| request.target == "/api/v2/signingCert").count();
        assert_eq!(certificates, 3, "one for each run, not for each file");
    }
}

/// An SBOM that names the file by its digest.
fn spdx(project: &Project) -> String {
    let digest = dsops_testkit::sigstore::sha256(project.read("app").as_bytes());
    json!({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": "app", "documentNamespace": "https://example.com/app",
        "creationInfo": { "created": "2025-06-01T00:00:00Z", "creators": ["Tool: test"] },
        "packages": [{
            "name": "app", "SPDXID": "SPDXRef-app", "versionInfo": "1.2.3",
            "supplier": "Organization: octo", "downloadLocation": "NOASSERTION",
            "packageFileName": "app",
            "checksums": [{ "algorithm": "SHA256",
                "checksumValue": dsops_testkit::sigstore::hex(&digest) }],
        }],
        "relationships": [{ "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
            "relatedSpdxElement": "SPDXRef-app" }],
    })
    .to_string()
}

#[test]
fn provenance_says_what_it_was_told_and_no_more() {
    let project = project();
    project.write("Cargo.lock", "version = 4\n");
    let attest = |args: &[&str]| {
        project.run(&[&["attest", "provenance", "--key", "plain.key", "--force"], args].concat())
    };
    let more = [
        "app",
        "--material",
        "Cargo.lock",
        "--parameter",
        "target=musl",
        "--started-on",
        "2026-01-31T12:00:00Z",
        "--invocation-id",
        "run-7",
    ];
    ok(&attest(&[&more[..], SOURCE].concat()));
    let said = predicate(&project, "app.intoto.jsonl");
    let definition = &said["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"], json!({ "target": "musl" }));
    assert_eq!(definition["resolvedDependencies"][0]["digest"]["gitCommit"], COMMIT);
    assert_eq!(definition["resolvedDependencies"][1]["uri"], "file:Cargo.lock");
    let details = &said["predicate"]["runDetails"];
    assert!(details["builder"]["id"].as_str().unwrap().ends_with("#local-build"), "{details}");
    assert_eq!(
        details["metadata"],
        json!({ "invocationId": "run-7", "startedOn": "2026-01-31T12:00:00Z" })
    );
    ok(&project.run(&["verify", "app", "--key", "plain.pub", "--keys-without-log"]));

    // About several, and about an image that is elsewhere.
    let digest = format!("ghcr.io/octo/app@sha256:{}", "5".repeat(64));
    ok(&attest(&[&["app", "other"], SOURCE].concat()));
    assert_eq!(
        predicate(&project, "multiple.intoto.jsonl")["subject"].as_array().unwrap().len(),
        2
    );
    ok(&attest(&[&[digest.as_str(), "--output", "image.jsonl"], SOURCE].concat()));
    assert_eq!(predicate(&project, "image.jsonl")["subject"][0]["name"], "ghcr.io/octo/app");

    let short = ["app", "--source-uri", "git+https://x.test/y", "--source-digest", "0123"];
    for (args, wanted) in [
        (&["app"][..], 2),
        (&["x@sha256:0", SOURCE[0], SOURCE[1], SOURCE[2], SOURCE[3]], 4),
        (&["app", "--source-uri", "git+https://x.test/y"], 2),
        (&short, 2),
        (&["app", "--builder-id", "me", SOURCE[0], SOURCE[1], SOURCE[2], SOURCE[3]], 3),
        (&["app", "./app", SOURCE[0], SOURCE[1], SOURCE[2], SOURCE[3]], 2),
        (&["missing", SOURCE[0], SOURCE[1], SOURCE[2], SOURCE[3]], 4),
    ] {
        let output = attest(args);
        assert_eq!(code(&output), wanted, "{args:?}: {}", stderr(&output));
    }
    let no_sbom = ["attest", "sbom", "app", "--sbom", "Cargo.lock", "--key", "plain.key"];
    assert_eq!(code(&project.run(&no_sbom)), 3);
}

#[test]
fn what_does_not_verify_is_not_written() {
    let project = project();
    let _services = services(&project, 1);
    // Whom these services are of, another root does not know.
    let before = files(project.folder.path());
    let other = World::at("another", SystemTime::now()).trusted_root().to_string();
    project.write("root.json", &other);
    for args in [&["sign", "app"][..], &["attest", "sbom", "app", "--sbom", "app.spdx.json"]] {
        project.write("app.spdx.json", &spdx(&project));
        let output = project.run(&[args, KEYLESS].concat());
        assert_eq!(code(&output), 5, "{}", stderr(&output));
        assert!(stderr(&output).contains("does not verify"), "{}", stderr(&output));
    }
    std::fs::remove_file(project.path("app.spdx.json")).unwrap();
    assert_eq!(files(project.folder.path()), before);
}

#[test]
fn what_no_verifier_reads_is_not_signed() {
    let project = project();
    let services = services(&project, 1);
    let start = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","name":""#;
    for (document, wanted, why) in [
        (format!(r#"{start}a","name":"b"}}"#), 3, "no verifier would read"),
        // Room for the document, but not for what is around it.
        (format!("{start}{}\"}}", "a".repeat((16 << 20) - 100)), 3, "no verifier would read"),
        (" ".repeat((16 << 20) + 1), 4, "bytes"),
    ] {
        project.write("bom.json", &document);
        let before = files(project.folder.path());
        let output =
            project.run(&[&["attest", "sbom", "app", "--sbom", "bom.json"], KEYLESS].concat());
        assert_eq!(code(&output), wanted, "{}", stderr(&output));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
        assert!(files(project.folder.path()) == before);
    }
    assert!(services.requests().is_empty());
}

#[test]
fn a_service_that_fails_leaves_nothing_behind() {
    let project = project();
    let services = services(&project, 1);
    let broken = HttpServer::start(|_| HttpAnswer::new(400, "{\"message\":\"\u{1b}[2Jno\"}"));
    let config = project.read("config.json");
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["tsaUrls"][0]["url"] = broken.url("/api").into();
    project.write("config.json", &config.to_string());
    let before = files(project.folder.path());
    let output = project.run(&[&["sign", "app", "other"], KEYLESS].concat());
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    assert!(!stderr(&output).contains('\u{1b}'), "{}", stderr(&output));
    assert_eq!(files(project.folder.path()), before);
    assert!(services.requests().iter().all(|request| request.target != "/api/v1/log/entries"));
    // The token is in no argument, and in no message.
    let token = project.read("token");
    assert!(!stderr(&output).contains(token.trim()));
    project.write("token", "not a token");
    let output = project.run(&[&["sign", "app"], KEYLESS].concat());
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(!stderr(&output).contains("not a token"));
}

#[test]
fn a_job_gets_its_token_from_github() {
    let project = project();
    let services = services(&project, 1);
    let token = project.read("token").trim().to_owned();
    let github = HttpServer::start(move |request| {
        if request.header("authorization") == Some("Bearer of-the-job") {
            HttpAnswer::new(200, json!({ "value": token }).to_string())
        } else {
            HttpAnswer::new(401, "")
        }
    });
    let sign = |credential: &str| {
        let mut command = project.command();
        command.args(["sign", "app"]).args(&KEYLESS[2..]);
        command.env("ACTIONS_ID_TOKEN_REQUEST_URL", github.url("/token?x=1"));
        command.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", credential).output().unwrap()
    };
    assert_eq!(code(&sign("of-another")), 4);
    ok(&sign("of-the-job"));
    assert!(github.requests().iter().all(|request| request.target.ends_with("&audience=sigstore")));
    ok(&project.run(&[&["verify", "app"], PUBLISHER].concat()));
    drop(services);
}

#[test]
fn signatures_by_a_key_in_a_log_need_no_exception() {
    let project = project();
    let _services = services(&project, 1);
    let logged =
        ["--key", "plain.key", "--signing-config", "config.json", "--trusted-root", "root.json"];
    ok(&project.run(&[&["sign", "app"], &logged[..]].concat()));
    ok(&project.run(&["verify", "app", "--key", "plain.pub", "--trusted-root", "root.json"]));
}
