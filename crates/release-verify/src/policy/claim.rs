//! What a certificate may say of the job that signed: Fulcio's extensions, by name.
//!
//! Source: `docs/oid-info.md` of sigstore/fulcio.

/// A claim in a signing certificate that a policy can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Claim {
    /// The workflow that signed, with its ref (9).
    BuildSignerUri,
    /// The commit of that workflow (10).
    BuildSignerDigest,
    /// `github-hosted` or `self-hosted` (11).
    RunnerEnvironment,
    /// The repository that was built (12).
    Repository,
    /// The commit that was built (13).
    SourceDigest,
    /// The ref that was built: `refs/tags/v1` (14).
    Ref,
    /// The provider's number for the repository; survives a rename (15).
    RepositoryId,
    /// Who owns the repository (16).
    Owner,
    /// The provider's number for the owner (17).
    OwnerId,
    /// The workflow that was started, with its ref (18).
    Workflow,
    /// The commit of that workflow (19).
    WorkflowDigest,
    /// What started it: `push`, `release` (20).
    Trigger,
    /// The run (21).
    Run,
    /// `public`, `private` or `internal` (22).
    Visibility,
    /// The deployment environment (23).
    Environment,
    /// The subject of the token (24).
    TokenSubject,
    /// The workflow's display name (4, old).
    WorkflowName,
}

impl Claim {
    /// Every claim with its arc below 1.3.6.1.4.1.57264.1, its name in policies, and the arc of
    /// the older extension that says the same in the same words.
    const TABLE: [(Self, u32, &'static str, Option<u32>); 17] = [
        (Self::BuildSignerUri, 9, "build-signer", None),
        (Self::BuildSignerDigest, 10, "build-signer-digest", None),
        (Self::RunnerEnvironment, 11, "runner-environment", None),
        (Self::Repository, 12, "repository", None),
        (Self::SourceDigest, 13, "source-digest", Some(3)),
        (Self::Ref, 14, "ref", Some(6)),
        (Self::RepositoryId, 15, "repository-id", None),
        (Self::Owner, 16, "owner", None),
        (Self::OwnerId, 17, "owner-id", None),
        (Self::Workflow, 18, "workflow", None),
        (Self::WorkflowDigest, 19, "workflow-digest", None),
        (Self::Trigger, 20, "trigger", Some(2)),
        (Self::Run, 21, "run", None),
        (Self::Visibility, 22, "visibility", None),
        (Self::Environment, 23, "environment", None),
        (Self::TokenSubject, 24, "token-subject", None),
        (Self::WorkflowName, 4, "workflow-name", None),
    ];

    /// All claims, in the order of their arcs.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::TABLE.iter().map(|(claim, ..)| *claim)
    }

    fn row(self) -> &'static (Self, u32, &'static str, Option<u32>) {
        Self::TABLE
            .iter()
            .find(|(claim, ..)| *claim == self)
            .expect("the table holds every claim; a test counts them")
    }

    /// Its name in policies: `runner-environment`.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// The claim of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::TABLE.iter().find(|(_, _, own, _)| *own == name).map(|(claim, ..)| *claim)
    }

    /// The last arc of its object identifier, below 1.3.6.1.4.1.57264.1.
    pub fn arc(self) -> u32 {
        self.row().1
    }

    /// The claim with that last arc.
    pub fn from_arc(arc: u32) -> Option<Self> {
        Self::TABLE.iter().find(|(_, own, ..)| *own == arc).map(|(claim, ..)| *claim)
    }

    /// The arc of the older extension that says the same, for certificates from before 2023.
    pub(crate) fn old_arc(self) -> Option<u32> {
        self.row().3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_claim_is_in_the_table() {
        for claim in Claim::all() {
            assert_eq!(Claim::from_name(claim.name()), Some(claim));
            assert_eq!(Claim::from_arc(claim.arc()), Some(claim));
            assert!((2..=24).contains(&claim.arc()));
        }
        assert_eq!(Claim::all().count(), Claim::WorkflowName as usize + 1);
        assert_eq!(Claim::from_name("Repository"), None);
    }
}
