//! `dsops get`: one secret on stdout, and only there.

use std::io::{self, IsTerminal};

use dsops_resolver::{Plan, PlannedSource};
use dsops_secure_mem::SecretBytes;
use serde_json::json;

use crate::cached;
use crate::context::Context;
use crate::embedded;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

const EXAMPLES: &str = r#"Examples:
  dsops get DATABASE_URL
  psql "$(dsops get DATABASE_URL --env prod)""#;

// What `dsops get` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The variable's name
    #[arg(required_unless_present = "var")]
    pub name: Option<String>,
    /// The same, as the Go version spells it
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    pub var: Option<String>,
    #[command(flatten)]
    pub cache: cached::Flags,
}

/// Runs the command: the exact bytes when piped, with a line break behind them on a terminal.
///
/// # Errors
/// The variable is not defined, or its value cannot be had.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let name = args.name.as_ref().or(args.var.as_ref()).map(String::as_str).unwrap_or_default();
    let config = cx.load()?;
    let plan = only(cx.plan(&config)?, name)?;
    let resolved = cx.resolve(&config, &plan, args.cache)?;
    let Some(value) = resolved.get(name) else {
        return Err(Failure::new(
            Exit::Store,
            Report::error(format!("`{name}` is optional, and its store has no value for it")),
        ));
    };
    let on_terminal = io::stdout().is_terminal();
    if on_terminal {
        cx.ui.report(
            &Report::warning(format!("`{name}` is shown on this terminal, which may keep it"))
                .help("pipe it to where it is needed, or use `dsops exec`"),
        );
    }
    if cx.ui.json {
        return print_json(&plan, name, value);
    }
    ui::print_secret(&value.expose())?;
    if on_terminal {
        ui::print(b"\n")?;
    }
    Ok(Exit::Ok)
}

/// The keys of the first dsops, and `version`. The value is escaped in protected memory.
fn print_json(plan: &Plan, name: &str, value: &SecretBytes) -> Result<Exit, Failure> {
    let mut options = dsops_formats::Options::default();
    options.flat = true;
    let rendered =
        dsops_formats::render(dsops_formats::Format::Json, &[("value", value)], &options).map_err(
            |errors| {
                let report =
                    Report::error(format!("the value of `{name}` cannot be written as JSON"));
                Failure::new(Exit::Store, report.because(&errors).help("leave `--json` out"))
            },
        )?;
    let mut public = json!({
        "version": JSON_VERSION, "variable": name, "environment": plan.environment,
    });
    match plan.variables.first().map(|variable| &variable.source) {
        Some(PlannedSource::Item { reference, item }) => {
            public["provider"] = reference.store.as_str().into();
            public["key"] = item.key.as_str().into();
        }
        _ => public["source"] = "literal".into(),
    }
    // `{"a":1` + `,` + `"value": "…"}`: two objects become one without a copy of the value.
    let public = public.to_string();
    ui::print(public.trim_end_matches('}').as_bytes())?;
    ui::print(b",")?;
    ui::print_secret(rendered.expose().strip_prefix(b"{").unwrap_or_default())?;
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
