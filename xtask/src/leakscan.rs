//! `cargo xtask leakscan [--dsops FILE] [--swap] [--part NAME]`: searches everything an observer can see of a
//! running `dsops` for the secrets it handles, and must find nothing.
//!
//! A static release build runs in a throw-away project with random secrets. At every system call
//! of `exec`, in both modes and as two users, all its memory is read in two ways and searched for
//! the secrets and the identity: raw, UTF-16, base64, hex, and every piece of 16 bytes. Then dumps
//! by gdb and by the kernel, a reader of the same user, every command and every failing path, each
//! transform, document format and kind of key, all output, all files, and on request a swap file. A
//! control that takes no care of its secret runs in the same conditions and must be caught, or the
//! search proves nothing. `--part` runs one of memory, dumps, readers, commands, features and signing
//! alone.
//!
//! One place has no secret an observer could read and is not searched: at the stop of `execve` the
//! environment lies in hidden memory, and the kernel's own copy of it is not the program's.

pub(crate) mod binaries;
mod cases;
mod cosign_key;
mod dumps;
mod edit;
mod features;
mod keys;
pub(crate) mod memory;
pub(crate) mod needles;
pub(crate) mod observe;
mod outputs;
pub(crate) mod project;
mod readers;
mod report;
mod scanner;
mod signing;
mod stages;
mod swap;
pub(crate) mod tracer;

use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::process;
use report::Report;
use stages::Marked;

/// The plain user that programs run as when we are the superuser: `nobody`.
const PLAIN_USER: u32 = 65534;

/// Runs the command.
///
/// # Errors
/// Something was found, or a part that must be made could not be.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    if let Some((first, rest)) = args.split_first()
        && first == "--read"
    {
        return readers::read_as_other(rest);
    }
    let (mut dsops, mut with_swap, mut part) = (None, false, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--dsops" => dsops = Some(PathBuf::from(args.next().context("--dsops takes a file")?)),
            "--swap" => with_swap = true,
            "--part" => part = Some(Part::named(args.next().context("--part takes a name")?)?),
            other => {
                bail!("unknown argument `{other}`: leakscan [--dsops FILE] [--swap] [--part NAME]")
            }
        }
    }
    let wanted = |this: Part| part.is_none_or(|part| part == this);
    let dsops = dsops.map_or_else(binaries::dsops, Ok)?;
    let control = binaries::control()?;
    dumps::allow_cores()?;
    let mut report = Report::default();
    let users = if process::is_root() { vec![None, Some(PLAIN_USER)] } else { vec![None] };
    let marked = users
        .into_iter()
        .map(|user| Marked::create(&dsops, user))
        .collect::<anyhow::Result<Vec<_>>>()?;
    for marked in &marked {
        println!(
            "{}: {} secrets, {} needles, each looked for whole and in pieces of 16 bytes",
            stages::user_name(marked.project.user()),
            marked.search.secrets().len(),
            marked.search.needles()
        );
    }
    if wanted(Part::Memory) {
        report::section("Memory at every system call");
        report::stages_head();
        let runs = marked
            .iter()
            .map(|marked| stages::scan(marked, &control))
            .collect::<anyhow::Result<Vec<_>>>()?;
        runs.iter().flatten().for_each(|run| run.judge(&mut report));
    }
    if wanted(Part::Dumps) {
        for marked in &marked {
            report::section(&format!("Dumps, {}", stages::user_name(marked.project.user())));
            dumps::check(marked, &control, &mut report)?;
        }
    }
    if wanted(Part::Readers) {
        report::section("A reader of the same user");
        for marked in marked.iter().filter(|marked| marked.project.user().is_some()) {
            readers::check(marked, &control, &mut report)?;
        }
        if !process::is_root() {
            let why = "only the superuser can start it as a user of its own";
            report.not_run("same-user reader", why);
        }
    }
    if wanted(Part::Commands) {
        report::section("Every command, every failing path");
        for marked in &marked {
            outputs::check(marked, &mut report)?;
        }
    }
    if wanted(Part::Features) {
        // One user will do: as the superuser it runs the same way, with fewer limits.
        if let Some(marked) = marked.last() {
            let user = stages::user_name(marked.project.user());
            report::section(&format!("What a configuration can ask for, {user}"));
            outputs::check_features(marked, &control, &mut report)?;
        }
    }
    if wanted(Part::Signing)
        && let Some(marked) = marked.last()
    {
        let user = stages::user_name(marked.project.user());
        report::section(&format!("Keys that sign, {user}"));
        outputs::check_signing(marked, &control, &mut report)?;
    }
    report::section("Swap");
    match marked.first() {
        Some(marked) if with_swap => swap::check(marked, &control, &mut report)?,
        _ => report.not_run("swap", "it was not asked for (--swap)"),
    }
    report.finish()
}

/// A part of the scan, to be run alone while something is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Memory,
    Dumps,
    Readers,
    Commands,
    Features,
    Signing,
}

impl Part {
    fn named(name: &str) -> anyhow::Result<Self> {
        Ok(match name {
            "memory" => Self::Memory,
            "dumps" => Self::Dumps,
            "readers" => Self::Readers,
            "commands" => Self::Commands,
            "features" => Self::Features,
            "signing" => Self::Signing,
            _ => bail!("`{name}` is none of memory, dumps, readers, commands, features, signing"),
        })
    }
}
