//! Why something could not be made or signed.

use dsops_transport::Error as TransportError;

use crate::KeyError;

/// Why something could not be made or signed. Text of others is escaped; a secret is never shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key cannot be used.
    #[error("the key cannot be used")]
    Key(#[from] KeyError),
    /// A statement is about nothing.
    #[error("a statement needs a subject")]
    NoSubject,
    /// A subject of a statement is none.
    #[error("`{}` is no subject: {problem}", name.escape_debug())]
    Subject {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A document is not what it has to be.
    #[error("{what} {problem}")]
    Document {
        /// Which document.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The signing configuration names no service of that kind that can be used now.
    #[error("the signing configuration names no usable {service}")]
    NoService {
        /// Which: `Fulcio`, `Rekor`, `timestamp authority`.
        service: &'static str,
    },
    /// The identity token is none.
    #[error("the identity token {problem}")]
    Token {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A service cannot be reached, or breaks off.
    #[error("{service} at {url} does not answer")]
    Unreachable {
        /// Which.
        service: &'static str,
        /// Where.
        url: String,
        /// What happened.
        source: Box<TransportError>,
    },
    /// A service said no.
    #[error("{service} at {url} answers with status {status}: {}", said.escape_debug())]
    Refused {
        /// Which.
        service: &'static str,
        /// Where.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        said: String,
    },
    /// A service answers with something that makes no sense.
    #[error("the answer of {service} at {url} {problem}")]
    Answer {
        /// Which.
        service: &'static str,
        /// Where.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// What is to be signed cannot be read.
    #[error("cannot read what is to be signed")]
    Read(#[source] std::io::Error),
    /// What is to be signed is larger than what is read.
    #[error("it has more than {limit_bytes} bytes, which an Ed25519 key does not sign here")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// A log takes no signatures by this kind of key.
    #[error("an Ed25519 key signs the content itself, and logs keep digests only")]
    NotLoggable,
    /// Protected memory cannot be had.
    #[error(transparent)]
    Memory(#[from] dsops_secure_mem::Error),
}

impl Error {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::Key(error) => return error.help(),
            Self::NoService { .. } => "get a current signing_config.json of your Sigstore instance",
            Self::Refused { service: "Fulcio", status: 400..=403, .. } => {
                "an identity token is good for a few minutes and for the audience `sigstore`; get \
                 a new one"
            }
            Self::Token { .. } => "it is the text of a JSON Web Token, on one line",
            Self::Unreachable { source, .. } => return source.help(),
            Self::NotLoggable => "sign with an ECDSA key, or without a log",
            Self::TooLarge { .. } => {
                "sign a list of checksums instead, or use an ECDSA key, which signs the digest"
            }
            _ => return None,
        })
    }
}
