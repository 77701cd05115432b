//! The verdict on one bundle: every check that has to hold, made and written down.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::bundle::{Bundle, LogEntry, Material, SignedContent};
use super::certificate::{self, Leaf};
use super::entry::{self, Verifier as LoggedVerifier};
use super::key::PublicKey;
use super::trusted::TrustedKey;
use super::{log, pae, sct, timestamp};
use crate::trust::{TrustRoot, TrustRoots};
use crate::{Artifact, Authenticated, Content, Finding, Origin, Signer, State};

/// How much proof is asked for. The root of trust that issued a certificate may ask for more than
/// this, never for less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[derive(Default)]
pub struct Thresholds {
    /// Distinct transparency logs. A root with logs asks for one.
    pub logs: usize,
    /// Distinct certificate logs. A root with certificate logs asks for one.
    pub scts: usize,
    /// Distinct third parties that vouch for the time: timestamp authorities, and logs by their
    /// promises. A certificate asks for one.
    pub times: usize,
    /// Whether signatures by a key need no log entry, even if a root has logs.
    pub keys_without_log: bool,
}

/// Verifies bundles, against the roots, keys and time that it was made with.
#[derive(Clone, Debug)]
pub struct Verifier {
    roots: TrustRoots,
    keys: Vec<TrustedKey>,
    thresholds: Thresholds,
    now: SystemTime,
}

/// What came of one bundle.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Every check, passed or not, in the order it was made.
    pub findings: Vec<Finding>,
    /// The signature, when every check passed. Nothing is said yet of whether its signer is
    /// accepted: that is the policy's to say.
    pub authenticated: Option<Authenticated>,
}

impl Verifier {
    /// A verifier with those roots and the time of now.
    pub fn new(roots: TrustRoots) -> Self {
        Self { roots, keys: Vec::new(), thresholds: Thresholds::default(), now: SystemTime::now() }
    }

    /// The same with other roots.
    #[must_use]
    pub fn with_roots(mut self, roots: TrustRoots) -> Self {
        self.roots = roots;
        self
    }

    /// The same, which also knows these keys.
    #[must_use]
    pub fn with_keys(mut self, keys: impl IntoIterator<Item = TrustedKey>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// The same, which asks for that much proof.
    #[must_use]
    pub fn with_thresholds(mut self, thresholds: Thresholds) -> Self {
        self.thresholds = thresholds;
        self
    }

    /// The same, at another time. What is said to have happened later than it did not happen.
    #[must_use]
    pub fn at(mut self, now: SystemTime) -> Self {
        self.now = now;
        self
    }

    /// Its roots.
    pub fn roots(&self) -> &TrustRoots {
        &self.roots
    }

    /// The time it judges by.
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// Checks whether the signature of `bundle` is good.
    ///
    /// `artifact` is what was signed, with the digests of [`Bundle::algorithms`]; when an envelope
    /// was signed, it is not looked at: whether a statement is about it is for the statement's
    /// reader. `bytes` are the artifact's, when they are at hand: keys that sign messages instead
    /// of digests (Ed25519) need them.
    ///
    /// # Security
    /// A good signature means nothing until the signer was compared with a policy.
    pub fn authenticate(
        &self,
        bundle: &Bundle,
        artifact: &Artifact,
        bytes: Option<&[u8]>,
    ) -> Outcome {
        match &bundle.material {
            Material::Certificates { leaf, intermediates } => {
                self.by_certificate(bundle, leaf, intermediates, artifact, bytes)
            }
            Material::Key { hint } => self.by_key(bundle, hint, artifact, bytes),
        }
    }

    fn by_certificate(
        &self,
        bundle: &Bundle,
        leaf: &[u8],
        intermediates: &[Vec<u8>],
        artifact: &Artifact,
        bytes: Option<&[u8]>,
    ) -> Outcome {
        let mut checks = Checks::new(bundle.origin());
        let leaf = match Leaf::read(leaf) {
            Ok(leaf) => leaf,
            Err(error) => {
                checks.failed("certificate/profile", format!("the signing certificate: {error}"));
                return checks.end();
            }
        };
        checks.signature(&leaf.key, &bundle.content, artifact, bytes);
        if intermediates.iter().any(|der| certificate::is_self_issued(der)) {
            checks.failed("certificate/chain", "the bundle brings a root of its own");
            return checks.end();
        }
        let logged = LoggedVerifier::Certificate(&leaf.der, &leaf.key);
        let mut first: Option<Checks<'_>> = None;
        for root in self.roots.iter().filter(|root| leaf.may_be_of(root, intermediates)) {
            let mut checks = checks.clone();
            checks.findings.push(root.finding(self.now).at(bundle.origin()));
            let proof = checks.proof(self, bundle, root, &logged, artifact);
            checks.certificate(self, &leaf, intermediates, root, &proof);
            checks.thresholds(
                &proof,
                self.thresholds.logs.max(root.needs_log().into()),
                self.thresholds.times.max(1),
            );
            if checks.good() {
                let signer = Signer::Certificate(leaf.identity);
                return checks.authenticated(signer, bundle, artifact, &proof);
            }
            first.get_or_insert(checks);
        }
        if let Some(checks) = first {
            return checks.end();
        }
        let roots: Vec<_> = self.roots.iter().map(TrustRoot::name).collect();
        checks.findings.push(
            Finding::failed(
                "certificate/chain",
                "no root of trust knows who issued the certificate",
            )
            .compared(roots.join(", "), leaf.parsed.tbs_certificate.issuer.to_string())
            .help("for an instance of its own, pass its root with --trusted-root")
            .at(bundle.origin()),
        );
        checks.end()
    }

    fn by_key(
        &self,
        bundle: &Bundle,
        hint: &str,
        artifact: &Artifact,
        bytes: Option<&[u8]>,
    ) -> Outcome {
        let mut checks = Checks::new(bundle.origin());
        let keys: Vec<_> = self.keys.iter().filter(|key| key.answers_to(hint)).collect();
        let mut first: Option<Checks<'_>> = None;
        for key in keys {
            let logged = LoggedVerifier::Key(&key.key);
            let mut checks = checks.clone();
            checks.signature(&key.key, &bundle.content, artifact, bytes);
            // Not from a root that the evidence picks: one without logs would ask for less.
            let needs_log =
                !self.thresholds.keys_without_log && self.roots.iter().any(TrustRoot::needs_log);
            let root = self
                .roots
                .iter()
                .find(|root| bundle.entries.iter().all(|entry| log::of(entry, root).is_some()))
                .or_else(|| self.roots.iter().next());
            let proof = match root {
                Some(root) => {
                    checks.findings.push(root.finding(self.now).at(bundle.origin()));
                    checks.proof(self, bundle, root, &logged, artifact)
                }
                None if bundle.entries.is_empty() && bundle.timestamps.is_empty() => {
                    Proof::default()
                }
                None => {
                    checks.failed("log/unknown", "no root of trust to check the log entries by");
                    Proof::default()
                }
            };
            checks.thresholds(
                &proof,
                self.thresholds.logs.max(needs_log.into()),
                self.thresholds.times,
            );
            match key.good_at(&proof.times) {
                Some(true) => {}
                Some(false) => {
                    checks.failed("key/time", "the key was not in use when it signed");
                }
                None => checks.failed(
                    "key/time",
                    "the key is good for a certain time, and nothing proves when it signed",
                ),
            }
            if checks.good() {
                let signer = Signer::Key {
                    id: key.id().to_owned(),
                    algorithm: key.key.algorithm_name().to_owned(),
                };
                return checks.authenticated(signer, bundle, artifact, &proof);
            }
            first.get_or_insert(checks);
        }
        if let Some(checks) = first {
            return checks.end();
        }
        checks.findings.push(
            Finding::undecided("key/missing", "signed with a key that was not given")
                .compared(self.keys.iter().map(TrustedKey::id).collect::<Vec<_>>().join(", "), hint)
                .help("pass the publisher's public key with --key")
                .at(bundle.origin()),
        );
        checks.end()
    }
}

/// What third parties vouch for.
#[derive(Clone, Debug, Default)]
struct Proof {
    times: Vec<SystemTime>,
    /// Who vouches for time: each log and authority once.
    witnesses: BTreeSet<(bool, usize)>,
    /// Ids of logs that hold the entry.
    logs: BTreeSet<[u8; 32]>,
}

/// The checks made so far on one bundle.
#[derive(Clone)]
struct Checks<'a> {
    origin: &'a Origin,
    findings: Vec<Finding>,
}

impl<'a> Checks<'a> {
    fn new(origin: &'a Origin) -> Self {
        Self { origin, findings: Vec::new() }
    }

    fn passed(&mut self, code: &'static str, message: impl Into<String>) {
        self.findings.push(Finding::passed(code, message).at(self.origin));
    }

    fn failed(&mut self, code: &'static str, message: impl Into<String>) {
        self.findings.push(Finding::failed(code, message).at(self.origin));
    }

    fn good(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| !matches!(finding.state, State::Failed | State::Undecided))
    }

    fn end(self) -> Outcome {
        Outcome { findings: self.findings, authenticated: None }
    }

    fn authenticated(
        self,
        signer: Signer,
        bundle: &Bundle,
        artifact: &Artifact,
        proof: &Proof,
    ) -> Outcome {
        let content = match &bundle.content {
            SignedContent::Message { .. } => Content::Artifact(artifact.sha256().clone()),
            SignedContent::Envelope { payload_type, payload, .. } => {
                Content::Statement { payload_type: payload_type.clone(), payload: payload.clone() }
            }
        };
        let mut authenticated = Authenticated::new(bundle.origin().clone(), signer, content);
        authenticated.times.clone_from(&proof.times);
        authenticated.logs = proof.logs.len();
        Outcome { findings: self.findings, authenticated: Some(authenticated) }
    }

    /// The signature itself.
    fn signature(
        &mut self,
        key: &PublicKey,
        content: &SignedContent,
        artifact: &Artifact,
        bytes: Option<&[u8]>,
    ) {
        let (digest, signature) = match content {
            SignedContent::Envelope { payload_type, payload, signature } => {
                if key.verifies(&pae(payload_type, payload), signature) {
                    self.passed("signature/envelope", "the signature over the statement is good");
                } else {
                    self.failed(
                        "signature/envelope",
                        "the signature over the statement is not by this signer",
                    );
                }
                return;
            }
            SignedContent::Message { digest, signature } => (digest, signature),
        };
        if let Some(digest) = digest {
            match artifact.digest(digest.algorithm()) {
                Some(own) if own == digest => {}
                Some(own) => {
                    self.findings.push(
                        Finding::failed("signature/digest", "the bundle is of another file")
                            .compared(own.to_string(), digest.to_string())
                            .at(self.origin),
                    );
                }
                None => self.findings.push(
                    Finding::undecided(
                        "signature/digest",
                        format!("the file's {} is not known", digest.algorithm().name()),
                    )
                    .at(self.origin),
                ),
            }
        }
        // Over the file's digest, or over the file itself.
        let (good, missing) = if let Some(usual) = key.usual_hash() {
            let algorithm = digest.as_ref().map_or(usual, crate::Digest::algorithm);
            (
                artifact.digest(algorithm).map(|own| key.verifies_digest(own, signature)),
                format!(
                    "the signature is over the file's {}, which is not known",
                    algorithm.name()
                ),
            )
        } else {
            (
                bytes.map(|bytes| key.verifies(bytes, signature)),
                format!(
                    "an {} key signs the file itself, and only its digest is at hand",
                    key.algorithm_name()
                ),
            )
        };
        match good {
            Some(true) => self.passed("signature/artifact", "the signature over the file is good"),
            Some(false) => self
                .failed("signature/artifact", "the signature is not over this file by this signer"),
            None => self
                .findings
                .push(Finding::undecided("signature/artifact", missing).at(self.origin)),
        }
    }

    /// Timestamps and log entries. Each one that is there has to be good.
    fn proof(
        &mut self,
        verifier: &Verifier,
        bundle: &Bundle,
        root: &TrustRoot,
        logged: &LoggedVerifier<'_>,
        artifact: &Artifact,
    ) -> Proof {
        let mut proof = Proof::default();
        for (index, token) in bundle.timestamps.iter().enumerate() {
            if bundle.timestamps[..index].contains(token) {
                self.failed("timestamp/twice", "a timestamp occurs twice");
                continue;
            }
            match timestamp::verify(token, bundle.content.signature(), root, verifier.now) {
                Ok(good) => {
                    let by = &root.timestampers[good.authority].name;
                    self.passed(
                        "timestamp/authority",
                        format!("timestamp of {} by {by}", moment(good.time)),
                    );
                    proof.witnesses.insert((true, good.authority));
                    proof.times.push(good.time);
                }
                Err(error) => self.failed("timestamp/authority", format!("a timestamp: {error}")),
            }
        }
        let stamped = proof.times.clone();
        for (index, entry) in bundle.entries.iter().enumerate() {
            if bundle.entries[..index].iter().any(|other| same_entry(other, entry)) {
                self.failed("log/twice", "a log entry occurs twice");
                continue;
            }
            if let Err(error) = entry::matches(entry, &bundle.content, logged, artifact) {
                self.failed("log/entry", format!("a log entry is of something else: {error}"));
            } else {
                self.passed("log/entry", "the log entry is of this signature");
            }
            self.log_entry(verifier, entry, root, &stamped, &mut proof);
        }
        proof
    }

    fn log_entry(
        &mut self,
        verifier: &Verifier,
        entry: &LogEntry,
        root: &TrustRoot,
        stamped: &[SystemTime],
        proof: &mut Proof,
    ) {
        let Some(position) = root.logs.iter().position(|log| log.id[..] == entry.log_id) else {
            self.failed(
                "log/unknown",
                format!("a log entry of a log that {} does not know", root.name()),
            );
            return;
        };
        let log = &root.logs[position];
        let mut vouched = false;
        let mut times = stamped.to_vec();
        if let Some(promise) = &entry.promise {
            match log::promise(entry, promise, log, verifier.now) {
                Ok(time) => {
                    self.passed(
                        "log/promise",
                        format!("logged by {} at {}", log.name, moment(time)),
                    );
                    proof.witnesses.insert((false, position));
                    proof.times.push(time);
                    // Its own time says whether the log was in use.
                    times.clear();
                    vouched = true;
                }
                Err(error) => self.failed("log/promise", format!("a log entry: {error}")),
            }
        }
        if let Some(inclusion) = &entry.proof {
            match log::inclusion(entry, inclusion, log) {
                Ok(()) => {
                    self.passed(
                        "log/inclusion",
                        format!("entry {} is in {}", entry.index, log.name),
                    );
                    vouched = true;
                }
                Err(error) => self.failed("log/inclusion", format!("a log entry: {error}")),
            }
            if entry.promise.is_none() && times.is_empty() {
                times.push(verifier.now);
            }
        }
        // A log that is no longer in use cannot vouch for what is new.
        for time in times {
            if let Err(error) = log::in_use(log, time) {
                self.failed("log/time", format!("a log entry: {error}"));
                return;
            }
        }
        if vouched {
            proof.logs.insert(log.id);
        }
    }

    /// The certificate: issued by an authority of `root`, published, in use at every proved time.
    fn certificate(
        &mut self,
        verifier: &Verifier,
        leaf: &Leaf,
        intermediates: &[Vec<u8>],
        root: &TrustRoot,
        proof: &Proof,
    ) {
        let mut issuer = None;
        let times: BTreeSet<_> = proof.times.iter().copied().collect();
        for time in times {
            if !leaf.window.contains(time) {
                self.findings.push(
                    Finding::failed("certificate/time", "signed outside the certificate's time")
                        .compared(leaf.window.words(), moment(time))
                        .at(self.origin),
                );
                return;
            }
            match certificate::chain(&leaf.der, intermediates, root, time) {
                Ok(found) => issuer = Some(found),
                Err(error) => {
                    self.failed("certificate/chain", format!("the signing certificate: {error}"));
                    return;
                }
            }
        }
        // Without a proved time the threshold fails below; nothing can be said of the chain.
        let Some(issuer) = issuer else { return };
        self.passed("certificate/chain", format!("certificate issued by {}", issuer.name));
        let wanted = verifier.thresholds.scts.max(root.needs_sct().into());
        match sct::logs(leaf, &issuer, root) {
            Ok(count) if count < wanted => self.findings.push(
                Finding::failed("certificate/sct", "the certificate is not in enough public logs")
                    .compared(wanted.to_string(), count.to_string())
                    .at(self.origin),
            ),
            Ok(0) => {}
            Ok(count) => {
                self.passed("certificate/sct", format!("certificate published in {}", logs(count)));
            }
            Err(error) => {
                self.failed("certificate/sct", format!("the signing certificate: {error}"));
            }
        }
    }

    fn thresholds(&mut self, proof: &Proof, wanted_logs: usize, wanted_times: usize) {
        if proof.logs.len() < wanted_logs {
            self.findings.push(
                Finding::failed("log/threshold", "not in enough transparency logs")
                    .compared(wanted_logs.to_string(), proof.logs.len().to_string())
                    .at(self.origin),
            );
        }
        if proof.witnesses.len() < wanted_times {
            self.findings.push(
                Finding::failed("timestamp/threshold", "nobody vouches for when it was signed")
                    .compared(wanted_times.to_string(), proof.witnesses.len().to_string())
                    .at(self.origin),
            );
        }
    }
}

/// The same entry of the same log, or the same body in it.
fn same_entry(one: &LogEntry, other: &LogEntry) -> bool {
    one.log_id == other.log_id && (one.index == other.index || one.body == other.body)
}

fn moment(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

fn logs(count: usize) -> String {
    if count == 1 { "1 log".to_owned() } else { format!("{count} logs") }
}
