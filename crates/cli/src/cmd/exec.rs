//! `dsops exec`: fetch everything, then run the program; fail closed.

mod told;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ValueEnum, ValueHint};
use dsops_execenv::{
    ChildLimits, EnvPolicy, Exec, ExecError, Mode, Name, Outcome, ResourceLimit, is_dangerous,
};
use dsops_resolver::{Place, Plan, PlannedVariable, Power, codes};
use dsops_secure_mem::{Limit, original_limits, protection, vault};
use dsops_stores::CREDENTIAL_VARIABLES;

use crate::cached;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::selection::Selected;

/// How `exec` starts the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Start {
    /// Replace when nothing is left to do, else supervise
    #[default]
    Auto,
    /// Become the program (execve in place)
    Replace,
    /// Stay as its parent
    Supervise,
}

const EXAMPLES: &str = "\
Examples:
  dsops exec -- npm start
  dsops exec --offline -- npm test
  dsops exec --env prod --timeout 5m -- ./migrate --all
  dsops exec --clean --keep 'NPM_*' --require-protection -- npm publish";

// What `dsops exec` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "flags are independent of each other")]
pub struct Args {
    /// How to start the program
    #[arg(long, value_enum, default_value_t)]
    pub mode: Start,
    /// Variables that are set already win over secrets of the same name
    #[arg(long)]
    pub allow_override: bool,
    #[command(flatten)]
    pub selected: Selected,
    #[command(flatten)]
    pub cache: cached::Flags,
    /// Start the program in this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
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
    /// Show on stderr which secrets the program gets and about how long they are, then run it
    #[arg(long)]
    pub print: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// The default of `--grace`.
const GRACE: Duration = Duration::from_secs(10);

impl Args {
    /// A command with every flag as it is when it is not given.
    pub fn plain(command: Vec<OsString>) -> Self {
        Self {
            mode: Start::default(),
            allow_override: false,
            selected: Selected::default(),
            cache: cached::Flags::default(),
            working_dir: None,
            timeout: None,
            grace: GRACE,
            clean: false,
            pristine: false,
            keep: Vec::new(),
            drop: Vec::new(),
            allow_dangerous: Vec::new(),
            keep_fd: Vec::new(),
            no_core: false,
            require_protection: false,
            print: false,
            command,
        }
    }
}

/// Runs the command. In replace mode it does not come back on success.
///
/// # Errors
/// Everything that keeps the program from starting, with exit code 125, 126 or 127.
pub fn run(cx: &Context, args: &Args) -> Result<Outcome, Failure> {
    // Before anything secret is read: memory that does not hold must never get it.
    require_protection(args.require_protection)?;
    let config = cx.load().map_err(before_child)?;
    let plan = cx.plan_selected(&config, &args.selected).map_err(before_child)?;
    // The command is looked up before anything is fetched: a typo costs no secret.
    let mode = check_command(args, &plan)?;
    let allowed = |variable: &Place| {
        let of = |known: &&PlannedVariable| known.place == *variable;
        plan.variables.iter().find(of).is_some_and(|v| args.allow_dangerous.contains(&v.name))
    };
    let counts = |power: &Power| match power.code {
        codes::POWER_VARIABLE => !allowed(&power.place),
        code => code != codes::POWER_TEMPLATE,
    };
    let resolved = cx.resolve_trusting(&config, &plan, args.cache, counts).map_err(before_child)?;
    for name in resolved.missing() {
        cx.ui.detail(format!("note: {name} is optional and was left out"));
    }
    // What was fetched may have outgrown the memory that holds.
    require_protection(args.require_protection)?;
    tell_protection(cx);
    let shown = args.print.then(|| told::shown(&resolved));
    let mut exec = command(args, &plan, cx.environment.credentials());
    for (name, value) in resolved {
        exec = exec.secret(Name::new(name).map_err(ExecError::from).map_err(failed)?, value);
    }
    if let Some(shown) = shown {
        told::print(cx, &shown, &exec);
    }
    told::explain(cx, &exec);
    // The environment holds the stores' credentials, the plan the configuration's literals and
    // defaults.
    cx.environment.forget();
    drop((plan, config));
    if mode == Mode::Replace {
        return match exec.replace() {
            Ok(never) => match never {},
            Err(error) => Err(failed(error)),
        };
    }
    let running = exec.spawn().map_err(failed)?;
    // Nothing of a secret is left here. Give the hidden memory back: while any is mapped, the
    // machine cannot hibernate.
    vault().trim();
    running.wait().map_err(failed)
}

/// An error if all of the protection was asked for and some is missing.
fn require_protection(required: bool) -> Result<(), Failure> {
    if !required || protection().is_complete() {
        return Ok(());
    }
    let reports = protection()
        .degradations
        .into_iter()
        .map(|missing| Report::error(format!("memory protection: {missing}")).help(missing.remedy));
    Err(Failure::many(Exit::BeforeChild, reports))
}

/// Says what is missing of the protection, once.
fn tell_protection(cx: &Context) {
    for missing in protection().degradations {
        let text = format!("memory protection: {missing}");
        cx.ui.report(&Report::warning(text).help(missing.remedy));
    }
}

/// Finds the program and checks the names, before there is any value. Says how it will start.
fn check_command(args: &Args, plan: &Plan) -> Result<Mode, Failure> {
    let mut exec = command(args, plan, []);
    let mut problems = Vec::new();
    for variable in &plan.variables {
        match Name::new(variable.name.as_str()) {
            Ok(name) => exec = exec.announce(name),
            Err(error) => problems.push(Report::from(ExecError::from(error))),
        }
    }
    if !problems.is_empty() {
        return Err(Failure::many(Exit::BeforeChild, problems));
    }
    exec.plan().map(|plan| plan.mode).map_err(failed)
}

/// The command with everything but its secrets.
fn command(args: &Args, plan: &Plan, withheld: impl IntoIterator<Item = String>) -> Exec {
    let mut policy = match (args.clean, args.pristine) {
        (true, _) => EnvPolicy::clean(),
        (_, true) => EnvPolicy::pristine(),
        _ => EnvPolicy::inherit(),
    };
    policy = policy.existing_wins(args.allow_override);
    policy = args.keep.iter().fold(policy, EnvPolicy::keep);
    policy = args.drop.iter().fold(policy, EnvPolicy::drop);
    // Each dangerous name is allowed by its flag, or the configuration is trusted.
    let dangerous =
        plan.variables.iter().map(|variable| &variable.name).filter(|n| is_dangerous(n));
    policy = dangerous.fold(policy, EnvPolicy::allow_dangerous);
    // The keys to all stores are no business of the program, whether this run used them or not.
    policy = CREDENTIAL_VARIABLES.iter().fold(policy, EnvPolicy::withhold);
    policy = withheld.into_iter().fold(policy, EnvPolicy::withhold);
    let mut words = args.command.iter();
    let program = words.next().cloned().unwrap_or_default();
    let mut exec = Exec::new(program)
        .args(words)
        .env_policy(policy)
        .mode(match args.mode {
            Start::Auto => Mode::Auto,
            Start::Replace => Mode::Replace,
            Start::Supervise => Mode::Supervise,
        })
        .child_limits(child_limits())
        .child_no_core(args.no_core);
    if let Some(limit) = args.timeout {
        exec = exec.timeout(limit, args.grace);
    }
    if let Some(dir) = &args.working_dir {
        exec = exec.current_dir(dir);
    }
    args.keep_fd.iter().fold(exec, |exec, fd| exec.keep_fd(*fd))
}

/// The limits our caller had: hardening ourselves is no business of the child.
pub fn child_limits() -> ChildLimits {
    let original = original_limits();
    ChildLimits {
        core: original.core.map(resource_limit),
        memlock: original.locked_memory.map(resource_limit),
    }
}

fn resource_limit(limit: Limit) -> ResourceLimit {
    // The system's "unlimited" is its largest number.
    let finite = |value: u64| (value != u64::MAX).then_some(value);
    ResourceLimit { soft: finite(limit.soft), hard: finite(limit.hard) }
}

/// Whatever fails before the child starts is told by one code: the others are the child's.
fn before_child(failure: Failure) -> Failure {
    failure.with_exit(Exit::BeforeChild)
}

fn failed(error: ExecError) -> Failure {
    let exit = match error.exit_code() {
        127 => Exit::NotFound,
        126 => Exit::NotExecutable,
        _ => Exit::BeforeChild,
    };
    Failure::new(exit, error.into())
}

/// A bare number is seconds, as in the Go version; anything else is as people write it.
///
/// # Errors
/// It is neither.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if let Ok(secs) = text.parse::<u64>() {
        return Ok(Duration::from_secs(secs));
    }
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_seconds() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(parse_duration("soon").is_err());
    }
}
