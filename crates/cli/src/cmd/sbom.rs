//! `dsops sbom`: lists of ingredients, made, shown, compared, checked and converted.

mod files;
mod generate;

use clap::Subcommand;

use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;

/// What `dsops sbom` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

/// What there is to do with lists of ingredients.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List what is in a Rust program, by its workspace or by the program itself
    Generate(Box<generate::Args>),
}

/// Runs the command.
///
/// # Errors
/// What the one that was asked for says.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    match &args.action {
        Action::Generate(own) => generate::run(cx, own),
    }
}
