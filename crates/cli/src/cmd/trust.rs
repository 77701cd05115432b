//! `dsops trust`: allow this very configuration to do what can run code or redirect secrets.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};

use dsops_resolver::{Config, Power};
use serde_json::json;

use crate::context::{Context, all_powers};
use crate::exit::Exit;
use crate::prompt;
use crate::report::{Failure, Report};
use crate::trust::TrustStore;
use crate::ui;

// `dsops trust`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dsops trust            # show what the configuration would be allowed, and ask
  dsops trust --show     # show it only; exits with 1 when it is not trusted
  dsops trust --yes      # allow it without asking, as in CI
  dsops trust --revoke   # take it back

In CI, DSOPS_TRUST=HASH (see --show) trusts one exact content without a record.")]
#[expect(clippy::struct_excessive_bools, reason = "flags are independent of each other")]
pub struct Args {
    /// Show what it would be allowed, and change nothing
    #[arg(long, conflicts_with_all = ["yes", "revoke", "list"])]
    pub show: bool,
    /// Do not ask
    #[arg(long, conflicts_with_all = ["revoke", "list"])]
    pub yes: bool,
    /// Take back every trust in the configuration at this path
    #[arg(long, conflicts_with = "list")]
    pub revoke: bool,
    /// List every configuration that is trusted
    #[arg(long)]
    pub list: bool,
}

/// Runs the command.
///
/// # Errors
/// There is no configuration, or the record cannot be written; with `--show`, it is not trusted.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let store = TrustStore::find(&cx.environment);
    if args.list {
        return list(&store, cx.ui.json);
    }
    let path = cx.config_path()?;
    if args.revoke {
        // What no longer loads can still be taken back.
        let path = std::fs::canonicalize(&path).unwrap_or(path);
        let removed = store.revoke(&path)?;
        cx.ui.note(match removed {
            0 => format!("{} was not trusted", path.display()),
            _ => format!("{} is not trusted any more", path.display()),
        });
        return Ok(Exit::Ok);
    }
    let config = cx.load()?;
    let trusted = store.trusts(&config);
    let powers = all_powers(&config);
    if args.show {
        show(&config, &powers, trusted, cx.ui.json)?;
        return Ok(if trusted || powers.is_empty() { Exit::Ok } else { Exit::Found });
    }
    if !cx.ui.json {
        show(&config, &powers, trusted, false)?;
    }
    if !trusted {
        if !args.yes && !asked(cx)? {
            return Err(Failure::new(Exit::Found, Report::error("nothing was changed")));
        }
        store.add(&config)?;
        cx.ui.note(format!("trusted {} as it is now", config.path().display()));
    }
    if cx.ui.json {
        show(&config, &powers, true, true)?;
    }
    Ok(Exit::Ok)
}

fn show(config: &Config, powers: &[Power], trusted: bool, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let powers: Vec<_> = powers
            .iter()
            .map(|power| json!({ "code": power.code, "what": power.what, "place": power.place.to_string() }))
            .collect();
        let value = json!({
            "version": 1,
            "path": config.path(),
            "hash": config.content_hash(),
            "trusted": trusted,
            "powers": powers,
        });
        return Ok(ui::print(format!("{value:#}\n").as_bytes())?);
    }
    let mut text = format!(
        "{}\n  hash     {}\n  trusted  {}\n",
        config.path().display(),
        config.content_hash(),
        if trusted { "yes" } else { "no" }
    );
    if powers.is_empty() {
        text.push_str("  nothing in it needs trust; the shell hook loads it only when trusted\n");
    } else {
        text.push_str("trusted, it would be allowed:\n");
    }
    for power in powers {
        let _ = writeln!(text, "  - {} ({})", ui::one_line(&power.what), power.place);
    }
    Ok(ui::print(text.as_bytes())?)
}

fn list(store: &TrustStore, as_json: bool) -> Result<Exit, Failure> {
    let records = store.records()?;
    let text = if as_json {
        let records: Vec<_> = records
            .iter()
            .map(|record| json!({ "path": record.path, "hash": record.content_hash }))
            .collect();
        format!("{:#}\n", json!({ "version": 1, "trusted": records }))
    } else {
        let line = |record: &crate::trust::Record| {
            let hash = record.content_hash.get(..12).unwrap_or(&record.content_hash);
            format!("{hash}  {}\n", ui::one_line(&record.path.display().to_string()))
        };
        records.iter().map(line).collect()
    };
    ui::print(text.as_bytes())?;
    Ok(Exit::Ok)
}

/// Asks a person.
fn asked(cx: &Context) -> Result<bool, Failure> {
    if cx.non_interactive || !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "trust has to be given by a person, or with --yes",
            "read what it would be allowed with `dsops trust --show`, then run `dsops trust --yes`",
        ));
    }
    prompt::yes("Trust it?")
}
