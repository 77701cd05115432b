//! Statements and certificates of our own making, in the shapes that builders write.
#![allow(dead_code, clippy::unwrap_used, reason = "for tests, and each test program uses its part")]

use dsops_release_verify::statement::{PAYLOAD_TYPE, Statement};
use dsops_release_verify::{
    Algorithm, Artifact, CertificateIdentity, Digest, Finding, Origin, Signer, State, SubjectName,
};
use serde_json::{Value, json};

pub const CONTENT: &[u8] = b"the artifact";
pub const COMMIT: &str = "5c1e0d3a9b7f4e2d8c6a1b0f9e8d7c6b5a493827";
pub const SOURCE: &str = "github.com/octo-org/octo-repo";
pub const RUN: &str = "https://github.com/octo-org/octo-repo/actions/runs/4711/attempts/2";

pub fn artifact() -> Artifact {
    Artifact::read("octo.tar.gz", CONTENT, &Algorithm::ALL).unwrap()
}

pub fn origin() -> Origin {
    Origin::new("octo.tar.gz.sigstore.json")
}

pub fn sha(algorithm: Algorithm) -> String {
    Digest::of(algorithm, CONTENT).hex()
}

pub fn statement(value: &Value) -> Statement {
    Statement::read(PAYLOAD_TYPE, value.to_string().as_bytes()).unwrap()
}

/// A certificate of a workflow of `octo-org/octo-repo`, started for `reference`.
pub struct Certificate {
    pub workflow: String,
    pub issuer: String,
    pub claims: Vec<(u32, String)>,
}

impl Certificate {
    pub fn new(reference: &str) -> Self {
        let repository = "https://github.com/octo-org/octo-repo";
        let workflow = format!("{repository}/.github/workflows/release.yml@{reference}");
        let claims = [
            (2, "push"),
            (3, COMMIT),
            (4, "release"),
            (5, "octo-org/octo-repo"),
            (6, reference),
            (9, &workflow),
            (10, COMMIT),
            (11, "github-hosted"),
            (12, repository),
            (13, COMMIT),
            (14, reference),
            (15, "1001"),
            (16, "https://github.com/octo-org"),
            (17, "2002"),
            (18, &workflow),
            (19, COMMIT),
            (20, "push"),
            (21, RUN),
            (22, "public"),
        ];
        Self {
            workflow: workflow.clone(),
            issuer: "https://token.actions.githubusercontent.com".to_owned(),
            claims: claims.map(|(arc, value)| (arc, value.to_owned())).to_vec(),
        }
    }

    /// The same where a reusable workflow from elsewhere is what signs.
    pub fn signed_by(mut self, workflow: &str) -> Self {
        workflow.clone_into(&mut self.workflow);
        self.with(9, workflow)
    }

    pub fn with(mut self, arc: u32, value: &str) -> Self {
        self.claims.retain(|(other, _)| *other != arc);
        self.claims.push((arc, value.to_owned()));
        self
    }

    pub fn without(mut self, arcs: &[u32]) -> Self {
        self.claims.retain(|(arc, _)| !arcs.contains(arc));
        self
    }

    pub fn issuer(mut self, issuer: &str) -> Self {
        issuer.clone_into(&mut self.issuer);
        self
    }

    pub fn identity(&self) -> CertificateIdentity {
        CertificateIdentity::new(
            vec![SubjectName::Uri(self.workflow.clone())],
            Some(self.issuer.clone()),
            self.claims.clone(),
        )
    }

    pub fn signer(&self) -> Signer {
        Signer::Certificate(self.identity())
    }
}

pub fn key() -> Signer {
    Signer::Key { id: "00".repeat(32), algorithm: "ecdsa-p256".to_owned() }
}

/// What GitHub's attestations say of a workflow of `octo-org/octo-repo`.
pub fn github_attestation(reference: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "octo.tar.gz", "digest": {"sha256": sha(Algorithm::Sha256)}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": {"workflow": {
                    "ref": reference,
                    "repository": "https://github.com/octo-org/octo-repo",
                    "path": ".github/workflows/release.yml",
                }},
                "internalParameters": {"github": {
                    "event_name": "push",
                    "repository_id": "1001",
                    "repository_owner_id": "2002",
                    "runner_environment": "github-hosted",
                }},
                "resolvedDependencies": [{
                    "uri": format!("git+https://github.com/octo-org/octo-repo@{reference}"),
                    "digest": {"gitCommit": COMMIT},
                }],
            },
            "runDetails": {
                "builder": {"id": format!(
                    "https://github.com/octo-org/octo-repo/.github/workflows/release.yml@{reference}"
                )},
                "metadata": {"invocationId": RUN},
            },
        },
    })
}

pub const GENERATOR: &str = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_generic_slsa3.yml@refs/tags/v2.0.0";

/// What the SLSA project's generic builder says, in SLSA v0.2.
pub fn generic_builder(reference: &str) -> Value {
    let kind = if reference.starts_with("refs/tags/") { "tag" } else { "branch" };
    let source = format!("git+https://github.com/octo-org/octo-repo@{reference}");
    json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "subject": [{"name": "octo.tar.gz", "digest": {"sha256": sha(Algorithm::Sha256)}}],
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "predicate": {
            "builder": {"id": GENERATOR},
            "buildType": "https://github.com/slsa-framework/slsa-github-generator/generic@v1",
            "invocation": {
                "configSource": {
                    "uri": source,
                    "digest": {"sha1": COMMIT},
                    "entryPoint": ".github/workflows/release.yml",
                },
                "parameters": {},
                "environment": {
                    "github_event_name": "workflow_dispatch",
                    "github_event_payload": {"inputs": {"channel": "stable", "dry": true}},
                    "github_base_ref": "",
                    "github_ref": reference,
                    "github_ref_type": kind,
                    "github_run_id": "4711",
                },
            },
            "metadata": {
                "buildInvocationId": "4711-2",
                "completeness": {"parameters": true, "environment": false, "materials": false},
                "reproducible": false,
            },
            "materials": [{"uri": source, "digest": {"sha1": COMMIT}}],
        },
    })
}

/// What the npm client said in SLSA v0.2.
pub fn npm_v02(reference: &str) -> Value {
    let source = format!("git+https://github.com/octo-org/octo-repo@{reference}");
    json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "subject": [{
            "name": "pkg:npm/%40octo/tool@1.2.3",
            "digest": {"sha512": sha(Algorithm::Sha512)},
        }],
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "predicate": {
            "buildType": "https://github.com/npm/cli/gha/v2",
            "builder": {"id": "https://github.com/actions/runner"},
            "invocation": {
                "configSource": {
                    "uri": source,
                    "digest": {"sha1": COMMIT},
                    "entryPoint": ".github/workflows/release.yml",
                },
                "parameters": {},
                "environment": {
                    "GITHUB_EVENT_NAME": "push",
                    "GITHUB_REF": reference,
                    "GITHUB_REPOSITORY": "octo-org/octo-repo",
                    "GITHUB_REPOSITORY_ID": "1001",
                    "GITHUB_REPOSITORY_OWNER_ID": "2002",
                    "GITHUB_RUN_ATTEMPT": "2",
                    "GITHUB_RUN_ID": "4711",
                    "GITHUB_SHA": COMMIT,
                    "GITHUB_WORKFLOW_REF": format!(
                        "octo-org/octo-repo/.github/workflows/release.yml@{reference}"
                    ),
                    "GITHUB_WORKFLOW_SHA": COMMIT,
                },
            },
            "metadata": {
                "buildInvocationId": "4711-2",
                "completeness": {"parameters": false, "environment": false, "materials": false},
                "reproducible": false,
            },
            "materials": [{"uri": source, "digest": {"sha1": COMMIT}}],
        },
    })
}

/// What the npm client says in SLSA v1.
pub fn npm_v1(reference: &str) -> Value {
    let mut value = github_attestation(reference);
    value["subject"] = npm_v02(reference)["subject"].clone();
    let predicate = &mut value["predicate"];
    predicate["buildDefinition"]["buildType"] =
        json!("https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1");
    predicate["runDetails"]["builder"]["id"] =
        json!("https://github.com/actions/runner/github-hosted");
    value
}

/// Sets the value at a JSON pointer, or removes it.
pub fn edit(mut value: Value, pointer: &str, new: Option<Value>) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = value.pointer_mut(parent).unwrap();
    match (parent, new) {
        (Value::Array(items), Some(new)) if key == "-" => items.push(new),
        (Value::Array(items), Some(new)) => items[key.parse::<usize>().unwrap()] = new,
        (Value::Array(items), None) => {
            items.remove(key.parse::<usize>().unwrap());
        }
        (parent, Some(new)) => parent[key] = new,
        (parent, None) => {
            parent.as_object_mut().unwrap().remove(key).unwrap();
        }
    }
    value
}

/// The codes of the findings that are not in order.
pub fn problems(findings: &[Finding]) -> Vec<&'static str> {
    let bad = |finding: &&Finding| matches!(finding.state, State::Failed | State::Undecided);
    findings.iter().filter(bad).map(|finding| finding.code).collect()
}
