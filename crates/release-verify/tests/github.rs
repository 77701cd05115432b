//! The rules for workflows on GitHub.
#![allow(clippy::unwrap_used, reason = "tests")]

mod statements;

use dsops_release_verify::{
    Algorithm, CertificateIdentity, Signer, SubjectName, check_claims, github,
};
use serde_json::{Value, json};
use statements::*;

const TAG: &str = "refs/tags/v1.2.3";

fn check(rules: &github::GithubRules, certificate: &Certificate) -> Vec<&'static str> {
    problems(&rules.check(&certificate.identity()))
}

#[test]
fn workflows_of_the_owner_and_of_the_repository() {
    let none: [&str; 0] = [];
    for text in ["octo-org", "octo-org/octo-repo", "github.com/octo-org/octo-repo"] {
        let rules = github::parse(text).unwrap();
        assert_eq!(check(&rules, &Certificate::new(TAG)), none, "{text}");
    }
    let rules = github::parse("octo-org/octo-repo").unwrap();
    let strict = rules
        .clone()
        .hosted_runners_only()
        .source_reference(TAG)
        .source_commit(COMMIT)
        .signer_commit(COMMIT)
        .signer_workflow("octo-org/octo-repo/.github/workflows/release.yml")
        .unwrap();
    assert_eq!(check(&strict, &Certificate::new(TAG)), none);
    assert_eq!(check(&strict, &Certificate::new("refs/tags/v1.2.4")), ["github/claim"]);
    assert_eq!(check(&strict, &Certificate::new(TAG).with(11, "self-hosted")), ["github/claim"]);
    assert_eq!(check(&strict, &Certificate::new(TAG).with(10, "0")), ["github/claim"]);
}

#[test]
fn look_alikes() {
    let good = Certificate::new(TAG);
    for text in [
        "octo-org/octo-repo2",
        "octo-org/octo",
        "octo-or/octo-repo",
        "Octo-Org/octo-repo",
        "octo-org/Octo-Repo",
        "octo",
        "github/octo-org",
    ] {
        let found = check(&github::parse(text).unwrap(), &good);
        assert!(!found.is_empty(), "{text}");
    }
    let rules = github::parse("octo-org/octo-repo").unwrap();
    for issuer in [
        "",
        "http://token.actions.githubusercontent.com",
        "https://token.actions.githubusercontent.com/",
        "https://token.actions.githubusercontent.com/enterprise",
        "https://token.actions.githubusercontent.com.evil.example",
        "https://token.actions.githubusercontent.com\n",
        "https://TOKEN.actions.githubusercontent.com",
        "https://token.actions.octo.ghe.com",
    ] {
        let found = check(&rules, &Certificate::new(TAG).issuer(issuer));
        assert_eq!(found, ["github/issuer"], "{issuer:?}");
    }
    for workflow in [
        "https://github.com/octo-org/octo-repo/.github/workflows/release.yml",
        "https://github.com/octo-org/octo-repo/@refs/heads/main@x",
        "https://github.com/octo-org/octo-repo/../evil/w.yml@refs/heads/main",
        "https://github.com/octo-org/octo-repo@refs/heads/main",
        "https://github.com/octo-org/octo-repo2/.github/workflows/release.yml@refs/tags/v1",
        "https://github.com/octo-org/octo-repo/@refs/tags/v1",
        "https://github.com/evil/x/https://github.com/octo-org/octo-repo/w.yml@refs/tags/v1",
        "http://github.com/octo-org/octo-repo/.github/workflows/release.yml@refs/tags/v1",
    ] {
        let found = check(&rules, &Certificate::new(TAG).signed_by(workflow));
        assert_eq!(found, ["github/signer"], "{workflow}");
    }
    // Claims that are not there, or there twice.
    assert_eq!(check(&rules, &Certificate::new(TAG).without(&[12])), ["github/claim"]);
    assert_eq!(check(&rules, &Certificate::new(TAG).without(&[16])), ["github/claim"]);
    let mut twice = Certificate::new(TAG);
    twice.claims.push((12, "https://github.com/octo-org/octo-repo".to_owned()));
    assert_eq!(check(&rules, &twice), ["github/claim"]);
    // A second name beside the workflow.
    let mut identity = good.identity();
    identity.names.push(identity.names[0].clone());
    assert_eq!(problems(&rules.check(&identity)), ["github/signer"]);
}

#[test]
fn workflows_from_elsewhere_have_to_be_named() {
    let none: [&str; 0] = [];
    let reusable = "https://github.com/builders/go/.github/workflows/build.yml@refs/tags/v1.0.0";
    let certificate = Certificate::new(TAG).signed_by(reusable);
    let rules = || github::parse("octo-org/octo-repo").unwrap();
    assert_eq!(check(&rules(), &certificate), ["github/signer"]);
    assert_eq!(check(&rules().signer_repository("builders/go").unwrap(), &certificate), none);
    let named = rules().signer_workflow("builders/go/.github/workflows/build.yml").unwrap();
    assert_eq!(check(&named, &certificate), none);
    for other in
        ["builders/go/.github/workflows/build2.yml", "builders/go2/.github/workflows/build.yml"]
    {
        let rules = rules().signer_workflow(other).unwrap();
        assert_eq!(check(&rules, &certificate), ["github/signer"], "{other}");
    }
}

#[test]
fn enterprises_and_tenants() {
    let none: [&str; 0] = [];
    let own = "https://token.actions.githubusercontent.com/octo-enterprise";
    let certificate = Certificate::new(TAG).issuer(own);
    let rules = github::parse("octo-org/octo-repo").unwrap();
    let findings = rules.check(&certificate.identity());
    assert_eq!(problems(&findings), ["github/issuer"]);
    assert!(findings[0].help.as_ref().unwrap().contains("enterprise"));
    assert_eq!(check(&rules.enterprise("octo-enterprise").unwrap(), &certificate), none);
    // The claims of an enterprise's own certificate are held to the same server.
    assert_eq!(problems(&check_claims(&certificate.identity())), none);

    let mut tenant = Certificate::new(TAG).issuer("https://token.actions.octo.ghe.com");
    let moved = |text: &str| text.replace("https://github.com/", "https://octo.ghe.com/");
    tenant.workflow = moved(&tenant.workflow);
    for (_, value) in &mut tenant.claims {
        *value = moved(value);
    }
    assert_eq!(check(&github::parse("octo.ghe.com/octo-org/octo-repo").unwrap(), &tenant), none);
    assert_eq!(problems(&check_claims(&tenant.identity())), none);
    assert!(!check(&github::parse("octo-org/octo-repo").unwrap(), &tenant).is_empty());
    assert!(
        !check(&github::parse("other.ghe.com/octo-org/octo-repo").unwrap(), &tenant).is_empty()
    );
}

#[test]
fn names_that_github_does_not_give() {
    for bad in [
        "",
        "/",
        "octo-org/",
        "/octo-repo",
        "octo org/x",
        "octo-org/octo-repo/x",
        "octo-org/..",
        "octo-org/.",
        "-octo/x",
        "octo-org/octo-repo\n",
        "octo-org/octo-repo@main",
        "https://github.com/octo-org/octo-repo",
        "evil.example/octo-org/octo-repo",
        ".ghe.com/octo-org",
        "a.b.ghe.com/octo-org",
        "octo.org/x",
    ] {
        assert!(github::parse(bad).is_err(), "{bad:?}");
    }
    let rules = || github::parse("octo-org").unwrap();
    for bad in
        ["", "a/b", "a/b/w.yml", "a/b/.github/workflows/../w.yml", "a/b/.github/workflows/w.txt"]
    {
        assert!(rules().signer_workflow(bad).is_err(), "{bad:?}");
    }
    assert!(rules().signer_repository("a").is_err());
    assert!(rules().enterprise("a/b").is_err());
}

fn release() -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"uri": "pkg:github/octo-org/octo-repo@v1.2.3", "digest": {"sha1": COMMIT}},
            {"name": "octo.tar.gz", "digest": {"sha256": sha(Algorithm::Sha256)}},
        ],
        "predicateType": github::RELEASE_PREDICATE,
        "predicate": {
            "ownerId": "2002",
            "purl": "pkg:github/octo-org/octo-repo@v1.2.3",
            "repository": "octo-org/octo-repo",
            "repositoryId": "1001",
            "tag": "v1.2.3",
        },
    })
}

#[test]
fn releases_that_cannot_be_changed() {
    let signed_by = |name: &str, issuer: Option<&str>| {
        Signer::Certificate(CertificateIdentity::new(
            vec![SubjectName::Uri(name.to_owned())],
            issuer.map(ToOwned::to_owned),
            Vec::new(),
        ))
    };
    let good = signed_by(github::RELEASE_SIGNER, None);
    let rules = || github::ReleaseRules::new("octo-org/octo-repo").unwrap();
    let check = |rules: &github::ReleaseRules, value: &Value, signer: &Signer| {
        problems(&rules.check(&statement(value), signer, &artifact(), &origin()))
    };
    let none: [&str; 0] = [];
    assert_eq!(check(&rules(), &release(), &good), none);
    assert_eq!(check(&rules().tag("v1.2.3"), &release(), &good), none);
    for tag in ["v1.2.4", "V1.2.3", "v1.2.3 ", "refs/tags/v1.2.3", ""] {
        assert_eq!(check(&rules().tag(tag), &release(), &good), ["github/release-tag"], "{tag}");
    }
    for name in ["octo-org/octo-repo2", "Octo-Org/octo-repo", "octo/octo-repo"] {
        let rules = github::ReleaseRules::new(name).unwrap();
        assert_eq!(check(&rules, &release(), &good), ["github/release-repository"], "{name}");
    }
    for signer in [
        signed_by("https://dotcom.releases.github.com/", None),
        signed_by("https://dotcom.releases.github.com.evil.example", None),
        signed_by("http://dotcom.releases.github.com", None),
        // What an identity provider vouched for is not GitHub's own.
        signed_by(github::RELEASE_SIGNER, Some(github::ISSUER)),
        Certificate::new(TAG).signer(),
        key(),
    ] {
        assert_eq!(check(&rules(), &release(), &signer), ["github/release-signer"], "{signer:?}");
    }
    for (pointer, new, code) in [
        ("/predicate/purl", json!("pkg:github/octo-org/octo-repo@v1.2.4"), "github/release-tag"),
        ("/predicate/tag", json!(1), "statement/format"),
        ("/predicateType", json!("https://in-toto.io/attestation/release/v1"), "statement/format"),
        ("/subject/1/digest/sha256", json!("00".repeat(32)), "statement/subject"),
    ] {
        let value = edit(release(), pointer, Some(new));
        assert_eq!(check(&rules(), &value, &good), [code], "{pointer}");
    }
    assert!(github::ReleaseRules::new("octo-org").is_err());
}
