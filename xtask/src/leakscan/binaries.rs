//! Builds what the scan, the benches and the counters look at: the static `dsops` and its control.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use crate::workspace;

/// Where the built programs are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// The static release build of `dsops`.
    pub dsops: PathBuf,
    /// The control that takes no care of its secret.
    pub control: PathBuf,
}

/// Builds both, statically linked, in a target folder of their own (other flags, other artefacts).
///
/// # Errors
/// The build fails.
pub fn build() -> anyhow::Result<Binaries> {
    let root = workspace::root();
    let target = root.join("target/static");
    let triple = host_triple()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--locked", "--target", &triple])
        .args(["--package", "dsops", "--package", "dsops-testkit"])
        .current_dir(&root)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_TARGET_DIR", &target)
        .status()
        .context("cannot start cargo")?;
    anyhow::ensure!(status.success(), "the static build failed");
    let folder = target.join(&triple).join("release");
    Ok(Binaries { dsops: folder.join("dsops"), control: folder.join("naive-control") })
}

/// The platform of the compiler itself: naming it makes cargo keep build scripts out of `RUSTFLAGS`.
fn host_triple() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8(output.stdout).context("rustc -vV is not text")?;
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
