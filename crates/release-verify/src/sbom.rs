//! Lists of ingredients: SPDX and `CycloneDX` documents, read to see what they are about.
//!
//! A document that merely lies beside an artifact proves nothing. It counts when somebody signed
//! it and it names the artifact by a digest: then the list is about these bytes.

mod names;

use std::collections::HashMap;
use std::fmt::Write as _;

use dsops_sbom::{Document, Kind, Package, Reading, minimum_elements};

use crate::json::Json;
use crate::statement::{Statement, StatementError};
use crate::{Algorithm, Artifact, Digest, Finding, Origin, State};

pub use dsops_sbom::{Form as SbomFormat, LIMIT_BYTES, ReadError as SbomError};

/// A document that could not be read as a finding, `sbom/format`: what nobody here reads is undecided, what is
/// malformed has failed.
pub fn unread(error: &SbomError, origin: &Origin) -> Finding {
    let state = match error {
        SbomError::TooLarge { .. } | SbomError::Malformed { .. } => State::Failed,
        _ => State::Undecided,
    };
    let finding = Finding::new("sbom/format", state, error.to_string()).at(origin);
    error.help().map_or(finding.clone(), |help| finding.help(help))
}

/// One thing that a document lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    package: Package,
    digests: Vec<Digest>,
}

impl Component {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.package.name
    }

    /// Its version, when it has one.
    pub fn version(&self) -> Option<&str> {
        self.package.version.as_deref()
    }

    /// Its package URL, when it has one.
    pub fn purl(&self) -> Option<&str> {
        self.package.purl.as_deref()
    }

    /// Its digests by algorithms that are known here.
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// Whether it is a file, not a package.
    pub fn is_file(&self) -> bool {
        self.package.kind == Some(Kind::File)
    }

    /// Whether it names `artifact`: `None` when there is nothing to compare.
    fn is(&self, artifact: &Artifact) -> Option<bool> {
        let mut comparisons = self.digests.iter().filter_map(|digest| artifact.matches(digest));
        let first = comparisons.next()?;
        Some(comparisons.fold(first, |all, one| all && one))
    }
}

/// Who stands behind a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Authority {
    /// It is what a well-signed statement says about the artifact.
    Statement,
    /// The document is signed as it is: by itself, or as an entry of a signed checksum file.
    Document,
    /// Nobody.
    Nobody,
}

/// An SBOM, as far as it is needed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sbom {
    reading: Reading,
    components: Vec<Component>,
    /// Indexes of what the document as a whole is about.
    described: Vec<usize>,
}

impl Sbom {
    /// Reads a document, whichever of the known forms it has.
    ///
    /// # Errors
    /// [`SbomError`] says what it is instead.
    ///
    /// # Examples
    /// ```
    /// use dsops_release_verify::sbom::{Sbom, SbomFormat};
    /// let text = br#"{
    ///   "bomFormat": "CycloneDX", "specVersion": "1.6",
    ///   "metadata": {"component": {"type": "application", "name": "tool", "version": "1.0.0"}}
    /// }"#;
    /// assert_eq!(Sbom::read(text)?.format(), SbomFormat::CycloneDx);
    /// # Ok::<(), dsops_release_verify::sbom::SbomError>(())
    /// ```
    pub fn read(data: &[u8]) -> Result<Self, SbomError> {
        dsops_sbom::read(data).map(Self::of)
    }

    /// Reads the document that is the predicate of a statement.
    ///
    /// # Errors
    /// [`SbomError`] says what it is instead.
    pub fn from_statement(statement: &Statement) -> Result<Self, SbomError> {
        // Earlier versions of cosign wrapped the document as text.
        match statement.predicate().get("Data") {
            Some(Json::Text(text)) => Self::read(text.as_bytes()),
            Some(document) => dsops_sbom::read_json(document).map(Self::of),
            None => dsops_sbom::read_json(statement.predicate()).map(Self::of),
        }
    }

    fn of(reading: Reading) -> Self {
        let document = &reading.document;
        let places: HashMap<&str, usize> = document
            .packages
            .iter()
            .enumerate()
            .map(|(index, package)| (package.id.as_str(), index))
            .collect();
        let mut described: Vec<usize> =
            document.described.iter().filter_map(|id| places.get(id.as_str()).copied()).collect();
        described.sort_unstable();
        described.dedup();
        let components: Vec<Component> =
            document.packages.iter().map(|package| component(package.clone())).collect();
        if described.is_empty() && reading.form != SbomFormat::CycloneDx {
            // A document with one package is about that one.
            let packages = components.iter().enumerate();
            let mut packages = packages.filter(|(_, component)| !component.is_file());
            if let (Some((index, _)), None) = (packages.next(), packages.next()) {
                described.push(index);
            }
        }
        Self { reading, components, described }
    }

    /// What the document says.
    pub fn document(&self) -> &Document {
        &self.reading.document
    }

    /// Which kind of document it is.
    pub fn format(&self) -> SbomFormat {
        self.reading.form
    }

    /// The version of the format: `2.3`, `1.6`.
    pub fn version(&self) -> &str {
        &self.reading.version
    }

    /// Its name, when it has one.
    pub fn name(&self) -> Option<&str> {
        Some(self.reading.document.name.as_str()).filter(|name| !name.is_empty())
    }

    /// Everything it lists, what it is about too.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// What the document as a whole is about.
    pub fn described(&self) -> impl Iterator<Item = &Component> {
        self.described.iter().filter_map(|index| self.components.get(*index))
    }

    /// Whether it is about `artifact`, and who says so: `sbom/signed`, `sbom/artifact`, then what
    /// is worth a note, `sbom/form` and `sbom/minimum-elements`.
    ///
    /// With [`Authority::Statement`] the statement's subject is what binds it to the artifact;
    /// the caller checks that (see [`Statement::check_subject`]), or calls [`check_statement`].
    /// Here the document must only not contradict it.
    pub fn check(&self, artifact: &Artifact, authority: Authority) -> Vec<Finding> {
        let mut findings = vec![signed(authority), names::check(self, artifact, authority)];
        if !self.reading.faults.is_empty() {
            const SHOWN: usize = 5;
            let faults = self.reading.faults.iter().take(SHOWN).map(ToString::to_string);
            let faults = faults.collect::<Vec<_>>().join("; ");
            let message = format!("the document has faults of form: {faults}");
            findings.push(Finding::new("sbom/form", State::Warning, message));
        }
        findings.push(elements(self));
        findings
    }
}

/// Holds a statement that was found well signed, and whose predicate is an SBOM,
/// against an artifact: its subject and its content.
pub fn check_statement(
    statement: &Statement,
    artifact: &Artifact,
    origin: &Origin,
) -> Vec<Finding> {
    let mut findings = vec![statement.check_subject(artifact)];
    if statement.kind().is_sbom() {
        match Sbom::from_statement(statement) {
            Ok(sbom) => findings.extend(sbom.check(artifact, Authority::Statement)),
            Err(error) => findings.push(unread(&error, origin)),
        }
    } else {
        let error = StatementError::Version { found: statement.predicate_type().to_owned() };
        findings.push(error.finding(origin));
    }
    findings.into_iter().map(|finding| finding.at(origin)).collect()
}

/// Holds the bytes of a document against an artifact.
pub fn check_file(
    data: &[u8],
    artifact: &Artifact,
    authority: Authority,
    origin: &Origin,
) -> Vec<Finding> {
    let findings = match Sbom::read(data) {
        Ok(sbom) => sbom.check(artifact, authority),
        Err(error) => vec![unread(&error, origin)],
    };
    findings.into_iter().map(|finding| finding.at(origin)).collect()
}

fn signed(authority: Authority) -> Finding {
    const CODE: &str = "sbom/signed";
    match authority {
        Authority::Statement => Finding::passed(CODE, "a signed statement carries the document"),
        Authority::Document => Finding::passed(CODE, "the document is signed"),
        Authority::Nobody => Finding::undecided(CODE, "nobody signed the document").help(
            "ask the publisher for a signed one: an attestation, a bundle beside it, or an entry \
             in a signed checksum file",
        ),
    }
}

/// A package with those of its checksums that artifacts are named by.
fn component(package: Package) -> Component {
    let mut digests: Vec<Digest> = package
        .checksums
        .iter()
        .filter_map(|checksum| {
            let algorithm = Algorithm::from_name(&checksum.algorithm.to_ascii_lowercase())?;
            Digest::from_hex(algorithm, &checksum.value)
        })
        .collect();
    digests.extend(names::digests_in_names(package.version.as_deref(), package.purl.as_deref()));
    digests.sort_unstable();
    digests.dedup();
    Component { package, digests }
}

/// The minimum elements that an SBOM should have (NTIA, July 2021): worth a note,
/// never a failure.
fn elements(sbom: &Sbom) -> Finding {
    let count = sbom.components.iter().filter(|component| !component.is_file()).count();
    let missing = minimum_elements(sbom.document());
    let mut message = format!("{} {} with {count} ", sbom.format().name(), sbom.version());
    message.push_str(if count == 1 { "component" } else { "components" });
    if missing.is_empty() {
        message.push_str(" has the minimum elements");
    } else {
        // Writing to a `String` cannot fail.
        let _ = write!(message, " lacks minimum elements: {}", missing.join("; "));
    }
    Finding::new("sbom/minimum-elements", State::Note, message)
}
