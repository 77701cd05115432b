//! `dsops recipients`: who can open the embedded store.

use std::time::SystemTime;

use dsops_resolver::OpenContext;
use dsops_stores::age::Recipient;
use dsops_stores::sops::{self, SopsFile};
use serde_json::json;

use crate::context::Context;
use crate::embedded::{self, shown, store_failure};
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::ui;

// What `dsops recipients` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

// What to do with them.
#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Show them
    #[command(after_help = "Examples:\n  dsops recipients list\n  dsops recipients list --json")]
    List(Which),
    /// Let more people open the store
    #[command(
        after_help = "Examples:\n  dsops recipients add age1yt3tfqlfrwdwx0z0ynwplcr6qxcxfaqycuprpmy89nr83ltx74tqdpszlw\n\nThey can read this version, and older ones with the same data key."
    )]
    Add(Named),
    /// Keep somebody from opening later versions
    #[command(
        after_help = "Examples:\n  dsops recipients remove age1yt3tfqlfrwdwx0z0ynwplcr6qxcxfaqycuprpmy89nr83ltx74tqdpszlw\n\nThe data key is replaced. What they have seen, and what the history of the file holds, they can\nstill read: change the secrets themselves too."
    )]
    Remove(Named),
}

// `dsops recipients list`
#[derive(Debug, clap::Args)]
pub struct Which {
    /// The store (default: the only one of type `sops`)
    #[arg(long, value_name = "NAME")]
    pub store: Option<String>,
}

// `dsops recipients add` and `remove`
#[derive(Debug, clap::Args)]
pub struct Named {
    /// age and SSH public keys
    #[arg(required = true, value_name = "RECIPIENT")]
    pub recipients: Vec<String>,
    #[command(flatten)]
    pub which: Which,
}

/// Runs the command.
///
/// # Errors
/// The store cannot be read or changed, or a recipient is not one.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::List(which) => list(cx, which),
        Command::Add(named) => add(cx, named),
        Command::Remove(named) => remove(cx, named),
    }
}

fn list(cx: &Context, which: &Which) -> Result<Exit, Failure> {
    let config = cx.load()?;
    let settings = embedded::choose(&config, which.store.as_deref())?;
    let document = embedded::read(&config, settings)?;
    let (ours, others): (Vec<&str>, Vec<&str>) =
        (document.recipients().collect(), document.other_recipients().collect());
    let text = if cx.ui.json {
        let value = json!({
            "version": 1,
            "store": settings.name(),
            "recipients": ours,
            "other_recipients": others,
        });
        format!("{value:#}\n")
    } else {
        let line = |text: &&str| format!("{}\n", ui::one_line(text));
        let others = others.iter().map(|text| format!("{} (not age)\n", ui::one_line(text)));
        ours.iter().map(line).chain(others).collect()
    };
    ui::print(text.as_bytes())?;
    Ok(Exit::Ok)
}

fn add(cx: &Context, named: &Named) -> Result<Exit, Failure> {
    let recipients = parsed(&named.recipients)?;
    let store = open(cx, &named.which)?;
    let added = store
        .change(|document| document.add_recipients(&recipients))
        .map_err(|error| store_failure(&error))?;
    let file = shown(&store.path);
    cx.ui.note(match added {
        0 => format!("{} is for them already", file.display()),
        _ => format!("added {} to {}", ui::plural(added, "recipient"), file.display()),
    });
    Ok(Exit::Ok)
}

fn remove(cx: &Context, named: &Named) -> Result<Exit, Failure> {
    let recipients: Vec<&str> = named.recipients.iter().map(String::as_str).collect();
    let store = open(cx, &named.which)?;
    store
        .change(|document| document.remove_recipients(&recipients, SystemTime::now()))
        .map_err(|error| store_failure(&error))?;
    cx.ui.note(format!(
        "removed {} from {}, with a new data key",
        ui::plural(recipients.len(), "recipient"),
        shown(&store.path).display()
    ));
    cx.ui.report(
        &Report::warning(
            "what they have seen, or find in the history of the file, they can still read",
        )
        .help("change the secrets themselves where that matters"),
    );
    Ok(Exit::Ok)
}

fn open(cx: &Context, which: &Which) -> Result<SopsFile, Failure> {
    let config = cx.load()?;
    let settings = embedded::choose(&config, which.store.as_deref())?;
    let open = OpenContext::new(config.base_dir(), &cx.environment);
    sops::locate(settings, &open).map_err(Failure::from_store)
}

/// All that are wrong are told at once.
fn parsed(texts: &[String]) -> Result<Vec<Recipient>, Failure> {
    let (mut recipients, mut problems) = (Vec::new(), Vec::new());
    for text in texts {
        match text.parse() {
            Ok(recipient) => recipients.push(recipient),
            Err(error) => {
                let error: dsops_stores::age::Error = error;
                // A private key that was pasted by mistake must not be shown again.
                let shown = if text.to_ascii_uppercase().contains("SECRET") {
                    "a private key".to_owned()
                } else {
                    format!("`{}`", ui::one_line(text))
                };
                problems.push(
                    Report::error(format!("{shown} is no recipient"))
                        .because(&error)
                        .help("a recipient is as `age1…` or `ssh-ed25519 AAAA…`; `age-keygen -y` shows the one of an identity"),
                );
            }
        }
    }
    if problems.is_empty() { Ok(recipients) } else { Err(Failure::many(Exit::Usage, problems)) }
}
