//! What provenance has to say: the rules by type.

use std::collections::BTreeMap;

use super::checks::Checks;
use super::source::{Version, is_reference_name};
use super::{BuilderId, Provenance, Repository, Statement};
use crate::claims::{BuildClaims, check_claims};
use crate::{Artifact, Finding, Origin, Signer, State};

/// Why a rule is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no {rule}: {problem}", .text.escape_debug())]
#[non_exhaustive]
pub struct RuleError {
    /// Which rule: `source`, `branch` …
    pub rule: &'static str,
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl RuleError {
    pub(super) fn new(rule: &'static str, text: &str, problem: &'static str) -> Self {
        Self { rule, text: text.to_owned(), problem }
    }
}

/// Which builders are good enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Builders {
    /// The one that the signer's certificate names, whichever it is: the identity is a matter of
    /// the signer's policy.
    Signer,
    /// The reusable workflows of the SLSA project.
    Isolated,
    /// These.
    Listed(Vec<BuilderId>),
}

/// What SLSA provenance (v0.2 or v1) has to say of an artifact.
///
/// The source repository always has to be named. A rule that is not set is not checked; what
/// provenance says must agree with the signer's certificate in any case.
///
/// # Security
/// Provenance is as good as its signer. These rules bind what it claims to the certificate of the
/// signer, they do not say whom to trust: use them beside a policy on the signer's identity.
/// A workflow that writes its own provenance (GitHub's attestations, the npm client) could write
/// anything, so there every field has to be one that the certificate proves.
///
/// # Examples
/// ```
/// use dsops_release_verify::statement::ProvenanceRules;
/// let rules = ProvenanceRules::new("github.com/octo-org/octo-repo")?
///     .isolated_builders()
///     .versioned_tag("v1.2")?;
/// # let _ = rules;
/// # Ok::<(), dsops_release_verify::statement::RuleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenanceRules {
    pub(super) source: Repository,
    pub(super) builders: Builders,
    pub(super) build_type: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) versioned_tag: Option<String>,
    pub(super) inputs: BTreeMap<String, String>,
    pub(super) trigger: Option<String>,
    pub(super) workflow: Option<String>,
    pub(super) commit: Option<String>,
    pub(super) hosted_runners_only: bool,
}

impl ProvenanceRules {
    /// Built from that repository: `github.com/owner/name`.
    ///
    /// # Errors
    /// When it is no repository.
    pub fn new(source: &str) -> Result<Self, RuleError> {
        Repository::parse(source).map(Self::of)
    }

    /// Built from that repository.
    fn of(source: Repository) -> Self {
        Self {
            source,
            builders: Builders::Signer,
            build_type: None,
            branch: None,
            tag: None,
            versioned_tag: None,
            inputs: BTreeMap::new(),
            trigger: None,
            workflow: None,
            commit: None,
            hosted_runners_only: false,
        }
    }

    /// The repository that has to be the source.
    pub fn source(&self) -> &Repository {
        &self.source
    }

    /// Built by one of the SLSA project's reusable workflows, from a released version of it:
    /// what `slsa-verifier` takes by default, SLSA build level 3.
    #[must_use]
    pub fn isolated_builders(mut self) -> Self {
        self.builders = Builders::Isolated;
        self
    }

    /// Built by that builder: a workflow or service, with a reference behind `@` or without. May
    /// be called more than once; one of them has to be it.
    ///
    /// # Errors
    /// When it is no name of a builder.
    pub fn builder(mut self, id: &str) -> Result<Self, RuleError> {
        let id = BuilderId::parse(id)?;
        match &mut self.builders {
            Builders::Listed(list) => list.push(id),
            other => *other = Builders::Listed(vec![id]),
        }
        Ok(self)
    }

    /// Built in that way: the URI of the build type, exactly.
    #[must_use]
    pub fn build_type(mut self, uri: &str) -> Self {
        self.build_type = Some(uri.to_owned());
        self
    }

    /// Built from that branch (`main`, without `refs/heads/`).
    ///
    /// # Errors
    /// When it is no name of a branch.
    pub fn branch(mut self, name: &str) -> Result<Self, RuleError> {
        self.branch = Some(plain_name("branch", name)?);
        Ok(self)
    }

    /// Built from that tag (`v1.2.3`, without `refs/tags/`).
    ///
    /// # Errors
    /// When it is no name of a tag.
    pub fn tag(mut self, name: &str) -> Result<Self, RuleError> {
        self.tag = Some(plain_name("tag", name)?);
        Ok(self)
    }

    /// Built from a tag that is this version, as far as it is given: `v1` takes `v1.4.2`, `v1.4`
    /// takes it too, `v1.4.2-rc.1` takes only that pre-release.
    ///
    /// # Errors
    /// When it is no version.
    pub fn versioned_tag(mut self, version: &str) -> Result<Self, RuleError> {
        let error =
            RuleError::new("versioned tag", version, "write it as `v1`, `v1.2` or `v1.2.3`");
        Version::parse(version).ok_or(error)?;
        self.versioned_tag = Some(version.to_owned());
        Ok(self)
    }

    /// Started by a person who gave that input that value. May be called more than once.
    #[must_use]
    pub fn input(mut self, name: &str, value: &str) -> Self {
        self.inputs.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Started by that event: `push`, `release`, `workflow_dispatch` …
    #[must_use]
    pub fn trigger(mut self, event: &str) -> Self {
        self.trigger = Some(event.to_owned());
        self
    }

    /// Started as that workflow of the source: `.github/workflows/release.yml`.
    #[must_use]
    pub fn workflow(mut self, path: &str) -> Self {
        self.workflow = Some(path.to_owned());
        self
    }

    /// Built from that commit, in full.
    ///
    /// # Errors
    /// When it is not 40 or 64 digits of lower-case hex.
    pub fn commit(mut self, id: &str) -> Result<Self, RuleError> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if !matches!(id.len(), 40 | 64) || !id.bytes().all(hex) {
            return Err(RuleError::new("commit", id, "write all its digits, in lower case"));
        }
        self.commit = Some(id.to_owned());
        Ok(self)
    }

    /// Built on runners that GitHub keeps.
    #[must_use]
    pub fn hosted_runners_only(mut self) -> Self {
        self.hosted_runners_only = true;
        self
    }

    /// Holds a statement that was found well signed by `signer` against the rules: every check
    /// that applies, in a fixed order. It is good when no finding failed or is undecided.
    pub fn check(
        &self,
        statement: &Statement,
        signer: &Signer,
        artifact: &Artifact,
        origin: &Origin,
    ) -> Vec<Finding> {
        let mut findings = vec![statement.check_subject(artifact)];
        match Provenance::read(statement) {
            Err(error) => findings.push(error.finding(origin)),
            Ok(provenance) => {
                findings.extend(Checks::new(self, &provenance, statement, signer).run());
            }
        }
        findings.into_iter().map(|finding| finding.at(origin)).collect()
    }
}

/// Holds provenance that was found well signed by `signer` against that signer alone, for whoever has
/// no rules: as [`ProvenanceRules::new`] does with the repository that the certificate proves. The
/// builder it names has to be the one that signed, and repository, reference and commit have to be
/// those of the certificate.
///
/// A certificate of a person and a key prove no build: what they say of one is their word, and a
/// warning tells so.
pub(crate) fn check_by_signer(
    statement: &Statement,
    signer: &Signer,
    artifact: &Artifact,
    origin: &Origin,
) -> Vec<Finding> {
    let mut findings = vec![statement.check_subject(artifact)];
    if let Signer::Certificate(identity) = signer {
        let claims = BuildClaims::of(identity);
        let proven = claims.repository();
        if let Some(source) = proven.as_deref().and_then(Repository::from_url) {
            return ProvenanceRules::of(source).check(statement, signer, artifact, origin);
        }
        findings.extend(check_claims(identity));
        if proven.is_some() || claims.is_github() {
            let problem = "the signer's certificate proves no source repository";
            let finding = Finding::failed("provenance/source", problem);
            findings.push(finding.compared("a repository", proven.unwrap_or_default()));
        }
    }
    match Provenance::read(statement) {
        Err(error) => findings.push(error.finding(origin)),
        Ok(provenance) => {
            let message = "only the word of who signed says who built it, and from what";
            findings.push(
                Finding::new("provenance/builder", State::Warning, message)
                    .compared("a certificate of a build", provenance.builder().to_string()),
            );
        }
    }
    findings.into_iter().map(|finding| finding.at(origin)).collect()
}

fn plain_name(rule: &'static str, name: &str) -> Result<String, RuleError> {
    if name.starts_with("refs/") {
        return Err(RuleError::new(rule, name, "write its name without `refs/…/`"));
    }
    if !is_reference_name(name) {
        return Err(RuleError::new(rule, name, "git takes no such name"));
    }
    Ok(name.to_owned())
}
