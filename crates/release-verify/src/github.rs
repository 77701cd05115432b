//! What GitHub signs for its users: attestations of workflows, and of releases that cannot be
//! changed any more. The rules as data, and the check of a signer against them.

mod release;

pub use release::ReleaseRules;
pub(crate) use release::check_signer as check_release_signer;

use crate::claims::{self, arc};
use crate::{CertificateIdentity, Finding};

/// Who vouches for workflows on github.com.
pub const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// Who signs that a release cannot be changed any more.
pub const RELEASE_SIGNER: &str = "https://dotcom.releases.github.com";

/// What GitHub says of a release that cannot be changed any more.
pub const RELEASE_PREDICATE: &str = "https://in-toto.io/attestation/release/v0.2";

/// What `gh attestation verify` asks for when nothing else is said.
pub const PROVENANCE_PREDICATE: &str = "https://slsa.dev/provenance/v1";

/// A runner that GitHub keeps, made new for each job.
pub const HOSTED_RUNNER: &str = "github-hosted";

/// Why text is no owner or repository on GitHub.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an owner or a repository on GitHub: {problem}", .text.escape_debug())]
pub struct GithubNameError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// What the certificate of a workflow of one owner or repository has to say.
///
/// Everything is compared exactly, also in its case: GitHub writes names into certificates as
/// their owners wrote them.
///
/// # Examples
/// ```
/// use dsops_release_verify::github;
/// let rules = github::rules("octo-org", Some("octo-repo"))?.hosted_runners_only();
/// assert_eq!(rules.signer_prefix, "https://github.com/octo-org/octo-repo/");
/// # Ok::<(), github::GithubNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GithubRules {
    /// The identity provider, exactly.
    pub issuer: String,
    /// What the certificate's only name, a URI, has to begin with.
    pub signer_prefix: String,
    /// The workflow that has to be the signer: the certificate's name up to `@`.
    pub signer_workflow: Option<String>,
    /// Claims that have to be there with that value, by the last arc of their identifier.
    pub claims: Vec<(u32, String)>,
    server: String,
}

/// The rules for workflows of `owner` on github.com, or of its repository `repo` only.
///
/// The signing workflow has to be of that owner (or repository) too; for one that lives
/// elsewhere say so with [`GithubRules::signer_repository`] or [`GithubRules::signer_workflow`].
///
/// # Errors
/// When a name is none that GitHub gives.
pub fn rules(owner: &str, repo: Option<&str>) -> Result<GithubRules, GithubNameError> {
    rules_at("https://github.com", ISSUER.to_owned(), owner, repo)
}

/// The same on the GitHub of a tenant, `https://TENANT.ghe.com`.
///
/// # Errors
/// When a name is none that GitHub gives.
pub fn tenant_rules(
    tenant: &str,
    owner: &str,
    repo: Option<&str>,
) -> Result<GithubRules, GithubNameError> {
    check_owner(tenant)?;
    let issuer = format!("https://token.actions.{tenant}.ghe.com");
    rules_at(&format!("https://{tenant}.ghe.com"), issuer, owner, repo)
}

/// Reads `owner/repo`, `owner`, or either behind `TENANT.ghe.com/`, as rules.
///
/// # Errors
/// When it is none of these.
pub fn parse(text: &str) -> Result<GithubRules, GithubNameError> {
    let rest = text.strip_prefix("github.com/").unwrap_or(text);
    let (tenant, rest) = match rest.split_once(".ghe.com/") {
        Some((tenant, rest)) => (Some(tenant), rest),
        None => (None, rest),
    };
    let (owner, repo) = match rest.split_once('/') {
        Some((owner, repo)) => (owner, Some(repo)),
        None => (rest, None),
    };
    match tenant {
        Some(tenant) => tenant_rules(tenant, owner, repo),
        None => rules(owner, repo),
    }
}

fn rules_at(
    server: &str,
    issuer: String,
    owner: &str,
    repo: Option<&str>,
) -> Result<GithubRules, GithubNameError> {
    check_owner(owner)?;
    let owner_uri = format!("{server}/{owner}");
    let mut claims = vec![(arc::SOURCE_OWNER_URI, owner_uri.clone())];
    let mut signer_prefix = format!("{owner_uri}/");
    if let Some(repo) = repo {
        check_repository(repo)?;
        let repository = format!("{owner_uri}/{repo}");
        signer_prefix = format!("{repository}/");
        claims.push((arc::SOURCE_REPOSITORY_URI, repository));
    }
    let server = server.to_owned();
    Ok(GithubRules { issuer, signer_prefix, signer_workflow: None, claims, server })
}

impl GithubRules {
    /// The same for an enterprise that has an identity provider of its own: `…/ENTERPRISE` behind
    /// the usual one.
    ///
    /// # Errors
    /// When the name is none that GitHub gives.
    pub fn enterprise(mut self, name: &str) -> Result<Self, GithubNameError> {
        check_owner(name)?;
        self.issuer = format!("{}/{name}", self.issuer);
        Ok(self)
    }

    /// The same where workflows of another repository, `owner/repo`, sign.
    ///
    /// # Errors
    /// When the name is none that GitHub gives.
    pub fn signer_repository(mut self, name: &str) -> Result<Self, GithubNameError> {
        let (owner, repo) = split(name)?;
        self.signer_prefix = format!("{}/{owner}/{repo}/", self.server);
        self.signer_workflow = None;
        Ok(self)
    }

    /// The same where one workflow signs, `owner/repo/.github/workflows/file.yml`.
    ///
    /// # Errors
    /// When it is not of that form.
    pub fn signer_workflow(mut self, path: &str) -> Result<Self, GithubNameError> {
        let error = |problem| GithubNameError { text: path.to_owned(), problem };
        let (name, file) = path
            .match_indices('/')
            .nth(1)
            .map(|(at, _)| (&path[..at], &path[at + 1..]))
            .ok_or_else(|| error("write `owner/repo/.github/workflows/file.yml`"))?;
        let (owner, repo) = split(name)?;
        let plain = file.strip_prefix(".github/workflows/").is_some_and(|file| {
            [".yml", ".yaml"].iter().any(|end| file.ends_with(end))
                && file.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        });
        if !plain {
            return Err(error("the path of a workflow is `.github/workflows/file.yml`"));
        }
        self.signer_prefix = format!("{}/{owner}/{repo}/", self.server);
        self.signer_workflow = Some(format!("{}/{owner}/{repo}/{file}", self.server));
        Ok(self)
    }

    /// The same for one reference, as `refs/tags/v1.2.3`.
    #[must_use]
    pub fn source_reference(self, reference: &str) -> Self {
        self.claim(arc::SOURCE_REPOSITORY_REF, reference)
    }

    /// The same for one commit.
    #[must_use]
    pub fn source_commit(self, commit: &str) -> Self {
        self.claim(arc::SOURCE_REPOSITORY_DIGEST, commit)
    }

    /// The same for one commit of the signing workflow.
    #[must_use]
    pub fn signer_commit(self, commit: &str) -> Self {
        self.claim(arc::BUILD_SIGNER_DIGEST, commit)
    }

    /// The same for runners that GitHub keeps.
    #[must_use]
    pub fn hosted_runners_only(self) -> Self {
        self.claim(arc::RUNNER_ENVIRONMENT, HOSTED_RUNNER)
    }

    /// The same where that claim has that value.
    #[must_use]
    pub fn claim(mut self, number: u32, value: &str) -> Self {
        self.claims.retain(|(other, _)| *other != number);
        self.claims.push((number, value.to_owned()));
        self
    }

    /// Whether a certificate is one of these workflows: `github/issuer`, `github/signer` and
    /// `github/claim`, one finding each.
    pub fn check(&self, identity: &CertificateIdentity) -> Vec<Finding> {
        let mut findings = vec![self.check_issuer(identity), self.check_signer(identity)];
        for (number, wanted) in &self.claims {
            findings.push(check_claim(identity, *number, wanted));
        }
        findings
    }

    fn check_issuer(&self, identity: &CertificateIdentity) -> Finding {
        const CODE: &str = "github/issuer";
        let found = identity.issuer.as_deref().unwrap_or_default();
        if found == self.issuer {
            return Finding::passed(CODE, "GitHub Actions vouches for the signer")
                .compared(&self.issuer, found);
        }
        let finding = Finding::failed(CODE, "another identity provider vouches for the signer")
            .compared(&self.issuer, found);
        match found.strip_prefix(&self.issuer).and_then(|rest| rest.strip_prefix('/')) {
            Some(name) if check_owner(name).is_ok() => finding.help(
                "this is an enterprise's own identity provider: if it is yours, name the enterprise",
            ),
            _ => finding,
        }
    }

    fn check_signer(&self, identity: &CertificateIdentity) -> Finding {
        const CODE: &str = "github/signer";
        let found = claims::BuildClaims::of(identity).workflow();
        let wanted = self
            .signer_workflow
            .as_ref()
            .map_or_else(|| format!("{}…", self.signer_prefix), |workflow| format!("{workflow}@…"));
        let good = found.is_some_and(|found| {
            let name = found.split_once('@').map(|(name, reference)| {
                let complete = !reference.is_empty() && !reference.contains('@');
                if complete { name } else { "" }
            });
            match (&self.signer_workflow, name) {
                (Some(wanted), Some(name)) => name == wanted,
                (None, Some(name)) => name
                    .strip_prefix(&self.signer_prefix)
                    .is_some_and(|rest| !rest.is_empty() && !rest.split('/').any(|p| p == "..")),
                (_, None) => false,
            }
        });
        let found = found.map_or_else(
            || identity.names.iter().map(crate::SubjectName::as_str).collect::<Vec<_>>().join(", "),
            ToOwned::to_owned,
        );
        if good {
            Finding::passed(CODE, "the signer is the workflow asked for").compared(wanted, found)
        } else {
            Finding::failed(CODE, "the signer is another workflow, or none").compared(wanted, found)
        }
    }
}

fn check_claim(identity: &CertificateIdentity, number: u32, wanted: &str) -> Finding {
    const CODE: &str = "github/claim";
    let name = claims::name(number);
    let finding = match identity.claim(number) {
        Some(found) if found == wanted => {
            return Finding::passed(CODE, format!("the {name} is the one asked for"))
                .compared(wanted, found);
        }
        Some(found) => {
            Finding::failed(CODE, format!("the {name} is another one")).compared(wanted, found)
        }
        None => Finding::failed(CODE, format!("the certificate does not say its {name} once"))
            .compared(wanted, ""),
    };
    match identity.claim(number) {
        Some(found) if found.eq_ignore_ascii_case(wanted) => {
            finding.help("only the case differs: write the name as the repository has it")
        }
        _ => finding,
    }
}

/// The server whose workflows an identity provider vouches for, when it is GitHub's.
pub(crate) fn server_of_issuer(issuer: &str) -> Option<String> {
    let rest = issuer.strip_prefix("https://token.actions.")?;
    let (host, enterprise) = match rest.split_once('/') {
        Some((host, enterprise)) => (host, Some(enterprise)),
        None => (rest, None),
    };
    if enterprise.is_some_and(|name| check_owner(name).is_err()) {
        return None;
    }
    if host == "githubusercontent.com" {
        return Some("https://github.com".to_owned());
    }
    let tenant = host.strip_suffix(".ghe.com")?;
    check_owner(tenant).is_ok().then(|| format!("https://{tenant}.ghe.com"))
}

fn split(name: &str) -> Result<(&str, &str), GithubNameError> {
    let (owner, repo) = name
        .split_once('/')
        .ok_or_else(|| GithubNameError { text: name.to_owned(), problem: "write `owner/repo`" })?;
    check_owner(owner)?;
    check_repository(repo)?;
    Ok((owner, repo))
}

fn check_owner(name: &str) -> Result<(), GithubNameError> {
    const LONGEST: usize = 64;
    let good = !name.is_empty()
        && name.len() <= LONGEST
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if good {
        Ok(())
    } else {
        Err(GithubNameError {
            text: name.to_owned(),
            problem: "an owner has letters, digits and single hyphens",
        })
    }
}

fn check_repository(name: &str) -> Result<(), GithubNameError> {
    const LONGEST: usize = 100;
    let good = !name.is_empty()
        && name.len() <= LONGEST
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if good {
        Ok(())
    } else {
        Err(GithubNameError {
            text: name.to_owned(),
            problem: "a repository has letters, digits, hyphens, underscores and dots",
        })
    }
}
