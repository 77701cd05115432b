//! Verdicts for programs: the document that `schema/dsops-verify.schema.json` describes.

use dsops_release_verify::{
    Artifact, CertificateIdentity, Finding, Origin, Report, Signer, SubjectName,
};
use serde_json::{Map, Value, json};

use super::outcome::{Found, Outcome, Standing, count, exit, standing};
use crate::ui;

/// The version of the JSON form.
pub const JSON_VERSION: u32 = 1;

/// Everything, in the order it was asked for.
pub fn render(found: &Found) -> Value {
    let outcomes = found.outcomes.as_slice();
    let counts: Map<String, Value> = Standing::ALL
        .into_iter()
        .map(|standing| (standing.word().to_owned(), count(outcomes, standing).into()))
        .collect();
    json!({
        "version": JSON_VERSION,
        "dsops": env!("CARGO_PKG_VERSION"),
        "verdict": standing(outcomes).word(),
        "exit_code": exit(outcomes) as u8,
        "counts": counts,
        "artifacts": outcomes.iter().map(one).collect::<Vec<_>>(),
        "notes": found.notes.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn one(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Judged(report) => judged(report),
        Outcome::Unreadable { name, problem } => json!({
            "name": name,
            "verdict": Standing::Unreadable.word(),
            "error": ui::as_json(problem, Some(crate::exit::Exit::Store.code())),
        }),
    }
}

fn judged(report: &Report) -> Value {
    json!({
        "name": report.artifact.name(),
        "verdict": report.verdict.word(),
        "size": report.artifact.size(),
        "digests": digests(&report.artifact),
        "signers": report.signers.iter().map(signer).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn digests(artifact: &Artifact) -> Map<String, Value> {
    let pairs = artifact.digests().iter();
    pairs.map(|digest| (digest.algorithm().name().to_owned(), digest.hex().into())).collect()
}

/// One check.
pub fn finding(finding: &Finding) -> Value {
    json!({
        "code": finding.code,
        "state": finding.state.word(),
        "origin": finding.origin.as_ref().map(origin),
        "message": finding.message,
        "expected": finding.expected,
        "found": finding.found,
        "help": finding.next(),
    })
}

fn origin(origin: &Origin) -> Value {
    json!({ "name": origin.name, "part": origin.part })
}

/// Who signed.
pub fn signer(signer: &Signer) -> Value {
    match signer {
        Signer::Certificate(identity) => certificate(identity),
        Signer::Key { id, algorithm } => {
            json!({ "kind": "key", "id": id, "algorithm": algorithm })
        }
        _ => json!({ "kind": "other" }),
    }
}

fn certificate(identity: &CertificateIdentity) -> Value {
    let names: Vec<Value> = identity
        .names
        .iter()
        .map(|name| {
            let kind = match name {
                SubjectName::Email(_) => "email",
                SubjectName::Uri(_) => "uri",
                SubjectName::Other(_) => "other",
                _ => "unknown",
            };
            json!({ "kind": kind, "value": name.as_str() })
        })
        .collect();
    let claims: Vec<Value> = identity
        .claims
        .iter()
        .map(|(arc, value)| json!({ "arc": arc, "name": claim_name(*arc), "value": value }))
        .collect();
    json!({ "kind": "certificate", "names": names, "issuer": identity.issuer, "claims": claims })
}

/// The name of a Fulcio extension by the last arc of its object identifier, as Fulcio's own list
/// calls it (`fulcio/docs/oid-info.md`).
pub fn claim_name(arc: u32) -> Option<&'static str> {
    Some(match arc {
        2 => "github-workflow-trigger",
        3 => "github-workflow-sha",
        4 => "github-workflow-name",
        5 => "github-workflow-repository",
        6 => "github-workflow-ref",
        9 => "build-signer-uri",
        10 => "build-signer-digest",
        11 => "runner-environment",
        12 => "source-repository-uri",
        13 => "source-repository-digest",
        14 => "source-repository-ref",
        15 => "source-repository-identifier",
        16 => "source-repository-owner-uri",
        17 => "source-repository-owner-identifier",
        18 => "build-config-uri",
        19 => "build-config-digest",
        20 => "build-trigger",
        21 => "run-invocation-uri",
        22 => "source-repository-visibility-at-signing",
        23 => "deployment-environment",
        24 => "token-subject",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use dsops_release_verify::State;
    use dsops_testkit::json_schema::faults;

    use super::*;
    use crate::cmd::verify::outcome::tests::samples;

    const SCHEMA: &str = include_str!("../../../../../schema/dsops-verify.schema.json");

    fn all() -> Found {
        let notes = vec![Finding::new("evidence/ignored", State::Note, "not used")];
        Found { outcomes: samples(), notes }
    }

    fn check(value: &Value) -> Vec<String> {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        faults(&schema, "", value)
    }

    #[test]
    fn every_kind_of_outcome_fits_the_schema() {
        assert_eq!(check(&render(&all())), Vec::<String>::new());
        assert_eq!(check(&render(&Found::default())), Vec::<String>::new());
        for one in samples() {
            assert_eq!(check(&render(&Found::of(one))), Vec::<String>::new());
        }
    }

    #[test]
    fn what_differs_is_found() {
        let good = render(&all());
        let changed = |pointer: &str, new: Value| {
            let mut value = good.clone();
            *value.pointer_mut(pointer).expect("it is there") = new;
            check(&value).len()
        };
        assert_eq!(changed("/version", json!(2)), 1);
        assert_eq!(changed("/exit_code", json!(1)), 1);
        assert!(changed("/artifacts/0/verdict", json!("error")) > 0);
        assert!(changed("/artifacts/0/digests/sha256", json!("AB")) > 0);
        assert!(changed("/artifacts/0/findings/0/origin/part", json!(0)) > 0);
        assert!(changed("/artifacts/0/findings/0/code", json!("Signature")) > 0);
        assert!(changed("/artifacts/0/findings/0/state", json!("good")) > 0);
        assert!(changed("/artifacts/0/signers/0/kind", json!("nobody")) > 0);
        assert!(changed("/counts", json!({})) > 0);
        let mut value = good.clone();
        value["extra"] = json!(1);
        assert_eq!(check(&value), ["/extra: is not in the schema"]);
    }
}
