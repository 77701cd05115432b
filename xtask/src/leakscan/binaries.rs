//! Builds what the scan, the benches and the counters look at: the static `dsops` and its control.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use crate::{process, workspace};

/// Builds the static release build of `dsops`.
///
/// # Errors
/// The build fails.
pub fn dsops() -> anyhow::Result<PathBuf> {
    build("dsops", "dsops")
}

/// Builds the control that takes no care of its secret.
///
/// # Errors
/// The build fails.
pub fn control() -> anyhow::Result<PathBuf> {
    build("dsops-testkit", "naive-control")
}

/// Builds a program statically linked, in a target folder of its own: other flags, other artefacts.
fn build(package: &str, program: &str) -> anyhow::Result<PathBuf> {
    let root = workspace::root();
    let target = root.join("target/static");
    let triple = host_triple()?;
    // By `--config`, which adds to the flags of `.cargo/config.toml`; `RUSTFLAGS` would replace them.
    let flags = format!(
        "target.{triple}.rustflags=['-C','target-feature=+crt-static','-C','relocation-model=static']"
    );
    process::run(
        process::cargo()
            .args(["--config", &flags])
            .args(["build", "--quiet", "--release", "--locked", "--target", &triple])
            .args(["--package", package])
            .current_dir(&root)
            .env_remove("RUSTFLAGS")
            .env("CARGO_TARGET_DIR", &target),
    )?;
    Ok(target.join(&triple).join("release").join(program))
}

/// The platform of the compiler itself: naming it keeps the flags away from build scripts.
fn host_triple() -> anyhow::Result<String> {
    let text = process::output(Command::new("rustc").arg("-vV"))?;
    let triple = text.lines().find_map(|line| line.strip_prefix("host: "));
    triple.map(str::to_owned).context("rustc -vV names no host")
}

/// Copies a program to where any user can run it.
///
/// # Errors
/// The copy fails.
pub fn publish(program: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let name = program.file_name().context("a program has a name")?;
    let copy = folder.join(name);
    std::fs::copy(program, &copy)
        .with_context(|| format!("cannot copy {} to {}", program.display(), copy.display()))?;
    Ok(copy)
}
