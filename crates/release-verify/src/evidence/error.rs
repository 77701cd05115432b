//! Why evidence could not be read, or its signature not be accepted.

use thiserror::Error;

/// Evidence that cannot be used. The text never holds more of the evidence than a line number.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// More bytes than any real evidence of that kind has.
    #[error("{what} is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The kind of evidence.
        what: &'static str,
        /// The limit.
        limit_bytes: usize,
    },
    /// A line of a text format is not what it has to be.
    #[error("line {line} {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong, as the rest of a sentence.
        problem: &'static str,
    },
    /// Not of the format it was taken for.
    #[error("not {format}: {problem}")]
    Malformed {
        /// The format, with its article.
        format: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// Of a format, or with an algorithm, that is not read here, or that proves nothing.
    #[error("{what} is not accepted as proof")]
    Unsupported {
        /// What it is.
        what: String,
    },
    /// Made by another key than those that were given.
    #[error("signed by another key")]
    OtherKey {
        /// The key it names, as far as the format names one.
        found: Option<String>,
    },
    /// The mathematics say no: other bytes were signed, or by another key.
    #[error("the signature is not good")]
    BadSignature,
}

impl EvidenceError {
    pub(crate) fn malformed(format: &'static str, problem: &'static str) -> Self {
        Self::Malformed { format, problem }
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }
}
