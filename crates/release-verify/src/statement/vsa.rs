//! Verification summaries: somebody else verified an artifact and says with which result.

use super::{PredicateKind, Statement, StatementError};
use crate::json::{Fields, Json, JsonError};
use crate::{Artifact, Finding, Origin, State};

/// What a verification summary has to say. Who signed it is a matter of the signer's policy.
///
/// Source: SLSA Verification Summary Attestation v1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRules {
    verifier: String,
    resource: String,
    levels: Vec<String>,
}

impl SummaryRules {
    /// Verified by `verifier`, as `resource`; both exactly.
    pub fn new(verifier: &str, resource: &str) -> Self {
        Self { verifier: verifier.to_owned(), resource: resource.to_owned(), levels: Vec::new() }
    }

    /// And found to be of that level: `SLSA_BUILD_LEVEL_2` takes that level of its track or a
    /// higher one; any other text has to be listed as it is. May be called more than once.
    #[must_use]
    pub fn level(mut self, level: &str) -> Self {
        self.levels.push(level.to_owned());
        self
    }

    /// Holds a statement that was found well signed against the rules: `statement/subject`,
    /// `summary/verifier`, `summary/resource`, `summary/result`, `summary/level`.
    pub fn check(
        &self,
        statement: &Statement,
        artifact: &Artifact,
        origin: &Origin,
    ) -> Vec<Finding> {
        let mut findings = vec![statement.check_subject(artifact)];
        match Summary::read(statement) {
            Err(error) => findings.push(error.finding(origin)),
            Ok(summary) => self.hold(&summary, &mut findings),
        }
        findings.into_iter().map(|finding| finding.at(origin)).collect()
    }

    fn hold(&self, summary: &Summary<'_>, findings: &mut Vec<Finding>) {
        let mut same = |code, what: &str, wanted: &str, found: &str| {
            let (state, word) = if !found.is_empty() && wanted == found {
                (State::Passed, "the one asked for")
            } else {
                (State::Failed, "another one")
            };
            let message = format!("the {what} is {word}");
            findings.push(Finding::new(code, state, message).compared(wanted, found));
        };
        same("summary/verifier", "verifier", &self.verifier, summary.verifier);
        same("summary/resource", "resource", &self.resource, summary.resource);
        findings.push(summary.check_result());
        for wanted in &self.levels {
            let good = summary.levels.iter().any(|found| takes(wanted, found));
            let (state, message) = if good {
                (State::Passed, "the verifier found the level asked for")
            } else {
                (State::Failed, "the verifier did not find the level asked for")
            };
            let found = summary.levels.join(", ");
            findings.push(Finding::new("summary/level", state, message).compared(wanted, found));
        }
    }
}

/// Whether a level that was found is the one wanted, or a higher one of the same SLSA track.
fn takes(wanted: &str, found: &str) -> bool {
    match (slsa_level(wanted), slsa_level(found)) {
        (Some((track, least)), Some((found_track, level))) => {
            track == found_track && level >= least
        }
        _ => wanted == found,
    }
}

/// `SLSA_BUILD_LEVEL_3` as `BUILD` and 3.
fn slsa_level(text: &str) -> Option<(&str, u8)> {
    let (track, level) = text.strip_prefix("SLSA_")?.split_once("_LEVEL_")?;
    let plain = !level.is_empty() && level.bytes().all(|b| b.is_ascii_digit());
    let named = !track.is_empty() && track.bytes().all(|b| b.is_ascii_uppercase());
    (plain && named).then(|| level.parse().ok().map(|level| (track, level))).flatten()
}

struct Summary<'a> {
    verifier: &'a str,
    resource: &'a str,
    result: &'a str,
    levels: Vec<&'a str>,
}

/// Whether a summary says that the artifact is in order, whatever else it says: one that says the
/// opposite speaks against it also where nobody asks for a summary.
pub(crate) fn check_result(statement: &Statement, origin: &Origin) -> Finding {
    match Summary::read(statement) {
        Ok(summary) => summary.check_result(),
        Err(error) => error.finding(origin),
    }
}

impl<'a> Summary<'a> {
    fn check_result(&self) -> Finding {
        let (state, message) = match self.result {
            "PASSED" => (State::Passed, "the verifier found it in order"),
            _ => (State::Failed, "the verifier did not find it in order"),
        };
        Finding::new("summary/result", state, message).compared("PASSED", self.result)
    }

    fn read(statement: &'a Statement) -> Result<Self, StatementError> {
        if statement.kind() != PredicateKind::VerificationSummary {
            return Err(StatementError::Version { found: statement.predicate_type().to_owned() });
        }
        let mut fields = Fields::of(statement.predicate(), "predicate")?;
        let verifier = fields.object("verifier")?.text("id")?;
        let resource = fields.text("resourceUri")?;
        let result = fields.text("verificationResult")?;
        let mut levels = Vec::new();
        for level in fields.list("verifiedLevels", 1000)? {
            let Json::Text(level) = level else {
                return Err(JsonError::new(fields.path("verifiedLevels"), "holds no text").into());
            };
            levels.push(level.as_str());
        }
        // v0.2 had one level under another name.
        if let Some(policy_level) = fields.optional_text("policy_level")? {
            levels.push(policy_level);
        }
        Ok(Self { verifier, resource, result, levels })
    }
}
