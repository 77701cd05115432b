//! `dsops providers`: the types of stores that are built in, and the stores of the configuration.

use std::fmt::Write as _;

use dsops_resolver::{Config, Diagnostic, StoreFactory, StoreSettings};
use dsops_stores::Registry;
use serde_json::{Value, json};

use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;
use crate::store_types::{BUILT_IN, StoreType};
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

const EXAMPLES: &str = "\
Examples:
  dsops providers
  dsops providers --json";

// What `dsops providers` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Runs the command. Opens no store; a project is not needed.
///
/// # Errors
/// There is a configuration and it is wrong.
pub fn run(cx: &Context, _: &Args) -> Result<Exit, Failure> {
    let registry = Registry::new();
    let config = match cx.config_path() {
        Ok(_) => Some(cx.load()?),
        Err(_) => None,
    };
    let text = if cx.ui.json {
        format!("{:#}\n", as_json(&registry, config.as_ref()))
    } else {
        as_text(&registry, config.as_ref())
    };
    ui::print(text.as_bytes())?;
    Ok(Exit::Ok)
}

/// Whether the settings of a store are sound. Whether it answers is `doctor`'s to find out.
fn problems(registry: &Registry, settings: &StoreSettings) -> Vec<Diagnostic> {
    registry.validate(settings)
}

/// The settings of a type and whether each has to be there; `None` when the type does not say.
fn settings_of(registry: &Registry, known: &StoreType) -> Option<Vec<(&'static str, bool)>> {
    let settings = registry.settings(known.name)?;
    Some(settings.iter().map(|setting| (setting.name, setting.required)).collect())
}

fn as_text(registry: &Registry, config: Option<&Config>) -> String {
    let mut rows = vec![["TYPE", "SETTINGS", "WHAT IT IS"].map(str::to_owned).to_vec()];
    rows.extend(BUILT_IN.iter().map(|known| {
        let spelled = |(name, required): (&str, bool)| {
            if required { format!("{name}*") } else { name.to_owned() }
        };
        let settings = settings_of(registry, known).map_or_else(
            || "not described".to_owned(),
            |settings| settings.into_iter().map(spelled).collect::<Vec<_>>().join(" "),
        );
        vec![known.name.to_owned(), settings, known.about.to_owned()]
    }));
    let mut text = ui::table(&rows);
    let Some(config) = config else {
        text += "there is no dsops.yaml here, so no stores\n";
        return text;
    };
    let mut rows = vec![["STORE", "TYPE", "STATUS"].map(str::to_owned).to_vec()];
    rows.extend(config.stores().map(|settings| {
        let status = match problems(registry, settings).len() {
            0 => "configured".to_owned(),
            count => format!("{}: see `dsops doctor`", ui::plural(count, "problem")),
        };
        vec![ui::one_line(settings.name()), ui::one_line(settings.store_type()), status]
    }));
    let _ = write!(text, "\n{}", ui::table(&rows));
    text
}

fn as_json(registry: &Registry, config: Option<&Config>) -> Value {
    let types: Vec<Value> = BUILT_IN
        .iter()
        .map(|known| {
            let settings = settings_of(registry, known).map(|settings| {
                let one = |(name, required)| json!({ "name": name, "required": required });
                settings.into_iter().map(one).collect::<Vec<_>>()
            });
            json!({ "type": known.name, "about": known.about, "settings": settings })
        })
        .collect();
    let stores: Vec<Value> = config
        .iter()
        .flat_map(|config| config.stores())
        .map(|settings| {
            let problems: Vec<String> =
                problems(registry, settings).into_iter().map(|problem| problem.message).collect();
            json!({
                "name": settings.name(),
                "type": settings.store_type(),
                "place": settings.place().to_string(),
                "problems": problems,
            })
        })
        .collect();
    json!({ "version": JSON_VERSION, "types": types, "stores": stores })
}
