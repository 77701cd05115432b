//! The README's tour, run as it is written: every `console` block, in order, in one empty folder.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::process::Command;

/// One `$ command` of the tour with the exit code and the output it promises.
#[derive(Debug, Default)]
struct Step {
    command: String,
    code: i32,
    output: String,
}

#[test]
fn the_tour_in_the_readme_works_as_written() {
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md"))
            .unwrap();
    let steps = steps(&readme);
    assert!(steps.len() >= 6, "the tour has {} steps", steps.len());
    let folder = tempfile::tempdir().unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_dsops")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    for step in steps {
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1; {}", step.command)])
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", &path)
            .env("HOME", folder.path().join("home"))
            .output()
            .unwrap();
        let seen = String::from_utf8(output.stdout).unwrap();
        assert!(
            matches(&step.output, &seen),
            "$ {}\nexpected:\n{}\nseen:\n{seen}",
            step.command,
            step.output
        );
        assert_eq!(output.status.code(), Some(step.code), "$ {}\n{seen}", step.command);
    }
}

/// Reads the `console` blocks: `$ ` starts a step, `? N` is its exit code, the rest its output.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), ..Step::default() });
        } else if inside && let Some(step) = steps.last_mut() {
            if let Some(code) = line.strip_prefix("? ") {
                step.code = code.parse().unwrap();
            } else if !line.is_empty() {
                step.output += line;
                step.output.push('\n');
            }
        }
    }
    steps
}

/// Whether `seen` is `pattern`, where `[..]` stands for any part of a line.
fn matches(pattern: &str, seen: &str) -> bool {
    let (mut expected, mut lines) = (pattern.lines(), seen.lines());
    loop {
        match (expected.next(), lines.next()) {
            (None, None) => return true,
            (Some(pattern), Some(line)) if line_matches(pattern, line) => {}
            _ => return false,
        }
    }
}

fn line_matches(pattern: &str, line: &str) -> bool {
    match pattern.split_once("[..]") {
        None => pattern == line,
        Some((start, rest)) => line.strip_prefix(start).is_some_and(|line| {
            (0..=line.len())
                .filter(|at| line.is_char_boundary(*at))
                .any(|at| line_matches(rest, &line[at..]))
        }),
    }
}

#[test]
fn the_matcher_can_fail() {
    assert!(line_matches("a [..] c", "a b c"));
    assert!(!line_matches("a [..] c", "a b d"));
    assert!(!matches("a\n", "a\nb\n"));
    assert!(!matches("a\nb\n", "a\n"));
}
