//! Keys that the caller names, for bundles that are signed with a key instead of a certificate.

use std::time::SystemTime;

use super::key::{PublicKey, pem_blocks};

/// How long a file with a public key may be.
const LIMIT_BYTES: usize = 64 * 1024;

/// A public key that the caller trusts, with the name it goes by and the time it is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedKey {
    pub(crate) key: PublicKey,
    pub(crate) hint: Option<String>,
    pub(crate) from: Option<SystemTime>,
    pub(crate) until: Option<SystemTime>,
}

/// A public key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Neither a PEM block `PUBLIC KEY` nor such a key in DER.
    #[error("not one public key in PEM or DER (SubjectPublicKeyInfo)")]
    Format,
    /// A private key: it has no place here.
    #[error("a private key; only the public half is needed")]
    Private,
    /// An algorithm that is not known, or a key too small.
    #[error("a key of a kind that is not known")]
    Unsupported,
}

impl ManagedKey {
    /// Reads a public key: PEM (`PUBLIC KEY`), or DER.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn read(content: &[u8]) -> Result<Self, KeyError> {
        if content.len() > LIMIT_BYTES {
            return Err(KeyError::Format);
        }
        let der = match std::str::from_utf8(content) {
            Ok(text) if text.contains("-----BEGIN") => {
                if text.contains("PRIVATE KEY-----") {
                    return Err(KeyError::Private);
                }
                let mut blocks = pem_blocks(text, "PUBLIC KEY").ok_or(KeyError::Format)?;
                if blocks.len() != 1 {
                    return Err(KeyError::Format);
                }
                blocks.remove(0)
            }
            _ => content.to_vec(),
        };
        // A sequence of a sequence: anything else is not even of the right shape.
        if der.first() != Some(&0x30) {
            return Err(KeyError::Format);
        }
        let key = PublicKey::from_spki(&der).ok_or(KeyError::Unsupported)?;
        Ok(Self { key, hint: None, from: None, until: None })
    }

    /// The same key, for bundles with that hint. Without one, the key is tried when the hint is
    /// empty or the key's own id, in hex or base64.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same key, for signatures of that time only, both ends included. The time must then be
    /// proved by a log or a timestamp.
    #[must_use]
    pub fn valid(mut self, from: Option<SystemTime>, until: Option<SystemTime>) -> Self {
        self.from = from;
        self.until = until;
        self
    }

    /// SHA-256 of the key (`SubjectPublicKeyInfo`, DER) in hex: its name in policies and reports.
    pub fn id(&self) -> String {
        self.key.id().hex()
    }

    /// `ecdsa-p256`, `ed25519`, `rsa` …
    pub fn algorithm(&self) -> &'static str {
        self.key.algorithm_name()
    }

    /// The key as `SubjectPublicKeyInfo` in DER.
    pub fn spki(&self) -> &[u8] {
        self.key.spki()
    }

    /// Whether `signature` is this key's over `message`, with the hash the key usually goes with.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verifies(message, signature)
    }

    /// Whether `signature` is this key's over the message of that digest. False for Ed25519 and
    /// ML-DSA keys, which sign messages, not digests.
    pub fn verifies_digest(&self, digest: &crate::Digest, signature: &[u8]) -> bool {
        self.key.verifies_digest(digest, signature)
    }

    /// Whether the key may be meant by that hint.
    pub(crate) fn answers_to(&self, hint: &str) -> bool {
        match &self.hint {
            Some(own) => own == hint,
            None => {
                let id = self.key.id();
                hint.is_empty()
                    || hint == id.hex()
                    || hint == id.to_string()
                    || hint == crate::json::to_base64(id.as_bytes())
            }
        }
    }

    /// Whether all of `times` lie in the key's time; `None` when it has one and there is no proof.
    pub(crate) fn good_at(&self, times: &[SystemTime]) -> Option<bool> {
        if self.from.is_none() && self.until.is_none() {
            return Some(true);
        }
        if times.is_empty() {
            return None;
        }
        Some(times.iter().all(|time| {
            self.from.is_none_or(|from| from <= *time)
                && self.until.is_none_or(|until| *time <= until)
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYI4heOTrNrZO27elFE8ynfrdPMik\n\
        ttRkbe+vJKQ50G6bfwQ3WyhLpRwwwohelDAm8xRzJ56nYsIa3VHivVvpmA==\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn keys_in_pem_and_der() {
        let key = ManagedKey::read(PEM.as_bytes()).unwrap();
        assert_eq!(key.algorithm(), "ecdsa-p256");
        assert_eq!(ManagedKey::read(key.spki()).unwrap(), key);
        let private = PEM.replace("PUBLIC KEY", "PRIVATE KEY");
        assert_eq!(ManagedKey::read(private.as_bytes()), Err(KeyError::Private));
        assert_eq!(ManagedKey::read(format!("{PEM}{PEM}").as_bytes()), Err(KeyError::Format));
        assert_eq!(ManagedKey::read(b"hello"), Err(KeyError::Format));
        assert_eq!(ManagedKey::read(b"0\x03\x02\x01\x01"), Err(KeyError::Unsupported));
        assert_eq!(ManagedKey::read(b""), Err(KeyError::Format));
    }

    #[test]
    fn hints() {
        let key = ManagedKey::read(PEM.as_bytes()).unwrap();
        assert!(key.answers_to("") && key.answers_to(&key.id()));
        assert!(key.answers_to("wNI9atQGlz+VWfO6LRygH4QUfY/8W4RFwiT5i5WRgB0="));
        assert!(!key.answers_to("SHA256:other"));
        let named = key.with_hint("SHA256:jl3b");
        assert!(named.answers_to("SHA256:jl3b"));
        assert!(!named.answers_to("") && !named.answers_to(&named.id()));
    }

    #[test]
    fn a_key_with_a_time_needs_proof_of_it() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let key = ManagedKey::read(PEM.as_bytes()).unwrap();
        assert_eq!(key.good_at(&[]), Some(true));
        let key = key.valid(Some(at(10)), Some(at(20)));
        assert_eq!(key.good_at(&[]), None);
        assert_eq!(key.good_at(&[at(10), at(20)]), Some(true));
        assert_eq!(key.good_at(&[at(15), at(21)]), Some(false));
        assert_eq!(key.good_at(&[at(9)]), Some(false));
    }
}
