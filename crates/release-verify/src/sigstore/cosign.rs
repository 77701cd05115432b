//! Signatures as cosign wrote them before bundles: parts in annotations or files of their own.

use super::bundle::{
    Bundle, BundleError, DER_LIMIT_BYTES, EntryKind, LogEntry, Material, PARTS, SignedContent, der,
};
use super::key::pem_blocks;
use crate::Origin;
use crate::json::{Fields, JsonError, base64, parse};

/// The parts of a signature that cosign 1 and 2 keep apart: layers' annotations
/// (`dev.cosignproject.cosign/signature`, `dev.sigstore.cosign/certificate`, `…/chain`,
/// `…/bundle`, `…/rfc3161timestamp`), or the files `.sig`, `.pem`, `.bundle`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CosignParts<'a> {
    /// The signature in base64. Absent for attestations, where the envelope holds it.
    pub signature: Option<&'a str>,
    /// A DSSE envelope in JSON, for attestations.
    pub envelope: Option<&'a [u8]>,
    /// The certificate in PEM, also in base64 once more; absent when a key signed.
    pub certificate: Option<&'a str>,
    /// The certificates between it and its authority in PEM.
    pub chain: Option<&'a str>,
    /// Rekor's entry and promise in JSON.
    pub rekor_bundle: Option<&'a str>,
    /// `{"SignedRFC3161Timestamp": "<base64>"}`.
    pub timestamp: Option<&'a str>,
}

impl Bundle {
    /// A bundle of cosign's parts.
    ///
    /// What is signed is the artifact that is verified with it: a file, or the payload of a layer
    /// (for those, pass an [`Artifact`](crate::Artifact) of the payload's bytes).
    ///
    /// # Errors
    /// When a part is malformed, or there is neither a signature nor an envelope, or both.
    pub fn from_cosign(parts: &CosignParts<'_>, origin: &Origin) -> Result<Self, BundleError> {
        convert(parts, origin)
            .map_err(|error| BundleError { origin: origin.clone(), problem: error.to_string() })
    }
}

fn convert(parts: &CosignParts<'_>, origin: &Origin) -> Result<Bundle, JsonError> {
    let content = match (parts.signature, parts.envelope) {
        (Some(signature), None) => {
            let signature = base64(signature.trim())
                .filter(|signature| !signature.is_empty())
                .ok_or_else(|| JsonError::new("signature", "not canonical base64"))?;
            SignedContent::Message { digest: None, signature }
        }
        (None, Some(envelope)) => {
            let json =
                parse(envelope).map_err(|error| JsonError::new("envelope", error.problem))?;
            super::bundle::read_envelope(Fields::of(&json, "envelope")?, None, false)?
        }
        _ => return Err(JsonError::new("signature", "not exactly one signature or envelope")),
    };
    let material = match parts.certificate {
        Some(certificate) => {
            let mut leaf = certificates(certificate)
                .ok_or_else(|| JsonError::new("certificate", "not a certificate in PEM"))?;
            if leaf.len() != 1 {
                return Err(JsonError::new("certificate", "more than one"));
            }
            let chain = match parts.chain.filter(|chain| !chain.trim().is_empty()) {
                Some(chain) => certificates(chain)
                    .ok_or_else(|| JsonError::new("chain", "not certificates in PEM"))?,
                None => Vec::new(),
            };
            // Cosign adds the root itself, which nobody needs: it is trusted or not.
            let intermediates =
                chain.into_iter().filter(|der| !super::certificate::is_self_issued(der)).collect();
            Material::Certificates { leaf: leaf.remove(0), intermediates }
        }
        None => Material::Key { hint: String::new() },
    };
    let entries = parts.rekor_bundle.map(rekor_entry).transpose()?.into_iter().collect();
    let timestamps = parts.timestamp.map(timestamp).transpose()?.into_iter().collect();
    Ok(Bundle {
        origin: origin.clone(),
        media_type: "cosign".to_owned(),
        material,
        entries,
        timestamps,
        content,
    })
}

/// At most so many, and none longer, than a bundle may hold: PEM, or base64 of PEM as `cosign sign-blob --output-certificate` writes it.
fn certificates(text: &str) -> Option<Vec<Vec<u8>>> {
    let text = text.trim();
    let found = if text.starts_with("-----BEGIN") {
        pem_blocks(text, "CERTIFICATE")?
    } else {
        pem_blocks(std::str::from_utf8(&base64(text)?).ok()?, "CERTIFICATE")?
    };
    let fits = found.len() <= PARTS && found.iter().all(|der| der.len() <= DER_LIMIT_BYTES);
    fits.then_some(found)
}

/// `{"SignedEntryTimestamp": …, "Payload": {body, integratedTime, logIndex, logID}}`.
fn rekor_entry(text: &str) -> Result<LogEntry, JsonError> {
    let json = parse(text.as_bytes()).map_err(|error| JsonError::new("bundle", error.problem))?;
    let mut fields = Fields::of(&json, "bundle")?;
    let promise = fields.bytes("SignedEntryTimestamp")?;
    let mut payload = fields.object("Payload")?;
    let body = payload.bytes("body")?;
    let integrated_time = payload.integer("integratedTime")?;
    let index = payload.integer("logIndex")?.unwrap_or(0);
    let log_id = payload.text("logID")?;
    let log_id = crate::Digest::from_hex(crate::Algorithm::Sha256, log_id)
        .ok_or_else(|| payload.error("logID", "not 32 bytes in hex"))?;
    payload.end(false)?;
    fields.end(false)?;
    // Elsewhere the kind stands beside the body; here only in it.
    let inner =
        parse(&body).map_err(|error| JsonError::new("bundle.Payload.body", error.problem))?;
    let mut inner = Fields::of(&inner, "bundle.Payload.body")?;
    let (kind, version) = (inner.text("kind")?, inner.text("apiVersion")?);
    let kind = EntryKind::from_name(kind, version)
        .filter(|kind| !kind.is_rekor2())
        .ok_or_else(|| inner.error("kind", "not known"))?;
    Ok(LogEntry {
        index,
        log_id: log_id.as_bytes().to_vec(),
        kind,
        integrated_time,
        promise: Some(promise),
        proof: None,
        body,
    })
}

fn timestamp(text: &str) -> Result<Vec<u8>, JsonError> {
    let json =
        parse(text.as_bytes()).map_err(|error| JsonError::new("timestamp", error.problem))?;
    let mut fields = Fields::of(&json, "timestamp")?;
    let bytes = der(&mut fields, "SignedRFC3161Timestamp")?;
    fields.end(false)?;
    Ok(bytes)
}
