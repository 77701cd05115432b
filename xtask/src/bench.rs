//! `cargo xtask bench [exec|memory] [--rounds N] [--markdown]`: measures speed and size, beside the
//! floor and the peers that are installed. Prints; judges nothing but the goals it names.

pub(crate) mod elf;
pub(crate) mod exec;
pub(crate) mod peers;
pub(crate) mod runner;
pub(crate) mod table;

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
            "exec" | "memory" if what.is_none() => what = Some(arg.as_str()),
            other => {
                bail!("unknown argument `{other}`: bench [exec|memory] [--rounds N] [--markdown]")
            }
        }
    }
    if what != Some("memory") {
        print!("{}", table::render(&exec::measure(rounds)?, markdown));
    }
    if what != Some("exec") {
        memory()?;
    }
    Ok(())
}

/// The protected memory beside other crates: a package of its own, so that its dependencies stay
/// out of ours.
fn memory() -> anyhow::Result<()> {
    let folder = workspace::root().join("benches/peers");
    if !folder.join("Cargo.toml").is_file() {
        process::report_part_not_run("bench memory", "benches/peers is not in this checkout");
        return Ok(());
    }
    process::run(process::cargo().current_dir(folder).args([
        "run",
        "--quiet",
        "--release",
        "--locked",
    ]))
}
