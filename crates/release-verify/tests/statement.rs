//! Statements as they are read, and whether they are about an artifact.
#![allow(clippy::unwrap_used, reason = "tests")]

mod statements;

use dsops_release_verify::statement::{
    PAYLOAD_TYPE, PredicateKind, Statement, StatementError, StatementVersion, SubjectMatch,
    SummaryRules,
};
use dsops_release_verify::{Algorithm, Artifact, State};
use proptest::prelude::*;
use serde_json::{Value, json};
use statements::*;

fn with_subjects(subjects: &Value) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://example.org/p",
        "predicate": {},
    })
}

fn read(value: &Value) -> Result<Statement, StatementError> {
    Statement::read(PAYLOAD_TYPE, value.to_string().as_bytes())
}

#[test]
fn both_versions_are_read() {
    let statement = statement(&generic_builder("refs/tags/v1"));
    assert_eq!(statement.version(), StatementVersion::V01);
    assert_eq!(statement.kind(), PredicateKind::Provenance);
    let statement = self::statement(&github_attestation("refs/tags/v1"));
    assert_eq!(statement.version(), StatementVersion::V1);
    assert_eq!(statement.subjects()[0].name(), Some("octo.tar.gz"));
    assert_eq!(statement.algorithms(), [Algorithm::Sha256]);
}

#[test]
fn what_is_no_statement() {
    let good = github_attestation("refs/tags/v1");
    let changed = |pointer: &str, new: Value| read(&edit(good.clone(), pointer, Some(new)));
    let removed = |pointer: &str| read(&edit(good.clone(), pointer, None));
    for (result, what) in [
        (changed("/_type", json!("https://in-toto.io/Statement/v2")), "version"),
        (changed("/_type", json!("https://in-toto.io/Statement/V1")), "version"),
        (changed("/_type", json!("https://in-toto.io/Statement/v1 ")), "version"),
        (changed("/_type", json!(1)), "_type: a number where a string belongs"),
        (removed("/_type"), "_type: missing"),
        (removed("/subject"), "subject: names no artifact"),
        (changed("/subject", json!([])), "subject: names no artifact"),
        (changed("/subject", json!({})), "subject: an object where a list belongs"),
        (changed("/subject", json!(["x"])), "subject[0]: a string where an object belongs"),
        (removed("/subject/0/digest"), "subject[0].digest: missing"),
        (changed("/subject/0/digest", json!({})), "subject[0].digest: names no digest"),
        (changed("/subject/0/digest", json!("00")), "subject[0].digest: is not an object"),
        (changed("/subject/0/digest/sha256", json!(1)), "subject[0].digest.sha256: is not a text"),
        (changed("/subject/0/digest/sha256", json!("00")), "is not a digest"),
        (
            changed("/subject/0/digest/sha256", json!(sha(Algorithm::Sha256).to_uppercase())),
            "is not a digest",
        ),
        (
            changed("/subject/0/digest/sha256", json!(format!("{}\n", sha(Algorithm::Sha256)))),
            "is not a digest",
        ),
        (changed("/subject/0/digest/sha1", json!("")), "subject[0].digest.sha1: is empty"),
        (changed("/subject/0/name", json!(7)), "subject[0].name: a number where a string belongs"),
        (removed("/predicateType"), "predicateType: missing"),
        (changed("/predicateType", json!("")), "predicateType: is empty"),
        (changed("/predicate", json!([])), "predicate: is not an object"),
        (changed("/predicate", json!("{}")), "predicate: is not an object"),
    ] {
        let error = result.unwrap_err();
        match (what, &error) {
            ("version", StatementError::Version { .. }) => {
                assert_eq!(error.finding(&origin()).state, State::Undecided);
            }
            (text, StatementError::Malformed { .. }) => {
                assert!(error.to_string().contains(text), "{error}");
                assert_eq!(error.finding(&origin()).state, State::Failed);
            }
            _ => panic!("{what}: {error:?}"),
        }
    }
    let twice = r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha1":"aa","sha1":"bb"}}],"predicateType":"x"}"#;
    assert!(matches!(
        Statement::read(PAYLOAD_TYPE, twice.as_bytes()),
        Err(StatementError::Malformed { problem, .. }) if problem.contains("twice")
    ));
    for payload_type in
        ["", "application/json", "application/vnd.in-toto+JSON", "application/vnd.in-toto+json "]
    {
        assert!(matches!(
            Statement::read(payload_type, good.to_string().as_bytes()),
            Err(StatementError::PayloadType { .. })
        ));
    }
    let large = vec![b' '; dsops_release_verify::statement::LIMIT_BYTES + 1];
    assert!(matches!(Statement::read(PAYLOAD_TYPE, &large), Err(StatementError::TooLarge { .. })));
}

#[test]
fn subjects_are_matched_by_every_digest_that_both_know() {
    let right = |algorithm| sha(algorithm);
    let wrong = "00".repeat(32);
    let all = artifact();
    let only = Artifact::read("x", CONTENT, &[]).unwrap();
    let (sha256, sha512) = (right(Algorithm::Sha256), right(Algorithm::Sha512));
    let found = |subjects: Value, artifact: &Artifact| {
        let statement = read(&with_subjects(&subjects)).unwrap();
        let name = match statement.covers(artifact) {
            SubjectMatch::Matches(_) => "matches",
            SubjectMatch::Contradicts(_) => "contradicts",
            SubjectMatch::NotComputed(_) => "not computed",
            SubjectMatch::Differs => "differs",
            SubjectMatch::NoDigest => "no digest",
        };
        let state = statement.check_subject(artifact).state;
        let expected = match name {
            "matches" => State::Passed,
            "not computed" => State::Undecided,
            _ => State::Failed,
        };
        assert_eq!(state, expected);
        name
    };
    for (subjects, artifact, expected) in [
        (json!([{"digest": {"sha256": sha256}}]), &all, "matches"),
        (json!([{"name": "", "digest": {"sha512": sha512}}]), &all, "matches"),
        (json!([{"digest": {"sha256": wrong}}, {"digest": {"sha256": sha256}}]), &all, "matches"),
        (json!([{"digest": {"sha256": sha256, "sha512": sha512, "sha1": "00"}}]), &all, "matches"),
        (json!([{"digest": {"sha256": wrong, "sha512": sha512}}]), &all, "contradicts"),
        (
            json!([{"digest": {"sha256": wrong, "sha512": sha512}}, {"digest": {"sha256": sha256}}]),
            &all,
            "matches",
        ),
        (json!([{"digest": {"sha256": wrong}}]), &all, "differs"),
        (json!([{"digest": {"sha256": wrong}}, {"digest": {"sha1": "00"}}]), &all, "differs"),
        (json!([{"digest": {"sha1": "00"}}]), &all, "no digest"),
        (json!([{"digest": {"gitCommit": COMMIT}}]), &all, "no digest"),
        (json!([{"digest": {"SHA256": sha256}}]), &all, "no digest"),
        (json!([{"digest": {"sha512": sha512}}]), &only, "not computed"),
        (json!([{"digest": {"sha512": sha512, "sha256": sha256}}]), &only, "matches"),
        (json!([{"digest": {"sha512": sha512, "sha256": wrong}}]), &only, "differs"),
        (
            json!([{"digest": {"sha512": sha512}}, {"digest": {"sha256": wrong}}]),
            &only,
            "not computed",
        ),
    ] {
        assert_eq!(found(subjects.clone(), artifact), expected, "{subjects}");
    }
}

#[test]
fn findings_say_what_was_expected_and_found() {
    let value =
        with_subjects(&json!([{"name": "other.tar.gz", "digest": {"sha256": "11".repeat(32)}}]));
    let finding = read(&value).unwrap().check_subject(&artifact());
    assert_eq!(finding.expected.unwrap(), format!("sha256:{}", sha(Algorithm::Sha256)));
    assert_eq!(finding.found.unwrap(), format!("sha256:{} (other.tar.gz)", "11".repeat(32)));
    let many: Vec<Value> = (0..9)
        .map(|n| json!({"name": format!("f{n}"), "digest": {"sha256": "11".repeat(32)}}))
        .collect();
    let finding = read(&with_subjects(&json!(many))).unwrap().check_subject(&artifact());
    assert_eq!(finding.found.unwrap(), "f0, f1, f2 and 6 more");
    let statement = statement(&github_attestation("refs/tags/v1"));
    let wanted = "https://slsa.dev/provenance/v0.2";
    let finding = statement.check_predicate_type(wanted);
    assert_eq!((finding.code, finding.state), ("statement/predicate-type", State::Failed));
    assert_eq!(
        statement.check_predicate_type("https://slsa.dev/provenance/v1").state,
        State::Passed
    );
}

#[test]
fn predicates_by_their_type() {
    use PredicateKind::{CosignSignature, CycloneDx, NpmPublish, Other, Provenance, PypiPublish};
    use PredicateKind::{Release, Spdx, VerificationSummary};
    for (text, kind) in [
        ("https://slsa.dev/provenance/v0.2", Provenance),
        ("https://slsa.dev/provenance/v1", Provenance),
        ("https://slsa.dev/provenance/v0.1", Other),
        ("https://slsa.dev/provenance/v1/", Other),
        ("https://spdx.dev/Document", Spdx),
        ("https://spdx.dev/Document/v2.3", Spdx),
        ("https://spdx.dev/Document2", Other),
        ("https://spdx.dev/Document/v", Other),
        ("https://cyclonedx.org/bom", CycloneDx),
        ("https://cyclonedx.org/bom/v1.6", CycloneDx),
        ("https://cyclonedx.org/bomb", Other),
        ("https://slsa.dev/verification_summary/v1", VerificationSummary),
        ("https://in-toto.io/attestation/release/v0.2", Release),
        ("https://github.com/npm/attestation/tree/main/specs/publish/v0.1", NpmPublish),
        ("https://docs.pypi.org/attestations/publish/v1", PypiPublish),
        ("https://sigstore.dev/cosign/sign/v1", CosignSignature),
        ("", Other),
    ] {
        assert_eq!(PredicateKind::of(text), kind, "{text}");
    }
}

fn summary() -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": sha(Algorithm::Sha256)}}],
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": {
            "verifier": {"id": "https://example.org/verifier"},
            "timeVerified": "2026-01-01T00:00:00Z",
            "resourceUri": "pkg:generic/octo@1.2.3",
            "policy": {"uri": "https://example.org/policy"},
            "verificationResult": "PASSED",
            "verifiedLevels": ["SLSA_BUILD_LEVEL_2", "EXAMPLE_REVIEWED"],
        },
    })
}

#[test]
fn verification_summaries() {
    let rules = || SummaryRules::new("https://example.org/verifier", "pkg:generic/octo@1.2.3");
    let check = |rules: &SummaryRules, value: &Value| {
        problems(&rules.check(&statement(value), &artifact(), &origin()))
    };
    let none: [&str; 0] = [];
    for level in ["SLSA_BUILD_LEVEL_0", "SLSA_BUILD_LEVEL_2", "EXAMPLE_REVIEWED"] {
        assert_eq!(check(&rules().level(level), &summary()), none, "{level}");
    }
    for level in [
        "SLSA_BUILD_LEVEL_3",
        "SLSA_SOURCE_LEVEL_1",
        "SLSA_BUILD_LEVEL_",
        "SLSA_BUILD_LEVEL_2 ",
        "slsa_build_level_2",
        "EXAMPLE",
        "",
    ] {
        assert_eq!(check(&rules().level(level), &summary()), ["summary/level"], "{level}");
    }
    for (pointer, value, code) in [
        ("/predicate/verificationResult", json!("FAILED"), "summary/result"),
        ("/predicate/verificationResult", json!("passed"), "summary/result"),
        ("/predicate/verificationResult", json!("PASSED\n"), "summary/result"),
        ("/predicate/resourceUri", json!("pkg:generic/octo@1.2.4"), "summary/resource"),
        ("/predicate/verifier/id", json!("https://example.org/verifier2"), "summary/verifier"),
        ("/predicate/verifier/id", json!("https://EXAMPLE.org/verifier"), "summary/verifier"),
        ("/predicate/verifier", json!({}), "statement/format"),
        ("/predicate/verifiedLevels", json!([1]), "statement/format"),
        ("/predicateType", json!("https://example.org/p"), "statement/format"),
        ("/subject/0/digest/sha256", json!("00".repeat(32)), "statement/subject"),
    ] {
        let value = edit(summary(), pointer, Some(value));
        assert_eq!(check(&rules(), &value), [code], "{pointer}");
    }
    // Nothing asked for is not everything accepted.
    let value = edit(summary(), "/predicate/verifier/id", Some(json!("")));
    assert_eq!(
        check(&SummaryRules::new("", "pkg:generic/octo@1.2.3"), &value),
        ["summary/verifier"]
    );
}

proptest! {
    #[test]
    fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = Statement::read(PAYLOAD_TYPE, &bytes);
    }

    #[test]
    fn a_statement_is_about_what_it_names_and_nothing_else(
        names in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 1..6),
        other in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let digest = |content: &[u8]| dsops_release_verify::Digest::of(Algorithm::Sha256, content).hex();
        let subjects: Vec<Value> =
            names.iter().map(|name| json!({"digest": {"sha256": digest(name)}})).collect();
        let statement = read(&with_subjects(&json!(subjects))).unwrap();
        let artifact = Artifact::read("x", other.as_slice(), &[]).unwrap();
        let matches = matches!(statement.covers(&artifact), SubjectMatch::Matches(_));
        prop_assert_eq!(matches, names.contains(&other));
    }
}
