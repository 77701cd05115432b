//! The command line as it is typed. What it means is decided in `context.rs` and in each command.

use std::ffi::OsString;
use std::time::Duration;

use clap::builder::{FalseyValueParser, OsStringValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueHint};

use dsops_resolver::suggest;

#[cfg(feature = "sbom")]
use crate::cmd::sbom;
#[cfg(feature = "verify")]
use crate::cmd::verify;
#[cfg(feature = "sign")]
use crate::cmd::{attest, sign};
use crate::cmd::{
    cache, completion, config, demo, doctor, edit, exec, get, hook, import, init, list, login, man,
    plan, providers, recipients, rekey, render, set, trust, unset,
};
use crate::env_vars;
use crate::environment::is_any_set;

/// Run programs with secrets that provably stay secret.
#[derive(Debug, Parser)]
#[command(
    name = "dsops",
    version,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 ok, 1 a check found something, 2 usage, 3 configuration, 4 a store \
                  failed, 5 not verified, 6 protection unavailable, 7 could not decide.\n`exec` mirrors the child; 124 timeout (137 if it had to be killed), \
                  125 dsops failed first, 126 not executable, 127 not found."
)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

// `dsops exec …` alone: what [`Args`] says of it, without building all other commands first.
//
// `exec` is run often and measured in microseconds; building the whole command line takes 100 of them.
#[derive(Debug, Parser)]
#[command(name = "dsops exec", disable_help_flag = true)]
struct ExecAlone {
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    exec: exec::Args,
}

// `dsops --version` alone, for the same reason: package managers and prompts ask it often.
#[derive(Debug, Parser)]
#[command(name = "dsops", version)]
struct VersionAlone;

impl Args {
    /// Reads the command line.
    ///
    /// # Errors
    /// What is wrong with it; also a request for help or for the version.
    pub fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        if let Some(plain) = plain_exec(words, is_any_set) {
            return Ok(plain);
        }
        if words.get(1).is_some_and(|word| word == "exec") {
            let alone = std::iter::once(&words[0]).chain(&words[2..]);
            // What is wrong is told by the whole parser, in its words.
            if let Ok(ExecAlone { global, exec }) = ExecAlone::try_parse_from(alone) {
                return Ok(Self { global, command: Command::Exec(exec) });
            }
        }
        if matches!(words, [_, word] if word == "--version" || word == "-V") {
            VersionAlone::try_parse_from(words)?;
        }
        Self::try_parse_from(words).map_err(|error| with_suggestion(error, words))
    }
}

/// `dsops exec [--env NAME] -- COMMAND…` and nothing else, which is what is run most: read without
/// building any parser, which costs as much as reading all documents. Everything else, and whatever
/// could be an error, is left to the parser.
fn plain_exec(words: &[OsString], is_any_set: impl Fn(&[&str]) -> bool) -> Option<Args> {
    let (exec, rest) = words.get(1..)?.split_first()?;
    let (env, rest) = match rest {
        [flag, name, rest @ ..] if flag == "--env" => (Some(name.to_str()?.to_owned()), rest),
        _ => (None, rest),
    };
    // A name that begins with a dash or is empty is for the parser to judge.
    let is_plain = |name: &str| name.starts_with(|first: char| first.is_ascii_alphanumeric());
    match rest {
        [dashes, command @ ..] if dashes == "--" && exec == "exec" && !command.is_empty() => {
            if !env.as_deref().is_none_or(is_plain) || is_any_set(GLOBAL_VARIABLES) {
                return None;
            }
            let global = Global { env, ..Global::default() };
            Some(Args { global, command: Command::Exec(exec::Args::plain(command.to_vec())) })
        }
        _ => None,
    }
}

/// The variables that stand for flags of [`Global`].
const GLOBAL_VARIABLES: &[&str] = &[
    env_vars::CONFIG,
    env_vars::ENV,
    env_vars::NO_COLOR_FLAG,
    env_vars::QUIET,
    env_vars::VERBOSE,
    env_vars::NON_INTERACTIVE,
    env_vars::FETCH_TIMEOUT,
];

/// The same error with a flag or command that may be meant, where the parser has none: it does not
/// know swapped letters, as `--evn`.
fn with_suggestion(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    let mut root = <Args as clap::CommandFactory>::command();
    root.build();
    let (wrong, suggested) = match error.kind() {
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        ErrorKind::InvalidSubcommand => {
            (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand)
        }
        _ => return error,
    };
    let Some(ContextValue::String(typed)) = error.get(wrong) else { return error };
    if error.get(suggested).is_some() {
        return error;
    }
    // The command whose words these are: as far down as names go.
    let command = words
        .iter()
        .skip(1)
        .filter_map(|word| word.to_str())
        .fold(&root, |command, word| command.find_subcommand(word).unwrap_or(command));
    let likely = if wrong == ContextKind::InvalidArg {
        let flags = command.get_arguments().filter(|arg| !arg.is_hide_set());
        let name = typed.trim_start_matches('-');
        suggest(name, flags.filter_map(clap::Arg::get_long)).map(|flag| format!("--{flag}"))
    } else {
        let known = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        suggest(typed, known.map(clap::Command::get_name)).map(str::to_owned)
    };
    if let Some(likely) = likely {
        let value = match wrong {
            ContextKind::InvalidArg => ContextValue::String(likely),
            _ => ContextValue::Strings(vec![likely]),
        };
        error.insert(suggested, value);
    }
    error
}

// Flags that every command takes, before or after its name.
#[derive(Clone, Debug, Default, ClapArgs)]
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
    /// Give up when the stores have not answered after this time (`10s`, `2m`)
    #[arg(long, global = true, value_name = "TIME", env = env_vars::FETCH_TIMEOUT, hide_env_values = true, value_parser = exec::parse_duration)]
    pub fetch_timeout: Option<Duration>,
    /// Print results as JSON on stdout, and warnings and errors as lines of JSON on stderr
    #[arg(long, global = true)]
    pub json: bool,
}

// What to do.
#[derive(Debug, Subcommand)]
// Only the command that is typed is built: all of them take 0.9 ms and 200 pages of memory. What a
// command takes has plain comments: as documentation they would replace the words here.
#[command(defer = true)]
pub enum Command {
    /// Make dsops.yaml and an encrypted secrets.sops.yaml here
    Init(init::Args),
    /// Store one secret (asked for without echo, or read from stdin or a file)
    Set(set::Args),
    /// Remove one secret from the encrypted store
    Unset(unset::Args),
    /// Edit the embedded store in your editor, as plaintext in memory only
    Edit(edit::Args),
    /// Show and change who can open the embedded store
    Recipients(recipients::Args),
    /// Give the embedded store a new data key
    Rekey(rekey::Args),
    /// Print one secret
    Get(get::Args),
    /// List the variables of an environment and whether they have a stored value
    List(list::Args),
    /// Show what would be fetched from where, without fetching
    Plan(plan::Args),
    /// Run a program with the secrets of an environment
    Exec(exec::Args),
    /// Write the secrets of an environment as a file (dotenv, JSON, k8s, …)
    Render(render::Args),
    /// Take the values of another tool's file into the embedded store
    Import(import::Args),
    /// Allow this very configuration what can run code or redirect secrets
    Trust(trust::Args),
    /// Load the secrets of a trusted project on `cd`: print the hook of a shell
    Hook(hook::Args),
    /// What the hook asks on a change of folder
    #[command(hide = true)]
    HookState(hook::StateArgs),
    /// Check that files, releases and images are what their publisher signed
    #[cfg(feature = "verify")]
    Verify(Box<verify::Args>),
    /// List what is in a program, and compare and check such lists (SBOM)
    #[cfg(feature = "sbom")]
    Sbom(sbom::Args),
    /// Sign files, with a key or keyless
    #[cfg(feature = "sign")]
    Sign(Box<sign::Args>),
    /// Say how files were built or what is in them, signed
    #[cfg(feature = "sign")]
    Attest(attest::Args),
    /// Check protection, configuration, stores and file modes
    Doctor(doctor::Args),
    /// Show and clean what is kept of stores' answers
    Cache(cache::Args),
    /// Check, explain and migrate the configuration
    Config(config::Args),
    /// List the types of stores and the stores of the configuration
    Providers(providers::Args),
    /// Say what a store needs to be used, and what of it is there
    Login(login::Args),
    /// See it work on a throw-away project
    Demo(demo::Args),
    /// Print what makes a shell complete the command line
    Completion(completion::Args),
    /// What the shells ask
    #[command(name = "__complete", hide = true)]
    Complete(completion::Words),
    /// Print the manual page of a command
    Man(man::Args),
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
    fn the_plainest_exec_reads_what_the_whole_parser_reads() {
        let split = |words: &str| words.split(' ').map(OsString::from).collect::<Vec<_>>();
        for words in ["dsops exec -- true", "dsops exec --env dev -- ls --all -- -x --env y"] {
            let plain = plain_exec(&split(words), |_| false).expect("is plain");
            let whole = Args::try_parse_from(split(words)).expect("parses");
            assert_eq!(format!("{plain:?}"), format!("{whole:?}"));
            assert!(plain_exec(&split(words), |_| true).is_none(), "variables are flags too");
        }
        for words in [
            "dsops",
            "dsops exec",
            "dsops exec --",
            "dsops exec true",
            "dsops exec --env -- true",
            "dsops exec --env -x -- true",
            "dsops exec --env  -- true",
            "dsops exec -q -- true",
            "dsops exec --env a --env b -- true",
            "dsops plan -- true",
        ] {
            assert!(plain_exec(&split(words), |_| false).is_none(), "{words}");
        }
    }

    #[test]
    fn every_variable_of_a_global_flag_is_asked_for() {
        let command = Args::command();
        let declared = command.get_arguments().filter_map(clap::Arg::get_env);
        let declared: Vec<&str> = declared.map(|name| name.to_str().expect("ours")).collect();
        assert_eq!(declared, GLOBAL_VARIABLES);
    }

    #[test]
    fn the_short_way_for_the_version_says_what_the_whole_parser_says() {
        for words in [["dsops", "--version"], ["/usr/bin/dsops", "-V"]] {
            let short = Args::read(&words.map(OsString::from)).expect_err("an answer");
            let whole = Args::try_parse_from(words).expect_err("an answer");
            assert_eq!(short.kind(), ErrorKind::DisplayVersion);
            assert_eq!(short.to_string(), whole.to_string());
        }
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
