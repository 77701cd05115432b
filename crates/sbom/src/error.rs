//! Why a document could not be read.

use dsops_json::JsonError;

use crate::read::LIMIT_BYTES;

/// Why a document could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is no SBOM of a form that is known here.
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

impl ReadError {
    /// What to do next, where there is something.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Unsupported { .. } => {
                Some("ask the publisher for SPDX 2.3 or CycloneDX as JSON, or convert it")
            }
            _ => None,
        }
    }
}

impl From<JsonError> for ReadError {
    fn from(error: JsonError) -> Self {
        Self::Malformed { path: error.path, problem: error.problem }
    }
}
