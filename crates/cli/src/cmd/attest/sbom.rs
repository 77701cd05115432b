//! `dsops attest sbom`: that an SBOM is that of a file.

use std::ffi::OsString;

use clap::ValueHint;
use dsops_attest::sbom_statement;
use dsops_release_verify::statement::LIMIT_BYTES;

use crate::cmd::signing::{By, Outputs};
use crate::cmd::verify::files;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;

/// What an SBOM may have: with it, a statement must still be one that verifiers read.
const SBOM_LIMIT_BYTES: usize = LIMIT_BYTES;
/// What the statement is called, behind the name of its subject.
const ENDING: &str = ".sbom.intoto.jsonl";

const EXAMPLES: &str = "\
Examples:
  dsops attest sbom app.tar.gz --sbom app.spdx.json --key release.key
  dsops attest sbom app.tar.gz --sbom app.cdx.json --identity-token-file token

The document, SPDX 2.x or CycloneDX in JSON, becomes a part of the statement.";

// What `dsops attest sbom` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Files, `NAME@sha256:…`, or one image
    #[arg(value_name = "SUBJECTS", value_hint = ValueHint::FilePath, required = true)]
    pub subjects: Vec<OsString>,
    /// The SBOM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub sbom: OsString,
    #[command(flatten)]
    pub by: By,
    #[command(flatten)]
    pub outputs: Outputs,
}

/// Runs the command.
///
/// # Errors
/// The document is no SBOM, or the statement cannot be signed.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let document = files::read(&args.sbom, SBOM_LIMIT_BYTES)
        .map_err(|error| Failure::new(Exit::Store, files::unreadable(&args.sbom, &error)))?;
    super::publish(cx, &args.subjects, &args.by, &args.outputs, ENDING, |subjects| {
        sbom_statement(subjects, &document)
    })
}
