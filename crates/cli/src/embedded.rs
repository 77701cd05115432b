//! The embedded store from where a variable stands: which file, which key, and how to change both
//! that file and the declaration in `dsops.yaml`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dsops_resolver::{
    Config, LoadOptions, MAX_CONFIG_BYTES, PlannedSource, PlannedVariable, StoreSettings, suggest,
};
use dsops_stores::{file, sops};

use crate::context::Context;
use crate::declare;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::ui;

/// How long a change of the configuration waits for another one.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Where the value of a variable is, or would be.
pub struct Target<'a> {
    pub settings: &'a StoreSettings,
    pub key: String,
    /// The variable, if the environment has it already.
    pub declared: Option<PlannedVariable>,
}

impl<'a> Target<'a> {
    /// The store and key that the variable has in the environment to work on, or would get.
    ///
    /// # Errors
    /// The variable comes from elsewhere, or it is not clear which store is meant.
    pub fn find(
        cx: &Context,
        config: &'a Config,
        environment: &str,
        name: &str,
    ) -> Result<Self, Failure> {
        let mut plan = cx.plan(config)?;
        if let Some(at) = plan.variables.iter().position(|variable| variable.name == name) {
            let variable = plan.variables.swap_remove(at);
            let refuse = |what: String| {
                let mut report = Report::error(what).help("only stores of type `sops` are written");
                report.place = Some(variable.place.clone());
                Failure::new(Exit::Config, report)
            };
            let PlannedSource::Item { reference, item } = &variable.source else {
                return Err(refuse(format!("{name} is a literal of the configuration")));
            };
            let mut stores = config.stores();
            return match stores.find(|settings| settings.name() == reference.store) {
                Some(settings) if is_embedded(settings) => {
                    Ok(Self { settings, key: item.key.clone(), declared: Some(variable) })
                }
                _ => Err(refuse(format!(
                    "{name} comes from the store `{}`, which cannot be written here",
                    reference.store
                ))),
            };
        }
        let mut writable = config.stores().filter(|settings| is_embedded(settings));
        match (writable.next(), writable.next()) {
            (Some(settings), None) => Ok(Self { settings, key: name.to_owned(), declared: None }),
            (first, _) => Err(Failure::new(
                Exit::Config,
                Report::error(format!(
                    "{} store of type `sops` in {}, so it is not clear where {name} goes",
                    if first.is_none() { "there is no" } else { "there is more than one" },
                    config.path().display()
                ))
                .help(format!(
                    "declare it first: `{}` under `envs.{environment}`",
                    declare::declaration(name, &format!("store://STORE/{name}"))
                )),
            )),
        }
    }

    /// As the configuration refers to it.
    pub fn reference(&self) -> String {
        format!("store://{}/{}", self.settings.name(), self.key)
    }
}

/// What to do where a configuration has no embedded store.
pub const ADD_A_STORE: &str = "add one under `secretStores`, as `secrets: { type: sops, path: secrets.sops.yaml }`; \
     then `dsops init` makes the file";

/// Whether a store is a file that is read and written in process.
pub fn is_embedded(settings: &StoreSettings) -> bool {
    settings.store_type() == sops::TYPE
}

/// The embedded store of this name, or the only one there is.
///
/// # Errors
/// There is none, none of this name, or several to choose from.
pub fn choose<'a>(config: &'a Config, wanted: Option<&str>) -> Result<&'a StoreSettings, Failure> {
    let embedded: Vec<&StoreSettings> =
        config.stores().filter(|settings| is_embedded(settings)).collect();
    let names: Vec<&str> = embedded.iter().map(|settings| settings.name()).collect();
    let (message, help) = match (wanted, embedded.as_slice()) {
        (None, [only]) => return Ok(only),
        (Some(wanted), stores) => match stores.iter().find(|store| store.name() == wanted) {
            Some(store) => return Ok(store),
            None => (
                format!("there is no store `{}` of type `sops`", ui::one_line(wanted)),
                suggest(wanted, names.iter().copied()).map_or_else(
                    || format!("there are: {}", names.join(", ")),
                    |likely| format!("did you mean `{likely}`?"),
                ),
            ),
        },
        (None, []) => (
            format!("{} has no store of type `sops`", config.path().display()),
            ADD_A_STORE.to_owned(),
        ),
        (None, _) => (
            format!("{} has several stores of type `sops`", config.path().display()),
            format!("choose one with `--store`: {}", names.join(", ")),
        ),
    };
    Err(Failure::new(Exit::Config, Report::error(message).help(help)))
}

/// The file of an embedded store, read without a key: its names and recipients.
///
/// # Errors
/// A setting is wrong, or the file cannot be read.
pub fn read(config: &Config, settings: &StoreSettings) -> Result<sops::Document, Failure> {
    sops::locate_without_keys(settings, config.base_dir())
        .map_err(|problem| Failure::new(Exit::Config, problem.into()))?
        .read()
        .map_err(|error| store_failure(&error))
}

/// The keys in the file of an embedded store; none when it cannot be read.
pub fn keys(config: &Config, settings: &StoreSettings) -> Vec<String> {
    read(config, settings).ok().and_then(|document| document.keys().ok()).unwrap_or_default()
}

/// The text of the configuration after `edit`, checked by reading it. Nothing is written.
///
/// # Errors
/// The file cannot be read, or has a shape that is not edited here: `by_hand` says what to do then.
pub fn edited(
    config: &Config,
    by_hand: &str,
    edit: impl Fn(&str) -> Option<String>,
) -> Result<String, Failure> {
    let path = config.path();
    let refused = || {
        Failure::new(
            Exit::Config,
            Report::error(format!("{} has a shape that cannot be edited here", path.display()))
                .help(by_hand),
        )
    };
    let unreadable = || Report::error(format!("cannot read {}", path.display()));
    let bytes = file::read(path, MAX_CONFIG_BYTES as u64)
        .map_err(|error| Failure::new(Exit::Config, unreadable().because(&error)))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| Failure::new(Exit::Config, unreadable().because(&error)))?;
    let edited = edit(&text).ok_or_else(refused)?;
    match Config::parse_at(path, &edited, &LoadOptions::new()) {
        Ok(after) if after.environments().eq(config.environments()) => Ok(edited),
        _ => Err(refused()),
    }
}

/// Edits the configuration as it is now: since it was read, another `dsops` or a person may have
/// changed it. The value is changed already; `by_hand` says what is left to do when this fails.
///
/// # Errors
/// As [`edited`], and when the file cannot be written.
pub fn edit(
    config: &Config,
    by_hand: &str,
    edit: impl Fn(&str) -> Option<String>,
) -> Result<(), Failure> {
    let told = |failure: Failure| {
        let reports = failure.reports.into_iter().map(|report| report.help(by_hand));
        Failure::many(Exit::Store, reports)
    };
    let failed =
        |error: file::FileError| told(Failure::new(Exit::Store, Report::from_error(&error)));
    let _lock = file::lock(config.path(), LOCK_PATIENCE).map_err(failed)?;
    let text = edited(config, by_hand, edit).map_err(told)?;
    file::replace(config.path(), text.as_bytes()).map_err(failed)
}

/// A failure of the file of secrets that a configuration names.
pub fn store_failure(error: &sops::Error) -> Failure {
    let mut failure = file_failure(error);
    if let sops::Error::File(file::FileError::Io { action: "open", source, .. }) = error
        && source.kind() == std::io::ErrorKind::NotFound
    {
        let help = "`dsops init` makes the encrypted files of a configuration that are missing";
        for report in &mut failure.reports {
            report.help = Some(help.to_owned());
        }
    }
    failure
}

/// A failure of another file of secrets, or of one that is being made.
pub fn file_failure(error: &sops::Error) -> Failure {
    let mut report = Report::from_error(error);
    report.help = error.help();
    Failure::new(Exit::Store, report)
}

/// That an environment has no such variable.
pub fn unknown_variable<'a>(
    environment: &str,
    name: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Failure {
    let mut report = Report::error(format!(
        "environment `{environment}` has no variable `{}`",
        ui::one_line(name)
    ));
    report.code = Some("cli/unknown-variable");
    report.help = Some(suggest(name, names).map_or_else(
        || "`dsops list` shows them".to_owned(),
        |likely| format!("did you mean `{likely}`?"),
    ));
    Failure::new(Exit::Config, report)
}

/// A path as people know it: relative where it is below the working directory.
pub fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let path = path.strip_prefix(here).unwrap_or(path);
    path.strip_prefix(".").unwrap_or(path).to_owned()
}
