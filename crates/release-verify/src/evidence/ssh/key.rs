//! Public keys of SSH, and what a signature by each of them looks like.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{self as lc, VerificationAlgorithm};

use super::wire::Reader;
use crate::evidence::{EvidenceError, encoding};
use crate::{Algorithm, Digest, Signer};

/// An SSH public key: Ed25519, ECDSA on a NIST curve, RSA from 2048 bits, or one of the two kinds
/// that live in a security key (`sk-…`).
#[derive(Clone, PartialEq, Eq)]
pub struct SshKey {
    blob: Vec<u8>,
    name: &'static str,
    key: Key,
}

#[derive(Clone, PartialEq, Eq)]
enum Key {
    Ed25519 { point: Vec<u8>, application: Option<Vec<u8>> },
    Ecdsa { curve: Curve, point: Vec<u8>, application: Option<Vec<u8>> },
    Rsa { exponent: Vec<u8>, modulus: Vec<u8> },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    fn name(self) -> &'static [u8] {
        match self {
            Self::P256 => b"nistp256",
            Self::P384 => b"nistp384",
            Self::P521 => b"nistp521",
        }
    }

    /// Bytes of one coordinate.
    fn bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The one hash that SSH uses with it (RFC 5656, section 6.2.1).
    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::P256 => &lc::ECDSA_P256_SHA256_FIXED,
            Self::P384 => &lc::ECDSA_P384_SHA384_FIXED,
            Self::P521 => &lc::ECDSA_P521_SHA512_FIXED,
        }
    }
}

const SK_ED25519: &str = "sk-ssh-ed25519@openssh.com";
const SK_ECDSA: &str = "sk-ecdsa-sha2-nistp256@openssh.com";
const NAMES: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    SK_ED25519,
    SK_ECDSA,
];

impl SshKey {
    /// Reads the line of a `.pub` file: the kind, base64, and perhaps a comment.
    ///
    /// # Errors
    /// [`EvidenceError`] when it is something else, or a certificate, or a kind that is not
    /// accepted (DSA, short RSA).
    pub fn parse(line: &str) -> Result<Self, EvidenceError> {
        let malformed = |problem| EvidenceError::malformed("an SSH public key", problem);
        let mut words = line.split_ascii_whitespace();
        let name = words.next().ok_or_else(|| malformed("it is empty"))?;
        let encoded = words.next().ok_or_else(|| malformed("the base64 is missing"))?;
        let blob = encoding::base64(encoded.as_bytes()).ok_or_else(|| malformed("no base64"))?;
        let key = Self::from_blob(&blob)?;
        if key.name != name {
            return Err(malformed("it is of another kind than it says"));
        }
        Ok(key)
    }

    /// Reads the binary form (RFC 4253, section 6.6).
    pub(super) fn from_blob(blob: &[u8]) -> Result<Self, EvidenceError> {
        let malformed = |problem| EvidenceError::malformed("an SSH public key", problem);
        let short = || malformed("it ends too early, or too late");
        let mut reader = Reader::new(blob);
        let name = reader.string().ok_or_else(short)?;
        let name = NAMES
            .into_iter()
            .find(|known| known.as_bytes() == name)
            .ok_or_else(|| EvidenceError::unsupported("an SSH key of another kind"))?;
        let curve = match name {
            "ecdsa-sha2-nistp256" | SK_ECDSA => Some(Curve::P256),
            "ecdsa-sha2-nistp384" => Some(Curve::P384),
            "ecdsa-sha2-nistp521" => Some(Curve::P521),
            _ => None,
        };
        let application = |reader: &mut Reader<'_>| -> Result<Option<Vec<u8>>, EvidenceError> {
            if !name.starts_with("sk-") {
                return Ok(None);
            }
            Ok(Some(reader.string().ok_or_else(short)?.to_vec()))
        };
        let key = match curve {
            Some(curve) => {
                if reader.string().ok_or_else(short)? != curve.name() {
                    return Err(malformed("its curve is not that of its kind"));
                }
                let point = reader.string().ok_or_else(short)?.to_vec();
                if point.len() != 1 + 2 * curve.bytes() || point[0] != 4 {
                    return Err(malformed("its point is not of that curve"));
                }
                Key::Ecdsa { curve, point, application: application(&mut reader)? }
            }
            None if name == "ssh-rsa" => {
                let exponent = reader.positive().ok_or_else(short)?.to_vec();
                let modulus = reader.positive().ok_or_else(short)?.to_vec();
                let bits = modulus.len() * 8 - modulus[0].leading_zeros() as usize;
                if !(2048..=8192).contains(&bits) {
                    return Err(EvidenceError::unsupported(format!("an RSA key of {bits} bits")));
                }
                Key::Rsa { exponent, modulus }
            }
            None => {
                let point = reader.string().ok_or_else(short)?.to_vec();
                if point.len() != 32 {
                    return Err(malformed("its point is not of that curve"));
                }
                Key::Ed25519 { point, application: application(&mut reader)? }
            }
        };
        reader.end().ok_or_else(short)?;
        Ok(Self { blob: blob.to_vec(), name, key })
    }

    /// Its kind as SSH names it: `ssh-ed25519`.
    pub fn algorithm(&self) -> &'static str {
        self.name
    }

    /// SHA-256 of the key, as `ssh-keygen -l` shows it: `SHA256:…`, base64 without padding.
    ///
    /// # Panics
    /// Never.
    pub fn fingerprint(&self) -> String {
        use base64ct::{Base64Unpadded, Encoding};
        let digest = Digest::of(Algorithm::Sha256, &self.blob);
        let mut text = [0; 43];
        let text = Base64Unpadded::encode(digest.as_bytes(), &mut text)
            .expect("32 bytes are 43 characters of base64");
        format!("SHA256:{text}")
    }

    /// The holder of this key, as a report names it.
    pub fn signer(&self) -> Signer {
        Signer::Key { id: self.fingerprint(), algorithm: self.name.to_owned() }
    }

    /// Verifies a signature in SSH's encoding over `signed`.
    pub(super) fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), EvidenceError> {
        let short =
            || EvidenceError::malformed("an SSH signature", "it ends too early, or too late");
        let mut reader = Reader::new(signature);
        let format = reader.string().ok_or_else(short)?;
        let value = reader.string().ok_or_else(short)?;
        let good = match &self.key {
            Key::Rsa { exponent, modulus } => {
                reader.end().ok_or_else(short)?;
                let parameters = match format {
                    b"rsa-sha2-256" => &lc::RSA_PKCS1_2048_8192_SHA256,
                    b"rsa-sha2-512" => &lc::RSA_PKCS1_2048_8192_SHA512,
                    _ => return Err(EvidenceError::unsupported("an RSA signature over SHA-1")),
                };
                let key = PublicKeyComponents { n: modulus.as_slice(), e: exponent.as_slice() };
                key.verify(parameters, signed, value).is_ok()
            }
            _ if format != self.name.as_bytes() => return Err(EvidenceError::BadSignature),
            Key::Ed25519 { point, application } => {
                let signed = from_device(&mut reader, application.as_deref(), signed);
                let signed = signed.ok_or_else(short)?;
                lc::ED25519.verify_sig(point, &signed, value).is_ok()
            }
            Key::Ecdsa { curve, point, application } => {
                let signed = from_device(&mut reader, application.as_deref(), signed);
                let signed = signed.ok_or_else(short)?;
                let fixed = fixed_width(value, curve.bytes()).ok_or_else(short)?;
                curve.verification().verify_sig(point, &signed, &fixed).is_ok()
            }
        };
        if good { Ok(()) } else { Err(EvidenceError::BadSignature) }
    }
}

impl fmt::Debug for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SshKey({} {})", self.name, self.fingerprint())
    }
}

/// What a security key signs in place of `signed` (OpenSSH, PROTOCOL.u2f): hashes of the
/// application and of `signed`, with its flags and its counter between them. Whether somebody
/// touched it is among the flags, which are signed but not judged, as by `ssh-keygen`.
fn from_device(
    reader: &mut Reader<'_>,
    application: Option<&[u8]>,
    signed: &[u8],
) -> Option<Vec<u8>> {
    let Some(application) = application else {
        reader.end()?;
        return Some(signed.to_vec());
    };
    let flags = reader.byte()?;
    let counter = reader.number()?;
    reader.end()?;
    let mut bytes = digest(&SHA256, application).as_ref().to_vec();
    bytes.push(flags);
    bytes.extend_from_slice(&counter.to_be_bytes());
    bytes.extend_from_slice(digest(&SHA256, signed).as_ref());
    Some(bytes)
}

/// The two numbers of an ECDSA signature (RFC 5656, section 3.1.2) in `width` bytes each.
fn fixed_width(signature: &[u8], width: usize) -> Option<Vec<u8>> {
    let mut reader = Reader::new(signature);
    let mut fixed = Vec::with_capacity(2 * width);
    for number in [reader.positive()?, reader.positive()?] {
        fixed.resize(fixed.len() + width.checked_sub(number.len())?, 0);
        fixed.extend_from_slice(number);
    }
    reader.end()?;
    Some(fixed)
}
