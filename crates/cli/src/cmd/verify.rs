//! `dsops verify`: is this what its publisher signed? One verdict with reasons for each artifact.

mod artifacts;
mod demands;
mod digest;
mod explain;
pub mod files;
pub mod images;
mod inputs;
pub mod json;
pub mod online;
mod outcome;
mod own;
mod policy;
mod rules;
mod sarif;
mod stored;
pub mod text;
pub mod trust;
mod waiting;

use std::ffi::OsString;

use clap::{Subcommand, ValueHint};

use dsops_release_verify::oci::Platform;

use self::demands::How;
use self::outcome::{Found, Outcome};
use self::text::{Detail, Page};
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report as Problem};
use crate::ui;

const EXAMPLES: &str = "\
Examples:
  dsops verify app.tar.gz --policy github:acme/app
  dsops verify dist --policy github:acme/app@v1.2.3 --require sbom,provenance
  dsops verify app.tar.gz --identity 'https://github.com/acme/app/.github/workflows/release.yml@refs/tags/*' --issuer https://token.actions.githubusercontent.com
  dsops verify app.tar.gz --key minisign.pub
  dsops verify dist --policy dsops-verify.yaml
  dsops verify demo-1.2.3.tgz --policy npm:demo@1.2.3 --bundle attestations.json
  dsops verify ghcr.io/acme/app:v1.2.3 --policy github:acme/app --online
  dsops verify oci:layout:v1.2.3 --policy github:acme/app --platform linux/amd64
  find dist -type f -print0 | dsops verify --policy github:acme/app --files-from - --null

Evidence that lies beside an artifact is found by its name, that of an image where cosign and GitHub
attach it. Nothing uses the network but registries and roots of trust with `--online`.
A file that is called like one of the commands is `./trust`, `./self` and so on.";

// What `dsops verify` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub action: Option<Action>,
    /// Files, folders of release files, `sha256:…`, images (a layout, HOST/NAME:TAG); `-` for
    /// standard input
    #[arg(value_name = "ARTIFACTS", value_hint = ValueHint::AnyPath)]
    pub artifacts: Vec<OsString>,
    /// Verify also what a file lists, one name a line (`-` for standard input)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files_from: Vec<OsString>,
    /// The names in the list end with a zero byte, as `find -print0` prints them
    #[arg(long, short = '0', requires = "files_from")]
    pub null: bool,
    #[command(flatten)]
    pub how: How,
    /// Of an image for several platforms the one for this, as `linux/arm64`; else all together
    #[arg(long, value_name = "PLATFORM", value_parser = images::platform)]
    pub platform: Option<Platform>,
    #[command(flatten)]
    pub network: online::Flags,
    #[command(flatten)]
    pub output: Output,
}

// In which form the verdict is printed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Output {
    /// Print the verdict as SARIF 2.1.0
    #[arg(long, conflicts_with = "json")]
    pub sarif: bool,
}

// What there is besides verifying artifacts.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Action {
    /// Verify the running dsops against the evidence of its release
    #[command(name = "self")]
    Own(own::Args),
    /// Show what a bundle says, without believing it
    Explain(explain::Args),
    /// Compare a file with a SHA-256 from somewhere you trust
    Sha256(digest::Args),
    /// Check policy files, and write them from what was verified
    Policy(policy::Args),
    /// Show, renew and write out whom dsops trusts to vouch for signers
    Trust(trust::Args),
}

/// The form of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
    Sarif,
}

impl Output {
    fn format(self, cx: &Context) -> Format {
        match (cx.ui.json, self.sarif) {
            (true, _) => Format::Json,
            (false, true) => Format::Sarif,
            (false, false) => Format::Text,
        }
    }
}

impl Args {
    /// Whether there are artifacts or flags of verifying beside a command.
    fn is_more_than_a_command(&self) -> bool {
        !self.artifacts.is_empty()
            || !self.files_from.is_empty()
            || self.output.sarif
            || self.platform.is_some()
            || self.network.is_anything_said()
            || self.how.is_anything_said()
    }
}

/// Runs the command.
///
/// # Errors
/// What is asked for makes no sense. What the checks find is in the exit code.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    match &args.action {
        None => artifacts::run(cx, args),
        Some(_) if args.is_more_than_a_command() => Err(Failure::usage(
            "this verifies artifacts, or is one of the commands of `dsops verify`, not both",
            "a file that is called like a command is `./self`, `./trust` and so on",
        )),
        Some(Action::Own(own)) => own::run(cx, own),
        Some(Action::Explain(own)) => explain::run(cx, own),
        Some(Action::Sha256(own)) => digest::run(cx, own),
        Some(Action::Policy(own)) => policy::run(cx, own),
        Some(Action::Trust(own)) => trust::run(cx, own),
    }
}

/// Prints the outcomes, and tells the one exit code.
///
/// # Errors
/// Stdout cannot be written.
pub fn show(cx: &Context, found: &Found, format: Format) -> Result<Exit, Failure> {
    let text = match format {
        Format::Json => format!("{:#}\n", json::render(found)),
        Format::Sarif => format!("{:#}\n", sarif::render(found)),
        Format::Text => {
            let detail = match (cx.ui.quiet, cx.ui.verbose) {
                (true, _) => Detail::Quiet,
                (false, true) => Detail::Full,
                (false, false) => Detail::Normal,
            };
            text::render(found, Page { detail, paint: cx.ui.paint_data(), width: ui::width() })
        }
    };
    ui::print(text.as_bytes())?;
    if format == Format::Text {
        for problem in found.outcomes.iter().filter_map(problem) {
            cx.ui.report(&problem.on_single_lines());
        }
    }
    Ok(outcome::exit(&found.outcomes))
}

fn problem(outcome: &Outcome) -> Option<&Problem> {
    match outcome {
        Outcome::Unreadable { problem, .. } => Some(problem),
        Outcome::Judged(_) => None,
    }
}
