//! `cargo xtask COMMAND`: everything the project does to itself. One module per command.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a developer's tool: it talks on the terminal, reads the environment and writes files"
)]

#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")),
    path = "elsewhere.rs"
)]
mod api;
mod bench;
mod calendar;
mod ci;
mod controls;
#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")),
    path = "elsewhere.rs"
)]
mod counts;
mod cross;
mod deny;
mod docs;
mod fuzz;
mod interop;
mod layers;
#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")),
    path = "elsewhere.rs"
)]
mod leakscan;
mod process;
mod release;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use process::NotRun;

/// A command: its name, one line of help, and what runs it.
type Command = (&'static str, &'static str, fn(&[String]) -> anyhow::Result<()>);

const COMMANDS: &[Command] = &[
    ("ci", "run every check, as continuous integration does", ci::run),
    ("layers", "check the arrows between crates, lints and dependencies", layers::run),
    ("deny", "check licences, bans, sources and known advisories", deny::run),
    ("tidy", "check the form of files, links and CODEOWNERS", tidy::run),
    ("controls", "check workflows, policies and their evidence", controls::run),
    ("docs", "write the reference and the manual pages from the code", docs::run),
    ("api", "compare the public interface of every crate with its listing", api::run),
    ("cross", "type-check and lint the other platforms", cross::run),
    ("fuzz", "build every fuzz target and run each for a few seconds", fuzz::run),
    (
        "dist",
        "build the static program and its archive, the same bytes everywhere",
        release::dist::run,
    ),
    ("image", "make an image of the program, or push it", release::image::run),
    ("sbom", "list the components of each file of the release", release::sbom::run),
    (
        "sign",
        "sign each file of the release as the workflow does, with a stand-in",
        release::sign::run,
    ),
    ("repro", "build twice in different places and compare", release::repro::run),
    ("verify", "verify a release with the program in it, and tamper with it", release::verify::run),
    ("release", "the whole way of a release; publishes nothing", release::run),
    ("tools", "install the pinned tools the checks need", tools::run),
    ("interop", "test against the real sops", interop::run),
    ("leakscan", "search the memory of a running dsops for its secrets", leakscan::run),
    ("bench", "measure speed and size, beside the peers", bench::run),
    ("counts", "count system calls and instructions against the checked-in figures", counts::run),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = args.split_first() else {
        eprintln!("{}", usage());
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        println!("{}", usage());
        return ExitCode::SUCCESS;
    }
    let Some((_, _, command)) = COMMANDS.iter().find(|(known, ..)| known == name) else {
        eprintln!("error: no command `{name}`\n\n{}", usage());
        return ExitCode::from(2);
    };
    match command(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<NotRun>() => {
            println!("{error}");
            ExitCode::from(NotRun::EXIT_CODE)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The commands, one a line.
fn usage() -> String {
    let lines = COMMANDS.iter().map(|(name, help, _)| format!("\n  {name:<9} {help}"));
    format!("usage: cargo xtask COMMAND [OPTIONS]\n{}", lines.collect::<String>())
}
