//! `dsops verify trust`: the roots of trust that come with dsops, shown and written out.

use std::ffi::OsString;
use std::time::SystemTime;

use clap::{Subcommand, ValueEnum, ValueHint};
use dsops_release_verify::{TrustRoot, TrustRoots};
use serde_json::{Value, json};

use super::demands;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

const SHOW_EXAMPLES: &str = "\
Examples:
  dsops verify trust show
  dsops verify trust show --trusted-root trusted_root.json --json";

const EXPORT_EXAMPLES: &str = "\
Examples:
  dsops verify trust export > trusted_root.jsonl
  dsops verify trust export --instance sigstore > trusted_root.json";

const UPDATE_EXAMPLES: &str = "\
Examples:
  dsops verify trust update";

/// What `dsops verify trust` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done with roots of trust.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Show whom dsops trusts, and of which day that is
    Show(ShowArgs),
    /// Print the roots that come with dsops, for `--trusted-root` and for other tools
    Export(ExportArgs),
    /// Get today's roots of trust (not built in yet)
    Update(UpdateArgs),
}

/// What `dsops verify trust show` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct ShowArgs {
    /// Show these instead
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub trusted_root: Option<OsString>,
}

/// What `dsops verify trust export` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub struct ExportArgs {
    /// Only this instance; without it all, one a line
    #[arg(long, value_name = "NAME", value_enum)]
    pub instance: Option<Instance>,
}

/// What `dsops verify trust update` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = UPDATE_EXAMPLES)]
pub struct UpdateArgs {}

/// An instance of Sigstore whose root comes with dsops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Instance {
    /// The public one, sigstore.dev
    Sigstore,
    /// GitHub's, for attestations of private repositories and of releases
    Github,
}

impl Instance {
    fn name(self) -> &'static str {
        match self {
            Self::Sigstore => "sigstore.dev",
            Self::Github => "github.com",
        }
    }
}

/// Runs the command.
///
/// # Errors
/// A root cannot be read; what is asked for is not built in.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    match &args.action {
        Action::Show(args) => show(cx, args),
        Action::Export(args) => export(args),
        Action::Update(_) => Err(Failure::new(
            Exit::Usage,
            Report::error("`trust update` is not built in: this dsops has no TUF client").help(
                "install a newer dsops, or get trusted_root.json with another Sigstore client and \
                 pass it with --trusted-root",
            ),
        )),
    }
}

fn show(cx: &Context, args: &ShowArgs) -> Result<Exit, Failure> {
    let roots = demands::roots(args.trusted_root.as_deref())?;
    let now = SystemTime::now();
    let text = if cx.ui.json {
        let list: Vec<Value> = roots.iter().map(|root| as_json(root, now)).collect();
        format!("{:#}\n", json!({ "version": JSON_VERSION, "roots": list }))
    } else {
        let head =
            ["ROOT", "DATE", "DAYS", "AUTHORITIES", "LOGS", "CERTIFICATE LOGS", "TIMESTAMPS"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(roots.iter().map(|root| {
            let [authorities, logs, certificate_logs, timestamps] =
                root.counts().map(|count| count.to_string());
            let date = date(root).unwrap_or_else(|| "not known".into());
            let days = days(root, now).map_or_else(String::new, |days| days.to_string());
            let name = ui::one_line(root.name());
            vec![name, date, days, authorities, logs, certificate_logs, timestamps]
        }));
        ui::table(&rows)
    };
    ui::print(text.as_bytes())?;
    for root in roots.iter() {
        let finding = root.finding(now);
        if finding.state == dsops_release_verify::State::Warning {
            let mut report = Report::warning(finding.message);
            report.help = finding.help;
            cx.ui.report(&report);
        }
    }
    Ok(Exit::Ok)
}

fn as_json(root: &TrustRoot, now: SystemTime) -> Value {
    let [authorities, logs, certificate_logs, timestamps] = root.counts();
    json!({
        "name": root.name(),
        "date": date(root),
        "age_days": days(root, now),
        "certificate_authorities": authorities,
        "transparency_logs": logs,
        "certificate_logs": certificate_logs,
        "timestamp_authorities": timestamps,
    })
}

/// The day on which it is known to have been current.
fn date(root: &TrustRoot) -> Option<String> {
    let text = humantime::format_rfc3339_seconds(root.date()?).to_string();
    text.split('T').next().map(str::to_owned)
}

fn days(root: &TrustRoot, now: SystemTime) -> Option<u64> {
    Some(now.duration_since(root.date()?).unwrap_or_default().as_secs() / (24 * 60 * 60))
}

fn export(args: &ExportArgs) -> Result<Exit, Failure> {
    let mut text = String::new();
    for (name, document) in TrustRoots::embedded_documents() {
        if args.instance.is_none_or(|wanted| wanted.name() == name) {
            // One line each, so that all are lines of JSON; the document itself stays as it is.
            let value: Value = serde_json::from_str(document)
                .map_err(|error| Failure::new(Exit::Store, Report::from_error(&error)))?;
            text.push_str(&value.to_string());
            text.push('\n');
        }
    }
    ui::print(text.as_bytes())?;
    Ok(Exit::Ok)
}
