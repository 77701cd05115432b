//! `dsops edit`: the embedded store in the user's own editor, as plaintext in memory only.

use std::io::{self, IsTerminal};
use std::time::SystemTime;

use dsops_resolver::OpenContext;
use dsops_stores::sops::{self, Changes, OpenDocument};

use crate::cached::Kept;
use crate::context::Context;
use crate::editor::{Allowed, Session};
use crate::embedded::{self, shown, store_failure};
use crate::exit::Exit;
use crate::prompt;
use crate::report::{Failure, Report};
use crate::ui;

/// The largest text taken back from the editor.
const LIMIT_BYTES: usize = 8 << 20;

const EXAMPLES: &str = "\
Examples:
  dsops edit
  dsops edit --store team
  EDITOR='vim -u NONE' dsops edit

The plaintext lies in a private folder in memory and is wiped when the editor ends. The store is
locked meanwhile. Values that were not touched keep their ciphertext.";

// What `dsops edit` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The store (default: the only one of type `sops`)
    #[arg(long, value_name = "NAME")]
    pub store: Option<String>,
    /// Use an editor that may leave traces of the plaintext on disk
    #[arg(long)]
    pub allow_traces: bool,
    /// Put the plaintext on a disk where there is no file system in memory
    #[arg(long)]
    pub allow_disk: bool,
}

/// Runs the command.
///
/// # Errors
/// The store cannot be opened, the editor may leave traces or failed, or what was saved is no
/// document. Nothing is changed then.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let config = cx.load()?;
    let settings = embedded::choose(&config, args.store.as_deref())?;
    let open = OpenContext::new(config.base_dir(), &cx.environment);
    let store = sops::locate(settings, &open).map_err(Failure::from_store)?;
    let allowed = Allowed { any_editor: args.allow_traces, disk: args.allow_disk };
    let name = store.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let kept = Kept::of(cx, &config, settings);
    let mut failure = None;
    let outcome = store.change(|document| match edit(cx, document, &name, allowed) {
        Ok(changes) => Ok(changes),
        Err(error) => {
            failure = Some(error);
            // Nothing has been changed: what is written back is what was there.
            Ok(Changes::default())
        }
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    let changes = outcome.map_err(|error| store_failure(&error))?;
    if let Some(kept) = kept {
        kept.forget(cx.ui, changes.changed.iter().chain(&changes.removed));
    }
    cx.ui.note(summary(&changes, &shown(&store.path).display().to_string()));
    Ok(Exit::Ok)
}

/// What reading a document of usual size takes, and less than what goes to a mapping of its own.
const HEADROOM_BYTES: usize = 100 << 10;

/// Edits until what was saved is a document, or the user gives up.
fn edit(
    cx: &Context,
    document: &mut OpenDocument,
    name: &str,
    allowed: Allowed,
) -> Result<Changes, Failure> {
    // A thread's first map asks the kernel for random keys; not while plaintext is being read.
    let _made = std::hash::RandomState::new();
    let text = document.plaintext().map_err(|error| store_failure(&error))?;
    let session = Session::begin(cx, name, &text, allowed)?;
    drop(text);
    loop {
        let edited = session.edit(cx, LIMIT_BYTES)?;
        // Room on the heap, so that the system is not asked for it while it holds plaintext.
        drop(std::hint::black_box(Vec::<u8>::with_capacity(HEADROOM_BYTES)));
        match document.apply_plaintext(&edited, SystemTime::now()) {
            Ok(changes) => return Ok(changes),
            Err(error) => {
                let failure = store_failure(&error);
                if cx.non_interactive || !io::stdin().is_terminal() {
                    return Err(failure);
                }
                failure.reports.iter().for_each(|report| cx.ui.report(report));
                if !prompt::yes("Edit it again?")? {
                    let report = Report::error("nothing was stored");
                    return Err(Failure::new(Exit::Store, report));
                }
            }
        }
    }
}

/// What changed, by name.
fn summary(changes: &Changes, file: &str) -> String {
    let parts: Vec<String> =
        [("added", &changes.added), ("changed", &changes.changed), ("removed", &changes.removed)]
            .into_iter()
            .filter(|(_, keys)| !keys.is_empty())
            .map(|(word, keys)| {
                let keys: Vec<String> = keys.iter().map(|key| ui::one_line(key)).collect();
                format!("{word} {}", keys.join(", "))
            })
            .collect();
    match (parts.is_empty(), changes.text) {
        (false, _) => format!("{file}: {}", parts.join("; ")),
        (true, true) => format!("{file}: only comments or layout changed"),
        (true, false) => format!("{file}: nothing changed"),
    }
}
