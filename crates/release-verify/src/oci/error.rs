//! Why an image, or what belongs to it, could not be read.

use std::io;
use std::path::PathBuf;

use crate::json::JsonError;
use crate::{Digest, Finding};

/// Why an image, or what belongs to it, could not be read. Text of others is escaped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OciError {
    /// The text is not the name of an image.
    #[error("`{}` is not the name of an image: {why}", text.escape_debug())]
    Reference {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It is not there.
    #[error("{what} is not there")]
    NotFound {
        /// What.
        what: String,
    },
    /// The bytes are not those that the digest names: somebody lies, or something broke.
    #[error("{what} has another digest")]
    WrongDigest {
        /// What.
        what: String,
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// The bytes are more or fewer than announced.
    #[error("{what} has {found} bytes and not the {expected} it should have")]
    WrongSize {
        /// What.
        what: String,
        /// How many were announced.
        expected: u64,
        /// How many came.
        found: u64,
    },
    /// There is more of it than is read.
    #[error("{what} is larger than {limit_bytes} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// The limit.
        limit_bytes: u64,
    },
    /// There are more of them than are read.
    #[error("{what} are more than {limit}")]
    TooMany {
        /// What.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A document is not what its kind has to be.
    #[error("{what} is malformed: {}", problem.escape_debug())]
    Malformed {
        /// What.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It is one of several, and none was chosen.
    #[error("{what}: there are several images: {}", names.join(", "))]
    Ambiguous {
        /// What holds them.
        what: String,
        /// Their names or digests, escaped.
        names: Vec<String>,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file or folder is not an image.
    #[error("{} is not an image: {why}", path.display())]
    NotAnImage {
        /// Which.
        path: PathBuf,
        /// What is missing or wrong.
        why: &'static str,
    },
    /// The credentials for a registry cannot be had.
    #[error("no credentials for {registry}: {problem}")]
    Credentials {
        /// For which registry.
        registry: String,
        /// What is in the way; never a credential.
        problem: String,
    },
    /// The registry sends us elsewhere with credentials that are for itself.
    #[error("{registry} asks to show its credentials to another host, {host}, and refuses without")]
    ForeignRealm {
        /// The registry.
        registry: String,
        /// The host it names.
        host: String,
    },
    /// The registry wants a kind of authentication that is not known here.
    #[error("{registry} asks for credentials in a way that is not known: {}", challenge.escape_debug())]
    Challenge {
        /// The registry.
        registry: String,
        /// What it said.
        challenge: String,
    },
    /// A request failed.
    #[cfg(feature = "oci")]
    #[error("the registry does not answer as it should")]
    Transport(#[from] dsops_transport::Error),
}

impl OciError {
    pub(crate) fn malformed(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Malformed { what: what.into(), problem: problem.into() }
    }

    pub(crate) fn json(what: &str, error: &JsonError) -> Self {
        Self::malformed(what, error.to_string())
    }

    /// Whether what came is not what was announced: the source lies, or is broken.
    pub fn is_a_lie(&self) -> bool {
        matches!(self, Self::WrongDigest { .. } | Self::WrongSize { .. })
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::WrongDigest { .. } | Self::WrongSize { .. } => {
                "do not use this copy; get the image from a registry you trust, by its digest"
            }
            Self::Ambiguous { .. } => "name one of them by its tag or digest",
            Self::ForeignRealm { .. } => {
                "if that host is the registry's own, allow it with `--token-host HOST`"
            }
            Self::Credentials { .. } => "log in again, e.g. with `docker login`",
            #[cfg(feature = "oci")]
            Self::Transport(error) if matches!(error.status(), Some(401 | 403)) => {
                "log in with `docker login` or `podman login`, with an account that may read it"
            }
            #[cfg(feature = "oci")]
            Self::Transport(error) => return error.help(),
            _ => return None,
        })
    }

    /// The error as a finding. What is not there or cannot be reached is undecided; what is wrong
    /// is failed.
    pub fn finding(&self) -> Finding {
        let chain = std::iter::successors(std::error::Error::source(self), |error| error.source());
        let message = chain.fold(self.to_string(), |text, cause| format!("{text}: {cause}"));
        let finding = match self {
            Self::WrongDigest { expected, found, .. } => Finding::failed("image/digest", message)
                .compared(expected.to_string(), found.to_string()),
            Self::WrongSize { .. } => Finding::failed("image/size", message),
            Self::Malformed { .. } => Finding::failed("image/malformed", message),
            Self::TooLarge { .. } | Self::TooMany { .. } => Finding::failed("image/limit", message),
            Self::NotFound { .. } => Finding::undecided("image/missing", message),
            _ => Finding::undecided("image/unreadable", message),
        };
        match self.help() {
            Some(help) => finding.help(help),
            None => finding,
        }
    }
}
