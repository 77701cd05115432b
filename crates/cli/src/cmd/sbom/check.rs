//! `dsops sbom check`: whether a document is whole, and whether it says what a binary and a lock file say.

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::ValueHint;
use dsops_release_verify::sbom::unread;
use dsops_release_verify::{Finding, Origin, State};
use dsops_sbom::auditable::LIMIT_BYTES as LIMIT_BINARY_BYTES;
use dsops_sbom::{LIMIT_BYTES, Problem, Reading, Severity, check, minimum_elements};
use dsops_sbom::{check_binary, check_lockfile};
use serde_json::json;

use super::{files, generate};
use crate::cmd::verify::{json as form, text};
use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::{self, Tint};

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

/// How many names a finding shows, unless all are asked for.
const SHOWN: usize = 10;

const EXAMPLES: &str = "\
Examples:
  dsops sbom check app.spdx.json
  dsops sbom check app.spdx.json --binary target/release/app --lockfile Cargo.lock --ntia

The exit code is 1 when something is not in order.
A document may be in order and untrue: `dsops verify` says who signed it, and that it is about an artifact.";

// What `dsops sbom check` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// An SPDX or CycloneDX document; `-` for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: OsString,
    /// The program it is about, built with `cargo auditable`: both must name the same crates
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub binary: Option<OsString>,
    /// The lock file: crates must be locked with the same checksums
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub lockfile: Option<OsString>,
    /// The minimum elements (NTIA, July 2021) must all be there
    #[arg(long)]
    pub ntia: bool,
}

/// Runs the command.
///
/// # Errors
/// A file cannot be read. What the checks find is in the exit code.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let bytes = files::read(&args.file, LIMIT_BYTES)?;
    let name = args.file.to_string_lossy();
    let origin = Origin::new(if args.file == *"-" { "stdin" } else { &name });
    let findings = match dsops_sbom::read(&bytes) {
        Err(error) => vec![unread(&error, &origin)],
        Ok(reading) => judge(args, &reading, cx.ui.verbose || cx.ui.json)?,
    };
    let has = |state| findings.iter().any(|finding| finding.state == state);
    let (exit, word, tint) = if has(State::Failed) {
        (Exit::Found, "not in order", Tint::Red)
    } else if has(State::Undecided) {
        (Exit::Undecided, "undecided", Tint::Yellow)
    } else {
        (Exit::Ok, "in order", Tint::Green)
    };
    let text = if cx.ui.json {
        let document = json!({
            "version": JSON_VERSION,
            "name": origin.name,
            "in_order": exit == Exit::Ok,
            "exit_code": exit as u8,
            "findings": findings.iter().map(form::finding).collect::<Vec<_>>(),
        });
        format!("{document:#}\n")
    } else {
        let paint = cx.ui.paint_data();
        let mut text = format!("{}: {}\n", paint.wrap(tint, word), ui::one_line(&origin.name));
        let detail = match (cx.ui.quiet, cx.ui.verbose) {
            (true, _) => text::Detail::Quiet,
            (false, true) => text::Detail::Full,
            (false, false) => text::Detail::Normal,
        };
        text::findings(&mut text, &findings, detail, paint);
        text
    };
    ui::print(text.as_bytes())?;
    Ok(exit)
}

fn judge(args: &Args, reading: &Reading, all: bool) -> Result<Vec<Finding>, Failure> {
    let document = &reading.document;
    let mut findings = Vec::new();
    let mut add = |problems: Vec<Problem>, code, passed: String| {
        if problems.iter().all(|problem| problem.severity == Severity::Note) {
            findings.push(Finding::passed(code, passed));
        }
        findings.extend(problems.into_iter().map(|problem| finding(problem, all)));
    };
    let message = format!(
        "a whole {} {} document of {}",
        reading.form.name(),
        reading.version,
        ui::plural(document.packages.len(), "package")
    );
    add(check(reading), "sbom/form", message);
    if let Some(path) = &args.binary {
        let bytes = files::read(path, LIMIT_BINARY_BYTES)?;
        let linked = generate::linked(path, &bytes)?;
        let sha256 = files::sha256(path)?;
        let count = ui::plural(linked.crates().len(), "crate");
        let message = format!("it lists the {count} of the binary, and no other");
        add(check_binary(document, &linked, &sha256), "sbom/binary", message);
    }
    if let Some(path) = &args.lockfile {
        let message = "what it lists is locked, with the same checksums".to_owned();
        let lockfile = generate::lockfile(path)?;
        add(check_lockfile(document, &lockfile), "sbom/lockfile", message);
    }
    let missing = minimum_elements(document);
    let code = "sbom/minimum-elements";
    findings.push(if missing.is_empty() {
        Finding::passed(code, "it has the minimum elements")
    } else {
        let state = if args.ntia { State::Failed } else { State::Note };
        let lacks = format!("it lacks minimum elements: {}", missing.join("; "));
        Finding::new(code, state, lacks)
    });
    Ok(findings)
}

fn finding(problem: Problem, all: bool) -> Finding {
    let state = match problem.severity {
        Severity::Note => State::Note,
        Severity::Warning => State::Warning,
        Severity::Error => State::Failed,
    };
    let count = problem.names.len();
    let message = match count {
        0 => problem.message,
        _ => format!("{} ({count})", problem.message),
    };
    let shown = if all { count } else { SHOWN };
    let mut names = problem.names.into_iter().take(shown).collect::<Vec<_>>().join(", ");
    if let Some(more) = count.checked_sub(shown).filter(|more| *more > 0) {
        // Writing to a `String` cannot fail.
        let _ = write!(names, " and {more} more");
    }
    let mut finding = Finding::new(problem.code, state, message);
    finding.found = Some(names).filter(|names| !names.is_empty());
    finding
}
