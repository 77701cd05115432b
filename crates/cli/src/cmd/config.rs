//! `dsops config`: check, explain and rewrite the configuration, and its schema. Opens no store.

mod check;
mod explain;
mod migrate;

use std::path::PathBuf;

use clap::ValueHint;
use dsops_resolver::format;
use dsops_stores::Registry;

use crate::context::Context;
use crate::embedded::shown;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui;

// What `dsops config` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

// What to do with it.
#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Say everything that is wrong with the configuration, in every environment
    #[command(after_help = check::EXAMPLES)]
    Check(check::Args),
    /// Say why a variable is what it is: its source, and what it wins over
    #[command(after_help = explain::EXAMPLES)]
    Explain(explain::Args),
    /// Rewrite the older forms of a configuration, and nothing else
    #[command(after_help = migrate::EXAMPLES)]
    Migrate(migrate::Args),
    /// Print the JSON schema of dsops.yaml, for editors
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema(SchemaArgs),
}

const SCHEMA_EXAMPLES: &str = "\
Examples:
  dsops config schema
  dsops config schema > dsops.schema.json

With `# yaml-language-server: $schema=dsops.schema.json` as its first line, editors check a dsops.yaml
by that file while you type.";

// `dsops config schema`
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {}

/// Runs the command.
///
/// # Errors
/// What each of them says.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Check(args) => check::run(cx, args),
        Command::Explain(args) => explain::run(cx, args),
        Command::Migrate(args) => migrate::run(cx, args),
        Command::Schema(_) => {
            ui::print(format::schema(&Registry::new()).as_bytes())?;
            Ok(Exit::Ok)
        }
    }
}

// `[FILE]`, where a command works on one file.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// The file (default: the configuration that the other commands use)
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}

impl Which {
    /// The file, as people know it.
    fn path(&self, cx: &Context) -> Result<PathBuf, Failure> {
        match &self.file {
            Some(path) => Ok(path.clone()),
            None => Ok(shown(&cx.config_path()?)),
        }
    }
}
