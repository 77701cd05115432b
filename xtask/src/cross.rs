//! `cargo xtask cross [--run] [TARGET..]`: type-checks and lints the binary and all below it for other platforms.
//!
//! The toolchain ships the standard library of its own platform only. Cargo builds the others'
//! from source (`-Zbuild-std`) with the compiler of [`tools::rust_web`]; nothing is linked, so no
//! foreign linker is needed. The standard libraries stay in the tools folder for the next run.
//!
//! What is written in C (aws-lc) is **not** checked: a stand-in for the C compiler makes empty
//! objects, so that its build script comes to an end.
//!
//! `--run` runs unit tests of Linux on arm64 too, by an emulator.

mod emulated;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::process::{self, NotRun};
use crate::tools::{self, rust_web};
use crate::workspace;

/// What is checked: name, and for people.
const TARGETS: &[(&str, &str)] = &[
    ("aarch64-apple-darwin", "macOS on arm64"),
    ("x86_64-pc-windows-msvc", "Windows on x86-64"),
    ("aarch64-unknown-linux-gnu", "Linux on arm64"),
];

/// Checks the named targets, or all.
///
/// # Errors
/// A target does not pass, is not known, or the compiler cannot be had ([`NotRun`]).
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let mut targets = TARGETS.to_vec();
    let (flags, args): (Vec<_>, Vec<_>) = args.iter().partition(|arg| *arg == "--run");
    if !args.is_empty() {
        if let Some(odd) = args.iter().find(|arg| !TARGETS.iter().any(|(name, _)| name == *arg)) {
            let known: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
            bail!("`{odd}` is none of {}", known.join(", "));
        }
        targets.retain(|(name, _)| args.iter().any(|arg| *arg == name));
    }
    let toolchain = rust_web::install().map_err(|error| {
        NotRun::because(format!("no compiler for other platforms: {}", tools::reason(&error)))
    })?;
    let release = toolchain.release();
    let known = release.starts_with(&format!("{}.", rust_web::KNOWN_RELEASE));
    println!("compiler {release}, warnings {}", if known { "are errors" } else { "are shown" });
    if !known {
        println!("cross: hint: {release} may know lints that our code was not written for");
    }

    let mut failed = Vec::new();
    for (target, name) in targets {
        println!("{target} ({name})");
        let start = Instant::now();
        let mut result = check(&toolchain, target, known);
        if result.is_ok() && !flags.is_empty() {
            result = emulated::run_tests(&toolchain, target);
        }
        if let Err(error) = result {
            println!("{target}: FAILED: {error:#}");
            failed.push(target);
        }
        println!("{target}: {:.1} s", start.elapsed().as_secs_f64());
    }
    if !failed.is_empty() {
        bail!("{} of the platforms failed: {}", failed.len(), failed.join(", "));
    }
    Ok(())
}

/// Runs clippy, which includes the type check, for one target.
///
/// Warnings are left warnings for the compiler, so that one crate's do not hide what the crates
/// above it have, and counted afterwards.
fn check(toolchain: &rust_web::Toolchain, target: &str, deny: bool) -> anyhow::Result<()> {
    let mut cargo = foreign_cargo(toolchain)?;
    cargo
        .args(["check", "--quiet", "--locked", "--target", target])
        .args(["--package", "dsops", "--package", "dsops-integrity-cache"])
        .args(["--package", "dsops-transport", "--package", "dsops-release-verify"])
        .args(["--features", "dsops-release-verify/oci"])
        .arg("-Zbuild-std=std,panic_abort")
        // As `cargo clippy` does: its driver compiles the members of the workspace.
        .env("RUSTC_WORKSPACE_WRAPPER", toolchain.program("clippy-driver"));
    let c_tools = no_compiler()?;
    for (variable, program) in [("CC", "cc"), ("CXX", "cc"), ("AR", "ar")] {
        let name = format!("{variable}_{}", target.replace('-', "_"));
        cargo.env(name, c_tools.join(program));
    }
    // Ready-made objects where aws-lc has code for an assembler that is rarely there.
    cargo.env("AWS_LC_SYS_PREBUILT_NASM", "1");
    let output = cargo.output().context("cannot start cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    print!("{said}");
    if !output.status.success() {
        bail!("it does not compile");
    }
    match warnings(&said) {
        0 => Ok(()),
        _ if !deny => Ok(()),
        count => bail!("{count} warnings"),
    }
}

/// `cargo` with the compiler for other platforms, at the top of the workspace.
fn foreign_cargo(toolchain: &rust_web::Toolchain) -> anyhow::Result<Command> {
    let target_dir = tools::dir()?.join(format!("cross-{}", toolchain.release()));
    let mut cargo = process::cargo();
    cargo
        .current_dir(workspace::root())
        // Little built here ever runs: optimising it is time lost.
        .args(["--config", "profile.dev.package.'*'.opt-level=0"])
        .args(["--config", "profile.dev.debug=false"])
        .env("CARGO_TERM_COLOR", "never")
        .env("CARGO_TARGET_DIR", target_dir)
        .env("RUSTC", toolchain.program("rustc"))
        // `-Zbuild-std` is not stable yet.
        .env("RUSTC_BOOTSTRAP", "1")
        .stdin(Stdio::null());
    for inherited in ["RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "LD_LIBRARY_PATH"] {
        cargo.env_remove(inherited);
    }
    Ok(cargo)
}

/// A C compiler that makes empty files. It tells by `-E` what kind it is, as the one of this
/// machine, and knows both spellings of the option for the output.
const CC: &str = r#"#!/bin/sh
for arg do
  case $previous in -o) : >"$arg" ;; esac
  case $arg in
    -E) exec cc "$@" ;;
    -Fo?*) : >"${arg#-Fo}" ;;
    -o?*) : >"${arg#-o}" ;;
    '-?') exit 1 ;;
  esac
  previous=$arg
done
"#;

/// The archiver for what [`CC`] makes.
const AR: &str = r#"#!/bin/sh
for arg do
  case $arg in
    -out:*) printf '!<arch>\n' >"${arg#-out:}"; exit ;;
    *.a | *.lib) printf '!<arch>\n' >"$arg"; exit ;;
  esac
done
"#;

/// The folder with both, at a path that stays: a new one would have everything in C "compiled" again.
fn no_compiler() -> anyhow::Result<PathBuf> {
    let folder = tools::dir()?.join("no-c-compiler-1");
    tools::make_once(&folder, |folder| {
        for (name, text) in [("cc", CC), ("ar", AR)] {
            let path = folder.join(name);
            let mut options = fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o755);
            let written = options.open(&path).and_then(|mut file| file.write_all(text.as_bytes()));
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    })?;
    Ok(folder)
}

/// How many warnings a compiler's output has, its own sums left out.
fn warnings(said: &str) -> usize {
    let sum = |line: &&str| line.contains("generated ") || line.contains("build failed");
    let headers = said.lines().filter(|line| line.starts_with("warning: "));
    headers.filter(|line| !sum(line)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_counted() {
        let said = "warning: unused import: `x`\n  --> a.rs:1:1\nwarning: unused variable\n\
                    warning: `dsops` (lib) generated 2 warnings\n  = note: a warning: no header\n";
        assert_eq!(warnings(said), 2);
        assert_eq!(warnings("    Finished\n"), 0);
    }
}
