//! What a signing certificate of Fulcio claims about a build, and whether the claims agree.
//!
//! Certificates carry old and new forms of the same fact. Two that disagree mean that the
//! certificate was not made the way Fulcio makes them, and none of them is to be believed.
//!
//! Source: Fulcio, Object Identifier Information.

use crate::github;
use crate::{CertificateIdentity, Finding, SubjectName};

/// The claims by the last arc of their object identifier, 1.3.6.1.4.1.57264.1.
pub(crate) mod arc {
    pub(crate) const WORKFLOW_TRIGGER: u32 = 2;
    pub(crate) const WORKFLOW_SHA: u32 = 3;
    pub(crate) const WORKFLOW_REPOSITORY: u32 = 5;
    pub(crate) const WORKFLOW_REF: u32 = 6;
    pub(crate) const BUILD_SIGNER_URI: u32 = 9;
    pub(crate) const BUILD_SIGNER_DIGEST: u32 = 10;
    pub(crate) const RUNNER_ENVIRONMENT: u32 = 11;
    pub(crate) const SOURCE_REPOSITORY_URI: u32 = 12;
    pub(crate) const SOURCE_REPOSITORY_DIGEST: u32 = 13;
    pub(crate) const SOURCE_REPOSITORY_REF: u32 = 14;
    pub(crate) const SOURCE_REPOSITORY_ID: u32 = 15;
    pub(crate) const SOURCE_OWNER_URI: u32 = 16;
    pub(crate) const SOURCE_OWNER_ID: u32 = 17;
    pub(crate) const BUILD_CONFIG_URI: u32 = 18;
    pub(crate) const BUILD_CONFIG_DIGEST: u32 = 19;
    pub(crate) const BUILD_TRIGGER: u32 = 20;
    pub(crate) const RUN_INVOCATION_URI: u32 = 21;
    pub(crate) const ENVIRONMENT: u32 = 23;
}

/// What people call a claim.
pub(crate) fn name(arc: u32) -> &'static str {
    match arc {
        arc::WORKFLOW_TRIGGER => "GitHub workflow trigger",
        arc::WORKFLOW_SHA => "GitHub workflow commit",
        4 => "GitHub workflow name",
        arc::WORKFLOW_REPOSITORY => "GitHub workflow repository",
        arc::WORKFLOW_REF => "GitHub workflow reference",
        arc::BUILD_SIGNER_URI => "build signer",
        arc::BUILD_SIGNER_DIGEST => "build signer's commit",
        arc::RUNNER_ENVIRONMENT => "runner environment",
        arc::SOURCE_REPOSITORY_URI => "source repository",
        arc::SOURCE_REPOSITORY_DIGEST => "source commit",
        arc::SOURCE_REPOSITORY_REF => "source reference",
        arc::SOURCE_REPOSITORY_ID => "source repository's number",
        arc::SOURCE_OWNER_URI => "source owner",
        arc::SOURCE_OWNER_ID => "source owner's number",
        arc::BUILD_CONFIG_URI => "build configuration",
        arc::BUILD_CONFIG_DIGEST => "build configuration's commit",
        arc::BUILD_TRIGGER => "build trigger",
        arc::RUN_INVOCATION_URI => "run",
        22 => "source visibility",
        arc::ENVIRONMENT => "deployment environment",
        24 => "token subject",
        _ => "claim",
    }
}

/// The facts of a build that a certificate proves, old forms and new ones as one.
pub(crate) struct BuildClaims<'a> {
    identity: &'a CertificateIdentity,
    /// `https://github.com`, when the identity provider is GitHub's.
    server: Option<String>,
}

impl<'a> BuildClaims<'a> {
    pub(crate) fn of(identity: &'a CertificateIdentity) -> Self {
        Self { identity, server: identity.issuer.as_deref().and_then(github::server_of_issuer) }
    }

    /// Whether GitHub Actions is the identity provider.
    pub(crate) fn is_github(&self) -> bool {
        self.server.is_some()
    }

    fn either(&self, new: u32, old: u32) -> Option<&'a str> {
        self.identity.claim(new).or_else(|| self.identity.claim(old))
    }

    /// The only name of the certificate, when that is a URI.
    pub(crate) fn workflow(&self) -> Option<&'a str> {
        match self.identity.names.as_slice() {
            [SubjectName::Uri(uri)] => Some(uri),
            _ => None,
        }
    }

    /// `https://github.com/owner/name`.
    pub(crate) fn repository(&self) -> Option<String> {
        if let Some(uri) = self.identity.claim(arc::SOURCE_REPOSITORY_URI) {
            return Some(uri.to_owned());
        }
        let name = self.identity.claim(arc::WORKFLOW_REPOSITORY)?;
        Some(format!("{}/{name}", self.server.as_ref()?))
    }

    /// `owner/name`, without the server.
    pub(crate) fn repository_name(&self) -> Option<String> {
        let uri = self.repository()?;
        uri.strip_prefix(self.server.as_deref()?)?.strip_prefix('/').map(ToOwned::to_owned)
    }

    pub(crate) fn reference(&self) -> Option<&'a str> {
        self.either(arc::SOURCE_REPOSITORY_REF, arc::WORKFLOW_REF)
    }

    pub(crate) fn commit(&self) -> Option<&'a str> {
        self.either(arc::SOURCE_REPOSITORY_DIGEST, arc::WORKFLOW_SHA)
    }

    pub(crate) fn trigger(&self) -> Option<&'a str> {
        self.either(arc::BUILD_TRIGGER, arc::WORKFLOW_TRIGGER)
    }

    pub(crate) fn claim(&self, arc: u32) -> Option<&'a str> {
        self.identity.claim(arc)
    }

    /// The path and the reference of the build configuration: the workflow that was started.
    pub(crate) fn configuration(&self) -> Option<(&'a str, &'a str)> {
        let uri = self.identity.claim(arc::BUILD_CONFIG_URI)?;
        let repository = self.identity.claim(arc::SOURCE_REPOSITORY_URI)?;
        let (path, reference) = uri.strip_prefix(repository)?.strip_prefix('/')?.split_once('@')?;
        (!reference.contains('@')).then_some((path, reference))
    }

    /// The number of the run and of the attempt.
    pub(crate) fn run(&self) -> Option<(&'a str, &'a str)> {
        let uri = self.identity.claim(arc::RUN_INVOCATION_URI)?;
        let rest = uri.strip_prefix(&self.repository()?)?.strip_prefix("/actions/runs/")?;
        let (run, attempt) = rest.split_once("/attempts/")?;
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        (number(run) && number(attempt)).then_some((run, attempt))
    }
}

/// Whether the claims of a certificate agree with each other: `certificate/claims`, one finding
/// for each disagreement, or one that all is well. Nothing when it has no claims.
pub fn check_claims(identity: &CertificateIdentity) -> Vec<Finding> {
    const CODE: &str = "certificate/claims";
    if identity.claims.is_empty() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, (arc, value)) in identity.claims.iter().enumerate() {
        if let Some((_, first)) = identity.claims[..index].iter().find(|(other, _)| other == arc) {
            let message = format!("the certificate says its {} twice", name(*arc));
            findings.push(Finding::failed(CODE, message).compared(first, value));
        }
    }
    let claims = BuildClaims::of(identity);
    let mut same = |left: u32, right: u32| {
        if let (Some(first), Some(second)) = (identity.claim(left), identity.claim(right))
            && first != second
        {
            let message = format!("the certificate's {} and {} differ", name(left), name(right));
            findings.push(Finding::failed(CODE, message).compared(first, second));
        }
    };
    same(arc::BUILD_TRIGGER, arc::WORKFLOW_TRIGGER);
    same(arc::SOURCE_REPOSITORY_DIGEST, arc::WORKFLOW_SHA);
    same(arc::SOURCE_REPOSITORY_REF, arc::WORKFLOW_REF);
    if claims.is_github() {
        same(arc::SOURCE_REPOSITORY_DIGEST, arc::BUILD_CONFIG_DIGEST);
        same(arc::WORKFLOW_SHA, arc::BUILD_CONFIG_DIGEST);
    }
    let mut must = |good: bool, left: u32, wanted: String| {
        if let (false, Some(found)) = (good, identity.claim(left)) {
            let message = format!("the certificate's {} does not fit its other claims", name(left));
            findings.push(Finding::failed(CODE, message).compared(wanted, found));
        }
    };
    if let Some(server) = &claims.server
        && let Some(repository) = identity.claim(arc::WORKFLOW_REPOSITORY)
        && identity.claim(arc::SOURCE_REPOSITORY_URI).is_some()
    {
        let wanted = format!("{server}/{repository}");
        let good = identity.claim(arc::SOURCE_REPOSITORY_URI) == Some(&wanted);
        must(good, arc::SOURCE_REPOSITORY_URI, wanted);
    }
    if let Some(repository) = identity.claim(arc::SOURCE_REPOSITORY_URI) {
        let wanted = format!("{repository}/…@…");
        must(claims.configuration().is_some(), arc::BUILD_CONFIG_URI, wanted);
        if let Some(owner) = identity.claim(arc::SOURCE_OWNER_URI) {
            let below = repository.strip_prefix(owner).and_then(|rest| rest.strip_prefix('/'));
            let good = below.is_some_and(|name| !name.is_empty());
            must(good, arc::SOURCE_REPOSITORY_URI, format!("{owner}/…"));
        }
        if claims.is_github() {
            let wanted = format!("{repository}/actions/runs/…/attempts/…");
            must(claims.run().is_some(), arc::RUN_INVOCATION_URI, wanted);
        }
    }
    if let Some(workflow) = claims.workflow() {
        let good = identity.claim(arc::BUILD_SIGNER_URI).is_none_or(|signer| signer == workflow);
        must(good, arc::BUILD_SIGNER_URI, workflow.to_owned());
    }
    if findings.is_empty() {
        findings.push(Finding::passed(CODE, "the claims of the certificate agree"));
    }
    findings
}
