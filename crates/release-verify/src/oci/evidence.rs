//! Finds what is said of an image: where cosign and GitHub put it, in whatever source.

use super::OciError;
use super::manifest::{Descriptor, Document};
use super::simple::{PAYLOAD_LIMIT_BYTES, SimpleSigning};
use super::source::{Fetch, Fetched, Source};
use crate::{BUNDLE_LIMIT_BYTES, Bundle, CosignParts, Digest, Finding, Leniency, Origin, State};

/// How many manifests with evidence are looked into.
const MANIFEST_LIMIT: usize = 200;
/// How many pieces of evidence one image may have.
const PIECE_LIMIT: usize = 1_000;
/// How much evidence of one image is read.
const WHOLE_LIMIT_BYTES: u64 = 256 * 1024 * 1024;

const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const DSSE: &str = "application/vnd.dsse.envelope.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// One piece of evidence, read but not believed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Piece {
    /// A Sigstore bundle, or an attestation of cosign 2 in the form of one.
    Bundle(Box<Bundle>),
    /// A signature of cosign 2.
    Simple(Box<SimpleSigning>),
    /// Evidence that cannot be read.
    Broken(Origin, Finding),
}

/// What was found for one image.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Found {
    /// The evidence, in the order in which the source lists it.
    pub pieces: Vec<Piece>,
    /// What was seen and not used, and what could not be looked at.
    pub findings: Vec<Finding>,
}

/// Looks for everything that is said of the image `subject`: by OCI 1.1 referrers (or the tag that
/// stands in for them), by cosign's tags `.sig` and `.att`, and by cosign's marks in a layout.
///
/// Nothing is believed yet but digests. What cannot be read becomes a finding; a source that sends
/// other bytes than were asked for becomes a failed one.
pub fn find(source: &dyn Source, subject: &Digest, leniency: Leniency) -> Found {
    let fetch = Fetch(source);
    let mut finder = Finder {
        fetch,
        name: source.name(),
        subject,
        leniency,
        budget: WHOLE_LIMIT_BYTES,
        seen: Vec::new(),
        found: Found::default(),
    };
    finder.referrers(source);
    finder.tags();
    finder.marked(source);
    finder.found
}

struct Finder<'a> {
    fetch: Fetch<'a>,
    name: String,
    subject: &'a Digest,
    leniency: Leniency,
    /// How many bytes of evidence may still be read.
    budget: u64,
    /// Manifests that were looked into.
    seen: Vec<Digest>,
    found: Found,
}

impl Finder<'_> {
    fn referrers(&mut self, source: &dyn Source) {
        let referrers = match source.referrers(self.subject) {
            Ok(referrers) => referrers,
            Err(error) => return self.failed(&error),
        };
        for descriptor in referrers {
            if self.is_new(&descriptor.digest) {
                match self.fetch.described(&descriptor) {
                    Ok(fetched) => self.referrer(&fetched),
                    Err(error) => self.failed(&error),
                }
            }
        }
    }

    fn referrer(&mut self, fetched: &Fetched) {
        let origin = self.origin(&fetched.digest);
        let Document::Manifest(manifest) = &fetched.document else {
            return self.ignored(&origin, "it is an index");
        };
        match &manifest.subject {
            Some(about) if about.digest == *self.subject => {}
            other => {
                let named =
                    other.as_ref().map_or("none".to_owned(), |about| about.digest.to_string());
                let finding = Finding::failed(
                    "image/referrer",
                    "the source lists this as evidence for the image, and it is about another one",
                );
                let finding = finding.compared(self.subject.to_string(), named).at(&origin);
                return self.found.findings.push(finding);
            }
        }
        let kind = manifest.artifact_type.clone().unwrap_or_default();
        self.layers(&manifest.layers, &origin, &kind);
    }

    fn tags(&mut self) {
        let base = format!("{}-{}", self.subject.algorithm().name(), self.subject.hex());
        for ending in ["sig", "att"] {
            match self.fetch.tagged(&format!("{base}.{ending}")) {
                Ok(Some(fetched)) => self.companion(&fetched),
                Ok(None) => {}
                Err(error) => self.failed(&error),
            }
        }
        if let Ok(Some(fetched)) = self.fetch.tagged(&format!("{base}.sbom")) {
            let origin = self.origin(&fetched.digest);
            self.ignored(&origin, "a list of components that is attached without a signature");
        }
    }

    fn marked(&mut self, source: &dyn Source) {
        let marked = match source.marked() {
            Ok(marked) => marked,
            Err(error) => return self.failed(&error),
        };
        for descriptor in marked {
            match self.fetch.described(&descriptor) {
                Ok(fetched) => self.companion(&fetched),
                Err(error) => self.failed(&error),
            }
        }
    }

    /// A manifest that holds signatures or attestations of cosign 2 in its layers.
    fn companion(&mut self, fetched: &Fetched) {
        if !self.is_new(&fetched.digest) {
            return;
        }
        let origin = self.origin(&fetched.digest);
        match &fetched.document {
            Document::Manifest(manifest) => self.layers(&manifest.layers, &origin, "cosign"),
            Document::Index(_) => self.ignored(&origin, "it is an index"),
        }
    }

    fn layers(&mut self, layers: &[Descriptor], origin: &Origin, kind: &str) {
        let mut any = false;
        for (index, layer) in layers.iter().enumerate() {
            let part = (layers.len() > 1).then_some(index + 1);
            let origin = Origin { name: origin.name.clone(), part };
            let limit_bytes = match layer.media_type.as_str() {
                SIMPLE_SIGNING => PAYLOAD_LIMIT_BYTES,
                DSSE => BUNDLE_LIMIT_BYTES as u64,
                other if other.starts_with(BUNDLE) => BUNDLE_LIMIT_BYTES as u64,
                _ => continue,
            };
            any = true;
            if self.found.pieces.len() >= PIECE_LIMIT || layer.size > self.budget {
                let what = "the pieces of evidence";
                return self.failed(&OciError::TooMany { what, limit: PIECE_LIMIT });
            }
            self.budget -= layer.size;
            match self.fetch.blob(layer, limit_bytes) {
                Ok(bytes) => self.piece(layer, bytes, &origin),
                Err(error) => self.found.findings.push(error.finding().at(&origin)),
            }
        }
        if !any {
            let kinds: Vec<_> = layers.iter().map(|layer| layer.media_type.as_str()).collect();
            let kinds = kinds.join(", ").chars().take(200).collect::<String>();
            self.ignored(
                origin,
                &format!("an artifact of type `{kind}` with layers `{kinds}`, not signed evidence"),
            );
        }
    }

    fn piece(&mut self, layer: &Descriptor, bytes: Vec<u8>, origin: &Origin) {
        let annotation = |name| layer.annotation(name).filter(|text| !text.trim().is_empty());
        let parts = CosignParts {
            certificate: annotation("dev.sigstore.cosign/certificate"),
            chain: annotation("dev.sigstore.cosign/chain"),
            rekor_bundle: annotation("dev.sigstore.cosign/bundle"),
            timestamp: annotation("dev.sigstore.cosign/rfc3161timestamp"),
            ..CosignParts::default()
        };
        let pieces = match layer.media_type.as_str() {
            SIMPLE_SIGNING => {
                let signature = annotation("dev.cosignproject.cosign/signature");
                let parts = CosignParts { signature, ..parts };
                vec![
                    SimpleSigning::new(bytes, &parts, origin).map(|it| Piece::Simple(Box::new(it))),
                ]
            }
            DSSE => {
                let parts = CosignParts { envelope: Some(&bytes), ..parts };
                vec![Bundle::from_cosign(&parts, origin).map(|it| Piece::Bundle(Box::new(it)))]
            }
            _ => Bundle::read_all(&bytes, origin, self.leniency)
                .into_iter()
                .map(|bundle| bundle.map(|it| Piece::Bundle(Box::new(it))))
                .collect(),
        };
        for piece in pieces {
            self.found.pieces.push(
                piece.unwrap_or_else(|error| Piece::Broken(error.origin.clone(), error.finding())),
            );
        }
    }

    /// Whether a manifest was not looked into yet; counts it.
    fn is_new(&mut self, digest: &Digest) -> bool {
        if self.seen.contains(digest) {
            return false;
        }
        if self.seen.len() == MANIFEST_LIMIT {
            let what = "the manifests with evidence";
            self.failed(&OciError::TooMany { what, limit: MANIFEST_LIMIT });
        }
        self.seen.push(digest.clone());
        self.seen.len() <= MANIFEST_LIMIT
    }

    fn origin(&self, digest: &Digest) -> Origin {
        Origin::new(format!("{}@{digest}", self.name))
    }

    fn failed(&mut self, error: &OciError) {
        self.found.findings.push(error.finding());
    }

    fn ignored(&mut self, origin: &Origin, why: &str) {
        let finding = Finding::new("evidence/ignored", State::Note, format!("not used: {why}"));
        self.found.findings.push(finding.at(origin));
    }
}
