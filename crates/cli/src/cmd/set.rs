//! `dsops set`: one value from a person, a pipe or a file into the encrypted store.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dsops_execenv::{ExecError, Name, is_dangerous};
use dsops_resolver::{
    Config, LoadOptions, MAX_CONFIG_BYTES, OpenContext, PlannedSource, StoreSettings,
};
use dsops_secure_mem::SecretBytes;
use dsops_stores::{file, sops};

use crate::context::Context;
use crate::declare;
use crate::exit::Exit;
use crate::prompt;
use crate::report::{Failure, Report};
use crate::ui;

/// The largest value taken in.
const LIMIT_BYTES: usize = 1 << 20;

/// How long a change of the configuration waits for another one.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Where a value goes.
struct Target<'a> {
    settings: &'a StoreSettings,
    key: String,
    /// Whether the environment has the variable already.
    declared: bool,
}

const EXAMPLES: &str = "\
Examples:
  dsops set DATABASE_URL
  dsops set TLS_KEY --from-file key.pem
  openssl rand -hex 32 | dsops set SESSION_KEY --env prod";

/// What `dsops set` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The variable's name
    pub name: String,
    /// Read the value from this file, byte for byte
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub from_file: Option<PathBuf>,
    /// Keep a final newline that comes from stdin
    #[arg(long)]
    pub keep_newline: bool,
    /// Store an empty value if stdin is empty
    #[arg(long)]
    pub allow_empty: bool,
    /// What people take for the place of the value; taken in to be refused without repeating it
    #[arg(hide = true)]
    pub extra: Vec<OsString>,
}

/// Runs the command.
///
/// # Errors
/// The value cannot be read, the store cannot be opened or written. Nothing is changed then.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    if !args.extra.is_empty() {
        let report = Report::error("a value is never taken from the command line")
            .help("others on this machine can read it there; type it at the prompt, pipe it in, or use --from-file");
        return Err(Failure::new(Exit::Usage, report));
    }
    let name = variable_name(&args.name)?;
    let config = cx.load()?;
    let environment = cx.environment_of(&config)?;
    let target = find_target(cx, &config, environment, name.as_str())?;
    // Whatever can be known to fail does so before a person types a value.
    if !target.declared {
        declaration(&config, environment, name.as_str(), &target)?;
    }
    let open = OpenContext::new(config.base_dir(), &cx.environment);
    let store = sops::locate(target.settings, &open).map_err(Failure::from_store)?;
    store.open().map_err(|error| store_failure(&error))?;
    let value = read_value(cx, args, name.as_str())?;
    store
        .change(|document| document.set(&target.key, &value, SystemTime::now()))
        .map_err(|error| store_failure(&error))?;
    drop(value);
    cx.ui.note(format!("stored {name} in {}", shown(&store.path).display()));
    if !target.declared {
        declare(&config, environment, name.as_str(), &target)?;
        cx.ui.note(format!(
            "declared {name} in {} (environment `{environment}`)",
            config.path().display()
        ));
    }
    if is_dangerous(name.as_str()) {
        cx.ui.report(
            &Report::warning(format!(
                "`exec` refuses a secret named {name}: programs run code or load files named by it"
            ))
            .help(format!("rename it, or run with `--allow-dangerous {name}`")),
        );
    }
    Ok(Exit::Ok)
}

/// A name that programs and shells take for a variable's. Of `NAME=value` the value is not repeated.
fn variable_name(text: &str) -> Result<Name, Failure> {
    if let Some((start, _)) = text.split_once('=') {
        let start = ui::one_line(start);
        return Err(Failure::usage(
            format!("a value is never taken from the command line (`{start}=…`)"),
            format!("others on this machine can read it there; `dsops set {start}` asks for it"),
        ));
    }
    match Name::new(text) {
        Ok(name) if name.is_portable() => Ok(name),
        Ok(_) => Err(Failure::usage(
            format!("`{}` cannot be the name of a variable", ui::one_line(text)),
            "use letters, digits and `_`, and no digit first",
        )),
        Err(error) => Err(Failure::new(Exit::Usage, ExecError::from(error).into())),
    }
}

/// The store and key that the variable has, or would get.
fn find_target<'a>(
    cx: &Context,
    config: &'a Config,
    environment: &str,
    name: &str,
) -> Result<Target<'a>, Failure> {
    let plan = cx.plan(config)?;
    if let Some(variable) = plan.variables.iter().find(|variable| variable.name == name) {
        let refuse = |what: String| {
            let mut report = Report::error(what).help("`set` writes to stores of type `sops`");
            report.place = Some(variable.place.clone());
            Failure::new(Exit::Config, report)
        };
        let PlannedSource::Item { reference, item } = &variable.source else {
            return Err(refuse(format!("{name} is a literal of the configuration")));
        };
        let settings = config.stores().find(|settings| settings.name() == reference.store);
        return match settings {
            Some(settings) if settings.store_type() == sops::TYPE => {
                Ok(Target { settings, key: item.key.clone(), declared: true })
            }
            _ => Err(refuse(format!(
                "{name} comes from the store `{}`, which cannot be written here",
                reference.store
            ))),
        };
    }
    let mut writable = config.stores().filter(|settings| settings.store_type() == sops::TYPE);
    match (writable.next(), writable.next()) {
        (Some(settings), None) => Ok(Target { settings, key: name.to_owned(), declared: false }),
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

fn reference(target: &Target<'_>) -> String {
    format!("store://{}/{}", target.settings.name(), target.key)
}

/// The configuration with the variable declared, checked by reading it.
fn declaration(
    config: &Config,
    environment: &str,
    name: &str,
    target: &Target<'_>,
) -> Result<String, Failure> {
    let path = config.path();
    let reference = reference(target);
    let by_hand = || {
        Failure::new(
            Exit::Config,
            Report::error(format!("{} has a shape that cannot be edited here", path.display()))
                .help(format!(
                    "add `{}` to `envs.{environment}` by hand, then set it again",
                    declare::declaration(name, &reference)
                )),
        )
    };
    let unreadable = || Report::error(format!("cannot read {}", path.display()));
    let bytes = file::read(path, MAX_CONFIG_BYTES as u64)
        .map_err(|error| Failure::new(Exit::Config, unreadable().because(&error)))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| Failure::new(Exit::Config, unreadable().because(&error)))?;
    let edited = declare::declare(&text, environment, name, &reference).ok_or_else(by_hand)?;
    let before = config.environments().count();
    match Config::parse_at(path, &edited, &LoadOptions::new()) {
        Ok(after) if after.environments().count() == before => Ok(edited),
        _ => Err(by_hand()),
    }
}

/// The value, straight into protected memory.
fn read_value(cx: &Context, args: &Args, name: &str) -> Result<SecretBytes, Failure> {
    let too_large_or = |what: String| {
        move |error: dsops_secure_mem::Error| {
            Failure::new(Exit::Usage, Report::error(what).because(&error))
        }
    };
    if let Some(path) = &args.from_file {
        let mut file = File::open(path).map_err(|error| {
            Failure::new(
                Exit::Usage,
                Report::error(format!("cannot open {}", path.display())).because(&error),
            )
        })?;
        return SecretBytes::from_reader(&mut file, LIMIT_BYTES)
            .map_err(too_large_or(format!("cannot read the value from {}", path.display())));
    }
    if io::stdin().is_terminal() {
        if cx.non_interactive {
            return Err(Failure::usage(
                "the value would have to be asked for, and --non-interactive forbids it",
                "pipe the value in, or use `--from-file FILE`",
            ));
        }
        return prompt::secret(&format!("Value of {}: ", ui::one_line(name)));
    }
    // Not `io::stdin()`: its buffer is ordinary memory.
    let mut stdin = stdin_unbuffered()?;
    let mut value = SecretBytes::from_reader(&mut stdin, LIMIT_BYTES)
        .map_err(too_large_or("cannot read the value from stdin".to_owned()))?;
    if !args.keep_newline && value.expose().ends_with(b"\n") {
        value.truncate(value.len() - 1);
    }
    // A closed stdin, or a command on the other end of the pipe that failed.
    if value.is_empty() && !args.allow_empty {
        return Err(Failure::usage(
            "stdin holds no value; nothing was stored",
            "`--allow-empty` stores an empty value",
        ));
    }
    Ok(value)
}

fn stdin_unbuffered() -> Result<File, Failure> {
    #[cfg(unix)]
    let owned = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned();
    #[cfg(windows)]
    let owned = std::os::windows::io::AsHandle::as_handle(&io::stdin()).try_clone_to_owned();
    owned.map(File::from).map_err(|error| {
        Failure::new(Exit::Usage, Report::error("cannot read from stdin").because(&error))
    })
}

fn store_failure(error: &sops::Error) -> Failure {
    let mut report = Report::from_error(error);
    report.help = error.help();
    Failure::new(Exit::Store, report)
}

/// Writes the declaration, from the configuration as it is now: while a value was typed, another
/// `set` or a person may have changed it.
fn declare(
    config: &Config,
    environment: &str,
    name: &str,
    target: &Target<'_>,
) -> Result<(), Failure> {
    let by_hand = |failure: Failure| {
        let line = declare::declaration(name, &reference(target));
        let help = format!("the value is stored; add `{line}` to `envs.{environment}` by hand");
        let reports = failure.reports.into_iter().map(|report| report.help(help.clone()));
        Failure::many(Exit::Store, reports)
    };
    let failed =
        |error: file::FileError| by_hand(Failure::new(Exit::Store, Report::from_error(&error)));
    let _lock = file::lock(config.path(), LOCK_PATIENCE).map_err(failed)?;
    let text = declaration(config, environment, name, target).map_err(by_hand)?;
    file::replace(config.path(), text.as_bytes()).map_err(failed)
}

/// A path as people know it: relative where it is below the working directory.
fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let path = path.strip_prefix(here).unwrap_or(path);
    path.strip_prefix(".").unwrap_or(path).to_owned()
}
