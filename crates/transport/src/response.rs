//! A response: status, headers, and the body, read with a limit.

use std::fmt;
use std::io::{self, Read, Write};

use aws_lc_rs::digest::{Context, SHA256};
use dsops_secure_mem::SecretBytes;
use ureq::http;

use crate::error::{Error, ErrorKind, Phase};
use crate::url::Url;

/// What was read of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// How many bytes.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

/// Status and headers of an answer; the body is not read yet.
pub struct Response {
    parts: http::response::Parts,
    body: ureq::Body,
    url: Url,
    /// How long the server says the body is.
    length: Option<u64>,
}

impl Response {
    pub(crate) fn new(answer: http::Response<ureq::Body>, url: Url, is_head: bool) -> Self {
        let (parts, body) = answer.into_parts();
        let length = (!is_head).then(|| body.content_length()).flatten();
        Self { parts, body, url, length }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.parts.status.as_u16()
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        self.parts.status.is_success()
    }

    /// The response itself when its status is 2xx.
    ///
    /// # Errors
    /// [`ErrorKind::Status`] otherwise.
    pub fn require_success(self) -> Result<Self, Error> {
        if self.is_success() { Ok(self) } else { Err(self.status_error()) }
    }

    /// The error that says that this status is not the one hoped for.
    pub fn status_error(&self) -> Error {
        Error::new(Phase::Response, ErrorKind::Status { status: self.status() }).at(&self.url)
    }

    /// Where the answer is from: the last redirect's target.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// A header, when it is there and is text. Of several, the first.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// Every value of a header that is text, in the server's order.
    pub fn headers<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.parts.headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
    }

    /// How long the server says the body is.
    pub fn content_length(&self) -> Option<u64> {
        self.length
    }

    /// The body as a reader that fails past `limit_bytes`.
    ///
    /// Its errors carry an [`Error`]; [`Error::from_io`] takes it out again.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when the server says so beforehand, [`ErrorKind::Encoding`] when the
    /// body is compressed.
    pub fn reader(self, limit_bytes: u64) -> Result<BodyReader, Error> {
        if self.length.is_some_and(|length| length > limit_bytes) {
            return Err(too_large(limit_bytes).at(&self.url));
        }
        if let Some(name) = self.unasked_encoding() {
            return Err(Error::new(Phase::Body, ErrorKind::Encoding { name }).at(&self.url));
        }
        Ok(BodyReader {
            inner: self.body.into_reader(),
            url: self.url,
            limit_bytes,
            left: limit_bytes,
        })
    }

    /// An encoding that we would have to undo, by any of the two headers that can say so.
    fn unasked_encoding(&self) -> Option<String> {
        [("content-encoding", "identity"), ("transfer-encoding", "chunked")].into_iter().find_map(
            |(header, known)| {
                let values = self.parts.headers.get_all(header).into_iter();
                let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
                let is_known = |word: &&str| word.is_empty() || word.eq_ignore_ascii_case(known);
                values.into_iter().find_map(|value| {
                    let word = value.split(',').map(str::trim).find(|word| !is_known(word))?;
                    Some(word.chars().take(40).collect())
                })
            },
        )
    }

    /// The whole body, for what is not secret.
    ///
    /// # Errors
    /// As [`Response::reader`], and those of reading.
    pub fn bytes(self, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        let expected = self.length.unwrap_or(0).min(limit_bytes).min(1024 * 1024);
        let mut body = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
        self.reader(limit_bytes)?.read_to_end(&mut body).map_err(Error::from_io)?;
        Ok(body)
    }

    /// Writes the body to `sink` and says how much it was and what its SHA-256 is. What was
    /// written before an error is the caller's to throw away.
    ///
    /// # Errors
    /// As [`Response::bytes`], and [`ErrorKind::Sink`].
    pub fn copy_to(self, sink: &mut dyn Write, limit_bytes: u64) -> Result<Received, Error> {
        let url = self.url.clone();
        let mut reader = self.reader(limit_bytes)?;
        let mut digest = Context::new(&SHA256);
        let mut piece = zeroize::Zeroizing::new(vec![0; 32 * 1024]);
        let mut bytes = 0;
        loop {
            let count = reader.read(&mut piece).map_err(Error::from_io)?;
            if count == 0 {
                break;
            }
            digest.update(&piece[..count]);
            sink.write_all(&piece[..count])
                .map_err(|error| Error::new(Phase::Body, ErrorKind::Sink(error)).at(&url))?;
            bytes += count as u64;
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest.finish().as_ref());
        Ok(Received { bytes, sha256 })
    }

    /// The whole body, read straight into protected memory.
    ///
    /// # Errors
    /// As [`Response::bytes`], and [`ErrorKind::Memory`].
    pub fn secret(self, limit_bytes: usize) -> Result<SecretBytes, Error> {
        let url = self.url.clone();
        let mut reader = self.reader(limit_bytes as u64)?;
        SecretBytes::from_reader(&mut reader, limit_bytes).map_err(|error| match error {
            dsops_secure_mem::Error::Read(error) => Error::from_io(error),
            dsops_secure_mem::Error::TooLarge { limit_bytes } => {
                too_large(limit_bytes as u64).at(&url)
            }
            other => Error::new(Phase::Body, ErrorKind::Memory(other)).at(&url),
        })
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status())
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

fn too_large(limit_bytes: u64) -> Error {
    Error::new(Phase::Body, ErrorKind::TooLarge { limit_bytes })
}

/// Reads a body, up to a limit. Made by [`Response::reader`].
pub struct BodyReader {
    inner: ureq::BodyReader<'static>,
    url: Url,
    limit_bytes: u64,
    left: u64,
}

impl Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        // One byte more than allowed tells a body that fits from one that does not.
        let most = self.left.saturating_add(1).min(into.len() as u64);
        let room = usize::try_from(most).map_or(into.len(), |most| most.min(into.len()));
        let count = self
            .inner
            .read(&mut into[..room])
            .map_err(|error| io::Error::other(Error::from_read(error).at(&self.url)))?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(too_large(self.limit_bytes).at(&self.url))),
        }
        Ok(count)
    }
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader").field("url", &self.url).finish_non_exhaustive()
    }
}
