//! Verdicts for people: one line each, and below it every check with what it is about.

use std::fmt::Write as _;

use dsops_release_verify::{Finding, Origin, Report, Signer, State, SubjectName};

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

/// How and for whom it is written.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub detail: Detail,
    pub paint: Paint,
    /// How many columns the reader's terminal has; `None` for a file or a program, where nothing is cut.
    pub width: Option<usize>,
}

/// All outcomes: for several a table, then the checks, then the sum. What could not be read stands
/// in the table only: why is an error, and told where errors are told.
pub fn render(found: &Found, page: Page) -> String {
    let outcomes = found.outcomes.as_slice();
    let Page { detail, paint, .. } = page;
    let mut text = String::new();
    let several = outcomes.len() > 1;
    let common = common_signers(outcomes).filter(|_| detail != Detail::Quiet);
    if several && detail != Detail::Quiet {
        text += &table(outcomes, common.is_some(), page);
        for accepted in common.into_iter().flatten() {
            let _ = writeln!(text, "\nsigned by {}", ui::one_line(&signer(accepted)));
        }
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
            let signers = if common.is_some() && !bad { &[][..] } else { &report.signers };
            judged(&mut text, outcome, report, signers, detail, paint);
        }
    }
    if detail != Detail::Quiet {
        if !found.notes.is_empty() {
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}of the folder:");
        }
        findings(&mut text, &found.notes, detail, paint);
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

/// Who signed all that is verified, when it is the same everywhere: then it is told once.
fn common_signers(outcomes: &[Outcome]) -> Option<&[Signer]> {
    let mut verified = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Judged(report) if outcome.standing() == Standing::Verified => {
            Some(report.signers.as_slice())
        }
        _ => None,
    });
    let first = verified.next().filter(|signers| !signers.is_empty())?;
    let mut more = false;
    for signers in verified {
        more = true;
        if signers != first {
            return None;
        }
    }
    more.then_some(first)
}

fn table(outcomes: &[Outcome], signers_are_told: bool, page: Page) -> String {
    let whys: Vec<String> = outcomes
        .iter()
        .map(|outcome| {
            let told = signers_are_told && outcome.standing() == Standing::Verified;
            if told { String::new() } else { ui::one_line(&reason(outcome)) }
        })
        .collect();
    let names: Vec<String> = outcomes.iter().map(|outcome| ui::one_line(outcome.name())).collect();
    let head = if whys.iter().all(String::is_empty) { "" } else { "WHY" };
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut rows = vec![vec!["VERDICT".into(), "ARTIFACT".into(), head.into()]];
    rows.extend(outcomes.iter().zip(names).zip(whys).map(|((outcome, name), why)| {
        // Names stay whole, to be copied; why is told in full below.
        let room = page.width.map(|width| width.saturating_sub(longest + WORDS).max(LEAST));
        vec![outcome.standing().word().to_owned(), name, cut(why, room)]
    }));
    let text = ui::table(&rows);
    let mut lines = text.lines();
    let mut coloured = String::with_capacity(text.len());
    let _ = writeln!(coloured, "{}", lines.next().unwrap_or_default());
    // Coloured when all columns stand: what colours is made of has no width.
    for (line, outcome) in lines.zip(outcomes) {
        let word = outcome.standing().word();
        let rest = line.strip_prefix(word).unwrap_or(line);
        let _ = writeln!(coloured, "{}{rest}", page.paint.wrap(tint(outcome.standing()), word));
    }
    coloured
}

/// The widest verdict, and what stands between columns.
const WORDS: usize = "undecided".len() + 2 + 2;
/// Less of a reason than this says nothing.
const LEAST: usize = 20;

fn cut(text: String, room: Option<usize>) -> String {
    match room {
        Some(room) if text.chars().count() > room => {
            let kept: String = text.chars().take(room - 1).collect();
            format!("{}…", kept.trim_end())
        }
        _ => text,
    }
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

fn judged(
    text: &mut String,
    outcome: &Outcome,
    report: &Report,
    signers: &[Signer],
    detail: Detail,
    paint: Paint,
) {
    let standing = outcome.standing();
    let word = paint.wrap(tint(standing), standing.word());
    let _ = writeln!(text, "{word}: {}", ui::one_line(outcome.name()));
    let sha256 = report.artifact.sha256().to_string();
    // An image's name has it.
    if !outcome.name().ends_with(&sha256) {
        let _ = writeln!(text, "  {sha256}");
    }
    for accepted in signers {
        let _ = writeln!(text, "  signed by {}", ui::one_line(&signer(accepted)));
    }
    findings(text, &report.findings, detail, paint);
    if report.findings.is_empty() {
        text.push_str("  no check was made\n");
    }
}

/// What was found, by the evidence that it is about: what is wrong first, and what to do about it last, once.
pub fn findings(text: &mut String, findings: &[Finding], detail: Detail, paint: Paint) {
    let is_shown = |found: &&Finding| {
        detail != Detail::Quiet || !matches!(found.state, State::Passed | State::Note)
    };
    let mut groups: Vec<(Option<&Origin>, Vec<&Finding>)> = Vec::new();
    for found in findings.iter().filter(is_shown) {
        match groups.iter_mut().find(|(origin, _)| *origin == found.origin.as_ref()) {
            Some((_, group)) => group.push(found),
            None => groups.push((found.origin.as_ref(), vec![found])),
        }
    }
    for (_, group) in &mut groups {
        group.sort_by_key(|found| weight(found.state));
    }
    groups.sort_by_key(|(_, group)| group.first().map_or(u8::MAX, |found| weight(found.state)));
    let worst = groups.first().and_then(|(_, group)| group.first()).map(|found| found.state);
    let mut told: Vec<&str> = Vec::new();
    for (origin, group) in &groups {
        let indent = match origin {
            Some(origin) => {
                let _ = writeln!(text, "  in {}:", ui::one_line(&origin.to_string()));
                4
            }
            None => 2,
        };
        for found in group {
            finding(text, found, detail, paint, indent);
            // What follows from what is worse goes away with that.
            let decides = Some(found.state) == worst || found.state == State::Warning;
            told.extend(found.next().filter(|help| decides && !told.contains(help)));
        }
    }
    for help in told {
        let _ = writeln!(text, "  {}: {}", paint.wrap(Tint::Blue, "help"), ui::one_line(help));
    }
}

/// Where it stands: what is wrong before what is in order.
fn weight(state: State) -> u8 {
    match state {
        State::Undecided => 1,
        State::Warning => 2,
        State::Passed => 3,
        State::Note => 4,
        // Failed, and what is not known here.
        _ => 0,
    }
}

/// The state, the sentence, the code; below it what was to be, and what was.
fn finding(text: &mut String, found: &Finding, detail: Detail, paint: Paint, indent: usize) {
    const WORD: usize = "undecided".len();
    let word = found.state.word();
    let tint = match found.state {
        State::Passed => Some(Tint::Green),
        State::Warning | State::Undecided => Some(Tint::Yellow),
        State::Note => None,
        _ => Some(Tint::Red),
    };
    let painted = tint.map_or_else(|| word.to_owned(), |tint| paint.wrap(tint, word));
    let gap = " ".repeat(WORD.saturating_sub(word.len()));
    let message = ui::one_line(&found.message);
    let _ = writeln!(text, "{:indent$}{painted}{gap} {message} [{}]", "", ui::one_line(found.code));
    // What passed is what it had to be, and who signed is told above.
    let is_plain = found.state == State::Passed && found.expected.is_some();
    let is_told = |part: &&String| !part.is_empty() && (!is_plain || detail == Detail::Full);
    let below = indent + WORD + 1;
    for (label, part) in [("expected: ", &found.expected), ("found:    ", &found.found)] {
        // Nothing expected is nothing to tell.
        if let Some(part) = part.as_ref().filter(is_told) {
            let _ = writeln!(text, "{:below$}{label}{}", "", ui::one_line(part));
        }
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

    fn page(detail: Detail) -> Page {
        Page { detail, paint: Paint::NONE, width: None }
    }

    #[test]
    fn failure_is_told_as_completely_as_success() {
        let [good, bad, ..] = <[Outcome; 4]>::try_from(samples()).unwrap();
        let one = |outcome| render(&Found::of(outcome), page(Detail::Normal));
        let good = one(good);
        let sha = "  sha256:";
        assert!(good.starts_with(&format!("verified: good.tar.gz\n{sha}")), "{good}");
        let rest = good.split_once("\n  signed").unwrap().1;
        assert_eq!(
            rest,
            " by https://github.com/acme/app/w.yml@refs/tags/v1 (says \
             https://token.actions.githubusercontent.com)\n  signed by ed25519 key SHA256:abc\n  \
             warning   the root of trust is 200 days old [trust/age]\n  \
             in release/attestations.jsonl:2:\n    \
             passed    the signature covers this artifact [signature/content]\n  \
             in x.sig:\n    note      not used [evidence/ignored]\n  \
             help: pass one with `--trusted-root`\n"
        );
        let bad = one(bad);
        let rest = bad.split_once("\n  in").unwrap().1;
        assert_eq!(
            rest,
            " release/attestations.jsonl:2:\n    \
             failed    the signer is not who it must be [signature/identity]\n              \
             expected: https://a.example/\\u{202e}x\n              \
             found:    https://b.example/\\n  passed  all\n  \
             passed    two logs have it [signature/log]\n  \
             help: ask the publisher\n"
        );
    }

    #[test]
    fn help_is_told_once_and_of_what_decides() {
        let finding = |state, help: &str| Finding::new("t/t", state, "m").help(help);
        let all = [
            finding(State::Undecided, "b"),
            finding(State::Failed, "a"),
            finding(State::Failed, "a").at(&Origin::new("x")),
            finding(State::Warning, "c"),
        ];
        let help = |all: &[Finding]| {
            let mut text = String::new();
            findings(&mut text, all, Detail::Normal, Paint::NONE);
            let lines = text.lines().filter_map(|line| line.strip_prefix("  help: "));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(help(&all), ["a", "c"]);
        assert_eq!(help(&all[..1]), ["b"]);
    }

    #[test]
    fn a_narrow_terminal_cuts_why_and_never_a_name() {
        let found = Found { outcomes: samples(), notes: Vec::new() };
        let narrow = Page { width: Some(50), ..page(Detail::Normal) };
        let text = render(&found, narrow);
        let table: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
        assert!(table.iter().all(|line| line.chars().count() <= 50), "{table:#?}");
        assert!(table[2].contains("ba\\u{1b}[2Jd") && table[2].ends_with('…'), "{table:#?}");
        assert!(!render(&found, page(Detail::Normal)).contains('…'));
    }

    #[test]
    fn several_are_a_table_then_what_is_wrong_then_the_sum() {
        let text = render(
            &Found {
                outcomes: samples(),
                notes: vec![Finding::new("evidence/ignored", State::Note, "nobody\u{1b} needs it")],
            },
            page(Detail::Normal),
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
        let good = render(&Found::of(good), page(Detail::Quiet));
        assert!(good.contains("200 days old") && !good.contains("passed"), "{good}");
        let bad = render(&Found::of(bad), page(Detail::Quiet));
        assert!(bad.starts_with("failed: ") && bad.contains("expected: "), "{bad}");
    }
}
