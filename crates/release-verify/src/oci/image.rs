//! An image that was resolved: by which digest it is known, and which digests stand for it.

use super::OciError;
use super::evidence::{Piece, find};
use super::manifest::{Descriptor, Document, Platform};
use super::source::{Fetch, Fetched, Source};
use crate::{Artifact, Digest, Evidence, Finding, Origin, ReleaseVerifier, Report, State, Verdict};

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

    /// What stands for the image: its manifest, and the index that lists it.
    fn levels(&self) -> impl Iterator<Item = (&'static str, &Fetched)> {
        let own = if self.is_index() { "index" } else { "manifest" };
        let index = self.index.as_ref().map(|(index, _)| ("index", index));
        std::iter::once((own, &self.manifest)).chain(index)
    }

    fn findings(&self) -> Vec<Finding> {
        let origin = Origin::new(self.source.name());
        let digest = self.digest().to_string();
        let mut findings = vec![
            Finding::passed("image/digest", "the manifest is the one its digest names")
                .compared(digest.clone(), digest)
                .at(&origin),
        ];
        if let Some((index, platform)) = &self.index {
            let message = format!("the index {} names it for {platform}", index.digest);
            findings.push(Finding::passed("image/platform", message).at(&origin));
        } else if self.is_index() {
            let message = "it is an index: the verdict is on all its platforms together";
            findings.push(Finding::new("image/platform", State::Note, message).at(&origin));
        }
        findings
    }
}

impl std::fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({})", self.name())
    }
}

impl ReleaseVerifier {
    /// The verdict on an image, by the evidence that lies beside it in its source.
    ///
    /// When the image was chosen from an index, evidence about the index stands for it as well; the
    /// report says which of the two was signed. A source that sends other bytes than it was asked
    /// for fails the image, whatever else is in order.
    #[expect(clippy::missing_panics_doc, reason = "the digest is a SHA-256")]
    pub fn verify_image(&self, image: &Image<'_>) -> Report {
        let mut reports: Vec<Report> = image
            .levels()
            .map(|(level, fetched)| self.verify_level(image.source, level, fetched))
            .collect();
        let best = reports
            .iter()
            .position(|report| report.verdict == Verdict::Verified)
            .or_else(|| reports.iter().position(|report| report.verdict == Verdict::Failed))
            .unwrap_or(0);
        let decisive = reports.remove(best);
        let mut findings = image.findings();
        // What is missing on the other level is not missing; a lie is a lie on any.
        for finding in reports.into_iter().flat_map(|report| report.findings) {
            let is_lie = finding.state == State::Failed && is_lie(&finding);
            let keeps = is_lie || decisive.verdict != Verdict::Verified;
            let state = match finding.state {
                State::Failed | State::Undecided | State::Passed if !keeps => State::Note,
                state => state,
            };
            findings.push(Finding { state, ..finding });
        }
        findings.extend(decisive.findings);
        let artifact = Artifact::from_digest(image.name(), image.manifest.sha256.clone())
            .expect("it is a SHA-256");
        Report::conclude(artifact, findings, decisive.signers)
    }

    fn verify_level(&self, source: &dyn Source, level: &str, fetched: &Fetched) -> Report {
        let found = find(source, &fetched.digest, self.leniency());
        let evidence: Vec<Evidence> = found
            .pieces
            .into_iter()
            .map(|piece| match piece {
                Piece::Bundle(bundle) => Evidence::bundle(*bundle),
                Piece::Simple(simple) => {
                    let outcome = simple.authenticate(self.sigstore(), &fetched.digest);
                    Evidence::outcome(simple.origin().clone(), outcome)
                }
                Piece::Broken(origin, finding) => Evidence::broken(finding, origin),
            })
            .collect();
        let name = format!("{}@{}", source.name(), fetched.digest);
        let artifact =
            Artifact::from_digest(name, fetched.sha256.clone()).expect("it is a SHA-256");
        let report = self.verify_artifact(&artifact, &evidence);
        let is_verified = report.verdict == Verdict::Verified;
        let mut findings = found.findings;
        if is_verified {
            // Evidence that could not be had was not needed; what is wrong with the source was.
            for finding in &mut findings {
                if matches!(finding.state, State::Failed | State::Undecided) && !is_lie(finding) {
                    finding.state = State::Warning;
                }
            }
            findings
                .push(Finding::passed("image/signed", format!("what is signed is the {level}")));
        }
        findings.extend(report.findings);
        Report::conclude(report.artifact, findings, report.signers)
    }
}

/// Whether a finding says that the source sends something else than it was asked for.
fn is_lie(finding: &Finding) -> bool {
    matches!(finding.code, "image/digest" | "image/size" | "image/referrer")
}
