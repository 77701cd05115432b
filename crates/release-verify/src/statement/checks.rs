//! Provenance held against the rules: what it says, and what the signer's certificate proves.

mod builder;

use super::builder::{DELEGATOR_BUILD, NPM_V1_BUILD, trusted};
use super::rules::ProvenanceRules;
use super::source::Version;
use super::{BuilderId, GitRef, Provenance, Repository, Statement, certificate};
use crate::claims::{BuildClaims, arc, check_claims};
use crate::github::HOSTED_RUNNER;
use crate::json::Json;
use crate::{Finding, Signer, State};

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

pub(super) struct Checks<'a> {
    rules: &'a ProvenanceRules,
    provenance: &'a Provenance,
    statement: &'a Statement,
    signer: &'a Signer,
    claims: Option<BuildClaims<'a>>,
    author: Author,
    findings: Vec<Finding>,
}

impl<'a> Checks<'a> {
    pub(super) fn new(
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
            Some(Some(id)) if trusted(id.name()).is_some() => Author::Isolated,
            Some(_) => Author::Build,
        };
        Self { rules, provenance, statement, signer, claims, author, findings: Vec::new() }
    }

    pub(super) fn run(mut self) -> Vec<Finding> {
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

    fn build_type(&mut self) {
        const CODE: &str = "provenance/build-type";
        let found = &self.provenance.build_type;
        if let Some(wanted) = &self.rules.build_type {
            self.plain(CODE, "build type", Some(wanted), Some(found.clone()));
        }
        let signer = self.claims.as_ref().and_then(BuildClaims::workflow).and_then(BuilderId::read);
        if let Some(trusted) = signer.and_then(|id| trusted(id.name())) {
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
                let may_lack =
                    [NPM_V1_BUILD, DELEGATOR_BUILD].contains(&provenance.build_type.as_str());
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
        let is_asked =
            rules.branch.is_some() || rules.tag.is_some() || rules.versioned_tag.is_some();
        // What a build says of itself is held against its certificate field by field anyway.
        if !is_asked && self.author != Author::Isolated {
            return;
        }
        let said = self.provenance.reference();
        let delegated = self.provenance.build_type == DELEGATOR_BUILD;
        let proven = self.claims.as_ref().and_then(BuildClaims::reference);
        if let (Some(said), Some(proven), false) = (said, proven, delegated)
            && said != proven
        {
            let message = "provenance and certificate name different references";
            self.add(false, "provenance/reference", message, proven, said);
            return;
        }
        if !is_asked {
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
        let said = self.provenance.commit.clone();
        let proven = self.claims.as_ref().and_then(BuildClaims::commit).map(ToOwned::to_owned);
        let delegated = self.provenance.build_type == DELEGATOR_BUILD;
        if let (Some(said), Some(proven), Author::Isolated, false) =
            (&said, &proven, self.author, delegated)
            && said != proven
        {
            let message = "provenance and certificate name different commits";
            return self.add(false, "provenance/commit", message, proven, said);
        }
        let Some(wanted) = self.rules.commit.as_deref() else { return };
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
