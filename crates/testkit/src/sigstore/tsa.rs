//! The timestamp authority (RFC 3161).

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::certificate::{Certificate, Name, Template, authority, extended_usage};
use super::key::{Algorithm, Key};
use super::{der, sha256};

/// Extended use: stamps times.
pub const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";

/// A root and the certificate that stamps.
#[derive(Clone)]
pub struct Tsa {
    /// Stamps.
    pub key: Key,
    /// Its certificate.
    pub certificate: Certificate,
    /// Signed that.
    pub root: Certificate,
    /// Signs certificates for other stamping keys.
    pub root_key: Key,
    /// Where the trusted root says it is.
    pub uri: String,
    start: SystemTime,
}

impl Tsa {
    /// An authority for ten years from `start`.
    pub fn new(
        label: &str,
        algorithm: Algorithm,
        organization: &'static str,
        start: SystemTime,
    ) -> Self {
        let end = start + Duration::from_hours(24 * 3650);
        let root_key = Key::new(Algorithm::P384, &format!("{label} tsa root"));
        let root_name = Name { organization, common: "tsa-root" };
        let root =
            Template::new(root_name, &root_key, start, end).authority().sign(root_name, &root_key);
        let uri = format!("https://timestamp.{label}.test/api/v1/timestamp");
        let key = Key::new(algorithm, &format!("{label} tsa"));
        let certificate = root.clone();
        Self { key, certificate, root, root_key, uri, start }.reissued(TIME_STAMPING, start, end)
    }

    /// The same authority with another certificate for the same key.
    #[must_use]
    pub fn reissued(mut self, usage: &str, not_before: SystemTime, not_after: SystemTime) -> Self {
        let name = Name { common: "tsa", ..self.root.subject };
        self.certificate = Template::new(name, &self.key, not_before, not_after)
            .leaf(extended_usage(true, &[usage]), &self.root_key)
            .sign(self.root.subject, &self.root_key);
        self
    }

    /// Its entry in the trusted root.
    pub fn trusted(&self) -> Value {
        authority(&self.uri, &self.certificate, &self.root, self.start)
    }

    /// A stamp of a time, yet to be made.
    pub fn stamp(&self, time: SystemTime) -> Stamp {
        Stamp {
            tsa: self.clone(),
            time,
            fractional: false,
            embed: Vec::new(),
            nonce: None,
            status: 0,
            signer_named: None,
            of: None,
            hash_certificate: None,
        }
    }
}

/// A timestamp that is yet to be made, with every part to be exchanged.
#[derive(Clone)]
pub struct Stamp {
    /// Signs it.
    pub tsa: Tsa,
    /// `genTime`.
    pub time: SystemTime,
    /// Writes milliseconds too.
    pub fractional: bool,
    /// Certificates put into the token, in this order.
    pub embed: Vec<Certificate>,
    /// The nonce of the request.
    pub nonce: Option<Vec<u8>>,
    /// `PKIStatus`: 0 is granted, 2 rejection.
    pub status: u8,
    /// The certificate the token names as its signer's, if not the true one.
    pub signer_named: Option<Certificate>,
    /// What it stamps, if not what it is asked for.
    pub of: Option<Vec<u8>>,
    /// The certificate whose hash `SigningCertificateV2` holds, if not the signer's.
    pub hash_certificate: Option<Certificate>,
}

impl Stamp {
    /// `TimeStampResp` over the SHA-256 of some bytes.
    pub fn over(&self, bytes: &[u8]) -> Vec<u8> {
        self.over_hash(&sha256(self.of.as_deref().unwrap_or(bytes)))
    }

    /// `TimeStampResp` over a SHA-256 hash.
    pub fn over_hash(&self, hash: &[u8; 32]) -> Vec<u8> {
        let status = der::sequence([der::integer(&[self.status])]);
        der::sequence([status, self.token(hash)])
    }

    /// `ContentInfo` with `SignedData` with `TSTInfo`.
    fn token(&self, hash: &[u8; 32]) -> Vec<u8> {
        let info = self.info(hash);
        let algorithm = self.tsa.key.hash_algorithm();
        let mut parts = vec![
            der::integer(&[3]),
            der::set([&algorithm]),
            der::sequence([der::oid(TST_INFO), der::tagged(0, [der::octet_string(&info)])]),
        ];
        if !self.embed.is_empty() {
            let certificates: Vec<_> = self.embed.iter().map(|each| &each.der).collect();
            // In the order asked for: some verifiers took the first for the signer's.
            parts.push(der::tagged(0, certificates));
        }
        parts.push(der::set([self.signer_info(&info, &algorithm)]));
        let signed_data = der::sequence(parts);
        der::sequence([der::oid(SIGNED_DATA), der::tagged(0, [signed_data])])
    }

    fn info(&self, hash: &[u8; 32]) -> Vec<u8> {
        let sha256 = der::sequence([der::oid("2.16.840.1.101.3.4.2.1"), der::null()]);
        let time = if self.fractional { der::fractional_time } else { der::generalized_time };
        let mut parts = vec![
            der::integer(&[1]),
            der::oid("1.3.6.1.4.1.57264.2"),
            der::sequence([sha256, der::octet_string(hash)]),
            der::integer(&hash[..8]),
            time(self.time),
            // Accuracy: one second.
            der::sequence([der::integer(&[1])]),
        ];
        parts.extend(self.nonce.as_deref().map(der::integer));
        der::sequence(parts)
    }

    fn signer_info(&self, info: &[u8], algorithm: &[u8]) -> Vec<u8> {
        let signer = self.signer_named.as_ref().unwrap_or(&self.tsa.certificate);
        let hashed = self.hash_certificate.as_ref().unwrap_or(&self.tsa.certificate);
        let key = &self.tsa.key;
        let attribute = |oid, value: Vec<u8>| der::sequence([der::oid(oid), der::set([value])]);
        let certificate_id = der::sequence([der::octet_string(&sha256(&hashed.der))]);
        let attributes = [
            attribute("1.2.840.113549.1.9.3", der::oid(TST_INFO)),
            attribute("1.2.840.113549.1.9.5", der::utc_time(self.time)),
            attribute("1.2.840.113549.1.9.4", der::octet_string(&key.hash(info))),
            attribute(
                "1.2.840.113549.1.9.16.2.47",
                der::sequence([der::sequence([certificate_id])]),
            ),
        ];
        // RFC 5652 §5.4: signed as the plain set they are.
        let signature = key.sign(&der::set(&attributes));
        der::sequence([
            der::integer(&[1]),
            der::sequence([signer.issuer.der(), der::integer(&signer.serial)]),
            algorithm.to_vec(),
            der::tagged_set(0, &attributes),
            key.signature_algorithm(),
            der::octet_string(&signature),
        ])
    }
}
