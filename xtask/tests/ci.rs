//! `cargo xtask ci` on small made-up checkouts: its exit code and its closing line tell the truth.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test, helpers included")]

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A checkout with these files, known to git.
fn checkout(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let git = Command::new("git").arg("init").arg("-q").current_dir(folder.path()).status();
    assert!(git.unwrap().success());
    folder
}

/// Runs `xtask ci` there; its exit code and what it wrote.
fn ci(checkout: &Path, args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("ci")
        .args(args)
        .current_dir(checkout)
        .env("CARGO_MANIFEST_DIR", checkout.join("xtask"))
        .env("CARGO_TARGET_DIR", checkout.join("target"))
        .env("DSOPS_TOOLS_DIR", checkout.join("target/tools"))
        .env_remove("CI")
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

/// The one line of that form; everything that reads our result looks for it.
fn closing_line(said: &str) -> &str {
    let lines: Vec<&str> = said.lines().filter(|line| line.ends_with(" skipped")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    lines[0]
}

fn workspace(test: &str) -> TempDir {
    checkout(&[
        ("Cargo.toml", "[workspace]\nresolver = '3'\nmembers = ['mini']\n"),
        ("Cargo.lock", "version = 4\n\n[[package]]\nname = \"mini\"\nversion = \"0.0.0\"\n"),
        ("mini/Cargo.toml", "[package]\nname = 'mini'\nversion = '0.0.0'\nedition = '2024'\n"),
        ("mini/src/lib.rs", "//! Small.\n"),
        ("mini/tests/it.rs", test),
    ])
}

#[test]
fn tests_are_counted_as_what_they_are() {
    let checkout = workspace(
        "#[test] fn passes() {}\n\
         #[test] fn fails() { panic!(\"on purpose\") }\n\
         #[test] #[ignore] fn ignored() {}\n\
         #[test] fn lacks() { println!(\"not run: the thing is not there\") }\n",
    );
    let (code, said) = ci(checkout.path(), &["--only", "test"]);
    assert_eq!(closing_line(&said), "1 passed, 1 failed, 2 skipped");
    assert_eq!(code, 1);
    assert!(said.contains("on purpose"), "the failed stage shows its end: {said}");
}

#[test]
fn passing_tests_pass() {
    let checkout = workspace("#[test] fn one() {}\n#[test] fn two() {}\n");
    let (code, said) = ci(checkout.path(), &["--only", "test,doctest"]);
    assert_eq!((code, closing_line(&said)), (0, "2 passed, 0 failed, 0 skipped"), "{said}");
}

#[test]
fn what_does_not_compile_is_a_failure() {
    let checkout = workspace("#[test] fn broken() { nonsense }\n");
    let (code, said) = ci(checkout.path(), &["--only", "test"]);
    assert_eq!((code, closing_line(&said)), (1, "0 passed, 1 failed, 0 skipped"), "{said}");
}

#[test]
fn no_test_at_all_is_no_success() {
    let checkout = workspace("//! Nothing yet.\n");
    let (code, said) = ci(checkout.path(), &["--only", "test"]);
    assert_eq!((code, closing_line(&said)), (1, "0 passed, 0 failed, 0 skipped"), "{said}");
}

#[test]
fn a_crash_is_a_failure() {
    let checkout = workspace("#[test] fn aborts() { std::process::abort() }\n");
    let (code, said) = ci(checkout.path(), &["--only", "test"]);
    assert_eq!((code, closing_line(&said)), (1, "0 passed, 1 failed, 0 skipped"), "{said}");
}

#[test]
fn a_stage_without_tests_fails_as_one() {
    let checkout = checkout(&[("CODEOWNERS", "* nobody\n")]);
    let (code, said) = ci(checkout.path(), &["--only", "tidy"]);
    assert_eq!((code, closing_line(&said)), (1, "0 passed, 1 failed, 0 skipped"), "{said}");

    std::fs::write(checkout.path().join("CODEOWNERS"), "* @somebody\n/CODEOWNERS @other\n")
        .unwrap();
    let (code, said) = ci(checkout.path(), &["--only", "tidy"]);
    assert_eq!((code, closing_line(&said)), (0, "0 passed, 0 failed, 0 skipped"), "{said}");
}

#[test]
fn what_cannot_run_is_said_and_is_no_pass() {
    let manifest = "[package]\nname = 'f'\nversion = '0.0.0'\nedition = '2024'\n\
                    autobins = false\n[lib]\npath = 'lib.rs'\n[workspace]\n";
    let checkout = checkout(&[("fuzz/Cargo.toml", manifest), ("fuzz/lib.rs", "//! None.\n")]);
    let (_, said) = ci(checkout.path(), &["--only", "fuzz"]);
    assert!(said.contains("not run: there is no fuzz target"), "{said}");
}
