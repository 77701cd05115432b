//! GitHub's statement that a release can not be changed any more: which files it has, by digest.

use super::{GithubNameError, RELEASE_SIGNER, split};
use crate::json::Fields;
use crate::statement::{PredicateKind, Statement, StatementError};
use crate::{Artifact, Finding, Origin, Signer, State, SubjectName};

/// What GitHub has to say of a release: of which repository it is, and of which tag.
///
/// # Security
/// GitHub signs these itself, with certificates of its own authority that name no identity
/// provider. They say that GitHub holds this file as part of the release; not who built it.
///
/// # Examples
/// ```
/// use dsops_release_verify::github::ReleaseRules;
/// let rules = ReleaseRules::new("octo-org/octo-repo")?.tag("v1.2.3");
/// # let _ = rules;
/// # Ok::<(), dsops_release_verify::github::GithubNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRules {
    repository: String,
    tag: Option<String>,
}

impl ReleaseRules {
    /// Of the repository `owner/repo`.
    ///
    /// # Errors
    /// When the name is none that GitHub gives.
    pub fn new(repository: &str) -> Result<Self, GithubNameError> {
        split(repository)?;
        Ok(Self { repository: repository.to_owned(), tag: None })
    }

    /// Of that tag, exactly.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.tag = Some(tag.to_owned());
        self
    }

    /// Holds a statement that was found well signed against the rules: `statement/subject`,
    /// `github/release-signer`, `github/release-repository`, `github/release-tag`.
    pub fn check(
        &self,
        statement: &Statement,
        signer: &Signer,
        artifact: &Artifact,
        origin: &Origin,
    ) -> Vec<Finding> {
        let mut findings = vec![statement.check_subject(artifact), check_signer(signer)];
        match Release::read(statement) {
            Err(error) => findings.push(error.finding(origin)),
            Ok(release) => self.hold(&release, &mut findings),
        }
        findings.into_iter().map(|finding| finding.at(origin)).collect()
    }

    fn hold(&self, release: &Release<'_>, findings: &mut Vec<Finding>) {
        let mut same = |code, what: &str, wanted: &str, found: &str| {
            let (state, word) = if wanted == found {
                (State::Passed, "the one asked for")
            } else {
                (State::Failed, "another one")
            };
            let finding = Finding::new(code, state, format!("the {what} of the release is {word}"));
            findings.push(finding.compared(wanted, found));
        };
        same("github/release-repository", "repository", &self.repository, release.repository);
        let tag = self.tag.as_deref().unwrap_or(release.tag);
        same("github/release-tag", "tag", tag, release.tag);
        // The same said once more; a statement that contradicts itself proves nothing.
        let purl = format!("pkg:github/{}@{}", release.repository, release.tag);
        let found = release.purl.replace("%2F", "/").replace("%2B", "+");
        if !found.eq_ignore_ascii_case(&purl) {
            let message = "the statement names the release in two ways that differ";
            findings.push(Finding::failed("github/release-tag", message).compared(purl, found));
        }
    }
}

/// Whether it is GitHub, for its releases: `github/release-signer`.
pub(crate) fn check_signer(signer: &Signer) -> Finding {
    const CODE: &str = "github/release-signer";
    let found = match signer {
        Signer::Certificate(identity) => match identity.names.as_slice() {
            // A certificate that an identity provider vouched for names the provider.
            [SubjectName::Uri(uri)]
                if uri == RELEASE_SIGNER
                    && identity.issuer.is_none()
                    && identity.claims.is_empty() =>
            {
                return Finding::passed(CODE, "GitHub signed it for its releases")
                    .compared(RELEASE_SIGNER, uri);
            }
            names => names.iter().map(SubjectName::as_str).collect::<Vec<_>>().join(", "),
        },
        Signer::Key { id, .. } => id.clone(),
    };
    Finding::failed(CODE, "it was not GitHub that signed it for its releases")
        .compared(RELEASE_SIGNER, found)
}

struct Release<'a> {
    repository: &'a str,
    tag: &'a str,
    purl: &'a str,
}

impl<'a> Release<'a> {
    fn read(statement: &'a Statement) -> Result<Self, StatementError> {
        if statement.kind() != PredicateKind::Release {
            return Err(StatementError::Version { found: statement.predicate_type().to_owned() });
        }
        let mut fields = Fields::of(statement.predicate(), "predicate")?;
        Ok(Self {
            repository: fields.text("repository")?,
            tag: fields.text("tag")?,
            purl: fields.text("purl")?,
        })
    }
}
