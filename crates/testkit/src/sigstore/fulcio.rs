//! The certificate authority and its certificate transparency logs.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::certificate::{
    Certificate, Extension, Name, Template, alternative_names, authority, extended_usage,
};
use super::identity::Identity;
use super::key::{Algorithm, Key};
use super::{base64, der, timestamp};

/// Extended use: signs code.
pub const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
/// The extension that holds SCTs (RFC 6962 §3.3).
pub const SCT_LIST: &str = "1.3.6.1.4.1.11129.2.4.2";

/// A root and an intermediate.
pub struct Fulcio {
    /// Signs leafs.
    pub intermediate_key: Key,
    /// Its certificate.
    pub intermediate: Certificate,
    /// Signs the intermediate.
    pub root: Certificate,
    /// Where the trusted root says it is.
    pub uri: String,
    start: SystemTime,
}

impl Fulcio {
    /// An authority for ten years from `start`, with an organisation's name.
    pub fn new(label: &str, organization: &'static str, start: SystemTime) -> Self {
        let end = start + Duration::from_hours(24 * 3650);
        let root_key = Key::new(Algorithm::P384, &format!("{label} fulcio root"));
        let intermediate_key = Key::new(Algorithm::P384, &format!("{label} fulcio intermediate"));
        let root_name = Name { organization, common: "sigstore" };
        let name = Name { organization, common: "sigstore-intermediate" };
        let root =
            Template::new(root_name, &root_key, start, end).authority().sign(root_name, &root_key);
        let intermediate = Template::new(name, &intermediate_key, start, end)
            .authority()
            .with(extended_usage(false, &[CODE_SIGNING]))
            .sign(root_name, &root_key);
        let uri = format!("https://fulcio.{label}.test");
        Self { intermediate_key, intermediate, root, uri, start }
    }

    /// Issues a leaf.
    pub fn issue(&self, leaf: &Leaf) -> Certificate {
        let issuer = self.intermediate.subject;
        let usage = extended_usage(false, &leaf.usages);
        let mut template = Template::new(
            Name::default(),
            &leaf.key,
            leaf.not_before,
            leaf.not_before + leaf.lifetime,
        );
        template.spki = leaf.spki.clone().unwrap_or(template.spki);
        template.serial = leaf.serial.clone().unwrap_or(template.serial);
        let mut template = template.leaf(usage, &self.intermediate_key);
        if !leaf.identity.names.is_empty() {
            template = template.with(alternative_names(&leaf.identity.names));
        }
        template.extensions.extend(leaf.identity.extensions.iter().cloned());
        if !leaf.scts.is_empty() {
            let tbs = template.tbs(issuer, &self.intermediate_key);
            let issuer_hash = self.intermediate_key.id();
            let scts: Vec<Vec<u8>> =
                leaf.scts.iter().map(|sct| sct.over(&issuer_hash, &tbs)).collect();
            template = template.with(sct_list(&scts));
        }
        template.sign(issuer, &self.intermediate_key)
    }

    /// Its entry in the trusted root.
    pub fn trusted(&self) -> Value {
        authority(&self.uri, &self.intermediate, &self.root, self.start)
    }
}

/// What is asked of Fulcio.
#[derive(Clone)]
pub struct Leaf {
    /// The signer's.
    pub key: Key,
    /// The key it is for, if not the signer's own.
    pub spki: Option<Vec<u8>>,
    /// Whom it names.
    pub identity: Identity,
    /// First second of its validity.
    pub not_before: SystemTime,
    /// Ten minutes at the real one.
    pub lifetime: Duration,
    /// Extended key usages; code signing at the real one.
    pub usages: Vec<&'static str>,
    /// Certificate timestamps to embed, none to leave the extension out.
    pub scts: Vec<Sct>,
    /// Derived from the key if not set.
    pub serial: Option<Vec<u8>>,
}

impl Leaf {
    /// As the real one issues it, without SCTs.
    pub fn new(key: &Key, identity: Identity, not_before: SystemTime) -> Self {
        Self {
            key: key.clone(),
            spki: None,
            identity,
            not_before,
            lifetime: Duration::from_mins(10),
            usages: vec![CODE_SIGNING],
            scts: Vec::new(),
            serial: None,
        }
    }
}

/// A certificate transparency log.
#[derive(Clone)]
pub struct CtLog {
    /// Signs certificate timestamps.
    pub key: Key,
    /// Where the trusted root says it is.
    pub uri: String,
    start: SystemTime,
}

impl CtLog {
    /// The log of this label.
    pub fn new(label: &str, algorithm: Algorithm, start: SystemTime) -> Self {
        let key = Key::new(algorithm, &format!("{label} ct log"));
        Self { key, uri: format!("https://ctlog.{label}.test"), start }
    }

    /// A certificate timestamp of a time, to be asked for in a [`Leaf`].
    pub fn sct(&self, time: SystemTime) -> Sct {
        let (key, log_id) = (self.key.clone(), self.key.id());
        Sct { key, log_id, time, extensions: Vec::new(), of_other_certificate: false }
    }

    /// Its entry in the trusted root.
    pub fn trusted(&self) -> Value {
        json!({
            "baseUrl": self.uri,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": base64(&self.key.spki()),
                "keyDetails": self.key.details(),
                "validFor": { "start": timestamp(self.start) },
            },
            "logId": { "keyId": base64(&self.key.id()) },
        })
    }
}

/// A signed certificate timestamp that is yet to be made.
#[derive(Clone)]
pub struct Sct {
    /// Signs it.
    pub key: Key,
    /// The log it says it comes from.
    pub log_id: [u8; 32],
    /// Milliseconds count.
    pub time: SystemTime,
    /// `CtExtensions`, opaque.
    pub extensions: Vec<u8>,
    /// Signs something else than the certificate it is put into.
    pub of_other_certificate: bool,
}

impl Sct {
    /// `SignedCertificateTimestamp` (RFC 6962 §3.2) over a precertificate.
    fn over(&self, issuer_hash: &[u8; 32], tbs: &[u8]) -> Vec<u8> {
        let since = self.time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let millis = u64::try_from(since.as_millis()).expect("before the year 500 million");
        let tbs = if self.of_other_certificate { &[0x30, 0][..] } else { tbs };
        // Version 1, certificate timestamp, time, precertificate.
        let mut signed = vec![0, 0];
        signed.extend(millis.to_be_bytes());
        signed.extend([0, 1]);
        signed.extend(issuer_hash);
        signed.extend(&u32::try_from(tbs.len()).expect("a certificate").to_be_bytes()[1..]);
        signed.extend(tbs);
        signed.extend(prefixed(&self.extensions));

        let mut sct = vec![0];
        sct.extend(self.log_id);
        sct.extend(millis.to_be_bytes());
        sct.extend(prefixed(&self.extensions));
        // SignatureAndHashAlgorithm (RFC 5246 §7.4.1.4.1).
        sct.extend(match self.key.algorithm() {
            Algorithm::P256 => [4, 3],
            Algorithm::P384 => [5, 3],
            Algorithm::Rsa2048 => [4, 1],
            Algorithm::Ed25519 => [8, 7],
        });
        sct.extend(prefixed(&self.key.sign(&signed)));
        sct
    }
}

/// The extension of a list of them.
fn sct_list(scts: &[Vec<u8>]) -> Extension {
    let list: Vec<u8> = scts.iter().flat_map(|sct| prefixed(sct)).collect();
    Extension::new(SCT_LIST, der::octet_string(&prefixed(&list)))
}

/// With its length in two bytes before it.
fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("short");
    [&length.to_be_bytes()[..], bytes].concat()
}
