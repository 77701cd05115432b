//! `dsops attest`: signed statements about files, how they were built and what is in them.

mod provenance;
mod sbom;
mod subjects;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Subcommand;
use dsops_attest::{Error, Statement, Subject};
use serde_json::{Value, json};

use super::sign::print_json;
use super::signing::{By, Outputs, Where, failed, with_image};
use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;
use subjects::Subjects;

// What `dsops attest` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

// What can be said.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Action {
    /// Say how files were built, as SLSA provenance
    Provenance(Box<provenance::Args>),
    /// Say that an SBOM is that of a file
    Sbom(Box<sbom::Args>),
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

/// Makes a statement about what the words stand for, signs and verifies it; writes it, or keeps it with
/// the image that it is about.
fn publish(
    cx: &Context,
    words: &[OsString],
    by: &By,
    outputs: &Outputs,
    ending: &str,
    make: impl Fn(&[Subject]) -> Result<Statement, Error>,
) -> Result<Exit, Failure> {
    let make = |subjects: &[Subject]| make(subjects).map_err(|error| failed(&error, None));
    // What is to be written needs no registry: its digest says enough.
    if outputs.output.is_none()
        && let [word] = words
        && let Some(place) = Where::of(word)?
    {
        return with_image(cx, &place, &by.network(), |target| {
            let statement = make(&[Subject::sha256(target.name.as_str(), &target.image.sha256)])?;
            let subjects = [(target.name.clone(), target.image.sha256)];
            let (bundle, signer) = by.prepare(cx)?.sign_statement(&statement, &subjects)?;
            target.attach(&bundle)?;
            let one = json!({ "subjects": [target.shown()], "signer": signer.json() });
            tell(cx, format!("signed {}: with {}", signer.text(), target.shown()), one)
        });
    }
    let subjects = Subjects::read(words)?;
    let statement = make(&subjects.list())?;
    let target = target(outputs.output.as_ref(), &subjects, ending)?;
    outputs.check(std::slice::from_ref(&target))?;
    let (bundle, signer) = by.prepare(cx)?.sign_statement(&statement, &subjects.digests())?;
    outputs.write(&target, &bundle.to_string())?;
    let names: Vec<String> = subjects.digests().into_iter().map(|(name, _)| name).collect();
    let path = target.to_string_lossy();
    let one = json!({ "subjects": names, "bundle": path, "signer": signer.json() });
    tell(cx, format!("signed {}: {}", signer.text(), target.display()), one)
}

fn tell(cx: &Context, text: String, json: Value) -> Result<Exit, Failure> {
    cx.ui.note(text);
    if cx.ui.json {
        print_json("attested", &[json])?;
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
