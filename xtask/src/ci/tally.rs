//! Counting tests from what `cargo test` and libtest print.
//!
//! Runs are told apart by their test binary: one that two stages ran counts once, by the run with
//! more failures. A test that passed but printed a line beginning with `not run` is skipped, not
//! passed. A binary that ended without a result (a crash, an abort) is one failure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The counts of each test binary.
#[derive(Debug, Default)]
pub struct Tally {
    binaries: BTreeMap<String, Counts>,
}

impl Tally {
    /// The counts in one log.
    pub fn of(log: &str) -> Self {
        let mut tally = Self::default();
        tally.add(log);
        tally
    }

    /// Adds the counts of a log.
    pub fn add(&mut self, log: &str) {
        let mut binary: Option<Binary> = None;
        for line in log.lines() {
            if let Some(name) = binary_of(line) {
                self.keep(binary.replace(Binary::new(name)));
            } else if let Some(counts) = result_of(line) {
                // A result without a header: another runner's, or a test that runs libtest.
                if let Some(binary) = &mut binary
                    && binary.counts.is_none()
                {
                    binary.counts = Some(counts);
                }
            } else if let Some(binary) = &mut binary {
                binary.read(line);
            }
        }
        self.keep(binary);
    }

    /// All binaries together.
    pub fn sum(&self) -> Counts {
        self.binaries.values().fold(Counts::default(), |sum, counts| Counts {
            passed: sum.passed + counts.passed,
            failed: sum.failed + counts.failed,
            skipped: sum.skipped + counts.skipped,
        })
    }

    /// Enters a binary; of two runs the worse one stays.
    fn keep(&mut self, binary: Option<Binary>) {
        let Some(binary) = binary else { return };
        let mut counts = binary.counts.unwrap_or(Counts { failed: 1, ..Counts::default() });
        let not_run = binary.not_run.len().min(counts.passed);
        counts.passed -= not_run;
        counts.skipped += not_run;
        self.binaries
            .entry(binary.name)
            .and_modify(|known| {
                if (counts.failed, counts.passed) > (known.failed, known.passed) {
                    *known = counts;
                }
            })
            .or_insert(counts);
    }
}

/// What failed, for people: of each binary the output of its failing tests, or that it crashed.
///
/// Empty when no test failed. Backtraces are left out.
pub fn failures(log: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut header = None;
    let mut inside = false;
    for line in log.lines() {
        if binary_of(line).is_some() {
            (header, inside) = (Some(line.trim_start()), false);
        } else if line == "failures:" || line.contains("process didn't exit successfully") {
            inside = true;
            found.extend(header.take());
        } else if line.starts_with("test result: ") {
            inside = false;
        }
        if inside && !line.is_empty() && !is_backtrace(line) {
            found.push(line);
        }
    }
    found
}

/// A line such as `  12: core::panicking::panic_fmt` or `    at src/lib.rs:1`.
fn is_backtrace(line: &str) -> bool {
    let start = line.trim_start();
    let number = start.trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with(' ')
        && (start.starts_with("at ") || (number.len() < start.len() && number.starts_with(": ")))
}

/// A test binary while its output is read.
struct Binary {
    name: String,
    counts: Option<Counts>,
    /// The test whose output this is, and those whose output said "not run".
    test: Option<String>,
    not_run: BTreeSet<String>,
}

impl Binary {
    fn new(name: String) -> Self {
        Self { name, counts: None, test: None, not_run: BTreeSet::new() }
    }

    /// Reads what `--show-output` prints of each test.
    fn read(&mut self, line: &str) {
        let header = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"));
        if let Some(test) = header {
            self.test = Some(test.to_owned());
        } else if line == "successes:" || line == "failures:" {
            self.test = None;
        } else if let Some(test) = &self.test
            && line.trim_start().starts_with("not run")
        {
            self.not_run.insert(test.clone());
        }
    }
}

/// The binary cargo says it starts: `Running … (PATH)` or `Doc-tests CRATE`.
fn binary_of(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(rest) = line.strip_prefix("Running ") {
        let (_, path) = rest.rsplit_once('(')?;
        return Some(path.strip_suffix(')')?.to_owned());
    }
    let name = line.strip_prefix("Doc-tests ")?;
    (!name.contains(' ')).then(|| format!("doc {name}"))
}

/// The counts of libtest's closing line.
fn result_of(line: &str) -> Option<Counts> {
    let rest = line.strip_prefix("test result: ")?;
    let (_, numbers) = rest.split_once(". ")?;
    let number = |word: &str| {
        numbers.split(';').find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
    };
    Some(Counts {
        passed: number("passed")?,
        failed: number("failed")?,
        skipped: number("ignored")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: usize, failed: usize, skipped: usize) -> Counts {
        Counts { passed, failed, skipped }
    }

    const OK: &str = "
     Running unittests src/lib.rs (target/debug/deps/a-1)
running 3 tests
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
     Running tests/b.rs (target/debug/deps/b-2)
test result: FAILED. 1 passed; 2 failed; 4 ignored; 0 measured; 9 filtered out; finished in 0.01s
   Doc-tests a
test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

    #[test]
    fn every_binary_counts() {
        assert_eq!(Tally::of(OK).sum(), counts(9, 2, 5));
        assert_eq!(Tally::of("error: could not compile\n").sum(), counts(0, 0, 0));
    }

    #[test]
    fn a_binary_counts_once_by_its_worse_run() {
        let run = |passed: usize, failed: usize| {
            format!(
                "     Running tests/b.rs (target/debug/deps/b-2)\n\
                 test result: x. {passed} passed; {failed} failed; 0 ignored; 0 measured\n"
            )
        };
        for (first, second) in [((3, 0), (2, 1)), ((2, 1), (3, 0))] {
            let mut tally = Tally::of(&run(first.0, first.1));
            tally.add(&run(second.0, second.1));
            assert_eq!(tally.sum(), counts(2, 1, 0));
        }
    }

    #[test]
    fn a_binary_that_crashed_is_a_failure() {
        let log = "     Running tests/b.rs (target/debug/deps/c-3)\nrunning 3 tests\n\
                   error: test failed, to rerun pass `--test b`\n  (signal: 11, SIGSEGV)\n";
        assert_eq!(Tally::of(log).sum(), counts(0, 1, 0));
        assert_eq!(Tally::of(&format!("{log}{OK}")).sum(), counts(9, 3, 5));
    }

    #[test]
    fn a_test_that_says_not_run_is_skipped() {
        let log = "     Running tests/b.rs (target/debug/deps/b-2)\n\
                   successes:\n\n---- one stdout ----\nnot run: no sops\nnot run: twice\n\n\
                   ---- two stdout ----\nthe stage was not run\n\n\
                   successes:\n    one\n    two\n\n\
                   test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n";
        assert_eq!(Tally::of(log).sum(), counts(1, 0, 1));
    }

    #[test]
    fn what_failed_is_found_in_a_long_log() {
        let log = "     Running tests/a.rs (a-1)\nsuccesses:\n    fine\ntest result: ok. 1 passed\n\
                   \x20    Running tests/b.rs (b-2)\n\nfailures:\n\n---- one stdout ----\n\
                   panicked at b.rs:1:\nstack backtrace:\n   0: core::panic\n         at core.rs:1\n\n\
                   failures:\n    one\n\ntest result: FAILED. 0 passed\n\
                   \x20    Running tests/c.rs (c-3)\nerror: test failed\n\
                   Caused by:\n  process didn't exit successfully: c-3 (signal: 11)\n";
        assert_eq!(
            failures(log),
            [
                "Running tests/b.rs (b-2)",
                "failures:",
                "---- one stdout ----",
                "panicked at b.rs:1:",
                "stack backtrace:",
                "failures:",
                "    one",
                "Running tests/c.rs (c-3)",
                "  process didn't exit successfully: c-3 (signal: 11)",
            ]
        );
        assert_eq!(failures(OK.split_once("tests/b").unwrap().0), Vec::<&str>::new());
    }

    #[test]
    fn the_closing_line_is_plain() {
        assert_eq!(counts(1, 2, 3).to_string(), "1 passed, 2 failed, 3 skipped");
    }
}
