//! The verdict on one artifact by one set of demands.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::conclude::{Standing, conclude};
use super::judge::{Judge, Target};
use super::release::{Layout, Release};
use super::{Demands, Evidence, Options, Signatures, split};
use crate::discover::{DiscoverError, Scan, open_regular};
use crate::evidence::Key;
use crate::sigstore::{TrustedKey, Verifier};
use crate::{Algorithm, Artifact, Leniency, Report};

/// Authenticates evidence and holds it against one set of demands.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(super) sigstore: Verifier,
    pub(super) keys: Vec<Key>,
    pub(super) demands: Demands,
    pub(super) options: Options,
}

impl Engine {
    pub(super) fn new(
        sigstore: Verifier,
        keys: Vec<Key>,
        demands: Demands,
        options: Options,
    ) -> Self {
        let managed = keys.iter().filter_map(|key| match key {
            Key::Managed(key) => TrustedKey::new(key).ok(),
            _ => None,
        });
        let sigstore = sigstore.with_keys(managed.collect::<Vec<_>>());
        Self { sigstore, keys, demands, options }
    }

    pub(crate) fn sigstore(&self) -> &Verifier {
        &self.sigstore
    }

    pub(crate) fn leniency(&self) -> Leniency {
        self.options.leniency
    }

    /// The verdict on an artifact by its digests, of what evidence may call `path`.
    pub(crate) fn verify_digest<'a>(
        &self,
        artifact: &Artifact,
        path: &str,
        evidence: impl IntoIterator<Item = &'a Evidence>,
    ) -> Report {
        let no_content = || -> io::Result<Box<dyn Read>> {
            Err(io::Error::new(io::ErrorKind::Unsupported, "only its digest is at hand"))
        };
        self.by(evidence, &Target { artifact, path, open: &no_content })
    }

    pub(super) fn verify_file_with(
        &self,
        path: &Path,
        name: &str,
        evidence: &[Evidence],
    ) -> Result<Report, DiscoverError> {
        let artifact = hash(path, name, &self.algorithms(evidence.iter()))?;
        let open = || reopen(path);
        Ok(self.by(evidence, &Target { artifact: &artifact, path: name, open: &open }))
    }

    fn by<'a>(
        &self,
        evidence: impl IntoIterator<Item = &'a Evidence>,
        target: &Target<'_>,
    ) -> Report {
        let judge = self.judge(&self.demands);
        let judged = evidence.into_iter().map(|one| judge.judge(one, target)).collect();
        conclude(target.artifact.clone(), judged, &self.demands, Vec::new())
    }

    /// The verdict on a file of a release. `alone` when it was asked for by itself, and not as one
    /// of a folder.
    pub(super) fn one(
        &self,
        release: &Release,
        name: &str,
        shown: &str,
        alone: bool,
    ) -> Result<Report, DiscoverError> {
        let layout = release.layout();
        let path = layout.path(name);
        let artifact = hash(&path, shown, &release.algorithms(self, name))?;
        let open = || reopen(&path);
        let target = Target { artifact: &artifact, path: name, open: &open };
        let is_evidence = layout.is_evidence(name) && !alone;
        let demands = if is_evidence { self.demands.of_evidence() } else { self.demands.clone() };
        let mut judged = release.judge(&self.judge(&demands), &target);
        if is_evidence {
            judged = self.demands.hold_evidence(judged, &artifact);
        }
        self.options.count_one();
        let mut notes = release.notes_on(name);
        if alone {
            notes.extend(layout.notes());
        }
        notes.extend(release.missing_from(name));
        Ok(conclude(artifact.clone(), judged, &demands, notes))
    }

    pub(super) fn signatures_of(
        &self,
        path: &Path,
        more: &[Evidence],
    ) -> Result<Signatures, DiscoverError> {
        let (folder, name) = split(path)?;
        let layout = Arc::new(Layout::new(Scan::new(&folder, false, self.options.limits)?));
        let release = Release::load(self, &layout, Some(&[&name]));
        let mut algorithms = release.algorithms(self, &name);
        algorithms.extend(self.algorithms(more.iter()));
        let artifact = hash(path, &path.display().to_string(), &algorithms)?;
        let open = || reopen(path);
        let target = Target { artifact: &artifact, path: &name, open: &open };
        let judge = self.judge(&self.demands);
        let mut judged = release.judge(&judge, &target);
        judged.extend(more.iter().map(|one| judge.judge(one, &target)));
        let (mut good, mut findings) = (Vec::new(), Vec::new());
        for one in judged {
            findings.extend(one.findings);
            if one.standing == Standing::About {
                good.extend(one.signatures);
            }
        }
        Ok(Signatures { artifact, good, findings })
    }

    pub(super) fn judge<'a>(&'a self, demands: &'a Demands) -> Judge<'a> {
        Judge {
            sigstore: &self.sigstore,
            keys: &self.keys,
            demands,
            namespace: &self.options.ssh_namespace,
            now: self.options.now,
        }
    }

    pub(super) fn algorithms<'a>(
        &self,
        evidence: impl Iterator<Item = &'a Evidence>,
    ) -> Vec<Algorithm> {
        evidence.flat_map(|one| one.algorithms(&self.keys)).collect()
    }
}

pub(super) fn hash(
    path: &Path,
    shown: &str,
    algorithms: &[Algorithm],
) -> Result<Artifact, DiscoverError> {
    let file = open_regular(path)?;
    Artifact::read_file(shown, file, algorithms).map_err(|error| DiscoverError::io(path, error))
}

fn reopen(path: &Path) -> io::Result<Box<dyn Read>> {
    open_regular(path).map(|file| Box::new(file) as Box<dyn Read>).map_err(io::Error::other)
}
