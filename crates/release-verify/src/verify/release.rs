//! A folder with its evidence read: what is there for which file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use super::Requirement;
use super::batch;
use super::conclude::{Judged, Standing, conclude, ignored, is_bad};
use super::engine::Engine;
use super::judge::{Judge, Target};
use super::list::List;
use super::piece::{self, Evidence};
use crate::auditable;
use crate::discover::{DiscoverError, Of, Role, Scan, open_regular, role};
use crate::evidence::{Checksums, EvidenceError, Key};
use crate::sbom::{self, Authority, Sbom, SbomError};
use crate::{Algorithm, Artifact, Digest, Finding, Origin, State, Verdict};

/// A folder, by the names in it: nothing is read yet.
pub(super) struct Layout {
    scan: Scan,
    /// By path below the folder, every file's role; names in it are such paths too.
    roles: BTreeMap<String, Role>,
}

/// A folder with its evidence read, for one set of demands.
pub(super) struct Release {
    layout: Arc<Layout>,
    /// Evidence that is not read, as there is too much in all.
    beyond: BTreeSet<String>,
    /// Evidence that names one file, by that file.
    named: BTreeMap<String, Vec<Evidence>>,
    /// Evidence for any file.
    any: Vec<Evidence>,
    lists: Vec<List>,
    /// Lists of components, by path.
    sboms: BTreeMap<String, Document>,
}

/// A list of components, and what came of its own signatures.
struct Document {
    of: Of,
    content: Result<Sbom, SbomError>,
    verdict: Verdict,
}

/// A file of evidence that is to be read.
struct Task<'a> {
    path: &'a str,
    of: Of,
    certificate: Option<&'a str>,
}

impl Layout {
    pub(super) fn new(scan: Scan) -> Self {
        let roles = scan.files.iter().map(|path| (path.clone(), role_of(&scan, path))).collect();
        Self { scan, roles }
    }

    /// What has a verdict of its own: everything but signatures, bundles and what goes with them.
    pub(super) fn artifacts(&self) -> Vec<&str> {
        self.roles
            .iter()
            .filter(|(_, role)| matches!(role, Role::Artifact | Role::Checksums(_) | Role::Sbom(_)))
            .map(|(path, _)| path.as_str())
            .collect()
    }

    /// Whether it is evidence for others besides being an artifact.
    pub(super) fn is_evidence(&self, path: &str) -> bool {
        matches!(self.roles.get(path), Some(Role::Checksums(_) | Role::Sbom(_)))
    }

    pub(super) fn refused(&self) -> impl Iterator<Item = (&str, &DiscoverError)> {
        self.scan.refused.iter().map(|(name, error)| (name.as_str(), error))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.scan.root.join(name)
    }

    /// Evidence that was not used and is of no file in particular.
    pub(super) fn notes(&self) -> Vec<Finding> {
        self.roles
            .iter()
            .filter_map(|(own, role)| {
                let why: &str = match role {
                    Role::Ignored(Of::Any, why) => why,
                    Role::Signature(Of::File(of)) if !self.scan.has(of) => {
                        "the file it is of is not here"
                    }
                    _ => return None,
                };
                Some(ignored(&Origin::new(self.shown(own)), why))
            })
            .collect()
    }

    fn shown(&self, path: &str) -> String {
        self.scan.root.join(path).display().to_string()
    }
}

impl Release {
    /// Reads the evidence in a folder. With `only`, what is of other files by its name is left
    /// alone.
    pub(super) fn load(engine: &Engine, layout: &Arc<Layout>, only: Option<&[&str]>) -> Self {
        let Layout { scan, roles } = &**layout;
        let lists_too =
            |name: &str| matches!(roles.get(name), Some(Role::Checksums(_) | Role::Sbom(_)));
        let wanted = |of: &Of| match (of, only) {
            (Of::File(name), Some(only)) => only.contains(&name.as_str()) || lists_too(name),
            _ => true,
        };
        let certificates: BTreeMap<&str, &str> = roles
            .iter()
            .filter_map(|(path, role)| match role {
                Role::Certificate(Of::File(name)) => Some((name.as_str(), path.as_str())),
                _ => None,
            })
            .collect();
        let beyond = beyond(scan, roles, engine.options.limits.evidence_bytes, wanted);
        let tasks: Vec<Task<'_>> = roles
            .iter()
            .filter_map(|(path, role)| match role {
                Role::Bundle(of) if wanted(of) => {
                    Some(Task { path, of: of.clone(), certificate: None })
                }
                Role::Signature(of) if wanted(of) => {
                    let certificate = match of {
                        Of::File(name) => certificates.get(name.as_str()).copied(),
                        _ => None,
                    };
                    Some(Task { path, of: of.clone(), certificate })
                }
                _ => None,
            })
            .collect();
        let read = batch::each(&tasks, engine.options.threads, |task| {
            let files = Files { scan, beyond: &beyond };
            read_evidence(engine, &files, task)
        });
        let mut release = Self {
            layout: Arc::clone(layout),
            beyond,
            named: BTreeMap::new(),
            any: Vec::new(),
            lists: Vec::new(),
            sboms: BTreeMap::new(),
        };
        for evidence in read.into_iter().flatten() {
            match &evidence.of {
                Of::File(name) => release.named.entry(name.clone()).or_default().push(evidence),
                Of::Digest(_) | Of::Any => release.any.push(evidence),
            }
        }
        let lists: Vec<(&String, &Of)> = roles
            .iter()
            .filter_map(|(path, role)| match role {
                Role::Checksums(of) if wanted(of) => Some((path, of)),
                _ => None,
            })
            .collect();
        let lists = batch::each(&lists, engine.options.threads, |(path, of)| {
            release.list(engine, path, of)
        });
        release.lists = lists;
        let sboms: Vec<(&String, &Of)> = roles
            .iter()
            .filter_map(|(path, role)| match role {
                Role::Sbom(of) if wanted(of) => Some((path, of)),
                _ => None,
            })
            .collect();
        let sboms = batch::each(&sboms, engine.options.threads, |(path, of)| {
            release.sbom(engine, path, of).map(|sbom| ((*path).clone(), sbom))
        });
        release.sboms = sboms.into_iter().flatten().collect();
        release
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The digests that the evidence for this file speaks of.
    pub(super) fn algorithms(&self, engine: &Engine, path: &str) -> Vec<Algorithm> {
        let mut algorithms = engine.algorithms(self.for_file(path));
        for list in &self.lists {
            if list.of.as_deref().is_none_or(|of| of == path) {
                let entry = list.entry(path, &|name| self.layout.scan.has(name));
                algorithms
                    .extend(entry.iter().flat_map(|entry| &entry.digests).map(Digest::algorithm));
            }
        }
        algorithms
    }

    /// Everything that the evidence says of one file.
    pub(super) fn judge(&self, judge: &Judge<'_>, target: &Target<'_>) -> Vec<Judged> {
        let (own, elsewhere): (Vec<_>, Vec<_>) = self
            .for_file(target.path)
            .partition(|evidence| !evidence.is_elsewhere(target.path, target.artifact));
        let mut judged: Vec<Judged> =
            own.into_iter().map(|evidence| judge.judge(evidence, target)).collect();
        if !elsewhere.is_empty() {
            let message = match elsewhere.len() {
                1 => "one piece of evidence is of another file".to_owned(),
                count => format!("{count} pieces of evidence are of other files"),
            };
            let finding = Finding::new("evidence/elsewhere", State::Note, message);
            judged.push(Judged::new(Standing::Elsewhere, Requirement::Signature, vec![finding]));
        }
        judged.extend(self.lists.iter().filter_map(|list| {
            list.judge(target.path, target.artifact, &|name| self.layout.scan.has(name))
        }));
        judged.extend(
            self.sboms
                .iter()
                .filter(|(path, _)| path.as_str() != target.path)
                .filter_map(|(path, sbom)| sbom.judge(&self.layout.shown(path), target)),
        );
        judged
    }

    fn for_file(&self, path: &str) -> impl Iterator<Item = &Evidence> {
        self.named.get(path).into_iter().flatten().chain(&self.any)
    }

    /// Evidence of this file that was not read, and why.
    pub(super) fn notes_on(&self, path: &str) -> Vec<Finding> {
        let of_this = |of: &Of| matches!(of, Of::File(of) if of == path);
        // Such a file is called as this one is, with an ending.
        let beside = self
            .layout
            .roles
            .range::<str, _>((Bound::Excluded(path), Bound::Unbounded))
            .take_while(|(own, _)| own.starts_with(path));
        let kinds = beside.filter_map(|(own, role)| match role {
            Role::Ignored(of, why) if of_this(of) => {
                Some(ignored(&Origin::new(self.layout.shown(own)), why))
            }
            _ => None,
        });
        let refused = self.layout.scan.refused.iter().filter_map(|(own, error)| {
            let of = role_of(&self.layout.scan, own).of()?.clone();
            of_this(&of).then(|| ignored(&Origin::new(self.layout.shown(own)), &error.to_string()))
        });
        kinds.chain(refused).collect()
    }

    /// For a checksum file: what it lists that is not here.
    pub(super) fn missing_from(&self, path: &str) -> Option<Finding> {
        const SHOWN: usize = 10;
        let list = self.lists.iter().find(|list| list.path == path)?;
        let missing = list.missing(|file| self.layout.scan.has(file));
        if missing.is_empty() {
            return None;
        }
        let mut names = missing.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
        if missing.len() > SHOWN {
            names.push_str(", …");
        }
        let message = match missing.len() {
            1 => "one file that it lists is not here".to_owned(),
            count => format!("{count} files that it lists are not here"),
        };
        let mut finding = Finding::new("checksums/absent", State::Note, message).at(&list.origin);
        finding.found = Some(names);
        Some(finding)
    }

    fn list(&self, engine: &Engine, path: &str, of: &Of) -> List {
        let shown = self.layout.shown(path);
        let bytes = self.bytes(path, Checksums::LIMIT_BYTES);
        let origin = Origin::new(shown.clone());
        let of = match of {
            Of::File(name) => Some(name.clone()),
            _ => None,
        };
        let (checksums, content) = match bytes {
            Ok(bytes) => (Checksums::parse(path, &bytes), bytes),
            Err(error) => (Err(error), Vec::new()),
        };
        let algorithms = engine.algorithms(self.for_file(path));
        let artifact = in_memory(&shown, &content, &algorithms);
        let (mut signatures, mut refused, mut denied) = (Vec::new(), Vec::new(), Vec::new());
        for judged in self.own_evidence(engine, path, &artifact, &content) {
            match judged.standing {
                // A statement that says of the list what it must not is no signature of it.
                Standing::About if !judged.said.iter().any(is_bad) => {
                    signatures.extend(judged.signatures);
                }
                // Only what an accepted signer says is there at all. What it says of how the list was
                // made is not asked for.
                Standing::About | Standing::Against
                    if judged.serves == Requirement::Signature && !judged.said.is_empty() =>
                {
                    denied.extend(judged.findings.into_iter().chain(judged.said));
                }
                Standing::Elsewhere if !judged.named => {}
                _ => refused.extend(judged.findings.into_iter().chain(judged.said)),
            }
        }
        List { origin, path: path.to_owned(), of, checksums, signatures, refused, denied }
    }

    fn sbom(&self, engine: &Engine, path: &str, of: &Of) -> Option<Document> {
        let shown = self.layout.shown(path);
        let document = self.bytes(path, sbom::LIMIT_BYTES).ok()?;
        let artifact = in_memory(&shown, &document, &self.algorithms(engine, path));
        let mut judged = self.own_evidence(engine, path, &artifact, &document);
        judged.extend(
            self.lists
                .iter()
                .filter_map(|list| list.judge(path, &artifact, &|name| self.layout.scan.has(name))),
        );
        let report = conclude(artifact, judged, &engine.demands.of_evidence(), Vec::new());
        Some(Document { of: of.clone(), content: Sbom::read(&document), verdict: report.verdict })
    }

    /// What the evidence says of a file that is in memory.
    fn own_evidence(
        &self,
        engine: &Engine,
        path: &str,
        artifact: &Artifact,
        content: &[u8],
    ) -> Vec<Judged> {
        let content: std::sync::Arc<[u8]> = content.into();
        let open = || -> std::io::Result<Box<dyn std::io::Read>> {
            Ok(Box::new(std::io::Cursor::new(content.clone())))
        };
        let target = Target { artifact, path, open: &open };
        let judge = engine.judge(&engine.demands);
        let evidence = self.for_file(path).map(|evidence| judge.judge(evidence, &target));
        engine.demands.hold_evidence(evidence.collect(), artifact)
    }

    fn bytes(&self, path: &str, limit: usize) -> Result<Vec<u8>, EvidenceError> {
        Files { scan: &self.layout.scan, beyond: &self.beyond }.read(path, limit)
    }
}

impl Document {
    /// What this list of components is to an artifact: evidence when it is of it.
    fn judge(&self, shown: &str, target: &Target<'_>) -> Option<Judged> {
        let (artifact, path) = (target.artifact, target.path);
        let origin = Origin::new(shown);
        let named = matches!(&self.of, Of::File(name) if name == path);
        if matches!(self.of, Of::File(_)) && !named {
            return None;
        }
        let findings = match &self.content {
            Err(error) => vec![sbom::unread(error, &origin)],
            Ok(content) => {
                let authority = match self.verdict {
                    Verdict::Verified => Authority::Document,
                    _ => Authority::Nobody,
                };
                let mut findings = content.check(artifact, authority);
                // Read again only for a list that counts.
                if !findings.iter().any(is_bad) {
                    findings.extend(auditable::check_again(artifact, target.open, content));
                }
                findings
            }
        };
        let names_it = findings
            .iter()
            .any(|finding| finding.code == "sbom/artifact" && finding.state == State::Passed);
        let good = !findings.iter().any(is_bad);
        let standing = match (good, names_it || named) {
            (true, true) => Standing::Beside,
            (false, true) => Standing::Refused,
            // A list for another file, or none that says which.
            (_, false) => Standing::Elsewhere,
        };
        let findings = findings.into_iter().map(|finding| finding.at(&origin)).collect();
        let mut judged = Judged::new(standing, Requirement::Sbom, findings);
        judged.named = named;
        Some(judged)
    }
}

fn role_of(scan: &Scan, path: &str) -> Role {
    let (folder, name) = match path.rsplit_once('/') {
        Some((folder, name)) => (Some(folder), name),
        None => (None, path),
    };
    let below = |name: &str| match folder {
        Some(folder) => format!("{folder}/{name}"),
        None => name.to_owned(),
    };
    let place = |of: Of| match of {
        Of::File(name) => Of::File(below(&name)),
        other => other,
    };
    match role(name, |other| scan.has(&below(other))) {
        Role::Bundle(of) => Role::Bundle(place(of)),
        Role::Signature(of) => Role::Signature(place(of)),
        Role::Certificate(of) => Role::Certificate(place(of)),
        Role::Checksums(of) => Role::Checksums(place(of)),
        Role::Sbom(of) => Role::Sbom(place(of)),
        Role::Ignored(of, why) => Role::Ignored(place(of), why),
        Role::Artifact => Role::Artifact,
    }
}

fn read_evidence(engine: &Engine, files: &Files<'_>, task: &Task<'_>) -> Vec<Evidence> {
    let shown = files.scan.root.join(task.path).display().to_string();
    let broken = |error: &EvidenceError| {
        let mut evidence = Evidence::broken(piece::unreadable(error), Origin::new(shown.clone()));
        evidence.of = task.of.clone();
        vec![evidence]
    };
    let bytes = match files.read(task.path, piece::LIMIT_BYTES) {
        Ok(bytes) => bytes,
        Err(error) => return broken(&error),
    };
    let by_key = engine.keys.iter().any(|key| matches!(key, Key::Managed(_)));
    if let Some(certificate) = task.certificate
        && !by_key
    {
        return match files.read(certificate, piece::LIMIT_BYTES) {
            Ok(certificate) => {
                vec![Evidence::read_pair(task.of.clone(), &shown, &bytes, &certificate)]
            }
            Err(error) => broken(&error),
        };
    }
    Evidence::read_as(&task.of, &shown, &bytes, engine.options.leniency)
}

/// The files of a folder, each read up to a limit, and not more than a limit in all.
struct Files<'a> {
    scan: &'a Scan,
    beyond: &'a BTreeSet<String>,
}

impl Files<'_> {
    fn read(&self, path: &str, limit_bytes: usize) -> Result<Vec<u8>, EvidenceError> {
        let too_large = || EvidenceError::TooLarge { what: "the evidence", limit_bytes };
        if self.beyond.contains(path) {
            return Err(EvidenceError::unsupported(
                "one more file, where there is too much already,",
            ));
        }
        let unreadable =
            || EvidenceError::malformed("a file that can be read", "the system refuses it");
        let file = open_regular(&self.scan.root.join(path)).map_err(|_| unreadable())?;
        // One call instead of one for every doubling.
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        let mut bytes =
            Vec::with_capacity(usize::try_from(size).map_or(0, |size| size.min(limit_bytes) + 1));
        file.take(limit_bytes as u64 + 1).read_to_end(&mut bytes).map_err(|_| unreadable())?;
        if bytes.len() > limit_bytes { Err(too_large()) } else { Ok(bytes) }
    }
}

/// The evidence that is one too many, when all is read in order of the names: small files that
/// follow a huge one still are.
fn beyond(
    scan: &Scan,
    roles: &BTreeMap<String, Role>,
    limit_bytes: u64,
    wanted: impl Fn(&Of) -> bool,
) -> BTreeSet<String> {
    let mut left = limit_bytes;
    let mut beyond = BTreeSet::new();
    for (path, role) in roles {
        if matches!(role, Role::Ignored(..)) || !role.of().is_some_and(&wanted) {
            continue;
        }
        let size = std::fs::metadata(scan.root.join(path)).map_or(0, |metadata| metadata.len());
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => {
                beyond.insert(path.clone());
            }
        }
    }
    beyond
}

fn in_memory(name: &str, content: &[u8], algorithms: &[Algorithm]) -> Artifact {
    Artifact::read(name, content, algorithms).expect("reading from memory cannot fail")
}
