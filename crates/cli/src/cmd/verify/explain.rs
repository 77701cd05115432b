//! `dsops verify explain`: what a bundle says, without believing any of it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use clap::ValueHint;
use dsops_release_verify::statement::Statement;
use dsops_release_verify::{BUNDLE_LIMIT_BYTES, Bundle, BundleError, Leniency, Origin, Signer};
use serde_json::{Value, json};

use super::{files, json as form, text};
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

/// What stands above everything.
const WARNING: &str = "nothing below is verified: anybody can write a file that says this";

const EXAMPLES: &str = "\
Examples:
  dsops verify explain app.tar.gz.sigstore.json
  dsops verify explain attestations.jsonl --json";

// What `dsops verify explain` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A Sigstore bundle, or lines of them; `-` for standard input
    #[arg(value_name = "BUNDLE", value_hint = ValueHint::FilePath)]
    pub bundle: OsString,
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read. A bundle that is malformed is told as one, and the exit code is 1.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let name = args.bundle.to_string_lossy();
    let bytes = files::read(&args.bundle, BUNDLE_LIMIT_BYTES)
        .map_err(|error| Failure::new(Exit::Store, files::unreadable(&args.bundle, &error)))?;
    let origin = Origin::new(if args.bundle == *"-" { "stdin" } else { &name });
    let bundles = Bundle::read_all(&bytes, &origin, Leniency::default());
    let document = if cx.ui.json {
        let list: Vec<Value> = bundles.iter().map(as_json).collect();
        let all = json!({
            "version": JSON_VERSION, "verified": false, "warning": WARNING, "bundles": list,
        });
        format!("{all:#}\n")
    } else {
        let blocks: Vec<String> = bundles.iter().map(as_text).collect();
        format!("NOT VERIFIED: {WARNING}\n\n{}", blocks.join("\n"))
    };
    ui::print(document.as_bytes())?;
    if bundles.iter().all(Result::is_ok) && !bundles.is_empty() {
        return Ok(Exit::Ok);
    }
    if !cx.ui.json {
        let path = Path::new(&args.bundle).display();
        let message = format!("{path} holds what is no good bundle; `verify` refuses it");
        cx.ui.report(&Report::warning(message));
    }
    Ok(Exit::Found)
}

/// Lines of a label and what it says.
fn as_text(bundle: &Result<Bundle, BundleError>) -> String {
    let bundle = match bundle {
        Ok(bundle) => bundle,
        Err(error) => {
            return format!(
                "{}\n  malformed      {}\n",
                ui::one_line(&error.origin.to_string()),
                ui::one_line(&error.problem)
            );
        }
    };
    let mut out = format!("{}\n", ui::one_line(&bundle.origin().to_string()));
    let mut line = |label: &str, value: &str| {
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "  {label:<14} {}", ui::one_line(value));
    };
    line("media type", bundle.media_type());
    match bundle.claimed_identity() {
        Some(Ok(identity)) => {
            for (arc, value) in &identity.claims {
                let name =
                    form::claim_name(*arc).map_or_else(|| format!("claim {arc}"), String::from);
                line("claims", &format!("{name}: {value}"));
            }
            line("signed by", &text::signer(&Signer::Certificate(identity)));
        }
        Some(Err(problem)) => {
            line("signed by", &format!("a certificate that is no good: {problem}"));
        }
        None => {
            line("signed by", &format!("a key, hint `{}`", bundle.key_hint().unwrap_or_default()));
        }
    }
    match bundle.payload() {
        None => {
            let digest = bundle.claimed_digest().map(ToString::to_string);
            line("signed", &format!("a file, {}", digest.as_deref().unwrap_or("digest not told")));
        }
        Some((kind, payload)) => {
            line("signed", &format!("{kind}, {} bytes", payload.len()));
            match Statement::read(kind, payload) {
                Err(error) => line("statement", &format!("no statement: {error}")),
                Ok(statement) => {
                    line("predicate", statement.predicate_type());
                    for subject in statement.subjects() {
                        let known = subject.digests().iter().map(ToString::to_string);
                        let others = subject.other_digests().iter();
                        let others = others.map(|(name, value)| format!("{name}:{value}"));
                        let digests: Vec<String> = known.chain(others).collect();
                        let name = subject.name().unwrap_or("no name");
                        line("about", &format!("{name} {}", digests.join(" ")));
                    }
                }
            }
        }
    }
    for (kind, version, index, seconds) in bundle.log_entries() {
        let time = seconds.and_then(time).map_or_else(String::new, |time| format!(", {time}"));
        line("log entry", &format!("{kind} {version}, index {index}{time}"));
    }
    if bundle.timestamps() > 0 {
        line("timestamps", &bundle.timestamps().to_string());
    }
    out
}

fn as_json(bundle: &Result<Bundle, BundleError>) -> Value {
    let bundle = match bundle {
        Ok(bundle) => bundle,
        Err(error) => {
            return json!({ "origin": error.origin.to_string(), "malformed": error.problem });
        }
    };
    let signer = match bundle.claimed_identity() {
        Some(Ok(identity)) => form::signer(&Signer::Certificate(identity)),
        Some(Err(problem)) => json!({ "kind": "certificate", "malformed": problem }),
        None => json!({ "kind": "key", "hint": bundle.key_hint() }),
    };
    let statement = bundle.payload().map(|(kind, payload)| match Statement::read(kind, payload) {
        Err(error) => json!({ "payload_type": kind, "malformed": error.to_string() }),
        Ok(statement) => json!({
            "payload_type": kind,
            "predicate_type": statement.predicate_type(),
            "subjects": statement.subjects().iter().map(|subject| json!({
                "name": subject.name(),
                "digests": subject.digests().iter().map(ToString::to_string)
                    .chain(subject.other_digests().iter().map(|(name, value)| format!("{name}:{value}")))
                    .collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
        }),
    });
    let entries: Vec<Value> = bundle
        .log_entries()
        .map(|(kind, version, index, seconds)| {
            json!({ "kind": kind, "version": version, "index": index, "time": seconds.and_then(time) })
        })
        .collect();
    json!({
        "origin": bundle.origin().to_string(),
        "media_type": bundle.media_type(),
        "signer": signer,
        "digest": bundle.claimed_digest().map(ToString::to_string),
        "statement": statement,
        "log_entries": entries,
        "timestamps": bundle.timestamps(),
    })
}

/// A time of the evidence; one that no calendar has is not shown.
fn time(seconds: u64) -> Option<String> {
    /// 9999-12-31T23:59:59Z, the last that the form has room for.
    const LAST: u64 = 253_402_300_799;
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds.min(LAST)))?;
    (seconds <= LAST).then(|| humantime::format_rfc3339_seconds(time).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_strangers_do_no_harm() {
        assert_eq!(time(0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(time(u64::MAX), None);
    }
}
