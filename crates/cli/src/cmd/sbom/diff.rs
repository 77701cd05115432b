//! `dsops sbom diff`: what is different between two documents, of whichever formats.

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::ValueHint;
use dsops_sbom::{Diff, Item, diff};
use serde_json::{Value, json};

use super::files;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

const EXAMPLES: &str = "\
Examples:
  dsops sbom diff app-1.0.0.spdx.json app-1.1.0.spdx.json
  dsops sbom diff app.spdx.json app.cdx.json --json

The exit code is 1 when they are different.";

// What `dsops sbom diff` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The first document
    #[arg(value_name = "OLD", value_hint = ValueHint::FilePath)]
    pub old: OsString,
    /// The second one
    #[arg(value_name = "NEW", value_hint = ValueHint::FilePath)]
    pub new: OsString,
}

/// Runs the command.
///
/// # Errors
/// A file cannot be read, or is no such document.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let (old, new) = (files::document(&args.old)?, files::document(&args.new)?);
    let found = diff(&old.document, &new.document);
    let text = if cx.ui.json { format!("{:#}\n", as_json(&found)) } else { as_text(&found) };
    ui::print(text.as_bytes())?;
    if found.is_empty() {
        cx.ui.note("they list the same");
        return Ok(Exit::Ok);
    }
    Ok(Exit::Found)
}

fn as_text(found: &Diff) -> String {
    let mut text = String::new();
    let mut line = |sign: char, words: &str| {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{sign} {}", ui::one_line(words));
    };
    found.removed.iter().for_each(|item| line('-', &label(item)));
    found.added.iter().for_each(|item| line('+', &label(item)));
    for change in &found.changed {
        let (from, to) = (change.from.as_deref(), change.to.as_deref());
        let (from, to) = (from.unwrap_or("nothing"), to.unwrap_or("nothing"));
        let (item, word) = (label(&change.item), change.aspect.word());
        line('~', &format!("{item}: {word} {from} -> {to}"));
    }
    text
}

fn label(item: &Item) -> String {
    match &item.version {
        Some(version) => format!("{} {version}", item.name),
        None => item.name.clone(),
    }
}

fn as_json(found: &Diff) -> Value {
    let item =
        |item: &Item| json!({ "name": item.name, "version": item.version, "purl": item.purl });
    let changed: Vec<Value> = found
        .changed
        .iter()
        .map(|change| {
            json!({
                "package": item(&change.item),
                "aspect": change.aspect.word(),
                "from": change.from,
                "to": change.to,
            })
        })
        .collect();
    json!({
        "version": JSON_VERSION,
        "same": found.is_empty(),
        "added": found.added.iter().map(item).collect::<Vec<_>>(),
        "removed": found.removed.iter().map(item).collect::<Vec<_>>(),
        "changed": changed,
    })
}
