//! `cargo xtask bench [exec|verify|memory|cache] [--rounds N] [--markdown]`: measures speed and size, beside the
//! floor and the peers that are installed. Prints; judges nothing but the goals it names.

pub(crate) mod elf;
pub(crate) mod exec;
pub(crate) mod peers;
pub(crate) mod runner;
pub(crate) mod table;
mod verify;

use anyhow::{Context as _, bail};

use crate::{process, workspace};

/// How often each case runs when nothing is said.
const ROUNDS: usize = 200;

/// Runs the command.
///
/// # Errors
/// An unknown argument, a build or a run that fails.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let (mut rounds, mut markdown, mut what) = (ROUNDS, false, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--rounds" => {
                rounds =
                    args.next().and_then(|n| n.parse().ok()).context("--rounds takes a number")?;
            }
            "--markdown" => markdown = true,
            "exec" | "verify" | "memory" | "cache" if what.is_none() => what = Some(arg.as_str()),
            other => {
                bail!(
                    "unknown argument `{other}`: bench [exec|verify|memory|cache] [--rounds N] [--markdown]"
                )
            }
        }
    }
    let is_wanted = |name| what.is_none_or(|what| what == name);
    if is_wanted("exec") {
        print!("{}", table::render(&exec::measure(rounds)?, markdown));
    }
    if is_wanted("verify") {
        print!("{}", table::render(&verify::measure(rounds)?, markdown));
    }
    if is_wanted("memory") {
        package("bench memory", "benches/peers")?;
    }
    if is_wanted("cache") {
        package("bench cache", "benches/cache")?;
    }
    Ok(())
}

/// What is measured beside other crates: a package of its own, so that they stay out of our
/// dependencies.
fn package(name: &str, folder: &str) -> anyhow::Result<()> {
    let reason = format!("{folder} is not in this checkout");
    let folder = workspace::root().join(folder);
    if !folder.join("Cargo.toml").is_file() {
        process::report_part_not_run(name, &reason);
        return Ok(());
    }
    process::run(process::cargo().current_dir(folder).args([
        "run",
        "--quiet",
        "--release",
        "--locked",
    ]))
}
