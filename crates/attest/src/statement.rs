//! In-toto statements: what is said, and about which files (in-toto Attestation Framework, Statement v1).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Error;
use crate::encoding::hex;

/// What a statement is about: a name, and at least one digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    name: String,
    digests: BTreeMap<String, String>,
}

impl Subject {
    /// A file or image by its SHA-256.
    ///
    /// # Examples
    /// ```
    /// let subject = dsops_attest::Subject::sha256("app.tar.gz", &[0; 32]);
    /// assert_eq!(subject.name(), "app.tar.gz");
    /// ```
    pub fn sha256(name: impl Into<String>, digest: &[u8; 32]) -> Self {
        Self { name: name.into(), digests: BTreeMap::from([("sha256".into(), hex(digest))]) }
    }

    /// A subject by digests in hexadecimal, by the names that in-toto gives their algorithms.
    ///
    /// # Errors
    /// [`Error::Subject`] when there is no digest or one is not lower-case hexadecimal of its length.
    pub fn new(
        name: impl Into<String>,
        digests: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let (name, digests) = (name.into(), digests.into_iter().collect::<BTreeMap<_, _>>());
        let is_hex = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let digits = |algorithm: &str| match algorithm {
            "sha1" | "gitCommit" => &[40, 64][..],
            "sha256" => &[64],
            "sha384" => &[96],
            "sha512" => &[128],
            _ => &[],
        };
        let problem = if digests.is_empty() {
            Some("it has no digest")
        } else if digests
            .iter()
            .any(|(of, text)| !is_hex(text) || !digits(of).contains(&text.len()))
        {
            Some("a digest is not lower-case hexadecimal of a known algorithm")
        } else {
            None
        };
        match problem {
            Some(problem) => Err(Error::Subject { name, problem }),
            None => Ok(Self { name, digests }),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn digests(&self) -> &BTreeMap<String, String> {
        &self.digests
    }

    fn json(&self) -> Value {
        json!({ "name": self.name, "digest": self.digests })
    }
}

/// A statement, as the bytes that are signed. The same parts make the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    payload: Vec<u8>,
}

impl Statement {
    /// Says `predicate` about all subjects, sorted by their names.
    ///
    /// # Errors
    /// [`Error::NoSubject`].
    pub fn new(
        subjects: &[Subject],
        predicate_type: &str,
        predicate: &Value,
    ) -> Result<Self, Error> {
        Self::with_text(subjects, predicate_type, &predicate.to_string())
    }

    /// The same with a predicate that is JSON already, and stays as it is.
    pub(crate) fn with_text(
        subjects: &[Subject],
        predicate_type: &str,
        predicate: &str,
    ) -> Result<Self, Error> {
        if subjects.is_empty() {
            return Err(Error::NoSubject);
        }
        let mut subjects: Vec<&Subject> = subjects.iter().collect();
        subjects.sort_by(|one, other| one.name.cmp(&other.name));
        let subjects: Value = subjects.into_iter().map(Subject::json).collect();
        let payload = format!(
            "{{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":{subjects},\
             \"predicateType\":{},\"predicate\":{predicate}}}",
            json!(predicate_type),
        );
        Ok(Self { payload: payload.into_bytes() })
    }

    /// The bytes that are signed.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}
