//! Signing certificates: what they say, and whether a trusted authority issued them.
//!
//! Profile: Fulcio's certificate specification and its list of extensions (`oid-info.md`).

use std::time::SystemTime;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ECDSA_WITH_SHA_512, ID_KP_CODE_SIGNING,
    SHA_256_WITH_RSA_ENCRYPTION, SHA_384_WITH_RSA_ENCRYPTION, SHA_512_WITH_RSA_ENCRYPTION,
};
use const_oid::db::rfc8410::ID_ED_25519;
use rustls_pki_types::{CertificateDer, UnixTime};
use sigstore_verify::crypto::WEBPKI_VERIFICATION_ALGS;
use webpki::{EndEntityCert, KeyUsage as Usage};
use x509_cert::Certificate;
use x509_cert::der::asn1::Utf8StringRef;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{KeyUsage, SubjectAltName};

use super::key::{PublicKey, tlv};
use crate::trust::{TrustRoot, Window};
use crate::{Algorithm, CertificateIdentity, SubjectName};

/// The arc of Fulcio's extensions.
const FULCIO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1");

/// The issuer, raw (1) and as `UTF8String` (8); the name of a user in `OtherName` (7).
const ISSUER_RAW: u32 = 1;
const USERNAME: u32 = 7;
const ISSUER: u32 = 8;

/// A leaf certificate, read.
pub(crate) struct Leaf {
    pub(crate) der: Vec<u8>,
    pub(crate) parsed: Certificate,
    pub(crate) key: PublicKey,
    pub(crate) window: Window,
    pub(crate) identity: CertificateIdentity,
}

impl Leaf {
    /// Reads a signing certificate.
    ///
    /// What it says of its holder must be readable whole: a malformed claim, or two of a kind, is
    /// an error, not an absent claim.
    pub(crate) fn read(der: &[u8]) -> Result<Self, String> {
        let parsed =
            Certificate::from_der(der).map_err(|error| format!("not a certificate: {error}"))?;
        let tbs = &parsed.tbs_certificate;
        let spki = tbs
            .subject_public_key_info
            .to_der()
            .map_err(|error| format!("its key cannot be read: {error}"))?;
        let key = PublicKey::from_spki(&spki)
            .ok_or("its key is of a kind that is not known".to_owned())?;
        let window = Window {
            start: tbs.validity.not_before.to_system_time(),
            end: Some(tbs.validity.not_after.to_system_time()),
        };
        let extensions = tbs.extensions.as_deref().unwrap_or_default();
        for (index, extension) in extensions.iter().enumerate() {
            if extensions[..index].iter().any(|other| other.extn_id == extension.extn_id) {
                return Err(format!("the extension {} occurs twice", extension.extn_id));
            }
        }
        let usage = tbs
            .get::<KeyUsage>()
            .map_err(|error| format!("its key usage cannot be read: {error}"))?;
        if !usage.is_some_and(|(_, usage)| usage.digital_signature()) {
            return Err("its key may not sign (key usage)".to_owned());
        }
        let identity = identity(&parsed)?;
        Ok(Self { der: der.to_vec(), parsed, key, window, identity })
    }
}

fn identity(certificate: &Certificate) -> Result<CertificateIdentity, String> {
    let names = subject_names(certificate)?;
    let mut claims = Vec::new();
    let (mut raw, mut issuer) = (None, None);
    for extension in certificate.tbs_certificate.extensions.as_deref().unwrap_or_default() {
        let Some(arc) = fulcio_arc(extension.extn_id) else { continue };
        let value = extension.extn_value.as_bytes();
        let malformed = || format!("its claim {FULCIO}.{arc} is malformed");
        let text = match arc {
            1..=6 => std::str::from_utf8(value).map_err(|_| malformed())?,
            8..=24 => Utf8StringRef::from_der(value).map_err(|_| malformed())?.as_str(),
            // Later additions: kept when they are text, for display.
            _ => match Utf8StringRef::from_der(value) {
                Ok(text) => text.as_str(),
                Err(_) => continue,
            },
        };
        match arc {
            ISSUER_RAW => raw = Some(text.to_owned()),
            ISSUER => issuer = Some(text.to_owned()),
            _ => claims.push((arc, text.to_owned())),
        }
    }
    if let (Some(raw), Some(issuer)) = (&raw, &issuer)
        && raw != issuer
    {
        return Err("it names two issuers".to_owned());
    }
    Ok(CertificateIdentity::new(names, issuer.or(raw), claims))
}

fn fulcio_arc(oid: ObjectIdentifier) -> Option<u32> {
    let mut arcs = oid.arcs();
    for expected in FULCIO.arcs() {
        if arcs.next() != Some(expected) {
            return None;
        }
    }
    let last = arcs.next();
    if arcs.next().is_some() { None } else { last }
}

/// Every subject alternative name. A kind that cannot be a signer is an error: a policy must see
/// all names of whom it accepts.
fn subject_names(certificate: &Certificate) -> Result<Vec<SubjectName>, String> {
    let names = certificate
        .tbs_certificate
        .get::<SubjectAltName>()
        .map_err(|error| format!("its subject alternative names cannot be read: {error}"))?;
    let Some((_, names)) = names else {
        return Err("it has no subject alternative name".to_owned());
    };
    let names = names
        .0
        .iter()
        .map(|name| match name {
            GeneralName::Rfc822Name(email) => Ok(SubjectName::Email(email.to_string())),
            GeneralName::UniformResourceIdentifier(uri) => Ok(SubjectName::Uri(uri.to_string())),
            GeneralName::OtherName(other) if fulcio_arc(other.type_id) == Some(USERNAME) => other
                .value
                .decode_as::<Utf8StringRef<'_>>()
                .map(|text| SubjectName::Other(text.as_str().to_owned()))
                .map_err(|_| "its user name is malformed".to_owned()),
            _ => Err("it has a subject alternative name of a kind that is not known".to_owned()),
        })
        .collect::<Result<Vec<_>, _>>()?;
    if names.is_empty() {
        return Err("it has no subject alternative name".to_owned());
    }
    Ok(names)
}

/// Who issued a leaf: the key, for its certificate timestamps.
pub(crate) struct Issuer {
    /// The issuer's `SubjectPublicKeyInfo`.
    pub(crate) spki: Vec<u8>,
    /// For display.
    pub(crate) name: String,
}

/// Whether an authority of `root` issued the leaf, with everything between them, and all of it
/// was in use at `time`.
pub(crate) fn chain(
    leaf: &[u8],
    intermediates: &[Vec<u8>],
    root: &TrustRoot,
    time: SystemTime,
) -> Result<Issuer, String> {
    let seconds =
        time.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| "signed before 1970".to_owned())?;
    let leaf = CertificateDer::from(leaf);
    let leaf = EndEntityCert::try_from(&leaf).map_err(|error| path_problem(&error))?;
    let intermediates: Vec<_> =
        intermediates.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let mut why = None;
    for authority in &root.authorities {
        // An authority cannot lend its time to another: each is tried alone.
        for (index, certificate) in authority.chain.iter().enumerate() {
            let path = leaf.verify_for_usage(
                WEBPKI_VERIFICATION_ALGS,
                std::slice::from_ref(&certificate.anchor),
                &intermediates,
                UnixTime::since_unix_epoch(seconds),
                Usage::required(ID_KP_CODE_SIGNING.as_bytes()),
                None,
                None,
            );
            let path = match path {
                Ok(path) => path,
                Err(webpki::Error::UnknownIssuer) => continue,
                Err(error) => {
                    why = Some(path_problem(&error));
                    continue;
                }
            };
            if !authority.window.contains(time) {
                why = Some(format!(
                    "the authority was in use from {}, not at {}",
                    authority.window.words(),
                    humantime::format_rfc3339_seconds(time)
                ));
                continue;
            }
            // What lies above the certificate that issued the leaf is trusted as it stands, but
            // has its own time.
            if let Some(old) =
                authority.chain[index..].iter().find(|above| !above.window.contains(time))
            {
                why = Some(format!(
                    "a certificate of the authority was valid from {}",
                    old.window.words()
                ));
                continue;
            }
            if !authority.is_sound() {
                why = Some("the authority's own certificates are damaged".to_owned());
                continue;
            }
            let spki = match path.intermediate_certificates().next() {
                Some(issuer) => issuer.subject_public_key_info().as_ref().to_vec(),
                // An anchor holds the content of the sequence only.
                None => tlv(0x30, certificate.anchor.subject_public_key_info.as_ref())
                    .ok_or("the issuer's key is too long".to_owned())?,
            };
            return Ok(Issuer { spki, name: authority.name.clone() });
        }
    }
    Err(why.unwrap_or_else(|| UNKNOWN_ISSUER.to_owned()))
}

/// What is wrong with a path, in words: the library has none.
fn path_problem(error: &webpki::Error) -> String {
    use webpki::Error;
    let words = match error {
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
            "it is not for signing code"
        }
        Error::CertExpired { .. } => "it, or one above it, had expired",
        Error::CertNotValidYet { .. } => "it, or one above it, was not valid yet",
        Error::InvalidCertValidity => "its time ends before it begins",
        Error::InvalidSignatureForPublicKey => "the signature of its issuer is not good",
        Error::CaUsedAsEndEntity => "it is one of an authority",
        Error::EndEntityUsedAsCa => "one above it is not of an authority",
        Error::NameConstraintViolation => "its authority may not issue for this name",
        Error::PathLenConstraintViolated | Error::MaximumPathDepthExceeded => {
            "there are more certificates above it than are allowed"
        }
        Error::BadDer
        | Error::BadDerTime
        | Error::ExtensionValueInvalid
        | Error::InvalidSerialNumber
        | Error::MalformedExtensions
        | Error::TrailingData(_)
        | Error::UnsupportedCertVersion => "it, or one above it, is malformed",
        Error::UnsupportedCriticalExtension => {
            "it, or one above it, has a critical extension that nobody here knows"
        }
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | Error::SignatureAlgorithmMismatch => "it is signed in a way that is not accepted",
        _ => "no path to an authority can be checked",
    };
    words.to_owned()
}

/// The reason of [`chain`] when no authority of the root issued the certificate.
pub(crate) const UNKNOWN_ISSUER: &str = "no authority of this root issued it";

/// Whether a certificate names itself as its issuer: a root. False when it cannot be read.
pub(crate) fn is_self_issued(der: &[u8]) -> bool {
    Certificate::from_der(der)
        .is_ok_and(|cert| cert.tbs_certificate.issuer == cert.tbs_certificate.subject)
}

impl Leaf {
    /// Whether one of the certificates of `root` has the name of the leaf's issuer, or of one of
    /// the certificates between. Says nothing about signatures: only where to look.
    pub(crate) fn may_be_of(&self, root: &TrustRoot, intermediates: &[Vec<u8>]) -> bool {
        let issuer_of =
            |certificate: &Certificate| certificate.tbs_certificate.issuer.to_der().ok();
        let names: Vec<Vec<u8>> = intermediates
            .iter()
            .filter_map(|der| Certificate::from_der(der).ok())
            .filter_map(|certificate| issuer_of(&certificate))
            .chain(issuer_of(&self.parsed))
            .collect();
        root.authorities.iter().flat_map(|authority| &authority.chain).any(|certificate| {
            // An anchor holds the content of the name's sequence only.
            let subject = tlv(0x30, certificate.anchor.subject.as_ref());
            subject.is_some_and(|subject| names.contains(&subject))
        })
    }
}

/// Whether each certificate is signed by the next one, and the last by itself. One that stands
/// alone may be signed by anybody.
pub(crate) fn are_a_chain(ders: &[&[u8]]) -> bool {
    let Ok(certificates) =
        ders.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>()
    else {
        return false;
    };
    certificates.iter().enumerate().all(|(index, certificate)| {
        let tbs = &certificate.tbs_certificate;
        match certificates.get(index + 1) {
            Some(next) => {
                tbs.issuer == next.tbs_certificate.subject && is_signed(certificate, next)
            }
            // A certificate that stands alone may be trusted without its issuer.
            None if certificates.len() == 1 && tbs.issuer != tbs.subject => true,
            None => is_signed(certificate, certificate),
        }
    })
}

/// Whether `issuer`'s key signed `certificate`.
fn is_signed(certificate: &Certificate, issuer: &Certificate) -> bool {
    let hash = match certificate.signature_algorithm.oid {
        ECDSA_WITH_SHA_256 | SHA_256_WITH_RSA_ENCRYPTION => Algorithm::Sha256,
        ECDSA_WITH_SHA_384 | SHA_384_WITH_RSA_ENCRYPTION => Algorithm::Sha384,
        // Ed25519 signs the message; the hash is not looked at.
        ECDSA_WITH_SHA_512 | SHA_512_WITH_RSA_ENCRYPTION | ID_ED_25519 => Algorithm::Sha512,
        _ => return false,
    };
    let key = issuer.tbs_certificate.subject_public_key_info.to_der().ok();
    let key = key.as_deref().and_then(PublicKey::from_spki);
    let (Some(key), Ok(message)) = (key, certificate.tbs_certificate.to_der()) else {
        return false;
    };
    certificate
        .signature
        .as_bytes()
        .is_some_and(|signature| key.verifies_with(hash, &message, signature))
}
