//! Sigstore bundles, media type v0.3: a signature with all that is needed to verify it offline.

use std::fmt;

use serde_json::{Value, json};

use crate::encoding::{base64, unbase64};

/// A signed file or statement, as JSON in one line by [`fmt::Display`].
///
/// Source: sigstore/protobuf-specs, `sigstore_bundle.proto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    json: Value,
}

/// Who can verify a signature, and what stands beside it.
pub(crate) struct Material {
    /// `certificate` or `publicKey`.
    pub(crate) signer: (&'static str, Value),
    /// `TransparencyLogEntry`, each.
    pub(crate) entries: Vec<Value>,
    /// `TimeStampResp` in DER, each.
    pub(crate) timestamps: Vec<Vec<u8>>,
}

impl Bundle {
    /// `content` is `messageSignature` or `dsseEnvelope`.
    pub(crate) fn new(material: Material, content: (&'static str, Value)) -> Self {
        let (kind, signer) = material.signer;
        let mut about = json!({ kind: signer, "tlogEntries": material.entries });
        if !material.timestamps.is_empty() {
            let stamps: Vec<_> = material
                .timestamps
                .iter()
                .map(|stamp| json!({ "signedTimestamp": base64(stamp) }))
                .collect();
            about["timestampVerificationData"] = json!({ "rfc3161Timestamps": stamps });
        }
        let (kind, content) = content;
        let json = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": about,
            kind: content,
        });
        Self { json }
    }

    /// What kind of content it has, as annotations of cosign name it.
    pub(crate) fn content(&self) -> &'static str {
        if self.json["dsseEnvelope"].is_object() { "dsse-envelope" } else { "message-signature" }
    }

    /// What its statement says, if it holds one.
    pub(crate) fn predicate_type(&self) -> Option<String> {
        let payload = unbase64(self.json["dsseEnvelope"]["payload"].as_str()?)?;
        let statement: Value = serde_json::from_slice(&payload).ok()?;
        Some(statement["predicateType"].as_str()?.to_owned())
    }
}

impl fmt::Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.json)
    }
}
