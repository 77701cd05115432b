//! `dsops attest`: signed statements about files, how they were built and what is in them.

mod provenance;
mod sbom;
mod subjects;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Subcommand;
use dsops_attest::Statement;
use serde_json::json;

use super::sign::print_json;
use super::signing::{By, Outputs};
use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;
use subjects::Subjects;

/// What `dsops attest` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

/// What can be said.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Say how files were built, as SLSA provenance
    Provenance(Box<provenance::Args>),
    /// Say that a bill of materials is that of a file
    Sbom(sbom::Args),
}

/// Runs the command.
///
/// # Errors
/// What shall be said makes no sense, cannot be signed, or does not verify; then nothing was written.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    match &args.action {
        Action::Provenance(args) => provenance::run(cx, args),
        Action::Sbom(args) => sbom::run(cx, args),
    }
}

/// Signs a statement, verifies it, writes it.
fn publish(
    cx: &Context,
    by: &By,
    outputs: &Outputs,
    subjects: &Subjects,
    ending: &str,
    statement: &Statement,
) -> Result<Exit, Failure> {
    let target = target(outputs.output.as_ref(), subjects, ending)?;
    outputs.check(std::slice::from_ref(&target))?;
    let prepared = by.prepare(cx)?;
    let mut signed = prepared.sign(
        &[statement],
        |signer, statement| signer.sign_statement(statement),
        |check, _, bundle| check.of_statement(&subjects.digests(), bundle),
    )?;
    let (bundle, by) = signed.pop().expect("one statement was signed");
    outputs.write(&target, &bundle)?;
    cx.ui.note(format!("signed {}: {}", by.text(), target.display()));
    if cx.ui.json {
        let names: Vec<String> = subjects.digests().into_iter().map(|(name, _)| name).collect();
        let bundle = target.to_string_lossy();
        let one = json!({ "subjects": names, "bundle": bundle, "signer": by.json() });
        print_json("attested", &[one])?;
    }
    Ok(Exit::Ok)
}

/// Where the statement goes, if it is not said: beside its subject, or beside all of them.
fn target(
    output: Option<&OsString>,
    subjects: &Subjects,
    ending: &str,
) -> Result<PathBuf, Failure> {
    match output {
        Some(output) => Ok(PathBuf::from(output)),
        None => subjects.place(ending).ok_or_else(|| {
            Failure::usage(
                "the subjects are not files of one folder",
                "say with `--output` where the statement goes",
            )
        }),
    }
}
