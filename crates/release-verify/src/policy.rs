//! Whom to accept: the part of a verdict that the user decides.
//!
//! A policy always names at least one signer, and a signer always has an identity and an issuer,
//! or a key. The types leave no way to accept whoever signed.

mod claim;
mod file;
mod lint;
mod pattern;
mod read;
mod rule;
mod schema;
mod short;
mod signers;
mod yaml;

use std::fmt;

use crate::github::GithubNameError;
use crate::registry::RegistryError;
use crate::{Authenticated, Finding, Signer, SubjectName};

pub use claim::Claim;
pub use file::{ArtifactRule, POLICY_LIMIT_BYTES, PolicyFile, PolicyFileError};
pub use lint::PolicyWarning;
pub use pattern::{Pattern, PatternError};
pub use rule::{IdentityRule, SignerRule};

/// A policy that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A pattern is not good.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// Not an owner or repository on GitHub.
    #[error(transparent)]
    Github(#[from] GithubNameError),
    /// Not a group and a project on GitLab.
    #[error("`{}` is no project on GitLab: write GROUP/NAME", .0.escape_debug())]
    Gitlab(String),
    /// Not a package, a file or a release of a registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Not a form that is known.
    #[error("`{}` is no {what}: it is one of {known}", .text.escape_debug())]
    Form {
        /// What it should be: `policy`.
        what: &'static str,
        /// What was given.
        text: String,
        /// The forms there are.
        known: &'static str,
    },
    /// Not `OWNER/REPO@REF`.
    #[error("`{}` is no branch or tag: write v1.2.3, v1.* or refs/heads/main", .0.escape_debug())]
    Reference(String),
    /// More signers are asked for than are named, or none.
    #[error("{wanted} of {named} signers cannot be asked for")]
    Threshold {
        /// How many are asked for.
        wanted: usize,
        /// How many are named.
        named: usize,
    },
}

/// Who must have signed: at least one signer, and how many of them.
///
/// A signer may sign in several ways, with one key or another: it counts once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerPolicy {
    /// Never empty, and none of them is; but see [`SignerPolicy::nobody`].
    signers: Vec<Vec<SignerRule>>,
    /// From 1 to the number of signers.
    threshold: usize,
}

/// What a policy says of a set of signatures.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Judgement {
    /// For each signature in the order given, which signers of the policy it is by.
    pub accepted: Vec<Vec<usize>>,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Judgement {
    /// Whether the signature at `index` is by a signer that is accepted.
    pub fn accepts(&self, index: usize) -> bool {
        self.accepted.get(index).is_some_and(|signers| !signers.is_empty())
    }
}

impl SignerPolicy {
    /// Accepts that signer.
    pub fn new(rule: SignerRule) -> Self {
        Self { signers: vec![vec![rule]], threshold: 1 }
    }

    /// Accepts whoever signs in one of these ways, as one signer; `None` when there is no way.
    pub fn of_one(rules: impl IntoIterator<Item = SignerRule>) -> Option<Self> {
        let rules: Vec<SignerRule> = rules.into_iter().collect();
        (!rules.is_empty()).then(|| Self { signers: vec![rules], threshold: 1 })
    }

    /// Accepts nobody: for looking at evidence, which then never passes.
    pub(crate) fn nobody() -> Self {
        Self { signers: Vec::new(), threshold: 1 }
    }

    /// Accepts that signer as well.
    #[must_use]
    pub fn or(mut self, rule: SignerRule) -> Self {
        self.signers.push(vec![rule]);
        self
    }

    /// Accepts the signers of `other` as well. Its threshold is not looked at.
    #[must_use]
    pub fn and_those_of(mut self, other: Self) -> Self {
        self.signers.extend(other.signers);
        self
    }

    /// Asks for signatures by so many distinct signers.
    ///
    /// # Errors
    /// When that is none, or more than there are.
    pub fn at_least(mut self, threshold: usize) -> Result<Self, PolicyError> {
        if threshold == 0 || threshold > self.signers.len() {
            return Err(PolicyError::Threshold { wanted: threshold, named: self.signers.len() });
        }
        self.threshold = threshold;
        Ok(self)
    }

    /// The accepted signers, each with the ways in which it may sign.
    pub fn signers(&self) -> impl ExactSizeIterator<Item = &[SignerRule]> {
        self.signers.iter().map(Vec::as_slice)
    }

    /// How many of them must have signed.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// Judges signatures that were found good. The same signer counts once, however often it
    /// signed, and with however many keys.
    pub fn judge(&self, signatures: &[Authenticated]) -> Judgement {
        let mut findings = Vec::new();
        let mut accepted = Vec::with_capacity(signatures.len());
        let mut refused = Vec::new();
        for signature in signatures {
            let (mut signers, mut by): (Vec<usize>, Option<&SignerRule>) = (Vec::new(), None);
            let mut nearest: Option<Vec<Finding>> = None;
            for (index, rules) in self.signers.iter().enumerate() {
                for rule in rules {
                    let differences = rule.differences(&signature.signer);
                    if differences.is_empty() {
                        by.get_or_insert(rule);
                        signers.push(index);
                        break;
                    }
                    // The rule that comes closest tells best what is wrong.
                    if nearest.as_ref().is_none_or(|known| differences.len() < known.len()) {
                        nearest = Some(differences);
                    }
                }
            }
            match by {
                Some(rule) => findings.push(
                    Finding::passed("policy/signer", "signed by whom the policy names")
                        .compared(rule.to_string(), signature.signer.to_string())
                        .at(&signature.origin),
                ),
                None => refused.extend(
                    nearest
                        .unwrap_or_default()
                        .into_iter()
                        .map(|finding| finding.at(&signature.origin)),
                ),
            }
            accepted.push(signers);
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
            let message = "not signed by enough of whom the policy names";
            let finding = Finding::failed("policy/threshold", message)
                .compared(format!("{} of: {self}", self.threshold), count.to_string());
            let good = accepted.iter().filter(|signers| !signers.is_empty()).count();
            findings.push(if good >= self.threshold {
                finding.help(
                    "one signer counts once, with however many keys, runs and names in the policy",
                )
            } else {
                finding
            });
        }
        Judgement { accepted, findings }
    }

    /// How many signers of the policy can be given a signer of their own: the largest matching
    /// between the two.
    fn distinct(&self, signatures: &[Authenticated], accepted: &[Vec<usize>]) -> usize {
        let mut found: Vec<(&Signer, Vec<usize>)> = Vec::new();
        for (signature, signers) in signatures.iter().zip(accepted) {
            match found.iter_mut().find(|(signer, _)| same_signer(signer, &signature.signer)) {
                Some((_, known)) => known.extend(signers),
                None => found.push((&signature.signer, signers.clone())),
            }
        }
        let mut taken: Vec<Option<usize>> = vec![None; self.signers.len()];
        (0..found.len())
            .filter(|signer| {
                place(*signer, &found, &mut taken, &mut vec![false; self.signers.len()])
            })
            .count()
    }
}

/// Finds a place in the policy for `signer`, moving others to another of theirs if that makes room.
fn place(
    signer: usize,
    found: &[(&Signer, Vec<usize>)],
    taken: &mut [Option<usize>],
    seen: &mut [bool],
) -> bool {
    for &own in &found[signer].1 {
        if std::mem::replace(&mut seen[own], true) {
            continue;
        }
        let free = match taken[own] {
            None => true,
            Some(other) => place(other, found, taken, seen),
        };
        if free {
            taken[own] = Some(signer);
            return true;
        }
    }
    false
}

/// Whether two signatures are by one signer: the same key, or the same names by the same issuer.
/// Two runs of one workflow are one signer, at whatever reference, and whatever else their
/// certificates claim.
fn same_signer(one: &Signer, other: &Signer) -> bool {
    match (one, other) {
        (Signer::Certificate(one), Signer::Certificate(other)) => {
            one.issuer == other.issuer
                && one
                    .names
                    .iter()
                    .map(of_any_reference)
                    .eq(other.names.iter().map(of_any_reference))
        }
        (Signer::Key { id: one, .. }, Signer::Key { id: other, .. }) => one == other,
        _ => false,
    }
}

/// The name of a workflow without the reference or commit that it was started at; any other as it is.
fn of_any_reference(name: &SubjectName) -> &str {
    let SubjectName::Uri(uri) = name else { return name.as_str() };
    if let Some((workflow, _)) = uri.split_once("@refs/") {
        return workflow;
    }
    let is_commit =
        |at: &str| matches!(at.len(), 40 | 64) && at.chars().all(|c| c.is_ascii_hexdigit());
    match uri.rsplit_once('@') {
        Some((workflow, at)) if is_commit(at) => workflow,
        _ => uri,
    }
}

impl fmt::Display for SignerPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rules) in self.signers.iter().enumerate() {
            f.write_str(if index > 0 { "; " } else { "" })?;
            for (index, rule) in rules.iter().enumerate() {
                write!(f, "{}{rule}", if index > 0 { " or " } else { "" })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CertificateIdentity, github};
    use crate::{Content, Digest, Origin, State};

    const ISSUER: &str = github::ISSUER;
    const WORKFLOW: &str =
        "https://github.com/octo/demo/.github/workflows/release.yml@refs/tags/v1.2.3";

    fn identity(name: &str, issuer: &str) -> CertificateIdentity {
        let claims = [
            (12, "https://github.com/octo/demo"),
            (14, "refs/tags/v1.2.3"),
            (16, "https://github.com/octo"),
            (11, "github-hosted"),
        ];
        CertificateIdentity::new(
            vec![SubjectName::Uri(name.to_owned())],
            Some(issuer.to_owned()),
            claims.into_iter().map(|(arc, value)| (arc, value.to_owned())).collect(),
        )
    }

    fn signed(signer: Signer) -> Authenticated {
        let digest = Digest::of(crate::Algorithm::Sha256, b"");
        Authenticated::new(Origin::new("bundle"), signer, Content::Artifact(digest))
    }

    fn by(name: &str) -> Authenticated {
        signed(Signer::Certificate(identity(name, ISSUER)))
    }

    fn exact(name: &str) -> SignerRule {
        SignerRule::Certificate(IdentityRule::new(
            Pattern::exact(name).unwrap(),
            Pattern::exact(ISSUER).unwrap(),
        ))
    }

    fn codes(rule: &SignerRule, identity: CertificateIdentity) -> Vec<&'static str> {
        let findings = rule.differences(&Signer::Certificate(identity));
        assert!(findings.iter().all(|finding| finding.state == State::Failed));
        findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn look_alikes_fail_and_say_why() {
        let short = SignerRule::Certificate(IdentityRule::github("octo/demo@v1.*").unwrap());
        for rule in [&exact(WORKFLOW), &short] {
            assert!(codes(rule, identity(WORKFLOW, ISSUER)).is_empty());
            for name in [
                WORKFLOW.replace("github.com", "github.com.evil"),
                WORKFLOW.replace("octo", "Octo"),
                WORKFLOW.replace("octo/demo", "octo/demo-evil"),
                WORKFLOW.replace("https", "http"),
                format!("{WORKFLOW}\n"),
                format!(" {WORKFLOW}"),
                format!("https://evil.example/?{WORKFLOW}"),
            ] {
                assert_eq!(codes(rule, identity(&name, ISSUER)), ["policy/identity"], "{name}");
            }
            for issuer in [
                "https://token.actions.githubusercontent.com.evil",
                "https://token.actions.githubusercontent.com/octo",
                "https://token.actions.githubusercontent.com/",
                "http://token.actions.githubusercontent.com",
                "",
            ] {
                assert_eq!(codes(rule, identity(WORKFLOW, issuer)), ["policy/issuer"], "{issuer}");
            }
            let mut nobody = identity(WORKFLOW, ISSUER);
            nobody.issuer = None;
            assert_eq!(codes(rule, nobody), ["policy/issuer"]);
        }
        let finding = short
            .differences(&Signer::Certificate(identity("https://evil.example", ISSUER)))
            .remove(0);
        assert_eq!(finding.found.as_deref(), Some("https://evil.example"));
        assert!(finding.expected.unwrap().starts_with("https://github.com/octo/demo/"));
    }

    #[test]
    fn what_was_written_a_little_wrong_is_said() {
        let help = |rule: &str| {
            let rule = SignerRule::Certificate(IdentityRule::github(rule).unwrap());
            let findings = rule.differences(&Signer::Certificate(identity(WORKFLOW, ISSUER)));
            let all: Vec<String> = findings.into_iter().filter_map(|one| one.help).collect();
            all.join("; ")
        };
        assert!(help("Octo/demo").contains("case"));
        assert_eq!(help("octo/other"), "");
        let rule = SignerRule::Certificate(IdentityRule::github("octo/demo@main").unwrap());
        let mut branch = identity(WORKFLOW, ISSUER);
        branch.claims.retain(|(arc, _)| *arc != 14);
        branch.claims.push((14, "refs/heads/main".to_owned()));
        let finding = rule.differences(&Signer::Certificate(branch)).remove(0);
        assert!(finding.help.unwrap().contains("@refs/heads/main"));
    }

    #[test]
    fn every_name_of_a_certificate_has_to_match() {
        let mut two = identity(WORKFLOW, ISSUER);
        two.names.push(SubjectName::Email("mallory@example.org".into()));
        assert_eq!(codes(&exact(WORKFLOW), two), ["policy/identity"]);
    }

    #[test]
    fn claims_that_are_missing_different_or_twice() {
        let rule = SignerRule::Certificate(
            IdentityRule::github("github:octo/demo@refs/tags/v1.2.3")
                .unwrap()
                .with_claim(Claim::RunnerEnvironment, Pattern::exact("github-hosted").unwrap()),
        );
        let good = identity(WORKFLOW, ISSUER);
        assert!(codes(&rule, good.clone()).is_empty());
        for (arc, value) in
            [(12, "https://github.com/octo/other"), (14, "refs/heads/v1.2.3"), (11, "self-hosted")]
        {
            let mut other = good.clone();
            other.claims.retain(|(own, _)| *own != arc);
            assert_eq!(codes(&rule, other.clone()), ["policy/claim"], "without {arc}");
            other.claims.push((arc, value.to_owned()));
            assert_eq!(codes(&rule, other), ["policy/claim"], "another {arc}");
            let mut twice = good.clone();
            twice.claims.push(twice.claims.iter().find(|(own, _)| *own == arc).unwrap().clone());
            assert_eq!(codes(&rule, twice), ["policy/claim"], "twice {arc}");
        }
        // Certificates from before 2023 have the ref in an older extension.
        let mut old = good;
        old.claims.retain(|(arc, _)| *arc != 14);
        old.claims.push((6, "refs/tags/v1.2.3".to_owned()));
        assert!(codes(&rule, old).is_empty());
    }

    #[test]
    fn short_forms() {
        for good in ["octo/demo", "github:octo/demo@v1", "octo", "octo/demo@refs/heads/main"] {
            assert!(IdentityRule::github(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "github:",
            "octo/",
            "/demo",
            "octo/demo@",
            "octo/demo@a b",
            "octo/demo@a@b",
            "oc*/demo",
            "octo/d*",
            "octo/demo\n",
            "a/b/c",
        ] {
            assert!(IdentityRule::github(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn n_of_m_counts_distinct_signers_for_distinct_rules() {
        let (a, b, c) = ("https://a.example", "https://b.example", "https://c.example");
        let two = SignerPolicy::new(exact(a)).or(exact(b)).or(exact(c)).at_least(2).unwrap();
        let passes = |policy: &SignerPolicy, signatures: &[Authenticated]| {
            !policy
                .judge(signatures)
                .findings
                .iter()
                .any(|finding| matches!(finding.state, State::Failed | State::Undecided))
        };
        assert!(passes(&two, &[by(a), by(b)]));
        assert!(passes(&two, &[by(a), by("https://x.example"), by(c)]));
        assert!(!passes(&two, &[by(a), by(a)]), "one signer twice");
        assert!(!passes(&two, &[by(a), by("https://x.example")]));
        // One rule that takes both does not stand for two.
        let any = SignerRule::Certificate(IdentityRule::new(
            Pattern::glob("https://*.example").unwrap(),
            Pattern::exact(ISSUER).unwrap(),
        ));
        let mixed = SignerPolicy::new(any).or(exact(a)).at_least(2).unwrap();
        assert!(passes(&mixed, &[by(a), by(b)]));
        assert!(!passes(&mixed, &[by(b), by(c)]));
        // One workflow at two tags is one signer, though its names differ.
        let at = |reference: &str| by(&WORKFLOW.replace("refs/tags/v1.2.3", reference));
        let github = |text: &str| SignerRule::Certificate(IdentityRule::github(text).unwrap());
        let wide = SignerPolicy::new(github("octo/demo")).or(github("octo")).at_least(2).unwrap();
        let twice = [at("refs/tags/v1.2.3"), at("refs/heads/main")];
        assert!(!passes(&wide, &twice));
        let commit = |digit: &str| by(&WORKFLOW.replace("refs/tags/v1.2.3", &digit.repeat(40)));
        assert!(!passes(&wide, &[commit("a"), at("refs/heads/main")]));
        assert!(!passes(&wide, &[commit("a"), commit("b")]));
        let last = wide.judge(&twice).findings.pop().unwrap();
        assert!(last.help.unwrap().contains("counts once"));
        assert!(SignerPolicy::new(exact(a)).at_least(2).is_err());
        assert!(SignerPolicy::new(exact(a)).at_least(0).is_err());
    }

    #[test]
    fn a_signer_with_two_keys_is_one() {
        let key = |id: &str| SignerRule::Key { id: id.into() };
        let by = |id: &str| signed(Signer::Key { id: id.into(), algorithm: "ed25519".into() });
        let ann = || SignerPolicy::of_one([key("ann-1"), key("ann-2")]).unwrap();
        let two = ann().or(key("bob")).or(key("eve")).at_least(2).unwrap();
        let is_good = |signatures: &[Authenticated]| {
            two.judge(signatures).findings.iter().all(|finding| finding.state == State::Passed)
        };
        assert!(!is_good(&[by("ann-1"), by("ann-2")]));
        assert!(is_good(&[by("ann-2"), by("bob")]));
        assert!(is_good(&[by("ann-1"), by("ann-2"), by("eve")]));
        assert!(ann().at_least(2).is_err());
        assert!(SignerPolicy::of_one([]).is_none());
        // One key under two names is one holder.
        let twice = ann().and_those_of(ann()).at_least(2).unwrap();
        assert!(twice.judge(&[by("ann-1")]).findings.iter().any(|f| f.state == State::Failed));
    }

    #[test]
    fn without_signatures_nothing_is_decided() {
        let judgement = SignerPolicy::new(exact(WORKFLOW)).judge(&[]);
        assert_eq!(judgement.findings.len(), 1);
        assert_eq!(judgement.findings[0].state, State::Undecided);
    }

    #[test]
    fn others_may_sign_too() {
        let judgement =
            SignerPolicy::new(exact(WORKFLOW)).judge(&[by("https://x.example"), by(WORKFLOW)]);
        assert!(judgement.accepts(1) && !judgement.accepts(0) && !judgement.accepts(2));
        assert!(
            judgement
                .findings
                .iter()
                .all(|finding| matches!(finding.state, State::Passed | State::Note))
        );
    }

    #[test]
    fn keys() {
        let rule = SignerRule::Key { id: "sha256:1".into() };
        let key = |id: &str| Signer::Key { id: id.into(), algorithm: "ed25519".into() };
        assert!(rule.differences(&key("sha256:1")).is_empty());
        assert_eq!(rule.differences(&key("sha256:2"))[0].code, "policy/key");
        assert_eq!(codes(&rule, identity(WORKFLOW, ISSUER)), ["policy/key"]);
        assert_eq!(exact(WORKFLOW).differences(&key("sha256:1"))[0].code, "policy/identity");
    }
}
