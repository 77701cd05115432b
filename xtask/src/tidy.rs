//! `cargo xtask tidy`: the form of files, links between documents, CODEOWNERS, the dependency list.
//!
//! The rules are plain functions from a file's text to findings; see the modules.

mod contact;
mod owners;
pub mod proofs;
mod rules;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{calendar, workspace};
use proofs::Tests;

/// Runs every rule on the files of this checkout.
///
/// # Errors
/// A rule is broken (a hint is not), or the files cannot be read.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    if let Some(argument) = args.first() {
        bail!("`cargo xtask tidy` takes no arguments, found `{argument}`");
    }
    let root = workspace::root();
    let files = workspace::files(&root)?;
    let mut findings = check_tree(&root, &files)?;
    // The first cargo command brings a stale lock file up to date without a word.
    if std::env::var_os("CI").is_some() {
        let changed = Command::new("git")
            .current_dir(&root)
            .args(["diff", "--quiet", "HEAD", "--", "Cargo.lock"])
            .status()
            .context("cannot start git")?;
        if !changed.success() {
            findings.push(Finding::broken("Cargo.lock", 0, "is not the one that was committed"));
        }
    }
    for finding in &findings {
        println!("{finding}");
    }
    let broken = findings.iter().filter(|finding| finding.weight == Weight::Broken).count();
    if broken > 0 {
        bail!("{broken} broken rules in {} files", files.len());
    }
    println!("{} files", files.len());
    Ok(())
}

/// Whether a finding fails the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    Hint,
    Broken,
}

/// One line about one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub weight: Weight,
    pub file: PathBuf,
    /// 1-based; 0 is the whole file.
    pub line: usize,
    pub message: String,
}

impl Finding {
    pub fn broken(file: impl Into<PathBuf>, line: usize, message: impl Into<String>) -> Self {
        Self { weight: Weight::Broken, file: file.into(), line, message: message.into() }
    }

    pub fn hint(file: impl Into<PathBuf>, line: usize, message: impl Into<String>) -> Self {
        Self { weight: Weight::Hint, file: file.into(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.weight == Weight::Hint {
            f.write_str("hint: ")?;
        }
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Every rule on every file. `files` are relative to `root`.
fn check_tree(root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<Finding>> {
    let known: BTreeSet<PathBuf> =
        files.iter().flat_map(|file| file.ancestors()).map(Path::to_path_buf).collect();
    let mut findings = Vec::new();
    let mut tests = Tests::default();
    let mut documents = Vec::new();
    for file in files {
        let bytes = std::fs::read(root.join(file))
            .with_context(|| format!("cannot read {}", file.display()))?;
        // Binary files (test vectors) have no lines.
        let Ok(text) = String::from_utf8(bytes) else { continue };
        findings.extend(rules::machine_paths(file, &text));
        findings.extend(rules::credentials(file, &text));
        let extension = file.extension().and_then(|extension| extension.to_str());
        match (file.file_name().and_then(|name| name.to_str()), extension) {
            (_, Some("rs")) => {
                findings.extend(rules::rust(file, &text));
                tests.read(file, &text);
            }
            (_, Some("md")) => {
                findings.extend(rules::links(file, &text, &known));
                documents.push((file, text));
            }
            (Some("security.txt"), _) => {
                let policy = std::fs::read_to_string(root.join("SECURITY.md")).unwrap_or_default();
                findings.extend(contact::check(file, &text, &policy, calendar::today()));
            }
            (Some("CODEOWNERS"), _) => findings.extend(owners::check(file, &text, &known)),
            (Some("Cargo.toml"), _) if file.parent() == Some(Path::new("")) => {
                findings.extend(rules::dependency_comments(file, &text));
            }
            _ => {}
        }
    }
    for (file, text) in documents {
        findings.extend(proofs::check(file, &text, &tests));
    }
    let homes = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];
    let found: Vec<&str> =
        homes.into_iter().filter(|home| known.contains(Path::new(home))).collect();
    match found.as_slice() {
        [_] => {}
        [] => findings.push(Finding::broken("CODEOWNERS", 0, "is missing")),
        [first, rest @ ..] => findings.extend(
            rest.iter().map(|more| Finding::broken(*more, 0, format!("is ignored: {first} wins"))),
        ),
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who owns the files of the trees below.
    const OWNERS: &str = "* @owner\n*OWNERS @other\n*.toml @other\n";

    /// A tree in which every rule holds, plus one file.
    fn with(path: &str, text: &str) -> Vec<Finding> {
        let folder = tempfile::tempdir().unwrap();
        let mut files: Vec<PathBuf> = Vec::new();
        for (path, text) in [
            ("CODEOWNERS", OWNERS),
            ("README.md", "[code](src/lib.rs)\n"),
            ("src/lib.rs", "//! One purpose.\n"),
            (path, text),
        ] {
            let target = folder.path().join(path);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::write(target, text).unwrap();
            if !files.contains(&path.into()) {
                files.push(path.into());
            }
        }
        check_tree(folder.path(), &files).unwrap()
    }

    #[test]
    fn a_clean_tree_has_no_findings() {
        assert_eq!(with("docs/more.md", "[up](../README.md) [out](https://example.org/x)\n"), []);
    }

    #[test]
    fn each_kind_of_file_meets_its_rules() {
        for (path, text, line) in [
            ("src/other.rs", "fn main() {}\n", 1),
            ("notes.md", "one\n[gone](gone.md)\n", 2),
            ("CODEOWNERS", "* nobody\n*OWNERS @other\n", 1),
            ("Cargo.toml", "[workspace.dependencies]\nbare = '1'\n", 2),
            ("any.txt", concat!("see /", "work/main\n"), 1),
        ] {
            let findings = with(path, text);
            assert_eq!(findings.len(), 1, "{path}: {findings:?}");
            assert_eq!((findings[0].weight, findings[0].line), (Weight::Broken, line), "{path}");
            assert_eq!(findings[0].file, Path::new(path));
        }
    }

    #[test]
    fn one_file_of_owners() {
        let findings = with(".github/CODEOWNERS", OWNERS);
        assert_eq!(
            findings,
            [Finding::broken("CODEOWNERS", 0, "is ignored: .github/CODEOWNERS wins")]
        );
    }

    #[test]
    fn binary_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("CODEOWNERS"), OWNERS).unwrap();
        std::fs::write(folder.path().join("vector"), [0xff, 0x00]).unwrap();
        let files = ["CODEOWNERS".into(), "vector".into()];
        assert_eq!(check_tree(folder.path(), &files).unwrap(), []);
    }
}
