//! The parts of calls that all services share.

use dsops_secure_mem::SecretBytes;
use dsops_transport::{Client, Error as TransportError, Request, Response, Url};
use serde_json::Value;

use crate::Error;

/// How large an answer may be.
const ANSWER_LIMIT_BYTES: u64 = 1024 * 1024;
/// How much of a refusal is shown.
const SAID_LIMIT: usize = 300;
/// As much of a secret is no accident in what a service says.
const REPEATED_BYTES: usize = 12;

/// A service, for calls and for errors.
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) url: Url,
}

impl Service {
    /// A path of a service, behind the one that it has already.
    pub(super) fn at(name: &'static str, base: &Url, path: &str) -> Result<Self, Error> {
        let text = format!("{}{path}", base.as_text().trim_end_matches('/'));
        let url = Url::parse(&text).map_err(|_| Error::NoService { service: name })?;
        Ok(Self { name, url })
    }

    /// A call that may be repeated: at worst something is certified, stamped or logged twice.
    pub(super) fn post(
        &self,
        client: &Client,
        content_type: &str,
        body: &[u8],
    ) -> Result<Response, Error> {
        self.send(client.post(&self.url).idempotent(true).body(content_type, body))
    }

    pub(super) fn send(
        &self,
        request: Result<Request<'_>, TransportError>,
    ) -> Result<Response, Error> {
        request.and_then(Request::send).map_err(|error| self.unreachable(error))
    }

    pub(super) fn unreachable(&self, source: TransportError) -> Error {
        let (service, url) = (self.name, self.url.to_string());
        Error::Unreachable { service, url, source: Box::new(source) }
    }

    /// The body of an answer that says yes.
    pub(super) fn body(&self, answer: Response) -> Result<Vec<u8>, Error> {
        let (status, is_success) = (answer.status(), answer.is_success());
        let body = answer.bytes(ANSWER_LIMIT_BYTES).map_err(|error| self.unreachable(error));
        if is_success {
            return body;
        }
        // What it said helps; that it could not be read does not.
        let said = body.unwrap_or_default();
        let said: String = String::from_utf8_lossy(&said).chars().take(SAID_LIMIT).collect();
        let (service, url) = (self.name, self.url.to_string());
        Err(Error::Refused { service, url, status, said: said.trim().to_owned() })
    }

    /// The error without what the service said, if that repeats a secret that it was shown.
    pub(super) fn without(error: Error, secret: &SecretBytes) -> Error {
        let is_repeated = |said: &str| {
            secret.try_expose().map_or(true, |secret| {
                let part = REPEATED_BYTES.min(secret.len()).max(1);
                said.as_bytes().windows(part).any(|piece| contains(&secret, piece))
            })
        };
        match error {
            Error::Refused { service, url, status, said } if is_repeated(&said) => {
                let said = "(it repeats the secret that it was shown)".to_owned();
                Error::Refused { service, url, status, said }
            }
            error => error,
        }
    }

    pub(super) fn json(&self, answer: Response) -> Result<Value, Error> {
        let body = self.body(answer)?;
        serde_json::from_slice(&body).map_err(|_| self.nonsense("is not JSON"))
    }

    pub(super) fn nonsense(&self, problem: &'static str) -> Error {
        Error::Answer { service: self.name, url: self.url.to_string(), problem }
    }
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}
