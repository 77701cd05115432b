//! `cargo xtask cross [TARGET..]`: type-checks and lints the binary and all below it for other platforms.
//!
//! The toolchain ships the standard library of its own platform only. Cargo builds the others'
//! from source (`-Zbuild-std`) with the compiler of [`tools::rust_web`]; nothing is linked, so no
//! foreign linker is needed. The standard libraries stay in the tools folder for the next run.

use std::time::Instant;

use anyhow::bail;

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
    if !args.is_empty() {
        if let Some(odd) = args.iter().find(|arg| !TARGETS.iter().any(|(name, _)| name == arg)) {
            let known: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
            bail!("`{odd}` is none of {}", known.join(", "));
        }
        targets.retain(|(name, _)| args.iter().any(|arg| arg == name));
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
        if let Err(error) = check(&toolchain, target, known) {
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

/// Runs clippy, which includes the type check, on the `dsops` package for one target.
fn check(toolchain: &rust_web::Toolchain, target: &str, deny: bool) -> anyhow::Result<()> {
    let target_dir = tools::dir()?.join(format!("cross-{}", toolchain.release()));
    let mut cargo = process::cargo();
    cargo
        .current_dir(workspace::root())
        .args(["check", "--quiet", "--locked", "--package", "dsops", "--target", target])
        .arg("-Zbuild-std=std,panic_abort")
        // Nothing built here ever runs, but for build scripts: optimising it is time lost.
        .args(["--config", "profile.dev.package.'*'.opt-level=0"])
        .args(["--config", "profile.dev.debug=false"])
        .env("CARGO_TARGET_DIR", target_dir)
        .env("RUSTC", toolchain.program("rustc"))
        // As `cargo clippy` does: its driver compiles the members of the workspace.
        .env("RUSTC_WORKSPACE_WRAPPER", toolchain.program("clippy-driver"))
        // `-Zbuild-std` is not stable yet.
        .env("RUSTC_BOOTSTRAP", "1");
    for inherited in ["RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "LD_LIBRARY_PATH"] {
        cargo.env_remove(inherited);
    }
    if deny {
        cargo.env("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__");
    }
    process::run(&mut cargo)
}
