//! A whole release in a folder, with all its evidence: what a user downloads.
#![expect(clippy::disallowed_methods, reason = "throw-away files of tests and measurements")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Key, Minisign, World, hex, sha256};
use crate::sigstore::key::Algorithm;

/// The files that the release is for.
pub const ARTIFACTS: [&str; 2] = ["app-1.2.3-linux-amd64.tar.gz", "app-1.2.3-darwin-arm64.tar.gz"];

/// The root of trust, in the folder that the release's folder is in.
pub const TRUSTED_ROOT: &str = "trusted_root.json";

/// A release that the workflow of [`World::identity`] made, in `FOLDER/dist`.
///
/// Each artifact has a bundle (`.sigstore.json`), provenance (`.intoto.jsonl`) and an SBOM
/// (`.spdx.json`); `SHA256SUMS` lists them all and has a bundle and a minisign signature. The
/// public key and the root of trust lie beside `dist`, for they come by another way.
pub struct Release {
    /// Who vouches for all of it.
    pub world: World,
    folder: PathBuf,
}

impl Release {
    /// Writes the release.
    ///
    /// # Errors
    /// Those of the system.
    pub fn write(folder: &Path, label: &str) -> io::Result<Self> {
        let release = Self { world: World::new(label), folder: folder.to_owned() };
        fs::create_dir_all(release.dist())?;
        let mut listed = Vec::new();
        for name in ARTIFACTS {
            let content = format!("the program of {name}\n");
            release.put(name, content.as_bytes())?;
            release.sign(name)?;
            let statement = provenance(name, content.as_bytes());
            let attested = release.world.attest(&statement).bundle();
            release.put(&format!("{name}.intoto.jsonl"), format!("{attested}\n").as_bytes())?;
            let sbom = format!("{name}.spdx.json");
            release.put(&sbom, spdx(name, content.as_bytes()).to_string().as_bytes())?;
            listed.extend([name.to_owned(), sbom]);
        }
        let mut sums = String::new();
        for name in &listed {
            let content = fs::read(release.dist().join(name))?;
            sums += &[&hex(&sha256(&content)), "  ", name, "\n"].concat();
        }
        release.put("SHA256SUMS", sums.as_bytes())?;
        release.sign("SHA256SUMS")?;
        let key = Key::new(Algorithm::Ed25519, &format!("{label} minisign"));
        let minisign = Minisign::new(&key);
        release.put("SHA256SUMS.minisig", minisign.sign(sums.as_bytes()).as_bytes())?;
        fs::write(folder.join("minisign.pub"), minisign.public())?;
        fs::write(folder.join(TRUSTED_ROOT), release.world.trusted_root().to_string())?;
        Ok(release)
    }

    /// The folder of the release.
    pub fn dist(&self) -> PathBuf {
        self.folder.join("dist")
    }

    /// Writes a file of the release.
    ///
    /// # Errors
    /// Those of the system.
    pub fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
        fs::write(self.dist().join(name), content)
    }

    /// Signs a file of the release: `NAME.sigstore.json` beside it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn sign(&self, name: &str) -> io::Result<()> {
        let bundle = self.world.sign(&fs::read(self.dist().join(name))?).bundle();
        self.put(&format!("{name}.sigstore.json"), bundle.to_string().as_bytes())
    }
}

/// What GitHub attests of a build, for the run that [`World::identity`] names.
fn provenance(name: &str, content: &[u8]) -> Value {
    let source = "https://github.com/octo/demo";
    let workflow = ".github/workflows/release.yml";
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": name, "digest": { "sha256": hex(&sha256(content)) } }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": { "workflow": {
                    "ref": "refs/tags/v1.2.3", "repository": source, "path": workflow,
                } },
                "internalParameters": { "github": {
                    "event_name": "push", "repository_id": "1001", "repository_owner_id": "2002",
                    "runner_environment": "github-hosted",
                } },
                "resolvedDependencies": [{
                    "uri": format!("git+{source}@refs/tags/v1.2.3"),
                    "digest": { "gitCommit": "a".repeat(40) },
                }],
            },
            "runDetails": {
                "builder": { "id": format!("{source}/{workflow}@refs/tags/v1.2.3") },
                "metadata": { "invocationId": format!("{source}/actions/runs/1/attempts/1") },
            },
        },
    })
}

/// The smallest list of components that names the artifact.
fn spdx(name: &str, content: &[u8]) -> Value {
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": format!("https://example.org/spdx/{name}"),
        "creationInfo": { "created": "2025-06-01T12:00:00Z", "creators": ["Tool: testkit"] },
        "packages": [{
            "SPDXID": "SPDXRef-app",
            "name": name,
            "versionInfo": "1.2.3",
            "downloadLocation": "NOASSERTION",
            "checksums": [{ "algorithm": "SHA256", "checksumValue": hex(&sha256(content)) }],
        }],
        "relationships": [{
            "spdxElementId": "SPDXRef-DOCUMENT",
            "relationshipType": "DESCRIBES",
            "relatedSpdxElement": "SPDXRef-app",
        }],
    })
}
