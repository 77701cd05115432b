//! `dsops config migrate`: the older forms of a configuration, rewritten; everything else stays.

use std::path::Path;
use std::time::Duration;

use dsops_resolver::yaml::Text;
use dsops_resolver::{Config, LoadOptions, MAX_CONFIG_BYTES, Migration, migrate};
use dsops_stores::file;
use serde_json::{Value, json};

use super::Which;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

/// How long a change of the file waits for another one.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

pub const EXAMPLES: &str = "\
Examples:
  dsops config migrate
  dsops config migrate --write
  dsops config migrate --check other/dsops.yaml

Without a flag the new text goes to stdout, and what was changed to stderr. With --json the changes
go to stdout instead of the text. Comments and order stay, and the meaning stays the same. A file
that `include` names is rewritten when it is named here.";

// `dsops config migrate`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub which: Which,
    /// Write the file, in one step
    #[arg(long, conflicts_with = "check")]
    pub write: bool,
    /// Print and write nothing; exit with 1 if there is something to change
    #[arg(long)]
    pub check: bool,
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read or written, or is not YAML.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let path = args.which.path(cx)?;
    // From reading to writing: nobody else's change may get lost.
    let lock = args.write.then(|| file::lock(&path, LOCK_PATIENCE)).transpose();
    let _lock = lock.map_err(|error| failed(Exit::Config, &error))?;
    let old = read(&path)?;
    let migration = migrate(&path.display().to_string(), &old)
        .map_err(|errors| Failure::many(Exit::Config, errors))?;
    let is_changed = !migration.changes.is_empty();
    if is_changed && loads(&path, &old) && !loads(&path, &migration.text) {
        // Never seen; a file is too much to lose for trusting that.
        let report = Report::error(format!("{} would not load any more", path.display()))
            .help("nothing was changed; this is a bug in dsops, please tell us");
        return Err(Failure::new(Exit::Config, report));
    }
    if args.write && is_changed {
        file::replace(&path, migration.text.as_bytes())
            .map_err(|error| failed(Exit::Store, &error))?;
    }
    for kept in &migration.kept {
        cx.ui.report(&kept.clone().into());
    }
    if cx.ui.json {
        ui::print(format!("{:#}\n", as_json(&path, &migration, args)).as_bytes())?;
    } else {
        tell(cx, &path, &migration, args);
        if !args.write && !args.check {
            ui::print(migration.text.as_bytes())?;
        }
    }
    Ok(if args.check && is_changed { Exit::Found } else { Exit::Ok })
}

/// The text of the file; wiped when dropped, since it may hold literals that are secrets.
fn read(path: &Path) -> Result<Text, Failure> {
    let unreadable = || Report::error(format!("cannot read {}", path.display()));
    let bytes = file::read(path, MAX_CONFIG_BYTES as u64)
        .map_err(|error| Failure::new(Exit::Config, unreadable().because(&error)))?;
    String::from_utf8(bytes)
        .map(Text::from)
        .map_err(|error| Failure::new(Exit::Config, unreadable().because(&error.utf8_error())))
}

/// Whether the text would load in the place of the file.
fn loads(path: &Path, text: &str) -> bool {
    Config::parse_at(path, text, &LoadOptions::new()).is_ok()
}

fn tell(cx: &Context, path: &Path, migration: &Migration, args: &Args) {
    for change in &migration.changes {
        cx.ui.note(format!("{}:{}: {}", path.display(), change.line, ui::one_line(&change.what)));
    }
    let count = ui::plural(migration.changes.len(), "change");
    cx.ui.note(match (migration.changes.is_empty(), args.write) {
        (true, _) => format!("{}: nothing to change", path.display()),
        (false, true) => format!("{}: {count} written", path.display()),
        (false, false) => format!("{}: {count} to make; `--write` makes them", path.display()),
    });
}

fn as_json(path: &Path, migration: &Migration, args: &Args) -> Value {
    let changes: Vec<Value> = migration
        .changes
        .iter()
        .map(|change| json!({ "line": change.line, "what": change.what }))
        .collect();
    json!({
        "version": JSON_VERSION,
        "file": path.display().to_string(),
        "changes": changes,
        "kept": migration
            .kept
            .iter()
            .map(|kept| ui::as_json(&kept.clone().into(), None))
            .collect::<Vec<_>>(),
        "written": args.write && !migration.changes.is_empty(),
    })
}

fn failed(exit: Exit, error: &file::FileError) -> Failure {
    Failure::new(exit, Report::from_error(error))
}
