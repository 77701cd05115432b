//! `dsops verify policy`: policy files looked through, written from what was verified, and their
//! schema.

mod from;

use std::ffi::OsString;
use std::path::Path;
use std::time::SystemTime;

use clap::{Subcommand, ValueHint};
use dsops_release_verify::PolicyFile;
use serde_json::{Value, json};

use super::rules;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

const CHECK_EXAMPLES: &str = "\
Examples:
  dsops verify policy check dsops-verify.yaml
  dsops verify policy check dsops-verify.yaml --json

A policy that cannot be used is an error. What is odd in one that can is a warning: rules that no
artifact reaches, names that strangers can have, signers that no rule names, keys that ran out.";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  dsops verify policy schema
  dsops verify policy schema > dsops-verify-policy.schema.json

With `# yaml-language-server: $schema=dsops-verify-policy.schema.json` as its first line, editors check
a policy file by that file while you type.";

// What `dsops verify policy` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

// What can be done with policies.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Action {
    /// Look through a policy file
    Check(CheckArgs),
    /// Write a policy for whoever signed this, when the signature is good
    From(from::Args),
    /// Print the JSON schema of policy files, for editors
    Schema(SchemaArgs),
}

// `dsops verify policy schema`
#[derive(Debug, clap::Args)]
#[command(after_help = SCHEMA_EXAMPLES)]
pub struct SchemaArgs {}

// What `dsops verify policy check` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// A policy file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: OsString,
}

/// Runs the command.
///
/// # Errors
/// The policy cannot be used; there is no good signature to write one from.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    match &args.action {
        Action::Check(args) => check(cx, args),
        Action::From(args) => from::run(cx, args),
        Action::Schema(_) => {
            ui::print(PolicyFile::schema().as_bytes())?;
            Ok(Exit::Ok)
        }
    }
}

fn check(cx: &Context, args: &CheckArgs) -> Result<Exit, Failure> {
    let name = args.file.to_string_lossy();
    let (policy, problems) = match rules::file(&args.file) {
        Ok(policy) => (Some(policy), Vec::new()),
        Err(failure) if cx.ui.json && failure.exit == Exit::Config => (None, failure.reports),
        Err(failure) => return Err(failure),
    };
    let warnings = policy.as_ref().map(|policy| warnings(&name, policy)).unwrap_or_default();
    if cx.ui.json {
        let all = |reports: &[Report]| -> Vec<Value> {
            reports.iter().map(|report| ui::as_json(report, None)).collect()
        };
        let document = json!({
            "version": JSON_VERSION,
            "file": name,
            "rules": policy.as_ref().map(|policy| policy.rules.len()),
            "problems": all(&problems),
            "warnings": all(&warnings),
        });
        ui::print(format!("{document:#}\n").as_bytes())?;
        return Ok(if problems.is_empty() { Exit::Ok } else { Exit::Config });
    }
    for warning in &warnings {
        cx.ui.report(warning);
    }
    let count = policy.map_or(0, |policy| policy.rules.len());
    let found = match warnings.len() {
        0 => "no problem".to_owned(),
        count => ui::plural(count, "warning"),
    };
    let rules = ui::plural(count, "rule");
    let text = format!("{}: {found} in {rules}\n", Path::new(&args.file).display());
    ui::print(text.as_bytes())?;
    Ok(Exit::Ok)
}

fn warnings(file: &str, policy: &PolicyFile) -> Vec<Report> {
    let report = |warning: dsops_release_verify::PolicyWarning| {
        let mut report = Report::warning(warning.problem).help(warning.help);
        report.code = Some(rules::CODE);
        report.place = Some(rules::place(file, warning.line, warning.column));
        report
    };
    policy.warnings(SystemTime::now()).into_iter().map(report).collect()
}
