//! Lists of ingredients: SPDX and `CycloneDX` documents, read to see what they are about.
//!
//! A document that merely lies beside an artifact proves nothing. It counts when somebody signed
//! it and it names the artifact by a digest: then the list is about these bytes.

mod cyclonedx;
mod elements;
mod names;
mod spdx;
mod tag_value;

use crate::json::{self, Json, JsonError};
use crate::statement::{Statement, StatementError};
use crate::{Artifact, Digest, Finding, Origin, State};

/// A document is read up to this size.
pub const LIMIT_BYTES: usize = 64 << 20;

/// How many components or relationships a document may have.
const LIMIT_ENTRIES: usize = 1_000_000;

/// Which kind of document it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SbomFormat {
    /// SPDX 2.2 or 2.3 as JSON.
    SpdxJson,
    /// SPDX 2.2 or 2.3 as lines of tags and values.
    SpdxTagValue,
    /// `CycloneDX` 1.2 to 1.7 as JSON.
    CycloneDx,
}

impl SbomFormat {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::SpdxJson | Self::SpdxTagValue => "SPDX",
            Self::CycloneDx => "CycloneDX",
        }
    }
}

/// Why a document could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SbomError {
    /// It is no list of ingredients of a form that is known here.
    #[error("it is neither an SPDX nor a CycloneDX document")]
    Unknown,
    /// It is one, of a form that is recognised but not read.
    #[error("{} is recognised, but not read", .form.escape_debug())]
    Unsupported {
        /// Which: `SPDX 3`, `CycloneDX as XML` …
        form: String,
    },
    /// There is more of it than is read.
    #[error("it has {found_bytes} bytes, more than the {LIMIT_BYTES} that are read")]
    TooLarge {
        /// How many bytes it has.
        found_bytes: usize,
    },
    /// A field is missing, occurs twice, or is of another kind.
    #[error("{}{}{problem}", .path, if .path.is_empty() { "" } else { ": " })]
    Malformed {
        /// Where: `packages[3].SPDXID`, or `line 12`; may be empty.
        path: String,
        /// What is wrong there.
        problem: String,
    },
}

impl SbomError {
    /// This as a finding, `sbom/format`: what nobody here reads is undecided, what is malformed
    /// has failed.
    pub fn finding(&self, origin: &Origin) -> Finding {
        let (state, help) = match self {
            Self::Unknown => (State::Undecided, None),
            Self::Unsupported { .. } => (
                State::Undecided,
                Some("ask the publisher for SPDX 2.3 or CycloneDX as JSON, or convert it"),
            ),
            Self::TooLarge { .. } | Self::Malformed { .. } => (State::Failed, None),
        };
        let finding = Finding::new("sbom/format", state, self.to_string()).at(origin);
        help.map_or(finding.clone(), |help| finding.help(help))
    }
}

impl From<JsonError> for SbomError {
    fn from(error: JsonError) -> Self {
        Self::Malformed { path: error.path, problem: error.problem }
    }
}

/// One thing that a document lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Component {
    id: String,
    name: String,
    version: Option<String>,
    purl: Option<String>,
    digests: Vec<Digest>,
    /// Whether it has a name that is the same everywhere: a package URL, a CPE …
    identified: bool,
    supplied: bool,
    is_file: bool,
}

impl Component {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version, when it has one.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Its package URL, when it has one.
    pub fn purl(&self) -> Option<&str> {
        self.purl.as_deref()
    }

    /// Its digests by algorithms that are known here.
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// Whether it is a file, not a package.
    pub fn is_file(&self) -> bool {
        self.is_file
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

/// A list of ingredients, as far as it is needed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sbom {
    format: SbomFormat,
    version: String,
    name: Option<String>,
    created: Option<String>,
    authors: usize,
    components: Vec<Component>,
    /// Indexes of what the document as a whole is about.
    described: Vec<usize>,
    relationships: usize,
    /// Small faults of form, which do not change what it says.
    faults: Vec<String>,
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
        if data.len() > LIMIT_BYTES {
            return Err(SbomError::TooLarge { found_bytes: data.len() });
        }
        let text = data.trim_ascii_start();
        match text.first() {
            Some(b'{') => Self::from_json(&json::parse(data)?),
            _ if has_line(text, "SPDXVersion:") => tag_value::read(data),
            _ => Err(unsupported(text)),
        }
    }

    /// Reads the document that is the predicate of a statement.
    ///
    /// # Errors
    /// [`SbomError`] says what it is instead.
    pub fn from_statement(statement: &Statement) -> Result<Self, SbomError> {
        // Earlier versions of cosign wrapped the document as text.
        match statement.predicate().get("Data") {
            Some(Json::Text(text)) => Self::read(text.as_bytes()),
            Some(document) => Self::from_json(document),
            None => Self::from_json(statement.predicate()),
        }
    }

    fn from_json(document: &Json) -> Result<Self, SbomError> {
        if document.get("spdxVersion").is_some() {
            spdx::read(document)
        } else if document.get("bomFormat").is_some() {
            cyclonedx::read(document)
        } else if is_spdx_3(document) {
            Err(SbomError::Unsupported { form: "SPDX 3".to_owned() })
        } else {
            Err(SbomError::Unknown)
        }
    }

    /// Which kind of document it is.
    pub fn format(&self) -> SbomFormat {
        self.format
    }

    /// The version of the format: `2.3`, `1.6`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its name, when it has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
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
        if !self.faults.is_empty() {
            let message = format!("the document has faults of form: {}", self.faults.join("; "));
            findings.push(Finding::new("sbom/form", State::Warning, message));
        }
        findings.push(elements::check(self));
        findings
    }
}

/// Holds a statement that was found well signed, and whose predicate is a list of ingredients,
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
            Err(error) => findings.push(error.finding(origin)),
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
        Err(error) => vec![error.finding(origin)],
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

/// Whether a line begins with `tag`, looked for near the top.
fn has_line(text: &[u8], tag: &str) -> bool {
    const NEAR: usize = 64 << 10;
    let top = &text[..text.len().min(NEAR)];
    top.split(|byte| *byte == b'\n').any(|line| line.trim_ascii_start().starts_with(tag.as_bytes()))
}

/// What a text that is neither JSON nor tags and values could be.
fn unsupported(text: &[u8]) -> SbomError {
    const NEAR: usize = 4 << 10;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let top = String::from_utf8_lossy(&text[..text.len().min(NEAR)]);
    let form = if top.starts_with('<') && top.contains("cyclonedx.org/schema/bom") {
        "CycloneDX as XML"
    } else if top.starts_with('<') && top.contains("spdx.org/rdf") {
        "SPDX as RDF"
    } else if has_line(text, "spdxVersion:") {
        "SPDX as YAML"
    } else if top.starts_with('{') {
        // Only the mark in front kept it from being read as JSON.
        return SbomError::Malformed {
            path: String::new(),
            problem: "the text starts with a byte order mark, which JSON forbids".to_owned(),
        };
    } else {
        return SbomError::Unknown;
    };
    SbomError::Unsupported { form: form.to_owned() }
}

fn is_spdx_3(document: &Json) -> bool {
    let context = match document.get("@context") {
        Some(Json::Text(text)) => Some(text.as_str()),
        Some(Json::List(list)) => list.iter().find_map(Json::as_str),
        _ => None,
    };
    context.is_some_and(|context| context.starts_with("https://spdx.org/rdf/3."))
}
