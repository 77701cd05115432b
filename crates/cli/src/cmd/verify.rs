//! `dsops verify`: is this what its publisher signed? One verdict with reasons for each artifact.

mod digest;
mod json;
mod outcome;
mod sarif;
#[cfg(test)]
mod schema;
mod text;

use clap::Subcommand;

use self::outcome::Outcome;
use self::text::Detail;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report as Problem};
use crate::ui;

/// What `dsops verify` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

/// In which form the verdict is printed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Output {
    /// Print the verdict as SARIF 2.1.0
    #[arg(long, conflicts_with = "json")]
    pub sarif: bool,
}

/// What there is besides verifying artifacts.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Compare a file with a SHA-256 from somewhere you trust
    Sha256(digest::Args),
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

/// Runs the command.
///
/// # Errors
/// What is asked for makes no sense. What the checks find is in the exit code.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    match &args.action {
        Action::Sha256(own) => digest::run(cx, own, own.output.format(cx)),
    }
}

/// Prints the outcomes, and tells the one exit code.
///
/// # Errors
/// Stdout cannot be written.
pub fn show(cx: &Context, outcomes: &[Outcome], format: Format) -> Result<Exit, Failure> {
    let text = match format {
        Format::Json => format!("{:#}\n", json::render(outcomes)),
        Format::Sarif => format!("{:#}\n", sarif::render(outcomes, &meaning)),
        Format::Text => {
            let detail = match (cx.ui.quiet, cx.ui.verbose) {
                (true, _) => Detail::Quiet,
                (false, true) => Detail::Full,
                (false, false) => Detail::Normal,
            };
            text::render(outcomes, detail, cx.ui.paint_data())
        }
    };
    ui::print(text.as_bytes())?;
    if format == Format::Text {
        for problem in outcomes.iter().filter_map(problem) {
            cx.ui.report(problem);
        }
    }
    Ok(outcome::exit(outcomes))
}

fn problem(outcome: &Outcome) -> Option<&Problem> {
    match outcome {
        Outcome::Unreadable { problem, .. } => Some(problem),
        Outcome::Judged(_) => None,
    }
}

/// What a code of a check stands for, in one sentence.
fn meaning(_code: &str) -> Option<&'static str> {
    None
}
