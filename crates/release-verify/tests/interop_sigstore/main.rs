//! The same bundles, good and bad, before us and the other verifiers of Sigstore bundles.
//!
//! The bundles are the stand-in's corpus and, where it lies beside the workspace, the recorded
//! conformance suite. Each verdict that is not the right one must stand in [`differences`] with its
//! reason; a new one fails, and so does one that is no longer there. `DSOPS_TEST_SIGSTORE` names the
//! folder of the other verifiers (`cargo xtask tools`); what is missing is printed as "not run".

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

mod differences;
mod ours;
mod peers;
mod questions;

use std::collections::{BTreeMap, BTreeSet};

use dsops_testkit::sigstore::{Services, World};
use questions::Question;

/// What one verifier says of each question: nothing if it is no judge of it, else whether it accepts,
/// or why not.
type Verdicts = Vec<Option<Result<(), String>>>;

/// Compares a verifier with what is right; prints its table.
fn compare(verifier: &str, questions: &[Question], verdicts: &Verdicts, known: &[(&str, &str)]) {
    assert_eq!(questions.len(), verdicts.len(), "{verifier} did not answer each question");
    let known: BTreeMap<_, _> = known.iter().copied().collect();
    let mut unseen: BTreeSet<_> = known.keys().copied().collect();
    let (mut right, mut left_out, mut new) = (0, 0, Vec::new());
    for (question, verdict) in questions.iter().zip(verdicts) {
        let Some(verdict) = verdict else {
            left_out += 1;
            continue;
        };
        let name = question.name.as_str();
        match (verdict.is_ok() == question.is_good, known.get(name)) {
            (true, None) => right += 1,
            (true, Some(_)) => {}
            (false, Some(why)) => {
                unseen.remove(name);
                let said = if verdict.is_ok() { "accepts" } else { "refuses" };
                println!("{verifier} {said} `{name}`: {why}");
            }
            (false, None) => new.push(format!("{name}: {verdict:?}")),
        }
    }
    // A question of the recorded suite is not asked where the suite is not.
    let asked: BTreeSet<_> = questions.iter().map(|question| question.name.as_str()).collect();
    unseen.retain(|name| asked.contains(name));
    println!(
        "{verifier}: {right} of {} right, {} differences explained, {left_out} not asked",
        questions.len(),
        known.len() - unseen.len(),
    );
    assert!(new.is_empty(), "{verifier} differs:\n{}", new.join("\n"));
    assert!(unseen.is_empty(), "{verifier} no longer differs: {unseen:?}");
}

#[test]
fn our_verdicts_are_right() {
    let questions = questions::all();
    let verdicts = questions.iter().map(|question| Some(judge(question))).collect();
    compare("dsops", &questions, &verdicts, differences::OURS);
}

fn judge(question: &Question) -> Result<(), String> {
    let wanted = match &question.wanted {
        questions::Wanted::Identity(name, issuer) => ours::Wanted::Identity(name, issuer),
        questions::Wanted::Key(pem) => ours::Wanted::Key(pem),
    };
    ours::judge(&question.bundle, &question.root, &question.artifact, &wanted)
}

#[test]
fn sigstore_python_gives_the_same_verdicts() {
    let questions = questions::all();
    if let Some(verdicts) = peers::python(&questions) {
        compare("sigstore-python", &questions, &verdicts, differences::PYTHON);
    }
}

#[test]
fn sigstore_js_gives_the_same_verdicts() {
    let questions = questions::all();
    if let Some(verdicts) = peers::node(&questions) {
        compare("sigstore-js", &questions, &verdicts, differences::JAVASCRIPT);
    }
}

/// sigstore-python signs with the stand-in's services on loopback: then it is no mirror of our own
/// idea of a bundle that we and the others accept.
#[test]
fn what_sigstore_python_signs_is_accepted_by_us_and_sigstore_js() {
    let now = std::time::SystemTime::now();
    let services = Services::start(World::at("signing", now));
    let mut questions = Vec::new();
    for (generation, is_statement) in [(1, false), (1, true), (2, false), (2, true)] {
        let Some(question) = peers::sign(&services, generation, is_statement) else { return };
        questions.push(question);
    }
    let verdicts = questions.iter().map(|question| Some(judge(question))).collect();
    compare("dsops", &questions, &verdicts, &[]);
    if let Some(verdicts) = peers::node(&questions) {
        compare("sigstore-js", &questions, &verdicts, &[]);
    }
}
