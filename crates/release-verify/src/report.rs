//! The verdict and its reasons: every check that was made, on which evidence, and how it ended.

use std::fmt;

use crate::{Artifact, Signer, codes};

/// How one check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum State {
    /// Made, and in order.
    Passed,
    /// Nothing was checked here; the reader should know it.
    Note,
    /// In order, but the reader should look: a root of trust that is old, evidence not used.
    Warning,
    /// It could not be decided: evidence that is missing, or of a kind nobody here reads.
    Undecided,
    /// Made, and not in order.
    Failed,
}

impl State {
    /// The word for people and for JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Undecided => "undecided",
            Self::Failed => "failed",
        }
    }
}

/// What is said of an artifact in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Everything the policy asks for was found and is in order.
    Verified,
    /// Something that had to be in order is not.
    Failed,
    /// Nothing is wrong as far as was seen, but what had to be seen was not there.
    Undecided,
}

impl Verdict {
    /// The word for people and for JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::Undecided => "undecided",
        }
    }
}

/// Where evidence came from: a file, a line of it, a blob of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// A path or a reference, as a person would write it.
    pub name: String,
    /// Which one of several in it, counted from 1: a line of a JSON-lines file, a layer.
    pub part: Option<usize>,
}

impl Origin {
    /// All of what is called `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), part: None }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Some(part) => write!(f, "{}:{part}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// One check and how it ended.
///
/// `expected` and `found` are untrusted text as it stood in the evidence: whoever shows them to a
/// person escapes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check, stable for scripts: `signature/identity`. Listed in the reference.
    pub code: &'static str,
    /// How it ended.
    pub state: State,
    /// On which evidence; `None` when it is about the artifact or the whole.
    pub origin: Option<Origin>,
    /// One sentence, without a final period.
    pub message: String,
    /// What had to be there.
    pub expected: Option<String>,
    /// What was there.
    pub found: Option<String>,
    /// What to do next, where more can be said than what [`Finding::next`] says of the kind of check.
    pub help: Option<String>,
}

impl Finding {
    /// A check that ended in `state`, with nothing but a message.
    pub fn new(code: &'static str, state: State, message: impl Into<String>) -> Self {
        Self {
            code,
            state,
            origin: None,
            message: message.into(),
            expected: None,
            found: None,
            help: None,
        }
    }

    /// A check that was made and is in order.
    pub fn passed(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, State::Passed, message)
    }

    /// A check that was made and is not in order.
    pub fn failed(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, State::Failed, message)
    }

    /// A check that could not be decided.
    pub fn undecided(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, State::Undecided, message)
    }

    /// The same, about that evidence.
    #[must_use]
    pub fn at(mut self, origin: &Origin) -> Self {
        self.origin = Some(origin.clone());
        self
    }

    /// The same, with what had to be there and what was.
    #[must_use]
    pub fn compared(mut self, expected: impl Into<String>, found: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self.found = Some(found.into());
        self
    }

    /// What to do next: the finding's own help, else what the check's kind says. Nothing where nothing is to be
    /// done: of what passed, and of notes and warnings without a word of their own.
    pub fn next(&self) -> Option<&str> {
        let wants = matches!(self.state, State::Undecided | State::Failed);
        let usual = || codes::find(self.code).filter(|_| wants).map(|check| check.next);
        self.help.as_deref().or_else(usual)
    }

    /// The same, with what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The verdict on one artifact, with every reason.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What was verified.
    pub artifact: Artifact,
    /// What is said of it.
    pub verdict: Verdict,
    /// Every check, in the order it was made.
    pub findings: Vec<Finding>,
    /// Who signed, as far as signatures were found good and the policy accepts their signer.
    pub signers: Vec<Signer>,
}

impl Report {
    /// The verdict that follows from the findings: one failure fails, else one undecided check
    /// leaves it undecided. A report without a passed check is undecided, never verified.
    pub fn conclude(artifact: Artifact, findings: Vec<Finding>, signers: Vec<Signer>) -> Self {
        let has = |state| findings.iter().any(|finding| finding.state == state);
        let verdict = if has(State::Failed) {
            Verdict::Failed
        } else if has(State::Undecided) || !has(State::Passed) {
            Verdict::Undecided
        } else {
            Verdict::Verified
        };
        Self { artifact, verdict, findings, signers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_order_says_what_to_do() {
        for check in codes::ALL {
            for state in [State::Failed, State::Undecided] {
                assert_eq!(Finding::new(check.code, state, "m").next(), Some(check.next));
            }
            for state in [State::Passed, State::Note, State::Warning] {
                assert_eq!(Finding::new(check.code, state, "m").next(), None);
            }
        }
        let own = Finding::failed("log/twice", "m").help("do this");
        assert_eq!(own.next(), Some("do this"));
        assert_eq!(Finding::failed("no/such", "m").next(), None);
    }

    #[test]
    fn the_worst_finding_decides() {
        let verdict = |states: &[State]| {
            let artifact = Artifact::read("a", &b""[..], &[]).unwrap();
            let findings = states.iter().map(|state| Finding::new("t/t", *state, "m")).collect();
            Report::conclude(artifact, findings, Vec::new()).verdict
        };
        assert_eq!(verdict(&[]), Verdict::Undecided);
        assert_eq!(verdict(&[State::Note, State::Warning]), Verdict::Undecided);
        assert_eq!(verdict(&[State::Passed, State::Warning]), Verdict::Verified);
        assert_eq!(verdict(&[State::Passed, State::Undecided]), Verdict::Undecided);
        assert_eq!(verdict(&[State::Passed, State::Undecided, State::Failed]), Verdict::Failed);
    }
}
