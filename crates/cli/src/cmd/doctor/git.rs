//! What git would do with files that hold secrets in the clear: keys, and `.env` files.
//!
//! Asks `git` itself, where there is one: only it knows every rule. No shell is involved, and no
//! hook: the two questions asked run none, and the monitor that a repository may configure is off.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dsops_stores::CREDENTIAL_VARIABLES;

use super::{Finding, Outcome};

/// Ends of the names of `.env` files that are made to be shared.
const SHARED: &[&str] = &["example", "sample", "template", "dist", "schema"];

/// How git treats a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Tracked,
    Ignored,
    /// The next `git add .` takes it.
    Open,
    /// There is no repository around it.
    Outside,
}

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
        findings.extend(match state(path) {
            Ok(State::Tracked) => {
                Some(Finding::warning("git", format!("{shown} {what} and is tracked by git")).help(
                    "what was in it is in the history: replace it, then `git rm --cached` it",
                ))
            }
            Ok(State::Open) => Some(
                Finding::warning("git", format!("{shown} {what} and is not ignored by git"))
                    .help("add it to .gitignore"),
            ),
            Ok(State::Ignored | State::Outside) => None,
            Err(reason) => Some(Finding::new(
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

/// Asks git about a file; an error says why it could not be asked.
fn state(path: &Path) -> Result<State, String> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(State::Outside);
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if !in_repository(folder) {
        return Ok(State::Outside);
    }
    let ask = |words: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(folder)
            .args(["-c", "core.fsmonitor=false"])
            .args(words)
            .arg("--")
            .arg(name);
        // The keys to the stores are no business of git's.
        CREDENTIAL_VARIABLES.iter().fold(&mut git, |git, name| git.env_remove(name));
        let git = git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = git.status().map_err(|error| format!("git cannot be started ({error})"))?;
        status.code().ok_or_else(|| "git was ended by a signal".to_owned())
    };
    match ask(&["ls-files", "--error-unmatch"])? {
        0 => return Ok(State::Tracked),
        1 => {}
        code => return Err(format!("git ended with {code}")),
    }
    match ask(&["check-ignore", "--quiet"])? {
        0 => Ok(State::Ignored),
        1 => Ok(State::Open),
        code => Err(format!("git ended with {code}")),
    }
}

/// Whether a folder or one above it has a `.git`, so that most runs start no program.
fn in_repository(folder: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else { return false };
    folder.ancestors().any(|folder| folder.join(".git").exists())
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
