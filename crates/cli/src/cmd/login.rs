//! `dsops login`: what a store needs to be used, and what of it is there. Makes nothing.

use dsops_resolver::{Config, OpenContext, StoreFactory as _, StoreSettings};
use dsops_stores::Registry;
use dsops_stores::sops::{self, Keyring};

use serde_json::json;

use crate::context::Context;
use crate::embedded::{shown, store_failure};
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::store_types::{self, Login};
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

const EXAMPLES: &str = "\
Examples:
  dsops login
  dsops login secrets";

// What `dsops login` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A store of the configuration, or a type; without one, every store of the configuration
    pub store: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// There is no such store or type, or what it needs is not there.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let config = match cx.config_path() {
        Ok(_) => Some(cx.load()?),
        Err(failure) if args.store.is_none() => return Err(failure),
        Err(_) => None,
    };
    let stores =
        || config.iter().flat_map(|config| config.stores().map(move |store| (config, store)));
    let Some(wanted) = &args.store else {
        let mut failure: Option<Failure> = None;
        for (config, settings) in stores() {
            if let Err(found) = of_store(cx, config, settings) {
                match &mut failure {
                    Some(failure) => failure.reports.extend(found.reports),
                    None => failure = Some(found),
                }
            }
        }
        return failure.map_or(Ok(Exit::Ok), Err);
    };
    if let Some((config, settings)) = stores().find(|(_, settings)| settings.name() == wanted) {
        return of_store(cx, config, settings);
    }
    let shown = ui::one_line(wanted);
    if let Some(known) = store_types::built_in(wanted) {
        return match known.login {
            Login::None => say(cx, &format!("stores of type `{shown}` need no login\n")),
            Login::AgeIdentity => identities(cx),
        };
    }
    if let Some(known) = store_types::elsewhere(wanted) {
        return Err(Failure::new(
            Exit::Config,
            Report::error(format!(
                "`{shown}` is a store of the first dsops; the type `{}` is not built into this one",
                known.names[0]
            ))
            .help(format!(
                "keep its values in the embedded store (`dsops set`); one signs in to it by: {}",
                known.sign_in
            )),
        ));
    }
    let names: Vec<&str> = stores().map(|(_, settings)| settings.name()).collect();
    Err(Failure::new(
        Exit::Config,
        Report::error(format!("there is no store and no type `{shown}`")).help(
            store_types::likely(wanted, names).map_or_else(
                || "`dsops providers` lists them".to_owned(),
                |likely| format!("did you mean `{likely}`?"),
            ),
        ),
    ))
}

/// A store of the configuration.
fn of_store(cx: &Context, config: &Config, settings: &StoreSettings) -> Result<Exit, Failure> {
    let name = ui::one_line(settings.name());
    match store_types::built_in(settings.store_type()).map(|known| known.login) {
        Some(Login::None) => {
            say(cx, &format!("{name}: stores of type `{}` need no login\n", settings.store_type()))
        }
        Some(Login::AgeIdentity) => {
            let problems = Registry::new().validate(settings);
            if !problems.is_empty() {
                return Err(Failure::many(Exit::Config, problems));
            }
            let open = OpenContext::new(config.base_dir(), &cx.environment);
            let store = sops::locate(settings, &open).map_err(Failure::from_store)?;
            let opened = store.open().map_err(|error| store_failure(&error))?;
            let recipients: Vec<&str> = opened.recipients().collect();
            let fits: Vec<String> = store
                .keyring
                .identities()
                .iter()
                .map(|identity| identity.recipient().to_string())
                .filter(|recipient| recipients.contains(&recipient.as_str()))
                .collect();
            say(
                cx,
                &format!(
                    "{name}: {} opens with the identity of {}\n",
                    shown(&store.path).display(),
                    fits.join(", ")
                ),
            )
        }
        // What is wrong with the type is the plan's to say.
        None => Err(Failure::new(
            Exit::Config,
            Report::error(format!(
                "{name}: the store type `{}` is not known",
                ui::one_line(settings.store_type())
            ))
            .help("`dsops providers` lists the types"),
        )),
    }
}

/// The identities there are, for no file in particular.
fn identities(cx: &Context) -> Result<Exit, Failure> {
    let keyring = Keyring::find(&cx.environment).map_err(Failure::from_store)?;
    if keyring.identities().is_empty() && !keyring.has_locked() && !keyring.has_ssh_keys() {
        return Err(Failure::new(
            Exit::Store,
            Report::error("there is no age identity")
                .because_text(format!("looked in: {keyring}"))
                .help("`dsops init` makes one, and so does `age-keygen`; to read an existing file, send your recipient (`age1…`) to somebody who can open it"),
        ));
    }
    say(cx, &format!("{}\n", keyring.looked().join("\n")))
}

fn say(cx: &Context, text: &str) -> Result<Exit, Failure> {
    if cx.ui.json {
        let told: Vec<&str> = text.lines().collect();
        ui::print(format!("{}\n", json!({ "version": JSON_VERSION, "found": told })).as_bytes())?;
    } else {
        ui::print(text.as_bytes())?;
    }
    Ok(Exit::Ok)
}
