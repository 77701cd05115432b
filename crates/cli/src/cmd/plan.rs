//! `dsops plan`: what would be fetched from where. Opens no store unless asked to, and never
//! touches a secret.

use dsops_resolver::{
    CheckReport, CheckedItem, ItemState, Origin, Plan, PlannedSource, PlannedVariable,
};
use serde_json::{Value, json};

use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::selection::Selected;
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

const EXAMPLES: &str = "\
Examples:
  dsops plan
  dsops plan --env prod --json
  dsops plan --check --detailed-exitcode
  dsops plan --check --offline";

// What `dsops plan` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub selected: Selected,
    /// Ask the stores whether the items are there, without fetching a value: exits with 1 when one
    /// that is required is missing, with 7 when a store cannot say
    #[arg(long)]
    pub check: bool,
    /// With `--check`: exit with 1 also when an optional item is missing or a default is taken
    #[arg(long, requires = "check")]
    pub detailed_exitcode: bool,
    /// With `--check`: ask the cache and no store
    #[arg(long, requires = "check")]
    pub offline: bool,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, or a store fails when it is asked.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let config = cx.load()?;
    let plan = cx.plan_selected(&config, &args.selected)?;
    let report = args.check.then(|| cx.check(&config, &plan, args.offline)).transpose()?;
    let report = report.as_ref();
    let text = if cx.ui.json {
        format!("{:#}\n", as_json(&plan, report))
    } else {
        as_table(&plan, report, cx.ui.verbose)
    };
    ui::print(text.as_bytes())?;
    let Some(report) = report else { return Ok(Exit::Ok) };
    let failed: Vec<Report> = report
        .items
        .iter()
        .filter_map(|item| match &item.state {
            ItemState::Failed(error) => Some((item, error)),
            _ => None,
        })
        .map(|(item, error)| {
            let mut report = Report::from(error.clone());
            report.message = format!("{}: {}", item.variables.join(", "), report.message);
            report.place = plan
                .variables
                .iter()
                .find(|variable| item.variables.contains(&variable.name))
                .map(|variable| variable.place.clone());
            report
        })
        .collect();
    if failed.is_empty() {
        Ok(outcome(report, args.detailed_exitcode))
    } else {
        Err(Failure::many(Exit::Store, failed))
    }
}

/// What a check comes to, when no store failed. Missing weighs more than unknown.
fn outcome(report: &CheckReport, detailed: bool) -> Exit {
    let has = |wanted: fn(&CheckedItem, bool) -> bool| {
        report.items.iter().any(|item| wanted(item, detailed))
    };
    if has(|item, detailed| {
        matches!(item.state, ItemState::Missing(_)) && (item.required || detailed)
    }) {
        Exit::Found
    } else if has(|item, _| matches!(item.state, ItemState::NotCheckable)) {
        Exit::Undecided
    } else {
        Exit::Ok
    }
}

/// What a store says of a variable's item, in a word.
fn state(report: &CheckReport, variable: &str) -> &'static str {
    match report.of(variable).map(|item| &item.state) {
        None => "in the configuration",
        Some(ItemState::Exists(_)) => "there",
        Some(ItemState::Missing(_)) => "missing",
        Some(ItemState::NotCheckable) => "cannot be asked",
        Some(_) => "failed",
    }
}

/// What happens when the variable's item is missing.
pub fn needed(variable: &PlannedVariable) -> &'static str {
    match (&variable.default, variable.optional) {
        (Some(_), _) => "default",
        (None, true) => "optional",
        (None, false) => "required",
    }
}

/// A title, and what stands below it for a variable.
type Column<'a> = (&'static str, Box<dyn Fn(&PlannedVariable) -> String + 'a>);

fn as_table(plan: &Plan, report: Option<&CheckReport>, verbose: bool) -> String {
    let transformed = plan.variables.iter().any(|variable| !variable.transforms.is_empty());
    let overriding = plan.variables.iter().any(|variable| !variable.overrides.is_empty());
    let mut columns: Vec<Column<'_>> = vec![
        ("VARIABLE", Box::new(|variable| ui::one_line(&variable.name))),
        ("SOURCE", Box::new(|variable| ui::one_line(&variable.source_text()))),
        ("NEEDED", Box::new(|variable| needed(variable).to_owned())),
    ];
    if transformed {
        columns.push((
            "TRANSFORM",
            Box::new(|variable| ui::one_line(&transforms(variable).join(", "))),
        ));
    }
    if overriding {
        columns.push(("WINS OVER", Box::new(|variable| overrides(variable).join(", "))));
    }
    if verbose {
        columns.push(("CALL", Box::new(|variable| call(plan, variable).unwrap_or_default())));
    }
    if let Some(report) = report {
        columns.push(("STATE", Box::new(|variable| state(report, &variable.name).to_owned())));
    }
    let mut rows = vec![columns.iter().map(|(title, _)| (*title).to_owned()).collect()];
    rows.extend(
        plan.variables.iter().map(|variable| {
            columns.iter().map(|(_, cell)| cell(variable)).collect::<Vec<String>>()
        }),
    );
    let items = plan.stores.iter().map(|store| store.items.len()).sum();
    let calls = plan.stores.iter().map(|store| store.batches().len()).sum();
    format!(
        "{}{}, {}, {}, {}\n",
        ui::table(&rows),
        ui::plural(plan.variables.len(), "variable"),
        ui::plural(items, "item"),
        ui::plural(plan.stores.len(), "store"),
        ui::plural(calls, "call"),
    )
}

/// What is done to the value, in order.
fn transforms(variable: &PlannedVariable) -> Vec<String> {
    variable.transforms.iter().map(ToString::to_string).collect()
}

/// The definitions it wins over, as `environment (file:line:column)`.
fn overrides(variable: &PlannedVariable) -> Vec<String> {
    let text = |origin: &Origin| format!("{} ({})", origin.environment, origin.place);
    variable.overrides.iter().map(text).collect()
}

/// The call of its store that a variable's item is part of, as `vault 2`.
fn call(plan: &Plan, variable: &PlannedVariable) -> Option<String> {
    let (store, batch) = plan.batch_of(variable)?;
    Some(format!("{} {}", store.settings.name(), batch + 1))
}

fn as_json(plan: &Plan, report: Option<&CheckReport>) -> Value {
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
                "transforms": transforms(variable),
                "delivery": "environment variable",
                "environment": &*variable.environment,
                "overrides": overrides(variable),
                "call": plan.batch_of(variable).map(|(_, batch)| batch + 1),
                "scopes": plan.scopes_of(&variable.name),
                "state": report.map(|report| state(report, &variable.name)),
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
                "calls": store.batches().len(),
            })
        })
        .collect();
    json!({ "version": JSON_VERSION, "environment": plan.environment, "variables": variables, "stores": stores })
}
