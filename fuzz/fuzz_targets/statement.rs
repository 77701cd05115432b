//! Feeds arbitrary payloads to the reader of statements, and what it reads to the rules.
#![no_main]

use dsops_release_verify::statement::{
    PAYLOAD_TYPE, Provenance, ProvenanceRules, Statement, SubjectMatch, SummaryRules,
};
use dsops_release_verify::{
    Algorithm, Artifact, CertificateIdentity, Origin, Signer, State, SubjectName, check_claims,
    github, sbom,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(statement) = Statement::read(PAYLOAD_TYPE, bytes) else { return };
    let artifact = Artifact::read("fuzz", &b"fuzz"[..], &Algorithm::ALL).unwrap();
    let origin = Origin::new("fuzz");
    let about = matches!(statement.covers(&artifact), SubjectMatch::Matches(_));
    assert_eq!(about, statement.check_subject(&artifact).state == State::Passed);

    // What the statement says is put into the certificate, so that more of the checks are reached.
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let provenance = Provenance::read(&statement).ok();
    let builder = provenance.as_ref().map(|found| found.builder().to_string());
    let source = provenance.as_ref().and_then(Provenance::source).unwrap_or_default();
    let (repository, reference) = source.split_once('@').unwrap_or((source, ""));
    let repository = repository.trim_start_matches("git+");
    let identity = CertificateIdentity::new(
        vec![SubjectName::Uri(text(builder.as_deref()))],
        Some(github::ISSUER.to_owned()),
        vec![
            (12, repository.to_owned()),
            (13, text(provenance.as_ref().and_then(Provenance::commit))),
            (14, reference.to_owned()),
            (18, format!("{repository}/w.yml@{reference}")),
        ],
    );
    let _ = check_claims(&identity);
    let rules = [
        ProvenanceRules::new("github.com/o/r").ok(),
        ProvenanceRules::new(repository).ok().map(ProvenanceRules::isolated_builders),
        ProvenanceRules::new(repository).and_then(|rules| rules.versioned_tag("v1")).ok(),
        ProvenanceRules::new(repository).and_then(|rules| rules.branch("main")).ok(),
    ];
    let key = Signer::Key { id: String::new(), algorithm: String::new() };
    for signer in [Signer::Certificate(identity), key] {
        for rules in rules.iter().flatten() {
            let findings = rules.check(&statement, &signer, &artifact, &origin);
            let good = |finding: &dsops_release_verify::Finding| {
                !matches!(finding.state, State::Failed | State::Undecided)
            };
            assert!(about || !findings.iter().all(good), "good, but about something else");
        }
    }
    let _ = SummaryRules::new("v", "r").level("SLSA_BUILD_LEVEL_2").check(&statement, &artifact, &origin);
    let _ = sbom::check_statement(&statement, &artifact, &origin);
});
