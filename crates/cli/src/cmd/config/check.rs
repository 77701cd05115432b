//! `dsops config check`: all that is wrong with a configuration, in every environment.

use std::path::Path;

use dsops_resolver::{Config, Diagnostic, Severity, plan};
use dsops_stores::Registry;
use serde_json::{Value, json};

use super::Which;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

pub const EXAMPLES: &str = "\
Examples:
  dsops config check
  dsops config check --env prod
  dsops config check other/dsops.yaml --json

Without --env every environment is checked. `${VAR}` is put in, so a variable that is not set is a
problem of the environments that need it. What stores say is asked by `dsops plan --check`.";

// `dsops config check`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub which: Which,
}

/// What was found, in the order of the text.
#[derive(Debug, Default)]
struct Found {
    /// The environments that were looked at, and how many variables each has.
    environments: Vec<(String, usize)>,
    stores: usize,
    problems: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

/// Runs the command.
///
/// # Errors
/// There is no configuration, or all that is wrong with it.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let path = args.which.path(cx)?;
    let found = match cx.parse_config(&path) {
        Ok(config) => look(cx, &config)?,
        Err(errors) => Found { problems: errors.into_iter().collect(), ..Found::default() },
    };
    if cx.ui.json {
        ui::print(format!("{:#}\n", as_json(&path, &found)).as_bytes())?;
        return Ok(if found.problems.is_empty() { Exit::Ok } else { Exit::Config });
    }
    for warning in &found.warnings {
        cx.ui.report(&warning.clone().into());
    }
    if !found.problems.is_empty() {
        return Err(Failure::many(Exit::Config, found.problems));
    }
    ui::print(summary(&path, &found).as_bytes())?;
    Ok(Exit::Ok)
}

/// Plans the environment that was asked for, or all of them.
fn look(cx: &Context, config: &Config) -> Result<Found, Failure> {
    let registry = Registry::new();
    let names = match cx.requested_environment() {
        Some(_) => vec![cx.environment_of(config)?],
        None => config.environments().collect(),
    };
    let mut found = Found { stores: config.stores().len(), ..Found::default() };
    for name in names {
        found.environments.push((name.to_owned(), config.variables(name).count()));
        match plan(config, name, &registry) {
            Ok(_) => {}
            Err(errors) => found.problems.extend(errors),
        }
    }
    found.warnings.extend(config.warnings().iter().cloned());
    found.warnings.extend(config.findings());
    found.warnings.extend(config.store_warnings(&registry));
    // What is wrong with a store that no environment uses stops nothing.
    for mut problem in config.store_problems(&registry) {
        if !found.problems.contains(&problem) {
            problem.severity = Severity::Warning;
            found.warnings.push(problem);
        }
    }
    in_order(&mut found.problems);
    in_order(&mut found.warnings);
    Ok(found)
}

/// In the order of the text, each once: environments share stores and variables.
fn in_order(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by_cached_key(|d| {
        let place = d.place.as_ref().map(|at| (at.file.to_string(), at.line, at.column));
        (place, d.code, d.message.clone())
    });
    diagnostics.dedup();
}

fn summary(path: &Path, found: &Found) -> String {
    let names: Vec<String> =
        found.environments.iter().map(|(name, _)| ui::one_line(name)).collect();
    let variables = found.environments.iter().map(|(_, count)| count).sum();
    format!(
        "{}: no problem in {} ({}), {}, {}\n",
        path.display(),
        ui::plural(names.len(), "environment"),
        names.join(", "),
        ui::plural(variables, "variable"),
        ui::plural(found.stores, "store"),
    )
    .replace(" ()", "")
}

fn as_json(path: &Path, found: &Found) -> Value {
    let all = |diagnostics: &[Diagnostic]| -> Vec<Value> {
        diagnostics.iter().map(|d| ui::as_json(&Report::from(d.clone()), None)).collect()
    };
    let environments: Vec<Value> = found
        .environments
        .iter()
        .map(|(name, variables)| json!({ "name": name, "variables": variables }))
        .collect();
    json!({
        "version": JSON_VERSION,
        "file": path.display().to_string(),
        "environments": environments,
        "stores": found.stores,
        "problems": all(&found.problems),
        "warnings": all(&found.warnings),
    })
}
