//! Writing to a registry: blobs and manifests, for whoever attaches something to an image.

use dsops_transport::{Redirects, Url};

use super::super::OciError;
use super::Registry;
use crate::{Algorithm, Digest};

const ACTIONS: &str = "pull,push";

impl Registry<'_> {
    /// Keeps a blob, unless it is there already, and names it by its SHA-256.
    ///
    /// # Errors
    /// The registry refuses it, or names another server to send it to.
    pub fn push_blob(&self, bytes: &[u8]) -> Result<Digest, OciError> {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        let there = self.url(&format!("blobs/{digest}"))?;
        let answer = self.ask(ACTIONS, || {
            Ok(self.client.head(&there).redirects(Redirects::Anywhere, super::BLOB_REDIRECTS))
        })?;
        if answer.is_success() {
            return Ok(digest);
        }
        let uploads = self.url("blobs/uploads/")?;
        let begun = self.ask(ACTIONS, || Ok(self.client.post(&uploads)))?.require_success()?;
        let nowhere = || OciError::malformed("the answer to an upload", "it does not say where to");
        let to = uploads.join(begun.header("location").ok_or_else(nowhere)?)?;
        // The credentials go with what is sent.
        if !to.same_origin(&self.base) {
            let problem = format!("it says to send it to {}", to.origin());
            return Err(OciError::malformed("the answer to an upload", problem));
        }
        let separator = if to.query().is_some() { '&' } else { '?' };
        let to = Url::parse(&format!("{}{separator}digest={digest}", to.as_text()))?;
        let kept = self
            .ask(ACTIONS, || Ok(self.client.put(&to).body("application/octet-stream", bytes)?))?;
        kept.require_success()?;
        Ok(digest)
    }

    /// Keeps a manifest or index, under a tag or its own digest. Says whether the registry lists it
    /// by itself as a referrer of its subject (`OCI-Subject`); otherwise that is the caller's to do,
    /// under the tag that stands in for the list.
    ///
    /// # Errors
    /// The registry refuses it.
    pub fn push_manifest(
        &self,
        name: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<bool, OciError> {
        let to = self.url(&format!("manifests/{name}"))?;
        let answer = self.ask(ACTIONS, || Ok(self.client.put(&to).body(media_type, bytes)?))?;
        Ok(answer.require_success()?.header("oci-subject").is_some())
    }
}
