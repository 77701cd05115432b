//! A whole Sigstore instance: authority, logs, clock, and the trusted root that names them.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::content::Content;
use super::fulcio::{CtLog, Fulcio};
use super::identity::Identity;
use super::key::Algorithm;
use super::rekor::Rekor;
use super::signing::Signing;
use super::tsa::Tsa;

/// The services of one instance. Two with different labels share no key.
pub struct World {
    /// Goes into the names and keys of all its services.
    pub label: String,
    /// The time of all its clocks; long past, so that no verifier takes it for the future.
    pub now: SystemTime,
    /// Issues certificates.
    pub fulcio: Fulcio,
    /// Log certificates; the first does unless another is asked.
    pub ct_logs: Vec<CtLog>,
    /// The Rekor v1 log.
    pub rekor: Rekor,
    /// The Rekor v2 log.
    pub rekor2: Rekor,
    /// Stamp times.
    pub tsas: Vec<Tsa>,
    is_private: bool,
}

impl World {
    /// An instance like the public one: certificate log, both kinds of Rekor, two timestamp authorities.
    pub fn new(label: &str) -> Self {
        Self::at(label, usual_time())
    }

    /// The same at another time, in whole seconds; everything was set up a year before.
    pub fn at(label: &str, now: SystemTime) -> Self {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Self::of(label, "sigstore.dev", now, false)
    }

    /// An instance like GitHub's for private repositories: timestamps, and no log at all.
    pub fn private(label: &str) -> Self {
        Self::of(label, "GitHub, Inc.", usual_time(), true)
    }

    fn of(label: &str, organization: &'static str, now: SystemTime, is_private: bool) -> Self {
        let start = now - Duration::from_hours(24 * 365);
        Self {
            label: label.to_owned(),
            now,
            fulcio: Fulcio::new(label, organization, start),
            ct_logs: vec![
                CtLog::new(label, Algorithm::P256, start),
                CtLog::new(&format!("{label}-2"), Algorithm::P256, start),
            ],
            rekor: Rekor::v1(label, Algorithm::P256, start),
            rekor2: Rekor::v2(label, start),
            tsas: vec![
                Tsa::new(label, Algorithm::P256, organization, start),
                Tsa::new(&format!("{label}-2"), Algorithm::P384, organization, start),
            ],
            is_private,
        }
    }

    /// The identity that signs if no other is named: a GitHub workflow of `octo/demo` on the tag `v1.2.3`.
    pub fn identity() -> Identity {
        Identity::github("octo/demo", "release.yml", "refs/tags/v1.2.3")
    }

    /// Whether it has no logs.
    pub fn is_private(&self) -> bool {
        self.is_private
    }

    /// Starts a signature over a file.
    pub fn sign(&self, artifact: &[u8]) -> Signing<'_> {
        Signing::new(self, Content::Message(artifact.to_vec()))
    }

    /// Starts an attestation: a signed in-toto statement.
    pub fn attest(&self, statement: &Value) -> Signing<'_> {
        let payload = statement.to_string().into_bytes();
        let payload_type = "application/vnd.in-toto+json".to_owned();
        Signing::new(self, Content::Dsse { payload_type, payload })
    }

    /// The trusted root that names all its services (media type v0.1).
    pub fn trusted_root(&self) -> Value {
        let logs = |list: Vec<Value>| if self.is_private { Vec::new() } else { list };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": logs(vec![self.rekor.trusted(), self.rekor2.trusted()]),
            "certificateAuthorities": [self.fulcio.trusted()],
            "ctlogs": logs(self.ct_logs.iter().map(CtLog::trusted).collect()),
            "timestampAuthorities": self.tsas.iter().map(Tsa::trusted).collect::<Vec<_>>(),
        })
    }
}

/// 2025-06-01T12:00:00Z.
fn usual_time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(485_772)
}
