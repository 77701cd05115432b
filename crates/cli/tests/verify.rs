//! `dsops verify` through the real binary, on a release that the stand-in for Sigstore signed.
#![cfg(all(unix, feature = "verify"))]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

use std::process::{Command, Output};
use std::time::Duration;

use common::{Project, code, stderr};
use dsops_testkit::sigstore::release::{ARTIFACTS, TRUSTED_ROOT};
use dsops_testkit::sigstore::{Identity, Release, World};
use dsops_testkit::{Door, ImageRegistry, Referrers};
use serde_json::{Value, json};

const LINUX: &str = "dist/app-1.2.3-linux-amd64.tar.gz";
const PUBLISHER: &[&str] = &["--policy", "github:octo/demo", "--trusted-root", TRUSTED_ROOT];

/// A project with a release, in `dist`.
fn release() -> (Project, Release) {
    let project = Project::empty();
    let release = Release::write(project.folder.path(), "cli").unwrap();
    (project, release)
}

fn verify(project: &Project, args: &[&str]) -> Output {
    project.run(&[&["verify"], args, PUBLISHER].concat())
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The JSON of a run, held against what the text says: the same verdict, the same exit code.
fn json_of(project: &Project, args: &[&str]) -> Value {
    let output = verify(project, &[args, &["--json"]].concat());
    let value: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", stdout(&output), stderr(&output)));
    assert_eq!(value["exit_code"], code(&output));
    value
}

/// The codes of the first artifact's checks that ended so.
fn codes(value: &Value, state: &str) -> Vec<String> {
    let findings = value["artifacts"][0]["findings"].as_array().unwrap();
    findings
        .iter()
        .filter(|finding| finding["state"] == state)
        .map(|finding| finding["code"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn good() {
    let (project, _release) = release();
    let output = verify(&project, &[LINUX, "--require", "checksums,provenance,sbom"]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    let text = stdout(&output);
    assert!(text.starts_with(&format!("verified: {LINUX}\n  sha256:")), "{text}");
    assert!(
        text.contains(
            "  signed by https://github.com/octo/demo/.github/workflows/release.yml\
             @refs/tags/v1.2.3 (says https://token.actions.githubusercontent.com)\n"
        ),
        "{text}"
    );
    for check in ["require/checksums", "require/provenance", "require/sbom", "policy/signer"] {
        assert!(text.contains(&format!("[{check}]")), "{check}: {text}");
    }
    let whole = verify(&project, &["dist", "--require", "checksums"]);
    assert_eq!(code(&whole), 0, "{}{}", stdout(&whole), stderr(&whole));
    assert!(stdout(&whole).contains("5 artifacts: 5 verified"), "{}", stdout(&whole));
    let quiet = verify(&project, &[LINUX, "--quiet"]);
    assert_eq!((code(&quiet), stdout(&quiet)), (0, String::new()));
}

#[test]
fn one_byte_changed() {
    let (project, release) = release();
    release.put(ARTIFACTS[0], b"the program of app-1.2.3-linux-amd64.tar.gz!\n").unwrap();
    let output = verify(&project, &[LINUX]);
    assert_eq!(code(&output), 5, "{}", stdout(&output));
    let text = stdout(&output);
    assert!(text.starts_with(&format!("failed: {LINUX}\n")), "{text}");
    assert!(text.contains("[signature/digest]") && text.contains("expected: sha256:"), "{text}");
    assert!(!text.contains("signed by"), "{text}");
    let whole = verify(&project, &["dist"]);
    assert_eq!(code(&whole), 5);
    let table = stdout(&whole);
    assert!(
        table.lines().any(|line| line.starts_with("failed    dist/app-1.2.3-linux")),
        "{table}"
    );
    assert!(table.contains("4 verified, 1 failed"), "{table}");
}

#[test]
fn the_bundle_of_another_file() {
    let (project, _release) = release();
    let other = format!("dist/{}.sigstore.json", ARTIFACTS[1]);
    std::fs::copy(project.path(&other), project.path(&format!("{LINUX}.sigstore.json"))).unwrap();
    for more in ["dist/SHA256SUMS".to_owned(), format!("{LINUX}.intoto.jsonl")] {
        std::fs::remove_file(project.path(&more)).unwrap();
    }
    let value = json_of(&project, &[LINUX]);
    assert_eq!(value["verdict"], "failed");
    assert!(codes(&value, "failed").contains(&"signature/digest".to_owned()), "{value:#}");
    // The same, when it is named instead of found.
    let value = json_of(&project, &[LINUX, "--bundle", &other]);
    assert_ne!(value["verdict"], "verified", "{value:#}");
}

#[test]
fn the_wrong_identity() {
    let (project, release) = release();
    for policy in ["github:octo/dem", "github:Octo/demo", "github:octo/demo@v1.2.4"] {
        let args = ["verify", LINUX, "--policy", policy, "--trusted-root", TRUSTED_ROOT];
        let output = project.run(&args);
        assert_eq!(code(&output), 5, "{policy}: {}", stdout(&output));
        assert!(stdout(&output).contains("expected: "), "{}", stdout(&output));
    }
    let someone = Identity::email("someone@example.org", "https://accounts.example.org");
    let bundle = release.world.sign(b"the program\n").identity(someone).bundle();
    release.put("app", b"the program\n").unwrap();
    release.put("app.sigstore.json", bundle.to_string().as_bytes()).unwrap();
    let value = json_of(&project, &["dist/app"]);
    assert_eq!(value["exit_code"], 5);
    assert!(codes(&value, "failed").contains(&"policy/identity".to_owned()), "{value:#}");
    let exact = project.run(&[
        "verify",
        "dist/app",
        "--identity",
        "someone@example.org",
        "--issuer",
        "https://accounts.example.org",
        "--trusted-root",
        TRUSTED_ROOT,
    ]);
    assert_eq!(code(&exact), 0, "{}", stdout(&exact));
}

#[test]
fn a_missing_sbom() {
    let (project, _release) = release();
    std::fs::remove_file(project.path(&format!("{LINUX}.spdx.json"))).unwrap();
    let value = json_of(&project, &[LINUX, "--require", "sbom"]);
    assert_eq!((&value["verdict"], &value["exit_code"]), (&json!("undecided"), &json!(7)));
    assert_eq!(codes(&value, "undecided"), ["require/sbom"], "{value:#}");
    assert_eq!(json_of(&project, &[LINUX])["exit_code"], 0);
}

#[test]
fn an_expired_root() {
    let (project, release) = release();
    let mut root = release.world.trusted_root();
    let end = humantime::format_rfc3339(release.world.now - Duration::from_hours(24)).to_string();
    for authority in ["certificateAuthorities", "timestampAuthorities"] {
        for entry in root[authority].as_array_mut().unwrap() {
            entry["validFor"]["end"] = json!(end);
        }
    }
    project.write(TRUSTED_ROOT, &root.to_string());
    let value = json_of(&project, &[LINUX]);
    assert_eq!(value["exit_code"], 5);
    assert!(codes(&value, "failed").contains(&"certificate/chain".to_owned()), "{value:#}");
}

#[test]
fn an_unsigned_file_more() {
    let (project, release) = release();
    release.put("install.sh", b"curl | sh\n").unwrap();
    let output = verify(&project, &["dist"]);
    assert_eq!(code(&output), 7, "{}", stdout(&output));
    let text = stdout(&output);
    assert!(text.contains("undecided  dist/install.sh"), "{text}");
    assert!(text.contains("\nundecided: dist/install.sh\n"), "{text}");
    assert!(text.contains("5 verified, 1 undecided"), "{text}");
}

#[test]
fn nobody_named_is_no_verdict() {
    let (project, _release) = release();
    let output = project.run(&["verify", LINUX]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("error[verify/no-signer]"), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
}

#[test]
fn keys_verify_checksums_and_they_the_files() {
    let (project, _release) = release();
    let key = project.read("minisign.pub");
    let line = key.lines().nth(1).unwrap();
    for key in ["minisign.pub", line] {
        let output = project.run(&["verify", LINUX, "--key", key]);
        assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
        assert!(stdout(&output).contains("signed by minisign key"), "{}", stdout(&output));
    }
    project.write("wrong.pub", "not a key\n");
    let output = project.run(&["verify", LINUX, "--key", "wrong.pub"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
}

#[test]
fn standard_input_is_an_artifact_and_a_list_is_asked_for() {
    let (project, release) = release();
    let bundle = format!("{LINUX}.sigstore.json");
    let content = std::fs::read(project.path(LINUX)).unwrap();
    let args = [&["verify", "-", "--bundle", &bundle], PUBLISHER].concat();
    let output = project.feed(&args, &content);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).starts_with("verified: -\n"), "{}", stdout(&output));
    assert_eq!(code(&project.feed(&args, b"something else")), 5);
    let names = ARTIFACTS.map(|name| format!("dist/{name}"));
    for (flags, list) in [(vec![], names.join("\r\n")), (vec!["--null"], names.join("\0"))] {
        let args = [&["verify", "--files-from", "-"], &flags[..], PUBLISHER].concat();
        let output = project.feed(&args, list.as_bytes());
        assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
        assert!(stdout(&output).contains("2 artifacts: 2 verified"), "{}", stdout(&output));
    }
    let digest = format!(
        "sha256:{}",
        dsops_testkit::sigstore::hex(&dsops_testkit::sigstore::sha256(&content))
    );
    let _ = release;
    assert_eq!(code(&verify(&project, &[&digest, "--bundle", &bundle])), 0);
}

#[test]
fn what_cannot_be_read_is_an_error_beside_the_verdicts() {
    let (project, _release) = release();
    let output = verify(&project, &[LINUX, "dist/missing"]);
    assert_eq!(code(&output), 4);
    assert!(stdout(&output).contains("error     dist/missing"), "{}", stdout(&output));
    assert!(stderr(&output).contains("error: cannot read dist/missing"), "{}", stderr(&output));
    let value = json_of(&project, &["dist/missing", LINUX]);
    assert_eq!(value["artifacts"][0]["verdict"], "error");
    assert_eq!(value["artifacts"][1]["verdict"], "verified");
    std::fs::create_dir(project.path("empty")).unwrap();
    assert_eq!(code(&verify(&project, &[LINUX, "empty"])), 4, "an empty folder is no pass");
}

#[test]
fn sarif_tells_what_is_wrong() {
    let (project, release) = release();
    release.put("install.sh", b"curl | sh\n").unwrap();
    let output = verify(&project, &["dist", "--sarif"]);
    assert_eq!(code(&output), 7);
    let sarif: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    assert_eq!(run["invocations"][0]["exitCode"], 7);
    let errors: Vec<&str> = run["results"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|result| result["level"] == "error")
        .map(|result| result["ruleId"].as_str().unwrap())
        .collect();
    assert_eq!(errors, ["evidence/none"], "{sarif:#}");
    for rule in run["tool"]["driver"]["rules"].as_array().unwrap() {
        assert_ne!(rule["id"], rule["shortDescription"]["text"], "a code without a meaning");
    }
    assert_eq!(code(&verify(&project, &["dist", "--sarif", "--json"])), 2);
}

#[test]
fn the_program_itself_is_undecided_without_evidence_and_verified_with_it() {
    let (project, release) = release();
    let output = project.run(&["verify", "self"]);
    assert_eq!(code(&output), 7, "{}{}", stdout(&output), stderr(&output));
    let program = std::fs::read(env!("CARGO_BIN_EXE_dsops")).unwrap();
    let bundle = release.world.sign(&program).bundle().to_string();
    project.write("dsops.sigstore.json", &bundle);
    let args = ["verify", "self", "--bundle", "dsops.sigstore.json"];
    let output = project.run(&[&args, PUBLISHER].concat());
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    // Whoever signs as somebody else is not its publisher.
    let output = project.run(&[&args[..], &["--trusted-root", TRUSTED_ROOT]].concat());
    assert_eq!(code(&output), 5, "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn a_bundle_is_explained_and_not_believed() {
    let (project, _release) = release();
    let output = project.run(&["verify", "explain", &format!("{LINUX}.intoto.jsonl")]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    let text = stdout(&output);
    assert!(text.starts_with("NOT VERIFIED: "), "{text}");
    for part in ["https://slsa.dev/provenance/v1", "octo/demo", "dsse 0.0.1", ARTIFACTS[0]] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = project.run(&["verify", "explain", "--json", &format!("{LINUX}.sigstore.json")]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["verified"], false);
    assert_eq!(value["bundles"][0]["signer"]["kind"], "certificate");
    project.write("bad.json", "{\"mediaType\": \"x\u{1b}[2J\"}");
    let output = project.run(&["verify", "explain", "bad.json"]);
    assert_eq!(code(&output), 1);
    assert!(!stdout(&output).contains('\u{1b}'));
    assert_eq!(code(&project.run(&["verify", "explain", "missing"])), 4);
}

#[test]
fn roots_of_trust_are_shown_and_written() {
    let (project, _release) = release();
    let shown = project.ok(&["verify", "trust", "show"]);
    assert!(shown.contains("sigstore.dev") && shown.contains("github.com"), "{shown}");
    let exported = project.ok(&["verify", "trust", "export"]);
    assert_eq!(exported.lines().count(), 2);
    project.write("all.jsonl", &exported);
    let again = project.ok(&["verify", "trust", "show", "--json", "--trusted-root", "all.jsonl"]);
    let again: Value = serde_json::from_str(&again).unwrap();
    let embedded: Value =
        serde_json::from_str(&project.ok(&["verify", "trust", "show", "--json"])).unwrap();
    for index in 0..2 {
        let key = "certificate_authorities";
        assert_eq!(again["roots"][index][key], embedded["roots"][index][key]);
    }
    project.write("bad.json", "{}");
    let output = project.run(&["verify", LINUX, "--key", "x", "--trusted-root", "bad.json"]);
    assert_ne!(code(&output), 0);
}

/// Nothing that is verified opens a socket: files, images in layouts and archives, and not even images
/// in registries, which need leave. Under `strace` every call would be seen; without it, in an empty
/// network namespace, whatever tried would fail.
#[test]
fn no_socket_is_opened() {
    let (project, release) = release();
    let registry = ImageRegistry::start(Referrers::Api, Door::Open);
    let image = registry.push_image("app", Some("v1"), b"the program");
    registry.sign("app", &image, &image, &release.world, &World::identity());
    let sig = format!("{}.sig", image.replace(':', "-"));
    let tag = |name: &str| json!({ "org.opencontainers.image.ref.name": name });
    let layout = project.path("layout");
    registry.save("app", &[("v1", tag("v1")), (&sig, tag(&sig))], &layout).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-C", "layout", "-cf", "image.tar", "."]).current_dir(project.folder.path());
    assert!(tar.status().unwrap().success());
    let remote = format!("{}:v1", registry.repository("app"));

    for (words, wanted) in [
        (&["dist", "--require", "sbom,provenance"][..], 0),
        (&["layout", "image.tar", LINUX], 0),
        (&[&remote], 2),
    ] {
        let args = [&[env!("CARGO_BIN_EXE_dsops"), "verify"], words, PUBLISHER].concat();
        let run = |tool: &str, flags: &[&str]| {
            let mut command = Command::new(tool);
            command.args(flags).args(&args).current_dir(project.folder.path()).output()
        };
        let outside = project.run(&args[1..]);
        assert_eq!(code(&outside), wanted, "{}{}", stdout(&outside), stderr(&outside));
        let strace = run("strace", &["-f", "-qq", "-e", "trace=%network", "-o", "calls"]);
        if strace.is_ok_and(|output| output.status.code() == Some(wanted)) {
            let calls = project.read("calls");
            assert!(!calls.contains("socket("), "{calls}");
            assert!(!calls.contains("connect("), "{calls}");
        } else {
            println!("not run: strace is not here, or may not trace");
        }
        match run("unshare", &["--net", "--user", "--map-root-user"]) {
            Ok(inside) if !stderr(&inside).starts_with("unshare: ") => {
                assert_eq!(stdout(&inside), stdout(&outside));
                assert_eq!(inside.status.code(), outside.status.code());
            }
            _ => println!("not run: no network namespace can be made here"),
        }
    }
    assert!(registry.requests().is_empty());
}
