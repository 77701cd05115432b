//! `dsops doctor`: what protects secrets here, and whether configuration and stores would work.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use dsops_resolver::{
    Config, FetchContext, Health, OpenContext, StoreFactory, StoreSettings, plan,
};
use dsops_secure_mem::{Limit, Protection, SecretBytes, original_limits, protection};
use dsops_stores::Registry;
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
}

impl Finding {
    fn new(outcome: Outcome, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { outcome, subject: subject.into(), message: message.into(), code: None, help: None }
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
        Self { outcome, subject: subject.into(), message, code: report.code, help: report.help }
    }
}

const EXAMPLES: &str = "\
Examples:
  dsops doctor
  dsops doctor --json --require-protection";

/// What `dsops doctor` takes.
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
    let mut findings = protection_findings(&protection);
    if let Err(error) = &probe {
        findings.push(Finding::from_report("memory", Report::from_error(error)));
    }
    findings.extend(system_findings());
    findings.extend(project_findings(cx));
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

fn protection_findings(protection: &Protection) -> Vec<Finding> {
    let yes_no = |holds: bool| if holds { Outcome::Ok } else { Outcome::Warning };
    let mut findings = vec![
        Finding::new(
            yes_no(protection.hidden_from_ptrace_reads),
            "memory",
            format!(
                "secrets lie in {}; {} KiB mapped, {} in use",
                protection.backend,
                protection.capacity_bytes / 1024,
                ui::plural(protection.used_bytes, "byte")
            ),
        ),
        Finding::new(
            yes_no(protection.swap_safe),
            "swap",
            if protection.swap_safe {
                "no open secret reaches a swap area"
            } else {
                "open secrets may be swapped"
            },
        ),
        Finding::new(
            yes_no(protection.fork_safe),
            "fork",
            if protection.fork_safe {
                "a forked child sees no secret"
            } else {
                "a forked child may see secrets"
            },
        ),
        Finding::new(
            yes_no(protection.dumpable == Some(false)),
            "observers",
            match protection.dumpable {
                Some(false) => "other processes of the same user cannot read dsops; no core dumps",
                Some(true) => "other processes of the same user may read dsops",
                None => "the system does not tell whether others may read dsops",
            },
        ),
    ];
    findings.extend(protection.degradations.iter().map(|missing| {
        let mut finding = Finding::new(Outcome::Warning, "missing", missing.to_string());
        finding.help = Some(missing.remedy.to_owned());
        finding
    }));
    findings
}

/// Limits and settings of the system that matter, as facts.
fn system_findings() -> Vec<Finding> {
    let show = |limit: Limit| {
        let part = |value: u64| {
            if value == u64::MAX { "unlimited".to_owned() } else { format!("{} KiB", value / 1024) }
        };
        format!("{} (hard {})", part(limit.soft), part(limit.hard))
    };
    let original = original_limits();
    let mut findings = Vec::new();
    if let Some(limit) = original.core {
        findings.push(Finding::new(
            Outcome::Ok,
            "core limit",
            format!("0 for dsops; a program it runs gets back {}", show(limit)),
        ));
    }
    if let Some(limit) = original.locked_memory {
        findings.push(Finding::new(
            Outcome::Ok,
            "locked memory",
            format!("raised for dsops; a program it runs gets back {}", show(limit)),
        ));
    }
    if let Ok(pattern) = fs::read_to_string("/proc/sys/kernel/core_pattern")
        && pattern.starts_with('|')
    {
        findings.push(Finding::new(
            Outcome::Ok,
            "core handler",
            "cores of programs you run go to a handler; `exec --no-core` keeps them from it",
        ));
    }
    findings
}

fn project_findings(cx: &Context) -> Vec<Finding> {
    let path = match cx.config_path() {
        Ok(path) => path,
        Err(failure) => {
            // No project here is no fault.
            return failure
                .reports
                .into_iter()
                .map(|report| {
                    Finding::from_report(
                        "configuration",
                        Report { severity: Severity::Warning, ..report },
                    )
                })
                .collect();
        }
    };
    let config = match Config::load(&path) {
        Ok(config) => config,
        Err(errors) => {
            return errors
                .into_iter()
                .map(|problem| Finding::from_report("configuration", problem.into()))
                .collect();
        }
    };
    let mut findings = vec![Finding::new(
        Outcome::Ok,
        "configuration",
        format!(
            "{} is sound: {}, {}",
            path.display(),
            ui::plural(config.environments().len(), "environment"),
            ui::plural(config.stores().len(), "store")
        ),
    )];
    findings.extend(
        config
            .warnings()
            .iter()
            .map(|warning| Finding::from_report("configuration", warning.clone().into())),
    );
    findings.extend(mode_findings(&path));
    let registry = Registry::new();
    for name in config.environments() {
        let subject = format!("environment {name}");
        match plan(&config, name, &registry) {
            Ok(plan) => findings.push(Finding::new(
                Outcome::Ok,
                subject,
                format!("can be planned: {}", ui::plural(plan.variables.len(), "variable")),
            )),
            Err(errors) => findings.extend(
                errors
                    .into_iter()
                    .map(|problem| Finding::from_report(subject.clone(), problem.into())),
            ),
        }
    }
    let open = OpenContext::new(config.base_dir(), &cx.environment);
    findings.extend(config.stores().flat_map(|settings| check_store(settings, &registry, &open)));
    findings
}

/// A configuration that others may change is a way to another store.
#[cfg(unix)]
fn mode_findings(path: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o022 != 0).then(|| {
        let mut finding = Finding::new(
            Outcome::Warning,
            "configuration",
            format!("{} can be changed by others (mode {:03o})", path.display(), mode & 0o777),
        );
        finding.help = Some(format!("chmod go-w {}", path.display()));
        finding
    })
}

/// Who may change a file is in an access control list here, which is not read.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the signature of the other systems")]
fn mode_findings(path: &Path) -> Option<Finding> {
    Some(Finding::new(
        Outcome::NotChecked,
        "configuration",
        format!("who may change {} is not checked on this system", path.display()),
    ))
}

fn check_store(
    settings: &StoreSettings,
    registry: &Registry,
    open: &OpenContext<'_>,
) -> Vec<Finding> {
    let subject = format!("store {}", settings.name());
    if let Some(problem) = registry.validate(settings).into_iter().next() {
        return vec![Finding::from_report(subject, problem.into())];
    }
    let health =
        registry.open(settings, open).and_then(|store| store.check(&FetchContext::default()));
    match health {
        Ok(Health::Checked { summary, warnings }) => {
            let warn = |warning| Finding::new(Outcome::Warning, subject.clone(), warning);
            let ok = Finding::new(Outcome::Ok, subject.clone(), summary);
            std::iter::once(ok).chain(warnings.into_iter().map(warn)).collect()
        }
        Ok(Health::NotChecked) => vec![Finding::new(
            Outcome::NotChecked,
            subject,
            format!("type {} has no check", settings.store_type()),
        )],
        Err(error) => vec![Finding::from_report(subject, error.into())],
    }
}

fn as_text(findings: &[Finding]) -> String {
    let rows: Vec<Vec<String>> = findings
        .iter()
        .map(|finding| {
            let mut message = finding.message.clone();
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
        })).collect::<Vec<_>>(),
    })
}
