//! Why a request failed: where to, at which step, and what to do.

use std::{error, fmt, io};

/// The step at which a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Before anything was sent: the URL, a header, a certificate file.
    Setup,
    /// Looking the host's address up.
    Resolve,
    /// Opening the connection.
    Connect,
    /// Asking the proxy for a tunnel.
    Proxy,
    /// Agreeing on encryption, and who the server is.
    Tls,
    /// Sending the request.
    Send,
    /// Waiting for status and headers.
    Response,
    /// Reading the body.
    Body,
}

impl Phase {
    /// The word for people and scripts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::Response => "response",
            Self::Body => "body",
        }
    }
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The URL cannot be used.
    #[error("not a usable URL: {why}")]
    Url {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The request is not encrypted and may not go out.
    #[error("http is not encrypted and is not allowed here")]
    Plaintext,
    /// A header, certificate, key or proxy as given cannot be used.
    #[error("the {what} cannot be used: {why}")]
    Setup {
        /// Of what.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The host has no address.
    #[error("the host was not found")]
    HostNotFound,
    /// The system reports a broken or refused connection.
    #[error("the connection failed")]
    Io(#[source] io::Error),
    /// The server's certificate, or the handshake, is not acceptable.
    #[error("no trusted connection")]
    Tls(#[source] rustls::Error),
    /// The proxy does not let us through.
    #[error("the proxy answered {status}")]
    Proxy {
        /// Its HTTP status.
        status: u16,
    },
    /// A limit of time passed.
    #[error("no answer in time")]
    Timeout,
    /// The answer is not HTTP/1.1.
    #[error("the answer is not understood: {what}")]
    Protocol {
        /// What of it.
        what: String,
    },
    /// Status line and headers are over the limit.
    #[error("the headers are larger than {limit_bytes} bytes")]
    HeadersTooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The body is over the limit.
    #[error("the body is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The body ended before its end.
    #[error("the connection was closed in the middle of an answer")]
    Truncated,
    /// The body is compressed though that was not asked for.
    #[error("the body has an encoding that was not asked for")]
    Encoding {
        /// The server's word for it.
        name: String,
    },
    /// A redirect that is not followed.
    #[error("the server redirects{}, which is not followed: {why}", to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default())]
    Redirect {
        /// Where to, without the query, as far as it could be read.
        to: Option<String>,
        /// Why not.
        why: &'static str,
    },
    /// The server answers with a status that is not success.
    #[error("the server answered {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// There is no protected memory for the body.
    #[error("the body cannot be kept")]
    Memory(#[source] dsops_secure_mem::Error),
    /// What the body is written to does not take it.
    #[error("the body cannot be written")]
    Sink(#[source] io::Error),
}

/// Why a request failed.
///
/// Shows the URL without its query, never a header or a body.
pub struct Error(Box<Inner>);

struct Inner {
    url: Option<String>,
    phase: Phase,
    kind: ErrorKind,
}

impl Error {
    pub(crate) fn new(phase: Phase, kind: ErrorKind) -> Self {
        Self(Box::new(Inner { url: None, phase, kind }))
    }

    pub(crate) fn setup(what: &'static str, why: impl Into<String>) -> Self {
        Self::new(Phase::Setup, ErrorKind::Setup { what, why: why.into() })
    }

    /// Says where to, unless that is known.
    pub(crate) fn at(self, url: &crate::Url) -> Self {
        if self.0.url.is_some() { self } else { self.at_text(url.to_string()) }
    }

    pub(crate) fn at_text(mut self, url: String) -> Self {
        self.0.url = Some(url);
        self
    }

    /// At which step.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Where to: without credentials and query.
    pub fn url(&self) -> Option<&str> {
        self.0.url.as_deref()
    }

    /// The status, when the server answered with one that is not success.
    pub fn status(&self) -> Option<u16> {
        match self.0.kind {
            ErrorKind::Status { status } => Some(status),
            _ => None,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        use rustls::CertificateError as Certificate;
        Some(match (&self.0.kind, self.0.phase) {
            (ErrorKind::Plaintext, _) => {
                "use https; http is only for this machine, and only when asked for"
            }
            (ErrorKind::HostNotFound, _) => "check the host's name; behind a proxy, name the proxy",
            (ErrorKind::Proxy { status: 407 }, _) => "give the proxy's user name and password",
            (ErrorKind::Tls(rustls::Error::InvalidCertificate(problem)), _) => match problem {
                Certificate::UnknownIssuer => {
                    "if the server's certificate is from an own authority, name its CA file"
                }
                Certificate::Expired | Certificate::ExpiredContext { .. } => {
                    "the server's certificate is too old: tell its owner, or set this machine's clock"
                }
                Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                    "the server's certificate is not valid yet: set this machine's clock"
                }
                Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                    "the server is not the one that was asked for: check the host's name"
                }
                _ => return None,
            },
            (ErrorKind::Timeout, _) => "try again, or give it more time",
            (ErrorKind::Status { status: 401 }, _) => "give credentials that the server knows",
            (ErrorKind::Status { status: 403 }, _) => {
                "these credentials are not allowed to do that"
            }
            (ErrorKind::Status { status: 429 }, _) => {
                "too many requests: wait, or use credentials with a higher limit"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(url) = &self.0.url {
            write!(f, "{url}: ")?;
        }
        self.0.kind.fmt(f)?;
        match (&self.0.kind, self.0.phase) {
            (ErrorKind::Timeout, phase) => write!(f, " ({})", phase.word()),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("url", &self.0.url)
            .field("phase", &self.0.phase)
            .field("kind", &self.0.kind)
            .finish()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        error::Error::source(&self.0.kind)
    }
}

/// An error of our own connector on its way through ureq.
#[derive(Debug)]
pub(crate) struct Carried(pub(crate) Error);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl error::Error for Carried {}

impl From<Error> for ureq::Error {
    fn from(error: Error) -> Self {
        Self::Other(Box::new(Carried(error)))
    }
}

impl Error {
    /// Translates what ureq reports; `phase` is where it happened unless it knows better.
    pub(crate) fn from_ureq(error: ureq::Error, phase: Phase) -> Self {
        use ureq::Timeout;
        let kind = match error {
            ureq::Error::Other(other) => match other.downcast::<Carried>() {
                Ok(carried) => return carried.0,
                Err(other) => ErrorKind::Protocol { what: other.to_string() },
            },
            ureq::Error::Timeout(which) => {
                let phase = match which {
                    Timeout::Resolve => Phase::Resolve,
                    Timeout::Connect if phase == Phase::Response => Phase::Connect,
                    Timeout::SendRequest | Timeout::SendBody | Timeout::PerWrite => Phase::Send,
                    _ => phase,
                };
                return Self::new(phase, ErrorKind::Timeout);
            }
            ureq::Error::HostNotFound => return Self::new(Phase::Resolve, ErrorKind::HostNotFound),
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                ErrorKind::Truncated
            }
            ureq::Error::Io(error) => ErrorKind::Io(error),
            ureq::Error::LargeResponseHeader(_, limit_bytes) => {
                ErrorKind::HeadersTooLarge { limit_bytes }
            }
            ureq::Error::BodyStalled => ErrorKind::Truncated,
            other => ErrorKind::Protocol { what: other.to_string() },
        };
        Self::new(phase, kind)
    }

    /// The same for what comes out of a body's reader.
    pub(crate) fn from_read(error: io::Error) -> Self {
        let mut error = Self::from_ureq(ureq::Error::from(error), Phase::Body);
        // The connection does not know how far the answer was read.
        if error.0.phase == Phase::Response {
            error.0.phase = Phase::Body;
        }
        error
    }
}

impl Error {
    /// Takes the error out of one that came from a [`crate::BodyReader`].
    pub fn from_io(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => own,
            Err(error) => Self::new(Phase::Body, ErrorKind::Io(error)),
        }
    }
}
