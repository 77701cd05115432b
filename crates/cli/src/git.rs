//! Whether git would take a file into a repository. Asks git itself, with nothing of the repository's
//! own configuration that runs a program.

use std::path::Path;
use std::process::{Command, Stdio};

use dsops_stores::CREDENTIAL_VARIABLES;

/// What git does with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is in no repository.
    Outside,
    /// The repository ignores it.
    Ignored,
    /// `git add` takes it.
    Committable,
    /// It is in the index already.
    Tracked,
    /// It is in a repository, and git cannot be asked; this says why.
    Unknown(String),
}

/// What git does with a file, which need not be there yet.
pub fn fate(path: &Path) -> Fate {
    let Ok(mut path) = std::path::absolute(path) else {
        return Fate::Unknown("the working directory cannot be found".to_owned());
    };
    // By a link one gets into a repository too. The file itself may be a link, which git keeps as
    // one.
    if let (Some(folder), Some(name)) = (path.parent(), path.file_name())
        && let Ok(real) = std::fs::canonicalize(folder)
    {
        path = real.join(name);
    }
    // Without a `.git` above it there is nothing to ask, and no git is needed.
    let is_inside = path.ancestors().skip(1).any(|folder| folder.join(".git").exists());
    let (true, Some(folder), Some(name)) = (is_inside, path.parent(), path.file_name()) else {
        return Fate::Outside;
    };
    let ask = |words: &[&str]| {
        let mut command = Command::new("git");
        // A repository's own settings may name programs; these are the ones such questions run.
        command.args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]);
        // A folder of the working tree that is made to look like a repository is none, and nothing
        // is fetched by a program that a repository names.
        command.args(["-c", "safe.bareRepository=explicit", "-c", "protocol.allow=never"]);
        // A name that starts with `:` would be more than a name.
        command.args(words).arg("--").arg(Path::new(".").join(name)).current_dir(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        for variable in CREDENTIAL_VARIABLES {
            command.env_remove(variable);
        }
        command.status().map(|status| status.code())
    };
    // `*.env` is a name here, not a pattern; `check-ignore` knows no such option, and errs to the
    // side of what is committed.
    match ask(&["--literal-pathspecs", "ls-files", "--error-unmatch"]) {
        Ok(Some(0)) => return Fate::Tracked,
        Ok(Some(1)) => {}
        Ok(_) => return Fate::Unknown("git does not answer for this repository".to_owned()),
        Err(error) => return Fate::Unknown(format!("git cannot be run: {error}")),
    }
    match ask(&["check-ignore", "--quiet"]) {
        Ok(Some(0)) => Fate::Ignored,
        Ok(Some(1)) => Fate::Committable,
        _ => Fate::Unknown("git does not answer for this repository".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used)]
mod tests {
    use super::*;

    fn git(folder: &Path, words: &[&str]) -> bool {
        let quiet = |words: &[&str]| {
            Command::new("git")
                .args(["-c", "init.defaultBranch=main"])
                .args(words)
                .current_dir(folder)
                .stdout(Stdio::null())
                .status()
        };
        quiet(words).is_ok_and(|status| status.success())
    }

    #[test]
    fn git_says_what_it_would_do() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        if !git(folder, &["init", "--quiet"]) {
            println!("not run: there is no git");
            return;
        }
        std::fs::write(folder.join(".gitignore"), "*.env\n").unwrap();
        std::fs::write(folder.join("tracked.env"), "").unwrap();
        assert!(git(folder, &["add", "--force", "tracked.env"]));
        assert_eq!(fate(&folder.join("a.env")), Fate::Ignored);
        assert_eq!(fate(&folder.join("a.txt")), Fate::Committable);
        assert_eq!(fate(&folder.join("tracked.env")), Fate::Tracked);
        std::fs::create_dir(folder.join("below")).unwrap();
        assert_eq!(fate(&folder.join("below/-x.txt")), Fate::Committable);
        assert_eq!(fate(&folder.join("t*.txt")), Fate::Committable);
        // Committable or ignored, but never taken for the one that it would match.
        assert_ne!(fate(&folder.join("t*.env")), Fate::Tracked);
        assert_eq!(fate(&folder.join(":(top)tracked.env")), Fate::Ignored);
        std::fs::remove_dir_all(folder.join(".git")).unwrap();
        assert_eq!(fate(&folder.join("a.txt")), Fate::Outside);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_into_a_repository_is_seen_through() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        if !git(folder.path(), &["init", "--quiet"]) {
            println!("not run: there is no git");
            return;
        }
        std::fs::create_dir(folder.path().join("below")).unwrap();
        let link = other.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("below"), &link).unwrap();
        assert_eq!(fate(&link.join("a.txt")), Fate::Committable);
    }

    #[test]
    fn a_repository_that_is_none_is_not_a_yes() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".git")).unwrap();
        assert!(matches!(fate(&folder.path().join("x")), Fate::Unknown(_) | Fate::Outside));
    }
}
