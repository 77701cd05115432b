//! A checksum file as evidence: it says of many files what they are, and is itself signed or not.

use super::Requirement;
use super::conclude::{Judged, Standing};
use crate::evidence::{Checksums, Entry, EvidenceError};
use crate::{Artifact, Authenticated, Content, Digest, Finding, Origin};

/// A checksum file that was read, and its signatures.
#[derive(Debug)]
pub(super) struct List {
    pub origin: Origin,
    /// Its own path below the folder of the release.
    pub path: String,
    /// It lies beside one file, and lists only that.
    pub of: Option<String>,
    pub checksums: Result<Checksums, EvidenceError>,
    /// Every good signature over it, whoever made it.
    pub signatures: Vec<Authenticated>,
    /// The checks of every other signature over it.
    pub refused: Vec<Finding>,
    /// What accepted signers say against it.
    pub denied: Vec<Finding>,
}

impl List {
    /// The path that `path`, below the folder of the release, has below the folder of this list;
    /// `None` when it is elsewhere, where this list says nothing.
    fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        match self.path.rsplit_once('/') {
            Some((folder, _)) => path.strip_prefix(folder)?.strip_prefix('/'),
            None => Some(path),
        }
    }

    fn beside(&self, name: &str) -> String {
        match self.path.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{name}"),
            None => name.to_owned(),
        }
    }

    /// The entry for a file: by its path, or by its name alone where the release was downloaded
    /// without its folders.
    pub(super) fn entry(&self, path: &str, has: &dyn Fn(&str) -> bool) -> Option<&Entry> {
        let below = self.below(path)?;
        let checksums = self.checksums.as_ref().ok()?;
        checksums.find(below).or_else(|| {
            let entry = checksums.find_file_name(below).filter(|_| !below.contains('/'))?;
            (!has(&self.beside(&entry.path))).then_some(entry)
        })
    }

    /// What this list lists that is not there: paths below its folder, of which `has` knows.
    pub(super) fn missing(&self, has: impl Fn(&str) -> bool) -> Vec<&str> {
        let Ok(checksums) = &self.checksums else { return Vec::new() };
        checksums
            .entries()
            .iter()
            .filter(|entry| {
                !has(&self.beside(&entry.path)) && !has(&self.beside(entry.file_name()))
            })
            .map(|entry| entry.path.as_str())
            .collect()
    }

    /// What it says of an artifact at `path` below the folder of the release; `None` when it is
    /// about one other file only, or the artifact is the list itself.
    pub(super) fn judge(
        &self,
        path: &str,
        artifact: &Artifact,
        has: &dyn Fn(&str) -> bool,
    ) -> Option<Judged> {
        if path == self.path || self.of.as_deref().is_some_and(|of| of != path) {
            return None;
        }
        let below = self.below(path)?;
        let judged = |standing, finding: Finding| {
            Some(Judged::new(standing, Requirement::Checksums, vec![finding.at(&self.origin)]))
        };
        let checksums = match &self.checksums {
            Ok(checksums) => checksums,
            Err(error) => return judged(Standing::Refused, super::piece::unreadable(error)),
        };
        let Some(entry) = self.entry(path, has) else {
            let Some(entry) = artifact.digests().iter().find_map(|own| checksums.find_digest(own))
            else {
                let mut finding =
                    Finding::undecided("checksums/missing", "it does not list this file");
                if let Some(weak) = checksums.weak().iter().find(|weak| weak.path == below) {
                    finding.message = format!(
                        "it lists this file by {} only, which proves nothing",
                        weak.algorithm
                    );
                }
                return judged(Standing::Elsewhere, finding);
            };
            let finding = Finding::new(
                "checksums/name",
                crate::State::Warning,
                "it lists this file under another name",
            )
            .compared(&entry.path, below);
            return Some(self.listed(finding, artifact));
        };
        let mut known = 0;
        for digest in &entry.digests {
            match artifact.digest(digest.algorithm()) {
                Some(own) if own == digest => known += 1,
                Some(own) => {
                    let finding = Finding::failed(
                        "checksums/digest",
                        "the file is not the one that is listed",
                    )
                    .compared(digest.to_string(), own.to_string());
                    return Some(self.against(finding));
                }
                None => {}
            }
        }
        if known == 0 {
            let wanted = entry.digests.first().map(Digest::to_string).unwrap_or_default();
            let finding =
                Finding::undecided("checksums/digest", "the listed digest was not computed")
                    .compared(wanted, artifact.sha256().to_string());
            return judged(Standing::Refused, finding);
        }
        let good = Finding::passed("checksums/digest", "the file is the one that is listed");
        Some(self.listed(good, artifact))
    }

    fn listed(&self, finding: Finding, artifact: &Artifact) -> Judged {
        let finding = finding.at(&self.origin);
        if !self.denied.is_empty() {
            let denied = Finding::failed(
                "checksums/denied",
                "an accepted signer speaks against the checksum file",
            )
            .at(&self.origin);
            let mut findings = vec![finding, denied];
            findings.extend(self.denied.iter().cloned());
            return Judged::new(Standing::Refused, Requirement::Checksums, findings);
        }
        if self.signatures.is_empty() {
            let unsigned = Finding::undecided(
                "checksums/unsigned",
                "the checksum file has no good signature: who can change the file can change it",
            )
            .help("get the signature of the checksum file, or compare with `dsops verify sha256`")
            .at(&self.origin);
            let mut findings = vec![finding, unsigned];
            findings.extend(self.refused.iter().cloned());
            return Judged::new(Standing::Refused, Requirement::Checksums, findings);
        }
        let mut judged = Judged::new(Standing::About, Requirement::Checksums, vec![finding]);
        judged.signatures = self.signed(artifact);
        judged
    }

    fn against(&self, finding: Finding) -> Judged {
        let finding = finding.at(&self.origin);
        let standing =
            if self.signatures.is_empty() { Standing::Refused } else { Standing::Against };
        let mut judged = Judged::new(standing, Requirement::Checksums, vec![finding]);
        judged.signatures.clone_from(&self.signatures);
        judged
    }

    /// The signatures of the list, as signatures of an artifact that it lists.
    fn signed(&self, artifact: &Artifact) -> Vec<Authenticated> {
        self.signatures
            .iter()
            .map(|signature| Authenticated {
                content: Content::Artifact(artifact.sha256().clone()),
                ..signature.clone()
            })
            .collect()
    }
}
