//! What git would do with files that hold secrets in the clear: keys, and `.env` files.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Finding, Outcome};
use crate::git::{self, Fate};

/// Ends of the names of `.env` files that are made to be shared.
const SHARED: &[&str] = &["example", "sample", "template", "dist", "schema"];

/// What is wrong with the key files, and with the `.env` files beside the configuration.
pub fn findings(folder: &Path, keys: &[PathBuf]) -> Vec<Finding> {
    let env_files = env_files(folder);
    let mut findings = Vec::new();
    for (path, what) in keys
        .iter()
        .map(|path| (path, "holds a key"))
        .chain(env_files.iter().map(|path| (path, "may hold secrets in the clear")))
    {
        let shown = path.display();
        findings.extend(match git::fate(path) {
            Fate::Tracked => {
                Some(Finding::warning("git", format!("{shown} {what} and is tracked by git")).help(
                    "what was in it is in the history: replace it, then `git rm --cached` it",
                ))
            }
            Fate::Committable => Some(
                Finding::warning("git", format!("{shown} {what} and is not ignored by git"))
                    .help("add it to .gitignore"),
            ),
            Fate::Ignored | Fate::Outside => None,
            Fate::Unknown(reason) => Some(Finding::new(
                Outcome::NotChecked,
                "git",
                format!("whether git ignores {shown} was not checked: {reason}"),
            )),
        });
    }
    findings
}

/// `.env` and `.env.NAME` in a folder, sorted.
fn env_files(folder: &Path) -> Vec<PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_env_file))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found
}

fn is_env_file(name: &str) -> bool {
    match name.strip_prefix(".env") {
        Some("") => true,
        Some(rest) => rest.strip_prefix('.').is_some_and(|end| !SHARED.contains(&end)),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_files_are_known_by_their_name() {
        for name in [".env", ".env.local", ".env.production"] {
            assert!(is_env_file(name), "{name}");
        }
        for name in [".env.example", ".env.sample", ".envrc", "env", ".environment"] {
            assert!(!is_env_file(name), "{name}");
        }
    }
}
