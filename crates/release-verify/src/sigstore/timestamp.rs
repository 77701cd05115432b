//! Timestamps by third parties: that a signature existed at a time (RFC 3161, CMS of RFC 5652).
//!
//! The library's reader refuses times with fractions of a second, which are legal, and does not
//! look at the attribute that names the authority's certificate (RFC 5816), so this part is ours.

use std::time::{Duration, SystemTime};

use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::ID_KP_TIME_STAMPING;
use const_oid::db::rfc5911::{
    ID_AA_SIGNING_CERTIFICATE, ID_AA_SIGNING_CERTIFICATE_V_2, ID_CONTENT_TYPE, ID_MESSAGE_DIGEST,
    ID_SIGNED_DATA,
};
use const_oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ECDSA_WITH_SHA_512, ID_SHA_256, ID_SHA_384, ID_SHA_512,
};
use rustls_pki_types::UnixTime;
use sigstore_verify::crypto::WEBPKI_VERIFICATION_ALGS;
use webpki::{EndEntityCert, KeyUsage as Usage};
use x509_cert::Certificate;
use x509_cert::attr::Attribute;
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{Decode as _, Encode as _, Reader as _, SliceReader, Tag, Tagged as _};
use x509_cert::ext::pkix::SubjectKeyIdentifier;

use super::key::PublicKey;
use crate::trust::{Authority, TrustRoot};
use crate::{Algorithm, Digest};

/// What a timestamp token holds (RFC 3161, section 2.4.2).
const ID_CT_TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");

/// A timestamp that is good: when, and by which authority of the root.
#[derive(Debug)]
pub(crate) struct Timestamp {
    pub(crate) time: SystemTime,
    pub(crate) authority: usize,
}

/// Checks that a timestamp is of `signature`, made by an authority of `root` that was in use.
pub(crate) fn verify(
    token: &[u8],
    signature: &[u8],
    root: &TrustRoot,
    now: SystemTime,
) -> Result<Timestamp, String> {
    let token = Token::read(token)?;
    let imprint = Digest::of(token.info.imprint.algorithm(), signature);
    if imprint != token.info.imprint {
        return Err("it is of another signature".to_owned());
    }
    let time = token.info.time;
    if time > now {
        return Err(format!("its time, {}, has not come", humantime::format_rfc3339_seconds(time)));
    }
    let mut why = None;
    for (index, authority) in root.timestampers.iter().enumerate() {
        match token.signed_by(authority) {
            Ok(false) => {}
            Ok(true) => return Ok(Timestamp { time, authority: index }),
            Err(error) => why = Some(error),
        }
    }
    Err(why.unwrap_or_else(|| "no authority of the root of trust signed it".to_owned()))
}

/// A token, read.
struct Token {
    info: TstInfo,
    /// The bytes of `info` as they were signed.
    content: Vec<u8>,
    signer: SignerInfo,
    /// Certificates that came with it. Nothing rests on them.
    certificates: Vec<Vec<u8>>,
}

struct TstInfo {
    imprint: Digest,
    time: SystemTime,
}

impl Token {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let malformed = |error: x509_cert::der::Error| format!("it is malformed: {error}");
        let token = content_info(bytes)?;
        let outer = ContentInfo::from_der(&token).map_err(malformed)?;
        if outer.content_type != ID_SIGNED_DATA {
            return Err("it is not signed".to_owned());
        }
        let data: SignedData = outer.content.decode_as().map_err(malformed)?;
        let stated = match &data.encap_content_info.econtent {
            Some(content)
                if data.encap_content_info.econtent_type == ID_CT_TST_INFO
                    && content.tag() == Tag::OctetString =>
            {
                content.value().to_vec()
            }
            _ => return Err("it holds no time".to_owned()),
        };
        let info =
            TstInfo::read(&stated).ok_or("the statement of time in it is malformed".to_owned())?;
        let [signer] = data.signer_infos.0.as_slice() else {
            return Err("it has not exactly one signer".to_owned());
        };
        // What nobody signs must at least repeat what somebody does (RFC 5652, section 5.1).
        let version = match signer.sid {
            SignerIdentifier::IssuerAndSerialNumber(_) => CmsVersion::V1,
            SignerIdentifier::SubjectKeyIdentifier(_) => CmsVersion::V3,
        };
        if data.digest_algorithms.as_slice() != [signer.digest_alg.clone()]
            || data.version != CmsVersion::V3
            || signer.version != version
            || data.crls.is_some()
            || signer.unsigned_attrs.is_some()
        {
            return Err("it has parts that a timestamp has not".to_owned());
        }
        let mut certificates = Vec::new();
        for choice in data.certificates.iter().flat_map(|set| set.0.iter()) {
            certificates.push(choice.to_der().map_err(malformed)?);
        }
        Ok(Self { info, content: stated, signer: signer.clone(), certificates })
    }

    /// Whether `authority` signed it; false when another did.
    fn signed_by(&self, authority: &Authority) -> Result<bool, String> {
        let leaf = &authority.chain[0];
        let certificate = Certificate::from_der(&leaf.der)
            .map_err(|_| "the authority's certificate".to_owned())?;
        if !is_signer(&self.signer.sid, &certificate) {
            return Ok(false);
        }
        let hash = hash(self.signer.digest_alg.oid)?;
        let attributes =
            self.signer.signed_attrs.as_ref().ok_or("its attributes are missing".to_owned())?;
        let digest = attribute(attributes.as_slice(), ID_MESSAGE_DIGEST)?
            .decode_as::<x509_cert::der::asn1::OctetStringRef<'_>>()
            .map_err(|_| "its digest is malformed".to_owned())?
            .as_bytes()
            .to_vec();
        if digest != Digest::of(hash, &self.content).as_bytes() {
            return Err("its digest is another's".to_owned());
        }
        let kind = attribute(attributes.as_slice(), ID_CONTENT_TYPE)?
            .decode_as::<ObjectIdentifier>()
            .map_err(|_| "its content type is malformed".to_owned())?;
        if kind != ID_CT_TST_INFO {
            return Err("its content type is another".to_owned());
        }
        names_certificate(attributes.as_slice(), &leaf.der)?;

        let spki = certificate
            .tbs_certificate
            .subject_public_key_info
            .to_der()
            .map_err(|error| error.to_string())?;
        let key = PublicKey::from_spki(&spki)
            .ok_or("the authority's key is of a kind that is not known".to_owned())?;
        // The signature is over the attributes as a SET OF, whatever tag they carry in the token.
        let message = attributes.to_der().map_err(|error| error.to_string())?;
        let hash = match self.signer.signature_algorithm.oid {
            ECDSA_WITH_SHA_256 => Algorithm::Sha256,
            ECDSA_WITH_SHA_384 => Algorithm::Sha384,
            ECDSA_WITH_SHA_512 => Algorithm::Sha512,
            _ => hash,
        };
        if !key.verifies_with(hash, &message, self.signer.signature.as_bytes()) {
            return Err("its signature is not the authority's".to_owned());
        }
        self.in_use(authority)?;
        // They are not used, but one that is not the authority's has no business there.
        let known = |der: &Vec<u8>| authority.chain.iter().any(|own| own.der.as_ref() == der);
        if !self.certificates.iter().all(known) {
            return Err("it comes with a certificate that is not the authority's".to_owned());
        }
        Ok(true)
    }

    /// Whether the authority and all its certificates were in use at the time it states.
    fn in_use(&self, authority: &Authority) -> Result<(), String> {
        let time = self.info.time;
        let text = humantime::format_rfc3339_seconds(time);
        if !authority.window.contains(time) {
            return Err(format!(
                "the authority was in use from {}, not at {text}",
                authority.window.words()
            ));
        }
        if let Some(old) = authority.chain.iter().find(|cert| !cert.window.contains(time)) {
            return Err(format!(
                "a certificate of the authority was valid from {}, not at {text}",
                old.window.words()
            ));
        }
        if !authority.is_sound() {
            return Err("the authority's own certificates are damaged".to_owned());
        }
        let seconds = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_err(|_| "its time is before 1970".to_owned())?;
        // The time is in the windows of all certificates, and nothing else of the path depends on it.
        authority.timestamps(|| may_timestamp(authority, UnixTime::since_unix_epoch(seconds)))
    }
}

/// Whether the authority's certificates are a path for timestamps.
fn may_timestamp(authority: &Authority, time: UnixTime) -> Result<(), String> {
    let (Some(leaf), Some(root)) = (authority.chain.first(), authority.chain.last()) else {
        return Err("the authority has no certificate".to_owned());
    };
    let between: Vec<_> = authority.chain.iter().skip(1).map(|cert| cert.der.clone()).collect();
    EndEntityCert::try_from(&leaf.der)
        .and_then(|leaf| {
            leaf.verify_for_usage(
                WEBPKI_VERIFICATION_ALGS,
                std::slice::from_ref(&root.anchor),
                &between,
                time,
                Usage::required(ID_KP_TIME_STAMPING.as_bytes()),
                None,
                None,
            )
            .map(|_| ())
        })
        .map_err(|error| format!("the authority's certificates: {error}"))
}

/// The token itself, out of a `TimeStampResp` (RFC 3161, section 2.4.2) or bare.
fn content_info(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let malformed = || "it is malformed".to_owned();
    let parts = sequence(bytes).ok_or_else(malformed)?;
    match parts.as_slice() {
        [first, ..] if first.tag() == Tag::ObjectIdentifier => Ok(bytes.to_vec()),
        [status, token] if status.tag() == Tag::Sequence => {
            let status = elements(status.value()).ok_or_else(malformed)?;
            match status.first() {
                // granted, grantedWithMods
                Some(code) if code.tag() == Tag::Integer && matches!(code.value(), [0 | 1]) => {
                    token.to_der().map_err(|_| malformed())
                }
                _ => Err("the authority refused it".to_owned()),
            }
        }
        _ => Err(malformed()),
    }
}

impl TstInfo {
    fn read(bytes: &[u8]) -> Option<Self> {
        let parts = sequence(bytes)?;
        let [version, policy, imprint, serial, time, ..] = parts.as_slice() else { return None };
        if (version.tag(), version.value()) != (Tag::Integer, &[1][..])
            || policy.tag() != Tag::ObjectIdentifier
            || imprint.tag() != Tag::Sequence
            || serial.tag() != Tag::Integer
            || time.tag() != Tag::GeneralizedTime
        {
            return None;
        }
        let imprint = elements(imprint.value())?;
        let [algorithm, digest] = imprint.as_slice() else { return None };
        if algorithm.tag() != Tag::Sequence || digest.tag() != Tag::OctetString {
            return None;
        }
        let algorithm = elements(algorithm.value())?;
        let oid = algorithm.first()?.decode_as::<ObjectIdentifier>().ok()?;
        let imprint = Digest::new(hash(oid).ok()?, digest.value())?;
        Some(Self { imprint, time: generalized_time(time.value())? })
    }
}

/// `YYYYMMDDhhmmss[.f]Z`, where the fraction does not end in zero (RFC 3161, section 2.4.2).
fn generalized_time(bytes: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    if whole.len() != 14 || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let readable = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &whole[..4],
        &whole[4..6],
        &whole[6..8],
        &whole[8..10],
        &whole[10..12],
        &whole[12..]
    );
    let time = humantime::parse_rfc3339(&readable).ok()?;
    let nanoseconds = match fraction {
        None => 0,
        Some(digits) => {
            let good = !digits.is_empty()
                && digits.len() <= 9
                && !digits.ends_with('0')
                && digits.bytes().all(|byte| byte.is_ascii_digit());
            if !good {
                return None;
            }
            format!("{digits:0<9}").parse().ok()?
        }
    };
    time.checked_add(Duration::from_nanos(nanoseconds))
}

fn is_signer(id: &SignerIdentifier, certificate: &Certificate) -> bool {
    let tbs = &certificate.tbs_certificate;
    match id {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            id.issuer == tbs.issuer && id.serial_number == tbs.serial_number
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => {
            matches!(tbs.get::<SubjectKeyIdentifier>(), Ok(Some((_, own))) if own == *id)
        }
    }
}

/// The one value of the attribute, which must be there once.
fn attribute(
    attributes: &[Attribute],
    oid: ObjectIdentifier,
) -> Result<&x509_cert::der::Any, String> {
    let mut found = attributes.iter().filter(|attribute| attribute.oid == oid);
    match (found.next().map(|attribute| attribute.values.as_slice()), found.next()) {
        (Some([value]), None) => Ok(value),
        _ => Err(format!("its attribute {oid} is not there exactly once")),
    }
}

/// Whether the attributes name the authority's certificate, by `ESSCertIDv2` (RFC 5816) or, as
/// old authorities do, by `ESSCertID` (RFC 2634, SHA-1). One of the two is required.
fn names_certificate(attributes: &[Attribute], certificate: &[u8]) -> Result<(), String> {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
    let mut named = false;
    for (oid, v2) in [(ID_AA_SIGNING_CERTIFICATE_V_2, true), (ID_AA_SIGNING_CERTIFICATE, false)] {
        if !attributes.iter().any(|attribute| attribute.oid == oid) {
            continue;
        }
        let value = attribute(attributes, oid)?;
        let id = certificate_id(value.value())
            .ok_or("the certificate it names cannot be read".to_owned())?;
        let same = match (v2, id) {
            (true, (algorithm, id)) => {
                let algorithm = algorithm.map_or(Ok(Algorithm::Sha256), hash)?;
                Digest::of(algorithm, certificate).as_bytes() == id
            }
            (false, (None, id)) => digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate).as_ref() == id,
            (false, _) => false,
        };
        if !same {
            return Err("it names another certificate".to_owned());
        }
        named = true;
    }
    if named { Ok(()) } else { Err("it does not name the authority's certificate".to_owned()) }
}

/// The hash algorithm and hash of the first certificate in a `SigningCertificate[V2]`, whose
/// content is `value`.
fn certificate_id(value: &[u8]) -> Option<(Option<ObjectIdentifier>, Vec<u8>)> {
    let parts = elements(value)?;
    let ids = elements(parts.first().filter(|ids| ids.tag() == Tag::Sequence)?.value())?;
    let id = elements(ids.first().filter(|id| id.tag() == Tag::Sequence)?.value())?;
    match id.as_slice() {
        [hash, ..] if hash.tag() == Tag::OctetString => Some((None, hash.value().to_vec())),
        [algorithm, hash, ..]
            if algorithm.tag() == Tag::Sequence && hash.tag() == Tag::OctetString =>
        {
            let algorithm = elements(algorithm.value())?;
            let oid = algorithm.first()?.decode_as::<ObjectIdentifier>().ok()?;
            Some((Some(oid), hash.value().to_vec()))
        }
        _ => None,
    }
}

fn hash(oid: ObjectIdentifier) -> Result<Algorithm, String> {
    match oid {
        ID_SHA_256 => Ok(Algorithm::Sha256),
        ID_SHA_384 => Ok(Algorithm::Sha384),
        ID_SHA_512 => Ok(Algorithm::Sha512),
        _ => Err(format!("its hash algorithm, {oid}, is not known")),
    }
}

/// The elements of a `SEQUENCE` that is all of `bytes`.
fn sequence(bytes: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let sequence = AnyRef::from_der(bytes).ok()?;
    if sequence.tag() != Tag::Sequence {
        return None;
    }
    elements(sequence.value())
}

fn elements(bytes: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_and_without_fractions() {
        let time = |text: &str| {
            generalized_time(text.as_bytes())
                .map(|time| humantime::format_rfc3339_nanos(time).to_string())
        };
        assert_eq!(time("20250612120216Z").unwrap(), "2025-06-12T12:02:16.000000000Z");
        assert_eq!(time("20250612120216.5Z").unwrap(), "2025-06-12T12:02:16.500000000Z");
        assert_eq!(time("20250612120216.000123Z").unwrap(), "2025-06-12T12:02:16.000123000Z");
        for bad in [
            "20250612120216",
            "20250612120216.Z",
            "20250612120216.50Z",
            "20250612120216+0100",
            "202506121202Z",
            "20251312120216Z",
            "20250612120216.1234567891Z",
            "2025061212021６Z",
        ] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }
}
