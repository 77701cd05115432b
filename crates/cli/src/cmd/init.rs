//! `dsops init`: a configuration, an encrypted store, and an identity if there is none yet.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use dsops_resolver::{Environment as _, FILE_NAME, OpenContext, StoreSettings};
use dsops_secure_mem::SecretBytes;
use dsops_stores::age::{Identity, Recipient, WorkFactor};
use dsops_stores::file;
use dsops_stores::sops::{self, CreationRule, Format, Keyring, SopsFile};
use subtle::ConstantTimeEq as _;

use crate::context::Context;
use crate::embedded::{self, file_failure, shown};
use crate::exit::Exit;
use crate::prompt;
use crate::report::{Failure, Report};
use crate::ui;

/// The encrypted file beside the configuration.
const STORE_FILE: &str = "secrets.sops.yaml";
/// The environment unless one is named.
const ENVIRONMENT: &str = "dev";

const EXAMPLES: &str = "\
Examples:
  dsops init
  dsops init --passphrase --store-file secrets.sops.json
  dsops init --env prod --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p

Where a `.sops.yaml` has a rule for the file, the rule says for whom it is encrypted and how. Where there
is a dsops.yaml already, the encrypted files that it names and that are missing are made.";

// What `dsops init` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Encrypt for this age recipient too (repeatable)
    #[arg(long = "recipient", value_name = "AGE1…")]
    pub recipients: Vec<String>,
    /// The encrypted file to make, beside the configuration: .yaml, .json or .env
    #[arg(long, value_name = "FILE", default_value = STORE_FILE)]
    pub store_file: String,
    /// Protect the fresh identity by a passphrase (asked for, or `DSOPS_AGE_PASSPHRASE`)
    #[arg(long)]
    pub passphrase: bool,
}

/// Runs the command.
///
/// # Errors
/// The files are there already, or cannot be written. Nothing is overwritten, ever.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let config_path = cx.new_config_path();
    let store_path = store_path(&config_path, &args.store_file)?;
    if args.store_file == STORE_FILE && config_path.symlink_metadata().is_ok() {
        return complete(cx, args, &config_path);
    }
    refuse_existing(&[&config_path, &store_path])?;
    let environment = cx.requested_environment().unwrap_or(ENVIRONMENT);
    let config_text = config_text(environment, &args.store_file)?;
    let keyring = Keyring::find(&cx.environment).map_err(Failure::from_store)?;
    let made = make_store(cx, args, &SopsFile::new(&store_path, Arc::new(keyring)))?;
    if let Err(failure) = publish(&config_path, config_text.as_bytes(), 0o644) {
        // The store is empty and a moment old: without its configuration it is only in the way.
        let _ = std::fs::remove_file(&store_path);
        return Err(failure);
    }
    cx.ui.note(format!("made {} (environment `{environment}`)", config_path.display()));
    tell(cx, &made);
    Ok(Exit::Ok)
}

/// Makes the encrypted files that a configuration names and that are not there: one that was
/// written by hand, or came without its store.
fn complete(cx: &Context, args: &Args, config_path: &Path) -> Result<Exit, Failure> {
    let config = cx.load()?;
    if let Some(wanted) = cx.requested_environment()
        && !config.environments().any(|name| name == wanted)
    {
        return Err(Failure::usage(
            format!("{} has no environment `{}`", config_path.display(), ui::one_line(wanted)),
            "leave out `--env`, or add the environment to the file",
        ));
    }
    let stores: Vec<(&StoreSettings, SopsFile)> = config
        .stores()
        .filter(|settings| embedded::is_embedded(settings))
        .map(|settings| {
            sops::locate_without_keys(settings, config.base_dir()).map(|store| (settings, store))
        })
        .collect::<Result<_, _>>()
        .map_err(|problem| Failure::new(Exit::Config, problem.into()))?;
    if stores.is_empty() {
        let report = Report::error(format!(
            "{} is already there, and has no store of type `sops`",
            config_path.display()
        ));
        return Err(Failure::new(Exit::Config, report.help(embedded::ADD_A_STORE)));
    }
    let (there, missing): (Vec<_>, Vec<_>) =
        stores.into_iter().partition(|(_, store)| store.path.symlink_metadata().is_ok());
    if missing.is_empty() {
        let mut paths = vec![config_path.to_owned()];
        paths.extend(there.iter().map(|(_, store)| shown(&store.path)));
        refuse_existing(&paths.iter().collect::<Vec<_>>())?;
    }
    for (settings, store) in missing {
        // Another store of the same file made it just now.
        if store.path.symlink_metadata().is_ok() {
            continue;
        }
        let open = OpenContext::new(config.base_dir(), &cx.environment);
        let store = sops::locate(settings, &open).map_err(Failure::from_store)?;
        let made = make_store(cx, args, &store)?;
        tell(cx, &made);
    }
    Ok(Exit::Ok)
}

/// An encrypted file that was just made.
struct Made {
    path: PathBuf,
    rule: CreationRule,
    own: Recipient,
}

/// Makes an encrypted file, and an identity if there is none.
fn make_store(cx: &Context, args: &Args, store: &SopsFile) -> Result<Made, Failure> {
    let store_path = store.path.clone();
    let found = CreationRule::find(&store_path)
        .map_err(|error| file_failure(&error).with_exit(Exit::Config))?;
    let mut recipients = extra_recipients(&args.recipients)?;
    if let Some(place) = found.as_ref().and_then(CreationRule::place)
        && !recipients.is_empty()
    {
        return Err(Failure::usage(
            format!("the rule in {place} says for whom {} is", store_path.display()),
            "leave out `--recipient`, or add the recipient to the rule",
        ));
    }
    let own = own_recipient(cx, args.passphrase, &store.keyring)?;
    let rule = found.unwrap_or_else(|| {
        if !recipients.contains(&own) {
            recipients.insert(0, own.clone());
        }
        CreationRule::new(&recipients)
    });
    if let Some(folder) = store_path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| {
            let report = Report::error(format!("cannot make the folder {}", folder.display()));
            Failure::new(Exit::Store, report.because(&error))
        })?;
    }
    store.create(&rule).map_err(|error| file_failure(&error))?;
    Ok(Made { path: shown(&store_path), rule, own })
}

/// Says for whom it is, and what comes next.
fn tell(cx: &Context, Made { path, rule, own }: &Made) {
    let names: Vec<String> = rule.recipients().iter().map(ToString::to_string).collect();
    cx.ui.note(format!(
        "made {}, encrypted for {}: {}",
        path.display(),
        ui::plural(names.len(), "recipient"),
        names.join(", ")
    ));
    if let Some(place) = rule.place() {
        cx.ui.note(format!("as the rule in {place} says"));
        if !rule.recipients().contains(own) {
            let report = Report::warning(format!("you cannot open {}", path.display()));
            cx.ui.report(
                &report.help(format!("add {own} to the rule in {place}, and make it again")),
            );
        }
    }
    cx.ui.note("next: dsops set NAME, then dsops exec -- COMMAND");
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

/// The encrypted file, in the folder of the configuration or below it. Names of INI need a section,
/// which `set` has none for.
fn store_path(config_path: &Path, file: &str) -> Result<PathBuf, Failure> {
    let is_plain = file.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let is_below = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
    if !is_plain || !is_below || matches!(Format::of(file), Format::Binary | Format::Ini) {
        return Err(Failure::usage(
            format!("`{}` cannot be the encrypted file", ui::one_line(file)),
            "name a file beside the configuration that ends with .yaml, .json or .env",
        ));
    }
    Ok(config_path.parent().unwrap_or(Path::new("")).join(file))
}

/// The configuration; the environment's name is checked by reading the result.
fn config_text(environment: &str, store_file: &str) -> Result<String, Failure> {
    let text = format!(
        "# Which program gets which secret from where. No value is in here: it is safe to commit.\n\
         version: 1\n\
         \n\
         secretStores:\n\
         \x20 secrets:\n\
         \x20   type: {}\n\
         \x20   path: {store_file}\n\
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
fn own_recipient(
    cx: &Context,
    with_passphrase: bool,
    keyring: &Keyring,
) -> Result<Recipient, Failure> {
    if with_passphrase
        && let Some(path) = sops::default_key_file(&cx.environment)
        && path.symlink_metadata().is_ok()
    {
        return Err(Failure::usage(
            format!("`--passphrase` is for a fresh identity, and there is {}", path.display()),
            "leave it out; `age -p` protects an identity that is there",
        ));
    }
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
    let failed = |error| Failure::new(Exit::Store, Report::from_error(&error));
    // Everything that can fail or be given up comes before the first file.
    let text = if with_passphrase {
        let passphrase = new_passphrase(cx)?;
        let text = identity.to_protected_text(&passphrase, WorkFactor::default());
        SecretBytes::copy_from(text.map_err(failed)?.as_bytes())?
    } else {
        identity.to_text().map_err(failed)?
    };
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    publish(&path, &text.expose(), 0o600)?;
    let how = if with_passphrase { ", protected by the passphrase" } else { "" };
    cx.ui.note(format!(
        "made a fresh identity in {}{how}; keep a copy of this file in a safe place",
        path.display()
    ));
    Ok(identity.recipient().clone())
}

/// The passphrase of the environment, or one that was typed twice.
fn new_passphrase(cx: &Context) -> Result<SecretBytes, Failure> {
    let given =
        cx.environment.credential(sops::PASSPHRASE_VARIABLE).map_err(Failure::from_store)?;
    let passphrase = match given {
        Some(given) => given,
        None if cx.non_interactive || !prompt::has_terminal() => {
            return Err(Failure::usage(
                "there is nobody to ask for the passphrase",
                format!("set {}", sops::PASSPHRASE_VARIABLE),
            ));
        }
        None => {
            let first = prompt::passphrase("Passphrase of the identity: ")?;
            let second = prompt::passphrase("The same again: ")?;
            if !bool::from(first.expose().ct_eq(&second.expose())) {
                return Err(Failure::usage(
                    "the two are not the same",
                    "nothing was made; try again",
                ));
            }
            first
        }
    };
    if passphrase.is_empty() {
        return Err(Failure::usage("the passphrase is empty", "nothing was made; give it one"));
    }
    Ok(passphrase)
}

fn private_folder(path: &Path) -> Result<(), Failure> {
    file::private_folder(path)
        .map_err(|error| Failure::new(Exit::Store, Report::from_error(&error)))
}

fn publish(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    file::publish_new(path, content, mode)
        .map_err(|error| Failure::new(Exit::Store, Report::from_error(&error)))
}
