//! `dsops import`: the values of another tool's file into the embedded store.

mod read;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::SystemTime;

use dsops_execenv::Name;
use dsops_formats::ImportFormat;
use dsops_resolver::{Config, OpenContext, PlannedSource, StoreSettings};
use dsops_secure_mem::SecretBytes;
use dsops_stores::sops::{self, OpenDocument};
use serde_json::json;
use subtle::ConstantTimeEq as _;

use crate::context::Context;
use crate::declare;
use crate::embedded::{self, shown, store_failure};
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::ui;

use read::Found;

const EXAMPLES: &str = "\
Examples:
  dsops import .env
  dsops import --from doppler secrets.json --env prod
  dsops import fnox.toml --profile production --env prod
  dsops import old.sops.yaml --dry-run
  chamber export app | dsops import --from json -

Nothing in the file is expanded or run. The file stays: delete it when all works, and take it out of
the history of your repository, or better, change the secrets that were in it.";

// What `dsops import` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file; `-` for standard input, with `--from`
    pub file: PathBuf,
    /// What it is: dotenv, json (also chamber, doppler, infisical), fnox, secretspec or sops
    /// (default: by its name)
    #[arg(long, value_name = "FORMAT")]
    pub from: Option<Source>,
    /// The profile of the file to take, on top of what all profiles share
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// The store to put the values into (default: the only one of type `sops`)
    #[arg(long, value_name = "NAME")]
    pub store: Option<String>,
    /// Replace values that the store has already
    #[arg(long)]
    pub overwrite: bool,
    /// Show what would be taken, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A format of other tools.
    Other(ImportFormat),
    /// A SOPS document that our identities open.
    Sops,
}

impl std::str::FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "sops" {
            return Ok(Self::Sops);
        }
        text.parse()
            .map(Self::Other)
            .map_err(|error: dsops_formats::UnknownName| format!("{error}, sops"))
    }
}

/// What became of the variables.
#[derive(Debug, Default)]
struct Outcome {
    stored: Vec<String>,
    unchanged: Vec<String>,
    /// In the store already, with other values.
    conflicts: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read, the store has other values already, or it cannot be written.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let found = read::read(cx, args)?;
    let config = cx.load()?;
    let environment = cx.environment_of(&config)?;
    let settings = embedded::choose(&config, args.store.as_deref())?;
    let (values, unfit): (Vec<_>, Vec<_>) =
        found.values.iter().partition(|(name, _)| is_variable(name));
    // Whatever can be known to fail does so before anything is changed.
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    let (undeclared, elsewhere) = declared(cx, &config, settings, &names)?;
    let declaration = Declaration { config: &config, environment, settings, names: &undeclared };
    declaration.check()?;
    let open = OpenContext::new(config.base_dir(), &cx.environment);
    let store = sops::locate(settings, &open).map_err(Failure::from_store)?;
    let take = |document: &mut OpenDocument| take(document, &values, args);
    let outcome = if args.dry_run {
        store.open().and_then(|mut document| take(&mut document))
    } else {
        store.change(take)
    };
    let outcome = outcome.map_err(|error| store_failure(&error))?;
    if !outcome.conflicts.is_empty() {
        let report = Report::error(format!(
            "{} has other values for: {}",
            shown(&store.path).display(),
            outcome.conflicts.join(", ")
        ));
        return Err(Failure::new(Exit::Store, report.help("`--overwrite` replaces them")));
    }
    if !args.dry_run {
        declaration.write()?;
    }
    for (name, source) in elsewhere {
        let text = format!("{name} comes from {source}, not from what is imported");
        let help = "declare it with `from`, or it keeps the value it had";
        cx.ui.report(&Report::warning(text).help(help));
    }
    for (name, _) in unfit {
        let name = ui::one_line(name);
        cx.ui.report(&Report::warning(format!(
            "`{name}` cannot be the name of a variable; it was left out"
        )));
    }
    tell(cx, args, &found, &outcome, &undeclared, &shown(&store.path).display().to_string())?;
    Ok(Exit::Ok)
}

fn is_variable(name: &str) -> bool {
    Name::new(name).is_ok_and(|name| name.is_portable())
}

/// Sets what is new or may be replaced, or nothing at all.
fn take(
    document: &mut OpenDocument,
    values: &[&(String, SecretBytes)],
    args: &Args,
) -> Result<Outcome, sops::Error> {
    let present: BTreeSet<String> = document.keys()?.into_iter().collect();
    let mut outcome = Outcome::default();
    for (name, value) in values {
        // A variable's name has no `/` or `~`: it is its own key.
        if !present.contains(name) {
            outcome.stored.push(name.clone());
        } else if document.get(name)?.ct_eq(value).into() {
            outcome.unchanged.push(name.clone());
        } else if args.overwrite {
            outcome.stored.push(name.clone());
        } else {
            outcome.conflicts.push(name.clone());
        }
    }
    if outcome.conflicts.is_empty() && !args.dry_run {
        let now = SystemTime::now();
        let stored: BTreeSet<&String> = outcome.stored.iter().collect();
        for (name, value) in values.iter().filter(|(name, _)| stored.contains(name)) {
            document.set(name, value, now)?;
        }
    }
    Ok(outcome)
}

/// Names that the environment does not have yet; and those that it has from elsewhere, with their
/// sources.
type Declared<'a> = (Vec<&'a str>, Vec<(&'a str, String)>);

fn declared<'a>(
    cx: &Context,
    config: &Config,
    settings: &StoreSettings,
    names: &[&'a str],
) -> Result<Declared<'a>, Failure> {
    let plan = cx.plan(config)?;
    let (mut undeclared, mut elsewhere) = (Vec::new(), Vec::new());
    for name in names {
        let Some(variable) = plan.variables.iter().find(|variable| variable.name == *name) else {
            undeclared.push(*name);
            continue;
        };
        let is_ours = match &variable.source {
            PlannedSource::Item { reference, item } => {
                reference.store == settings.name() && item.key == *name
            }
            _ => false,
        };
        if !is_ours {
            elsewhere.push((*name, ui::one_line(&variable.source_text())));
        }
    }
    Ok((undeclared, elsewhere))
}

/// What is to be added to the configuration.
struct Declaration<'a> {
    config: &'a Config,
    environment: &'a str,
    settings: &'a StoreSettings,
    names: &'a [&'a str],
}

impl Declaration<'_> {
    /// Nothing is written.
    fn check(&self) -> Result<(), Failure> {
        let Some(first) = self.names.first() else { return Ok(()) };
        embedded::edited(self.config, &self.by_hand(first), |text| self.declare(text)).map(drop)
    }

    fn write(&self) -> Result<(), Failure> {
        let Some(first) = self.names.first() else { return Ok(()) };
        let by_hand = format!("the values are stored; {}", self.by_hand(first));
        embedded::edit(self.config, &by_hand, |text| self.declare(text))
    }

    fn declare(&self, text: &str) -> Option<String> {
        self.names.iter().try_fold(text.to_owned(), |text, name| {
            declare::declare(&text, self.environment, name, &self.reference(name))
        })
    }

    fn by_hand(&self, name: &str) -> String {
        let line = declare::declaration(name, &self.reference(name));
        format!("declare them under `envs.{}`, as `{line}`", self.environment)
    }

    fn reference(&self, name: &str) -> String {
        format!("store://{}/{name}", self.settings.name())
    }
}

fn tell(
    cx: &Context,
    args: &Args,
    found: &Found,
    outcome: &Outcome,
    declared: &[&str],
    store: &str,
) -> Result<(), Failure> {
    if cx.ui.json {
        let value = json!({
            "version": 1,
            "dry_run": args.dry_run,
            "store": store,
            "stored": outcome.stored,
            "unchanged": outcome.unchanged,
            "declared": declared,
            "left": found.left.iter().map(|(name, why)| json!({ "name": name, "why": why })).collect::<Vec<_>>(),
            "notes": found.notes,
        });
        return Ok(ui::print(format!("{value:#}\n").as_bytes())?);
    }
    for note in &found.notes {
        cx.ui.report(&Report::warning(format!("{}: {note}", args.file.display())));
    }
    for (name, why) in &found.left {
        cx.ui.note(format!("left out {}: {why}", ui::one_line(name)));
    }
    let (would, names) = (if args.dry_run { "would store" } else { "stored" }, &outcome.stored);
    let listed = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
    cx.ui.note(format!("{would} {} in {store}{listed}", ui::plural(names.len(), "value")));
    if !outcome.unchanged.is_empty() {
        cx.ui.note(format!("there already: {}", outcome.unchanged.join(", ")));
    }
    if !declared.is_empty() {
        let would = if args.dry_run { "would declare" } else { "declared" };
        cx.ui.note(format!("{would} {}", declared.join(", ")));
    }
    if !args.dry_run && found.in_clear {
        cx.ui.report(
            &Report::warning(format!("{} still holds the values in clear", args.file.display())).help(
                "delete it when all works; if it ever was in a repository or a backup, change the secrets",
            ),
        );
    }
    Ok(())
}
