//! `docs/reference`: the command line and the codes of errors.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};
use dsops_resolver::codes;

use super::{arguments, commands, examples, own_codes};
use crate::env_vars;

const GENERATED: &str = "<!-- Written by `cargo xtask docs` from the code; a test compares. -->\n";

/// Every command, flag and variable.
pub fn command_line(command: &Command) -> String {
    let mut text = format!(
        "{GENERATED}# The command line\n\n\
         `dsops [OPTIONS] COMMAND`. Exit codes are in [exit-codes.md](exit-codes.md), the codes of\n\
         errors in [errors.md](errors.md).\n\n\
         | command | what it does |\n|---|---|\n"
    );
    for (words, sub) in commands(command) {
        let name = words.join(" ");
        let _ = writeln!(text, "| [`{name}`](#dsops-{}) | {} |", words.join("-"), about(sub));
    }
    text += "\n## Options of every command\n\n";
    text += &table(arguments(command).filter(|arg| is_general(arg)));
    text += "\n## Environment variables\n\n| variable | meaning |\n|---|---|\n";
    for (variable, meaning) in env_vars::ALL {
        let _ = writeln!(text, "| `{variable}` | {} |", cell(meaning.trim()));
    }
    text += "\nThe variables of an option lose to the option. No other variable changes what dsops does, but a\n\
             store reads those that its documentation names.\n";
    for (words, sub) in commands(command) {
        let _ = write!(
            text,
            "\n## `dsops {}`\n\n{}.\n\n```text\n{}\n```\n",
            words.join(" "),
            about(sub),
            usage(sub)
        );
        let own: Vec<&Arg> = arguments(sub).filter(|arg| !is_general(arg)).collect();
        if !own.is_empty() {
            text += "\n";
            text += &table(own);
        }
        let examples = examples(sub);
        if !examples.is_empty() {
            let _ = write!(text, "\n```sh\n{}\n```\n", examples.join("\n"));
        }
    }
    text
}

/// Every code an error of the configuration, a plan or a store can have.
pub fn errors() -> String {
    let mut text = format!(
        "{GENERATED}# Codes of errors\n\n\
         A code stands in brackets behind the word, `error[store/locked]`, and under `code` with `--json`. It\n\
         never changes its meaning; new ones may come.\n\n\
         | code | meaning |\n|---|---|\n"
    );
    for (code, meaning) in codes::ALL {
        let _ = writeln!(text, "| `{code}` | {} |", cell(meaning.trim()));
    }
    text += "\n## Of the command line itself\n\n\
             Codes with `cli/` stand only under `code` with `--json`, where an error has no other.\n\n\
             | code | meaning |\n|---|---|\n";
    for (code, meaning) in own_codes::ALL {
        let _ = writeln!(text, "| `{code}` | {} |", cell(meaning));
    }
    text += "\nWhat a check of `dsops verify` found has a code of [verify-codes.md](verify-codes.md), what one of\n\
             `dsops sbom check` found one of [sbom.md](../sbom.md).\n\n\
             ## With `--json`\n\n\
             Results are on stdout. Warnings and errors are on stderr, one object on a line. The exit code is the\n\
             same as without `--json`.\n\n\
             | key | value |\n|---|---|\n\
             | `version` | 1 |\n\
             | `warnings` | a list of problems that kept nothing from going on |\n\
             | `errors` | a list of problems that ended the command; then there is also `exit_code` |\n\n\
             A problem has `severity` (`error` or `warning`), `code`, `message`, `place` (`file`, `line`, `column`,\n\
             `width`, or null), `causes` (nearest first) and `help` (or null).\n";
    text
}

/// Every code that a check of `dsops verify` can have.
pub fn verify_codes() -> String {
    let mut text = format!(
        "{GENERATED}# Codes of checks\n\n\
         Each check of `dsops verify` has a code: in brackets behind its sentence, under `code` with `--json`,\n\
         as the rule with `--sarif`. A code never changes its meaning; new ones may come. How a check ended is its\n\
         state:\n\n\
         | state | meaning |\n|---|---|\n\
         | `passed` | made, and in order |\n\
         | `note` | nothing was checked here; good to know |\n\
         | `warning` | in order, but look: an old root of trust, evidence that was not used |\n\
         | `undecided` | it could not be decided; never a pass |\n\
         | `failed` | made, and not in order |\n\n\
         What did not pass says what to do next: under `help` with `--json`, and as the help of the rule with\n\
         `--sarif`. A finding may know more than what its code says below.\n\n\
         | code | what is in order when it passes | what to do when it does not |\n|---|---|---|\n"
    );
    for check in dsops_release_verify::codes::ALL {
        let (meaning, next) = (cell(check.meaning), cell(check.next));
        let _ = writeln!(text, "| `{}` | {meaning} | {next} |", check.code);
    }
    text += "\nThe form of `--json` is [schema/dsops-verify.schema.json](../../schema/dsops-verify.schema.json); how to verify a\n\
             release is in [verify-releases.md](../security/verify-releases.md).\n";
    text
}

/// Whether every command has it.
pub fn is_general(arg: &Arg) -> bool {
    arg.is_global_set()
        || matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong)
        || matches!(arg.get_action(), ArgAction::Version)
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned()
}

fn table<'a>(arguments: impl IntoIterator<Item = &'a Arg>) -> String {
    let mut text = String::from("| option | meaning |\n|---|---|\n");
    for arg in arguments {
        let _ = writeln!(text, "| {} | {} |", cell(&spelling(arg)), cell(&meaning(arg)));
    }
    text
}

/// As it is typed: `-q`, `--quiet`, `--timeout <TIME>`, `<NAME>`.
fn spelling(arg: &Arg) -> String {
    let values: Vec<String> =
        arg.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>")).collect();
    let value = if arg.get_action().takes_values() { values.join(" ") } else { String::new() };
    let Some(long) = arg.get_long() else { return format!("`{value}`") };
    let long = format!("`{}`", format!("--{long} {value}").trim_end());
    match arg.get_short() {
        Some(short) => format!("`-{short}`, {long}"),
        None => long,
    }
}

fn meaning(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, "; `{}`", variable.to_string_lossy());
    }
    if arg.get_action().takes_values() {
        let choices: Vec<String> = arg
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| match value.get_help() {
                Some(help) => format!("`{}` ({help})", value.get_name()),
                None => format!("`{}`", value.get_name()),
            })
            .collect();
        if !choices.is_empty() {
            let _ = write!(text, ": {}", choices.join(", "));
        }
        let defaults: Vec<String> = arg
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy().into_owned())
            .collect();
        if !defaults.is_empty() {
            let _ = write!(text, "; default `{}`", defaults.join(" "));
        }
    }
    text
}

/// A bar would end the cell; an angle bracket outside code would be HTML.
fn cell(text: &str) -> String {
    let mut inside_code = false;
    text.chars().fold(String::new(), |mut cell, c| {
        match c {
            '`' => inside_code = !inside_code,
            '|' => cell.push('\\'),
            '<' if !inside_code && !text.contains("<http") => cell.push('\\'),
            _ => {}
        }
        cell.push(c);
        cell
    })
}
