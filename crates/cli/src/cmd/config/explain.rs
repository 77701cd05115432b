//! `dsops config explain`: where a variable is defined, what it wins over, and what becomes of it.

use std::fmt::Write as _;

use dsops_resolver::{Explanation, Place};
use serde_json::{Value, json};

use crate::context::Context;
use crate::embedded;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

pub const EXAMPLES: &str = "\
Examples:
  dsops config explain DATABASE_URL
  dsops config explain DATABASE_URL --env prod --json";

// `dsops config explain`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The variable
    pub name: String,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, or the environment has no such variable.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let config = cx.load()?;
    let environment = cx.environment_of(&config)?;
    let Some(explained) = config.explain(environment, &args.name) else {
        let names = config.variables(environment);
        return Err(embedded::unknown_variable(environment, &args.name, names));
    };
    let text =
        if cx.ui.json { format!("{:#}\n", as_json(&explained)) } else { as_text(&explained) };
    ui::print(text.as_bytes())?;
    Ok(Exit::Ok)
}

/// What happens when the store has no such item.
fn missing(explained: &Explanation) -> &'static str {
    match (explained.has_default, explained.optional) {
        (true, _) => "default",
        (false, true) => "optional",
        (false, false) => "required",
    }
}

fn as_text(explained: &Explanation) -> String {
    let Explanation { defined, store, .. } = explained;
    let mut rows = Vec::new();
    let mut row = |what: &str, text: String| rows.push((what.to_owned(), text));
    row(
        "source",
        explained.source.clone().unwrap_or_else(|| {
            "cannot be told; `dsops config check` says what is in the way".to_owned()
        }),
    );
    row("defined", format!("in `{}`, {}", defined.environment, defined.place));
    for origin in &explained.overrides {
        row("overrides", format!("`{}`, {}", origin.environment, origin.place));
    }
    if let Some(store) = store {
        row("store", format!("{}, type {}, {}", store.name, store.store_type, store.place));
        for place in &store.overrides {
            row("", format!("which overrides {place}"));
        }
    }
    if !explained.transforms.is_empty() {
        row("transform", list(explained.transforms.iter().map(ToString::to_string)));
    }
    row(
        "if missing",
        match missing(explained) {
            "default" => "its default is used",
            "optional" => "it is left out",
            _ => "an error",
        }
        .to_owned(),
    );
    if !explained.scopes.is_empty() {
        row("scopes", explained.scopes.join(", "));
    }
    if !explained.expanded.is_empty() {
        row("uses", list(explained.expanded.iter().map(|name| format!("${{{name}}}"))));
    }
    let mut text = format!("{} in `{}`\n", explained.variable, explained.environment);
    for (what, said) in rows {
        let _ = writeln!(text, "  {what:<10}  {}", ui::one_line(&said));
    }
    text
}

fn list(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn as_json(explained: &Explanation) -> Value {
    let place = |place: &Place| place.to_string();
    let overrides: Vec<Value> = explained
        .overrides
        .iter()
        .map(|at| json!({ "environment": &*at.environment, "place": place(&at.place) }))
        .collect();
    let store = explained.store.as_ref().map(|store| {
        json!({
            "name": store.name,
            "type": store.store_type,
            "place": place(&store.place),
            "overrides": store.overrides.iter().map(place).collect::<Vec<_>>(),
        })
    });
    json!({
        "version": JSON_VERSION,
        "variable": explained.variable,
        "environment": explained.environment,
        "source": explained.source,
        "defined": {
            "environment": &*explained.defined.environment,
            "place": place(&explained.defined.place),
        },
        "overrides": overrides,
        "store": store,
        "transforms": explained.transforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "needed": missing(explained),
        "scopes": explained.scopes,
        "uses": explained.expanded,
    })
}
