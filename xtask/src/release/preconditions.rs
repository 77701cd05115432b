//! What must hold before a release is made, and what is wrong when it does not.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

use crate::{process, workspace};

/// The branch that releases come from.
const BRANCH: &str = "main";

/// Why there can be no release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The checkout has changes that no commit has.
    Changed(String),
    /// There is no section of that version in the changelog, or it is empty or without a date.
    Changelog(String),
    /// A crate has another version, or asks for another one of a crate of ours.
    Version(String),
    /// The tag is there already.
    Tag(String),
    /// The commit is not on the branch that releases come from.
    Branch,
}

impl Violation {
    /// Whether a dry run goes on: these say where the commit stands, not what it is. A dry run is
    /// also made of branches, and of a tag before it is published.
    pub fn is_of_place(&self) -> bool {
        matches!(self, Self::Tag(_) | Self::Branch)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(files) => write!(f, "the checkout differs from its commit: {files}"),
            Self::Changelog(what) => write!(f, "CHANGELOG.md {what}"),
            Self::Version(what) => f.write_str(what),
            Self::Tag(tag) => write!(f, "the tag {tag} is there already"),
            Self::Branch => write!(f, "the commit is not on {BRANCH}"),
        }
    }
}

/// Everything that stands against a release of that version from that checkout.
///
/// # Errors
/// It cannot be looked at.
pub fn check(checkout: &Path, version: &str) -> anyhow::Result<Vec<Violation>> {
    let git = |args: &[&str]| process::output(Command::new("git").current_dir(checkout).args(args));
    let mut violations = Vec::new();
    let changed = git(&["status", "--porcelain"])?;
    if !changed.is_empty() {
        let files: Vec<&str> = changed.lines().filter_map(|line| line.get(3..)).take(5).collect();
        violations.push(Violation::Changed(files.join(", ")));
    }
    let changelog = checkout.join("CHANGELOG.md");
    let changelog = std::fs::read_to_string(&changelog).context("cannot read CHANGELOG.md")?;
    violations.extend(check_changelog(&changelog, version).map(Violation::Changelog));
    let metadata = process::output(
        process::cargo()
            .current_dir(checkout)
            // Of this checkout, whichever one asks.
            .env_remove("CARGO_MANIFEST_DIR")
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"]),
    )?;
    let metadata = serde_json::from_str(&metadata).context("cargo metadata wrote no JSON")?;
    let manifest = workspace::manifest(&checkout.join("Cargo.toml"))?;
    let versions = check_versions(&metadata, &manifest, version);
    violations.extend(versions.into_iter().map(Violation::Version));
    let tag = format!("v{version}");
    if !git(&["tag", "--list", &tag])?.is_empty() {
        violations.push(Violation::Tag(tag));
    }
    if !is_on_branch(checkout) {
        violations.push(Violation::Branch);
    }
    Ok(violations)
}

/// Whether the commit is the branch's, here or where the checkout comes from.
fn is_on_branch(checkout: &Path) -> bool {
    [format!("refs/heads/{BRANCH}"), format!("refs/remotes/origin/{BRANCH}")].iter().any(|branch| {
        let mut git = Command::new("git");
        git.current_dir(checkout).args(["merge-base", "--is-ancestor", "HEAD", branch]);
        process::output(&mut git).is_ok()
    })
}

/// What is wrong with the section of that version: `## 1.2.3 - 2026-01-31`, and what changed.
fn check_changelog(text: &str, version: &str) -> Option<String> {
    let mut lines = text.lines();
    let heading = lines.find_map(|line| {
        let rest = line.strip_prefix("## ")?.strip_prefix(version)?;
        (rest.is_empty() || rest.starts_with(' ')).then_some(rest)
    });
    let Some(heading) = heading else {
        return Some(format!("has no section `## {version} - DATE`"));
    };
    let is_date = |text: &str| {
        text.len() == 10
            && text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            })
    };
    if !heading.strip_prefix(" - ").is_some_and(is_date) {
        return Some(format!("does not say when {version} is: `## {version} - 2026-01-31`"));
    }
    let said = lines.take_while(|line| !line.starts_with("## ")).any(|line| line.starts_with("- "));
    (!said).then(|| format!("says nothing of {version}"))
}

/// The crates that are of another version, or ask for another one of ours.
fn check_versions(metadata: &Value, manifest: &toml::Table, version: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        if package["version"] != version {
            let name = package["name"].as_str().unwrap_or_default();
            let found = package["version"].as_str().unwrap_or_default();
            wrong.push(format!("{name} is of version {found}, not {version}"));
        }
    }
    let dependencies = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies")?.as_table())
        .into_iter()
        .flatten();
    for (name, dependency) in dependencies {
        let asked = dependency.get("path").and(dependency.get("version"));
        if let Some(asked) = asked.and_then(toml::Value::as_str)
            && asked != format!("={version}")
        {
            wrong.push(format!("Cargo.toml asks for {name} {asked}, not ={version}"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "# Changelog\n\n## 1.2.3 - 2026-01-31\n\n### Added\n- Much.\n";

    /// A small checkout of a version 1.2.3, on the branch, to be spoiled.
    struct Made(tempfile::TempDir);

    impl Made {
        fn new() -> Self {
            let made = Self(tempfile::tempdir().unwrap());
            made.write(
                "Cargo.toml",
                "[workspace]\nmembers = ['one', 'two']\nresolver = '3'\n\
                 [workspace.dependencies]\none = { path = 'one', version = '=1.2.3' }\n",
            );
            made.write(
                "one/Cargo.toml",
                "[package]\nname = 'one'\nversion = '1.2.3'\nedition = '2024'\n",
            );
            made.write("one/src/lib.rs", "");
            made.write(
                "two/Cargo.toml",
                "[package]\nname = 'two'\nversion = '1.2.3'\nedition = '2024'\n\
                 [dependencies]\none.workspace = true\n",
            );
            made.write("two/src/lib.rs", "");
            made.write("CHANGELOG.md", CHANGELOG);
            made.git(&["init", "--quiet", "--initial-branch", BRANCH]);
            made.commit();
            made
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        fn git(&self, args: &[&str]) {
            let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
            let mut git = Command::new("git");
            process::output(git.current_dir(self.0.path()).args(identity).args(args)).unwrap();
        }

        fn commit(&self) {
            self.git(&["add", "--all"]);
            self.git(&["commit", "--quiet", "--message", "change"]);
        }

        fn check(&self) -> Vec<Violation> {
            check(self.0.path(), "1.2.3").unwrap()
        }
    }

    #[test]
    fn a_checkout_as_it_should_be_is_let_through() {
        assert_eq!(Made::new().check(), []);
    }

    #[test]
    fn changes_without_a_commit_are_refused() {
        let made = Made::new();
        made.write("new.txt", "not added");
        assert_eq!(made.check(), [Violation::Changed("new.txt".into())]);
        assert!(!made.check()[0].is_of_place());
    }

    #[test]
    fn a_version_without_a_section_is_refused() {
        let made = Made::new();
        made.write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n- Much.\n");
        made.commit();
        let violations = made.check();
        assert!(matches!(violations.as_slice(), [Violation::Changelog(_)]), "{violations:?}");
        assert!(!violations[0].is_of_place());
    }

    #[test]
    fn sections_have_a_date_and_say_something() {
        assert_eq!(check_changelog(CHANGELOG, "1.2.3"), None);
        for (bad, why) in [
            ("## 1.2.30 - 2026-01-31\n- Much.\n", "no section"),
            ("## 1.2.3\n- Much.\n", "when"),
            ("## 1.2.3 - soon\n- Much.\n", "when"),
            ("## 1.2.3 - 2026-01-31\n\n## 1.2.2 - 2026-01-01\n- Older.\n", "nothing"),
        ] {
            let wrong = check_changelog(bad, "1.2.3").unwrap();
            assert!(wrong.contains(why), "{bad}: {wrong}");
        }
    }

    #[test]
    fn another_version_of_a_crate_is_refused() {
        let made = Made::new();
        made.write(
            "two/Cargo.toml",
            "[package]\nname = 'two'\nversion = '1.2.2'\nedition = '2024'\n\
             [dependencies]\none.workspace = true\n",
        );
        made.commit();
        let wanted = Violation::Version("two is of version 1.2.2, not 1.2.3".into());
        assert_eq!(made.check(), [wanted]);
    }

    #[test]
    fn another_version_that_is_asked_for_is_refused() {
        let manifest: toml::Table = "[workspace.dependencies]\n\
             one = { path = 'one', version = '=1.2.2' }\nother = { version = '1' }\n"
            .parse()
            .unwrap();
        let wrong = check_versions(&Value::Null, &manifest, "1.2.3");
        assert_eq!(wrong, ["Cargo.toml asks for one =1.2.2, not =1.2.3"]);
    }

    #[test]
    fn a_tag_that_is_there_is_refused() {
        let made = Made::new();
        made.git(&["tag", "v1.2.3"]);
        assert_eq!(made.check(), [Violation::Tag("v1.2.3".into())]);
        assert!(made.check()[0].is_of_place());
    }

    #[test]
    fn a_commit_beside_the_branch_is_refused() {
        let made = Made::new();
        made.git(&["switch", "--quiet", "--create", "topic"]);
        assert_eq!(made.check(), []);
        made.write("more.txt", "more");
        made.commit();
        assert_eq!(made.check(), [Violation::Branch]);
    }
}
