//! `dsops cache`: what is kept of stores' answers, as a whole. Opens no store and shows no value.

mod manage;
mod show;

pub use show::bytes;

use std::path::PathBuf;

use clap::ValueHint;
use dsops_stores::cache::{CacheError, Places};

use crate::cached;
use crate::context::Context;
use crate::env_vars;
use crate::exit::Exit;
use crate::report::{Failure, Report};

// What `dsops cache` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

// The flags of all of them: where it is.
#[derive(Debug, clap::Args)]
pub struct At {
    /// Where entries lie (default: `dsops` in the user's folder of caches)
    #[arg(long, value_name = "DIR", env = env_vars::CACHE_DIR, hide_env_values = true, value_hint = ValueHint::DirPath)]
    pub cache_dir: Option<PathBuf>,
    /// Where the key and the ledger lie (default: `dsops` in the user's folder of state)
    #[arg(long, value_name = "DIR", env = env_vars::STATE_DIR, hide_env_values = true, value_hint = ValueHint::DirPath)]
    pub state_dir: Option<PathBuf>,
}

// What to do with it.
#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Print where it is
    #[command(after_help = "Examples:\n  dsops cache path\n  dsops cache path --json")]
    Path(At),
    /// Say how much is in it
    #[command(after_help = "Examples:\n  dsops cache stats\n  dsops cache stats --json")]
    Stats(At),
    /// Verify every entry, to the last byte, and change nothing: exits with 1 when something is wrong
    #[command(after_help = "Examples:\n  dsops cache verify\n  dsops cache verify --json")]
    Verify(At),
    /// Remove what has expired, what crashes left and what cannot be trusted
    #[command(after_help = "Examples:\n  dsops cache clean")]
    Clean(At),
    /// Start anew with another key: what was kept is gone
    #[command(after_help = manage::REKEY_EXAMPLES)]
    Rekey(manage::RekeyArgs),
    /// Take the cache away, with its key
    #[command(after_help = manage::DESTROY_EXAMPLES)]
    Destroy(manage::DestroyArgs),
}

/// Runs the command.
///
/// # Errors
/// There is no place for a cache, it cannot be used, or a person has to answer first.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Path(at) => show::path(cx, &places(cx, at)?),
        Command::Stats(at) => show::stats(cx, &places(cx, at)?),
        Command::Verify(at) => show::verify(cx, &places(cx, at)?),
        Command::Clean(at) => manage::clean(cx, &places(cx, at)?),
        Command::Rekey(args) => manage::rekey(cx, &places(cx, &args.at)?, args),
        Command::Destroy(args) => manage::destroy(cx, &places(cx, &args.at)?, args),
    }
}

/// Where it is, by the flags or as for all other commands.
fn places(cx: &Context, at: &At) -> Result<Places, Failure> {
    let usual = cached::places(&cx.environment);
    let given = |dir: &Option<PathBuf>| {
        let dir = dir.as_ref().filter(|dir| !dir.as_os_str().is_empty())?;
        Some(cached::part_of(dir))
    };
    let cache_dir = given(&at.cache_dir).or_else(|| Some(usual.clone()?.cache_dir));
    let state_dir = given(&at.state_dir).or_else(|| Some(usual?.state_dir));
    match (cache_dir, state_dir) {
        (Some(cache_dir), Some(state_dir)) => Ok(Places { cache_dir, state_dir }),
        _ => Err(Failure::new(
            Exit::Config,
            Report::error("there is no place for a cache")
                .help("set HOME, or give `--cache-dir` and `--state-dir`"),
        )),
    }
}

/// A cache that cannot be used.
fn failed(error: &CacheError) -> Failure {
    let mut report = Report::from_error(error);
    report.help = error.help().map(str::to_owned);
    Failure::new(Exit::Store, report)
}
