//! Key pairs of every kind the services and signers use, made from a label where the algorithm allows it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use aws_lc_rs::agreement::{ECDH_P256, ECDH_P384, PrivateKey};
use aws_lc_rs::digest::{SHA256, SHA384, digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};

use super::{base64, der, pem};

/// What kind of key, and with it the hash its signatures use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    P256,
    /// ECDSA on P-384 with SHA-384.
    P384,
    /// Ed25519 over the message itself.
    Ed25519,
    /// RSA PKCS #1 v1.5 with SHA-256, 2048 bits. The only kind that differs from run to run.
    Rsa2048,
}

/// A key pair. The same algorithm and label give the same key, save for RSA, where it holds within one process.
#[derive(Clone)]
pub struct Key(Arc<Inner>);

struct Inner {
    algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair, [u8; 32]),
    Rsa(RsaKeyPair),
}

impl Key {
    /// The key of this label.
    pub fn new(algorithm: Algorithm, label: &str) -> Self {
        // RSA takes long to make, and the others are wanted often.
        static MADE: LazyLock<Mutex<HashMap<(Algorithm, String), Key>>> =
            LazyLock::new(Mutex::default);
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry((algorithm, label.to_owned()))
            .or_insert_with(|| Self(Arc::new(Inner { algorithm, pair: pair(algorithm, label) })))
            .clone()
    }

    /// What kind it is.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// Signs a message. ECDSA signatures are DER and differ each time.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.0.pair {
            Pair::Ecdsa(pair) => {
                pair.sign(&random, message).expect("a whole key signs").as_ref().to_vec()
            }
            Pair::Ed25519(pair, _) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .expect("a whole key signs");
                signature
            }
        }
    }

    /// The public key as `SubjectPublicKeyInfo`.
    pub fn spki(&self) -> Vec<u8> {
        let curve = match self.algorithm() {
            Algorithm::P256 => "1.2.840.10045.3.1.7",
            Algorithm::P384 => "1.3.132.0.34",
            Algorithm::Ed25519 => {
                let algorithm = der::sequence([der::oid("1.3.101.112")]);
                return der::sequence([algorithm, der::bit_string(&self.public_bytes())]);
            }
            Algorithm::Rsa2048 => {
                let Pair::Rsa(pair) = &self.0.pair else { unreachable!("made together") };
                let document: PublicKeyX509Der<'_> =
                    pair.public_key().as_der().expect("a whole key has a public half");
                return document.as_ref().to_vec();
            }
        };
        let algorithm = der::sequence([der::oid("1.2.840.10045.2.1"), der::oid(curve)]);
        der::sequence([algorithm, der::bit_string(&self.public_bytes())])
    }

    /// The public key's own bytes: the point, the 32 bytes of Ed25519, `RSAPublicKey`.
    pub fn public_bytes(&self) -> Vec<u8> {
        match &self.0.pair {
            Pair::Ecdsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed25519(pair, _) => pair.public_key().as_ref().to_vec(),
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// The 32 bytes an Ed25519 key is made from.
    ///
    /// # Panics
    /// It is of another kind.
    pub fn seed(&self) -> [u8; 32] {
        let Pair::Ed25519(_, seed) = &self.0.pair else { panic!("only Ed25519 has a seed") };
        *seed
    }

    /// The public key as `PUBLIC KEY` PEM.
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki())
    }

    /// SHA-256 of `SubjectPublicKeyInfo`: the id of a Rekor v1 or CT log, the hint of a managed key.
    pub fn id(&self) -> [u8; 32] {
        super::sha256(&self.spki())
    }

    /// The hint that cosign gives a managed key: its id in base64.
    pub fn hint(&self) -> String {
        base64(&self.id())
    }

    /// The name of `PublicKeyDetails` in the Sigstore protocol.
    pub fn details(&self) -> &'static str {
        match self.algorithm() {
            Algorithm::P256 => "PKIX_ECDSA_P256_SHA_256",
            Algorithm::P384 => "PKIX_ECDSA_P384_SHA_384",
            Algorithm::Ed25519 => "PKIX_ED25519",
            Algorithm::Rsa2048 => "PKIX_RSA_PKCS1V15_2048_SHA256",
        }
    }

    /// `AlgorithmIdentifier` of its signatures.
    pub(super) fn signature_algorithm(&self) -> Vec<u8> {
        match self.algorithm() {
            Algorithm::P256 => der::sequence([der::oid("1.2.840.10045.4.3.2")]),
            Algorithm::P384 => der::sequence([der::oid("1.2.840.10045.4.3.3")]),
            Algorithm::Ed25519 => der::sequence([der::oid("1.3.101.112")]),
            Algorithm::Rsa2048 => der::sequence([der::oid("1.2.840.113549.1.1.11"), der::null()]),
        }
    }

    /// `AlgorithmIdentifier` of the hash its signatures use.
    pub(super) fn hash_algorithm(&self) -> Vec<u8> {
        der::sequence([der::oid(match self.algorithm() {
            Algorithm::P384 => "2.16.840.1.101.3.4.2.2",
            _ => "2.16.840.1.101.3.4.2.1",
        })])
    }

    /// That hash.
    pub(super) fn hash(&self, data: &[u8]) -> Vec<u8> {
        let algorithm = if self.algorithm() == Algorithm::P384 { &SHA384 } else { &SHA256 };
        digest(algorithm, data).as_ref().to_vec()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:?}, {})", self.algorithm(), self.hint())
    }
}

/// Makes the pair of a label: its hash is the private key.
fn pair(algorithm: Algorithm, label: &str) -> Pair {
    let label = format!("dsops stand-in key: {label}");
    match algorithm {
        Algorithm::P256 => {
            let secret = digest(&SHA256, label.as_bytes());
            let public = PrivateKey::from_private_key(&ECDH_P256, secret.as_ref())
                .and_then(|key| Ok(key.compute_public_key()?))
                .expect("a hash is below the order of the curve, but for one in 2^32");
            Pair::Ecdsa(ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, secret.as_ref(), public.as_ref()))
        }
        Algorithm::P384 => {
            let secret = digest(&SHA384, label.as_bytes());
            let public = PrivateKey::from_private_key(&ECDH_P384, secret.as_ref())
                .and_then(|key| Ok(key.compute_public_key()?))
                .expect("a hash is below the order of the curve, but for one in 2^190");
            Pair::Ecdsa(ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING, secret.as_ref(), public.as_ref()))
        }
        Algorithm::Ed25519 => {
            let seed = super::sha256(label.as_bytes());
            let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes will do");
            Pair::Ed25519(pair, seed)
        }
        Algorithm::Rsa2048 => {
            Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("the kernel has random bytes"))
        }
    }
}

fn ecdsa(
    algorithm: &'static aws_lc_rs::signature::EcdsaSigningAlgorithm,
    secret: &[u8],
    public: &[u8],
) -> EcdsaKeyPair {
    EcdsaKeyPair::from_private_key_and_public_key(algorithm, secret, public)
        .expect("the public half was computed from the private one")
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256,
        UnparsedPublicKey,
    };

    use super::*;

    #[test]
    fn each_kind_signs_and_a_label_names_one_key() {
        let kinds: [(Algorithm, &'static dyn aws_lc_rs::signature::VerificationAlgorithm); 4] = [
            (Algorithm::P256, &ECDSA_P256_SHA256_ASN1),
            (Algorithm::P384, &ECDSA_P384_SHA384_ASN1),
            (Algorithm::Ed25519, &ED25519),
            (Algorithm::Rsa2048, &RSA_PKCS1_2048_8192_SHA256),
        ];
        for (algorithm, verification) in kinds {
            let key = Key::new(algorithm, "a");
            let public = UnparsedPublicKey::new(verification, key.spki());
            public.verify(b"message", &key.sign(b"message")).unwrap();
            public.verify(b"other", &key.sign(b"message")).unwrap_err();
            assert_eq!(Key::new(algorithm, "a").id(), key.id());
            assert_ne!(Key::new(algorithm, "b").id(), key.id());
        }
    }
}
