//! Whom to accept: the part of a verdict that the user decides.
//!
//! A policy always names at least one signer, and a signer always has an identity and an issuer,
//! or a key. The types leave no way to accept whoever signed.

mod claim;
mod pattern;

use std::fmt;

use crate::{Authenticated, CertificateIdentity, Finding, Signer};

pub use claim::Claim;
pub use pattern::{Pattern, PatternError};

/// The issuer of GitHub's workflows.
pub const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";

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
}

/// A holder of certificates that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRule {
    identity: Pattern,
    issuer: Pattern,
    claims: Vec<(Claim, Pattern)>,
}

/// A policy that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A pattern is not good.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// Not `github:owner/repo` or `github:owner/repo@ref`.
    #[error("`{0}` is not github:OWNER/REPO or github:OWNER/REPO@REF")]
    ShortForm(String),
    /// More signers are asked for than are named, or none.
    #[error("{wanted} of {named} signers cannot be asked for")]
    Threshold {
        /// How many are asked for.
        wanted: usize,
        /// How many are named.
        named: usize,
    },
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

    /// A workflow of a repository on github.com, from `OWNER/REPO` or `OWNER/REPO@REF`, where the
    /// ref is `v1.2.3`, a glob of it, or whole, as `refs/heads/main`.
    ///
    /// # Errors
    /// When it is not of that form.
    pub fn github(text: &str) -> Result<Self, PolicyError> {
        let wrong = || PolicyError::ShortForm(text.to_owned());
        let (repository, reference) = match text.split_once('@') {
            Some((repository, reference)) => (repository, Some(reference)),
            None => (text, None),
        };
        let (owner, name) = repository.split_once('/').ok_or_else(wrong)?;
        let good = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        if !good(owner) || !good(name) {
            return Err(wrong());
        }
        let url = format!("https://github.com/{owner}/{name}");
        let rule = Self::new(
            Pattern::glob(format!("{url}/.github/workflows/**"))?,
            Pattern::exact(GITHUB_ISSUER)?,
        )
        .with_claim(Claim::Repository, Pattern::exact(url)?);
        let Some(reference) = reference else { return Ok(rule) };
        if reference.is_empty() || reference.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(wrong());
        }
        let pattern = if reference.starts_with("refs/") {
            Pattern::glob(reference)?
        } else {
            Pattern::glob(format!("refs/tags/{reference}"))?
        };
        Ok(rule.with_claim(Claim::Ref, pattern))
    }

    /// Why that holder is not accepted: one finding for each part that does not match, none when
    /// it is accepted.
    fn differences(&self, identity: &CertificateIdentity) -> Vec<Finding> {
        let mut findings = Vec::new();
        let names: Vec<_> = identity.names.iter().map(crate::SubjectName::as_str).collect();
        // With several names, one that matches does not make up for one that does not.
        if names.is_empty() || !names.iter().all(|name| self.identity.matches(name)) {
            findings.push(
                Finding::failed("policy/identity", "signed by somebody else")
                    .compared(self.identity.to_string(), names.join(", ")),
            );
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
                findings.push(
                    Finding::failed("policy/claim", format!("{}: {message}", claim.name()))
                        .compared(pattern.to_string(), found.unwrap_or_default()),
                );
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
        }
    }
}

impl SignerRule {
    /// Why that signer is not accepted; nothing when it is.
    pub fn differences(&self, signer: &Signer) -> Vec<Finding> {
        match (self, signer) {
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

/// Who must have signed: at least one named signer, and how many of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerPolicy {
    /// Never empty.
    rules: Vec<SignerRule>,
    /// From 1 to the number of rules.
    threshold: usize,
}

/// What a policy says of a set of signatures.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Judgement {
    /// For each signature in the order given, which rules accept it.
    pub accepted: Vec<Vec<usize>>,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Judgement {
    /// Whether the signature at `index` is by a signer that is accepted.
    pub fn accepts(&self, index: usize) -> bool {
        self.accepted.get(index).is_some_and(|rules| !rules.is_empty())
    }
}

impl SignerPolicy {
    /// Accepts that signer.
    pub fn new(rule: SignerRule) -> Self {
        Self { rules: vec![rule], threshold: 1 }
    }

    /// Accepts that signer as well.
    #[must_use]
    pub fn or(mut self, rule: SignerRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Asks for signatures by so many distinct signers, each accepted by another rule.
    ///
    /// # Errors
    /// When that is none, or more than there are rules.
    pub fn at_least(mut self, threshold: usize) -> Result<Self, PolicyError> {
        if threshold == 0 || threshold > self.rules.len() {
            return Err(PolicyError::Threshold { wanted: threshold, named: self.rules.len() });
        }
        self.threshold = threshold;
        Ok(self)
    }

    /// The accepted signers.
    pub fn rules(&self) -> &[SignerRule] {
        &self.rules
    }

    /// How many of them must have signed.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// Judges signatures that were found good. The same signer counts once, however often it
    /// signed.
    pub fn judge(&self, signatures: &[Authenticated]) -> Judgement {
        let mut findings = Vec::new();
        let mut accepted = Vec::with_capacity(signatures.len());
        let mut refused = Vec::new();
        for signature in signatures {
            let differences: Vec<_> =
                self.rules.iter().map(|rule| rule.differences(&signature.signer)).collect();
            let rules: Vec<usize> = differences
                .iter()
                .enumerate()
                .filter(|(_, findings)| findings.is_empty())
                .map(|(index, _)| index)
                .collect();
            match rules.first() {
                Some(first) => findings.push(
                    Finding::passed("policy/signer", "signed by whom the policy names")
                        .compared(self.rules[*first].to_string(), signature.signer.to_string())
                        .at(&signature.origin),
                ),
                // The rule that comes closest tells best what is wrong.
                None => refused.extend(
                    differences
                        .into_iter()
                        .min_by_key(Vec::len)
                        .unwrap_or_default()
                        .into_iter()
                        .map(|finding| finding.at(&signature.origin)),
                ),
            }
            accepted.push(rules);
        }
        let count = self.distinct(signatures, &accepted);
        if count >= self.threshold {
            // Others may sign as well; that is told, and does no harm.
            findings.extend(refused.into_iter().map(|mut finding| {
                finding.state = crate::State::Note;
                finding
            }));
        } else if signatures.is_empty() {
            findings.push(
                Finding::undecided("policy/unsigned", "no good signature was found")
                    .compared(self.to_string(), "none"),
            );
        } else {
            findings.extend(refused);
            findings.push(
                Finding::failed(
                    "policy/threshold",
                    "not signed by enough of whom the policy names",
                )
                .compared(format!("{} of: {self}", self.threshold), count.to_string()),
            );
        }
        Judgement { accepted, findings }
    }

    /// How many rules can be given a signer of their own: the largest matching between the two.
    fn distinct(&self, signatures: &[Authenticated], accepted: &[Vec<usize>]) -> usize {
        let mut signers: Vec<(&Signer, Vec<usize>)> = Vec::new();
        for (signature, rules) in signatures.iter().zip(accepted) {
            match signers.iter_mut().find(|(signer, _)| same_signer(signer, &signature.signer)) {
                Some((_, known)) => known.extend(rules),
                None => signers.push((&signature.signer, rules.clone())),
            }
        }
        let mut of_rule: Vec<Option<usize>> = vec![None; self.rules.len()];
        (0..signers.len())
            .filter(|signer| {
                place(*signer, &signers, &mut of_rule, &mut vec![false; self.rules.len()])
            })
            .count()
    }
}

/// Finds a rule for `signer`, moving others to another of theirs if that makes room.
fn place(
    signer: usize,
    signers: &[(&Signer, Vec<usize>)],
    of_rule: &mut [Option<usize>],
    seen: &mut [bool],
) -> bool {
    for &rule in &signers[signer].1 {
        if std::mem::replace(&mut seen[rule], true) {
            continue;
        }
        let free = match of_rule[rule] {
            None => true,
            Some(other) => place(other, signers, of_rule, seen),
        };
        if free {
            of_rule[rule] = Some(signer);
            return true;
        }
    }
    false
}

/// Whether two signatures are by one signer: the same key, or the same names by the same issuer.
/// Two runs of one workflow are one signer, whatever else their certificates claim.
fn same_signer(one: &Signer, other: &Signer) -> bool {
    match (one, other) {
        (Signer::Certificate(one), Signer::Certificate(other)) => {
            one.names == other.names && one.issuer == other.issuer
        }
        (Signer::Key { id: one, .. }, Signer::Key { id: other, .. }) => one == other,
        _ => false,
    }
}

impl fmt::Display for SignerPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rule) in self.rules.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            rule.fmt(f)?;
        }
        Ok(())
    }
}
