//! `dsops cache clean`, `rekey` and `destroy`: what takes something away.

use std::io::{self, IsTerminal};
use std::time::Duration;

use dsops_stores::cache::{self, Places};

use super::{At, failed, show};
use crate::context::Context;
use crate::exit::Exit;
use crate::prompt;
use crate::report::{Failure, Report};
use crate::ui;

/// Longer than looking at the largest cache takes.
const CLEAN_BUDGET: Duration = Duration::from_mins(5);

pub const REKEY_EXAMPLES: &str = "\
Examples:
  dsops cache rekey
  dsops cache rekey --yes
  dsops cache rekey --keep-entries

With --keep-entries the old key goes on opening what it closed, until that has expired: not after it
was seen by somebody else.";

pub const DESTROY_EXAMPLES: &str = "\
Examples:
  dsops cache destroy
  dsops cache destroy --yes

The key goes first, so copies of entries in backups are of no use any more.";

// `dsops cache rekey`
#[derive(Debug, clap::Args)]
pub struct RekeyArgs {
    #[command(flatten)]
    pub at: At,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Keep what is there readable with the old key until it expires
    #[arg(long)]
    pub keep_entries: bool,
}

// `dsops cache destroy`
#[derive(Debug, clap::Args)]
pub struct DestroyArgs {
    #[command(flatten)]
    pub at: At,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// Removes what is of no use.
///
/// # Errors
/// It cannot be used.
pub fn clean(cx: &Context, places: &Places) -> Result<Exit, Failure> {
    let Some(cache) = show::existing(cx, places)? else { return Ok(Exit::Ok) };
    let done = cache.maintain(CLEAN_BUDGET).map_err(|error| failed(&error.into()))?;
    let text = if cx.ui.json {
        let mut value = show::base(places);
        value["exists"] = true.into();
        for (name, count) in [
            ("expired", done.expired),
            ("torn", done.torn),
            ("offenders", done.offenders),
            ("evicted", done.evicted),
            ("orphans", done.orphans),
            ("entries", done.left.entries),
            ("bytes", done.left.bytes),
        ] {
            value[name] = count.into();
        }
        value["complete"] = done.complete.into();
        format!("{value:#}\n")
    } else {
        format!(
            "removed {} expired, {} left by crashes, {} not trusted, {} for room; {} left, {}\n",
            done.expired,
            done.torn + done.orphans,
            done.offenders,
            done.evicted,
            done.left.entries,
            show::bytes(done.left.bytes),
        )
    };
    ui::print(text.as_bytes())?;
    if !done.complete {
        cx.ui.report(&Report::warning("not all of it was looked at").help("run it again"));
    }
    Ok(Exit::Ok)
}

/// Gives it another key.
///
/// # Errors
/// Nobody agreed, or it cannot be done.
pub fn rekey(cx: &Context, places: &Places, args: &RekeyArgs) -> Result<Exit, Failure> {
    if args.keep_entries {
        let Some(cache) = show::existing(cx, places)? else { return Ok(Exit::Ok) };
        cache.rotate_key().map_err(|error| failed(&error.into()))?;
        return done(
            cx,
            places,
            "has a new key; the old one opens what it closed until that expires",
        );
    }
    if !cache::is_there(places) {
        return show::existing(cx, places).map(|_| Exit::Ok);
    }
    agreed(cx, args.yes, "Give up what is kept, and make a new key?")?;
    cache::rekey(places).map_err(|error| failed(&error))?;
    done(cx, places, "has a new key, and nothing in it")
}

/// Takes it away.
///
/// # Errors
/// Nobody agreed, or something cannot be removed.
pub fn destroy(cx: &Context, places: &Places, args: &DestroyArgs) -> Result<Exit, Failure> {
    if !cache::is_there(places) && !cache::is_key_there(places) {
        return show::existing(cx, places).map(|_| Exit::Ok);
    }
    agreed(cx, args.yes, "Take the cache away, with its key?")?;
    cache::destroy(places).map_err(|error| failed(&error))?;
    done(cx, places, "is gone, and so is its key")
}

fn done(cx: &Context, places: &Places, what: &str) -> Result<Exit, Failure> {
    if cx.ui.json {
        let mut value = show::base(places);
        value["exists"] = cache::is_there(places).into();
        ui::print(format!("{value:#}\n").as_bytes())?;
    }
    cx.ui.note(format!("{} {what}", places.cache_dir.display()));
    Ok(Exit::Ok)
}

/// Asks a person, unless the flag says yes.
fn agreed(cx: &Context, yes: bool, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if cx.non_interactive || cx.ui.json || !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "this takes away what is kept, so a person has to agree",
            "run it on a terminal, or with `--yes`",
        ));
    }
    if prompt::yes(question)? {
        Ok(())
    } else {
        Err(Failure::new(Exit::Found, Report::error("nothing was changed")))
    }
}
