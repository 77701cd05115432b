//! What came of everything that was asked about, and the one exit code of it all.

use dsops_release_verify::{Finding, Report, Verdict};

use crate::exit::Exit;
use crate::report::Report as Problem;

/// What came of one thing that was asked about.
#[derive(Debug)]
pub enum Outcome {
    /// It was looked at; the verdict is in the report.
    Judged(Report),
    /// It could not be looked at: a file that cannot be read, a registry that does not answer.
    Unreadable {
        /// As it was asked for.
        name: String,
        /// Why.
        problem: Problem,
    },
}

/// All outcomes of a run, in the order in which they were asked for.
#[derive(Debug, Default)]
pub struct Found {
    /// One for each artifact.
    pub outcomes: Vec<Outcome>,
    /// What is to be said of folders as a whole: notes only, they decide nothing.
    pub notes: Vec<Finding>,
}

impl Found {
    /// That one outcome.
    pub fn of(outcome: Outcome) -> Self {
        Self { outcomes: vec![outcome], notes: Vec::new() }
    }
}

/// How an outcome counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Verified,
    Failed,
    Undecided,
    Unreadable,
}

impl Standing {
    /// In the order of a summary.
    pub const ALL: [Self; 4] = [Self::Verified, Self::Failed, Self::Undecided, Self::Unreadable];

    /// The word for people and for JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Verified => Verdict::Verified.word(),
            Self::Failed => Verdict::Failed.word(),
            Self::Undecided => Verdict::Undecided.word(),
            Self::Unreadable => "error",
        }
    }
}

impl Outcome {
    /// What it is about, as it was asked for.
    pub fn name(&self) -> &str {
        match self {
            Self::Judged(report) => report.artifact.name(),
            Self::Unreadable { name, .. } => name,
        }
    }

    /// How it counts.
    pub fn standing(&self) -> Standing {
        match self {
            Self::Unreadable { .. } => Standing::Unreadable,
            Self::Judged(report) => match report.verdict {
                Verdict::Verified => Standing::Verified,
                Verdict::Failed => Standing::Failed,
                Verdict::Undecided => Standing::Undecided,
            },
        }
    }
}

/// How many outcomes have that standing.
pub fn count(outcomes: &[Outcome], standing: Standing) -> usize {
    outcomes.iter().filter(|outcome| outcome.standing() == standing).count()
}

/// The worst of all: what failed weighs more than what could not be read, and that more than what
/// could not be decided. Nothing at all is undecided.
pub fn standing(outcomes: &[Outcome]) -> Standing {
    let has = |standing| count(outcomes, standing) > 0;
    [Standing::Failed, Standing::Unreadable, Standing::Undecided, Standing::Verified]
        .into_iter()
        .find(|standing| has(*standing))
        .unwrap_or(Standing::Undecided)
}

/// The exit code of it all.
pub fn exit(outcomes: &[Outcome]) -> Exit {
    match standing(outcomes) {
        Standing::Verified => Exit::Ok,
        Standing::Failed => Exit::NotVerified,
        Standing::Undecided => Exit::Undecided,
        Standing::Unreadable => Exit::Store,
    }
}

#[cfg(test)]
pub mod tests {
    use dsops_release_verify::{
        Artifact, CertificateIdentity, Finding, Origin, Signer, State, SubjectName,
    };

    use super::*;

    /// One of each kind, with text that would drive a terminal.
    pub fn samples() -> Vec<Outcome> {
        let artifact = |name: &str| Artifact::read(name, name.as_bytes(), &[]).unwrap();
        let mut line = Origin::new("release/attestations.jsonl");
        line.part = Some(2);
        let identity = CertificateIdentity::new(
            vec![SubjectName::Uri("https://github.com/acme/app/w.yml@refs/tags/v1".into())],
            Some("https://token.actions.githubusercontent.com".into()),
            vec![(12, "https://github.com/acme/app".into()), (99, "?".into())],
        );
        let key = Signer::Key { id: "SHA256:abc".into(), algorithm: "ed25519".into() };
        let good = Report::conclude(
            artifact("good.tar.gz"),
            vec![
                Finding::passed("signature/content", "the signature covers this artifact")
                    .at(&line),
                Finding::new("trust/age", State::Warning, "the root of trust is 200 days old")
                    .help("pass one with `--trusted-root`"),
                Finding::new("evidence/ignored", State::Note, "not used").at(&Origin::new("x.sig")),
            ],
            vec![Signer::Certificate(identity), key],
        );
        let bad = Report::conclude(
            artifact("ba\u{1b}[2Jd"),
            vec![
                Finding::passed("signature/log", "two logs have it"),
                Finding::failed("signature/identity", "the signer is not who it must be")
                    .at(&line)
                    .compared("https://a.example/\u{202e}x", "https://b.example/\n  passed  all")
                    .help("ask the publisher"),
            ],
            Vec::new(),
        );
        let open = Report::conclude(
            artifact("open"),
            vec![Finding::undecided("evidence/none", "there is no evidence beside it")],
            Vec::new(),
        );
        let problem = Problem::error("cannot read missing").because_text("no such file");
        vec![
            Outcome::Judged(good),
            Outcome::Judged(bad),
            Outcome::Judged(open),
            Outcome::Unreadable { name: "missing".into(), problem },
        ]
    }

    #[test]
    fn the_worst_decides() {
        let [good, bad, open, missing] = <[Outcome; 4]>::try_from(samples()).unwrap();
        assert_eq!(exit(&[]), Exit::Undecided);
        let mut all = vec![good];
        assert_eq!(exit(&all), Exit::Ok);
        all.push(open);
        assert_eq!(exit(&all), Exit::Undecided);
        all.push(missing);
        assert_eq!(exit(&all), Exit::Store);
        all.push(bad);
        assert_eq!(exit(&all), Exit::NotVerified);
        assert!(Standing::ALL.iter().all(|standing| count(&all, *standing) == 1));
    }
}
