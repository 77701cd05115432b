//! CODEOWNERS: a line the host cannot read is dropped without a word, so we read it first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Finding;

/// Whoever owns everything does not own these: what a secret passes through, and what decides which code is trusted.
/// A path that does not exist (yet) asks for nothing.
const SENSITIVE: &[&str] = &[
    ".ci/run",
    ".github/CODEOWNERS",
    ".github/dependabot.yml",
    ".github/workflows/release.yml",
    ".well-known/security.txt",
    "CODEOWNERS",
    "Cargo.lock",
    "Cargo.toml",
    "GOVERNANCE.md",
    "SECURITY.md",
    "clippy.toml",
    "crates/attest/src/lib.rs",
    "crates/cli/src/environment.rs",
    "crates/execenv/src/lib.rs",
    "crates/formats/src/lib.rs",
    "crates/integrity-cache/src/lib.rs",
    "crates/json/src/lib.rs",
    "crates/release-verify/src/lib.rs",
    "crates/sbom/src/lib.rs",
    "crates/secure-mem/src/lib.rs",
    "crates/stores/src/lib.rs",
    "crates/transport/src/lib.rs",
    "deny.toml",
    "docs/security/controls.toml",
    "fuzz/Cargo.lock",
    "rust-toolchain.toml",
    "scripts/requirements-interop.txt",
    "supply-chain/config.toml",
    "vex/README.md",
    "xtask/src/main.rs",
];

/// Every line is a pattern and its owners, the first names a default, and plain paths exist.
pub fn check(file: &Path, text: &str, known: &BTreeSet<PathBuf>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut default = None;
    let mut rules: Vec<(&str, Vec<&str>)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut broken = |message: String| findings.push(Finding::broken(file, index + 1, message));
        let mut words = line.split_whitespace();
        let pattern = words.next().unwrap_or_default();
        let owners: Vec<&str> = words.collect();
        if pattern == "*" {
            default = Some(rules.len());
        }
        // Gitignore syntax the host does not take here.
        if pattern.starts_with('!') || pattern.contains(['[', ']']) {
            broken(format!("`{pattern}`: no `!` and no `[ ]` in a pattern"));
        } else if let Some(path) = pattern.strip_prefix('/')
            && !path.contains('*')
            && !known.contains(Path::new(path.trim_end_matches('/')))
        {
            broken(format!("`{pattern}` is no path of the repository"));
        }
        if owners.is_empty() {
            broken(format!("`{pattern}` has no owner"));
        }
        for owner in &owners {
            if !is_owner(owner) {
                broken(format!("`{owner}` is neither @user, @organisation/team nor an address"));
            }
        }
        rules.push((pattern, owners));
    }
    match default {
        None => {
            let message = "no `*` line: what no other line names has no owner";
            findings.push(Finding::broken(file, 0, message));
        }
        // The last line that matches wins: a later `*` would take everything back.
        Some(0) => findings.extend(uncovered(file, &rules, known)),
        Some(_) => findings.push(Finding::broken(file, 0, "`*` is not the first line")),
    }
    findings
}

/// The sensitive paths whose owners are those of everything else.
fn uncovered(file: &Path, rules: &[(&str, Vec<&str>)], known: &BTreeSet<PathBuf>) -> Vec<Finding> {
    let everything: &[&str] = rules.first().map_or(&[], |(_, owners)| owners);
    let is_uncovered = |path: &&&str| {
        let last = rules.iter().rfind(|(pattern, _)| matches(pattern, path));
        last.is_none_or(|(_, owners)| owners.iter().any(|owner| everything.contains(owner)))
    };
    SENSITIVE
        .iter()
        .filter(|path| known.contains(Path::new(path)))
        .filter(is_uncovered)
        .map(|path| Finding::broken(file, 0, format!("`{path}` has no owner of its own")))
        .collect()
}

/// Whether a pattern means a path: all of them, a file, a folder with what is in it, or the end of a name.
fn matches(pattern: &str, path: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match (pattern.strip_prefix('/'), pattern.strip_prefix('*')) {
        (Some(place), _) if place.ends_with('/') => path.starts_with(place),
        (Some(place), _) => path == place,
        (None, Some(end)) => path.ends_with(end),
        // Anything else could mean it: say no, so that a plain line is written.
        (None, None) => false,
    }
}

/// `@user`, `@organisation/team` or an e-mail address.
fn is_owner(word: &str) -> bool {
    let name = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    match word.split_once('@') {
        Some(("", handle)) => match handle.split_once('/') {
            Some((organisation, team)) => name(organisation) && name(team),
            None => name(handle),
        },
        Some((local, domain)) => !local.is_empty() && name(domain) && domain.contains('.'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let known = ["", "crates", "crates/cli"].map(PathBuf::from).into();
        check(Path::new("CODEOWNERS"), text, &known).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn good_lines_pass() {
        let text = "# who reads what\n* @a-user\n\n/crates/cli/ @org/team owner@example.org # why\n\
                    *.md @a\n/crates/*/src @a\n";
        assert_eq!(lines(text), Vec::<usize>::new());
    }

    #[test]
    fn each_violation_is_found() {
        for bad in [
            "/crates/cli",
            "/crates/gone/ @a",
            "!x @a",
            "[ab] @a",
            "x nobody",
            "x @",
            "x @org/",
            "x @a/b/c",
            "x a@b",
        ] {
            assert_eq!(lines(&format!("* @a\n{bad}\n")), [2], "{bad}");
        }
        assert_eq!(lines("/crates/ @a\n"), [0]);
    }

    #[test]
    fn sensitive_paths_have_owners_of_their_own() {
        let messages = |text: &str| -> Vec<String> {
            let known = ["", "xtask", "xtask/src", "xtask/src/main.rs", "deny.toml", "docs"]
                .map(PathBuf::from)
                .into();
            let findings = check(Path::new("CODEOWNERS"), text, &known);
            findings.into_iter().map(|finding| finding.message).collect()
        };
        assert_eq!(messages("* @a\n/xtask/ @b\n/deny.toml @b @c\n"), Vec::<String>::new());
        assert_eq!(messages("* @a\n/xtask/ @b\n*.toml @b\n"), Vec::<String>::new());
        let (deny, xtask) =
            ("`deny.toml` has no owner of its own", "`xtask/src/main.rs` has no owner of its own");
        assert_eq!(messages("* @a\n/xtask/ @b\n"), [deny]);
        // An alternative that anybody is does not count, and the last line wins.
        assert_eq!(messages("* @a\n/xtask/ @b\n/deny.toml @b @a\n"), [deny]);
        assert_eq!(messages("* @a\n/xtask/ @b\n/deny.toml @b\n/xtask/src/ @a\n"), [xtask]);
        let late = "/xtask/ @b\n/deny.toml @b\n* @a\n";
        assert_eq!(messages(late), ["`*` is not the first line"]);
    }
}
