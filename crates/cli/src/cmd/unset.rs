//! `dsops unset`: removes a value from the embedded store, and its declaration where that is wanted.

use std::io::{self, IsTerminal};
use std::time::SystemTime;

use dsops_resolver::{Config, OpenContext, PlannedSource, plan};
use dsops_stores::{Registry, sops};

use crate::cached::Kept;
use crate::context::Context;
use crate::declare;
use crate::embedded::{self, Target, shown, store_failure};
use crate::exit::Exit;
use crate::prompt;
use crate::report::{Failure, Report};
use crate::ui;

const EXAMPLES: &str = "\
Examples:
  dsops unset OLD_TOKEN
  dsops unset OLD_TOKEN --env prod --declaration";

// What `dsops unset` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The variable's name
    pub name: String,
    /// Remove the declaration from dsops.yaml too, without asking
    #[arg(long, conflicts_with = "keep_declaration")]
    pub declaration: bool,
    /// Leave the declaration in dsops.yaml, without asking
    #[arg(long)]
    pub keep_declaration: bool,
    /// Remove a value that other variables or environments use too
    #[arg(long)]
    pub force: bool,
}

/// Runs the command.
///
/// # Errors
/// There is no such value, others use it, or a file cannot be written.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let name = ui::one_line(&args.name);
    let config = cx.load()?;
    let environment = cx.environment_of(&config)?;
    let target = Target::find(cx, &config, environment, &args.name)?;
    refuse_shared(args, &config, environment, &target)?;
    let open = OpenContext::new(config.base_dir(), &cx.environment);
    let document = embedded::read(&config, target.settings)?;
    if target.declared.is_none() && !document.keys().is_ok_and(|keys| keys.contains(&target.key)) {
        return Err(embedded::unknown_variable(
            environment,
            &args.name,
            config.variables(environment),
        ));
    }
    let undeclare = wants_declaration_gone(cx, args, &target)?;
    let by_hand = format!("remove `{name}` from `envs.{environment}` by hand");
    let edit = |text: &str| declare::undeclare(text, environment, &args.name);
    if undeclare {
        // Whatever can be known to fail does so before anything is changed.
        check_declared_here(&config, environment, &target)?;
        embedded::edited(&config, &by_hand, edit)?;
    }
    let store = sops::locate(target.settings, &open).map_err(Failure::from_store)?;
    let kept = Kept::of(cx, &config, target.settings);
    store
        .change(|document| document.unset(&target.key, SystemTime::now()))
        .map_err(|error| store_failure(&error))?;
    if let Some(kept) = kept {
        kept.forget(cx.ui, [&target.key]);
    }
    cx.ui.note(format!("removed {name} from {}", shown(&store.path).display()));
    if undeclare {
        embedded::edit(&config, &format!("the value is removed; {by_hand}"), edit)?;
        cx.ui.note(format!(
            "removed {name} from {} (environment `{environment}`)",
            config.path().display()
        ));
    } else if target
        .declared
        .is_some_and(|variable| !variable.optional && variable.default.is_none())
    {
        cx.ui.report(
            &Report::warning(format!("{name} is still declared as required, so `exec` fails"))
                .help(format!("set it again, or remove `{name}` from {}", config.path().display())),
        );
    }
    Ok(Exit::Ok)
}

/// Refuses to remove what another variable, here or in another environment, gets as well.
fn refuse_shared(
    args: &Args,
    config: &Config,
    environment: &str,
    target: &Target<'_>,
) -> Result<(), Failure> {
    if args.force {
        return Ok(());
    }
    let registry = Registry::new();
    let mut others = Vec::new();
    for name in config.environments() {
        // An environment that cannot be planned gets no value either.
        let Ok(plan) = plan(config, name, &registry) else { continue };
        let uses = |source: &PlannedSource| match source {
            PlannedSource::Item { reference, item } => {
                reference.store == target.settings.name() && item.key == target.key
            }
            _ => false,
        };
        others.extend(
            plan.variables
                .iter()
                .filter(|variable| uses(&variable.source))
                .filter(|variable| (name, &*variable.name) != (environment, &*args.name))
                .map(|variable| format!("{} (environment `{name}`)", ui::one_line(&variable.name))),
        );
    }
    if others.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Config,
        Report::error(format!("{} is also the value of {}", target.reference(), others.join(", ")))
            .help("`--force` removes it for all of them; to remove one variable alone, delete its line in dsops.yaml"),
    ))
}

/// The flag, else the answer of a person; without either the declaration stays.
fn wants_declaration_gone(cx: &Context, args: &Args, target: &Target<'_>) -> Result<bool, Failure> {
    if target.declared.is_none() || args.keep_declaration {
        return Ok(false);
    }
    let can_ask = !cx.non_interactive && !cx.ui.json && io::stdin().is_terminal();
    if args.declaration || !can_ask {
        return Ok(args.declaration);
    }
    prompt::yes("Remove its declaration from dsops.yaml too?")
}

/// A declaration that another file or environment brings is not removed from here.
fn check_declared_here(
    config: &Config,
    environment: &str,
    target: &Target<'_>,
) -> Result<(), Failure> {
    let Some(variable) = &target.declared else { return Ok(()) };
    if *variable.environment == *environment
        && *variable.place.file == *config.path().display().to_string()
    {
        return Ok(());
    }
    let mut report = Report::error(format!(
        "{} is declared in the environment `{}`, from which `{environment}` inherits it",
        ui::one_line(&variable.name),
        variable.environment
    ))
    .help("remove it there, or use `--keep-declaration`");
    report.place = Some(variable.place.clone());
    Err(Failure::new(Exit::Config, report))
}
