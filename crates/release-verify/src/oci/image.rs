//! An image that was resolved: by which digest it is known, and which digests stand for it.

use super::OciError;
use super::evidence::{Found, Piece, find};
use super::manifest::{Descriptor, Document, Platform};
use super::source::{Fetch, Fetched, Source};
use crate::sigstore::Outcome;
use crate::{Digest, Finding, Leniency, Origin, State, Verifier};

/// An image in a source, pinned: a manifest, and the index that lists it when it was chosen from one.
pub struct Image<'a> {
    source: &'a dyn Source,
    manifest: Fetched,
    /// The index through which the manifest was reached.
    index: Option<(Fetched, Platform)>,
}

impl<'a> Image<'a> {
    /// The image of a manifest or an index that the source was asked for.
    ///
    /// With a platform the manifest for it is taken out of the index; a signature over either
    /// stands for the image then, since the index names the manifest by its digest. Without one,
    /// the index itself is the image.
    ///
    /// # Errors
    /// [`OciError::NotFound`] when the index has nothing for the platform, and what goes wrong
    /// when its manifest is fetched.
    pub fn new(
        source: &'a dyn Source,
        root: Fetched,
        platform: Option<&Platform>,
    ) -> Result<Self, OciError> {
        let (Some(platform), Document::Index(_)) = (platform, &root.document) else {
            return Ok(Self { source, manifest: root, index: None });
        };
        let entry = root.document.for_platform(platform).ok_or_else(|| OciError::NotFound {
            what: format!("an image for {platform} in {}@{}", source.name(), root.digest),
        })?;
        let manifest = Fetch(source).described(entry)?;
        if matches!(manifest.document, Document::Index(_)) {
            let what = format!("the entry for {platform} of {}", root.digest);
            return Err(OciError::malformed(what, "an index in an index"));
        }
        Ok(Self { source, manifest, index: Some((root, platform.clone())) })
    }

    /// The image of a descriptor, as a layout gives it.
    ///
    /// # Errors
    /// As [`Image::new`], and what goes wrong when its manifest is fetched.
    pub fn described(
        source: &'a dyn Source,
        descriptor: &Descriptor,
        platform: Option<&Platform>,
    ) -> Result<Self, OciError> {
        Self::new(source, Fetch(source).described(descriptor)?, platform)
    }

    /// The digest it is known by.
    pub fn digest(&self) -> &Digest {
        &self.manifest.digest
    }

    /// The name with the digest, for people: `ghcr.io/owner/app@sha256:…`.
    pub fn name(&self) -> String {
        format!("{}@{}", self.source.name(), self.manifest.digest)
    }

    /// Whether it is an index, for several platforms.
    pub fn is_index(&self) -> bool {
        matches!(self.manifest.document, Document::Index(_))
    }

    /// What was pinned, as findings for a report: the digest, and through which index it was
    /// reached.
    pub fn findings(&self) -> Vec<Finding> {
        let origin = Origin::new(self.source.name());
        let mut findings = vec![
            Finding::passed("image/digest", "the manifest is the one its digest names")
                .compared(self.digest().to_string(), self.digest().to_string())
                .at(&origin),
        ];
        match &self.index {
            Some((index, platform)) => findings.push(
                Finding::passed("image/platform", format!("the index names it for {platform}"))
                    .compared(index.digest.to_string(), index.digest.to_string())
                    .at(&origin),
            ),
            None if self.is_index() => findings.push(
                Finding::new(
                    "image/platform",
                    State::Note,
                    "it is an index: the verdict is on all its platforms together",
                )
                .at(&origin),
            ),
            None => {}
        }
        findings
    }

    /// What is said of the image and, when it was chosen from an index, of that: each with the
    /// digest it is about.
    pub fn evidence(&self, leniency: Leniency) -> Vec<(Digest, Found)> {
        let of_index = self.index.as_ref().map(|(index, _)| &index.digest);
        [Some(self.digest()), of_index]
            .into_iter()
            .flatten()
            .map(|digest| (digest.clone(), find(self.source, digest, leniency)))
            .collect()
    }
}

impl std::fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({})", self.name())
    }
}

impl Piece {
    /// Where it was read.
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Bundle(bundle) => bundle.origin(),
            Self::Simple(simple) => simple.origin(),
            Self::Broken(origin, _) => origin,
        }
    }

    /// What a signature of cosign 2 comes to; bundles are for the engine, which also reads what
    /// their statements say.
    pub fn outcome(&self, verifier: &Verifier, image: &Digest) -> Option<Outcome> {
        match self {
            Self::Simple(simple) => Some(simple.authenticate(verifier, image)),
            Self::Bundle(_) | Self::Broken(..) => None,
        }
    }
}
