//! The rules for one file each: Rust sources, Markdown links, the dependency list, paths of a machine.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::Finding;

/// A file longer than this should probably be two.
const LONG_FILE_LINES: usize = 600;

/// Words that must not be in a source file, put together so that this file passes.
const UNFINISHED: &[&str] = &[concat!("to", "do!("), concat!("unimple", "mented!(")];

/// Folders of the machine someone works on.
const MACHINE_PATHS: &[&str] = &[concat!("/", "work/"), concat!("/", "root/")];

/// How credentials of services begin, and how many characters of one follow at least; put together so that this file
/// passes. Each form is public, so that what leaked is found.
const CREDENTIALS: &[(&str, usize)] = &[
    (concat!("AK", "IA"), 16),
    (concat!("gh", "p_"), 30),
    (concat!("gh", "o_"), 30),
    (concat!("gh", "s_"), 30),
    (concat!("github", "_pat_"), 30),
    (concat!("gl", "pat-"), 20),
    (concat!("xox", "b-"), 20),
    (concat!("sk", "_live_"), 20),
    (concat!("np", "m_"), 30),
    (concat!("py", "pi-"), 50),
];

/// Ends the first line of a private key in PEM; its body is on the next.
const PRIVATE_KEY: &str = concat!(" PRIVATE", " KEY-----");

/// Tests make or keep keys that open nothing.
const TEST_FOLDERS: &[&str] = &["tests", "fuzz", "testkit"];

/// A Rust file says its purpose first, is finished, and not too long.
pub fn rust(file: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A script's first line may be the interpreter's.
    let first = text.lines().find(|line| !line.starts_with("#!/")).unwrap_or_default();
    if !first.starts_with("//! ") {
        findings.push(Finding::broken(file, 1, "does not start with `//!` and its purpose"));
    }
    for (number, line) in numbered(text) {
        for word in UNFINISHED {
            if line.contains(word) {
                findings.push(Finding::broken(file, number, format!("has `{word}`")));
            }
        }
    }
    let lines = text.lines().count();
    if lines > LONG_FILE_LINES {
        findings.push(Finding::hint(file, 0, format!("{lines} lines: make it two")));
    }
    findings
}

/// Nothing in the repository knows a folder of the machine it was written on.
pub fn machine_paths(file: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in numbered(text) {
        for path in MACHINE_PATHS {
            if starts_a_path(line, path) {
                let message = format!("has a path of one machine, `{path}`");
                findings.push(Finding::broken(file, number, message));
            }
        }
    }
    findings
}

/// No credential lies in the repository.
pub fn credentials(file: &Path, text: &str) -> Vec<Finding> {
    let in_tests =
        file.components().any(|part| TEST_FOLDERS.iter().any(|folder| part.as_os_str() == *folder));
    if in_tests {
        return Vec::new();
    }
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let mut findings = Vec::new();
    let mut after_header = false;
    for (number, line) in numbered(text) {
        let is_base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
        if after_header && line.trim().len() >= 40 && line.trim().bytes().all(is_base64) {
            findings.push(Finding::broken(file, number, "has what looks like a private key"));
        }
        after_header = line.contains(PRIVATE_KEY);
        for (start, least) in CREDENTIALS {
            let is_token = |(at, _): (usize, &str)| {
                let rest = line[at + start.len()..].bytes();
                let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
                rest.take_while(is_part).count() >= *least
            };
            if line.match_indices(start).any(is_token) {
                // The value is not repeated.
                let message = format!("has what looks like a credential, `{start}…`");
                findings.push(Finding::broken(file, number, message));
            }
        }
    }
    findings
}

/// Relative links in a Markdown file lead to a file or folder of the repository.
pub fn links(file: &Path, text: &str, known: &BTreeSet<PathBuf>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fence: Option<&str> = None;
    for (number, line) in numbered(text) {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => {
                for target in link_targets(line) {
                    if !resolves(file, &target, known) {
                        let message = format!("the link `{target}` leads nowhere");
                        findings.push(Finding::broken(file, number, message));
                    }
                }
            }
            _ => {}
        }
    }
    findings
}

/// Every outside crate in `[workspace.dependencies]` says on its line what it is for.
pub fn dependency_comments(file: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut inside = false;
    for (number, line) in numbered(text) {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let ours = line.contains("path = ");
            let comment = line.rsplit_once(" # ").is_some_and(|(_, comment)| !comment.is_empty());
            if !ours && !comment {
                let name = line.split(['=', '.', ' ']).next().unwrap_or(line);
                let message = format!("{name}: no comment says what it is for");
                findings.push(Finding::broken(file, number, message));
            }
        }
    }
    findings
}

/// The lines with their 1-based numbers.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// Whether `path` begins a path in the line: `/home` in `/home/x`, not in `a/home/x`.
fn starts_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '*')))
    })
}

/// The targets of `[text](target)` and `[name]: target` in a line, code spans left out.
fn link_targets(line: &str) -> Vec<String> {
    // Every second piece between backticks is code.
    let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
    let mut targets: Vec<&str> = Vec::new();
    for (at, mark) in prose.match_indices("](") {
        let rest = &prose[at + mark.len()..];
        targets.extend(rest.split(')').next());
    }
    if prose.starts_with('[') {
        targets.extend(prose.split_once("]: ").map(|(_, target)| target));
    }
    // `target "title"` and `<target>` are written too.
    let bare = |target: &str| {
        let word = target.split_whitespace().next().unwrap_or_default();
        word.trim_start_matches('<').trim_end_matches('>').to_owned()
    };
    targets.into_iter().map(bare).collect()
}

/// Whether a link leads somewhere, as far as the repository can tell.
fn resolves(file: &Path, target: &str, known: &BTreeSet<PathBuf>) -> bool {
    let path = target.split(['#', '?']).next().unwrap_or_default();
    let outside = target.contains("://") || target.starts_with("mailto:");
    if outside || (path.is_empty() && target.starts_with('#')) {
        return true;
    }
    let mut resolved = file.parent().map(Path::to_path_buf).unwrap_or_default();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => resolved.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !resolved.pop() {
                    return false;
                }
            }
            // A site's root is not the repository's.
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    !path.is_empty() && known.contains(&resolved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::Weight;

    fn messages(findings: &[Finding]) -> Vec<(usize, &str)> {
        findings.iter().map(|finding| (finding.line, finding.message.as_str())).collect()
    }

    #[test]
    fn a_rust_file_says_its_purpose() {
        let file = Path::new("a.rs");
        assert_eq!(rust(file, "//! Parses.\n"), []);
        assert_eq!(rust(file, "#!/usr/bin/env cargo\n//! Parses.\n"), []);
        for bad in ["", "//!\nfn a() {}\n", "// Parses.\n", "\n//! Parses.\n"] {
            let findings = rust(file, bad);
            assert_eq!(
                messages(&findings),
                [(1, "does not start with `//!` and its purpose")],
                "{bad:?}"
            );
        }
    }

    #[test]
    fn unfinished_code_is_found() {
        for word in UNFINISHED {
            let text = format!("//! Parses.\nfn a() {{ {word}) }}\n");
            let findings = rust(Path::new("a.rs"), &text);
            assert_eq!(findings.len(), 1, "{word}");
            assert_eq!((findings[0].weight, findings[0].line), (Weight::Broken, 2));
        }
    }

    #[test]
    fn a_long_file_is_only_a_hint() {
        let text = format!("//! Parses.\n{}", "\n".repeat(LONG_FILE_LINES));
        let findings = rust(Path::new("a.rs"), &text);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].weight, Weight::Hint);
        let text = format!("//! Parses.\n{}", "\n".repeat(LONG_FILE_LINES - 1));
        assert_eq!(rust(Path::new("a.rs"), &text), []);
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        for path in MACHINE_PATHS {
            let found = |line: String| machine_paths(Path::new("a"), &line).len();
            assert_eq!(found(format!("{path}x")), 1);
            assert_eq!(found(format!("one\n\"{path}x\"")), 1);
            assert_eq!(found(format!("some{path}x")), 0);
            assert_eq!(found(format!("..{path}x and $HOME}}{path}x")), 0);
        }
    }

    #[test]
    fn credentials_are_found_and_not_repeated() {
        for (start, least) in CREDENTIALS {
            let line = format!("one\nkey = \"{start}{}\"\n", "x7".repeat(*least));
            let findings = credentials(Path::new("docs/a.md"), &line);
            assert_eq!(findings.len(), 1, "{start}");
            assert_eq!(findings[0].line, 2);
            assert!(!findings[0].message.contains("x7"));
            assert_eq!(credentials(Path::new("crates/a/tests/a.rs"), &line), []);
            let inside = format!("//! Code.\n#[cfg(test)]\nmod tests {{\n{line}}}\n");
            assert_eq!(credentials(Path::new("crates/a/src/a.rs"), &inside), []);
        }
        let key = format!("-----BEGIN{PRIVATE_KEY}\n{}\n", "x7".repeat(20));
        assert_eq!(
            messages(&credentials(Path::new("a.pem"), &key)),
            [(2, "has what looks like a private key")]
        );
        let short = format!("`{}` is how they begin", CREDENTIALS[1].0);
        assert_eq!(credentials(Path::new("docs/a.md"), &short), []);
    }

    #[test]
    fn links_must_resolve() {
        let known: BTreeSet<PathBuf> =
            ["", "README.md", "docs", "docs/a.md", "docs/b.md"].map(PathBuf::from).into();
        let broken = |text: &str| {
            links(Path::new("docs/a.md"), text, &known)
                .iter()
                .map(|finding| finding.line)
                .collect::<Vec<_>>()
        };
        let fine = "[b](b.md) [b](./b.md#part) [up](../README.md \"title\") [dir](../docs)\n\
                    [web](https://example.org) [mail](mailto:a@example.org) [here](#part)\n\
                    [name]: ../README.md\n\
                    `[code](gone.md)`\n```\n[code](gone.md)\n```\n[after](b.md)\n";
        assert_eq!(broken(fine), Vec::<usize>::new());
        assert_eq!(broken("[b](b.md)\n[gone](gone.md) and [gone](../gone.md#x)\n"), [2, 2]);
        assert_eq!(broken("[name]: gone.md\n"), [1]);
        assert_eq!(broken("[out](../../out.md)\n[root](/README.md)\n[none]()\n"), [1, 2, 3]);
        assert_eq!(broken("```\ncode\n```\n[gone](gone.md)\n"), [4]);
    }

    #[test]
    fn a_dependency_says_what_it_is_for() {
        let text = "[workspace]\nmembers = []\n[workspace.dependencies]\n# A group.\n\
                    a = \"1\" # parses\n\nbad = { version = \"1\" }\nours = { path = \"x\" }\n\
                    [profile.dev]\ndebug = 1\n";
        let findings = dependency_comments(Path::new("Cargo.toml"), text);
        assert_eq!(messages(&findings), [(7, "bad: no comment says what it is for")]);
    }
}
