//! A request: method, URL, headers, body, and how far it may go.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use dsops_secure_mem::SecretBytes;
use ureq::http::{self, HeaderName, HeaderValue, Method};
use zeroize::Zeroizing;

use crate::client::{Client, is_secret_name};
use crate::error::{Error, ErrorKind, Phase};
use crate::proxy::basic;
use crate::response::Response;
use crate::url::Url;

/// Redirects that are followed unless [`Request::redirects`] says otherwise.
const REDIRECT_LIMIT: u32 = 5;

/// Which redirects are followed. Only `GET` and `HEAD` are redirected at all, never from `https`
/// to `http`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Redirects {
    /// None.
    Refuse,
    /// Those to the same scheme, host and port.
    #[default]
    SameOrigin,
    /// Those to any server. Credentials, cookies and every secret header are left behind at the
    /// first step to another origin, and stay behind.
    ///
    /// # Security
    /// The answer is from somebody the first server chose: check what is read by its digest.
    Anywhere,
}

/// What a header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrecy {
    Public,
    Secret,
}

pub(crate) struct Header {
    name: HeaderName,
    /// Kept in a value that wipes itself, when it is a secret.
    value: HeaderValue,
    pub(crate) secrecy: Secrecy,
}

enum Body<'a> {
    None,
    Public(&'a [u8]),
    Secret(&'a SecretBytes),
}

/// A request that is being put together. Sent by [`Request::send`].
pub struct Request<'a> {
    client: &'a Client,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<Header>,
    body: Body<'a>,
    pub(crate) redirects: Redirects,
    pub(crate) redirect_limit: u32,
    pub(crate) deadline: Option<Duration>,
    idempotent: bool,
}

impl<'a> Request<'a> {
    pub(crate) fn new(client: &'a Client, method: Method, url: &Url) -> Self {
        let idempotent = method.is_idempotent();
        Self {
            client,
            method,
            url: url.clone(),
            headers: Vec::new(),
            body: Body::None,
            redirects: Redirects::default(),
            redirect_limit: REDIRECT_LIMIT,
            deadline: None,
            idempotent,
        }
    }

    /// Adds a header that may be seen by anyone. `Authorization` and `Cookie` are secret all the
    /// same.
    ///
    /// # Errors
    /// When name or value are not those of a header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        let name = header_name(name)?;
        let secrecy = if is_secret_name(&name) { Secrecy::Secret } else { Secrecy::Public };
        let value = match secrecy {
            Secrecy::Secret => secret_value(value.as_bytes().to_vec().into())?,
            Secrecy::Public => HeaderValue::from_str(value)
                .map_err(|_| Error::setup("header", "its value is not plain text"))?,
        };
        self.headers.push(Header { name, value, secrecy });
        Ok(self)
    }

    /// Adds a header whose value is a secret, `prefix` before it (`"Bearer "`, or nothing).
    ///
    /// # Errors
    /// When the value cannot stand in a header; the error does not show it.
    ///
    /// # Security
    /// The value is copied to ordinary memory, once, and wiped when the call has ended. It is not
    /// sent to another origin by a redirect.
    pub fn secret_header(
        mut self,
        name: &str,
        prefix: &str,
        value: &SecretBytes,
    ) -> Result<Self, Error> {
        let name = header_name(name)?;
        let mut whole = Zeroizing::new(Vec::with_capacity(prefix.len() + value.len()));
        whole.extend_from_slice(prefix.as_bytes());
        whole.extend_from_slice(&value.expose());
        let value = secret_value(whole)?;
        self.headers.push(Header { name, value, secrecy: Secrecy::Secret });
        Ok(self)
    }

    /// Adds `Authorization` with this value, scheme included.
    ///
    /// # Errors
    /// As [`Request::secret_header`].
    pub fn authorization(self, value: &SecretBytes) -> Result<Self, Error> {
        self.secret_header("authorization", "", value)
    }

    /// Adds `Authorization: Bearer` (RFC 6750).
    ///
    /// # Errors
    /// As [`Request::secret_header`].
    pub fn bearer(self, token: &SecretBytes) -> Result<Self, Error> {
        self.secret_header("authorization", "Bearer ", token)
    }

    /// Adds `Authorization: Basic` (RFC 7617) for `user:password`.
    ///
    /// # Errors
    /// As [`Request::secret_header`].
    pub fn basic(mut self, user_and_password: &SecretBytes) -> Result<Self, Error> {
        let value = basic(&user_and_password.expose())
            .map_err(|error| Error::setup("credentials", error.to_string()))?;
        let value = secret_value(value)?;
        let name = http::header::AUTHORIZATION;
        self.headers.push(Header { name, value, secrecy: Secrecy::Secret });
        Ok(self)
    }

    /// Sends a body.
    ///
    /// # Errors
    /// When the content type is not plain text.
    pub fn body(mut self, content_type: &str, body: &'a [u8]) -> Result<Self, Error> {
        self.body = Body::Public(body);
        self.header("content-type", content_type)
    }

    /// Sends a secret as body, from protected memory into a buffer that is wiped when it is sent.
    ///
    /// # Errors
    /// As [`Request::body`].
    pub fn secret_body(mut self, content_type: &str, body: &'a SecretBytes) -> Result<Self, Error> {
        self.body = Body::Secret(body);
        self.header("content-type", content_type)
    }

    /// Which redirects are followed, and how many of them. By default five within the origin.
    #[must_use]
    pub fn redirects(mut self, which: Redirects, at_most: u32) -> Self {
        self.redirects = which;
        self.redirect_limit = at_most;
        self
    }

    /// How long it may take, all in all; instead of the client's [`crate::Builder::deadline`].
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// Says whether the call may be repeated without harm. By default the method says it.
    #[must_use]
    pub fn idempotent(mut self, yes: bool) -> Self {
        self.idempotent = yes;
        self
    }

    /// Makes the call, and answers as soon as status and headers are there.
    ///
    /// Any status but a redirect is a response here; [`Response::require_success`] makes an error
    /// of those that are not 2xx.
    ///
    /// # Errors
    /// What stands in [`ErrorKind`], but `Status`.
    pub fn send(self) -> Result<Response, Error> {
        self.client.run(self)
    }

    pub(crate) fn may_repeat(&self) -> bool {
        self.idempotent
    }

    pub(crate) fn message(&self) -> Result<http::Request<()>, Error> {
        let mut message = http::Request::builder()
            .method(self.method.clone())
            .uri(self.url.as_text())
            .body(())
            .map_err(|_| Error::new(Phase::Setup, ErrorKind::Url { why: "it is not a URI" }))?;
        for header in &self.headers {
            message.headers_mut().append(header.name.clone(), header.value.clone());
        }
        Ok(message)
    }

    pub(crate) fn with_body<R>(&self, run: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, Error> {
        match self.body {
            Body::None => Ok(run(None)),
            Body::Public(body) => Ok(run(Some(body))),
            Body::Secret(body) => {
                let open = body
                    .try_expose()
                    .map_err(|error| Error::new(Phase::Setup, ErrorKind::Memory(error)))?;
                Ok(run(Some(&open)))
            }
        }
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

fn header_name(name: &str) -> Result<HeaderName, Error> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Error::setup("header", "its name is none"))?;
    // These say how the message is framed, and the connection is not the caller's.
    let ours = ["host", "content-length", "transfer-encoding", "connection", "upgrade", "expect"];
    if ours.contains(&name.as_str()) {
        return Err(Error::setup("header", format!("`{name}` is not the caller's to set")));
    }
    Ok(name)
}

/// A header value that wipes its bytes when the last one who holds it lets go.
fn secret_value(bytes: Zeroizing<Vec<u8>>) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(bytes))
        .map_err(|_| Error::setup("header", "its value cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}
