//! Builds what the scan, the benches and the counters look at: the static `dsops` and its control.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::release::build::Place;

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

/// Builds a program as releases are built: what is looked at is what is released.
fn build(package: &str, program: &str) -> anyhow::Result<PathBuf> {
    Ok(Place::here()?.build(package, program)?.program)
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
