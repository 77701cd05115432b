//! The client: how it is set up, and how a request is repeated and redirected.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::config::Config;
use ureq::http::{HeaderName, Method};
use ureq::unversioned::resolver::DefaultResolver;

use crate::error::{Error, ErrorKind, Phase};
use crate::proxy::Proxy;
use crate::request::{Redirects, Request, Secrecy};
use crate::response::Response;
use crate::roots::{self, ClientIdentity, Roots};
use crate::url::{Scheme, Url};
use crate::wire::{Dialer, Names};

/// How often and how soon a call is repeated.
///
/// Only calls that may be repeated without harm are: `GET`, `HEAD`, `PUT` and `DELETE`, and what
/// [`Request::idempotent`] says so of. Only a connection that could not be made or broke before
/// the answer, and the statuses 429, 502, 503 and 504 are a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often a call is made at most; 1 means that nothing is repeated.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles each time, and a random half of it is
    /// waited for at least.
    pub first_pause: Duration,
    /// No pause is longer. A server that asks for more (`Retry-After`) gets no second call: its
    /// answer is returned.
    pub longest_pause: Duration,
}

impl Default for Retry {
    /// Three attempts, 200 ms, 10 s.
    fn default() -> Self {
        Self {
            attempts: 3,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
        }
    }
}

/// How a [`Client`] is set up.
#[derive(Debug)]
pub struct Builder {
    roots: Roots,
    identity: Option<ClientIdentity>,
    proxy: Option<Proxy>,
    user_agent: String,
    connect: Duration,
    idle: Duration,
    whole: Duration,
    header_limit_bytes: usize,
    loopback_http: bool,
    retry: Retry,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            roots: Roots::Platform,
            identity: None,
            proxy: None,
            user_agent: concat!("dsops/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(20),
            whole: Duration::from_mins(1),
            header_limit_bytes: 64 * 1024,
            loopback_http: false,
            retry: Retry::default(),
        }
    }
}

impl Builder {
    /// Whose certificates are believed. By default those the platform trusts.
    #[must_use]
    pub fn roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }

    /// Shows servers who we are, when they ask.
    #[must_use]
    pub fn identity(mut self, identity: ClientIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Goes through a proxy. By default none; the environment is never read.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// What servers read as our name. By default `dsops/VERSION`.
    #[must_use]
    pub fn user_agent(mut self, name: &str) -> Self {
        name.clone_into(&mut self.user_agent);
        self
    }

    /// How long it may take to find and reach a server, handshakes included. By default 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// How long a server may stay silent. By default 20 s.
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle = limit;
        self
    }

    /// How long a call may take, with repetitions, redirects and the reading of the body. By
    /// default 60 s; [`Request::deadline`] sets it for one.
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.whole = limit;
        self
    }

    /// How large status line and headers of an answer may be. By default 64 KiB.
    #[must_use]
    pub fn header_limit(mut self, bytes: usize) -> Self {
        self.header_limit_bytes = bytes;
        self
    }

    /// Allows `http` to this machine's loopback. By default nothing goes out unencrypted.
    #[must_use]
    pub fn allow_loopback_http(mut self) -> Self {
        self.loopback_http = true;
        self
    }

    /// How often a call is repeated.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Makes the client. Certificates are read and checked here.
    ///
    /// # Errors
    /// For a CA file, client certificate, key or user agent that cannot be used, and when the
    /// platform has no certificates.
    pub fn build(self) -> Result<Client, Error> {
        let visible = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if !self.user_agent.bytes().all(visible) {
            return Err(Error::setup("user agent", "it is not plain text"));
        }
        let tls = Arc::new(roots::config(&self.roots, self.identity.as_ref())?);
        let proxy = self.proxy.map(Arc::new);
        let config = Config::builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(self.user_agent)
            .accept_encoding("identity")
            .timeout_connect(Some(self.connect))
            .timeout_resolve(Some(self.connect))
            .timeout_per_read(Some(self.idle))
            .timeout_per_write(Some(self.idle))
            .max_response_header_size(self.header_limit_bytes)
            .build();
        let names = Names { system: DefaultResolver::default(), proxy: proxy.clone() };
        Ok(Client {
            agent: Agent::with_parts(config, Dialer { tls, proxy }, names),
            whole: self.whole,
            loopback_http: self.loopback_http,
            retry: self.retry,
        })
    }
}

/// Makes requests, and keeps connections for the next ones.
///
/// It can be shared between threads; clones share their connections.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    whole: Duration,
    loopback_http: bool,
    retry: Retry,
}

impl Client {
    /// A client as [`Builder`] sets it up by default.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new() -> Result<Self, Error> {
        Builder::default().build()
    }

    /// Sets up a client.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Begins a `GET`.
    pub fn get<'a>(&'a self, url: &Url) -> Request<'a> {
        Request::new(self, Method::GET, url)
    }

    /// Begins a `HEAD`.
    pub fn head<'a>(&'a self, url: &Url) -> Request<'a> {
        Request::new(self, Method::HEAD, url)
    }

    /// Begins a `POST`.
    pub fn post<'a>(&'a self, url: &Url) -> Request<'a> {
        Request::new(self, Method::POST, url)
    }

    /// Begins a `PUT`.
    pub fn put<'a>(&'a self, url: &Url) -> Request<'a> {
        Request::new(self, Method::PUT, url)
    }

    /// Begins a `DELETE`.
    pub fn delete<'a>(&'a self, url: &Url) -> Request<'a> {
        Request::new(self, Method::DELETE, url)
    }

    /// Makes the call of a request: again and elsewhere, as far as its rules allow.
    pub(crate) fn run(&self, mut request: Request<'_>) -> Result<Response, Error> {
        let whole = request.deadline.unwrap_or(self.whole);
        let until = Instant::now().checked_add(whole);
        let mut redirects_left = request.redirect_limit;
        loop {
            self.check(&request.url)?;
            let response = self.persist(&request, until).map_err(|error| error.at(&request.url))?;
            if !matches!(response.status(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let next = follow(&request, &response)?;
            if redirects_left == 0 {
                return Err(refused(&request.url, Some(&next), "there are too many redirects"));
            }
            redirects_left -= 1;
            if !next.same_origin(&request.url) {
                request.headers.retain(|header| header.secrecy == Secrecy::Public);
            }
            request.url = next;
        }
    }

    fn check(&self, url: &Url) -> Result<(), Error> {
        let allowed = match url.scheme() {
            Scheme::Https => true,
            Scheme::Http => self.loopback_http && url.is_loopback(),
        };
        if allowed { Ok(()) } else { Err(Error::new(Phase::Setup, ErrorKind::Plaintext).at(url)) }
    }

    fn persist(&self, request: &Request<'_>, until: Option<Instant>) -> Result<Response, Error> {
        let attempts = if request.may_repeat() { self.retry.attempts.max(1) } else { 1 };
        let mut pause = self.retry.first_pause;
        for attempt in 1.. {
            let outcome = self.once(request, until);
            let asked = match &outcome {
                Ok(answer) if matches!(answer.status(), 429 | 502 | 503 | 504) => {
                    answer.header("retry-after").and_then(|text| text.trim().parse().ok())
                }
                Err(error) if is_passing(error) => None,
                _ => return outcome,
            };
            let wait = asked.map_or_else(|| jittered(pause), Duration::from_secs);
            let in_time = until
                .is_none_or(|until| Instant::now().checked_add(wait).is_some_and(|at| at < until));
            if attempt >= attempts || wait > self.retry.longest_pause || !in_time {
                return outcome;
            }
            drop(outcome);
            std::thread::sleep(wait);
            pause = (pause * 2).min(self.retry.longest_pause);
        }
        unreachable!("the last attempt returns")
    }

    fn once(&self, request: &Request<'_>, until: Option<Instant>) -> Result<Response, Error> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Error::new(Phase::Connect, ErrorKind::Timeout));
        }
        let message = request.message()?;
        let answer = request.with_body(|body| match body {
            None => {
                let message = message.map(|()| ());
                let message = self.agent.configure_request(message).timeout_global(left).build();
                self.agent.run(message)
            }
            Some(body) => {
                let message = message.map(|()| body);
                let message = self.agent.configure_request(message).timeout_global(left).build();
                self.agent.run(message)
            }
        })?;
        let answer = answer.map_err(|error| Error::from_ureq(error, Phase::Response))?;
        Ok(Response::new(answer, request.url.clone(), request.method == Method::HEAD))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("retry", &self.retry).finish_non_exhaustive()
    }
}

/// Whether the same call may do better: the connection was not made, or broke before the answer.
fn is_passing(error: &Error) -> bool {
    match (error.kind(), error.phase()) {
        (ErrorKind::Io(_) | ErrorKind::Truncated, phase) => phase != Phase::Body,
        (ErrorKind::Timeout, phase) => matches!(phase, Phase::Connect | Phase::Proxy | Phase::Tls),
        _ => false,
    }
}

/// A random time from half of `pause` to all of it.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0; 2];
    // Without random bytes the pause is merely not spread.
    let _ = getrandom::fill(&mut random);
    let part = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
    pause.mul_f64(0.5 + part / 2.0)
}

/// Where a redirect leads, when the request's rules allow to go there.
fn follow(request: &Request<'_>, response: &Response) -> Result<Url, Error> {
    let from = &request.url;
    let Some(location) = response.header("location") else {
        return Err(refused(from, None, "it does not say where to"));
    };
    let Ok(to) = from.join(location) else {
        return Err(refused(from, None, "its target is not a usable URL"));
    };
    let why = if request.method != Method::GET && request.method != Method::HEAD {
        "only GET and HEAD are"
    } else if from.scheme() == Scheme::Https && to.scheme() == Scheme::Http {
        "it leads out of encryption"
    } else {
        match request.redirects {
            Redirects::Refuse => "redirects are not expected here",
            Redirects::SameOrigin if !to.same_origin(from) => "it leads to another server",
            Redirects::SameOrigin | Redirects::Anywhere => return Ok(to),
        }
    };
    Err(refused(from, Some(&to), why))
}

fn refused(from: &Url, to: Option<&Url>, why: &'static str) -> Error {
    let kind = ErrorKind::Redirect { to: to.map(Url::to_string), why };
    Error::new(Phase::Response, kind).at(from)
}

/// Names of headers that are secret whoever sets them.
pub(crate) fn is_secret_name(name: &HeaderName) -> bool {
    matches!(name.as_str(), "authorization" | "proxy-authorization" | "cookie" | "x-vault-token")
}
