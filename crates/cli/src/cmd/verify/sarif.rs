//! Verdicts as SARIF 2.1.0 (OASIS), for code scanning and dashboards.
//!
//! What passed is no result here: readers show every result as a problem. The verdict of each
//! artifact stands in the list of artifacts. What could not be decided is a failure for SARIF's
//! readers, because several of them leave out its own `open`, and nothing shown would look like
//! nothing wrong.

use std::collections::BTreeSet;

use dsops_release_verify::{Algorithm, Digest, Finding, Origin, Report, State, codes};
use serde_json::{Map, Value, json};

use super::outcome::{Found, Outcome, Standing, count, exit};
use crate::exit::Exit;
use crate::ui;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What each code means, for people.
const HELP_URI: &str =
    concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/reference/verify-codes.md");

/// The most results of one run that GitHub's code scanning takes.
const RESULT_LIMIT: usize = 25_000;

/// Everything, as one run.
pub fn render(found: &Found) -> Value {
    let outcomes = found.outcomes.as_slice();
    let results = outcomes.iter().enumerate().flat_map(|(index, outcome)| results(index, outcome));
    let home = outcomes.first().map_or("-", Outcome::name);
    let results = results.chain(found.notes.iter().map(|note| Item::of_note(note, home)));
    let (results, left_out) = limited(results.collect());
    let codes: BTreeSet<&str> = results.iter().map(|item| item.code).collect();
    let codes: Vec<&str> = codes.into_iter().collect();
    let left_out = (left_out > 0).then(|| {
        let text = format!(
            "{} left out: no more than {RESULT_LIMIT} are taken by those who read this. Errors come \
             first; `--json` has all",
            ui::plural(left_out, "result")
        );
        json!({ "level": "warning", "message": { "text": text } })
    });
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "dsops verify",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": codes.iter().map(|code| rule(code)).collect::<Vec<_>>(),
            } },
            "automationDetails": { "id": "dsops-verify/" },
            "invocations": [{
                "executionSuccessful": count(outcomes, Standing::Unreadable) == 0,
                "exitCode": exit(outcomes) as u8,
                "toolExecutionNotifications": left_out.into_iter().collect::<Vec<_>>(),
            }],
            "artifacts": outcomes.iter().map(artifact).collect::<Vec<_>>(),
            "results": results.iter().map(|item| item.value(&codes)).collect::<Vec<_>>(),
            "columnKind": "unicodeCodePoints",
        }],
    })
}

/// The kind of check, with what readers want of one.
fn rule(code: &str) -> Value {
    let (meaning, next) = match codes::find(code) {
        Some(check) => (check.meaning, check.next),
        // An error that kept an artifact from being looked at.
        None => (
            "The artifact could be looked at.",
            "look whether it is there and can be read, and verify it again",
        ),
    };
    let name: String = code
        .split(['/', '-'])
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_ascii_uppercase(), rest.to_owned()]
        })
        .collect();
    json!({
        "id": code,
        "name": name,
        "shortDescription": { "text": meaning },
        "fullDescription": { "text": meaning },
        "help": { "text": format!("{meaning} If not: {next}."), "markdown": format!("{meaning}\n\nIf not: {next}.") },
        "helpUri": HELP_URI,
        "defaultConfiguration": { "level": "error" },
        "properties": { "tags": ["supply-chain"] },
    })
}

fn level(state: State) -> Option<Level> {
    match state {
        State::Passed => None,
        State::Note => Some(Level::Note),
        State::Warning => Some(Level::Warning),
        // A state that is not known here is no pass either.
        _ => Some(Level::Error),
    }
}

/// How much a result weighs for readers; the heaviest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Error,
    Warning,
    Note,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One result.
struct Item<'a> {
    code: &'a str,
    level: Level,
    text: String,
    /// Which of the artifacts, when it is about one.
    index: Option<usize>,
    name: &'a str,
    origin: Option<&'a Origin>,
    properties: Map<String, Value>,
}

impl<'a> Item<'a> {
    /// What is said of a folder as a whole: it lies where its evidence does, else where the first artifact is.
    fn of_note(note: &'a Finding, home: &'a str) -> Self {
        let place = note.origin.as_ref().map(|origin| format!("{origin}: ")).unwrap_or_default();
        Self {
            code: note.code,
            level: Level::Note,
            text: format!("{}{}", ui::one_line(&place), ui::one_line(&note.message)),
            index: None,
            name: note.origin.as_ref().map_or(home, |origin| &origin.name),
            origin: note.origin.as_ref(),
            properties: Map::new(),
        }
    }

    fn value(&self, codes: &[&str]) -> Value {
        let mut place = Map::from_iter([("uri".to_owned(), Value::from(uri(self.name)))]);
        place.extend(self.index.map(|index| ("index".to_owned(), index.into())));
        let mut entry = json!({
            "ruleId": self.code,
            "ruleIndex": codes.binary_search(&self.code).ok(),
            "level": self.level.word(),
            "message": { "text": self.text },
            // It is about all of the artifact; code scanning takes no result without a line.
            "locations": [{ "physicalLocation": {
                "artifactLocation": place, "region": { "startLine": 1, "endLine": 1 },
            } }],
            "partialFingerprints": self.fingerprints(),
            "properties": self.properties,
        });
        if let Some(origin) = self.origin {
            entry["relatedLocations"] = json!([{
                "physicalLocation": { "artifactLocation": { "uri": uri(&origin.name) } },
                "message": { "text": format!("evidence: {}", ui::one_line(&origin.to_string())) },
            }]);
        }
        entry
    }

    /// What a reader matches by from run to run: the check, the artifact and the evidence, not the wording.
    /// GitHub reads the second, a hash and how often it occurred.
    fn fingerprints(&self) -> Value {
        let evidence = self.origin.map(|origin| format!(" {origin}")).unwrap_or_default();
        let own = format!("{} {}{evidence}", self.code, uri(self.name));
        let hash = Digest::of(Algorithm::Sha256, own.as_bytes()).hex();
        json!({ "dsopsVerify/v1": own, "primaryLocationLineHash": format!("{}:1", &hash[..16]) })
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

fn results(index: usize, outcome: &Outcome) -> Vec<Item<'_>> {
    let name = outcome.name();
    match outcome {
        Outcome::Judged(report) => report
            .findings
            .iter()
            .filter_map(|finding| {
                let mut properties = Map::new();
                properties.insert("state".into(), finding.state.word().into());
                properties.insert("artifact".into(), name.into());
                let compared = [("expected", &finding.expected), ("found", &finding.found)];
                for (key, value) in compared {
                    if let Some(value) = value {
                        properties.insert(key.into(), value.as_str().into());
                    }
                }
                Some(Item {
                    code: finding.code,
                    level: level(finding.state)?,
                    text: sentence(name, finding),
                    index: Some(index),
                    name,
                    origin: finding.origin.as_ref(),
                    properties,
                })
            })
            .collect(),
        Outcome::Unreadable { problem, .. } => {
            let text = std::iter::once(&problem.message).chain(&problem.causes);
            let text = text.map(|part| ui::one_line(part)).collect::<Vec<_>>().join(": ");
            let state = Standing::Unreadable.word().into();
            vec![Item {
                code: problem.code.unwrap_or(Exit::Store.code()),
                level: Level::Error,
                text,
                index: Some(index),
                name,
                origin: None,
                properties: Map::from_iter([("state".to_owned(), state)]),
            }]
        }
    }
}

/// No more than readers take, the heaviest first then; and how many are left out.
fn limited(mut results: Vec<Item<'_>>) -> (Vec<Item<'_>>, usize) {
    let left_out = results.len().saturating_sub(RESULT_LIMIT);
    if left_out > 0 {
        results.sort_by_key(|item| item.level);
        results.truncate(RESULT_LIMIT);
    }
    (results, left_out)
}

/// All that there is to say of a check, on one line.
fn sentence(artifact: &str, finding: &Finding) -> String {
    let mut text = format!("{}: {}", ui::one_line(artifact), ui::one_line(&finding.message));
    if finding.state == State::Undecided {
        text = format!("not decided: {text}");
    }
    let parts = [("expected", finding.expected.as_deref()), ("found", finding.found.as_deref())];
    for (label, part) in parts.into_iter().chain([("help", finding.next())]) {
        // Nothing expected is nothing to tell.
        if let Some(part) = part.filter(|part| !part.is_empty()) {
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
        let sarif = render(&Found { outcomes: samples(), notes: Vec::new() });
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
        let note = Finding::new("evidence/ignored", State::Note, "not used");
        let sarif = render(&Found { outcomes: samples(), notes: vec![note] });
        let run = &sarif["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            let at = &result["locations"][0]["physicalLocation"]["artifactLocation"];
            // What is said of a folder is about none of the artifacts.
            let index = usize::try_from(at["index"].as_u64().unwrap_or_default()).unwrap();
            assert_eq!(run["artifacts"][index]["location"]["uri"], at["uri"]);
        }
        let meaning = |rule: &Value| rule["shortDescription"]["text"].as_str().unwrap().to_owned();
        let ids = rules.iter().map(|rule| (rule["id"].as_str().unwrap(), rule));
        for (id, rule) in ids.filter(|(id, _)| codes::find(id).is_some()) {
            assert_eq!(meaning(rule), codes::find(id).unwrap().meaning);
            assert!(rule["help"]["text"].as_str().unwrap().contains(codes::find(id).unwrap().next));
        }
        assert!(rules.iter().any(|rule| rule["name"] == "EvidenceNone"), "{rules:#?}");
    }

    #[test]
    fn results_of_different_evidence_are_told_apart() {
        let at = |name: &str| Finding::failed("log/entry", "m").at(&Origin::new(name));
        let findings = vec![at("a"), at("b"), at("a")];
        let artifact = dsops_release_verify::Artifact::read("x", &b""[..], &[]).unwrap();
        let report = Report::conclude(artifact, findings, Vec::new());
        let sarif = render(&Found::of(Outcome::Judged(report)));
        let prints: Vec<&Value> = sarif["runs"][0]["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|result| &result["partialFingerprints"]["primaryLocationLineHash"])
            .collect();
        assert_eq!(prints[0], prints[2]);
        assert_ne!(prints[0], prints[1]);
    }

    #[test]
    fn more_than_readers_take_is_left_out_and_never_an_error_before_a_note() {
        let findings = |state| move |_| Finding::new("log/entry", state, "m");
        let mut all: Vec<Finding> = (0..RESULT_LIMIT).map(findings(State::Note)).collect();
        all.extend((0..3).map(findings(State::Failed)));
        let artifact = dsops_release_verify::Artifact::read("x", &b""[..], &[]).unwrap();
        let report = Report::conclude(artifact, all, Vec::new());
        let sarif = render(&Found::of(Outcome::Judged(report)));
        let run = &sarif["runs"][0];
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), RESULT_LIMIT);
        assert_eq!(results.iter().filter(|result| result["level"] == "error").count(), 3);
        let said = &run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"];
        assert!(said.as_str().unwrap().starts_with("3 results left out"), "{said}");
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
