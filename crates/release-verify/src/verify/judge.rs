//! One piece of evidence held against one artifact.

use std::io::{self, Read};
use std::time::SystemTime;

use super::conclude::{Judged, Standing};
use super::piece::{Body, Evidence, SharedBundle, unreadable};
use super::{Demands, Requirement};
use crate::auditable;
use crate::discover::Of;
use crate::evidence::{EvidenceError, Key, Signature};
use crate::sbom;

use crate::sigstore::{Outcome, Verifier};
use crate::statement::{PredicateKind, Statement, SubjectMatch, check_by_signer, check_result};
use crate::{Artifact, Authenticated, Content, Finding, Origin, State, check_claims};

/// What is judged: an artifact, and its bytes where a format needs more than its digests.
pub(super) struct Target<'a> {
    pub artifact: &'a Artifact,
    /// The path below the folder of the release; its name otherwise.
    pub path: &'a str,
    pub open: &'a (dyn Fn() -> io::Result<Box<dyn Read>> + Sync),
}

/// By what evidence is judged.
pub(super) struct Judge<'a> {
    pub sigstore: &'a Verifier,
    pub keys: &'a [Key],
    pub demands: &'a Demands,
    pub namespace: &'a str,
    pub now: SystemTime,
}

impl Judge<'_> {
    pub(super) fn judge(&self, evidence: &Evidence, target: &Target<'_>) -> Judged {
        let mut judged = match &evidence.body {
            Body::Broken(finding) => {
                Judged::new(Standing::Refused, Requirement::Signature, vec![finding.clone()])
            }
            Body::Bundle(shared) => self.bundle(shared, target),
            Body::Signature(signature) => self.signature(&evidence.origin, signature, target),
            Body::Outcome(outcome) => self.outcome((**outcome).clone(), None, target),
        };
        judged.named = match &evidence.of {
            Of::File(name) => name == target.path,
            Of::Digest(digest) => target.artifact.matches(digest) == Some(true),
            Of::Any => false,
        };
        judged
    }

    fn bundle(&self, shared: &SharedBundle, target: &Target<'_>) -> Judged {
        let bundle = &shared.bundle;
        if let Some(statement) = &shared.statement {
            return match statement {
                Err(finding) => {
                    Judged::new(Standing::Refused, Requirement::Signature, vec![*finding.clone()])
                }
                Ok(statement) => {
                    if let Some(judged) = elsewhere(statement, bundle.origin(), target.artifact) {
                        return judged;
                    }
                    let outcome = shared
                        .outcome
                        .get_or_init(|| self.sigstore.authenticate(bundle, target.artifact, None));
                    self.outcome(outcome.clone(), Some(statement), target)
                }
            };
        }
        if let Some(claimed) = bundle.claimed_digest()
            && let Some(own) = target.artifact.digest(claimed.algorithm())
            && own != claimed
        {
            return another_file(own.to_string(), claimed.to_string(), bundle.origin());
        }
        let outcome = self.sigstore.authenticate(bundle, target.artifact, None);
        // Keys that sign messages and not digests need the bytes; seldom, so only then.
        let wants_bytes = outcome.authenticated.is_none()
            && outcome.findings.iter().any(|finding| {
                finding.code == "signature/artifact" && finding.state == State::Undecided
            });
        let outcome = if wants_bytes
            && let Ok(Ok(bytes)) = (target.open)().and_then(crate::evidence::whole)
            && Artifact::read("", bytes.as_slice(), &[])
                .is_ok_and(|again| again.sha256() == target.artifact.sha256())
        {
            self.sigstore.authenticate(bundle, target.artifact, Some(&bytes))
        } else {
            outcome
        };
        self.outcome(outcome, None, target)
    }

    fn outcome(
        &self,
        outcome: Outcome,
        statement: Option<&Statement>,
        target: &Target<'_>,
    ) -> Judged {
        let serves = statement.map_or(Requirement::Signature, serves);
        let Some(authenticated) = outcome.authenticated else {
            return Judged::new(Standing::Refused, serves, outcome.findings);
        };
        let mut judged = Judged::new(Standing::About, serves, outcome.findings);
        match (&authenticated.content, statement) {
            (Content::Artifact(digest), _) => {
                if target.artifact.matches(digest) != Some(true) {
                    let own = target.artifact.sha256().to_string();
                    return another_file(own, digest.to_string(), &authenticated.origin);
                }
            }
            (Content::Statement { payload_type, payload }, None) => {
                // Authenticated elsewhere, and not read yet.
                match Statement::read(payload_type, payload) {
                    Err(error) => {
                        let finding = error.finding(&authenticated.origin);
                        return Judged::new(Standing::Refused, serves, vec![finding]);
                    }
                    Ok(statement) => {
                        let origin = &authenticated.origin;
                        if let Some(judged) = elsewhere(&statement, origin, target.artifact) {
                            return judged;
                        }
                        judged.serves = self::serves(&statement);
                        judged.said = self.said(&statement, &authenticated, target);
                        judged.standing = standing(&statement, target.artifact);
                    }
                }
            }
            (Content::Statement { .. }, Some(statement)) => {
                judged.said = self.said(statement, &authenticated, target);
                judged.standing = standing(statement, target.artifact);
            }
        }
        judged.signatures.push(authenticated);
        judged
    }

    /// What the signer of a statement says of the artifact, and whether that is what is asked for.
    fn said(
        &self,
        statement: &Statement,
        authenticated: &Authenticated,
        target: &Target<'_>,
    ) -> Vec<Finding> {
        // What an unknown signer says is nobody's business, nor worth reading a binary again.
        if !self.demands.signers.judge(std::slice::from_ref(authenticated)).accepts(0) {
            return Vec::new();
        }
        let artifact = target.artifact;
        let (signer, origin) = (&authenticated.signer, &authenticated.origin);
        let plain = || {
            let mut findings = vec![statement.check_subject(artifact)];
            if let crate::Signer::Certificate(identity) = signer {
                findings.extend(check_claims(identity));
            }
            findings
        };
        let findings = match (statement.kind(), &self.demands.provenance, &self.demands.summary) {
            (PredicateKind::Provenance, Some(rules), _) => {
                return rules.check(statement, signer, artifact, origin);
            }
            (PredicateKind::Provenance, None, _) => {
                let mut findings = check_by_signer(statement, signer, artifact, origin);
                // Where nobody asks how it was built, what is said of it decides nothing.
                if !self.demands.requirements.contains(&Requirement::Provenance) {
                    let own = |finding: &&mut Finding| finding.code.starts_with("provenance/");
                    for finding in findings.iter_mut().filter(own) {
                        finding.state = match finding.state {
                            State::Failed | State::Undecided => State::Warning,
                            State::Warning => State::Note,
                            other => other,
                        };
                    }
                }
                return findings;
            }
            (PredicateKind::VerificationSummary, _, Some(rules)) => {
                return rules.check(statement, artifact, origin);
            }
            (PredicateKind::VerificationSummary, _, None) => {
                let mut findings = plain();
                findings.push(check_result(statement, origin));
                findings
            }
            (kind, ..) if kind.is_sbom() => {
                let mut findings = sbom::check_statement(statement, artifact, origin);
                if let Ok(document) = sbom::Sbom::from_statement(statement) {
                    findings.extend(auditable::check_again(artifact, target.open, &document));
                }
                if let crate::Signer::Certificate(identity) = signer {
                    findings.extend(check_claims(identity));
                }
                findings
            }
            _ => plain(),
        };
        findings.into_iter().map(|finding| finding.at(origin)).collect()
    }

    fn signature(&self, origin: &Origin, signature: &Signature, target: &Target<'_>) -> Judged {
        let refused = |finding: Finding| {
            Judged::new(Standing::Refused, Requirement::Signature, vec![finding.at(origin)])
        };
        if let Signature::Ssh(ssh) = signature
            && ssh.namespace() != self.namespace
        {
            return refused(
                Finding::failed(
                    "signature/namespace",
                    "the SSH signature was made for another use",
                )
                .compared(self.namespace, ssh.namespace()),
            );
        }
        match signature.verify(self.keys, target.artifact, || (target.open)(), self.now) {
            Err(error) => refused(Finding::undecided(
                "evidence/read",
                format!("the file cannot be read again to verify a signature: {error}"),
            )),
            Ok(Err(EvidenceError::OtherKey { found })) => {
                let known: Vec<String> = self.keys.iter().flat_map(Key::ids).collect();
                let finding = if known.is_empty() {
                    Finding::undecided(
                        "key/missing",
                        format!("{} needs a key, and none was given", signature.kind()),
                    )
                } else {
                    Finding::failed("key/other", format!("{} by another key", signature.kind()))
                };
                let finding = match found {
                    Some(found) => finding.compared(known.join(", "), found),
                    None => finding,
                };
                refused(finding.help("pass the publisher's public key with --key"))
            }
            Ok(Err(EvidenceError::BadSignature)) => {
                refused(Finding::failed("signature/artifact", "the signature is not of this file"))
            }
            Ok(Err(error)) => refused(unreadable(&error)),
            Ok(Ok(signed)) => {
                let mut message = format!("{} over the file is good", signature.kind());
                let mut finding = match &signed.remark {
                    Some(remark) => {
                        message.push_str("; it carries a signed remark");
                        let mut finding = Finding::passed("signature/artifact", message);
                        finding.found = Some(remark.clone());
                        finding
                    }
                    None => Finding::passed("signature/artifact", message),
                };
                finding.origin = Some(origin.clone());
                let content = Content::Artifact(target.artifact.sha256().clone());
                let mut judged =
                    Judged::new(Standing::About, Requirement::Signature, vec![finding]);
                judged.signatures.push(Authenticated::new(origin.clone(), signed.signer, content));
                judged
            }
        }
    }
}

fn serves(statement: &Statement) -> Requirement {
    match statement.kind() {
        PredicateKind::Provenance => Requirement::Provenance,
        kind if kind.is_sbom() => Requirement::Sbom,
        _ => Requirement::Signature,
    }
}

/// What a well-signed statement that is not [`elsewhere`] is to the artifact. Only one that names it
/// counts as a signature of it.
fn standing(statement: &Statement, artifact: &Artifact) -> Standing {
    match statement.covers(artifact) {
        SubjectMatch::Matches(_) => Standing::About,
        SubjectMatch::Contradicts(_) => Standing::Against,
        _ => Standing::Unknown,
    }
}

/// The statement is not about this artifact.
fn elsewhere(statement: &Statement, origin: &Origin, artifact: &Artifact) -> Option<Judged> {
    match statement.covers(artifact) {
        SubjectMatch::Matches(_) | SubjectMatch::Contradicts(_) | SubjectMatch::NotComputed(_) => {
            None
        }
        SubjectMatch::Differs | SubjectMatch::NoDigest => {
            let finding = statement.check_subject(artifact).at(origin);
            Some(Judged::new(Standing::Elsewhere, serves(statement), vec![finding]))
        }
    }
}

fn another_file(own: String, found: String, origin: &Origin) -> Judged {
    let finding = Finding::failed("signature/digest", "the evidence is of another file")
        .compared(own, found)
        .at(origin);
    Judged::new(Standing::Elsewhere, Requirement::Signature, vec![finding])
}
