//! `dsops sbom convert`: a document in another format, and what that has no place for.

use std::ffi::OsString;

use clap::ValueHint;
use dsops_sbom::{Format, write};

use super::files;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};

const EXAMPLES: &str = "\
Examples:
  dsops sbom convert app.cdx.json --format spdx
  dsops sbom convert app.spdx.json --format cyclonedx@1.7 --output app.cdx.json

What the other format has no place for is told as warnings.";

// What `dsops sbom convert` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// An SPDX or CycloneDX document; `-` for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: OsString,
    /// spdx, or cyclonedx with @1.5, @1.6 or @1.7
    #[arg(long, value_name = "FORMAT", value_parser = files::format)]
    pub format: Format,
    /// Write it to a file (default: stdout)
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<OsString>,
    /// Fail, and write nothing, when something would be lost
    #[arg(long)]
    pub lossless: bool,
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read or is no such document; the other cannot be written.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let reading = files::document(&args.file)?;
    let written = write(&reading.document, args.format);
    let dropped = reading.dropped.iter().map(|(field, count)| {
        format!("`{field}` ({count} {})", if *count == 1 { "place" } else { "places" })
    });
    let lost: Vec<String> = dropped.chain(written.lost).collect();
    if args.lossless && !lost.is_empty() {
        let message = format!("{} would not carry: {}", args.format.name(), lost.join("; "));
        return Err(Failure::new(Exit::Found, Report::error(message)));
    }
    files::write(cx, args.output.as_ref(), &written.text)?;
    for lost in lost {
        cx.ui.report(&Report::warning(format!("not carried over: {lost}")));
    }
    Ok(Exit::Ok)
}
