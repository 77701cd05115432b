//! Sigstore bundles as they stand in files: read strictly, before anything is believed.
//!
//! A bundle is what the protobuf specs call `Bundle`, in JSON. The media type is required and
//! binds the rest: version 0.1 needs an inclusion promise in each log entry, 0.2 and 0.3 a proof;
//! 0.1 and 0.2 hold a certificate chain, 0.3 a single certificate; any may hold a key's hint.

use crate::json::{Fields, Json, JsonError, documents, parse};
use crate::{Algorithm, CertificateIdentity, Digest, Finding, Origin};

/// How long a bundle may be: attestations of an SBOM hold it whole.
pub const BUNDLE_LIMIT_BYTES: usize = 32 * 1024 * 1024;

/// How many bundles one file of JSON lines may hold.
const LINES: usize = 4096;

/// How many log entries, timestamps, certificates one bundle may hold.
pub(super) const PARTS: usize = 16;

/// How long a certificate or a timestamp may be; real ones have 1 to 8 KiB. Readers of DER take time
/// by the square of how many parts a set or a certificate has, and they read before anything is
/// known to be signed.
pub(super) const DER_LIMIT_BYTES: usize = 16 * 1024;

/// A bundle that was read, and not verified.
#[derive(Clone, Debug)]
pub struct Bundle {
    pub(crate) origin: Origin,
    pub(crate) media_type: String,
    pub(crate) material: Material,
    pub(crate) entries: Vec<LogEntry>,
    pub(crate) timestamps: Vec<Vec<u8>>,
    pub(crate) content: SignedContent,
}

/// A bundle that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {problem}")]
#[non_exhaustive]
pub struct BundleError {
    /// The file, and which line of it.
    pub origin: Origin,
    /// Which field, and what is wrong with it.
    pub problem: String,
}

impl BundleError {
    /// This error as a finding.
    pub fn finding(&self) -> Finding {
        Finding::failed("bundle/format", format!("the bundle cannot be read: {}", self.problem))
            .at(&self.origin)
    }
}

/// How strictly a bundle is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leniency {
    /// Fields that are not known are passed over. What they say is not verified.
    pub unknown_fields: bool,
}

/// Who is said to have signed.
#[derive(Clone, Debug)]
pub(crate) enum Material {
    /// A certificate, and those between it and its authority.
    Certificates { leaf: Vec<u8>, intermediates: Vec<Vec<u8>> },
    /// A key that the verifier must have; the hint may say which.
    Key { hint: String },
}

/// What was signed, and the signature.
#[derive(Clone, Debug)]
pub(crate) enum SignedContent {
    /// The artifact.
    Message { digest: Option<Digest>, signature: Vec<u8> },
    /// A document, in a DSSE envelope.
    Envelope { payload_type: String, payload: Vec<u8>, signature: Vec<u8> },
}

impl SignedContent {
    pub(crate) fn signature(&self) -> &[u8] {
        match self {
            Self::Message { signature, .. } | Self::Envelope { signature, .. } => signature,
        }
    }
}

/// An entry of a transparency log.
#[derive(Clone, Debug)]
pub(crate) struct LogEntry {
    pub(crate) index: u64,
    pub(crate) log_id: Vec<u8>,
    pub(crate) kind: EntryKind,
    /// Seconds since 1970; vouched for only by a promise.
    pub(crate) integrated_time: Option<u64>,
    pub(crate) promise: Option<Vec<u8>>,
    pub(crate) proof: Option<Proof>,
    pub(crate) body: Vec<u8>,
}

/// The kinds of entries whose bodies are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    HashedRekord1,
    HashedRekord2,
    Dsse1,
    Dsse2,
    Intoto1,
    Intoto2,
}

impl EntryKind {
    pub(crate) fn from_name(kind: &str, version: &str) -> Option<Self> {
        Some(match (kind, version) {
            ("hashedrekord", "0.0.1") => Self::HashedRekord1,
            ("hashedrekord", "0.0.2") => Self::HashedRekord2,
            ("dsse", "0.0.1") => Self::Dsse1,
            ("dsse", "0.0.2") => Self::Dsse2,
            ("intoto", "0.0.1") => Self::Intoto1,
            ("intoto", "0.0.2") => Self::Intoto2,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HashedRekord1 | Self::HashedRekord2 => "hashedrekord",
            Self::Dsse1 | Self::Dsse2 => "dsse",
            Self::Intoto1 | Self::Intoto2 => "intoto",
        }
    }

    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::HashedRekord1 | Self::Dsse1 | Self::Intoto1 => "0.0.1",
            Self::HashedRekord2 | Self::Dsse2 | Self::Intoto2 => "0.0.2",
        }
    }

    /// Whether it is of a Rekor v2 log: those prove inclusion, and never promise it or tell time.
    pub(crate) fn is_rekor2(self) -> bool {
        matches!(self, Self::HashedRekord2 | Self::Dsse2)
    }
}

/// That an entry is in a log's tree.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    pub(crate) index: u64,
    pub(crate) root: [u8; 32],
    pub(crate) size: u64,
    pub(crate) hashes: Vec<[u8; 32]>,
    pub(crate) checkpoint: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    V01,
    V02,
    V03,
}

impl Bundle {
    /// Reads one bundle.
    ///
    /// # Errors
    /// When the text is no bundle of a known version, whole and unambiguous.
    pub fn read(content: &[u8], origin: &Origin, leniency: Leniency) -> Result<Self, BundleError> {
        let error = |problem| BundleError { origin: origin.clone(), problem };
        if content.len() > BUNDLE_LIMIT_BYTES {
            return Err(error(format!("more than {BUNDLE_LIMIT_BYTES} bytes")));
        }
        let json = parse(content).map_err(|problem| error(problem.to_string()))?;
        read(&json, origin, leniency).map_err(|problem| error(problem.to_string()))
    }

    /// Reads a file that holds one bundle, or one in each line (JSON lines). Each line stands for
    /// itself: one that is damaged does not hide the others.
    pub fn read_all(
        content: &[u8],
        origin: &Origin,
        leniency: Leniency,
    ) -> Vec<Result<Self, BundleError>> {
        let lines = documents(content);
        if lines.len() > LINES {
            let problem = format!("more than {LINES} lines");
            return vec![Err(BundleError { origin: origin.clone(), problem })];
        }
        let several = lines.len() > 1;
        lines
            .into_iter()
            .enumerate()
            .map(|(index, line)| {
                let part = several.then_some(index + 1);
                Self::read(line, &Origin { name: origin.name.clone(), part }, leniency)
            })
            .collect()
    }

    /// Where it was read.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Its media type as written.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The payload of its envelope and the payload's type, not verified; `None` when the artifact
    /// itself is what was signed.
    pub fn payload(&self) -> Option<(&str, &[u8])> {
        match &self.content {
            SignedContent::Envelope { payload_type, payload, .. } => Some((payload_type, payload)),
            SignedContent::Message { .. } => None,
        }
    }

    /// The digest that the bundle gives for the artifact, not verified: for finding the artifact
    /// that belongs to a bundle.
    pub fn claimed_digest(&self) -> Option<&Digest> {
        match &self.content {
            SignedContent::Message { digest, .. } => digest.as_ref(),
            SignedContent::Envelope { .. } => None,
        }
    }

    /// The leaf certificate in DER, not verified; `None` for a bundle signed with a key.
    pub fn certificate(&self) -> Option<&[u8]> {
        match &self.material {
            Material::Certificates { leaf, .. } => Some(leaf),
            Material::Key { .. } => None,
        }
    }

    /// Whom the certificate names, not verified: for display only, with a word that says so. `None`
    /// for a bundle signed with a key.
    ///
    /// # Errors
    /// Why the certificate cannot be read.
    pub fn claimed_identity(&self) -> Option<Result<CertificateIdentity, String>> {
        let leaf = super::certificate::Leaf::read(self.certificate()?);
        Some(leaf.map(|leaf| leaf.identity))
    }

    /// The hint as to which key signed, not verified; `None` for a bundle with a certificate.
    pub fn key_hint(&self) -> Option<&str> {
        match &self.material {
            Material::Key { hint } => Some(hint),
            Material::Certificates { .. } => None,
        }
    }

    /// For each log entry its kind, version, index, and time in seconds since 1970; not verified.
    pub fn log_entries(
        &self,
    ) -> impl Iterator<Item = (&'static str, &'static str, u64, Option<u64>)> {
        self.entries.iter().map(|entry| {
            (entry.kind.name(), entry.kind.version(), entry.index, entry.integrated_time)
        })
    }

    /// How many timestamps it holds.
    pub fn timestamps(&self) -> usize {
        self.timestamps.len()
    }

    /// The digests of the artifact that verification needs, besides SHA-256.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let SignedContent::Message { digest, .. } = &self.content else { return Vec::new() };
        let mut algorithms: Vec<_> = digest.iter().map(Digest::algorithm).collect();
        if let Some(leaf) = self.certificate()
            && let Ok(leaf) = super::certificate::Leaf::read(leaf)
        {
            algorithms.extend(leaf.key.usual_hash());
        }
        algorithms.sort_unstable();
        algorithms.dedup();
        algorithms
    }
}

fn read(json: &Json, origin: &Origin, leniency: Leniency) -> Result<Bundle, JsonError> {
    let lenient = leniency.unknown_fields;
    let mut fields = Fields::of(json, "")?;
    let media_type = fields.text("mediaType")?;
    let version = match media_type {
        "application/vnd.dev.sigstore.bundle+json;version=0.1" => Version::V01,
        "application/vnd.dev.sigstore.bundle+json;version=0.2" => Version::V02,
        "application/vnd.dev.sigstore.bundle+json;version=0.3"
        | "application/vnd.dev.sigstore.bundle.v0.3+json" => Version::V03,
        other => {
            return Err(fields.error("mediaType", format!("unknown: `{}`", other.escape_debug())));
        }
    };
    let mut material = fields.object("verificationMaterial")?;
    let who = read_material(&mut material, version, lenient)?;
    let entries = material
        .objects("tlogEntries", PARTS)?
        .into_iter()
        .map(|entry| read_entry(entry, version, lenient))
        .collect::<Result<Vec<_>, _>>()?;
    let mut timestamps = Vec::new();
    if let Some(mut data) = material.optional_object("timestampVerificationData")? {
        for mut timestamp in data.objects("rfc3161Timestamps", PARTS)? {
            timestamps.push(der(&mut timestamp, "signedTimestamp")?);
            timestamp.end(lenient)?;
        }
        data.end(lenient)?;
    }
    material.end(lenient)?;
    let message = fields.optional_object("messageSignature")?;
    let envelope = fields.optional_object("dsseEnvelope")?;
    let content = match (message, envelope) {
        (Some(message), None) => read_message(message, lenient)?,
        (None, Some(envelope)) => {
            let name = match &who {
                Material::Certificates { .. } => "",
                Material::Key { hint } => hint,
            };
            read_envelope(envelope, Some(name), lenient)?
        }
        (None, None) => {
            return Err(JsonError::new("", "neither `messageSignature` nor `dsseEnvelope`"));
        }
        (Some(_), Some(_)) => {
            return Err(JsonError::new("", "both `messageSignature` and `dsseEnvelope`"));
        }
    };
    fields.end(lenient)?;
    Ok(Bundle {
        origin: origin.clone(),
        media_type: media_type.to_owned(),
        material: who,
        entries,
        timestamps,
        content,
    })
}

/// A certificate or a timestamp.
pub(super) fn der(fields: &mut Fields<'_>, name: &'static str) -> Result<Vec<u8>, JsonError> {
    let bytes = fields.bytes(name)?;
    if bytes.len() > DER_LIMIT_BYTES {
        return Err(fields.error(name, format!("more than {DER_LIMIT_BYTES} bytes")));
    }
    Ok(bytes)
}

fn read_material(
    material: &mut Fields<'_>,
    version: Version,
    lenient: bool,
) -> Result<Material, JsonError> {
    let chain = material.optional_object("x509CertificateChain")?;
    let single = material.optional_object("certificate")?;
    let key = material.optional_object("publicKey")?;
    match (chain, single, key) {
        (Some(mut chain), None, None) if version < Version::V03 => {
            let mut certificates = Vec::new();
            for mut certificate in chain.objects("certificates", PARTS)? {
                certificates.push(der(&mut certificate, "rawBytes")?);
                certificate.end(lenient)?;
            }
            if certificates.is_empty() {
                return Err(chain.error("certificates", "empty"));
            }
            chain.end(lenient)?;
            for (index, certificate) in certificates.iter().enumerate() {
                if certificates[..index].contains(certificate) {
                    return Err(
                        material.error("x509CertificateChain", "a certificate occurs twice")
                    );
                }
            }
            let leaf = certificates.remove(0);
            if version == Version::V01 {
                // Before the rule that a bundle brings no root, npm's did. Nothing is built on it:
                // roots come from the roots of trust.
                certificates.retain(|der| !super::certificate::is_self_issued(der));
            }
            Ok(Material::Certificates { leaf, intermediates: certificates })
        }
        (None, Some(mut single), None) if version == Version::V03 => {
            let leaf = der(&mut single, "rawBytes")?;
            single.end(lenient)?;
            Ok(Material::Certificates { leaf, intermediates: Vec::new() })
        }
        (None, None, Some(mut key)) => {
            let hint = key.optional_text("hint")?.unwrap_or_default().to_owned();
            key.end(lenient)?;
            Ok(Material::Key { hint })
        }
        (None, None, None) => Err(material.error("certificate", "neither a certificate nor a key")),
        (Some(_), None, None) => {
            Err(material.error("x509CertificateChain", "a chain has no place in version 0.3"))
        }
        (None, Some(_), None) => {
            Err(material.error("certificate", "versions before 0.3 hold a chain"))
        }
        _ => Err(material.error("certificate", "more than one certificate or key")),
    }
}

fn read_entry(
    mut fields: Fields<'_>,
    version: Version,
    lenient: bool,
) -> Result<LogEntry, JsonError> {
    let index = fields.integer("logIndex")?.unwrap_or(0);
    let mut log_id = fields.object("logId")?;
    let id = log_id.bytes("keyId")?;
    log_id.end(lenient)?;
    let mut kind_version = fields.object("kindVersion")?;
    let (kind, number) = (kind_version.text("kind")?, kind_version.text("version")?);
    let kind = EntryKind::from_name(kind, number).ok_or_else(|| {
        let name = format!("{kind} {number}");
        fields.error("kindVersion", format!("unknown: `{}`", name.escape_debug()))
    })?;
    kind_version.end(lenient)?;
    // Zero is how Protocol Buffers write "absent".
    let integrated_time = fields.integer("integratedTime")?.filter(|seconds| *seconds != 0);
    let promise = match fields.optional_object("inclusionPromise")? {
        Some(mut promise) => {
            let bytes = promise.bytes("signedEntryTimestamp")?;
            promise.end(lenient)?;
            Some(bytes)
        }
        None => None,
    };
    let proof = fields
        .optional_object("inclusionProof")?
        .map(|proof| read_proof(proof, lenient))
        .transpose()?;
    let body = fields.bytes("canonicalizedBody")?;
    if version == Version::V01 && promise.is_none() {
        return Err(fields.error("inclusionPromise", "missing; version 0.1 needs it"));
    }
    if version > Version::V01 && proof.is_none() {
        return Err(fields.error("inclusionProof", "missing; versions from 0.2 need it"));
    }
    if kind.is_rekor2() && (promise.is_some() || integrated_time.is_some()) {
        return Err(
            fields.error("inclusionPromise", "logs of Rekor v2 neither promise nor tell time")
        );
    }
    fields.end(lenient)?;
    Ok(LogEntry { index, log_id: id, kind, integrated_time, promise, proof, body })
}

fn read_proof(mut fields: Fields<'_>, lenient: bool) -> Result<Proof, JsonError> {
    /// A tree of 2^63 entries is as high.
    const HEIGHT: usize = 63;
    let hash = |fields: &Fields<'_>, name: &str, bytes: Vec<u8>| {
        <[u8; 32]>::try_from(bytes).map_err(|_| fields.error(name, "not 32 bytes"))
    };
    let index = fields.integer("logIndex")?.unwrap_or(0);
    let root = fields.bytes("rootHash")?;
    let root = hash(&fields, "rootHash", root)?;
    let size = fields.integer("treeSize")?.ok_or_else(|| fields.error("treeSize", "missing"))?;
    let hashes = fields
        .list("hashes", HEIGHT)?
        .iter()
        .map(|value| {
            let bytes = value.as_str().and_then(crate::json::base64);
            hash(&fields, "hashes", bytes.unwrap_or_default())
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut checkpoint = fields.object("checkpoint")?;
    let envelope = checkpoint.text("envelope")?.to_owned();
    checkpoint.end(lenient)?;
    fields.end(lenient)?;
    Ok(Proof { index, root, size, hashes, checkpoint: envelope })
}

fn read_message(mut fields: Fields<'_>, lenient: bool) -> Result<SignedContent, JsonError> {
    let mut message_digest = fields.object("messageDigest")?;
    let algorithm = match message_digest.text("algorithm")? {
        "SHA2_256" => Algorithm::Sha256,
        "SHA2_384" => Algorithm::Sha384,
        "SHA2_512" => Algorithm::Sha512,
        other => {
            let problem = format!("unknown: `{}`", other.escape_debug());
            return Err(message_digest.error("algorithm", problem));
        }
    };
    let bytes = message_digest.bytes("digest")?;
    let digest = Digest::new(algorithm, bytes)
        .ok_or_else(|| message_digest.error("digest", "not as long as the algorithm's"))?;
    message_digest.end(lenient)?;
    let signature = fields.bytes("signature")?;
    fields.end(lenient)?;
    Ok(SignedContent::Message { digest: Some(digest), signature })
}

/// Reads a DSSE envelope. The signature's key id is not signed, and not used; where `name` is
/// given, it has to be empty or that.
pub(super) fn read_envelope(
    mut fields: Fields<'_>,
    name: Option<&str>,
    lenient: bool,
) -> Result<SignedContent, JsonError> {
    let payload = fields.bytes("payload")?;
    let payload_type = fields.text("payloadType")?.to_owned();
    let mut signatures = fields.objects("signatures", PARTS)?;
    let [signature] = signatures.as_mut_slice() else {
        return Err(fields.error("signatures", "not exactly one"));
    };
    let bytes = signature.bytes("sig")?;
    let key_id = signature.optional_text("keyid")?.unwrap_or_default();
    if !key_id.is_empty() && name.is_some_and(|name| name != key_id) {
        return Err(signature.error("keyid", "not the signer's"));
    }
    signatures.remove(0).end(lenient)?;
    fields.end(lenient)?;
    Ok(SignedContent::Envelope { payload_type, payload, signature: bytes })
}
