//! cargo-vet: every version of every dependency has a line in `supply-chain`, an audit or an honest exemption.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::process;
use crate::tools::packages::CONTROLS;

/// Where the lines are.
const FOLDER: &str = "supply-chain";

/// Checks the lock file; first that a missing line is found.
///
/// # Errors
/// A version has no line, or the check passes without one.
pub fn check(root: &Path, tool: &Path, scratch: &Path) -> anyhow::Result<()> {
    let shortened = scratch.join("vet");
    let removed = without_one(&root.join(FOLDER), &shortened)?;
    let output = command(root, tool)
        .args(["check", "--frozen", "--locked", "--store-path"])
        .arg(&shortened)
        .output()
        .context("cannot start cargo-vet")?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() || !said.contains(&removed) {
        bail!("cargo-vet does not miss the line of {removed}:\n{said}");
    }
    process::run(command(root, tool).args(["check", "--frozen", "--locked"])).context(
        "a dependency is new: read it and write an audit into supply-chain/audits.toml, or exempt it by \
         `cargo xtask deny --exempt`",
    )
}

/// Writes an exemption for every version that has no line, and removes those of versions that are gone.
///
/// # Errors
/// The tool fails.
pub fn exempt(root: &Path, tool: &Path) -> anyhow::Result<()> {
    process::run(command(root, tool).args(["regenerate", "exemptions", "--frozen", "--locked"]))
}

/// The tool, installed if it can be.
///
/// # Errors
/// It cannot be had here.
pub fn install() -> anyhow::Result<PathBuf> {
    Ok(CONTROLS.install()?.join("python/bin/cargo-vet"))
}

fn command(root: &Path, tool: &Path) -> Command {
    let mut command = Command::new(tool);
    command.current_dir(root).env("CARGO", process::cargo().get_program()).arg("vet");
    command
}

/// Copies the lines but for the first exemption; returns the name of its package.
fn without_one(from: &Path, to: &Path) -> anyhow::Result<String> {
    std::fs::create_dir_all(to)?;
    for name in ["audits.toml", "imports.lock"] {
        std::fs::copy(from.join(name), to.join(name))?;
    }
    let text =
        std::fs::read_to_string(from.join("config.toml")).context("supply-chain/config.toml")?;
    let (head, rest) = text.split_once("[[exemptions.").context("there are no exemptions")?;
    let (name, rest) = rest.split_once("]]").context("an exemption has no name")?;
    let tail = rest.find("[[exemptions.").map_or("", |at| &rest[at..]);
    std::fs::write(to.join("config.toml"), format!("{head}{tail}"))?;
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_taken_away() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let one = "[[exemptions.one]]\nversion = \"1.0.0\"\n\n";
        let rest = "[[exemptions.two]]\nversion = \"2.0.0\"\n";
        let head = "[cargo-vet]\nversion = \"0.10\"\n\n";
        for (name, text) in [
            ("config.toml", format!("{head}{one}{rest}").as_str()),
            ("audits.toml", ""),
            ("imports.lock", ""),
        ] {
            std::fs::write(from.path().join(name), text).unwrap();
        }
        assert_eq!(without_one(from.path(), to.path()).unwrap(), "one");
        let left = std::fs::read_to_string(to.path().join("config.toml")).unwrap();
        assert_eq!(left, format!("{head}{rest}"));
        std::fs::write(from.path().join("config.toml"), head).unwrap();
        without_one(from.path(), to.path()).unwrap_err();
    }
}
