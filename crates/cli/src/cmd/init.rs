//! `dsops init`: a configuration, an encrypted store, and an identity if there is none yet.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use dsops_resolver::FILE_NAME;
use dsops_stores::age::{Identity, Recipient};
use dsops_stores::file;
use dsops_stores::sops::{self, Keyring};

use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::ui;

/// The encrypted file beside the configuration.
const STORE_FILE: &str = "secrets.sops.yaml";
/// The environment unless one is named.
const ENVIRONMENT: &str = "dev";

const EXAMPLES: &str = "\
Examples:
  dsops init
  dsops init --env prod --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

/// What `dsops init` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Encrypt for this age recipient too (repeatable)
    #[arg(long = "recipient", value_name = "AGE1…")]
    pub recipients: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// One of the files is there already, or cannot be written. Nothing is overwritten, ever.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let config_path = cx.new_config_path();
    let store_path = config_path.parent().unwrap_or(Path::new("")).join(STORE_FILE);
    refuse_existing(&[&config_path, &store_path])?;
    let environment = cx.requested_environment().unwrap_or(ENVIRONMENT);
    let config_text = config_text(environment)?;
    let mut recipients = extra_recipients(&args.recipients)?;
    let own = own_recipient(cx)?;
    if !recipients.contains(&own) {
        recipients.insert(0, own);
    }
    sops::create(&store_path, &recipients).map_err(|error| {
        let help = error.help();
        Failure::new(Exit::Store, Report { help, ..Report::from_error(&error) })
    })?;
    if let Err(failure) = publish(&config_path, config_text.as_bytes(), 0o644) {
        // The store is empty and a moment old: without its configuration it is only in the way.
        let _ = std::fs::remove_file(&store_path);
        return Err(failure);
    }
    cx.ui.note(format!("made {} (environment `{environment}`)", config_path.display()));
    let names: Vec<String> = recipients.iter().map(ToString::to_string).collect();
    cx.ui.note(format!(
        "made {}, encrypted for {}: {}",
        store_path.display(),
        ui::plural(names.len(), "recipient"),
        names.join(", ")
    ));
    cx.ui.note("next: dsops set NAME, then dsops exec -- COMMAND");
    Ok(Exit::Ok)
}

fn refuse_existing(paths: &[&PathBuf]) -> Result<(), Failure> {
    let reports: Vec<Report> = paths
        .iter()
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| {
            Report::error(format!("{} is already there; nothing was changed", path.display()))
        })
        .collect();
    if reports.is_empty() { Ok(()) } else { Err(Failure::many(Exit::Config, reports)) }
}

/// The configuration; the environment's name is checked by reading the result.
fn config_text(environment: &str) -> Result<String, Failure> {
    let text = format!(
        "# Which program gets which secret from where. No value is in here: it is safe to commit.\n\
         version: 1\n\
         \n\
         secretStores:\n\
         \x20 secrets:\n\
         \x20   type: {}\n\
         \x20   path: {STORE_FILE}\n\
         \n\
         envs:\n\
         \x20 {environment}: {{}}\n",
        sops::TYPE
    );
    match dsops_resolver::Config::parse(FILE_NAME, &text) {
        Ok(config) if config.only_environment() == Some(environment) => Ok(text),
        _ => Err(Failure::usage(
            format!("`{}` cannot be the name of an environment", ui::one_line(environment)),
            "use letters, digits, `-` and `_`",
        )),
    }
}

fn extra_recipients(texts: &[String]) -> Result<Vec<Recipient>, Failure> {
    let mut recipients = Vec::new();
    let mut reports = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match Recipient::from_str(text) {
            Ok(recipient) if recipients.contains(&recipient) => {}
            Ok(recipient) => recipients.push(recipient),
            // The text is not repeated: it may be a secret key given by mistake.
            Err(error) => reports.push(
                Report::error(format!("`--recipient` number {} cannot be used", index + 1))
                    .because(&error),
            ),
        }
    }
    if reports.is_empty() { Ok(recipients) } else { Err(Failure::many(Exit::Usage, reports)) }
}

/// The recipient of the identity there is, or of a fresh one.
fn own_recipient(cx: &Context) -> Result<Recipient, Failure> {
    let keyring = Keyring::find(&cx.environment).map_err(Failure::from_store)?;
    let own = keyring.own_recipient(&cx.environment).map_err(Failure::from_store)?;
    if let Some(recipient) = own {
        return Ok(recipient);
    }
    // A place that is there and gives nothing is a fault to mend, not a reason for another key.
    let named = [sops::KEY_VARIABLE, sops::KEY_FILE_VARIABLE];
    let is_named = named.iter().any(|name| cx.environment.has_credential(name));
    let path = match sops::default_key_file(&cx.environment) {
        Some(path) if !is_named && path.symlink_metadata().is_err() => path,
        _ => {
            return Err(Failure::new(
                Exit::Store,
                Report::error("there is no age identity that can be used")
                    .because_text(format!("looked in: {keyring}"))
                    .help("mend one of these places, or set HOME or XDG_CONFIG_HOME for a fresh identity"),
            ));
        }
    };
    let identity = Identity::generate()
        .map_err(|error| Failure::new(Exit::Store, Report::from_error(&error)))?;
    let text = identity
        .to_text()
        .map_err(|error| Failure::new(Exit::Store, Report::from_error(&error)))?;
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    publish(&path, &text.expose(), 0o600)?;
    cx.ui.note(format!(
        "made a fresh identity in {}; keep a copy of this file in a safe place",
        path.display()
    ));
    Ok(identity.recipient().clone())
}

fn private_folder(path: &Path) -> Result<(), Failure> {
    file::private_folder(path)
        .map_err(|error| Failure::new(Exit::Store, Report::from_error(&error)))
}

fn publish(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    file::publish_new(path, content, mode)
        .map_err(|error| Failure::new(Exit::Store, Report::from_error(&error)))
}
