//! What was signed is verified before anybody sees it, as a user would: fail closed.

use std::ffi::OsStr;
use std::io::Read;

use dsops_attest::SigningKey;
use dsops_release_verify::evidence::ManagedKey;
use dsops_release_verify::statement::{PAYLOAD_TYPE, Statement};
use dsops_release_verify::{
    Algorithm, Artifact, Bundle, Content, Digest, Leniency, Origin, Signer, State, Thresholds,
    TrustedKey, Verifier,
};
use serde_json::{Value, json};

use super::super::verify::{online, trust};
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};

/// Verifies what we signed ourselves.
pub struct OwnCheck {
    verifier: Verifier,
}

/// Who signed, by the verifier's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedBy {
    /// A key, by its id.
    Key(String),
    /// A name, and who vouches for it.
    Identity(String, String),
}

impl SignedBy {
    /// For people.
    pub fn text(&self) -> String {
        match self {
            Self::Key(id) => format!("by the key {id}"),
            Self::Identity(name, issuer) => format!("by {name} (says {issuer})"),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        match self {
            Self::Key(id) => json!({ "key": id }),
            Self::Identity(name, issuer) => json!({ "identity": name, "issuer": issuer }),
        }
    }
}

impl OwnCheck {
    /// Against that root of trust, or those in use.
    ///
    /// # Errors
    /// The root cannot be read.
    pub fn new(
        cx: &Context,
        trusted_root: Option<&OsStr>,
        key: Option<&SigningKey>,
        is_logged: bool,
    ) -> Result<Self, Failure> {
        let offline =
            online::Flags { online: false, offline: true, ca_file: None, token_host: Vec::new() };
        let (roots, _) = trust::roots(cx, trusted_root, &offline)?;
        let mut thresholds = Thresholds::default();
        thresholds.keys_without_log = !is_logged;
        let mut verifier = Verifier::new(roots).with_thresholds(thresholds);
        if let Some(key) = key {
            let trusted = ManagedKey::parse(key.public_pem().as_bytes())
                .ok()
                .and_then(|key| TrustedKey::new(&key).ok())
                .ok_or_else(|| refused("the key", "verifiers do not take keys of its kind"))?;
            verifier = verifier.with_keys([trusted]);
        }
        Ok(Self { verifier })
    }

    /// Whether a bundle is one of that file.
    ///
    /// # Errors
    /// It is not, or the file cannot be read again.
    pub fn of_file(
        &self,
        name: &str,
        mut file: impl Read,
        bundle: &str,
        needs_bytes: bool,
    ) -> Result<SignedBy, Failure> {
        let read = |error| {
            let report = Report::error(format!("cannot read {name}")).because(&error);
            Failure::new(Exit::Store, report)
        };
        let mut bytes = Vec::new();
        let artifact = if needs_bytes {
            file.read_to_end(&mut bytes).map_err(read)?;
            Artifact::read(name, &bytes[..], &[]).map_err(read)?
        } else {
            Artifact::read(name, file, &[]).map_err(read)?
        };
        let (signer, content) =
            self.signature(name, bundle, &artifact, needs_bytes.then_some(&bytes))?;
        match content {
            Content::Artifact(digest) if digest == *artifact.sha256() => Ok(signer),
            _ => Err(refused(name, "the signature is over something else")),
        }
    }

    /// Whether a bundle is a statement about all of these.
    ///
    /// # Errors
    /// It is not.
    pub fn of_statement(
        &self,
        subjects: &[(String, [u8; 32])],
        bundle: &str,
    ) -> Result<SignedBy, Failure> {
        let mut by = None;
        for (name, sha256) in subjects {
            let artifact = Digest::new(Algorithm::Sha256, *sha256)
                .and_then(|digest| Artifact::from_digest(name.as_str(), digest))
                .ok_or_else(|| refused(name, "its digest is none"))?;
            let (signer, content) = self.signature(name, bundle, &artifact, None)?;
            let Content::Statement { payload_type, payload } = content else {
                return Err(refused(name, "it is no statement"));
            };
            let about = Statement::read(&payload_type, &payload)
                .map(|statement| statement.check_subject(&artifact))
                .map_err(|error| refused(name, &error.to_string()))?;
            if about.state != State::Passed {
                return Err(refused(name, &about.message));
            }
            by = Some(signer);
        }
        by.ok_or_else(|| refused("the statement", "it is about nothing"))
    }

    fn signature(
        &self,
        name: &str,
        bundle: &str,
        artifact: &Artifact,
        bytes: Option<&Vec<u8>>,
    ) -> Result<(SignedBy, Content), Failure> {
        let origin = Origin::new("what was signed");
        let bundle = Bundle::read(bundle.as_bytes(), &origin, Leniency::default())
            .map_err(|error| refused(name, &error.to_string()))?;
        let outcome = self.verifier.authenticate(&bundle, artifact, bytes.map(Vec::as_slice));
        let bad = |state| matches!(state, State::Failed | State::Undecided);
        let wrong: Vec<String> = outcome
            .findings
            .iter()
            .filter(|finding| bad(finding.state))
            .map(|finding| format!("{} [{}]", finding.message, finding.code))
            .collect();
        let signature = outcome.authenticated.filter(|_| wrong.is_empty());
        let signature = signature.ok_or_else(|| refused(name, &wrong.join("; ")))?;
        let by = match signature.signer {
            Signer::Key { id, .. } => SignedBy::Key(id),
            Signer::Certificate(identity) => {
                let name = identity.names.first().map(|name| name.as_str().to_owned());
                SignedBy::Identity(name.unwrap_or_default(), identity.issuer.unwrap_or_default())
            }
            _ => return Err(refused(name, "nobody is known to have signed it")),
        };
        Ok((by, signature.content))
    }
}

/// Whether verifiers can read a statement: one that they cannot shall not be in a public log.
///
/// # Errors
/// They cannot.
pub fn readable(statement: &[u8]) -> Result<(), Failure> {
    let read = Statement::read(PAYLOAD_TYPE, statement).map(drop);
    read.map_err(|error| {
        let report = Report::error("no verifier would read such a statement").because(&error);
        Failure::new(Exit::Config, report.help("nothing was signed; correct what it is made from"))
    })
}

fn refused(name: &str, why: &str) -> Failure {
    let report = Report::error(format!("what was signed for {name} does not verify"))
        .because_text(why.to_owned())
        .help("nothing was written; the services and `--trusted-root` have to be of one instance");
    Failure::new(Exit::NotVerified, report)
}
