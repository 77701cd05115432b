//! The verdict on files, folders of release files, and anything else that has a digest.

mod batch;
mod conclude;
mod demands;
mod judge;
mod list;
mod piece;
mod release;

use std::io::{self, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use crate::discover::{DiscoverError, NOT_TEXT, Scan, ScanLimits, open_regular};
use crate::evidence::Key;
use crate::sigstore::{TrustedKey, Verifier};
use crate::{Algorithm, Artifact, Finding, Leniency, Report, Verdict};
use conclude::conclude;
pub use demands::{Demands, Requirement};
use judge::{Judge, Target};
pub use piece::Evidence;
use release::Release;

/// How the engine works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How many threads verify many files; as many as there are processors when `None`.
    pub threads: Option<NonZero<usize>>,
    /// How much of a folder is looked at.
    pub limits: ScanLimits,
    /// How strictly bundles are read.
    pub leniency: Leniency,
    /// What SSH signatures must have been made for; `file` by default.
    pub ssh_namespace: String,
    /// The time of the verdict, by which keys are in use or not.
    pub now: SystemTime,
    /// Counts the artifacts that are done, for whoever shows progress.
    pub done: Option<Arc<AtomicUsize>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: None,
            limits: ScanLimits::default(),
            leniency: Leniency::default(),
            ssh_namespace: "file".to_owned(),
            now: SystemTime::now(),
            done: None,
        }
    }
}

/// Verifies artifacts: finds their evidence, authenticates it, asks the policy, concludes.
///
/// # Security
/// Evidence is found by the names of files, and believed by signatures only. Nothing here uses the
/// network. See [`Report`] for what a verdict means.
#[derive(Debug)]
pub struct ReleaseVerifier {
    sigstore: Verifier,
    keys: Vec<Key>,
    demands: Demands,
    options: Options,
}

/// What came of one of many files.
#[derive(Debug)]
pub struct Judged {
    /// Its path as the caller named it, or below the folder that the caller named.
    pub name: String,
    /// The verdict, or why there is none.
    pub result: Result<Report, DiscoverError>,
}

impl Judged {
    /// The verdict; what cannot be read is undecided.
    pub fn verdict(&self) -> Verdict {
        self.result.as_ref().map_or(Verdict::Undecided, |report| report.verdict)
    }
}

/// What came of a folder.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReleaseReport {
    /// Every file that is not only evidence, in the order of their names. Checksum files and lists
    /// of components are among them.
    pub files: Vec<Judged>,
    /// What is to be said of the folder as a whole: evidence that was not used. Notes only.
    pub notes: Vec<Finding>,
}

impl ReleaseReport {
    /// The worst verdict of all; an empty folder is undecided.
    pub fn verdict(&self) -> Verdict {
        let has = |verdict| self.files.iter().any(|file| file.verdict() == verdict);
        if has(Verdict::Failed) {
            Verdict::Failed
        } else if has(Verdict::Undecided) || self.files.is_empty() {
            Verdict::Undecided
        } else {
            Verdict::Verified
        }
    }
}

impl ReleaseVerifier {
    /// An engine that verifies bundles with `sigstore` and other signatures with `keys`, and holds
    /// what it finds against `demands`. A key makes signatures good; to be accepted, it has to be
    /// among the signers that are demanded.
    pub fn new(sigstore: Verifier, keys: Vec<Key>, demands: Demands, options: Options) -> Self {
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

    /// What must be shown.
    pub fn demands(&self) -> &Demands {
        &self.demands
    }

    /// The verdict on an artifact of which the digests are known, by evidence that the caller has.
    /// Signatures that need the content itself (minisign, Ed25519) stay undecided.
    pub fn verify_artifact(&self, artifact: &Artifact, evidence: &[Evidence]) -> Report {
        self.verify_digest(artifact, artifact.name(), evidence)
    }

    /// The same, of what evidence may call `path`.
    pub(crate) fn verify_digest<'a>(
        &self,
        artifact: &Artifact,
        path: &str,
        evidence: impl IntoIterator<Item = &'a Evidence>,
    ) -> Report {
        let no_content = || -> io::Result<Box<dyn Read>> {
            Err(io::Error::new(io::ErrorKind::Unsupported, "only its digest is at hand"))
        };
        let target = Target { artifact, path, open: &no_content };
        let judge = self.judge(&self.demands);
        let judged = evidence.into_iter().map(|one| judge.judge(one, &target)).collect();
        conclude(artifact.clone(), judged, &self.demands, Vec::new())
    }

    /// The verdict on what `source` gives, by evidence that the caller has. The whole of it is
    /// read into memory only when a signature needs that.
    ///
    /// # Errors
    /// Those of `source`.
    pub fn verify_reader(
        &self,
        name: &str,
        source: impl Read,
        evidence: &[Evidence],
    ) -> io::Result<Report> {
        let artifact = Artifact::read(name, source, &self.algorithms(evidence.iter()))?;
        Ok(self.verify_artifact(&artifact, evidence))
    }

    /// The verdict on a file, by evidence that the caller names; nothing else is looked for.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn verify_file_with(
        &self,
        path: &Path,
        evidence: &[Evidence],
    ) -> Result<Report, DiscoverError> {
        let name = path.display().to_string();
        let artifact = hash(path, &name, &self.algorithms(evidence.iter()))?;
        let open = || reopen(path);
        let target = Target { artifact: &artifact, path: &name, open: &open };
        let judge = self.judge(&self.demands);
        let judged = evidence.iter().map(|one| judge.judge(one, &target)).collect();
        Ok(conclude(artifact.clone(), judged, &self.demands, Vec::new()))
    }

    /// The verdict on a file, by the evidence that lies beside it.
    ///
    /// # Errors
    /// When the file or its folder cannot be read.
    pub fn verify_file(&self, path: &Path) -> Result<Report, DiscoverError> {
        let (folder, name) = split(path)?;
        let release =
            Release::load(self, Scan::new(&folder, false, self.options.limits)?, Some(&[&name]));
        self.one(&release, &name, &path.display().to_string(), true)
    }

    /// The verdicts on many files, each by the evidence that lies beside it, in the order given.
    /// A folder's evidence is read once.
    ///
    /// # Panics
    /// Never.
    pub fn verify_files<P: AsRef<Path> + Sync>(&self, paths: &[P]) -> Vec<Judged> {
        let places: Vec<_> = paths.iter().map(|path| split(path.as_ref())).collect();
        let mut folders: Vec<PathBuf> =
            places.iter().flatten().map(|(folder, _)| folder.clone()).collect();
        folders.sort_unstable();
        folders.dedup();
        let releases = batch::each(&folders, self.options.threads, |folder| {
            let mut names: Vec<&str> = places
                .iter()
                .flatten()
                .filter(|(own, _)| own == folder)
                .map(|(_, name)| name.as_str())
                .collect();
            names.sort_unstable();
            Scan::new(folder, false, self.options.limits)
                .map(|scan| Release::load(self, scan, Some(&names)))
        });
        let items: Vec<_> = paths.iter().zip(places).collect();
        batch::each(&items, self.options.threads, |(path, place)| {
            let shown = path.as_ref().display().to_string();
            let result = match place {
                Err(error) => Err(error.again()),
                Ok((folder, name)) => {
                    let index = folders.binary_search(folder).expect("every folder is in the list");
                    match &releases[index] {
                        Ok(release) => self.one(release, name, &shown, true),
                        Err(error) => Err(error.again()),
                    }
                }
            };
            Judged { name: shown, result }
        })
    }

    /// The verdict on a folder as a release: every file in it and in the folders below.
    ///
    /// Checksum files and lists of components have a verdict of their own, and need no provenance
    /// and no list of components themselves. A file for which there is no evidence is undecided.
    ///
    /// # Errors
    /// When the folder cannot be read, or holds more than the limits allow.
    pub fn verify_directory(&self, folder: &Path) -> Result<ReleaseReport, DiscoverError> {
        let release = Release::load(self, Scan::new(folder, true, self.options.limits)?, None);
        let names = release.artifacts();
        let mut files = batch::each(&names, self.options.threads, |name| {
            let shown = folder.join(name).display().to_string();
            let result = self.one(&release, name, &shown, false);
            Judged { name: shown, result }
        });
        files.extend(release.refused().map(|(name, error)| Judged {
            name: folder.join(name).display().to_string(),
            result: Err(error.again()),
        }));
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(ReleaseReport { files, notes: release.notes() })
    }

    fn one(
        &self,
        release: &Release,
        name: &str,
        shown: &str,
        alone: bool,
    ) -> Result<Report, DiscoverError> {
        let path = release.path(name);
        let artifact = hash(&path, shown, &release.algorithms(self, name))?;
        let open = || reopen(&path);
        let target = Target { artifact: &artifact, path: name, open: &open };
        let demands = if release.is_evidence(name) && !alone {
            self.demands.of_evidence()
        } else {
            self.demands.clone()
        };
        let judged = release.judge(&self.judge(&demands), &target);
        if let Some(done) = &self.options.done {
            done.fetch_add(1, Ordering::Relaxed);
        }
        let mut notes = release.notes_on(name);
        if alone {
            notes.extend(release.notes());
        }
        notes.extend(release.missing_from(name));
        Ok(conclude(artifact.clone(), judged, &demands, notes))
    }

    fn judge<'a>(&'a self, demands: &'a Demands) -> Judge<'a> {
        Judge {
            sigstore: &self.sigstore,
            keys: &self.keys,
            demands,
            namespace: &self.options.ssh_namespace,
            now: self.options.now,
        }
    }

    fn algorithms<'a>(&self, evidence: impl Iterator<Item = &'a Evidence>) -> Vec<Algorithm> {
        evidence.flat_map(|one| one.algorithms(&self.keys)).collect()
    }
}

fn hash(path: &Path, shown: &str, algorithms: &[Algorithm]) -> Result<Artifact, DiscoverError> {
    let file = open_regular(path)?;
    Artifact::read(shown, file, algorithms).map_err(|error| DiscoverError::io(path, error))
}

fn reopen(path: &Path) -> io::Result<Box<dyn Read>> {
    open_regular(path).map(|file| Box::new(file) as Box<dyn Read>).map_err(io::Error::other)
}

/// The folder that a file lies in, and its name there.
fn split(path: &Path) -> Result<(PathBuf, String), DiscoverError> {
    let not_a_file = || DiscoverError::NotRegular { path: path.to_owned() };
    let name = path.file_name().ok_or_else(not_a_file)?;
    let name = name.to_str().ok_or_else(|| {
        DiscoverError::io(path, io::Error::new(io::ErrorKind::InvalidInput, NOT_TEXT))
    })?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok((folder, name.to_owned()))
}
