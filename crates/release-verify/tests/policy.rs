//! Policies of several rules: what counts under one must not count under another.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io;

use common::{Folder, code, sigstore};
use dsops_release_verify::registry::npm::RegistryKeys;
use dsops_release_verify::{
    Demands, IdentityRule, Judged, Options, Origin, Pattern, PolicyFile, ReleaseVerifier, Report,
    Requirement, SignerPolicy, SignerRule, State, Verdict,
};
use dsops_testkit::sigstore::{Identity, San, World};
use serde_json::{Value, json};

const TOOL: &[u8] = b"the tool";

fn engine(folder: &Folder, policy: &str) -> ReleaseVerifier {
    let policy = PolicyFile::read(policy.as_bytes(), &Origin::new("policy"), |_| {
        Err(io::ErrorKind::NotFound.into())
    });
    ReleaseVerifier::of_policy(policy.unwrap(), sigstore(folder), Options::default())
}

/// One statement about two files, by one signer: read once for each rule, and judged by it.
#[test]
fn one_bundle_under_two_rules() {
    let folder = Folder::new("two-rules");
    let statement = serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [common::subject("lax", TOOL), common::subject("strict", b"other")],
        "predicateType": "https://example.org/custom/v1",
        "predicate": {},
    });
    folder.write("lax", TOOL);
    folder.write("strict", b"other");
    let signed = folder.world.attest(&statement).bundle();
    folder.write("all.intoto.jsonl", signed.to_string().as_bytes());
    let strict = |more: &str| {
        format!(
            "version: 1\nsigners: {{ ci: {{ github: octo/demo }}, other: {{ github: octo/other }} }}\n\
             artifacts:\n  - {{ match: lax, signed-by: ci }}\n  - {{ match: strict, {more} }}\n"
        )
    };
    for (rule, verdict, finding) in [
        ("signed-by: ci", Verdict::Verified, ("policy/signer", State::Passed)),
        ("signed-by: other", Verdict::Failed, ("policy/threshold", State::Failed)),
        ("signed-by: ci, logs: 2", Verdict::Failed, ("log/threshold", State::Failed)),
        ("signed-by: ci, timestamps: 2", Verdict::Failed, ("timestamp/threshold", State::Failed)),
    ] {
        let engine = engine(&folder, &strict(rule));
        let all = engine.verify_directory(&folder.path("")).unwrap();
        let report = |name: &str| -> &Report {
            let one = all.files.iter().find(|one| one.name.ends_with(name)).unwrap();
            one.result.as_ref().unwrap()
        };
        assert_eq!(report("lax").verdict, Verdict::Verified, "{rule}");
        let strict = report("strict");
        assert_eq!(strict.verdict, verdict, "{rule}: {:#?}", strict.findings);
        assert_eq!(code(strict, finding.0), Some(finding.1), "{rule}");
        let files = engine.verify_files(&[folder.path("strict"), folder.path("lax")]);
        let verdicts: Vec<Verdict> = files.iter().map(Judged::verdict).collect();
        assert_eq!(verdicts, [verdict, Verdict::Verified], "{rule}");
    }
}

#[test]
fn without_a_rule_nothing_is_decided() {
    let folder = Folder::new("no-rule");
    folder.write("tool", TOOL);
    folder.bundle("tool");
    let policy =
        "version: 1\nsigners: { ci: { github: octo/demo } }\nartifacts: [{ match: '*.gz' }]\n";
    let engine = engine(&folder, policy);
    let path = folder.path("tool");
    let reports = [
        engine.verify_file(&path).unwrap(),
        engine.verify_file_with(&path, &[]).unwrap(),
        engine.verify_reader("-", TOOL, &[]).unwrap(),
    ];
    for report in reports {
        assert_eq!(report.verdict, Verdict::Undecided);
        assert_eq!(code(&report, "policy/no-rule"), Some(State::Undecided));
        assert!(report.signers.is_empty());
    }
}

#[test]
fn signatures_are_shown_to_be_good_and_accepted_by_nobody() {
    let folder = Folder::new("signatures");
    folder.write("tool", TOOL);
    let other = Identity::email("mallory@example.org", "https://accounts.example.org");
    folder.bundle_by("tool", "tool.sigstore.json", &other);
    let signatures = || {
        let options = Options::default();
        ReleaseVerifier::signatures_of(sigstore(&folder), &folder.path("tool"), &[], options)
            .unwrap()
    };
    let found = signatures();
    assert_eq!(found.good.len(), 1, "{:#?}", found.findings);
    assert_eq!(
        found.good[0].signer.to_string(),
        "mallory@example.org by https://accounts.example.org"
    );
    folder.write("tool", b"changed");
    let found = signatures();
    assert!(found.good.is_empty());
    assert!(found.findings.iter().any(|finding| finding.state == State::Failed));
}

/// GitHub signs for everybody's releases: a list of components or of checksums of another release
/// must not count for this one.
#[test]
fn evidence_of_another_release_does_not_count() {
    let attested = |folder: &Folder, file: &str, repository: &str| {
        let statement = serde_json::json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [common::subject(file, &folder.read(file))],
            "predicateType": "https://in-toto.io/attestation/release/v0.2",
            "predicate": {
                "repository": repository, "tag": "v1", "purl": format!("pkg:github/{repository}@v1"),
            },
        });
        let github = Identity {
            names: vec![San::Uri("https://dotcom.releases.github.com".to_owned())],
            extensions: Vec::new(),
        };
        let bundle = folder.world.attest(&statement).identity(github).bundle();
        folder.write(&format!("{file}.sigstore.json"), bundle.to_string().as_bytes());
    };
    let policy = "version: 1\nsigners: { releases: { registry: github-releases } }\n\
         artifacts: [{ published: 'github-release:octo/demo@v1', require: [sbom, checksums] }]\n";
    for (repository, verdict) in
        [("octo/demo", Verdict::Verified), ("mallory/demo", Verdict::Undecided)]
    {
        let folder = Folder::new("other-release");
        folder.write("tool", TOOL);
        attested(&folder, "tool", "octo/demo");
        folder.write("tool.spdx.json", &common::spdx("tool", TOOL));
        attested(&folder, "tool.spdx.json", repository);
        folder.checksums("SHA256SUMS", &["tool"]);
        attested(&folder, "SHA256SUMS", repository);
        let engine = engine(&folder, policy);
        let all = engine.verify_directory(&folder.path("")).unwrap();
        for file in &all.files {
            let is_tool = file.name.ends_with("/tool");
            let report = file.result.as_ref().unwrap();
            assert_eq!(
                report.verdict, verdict,
                "{} {repository}: {:#?}",
                file.name, report.findings
            );
            for requirement in ["require/sbom", "require/checksums"] {
                let state = match verdict {
                    Verdict::Verified => State::Passed,
                    _ => State::Undecided,
                };
                assert_eq!(code(report, requirement), is_tool.then_some(state), "{requirement}");
            }
        }
    }
}

/// The verdict of a short form on a file with that provenance and nothing else, and the checks of
/// what it says.
fn built(
    folder: &Folder,
    statement: &Value,
    identity: &Identity,
    asked: bool,
) -> (Verdict, Vec<(&'static str, State, String, String)>) {
    let signed = folder.world.attest(statement).identity(identity.clone()).bundle();
    folder.write("tool.intoto.jsonl", signed.to_string().as_bytes());
    let mut policy = PolicyFile::short("github:octo/demo", &RegistryKeys::npm()).unwrap();
    for rule in &mut policy.rules {
        if asked {
            rule.demands = rule.demands.clone().require(Requirement::Provenance);
        }
    }
    let engine = ReleaseVerifier::of_policy(policy, sigstore(folder), Options::default());
    let report = engine.verify_file(&folder.path("tool")).unwrap();
    let own = report.findings.into_iter().filter(|one| one.code.starts_with("provenance/"));
    let shown = own.filter(|one| one.state > State::Passed).map(|one| {
        let (expected, found) = (one.expected.unwrap_or_default(), one.found.unwrap_or_default());
        (one.code, one.state, expected, found)
    });
    (report.verdict, shown.collect())
}

/// Provenance that is asked for by its kind only is held against the certificate that signed it.
#[test]
fn provenance_is_held_against_its_signer() {
    let folder = Folder::new("held");
    folder.write("tool", TOOL);
    let good = common::github_provenance("tool", TOOL);
    let own = World::identity();
    let (verdict, found) = built(&folder, &good, &own, true);
    assert_eq!((verdict, found), (Verdict::Verified, Vec::new()));
    let definition = "/predicate/buildDefinition";
    let source = format!("{definition}/resolvedDependencies/0/uri");
    let commit = format!("{definition}/resolvedDependencies/0/digest/gitCommit");
    let workflow = format!("{definition}/externalParameters/workflow");
    let workflow_of_demo = "https://github.com/octo/demo/.github/workflows/release.yml";
    let signer = format!("{workflow_of_demo}@refs/tags/v1.2.3");
    let repository = "https://github.com/octo/demo";
    let cases = [
        // Another builder: another workflow, at another reference, of another repository, a service.
        (
            "/predicate/runDetails/builder/id".to_owned(),
            format!("{repository}/.github/workflows/other.yml@refs/tags/v1.2.3"),
            ("provenance/builder", signer.clone()),
        ),
        (
            "/predicate/runDetails/builder/id".to_owned(),
            format!("{workflow_of_demo}@refs/heads/main"),
            ("provenance/builder", signer.clone()),
        ),
        (
            "/predicate/runDetails/builder/id".to_owned(),
            "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_generic_slsa3.yml@refs/tags/v2.0.0".to_owned(),
            ("provenance/builder", signer.clone()),
        ),
        (
            "/predicate/runDetails/builder/id".to_owned(),
            "https://cloudbuild.example/GoogleHostedWorker".to_owned(),
            ("provenance/builder", signer),
        ),
        // Another repository: what was built, what asked for it.
        (
            source.clone(),
            "git+https://github.com/octo/other@refs/tags/v1.2.3".to_owned(),
            ("provenance/source", repository.to_owned()),
        ),
        (
            format!("{workflow}/repository"),
            "https://github.com/octo/demo-evil".to_owned(),
            ("provenance/source", repository.to_owned()),
        ),
        // Another reference.
        (
            format!("{workflow}/ref"),
            "refs/heads/main".to_owned(),
            ("provenance/certificate", "refs/tags/v1.2.3".to_owned()),
        ),
        // Another commit.
        (commit, "b".repeat(40), ("provenance/certificate", "a".repeat(40))),
    ];
    for (pointer, forged, (code, expected)) in cases {
        let mut statement = good.clone();
        *statement.pointer_mut(&pointer).unwrap() = json!(forged);
        if pointer.ends_with("/ref") {
            *statement.pointer_mut(&source).unwrap() =
                json!("git+https://github.com/octo/demo@refs/heads/main");
        }
        let (verdict, found) = built(&folder, &statement, &own, true);
        assert_eq!(verdict, Verdict::Failed, "{pointer}: {found:?}");
        let first = found.iter().find(|one| one.0 == code).unwrap_or_else(|| panic!("{found:?}"));
        assert_eq!((first.1, &first.2), (State::Failed, &expected), "{pointer}: {found:?}");
        assert!(first.3.contains(&forged), "{pointer}: {found:?}");
        // Where nobody asks for provenance it decides nothing, and is told.
        let (verdict, found) = built(&folder, &statement, &own, false);
        assert_eq!(verdict, Verdict::Verified, "{pointer}: {found:?}");
        assert!(found.iter().any(|one| one.0 == code && one.1 == State::Warning), "{found:?}");
    }
    // A certificate that does not say what was built proves no provenance.
    let bare = own.without_claim(12).without_claim(5);
    folder.remove("tool.intoto.jsonl");
    let rule = IdentityRule::new(
        Pattern::glob("https://github.com/octo/demo/**").unwrap(),
        Pattern::exact(common::ISSUER).unwrap(),
    );
    let demands = Demands::new(SignerPolicy::new(SignerRule::Certificate(rule)));
    let attested = folder.world.attest(&good).identity(bare).bundle();
    folder.write("tool.intoto.jsonl", attested.to_string().as_bytes());
    let report = folder.verify(demands.require(Requirement::Provenance), "tool");
    assert_eq!(report.verdict, Verdict::Failed, "{:#?}", report.findings);
    assert_eq!(code(&report, "provenance/source"), Some(State::Failed));
}

/// A person's certificate proves no build: the provenance counts as that person's word.
#[test]
fn provenance_by_a_person_is_their_word() {
    let folder = Folder::new("word");
    folder.write("tool", TOOL);
    let ann = Identity::email("ann@example.org", "https://accounts.example.org");
    let rule = IdentityRule::new(
        Pattern::exact("ann@example.org").unwrap(),
        Pattern::exact("https://accounts.example.org").unwrap(),
    );
    let demands = Demands::new(SignerPolicy::new(SignerRule::Certificate(rule)));
    let statement = common::github_provenance("tool", TOOL);
    let attested = folder.world.attest(&statement).identity(ann).bundle();
    folder.write("tool.intoto.jsonl", attested.to_string().as_bytes());
    let report = folder.verify(demands.require(Requirement::Provenance), "tool");
    assert_eq!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
    assert_eq!(code(&report, "provenance/builder"), Some(State::Warning));
}
