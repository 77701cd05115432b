//! `dsops set`: one value from a person, a pipe or a file into the encrypted store.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::SystemTime;

use dsops_execenv::{ExecError, Name, is_dangerous};
use dsops_resolver::OpenContext;
use dsops_secure_mem::SecretBytes;
use dsops_stores::sops::{self, ValueType};

use crate::cached::Kept;
use crate::context::Context;
use crate::declare;
use crate::embedded::{self, Target, shown, store_failure};
use crate::exit::Exit;
use crate::prompt;
use crate::report::{Failure, Report};
use crate::ui;

/// The largest value taken in.
const LIMIT_BYTES: usize = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  dsops set DATABASE_URL
  dsops set TLS_KEY --from-file key.pem
  echo 8080 | dsops set PORT --type int
  openssl rand -hex 32 | dsops set SESSION_KEY --env prod";

// What `dsops set` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The variable's name
    pub name: String,
    /// Read the value from this file, byte for byte
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub from_file: Option<PathBuf>,
    /// What the value is in the document: str, int, float or bool (default: str)
    #[arg(long = "type", value_name = "TYPE", default_value = "str", hide_default_value = true)]
    pub value_type: ValueType,
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
    let target = Target::find(cx, &config, environment, name.as_str())?;
    let reference = target.reference();
    let line = declare::declaration(name.as_str(), &reference);
    let by_hand = format!("add `{line}` to `envs.{environment}` by hand");
    let edit = |text: &str| declare::declare(text, environment, name.as_str(), &reference);
    // Whatever can be known to fail does so before a person types a value.
    if target.declared.is_none() {
        embedded::edited(&config, &format!("{by_hand}, then set it again"), edit)?;
    }
    let open = OpenContext::new(config.base_dir(), &cx.environment);
    let store = sops::locate(target.settings, &open).map_err(Failure::from_store)?;
    store.open().map_err(|error| store_failure(&error))?;
    let value = read_value(cx, args, name.as_str())?;
    let kept = Kept::of(cx, &config, target.settings);
    store
        .change(|document| document.set_as(&target.key, &value, args.value_type, SystemTime::now()))
        .map_err(|error| store_failure(&error))?;
    drop(value);
    if let Some(kept) = kept {
        kept.forget(cx.ui, [&target.key]);
    }
    cx.ui.note(format!("stored {name} in {}", shown(&store.path).display()));
    if target.declared.is_none() {
        embedded::edit(&config, &format!("the value is stored; {by_hand}"), edit)?;
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
    let mut stdin = prompt::stdin_unbuffered()?;
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
