//! A folder of release files, signed by the stand-in for Sigstore.

#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::disallowed_methods, reason = "files of a throw-away folder")]

use std::fs;
use std::path::PathBuf;

use dsops_release_verify::statement::ProvenanceRules;
use dsops_release_verify::{
    Demands, IdentityRule, Options, Origin, Pattern, ReleaseReport, ReleaseVerifier, Report,
    SignerPolicy, SignerRule, State, TrustRoots, Verifier,
};
use dsops_testkit::sigstore::{Identity, San, World, hex, sha256};
use serde_json::{Value, json};

pub const IDENTITY: &str = dsops_testkit::sigstore::cases::IDENTITY;
pub const ISSUER: &str = dsops_testkit::sigstore::cases::ISSUER;

/// A throw-away folder, and the instance that signs what is in it.
pub struct Folder {
    pub world: World,
    pub root: Value,
    dir: tempfile::TempDir,
}

impl Folder {
    pub fn new(label: &str) -> Self {
        let world = World::new(label);
        let root = world.trusted_root();
        Self { world, root, dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn short(&self, name: &str) -> String {
        name.strip_prefix(&format!("{}/", self.dir.path().display())).unwrap_or(name).to_owned()
    }

    pub fn write(&self, name: &str, content: &[u8]) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// Writes a checksum file as `sha256sum` does.
    pub fn checksums(&self, list: &str, names: &[&str]) {
        let lines: Vec<String> = names
            .iter()
            .map(|name| format!("{}  {name}\n", hex(&sha256(&self.read(name)))))
            .collect();
        self.write(list, lines.concat().as_bytes());
    }

    /// Signs a file: `NAME.sigstore.json` beside it.
    pub fn bundle(&self, name: &str) {
        self.bundle_by(name, &format!("{name}.sigstore.json"), &World::identity());
    }

    pub fn bundle_by(&self, name: &str, bundle: &str, identity: &Identity) {
        let signed = self.world.sign(&self.read(name)).identity(identity.clone()).bundle();
        self.write(bundle, signed.to_string().as_bytes());
    }

    /// Attests how a file was built, as GitHub's attestations do.
    pub fn provenance(&self, statement: &str, name: &str) {
        let signed = self.world.attest(&github_provenance(name, &self.read(name))).bundle();
        self.write(statement, signed.to_string().as_bytes());
    }

    /// Attests the components of a file.
    pub fn sbom_statement(&self, statement: &str, name: &str) {
        let content = self.read(name);
        let predicate: Value = serde_json::from_slice(&spdx(name, &content)).unwrap();
        let signed = self
            .world
            .attest(&json!({
                "_type": "https://in-toto.io/Statement/v1",
                "subject": [subject(name, &content)],
                "predicateType": "https://spdx.dev/Document/v2.3",
                "predicate": predicate,
            }))
            .bundle();
        self.write(statement, signed.to_string().as_bytes());
    }

    pub fn verify(&self, demands: Demands, name: &str) -> Report {
        engine(self, demands).verify_file(&self.path(name)).unwrap()
    }

    pub fn verify_all(&self, demands: Demands) -> ReleaseReport {
        engine(self, demands).verify_directory(self.dir.path()).unwrap()
    }
}

/// Exactly this identity.
pub fn demands(identity: &Identity) -> Demands {
    let (San::Uri(name) | San::Email(name) | San::Username(name)) = &identity.names[0] else {
        panic!("an identity of the tests has a name")
    };
    let rule = IdentityRule::new(Pattern::exact(name).unwrap(), Pattern::exact(ISSUER).unwrap());
    Demands::new(SignerPolicy::new(SignerRule::Certificate(rule)))
}

pub fn engine(folder: &Folder, demands: Demands) -> ReleaseVerifier {
    ReleaseVerifier::new(sigstore(folder), Vec::new(), demands, Options::default())
}

pub fn sigstore(folder: &Folder) -> Verifier {
    let root = folder.root.to_string();
    Verifier::new(TrustRoots::load(root.as_bytes(), &Origin::new("stand-in"), None).unwrap())
}

/// How a finding of that code ended: the worst, when there are several.
pub fn code(report: &Report, code: &str) -> Option<State> {
    report.findings.iter().filter(|one| one.code == code).map(|one| one.state).max()
}

pub fn subject(name: &str, content: &[u8]) -> Value {
    json!({ "name": name, "digest": { "sha256": hex(&sha256(content)) } })
}

pub fn provenance_rules() -> ProvenanceRules {
    ProvenanceRules::new("github.com/octo/demo").unwrap().tag("v1.2.3").unwrap()
}

/// What `actions/attest-build-provenance` says, of the run that [`World::identity`] names.
pub fn github_provenance(name: &str, content: &[u8]) -> Value {
    let commit = "a".repeat(40);
    let source = "https://github.com/octo/demo";
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [subject(name, content)],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": {
                    "workflow": {
                        "ref": "refs/tags/v1.2.3",
                        "repository": source,
                        "path": ".github/workflows/release.yml",
                    },
                },
                "internalParameters": {
                    "github": {
                        "event_name": "push",
                        "repository_id": "1001",
                        "repository_owner_id": "2002",
                        "runner_environment": "github-hosted",
                    },
                },
                "resolvedDependencies": [{
                    "uri": format!("git+{source}@refs/tags/v1.2.3"),
                    "digest": { "gitCommit": commit },
                }],
            },
            "runDetails": {
                "builder": { "id": format!("{source}/.github/workflows/release.yml@refs/tags/v1.2.3") },
                "metadata": { "invocationId": format!("{source}/actions/runs/1/attempts/1") },
            },
        },
    })
}

/// A list of components that names a file by its digest.
pub fn spdx(name: &str, content: &[u8]) -> Vec<u8> {
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": "https://example.org/spdx/1",
        "creationInfo": { "created": "2025-06-01T12:00:00Z", "creators": ["Tool: test"] },
        "packages": [{
            "SPDXID": "SPDXRef-Package",
            "name": name,
            "versionInfo": "1.2.3",
            "downloadLocation": "NOASSERTION",
            "checksums": [{ "algorithm": "SHA256", "checksumValue": hex(&sha256(content)) }],
        }],
        "relationships": [{
            "spdxElementId": "SPDXRef-DOCUMENT",
            "relationshipType": "DESCRIBES",
            "relatedSpdxElement": "SPDXRef-Package",
        }],
    })
    .to_string()
    .into_bytes()
}
