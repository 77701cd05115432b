//! X.509 certificates (RFC 5280) from parts that can each be exchanged.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::key::Key;
use super::{base64, der, pem, sha256, timestamp};

/// A distinguished name: organisation, and common name if there is one. Both empty is the empty name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Name {
    /// `O`; left out when empty.
    pub organization: &'static str,
    /// `CN`; left out when empty.
    pub common: &'static str,
}

impl Name {
    /// The name as DER.
    pub fn der(self) -> Vec<u8> {
        let part = |oid, text: &str| {
            (!text.is_empty()).then(|| der::set([der::sequence([der::oid(oid), der::utf8(text)])]))
        };
        let parts = [part("2.5.4.10", self.organization), part("2.5.4.3", self.common)];
        der::sequence(parts.into_iter().flatten().collect::<Vec<_>>())
    }
}

/// The entry of an authority in a trusted root.
pub(super) fn authority(
    uri: &str,
    issuer: &Certificate,
    root: &Certificate,
    start: SystemTime,
) -> Value {
    json!({
        "subject": {
            "organization": root.subject.organization,
            "commonName": root.subject.common,
        },
        "uri": uri,
        "certChain": { "certificates": [
            { "rawBytes": base64(&issuer.der) },
            { "rawBytes": base64(&root.der) },
        ] },
        "validFor": { "start": timestamp(start) },
    })
}

/// One extension as it will stand in the certificate.
#[derive(Clone, Debug)]
pub struct Extension {
    /// Dotted.
    pub oid: String,
    /// Whether who does not know it must refuse.
    pub critical: bool,
    /// The content of its octet string.
    pub value: Vec<u8>,
}

impl Extension {
    /// An extension that may be ignored.
    pub fn new(oid: &str, value: Vec<u8>) -> Self {
        Self { oid: oid.to_owned(), critical: false, value }
    }

    /// One that may not.
    pub fn critical(oid: &str, value: Vec<u8>) -> Self {
        Self { critical: true, ..Self::new(oid, value) }
    }

    fn der(&self) -> Vec<u8> {
        let mut parts = vec![der::oid(&self.oid)];
        if self.critical {
            parts.push(der::yes());
        }
        parts.push(der::octet_string(&self.value));
        der::sequence(parts)
    }
}

/// A subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum San {
    /// `rfc822Name`.
    Email(String),
    /// `uniformResourceIdentifier`.
    Uri(String),
    /// `dNSName`: Fulcio issues none.
    Dns(String),
    /// `otherName` of Fulcio's kind (1.3.6.1.4.1.57264.1.7): a user name.
    Username(String),
}

impl San {
    fn der(&self) -> Vec<u8> {
        match self {
            Self::Email(text) => der::tagged_primitive(1, text.as_bytes()),
            Self::Dns(text) => der::tagged_primitive(2, text.as_bytes()),
            Self::Uri(text) => der::tagged_primitive(6, text.as_bytes()),
            Self::Username(text) => der::tagged(
                0,
                [der::oid("1.3.6.1.4.1.57264.1.7"), der::tagged(0, [der::utf8(text)])],
            ),
        }
    }
}

/// What a certificate will say, before someone signs it.
#[derive(Clone, Debug)]
pub struct Template {
    /// Big-endian, not negative.
    pub serial: Vec<u8>,
    /// Whom it is for.
    pub subject: Name,
    /// `SubjectPublicKeyInfo`.
    pub spki: Vec<u8>,
    /// First second of its validity.
    pub not_before: SystemTime,
    /// Last second of its validity.
    pub not_after: SystemTime,
    /// In this order.
    pub extensions: Vec<Extension>,
}

impl Template {
    /// An empty one for a key; the serial is derived from the key.
    pub fn new(subject: Name, key: &Key, not_before: SystemTime, not_after: SystemTime) -> Self {
        let mut serial = key.id()[..16].to_vec();
        serial[0] &= 0x7f;
        Self { serial, subject, spki: key.spki(), not_before, not_after, extensions: Vec::new() }
    }

    /// With one more extension.
    #[must_use]
    pub fn with(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// With what makes it a certificate authority.
    #[must_use]
    pub fn authority(self) -> Self {
        let key_id = key_id(&self.spki);
        // keyCertSign and cRLSign: bits 5 and 6, one bit unused.
        self.with(Extension::critical("2.5.29.15", der::element(0x03, &[1, 0x06])))
            .with(Extension::critical("2.5.29.19", der::sequence([der::yes()])))
            .with(Extension::new("2.5.29.14", der::octet_string(&key_id)))
    }

    /// With what a leaf has: digital signature, one extended use, key identifiers.
    #[must_use]
    pub fn leaf(self, usage: Extension, issuer: &Key) -> Self {
        let subject_id = der::octet_string(&key_id(&self.spki));
        let issuer_id = der::sequence([der::tagged_primitive(0, &key_id(&issuer.spki()))]);
        self.with(Extension::critical("2.5.29.15", der::element(0x03, &[7, 0x80])))
            .with(usage)
            .with(Extension::new("2.5.29.14", subject_id))
            .with(Extension::new("2.5.29.35", issuer_id))
    }

    /// What is signed.
    pub fn tbs(&self, issuer: Name, key: &Key) -> Vec<u8> {
        let mut parts = vec![
            der::tagged(0, [der::integer(&[2])]),
            der::integer(&self.serial),
            key.signature_algorithm(),
            issuer.der(),
            der::sequence([der::utc_time(self.not_before), der::utc_time(self.not_after)]),
            self.subject.der(),
            self.spki.clone(),
        ];
        if !self.extensions.is_empty() {
            let extensions: Vec<_> = self.extensions.iter().map(Extension::der).collect();
            parts.push(der::tagged(3, [der::sequence(extensions)]));
        }
        der::sequence(parts)
    }

    /// Signs it.
    pub fn sign(self, issuer: Name, key: &Key) -> Certificate {
        let tbs = self.tbs(issuer, key);
        let signature = der::bit_string(&key.sign(&tbs));
        let der = der::sequence([tbs, key.signature_algorithm(), signature]);
        Certificate { der, issuer, serial: self.serial, subject: self.subject }
    }
}

/// A signed certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The whole.
    pub der: Vec<u8>,
    /// Who signed it.
    pub issuer: Name,
    /// Its serial number.
    pub serial: Vec<u8>,
    /// Whom it is for.
    pub subject: Name,
}

impl Certificate {
    /// As `CERTIFICATE` PEM.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }
}

/// An extended key usage.
pub fn extended_usage(critical: bool, oids: &[&str]) -> Extension {
    let uses: Vec<_> = oids.iter().map(|oid| der::oid(oid)).collect();
    Extension { critical, ..Extension::new("2.5.29.37", der::sequence(uses)) }
}

/// The subject alternative names, critical as in every certificate with an empty subject.
pub fn alternative_names(names: &[San]) -> Extension {
    let names: Vec<_> = names.iter().map(San::der).collect();
    Extension::critical("2.5.29.17", der::sequence(names))
}

/// A key identifier; any unique value will do (RFC 7093).
fn key_id(spki: &[u8]) -> Vec<u8> {
    sha256(spki)[..20].to_vec()
}
