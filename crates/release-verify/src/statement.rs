//! In-toto statements: a signed sentence that says something of artifacts, named by their digests.
//!
//! A signature over a statement proves who said it. This module answers the rest: is it about
//! this artifact, and is what it says what the rules ask for?

mod builder;
mod certificate;
mod checks;
mod provenance;
mod rules;
mod source;
mod subject;
mod vsa;

pub use builder::BuilderId;
pub use provenance::{Provenance, ProvenanceVersion};
pub(crate) use rules::check_by_signer;
pub use rules::{ProvenanceRules, RuleError};
pub use source::{GitRef, Repository};
pub use subject::{Subject, SubjectMatch};
pub use vsa::SummaryRules;
pub(crate) use vsa::check_result;

use crate::json::{self, Fields, Json, JsonError};
use crate::{Algorithm, Artifact, Finding, Origin, State};

/// The payload type of an envelope that holds a statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A statement is read up to this size.
pub const LIMIT_BYTES: usize = 16 << 20;

/// How many subjects a statement may have.
const LIMIT_SUBJECTS: usize = 100_000;

/// Which form of statement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatementVersion {
    /// `https://in-toto.io/Statement/v0.1`
    V01,
    /// `https://in-toto.io/Statement/v1`
    V1,
}

/// What a statement's predicate is, as far as this program knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PredicateKind {
    /// SLSA provenance v0.2 or v1: how it was built.
    Provenance,
    /// An SPDX document: what is in it.
    Spdx,
    /// A `CycloneDX` document: what is in it.
    CycloneDx,
    /// A SLSA verification summary: who verified it, and with which result.
    VerificationSummary,
    /// GitHub's statement about a release that cannot be changed any more.
    Release,
    /// The npm registry's statement that it published a package.
    NpmPublish,
    /// The Python index's statement by a trusted publisher (PEP 740).
    PypiPublish,
    /// cosign's plain signature of an image, in the form of a statement.
    CosignSignature,
    /// Anything else.
    Other,
}

impl PredicateKind {
    /// The kind of that predicate type.
    pub fn of(predicate_type: &str) -> Self {
        match predicate_type {
            "https://slsa.dev/provenance/v0.2" | "https://slsa.dev/provenance/v1" => {
                Self::Provenance
            }
            "https://slsa.dev/verification_summary/v1"
            | "https://slsa.dev/verification_summary/v0.2" => Self::VerificationSummary,
            "https://in-toto.io/attestation/release/v0.1"
            | "https://in-toto.io/attestation/release/v0.2" => Self::Release,
            "https://github.com/npm/attestation/tree/main/specs/publish/v0.1" => Self::NpmPublish,
            "https://docs.pypi.org/attestations/publish/v1" => Self::PypiPublish,
            "https://sigstore.dev/cosign/sign/v1" => Self::CosignSignature,
            _ if is_version_of(predicate_type, "https://spdx.dev/Document") => Self::Spdx,
            _ if is_version_of(predicate_type, "https://cyclonedx.org/bom") => Self::CycloneDx,
            _ => Self::Other,
        }
    }

    /// Whether it lists what an artifact is made of.
    pub fn is_sbom(self) -> bool {
        matches!(self, Self::Spdx | Self::CycloneDx)
    }
}

/// `base`, or `base/v1.2`.
fn is_version_of(predicate_type: &str, base: &str) -> bool {
    predicate_type.strip_prefix(base).is_some_and(|rest| {
        rest.is_empty()
            || rest.strip_prefix("/v").is_some_and(|version| {
                !version.is_empty()
                    && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            })
    })
}

/// Why bytes are not a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// The envelope says that it holds something else.
    #[error("the payload is of type `{}`, not `{PAYLOAD_TYPE}`", .found.escape_debug())]
    PayloadType {
        /// The type it names.
        found: String,
    },
    /// A statement of a version that is not known here.
    #[error("the statement is of type `{}`, which is not known", .found.escape_debug())]
    Version {
        /// The type it names.
        found: String,
    },
    /// There is more of it than is read.
    #[error("the statement has {found_bytes} bytes, more than the {LIMIT_BYTES} that are read")]
    TooLarge {
        /// How many bytes it has.
        found_bytes: usize,
    },
    /// Not JSON, a key that occurs twice, or a field that is missing or of another kind.
    #[error("{}{}{problem}", .path, if .path.is_empty() { "" } else { ": " })]
    Malformed {
        /// Where, as `subject[0].digest`; may be empty.
        path: String,
        /// What is wrong there.
        problem: String,
    },
}

impl StatementError {
    /// This as a finding: what nobody here reads is undecided, what is malformed has failed.
    pub fn finding(&self, origin: &Origin) -> Finding {
        let state = match self {
            Self::PayloadType { .. } | Self::Version { .. } => State::Undecided,
            Self::TooLarge { .. } | Self::Malformed { .. } => State::Failed,
        };
        Finding::new("statement/format", state, self.to_string()).at(origin)
    }
}

impl From<JsonError> for StatementError {
    fn from(error: JsonError) -> Self {
        Self::Malformed { path: error.path, problem: error.problem }
    }
}

/// A statement as it was signed.
///
/// Source: in-toto Attestation Framework, Statement v0.1 and v1.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    version: StatementVersion,
    subjects: Vec<Subject>,
    predicate_type: String,
    predicate: Json,
}

impl Statement {
    /// Reads the payload of an envelope, strictly: no key occurs twice, every field is of its
    /// kind, every subject has a digest, every digest of a known algorithm is one. Fields that
    /// are not known are skipped, as the framework asks of every reader.
    ///
    /// # Errors
    /// [`StatementError`] says what it is instead.
    ///
    /// # Examples
    /// ```
    /// use dsops_release_verify::statement::{PAYLOAD_TYPE, PredicateKind, Statement};
    /// let payload = br#"{
    ///   "_type": "https://in-toto.io/Statement/v1",
    ///   "subject": [{"name": "a.txt", "digest": {"gitCommit": "0123456789012345678901234567890123456789"}}],
    ///   "predicateType": "https://slsa.dev/provenance/v1",
    ///   "predicate": {}
    /// }"#;
    /// let statement = Statement::read(PAYLOAD_TYPE, payload)?;
    /// assert_eq!(statement.kind(), PredicateKind::Provenance);
    /// # Ok::<(), dsops_release_verify::statement::StatementError>(())
    /// ```
    pub fn read(payload_type: &str, payload: &[u8]) -> Result<Self, StatementError> {
        if payload_type != PAYLOAD_TYPE {
            return Err(StatementError::PayloadType { found: payload_type.to_owned() });
        }
        if payload.len() > LIMIT_BYTES {
            return Err(StatementError::TooLarge { found_bytes: payload.len() });
        }
        let document = json::parse(payload)?;
        let mut fields = Fields::of(&document, "")?;
        let version = match fields.text("_type")? {
            "https://in-toto.io/Statement/v0.1" => StatementVersion::V01,
            "https://in-toto.io/Statement/v1" => StatementVersion::V1,
            other => return Err(StatementError::Version { found: other.to_owned() }),
        };
        let subjects = fields
            .objects("subject", LIMIT_SUBJECTS)?
            .into_iter()
            .map(Subject::read)
            .collect::<Result<Vec<_>, _>>()?;
        if subjects.is_empty() {
            return Err(fields.error("subject", "names no artifact").into());
        }
        let predicate_type = fields.text("predicateType")?.to_owned();
        if predicate_type.is_empty() {
            return Err(fields.error("predicateType", "is empty").into());
        }
        let predicate = match fields.optional("predicate") {
            None => Json::Object(Vec::new()),
            Some(predicate @ Json::Object(_)) => predicate.clone(),
            Some(_) => return Err(fields.error("predicate", "is not an object").into()),
        };
        Ok(Self { version, subjects, predicate_type, predicate })
    }

    /// Which form of statement it is.
    pub fn version(&self) -> StatementVersion {
        self.version
    }

    /// What it is about.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// What kind of thing it says, as it stands there.
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// What kind of thing it says, as far as it is known here.
    pub fn kind(&self) -> PredicateKind {
        PredicateKind::of(&self.predicate_type)
    }

    /// What it says.
    pub(crate) fn predicate(&self) -> &Json {
        &self.predicate
    }

    /// The algorithms by which it names artifacts: what has to be computed of an artifact before
    /// [`Statement::check_subject`] can decide.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let named = |algorithm: &Algorithm| {
            self.subjects.iter().any(|subject| subject.digest(*algorithm).is_some())
        };
        Algorithm::ALL.into_iter().filter(named).collect()
    }

    /// Whether it is about `artifact`: the first subject that matches, else the first that is
    /// contradictory, else why not.
    pub fn covers(&self, artifact: &Artifact) -> SubjectMatch<'_> {
        subject::covers(&self.subjects, artifact)
    }

    /// [`Statement::covers`] as a finding, `statement/subject`.
    pub fn check_subject(&self, artifact: &Artifact) -> Finding {
        subject::check(&self.subjects, artifact)
    }

    /// Whether what it says is of type `expected`, exactly: `statement/predicate-type`.
    pub fn check_predicate_type(&self, expected: &str) -> Finding {
        const CODE: &str = "statement/predicate-type";
        if self.predicate_type == expected {
            Finding::passed(CODE, "the statement is of the kind asked for")
        } else {
            Finding::failed(CODE, "the statement is of another kind")
        }
        .compared(expected, &self.predicate_type)
    }
}
