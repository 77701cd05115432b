//! `dsops doctor`: what protects secrets here, and whether configuration and stores would work.

mod cache;
mod edits;
mod git;
mod project;
mod system;

use std::fmt::Write as _;
use std::time::Duration;

use dsops_secure_mem::{Limit, Protection, SecretBytes, protection};
use serde_json::{Value, json};

use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report, Severity};
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Ok,
    /// Nothing was checked, so nothing is claimed.
    NotChecked,
    Warning,
    Error,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotChecked => "not checked",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One line of the report.
#[derive(Debug)]
struct Finding {
    outcome: Outcome,
    /// What was looked at.
    subject: String,
    message: String,
    code: Option<&'static str>,
    help: Option<String>,
    /// How long the answer took.
    latency: Option<Duration>,
}

impl Finding {
    fn new(outcome: Outcome, subject: impl Into<String>, message: impl Into<String>) -> Self {
        let (subject, message) = (subject.into(), message.into());
        Self { outcome, subject, message, code: None, help: None, latency: None }
    }

    fn ok(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Outcome::Ok, subject, message)
    }

    fn warning(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Outcome::Warning, subject, message)
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn from_report(subject: impl Into<String>, report: Report) -> Self {
        let outcome = match report.severity {
            Severity::Error => Outcome::Error,
            Severity::Warning => Outcome::Warning,
        };
        let mut message = report.place.map_or_else(String::new, |place| format!("{place}: "));
        message += &report.message;
        for cause in &report.causes {
            message = format!("{message}: {cause}");
        }
        Self { code: report.code, help: report.help, ..Self::new(outcome, subject, message) }
    }
}

const EXAMPLES: &str = "\
Examples:
  dsops doctor
  dsops doctor --json --require-protection";

// What `dsops doctor` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Fail (6) unless every protection of memory holds
    #[arg(long)]
    pub require_protection: bool,
}

/// Runs the command.
///
/// # Errors
/// Stdout cannot be written. What the checks find is in the exit code: 1 for an error that was
/// found, 6 for missing protection when it was required, 7 when something could not be checked.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    // The report tells of memory in use, so some has to be used.
    let probe = SecretBytes::copy_from(b"probe");
    let protection = protection();
    let mut findings = vec![Finding::ok("dsops", system::version())];
    findings.extend(system::protection(&protection));
    if let Err(error) = &probe {
        findings.push(Finding::from_report("memory", Report::from_error(error)));
    }
    findings.extend(system::settings());
    findings.extend(edits::findings(cx));
    findings.extend(project::findings(cx));
    drop(probe);
    let verdict = verdict(&protection, &findings, args.require_protection);
    let text = if cx.ui.json {
        format!("{:#}\n", as_json(&protection, &findings, verdict))
    } else {
        as_text(&findings)
    };
    ui::print(text.as_bytes())?;
    Ok(verdict)
}

/// What all findings come to, as an exit code. What was not checked is never a pass.
fn verdict(protection: &Protection, findings: &[Finding], require_protection: bool) -> Exit {
    let any = |outcome| findings.iter().any(|finding| finding.outcome == outcome);
    if require_protection && !protection.is_complete() {
        Exit::Protection
    } else if any(Outcome::Error) {
        Exit::Found
    } else if any(Outcome::NotChecked) {
        Exit::Undecided
    } else {
        Exit::Ok
    }
}

fn as_text(findings: &[Finding]) -> String {
    let rows: Vec<Vec<String>> = findings
        .iter()
        .map(|finding| {
            let mut message = finding.message.clone();
            if let Some(latency) = finding.latency {
                let _ = write!(message, ", {} ms", latency.as_millis());
            }
            if let Some(help) = &finding.help {
                let _ = write!(message, " (help: {help})");
            }
            vec![finding.outcome.word().into(), finding.subject.clone(), ui::one_line(&message)]
        })
        .collect();
    let count = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count();
    format!(
        "{}{}, {}\n",
        ui::table(&rows),
        ui::plural(count(Outcome::Error), "error"),
        ui::plural(count(Outcome::Warning), "warning")
    )
}

fn as_json(protection: &Protection, findings: &[Finding], verdict: Exit) -> Value {
    let limit =
        |limit: Option<Limit>| limit.map(|limit| json!({ "soft": limit.soft, "hard": limit.hard }));
    json!({
        "version": JSON_VERSION,
        "dsops": env!("CARGO_PKG_VERSION"),
        "verdict": match verdict {
            Exit::Ok => "pass",
            Exit::Undecided => "undecided",
            _ => "fail",
        },
        "protection": {
            "complete": protection.is_complete(),
            "backend": protection.backend.to_string(),
            "hidden_from_ptrace_reads": protection.hidden_from_ptrace_reads,
            "locked": protection.locked,
            "encrypted_at_rest": protection.encrypted_at_rest,
            "swap_safe": protection.swap_safe,
            "fork_safe": protection.fork_safe,
            "dumpable": protection.dumpable,
            "core_limit": limit(protection.core_limit),
            "capacity_bytes": protection.capacity_bytes,
            "used_bytes": protection.used_bytes,
            "degradations": protection.degradations.iter().map(|missing| json!({
                "what": missing.kind.to_string(), "reason": missing.reason, "remedy": missing.remedy,
            })).collect::<Vec<_>>(),
        },
        "findings": findings.iter().map(|finding| json!({
            "outcome": finding.outcome.word(), "subject": finding.subject, "message": finding.message,
            "code": finding.code, "help": finding.help,
            "latency_ms": finding.latency.map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
        })).collect::<Vec<_>>(),
    })
}
