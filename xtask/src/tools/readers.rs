//! The pinned Python and Node packages that read our rendered files in tests.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use super::{dir, make_once, pip_into, require_pip};
use crate::{
    process::{self, NotRun},
    workspace,
};

/// Names the folder for tests: Python packages in `python`, Node packages in `node/node_modules`.
pub const VARIABLE: &str = "DSOPS_TEST_READERS";

/// Installs them.
///
/// # Errors
/// [`NotRun`] when there is no pip or npm; any other error when a package cannot be installed.
pub fn install() -> anyhow::Result<PathBuf> {
    let folder = folder()?;
    make_once(&folder, |fresh| {
        require_pip()?;
        if !process::is_on_path("npm") {
            return Err(NotRun::because("npm is not installed").into());
        }
        pip_into(&requirements(), &fresh.join("python"))?;
        let node = fresh.join("node");
        fs::create_dir(&node).context("cannot make a folder for Node packages")?;
        for name in ["package.json", "package-lock.json"] {
            fs::copy(packages().join(name), node.join(name))
                .with_context(|| format!("cannot copy {name}"))?;
        }
        // The lock file holds the hash of each package; none may run a script.
        process::run(
            Command::new("npm")
                .args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(&node),
        )
    })?;
    Ok(folder)
}

/// Where they are, if they were installed before.
pub fn installed() -> Option<PathBuf> {
    folder().ok().filter(|folder| folder.is_dir())
}

/// Named by what is pinned, so that another version goes elsewhere.
fn folder() -> anyhow::Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    for path in [requirements(), packages().join("package-lock.json")] {
        read(&path)?.hash(&mut hasher);
    }
    Ok(dir()?.join(format!("readers-{:016x}", hasher.finish())))
}

fn requirements() -> PathBuf {
    workspace::root().join("scripts/requirements-readers.txt")
}

fn packages() -> PathBuf {
    workspace::root().join("scripts/readers")
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
