//! `dsops get`: one secret on stdout, and only there.

use std::io::{self, IsTerminal};

use dsops_resolver::Plan;

use crate::context::Context;
use crate::embedded;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::ui;

const EXAMPLES: &str = r#"Examples:
  dsops get DATABASE_URL
  psql "$(dsops get DATABASE_URL --env prod)""#;

/// What `dsops get` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The variable's name
    #[arg(required_unless_present = "var")]
    pub name: Option<String>,
    /// The same, as the Go version spells it
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    pub var: Option<String>,
}

/// Runs the command: the exact bytes when piped, with a line break behind them on a terminal.
///
/// # Errors
/// The variable is not defined, or its value cannot be had.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let name = args.name.as_ref().or(args.var.as_ref()).map(String::as_str).unwrap_or_default();
    let config = cx.load()?;
    let plan = only(cx.plan(&config)?, name)?;
    let resolved = cx.resolve(&config, &plan)?;
    let Some(value) = resolved.get(name) else {
        return Err(Failure::new(
            Exit::Store,
            Report::error(format!("`{name}` is optional, and its store has no value for it")),
        ));
    };
    ui::print_secret(&value.expose())?;
    if io::stdout().is_terminal() {
        ui::print(b"\n")?;
    }
    Ok(Exit::Ok)
}

/// The plan for one variable: nothing else is fetched.
fn only(mut plan: Plan, name: &str) -> Result<Plan, Failure> {
    if !plan.variables.iter().any(|variable| variable.name == name) {
        let names = plan.variables.iter().map(|variable| variable.name.as_str());
        return Err(embedded::unknown_variable(&plan.environment, name, names));
    }
    plan.retain(|known| known == name);
    Ok(plan)
}
