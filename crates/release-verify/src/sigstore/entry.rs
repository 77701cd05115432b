//! What a log entry says was logged: it must be this signature, by this signer, over this content
//! (otherwise any good entry could be put beside any signature: CVE-2022-36056).
//!
//! Bodies are Rekor's types `hashedrekord`, `dsse` and `intoto`, each in its versions.

use super::bundle::{EntryKind, LogEntry, SignedContent};
use super::key::{PublicKey, pem_blocks};
use crate::json::{Fields, JsonError, base64, parse};
use crate::trust::key_details;
use crate::{Algorithm, Artifact, Digest};

/// The signer as a log names it: the certificate, or the key.
pub(crate) enum Verifier<'a> {
    /// The leaf in DER and its key.
    Certificate(&'a [u8], &'a PublicKey),
    /// The key that the caller gave.
    Key(&'a PublicKey),
}

impl Verifier<'_> {
    fn key(&self) -> &PublicKey {
        match self {
            Self::Certificate(_, key) | Self::Key(key) => key,
        }
    }

    fn is_der_certificate(&self, der: &[u8]) -> bool {
        matches!(self, Self::Certificate(leaf, _) if *leaf == der)
    }

    fn is_der_key(&self, der: &[u8]) -> bool {
        matches!(self, Self::Key(key) if key.spki() == der)
    }

    /// Whether the PEM is of this signer: one block, certificate or key, and nothing else.
    fn is_pem(&self, pem: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(pem) else { return false };
        let one = |label| match pem_blocks(text, label) {
            Some(blocks) if blocks.len() == 1 => blocks.into_iter().next(),
            _ => None,
        };
        match self {
            Self::Certificate(..) => {
                one("CERTIFICATE").is_some_and(|der| self.is_der_certificate(&der))
            }
            Self::Key(_) => one("PUBLIC KEY").is_some_and(|der| self.is_der_key(&der)),
        }
    }
}

/// Checks the body of `entry` against the rest of the evidence. `artifact` is what was signed when
/// the content is not an envelope.
pub(crate) fn matches(
    entry: &LogEntry,
    content: &SignedContent,
    verifier: &Verifier<'_>,
    artifact: &Artifact,
) -> Result<(), String> {
    let json = parse(&entry.body).map_err(|error| format!("its body: {error}"))?;
    let body = Body { content, verifier, artifact };
    let mut fields = Fields::of(&json, "").map_err(|error| error.to_string())?;
    body.check(entry.kind, &mut fields).map_err(|error| format!("its body: {error}"))
}

struct Body<'a> {
    content: &'a SignedContent,
    verifier: &'a Verifier<'a>,
    artifact: &'a Artifact,
}

impl Body<'_> {
    fn check(&self, kind: EntryKind, fields: &mut Fields<'_>) -> Result<(), JsonError> {
        if fields.text("apiVersion")? != kind.version() || fields.text("kind")? != kind.name() {
            return Err(fields.error("kind", "not the kind that the entry says"));
        }
        let mut spec = fields.object("spec")?;
        match kind {
            EntryKind::HashedRekord1 => self.hashedrekord1(&mut spec)?,
            EntryKind::HashedRekord2 => {
                let mut inner = spec.object("hashedRekordV002")?;
                self.hashedrekord2(&mut inner)?;
                inner.end(false)?;
            }
            EntryKind::Dsse1 => self.dsse1(&mut spec)?,
            EntryKind::Dsse2 => {
                let mut inner = spec.object("dsseV002")?;
                self.dsse2(&mut inner)?;
                inner.end(false)?;
            }
            EntryKind::Intoto1 => self.intoto1(&mut spec)?,
            EntryKind::Intoto2 => self.intoto2(&mut spec)?,
        }
        spec.end(false)?;
        Ok(())
    }

    /// The digest of what was signed: the artifact's, or the envelope's signed bytes'.
    fn signed_digest(&self, algorithm: Algorithm) -> Option<Digest> {
        match self.content {
            SignedContent::Message { .. } => self.artifact.digest(algorithm).cloned(),
            SignedContent::Envelope { payload_type, payload, .. } => {
                Some(Digest::of(algorithm, &super::pae(payload_type, payload)))
            }
        }
    }

    fn same_signature(&self, bytes: &[u8]) -> bool {
        self.content.signature() == bytes
    }

    fn envelope(&self, fields: &Fields<'_>) -> Result<(&str, &[u8]), JsonError> {
        match self.content {
            SignedContent::Envelope { payload_type, payload, .. } => Ok((payload_type, payload)),
            SignedContent::Message { .. } => {
                Err(fields.error("kind", "is for envelopes, and none was signed"))
            }
        }
    }

    fn hashedrekord1(&self, spec: &mut Fields<'_>) -> Result<(), JsonError> {
        if matches!(self.content, SignedContent::Envelope { .. }) {
            return Err(spec.error("data", "is for artifacts, and an envelope was signed"));
        }
        let mut data = spec.object("data")?;
        let mut hash = data.object("hash")?;
        let digest = hex_digest(&mut hash)?;
        hash.end(false)?;
        data.end(false)?;
        if self.signed_digest(digest.algorithm()).as_ref() != Some(&digest) {
            return Err(spec.error("data", "another artifact's digest"));
        }
        let mut signature = spec.object("signature")?;
        if !self.same_signature(&signature.bytes("content")?) {
            return Err(signature.error("content", "another signature"));
        }
        let mut public_key = signature.object("publicKey")?;
        if !self.verifier.is_pem(&public_key.bytes("content")?) {
            return Err(public_key.error("content", "another signer"));
        }
        public_key.end(false)?;
        signature.end(false)
    }

    fn hashedrekord2(&self, spec: &mut Fields<'_>) -> Result<(), JsonError> {
        let mut data = spec.object("data")?;
        let digest = protobuf_digest(&mut data)?;
        data.end(false)?;
        if self.signed_digest(digest.algorithm()).as_ref() != Some(&digest) {
            return Err(spec.error("data", "another digest than that of what was signed"));
        }
        let mut signature = spec.object("signature")?;
        self.signature2(&mut signature)?;
        signature.end(false)
    }

    fn signature2(&self, signature: &mut Fields<'_>) -> Result<(), JsonError> {
        if !self.same_signature(&signature.bytes("content")?) {
            return Err(signature.error("content", "another signature"));
        }
        let mut verifier = signature.object("verifier")?;
        let details = verifier.text("keyDetails")?;
        if !details_fit(self.verifier.key(), details) {
            return Err(verifier.error("keyDetails", "does not describe the signer's key"));
        }
        let certificate = verifier.optional_object("x509Certificate")?;
        let key = verifier.optional_object("publicKey")?;
        let same = match (certificate, key) {
            (Some(mut certificate), None) => {
                let der = certificate.bytes("rawBytes")?;
                certificate.end(false)?;
                self.verifier.is_der_certificate(&der)
            }
            (None, Some(mut key)) => {
                let der = key.bytes("rawBytes")?;
                key.end(false)?;
                self.verifier.is_der_key(&der)
            }
            _ => false,
        };
        if !same {
            return Err(signature.error("verifier", "another signer"));
        }
        verifier.end(false)
    }

    fn dsse1(&self, spec: &mut Fields<'_>) -> Result<(), JsonError> {
        let (_, payload) = self.envelope(spec)?;
        // Over the JSON text that was sent to the log, which nobody has any more.
        let mut envelope_hash = spec.object("envelopeHash")?;
        hex_digest(&mut envelope_hash)?;
        envelope_hash.end(false)?;
        payload_digest(spec, hex_digest, payload)?;
        let mut signature = only(spec)?;
        if !self.same_signature(&signature.bytes("signature")?) {
            return Err(signature.error("signature", "another signature"));
        }
        if !self.verifier.is_pem(&signature.bytes("verifier")?) {
            return Err(signature.error("verifier", "another signer"));
        }
        signature.end(false)
    }

    fn dsse2(&self, spec: &mut Fields<'_>) -> Result<(), JsonError> {
        let (_, payload) = self.envelope(spec)?;
        payload_digest(spec, protobuf_digest, payload)?;
        let mut signature = only(spec)?;
        self.signature2(&mut signature)?;
        signature.end(false)
    }

    fn intoto1(&self, spec: &mut Fields<'_>) -> Result<(), JsonError> {
        let (_, payload) = self.envelope(spec)?;
        let mut content = spec.object("content")?;
        // Over the envelope's JSON text as it was sent; signatures are in no other field. What
        // binds this signature to the entry is the payload and the signer, see below.
        if let Some(mut hash) = content.optional_object("hash")? {
            hex_digest(&mut hash)?;
            hash.end(false)?;
        }
        payload_digest(&mut content, hex_digest, payload)?;
        content.end(false)?;
        if !self.verifier.is_pem(&spec.bytes("publicKey")?) {
            return Err(spec.error("publicKey", "another signer"));
        }
        Ok(())
    }

    fn intoto2(&self, spec: &mut Fields<'_>) -> Result<(), JsonError> {
        let (payload_type, payload) = self.envelope(spec)?;
        let mut content = spec.object("content")?;
        let mut envelope = content.object("envelope")?;
        if envelope.text("payloadType")? != payload_type {
            return Err(envelope.error("payloadType", "another type"));
        }
        // Rekor keeps it apart; where it is there, it is the payload in base64 twice.
        if let Some(text) = envelope.optional_text("payload")?
            && base64(text).and_then(|inner| base64(std::str::from_utf8(&inner).ok()?)).as_deref()
                != Some(payload)
        {
            return Err(envelope.error("payload", "another payload"));
        }
        let mut signature = only(&mut envelope)?;
        let inner = signature.bytes("sig")?;
        let bytes = std::str::from_utf8(&inner).ok().and_then(base64);
        if !bytes.is_some_and(|bytes| self.same_signature(&bytes)) {
            return Err(signature.error("sig", "another signature"));
        }
        if !self.verifier.is_pem(&signature.bytes("publicKey")?) {
            return Err(signature.error("publicKey", "another signer"));
        }
        signature.optional_text("keyid")?;
        signature.end(false)?;
        envelope.end(false)?;
        let mut hash = content.object("hash")?;
        hex_digest(&mut hash)?;
        hash.end(false)?;
        payload_digest(&mut content, hex_digest, payload)?;
        content.end(false)
    }
}

/// `payloadHash`, in the form of that version: it has to be the payload's.
fn payload_digest(
    fields: &mut Fields<'_>,
    read: fn(&mut Fields<'_>) -> Result<Digest, JsonError>,
    payload: &[u8],
) -> Result<(), JsonError> {
    let mut hash = fields.object("payloadHash")?;
    let digest = read(&mut hash)?;
    hash.end(false)?;
    if Digest::of(digest.algorithm(), payload) == digest {
        Ok(())
    } else {
        Err(fields.error("payloadHash", "another payload's"))
    }
}

/// The one signature of `signatures`.
fn only<'a>(fields: &mut Fields<'a>) -> Result<Fields<'a>, JsonError> {
    let mut signatures = fields.objects("signatures", 16)?;
    match (signatures.pop(), signatures.is_empty()) {
        (Some(signature), true) => Ok(signature),
        _ => Err(fields.error("signatures", "not exactly one")),
    }
}

fn details_fit(key: &PublicKey, details: &str) -> bool {
    // A P-256 key may sign with SHA-384, as a P-384 key may with SHA-256; RSA may be padded by PSS.
    key_details(key).contains(&details)
        || (key.algorithm_name() == "rsa" && details.starts_with("PKIX_RSA_PSS_"))
}

/// `{"algorithm": "sha256", "value": "<hex>"}` of Rekor v1.
fn hex_digest(fields: &mut Fields<'_>) -> Result<Digest, JsonError> {
    let algorithm = Algorithm::from_name(fields.text("algorithm")?)
        .ok_or_else(|| fields.error("algorithm", "not known"))?;
    let value = fields.text("value")?;
    Digest::from_hex(algorithm, value).ok_or_else(|| fields.error("value", "not such a digest"))
}

/// `{"algorithm": "SHA2_256", "digest": "<base64>"}` of Rekor v2.
fn protobuf_digest(fields: &mut Fields<'_>) -> Result<Digest, JsonError> {
    let algorithm = match fields.text("algorithm")? {
        "SHA2_256" => Algorithm::Sha256,
        "SHA2_384" => Algorithm::Sha384,
        "SHA2_512" => Algorithm::Sha512,
        _ => return Err(fields.error("algorithm", "not known")),
    };
    let bytes = fields.bytes("digest")?;
    Digest::new(algorithm, bytes).ok_or_else(|| fields.error("digest", "not such a digest"))
}
