//! Whom to trust: certificate authorities, transparency logs and timestamp authorities, each with
//! the time in which it was in use.
//!
//! Two roots come with the program, as they were on a day it tells: the public Sigstore instance
//! and GitHub's. Others are read from files. What evidence must carry follows from the root that
//! issued the signer's certificate, never from the evidence: a root with logs asks for a log
//! entry, a root without them (GitHub's) for a timestamp only.

mod read;

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use rustls_pki_types::{CertificateDer, TrustAnchor};

use crate::sigstore::key::PublicKey;
use crate::{Finding, Origin};

pub use read::TrustError;
pub(crate) use read::key_details;

/// The day on which the snapshots that come with the program were taken.
const SNAPSHOT: &str = "2026-10-23T00:00:00Z";

/// A snapshot older than this is still used, with a warning.
const STALE_AFTER: Duration = Duration::from_hours(180 * 24);

/// How much of a file with roots is read.
pub const TRUST_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// Where a root of trust is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RootSource {
    /// It came with the program.
    Embedded,
    /// Its repository gave it, on a day that is known.
    Repository,
    /// The caller gave it.
    Given,
}

/// A set of roots. Which one applies to a signature follows from who issued its certificate.
#[derive(Clone, Debug)]
pub struct TrustRoots {
    roots: Vec<TrustRoot>,
}

impl TrustRoots {
    /// The roots that come with the program: the public Sigstore instance and GitHub's.
    /// Sigstore's staging instance is not among them.
    ///
    /// # Panics
    /// Never: a test reads them.
    pub fn embedded() -> Self {
        let date = humantime::parse_rfc3339(SNAPSHOT).ok();
        let root = |name: &str, text: &str| {
            let mut root = read::root(text.as_bytes(), false)
                .expect("the snapshot was read by a test of this crate");
            name.clone_into(&mut root.name);
            root.date = date;
            root.source = RootSource::Embedded;
            // Verified by a test of this crate, so that not every run pays for it.
            for authority in root.authorities.iter().chain(&root.timestampers) {
                authority.sound.get_or_init(|| true);
            }
            root
        };
        Self { roots: Self::embedded_documents().map(|(name, text)| root(name, text)).into() }
    }

    /// The same as the JSON documents that they are, each with its name: for other programs.
    pub fn embedded_documents() -> [(&'static str, &'static str); 2] {
        use sigstore_trust_root::{SIGSTORE_GITHUB_TRUSTED_ROOT, SIGSTORE_PRODUCTION_TRUSTED_ROOT};
        [
            ("sigstore.dev", SIGSTORE_PRODUCTION_TRUSTED_ROOT),
            ("github.com", SIGSTORE_GITHUB_TRUSTED_ROOT),
        ]
    }

    /// Reads roots from a file's content: one JSON document, or one in each line.
    ///
    /// `date` is when they are known to have been current, e.g. the time of a refresh. Without
    /// one nothing is said about their age.
    ///
    /// # Errors
    /// See [`TrustError`]; nothing is read partly.
    pub fn load(
        content: &[u8],
        origin: &Origin,
        date: Option<SystemTime>,
    ) -> Result<Self, TrustError> {
        let documents = read::documents(content, origin)?;
        let several = documents.len() > 1;
        let mut roots = Vec::with_capacity(documents.len());
        for (index, document) in documents.into_iter().enumerate() {
            let part = Origin { name: origin.name.clone(), part: several.then_some(index + 1) };
            let mut root = read::root(document, false)
                .map_err(|problem| TrustError::Format { origin: part.clone(), problem })?;
            root.name = part.to_string();
            root.date = date;
            root.source = match date {
                Some(_) => RootSource::Repository,
                None => RootSource::Given,
            };
            roots.push(root);
        }
        Ok(Self { roots })
    }

    /// These roots and those of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.roots.extend(other.roots);
        self
    }

    /// These roots, with `newer` in the place of those of that name.
    #[must_use]
    pub fn updated(mut self, name: &str, newer: Self) -> Self {
        self.roots.retain(|root| root.name != name);
        self.and(newer)
    }

    /// Every root.
    pub fn iter(&self) -> impl Iterator<Item = &TrustRoot> {
        self.roots.iter()
    }
}

/// One instance of Sigstore: its authorities and logs.
#[derive(Clone, Debug)]
pub struct TrustRoot {
    pub(crate) name: String,
    pub(crate) date: Option<SystemTime>,
    pub(crate) source: RootSource,
    pub(crate) logs: Vec<Log>,
    pub(crate) ct_logs: Vec<Log>,
    pub(crate) authorities: Vec<Authority>,
    pub(crate) timestampers: Vec<Authority>,
}

impl TrustRoot {
    /// `sigstore.dev`, `github.com`, or the file it was read from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it is known to have been current.
    pub fn date(&self) -> Option<SystemTime> {
        self.date
    }

    /// Where it is from.
    pub fn source(&self) -> RootSource {
        self.source
    }

    /// How many certificate authorities, transparency logs, certificate logs and timestamp
    /// authorities it names, for display.
    pub fn counts(&self) -> [usize; 4] {
        [self.authorities.len(), self.logs.len(), self.ct_logs.len(), self.timestampers.len()]
    }

    /// Whether evidence under this root must be in a transparency log.
    pub fn needs_log(&self) -> bool {
        !self.logs.is_empty()
    }

    /// Whether certificates under this root must be in a certificate log.
    pub fn needs_sct(&self) -> bool {
        !self.ct_logs.is_empty()
    }

    /// That it is used, and how old it is: a warning when it is stale.
    pub fn finding(&self, now: SystemTime) -> Finding {
        let Some(date) = self.date else {
            return Finding::new(
                "trust/root",
                crate::State::Note,
                "root of trust given by the caller",
            )
            .compared("", self.name.clone());
        };
        let day = humantime::format_rfc3339_seconds(date).to_string();
        let day = day.get(..10).unwrap_or(&day);
        let age = now.duration_since(date).unwrap_or_default();
        let days = age.as_secs() / (24 * 60 * 60);
        if age > STALE_AFTER {
            Finding::new(
                "trust/stale",
                crate::State::Warning,
                format!("the root of trust `{}` is of {day}, {days} days old", self.name),
            )
            .help("`dsops verify trust update` gets newer ones; or pass one with `--trusted-root`")
        } else {
            let from = match self.source {
                RootSource::Embedded => ", as it came with this program",
                RootSource::Repository => ", from its repository",
                RootSource::Given => "",
            };
            let text = format!("root of trust `{}` of {day}{from}", self.name);
            Finding::new("trust/root", crate::State::Note, text)
        }
    }
}

/// When something was in use. Both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: SystemTime,
    pub(crate) end: Option<SystemTime>,
}

impl Window {
    pub(crate) fn contains(&self, time: SystemTime) -> bool {
        self.start <= time && self.end.is_none_or(|end| time <= end)
    }

    /// For messages: `2021-01-12T11:53:27Z to now`.
    pub(crate) fn words(&self) -> String {
        let start = humantime::format_rfc3339_seconds(self.start);
        match self.end {
            Some(end) => format!("{start} to {}", humantime::format_rfc3339_seconds(end)),
            None => format!("{start} and after"),
        }
    }
}

/// A transparency log, of signatures or of certificates.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// Its address, for display.
    pub(crate) name: String,
    pub(crate) id: [u8; 32],
    pub(crate) key: PublicKey,
    /// Its name in its own checkpoints, when the log's id is derived from it.
    pub(crate) origin: Option<String>,
    pub(crate) window: Window,
}

/// An authority that issues certificates or timestamps.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    /// Its address, for display.
    pub(crate) name: String,
    /// From the issuing certificate (or the timestamping one) to the root.
    pub(crate) chain: Vec<AuthorityCertificate>,
    pub(crate) window: Window,
    /// Whether each certificate of the chain is signed by the next; found out at first use.
    sound: OnceLock<bool>,
    /// Whether its chain may timestamp; found out at first use.
    timestamps: OnceLock<Result<(), String>>,
}

impl Authority {
    pub(crate) fn new(name: String, chain: Vec<AuthorityCertificate>, window: Window) -> Self {
        Self { name, chain, window, sound: OnceLock::new(), timestamps: OnceLock::new() }
    }

    /// What `check` finds of the chain as one that timestamps, asked once.
    ///
    /// # Errors
    /// Those of `check`.
    pub(crate) fn timestamps(
        &self,
        check: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        self.timestamps.get_or_init(check).clone()
    }

    /// Whether each certificate of the chain is signed by the next one, and the last by itself: a
    /// root that was damaged is found out so. One that stands alone may be signed by anybody.
    pub(crate) fn is_sound(&self) -> bool {
        *self.sound.get_or_init(|| {
            let ders: Vec<&[u8]> = self.chain.iter().map(|cert| cert.der.as_ref()).collect();
            crate::sigstore::are_a_chain(&ders)
        })
    }
}

/// A certificate of an authority.
#[derive(Clone, Debug)]
pub(crate) struct AuthorityCertificate {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) anchor: TrustAnchor<'static>,
    pub(crate) window: Window,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_roots_are_read() {
        let roots = TrustRoots::embedded();
        let counts: Vec<_> = roots.iter().map(|root| (root.name(), root.counts())).collect();
        assert_eq!(counts, [("sigstore.dev", [2, 2, 2, 1]), ("github.com", [6, 0, 0, 6])]);
        let github = roots.iter().nth(1).unwrap();
        assert!(!github.needs_log() && !github.needs_sct());
    }

    #[test]
    fn the_embedded_chains_are_sound() {
        use sigstore_trust_root::{SIGSTORE_GITHUB_TRUSTED_ROOT, SIGSTORE_PRODUCTION_TRUSTED_ROOT};
        for text in [SIGSTORE_PRODUCTION_TRUSTED_ROOT, SIGSTORE_GITHUB_TRUSTED_ROOT] {
            let root = read::root(text.as_bytes(), false).unwrap();
            for authority in root.authorities.iter().chain(&root.timestampers) {
                assert!(authority.is_sound(), "{}", authority.name);
                let turned = authority.chain.iter().rev().cloned().collect();
                let turned = Authority::new(String::new(), turned, authority.window);
                assert!(authority.chain.len() == 1 || !turned.is_sound());
            }
        }
    }

    #[test]
    fn an_old_root_warns() {
        let roots = TrustRoots::embedded();
        let root = roots.iter().next().unwrap();
        let date = root.date().unwrap();
        let finding = |days: u64| root.finding(date + Duration::from_hours(24 * days));
        assert_eq!(finding(10).state, crate::State::Note);
        let stale = finding(400);
        assert_eq!((stale.state, stale.code), (crate::State::Warning, "trust/stale"));
        assert!(stale.message.contains("400 days"), "{}", stale.message);
        // A clock before the snapshot is no reason to warn.
        assert_eq!(root.finding(date - Duration::from_hours(9)).state, crate::State::Note);
    }

    #[test]
    fn windows_include_both_ends() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let window = Window { start: at(10), end: Some(at(20)) };
        assert_eq!([9, 10, 20, 21].map(|s| window.contains(at(s))), [false, true, true, false]);
    }
}
