//! One piece of evidence, read but not believed.

use std::sync::OnceLock;

use crate::discover::Of;
use crate::evidence::Signature;
use crate::json::Json;
use crate::registry::{RegistryError, npm, pypi};
use crate::sigstore::Outcome;
use crate::statement::{Statement, SubjectMatch};
use crate::{
    Algorithm, Artifact, Bundle, BundleError, CosignParts, Finding, Leniency, Origin, State,
};

/// How large a file of evidence may be.
pub(crate) const LIMIT_BYTES: usize = crate::BUNDLE_LIMIT_BYTES;

/// One piece of evidence for the engine: a Sigstore bundle, a signature made with a key, or
/// something that was authenticated elsewhere.
#[derive(Debug)]
pub struct Evidence {
    pub(super) origin: Origin,
    pub(super) of: Of,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Bundle(Box<SharedBundle>),
    Signature(Signature),
    Outcome(Box<Outcome>),
    /// Cannot be read: why.
    Broken(Finding),
}

/// A bundle. When a statement was signed, the signature is the same for every artifact the
/// statement is about, and is verified once.
#[derive(Debug)]
pub(super) struct SharedBundle {
    pub bundle: Bundle,
    pub statement: Option<Result<Statement, Box<Finding>>>,
    pub outcome: OnceLock<Outcome>,
}

impl Evidence {
    /// Reads evidence of any kind by its content: a Sigstore bundle or lines of them, cosign's
    /// older bundle, a signature by a key. What cannot be read is evidence too: the report says so.
    pub fn read(name: &str, bytes: &[u8], leniency: Leniency) -> Vec<Self> {
        Self::read_as(&Of::Any, name, bytes, leniency)
    }

    /// A bundle that was read elsewhere.
    pub fn bundle(bundle: Bundle) -> Self {
        let origin = bundle.origin().clone();
        Self { origin, of: Of::Any, body: Body::Bundle(Box::new(SharedBundle::new(bundle))) }
    }

    /// A signature that was read elsewhere.
    pub fn signature(origin: Origin, signature: Signature) -> Self {
        Self { origin, of: Of::Any, body: Body::Signature(signature) }
    }

    /// Something that was authenticated elsewhere; the policy is still asked.
    pub fn outcome(origin: Origin, outcome: Outcome) -> Self {
        Self { origin, of: Of::Any, body: Body::Outcome(Box::new(outcome)) }
    }

    /// Evidence that cannot be read.
    pub fn broken(finding: Finding, origin: Origin) -> Self {
        let finding = finding.at(&origin);
        Self { origin, of: Of::Any, body: Body::Broken(finding) }
    }

    /// The same, said to be of the artifact it is used for: when it is of another one, that is a
    /// failure and no coincidence.
    #[must_use]
    pub fn named(mut self, file: &str) -> Self {
        self.of = Of::File(file.to_owned());
        self
    }

    pub(super) fn read_as(of: &Of, name: &str, bytes: &[u8], leniency: Leniency) -> Vec<Self> {
        let origin = Origin::new(name);
        let bodies = if looks_like_json(bytes) {
            json(&origin, bytes, leniency)
        } else {
            vec![match Signature::parse(bytes) {
                Ok(signature) => (origin, Body::Signature(signature)),
                Err(error) => {
                    let finding = unreadable(&error).at(&origin);
                    (origin, Body::Broken(finding))
                }
            }]
        };
        bodies.into_iter().map(|(origin, body)| Self { origin, of: of.clone(), body }).collect()
    }

    /// A signature beside its certificate, as cosign and goreleaser write them.
    pub(super) fn read_pair(of: Of, name: &str, signature: &[u8], certificate: &[u8]) -> Self {
        let origin = Origin::new(name);
        let parts = CosignParts {
            signature: std::str::from_utf8(signature).ok(),
            certificate: std::str::from_utf8(certificate).ok(),
            ..CosignParts::default()
        };
        let body = match Bundle::from_cosign(&parts, &origin) {
            Ok(bundle) => Body::Bundle(Box::new(SharedBundle::new(bundle))),
            Err(error) => Body::Broken(error.finding()),
        };
        Self { origin, of, body }
    }

    /// Whether it is about other files, and does not claim otherwise by its name: one line of many.
    pub(super) fn is_elsewhere(&self, path: &str, artifact: &Artifact) -> bool {
        let named = match &self.of {
            Of::File(name) => name == path,
            Of::Digest(digest) => artifact.matches(digest) == Some(true),
            Of::Any => false,
        };
        if named {
            return false;
        }
        let Body::Bundle(shared) = &self.body else { return false };
        match &shared.statement {
            Some(Ok(statement)) => {
                matches!(statement.covers(artifact), SubjectMatch::Differs | SubjectMatch::NoDigest)
            }
            Some(Err(_)) => false,
            None => shared
                .bundle
                .claimed_digest()
                .is_some_and(|claimed| artifact.matches(claimed) == Some(false)),
        }
    }

    /// The digests of the artifact that this needs, besides SHA-256.
    pub(super) fn algorithms(&self, keys: &[crate::evidence::Key]) -> Vec<Algorithm> {
        match &self.body {
            Body::Bundle(shared) => {
                let mut algorithms = shared.bundle.algorithms();
                if let Some(Ok(statement)) = &shared.statement {
                    algorithms.extend(statement.algorithms());
                }
                algorithms
            }
            Body::Signature(signature) => signature.algorithms(keys),
            Body::Outcome(_) | Body::Broken(_) => Vec::new(),
        }
    }
}

impl SharedBundle {
    fn new(bundle: Bundle) -> Self {
        let statement = bundle.payload().map(|(payload_type, payload)| {
            Statement::read(payload_type, payload)
                .map_err(|error| Box::new(error.finding(bundle.origin())))
        });
        Self { bundle, statement, outcome: OnceLock::new() }
    }
}

/// Why evidence cannot be used: what is of a kind that nobody here reads is not wrong.
pub(super) fn unreadable(error: &crate::evidence::EvidenceError) -> Finding {
    use crate::evidence::EvidenceError as Error;
    let state = match error {
        Error::Unsupported { .. } => State::Undecided,
        _ => State::Failed,
    };
    Finding::new("evidence/format", state, format!("the evidence cannot be used: {error}"))
}

fn looks_like_json(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // UTF-16 of an old PowerShell is JSON too; the strict reader says what to do about it.
    matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[')) || bytes.starts_with(b"\xff\xfe")
}

fn json(origin: &Origin, bytes: &[u8], leniency: Leniency) -> Vec<(Origin, Body)> {
    let bundles = match wrapped(bytes) {
        Some(Ok(wrapped)) => {
            let several = wrapped.len() > 1;
            wrapped
                .iter()
                .enumerate()
                .map(|(index, bundle)| {
                    let part = several.then_some(index + 1);
                    Bundle::read(bundle, &Origin { name: origin.name.clone(), part }, leniency)
                })
                .collect()
        }
        Some(Err(error)) => {
            let finding = Finding::failed("bundle/format", format!("it cannot be read: {error}"));
            return vec![(origin.clone(), Body::Broken(finding.at(origin)))];
        }
        None => match cosign_file(bytes, origin) {
            Some(bundle) => vec![bundle],
            None => Bundle::read_all(bytes, origin, leniency),
        },
    };
    bundles
        .into_iter()
        .map(|bundle| match bundle {
            Ok(bundle) => {
                (bundle.origin().clone(), Body::Bundle(Box::new(SharedBundle::new(bundle))))
            }
            Err(error) => (error.origin.clone(), Body::Broken(error.finding())),
        })
        .collect()
}

/// The bundles in a document of a package registry: npm's attestations, those of the Python index.
/// `None` when it is something else.
fn wrapped(bytes: &[u8]) -> Option<Result<Vec<Vec<u8>>, RegistryError>> {
    // Looked for as text first: most evidence is none of these, and is parsed once only.
    let text = std::str::from_utf8(bytes).ok()?;
    if text.contains("\"attestations\"") && npm::is_attestations(bytes) {
        let all = npm::read_attestations(bytes);
        return Some(all.map(|all| all.into_iter().map(|one| one.bundle).collect()));
    }
    if text.contains("\"verification_material\"") && pypi::is_attestation(bytes) {
        return Some(pypi::Attestation::read(bytes).map(|one| vec![one.to_bundle()]));
    }
    if text.contains("\"attestation_bundles\"") && pypi::is_provenance(bytes) {
        let all = pypi::read_provenance(bytes);
        return Some(all.map(|all| {
            all.iter().flat_map(|one| &one.attestations).map(pypi::Attestation::to_bundle).collect()
        }));
    }
    None
}

/// What `cosign sign-blob --bundle` wrote before version 3: `base64Signature`, `cert`,
/// `rekorBundle`. `None` when it is something else.
fn cosign_file(bytes: &[u8], origin: &Origin) -> Option<Result<Bundle, BundleError>> {
    std::str::from_utf8(bytes).ok().filter(|text| text.contains("\"base64Signature\""))?;
    // Read strictly first: no key may occur twice.
    let json = crate::json::parse(bytes).ok()?;
    let signature = json.get("base64Signature")?.as_str();
    let certificate = json.get("cert").and_then(Json::as_str).filter(|text| !is_public_key(text));
    let rekor_bundle = match serde_json::from_slice::<serde_json::Value>(bytes) {
        Ok(value) => value.get("rekorBundle").map(ToString::to_string),
        Err(_) => None,
    };
    let parts = CosignParts {
        signature,
        certificate,
        rekor_bundle: rekor_bundle.as_deref(),
        ..CosignParts::default()
    };
    Some(Bundle::from_cosign(&parts, origin))
}

/// Whether `cert` is the key that signed, which the verifier must have from elsewhere.
fn is_public_key(text: &str) -> bool {
    let key = |text: &[u8]| text.starts_with(b"-----BEGIN PUBLIC KEY-----");
    key(text.as_bytes())
        || crate::json::base64(text).is_some_and(|inner| key(&inner))
        || text.is_empty()
}
