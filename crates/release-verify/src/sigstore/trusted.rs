//! Keys that the caller names, for bundles that are signed with a key instead of a certificate.

use std::time::SystemTime;

use super::key::PublicKey;
use crate::evidence::ManagedKey;

/// A public key that the caller trusts to sign bundles, with the hint it goes by and the time it
/// is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    pub(crate) key: PublicKey,
    pub(crate) id: String,
    pub(crate) hint: Option<String>,
    pub(crate) from: Option<SystemTime>,
    pub(crate) until: Option<SystemTime>,
}

/// A key of a kind that cannot sign bundles: ECDSA on P-521.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key of a kind that does not sign bundles")]
pub struct KeyKindError;

impl TrustedKey {
    /// Trusts that key.
    ///
    /// # Errors
    /// When keys of its kind do not sign bundles.
    pub fn new(key: &ManagedKey) -> Result<Self, KeyKindError> {
        let id = key.id().to_owned();
        let key = PublicKey::from_spki(key.spki()).ok_or(KeyKindError)?;
        Ok(Self { key, id, hint: None, from: None, until: None })
    }

    /// The same key, for bundles with that hint. Without one, the key is for bundles whose hint is
    /// empty or the key's own id: its SHA-256 in hex or base64, as cosign and npm write it.
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

    /// SHA-256 of the key, as `sha256:…`: its name in policies and reports.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the key may be meant by that hint.
    pub(crate) fn answers_to(&self, hint: &str) -> bool {
        if let Some(own) = &self.hint {
            own == hint
        } else {
            let id = self.key.id();
            let base64 = crate::json::to_base64(id.as_bytes());
            let npm = hint.strip_prefix("SHA256:");
            hint.is_empty()
                || [id.hex(), id.to_string(), base64.clone()].iter().any(|own| own == hint)
                || npm.is_some_and(|hint| hint == base64.trim_end_matches('='))
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

    fn key() -> TrustedKey {
        TrustedKey::new(&ManagedKey::parse(PEM.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn hints() {
        let key = key();
        assert!(key.answers_to("") && key.answers_to(key.id()));
        let id = crate::Digest::parse(key.id()).unwrap();
        assert!(
            key.answers_to(&id.hex()) && key.answers_to(&crate::json::to_base64(id.as_bytes()))
        );
        assert!(!key.answers_to("SHA256:other"));
        let npm = format!("SHA256:{}", crate::json::to_base64(id.as_bytes()).trim_end_matches('='));
        assert!(key.answers_to(&npm));
        let named = key.with_hint("SHA256:jl3b");
        assert!(named.answers_to("SHA256:jl3b"));
        assert!(!named.answers_to("") && !named.answers_to(named.id()));
    }

    #[test]
    fn a_key_with_a_time_needs_proof_of_it() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let key = key();
        assert_eq!(key.good_at(&[]), Some(true));
        let key = key.valid(Some(at(10)), Some(at(20)));
        assert_eq!(key.good_at(&[]), None);
        assert_eq!(key.good_at(&[at(10), at(20)]), Some(true));
        assert_eq!(key.good_at(&[at(15), at(21)]), Some(false));
        assert_eq!(key.good_at(&[at(9)]), Some(false));
    }
}
