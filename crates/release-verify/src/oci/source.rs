//! Where images are read from: one interface for registries, folders and archives.

use super::OciError;
use super::manifest::{Descriptor, Document, MANIFEST_LIMIT_BYTES, check, digest_of};
use crate::Digest;

/// A repository of images: in a registry, a folder or an archive.
///
/// What it hands out is not trusted: whoever reads from it compares every byte with the digest that
/// it was asked for by.
pub trait Source {
    /// What it is called, for people: `ghcr.io/owner/app`, `./image.tar`.
    fn name(&self) -> String;

    /// Whether that name is a repository of a registry, `HOST/NAME`, and no path. A rule of a policy
    /// is for an image there by all of its name only.
    fn is_registry(&self) -> bool {
        false
    }

    /// The manifest of that digest; `None` when there is none.
    ///
    /// # Errors
    /// When that cannot be told, or there is more than `limit_bytes` of it.
    fn manifest(&self, digest: &Digest, limit_bytes: u64) -> Result<Option<Vec<u8>>, OciError>;

    /// The manifest a tag names now; `None` when there is no such tag.
    ///
    /// # Errors
    /// As [`Source::manifest`].
    fn tagged(&self, tag: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, OciError>;

    /// The blob of that digest.
    ///
    /// # Errors
    /// As [`Source::manifest`], and when there is none.
    fn blob(&self, digest: &Digest, limit_bytes: u64) -> Result<Vec<u8>, OciError>;

    /// Holds what is kept under a digest against it, without reading it into memory.
    ///
    /// # Errors
    /// [`OciError::WrongDigest`] and [`OciError::WrongSize`], and when it cannot be read.
    fn check(&self, descriptor: &Descriptor) -> Result<Presence, OciError> {
        let _ = descriptor;
        Ok(Presence::NotLooked)
    }

    /// What Docker and others load instead of what the index names: of each image in the older
    /// `manifest.json` the paths of its config and layers, in their order.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    fn loaded(&self) -> Result<Vec<Vec<String>>, OciError> {
        Ok(Vec::new())
    }

    /// The manifests that say they are about `subject`.
    ///
    /// # Errors
    /// As [`Source::manifest`].
    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, OciError>;

    /// Manifests of cosign's signatures and attestations that are marked as such instead of being
    /// found by a tag, as `cosign save` does. They may belong to any image of the source.
    ///
    /// # Errors
    /// As [`Source::manifest`].
    fn marked(&self) -> Result<Vec<Descriptor>, OciError> {
        Ok(Vec::new())
    }
}

/// What came of looking for a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there, and is what its digest says.
    Good,
    /// It is not there.
    Missing,
    /// The source does not look: it would have to fetch it, and whoever does compares it.
    NotLooked,
}

/// A manifest or an index whose bytes are those of its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// The digest it was asked for by.
    pub digest: Digest,
    /// The SHA-256 of its bytes; most often the same.
    pub sha256: Digest,
    /// What they say.
    pub document: Document,
}

/// Reads from a source and believes nothing: digests and sizes are compared, sizes are limited.
pub(crate) struct Fetch<'a>(pub(crate) &'a dyn Source);

impl Fetch<'_> {
    #[cfg(feature = "oci")]
    pub(crate) fn manifest(&self, digest: &Digest) -> Result<Fetched, OciError> {
        let what = format!("manifest {digest}");
        let bytes = self
            .0
            .manifest(digest, MANIFEST_LIMIT_BYTES)?
            .ok_or_else(|| OciError::NotFound { what: what.clone() })?;
        check(&what, digest, None, &bytes)?;
        let document = Document::read(&bytes, &what)?;
        Ok(Fetched { digest: digest.clone(), sha256: digest_of(&bytes), document })
    }

    /// The manifest of a descriptor, with the size it announces.
    pub(crate) fn described(&self, descriptor: &Descriptor) -> Result<Fetched, OciError> {
        let what = format!("manifest {}", descriptor.digest);
        let limit_bytes = MANIFEST_LIMIT_BYTES;
        if descriptor.size > limit_bytes {
            return Err(OciError::TooLarge { what, limit_bytes });
        }
        let bytes = self
            .0
            .manifest(&descriptor.digest, limit_bytes)?
            .ok_or_else(|| OciError::NotFound { what: what.clone() })?;
        check(&what, &descriptor.digest, Some(descriptor.size), &bytes)?;
        let document = Document::read(&bytes, &what)?;
        Ok(Fetched { digest: descriptor.digest.clone(), sha256: digest_of(&bytes), document })
    }

    /// What a tag names; it is known by its SHA-256 from now on.
    pub(crate) fn tagged(&self, tag: &str) -> Result<Option<Fetched>, OciError> {
        let Some(bytes) = self.0.tagged(tag, MANIFEST_LIMIT_BYTES)? else { return Ok(None) };
        let document = Document::read(&bytes, &format!("the manifest of tag `{tag}`"))?;
        let sha256 = digest_of(&bytes);
        Ok(Some(Fetched { digest: sha256.clone(), sha256, document }))
    }

    pub(crate) fn blob(
        &self,
        descriptor: &Descriptor,
        limit_bytes: u64,
    ) -> Result<Vec<u8>, OciError> {
        let what = format!("blob {}", descriptor.digest);
        if descriptor.size > limit_bytes {
            return Err(OciError::TooLarge { what, limit_bytes });
        }
        let bytes = self.0.blob(&descriptor.digest, descriptor.size)?;
        check(&what, &descriptor.digest, Some(descriptor.size), &bytes)?;
        Ok(bytes)
    }
}
