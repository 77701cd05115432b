//! `dsops plan`: what would be fetched from where. Opens no store and touches no secret.

use dsops_resolver::{Plan, PlannedSource, PlannedVariable};
use serde_json::{Value, json};

use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

const EXAMPLES: &str = "\
Examples:
  dsops plan
  dsops plan --env prod --json";

/// What `dsops plan` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong.
pub fn run(cx: &Context, _: &Args) -> Result<Exit, Failure> {
    let config = cx.load()?;
    let plan = cx.plan(&config)?;
    let text = if cx.ui.json { format!("{:#}\n", as_json(&plan)) } else { as_table(&plan) };
    ui::print(text.as_bytes())?;
    Ok(Exit::Ok)
}

/// What happens when the variable's item is missing.
pub fn needed(variable: &PlannedVariable) -> &'static str {
    match (&variable.default, variable.optional) {
        (Some(_), _) => "default",
        (None, true) => "optional",
        (None, false) => "required",
    }
}

fn as_table(plan: &Plan) -> String {
    let mut rows = vec![vec!["VARIABLE".into(), "SOURCE".into(), "NEEDED".into()]];
    rows.extend(plan.variables.iter().map(|variable| {
        vec![
            ui::one_line(&variable.name),
            ui::one_line(&variable.source_text()),
            needed(variable).to_owned(),
        ]
    }));
    let items = plan.stores.iter().map(|store| store.items.len()).sum();
    format!(
        "{}{}, {}, {}\n",
        ui::table(&rows),
        ui::plural(plan.variables.len(), "variable"),
        ui::plural(items, "item"),
        ui::plural(plan.stores.len(), "store"),
    )
}

fn as_json(plan: &Plan) -> Value {
    let variables: Vec<Value> = plan
        .variables
        .iter()
        .map(|variable| {
            let (store, item) = match &variable.source {
                PlannedSource::Item { reference, item } => (Some(&reference.store), Some(item)),
                _ => (None, None),
            };
            json!({
                "name": variable.name,
                "source": variable.source_text(),
                "store": store,
                "key": item.map(|item| &item.key),
                "version": item.and_then(|item| item.version.as_ref()),
                "needed": needed(variable),
                "place": variable.place.to_string(),
            })
        })
        .collect();
    let stores: Vec<Value> = plan
        .stores
        .iter()
        .map(|store| {
            json!({
                "name": store.settings.name(),
                "type": store.settings.store_type(),
                "items": store.items.iter().map(|item| &item.key).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "version": JSON_VERSION, "environment": plan.environment, "variables": variables, "stores": stores })
}
