//! Bundles good and bad, each with the verdict that is right: the corpus verifiers are compared on.

mod bad;
mod bad_times;
mod good;

use serde_json::{Value, json};

use super::key::Key;
use super::signing::Signing;
use super::world::World;
use super::{hex, sha256};

/// The file that good bundles sign.
pub const ARTIFACT: &[u8] = b"the file";
/// The name in the certificate of [`World::identity`].
pub const IDENTITY: &str =
    "https://github.com/octo/demo/.github/workflows/release.yml@refs/tags/v1.2.3";
/// Its issuer.
pub const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// One question to a verifier.
pub struct Case {
    /// Unique, in words.
    pub name: &'static str,
    /// The bundle as text: some are no good JSON.
    pub bundle: String,
    /// The trusted root.
    pub root: Value,
    /// The file.
    pub artifact: Vec<u8>,
    /// Whose signature is wanted.
    pub wanted: Wanted,
    /// Whether it must be accepted; else it must be refused.
    pub is_good: bool,
}

/// Whose signature is wanted.
pub enum Wanted {
    /// Exactly this name, by this issuer.
    Identity(String, String),
    /// This key.
    Key(Key),
}

impl Case {
    fn new(name: &'static str, world: &World, bundle: &Value, is_good: bool) -> Self {
        Self {
            name,
            bundle: bundle.to_string(),
            root: world.trusted_root(),
            artifact: ARTIFACT.to_vec(),
            wanted: Wanted::Identity(IDENTITY.into(), ISSUER.into()),
            is_good,
        }
    }

    fn wanted(mut self, identity: &str, issuer: &str) -> Self {
        self.wanted = Wanted::Identity(identity.into(), issuer.into());
        self
    }

    fn key(mut self, key: &Key) -> Self {
        self.wanted = Wanted::Key(key.clone());
        self
    }

    fn root(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.root);
        self
    }
}

/// All cases, the good ones first. Each call makes them anew.
pub fn all() -> Vec<Case> {
    let mut cases = good::cases();
    cases.extend(bad::cases());
    cases.extend(bad_times::cases());
    cases
}

/// A statement about a file.
pub fn statement(artifact: &[u8]) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "file", "digest": { "sha256": hex(&sha256(artifact)) } }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": { "buildType": "https://example.com/build", "externalParameters": {} },
            "runDetails": { "builder": { "id": "https://example.com/builder" } },
        },
    })
}

/// Collects the cases of one world.
struct Collected<'w> {
    world: &'w World,
    is_good: bool,
    cases: Vec<Case>,
}

impl<'w> Collected<'w> {
    fn new(world: &'w World, is_good: bool) -> Self {
        Self { world, is_good, cases: Vec::new() }
    }

    /// The usual question about this bundle.
    fn add(&mut self, name: &'static str, bundle: &Value) {
        self.cases.push(Case::new(name, self.world, bundle, self.is_good));
    }

    /// The same, with what is unusual about the question.
    fn add_with(&mut self, name: &'static str, bundle: &Value, with: impl FnOnce(Case) -> Case) {
        self.cases.push(with(Case::new(name, self.world, bundle, self.is_good)));
    }

    /// The usual question, after a change to what shall be made.
    fn signed(&mut self, name: &'static str, change: impl FnOnce(&mut Signing<'w>)) {
        let mut signing = self.world.sign(ARTIFACT);
        change(&mut signing);
        self.add(name, &signing.bundle());
    }

    /// The same, of a client of Rekor v2.
    fn rekor2(&mut self, name: &'static str, change: impl FnOnce(&mut Signing<'w>)) {
        let mut signing = self.world.sign(ARTIFACT).rekor2();
        change(&mut signing);
        self.add(name, &signing.bundle());
    }
}
