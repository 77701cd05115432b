//! Who signed, and what a good signature says: the result of reading one piece of evidence.

use std::time::SystemTime;

use crate::{Digest, Origin};

/// Who made a signature that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signer {
    /// The holder of a short-lived certificate: whom an identity provider vouched for.
    Certificate(CertificateIdentity),
    /// The holder of a key that the caller named.
    Key {
        /// SHA-256 of the public key (SPKI, DER), or the format's own key id, as text.
        id: String,
        /// `ecdsa-p256`, `ed25519`, `rsa`, `minisign`, `ssh-ed25519` …
        algorithm: String,
    },
}

impl std::fmt::Display for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Certificate(identity) => {
                for (index, name) in identity.names.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{}", name.as_str())?;
                }
                match &identity.issuer {
                    Some(issuer) => write!(f, " by {issuer}"),
                    None => Ok(()),
                }
            }
            Self::Key { id, algorithm } => write!(f, "{algorithm} key {id}"),
        }
    }
}

/// What a signing certificate says of its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateIdentity {
    /// Every subject alternative name, in the certificate's order.
    pub names: Vec<SubjectName>,
    /// The identity provider (Fulcio extension 1.3.6.1.4.1.57264.1.8, else .1.1).
    pub issuer: Option<String>,
    /// The other Fulcio extensions as text, by the last arc of their object identifier
    /// (2 to 7 raw, 9 and above as UTF-8 strings), in the certificate's order. An extension that
    /// occurs twice occurs twice here; a policy refuses it.
    pub claims: Vec<(u32, String)>,
}

impl CertificateIdentity {
    /// An identity of those parts.
    pub fn new(
        names: Vec<SubjectName>,
        issuer: Option<String>,
        claims: Vec<(u32, String)>,
    ) -> Self {
        Self { names, issuer, claims }
    }

    /// The claim with that last arc, when it is there exactly once.
    pub fn claim(&self, arc: u32) -> Option<&str> {
        let mut values = self.claims.iter().filter(|(number, _)| *number == arc);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }
}

/// A subject alternative name of a signing certificate (RFC 5280, section 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectName {
    /// A mail address: a person.
    Email(String),
    /// A URI: a workflow, a service account.
    Uri(String),
    /// Fulcio's `OtherName` (1.3.6.1.4.1.57264.1.7): a user of a username-only provider.
    Other(String),
}

impl SubjectName {
    /// Its text, without the kind.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Email(text) | Self::Uri(text) | Self::Other(text) => text,
        }
    }
}

/// What was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// The artifact itself, by its digest.
    Artifact(Digest),
    /// A document about artifacts: the payload of a DSSE envelope, not read yet.
    Statement {
        /// The envelope's payload type, e.g. `application/vnd.in-toto+json`.
        payload_type: String,
        /// The signed bytes.
        payload: Vec<u8>,
    },
}

/// A signature that is good: made by the signer, over the content, at a proved time. Nothing is
/// said yet about whether the policy accepts that signer, or what a statement claims.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Authenticated {
    /// The evidence.
    pub origin: Origin,
    /// Who signed.
    pub signer: Signer,
    /// What.
    pub content: Content,
    /// When, as far as third parties vouch for it (log entries, timestamps); may be empty for keys.
    pub times: Vec<SystemTime>,
    /// How many distinct transparency logs vouch for it.
    pub logs: usize,
}

impl Authenticated {
    /// A good signature without proof of time.
    pub fn new(origin: Origin, signer: Signer, content: Content) -> Self {
        Self { origin, signer, content, times: Vec::new(), logs: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_occurs_twice_is_none() {
        let identity = CertificateIdentity::new(
            vec![SubjectName::Email("a@example.org".into())],
            None,
            vec![(12, "x".into()), (12, "x".into()), (14, "refs/tags/v1".into())],
        );
        assert_eq!(identity.claim(12), None);
        assert_eq!(identity.claim(14), Some("refs/tags/v1"));
        assert_eq!(identity.claim(9), None);
    }
}
