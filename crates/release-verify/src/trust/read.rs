//! Reads trusted roots (`TrustedRoot` of the Sigstore protobuf specs, as JSON), strictly.

use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use sigstore_verify::crypto::KeyAlgorithm;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::{Authority, AuthorityCertificate, Log, TRUST_LIMIT_BYTES, TrustRoot, Window};
use crate::json::{Fields, JsonError, parse};
use crate::sigstore::key::PublicKey;
use crate::{Algorithm, Digest, Origin};

/// The media types of a trusted root, in both spellings.
const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
];

/// How many logs or authorities of a kind a root may name.
const LIMIT: usize = 64;

/// A root of trust that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Longer than [`TRUST_LIMIT_BYTES`].
    #[error("{origin}: more than {TRUST_LIMIT_BYTES} bytes")]
    TooLong {
        /// The file.
        origin: Origin,
    },
    /// Not a trusted root.
    #[error("{origin}: {problem}")]
    Format {
        /// The file, and which document of it.
        origin: Origin,
        /// Which field, and what is wrong with it.
        problem: String,
    },
}

/// The documents of a file: itself, or its lines when the first one is a document of its own.
pub(super) fn documents<'a>(
    content: &'a [u8],
    origin: &Origin,
) -> Result<Vec<&'a [u8]>, TrustError> {
    if content.len() > TRUST_LIMIT_BYTES {
        return Err(TrustError::TooLong { origin: origin.clone() });
    }
    Ok(crate::json::documents(content))
}

/// Reads one root.
pub(super) fn root(document: &[u8], lenient: bool) -> Result<TrustRoot, String> {
    read(document, lenient).map_err(|error| error.to_string())
}

fn read(document: &[u8], lenient: bool) -> Result<TrustRoot, JsonError> {
    let json = parse(document)?;
    let mut fields = Fields::of(&json, "")?;
    let media_type = fields.text("mediaType")?;
    if !MEDIA_TYPES.contains(&media_type) {
        return Err(fields.error("mediaType", format!("unknown: `{}`", media_type.escape_debug())));
    }
    let logs = logs(&mut fields, "tlogs", lenient)?;
    let authorities = authorities(&mut fields, "certificateAuthorities", lenient)?;
    let ct_logs = self::logs(&mut fields, "ctlogs", lenient)?;
    let timestampers = self::authorities(&mut fields, "timestampAuthorities", lenient)?;
    fields.end(lenient)?;
    if authorities.is_empty() && logs.is_empty() && timestampers.is_empty() {
        return Err(JsonError::new("", "names nobody to trust"));
    }
    Ok(TrustRoot {
        name: String::new(),
        date: None,
        source: crate::RootSource::Given,
        logs,
        ct_logs,
        authorities,
        timestampers,
    })
}

fn logs(fields: &mut Fields<'_>, name: &'static str, lenient: bool) -> Result<Vec<Log>, JsonError> {
    let mut logs: Vec<Log> = Vec::new();
    for mut entry in fields.objects(name, LIMIT)? {
        let base_url = entry.text("baseUrl")?;
        if entry.text("hashAlgorithm")? != "SHA2_256" {
            return Err(entry.error("hashAlgorithm", "only SHA2_256 is known"));
        }
        let mut public_key = entry.object("publicKey")?;
        let key = key(&mut public_key)?;
        let window = window(&mut public_key)?;
        public_key.end(lenient)?;
        let mut log_id = entry.object("logId")?;
        let id: [u8; 32] =
            log_id.bytes("keyId")?.try_into().map_err(|_| log_id.error("keyId", "not 32 bytes"))?;
        let origin =
            origin_of(&key, base_url, &id).map_err(|problem| log_id.error("keyId", problem))?;
        log_id.end(lenient)?;
        // Written as null or as the same id by some tools; not needed.
        entry.optional("checkpointKeyId");
        entry.optional("operator");
        entry.end(lenient)?;
        // A root merged from two may name a log twice; once is enough, but the two must agree.
        if let Some(same) = logs.iter().find(|log| log.id == id) {
            if same.key != key || same.window != window {
                return Err(entry_twice(name));
            }
            continue;
        }
        logs.push(Log { name: base_url.to_owned(), id, key, origin, window });
    }
    Ok(logs)
}

fn entry_twice(name: &str) -> JsonError {
    JsonError::new(name, "names a log twice, with different keys or times")
}

/// A log's id is the SHA-256 of its key, or (Rekor v2) of its name and key as in the key ids of
/// signed notes (C2SP signed-note, "Signatures"). Gives that name.
fn origin_of(key: &PublicKey, base_url: &str, id: &[u8; 32]) -> Result<Option<String>, String> {
    /// The note signature type of Ed25519.
    const ED25519_NOTE: u8 = 1;
    if key.id().as_bytes() == id {
        return Ok(None);
    }
    let address = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    let name = address.trim_end_matches('/');
    if key.algorithm() == KeyAlgorithm::Ed25519 {
        let named = [name.as_bytes(), b"\n", &[ED25519_NOTE], key.raw()].concat();
        if Digest::of(Algorithm::Sha256, &named).as_bytes() == id {
            return Ok(Some(name.to_owned()));
        }
    }
    Err("not the id of this key".to_owned())
}

fn key(fields: &mut Fields<'_>) -> Result<PublicKey, JsonError> {
    let bytes = fields.bytes("rawBytes")?;
    let details = fields.text("keyDetails")?;
    let key = if details == "PKCS1_RSA_PKCS1V5" {
        PublicKey::from_pkcs1(&bytes)
    } else {
        PublicKey::from_spki(&bytes)
    };
    let key = key.ok_or_else(|| fields.error("rawBytes", "not a key of a kind that is known"))?;
    if key_details(&key).contains(&details) {
        Ok(key)
    } else {
        Err(fields.error(
            "keyDetails",
            format!(
                "`{}` does not describe the key, which is {}",
                details.escape_debug(),
                key.algorithm_name()
            ),
        ))
    }
}

/// The names in `PublicKeyDetails` that fit a key.
pub(crate) fn key_details(key: &PublicKey) -> &'static [&'static str] {
    match key.algorithm() {
        KeyAlgorithm::EcdsaP256 => &["PKIX_ECDSA_P256_SHA_256"],
        KeyAlgorithm::EcdsaP384 => &["PKIX_ECDSA_P384_SHA_384"],
        KeyAlgorithm::Ed25519 => &["PKIX_ED25519"],
        KeyAlgorithm::Rsa => match key.spki().len() {
            // The encoding's length tells the modulus': 2048, 3072, 4096 bits.
            ..400 => &["PKIX_RSA_PKCS1V15_2048_SHA256", "PKIX_RSA_PKCS1V5", "PKCS1_RSA_PKCS1V5"],
            400..500 => &["PKIX_RSA_PKCS1V15_3072_SHA256", "PKIX_RSA_PKCS1V5", "PKCS1_RSA_PKCS1V5"],
            _ => &["PKIX_RSA_PKCS1V15_4096_SHA256", "PKIX_RSA_PKCS1V5", "PKCS1_RSA_PKCS1V5"],
        },
        KeyAlgorithm::MlDsa44 => &["ML_DSA_44"],
        KeyAlgorithm::MlDsa65 => &["ML_DSA_65"],
        KeyAlgorithm::MlDsa87 => &["ML_DSA_87"],
        _ => &[],
    }
}

fn authorities(
    fields: &mut Fields<'_>,
    name: &'static str,
    lenient: bool,
) -> Result<Vec<Authority>, JsonError> {
    let mut authorities: Vec<Authority> = Vec::new();
    for mut entry in fields.objects(name, LIMIT)? {
        // For display only: the certificates say who it is.
        if let Some(mut subject) = entry.optional_object("subject")? {
            subject.optional_text("organization")?;
            subject.optional_text("commonName")?;
            subject.end(lenient)?;
        }
        let uri = entry.optional_text("uri")?.unwrap_or_default().to_owned();
        let mut cert_chain = entry.object("certChain")?;
        let mut chain: Vec<AuthorityCertificate> = Vec::new();
        for mut certificate in cert_chain.objects("certificates", 10)? {
            let der = certificate.bytes("rawBytes")?;
            if chain.iter().any(|other| other.der.as_ref() == der) {
                return Err(certificate.error("rawBytes", "occurs twice"));
            }
            chain.push(
                authority_certificate(der).map_err(|error| certificate.error("rawBytes", error))?,
            );
            certificate.end(lenient)?;
        }
        if chain.is_empty() {
            return Err(cert_chain.error("certificates", "empty"));
        }
        cert_chain.end(lenient)?;
        let window = window(&mut entry)?;
        entry.optional("operator");
        entry.end(lenient)?;
        // A root merged from two may name an authority twice.
        let same = |other: &Authority| {
            other.window == window
                && other.chain.iter().map(|cert| &cert.der).eq(chain.iter().map(|cert| &cert.der))
        };
        if !authorities.iter().any(same) {
            authorities.push(Authority::new(uri, chain, window));
        }
    }
    Ok(authorities)
}

fn authority_certificate(der: Vec<u8>) -> Result<AuthorityCertificate, String> {
    let parsed = Certificate::from_der(&der).map_err(|_| "not a certificate".to_owned())?;
    let validity = parsed.tbs_certificate.validity;
    let der = CertificateDer::from(der);
    let anchor = webpki::anchor_from_trusted_cert(&der)
        .map_err(|error| format!("a certificate that cannot be trusted: {error}"))?
        .to_owned();
    let window = Window {
        start: validity.not_before.to_system_time(),
        end: Some(validity.not_after.to_system_time()),
    };
    Ok(AuthorityCertificate { der, anchor, window })
}

/// `validFor`, which must be there with a start: without it an authority would be good for ever,
/// also for the time before it existed.
fn window(fields: &mut Fields<'_>) -> Result<Window, JsonError> {
    let mut valid_for = fields.object("validFor")?;
    let start =
        time(&mut valid_for, "start")?.ok_or_else(|| valid_for.error("start", "missing"))?;
    let end = time(&mut valid_for, "end")?;
    if end.is_some_and(|end| end < start) {
        return Err(valid_for.error("end", "before the start"));
    }
    valid_for.end(false)?;
    Ok(Window { start, end })
}

/// A time of RFC 3339 in UTC, from 1970 on.
fn time(fields: &mut Fields<'_>, name: &'static str) -> Result<Option<SystemTime>, JsonError> {
    fields
        .optional_text(name)?
        .map(|text| {
            humantime::parse_rfc3339(text)
                .ok()
                .filter(|time| *time >= SystemTime::UNIX_EPOCH + Duration::ZERO)
                .ok_or_else(|| fields.error(name, "not a time of RFC 3339 in UTC"))
        })
        .transpose()
}
