//! Private keys that sign: ECDSA on P-256, and Ed25519.

mod cosign;
mod error;
mod file;
mod pbes2;

use std::cell::Cell;

use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use dsops_secure_mem::{SecretBytes, scrub_stack};

pub use error::KeyError;
pub use file::{KEY_FILE_LIMIT_BYTES, KeyFile};

use crate::encoding::{base64, pem, sha256};

/// Which kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on NIST P-256 with SHA-256, what Sigstore uses.
    EcdsaP256,
    /// Ed25519 (RFC 8032), over the content itself.
    Ed25519,
}

/// A private key.
///
/// # Security
/// The key lies in protected memory. When it is read and for each signature aws-lc is given a copy, in
/// ordinary memory, which it wipes when it frees it, right afterwards. That thread makes no system
/// call in between, except where aws-lc asks the system for fresh randomness, as it does again after
/// 4096 uses of its generator by a thread. Other threads may make some.
pub struct SigningKey {
    algorithm: Algorithm,
    /// PKCS#8, or for ECDSA also `ECPrivateKey` (RFC 5915).
    private: SecretBytes,
    /// `SubjectPublicKeyInfo`.
    public: Vec<u8>,
}

/// What aws-lc holds while it signs.
enum Pair {
    EcdsaP256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`KeyError::Generate`], [`KeyError::Memory`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        warm_up(algorithm);
        let private = in_own_frame(|| {
            let document = document(algorithm)?;
            Ok::<_, KeyError>(SecretBytes::copy_from(document.as_ref())?)
        })?;
        Self::from_der(private)
    }

    /// A key in DER: PKCS#8 (RFC 5958), or `ECPrivateKey` (RFC 5915).
    ///
    /// # Errors
    /// [`KeyError::Kind`] when it is neither of the two kinds.
    pub(crate) fn from_der(private: SecretBytes) -> Result<Self, KeyError> {
        for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
            warm_up(algorithm);
            let public = in_own_frame(|| {
                let pair = Pair::open(algorithm, &private.try_expose()?);
                Ok::<_, KeyError>(pair.and_then(|pair| pair.public()))
            })?;
            if let Some(public) = public {
                return Ok(Self { algorithm, private, public });
            }
        }
        Err(KeyError::Kind)
    }

    /// Which kind of key it is.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key as `SubjectPublicKeyInfo` (RFC 5280 §4.1).
    pub fn public_der(&self) -> &[u8] {
        &self.public
    }

    /// The same in PEM, as verifiers take it.
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.public)
    }

    /// The hint by which bundles name the key: its SHA-256 in base64, as cosign writes it.
    pub fn hint(&self) -> String {
        base64(sha256(&self.public).as_ref())
    }

    /// The private key in a PEM file, not encrypted: `PRIVATE KEY`, or `EC PRIVATE KEY` if it was
    /// read from one.
    ///
    /// # Errors
    /// [`KeyError::Memory`].
    pub fn to_plain_pem(&self) -> Result<SecretBytes, KeyError> {
        file::to_pem(&self.private)
    }

    /// The private key in a file under a passphrase, in cosign's format: scrypt (N = 2^16, r = 8,
    /// p = 1) and `NaCl`'s secretbox.
    ///
    /// # Errors
    /// [`KeyError::EmptyPassphrase`], [`KeyError::Memory`], [`KeyError::Generate`].
    pub fn to_encrypted_pem(&self, passphrase: &SecretBytes) -> Result<String, KeyError> {
        cosign::seal(&self.private, passphrase)
    }

    /// Signs a message.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.with_pair(|pair| pair.sign(message))
    }

    /// Signs what has that SHA-256: [`KeyError::Sign`] for a key that signs no digests.
    pub(crate) fn sign_digest(&self, digest: &Digest) -> Result<Vec<u8>, KeyError> {
        self.with_pair(|pair| match pair {
            Pair::EcdsaP256(pair) => Ok(pair.sign_digest(digest)?.as_ref().to_vec()),
            Pair::Ed25519(_) => Err(aws_lc_rs::error::Unspecified),
        })
    }

    fn with_pair<R>(
        &self,
        sign: impl FnOnce(&Pair) -> Result<R, aws_lc_rs::error::Unspecified>,
    ) -> Result<R, KeyError> {
        warm_up(self.algorithm);
        in_own_frame(|| {
            let pair = Pair::open(self.algorithm, &self.private.try_expose()?);
            pair.and_then(|pair| sign(&pair).ok()).ok_or(KeyError::Sign)
        })
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("hint", &self.hint())
            .finish_non_exhaustive()
    }
}

impl Pair {
    fn open(algorithm: Algorithm, der: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::EcdsaP256 => {
                EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, der)
                    .map(Self::EcdsaP256)
                    .ok()
            }
            Algorithm::Ed25519 => {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::Ed25519).ok()
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
        Ok(match self {
            Self::EcdsaP256(pair) => pair.sign_digest(&sha256(message))?.as_ref().to_vec(),
            Self::Ed25519(pair) => pair.try_sign(message)?.as_ref().to_vec(),
        })
    }

    fn public(&self) -> Option<Vec<u8>> {
        let der = match self {
            Self::EcdsaP256(pair) => pair.public_key().as_der().ok()?.as_ref().to_vec(),
            Self::Ed25519(pair) => pair.public_key().as_der().ok()?.as_ref().to_vec(),
        };
        Some(der)
    }
}

/// Uses a key that is nobody's, once in each thread. What aws-lc sets up when it is first used, for the
/// process and for the thread, is set up by that: it takes system calls, and at a system call memory can
/// be read, which shall not be while a key is open.
fn warm_up(algorithm: Algorithm) {
    thread_local! {
        static IS_WARM: Cell<[bool; 2]> = const { Cell::new([false; 2]) };
    }
    let mut is_warm = IS_WARM.get();
    if std::mem::replace(&mut is_warm[algorithm as usize], true) {
        return;
    }
    IS_WARM.set(is_warm);
    // What fails here fails again with the key, where it is told. What is no key fails on purpose:
    // errors have a memory of their own.
    let _ = Pair::open(algorithm, &[]);
    if let Ok(document) = document(algorithm)
        && let Some(pair) = Pair::open(algorithm, document.as_ref())
    {
        let _ = (pair.public(), pair.sign(b""));
    }
}

/// A new key in PKCS#8; it is wiped when it is dropped.
fn document(algorithm: Algorithm) -> Result<aws_lc_rs::pkcs8::Document, KeyError> {
    match algorithm {
        Algorithm::EcdsaP256 => {
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
        }
        Algorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()),
    }
    .map_err(|_| KeyError::Generate)
}

/// Runs what handles a key in plain, and clears the stack it used.
fn in_own_frame<R>(compute: impl FnOnce() -> R) -> R {
    #[inline(never)]
    fn frame<R>(compute: impl FnOnce() -> R) -> R {
        compute()
    }
    let result = frame(compute);
    scrub_stack();
    result
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};

    use super::*;

    #[test]
    fn what_is_signed_verifies() {
        for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
            let key = SigningKey::generate(algorithm).unwrap();
            let verify = |message: &[u8], signature: &[u8]| match algorithm {
                Algorithm::EcdsaP256 => {
                    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_der())
                        .verify(message, signature)
                }
                Algorithm::Ed25519 => {
                    UnparsedPublicKey::new(&ED25519, key.public_der()).verify(message, signature)
                }
            };
            let signature = key.sign(b"message").unwrap();
            verify(b"message", &signature).unwrap();
            verify(b"another", &signature).unwrap_err();
            match key.sign_digest(&sha256(b"message")) {
                Ok(signature) => verify(b"message", &signature).unwrap(),
                Err(_) => assert_eq!(algorithm, Algorithm::Ed25519),
            }
            let shown = format!("{key:?}");
            assert!(shown.contains(&key.hint()) && shown.len() < 120, "{shown}");
        }
    }
}
