//! `dsops list`: the variables of an environment, and which of them have a value in the embedded
//! store. Reads names only; needs no key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use dsops_resolver::{Config, PlannedSource, PlannedVariable};
use serde_json::json;

use crate::context::Context;
use crate::embedded;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

const EXAMPLES: &str = "\
Examples:
  dsops list
  dsops list --env prod --json";

// What `dsops list` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, or a file of secrets cannot be read.
pub fn run(cx: &Context, _: &Args) -> Result<Exit, Failure> {
    let config = cx.load()?;
    let plan = cx.plan(&config)?;
    let used: BTreeSet<&str> = plan.stores.iter().map(|store| store.settings.name()).collect();
    let stored = stored_keys(&config, &used)?;
    if cx.ui.json {
        let variables: Vec<_> = plan
            .variables
            .iter()
            .map(|variable| {
                json!({
                    "name": variable.name,
                    "source": variable.source_text(),
                    "environment": &*variable.environment,
                    "needed": super::plan::needed(variable),
                    "stored": is_stored(variable, &stored),
                })
            })
            .collect();
        let data = json!({ "version": JSON_VERSION, "environment": plan.environment, "variables": variables });
        ui::print(format!("{data:#}\n").as_bytes())?;
        return Ok(Exit::Ok);
    }
    let mut rows = vec![["VARIABLE", "SOURCE", "NEEDED", "STORED"].map(str::to_owned).to_vec()];
    let mut missing = 0;
    rows.extend(plan.variables.iter().map(|variable| {
        let stored = is_stored(variable, &stored);
        missing += usize::from(stored == Some(false));
        vec![
            ui::one_line(&variable.name),
            ui::one_line(&variable.source_text()),
            super::plan::needed(variable).to_owned(),
            match stored {
                Some(true) => "yes",
                Some(false) => "no",
                None => "-",
            }
            .to_owned(),
        ]
    }));
    let mut text = ui::table(&rows);
    text += &ui::plural(plan.variables.len(), "variable");
    if missing > 0 {
        let _ = write!(text, ", {missing} without a stored value");
    }
    text.push('\n');
    ui::print(text.as_bytes())?;
    Ok(Exit::Ok)
}

/// The keys of every embedded store that is used.
fn stored_keys<'a>(
    config: &'a Config,
    used: &BTreeSet<&str>,
) -> Result<BTreeMap<&'a str, BTreeSet<String>>, Failure> {
    let stores = config.stores().filter(|settings| embedded::is_embedded(settings));
    stores
        .filter(|settings| used.contains(settings.name()))
        .map(|settings| {
            let document = embedded::read(config, settings)?;
            let keys = document.keys().map_err(|error| embedded::store_failure(&error))?;
            Ok((settings.name(), keys.into_iter().collect()))
        })
        .collect()
}

/// Whether the embedded store has a value; `None` when the value comes from elsewhere.
fn is_stored(
    variable: &PlannedVariable,
    stored: &BTreeMap<&str, BTreeSet<String>>,
) -> Option<bool> {
    let PlannedSource::Item { reference, item } = &variable.source else { return None };
    let keys = stored.get(reference.store.as_str())?;
    Some(keys.contains(&item.key))
}
