//! Where a repository's files come from.

use std::future;

use dsops_transport::{Client, Url};
use sigstore_tuf::transport::FetchFuture;

/// Why a file could not be fetched.
pub type FetchError = Box<dyn std::error::Error + Send + Sync>;

/// Gives out the files of a repository.
pub trait Source: Send + Sync {
    /// The file at a path below the repository, or none if there is none.
    ///
    /// # Errors
    /// It cannot be fetched, or has more than `limit_bytes`.
    fn fetch(&self, path: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, FetchError>;
}

/// A repository on a server.
#[derive(Clone)]
pub struct HttpSource {
    client: Client,
    base: Url,
}

impl HttpSource {
    /// A repository whose metadata lies directly below `base`, which ends in a slash.
    pub fn new(client: Client, base: Url) -> Self {
        Self { client, base }
    }
}

impl Source for HttpSource {
    fn fetch(&self, path: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, FetchError> {
        let response = self.client.get(&self.base.join(path)?).send()?;
        // Object stores that do not list their content say "forbidden" of what is not there.
        if matches!(response.status(), 403 | 404) {
            return Ok(None);
        }
        Ok(Some(response.require_success()?.bytes(limit_bytes)?))
    }
}

/// A source as the library wants it: every future is ready, for the file is fetched before it is made.
pub(super) struct Adapter<S>(pub(super) S);

impl<S: Source> Adapter<S> {
    fn get(&self, path: &str, limit_bytes: u64) -> sigstore_tuf::Result<Option<Vec<u8>>> {
        let bytes = self
            .0
            .fetch(path, limit_bytes)
            .map_err(|error| sigstore_tuf::Error::transport_with_source(path, error))?;
        let is_too_large = bytes.as_ref().is_some_and(|bytes| bytes.len() as u64 > limit_bytes);
        if is_too_large {
            let text = format!("{path} has more than {limit_bytes} bytes");
            return Err(sigstore_tuf::Error::transport(text));
        }
        Ok(bytes)
    }
}

impl<S: Source> sigstore_tuf::Repository for Adapter<S> {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(future::ready(self.get(name, max_length)))
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(future::ready(self.get(&format!("targets/{path}"), max_length)))
    }
}
