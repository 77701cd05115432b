//! Documents that name tests: what stands in the column `test` of a table must be a test, and be where the link says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Finding;

/// A column with this title names what proves its row.
const COLUMN: &str = "test";

/// Stands for the examples of a type that must not compile.
const EXAMPLES: &str = "compile_fail";

/// What starts a command of ours that proves a row.
const COMMAND: &str = "cargo xtask ";

/// The tests of every Rust file, by name.
#[derive(Default)]
pub struct Tests(BTreeMap<String, BTreeSet<PathBuf>>);

impl Tests {
    /// Takes up the tests of a file: functions that are marked, and the named cases of a program without harness.
    pub fn read(&mut self, file: &Path, text: &str) {
        let mut marked = false;
        let in_tests = file.components().any(|part| part.as_os_str() == "tests");
        for line in text.lines().map(str::trim) {
            if line == "#[test]" {
                marked = true;
            } else if let Some(rest) = line.strip_prefix("fn ") {
                let name = rest.split(|c: char| !is_word(c)).next().unwrap_or_default();
                if std::mem::take(&mut marked) {
                    self.add(name, file);
                }
            } else if in_tests && let Some(rest) = line.strip_prefix("(\"") {
                let (name, after) = rest.split_once('"').unwrap_or_default();
                if after.starts_with(", ") && is_name(name) {
                    self.add(name, file);
                }
            }
        }
    }

    fn add(&mut self, name: &str, file: &Path) {
        self.0.entry(name.to_owned()).or_default().insert(file.to_path_buf());
    }

    /// Whether there is such a test, in that file if one is named.
    pub fn has(&self, name: &str, file: Option<&Path>) -> bool {
        self.0.get(name).is_some_and(|files| file.is_none_or(|file| files.contains(file)))
    }
}

/// Every row of a table with a column `test` names at least one, and all that it names exist.
pub fn check(file: &Path, text: &str, tests: &Tests) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut column = None;
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        if !line.starts_with('|') {
            column = None;
            continue;
        }
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let Some(at) = column else {
            // The first line of a table; `usize::MAX` is a table without the column.
            if !lines.peek().is_some_and(|(_, next)| is_rule(next)) {
                findings.push(Finding::broken(
                    file,
                    index + 1,
                    "a row of no table: it proves nothing",
                ));
            }
            column = Some(cells.iter().position(|cell| *cell == COLUMN).unwrap_or(usize::MAX));
            continue;
        };
        if at == usize::MAX || is_rule(line) {
            continue;
        }
        let cell = cells.get(at).copied().unwrap_or_default();
        let mut proofs = 0;
        for (name, target) in spans(cell) {
            if name == EXAMPLES || name.starts_with(COMMAND) {
                proofs += 1;
            } else if is_name(name) {
                let home = target.and_then(|target| beside(file, target));
                if tests.has(name, home.as_deref()) {
                    proofs += 1;
                } else {
                    let place = target.map_or(String::new(), |target| format!(" in `{target}`"));
                    let message = format!("there is no test `{name}`{place}");
                    findings.push(Finding::broken(file, index + 1, message));
                }
            }
        }
        if proofs == 0 && findings.last().is_none_or(|last| last.line != index + 1) {
            findings.push(Finding::broken(file, index + 1, "no test proves this row"));
        }
    }
    findings
}

/// Whether a line divides the head of a table from its rows.
fn is_rule(line: &str) -> bool {
    line.starts_with('|') && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '))
}

/// The code spans of a cell, each with the target of its link.
fn spans(cell: &str) -> Vec<(&str, Option<&str>)> {
    let mut found = Vec::new();
    let mut rest = cell;
    while let Some((_, after)) = rest.split_once('`') {
        let Some((name, after)) = after.split_once('`') else { break };
        let link = after.strip_prefix("](").and_then(|link| link.split_once(')'));
        found.push((name, link.map(|(target, _)| target)));
        rest = after;
    }
    found
}

/// A link's target as a path of the repository.
fn beside(file: &Path, target: &str) -> Option<PathBuf> {
    let mut path = file.parent()?.to_path_buf();
    for part in target.split('/') {
        match part {
            ".." => drop(path.pop()),
            "." | "" => {}
            name => path.push(name),
        }
    }
    Some(path)
}

/// Words with `_` between: how tests are named, and little else in a sentence.
fn is_name(text: &str) -> bool {
    text.contains('_') && text.chars().all(|c| is_word(c) && !c.is_ascii_uppercase())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(table: &str) -> Vec<(usize, String)> {
        let mut tests = Tests::default();
        tests.read(
            Path::new("crates/a/tests/t.rs"),
            "#[test]\n#[cfg(unix)]\nfn it_holds() {\n}\nfn no_test() {}\n    (\"named_case\", named),\n",
        );
        tests.read(Path::new("crates/a/src/lib.rs"), "(\"a_pair\", 1)\n");
        let text = format!("| claim | test |\n|---|:--|\n{table}");
        let findings = check(Path::new("docs/x.md"), &text, &tests);
        findings.into_iter().map(|finding| (finding.line, finding.message)).collect()
    }

    #[test]
    fn tests_that_exist_pass() {
        let table = "| a | `it_holds`, `named_case` |\n\
                     | b | [`it_holds`](../crates/a/tests/t.rs) |\n\
                     | c | the `compile_fail` examples |\n| d | `cargo xtask leakscan` |\n\
                     \n| other | table |\n|---|---|\n| `no_such` | `name_here` |\n";
        assert_eq!(lines(table), []);
    }

    #[test]
    fn what_is_no_test_is_found() {
        for (row, message) in [
            ("| a | `no_test` |", "there is no test `no_test`"),
            ("| a | `a_pair` |", "there is no test `a_pair`"),
            (
                "| a | [`it_holds`](../crates/a/src/lib.rs) |",
                "there is no test `it_holds` in `../crates/a/src/lib.rs`",
            ),
            ("| a | by design |", "no test proves this row"),
            ("| a |", "no test proves this row"),
        ] {
            assert_eq!(lines(row), [(3, message.to_owned())], "{row}");
        }
        // Behind an empty line it is no row of the table.
        let cut_off = lines("| a | `it_holds` |\n\n| b | `no_test` |");
        assert_eq!(cut_off, [(5, "a row of no table: it proves nothing".to_owned())]);
    }
}
