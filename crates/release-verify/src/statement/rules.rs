//! What provenance has to say: the rules by type, and their checks.

use std::collections::BTreeMap;

use super::builder::{self, GENERATOR_WORKFLOWS, NPM_RUNNER, NPM_V1_BUILD};
use super::source::{Version, is_reference_name};
use super::{BuilderId, GitRef, Provenance, Repository, Statement, certificate};
use crate::claims::{BuildClaims, arc, check_claims};
use crate::github::HOSTED_RUNNER;
use crate::json::Json;
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
enum Builders {
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
    source: Repository,
    builders: Builders,
    build_type: Option<String>,
    branch: Option<String>,
    tag: Option<String>,
    versioned_tag: Option<String>,
    inputs: BTreeMap<String, String>,
    trigger: Option<String>,
    workflow: Option<String>,
    commit: Option<String>,
    hosted_runners_only: bool,
}

impl ProvenanceRules {
    /// Built from that repository: `github.com/owner/name`.
    ///
    /// # Errors
    /// When it is no repository.
    pub fn new(source: &str) -> Result<Self, RuleError> {
        Ok(Self {
            source: Repository::parse(source)?,
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
        })
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

fn plain_name(rule: &'static str, name: &str) -> Result<String, RuleError> {
    if name.starts_with("refs/") {
        return Err(RuleError::new(rule, name, "write its name without `refs/…/`"));
    }
    if !is_reference_name(name) {
        return Err(RuleError::new(rule, name, "git takes no such name"));
    }
    Ok(name.to_owned())
}

/// Who stands behind what provenance says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Author {
    /// A builder that the build cannot reach: its word counts.
    Isolated,
    /// The build itself: only what the certificate proves counts.
    Build,
    /// The holder of a key that the caller trusts.
    Key,
}

struct Checks<'a> {
    rules: &'a ProvenanceRules,
    provenance: &'a Provenance,
    statement: &'a Statement,
    signer: &'a Signer,
    claims: Option<BuildClaims<'a>>,
    author: Author,
    findings: Vec<Finding>,
}

impl<'a> Checks<'a> {
    fn new(
        rules: &'a ProvenanceRules,
        provenance: &'a Provenance,
        statement: &'a Statement,
        signer: &'a Signer,
    ) -> Self {
        let claims = match signer {
            Signer::Certificate(identity) => Some(BuildClaims::of(identity)),
            Signer::Key { .. } => None,
        };
        let author = match claims.as_ref().map(|claims| claims.workflow().and_then(BuilderId::read))
        {
            None => Author::Key,
            Some(Some(id)) if builder::trusted(id.name()).is_some() => Author::Isolated,
            Some(_) => Author::Build,
        };
        Self { rules, provenance, statement, signer, claims, author, findings: Vec::new() }
    }

    fn run(mut self) -> Vec<Finding> {
        if let Signer::Certificate(identity) = self.signer {
            self.findings.extend(check_claims(identity));
        }
        self.builder();
        self.build_type();
        self.source();
        self.reference();
        self.plain("provenance/trigger", "trigger", self.rules.trigger.as_deref(), self.event());
        let workflow = self.workflow();
        self.plain("provenance/workflow", "workflow", self.rules.workflow.as_deref(), workflow);
        self.commit();
        self.inputs();
        if self.rules.hosted_runners_only {
            let runner = self.claims.as_ref().and_then(|c| c.claim(arc::RUNNER_ENVIRONMENT));
            self.plain("provenance/runner", "runner", Some(HOSTED_RUNNER), runner.map(Into::into));
        }
        if let (Author::Build, Some(claims)) = (self.author, &self.claims) {
            self.findings.extend(certificate::check(self.provenance, self.statement, claims));
        }
        self.findings
    }

    fn add(&mut self, good: bool, code: &'static str, message: &str, wanted: &str, found: &str) {
        let state = if good { State::Passed } else { State::Failed };
        self.findings.push(Finding::new(code, state, message).compared(wanted, found));
    }

    /// One value against one rule, when there is one.
    fn plain(
        &mut self,
        code: &'static str,
        what: &str,
        wanted: Option<&str>,
        found: Option<String>,
    ) {
        let Some(wanted) = wanted else { return };
        let Some(found) = found else {
            let message = format!("nothing proves the {what} of the build");
            return self.add(false, code, &message, wanted, "");
        };
        let good = wanted == found;
        let message = if good {
            format!("the {what} is the one asked for")
        } else {
            format!("the {what} is another one")
        };
        self.add(good, code, &message, wanted, &found);
    }

    fn builder(&mut self) {
        const CODE: &str = "provenance/builder";
        let found = self.provenance.builder.to_string();
        let wanted = match &self.rules.builders {
            Builders::Signer => "the signer".to_owned(),
            Builders::Isolated => format!("{GENERATOR_WORKFLOWS}…"),
            Builders::Listed(list) => {
                list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
        };
        match self.builder_problem() {
            Some(problem) => self.add(false, CODE, problem, &wanted, &found),
            None if self.author == Author::Key && self.rules.builders == Builders::Signer => {
                let message = "only the holder of the key says who built it";
                let finding = Finding::new(CODE, State::Warning, message);
                self.findings.push(finding.compared(wanted, found));
            }
            None => {
                let message = match self.author {
                    Author::Isolated => "an isolated builder built it",
                    Author::Build | Author::Key => "the builder is the one asked for",
                };
                self.add(true, CODE, message, &wanted, &found);
            }
        }
    }

    /// Why the builder is not good enough, or not the one that signed.
    fn builder_problem(&self) -> Option<&'static str> {
        let named = &self.provenance.builder;
        let listed = |id: &BuilderId| match &self.rules.builders {
            Builders::Signer => true,
            Builders::Isolated => false,
            Builders::Listed(list) => list.iter().any(|wanted| wanted.takes(id)),
        };
        let Some(claims) = &self.claims else {
            return match &self.rules.builders {
                Builders::Isolated => Some("a key signed it, not the certificate of a builder"),
                _ if listed(named) => None,
                _ => Some("another builder built it"),
            };
        };
        let Some(workflow) = claims.workflow().and_then(BuilderId::read) else {
            return Some("the signer's certificate names no workflow");
        };
        if let Some(trusted) = builder::trusted(workflow.name()) {
            let by_reference = |wanted: &BuilderId| wanted.reference().is_some();
            let pinned = matches!(&self.rules.builders, Builders::Listed(list)
                if list.iter().any(|id| by_reference(id) && id.takes(&workflow)));
            if !claims.is_github() {
                return Some("the signer's workflow is not vouched for by GitHub");
            }
            if !workflow.is_release(None) && !pinned {
                return Some("the builder was not taken from a released version, `vX.Y.Z`");
            }
            if !trusted.delegates {
                return match &self.rules.builders {
                    _ if *named != workflow => Some("the builder it names did not sign it"),
                    Builders::Listed(_) if !listed(&workflow) => Some("another builder built it"),
                    _ => None,
                };
            }
            let pre_release = named
                .name()
                .starts_with("https://github.com/jreleaser/release-action/")
                .then_some("java");
            if !named.is_release(pre_release) {
                return Some("the builder it names was not taken from a released version");
            }
            let good = match &self.rules.builders {
                Builders::Listed(_) => listed(named),
                _ => named.name().starts_with(GENERATOR_WORKFLOWS),
            };
            return (!good).then_some("another builder built it");
        }
        self.own_builder_problem(claims, &workflow, listed)
    }

    /// The same for a workflow that writes its own provenance.
    fn own_builder_problem(
        &self,
        claims: &BuildClaims<'_>,
        workflow: &BuilderId,
        listed: impl Fn(&BuilderId) -> bool,
    ) -> Option<&'static str> {
        let named = &self.provenance.builder;
        if self.rules.builders == Builders::Isolated {
            return Some("the workflow that built it also says how: no isolated builder does");
        }
        if named.name() == NPM_RUNNER
            || named.name().strip_prefix(NPM_RUNNER).is_some_and(|rest| rest.starts_with('/'))
        {
            let kind = named.name().strip_prefix(NPM_RUNNER).and_then(|r| r.strip_prefix('/'));
            let proven = claims.claim(arc::RUNNER_ENVIRONMENT);
            if !claims.is_github() {
                return Some("the signer's workflow is not vouched for by GitHub");
            }
            if kind.is_some() && kind != proven {
                return Some("the certificate names another kind of runner");
            }
            // The short name is the older one for GitHub's own runners.
            let short = BuilderId::read(NPM_RUNNER);
            let hosted = BuilderId::read(&format!("{NPM_RUNNER}/{HOSTED_RUNNER}"));
            let on_hosted = proven.is_none_or(|kind| kind == HOSTED_RUNNER);
            let good = listed(named) || (on_hosted && [short, hosted].iter().flatten().any(listed));
            return (!good).then_some("another builder built it");
        }
        if named != workflow {
            return Some("the builder it names did not sign it");
        }
        if !listed(workflow) {
            return Some("another builder built it");
        }
        // A builder from elsewhere has to be a release, unless the very reference was asked for.
        let own = format!("{}/", self.rules.source);
        let pinned = match &self.rules.builders {
            Builders::Listed(list) => {
                list.iter().any(|id| id.reference().is_some() && id.takes(workflow))
            }
            _ => true,
        };
        (!pinned && !workflow.name().starts_with(&own) && !workflow.is_release(None))
            .then_some("the builder was not taken from a released version, `vX.Y.Z`")
    }

    fn build_type(&mut self) {
        const CODE: &str = "provenance/build-type";
        let found = &self.provenance.build_type;
        if let Some(wanted) = &self.rules.build_type {
            self.plain(CODE, "build type", Some(wanted), Some(found.clone()));
        }
        let signer = self.claims.as_ref().and_then(BuildClaims::workflow).and_then(BuilderId::read);
        if let Some(trusted) = signer.and_then(|id| builder::trusted(id.name())) {
            let good = trusted.build_types.contains(&found.as_str());
            let message = if good {
                "the build type is one that this builder writes"
            } else {
                "this builder writes no such build type"
            };
            let wanted = trusted.build_types.join(", ");
            let found = found.clone();
            self.add(good, CODE, message, &wanted, &found);
        }
    }

    fn source(&mut self) {
        const CODE: &str = "provenance/source";
        let wanted = self.rules.source.clone();
        match self.source_problem() {
            Ok(found) => self.add(
                true,
                CODE,
                "it was built from the repository asked for",
                wanted.as_str(),
                &found,
            ),
            Err((problem, found)) => {
                let near =
                    found.to_ascii_lowercase().contains(&wanted.as_str().to_ascii_lowercase())
                        && !found.contains(wanted.as_str());
                self.add(false, CODE, problem, wanted.as_str(), &found);
                if near && let Some(finding) = self.findings.pop() {
                    let help = "only the case differs: write the name as the repository has it";
                    self.findings.push(finding.help(help));
                }
            }
        }
    }

    /// The source as it stands in the evidence, or why it is not the one asked for.
    fn source_problem(&self) -> Result<String, (&'static str, String)> {
        let wanted = &self.rules.source;
        let provenance = self.provenance;
        let mut found = None;
        if let Some(claims) = &self.claims {
            let Some(proven) = claims.repository() else {
                return Err(("the certificate names no source repository", String::new()));
            };
            if Repository::from_url(&proven).as_ref() != Some(wanted) {
                return Err(("the certificate names another source repository", proven));
            }
            found = Some(proven);
        }
        // By the contract of these builders, the first material is what was built.
        let by_contract = self.author == Author::Isolated
            || provenance.is_github_workflow()
            || provenance.build_type.starts_with("https://github.com/npm/cli/gha");
        if let Some(trigger) = &provenance.trigger {
            if trigger.repository.as_ref() != Some(wanted) {
                return Err(("another repository asked for the build", trigger.text.clone()));
            }
            if trigger.reference.as_deref().is_none_or(str::is_empty) && by_contract {
                let text = trigger.text.clone();
                return Err(("what asked for the build has no reference", text));
            }
            found = found.or_else(|| Some(trigger.text.clone()));
        } else if by_contract {
            return Err(("it does not say what asked for the build", String::new()));
        }
        match &provenance.source {
            Some(source) if by_contract || (found.is_none() && source.repository.is_some()) => {
                if source.repository.as_ref() != Some(wanted) {
                    return Err(("it was built from another repository", source.text.clone()));
                }
                let may_lack = [NPM_V1_BUILD, builder::DELEGATOR_BUILD]
                    .contains(&provenance.build_type.as_str());
                if source.reference.is_none() && !may_lack && by_contract {
                    return Err(("what was built has no reference", source.text.clone()));
                }
                let trigger = provenance.trigger.as_ref().map(|trigger| &trigger.text);
                if source.reference.is_some() && trigger.is_some_and(|text| *text != source.text) {
                    let text = source.text.clone();
                    return Err(("what was built is not what asked for the build", text));
                }
                found = found.or_else(|| Some(source.text.clone()));
            }
            None if by_contract => {
                return Err(("it does not say what was built", String::new()));
            }
            _ => {}
        }
        found.ok_or(("it names no source repository", String::new()))
    }

    fn reference(&mut self) {
        let rules = self.rules;
        if rules.branch.is_none() && rules.tag.is_none() && rules.versioned_tag.is_none() {
            return;
        }
        let said = self.provenance.reference();
        let delegated = self.provenance.build_type == builder::DELEGATOR_BUILD;
        let proven = self.claims.as_ref().and_then(BuildClaims::reference);
        if let (Some(said), Some(proven), false) = (said, proven, delegated)
            && said != proven
        {
            let message = "provenance and certificate name different references";
            self.add(false, "provenance/reference", message, proven, said);
            return;
        }
        let reference = if delegated { said } else { proven.or(said) }.unwrap_or_default();
        let parsed = GitRef::parse(reference);
        if let Some(wanted) = &rules.branch {
            let of_tag = match (parsed, self.author) {
                // The event says from which branch a tag was made; a build could invent it.
                (GitRef::Tag(_), Author::Isolated | Author::Key) => self.provenance.branch_of_tag(),
                _ => None,
            };
            let full = of_tag.as_deref().unwrap_or(reference);
            let good = GitRef::parse(full) == GitRef::Branch(wanted);
            let message = match (good, GitRef::parse(full)) {
                (true, _) => "it was built from the branch asked for",
                (false, GitRef::Branch(_)) => "it was built from another branch",
                (false, _) => "it was not built from a branch",
            };
            self.add(good, "provenance/branch", message, &format!("refs/heads/{wanted}"), full);
        }
        if let Some(wanted) = &rules.tag {
            let good = parsed == GitRef::Tag(wanted);
            let message = match (good, parsed) {
                (true, _) => "it was built from the tag asked for",
                (false, GitRef::Tag(_)) => "it was built from another tag",
                (false, _) => "it was not built from a tag",
            };
            self.add(good, "provenance/tag", message, &format!("refs/tags/{wanted}"), reference);
        }
        if let Some(wanted) = &rules.versioned_tag {
            let version = Version::parse(wanted);
            let (good, message) = match parsed {
                GitRef::Tag(tag) => match (version, Version::parse(tag)) {
                    (Some(version), Some(tag)) if version.takes(&tag) => {
                        (true, "it was built from a tag of the version asked for")
                    }
                    (Some(_), Some(_)) => (false, "it was built from a tag of another version"),
                    _ => (false, "it was built from a tag that is no version"),
                },
                _ => (false, "it was not built from a tag"),
            };
            self.add(good, "provenance/versioned-tag", message, wanted, reference);
        }
    }

    fn event(&self) -> Option<String> {
        let proven = self.claims.as_ref().and_then(BuildClaims::trigger);
        let said = self.provenance.variable_text("GITHUB_EVENT_NAME");
        match (proven, self.author) {
            (Some(proven), _) => Some(proven),
            (None, Author::Build) => None,
            (None, Author::Isolated | Author::Key) => said,
        }
        .map(ToOwned::to_owned)
    }

    fn workflow(&self) -> Option<String> {
        let proven = self.claims.as_ref().and_then(BuildClaims::configuration);
        match (proven, self.author) {
            (Some((path, _)), _) => Some(path.to_owned()),
            (None, Author::Build) => None,
            (None, Author::Isolated | Author::Key) => self.provenance.workflow.clone(),
        }
    }

    fn commit(&mut self) {
        let Some(wanted) = self.rules.commit.as_deref() else { return };
        let said = self.provenance.commit.clone();
        let proven = self.claims.as_ref().and_then(BuildClaims::commit).map(ToOwned::to_owned);
        let delegated = self.provenance.build_type == builder::DELEGATOR_BUILD;
        let found = match (proven, said, self.author) {
            // A delegated build may commit first: what was built is what its builder says.
            (_, Some(said), Author::Isolated) if delegated => Some(said),
            (Some(proven), ..) => Some(proven),
            (None, said, Author::Isolated | Author::Key) => said,
            (None, _, Author::Build) => None,
        };
        self.plain("provenance/commit", "commit", Some(wanted), found);
    }

    fn inputs(&mut self) {
        const CODE: &str = "provenance/inputs";
        if self.rules.inputs.is_empty() {
            return;
        }
        if self.author == Author::Build {
            let message = "the workflow wrote its inputs itself: nothing proves them";
            let wanted =
                self.rules.inputs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>();
            return self.add(false, CODE, message, &wanted.join(", "), "");
        }
        let event = self.event().unwrap_or_default();
        if event != "workflow_dispatch" {
            let message = "no person started the build, so it has no inputs";
            return self.add(false, CODE, message, "workflow_dispatch", &event);
        }
        let inputs = self.provenance.inputs();
        for (name, wanted) in &self.rules.inputs {
            let found = inputs.and_then(|inputs| inputs.get(name)).and_then(Json::as_str);
            let good = found == Some(wanted);
            let message = match (good, found) {
                (true, _) => "an input is the one asked for",
                (false, Some(_)) => "an input has another value",
                (false, None) => "an input was not given, or is no text",
            };
            let show = |value: &str| format!("{name}={value}");
            let found = found.map(show).unwrap_or_default();
            self.findings.push(
                Finding::new(CODE, if good { State::Passed } else { State::Failed }, message)
                    .compared(show(wanted), found),
            );
        }
    }
}
