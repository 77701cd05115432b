//! Public keys: read strictly, used through one door. All signature checks of this crate's
//! Sigstore part pass through here, on aws-lc.

use std::sync::Arc;

use sigstore_types::{DerPublicKey, SignatureBytes};
use sigstore_verify::crypto::{KeyAlgorithm, SigningScheme, VerificationKey};

use crate::{Algorithm, Digest};

/// A public key of an algorithm that is supported.
#[derive(Clone)]
pub(crate) struct PublicKey {
    spki: Arc<[u8]>,
    algorithm: KeyAlgorithm,
    /// With the algorithm's usual hash; another hash needs another one.
    usual: Arc<VerificationKey>,
    id: Digest,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.algorithm_name(), self.id)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for PublicKey {}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` (RFC 5280, section 4.1) in DER.
    pub(crate) fn from_spki(der: &[u8]) -> Option<Self> {
        let key = DerPublicKey::new(der.to_vec());
        let algorithm = KeyAlgorithm::from_spki(&key).ok()?;
        let usual =
            VerificationKey::from_spki_with_scheme(&key, algorithm.default_signing_scheme())
                .ok()?;
        Some(Self {
            spki: der.into(),
            algorithm,
            usual: Arc::new(usual),
            id: Digest::of(Algorithm::Sha256, der),
        })
    }

    /// Reads an `RSAPublicKey` (RFC 8017, appendix A.1.1) in DER, as old trusted roots hold it.
    pub(crate) fn from_pkcs1(der: &[u8]) -> Option<Self> {
        /// `SEQUENCE { OBJECT IDENTIFIER rsaEncryption, NULL }`
        const RSA: [u8; 15] = [
            0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05,
            0x00,
        ];
        let mut bits = vec![0];
        bits.extend_from_slice(der);
        let mut content = RSA.to_vec();
        content.extend(tlv(0x03, &bits)?);
        Self::from_spki(&tlv(0x30, &content)?)
    }

    /// The key as `SubjectPublicKeyInfo`.
    pub(crate) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// SHA-256 of [`spki`](Self::spki).
    pub(crate) fn id(&self) -> &Digest {
        &self.id
    }

    /// The key's own bits, without algorithm.
    pub(crate) fn raw(&self) -> &[u8] {
        self.usual.as_bytes()
    }

    /// What kind of key it is.
    pub(crate) fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The kind as text for people and policies.
    pub(crate) fn algorithm_name(&self) -> &'static str {
        match self.algorithm {
            KeyAlgorithm::EcdsaP256 => "ecdsa-p256",
            KeyAlgorithm::EcdsaP384 => "ecdsa-p384",
            KeyAlgorithm::Ed25519 => "ed25519",
            KeyAlgorithm::Rsa => "rsa",
            KeyAlgorithm::MlDsa44 => "ml-dsa-44",
            KeyAlgorithm::MlDsa65 => "ml-dsa-65",
            KeyAlgorithm::MlDsa87 => "ml-dsa-87",
            _ => "unknown",
        }
    }

    /// The hash that signatures of this key use when nothing names one; `None` when the key signs
    /// messages themselves (Ed25519, ML-DSA).
    pub(crate) fn usual_hash(&self) -> Option<Algorithm> {
        hash_of(self.algorithm.default_signing_scheme())
    }

    /// Whether `signature` is this key's over `message`, with the key's usual hash.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.usual.verify(message, &SignatureBytes::from_bytes(signature)).is_ok()
    }

    /// Whether `signature` is this key's over `message`, hashed by `hash`. RSA means PKCS #1 v1.5.
    pub(crate) fn verifies_with(&self, hash: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.with_hash(hash)
            .is_some_and(|key| key.verify(message, &SignatureBytes::from_bytes(signature)).is_ok())
    }

    /// Whether `signature` is this key's over the message of that digest. RSA may be PKCS #1 v1.5
    /// or PSS. False for keys that do not sign digests.
    pub(crate) fn verifies_digest(&self, digest: &Digest, signature: &[u8]) -> bool {
        let signature = SignatureBytes::from_bytes(signature);
        self.schemes(digest.algorithm()).into_iter().any(|scheme| {
            VerificationKey::from_spki_with_scheme(&DerPublicKey::new(self.spki.to_vec()), scheme)
                .is_ok_and(|key| key.verify_prehashed(digest.as_bytes(), &signature).is_ok())
        })
    }

    fn schemes(&self, hash: Algorithm) -> Vec<SigningScheme> {
        let Ok(scheme) = self.algorithm.resolve_signing_scheme(sigstore_hash(hash)) else {
            return Vec::new();
        };
        match scheme {
            SigningScheme::RsaPkcs1Sha256 => vec![scheme, SigningScheme::RsaPssSha256],
            SigningScheme::RsaPkcs1Sha384 => vec![scheme, SigningScheme::RsaPssSha384],
            SigningScheme::RsaPkcs1Sha512 => vec![scheme, SigningScheme::RsaPssSha512],
            // Ed25519 and ML-DSA resolve to themselves whatever the hash.
            _ if hash_of(scheme) == Some(hash) => vec![scheme],
            _ => Vec::new(),
        }
    }

    fn with_hash(&self, hash: Algorithm) -> Option<VerificationKey> {
        let scheme = self.algorithm.resolve_signing_scheme(sigstore_hash(hash)).ok()?;
        VerificationKey::from_spki_with_scheme(&DerPublicKey::new(self.spki.to_vec()), scheme).ok()
    }
}

fn hash_of(scheme: SigningScheme) -> Option<Algorithm> {
    match scheme.hash_algorithm()? {
        sigstore_types::HashAlgorithm::Sha2256 => Some(Algorithm::Sha256),
        sigstore_types::HashAlgorithm::Sha2384 => Some(Algorithm::Sha384),
        sigstore_types::HashAlgorithm::Sha2512 => Some(Algorithm::Sha512),
        _ => None,
    }
}

fn sigstore_hash(hash: Algorithm) -> sigstore_types::HashAlgorithm {
    match hash {
        Algorithm::Sha256 => sigstore_types::HashAlgorithm::Sha2256,
        Algorithm::Sha384 => sigstore_types::HashAlgorithm::Sha2384,
        Algorithm::Sha512 => sigstore_types::HashAlgorithm::Sha2512,
    }
}

/// One DER value; `None` when it is longer than 64 KiB.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(content.len()).ok()?;
    let [high, low] = length.to_be_bytes();
    let mut value = match length {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    value.extend_from_slice(content);
    Some(value)
}

/// The DER of the first PEM block of that label (RFC 7468), when the text holds nothing but PEM
/// blocks and white space.
pub(crate) fn pem_blocks(text: &str, label: &str) -> Option<Vec<Vec<u8>>> {
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let mut blocks = Vec::new();
    let mut body: Option<String> = None;
    for line in text.lines() {
        let line = line.trim_end();
        match &mut body {
            None if line == begin => body = Some(String::new()),
            None if line.is_empty() => {}
            None => return None,
            Some(_) if line == end => blocks.push(crate::json::base64(&body.take()?)?),
            Some(body) => body.push_str(line),
        }
    }
    (body.is_none() && !blocks.is_empty()).then_some(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYI4heOTrNrZO27elFE8ynfrdPMik\n\
        ttRkbe+vJKQ50G6bfwQ3WyhLpRwwwohelDAm8xRzJ56nYsIa3VHivVvpmA==\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn a_key_is_read_and_named() {
        let der = pem_blocks(PEM, "PUBLIC KEY").unwrap().remove(0);
        let key = PublicKey::from_spki(&der).unwrap();
        assert_eq!(key.algorithm_name(), "ecdsa-p256");
        assert_eq!(key.usual_hash(), Some(Algorithm::Sha256));
        assert!(!key.verifies(b"message", b"signature"));
        assert!(PublicKey::from_spki(&der[..der.len() - 1]).is_none());
        assert!(PublicKey::from_spki(&[der.as_slice(), b"x"].concat()).is_none());
    }

    #[test]
    fn pem_with_anything_else_is_none() {
        assert!(pem_blocks(PEM, "CERTIFICATE").is_none());
        assert!(pem_blocks(&format!("{PEM}x"), "PUBLIC KEY").is_none());
        assert!(pem_blocks("", "PUBLIC KEY").is_none());
        assert!(pem_blocks(&PEM[..PEM.len() - 3], "PUBLIC KEY").is_none());
        assert_eq!(pem_blocks(&format!("{PEM}\n{PEM}"), "PUBLIC KEY").unwrap().len(), 2);
    }

    #[test]
    fn lengths_of_der() {
        assert_eq!(tlv(4, &[0; 3]).unwrap()[..2], [4, 3]);
        assert_eq!(tlv(4, &[0; 0x80]).unwrap()[..3], [4, 0x81, 0x80]);
        assert_eq!(tlv(4, &[0; 0x1234]).unwrap()[..4], [4, 0x82, 0x12, 0x34]);
        assert!(tlv(4, &vec![0; 0x1_0000]).is_none());
    }
}
