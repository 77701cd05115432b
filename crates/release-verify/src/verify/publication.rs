//! As what an artifact has to be published, where a registry or GitHub says so.

use super::conclude::{Judged, Standing, is_bad};
use crate::github::ReleaseRules;
use crate::policy::PolicyError;
use crate::registry::npm::{self, Package, RegistryKeys};
use crate::registry::pypi;
use crate::statement::{PredicateKind, Statement};
use crate::{Artifact, Authenticated, Content, Finding, Origin, Signer, SignerRule, State};

const CODE: &str = "require/published";

/// As what an artifact has to be published. Who signs that is for the signers of the policy to say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Publication {
    /// As that package of npm: the registry says so itself, with one of these keys.
    Npm {
        /// The package, of one version or of any.
        package: Package,
        /// The registry's keys.
        keys: RegistryKeys,
    },
    /// As a file of the Python index, under the name of the artifact.
    Pypi,
    /// As a file of a release on GitHub that cannot be changed any more.
    GithubRelease(ReleaseRules),
}

impl Publication {
    /// Reads `npm:NAME@VERSION`, `pypi` or `github-release:OWNER/REPO@TAG`. `npm` are the keys of
    /// that registry.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str, npm: RegistryKeys) -> Result<Self, PolicyError> {
        let unknown = || PolicyError::Form {
            what: "publication",
            text: text.to_owned(),
            known: "npm:NAME@VERSION, pypi, github-release:OWNER/REPO@TAG",
        };
        match text.split_once(':') {
            None if text == "pypi" => Ok(Self::Pypi),
            Some(("npm", package)) => {
                Ok(Self::Npm { package: Package::parse(package)?, keys: npm })
            }
            Some(("github-release", release)) => {
                let (repository, tag) = release.split_once('@').ok_or_else(unknown)?;
                if tag.is_empty() {
                    return Err(unknown());
                }
                Ok(Self::GithubRelease(ReleaseRules::new(repository)?.tag(tag)))
            }
            _ => Err(unknown()),
        }
    }

    /// Of a file that is evidence itself: takes away signatures of a registry that publishes it as
    /// something else. A registry signs for everybody, so anybody can have one.
    pub(super) fn hold(&self, judged: &mut Judged, artifact: &Artifact) {
        if judged.standing != Standing::About {
            return;
        }
        judged.signatures.retain(|one| {
            !self.is_registry(&one.signer) || !self.check(&[one], artifact).iter().any(is_bad)
        });
        if judged.signatures.is_empty() {
            judged.standing = Standing::Refused;
            let message = "a registry signed it, and not as part of what is asked for";
            judged.findings.push(Finding::undecided(CODE, message));
        }
    }

    /// Whether that signer signs whatever is published.
    fn is_registry(&self, signer: &Signer) -> bool {
        match self {
            Self::Npm { keys, .. } => {
                keys.rules().iter().any(|rule| rule.differences(signer).is_empty())
            }
            Self::Pypi => false,
            Self::GithubRelease(_) => SignerRule::GithubRelease.differences(signer).is_empty(),
        }
    }

    /// Holds what accepted signers say of an artifact against it.
    pub(super) fn check(&self, accepted: &[&Authenticated], artifact: &Artifact) -> Vec<Finding> {
        let said: Vec<(Statement, &Authenticated)> = accepted
            .iter()
            .filter_map(|one| match &one.content {
                Content::Statement { payload_type, payload } => {
                    Some((Statement::read(payload_type, payload).ok()?, *one))
                }
                _ => None,
            })
            .collect();
        match self {
            Self::Npm { package, keys } => {
                let signed: Vec<npm::Signed<'_>> = said
                    .iter()
                    .map(|(statement, by)| npm::Signed {
                        statement,
                        signer: &by.signer,
                        times: &by.times,
                        origin: &by.origin,
                    })
                    .collect();
                npm::check(Some(package), &signed, keys, artifact)
            }
            Self::Pypi => {
                let file = artifact.name().rsplit('/').next().unwrap_or_default();
                best(&said, PredicateKind::PypiPublish, |statement, by, origin| {
                    pypi::check(statement, &by.signer, artifact, file, None, origin)
                })
            }
            Self::GithubRelease(rules) => {
                best(&said, PredicateKind::Release, |statement, by, origin| {
                    rules.check(statement, &by.signer, artifact, origin)
                })
            }
        }
    }
}

/// The checks of the statements of that kind: one that is good is enough, as a file may be part of
/// several publications. What is wrong with the others is a warning then.
fn best(
    said: &[(Statement, &Authenticated)],
    kind: PredicateKind,
    check: impl Fn(&Statement, &Authenticated, &Origin) -> Vec<Finding>,
) -> Vec<Finding> {
    let all: Vec<Vec<Finding>> = said
        .iter()
        .filter(|(statement, _)| statement.kind() == kind)
        .map(|(statement, by)| check(statement, by, &by.origin))
        .collect();
    if all.is_empty() {
        let message = "no accepted signer says that it was published";
        return vec![Finding::undecided(CODE, message)];
    }
    let is_good = |findings: &Vec<Finding>| !findings.iter().any(is_bad);
    let any = all.iter().any(is_good);
    let mut findings: Vec<Finding> = all.into_iter().flatten().collect();
    if any {
        for finding in findings.iter_mut().filter(|finding| is_bad(finding)) {
            finding.state = State::Warning;
        }
        findings.push(Finding::passed(CODE, "it was published as is asked for"));
    }
    findings
}
