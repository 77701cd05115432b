//! Whether the builder is good enough, and the one that signed.

use super::{Author, Checks};
use crate::claims::{BuildClaims, arc};
use crate::github::HOSTED_RUNNER;
use crate::statement::BuilderId;
use crate::statement::builder::{GENERATOR_WORKFLOWS, NPM_RUNNER, trusted};
use crate::statement::rules::Builders;
use crate::{Finding, State};

impl Checks<'_> {
    pub(super) fn builder(&mut self) {
        const CODE: &str = "provenance/builder";
        let found = self.provenance.builder.to_string();
        let problem = self.builder_problem();
        let signer = self.claims.as_ref().and_then(BuildClaims::workflow);
        let wanted = match (&self.rules.builders, signer) {
            (Builders::Signer, Some(signer)) if problem.is_some() => signer.to_owned(),
            (Builders::Signer, _) => "the signer".to_owned(),
            (Builders::Isolated, _) => format!("{GENERATOR_WORKFLOWS}…"),
            (Builders::Listed(list), _) => {
                list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
        };
        match problem {
            Some(problem) => {
                let finding = Finding::failed(CODE, problem).compared(wanted, found);
                self.findings.push(match self.rules.builders {
                    Builders::Signer => finding.help(
                        "a builder's word counts when that builder signed it: the certificate says \
                         which one did",
                    ),
                    _ => finding,
                });
            }
            None if self.author == Author::Key && self.rules.builders == Builders::Signer => {
                let message = "only the holder of the key says who built it";
                let finding = Finding::new(CODE, State::Warning, message);
                self.findings.push(finding.compared(wanted, found));
            }
            None => {
                let message = match (self.author, &self.rules.builders) {
                    (Author::Isolated, _) => "an isolated builder built it",
                    (_, Builders::Signer) => "the builder is the one that signed",
                    _ => "the builder is the one asked for",
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
        if let Some(trusted) = trusted(workflow.name()) {
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
}
