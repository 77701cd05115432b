//! The reference and the manual pages, written from the declaration of the command line.
//!
//! A test compares them with the files in the repository. `cargo xtask docs` writes them.

mod man;
mod markdown;
mod own_codes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Arg, Command, CommandFactory as _};

use crate::args::Args;

/// Set by `cargo xtask docs`: write instead of compare.
const WRITE: &str = "DSOPS_WRITE_REFERENCE";

/// The whole command line, global flags spread to every command.
fn built() -> Command {
    let mut command = Args::command();
    command.build();
    command
}

/// Every command that people see: its words (`["config", "check"]`) and its declaration.
fn commands(command: &Command) -> Vec<(Vec<&str>, &Command)> {
    let mut all = Vec::new();
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        all.push((vec![sub.get_name()], sub));
        for (words, below) in commands(sub) {
            all.push((std::iter::once(sub.get_name()).chain(words).collect(), below));
        }
    }
    all
}

/// The arguments that people see.
fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_hide_set())
}

/// The examples of a command, one command line each.
fn examples(command: &Command) -> Vec<String> {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines = text.strip_prefix("Examples:\n").unwrap_or_default().lines();
    // A blank line ends them; what follows are remarks.
    lines.map(|line| line.trim().to_owned()).take_while(|line| !line.is_empty()).collect()
}

/// All generated files by their path from the top of the repository.
fn files() -> BTreeMap<PathBuf, String> {
    let command = built();
    let mut files = BTreeMap::new();
    files.insert(PathBuf::from("docs/reference/cli.md"), markdown::command_line(&command));
    files.insert(PathBuf::from("docs/reference/errors.md"), markdown::errors());
    files.insert(PathBuf::from("docs/reference/verify-codes.md"), markdown::verify_codes());
    let pages = man::pages(&command);
    files.insert(PathBuf::from("crates/cli/man/pages.rs"), man::list(&pages));
    for (name, page) in pages {
        files.insert(Path::new("crates/cli/man").join(man::file_name(&name)), page);
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test that writes what it compares with")]
    fn the_reference_is_what_the_declaration_says() {
        let write = std::env::var_os(WRITE).is_some();
        let mut stale = Vec::new();
        let files = files();
        for (path, text) in &files {
            let target = root().join(path);
            if std::fs::read_to_string(&target).is_ok_and(|there| there == *text) {
                continue;
            }
            if write {
                std::fs::create_dir_all(target.parent().unwrap()).unwrap();
                std::fs::write(&target, text).unwrap();
            } else {
                stale.push(path.display().to_string());
            }
        }
        // The page of a command that is no more.
        for entry in std::fs::read_dir(root().join("crates/cli/man")).unwrap() {
            let path = Path::new("crates/cli/man").join(entry.unwrap().file_name());
            if files.contains_key(&path) {
                continue;
            }
            if write {
                std::fs::remove_file(root().join(&path)).unwrap();
            } else {
                stale.push(path.display().to_string());
            }
        }
        assert!(stale.is_empty(), "run `cargo xtask docs`: {stale:?} differ from the code");
    }

    #[test]
    fn every_flag_is_in_help_manual_and_reference() {
        let mut command = built();
        let reference = markdown::command_line(&command);
        let pages = man::pages(&command);
        let names: Vec<Vec<String>> = commands(&command)
            .into_iter()
            .map(|(words, _)| words.into_iter().map(str::to_owned).collect())
            .collect();
        assert!(names.len() >= 8);
        for words in names {
            let name = words.join(" ");
            let declared = words.iter().fold(&mut command, |command, word| {
                command.find_subcommand_mut(word).expect("it is one")
            });
            let help = declared.render_long_help().to_string();
            let page = pages[&words.join("-")].replace("\\-", "-");
            let section = format!("## `dsops {name}`\n");
            assert_eq!(reference.matches(&section).count(), 1, "{section}");
            let (_, section) = reference.split_once(&section).expect("counted");
            let section = section.split("\n## ").next().expect("split gives one");
            for arg in arguments(declared) {
                let shown = match arg.get_long() {
                    Some(long) => format!("--{long}"),
                    None => arg.get_id().to_string().to_uppercase(),
                };
                for (place, text) in [("--help", &*help), ("manual", &*page)] {
                    assert!(
                        text.to_uppercase().contains(&shown.to_uppercase()),
                        "{name}: {shown} is not in the {place}"
                    );
                }
                let in_reference = if markdown::is_general(arg) { &reference } else { section };
                assert!(
                    in_reference.to_uppercase().contains(&shown.to_uppercase()),
                    "{name}: {shown}"
                );
            }
        }
    }

    #[test]
    fn every_command_has_examples_and_they_parse() {
        let command = built();
        for (words, sub) in commands(&command) {
            if sub.has_subcommands() {
                continue;
            }
            let examples = examples(sub);
            assert!(!examples.is_empty(), "`dsops {}` has no examples", words.join(" "));
            for example in examples {
                let ours = our_part(&example);
                assert!(ours.len() > words.len(), "{example}");
                assert_eq!(&ours[1..=words.len()], words, "{example}");
                if let Err(error) = <Args as clap::Parser>::try_parse_from(&ours) {
                    panic!("{example}: {error}");
                }
            }
        }
    }

    /// The words from `dsops` on, up to where the shell goes on with something else.
    fn our_part(example: &str) -> Vec<String> {
        let start = example.find("dsops ").unwrap_or(example.len());
        let text = &example[start..];
        let end = text.find([')', '|', '>', '#']).unwrap_or(text.len());
        text[..end]
            .split_whitespace()
            .map(|word| word.trim_matches(['\'', '"']).to_owned())
            .collect()
    }
}
