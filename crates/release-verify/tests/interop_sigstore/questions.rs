//! What all verifiers are asked.

use std::fs;
use std::path::Path;

use dsops_testkit::sigstore::{base64, cases};
use serde_json::{Value, json};
use sigstore_trust_root::SigstoreInstance;

/// Is this file signed by whom we want?
pub struct Question {
    /// Unique.
    pub name: String,
    /// The bundle as text.
    pub bundle: String,
    /// The trusted root as text.
    pub root: String,
    /// The file.
    pub artifact: Vec<u8>,
    /// Whose signature is wanted.
    pub wanted: Wanted,
    /// What the right answer is.
    pub is_good: bool,
}

/// Whose signature is wanted.
pub enum Wanted {
    /// This name, by this issuer.
    Identity(String, String),
    /// This key, as PEM.
    Key(String),
}

impl Question {
    /// As the other verifiers read it.
    pub fn line(&self) -> String {
        let mut line: Value = json!({
            "bundle": self.bundle,
            "root": self.root,
            "artifact": base64(&self.artifact),
        });
        match &self.wanted {
            Wanted::Identity(identity, issuer) => {
                line["identity"] = identity.as_str().into();
                line["issuer"] = issuer.as_str().into();
            }
            Wanted::Key(pem) => line["key"] = pem.as_str().into(),
        }
        line.to_string()
    }
}

/// The stand-in's corpus, and the recorded suite if it is there.
pub fn all() -> Vec<Question> {
    let mut all: Vec<_> = cases::all().into_iter().map(made).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/sigstore");
    let folder = folder.join("assets/bundle-verify");
    if folder.is_dir() {
        all.extend(recorded(&folder));
    } else {
        println!("not run: the recorded conformance suite is not beside the workspace");
    }
    all
}

fn made(case: cases::Case) -> Question {
    let wanted = match case.wanted {
        cases::Wanted::Identity(identity, issuer) => Wanted::Identity(identity, issuer),
        cases::Wanted::Key(key) => Wanted::Key(key.public_pem()),
    };
    let root = case.root.to_string();
    let (bundle, artifact, is_good) = (case.bundle, case.artifact, case.is_good);
    Question { name: case.name.to_owned(), bundle, root, artifact, wanted, is_good }
}

/// Each folder is a case; what it leaves out is the same for all.
fn recorded(folder: &Path) -> Vec<Question> {
    let identity = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/\
                    .github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
    let mut cases: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.is_dir());
    cases.sort();
    let question = |path: &Path| {
        let text = |name: &str| fs::read_to_string(path.join(name)).ok();
        let trimmed = |name: &str, other: &str| match text(name) {
            Some(text) => text.trim().to_owned(),
            None => other.to_owned(),
        };
        let wanted = text("key.pub").map_or_else(
            || Wanted::Identity(trimmed("identity", identity), trimmed("issuer", cases::ISSUER)),
            Wanted::Key,
        );
        let public = SigstoreInstance::PublicGood.embedded_trusted_root_json();
        let artifact = fs::read(path.join("artifact"));
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        Question {
            is_good: !name.ends_with("fail"),
            name,
            bundle: text("bundle.sigstore.json").unwrap(),
            root: text("trusted_root.json").unwrap_or_else(|| public.to_owned()),
            artifact: artifact.unwrap_or_else(|_| fs::read(folder.join("a.txt")).unwrap()),
            wanted,
        }
    };
    cases.iter().map(|path| question(path)).collect()
}
