//! Verdicts for people: one line each, and below it every check with what it is about.

use std::fmt::Write as _;

use dsops_release_verify::{Finding, Report, Signer, State, SubjectName};

use super::outcome::{Found, Outcome, Standing, count};
use crate::ui::{self, Paint, Tint};

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What is not verified, and warnings.
    Quiet,
    /// The checks of a single artifact; of several, those of what is not verified.
    Normal,
    /// Every check of everything.
    Full,
}

/// All outcomes: for several a table, then the checks, then the sum. What could not be read stands
/// in the table only: why is an error, and told where errors are told.
pub fn render(found: &Found, detail: Detail, paint: Paint) -> String {
    let outcomes = found.outcomes.as_slice();
    let mut text = String::new();
    let several = outcomes.len() > 1;
    if several && detail != Detail::Quiet {
        text += &table(outcomes, paint);
    }
    for outcome in outcomes {
        let Outcome::Judged(report) = outcome else { continue };
        let bad = outcome.standing() != Standing::Verified;
        let shown = match detail {
            Detail::Full => true,
            Detail::Normal => bad || !several || has_warning(report),
            Detail::Quiet => bad || has_warning(report),
        };
        // Of what is verified among others, only what the reader should look at.
        let detail = match detail {
            Detail::Normal if several && !bad => Detail::Quiet,
            other => other,
        };
        if shown {
            if !text.is_empty() {
                text.push('\n');
            }
            judged(&mut text, outcome, report, detail, paint);
        }
    }
    if detail != Detail::Quiet {
        if !found.notes.is_empty() {
            text.push_str("\nof the folder:\n");
        }
        for note in &found.notes {
            finding(&mut text, note, paint);
        }
        if several {
            let _ = writeln!(text, "\n{}", sum(outcomes));
        }
    }
    text
}

/// `3 artifacts: 2 verified, 1 failed`.
pub fn sum(outcomes: &[Outcome]) -> String {
    let parts: Vec<String> = Standing::ALL
        .into_iter()
        .map(|standing| (count(outcomes, standing), standing.word()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    format!("{}: {}", ui::plural(outcomes.len(), "artifact"), parts.join(", "))
}

/// A signer in a few words, not escaped.
pub fn signer(signer: &Signer) -> String {
    match signer {
        Signer::Certificate(identity) => {
            let names: Vec<&str> = identity.names.iter().map(SubjectName::as_str).collect();
            let names = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
            match &identity.issuer {
                Some(issuer) => format!("{names} (says {issuer})"),
                None => names,
            }
        }
        Signer::Key { id, algorithm } => format!("{algorithm} key {id}"),
        _ => "a signer of a kind that has no name here".to_owned(),
    }
}

fn has_warning(report: &Report) -> bool {
    report.findings.iter().any(|finding| finding.state == State::Warning)
}

fn table(outcomes: &[Outcome], paint: Paint) -> String {
    let mut rows = vec![vec!["VERDICT".into(), "ARTIFACT".into(), "WHY".into()]];
    rows.extend(outcomes.iter().map(|outcome| {
        vec![
            outcome.standing().word().to_owned(),
            ui::one_line(outcome.name()),
            ui::one_line(&reason(outcome)),
        ]
    }));
    let text = ui::table(&rows);
    let mut lines = text.lines();
    let mut coloured = String::with_capacity(text.len());
    let _ = writeln!(coloured, "{}", lines.next().unwrap_or_default());
    // Coloured when all columns stand: what colours is made of has no width.
    for (line, outcome) in lines.zip(outcomes) {
        let word = outcome.standing().word();
        let rest = line.strip_prefix(word).unwrap_or(line);
        let _ = writeln!(coloured, "{}{rest}", paint.wrap(tint(outcome.standing()), word));
    }
    coloured
}

/// The one thing to know of an outcome: who signed, or what is wrong first.
fn reason(outcome: &Outcome) -> String {
    let report = match outcome {
        Outcome::Unreadable { problem, .. } => return problem.message.clone(),
        Outcome::Judged(report) => report,
    };
    let wanted = match outcome.standing() {
        Standing::Failed => State::Failed,
        Standing::Undecided => State::Undecided,
        _ => {
            let signers: Vec<String> = report.signers.iter().map(signer).collect();
            return signers.join("; ");
        }
    };
    let first = report.findings.iter().find(|finding| finding.state == wanted);
    first.map_or_else(|| "no check was made".to_owned(), |finding| finding.message.clone())
}

fn judged(text: &mut String, outcome: &Outcome, report: &Report, detail: Detail, paint: Paint) {
    let standing = outcome.standing();
    let word = paint.wrap(tint(standing), standing.word());
    let _ = writeln!(text, "{word}: {}", ui::one_line(outcome.name()));
    let _ = writeln!(text, "  {}", report.artifact.sha256());
    for accepted in &report.signers {
        let _ = writeln!(text, "  signed by {}", ui::one_line(&signer(accepted)));
    }
    for found in &report.findings {
        let shown = match detail {
            Detail::Quiet => !matches!(found.state, State::Passed | State::Note),
            _ => true,
        };
        if shown {
            finding(text, found, paint);
        }
    }
    if report.findings.is_empty() {
        text.push_str("  no check was made\n");
    }
}

/// The state, the code, the sentence; below it where, what was to be, what was, what to do.
pub fn finding(text: &mut String, found: &Finding, paint: Paint) {
    const INDENT: &str = "            ";
    let word = found.state.word();
    let tint = match found.state {
        State::Passed => Some(Tint::Green),
        State::Warning => Some(Tint::Yellow),
        State::Failed | State::Undecided => Some(Tint::Red),
        _ => None,
    };
    let painted = tint.map_or_else(|| word.to_owned(), |tint| paint.wrap(tint, word));
    let gap = " ".repeat(9_usize.saturating_sub(word.len()));
    let _ = writeln!(
        text,
        "  {painted}{gap} {} [{}]",
        ui::one_line(&found.message),
        ui::one_line(found.code)
    );
    if let Some(origin) = &found.origin {
        let _ = writeln!(text, "{INDENT}in: {}", ui::one_line(&origin.to_string()));
    }
    // Nothing expected is nothing to tell.
    if let Some(expected) = found.expected.as_ref().filter(|text| !text.is_empty()) {
        let _ = writeln!(text, "{INDENT}expected: {}", ui::one_line(expected));
    }
    if let Some(there) = found.found.as_ref().filter(|text| !text.is_empty()) {
        let _ = writeln!(text, "{INDENT}found:    {}", ui::one_line(there));
    }
    if let Some(help) = &found.help {
        let label = paint.wrap(Tint::Blue, "help");
        let _ = writeln!(text, "{INDENT}{label}: {}", ui::one_line(help));
    }
}

fn tint(standing: Standing) -> Tint {
    match standing {
        Standing::Verified => Tint::Green,
        Standing::Undecided => Tint::Yellow,
        Standing::Failed | Standing::Unreadable => Tint::Red,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::verify::outcome::tests::samples;

    #[test]
    fn failure_is_told_as_completely_as_success() {
        let [good, bad, ..] = <[Outcome; 4]>::try_from(samples()).unwrap();
        let one = |outcome| render(&Found::of(outcome), Detail::Normal, Paint::NONE);
        let good = one(good);
        let sha = "  sha256:";
        assert!(good.starts_with(&format!("verified: good.tar.gz\n{sha}")), "{good}");
        let rest = good.split_once("\n  signed").unwrap().1;
        assert_eq!(
            rest,
            " by https://github.com/acme/app/w.yml@refs/tags/v1 (says \
             https://token.actions.githubusercontent.com)\n  signed by ed25519 key SHA256:abc\n  \
             passed    the signature covers this artifact [signature/content]\n            \
             in: release/attestations.jsonl:2\n  \
             warning   the root of trust is 200 days old [trust/age]\n            \
             help: pass one with `--trusted-root`\n  \
             note      not used [evidence/ignored]\n            in: x.sig\n"
        );
        let bad = one(bad);
        let rest = bad.split_once("\n  passed").unwrap().1;
        assert_eq!(
            rest,
            "    two logs have it [signature/log]\n  \
             failed    the signer is not who it must be [signature/identity]\n            \
             in: release/attestations.jsonl:2\n            \
             expected: https://a.example/\\u{202e}x\n            \
             found:    https://b.example/\\n  passed  all\n            \
             help: ask the publisher\n"
        );
    }

    #[test]
    fn several_are_a_table_then_what_is_wrong_then_the_sum() {
        let text = render(
            &Found {
                outcomes: samples(),
                notes: vec![Finding::new("evidence/ignored", State::Note, "nobody\u{1b} needs it")],
            },
            Detail::Normal,
            Paint::NONE,
        );
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("VERDICT    ARTIFACT      WHY"));
        assert!(lines.next().unwrap().starts_with("verified   good.tar.gz   https://github"));
        assert_eq!(
            lines.next(),
            Some("failed     ba\\u{1b}[2Jd  the signer is not who it must be")
        );
        assert_eq!(lines.next(), Some("undecided  open          there is no evidence beside it"));
        assert_eq!(lines.next(), Some("error      missing       cannot read missing"));
        assert_eq!(
            text.lines().last(),
            Some("4 artifacts: 1 verified, 1 failed, 1 undecided, 1 error")
        );
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
    }

    #[test]
    fn quiet_tells_what_is_not_verified_and_warnings() {
        let [good, bad, ..] = <[Outcome; 4]>::try_from(samples()).unwrap();
        let good = render(&Found::of(good), Detail::Quiet, Paint::NONE);
        assert!(good.contains("200 days old") && !good.contains("passed"), "{good}");
        let bad = render(&Found::of(bad), Detail::Quiet, Paint::NONE);
        assert!(bad.starts_with("failed: ") && bad.contains("expected: "), "{bad}");
    }
}
