//! What is signed, and how transparency logs write it down.

use serde_json::{Value, json};

use super::certificate::Certificate;
use super::key::{Algorithm, Key};
use super::{base64, hex, sha256};

/// What a signature is over.
#[derive(Clone, Debug)]
pub enum Content {
    /// A file.
    Message(Vec<u8>),
    /// A DSSE envelope.
    Dsse {
        /// Such as `application/vnd.in-toto+json`.
        payload_type: String,
        /// The document.
        payload: Vec<u8>,
    },
}

impl Content {
    /// The bytes that are signed: the file, or the pre-authentication encoding of DSSE.
    pub fn signed_bytes(&self) -> Vec<u8> {
        match self {
            Self::Message(bytes) => bytes.clone(),
            Self::Dsse { payload_type, payload } => {
                let (kind, size) = (payload_type.len(), payload.len());
                let mut bytes = format!("DSSEv1 {kind} {payload_type} {size} ").into_bytes();
                bytes.extend(payload);
                bytes
            }
        }
    }

    /// The hash of the file or of the envelope's payload.
    fn payload_hash(&self) -> [u8; 32] {
        match self {
            Self::Message(bytes) => sha256(bytes),
            Self::Dsse { payload, .. } => sha256(payload),
        }
    }
}

/// Who a log says can verify the signature.
#[derive(Clone, Debug)]
pub enum Verifier {
    /// A certificate of Fulcio.
    Certificate(Certificate, Key),
    /// A key known to the verifier.
    Key(Key),
}

impl Verifier {
    /// The key itself.
    pub fn key(&self) -> &Key {
        let (Self::Certificate(_, key) | Self::Key(key)) = self;
        key
    }

    /// As Rekor v1 keeps it: PEM.
    fn pem(&self) -> String {
        match self {
            Self::Certificate(certificate, _) => certificate.pem(),
            Self::Key(key) => key.public_pem(),
        }
    }

    /// As Rekor v2 keeps it.
    fn v2(&self) -> Value {
        let details = self.key().details();
        match self {
            Self::Certificate(certificate, _) => json!({
                "keyDetails": details,
                "x509Certificate": { "rawBytes": base64(&certificate.der) },
            }),
            Self::Key(key) => json!({
                "keyDetails": details,
                "publicKey": { "rawBytes": base64(&key.spki()) },
            }),
        }
    }
}

/// A signature with what it is over and who made it.
#[derive(Clone, Debug)]
pub struct Signature {
    /// What it is over.
    pub content: Content,
    /// The signature itself.
    pub bytes: Vec<u8>,
    /// Who made it.
    pub verifier: Verifier,
}

impl Signature {
    /// The envelope as JSON in one line, as cosign attaches it to an image.
    ///
    /// # Panics
    /// It is not an envelope.
    pub fn envelope(&self) -> Value {
        let Content::Dsse { payload_type, payload } = &self.content else {
            panic!("a message signature has no envelope")
        };
        json!({
            "payload": base64(payload),
            "payloadType": payload_type,
            "signatures": [{ "keyid": "", "sig": base64(&self.bytes) }],
        })
    }
}

/// The kind and version of a log entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rekor v1: a hash, its signature, the signer.
    HashedRekordV001,
    /// Rekor v2: the same; also of envelopes, by the hash of what is signed.
    HashedRekordV002,
    /// Rekor v1: an envelope, by its hash, its payload's, and its signatures.
    DsseV001,
    /// Rekor v2: an envelope, by its payload's hash and its signatures.
    DsseV002,
    /// Rekor v1, oldest: an envelope, by hashes only.
    IntotoV001,
    /// Rekor v1: an envelope without its payload.
    IntotoV002,
}

impl Kind {
    /// Its name and version.
    pub fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::HashedRekordV001 => ("hashedrekord", "0.0.1"),
            Self::HashedRekordV002 => ("hashedrekord", "0.0.2"),
            Self::DsseV001 => ("dsse", "0.0.1"),
            Self::DsseV002 => ("dsse", "0.0.2"),
            Self::IntotoV001 => ("intoto", "0.0.1"),
            Self::IntotoV002 => ("intoto", "0.0.2"),
        }
    }

    /// Whether Rekor v2 keeps it.
    pub fn is_v2(self) -> bool {
        matches!(self, Self::HashedRekordV002 | Self::DsseV002)
    }

    /// The canonical body of an entry.
    pub fn body(self, signature: &Signature) -> Vec<u8> {
        let (kind, version) = self.name();
        let body = json!({ "apiVersion": version, "kind": kind, "spec": self.spec(signature) });
        // RFC 8785 for what occurs here: sorted keys, no spaces, ASCII.
        body.to_string().into_bytes()
    }

    fn spec(self, signature: &Signature) -> Value {
        let Signature { content, bytes, verifier } = signature;
        let key = verifier.key();
        let is_sha384 = key.algorithm() == Algorithm::P384;
        let pem = base64(verifier.pem().as_bytes());
        let payload_hash = json!({ "algorithm": "sha256", "value": hex(&content.payload_hash()) });
        let envelope_hash = || {
            let envelope = signature.envelope().to_string();
            json!({ "algorithm": "sha256", "value": hex(&sha256(envelope.as_bytes())) })
        };
        match self {
            Self::HashedRekordV001 => json!({
                "data": { "hash": {
                    "algorithm": if is_sha384 { "sha384" } else { "sha256" },
                    "value": hex(&key.hash(&content.signed_bytes())),
                } },
                "signature": { "content": base64(bytes), "publicKey": { "content": pem } },
            }),
            Self::HashedRekordV002 => json!({ "hashedRekordV002": {
                "data": {
                    "algorithm": if is_sha384 { "SHA2_384" } else { "SHA2_256" },
                    "digest": base64(&key.hash(&content.signed_bytes())),
                },
                "signature": { "content": base64(bytes), "verifier": verifier.v2() },
            } }),
            Self::DsseV001 => json!({
                "envelopeHash": envelope_hash(),
                "payloadHash": payload_hash,
                "signatures": [{ "signature": base64(bytes), "verifier": pem }],
            }),
            Self::DsseV002 => json!({ "dsseV002": {
                "payloadHash": {
                    "algorithm": "SHA2_256",
                    "digest": base64(&content.payload_hash()),
                },
                "signatures": [{ "content": base64(bytes), "verifier": verifier.v2() }],
            } }),
            Self::IntotoV001 => json!({
                "content": { "hash": envelope_hash(), "payloadHash": payload_hash },
                "publicKey": pem,
            }),
            Self::IntotoV002 => {
                let Content::Dsse { payload_type, .. } = content else {
                    panic!("intoto holds envelopes only")
                };
                // The signature is encoded twice there, a slip of Rekor that has become the format.
                let twice = base64(base64(bytes).as_bytes());
                json!({ "content": {
                    "envelope": {
                        "payloadType": payload_type,
                        "signatures": [{ "publicKey": pem, "sig": twice }],
                    },
                    "hash": envelope_hash(),
                    "payloadHash": payload_hash,
                } })
            }
        }
    }
}
