//! `dsops rekey`: a new data key for the embedded store, with every value encrypted again.

use std::time::SystemTime;

use dsops_resolver::OpenContext;
use dsops_stores::sops;

use crate::cached::Kept;
use crate::context::Context;
use crate::embedded::{self, shown, store_failure};
use crate::exit::Exit;
use crate::report::Failure;

const EXAMPLES: &str = "\
Examples:
  dsops rekey
  dsops rekey --store team

Older versions in the history of the file keep the old key.";

// What `dsops rekey` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The store (default: the only one of type `sops`)
    #[arg(long, value_name = "NAME")]
    pub store: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// The store cannot be opened or written. It is then as it was.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let config = cx.load()?;
    let settings = embedded::choose(&config, args.store.as_deref())?;
    let open = OpenContext::new(config.base_dir(), &cx.environment);
    let store = sops::locate(settings, &open).map_err(Failure::from_store)?;
    let kept =
        Kept::of(cx, &config, settings).map(|kept| (kept, embedded::keys(&config, settings)));
    store
        .change(|document| document.rekey(SystemTime::now()))
        .map_err(|error| store_failure(&error))?;
    if let Some((kept, keys)) = kept {
        kept.forget(cx.ui, keys);
    }
    cx.ui.note(format!("{} has a new data key", shown(&store.path).display()));
    Ok(Exit::Ok)
}
