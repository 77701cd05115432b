//! Public keys in PEM or DER, and signatures in files of their own made with them.

use std::fmt;

use aws_lc_rs::digest as lc_digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{self as lc, ParsedPublicKey, VerificationAlgorithm};

use super::{EvidenceError, encoding};
use crate::{Algorithm, Digest, Signer};

/// What kind of key it is, which fixes how a signature by it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Ed25519,
    Rsa,
}

impl Kind {
    const ALL: [Self; 5] =
        [Self::EcdsaP256, Self::EcdsaP384, Self::EcdsaP521, Self::Ed25519, Self::Rsa];

    fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::EcdsaP521 => "ecdsa-p521",
            Self::Ed25519 => "ed25519",
            Self::Rsa => "rsa",
        }
    }

    /// How a signature over a digest of that algorithm may be made with such a key. RSA has two
    /// paddings, and the key does not say which; both are sound.
    fn ways(self, algorithm: Algorithm) -> &'static [&'static dyn VerificationAlgorithm] {
        use Algorithm::{Sha256, Sha384, Sha512};
        match (self, algorithm) {
            (Self::EcdsaP256, Sha256) => &[&lc::ECDSA_P256_SHA256_ASN1],
            (Self::EcdsaP256, Sha384) => &[&lc::ECDSA_P256_SHA384_ASN1],
            (Self::EcdsaP256, Sha512) => &[&lc::ECDSA_P256_SHA512_ASN1],
            (Self::EcdsaP384, Sha256) => &[&lc::ECDSA_P384_SHA256_ASN1],
            (Self::EcdsaP384, Sha384) => &[&lc::ECDSA_P384_SHA384_ASN1],
            (Self::EcdsaP384, Sha512) => &[&lc::ECDSA_P384_SHA512_ASN1],
            (Self::EcdsaP521, Sha256) => &[&lc::ECDSA_P521_SHA256_ASN1],
            (Self::EcdsaP521, Sha384) => &[&lc::ECDSA_P521_SHA384_ASN1],
            (Self::EcdsaP521, Sha512) => &[&lc::ECDSA_P521_SHA512_ASN1],
            (Self::Rsa, Sha256) => {
                &[&lc::RSA_PKCS1_2048_8192_SHA256, &lc::RSA_PSS_2048_8192_SHA256]
            }
            (Self::Rsa, Sha384) => {
                &[&lc::RSA_PKCS1_2048_8192_SHA384, &lc::RSA_PSS_2048_8192_SHA384]
            }
            (Self::Rsa, Sha512) => {
                &[&lc::RSA_PKCS1_2048_8192_SHA512, &lc::RSA_PSS_2048_8192_SHA512]
            }
            (Self::Ed25519, _) => &[],
        }
    }

    /// Any algorithm for which a key of this kind can be parsed.
    fn parser(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Ed25519 => &lc::ED25519,
            other => other.ways(Algorithm::Sha256)[0],
        }
    }
}

/// A public key given by the caller: ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of 2048 to
/// 8192 bits.
///
/// A signature by it is over SHA-256, SHA-384 or SHA-512 of the content, as ASN.1 for ECDSA, with
/// PKCS#1 v1.5 or PSS for RSA, the salt as long as the hash; over the content itself for Ed25519.
#[derive(Clone, PartialEq, Eq)]
pub struct ManagedKey {
    kind: Kind,
    /// `SubjectPublicKeyInfo`, as aws-lc writes it.
    spki: Vec<u8>,
    /// SHA-256 of it, as text.
    id: String,
}

impl ManagedKey {
    /// How large a file of keys may be.
    pub const LIMIT_BYTES: usize = 64 * 1024;

    /// Reads a key in PEM (`PUBLIC KEY` or `RSA PUBLIC KEY`) or DER.
    ///
    /// # Errors
    /// [`EvidenceError`] when it is something else, of a kind that is not accepted (RSA below 2048
    /// bits, other curves), or a private key.
    ///
    /// # Examples
    /// ```
    /// use dsops_release_verify::evidence::ManagedKey;
    /// let key = ManagedKey::parse(
    ///     b"-----BEGIN PUBLIC KEY-----\n\
    ///       MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
    ///       -----END PUBLIC KEY-----\n",
    /// )?;
    /// assert_eq!(key.algorithm(), "ed25519");
    /// # Ok::<(), dsops_release_verify::evidence::EvidenceError>(())
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        if bytes.len() > Self::LIMIT_BYTES {
            return Err(EvidenceError::TooLarge {
                what: "a public key",
                limit_bytes: Self::LIMIT_BYTES,
            });
        }
        if bytes.first() == Some(&0x30) {
            return Self::from_der(bytes);
        }
        let malformed = |problem| EvidenceError::malformed("a public key", problem);
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("neither PEM nor DER"))?;
        let blocks = encoding::pem(text)?;
        if blocks.iter().any(|block| block.label.ends_with("PRIVATE KEY")) {
            return Err(malformed(
                "it is a private key; a signature is checked with the public one",
            ));
        }
        match blocks.as_slice() {
            [] => Err(malformed("neither PEM nor DER")),
            [block] if matches!(block.label, "PUBLIC KEY" | "RSA PUBLIC KEY") => {
                Self::from_der(&block.bytes)
            }
            [_] => Err(malformed("the PEM block is of another kind")),
            _ => Err(malformed("there is more than one PEM block")),
        }
    }

    /// Reads a `SubjectPublicKeyInfo` (RFC 5280, section 4.1), or an `RSAPublicKey` (RFC 8017,
    /// appendix A.1.1).
    fn from_der(der: &[u8]) -> Result<Self, EvidenceError> {
        let unsupported = || {
            EvidenceError::unsupported(
                "a key that is not ECDSA on a NIST curve, Ed25519 or RSA of at least 2048 bits",
            )
        };
        Kind::ALL.into_iter().find_map(|kind| Self::of_kind(kind, der)).ok_or_else(unsupported)
    }

    fn of_kind(kind: Kind, der: &[u8]) -> Option<Self> {
        let key = ParsedPublicKey::new(kind.parser(), der).ok()?;
        let spki = key.as_der().ok()?.as_ref().to_vec();
        // Nothing after the key, no second spelling of it: then an id names one key.
        if spki != der && !(kind == Kind::Rsa && spki.ends_with(der)) {
            return None;
        }
        // aws-lc checks the size of an RSA key only when it is used.
        if kind == Kind::Rsa && !(2048..=8192).contains(&modulus_bits(&spki)?) {
            return None;
        }
        let id = Digest::of(Algorithm::Sha256, &spki).to_string();
        Some(Self { kind, spki, id })
    }

    /// `ecdsa-p256`, `ecdsa-p384`, `ecdsa-p521`, `ed25519` or `rsa`.
    pub fn algorithm(&self) -> &'static str {
        self.kind.name()
    }

    /// SHA-256 of the `SubjectPublicKeyInfo`, as `sha256:…`: its name in policies and reports.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key as `SubjectPublicKeyInfo`, DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The holder of this key, as a report names it.
    pub fn signer(&self) -> Signer {
        Signer::Key { id: self.id.clone(), algorithm: self.kind.name().to_owned() }
    }

    /// Whether a signature is over the content itself, so that it must be read whole.
    pub fn signs_content(&self) -> bool {
        self.kind == Kind::Ed25519
    }

    /// Whether this key made `signature` over content with that digest. Never for Ed25519, which
    /// needs the content.
    pub fn verifies_digest(&self, digest: &Digest, signature: &[u8]) -> bool {
        let algorithm = match digest.algorithm() {
            Algorithm::Sha256 => &lc_digest::SHA256,
            Algorithm::Sha384 => &lc_digest::SHA384,
            Algorithm::Sha512 => &lc_digest::SHA512,
        };
        let Ok(imported) = lc_digest::Digest::import_less_safe(digest.as_bytes(), algorithm) else {
            return false;
        };
        self.kind
            .ways(digest.algorithm())
            .iter()
            .any(|way| way.verify_digest_sig(&self.spki, &imported, signature).is_ok())
    }

    /// Whether this key made `signature` over `content`.
    pub fn verifies(&self, content: &[u8], signature: &[u8]) -> bool {
        if self.kind == Kind::Ed25519 {
            return lc::ED25519.verify_sig(&self.spki, content, signature).is_ok();
        }
        Algorithm::ALL
            .into_iter()
            .any(|algorithm| self.verifies_digest(&Digest::of(algorithm, content), signature))
    }
}

impl fmt::Debug for ManagedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManagedKey({} {})", self.kind.name(), self.id)
    }
}

/// The size of the modulus of an RSA key that aws-lc has written: two sequences, a bit string, a
/// sequence, and then the modulus as an integer, which begins with a zero byte as its top bit is set.
fn modulus_bits(spki: &[u8]) -> Option<usize> {
    /// The content of the element at the front, and what follows it.
    fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
        let (&[found, length], rest) = der.split_first_chunk::<2>()?;
        let (length, rest) = match usize::from(length) {
            short @ 0..=0x7f => (short, rest),
            0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
            0x82 => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            _ => return None,
        };
        (found == tag && length <= rest.len()).then(|| rest.split_at(length))
    }
    let (key, _) = element(spki, 0x30)?;
    let (_, after_algorithm) = element(key, 0x30)?;
    let (bits, _) = element(after_algorithm, 0x03)?;
    let (integers, _) = element(bits.get(1..)?, 0x30)?;
    let (modulus, _) = element(integers, 0x02)?;
    let modulus = &modulus[modulus.iter().position(|byte| *byte != 0)?..];
    Some(modulus.len() * 8 - modulus[0].leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_public_key() {
        for bad in [
            &b""[..],
            b"0",
            b"hello",
            b"\xff\xfe",
            b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
            b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
            b"-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n",
            &vec![0x30; ManagedKey::LIMIT_BYTES + 1],
        ] {
            assert!(ManagedKey::parse(bad).is_err());
        }
    }
}
