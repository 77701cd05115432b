//! The command line as it is typed. What it means is decided in `context.rs` and in each command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{FalseyValueParser, OsStringValueParser};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum, ValueHint};

use crate::env_vars;

/// Run programs with secrets that provably stay secret.
#[derive(Debug, Parser)]
#[command(
    name = "dsops",
    version,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 ok, 1 a check found something, 2 usage, 3 configuration, 4 a store \
                  failed, 6 protection unavailable, 7 could not decide.\n`exec` mirrors the child; 124 timeout (137 if it had to be killed), \
                  125 dsops failed first, 126 not executable, 127 not found."
)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// `dsops exec …` alone: what [`Args`] says of it, without building all other commands first.
///
/// `exec` is run often and measured in microseconds; building the whole command line takes 100 of them.
#[derive(Debug, Parser)]
#[command(name = "dsops exec", disable_help_flag = true)]
struct ExecAlone {
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    exec: Exec,
}

impl Args {
    /// Reads the command line.
    ///
    /// # Errors
    /// What is wrong with it; also a request for help or for the version.
    pub fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        if words.get(1).is_some_and(|word| word == "exec") {
            let alone = std::iter::once(&words[0]).chain(&words[2..]);
            // What is wrong is told by the whole parser, in its words.
            if let Ok(ExecAlone { global, exec }) = ExecAlone::try_parse_from(alone) {
                return Ok(Self { global, command: Command::Exec(exec) });
            }
        }
        Self::try_parse_from(words)
    }
}

/// Flags that every command takes, before or after its name.
#[derive(Clone, Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags are independent of each other")]
pub struct Global {
    /// The configuration file (default: `dsops.yaml` here or in a folder above)
    #[arg(long, global = true, value_name = "FILE", env = env_vars::CONFIG, hide_env_values = true, value_parser = OsStringValueParser::new(), value_hint = ValueHint::FilePath)]
    pub config: Option<OsString>,
    /// The environment of the configuration (default: the only one there is)
    #[arg(long, global = true, value_name = "NAME", env = env_vars::ENV, hide_env_values = true)]
    pub env: Option<String>,
    /// Never use colours
    #[arg(long, global = true, env = env_vars::NO_COLOR_FLAG, value_parser = FalseyValueParser::new(), hide_env_values = true)]
    pub no_color: bool,
    /// Say nothing but errors and warnings
    #[arg(long, short, global = true, env = env_vars::QUIET, value_parser = FalseyValueParser::new(), hide_env_values = true)]
    pub quiet: bool,
    /// Say more, unless quiet
    #[arg(long, short, global = true, env = env_vars::VERBOSE, value_parser = FalseyValueParser::new(), hide_env_values = true)]
    pub verbose: bool,
    /// Never ask; what would need an answer is an error
    #[arg(long, global = true, env = env_vars::NON_INTERACTIVE, value_parser = FalseyValueParser::new(), hide_env_values = true)]
    pub non_interactive: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make dsops.yaml and an encrypted secrets.sops.yaml here
    Init(Init),
    /// Store one secret (asked for without echo, or read from stdin or a file)
    Set(Set),
    /// Print one secret
    Get(Get),
    /// Show what would be fetched from where, without fetching
    Plan(Plan),
    /// Run a program with the secrets of an environment
    Exec(Exec),
    /// Check protection, configuration, stores and file modes
    Doctor(Doctor),
    /// See it work on a throw-away project
    Demo(Demo),
}

/// `dsops init`
#[derive(Debug, ClapArgs)]
pub struct Init {
    /// Encrypt for this age recipient too (repeatable)
    #[arg(long = "recipient", value_name = "AGE1…")]
    pub recipients: Vec<String>,
}

/// `dsops set`
#[derive(Debug, ClapArgs)]
pub struct Set {
    /// The variable's name
    pub name: String,
    /// Read the value from this file, byte for byte
    #[arg(long, value_name = "FILE")]
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

/// `dsops get`
#[derive(Debug, ClapArgs)]
pub struct Get {
    /// The variable's name
    #[arg(required_unless_present = "var")]
    pub name: Option<String>,
    /// The same, as the Go version spells it
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    pub var: Option<String>,
}

/// `dsops plan`
#[derive(Debug, ClapArgs)]
pub struct Plan {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// How `exec` starts the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Replace when nothing is left to do, else supervise
    #[default]
    Auto,
    /// Become the program (execve in place)
    Replace,
    /// Stay as its parent
    Supervise,
}

/// `dsops exec`
#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags are independent of each other")]
pub struct Exec {
    /// How to start the program
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// Variables that are set already win over secrets of the same name
    #[arg(long)]
    pub allow_override: bool,
    /// Start the program in this folder
    #[arg(long, value_name = "DIR")]
    pub working_dir: Option<PathBuf>,
    /// End the program and all its descendants after this time (`90s`, `5m`; a bare number is seconds)
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// How long a program may take to end by itself after the timeout; then it is killed (137)
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "10s")]
    pub grace: Duration,
    /// Start from a short list of harmless variables instead of the whole environment
    #[arg(long, conflicts_with = "pristine")]
    pub clean: bool,
    /// Start from an empty environment
    #[arg(long)]
    pub pristine: bool,
    /// Keep this variable on top of `--clean` or `--pristine`; by its exact name also a store's
    /// credential (repeatable, `*` matches)
    #[arg(long, value_name = "GLOB")]
    pub keep: Vec<String>,
    /// Drop this variable from what the program inherits, even if it is kept (repeatable, `*` matches)
    #[arg(long, value_name = "GLOB")]
    pub drop: Vec<String>,
    /// Allow a secret of this dangerous name, as `LD_PRELOAD` (repeatable)
    #[arg(long, value_name = "NAME")]
    pub allow_dangerous: Vec<String>,
    /// Leave this file descriptor open for the program; all others from 3 up are closed, those of
    /// `<(…)` too (repeatable)
    #[arg(long, value_name = "FD")]
    pub keep_fd: Vec<i32>,
    /// Forbid core dumps of the program too
    #[arg(long)]
    pub no_core: bool,
    /// Fail (125) unless every protection of memory holds
    #[arg(long)]
    pub require_protection: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `dsops doctor`
#[derive(Debug, ClapArgs)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Fail (6) unless every protection of memory holds
    #[arg(long)]
    pub require_protection: bool,
}

/// `dsops demo`
#[derive(Debug, ClapArgs)]
pub struct Demo {
    /// The program that gets the secrets; not for people
    #[arg(long, hide = true)]
    pub child: bool,
    /// The steps themselves, in this folder; not for people
    #[arg(long, hide = true, value_name = "DIR")]
    pub inside: Option<PathBuf>,
}

/// A bare number is seconds, as in the Go version; anything else is as people write it.
fn parse_duration(text: &str) -> Result<Duration, String> {
    if let Ok(secs) = text.parse::<u64>() {
        return Ok(Duration::from_secs(secs));
    }
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_declaration_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_short_way_for_exec_reads_what_the_whole_parser_reads() {
        for words in [
            "dsops exec true",
            "dsops exec --env dev -q --timeout 5s --keep A --keep B* -- ls --all -x",
            "dsops exec --clean --no-core --mode supervise --config x.yaml sh -c true",
        ] {
            let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
            let short = Args::read(&words).expect("parses");
            let whole = Args::try_parse_from(&words).expect("parses");
            assert_eq!(format!("{short:?}"), format!("{whole:?}"));
        }
        for words in
            ["dsops exec", "dsops exec --bogus x", "dsops exec --help", "dsops exec --version"]
        {
            let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
            let short = Args::read(&words).expect_err("no command").to_string();
            assert_eq!(short, Args::try_parse_from(&words).expect_err("no command").to_string());
        }
    }

    #[test]
    fn a_bare_number_is_seconds() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(parse_duration("soon").is_err());
    }

    #[test]
    fn flags_of_the_program_are_not_ours() {
        let args =
            Args::try_parse_from(["dsops", "exec", "--", "ls", "--env", "x"]).expect("parses");
        let Command::Exec(exec) = args.command else { panic!("exec") };
        assert_eq!(exec.command, ["ls", "--env", "x"]);
        assert_eq!(args.global.env, None);
        let args =
            Args::try_parse_from(["dsops", "exec", "ls", "--all"]).expect("`--` is optional");
        let Command::Exec(exec) = args.command else { panic!("exec") };
        assert_eq!(exec.command, ["ls", "--all"]);
    }
}
