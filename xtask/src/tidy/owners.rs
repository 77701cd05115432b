//! CODEOWNERS: a line the host cannot read is dropped without a word, so we read it first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Finding;

/// Every line is a pattern and its owners, the first names a default, and plain paths exist.
pub fn check(file: &Path, text: &str, known: &BTreeSet<PathBuf>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut default = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut broken = |message: String| findings.push(Finding::broken(file, index + 1, message));
        let mut words = line.split_whitespace();
        let pattern = words.next().unwrap_or_default();
        let owners: Vec<&str> = words.collect();
        default |= pattern == "*";
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
        for owner in owners {
            if !is_owner(owner) {
                broken(format!("`{owner}` is neither @user, @organisation/team nor an address"));
            }
        }
    }
    if !default {
        findings.push(Finding::broken(
            file,
            0,
            "no `*` line: what no other line names has no owner",
        ));
    }
    findings
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
}
