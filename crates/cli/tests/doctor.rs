//! `doctor` on the real binary: what it finds, and what its exit code says.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, SystemTime};

use common::{Project, code, stderr};
use serde_json::Value;

fn report(project: &Project) -> Value {
    let output = project.run(&["doctor", "--json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)))
}

/// The messages about a subject, with their outcomes.
fn about(report: &Value, subject: &str) -> Vec<(String, String)> {
    let findings = report["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings
        .filter(|found| found["subject"] == subject)
        .map(|found| (text(&found["outcome"]), text(&found["message"])))
        .collect()
}

fn git(project: &Project, args: &[&str]) -> bool {
    let mut git = Command::new("git");
    git.args(args).current_dir(project.folder.path()).env("HOME", project.folder.path());
    git.stdout(std::process::Stdio::null()).status().is_ok_and(|status| status.success())
}

#[test]
fn it_says_what_it_is_and_how_long_stores_took() {
    let project = Project::new();
    let report = report(&project);
    assert_eq!(report["dsops"], env!("CARGO_PKG_VERSION"));
    let stores = report["findings"].as_array().unwrap().iter();
    let store = stores.clone().find(|found| found["subject"] == "store secrets").unwrap();
    assert!(store["latency_ms"].is_u64(), "{store}");
    let others = stores.filter(|found| found["subject"] != "store secrets");
    assert!(others.into_iter().all(|found| found["latency_ms"].is_null()));
    #[cfg(target_os = "linux")]
    for subject in ["core dumps", "swap areas", "locked memory"] {
        assert_eq!(about(&report, subject).len(), 1, "{subject}");
    }
}

#[test]
fn credentials_are_named_and_never_shown() {
    let project = Project::new();
    let key = project.read("home/.config/sops/age/keys.txt");
    let secret = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    std::fs::remove_dir_all(project.path("home")).unwrap();
    let output = project.command().args(["doctor", "--json"]).env("SOPS_AGE_KEY", secret).output();
    let output = output.unwrap();
    assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stdout));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("AGE-SECRET-KEY"), "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    let named = about(&report, "credentials");
    assert!(named[0].1.starts_with("SOPS_AGE_KEY is set"), "{named:?}");
    let identity = about(&report, "identity");
    assert!(identity.iter().any(|(_, message)| message.contains("age1")), "{identity:?}");
}

#[test]
fn what_git_would_take_is_a_warning() {
    let project = Project::new();
    project.write(".env", "TOKEN=x\n");
    project.write(".env.example", "TOKEN=\n");
    assert!(about(&report(&project), "git").is_empty(), "there is no repository");
    if !git(&project, &["init", "--quiet"]) {
        println!("not run: there is no git");
        return;
    }
    let found = about(&report(&project), "git");
    let messages: Vec<&str> = found.iter().map(|(_, message)| message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("keys.txt holds a key and is not ignored"), "{messages:?}");
    assert!(messages[1].contains(".env may hold secrets in the clear and is not ignored"));
    project.write(".gitignore", ".env\nhome\n");
    assert!(about(&report(&project), "git").is_empty());
    assert!(git(&project, &["add", "--force", ".env"]));
    let found = about(&report(&project), "git");
    assert!(found[0].1.contains(".env may hold secrets in the clear and is tracked"), "{found:?}");
    assert_eq!(found[0].0, "warning");
}

#[test]
fn a_file_from_the_future_is_a_warning() {
    let project = Project::new();
    assert!(about(&report(&project), "clock").is_empty());
    let file = std::fs::File::options().append(true).open(project.path("dsops.yaml")).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_hours(2)).unwrap();
    let found = about(&report(&project), "clock");
    assert!(found[0].1.contains("dsops.yaml was changed 1h"), "{found:?}");
}

#[test]
fn all_stores_are_asked_and_one_fault_hides_no_other() {
    let project = Project::new();
    let text = project.read("dsops.yaml").replace(
        "secretStores:\n",
        "secretStores:\n  gone: { type: sops, path: gone.yaml }\n  bad: { type: sops }\n  ci: { type: env }\n",
    );
    project.write("dsops.yaml", &text);
    let output = project.run(&["doctor", "--json"]);
    assert_eq!(code(&output), 1);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(about(&report, "store gone")[0].0, "error");
    assert_eq!(about(&report, "store bad")[0].0, "error");
    assert_eq!(about(&report, "store secrets")[0].0, "ok");
    assert_eq!(about(&report, "store ci").len(), 1);
}

#[test]
fn required_protection_that_is_missing_is_code_6() {
    let project = Project::new();
    // As a user who may lock no memory; root is above the limit.
    let script = "ulimit -l 0 && exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$0\" doctor \"$@\"";
    let dsops = project.path("dsops");
    std::fs::copy(env!("CARGO_BIN_EXE_dsops"), &dsops).unwrap();
    std::fs::set_permissions(project.folder.path(), std::fs::Permissions::from_mode(0o777))
        .unwrap();
    // Beside a project this user cannot open: what is asked here is the memory alone.
    let empty = project.path("empty");
    std::fs::create_dir(&empty).unwrap();
    std::fs::rename(project.path("dsops.yaml"), project.path("kept.yaml")).unwrap();
    let run = |args: &[&str]| {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).arg(&dsops).args(args).current_dir(&empty).output().unwrap()
    };
    let output = run(&["--require-protection", "--json"]);
    if stderr(&output).contains("setpriv") {
        println!("not run: this user may not become another one");
        return;
    }
    assert_eq!(code(&output), 6, "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["verdict"], &report["protection"]["complete"]),
        (&"fail".into(), &false.into())
    );
    let missing = about(&report, "missing");
    assert!(!missing.is_empty() && missing.iter().all(|(outcome, _)| outcome == "warning"));
    assert_eq!(code(&run(&[])), 0, "not required: a warning is no failure");
}

#[test]
fn plaintext_that_looks_like_a_credential_is_found_and_not_shown() {
    let project = Project::new();
    let token = format!("ghp_{}", "x7Kq2".repeat(8));
    let text = project.read("dsops.yaml") + &format!("    TOKEN: {{ literal: {token} }}\n");
    project.write("dsops.yaml", &text.replace("dev: {}", "dev:"));
    let output = project.run(&["doctor"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
    assert!(text.contains("plaintext") && text.contains("TOKEN"), "{text}");
    assert!(!text.contains("x7Kq2"), "{text}");
}

#[test]
fn a_store_that_needs_trust_is_not_asked_without_it() {
    let project = Project::new();
    std::fs::create_dir(project.path("sub")).unwrap();
    std::fs::rename(project.path("secrets.sops.yaml"), project.path("sub/secrets.sops.yaml"))
        .unwrap();
    project.write("outside.yaml", "version: 1\n");
    let text = "version: 1\ninclude: [../outside.yaml]\nsecretStores:\n  s: { type: sops, path: secrets.sops.yaml }\nenvs:\n  dev: {}\n";
    project.write("sub/dsops.yaml", text);
    let run = |args: &[&str]| {
        let output =
            project.command().args(args).current_dir(project.path("sub")).output().unwrap();
        (code(&output), String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output))
    };
    let (_, text) = run(&["doctor"]);
    assert!(text.contains("not trusted: it reads") && text.contains("were not asked"), "{text}");
    run(&["trust", "--yes"]);
    let (_, text) = run(&["doctor"]);
    assert!(text.contains("is trusted; it reads") && text.contains("store s"), "{text}");
}
