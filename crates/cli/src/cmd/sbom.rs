//! `dsops sbom`: SBOMs, made, shown, compared, checked and converted.

mod check;
mod convert;
mod diff;
mod files;
mod generate;
mod show;

use clap::Subcommand;

use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;

// What `dsops sbom` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

// What there is to do with SBOMs.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Action {
    /// List what is in a Rust program, by its workspace or by the program itself
    Generate(Box<generate::Args>),
    /// Show what a document lists
    Show(show::Args),
    /// Show what is different between two documents
    Diff(diff::Args),
    /// Check that a document is whole, and says what a program and a lock file say
    Check(check::Args),
    /// Write a document in another format
    Convert(convert::Args),
}

/// Runs the command.
///
/// # Errors
/// What the one that was asked for says.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    match &args.action {
        Action::Generate(own) => generate::run(cx, own),
        Action::Show(own) => show::run(cx, own),
        Action::Diff(own) => diff::run(cx, own),
        Action::Check(own) => check::run(cx, own),
        Action::Convert(own) => convert::run(cx, own),
    }
}
