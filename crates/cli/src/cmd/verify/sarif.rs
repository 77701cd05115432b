//! Verdicts as SARIF 2.1.0 (OASIS), for code scanning and dashboards.
//!
//! What passed is no result here: readers show every result as a problem. The verdict of each
//! artifact stands in the list of artifacts. What could not be decided is a failure for SARIF's
//! readers, because several of them leave out its own `open`, and nothing shown would look like
//! nothing wrong.

use std::collections::BTreeSet;

use dsops_release_verify::{Finding, Report, State};
use serde_json::{Map, Value, json};

use super::outcome::{Found, Outcome, Standing, exit};
use crate::exit::Exit;
use crate::ui;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Everything, as one run.
///
/// `meaning` says in one sentence what a code stands for.
pub fn render(found: &Found, meaning: &dyn Fn(&str) -> Option<&'static str>) -> Value {
    let outcomes = found.outcomes.as_slice();
    let codes = outcomes.iter().flat_map(codes).chain(found.notes.iter().map(|note| note.code));
    let codes: Vec<&str> = codes.collect::<BTreeSet<_>>().into_iter().collect();
    let rules: Vec<Value> = codes
        .iter()
        .map(|code| {
            let text = meaning(code).unwrap_or(code);
            json!({ "id": code, "shortDescription": { "text": text } })
        })
        .collect();
    let results = outcomes.iter().enumerate();
    let results = results.flat_map(|(index, outcome)| self::results(index, outcome, &codes));
    let results: Vec<Value> =
        results.chain(found.notes.iter().map(|note| self::note(note, &codes))).collect();
    let code = exit(outcomes);
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "dsops verify",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            } },
            "invocations": [{
                "executionSuccessful": code != Exit::Store,
                "exitCode": code as u8,
            }],
            "artifacts": outcomes.iter().map(artifact).collect::<Vec<_>>(),
            "results": results,
            "columnKind": "unicodeCodePoints",
        }],
    })
}

fn codes(outcome: &Outcome) -> Vec<&'static str> {
    match outcome {
        Outcome::Judged(report) => {
            report.findings.iter().filter(|finding| is_result(finding)).map(|f| f.code).collect()
        }
        Outcome::Unreadable { problem, .. } => vec![problem.code.unwrap_or(Exit::Store.code())],
    }
}

fn is_result(finding: &Finding) -> bool {
    level(finding.state).is_some()
}

fn level(state: State) -> Option<&'static str> {
    match state {
        State::Passed => None,
        State::Note => Some("note"),
        State::Warning => Some("warning"),
        // A state that is not known here is no pass either.
        _ => Some("error"),
    }
}

fn artifact(outcome: &Outcome) -> Value {
    let mut entry = Map::new();
    entry.insert("location".into(), json!({ "uri": uri(outcome.name()) }));
    entry.insert("properties".into(), json!({ "verdict": outcome.standing().word() }));
    if let Outcome::Judged(Report { artifact, .. }) = outcome {
        let hashes: Map<String, Value> = artifact
            .digests()
            .iter()
            .map(|digest| (digest.algorithm().name().replace("sha", "sha-"), digest.hex().into()))
            .collect();
        entry.insert("hashes".into(), hashes.into());
        if let Some(size) = artifact.size() {
            entry.insert("length".into(), size.into());
        }
    }
    entry.into()
}

fn results(index: usize, outcome: &Outcome, codes: &[&str]) -> Vec<Value> {
    match outcome {
        Outcome::Judged(report) => report
            .findings
            .iter()
            .filter(|finding| is_result(finding))
            .map(|finding| {
                let text = sentence(report.artifact.name(), finding);
                let mut properties = Map::new();
                properties.insert("state".into(), finding.state.word().into());
                properties.insert("artifact".into(), report.artifact.name().into());
                let compared = [("expected", &finding.expected), ("found", &finding.found)];
                for (key, value) in compared {
                    if let Some(value) = value {
                        properties.insert(key.into(), value.as_str().into());
                    }
                }
                let mut entry = result(
                    codes,
                    finding.code,
                    level(finding.state).unwrap_or("error"),
                    &text,
                    index,
                    report.artifact.name(),
                );
                entry.insert("properties".into(), properties.into());
                if let Some(origin) = &finding.origin {
                    entry.insert(
                        "relatedLocations".into(),
                        json!([{
                            "physicalLocation": { "artifactLocation": { "uri": uri(&origin.name) } },
                            "message": { "text": format!("evidence: {}", ui::one_line(&origin.to_string())) },
                        }]),
                    );
                }
                entry.into()
            })
            .collect(),
        Outcome::Unreadable { name, problem } => {
            let code = problem.code.unwrap_or(Exit::Store.code());
            let text = std::iter::once(&problem.message).chain(&problem.causes);
            let text = text.map(|part| ui::one_line(part)).collect::<Vec<_>>().join(": ");
            let mut entry = result(codes, code, "error", &text, index, name);
            entry.insert("properties".into(), json!({ "state": Standing::Unreadable.word() }));
            vec![entry.into()]
        }
    }
}

/// What is said of a folder as a whole.
fn note(note: &Finding, codes: &[&str]) -> Value {
    let mut entry = Map::new();
    entry.insert("ruleId".into(), note.code.into());
    if let Some(rule) = codes.iter().position(|known| *known == note.code) {
        entry.insert("ruleIndex".into(), rule.into());
    }
    entry.insert("level".into(), "note".into());
    let place = note.origin.as_ref().map(|origin| format!("{origin}: ")).unwrap_or_default();
    let text = format!("{}{}", ui::one_line(&place), ui::one_line(&note.message));
    entry.insert("message".into(), json!({ "text": text }));
    if let Some(origin) = &note.origin {
        entry.insert(
            "locations".into(),
            json!([{ "physicalLocation": { "artifactLocation": { "uri": uri(&origin.name) } } }]),
        );
    }
    entry.into()
}

fn result(
    codes: &[&str],
    code: &str,
    level: &str,
    text: &str,
    index: usize,
    name: &str,
) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("ruleId".into(), code.into());
    if let Some(rule) = codes.iter().position(|known| *known == code) {
        entry.insert("ruleIndex".into(), rule.into());
    }
    entry.insert("level".into(), level.into());
    entry.insert("message".into(), json!({ "text": text }));
    entry.insert(
        "locations".into(),
        json!([{ "physicalLocation": { "artifactLocation": { "uri": uri(name), "index": index } } }]),
    );
    // What a reader matches by from run to run: the check and the artifact, not the wording.
    entry.insert(
        "partialFingerprints".into(),
        json!({ "dsopsVerify/v1": format!("{code} {}", uri(name)) }),
    );
    entry
}

/// All that there is to say of a check, on one line.
fn sentence(artifact: &str, finding: &Finding) -> String {
    let mut text = format!("{}: {}", ui::one_line(artifact), ui::one_line(&finding.message));
    if finding.state == State::Undecided {
        text = format!("not decided: {text}");
    }
    for (label, part) in
        [("expected", &finding.expected), ("found", &finding.found), ("help", &finding.help)]
    {
        if let Some(part) = part {
            text = format!("{text}; {label}: {}", ui::one_line(part));
        }
    }
    text
}

/// A path or a reference as a relative URI (RFC 3986): what may not stand in one is percent-encoded.
fn uri(name: &str) -> String {
    use std::fmt::Write as _;
    let name = if name == "-" { "stdin" } else { name };
    // A colon in the first segment would make it a scheme.
    let first_segment = name.find('/').unwrap_or(name.len());
    let mut text = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b'@' | b'+' | b'=' | b',')
            || (byte == b':' && at > first_segment);
        if plain {
            text.push(char::from(byte));
        } else if cfg!(windows) && byte == b'\\' {
            text.push('/');
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    // An absolute path is a `file:` URI; two slashes alone would name a host.
    if text.starts_with('/') {
        format!("file://{}{text}", if text.starts_with("//") { "/." } else { "" })
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::verify::outcome::tests::samples;

    #[test]
    fn what_passed_is_no_result_and_nothing_else_is_left_out() {
        let sarif = render(&Found { outcomes: samples(), notes: Vec::new() }, &|_| None);
        let run = &sarif["runs"][0];
        let states: Vec<(&str, &str)> = run["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|result| {
                (result["level"].as_str().unwrap(), result["properties"]["state"].as_str().unwrap())
            })
            .collect();
        assert_eq!(
            states,
            [
                ("warning", "warning"),
                ("note", "note"),
                ("error", "failed"),
                ("error", "undecided"),
                ("error", "error")
            ]
        );
        let verdicts: Vec<&str> = run["artifacts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|artifact| artifact["properties"]["verdict"].as_str().unwrap())
            .collect();
        assert_eq!(verdicts, ["verified", "failed", "undecided", "error"]);
        assert_eq!(run["invocations"][0]["exitCode"], 5);
    }

    #[test]
    fn rules_and_results_point_at_each_other() {
        let sarif = render(&Found { outcomes: samples(), notes: Vec::new() }, &|code| {
            (code == "trust/age").then_some("old")
        });
        let run = &sarif["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            let at = &result["locations"][0]["physicalLocation"]["artifactLocation"];
            let index = usize::try_from(at["index"].as_u64().unwrap()).unwrap();
            assert_eq!(run["artifacts"][index]["location"]["uri"], at["uri"]);
        }
        assert!(rules.iter().any(|rule| rule["shortDescription"]["text"] == "old"));
    }

    #[test]
    fn names_become_uris() {
        assert_eq!(uri("dist/a b.tgz"), "dist/a%20b.tgz");
        assert_eq!(uri("/tmp/ä"), "file:///tmp/%C3%A4");
        assert_eq!(uri("//x"), "file:///.//x");
        assert_eq!(uri("host:5000/app@sha256:00"), "host%3A5000/app@sha256:00");
        assert_eq!(uri("-"), "stdin");
        assert_eq!(uri("a\u{1b}#?%"), "a%1B%23%3F%25");
    }
}
