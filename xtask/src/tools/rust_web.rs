//! A second Rust compiler with the library's source, from Debian: std for other targets is built from it.
//!
//! Debian's `rustc-web` packages are unpacked into the tools folder; nothing is installed on the
//! system. `apt-get` checks Debian's signatures. With `-Zbuild-std` this type-checks the workspace
//! for targets whose std no one ships for this toolchain.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::make_once;
use crate::process::{self, NotRun};

/// The newest compiler our code is known to be free of warnings with. A newer one may know more
/// lints; then warnings are shown but do not fail.
pub const KNOWN_RELEASE: &str = "1.96";

/// The oldest compiler that can build the workspace (`rust-version`).
const OLDEST_MINOR: u32 = 95;

/// The unpacked compiler.
pub struct Toolchain {
    folder: PathBuf,
    release: String,
}

impl Toolchain {
    /// Where it is unpacked.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its version, as `1.96.0`.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// A program of it: `rustc` or `clippy-driver`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }
}

/// Finds the compiler in the tools folder, or downloads and unpacks it (about 140 MB).
///
/// # Errors
/// [`NotRun`] where there is no `apt-get`, the packages cannot be downloaded or are too old.
pub fn install() -> anyhow::Result<Toolchain> {
    let folder = super::dir()?.join("rust-web");
    make_once(&folder, unpack)?;
    let release = process::output(Command::new(folder.join("bin/rustc")).arg("--version"))
        .context("the unpacked compiler does not start")?;
    let release = release.split(' ').nth(1).context("`rustc --version` names no version")?;
    Ok(Toolchain { release: release.to_owned(), folder })
}

/// Downloads the packages and unpacks them into `folder`.
fn unpack(folder: &Path) -> anyhow::Result<()> {
    for needed in ["apt-get", "apt-cache", "dpkg"] {
        if !process::is_on_path(needed) {
            return Err(NotRun::because(format!(
                "no {needed}: the compiler with the library's source comes from Debian's packages"
            ))
            .into());
        }
    }
    // Lists and cache of our own: works for a plain user too, and leaves the system's alone.
    let apt = folder.join("apt");
    for sub in ["lists/partial", "cache/archives/partial", "packages"] {
        std::fs::create_dir_all(apt.join(sub)).context("cannot make a folder for packages")?;
    }
    let options = |program: &str| {
        let mut command = Command::new(program);
        command
            .args(["-q", "-o"])
            .arg(format!("Dir::State::Lists={}", apt.join("lists").display()))
            .arg("-o")
            .arg(format!("Dir::Cache={}", apt.join("cache").display()))
            // `_apt` may not write into our folder; the signatures are checked all the same.
            .args(["-o", "APT::Sandbox::User="])
            .current_dir(apt.join("packages"));
        command
    };
    // A third-party list that does not answer is no reason to stop; a missing package is.
    let _ = process::output(options("apt-get").arg("update"));

    let version = newest(&process::output(options("apt-cache").args(["policy", "rustc-web"]))?)
        .ok_or_else(|| NotRun::because("Debian's package rustc-web is not to be had"))?;
    let release = release_of(&version)
        .filter(|(_, minor)| *minor >= OLDEST_MINOR)
        .map(|(major, minor)| format!("{major}.{minor}"))
        .ok_or_else(|| {
            NotRun::because(format!("Debian's rustc-web {version} is older than 1.{OLDEST_MINOR}"))
        })?;
    let library = format!("libstd-rust-web-{release}");
    let depends = process::output(options("apt-cache").args(["depends", &library]))?;
    let llvm = depends
        .split_whitespace()
        .find(|word| word.starts_with("libllvm"))
        .context("the compiler's library names no libllvm it depends on")?;

    let pinned = |package: &str| format!("{package}={version}");
    process::output(options("apt-get").arg("download").args([
        pinned("rustc-web"),
        pinned("libstd-rust-web-dev"),
        pinned(&library),
        pinned("rust-web-src"),
        pinned("rust-web-clippy"),
        llvm.to_owned(),
    ]))
    .map_err(|error| NotRun::because(format!("cannot download Debian's packages: {error:#}")))?;

    for package in std::fs::read_dir(apt.join("packages"))? {
        process::run(Command::new("dpkg").arg("-x").arg(package?.path()).arg(folder))?;
    }
    std::fs::remove_dir_all(&apt).context("cannot remove the downloaded packages")?;
    write_wrappers(folder)
}

/// Small scripts that start the programs with their libraries, wherever the folder is moved.
///
/// Clippy's driver works only when a program named `rustc` lies beside it.
fn write_wrappers(folder: &Path) -> anyhow::Result<()> {
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin)?;
    for program in ["rustc", "rustdoc", "clippy-driver"] {
        let script = format!(
            "#!/bin/sh\n\
             here=$(dirname \"$0\")/..\n\
             LD_LIBRARY_PATH=\"$here/usr/lib/x86_64-linux-gnu\" exec \"$here/usr/bin/{program}\" \"$@\"\n"
        );
        let path = bin.join(program);
        std::fs::write(&path, script)?;
        process::run(Command::new("chmod").arg("755").arg(&path))?;
    }
    Ok(())
}

/// The version that `apt-cache policy` would install.
fn newest(policy: &str) -> Option<String> {
    let candidate = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (candidate != "(none)").then(|| candidate.to_owned())
}

/// Major and minor of a Debian version such as `1.96.0+dfsg1-1~deb12u2`.
fn release_of(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_candidate_is_read_from_the_policy() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1\n";
        assert_eq!(newest(policy).as_deref(), Some("1.96.0+dfsg1-1"));
        assert_eq!(newest("rustc-web:\n  Candidate: (none)\n"), None);
        assert_eq!(newest(""), None);
    }

    #[test]
    fn releases_are_compared_as_numbers() {
        assert_eq!(release_of("1.96.0+dfsg1-1~deb12u2"), Some((1, 96)));
        assert_eq!(release_of("1.100.0"), Some((1, 100)));
        assert_eq!(release_of("unknown"), None);
    }
}
