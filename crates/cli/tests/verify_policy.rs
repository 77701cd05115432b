//! Policies of `dsops verify` through the real binary: files with several rules, registries, and
//! policies written from what was verified.
#![cfg(all(unix, feature = "verify"))]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

use common::{Project, code, stderr};
use dsops_release_verify::{Algorithm, Digest};
use dsops_testkit::sigstore::release::{ARTIFACTS, TRUSTED_ROOT};
use dsops_testkit::sigstore::{
    Algorithm as KeyKind, Identity, Key, Release, San, base64, timestamp,
};
use serde_json::{Value, json};

const LINUX: &str = "dist/app-1.2.3-linux-amd64.tar.gz";

fn release() -> (Project, Release) {
    let project = Project::empty();
    let release = Release::write(project.folder.path(), "policy").unwrap();
    (project, release)
}

/// The verdicts by name, and the exit code.
fn verdicts(project: &Project, args: &[&str]) -> (i32, Vec<(String, String)>) {
    let fixed = ["--trusted-root", TRUSTED_ROOT, "--json"];
    let output = project.run(&[&["verify"], args, &fixed].concat());
    let value: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = value["artifacts"].as_array().unwrap();
    (code(&output), all.iter().map(|one| (text(&one["name"]), text(&one["verdict"]))).collect())
}

fn findings(project: &Project, args: &[&str]) -> (i32, Vec<String>) {
    let fixed = ["--trusted-root", TRUSTED_ROOT, "--json"];
    let output = project.run(&[&["verify"], args, &fixed].concat());
    let value: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    let all = value["artifacts"][0]["findings"].as_array().unwrap();
    let text = |one: &Value| format!("{} {}", one["state"], one["code"]).replace('"', "");
    (code(&output), all.iter().map(text).collect())
}

#[test]
fn each_artifact_has_its_rule_and_without_one_nothing_passes() {
    let (project, _release) = release();
    std::fs::create_dir(project.path("policies")).unwrap();
    project.write(
        "policies/dsops-verify.yaml",
        "version: 1\n\
         signers:\n  \
           ci: { github: octo/demo@v1.* }\n  \
           other: { github: octo/other }\n  \
           lead: { key: ../minisign.pub }\n\
         artifacts:\n  \
         - { match: 'app-*-linux-*.gz', signed-by: ci, require: [provenance, sbom],\n      \
             provenance: { source: github.com/octo/demo, tag: v1.2.3, hosted-runners-only: true } }\n  \
         - { match: 'app-*-darwin-*.gz', signed-by: [ci, lead], threshold: 2 }\n  \
         - { match: SHA256SUMS, signed-by: other }\n",
    );
    let policy = ["--policy", "policies/dsops-verify.yaml"];
    let (exit, all) = verdicts(&project, &[&["dist"], &policy[..]].concat());
    let verdict = |name: &str| {
        let name = format!("dist/{name}");
        all.iter().find(|(own, _)| *own == name).map(|(_, verdict)| verdict.as_str())
    };
    assert_eq!(verdict(ARTIFACTS[0]), Some("verified"), "{all:?}");
    // By its own bundle, and by the key over the checksum file: under this rule they are two.
    assert_eq!(verdict(ARTIFACTS[1]), Some("verified"), "{all:?}");
    // The same signatures of the checksum file count for nothing under a rule that names others.
    assert_eq!(verdict("SHA256SUMS"), Some("failed"), "{all:?}");
    assert_eq!(verdict(&format!("{}.spdx.json", ARTIFACTS[0])), Some("undecided"), "{all:?}");
    assert_eq!((exit, all.len()), (5, 5));
    // One by one the same.
    let files = [LINUX, "dist/SHA256SUMS", "dist/app-1.2.3-linux-amd64.tar.gz.spdx.json"];
    let (_, each) = verdicts(&project, &[&files, &policy[..]].concat());
    let each: Vec<&str> = each.iter().map(|(_, verdict)| verdict.as_str()).collect();
    assert_eq!(each, ["verified", "failed", "undecided"]);
    let (exit, found) = findings(&project, &[&[files[2]], &policy[..]].concat());
    assert_eq!((exit, found), (7, vec!["undecided policy/no-rule".to_owned()]));
    // What is asked for on top holds for every rule.
    std::fs::remove_file(project.path("dist/SHA256SUMS")).unwrap();
    let (exit, found) =
        findings(&project, &[&[LINUX, "--require", "checksums"], &policy[..]].concat());
    assert_eq!(exit, 7, "{found:?}");
    assert!(found.contains(&"undecided require/checksums".to_owned()), "{found:?}");
}

#[test]
fn roots_of_a_policy_hold_unless_others_are_named() {
    let (project, _release) = release();
    let rules = "version: 1\nsigners: { ci: { github: octo/demo } }\n";
    project.write("policy.yaml", &format!("{rules}trusted-roots: {TRUSTED_ROOT}\n"));
    assert_eq!(code(&project.run(&["verify", LINUX, "--policy", "policy.yaml"])), 0);
    project.write("policy.yaml", rules);
    assert_eq!(code(&project.run(&["verify", LINUX, "--policy", "policy.yaml"])), 5);
}

#[test]
fn a_policy_that_lies_about_is_not_taken() {
    let (project, _release) = release();
    let rules = "version: 1\nsigners: { ci: { github: octo/demo } }\n";
    for place in ["dsops-verify.yaml", "dist/dsops-verify.yaml"] {
        project.write(place, rules);
    }
    let output = project.run(&["verify", LINUX, "--trusted-root", TRUSTED_ROOT]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("`--policy dsops-verify.yaml`"), "{}", stderr(&output));
}

#[test]
fn a_policy_is_written_from_what_is_good_only() {
    let (project, release) = release();
    let from = |args: &[&str]| {
        let fixed = ["--trusted-root", TRUSTED_ROOT];
        project.run(&[&["verify", "policy", "from"], args, &fixed].concat())
    };
    let bundle = format!("{LINUX}.sigstore.json");
    let other = format!("dist/{}.sigstore.json", ARTIFACTS[1]);
    let statement = format!("{LINUX}.intoto.jsonl");
    for args in [vec![LINUX], vec![&bundle], vec![&statement], vec![LINUX, "--bundle", &statement]]
    {
        let output = from(&args);
        assert_eq!(code(&output), 0, "{args:?}: {}", stderr(&output));
        let policy = String::from_utf8(output.stdout).unwrap();
        assert!(policy.contains("repository-id: \"1001\""), "{policy}");
        project.write("policy.yaml", &policy);
        assert_eq!(project.ok(&["verify", "policy", "check", "policy.yaml"]).lines().count(), 1);
        let (exit, all) = verdicts(&project, &["dist", "--policy", "policy.yaml"]);
        assert_eq!((exit, all.len()), (0, 5), "{all:?}");
    }
    // The next tag is the same publisher, another workflow is not.
    for (workflow, reference, exit) in [
        ("release.yml", "refs/tags/v2", 0),
        ("other.yml", "refs/tags/v1.2.3", 5),
        ("release.yml", "refs/heads/main", 5),
    ] {
        let identity = Identity::github("octo/demo", workflow, reference);
        let signed = release.world.sign(b"new\n").identity(identity).bundle();
        release.put("new", b"new\n").unwrap();
        release.put("new.sigstore.json", signed.to_string().as_bytes()).unwrap();
        let found = verdicts(&project, &["dist/new", "--policy", "policy.yaml"]);
        assert_eq!(found.0, exit, "{workflow} {reference}");
    }
    // Not good: of another file, changed, by an authority that nobody trusts, not there.
    for name in ["SHA256SUMS", "app-1.2.3-linux-amd64.tar.gz.intoto.jsonl"] {
        std::fs::remove_file(project.path(&format!("dist/{name}"))).unwrap();
    }
    std::fs::copy(project.path(&other), project.path(&bundle)).unwrap();
    let output = from(&[LINUX]);
    assert_eq!((code(&output), output.stdout.len()), (5, 0), "{}", stderr(&output));
    assert!(stderr(&output).contains("[signature/digest]"), "{}", stderr(&output));
    let output = from(&[LINUX, "--json"]);
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(told["errors"][0]["code"], "cli/not-verified", "{told:#}");
    let text = project.read(&other).replacen("\"signature\":\"ME", "\"signature\":\"MF", 1);
    project.write("changed.json", &text);
    let output = from(&["changed.json"]);
    assert_eq!((code(&output), output.stdout.len()), (5, 0), "{}", stderr(&output));
    let output = project.run(&["verify", "policy", "from", &other]);
    assert_eq!((code(&output), output.stdout.len()), (5, 0), "{}", stderr(&output));
    let output = from(&["minisign.pub"]);
    assert_eq!((code(&output), output.stdout.len()), (7, 0), "{}", stderr(&output));
}

/// Several signed: a policy that takes any one of them would be weaker than what was seen.
#[test]
fn of_several_signers_one_or_all_are_chosen() {
    let (project, release) = release();
    let content = std::fs::read(project.path(LINUX)).unwrap();
    let sign = |identity: Identity| release.world.sign(&content).identity(identity).bundle();
    let ann = sign(Identity::email("ann@example.org", "https://accounts.example.org"));
    project.write("ann.json", &ann.to_string());
    let from = |more: &[&str]| {
        let fixed = ["--bundle", "ann.json", "--trusted-root", TRUSTED_ROOT];
        project.run(&[&["verify", "policy", "from", LINUX], &fixed[..], more].concat())
    };
    let workflow = "https://github.com/octo/demo/**";
    for (more, said) in [
        (&[][..], "2 signers signed"),
        (&["--identity", "bob@example.org"][..], "`bob@example.org` did not sign"),
        (&["--identity", "**@**"], "2 of those who signed"),
    ] {
        let output = from(more);
        assert_eq!((code(&output), output.stdout.len()), (2, 0), "{}", stderr(&output));
        let text = stderr(&output);
        assert!(text.contains(said), "{text}");
        assert!(text.contains("ann@example.org by https://accounts.example.org"), "{text}");
        assert!(text.contains("octo/demo/.github/workflows/release.yml"), "{text}");
    }
    let verdict =
        |more: &[&str]| verdicts(&project, &[&[LINUX, "--policy", "policy.yaml"], more].concat()).0;
    // Where evidence is named, only that is looked at.
    let bundle = format!("{LINUX}.sigstore.json");
    let both = ["--bundle", "ann.json", "--bundle", &bundle];
    for (identity, has, without) in [("ann@example.org", 0, 5), (workflow, 0, 0)] {
        let output = from(&["--identity", identity]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let policy = String::from_utf8(output.stdout).unwrap();
        assert!(!policy.contains("threshold"), "{policy}");
        project.write("policy.yaml", &policy);
        assert_eq!((verdict(&both), verdict(&[])), (has, without), "{policy}");
    }
    let output = from(&["--identity", "ann@example.org", "--identity", workflow]);
    let policy = String::from_utf8(output.stdout).unwrap();
    assert!(policy.ends_with("artifacts:\n  - threshold: 2\n"), "{policy}");
    project.write("policy.yaml", &policy);
    assert_eq!((verdict(&both), verdict(&[])), (0, 5), "{policy}");
}

#[test]
fn keys_of_a_policy_are_files_and_not_standard_input() {
    let (project, _release) = release();
    let key = project.path("minisign.pub").display().to_string();
    std::fs::create_dir(project.path("policies")).unwrap();
    for (file, exit) in [("-", 3), ("../minisign.pub", 0), (key.as_str(), 0), ("minisign.pub", 3)] {
        let text = format!("version: 1\nsigners: {{ lead: {{ key: '{file}' }} }}\n");
        project.write("policies/p.yaml", &text);
        let args = ["verify", "dist/SHA256SUMS", "--policy", "policies/p.yaml"];
        let output = project.run(&args);
        assert_eq!(code(&output), exit, "{file}: {}", stderr(&output));
        if file == "-" {
            assert!(stderr(&output).contains("standard input is none"), "{}", stderr(&output));
        }
    }
}

#[test]
fn the_schema_of_policies_is_the_one_in_the_repository() {
    let project = Project::empty();
    let checked_in = include_str!("../../../schema/dsops-verify-policy.schema.json");
    assert_eq!(project.ok(&["verify", "policy", "schema"]), checked_in);
}

const TARBALL: &[u8] = b"the package\n";

/// A package of npm in the folder: the tarball, the registry's document about it, its keys.
fn npm(project: &Project, release: &Release) {
    let key = Key::new(KeyKind::P256, "registry");
    let purl = "pkg:npm/%40octo/tool@1.2.3";
    let digest = Digest::of(Algorithm::Sha512, TARBALL).hex();
    let publication = json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "subject": [{ "name": purl, "digest": { "sha512": digest } }],
        "predicateType": "https://github.com/npm/attestation/tree/main/specs/publish/v0.1",
        "predicate": { "name": "@octo/tool", "version": "1.2.3", "registry": "https://npm.example" },
    });
    let provenance = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": purl, "digest": { "sha512": digest } }],
        "predicateType": "https://example.org/custom/v1",
        "predicate": {},
    });
    let entry =
        |predicate: &str, bundle: Value| json!({ "predicateType": predicate, "bundle": bundle });
    let document = json!({ "attestations": [
        entry("publish", release.world.attest(&publication).managed(&key).bundle()),
        entry("provenance", release.world.attest(&provenance).bundle()),
    ] });
    project.write("attestations.json", &document.to_string());
    let keys = json!({ "keys": [{
        "keyId": key.hint(),
        "keyUsage": "npm:attestations",
        "publicKey": {
            "rawBytes": base64(&key.spki()),
            "validFor": { "start": timestamp(release.world.now - std::time::Duration::from_hours(24)) },
        },
    }] });
    project.write("keys.json", &keys.to_string());
    std::fs::write(project.path("tool-1.2.3.tgz"), TARBALL).unwrap();
}

#[test]
fn packages_of_npm() {
    let (project, release) = release();
    npm(&project, &release);
    let verify = |policy: &str, more: &[&str]| {
        let args = ["tool-1.2.3.tgz", "--bundle", "attestations.json", "--policy", policy];
        findings(&project, &[&args, more].concat())
    };
    let keys = ["--key", "keys.json"];
    for policy in ["npm:@octo/tool@1.2.3", "npm:@octo/tool"] {
        let (exit, found) = verify(policy, &keys);
        assert_eq!(exit, 0, "{policy}: {found:#?}");
        for code in ["npm/publish", "npm/key", "npm/subject", "npm/package"] {
            assert!(found.contains(&format!("passed {code}")), "{code}: {found:#?}");
        }
    }
    for policy in ["npm:@octo/tool@1.2.4", "npm:@octo/tools", "npm:tool@1.2.3"] {
        let (exit, found) = verify(policy, &keys);
        assert_eq!(exit, 5, "{policy}: {found:#?}");
        assert!(found.contains(&"failed npm/package".to_owned()), "{found:#?}");
    }
    // The keys that come with dsops did not sign it.
    assert_ne!(verify("npm:@octo/tool@1.2.3", &[]).0, 0);
    // Who built it says nothing about whether the registry took it.
    assert_eq!(verify("github:octo/demo", &[]).0, 0);
    // Both are asked for by a policy file; keys alone accept every package, which is refused.
    let rules = |artifacts: &str| {
        format!(
            "version: 1\nsigners: {{ npm: {{ registry-keys: keys.json }}, ci: {{ github: octo/demo }} }}\n\
             artifacts: [{artifacts}]\n"
        )
    };
    project.write(
        "policy.yaml",
        &rules(
            "{ match: '*.tgz', published: 'npm:@octo/tool', signed-by: [npm, ci], threshold: 2 }",
        ),
    );
    assert_eq!(verify("policy.yaml", &[]).0, 0);
    project.write("policy.yaml", &rules("{ signed-by: [npm, ci] }"));
    let output = project.run(&["verify", "tool-1.2.3.tgz", "--policy", "policy.yaml"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    // Another tarball under the same attestations.
    std::fs::write(project.path("tool-1.2.3.tgz"), b"evil\n").unwrap();
    assert_eq!(verify("npm:@octo/tool@1.2.3", &keys).0, 5);
}

#[test]
fn files_of_the_python_index() {
    let (project, release) = release();
    let wheel = "octo_tool-1.2.3-py3-none-any.whl";
    let attest = |name: &str, predicate: &str| {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": name, "digest": { "sha256": Digest::of(Algorithm::Sha256, TARBALL).hex() } }],
            "predicateType": predicate,
            "predicate": null,
        });
        let bundle = release.world.attest(&statement).bundle();
        let material = &bundle["verificationMaterial"];
        let attestation = json!({
            "version": 1,
            "verification_material": {
                "certificate": material["certificate"]["rawBytes"],
                "transparency_entries": material["tlogEntries"],
            },
            "envelope": {
                "statement": bundle["dsseEnvelope"]["payload"],
                "signature": bundle["dsseEnvelope"]["signatures"][0]["sig"],
            },
        });
        project.write("a.attestation", &attestation.to_string());
    };
    std::fs::write(project.path(wheel), TARBALL).unwrap();
    let verify = |policy: &str| {
        findings(&project, &[wheel, "--bundle", "a.attestation", "--policy", policy])
    };
    let publish = "https://docs.pypi.org/attestations/publish/v1";
    attest(wheel, publish);
    let (exit, found) = verify("pypi:github.com/octo/demo");
    assert_eq!(exit, 0, "{found:#?}");
    assert!(found.contains(&"passed pypi/file".to_owned()), "{found:#?}");
    assert_eq!(verify("pypi:github.com/octo/other").0, 5);
    assert_eq!(verify("pypi:gitlab.com/octo/demo").0, 5);
    attest("octo_tool-1.2.4-py3-none-any.whl", publish);
    assert_eq!(verify("pypi:github.com/octo/demo").0, 5);
    // Signed by the publisher, but not as what the index publishes.
    attest(wheel, "https://example.org/other/v1");
    let (exit, found) = verify("pypi:github.com/octo/demo");
    assert_eq!(exit, 7, "{found:#?}");
    assert!(found.contains(&"undecided require/published".to_owned()), "{found:#?}");
}

#[test]
fn releases_that_github_vouches_for() {
    let (project, release) = release();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "tool", "digest": { "sha256": Digest::of(Algorithm::Sha256, TARBALL).hex() } }],
        "predicateType": "https://in-toto.io/attestation/release/v0.2",
        "predicate": { "repository": "octo/demo", "tag": "v1.2.3", "purl": "pkg:github/octo/demo@v1.2.3" },
    });
    let github = Identity {
        names: vec![San::Uri("https://dotcom.releases.github.com".to_owned())],
        extensions: Vec::new(),
    };
    let write = |identity: Identity| {
        let bundle = release.world.attest(&statement).identity(identity).bundle();
        project.write("tool.sigstore.json", &bundle.to_string());
    };
    std::fs::write(project.path("tool"), TARBALL).unwrap();
    write(github);
    let verify = |policy: &str| findings(&project, &["tool", "--policy", policy]);
    let (exit, found) = verify("github-release:octo/demo@v1.2.3");
    assert_eq!(exit, 0, "{found:#?}");
    for policy in ["github-release:octo/demo@v1.2.4", "github-release:octo/other@v1.2.3"] {
        let (exit, found) = verify(policy);
        assert_eq!(exit, 5, "{policy}: {found:#?}");
    }
    // A workflow of the repository is not GitHub's release service.
    write(dsops_testkit::sigstore::World::identity());
    let (exit, found) = verify("github-release:octo/demo@v1.2.3");
    assert_eq!(exit, 5, "{found:#?}");
    assert!(found.contains(&"failed github/release-signer".to_owned()), "{found:#?}");
}

#[test]
fn a_bundle_is_not_forgotten_for_a_folder() {
    let (project, _release) = release();
    let bundle = format!("{LINUX}.sigstore.json");
    let args = ["verify", "dist", "--policy", "github:octo/demo", "--bundle", &bundle];
    let output = project.run(&[&args[..], &["--trusted-root", TRUSTED_ROOT]].concat());
    assert_eq!(code(&output), 2, "{}", stderr(&output));
}
