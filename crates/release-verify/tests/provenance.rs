//! Provenance against rules: what is good passes, each look-alike fails with its own code.
#![allow(clippy::unwrap_used, reason = "tests")]

mod statements;

use dsops_release_verify::State;
use dsops_release_verify::statement::ProvenanceRules;
use serde_json::{Value, json};
use statements::*;

const TAG: &str = "refs/tags/v1.2.3";
const MAIN: &str = "refs/heads/main";

fn rules() -> ProvenanceRules {
    ProvenanceRules::new(SOURCE).unwrap()
}

fn check(rules: &ProvenanceRules, value: &Value, certificate: &Certificate) -> Vec<&'static str> {
    let findings = rules.check(&statement(value), &certificate.signer(), &artifact(), &origin());
    assert!(findings.iter().all(|finding| finding.origin.is_some()));
    problems(&findings)
}

fn generated(reference: &str) -> Certificate {
    Certificate::new(reference)
        .signed_by(GENERATOR)
        .with(2, "workflow_dispatch")
        .with(20, "workflow_dispatch")
}

fn npm_runner() -> ProvenanceRules {
    rules().builder("https://github.com/actions/runner/github-hosted").unwrap()
}

const NONE: [&str; 0] = [];

#[test]
fn what_builders_write_is_good() {
    let own = "https://github.com/octo-org/octo-repo/.github/workflows/release.yml";
    let certificate = Certificate::new(TAG);
    for (value, certificate, rules) in [
        (github_attestation(TAG), &certificate, rules()),
        (github_attestation(TAG), &certificate, rules().builder(own).unwrap()),
        (
            github_attestation(TAG),
            &certificate,
            rules()
                .builder(&format!("{own}@{TAG}"))
                .unwrap()
                .tag("v1.2.3")
                .unwrap()
                .versioned_tag("v1.2")
                .unwrap()
                .trigger("push")
                .workflow(".github/workflows/release.yml")
                .commit(COMMIT)
                .unwrap()
                .build_type("https://actions.github.io/buildtypes/workflow/v1")
                .hosted_runners_only(),
        ),
        (npm_v02(TAG), &certificate, npm_runner().tag("v1.2.3").unwrap()),
        (npm_v1(TAG), &certificate, npm_runner().tag("v1.2.3").unwrap()),
        (npm_v1(TAG), &certificate, rules()),
        (generic_builder(TAG), &generated(TAG), rules()),
        (
            generic_builder(TAG),
            &generated(TAG),
            rules()
                .isolated_builders()
                .versioned_tag("v1")
                .unwrap()
                .input("channel", "stable")
                .trigger("workflow_dispatch"),
        ),
        (
            generic_builder(MAIN),
            &generated(MAIN),
            rules().builder(GENERATOR.split('@').next().unwrap()).unwrap().branch("main").unwrap(),
        ),
        (generic_builder(MAIN), &generated(MAIN), rules().builder(GENERATOR).unwrap()),
    ] {
        assert_eq!(check(&rules, &value, certificate), NONE, "{rules:?}");
    }
}

#[test]
fn another_commit_trigger_or_workflow() {
    let failed =
        |rules: ProvenanceRules| check(&rules, &github_attestation(TAG), &Certificate::new(TAG));
    assert_eq!(failed(rules().commit(&"0".repeat(40)).unwrap()), ["provenance/commit"]);
    for event in ["pull_request", "Push", ""] {
        assert_eq!(failed(rules().trigger(event)), ["provenance/trigger"], "{event}");
    }
    for path in ["release.yml", ".github/workflows/release.yaml"] {
        assert_eq!(failed(rules().workflow(path)), ["provenance/workflow"], "{path}");
    }
}

#[test]
fn certificates_of_before_the_newer_claims() {
    let older: Vec<u32> = (8..=22).collect();
    let certificate = generated(TAG).without(&older);
    let rules = rules().isolated_builders().tag("v1.2.3").unwrap();
    assert_eq!(check(&rules, &generic_builder(TAG), &certificate), NONE);
    // A workflow that writes its own provenance needs the claims that prove it.
    let certificate = Certificate::new(TAG).without(&older);
    assert!(!check(&npm_runner(), &npm_v1(TAG), &certificate).is_empty());
}

#[test]
fn references_that_look_alike() {
    let built = |reference: &str, rules: ProvenanceRules| {
        check(&rules, &github_attestation(reference), &Certificate::new(reference))
    };
    let tag = |name| rules().tag(name).unwrap();
    let branch = |name| rules().branch(name).unwrap();
    let versioned = |name| rules().versioned_tag(name).unwrap();
    for (reference, rules, code) in [
        ("refs/heads/v1.2.3", tag("v1.2.3"), "provenance/tag"),
        ("refs/tags/v1.2.3-rc.1", tag("v1.2.3"), "provenance/tag"),
        ("refs/tags/V1.2.3", tag("v1.2.3"), "provenance/tag"),
        ("refs/tags/v1.2.3\n", tag("v1.2.3"), "statement/format"),
        ("refs/tags/x/v1.2.3", tag("v1.2.3"), "provenance/tag"),
        ("refs/heads/refs/tags/v1.2.3", tag("v1.2.3"), "provenance/tag"),
        ("v1.2.3", tag("v1.2.3"), "provenance/tag"),
        ("refs/tags/main", branch("main"), "provenance/branch"),
        ("refs/heads/Main", branch("main"), "provenance/branch"),
        ("refs/heads/main2", branch("main"), "provenance/branch"),
        ("refs/heads/feature/main", branch("main"), "provenance/branch"),
        ("refs/pull/1/merge", branch("main"), "provenance/branch"),
        ("refs/heads/v1.2.3", versioned("v1"), "provenance/versioned-tag"),
        ("refs/tags/v12.0.0", versioned("v1"), "provenance/versioned-tag"),
        ("refs/tags/v1.20.0", versioned("v1.2"), "provenance/versioned-tag"),
        ("refs/tags/v1.2.3-rc.1", versioned("v1.2.3"), "provenance/versioned-tag"),
        ("refs/tags/latest", versioned("v1"), "provenance/versioned-tag"),
        ("refs/tags/1.2.3", versioned("v1"), "provenance/versioned-tag"),
    ] {
        assert_eq!(built(reference, rules), [code], "{reference}");
    }
    // A tag that was pushed from a branch: the isolated builder's event says from which.
    let from = |base: Value, event: &str, rules: &ProvenanceRules| {
        let event_name = "/predicate/invocation/environment/github_event_name";
        let payload = "/predicate/invocation/environment/github_event_payload";
        let value = edit(generic_builder(TAG), event_name, Some(json!(event)));
        let certificate = Certificate::new(TAG).signed_by(GENERATOR);
        let certificate = certificate.with(2, event).with(20, event);
        check(rules, &edit(value, payload, Some(base)), &certificate)
    };
    let main = branch("main");
    assert_eq!(from(json!({"base_ref": MAIN}), "push", &main), NONE);
    assert_eq!(from(json!({"base_ref": null}), "push", &main), ["provenance/branch"]);
    assert_eq!(from(json!({"base_ref": "refs/heads/x"}), "push", &main), ["provenance/branch"]);
    assert_eq!(from(json!({"release": {"target_commitish": "main"}}), "release", &main), NONE);
    assert_eq!(from(json!({"base_ref": MAIN}), "schedule", &main), ["provenance/branch"]);
}

#[test]
fn sources_that_look_alike() {
    let good = github_attestation(TAG);
    for source in [
        "github.com/octo-org/octo-repo2",
        "github.com/octo-org/octo",
        "github.com/Octo-Org/octo-repo",
        "gitlab.com/octo-org/octo-repo",
        "github.com.evil.example/octo-org/octo-repo",
        "github.com/evil/octo-org/octo-repo",
    ] {
        let rules = ProvenanceRules::new(source).unwrap();
        assert_eq!(check(&rules, &good, &Certificate::new(TAG)), ["provenance/source"], "{source}");
    }
    let rules = ProvenanceRules::new("github.com/Octo-Org/octo-repo").unwrap();
    let findings =
        rules.check(&statement(&good), &Certificate::new(TAG).signer(), &artifact(), &origin());
    let source = findings.iter().find(|finding| finding.code == "provenance/source").unwrap();
    assert!(source.help.as_ref().unwrap().contains("case"), "{source:?}");

    // What asked for the build, and what was built, each on its own.
    let material = "/predicate/materials/0/uri";
    let config = "/predicate/invocation/configSource/uri";
    let rules = self::rules();
    for (pointer, uri) in [
        (material, "git+https://github.com/octo-org/other@refs/tags/v1.2.3"),
        (material, "git+https://github.com/octo-org/octo-repo"),
        (material, "git+https://github.com/octo-org/octo-repo@refs/heads/main"),
        (material, "https://github.com/octo-org/octo-repo@refs/tags/v1.2.3"),
        (material, "git+https://github.com/octo-org/octo-repo/@refs/tags/v1.2.3"),
        (config, "git+https://github.com/octo-org/octo-repo"),
        (config, "git+https://github.com/octo-org/octo-repo@"),
        (config, "git+https://github.com/evil/octo-repo@refs/tags/v1.2.3"),
    ] {
        let value = edit(generic_builder(TAG), pointer, Some(json!(uri)));
        let mut found = check(&rules, &value, &generated(TAG));
        // An empty reference is another one than the certificate's, too.
        found.retain(|code| !(uri.ends_with('@') && *code == "provenance/reference"));
        assert_eq!(found, ["provenance/source"], "{uri}");
    }
    let value = edit(generic_builder(TAG), "/predicate/materials/0", None);
    assert_eq!(check(&rules, &value, &generated(TAG)), ["provenance/source"]);
}

#[test]
fn builders_that_look_alike() {
    let signed = |workflow: &str, rules: &ProvenanceRules| {
        let value = edit(generic_builder(TAG), "/predicate/builder/id", Some(json!(workflow)));
        check(rules, &value, &generated(TAG).signed_by(workflow))
    };
    let isolated = rules().isolated_builders();
    let base = GENERATOR.split('@').next().unwrap();
    for workflow in [
        format!("{base}@refs/heads/main"),
        format!("{base}@refs/tags/v2"),
        format!("{base}@refs/tags/v2.0.0-rc.0"),
        format!("{base}@v2.0.0"),
        format!("{base}@{COMMIT}"),
        base.to_owned(),
        format!("{base}@refs/tags/v2.0.0@refs/tags/v2.0.0"),
        GENERATOR.replace("slsa-framework/", "slsa-framework-evil/"),
        GENERATOR.replace("generator_generic", "Generator_generic"),
        GENERATOR.replace(".yml@", ".yml.yml@"),
        GENERATOR.replace("https://", "http://"),
        format!("{GENERATOR}\n"),
    ] {
        let found = signed(&workflow, &isolated);
        assert!(
            found.contains(&"provenance/builder") || found.contains(&"statement/format"),
            "{workflow:?}: {found:?}"
        );
    }
    // Another builder signed than the one it names.
    let other = GENERATOR.replace("v2.0.0", "v2.1.0");
    let value = generic_builder(TAG);
    assert_eq!(check(&rules(), &value, &generated(TAG).signed_by(&other)), ["provenance/builder"]);
    // A builder that writes another build type.
    let value = edit(
        value,
        "/predicate/buildType",
        Some(json!("https://github.com/slsa-framework/slsa-github-generator/go@v1")),
    );
    assert_eq!(check(&rules(), &value, &generated(TAG)), ["provenance/build-type"]);
    // Another identity provider vouches for a workflow of that name.
    let certificate = generated(TAG).issuer("https://evil.example");
    assert!(check(&isolated, &generic_builder(TAG), &certificate).contains(&"provenance/builder"));
    // The build itself says how it was made.
    assert_eq!(
        check(&isolated, &github_attestation(TAG), &Certificate::new(TAG)),
        ["provenance/builder"]
    );
    // It names another than the one that signed.
    let id = "/predicate/runDetails/builder/id";
    for named in [GENERATOR, "https://github.com/octo-org/octo-repo/.github/workflows/release.yml"]
    {
        let value = edit(github_attestation(TAG), id, Some(json!(named)));
        assert_eq!(check(&rules(), &value, &Certificate::new(TAG)), ["provenance/builder"]);
    }
    // A self-hosted runner that says it is GitHub's.
    let certificate = Certificate::new(TAG).with(11, "self-hosted");
    assert!(check(&npm_runner(), &npm_v1(TAG), &certificate).contains(&"provenance/builder"));
    assert!(check(&npm_runner(), &npm_v02(TAG), &certificate).contains(&"provenance/builder"));
    let hosted = rules().hosted_runners_only();
    let value = edit(
        github_attestation(TAG),
        "/predicate/buildDefinition/internalParameters/github/runner_environment",
        Some(json!("self-hosted")),
    );
    assert_eq!(check(&rules(), &value, &certificate), NONE);
    assert_eq!(check(&hosted, &value, &certificate), ["provenance/runner"]);
}

#[test]
fn a_builder_from_elsewhere_is_a_release_or_named_exactly() {
    let elsewhere = |reference: &str| {
        format!("https://github.com/builders/go/.github/workflows/build.yml@{reference}")
    };
    let id = "/predicate/runDetails/builder/id";
    let built = |reference: &str, rules: &ProvenanceRules| {
        let workflow = elsewhere(reference);
        let value = edit(github_attestation(TAG), id, Some(json!(workflow)));
        check(rules, &value, &Certificate::new(TAG).signed_by(&workflow))
    };
    let loose =
        rules().builder("https://github.com/builders/go/.github/workflows/build.yml").unwrap();
    assert_eq!(built("refs/tags/v1.0.0", &loose), NONE);
    assert_eq!(built("refs/heads/main", &loose), ["provenance/builder"]);
    let exact = rules().builder(&elsewhere("refs/heads/main")).unwrap();
    assert_eq!(built("refs/heads/main", &exact), NONE);
    assert_eq!(built("refs/heads/main2", &exact), ["provenance/builder"]);
}

#[test]
fn a_builder_that_hands_the_work_on() {
    let delegator = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/delegator_generic_slsa3.yml@refs/tags/v2.0.0";
    let worker = "https://github.com/builders/node/.github/workflows/build.yml@refs/tags/v1.0.0";
    let source = format!("git+https://github.com/octo-org/octo-repo@{TAG}");
    let value = |builder: &str, source: &str| {
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "octo.tar.gz", "digest": {"sha256": sha(dsops_release_verify::Algorithm::Sha256)}}],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {
                "buildDefinition": {
                    "buildType": "https://github.com/slsa-framework/slsa-github-generator/delegator-generic@v0",
                    "externalParameters": {"inputs": {"channel": "stable"}},
                    "internalParameters": {
                        "GITHUB_EVENT_NAME": "push",
                        "GITHUB_REF": TAG,
                        "GITHUB_REF_TYPE": "tag",
                        "GITHUB_WORKFLOW_REF": format!("octo-org/octo-repo/.github/workflows/release.yml@{TAG}"),
                    },
                    "resolvedDependencies": [{"uri": source, "digest": {"gitCommit": COMMIT}}],
                },
                "runDetails": {"builder": {"id": builder}},
            },
        })
    };
    let certificate = Certificate::new(TAG).signed_by(delegator);
    let named = rules().builder(worker.split('@').next().unwrap()).unwrap().tag("v1.2.3").unwrap();
    assert_eq!(check(&named, &value(worker, &source), &certificate), NONE);
    // Not asked for by name, only the project's own workers are good.
    let isolated = rules().isolated_builders();
    assert_eq!(check(&isolated, &value(worker, &source), &certificate), ["provenance/builder"]);
    let own = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/builder_nodejs_slsa3.yml@refs/tags/v2.0.0";
    assert_eq!(check(&isolated, &value(own, &source), &certificate), NONE);
    for worker in [
        worker.replace("refs/tags/v1.0.0", "refs/heads/main"),
        worker.replace("refs/tags/v1.0.0", "refs/tags/v1"),
        worker.replace("@refs/tags/v1.0.0", ""),
        worker.replace("builders/node", "builders/node2"),
    ] {
        let value = value(&worker, &source);
        assert_eq!(check(&named, &value, &certificate), ["provenance/builder"], "{worker}");
    }
    // What was built may have been committed on the way, and then has no reference.
    let bare = "git+https://github.com/octo-org/octo-repo";
    let branchless = rules().builder(worker).unwrap();
    assert_eq!(check(&branchless, &value(worker, bare), &certificate), NONE);
}

#[test]
fn inputs_are_those_that_were_given() {
    let rules = |name: &str, value: &str| rules().input(name, value);
    let good = generic_builder(TAG);
    for (name, value) in [("channel", "beta"), ("chan", "stable"), ("dry", "true"), ("channel", "")]
    {
        let found = check(&rules(name, value), &good, &generated(TAG));
        assert_eq!(found, ["provenance/inputs"], "{name}={value}");
    }
    // Started by something else, there are no inputs, whatever is written there.
    let certificate = generated(TAG).with(2, "push").with(20, "push");
    assert_eq!(check(&rules("channel", "stable"), &good, &certificate), ["provenance/inputs"]);
    // A workflow that writes its own provenance could write any.
    let value = edit(
        github_attestation(TAG),
        "/predicate/buildDefinition/externalParameters/inputs",
        Some(json!({"channel": "stable"})),
    );
    let found = check(&rules("channel", "stable"), &value, &Certificate::new(TAG));
    assert_eq!(found, ["provenance/inputs", "provenance/certificate"]);
}

#[test]
fn provenance_that_a_build_forged_about_itself() {
    let other = "0000000000000000000000000000000000000000";
    let definition = "/predicate/buildDefinition";
    let github = format!("{definition}/internalParameters/github");
    let workflow = format!("{definition}/externalParameters/workflow");
    let dependencies = format!("{definition}/resolvedDependencies");
    for base in [github_attestation(TAG), npm_v1(TAG)] {
        for (pointer, forged) in [
            (format!("{github}/event_name"), json!("release")),
            (format!("{github}/repository_id"), json!("1")),
            (format!("{github}/repository_owner_id"), json!("2")),
            (format!("{github}/runner_environment"), json!("self-hosted")),
            (format!("{github}/event_name"), json!(1)),
            (format!("{github}/actor"), json!("octocat")),
            (format!("{definition}/internalParameters/other"), json!({})),
            (format!("{definition}/externalParameters/inputs"), json!({})),
            (format!("{workflow}/path"), json!(".github/workflows/other.yml")),
            (format!("{dependencies}/0/digest/gitCommit"), json!(other)),
            (format!("{dependencies}/0/digest"), json!({"sha256": other})),
            (format!("{dependencies}/-"), json!({"uri": "pkg:npm/x@1"})),
            ("/predicate/runDetails/metadata/invocationId".into(), json!(RUN.replace("/2", "/1"))),
            ("/predicate/runDetails/metadata/startedOn".into(), json!("2026-01-01T00:00:00Z")),
            ("/predicate/runDetails/metadata/finishedOn".into(), json!("2026-01-01T00:00:00Z")),
            ("/predicate/runDetails/byproducts".into(), json!([{"name": "log"}])),
        ] {
            let value = edit(base.clone(), &pointer, Some(forged));
            let found = check(&rules(), &value, &Certificate::new(TAG));
            assert!(
                !found.is_empty() && found.iter().all(|code| *code == "provenance/certificate"),
                "{pointer}: {found:?}"
            );
        }
        let value = edit(base, &format!("{workflow}/extra"), Some(json!("x")));
        assert_eq!(check(&rules(), &value, &Certificate::new(TAG)), ["statement/format"]);
    }
    let environment = "/predicate/invocation/environment";
    for (pointer, forged) in [
        (format!("{environment}/GITHUB_EVENT_NAME"), json!("release")),
        (format!("{environment}/GITHUB_REF"), json!(MAIN)),
        (format!("{environment}/GITHUB_REPOSITORY"), json!("octo-org/other")),
        (format!("{environment}/GITHUB_REPOSITORY_ID"), json!("1")),
        (format!("{environment}/GITHUB_REPOSITORY_OWNER_ID"), json!("1")),
        (format!("{environment}/GITHUB_RUN_ATTEMPT"), json!("1")),
        (format!("{environment}/GITHUB_RUN_ID"), json!("1")),
        (format!("{environment}/GITHUB_SHA"), json!(other)),
        (format!("{environment}/GITHUB_WORKFLOW_REF"), json!("octo-org/octo-repo/x@y")),
        (format!("{environment}/GITHUB_WORKFLOW_SHA"), json!(other)),
        (format!("{environment}/GITHUB_ACTOR"), json!("octocat")),
        ("/predicate/invocation/parameters/x".into(), json!("y")),
        ("/predicate/invocation/configSource/entryPoint".into(), json!("other.yml")),
        ("/predicate/buildConfig".into(), json!({"steps": []})),
        ("/predicate/metadata/buildInvocationId".into(), json!("4711-1")),
        ("/predicate/metadata/buildStartedOn".into(), json!("2026-01-01T00:00:00Z")),
        ("/predicate/metadata/buildFinishedOn".into(), json!("2026-01-01T00:00:00Z")),
        ("/predicate/metadata/completeness/parameters".into(), json!(true)),
        ("/predicate/metadata/completeness/environment".into(), json!(true)),
        ("/predicate/metadata/completeness/materials".into(), json!(true)),
        ("/predicate/metadata/reproducible".into(), json!(true)),
        ("/predicate/materials/-".into(), json!({"uri": "pkg:npm/x@1"})),
        ("/predicate/materials/0/digest/sha1".into(), json!(other)),
    ] {
        let value = edit(npm_v02(TAG), &pointer, Some(forged));
        let found = check(&npm_runner(), &value, &Certificate::new(TAG));
        assert!(
            !found.is_empty() && found.iter().all(|code| *code == "provenance/certificate"),
            "{pointer}: {found:?}"
        );
    }
}

/// What an isolated builder says counts, and still has to be what its certificate says.
#[test]
fn isolated_builders_and_their_certificates() {
    let other = "0000000000000000000000000000000000000000";
    for rules in [rules(), rules().isolated_builders()] {
        let value = generic_builder(TAG);
        assert_eq!(check(&rules, &value, &generated(TAG)), NONE);
        let moved = generated(MAIN);
        assert_eq!(check(&rules, &value, &moved), ["provenance/reference"]);
        let sha = "/predicate/materials/0/digest/sha1";
        let forged = edit(value, sha, Some(json!(other)));
        assert_eq!(check(&rules, &forged, &generated(TAG)), ["provenance/commit"]);
    }
}

#[test]
fn a_build_type_that_nobody_knows_proves_only_its_source() {
    let value = edit(
        github_attestation(TAG),
        "/predicate/buildDefinition/buildType",
        Some(json!("https://example.org/our-own@v1")),
    );
    let rules = rules().tag("v1.2.3").unwrap();
    let findings =
        rules.check(&statement(&value), &Certificate::new(TAG).signer(), &artifact(), &origin());
    assert_eq!(problems(&findings), NONE);
    let held = findings.iter().find(|f| f.code == "provenance/certificate").unwrap();
    assert_eq!(held.state, State::Warning);
    // The commit of the repository itself is one of the certificate's facts.
    let forged = edit(
        value.clone(),
        "/predicate/buildDefinition/resolvedDependencies/0/digest/gitCommit",
        Some(json!("0000000000000000000000000000000000000000")),
    );
    assert_eq!(check(&rules, &forged, &Certificate::new(TAG)), ["provenance/certificate"]);
    let moved = Certificate::new(MAIN).signed_by(&Certificate::new(TAG).workflow);
    assert!(check(&rules, &value, &moved).contains(&"provenance/reference"));
}

#[test]
fn certificates_that_contradict_themselves() {
    let value = github_attestation(TAG);
    for (arc, other) in [
        (2, "release"),
        (3, "0000000000000000000000000000000000000000"),
        (5, "octo-org/other"),
        (6, MAIN),
        (9, "https://github.com/octo-org/octo-repo/.github/workflows/other.yml@refs/tags/v1.2.3"),
        (16, "https://github.com/octo"),
        (16, "https://github.com/octo-org/octo-repo"),
        (
            18,
            "https://github.com/octo-org/octo-repo2/.github/workflows/release.yml@refs/tags/v1.2.3",
        ),
        (18, "https://github.com/octo-org/octo-repo/.github/workflows/release.yml"),
        (18, "https://github.com/octo-org/octo-repo/a@b@c"),
        (19, "0000000000000000000000000000000000000000"),
        (20, "release"),
        (21, "https://github.com/octo-org/octo-repo/actions/runs/4711"),
        (21, "https://github.com/octo-org/octo-repo/actions/runs/4711/attempts/2/.."),
        (21, "https://github.com/evil/octo-repo/actions/runs/4711/attempts/2"),
    ] {
        let certificate = Certificate::new(TAG).with(arc, other);
        let found = check(&rules(), &value, &certificate);
        assert!(found.contains(&"certificate/claims"), "{arc} {other}: {found:?}");
    }
    let mut twice = Certificate::new(TAG);
    twice.claims.push((14, TAG.to_owned()));
    assert!(check(&rules(), &value, &twice).contains(&"certificate/claims"));
}

#[test]
fn a_key_vouches_for_what_no_certificate_does() {
    let rules = |rules: ProvenanceRules| {
        problems(&rules.check(&statement(&generic_builder(TAG)), &key(), &artifact(), &origin()))
    };
    assert_eq!(rules(self::rules().tag("v1.2.3").unwrap()), NONE);
    assert_eq!(rules(self::rules().builder(GENERATOR).unwrap()), NONE);
    assert_eq!(rules(self::rules().input("channel", "stable")), NONE);
    assert_eq!(rules(self::rules().isolated_builders()), ["provenance/builder"]);
    assert_eq!(
        rules(self::rules().builder("https://example.org/ci").unwrap()),
        ["provenance/builder"]
    );
    assert_eq!(rules(self::rules().tag("v1.2.4").unwrap()), ["provenance/tag"]);
    assert_eq!(rules(self::rules().hosted_runners_only()), ["provenance/runner"]);
    let other = ProvenanceRules::new("github.com/octo-org/other").unwrap();
    assert_eq!(rules(other), ["provenance/source"]);
}

#[test]
fn another_artifact_fails_first() {
    let value =
        edit(github_attestation(TAG), "/subject/0/digest/sha256", Some(json!("00".repeat(32))));
    assert_eq!(check(&rules(), &value, &Certificate::new(TAG)), ["statement/subject"]);
}

#[test]
fn statements_of_another_kind_are_undecided() {
    let value = edit(
        github_attestation(TAG),
        "/predicateType",
        Some(json!("https://slsa.dev/provenance/v1.1")),
    );
    let findings =
        rules().check(&statement(&value), &Certificate::new(TAG).signer(), &artifact(), &origin());
    assert_eq!(problems(&findings), ["statement/format"]);
    assert_eq!(findings.last().unwrap().state, State::Undecided);
}

#[test]
fn rules_that_are_none() {
    for bad in ["", "refs/heads/main", "a b", "main\n", "a..b", "/main"] {
        assert!(rules().branch(bad).is_err(), "{bad:?}");
        assert!(rules().tag(bad).is_err(), "{bad:?}");
    }
    for bad in ["", "latest", "v1.2.3.4", "refs/tags/v1", "v1.x"] {
        assert!(rules().versioned_tag(bad).is_err(), "{bad:?}");
    }
    for bad in ["", "abc", &COMMIT[1..], &COMMIT.to_uppercase()] {
        assert!(rules().commit(bad).is_err(), "{bad:?}");
    }
}
