//! The subjects of a statement, and whether an artifact is one of them.

use super::StatementError;
use crate::json::{Fields, Json};
use crate::{Algorithm, Artifact, Digest, Finding};

/// An artifact that a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    name: Option<String>,
    digests: Vec<Digest>,
    others: Vec<(String, String)>,
}

impl Subject {
    pub(super) fn read(mut fields: Fields<'_>) -> Result<Self, StatementError> {
        let name = fields.optional_text("name")?;
        let uri = fields.optional_text("uri")?;
        // cosign names what it signs from standard input `_` or not at all.
        let name = [name, uri].into_iter().flatten().find(|name| !name.is_empty() && *name != "_");
        let Json::Object(entries) = fields.required("digest")? else {
            return Err(fields.error("digest", "is not an object").into());
        };
        let mut digests = Vec::new();
        let mut others = Vec::new();
        for (algorithm, value) in entries {
            let path = format!("{}.{}", fields.path("digest"), algorithm.escape_debug());
            let malformed = |problem: &str| StatementError::Malformed {
                path: path.clone(),
                problem: problem.to_owned(),
            };
            let text = value.as_str().ok_or_else(|| malformed("is not a text"))?;
            if text.is_empty() {
                return Err(malformed("is empty"));
            }
            match Algorithm::from_name(algorithm) {
                Some(known) => {
                    let digest = Digest::from_hex(known, text)
                        .filter(|_| !text.bytes().any(|byte| byte.is_ascii_uppercase()))
                        .ok_or_else(|| {
                            malformed("is not a digest of that algorithm in lower case")
                        })?;
                    digests.push(digest);
                }
                None => others.push((algorithm.clone(), text.to_owned())),
            }
        }
        if digests.is_empty() && others.is_empty() {
            return Err(fields.error("digest", "names no digest").into());
        }
        digests.sort_unstable();
        Ok(Self { name: name.map(ToOwned::to_owned), digests, others })
    }

    /// What the statement calls it, when it calls it anything.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Its digests by algorithms that are known here.
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// The digest by that algorithm.
    pub fn digest(&self, algorithm: Algorithm) -> Option<&Digest> {
        self.digests.iter().find(|digest| digest.algorithm() == algorithm)
    }

    /// Its other digests as they stand there: `sha1`, `gitCommit` …
    pub fn other_digests(&self) -> &[(String, String)] {
        &self.others
    }

    /// The name, or the first digest.
    fn shown(&self) -> String {
        match (&self.name, self.digests.first(), self.others.first()) {
            (Some(name), ..) => name.clone(),
            (None, Some(digest), _) => digest.to_string(),
            (None, None, Some((algorithm, value))) => format!("{algorithm}:{value}"),
            (None, None, None) => String::new(),
        }
    }
}

/// Whether an artifact is among the subjects of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectMatch<'a> {
    /// It is this one: every digest that both know is equal, and there is one.
    Matches(&'a Subject),
    /// This one has one of its digests, but another one differs.
    Contradicts(&'a Subject),
    /// No subject names an algorithm that was computed of the artifact; this one would do.
    NotComputed(Algorithm),
    /// It is none of them.
    Differs,
    /// No subject has a digest that is strong enough (SHA-256 or better).
    NoDigest,
}

pub(super) fn covers<'a>(subjects: &'a [Subject], artifact: &Artifact) -> SubjectMatch<'a> {
    let mut contradiction = None;
    let mut missing = None;
    let mut comparable = false;
    for subject in subjects {
        let mut equal = 0;
        let mut different = 0;
        for digest in &subject.digests {
            match artifact.matches(digest) {
                Some(true) => equal += 1,
                Some(false) => different += 1,
                None => missing = missing.or(Some(digest.algorithm())),
            }
        }
        comparable |= equal + different > 0;
        match (equal, different) {
            (0, _) => {}
            (_, 0) => return SubjectMatch::Matches(subject),
            _ => contradiction = contradiction.or(Some(subject)),
        }
    }
    match (contradiction, comparable, missing) {
        (Some(subject), ..) => SubjectMatch::Contradicts(subject),
        (None, true, _) if subjects.iter().all(|subject| is_comparable(subject, artifact)) => {
            SubjectMatch::Differs
        }
        (None, _, Some(algorithm)) => SubjectMatch::NotComputed(algorithm),
        (None, true, None) => SubjectMatch::Differs,
        (None, false, None) => SubjectMatch::NoDigest,
    }
}

/// Whether `subject` was decided: one of its strong digests was computed, or it has none.
fn is_comparable(subject: &Subject, artifact: &Artifact) -> bool {
    subject.digests.is_empty()
        || subject.digests.iter().any(|digest| artifact.matches(digest).is_some())
}

pub(super) fn check(subjects: &[Subject], artifact: &Artifact) -> Finding {
    const CODE: &str = "statement/subject";
    let own = || artifact.sha256().to_string();
    match covers(subjects, artifact) {
        SubjectMatch::Matches(subject) => {
            let message = match subject.name() {
                Some(name) => format!("the statement is about this artifact, as `{name}`"),
                None => "the statement is about this artifact".to_owned(),
            };
            Finding::passed(CODE, message).compared(own(), listed(subject, artifact))
        }
        SubjectMatch::Contradicts(subject) => Finding::failed(
            CODE,
            "one digest of the statement's subject is this artifact's, another is not",
        )
        .compared(all(artifact.digests()), all(subject.digests())),
        SubjectMatch::NotComputed(algorithm) => Finding::undecided(
            CODE,
            format!(
                "the statement names artifacts by {}, which was not computed",
                algorithm.name()
            ),
        )
        .compared(own(), summary(subjects)),
        SubjectMatch::Differs => Finding::failed(CODE, "the statement is about another artifact")
            .compared(own(), summary(subjects)),
        SubjectMatch::NoDigest => {
            Finding::failed(CODE, "the statement names no artifact by a digest of 256 bits or more")
                .compared(own(), summary(subjects))
        }
    }
}

/// The subject's digest by the algorithm of which the artifact's is shown, else its first.
fn listed(subject: &Subject, artifact: &Artifact) -> String {
    subject
        .digest(artifact.sha256().algorithm())
        .or_else(|| subject.digests.first())
        .map_or_else(String::new, ToString::to_string)
}

fn all(digests: &[Digest]) -> String {
    digests.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The subjects in few words: one with its digest, of many the first names.
fn summary(subjects: &[Subject]) -> String {
    const SHOWN: usize = 3;
    if let [only] = subjects {
        let digest = only.digests.first().map(ToString::to_string);
        return match (only.name(), digest) {
            (Some(name), Some(digest)) => format!("{digest} ({name})"),
            _ => only.shown(),
        };
    }
    let mut text = subjects.iter().take(SHOWN).map(Subject::shown).collect::<Vec<_>>().join(", ");
    if subjects.len() > SHOWN {
        use std::fmt::Write as _;
        // Writing to a `String` cannot fail.
        let _ = write!(text, " and {} more", subjects.len() - SHOWN);
    }
    text
}
