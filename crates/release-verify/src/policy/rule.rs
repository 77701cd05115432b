//! Who is accepted as a signer: the holder of a certificate by its name, issuer and claims, the
//! holder of a key, or GitHub for its releases.

use std::fmt;

use super::{Claim, Pattern, PatternError, PolicyError};
use crate::github::{self, GithubRules};
use crate::{CertificateIdentity, Finding, Signer};

const CASE: &str = "only the case differs: write the name as the certificate has it";

/// A signer that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignerRule {
    /// By certificate.
    Certificate(IdentityRule),
    /// By key: its id, as in [`Signer::Key`].
    Key {
        /// The id.
        id: String,
    },
    /// GitHub itself, for releases that cannot be changed any more: it needs no identity provider.
    ///
    /// # Security
    /// It signs for everybody's releases. Say also which one it has to be:
    /// [`Demands::published`](crate::Demands::published).
    GithubRelease,
}

/// A holder of certificates that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRule {
    pub(super) identity: Pattern,
    pub(super) issuer: Pattern,
    claims: Vec<(Claim, Pattern)>,
}

impl IdentityRule {
    /// Whoever has that name by that issuer.
    pub fn new(identity: Pattern, issuer: Pattern) -> Self {
        Self { identity, issuer, claims: Vec::new() }
    }

    /// The same, if the certificate also claims that.
    #[must_use]
    pub fn with_claim(mut self, claim: Claim, value: Pattern) -> Self {
        self.claims.push((claim, value));
        self
    }

    /// Workflows on GitHub, from `OWNER/REPO` or `OWNER` (also behind `TENANT.ghe.com/`), with
    /// `@REF` behind it or not. The ref is a tag, `v1.2.3`, or whole, as `refs/heads/main`, with
    /// wildcards as in [`Pattern::glob`]. `github:` may stand before it.
    ///
    /// # Errors
    /// When it is not of that form.
    pub fn github(text: &str) -> Result<Self, PolicyError> {
        let text = text.strip_prefix("github:").unwrap_or(text);
        let (repository, reference) = match text.split_once('@') {
            Some((repository, reference)) => (repository, Some(reference)),
            None => (text, None),
        };
        let rule = Self::of_github(&github::parse(repository)?)?;
        let Some(reference) = reference else { return Ok(rule) };
        let bad = |c: char| c.is_control() || c.is_whitespace() || c == '@';
        if reference.is_empty() || reference.contains(bad) {
            return Err(PolicyError::Reference(reference.to_owned()));
        }
        let pattern = if reference.starts_with("refs/") {
            Pattern::glob(reference)?
        } else {
            Pattern::glob(format!("refs/tags/{reference}"))?
        };
        Ok(rule.with_claim(Claim::Ref, pattern))
    }

    /// Pipelines of a project on gitlab.com: `GROUP/NAME`, with groups in groups or not.
    ///
    /// # Errors
    /// When it is not of that form.
    pub fn gitlab(text: &str) -> Result<Self, PolicyError> {
        let path = text.strip_prefix("gitlab.com/").unwrap_or(text);
        let plain = |part: &str| {
            !part.starts_with(['.', '-'])
                && !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        if path.split('/').count() < 2 || !path.split('/').all(plain) {
            return Err(PolicyError::Gitlab(text.to_owned()));
        }
        let project = format!("https://gitlab.com/{path}");
        // GitLab writes two slashes before the path of a pipeline.
        let rule = Self::new(
            Pattern::glob(format!("{project}//**@**"))?,
            Pattern::exact("https://gitlab.com")?,
        );
        Ok(rule.with_claim(Claim::Repository, Pattern::exact(project)?))
    }

    /// The same as a rule on GitHub's workflows.
    ///
    /// # Errors
    /// Those of [`Pattern`], which names on GitHub never cause.
    pub fn of_github(rules: &GithubRules) -> Result<Self, PatternError> {
        let signer = match &rules.signer_workflow {
            Some(workflow) => format!("{workflow}@**"),
            None => format!("{}**@**", rules.signer_prefix),
        };
        let mut rule = Self::new(Pattern::glob(signer)?, Pattern::exact(&*rules.issuer)?);
        for (arc, value) in &rules.claims {
            // Every claim of GitHub's has a name; one without could not be checked by it.
            if let Some(claim) = Claim::from_arc(*arc) {
                rule = rule.with_claim(claim, Pattern::exact(value)?);
            }
        }
        Ok(rule)
    }

    /// Why that holder is not accepted: one finding for each part that does not match, none when
    /// it is accepted.
    fn differences(&self, identity: &CertificateIdentity) -> Vec<Finding> {
        let mut findings = Vec::new();
        let names: Vec<_> = identity.names.iter().map(crate::SubjectName::as_str).collect();
        // With several names, one that matches does not make up for one that does not.
        if names.is_empty() || !names.iter().all(|name| self.identity.matches(name)) {
            let finding = Finding::failed("policy/identity", "signed by somebody else")
                .compared(self.identity.to_string(), names.join(", "));
            let is_case =
                names.iter().all(|name| self.identity.differs_in_case(name)) && !names.is_empty();
            findings.push(if is_case { finding.help(CASE) } else { finding });
        }
        match &identity.issuer {
            Some(issuer) if self.issuer.matches(issuer) => {}
            issuer => findings.push(
                Finding::failed(
                    "policy/issuer",
                    "another identity provider vouches for the signer",
                )
                .compared(self.issuer.to_string(), issuer.clone().unwrap_or_default()),
            ),
        }
        for (claim, pattern) in &self.claims {
            let count = |arc| identity.claims.iter().filter(|(own, _)| *own == arc).count();
            let arc = match claim.old_arc() {
                Some(old) if count(claim.arc()) == 0 => old,
                _ => claim.arc(),
            };
            let found = identity.claim(arc);
            if !found.is_some_and(|found| pattern.matches(found)) {
                let message = match (found, count(arc)) {
                    (Some(_), _) => "the certificate claims something else",
                    (None, 0) => "the certificate does not claim it",
                    (None, _) => "the certificate claims it twice",
                };
                let finding =
                    Finding::failed("policy/claim", format!("{}: {message}", claim.name()))
                        .compared(pattern.to_string(), found.unwrap_or_default());
                let tag = pattern.as_str().strip_prefix("refs/tags/");
                let branch = found.and_then(|found| found.strip_prefix("refs/heads/"));
                findings.push(match (found, tag, branch) {
                    (Some(found), ..) if pattern.differs_in_case(found) => finding.help(CASE),
                    (_, Some(tag), Some(branch)) if *claim == Claim::Ref && tag == branch => {
                        finding.help(
                            "`@NAME` is a tag; a branch is named whole, as `@refs/heads/main`",
                        )
                    }
                    _ => finding,
                });
            }
        }
        findings
    }
}

impl fmt::Display for IdentityRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.identity, self.issuer)?;
        for (claim, pattern) in &self.claims {
            write!(f, ", {} {pattern}", claim.name())?;
        }
        Ok(())
    }
}

impl fmt::Display for SignerRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(rule) => rule.fmt(f),
            Self::Key { id } => write!(f, "key {id}"),
            Self::GithubRelease => f.write_str(github::RELEASE_SIGNER),
        }
    }
}

impl SignerRule {
    /// Why that signer is not accepted; nothing when it is.
    pub fn differences(&self, signer: &Signer) -> Vec<Finding> {
        match (self, signer) {
            (Self::GithubRelease, _) => {
                let finding = github::check_release_signer(signer);
                Vec::from_iter((finding.state == crate::State::Failed).then_some(finding))
            }
            (Self::Certificate(rule), Signer::Certificate(identity)) => rule.differences(identity),
            (Self::Key { id }, Signer::Key { id: found, .. }) if id == found => Vec::new(),
            (Self::Key { id }, Signer::Key { id: found, .. }) => {
                vec![
                    Finding::failed("policy/key", "signed with another key")
                        .compared(id.clone(), found.clone()),
                ]
            }
            (Self::Certificate(rule), Signer::Key { id, .. }) => {
                vec![
                    Finding::failed("policy/identity", "signed with a key, not a certificate")
                        .compared(rule.identity.to_string(), format!("key {id}")),
                ]
            }
            (Self::Key { id }, Signer::Certificate(identity)) => {
                let names: Vec<_> = identity.names.iter().map(crate::SubjectName::as_str).collect();
                vec![
                    Finding::failed("policy/key", "signed with a certificate, not that key")
                        .compared(id.clone(), names.join(", ")),
                ]
            }
        }
    }
}
