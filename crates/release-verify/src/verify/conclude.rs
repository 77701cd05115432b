//! From the evidence of one artifact to its verdict.
//!
//! Who can add files beside an artifact can add evidence. So what is added must never make a bad
//! artifact pass: only evidence that is good on its own counts. And it must not make a good one
//! fail, or the report would be worth less than the artifact: what is broken, by an unwanted
//! signer, or of another file is a warning or a note once everything asked for is there.
//! Only what an accepted signer says *against* the artifact always counts.

use super::{Demands, Requirement};
use crate::{Artifact, Authenticated, Finding, Origin, Report, Signer, State};

/// What came of one piece of evidence for one artifact, before the policy was asked who signed.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub standing: Standing,
    /// What it would be good for besides being a signature.
    pub serves: Requirement,
    /// Whether it says by its name that it is of this artifact.
    pub named: bool,
    /// The checks of it.
    pub findings: Vec<Finding>,
    /// The checks of what an accepted signer says with it.
    pub said: Vec<Finding>,
    /// The good signatures in it.
    pub signatures: Vec<Authenticated>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Well signed, about this artifact.
    About,
    /// Well signed, and the artifact is not what it says.
    Against,
    /// Well signed, and whether it is about this artifact cannot be told.
    Unknown,
    /// Not about it by a digest of its own, but a document that was verified by itself and goes with
    /// it. It never counts as a signature of the artifact.
    Beside,
    /// Tampered with, not readable, signed by a key that nobody gave.
    Refused,
    /// About other artifacts.
    Elsewhere,
}

impl Judged {
    pub(super) fn new(standing: Standing, serves: Requirement, findings: Vec<Finding>) -> Self {
        let (said, signatures) = (Vec::new(), Vec::new());
        Self { standing, serves, named: false, findings, said, signatures }
    }

    /// Whether an accepted signer says with it what is asked for.
    fn is_good(&self, accepted: bool) -> bool {
        match self.standing {
            Standing::About => accepted && !self.said.iter().any(is_bad),
            Standing::Beside => true,
            _ => false,
        }
    }
}

/// The verdict on `artifact`, from all evidence there is.
pub(super) fn conclude(
    artifact: Artifact,
    evidence: Vec<Judged>,
    demands: &Demands,
    notes: Vec<Finding>,
) -> Report {
    // A signer that speaks against the artifact has not signed it, but is asked for as well.
    let signatures: Vec<Authenticated> = evidence
        .iter()
        .filter(|one| one.standing == Standing::About)
        .flat_map(|one| one.signatures.iter().cloned())
        .collect();
    let judgement = demands.signers.judge(&signatures);
    let mut next = 0;
    let evidence: Vec<(Judged, bool)> = evidence
        .into_iter()
        .map(|one| {
            let accepted = match one.standing {
                Standing::About => {
                    let own = next..next + one.signatures.len();
                    next = own.end;
                    own.into_iter().any(|index| judgement.accepts(index))
                }
                Standing::Against | Standing::Unknown => {
                    let said = demands.signers.judge(&one.signatures);
                    (0..one.signatures.len()).any(|index| said.accepts(index))
                }
                Standing::Beside | Standing::Refused | Standing::Elsewhere => false,
            };
            (one, accepted)
        })
        .collect();

    let signed = !judgement.findings.iter().any(is_bad);
    let has = |requirement: Requirement| {
        evidence.iter().any(|(one, accepted)| one.serves == requirement && one.is_good(*accepted))
    };
    let met = |requirement: Requirement| match requirement {
        Requirement::Signature => signed,
        other => has(other),
    };

    let mut findings = Vec::new();
    let mut signers: Vec<Signer> = Vec::new();
    let mut any = false;
    for (one, accepted) in &evidence {
        any |= one.standing != Standing::Elsewhere || one.named;
        let excused = signed
            && match one.standing {
                Standing::Elsewhere => true,
                Standing::About | Standing::Against if *accepted => {
                    one.standing == Standing::About
                        && one.serves != Requirement::Signature
                        && has(one.serves)
                }
                _ => !demands.requirements.contains(&one.serves) || met(one.serves),
            };
        // What an unknown signer says is nobody's business.
        let said = if *accepted { one.said.as_slice() } else { &[] };
        let unnamed = one.standing == Standing::Elsewhere && !one.named;
        for mut finding in one.findings.iter().chain(said).cloned() {
            if is_bad(&finding) && (excused || unnamed) {
                finding.state = match one.standing {
                    Standing::Elsewhere => State::Note,
                    _ => State::Warning,
                };
            }
            findings.push(finding);
        }
        if one.is_good(*accepted) {
            for signature in &one.signatures {
                if demands.signers.judge(std::slice::from_ref(signature)).accepts(0)
                    && !signers.contains(&signature.signer)
                {
                    signers.push(signature.signer.clone());
                }
            }
        }
    }
    findings.extend(notes);
    if any {
        findings.extend(judgement.findings.iter().cloned());
    } else {
        findings.push(Finding::undecided("evidence/none", "there is no evidence for this file"));
    }
    if let Some(publication) = &demands.publication {
        let accepted: Vec<&Authenticated> = signatures
            .iter()
            .enumerate()
            .filter(|(index, _)| judgement.accepts(*index))
            .map(|(_, signature)| signature)
            .collect();
        findings.extend(publication.check(&accepted, &artifact));
    }
    for requirement in &demands.requirements {
        let (Some(code), what) = (requirement.code(), requirement.words()) else { continue };
        findings.push(if met(*requirement) {
            Finding::passed(code, format!("there is {what}"))
        } else {
            Finding::undecided(code, format!("{what} is asked for, and there is none that counts"))
        });
    }
    Report::conclude(artifact, findings, signers)
}

/// A finding that evidence was not used.
pub(super) fn ignored(origin: &Origin, why: &str) -> Finding {
    Finding::new("evidence/ignored", State::Note, format!("not used: {why}")).at(origin)
}

pub(super) fn is_bad(finding: &Finding) -> bool {
    matches!(finding.state, State::Failed | State::Undecided)
}
