//! `dsops`: run programs with secrets that provably stay secret. `main` maps a result to an exit code.

mod args;
mod cached;
mod cmd;
mod complete;
mod context;
mod declare;
mod editor;
mod embedded;
mod env_vars;
mod environment;
mod exit;
mod git;
mod observer;
mod panic;
mod progress;
mod prompt;
// What is documented is what is built by default.
#[cfg(all(test, feature = "verify"))]
mod reference;
mod report;
mod selection;
mod store_types;
mod trust;
mod ui;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::error::ErrorKind;
use dsops_secure_mem::ZeroizingAlloc;

use crate::args::{Args, Command};
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::ui::Ui;

/// The net under libraries that hold parts of a secret for a moment: what is freed is zeroed.
#[global_allocator]
static ALLOCATOR: ZeroizingAlloc = ZeroizingAlloc::system();

fn main() -> ExitCode {
    panic::install();
    let words: Vec<OsString> = std::env::args_os().collect();
    let args = match Args::read(&words) {
        Ok(args) => args,
        Err(error) => return usage(&error, &words),
    };
    // The demo's child plays an ordinary program, and ordinary programs do not harden themselves.
    if !matches!(&args.command, Command::Demo(demo) if demo.child) {
        dsops_secure_mem::harden_process();
    }
    let mut cx = Context::new(&args.global);
    if let Command::Exec(exec) = &args.command {
        cx.environment.keep(&exec.keep);
    }
    match run(&cx, &args.command) {
        Ok(code) => code,
        Err(failure) => {
            cx.ui.failure(&failure);
            failure.exit.into()
        }
    }
}

fn run(cx: &Context, command: &Command) -> Result<ExitCode, Failure> {
    let exit = match command {
        Command::Init(args) => cmd::init::run(cx, args),
        Command::Set(args) => cmd::set::run(cx, args),
        Command::Get(args) => cmd::get::run(cx, args),
        Command::Plan(args) => cmd::plan::run(cx, args),
        Command::Exec(args) => cmd::exec::run(cx, args)?.exit_like_child(),
        Command::Edit(args) => cmd::edit::run(cx, args),
        Command::Recipients(args) => cmd::recipients::run(cx, args),
        Command::Rekey(args) => cmd::rekey::run(cx, args),
        Command::Import(args) => cmd::import::run(cx, args),
        Command::Trust(args) => cmd::trust::run(cx, args),
        Command::Hook(args) => cmd::hook::run(args),
        Command::HookState(args) => cmd::hook::state(cx, args),
        Command::Render(args) => cmd::render::run(cx, args),
        Command::List(args) => cmd::list::run(cx, args),
        Command::Unset(args) => cmd::unset::run(cx, args),
        Command::Cache(args) => cmd::cache::run(cx, args),
        Command::Config(args) => cmd::config::run(cx, args),
        Command::Providers(args) => cmd::providers::run(cx, args),
        Command::Login(args) => cmd::login::run(cx, args),
        #[cfg(feature = "verify")]
        Command::Verify(args) => cmd::verify::run(cx, args),
        #[cfg(feature = "sbom")]
        Command::Sbom(args) => cmd::sbom::run(cx, args),
        #[cfg(feature = "sign")]
        Command::Sign(args) => cmd::sign::run(cx, args),
        #[cfg(feature = "sign")]
        Command::Attest(args) => cmd::attest::run(cx, args),
        Command::Doctor(args) => cmd::doctor::run(cx, args),
        Command::Completion(args) => cmd::completion::run(cx, args),
        Command::Complete(words) => cmd::completion::answer(cx, words),
        Command::Man(args) => cmd::man::run(cx, args),
        Command::Demo(args) => return cmd::demo::run(cx, args),
    };
    exit.map(ExitCode::from)
}

/// Help and version are answers; anything else is a usage error, which under `exec` must not look
/// like an exit code of the child.
fn usage(error: &clap::Error, words: &[OsString]) -> ExitCode {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if is_answer {
        // As with any other data: what could not be written was not said.
        let printed = error.print().map_err(Failure::from);
        return printed.map_or_else(
            |failure| {
                Ui::plain(false).failure(&failure);
                failure.exit.into()
            },
            |()| Exit::Ok.into(),
        );
    }
    let exit = if subcommand(words).is_some_and(|word| word == "exec") {
        Exit::BeforeChild
    } else {
        Exit::Usage
    };
    if words.iter().take_while(|word| *word != "--").any(|word| word == "--json") {
        Ui::plain(true).failure(&Failure::new(exit, Report::from_usage(error)));
    } else {
        // There is nobody left to tell when stderr is gone.
        let _ = error.print();
    }
    exit.into()
}

/// The first word that is neither a flag nor a global flag's value.
fn subcommand(words: &[OsString]) -> Option<&OsStr> {
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        if word == "--config" || word == "--env" {
            words.next();
        } else if !word.as_encoded_bytes().starts_with(b"-") {
            return Some(word);
        }
    }
    None
}
