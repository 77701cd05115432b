//! From a wish to a bundle, in two steps: what shall be made, and what was made. Both can be changed at will.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::base64;
use super::certificate::Certificate;
use super::content::{Content, Kind, Signature, Verifier};
use super::fulcio::Leaf;
use super::identity::Identity;
use super::key::{Algorithm, Key};
use super::rekor::{Entry, Rekor};
use super::tsa::Stamp;
use super::world::World;

/// Versions of the bundle format, by their media types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `…bundle+json;version=0.1`
    V01,
    /// `…bundle+json;version=0.2`
    V02,
    /// `…bundle+json;version=0.3`: how 0.3 was written at first.
    V03Old,
    /// `…bundle.v0.3+json`
    V03,
}

impl Version {
    /// All, oldest first.
    pub const ALL: [Self; 4] = [Self::V01, Self::V02, Self::V03Old, Self::V03];

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::V01 => "application/vnd.dev.sigstore.bundle+json;version=0.1",
            Self::V02 => "application/vnd.dev.sigstore.bundle+json;version=0.2",
            Self::V03Old => "application/vnd.dev.sigstore.bundle+json;version=0.3",
            Self::V03 => "application/vnd.dev.sigstore.bundle.v0.3+json",
        }
    }
}

/// What shall be made. By default what the instance's own client would make, and it verifies.
pub struct Signing<'w> {
    world: &'w World,
    /// What is signed.
    pub content: Content,
    /// The bundle's version.
    pub version: Version,
    /// The certificate to ask for; its key signs, unless `managed` does.
    pub leaf: Leaf,
    /// This certificate instead of one that is asked for.
    pub certificate: Option<Certificate>,
    /// Signs instead, without a certificate.
    pub managed: Option<Key>,
    /// Entries to make: in which log, of what kind, when.
    pub logs: Vec<(&'w Rekor, Kind, SystemTime)>,
    /// Timestamps to get.
    pub stamps: Vec<Stamp>,
    /// Key that really signs, if another than the certificate or the hint says.
    pub signed_by: Option<Key>,
}

impl<'w> Signing<'w> {
    pub(super) fn new(world: &'w World, content: Content) -> Self {
        let key = Key::new(Algorithm::P256, &format!("{} signer", world.label));
        let mut leaf = Leaf::new(&key, World::identity(), world.now);
        let mut signing = Self {
            world,
            content,
            version: Version::V03,
            certificate: None,
            managed: None,
            logs: Vec::new(),
            stamps: Vec::new(),
            signed_by: None,
            leaf: leaf.clone(),
        };
        if world.is_private() {
            return signing.stamped();
        }
        leaf.scts = vec![world.ct_logs[0].sct(world.now)];
        signing.leaf = leaf;
        let kind = match signing.content {
            Content::Message(_) => Kind::HashedRekordV001,
            Content::Dsse { .. } => Kind::DsseV001,
        };
        signing.logged(kind)
    }

    /// As another version.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// By another identity.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.leaf.identity = identity;
        self
    }

    /// By a managed key: no certificate.
    #[must_use]
    pub fn managed(mut self, key: &Key) -> Self {
        self.managed = Some(key.clone());
        self
    }

    /// Without any log entry.
    #[must_use]
    pub fn unlogged(mut self) -> Self {
        self.logs.clear();
        self
    }

    /// With one more log entry of this kind, in the log of the instance that keeps it.
    #[must_use]
    pub fn logged(mut self, kind: Kind) -> Self {
        let log = if kind.is_v2() { &self.world.rekor2 } else { &self.world.rekor };
        self.logs.push((log, kind, self.world.now + Duration::from_secs(2)));
        self
    }

    /// With one more timestamp, of the first authority.
    #[must_use]
    pub fn stamped(self) -> Self {
        self.stamped_by(0)
    }

    /// With one more timestamp, of that authority.
    #[must_use]
    pub fn stamped_by(mut self, authority: usize) -> Self {
        let time = self.world.now + Duration::from_secs(1);
        self.stamps.push(self.world.tsas[authority].stamp(time));
        self
    }

    /// As a client of Rekor v2 does it: that one entry, and a timestamp.
    #[must_use]
    pub fn rekor2(self) -> Self {
        self.unlogged().logged(Kind::HashedRekordV002).stamped()
    }

    /// Makes it.
    pub fn make(self) -> Signed {
        let key = self.managed.as_ref().unwrap_or(&self.leaf.key);
        let certificate = self.managed.is_none().then(|| {
            self.certificate.clone().unwrap_or_else(|| self.world.fulcio.issue(&self.leaf))
        });
        let verifier = match &certificate {
            Some(certificate) => Verifier::Certificate(certificate.clone(), key.clone()),
            None => Verifier::Key(key.clone()),
        };
        let bytes = self.signed_by.as_ref().unwrap_or(key).sign(&self.content.signed_bytes());
        let signature = Signature { content: self.content, bytes, verifier };
        let entries = self.logs.iter().map(|(log, kind, time)| log.log(*kind, &signature, *time));
        let entries = entries.collect();
        let timestamps = self.stamps.iter().map(|stamp| stamp.over(&signature.bytes)).collect();
        let hint = key.hint();
        Signed {
            version: self.version,
            certificates: certificate.into_iter().collect(),
            hint,
            signature,
            entries,
            timestamps,
        }
    }

    /// Makes it, as a bundle.
    pub fn bundle(self) -> Value {
        self.make().bundle()
    }
}

/// What was made: the parts of a bundle.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The bundle's version.
    pub version: Version,
    /// The leaf first; none for a managed key.
    pub certificates: Vec<Certificate>,
    /// The hint of a managed key.
    pub hint: String,
    /// The signature and what it is over.
    pub signature: Signature,
    /// The log entries.
    pub entries: Vec<Entry>,
    /// `TimeStampResp`, each.
    pub timestamps: Vec<Vec<u8>>,
}

impl Signed {
    /// As a Sigstore bundle.
    pub fn bundle(&self) -> Value {
        let mut material = self.key_material();
        material["tlogEntries"] = self.entries.iter().map(Entry::json).collect();
        if !self.timestamps.is_empty() {
            let stamps: Vec<_> = self
                .timestamps
                .iter()
                .map(|stamp| json!({ "signedTimestamp": base64(stamp) }))
                .collect();
            material["timestampVerificationData"] = json!({ "rfc3161Timestamps": stamps });
        }
        let mut bundle = json!({
            "mediaType": self.version.media_type(),
            "verificationMaterial": material,
        });
        match &self.signature.content {
            Content::Message(artifact) => {
                let key = self.signature.verifier.key();
                let is_sha384 = key.algorithm() == Algorithm::P384;
                bundle["messageSignature"] = json!({
                    "messageDigest": {
                        "algorithm": if is_sha384 { "SHA2_384" } else { "SHA2_256" },
                        "digest": base64(&key.hash(artifact)),
                    },
                    "signature": base64(&self.signature.bytes),
                });
            }
            Content::Dsse { .. } => bundle["dsseEnvelope"] = self.signature.envelope(),
        }
        bundle
    }

    fn key_material(&self) -> Value {
        let raw = |certificate: &Certificate| json!({ "rawBytes": base64(&certificate.der) });
        match (self.version, self.certificates.as_slice()) {
            (_, []) => json!({ "publicKey": { "hint": self.hint } }),
            (Version::V03 | Version::V03Old, [leaf]) => json!({ "certificate": raw(leaf) }),
            (_, chain) => json!({ "x509CertificateChain": {
                "certificates": chain.iter().map(raw).collect::<Vec<_>>(),
            } }),
        }
    }
}
