//! An image that was resolved: by which digest it is known, and which digests stand for it.

use std::collections::BTreeSet;

use super::OciError;
use super::evidence::{Piece, find};
use super::layout::Layout;
use super::manifest::{Descriptor, Document, MANIFEST_LIMIT_BYTES, Manifest, Platform};
use super::source::{Fetch, Fetched, Presence, Source};
use crate::verify::{Engine, no_rule, no_rule_for_image};
use crate::{Artifact, Digest, Evidence, Finding, Origin, ReleaseVerifier, Report, State, Verdict};

/// How many bytes the manifests that an index lists may have together; each is read.
const LISTED_LIMIT_BYTES: u64 = 16 * MANIFEST_LIMIT_BYTES;

/// The code of what lies beside a manifest.
const CONTENT: &str = "image/content";

/// An image in a source, pinned: a manifest, and the index that lists it when it was chosen from one.
pub struct Image<'a> {
    source: &'a dyn Source,
    manifest: Fetched,
    /// The index through which the manifest was reached.
    index: Option<(Fetched, Platform)>,
    /// The name it was asked for by.
    asked: Option<String>,
}

impl<'a> Image<'a> {
    /// The image of a manifest or an index that the source was asked for.
    ///
    /// With a platform the manifest for it is taken out of the index; a signature over either
    /// stands for the image then, since the index names the manifest by its digest. Without one,
    /// the index itself is the image.
    ///
    /// # Errors
    /// [`OciError::NotFound`] when the index has nothing for the platform,
    /// [`OciError::Ambiguous`] when it has several, and what goes wrong when its manifest is
    /// fetched.
    pub fn new(
        source: &'a dyn Source,
        root: Fetched,
        platform: Option<&Platform>,
    ) -> Result<Self, OciError> {
        let (Some(platform), Document::Index(_)) = (platform, &root.document) else {
            return Ok(Self { source, manifest: root, index: None, asked: None });
        };
        let name = format!("{}@{}", source.name(), root.digest);
        let entry = root.document.for_platform(platform, &name)?;
        let entry = entry.ok_or_else(|| OciError::NotFound {
            what: format!("an image for {platform} in {name}"),
        })?;
        let manifest = Fetch(source).described(entry)?;
        if matches!(manifest.document, Document::Index(_)) {
            let what = format!("the entry for {platform} of {}", root.digest);
            return Err(OciError::malformed(what, "an index in an index"));
        }
        let index = Some((root, platform.clone()));
        Ok(Self { source, manifest, index, asked: None })
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

    /// The same, with the name that somebody asked for it by: the report says which digest that was.
    #[must_use]
    pub fn asked_as(mut self, name: impl Into<String>) -> Self {
        self.asked = Some(name.into());
        self
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
        let mut findings = Vec::new();
        if let Some(asked) = &self.asked {
            // Of an index a tag names the index, and not the manifest in it.
            let named = self.index.as_ref().map_or(self.digest(), |(index, _)| &index.digest);
            let message = format!("`{asked}` stood for {named}");
            findings.push(Finding::new("image/resolved", State::Note, message));
        }
        findings.push(
            Finding::passed("image/digest", "the manifest is the one its digest names")
                .compared(digest.clone(), digest)
                .at(&origin),
        );
        if let Some((index, platform)) = &self.index {
            let message = format!("the index {} names it for {platform}", index.digest);
            findings.push(Finding::passed("image/platform", message).at(&origin));
        } else if self.is_index() {
            let message = "it is an index: the verdict is on all its platforms together";
            findings.push(Finding::new("image/platform", State::Note, message).at(&origin));
        }
        findings.extend(self.content().into_iter().map(|finding| finding.at(&origin)));
        findings
    }

    /// Whether the config and layers that lie beside the manifest are those it names.
    fn content(&self) -> Vec<Finding> {
        let mut content = Content::default();
        let looked = match &self.manifest.document {
            Document::Manifest(manifest) => content.image(self.source, manifest),
            Document::Index(index) => content.manifests(self.source, &index.manifests),
        };
        match looked.and_then(|()| self.source.loaded()) {
            Err(error) => vec![error.finding()],
            Ok(loaded) if loaded.iter().all(|image| content.images.contains(image)) => {
                content.finding().into_iter().collect()
            }
            Ok(_) => {
                let message = "by its `manifest.json` it holds an image that this one is not";
                let finding = Finding::failed(CONTENT, message);
                vec![finding.help(
                    "`docker load` and others take what that file names: have this image alone",
                )]
            }
        }
    }
}

impl std::fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({})", self.name())
    }
}

/// What was looked at besides the manifest.
#[derive(Default)]
struct Content {
    seen: BTreeSet<Digest>,
    good: usize,
    missing: usize,
    /// The paths of config and layers of each image that was looked at.
    images: Vec<Vec<String>>,
}

impl Content {
    fn image(&mut self, source: &dyn Source, manifest: &Manifest) -> Result<(), OciError> {
        let blobs = || std::iter::once(&manifest.config).chain(&manifest.layers);
        self.images.push(blobs().map(|blob| Layout::blob_path(&blob.digest)).collect());
        self.blobs(source, blobs())
    }

    fn blobs<'b>(
        &mut self,
        source: &dyn Source,
        blobs: impl Iterator<Item = &'b Descriptor>,
    ) -> Result<(), OciError> {
        for blob in blobs {
            if !self.seen.insert(blob.digest.clone()) {
                continue;
            }
            match source.check(blob)? {
                Presence::Good => self.good += 1,
                Presence::Missing => self.missing += 1,
                Presence::NotLooked => {}
            }
        }
        Ok(())
    }

    /// The same for each platform's manifest that is there: seldom are all of them.
    fn manifests(&mut self, source: &dyn Source, listed: &[Descriptor]) -> Result<(), OciError> {
        let all = listed.iter().fold(0, |all: u64, one| all.saturating_add(one.size));
        if all > LISTED_LIMIT_BYTES {
            let what = "all the manifests that the index lists".to_owned();
            return Err(OciError::TooLarge { what, limit_bytes: LISTED_LIMIT_BYTES });
        }
        for entry in listed {
            let before = self.good;
            self.blobs(source, std::iter::once(entry))?;
            if self.good == before {
                continue;
            }
            if let Document::Manifest(manifest) = Fetch(source).described(entry)?.document {
                self.image(source, &manifest)?;
            }
        }
        Ok(())
    }

    fn finding(&self) -> Option<Finding> {
        match (self.good, self.missing) {
            (0, 0) => None,
            (good, 0) => Some(Finding::passed(
                CONTENT,
                format!("all that the manifest names is here, and is it: {good} in number"),
            )),
            (good, missing) => Some(
                Finding::new(
                    CONTENT,
                    State::Warning,
                    format!(
                        "of what the manifest names {good} are here and good, {missing} are missing"
                    ),
                )
                .help("whoever adds what is missing has to compare it with its digest"),
            ),
        }
    }
}

impl ReleaseVerifier {
    /// The verdict on an image, by the evidence that lies beside it in its source, and by `more`
    /// that the caller has.
    ///
    /// When the image was chosen from an index, evidence about the index stands for it as well; the
    /// report says which of the two was signed. A source that sends other bytes than it was asked
    /// for fails the image, whatever else is in order. Of an image in a layout the config and
    /// layers are compared with their digests too.
    ///
    /// The rule of a policy file for an image is found by the name of its source: the whole
    /// repository in a registry, the path of the folder or file as for any file.
    #[expect(clippy::missing_panics_doc, reason = "the digest is a SHA-256")]
    pub fn verify_image(&self, image: &Image<'_>, more: &[Evidence]) -> Report {
        let artifact = Artifact::from_digest(image.name(), image.manifest.sha256.clone())
            .expect("it is a SHA-256");
        let source = image.source.name();
        let is_registry = image.source.is_registry();
        let engine =
            if is_registry { self.engine_for_image(&source) } else { self.engine(&source) };
        let Some(engine) = engine else {
            return if is_registry {
                no_rule_for_image(artifact, &source)
            } else {
                no_rule(artifact)
            };
        };
        let mut reports: Vec<Report> = image
            .levels()
            .map(|(level, fetched)| engine.verify_level(image, level, fetched, more))
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
        // Who signed what is refused in the end signed nothing that counts.
        let report = Report::conclude(artifact, findings, decisive.signers);
        match report.verdict {
            Verdict::Failed => Report { signers: Vec::new(), ..report },
            _ => report,
        }
    }
}

impl Engine {
    fn verify_level(
        &self,
        image: &Image<'_>,
        level: &str,
        fetched: &Fetched,
        more: &[Evidence],
    ) -> Report {
        let found = find(image.source, &fetched.digest, self.leniency());
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
        let name = format!("{}@{}", image.source.name(), fetched.digest);
        let artifact =
            Artifact::from_digest(name.clone(), fetched.sha256.clone()).expect("it is a SHA-256");
        // Evidence that was named is of what was asked for.
        let path = image.asked.as_deref().unwrap_or(&name);
        let report = self.verify_digest(&artifact, path, evidence.iter().chain(more));
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
