//! What a release must show to pass.

use std::collections::BTreeSet;

use super::Publication;
use super::conclude::Judged;
use crate::statement::{ProvenanceRules, SummaryRules};
use crate::{Artifact, SignerPolicy};

/// A kind of evidence that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Requirement {
    /// Signed by an accepted signer, in whatever way. Always asked for.
    Signature,
    /// A checksum file, signed by an accepted signer, lists it.
    Checksums,
    /// SLSA provenance by an accepted signer is about it.
    Provenance,
    /// A list of its components, signed by an accepted signer, is about it.
    Sbom,
}

impl Requirement {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Signature, Self::Checksums, Self::Provenance, Self::Sbom];

    /// The word on the command line and in policy files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Checksums => "checksums",
            Self::Provenance => "provenance",
            Self::Sbom => "sbom",
        }
    }

    /// The requirement of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|requirement| requirement.name() == name)
    }

    /// The code of the check that it is there. A signature has those of the policy: it is always asked for.
    pub(super) fn code(self) -> Option<&'static str> {
        Some(match self {
            Self::Signature => return None,
            Self::Checksums => "require/checksums",
            Self::Provenance => "require/provenance",
            Self::Sbom => "require/sbom",
        })
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Signature => "a signature by an accepted signer",
            Self::Checksums => "a checksum file that is signed by an accepted signer and lists it",
            Self::Provenance => "provenance that is signed by an accepted signer",
            Self::Sbom => "a list of components (SBOM) that is signed by an accepted signer",
        }
    }
}

/// What must be shown: by whom it is signed, at least.
#[derive(Clone, Debug)]
pub struct Demands {
    pub(super) signers: SignerPolicy,
    pub(super) requirements: BTreeSet<Requirement>,
    pub(super) provenance: Option<ProvenanceRules>,
    pub(super) summary: Option<SummaryRules>,
    pub(crate) publication: Option<Publication>,
}

impl Demands {
    /// Signed by whom that policy accepts.
    pub fn new(signers: SignerPolicy) -> Self {
        let requirements = BTreeSet::from([Requirement::Signature]);
        Self { signers, requirements, provenance: None, summary: None, publication: None }
    }

    /// The same, with that evidence too.
    #[must_use]
    pub fn require(mut self, requirement: Requirement) -> Self {
        self.requirements.insert(requirement);
        self
    }

    /// The same, with provenance that follows these rules.
    #[must_use]
    pub fn provenance(mut self, rules: ProvenanceRules) -> Self {
        self.provenance = Some(rules);
        self.require(Requirement::Provenance)
    }

    /// The same, where verification summaries must follow these rules.
    #[must_use]
    pub fn summary(mut self, rules: SummaryRules) -> Self {
        self.summary = Some(rules);
        self
    }

    /// The same, where it has to be published as that.
    #[must_use]
    pub fn published(mut self, publication: Publication) -> Self {
        self.publication = Some(publication);
        self
    }

    /// Who must have signed.
    pub fn signers(&self) -> &SignerPolicy {
        &self.signers
    }

    /// Everything that is asked for.
    pub fn requirements(&self) -> impl Iterator<Item = Requirement> {
        self.requirements.iter().copied()
    }

    /// What is asked of files that are evidence themselves: that they are signed.
    pub(super) fn of_evidence(&self) -> Self {
        Self::new(self.signers.clone())
    }

    /// What was found of such a file, without signatures of a registry that says something else of
    /// it than what is asked for.
    pub(super) fn hold_evidence(&self, mut all: Vec<Judged>, artifact: &Artifact) -> Vec<Judged> {
        if let Some(publication) = &self.publication {
            for judged in &mut all {
                publication.hold(judged, artifact);
            }
        }
        all
    }
}
