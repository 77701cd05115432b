//! The verdict on files, folders of release files, and anything else that has a digest.

mod batch;
mod conclude;
mod demands;
mod engine;
mod judge;
mod list;
mod piece;
mod publication;
mod release;

use std::io::{self, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use crate::discover::{DiscoverError, NOT_TEXT, Scan, ScanLimits};
use crate::evidence::Key;
use crate::sigstore::Verifier;
use crate::{
    Artifact, ArtifactRule, Authenticated, Finding, Leniency, Pattern, PolicyFile, Report,
    SignerPolicy, Verdict,
};
pub use demands::{Demands, Requirement};
pub(crate) use engine::Engine;
use engine::hash;
pub use piece::Evidence;
pub use publication::Publication;
use release::{Layout, Release};

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

impl Options {
    fn count_one(&self) {
        if let Some(done) = &self.done {
            done.fetch_add(1, Ordering::Relaxed);
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
    rules: Vec<Rule>,
    options: Options,
}

/// What is asked of artifacts with certain names. Evidence is read and believed for each rule
/// anew: what one rule lets count must not count for another.
#[derive(Debug)]
struct Rule {
    /// All when there are none.
    names: Vec<Pattern>,
    engine: Engine,
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

/// The good signatures over a file, whoever made them.
#[derive(Debug)]
#[non_exhaustive]
pub struct Signatures {
    /// What was looked at.
    pub artifact: Artifact,
    /// They.
    pub good: Vec<Authenticated>,
    /// Every check that was made, also of what is not good.
    pub findings: Vec<Finding>,
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
        let engine = Engine::new(sigstore, keys, demands, options.clone());
        Self { rules: vec![Rule { names: Vec::new(), engine }], options }
    }

    /// An engine that asks of each artifact what the rule of the policy for its name does. Where no
    /// rule is for it, the verdict is undecided. `sigstore` has the roots of trust, unless the
    /// policy brings its own.
    ///
    /// The name is the one by which the artifact was asked for, or its path below the folder that
    /// was: see [`PolicyFile::rule_for`] and, for images in registries,
    /// [`PolicyFile::rule_for_image`]. The first rule that matches holds.
    pub fn of_policy(policy: PolicyFile, sigstore: Verifier, options: Options) -> Self {
        let PolicyFile { trusted_roots, keys, trusted_keys, rules, .. } = policy;
        let sigstore = match trusted_roots {
            Some(roots) => sigstore.with_roots(roots),
            None => sigstore,
        };
        let sigstore = sigstore.with_keys(trusted_keys);
        let rules = rules.into_iter().map(|rule| {
            let sigstore = sigstore.clone().with_thresholds(rule.thresholds);
            let engine = Engine::new(sigstore, keys.clone(), rule.demands, options.clone());
            Rule { names: rule.names, engine }
        });
        Self { rules: rules.collect(), options }
    }

    /// The good signatures over a file, by the evidence that lies beside it and by `more`, whoever
    /// made them; and what came of the rest. No policy is asked, so nothing is accepted.
    ///
    /// # Errors
    /// When the file or its folder cannot be read.
    pub fn signatures_of(
        sigstore: Verifier,
        path: &Path,
        more: &[Evidence],
        options: Options,
    ) -> Result<Signatures, DiscoverError> {
        let demands = Demands::new(SignerPolicy::nobody());
        Engine::new(sigstore, Vec::new(), demands, options).signatures_of(path, more)
    }

    fn rule_for(&self, name: &str) -> Option<usize> {
        self.rules.iter().position(|rule| ArtifactRule::takes(&rule.names, name))
    }

    /// The engine for an image in that repository of a registry.
    pub(crate) fn engine_for_image(&self, repository: &str) -> Option<&Engine> {
        let takes = |rule: &&Rule| ArtifactRule::takes_image(&rule.names, repository);
        self.rules.iter().find(takes).map(|rule| &rule.engine)
    }

    /// The engine for an artifact of that name; `None` when no rule is for it.
    pub(crate) fn engine(&self, name: &str) -> Option<&Engine> {
        self.rule_for(name).map(|rule| &self.rules[rule].engine)
    }

    /// The verdict on an artifact of which the digests are known, by evidence that the caller has.
    /// Signatures that need the content itself (minisign, Ed25519) stay undecided.
    pub fn verify_artifact(&self, artifact: &Artifact, evidence: &[Evidence]) -> Report {
        match self.engine(artifact.name()) {
            Some(engine) => engine.verify_digest(artifact, artifact.name(), evidence),
            None => no_rule(artifact.clone()),
        }
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
        match self.engine(name) {
            Some(engine) => {
                let artifact = Artifact::read(name, source, &engine.algorithms(evidence.iter()))?;
                Ok(engine.verify_digest(&artifact, name, evidence))
            }
            None => Artifact::read(name, source, &[]).map(no_rule),
        }
    }

    /// The verdict on a file, by the evidence that the caller names; nothing else is looked for.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn verify_file_with(
        &self,
        path: &Path,
        evidence: &[Evidence],
    ) -> Result<Report, DiscoverError> {
        let name = path.display().to_string();
        match self.engine(&name) {
            Some(engine) => engine.verify_file_with(path, &name, evidence),
            None => hash(path, &name, &[]).map(no_rule),
        }
    }

    /// The verdict on a file, by the evidence that lies beside it.
    ///
    /// # Errors
    /// When the file or its folder cannot be read.
    #[expect(clippy::missing_panics_doc, reason = "one file has one verdict")]
    pub fn verify_file(&self, path: &Path) -> Result<Report, DiscoverError> {
        self.verify_files(&[path]).pop().expect("one file has one verdict").result
    }

    /// The verdicts on many files, each by the evidence that lies beside it, in the order given.
    /// A folder's evidence is read once for each rule.
    ///
    /// # Panics
    /// Never.
    pub fn verify_files<P: AsRef<Path> + Sync>(&self, paths: &[P]) -> Vec<Judged> {
        let items: Vec<_> = paths
            .iter()
            .map(|path| {
                let path = path.as_ref();
                let shown = path.display().to_string();
                (path, self.rule_for(&shown), split(path), shown)
            })
            .collect();
        let mut places: Vec<(&Path, usize)> = items
            .iter()
            .filter_map(|(_, rule, place, _)| {
                let (folder, _) = place.as_ref().ok()?;
                Some((folder.as_path(), (*rule)?))
            })
            .collect();
        places.sort_unstable();
        places.dedup();
        let releases = batch::each(&places, self.options.threads, |(folder, rule)| {
            let mut names: Vec<&str> = items
                .iter()
                .filter(|(_, own, ..)| own == &Some(*rule))
                .filter_map(|(_, _, place, _)| place.as_ref().ok())
                .filter(|(own, _)| own == folder)
                .map(|(_, name)| name.as_str())
                .collect();
            names.sort_unstable();
            let layout = Scan::new(folder, false, self.options.limits).map(Layout::new)?;
            Ok(Release::load(&self.rules[*rule].engine, &Arc::new(layout), Some(&names)))
        });
        batch::each(&items, self.options.threads, |(path, rule, place, shown)| {
            let result = match (place, rule) {
                (Err(error), _) => Err(error.again()),
                (Ok(_), None) => self.without_rule(path, shown),
                (Ok((folder, name)), Some(rule)) => {
                    let index = places
                        .binary_search(&(folder.as_path(), *rule))
                        .expect("every folder is in the list");
                    match &releases[index] {
                        Ok(release) => self.rules[*rule].engine.one(release, name, shown, true),
                        Err(error) => Err(DiscoverError::again(error)),
                    }
                }
            };
            Judged { name: shown.clone(), result }
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
        let layout = Arc::new(Layout::new(Scan::new(folder, true, self.options.limits)?));
        let names: Vec<_> =
            layout.artifacts().into_iter().map(|name| (name, self.rule_for(name))).collect();
        let wanted = |index: usize| names.iter().any(|(_, rule)| *rule == Some(index));
        let releases: Vec<Option<Release>> = self
            .rules
            .iter()
            .enumerate()
            .map(|(index, rule)| wanted(index).then(|| Release::load(&rule.engine, &layout, None)))
            .collect();
        let mut files = batch::each(&names, self.options.threads, |(name, rule)| {
            let shown = folder.join(name).display().to_string();
            let release = rule.and_then(|rule| releases[rule].as_ref().map(|there| (rule, there)));
            let result = match release {
                Some((rule, release)) => self.rules[rule].engine.one(release, name, &shown, false),
                None => self.without_rule(&layout.path(name), &shown),
            };
            Judged { name: shown, result }
        });
        files.extend(layout.refused().map(|(name, error)| Judged {
            name: folder.join(name).display().to_string(),
            result: Err(error.again()),
        }));
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(ReleaseReport { files, notes: layout.notes() })
    }

    fn without_rule(&self, path: &Path, shown: &str) -> Result<Report, DiscoverError> {
        let report = hash(path, shown, &[]).map(no_rule);
        self.options.count_one();
        report
    }
}

/// The verdict on an artifact that no rule of the policy is for.
pub(crate) fn no_rule(artifact: Artifact) -> Report {
    let help =
        "add one to `artifacts` of the policy file; a rule without `match` is for all others";
    without(artifact, help.to_owned())
}

/// The same of an image in a registry.
pub(crate) fn no_rule_for_image(artifact: Artifact, repository: &str) -> Report {
    let help = format!(
        "a rule for an image names all of its repository: `match: {}`",
        repository.escape_debug()
    );
    without(artifact, help)
}

fn without(artifact: Artifact, help: String) -> Report {
    let finding = Finding::undecided("policy/no-rule", "the policy has no rule for this artifact");
    Report::conclude(artifact, vec![finding.help(help)], Vec::new())
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
