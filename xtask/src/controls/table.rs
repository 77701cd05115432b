//! `docs/security/controls.md`, written from what was found.

use std::fmt::Write as _;

use super::evidence::{Evidence, Set, State};
use super::scorecard::{ELSEWHERE, FULL, Score};

/// The document.
pub fn document(sets: &[Set], scores: &[Score]) -> String {
    let mut text = String::from(
        "# Controls\n\n\
         Which control is held by what. Written by `cargo xtask controls --update` from [controls.toml](controls.toml);\n\
         the stage `controls` looks at each piece of evidence and fails where one is missing or this page is another.\n\n\
         | state | meaning |\n|---|---|\n\
         | held | by what stands under evidence, looked at in every run |\n\
         | host | as far as files can; the rest is a setting of the host that nobody can see from here, and that its owner has to make |\n\
         | first release | by a stand-in for the public services; the real ones are met with the first release |\n\
         | open | not held |\n\
         | nothing to hold | it is about something that does not exist here |\n",
    );
    let mut counts = [0_usize; 5];
    for set in sets {
        let _ = write!(
            text,
            "\n## {}\n\n{}\n\n| id | asks for | evidence | state |\n|---|---|---|---|\n",
            set.title, set.about
        );
        for control in &set.controls {
            let evidence: Vec<String> = control.evidence.iter().map(Evidence::markdown).collect();
            let (at, state) = state(&control.state);
            counts[at] += 1;
            let _ = writeln!(
                text,
                "| {} | {} | {} | {state} |",
                control.id,
                control.asks,
                evidence.join("; ")
            );
        }
    }
    let [held, host, release, open, none] = counts;
    let _ = write!(
        text,
        "\nHeld {held}, host {host}, first release {release}, open {open}, nothing to hold {none}.\n\n\
         ## OpenSSF Scorecard\n\n\
         Its checks of files, as `cargo xtask controls` does them; its own program needs the host's services and was not run.\n\n\
         | check | looks at | points |\n|---|---|---|\n"
    );
    for score in scores {
        let _ = writeln!(text, "| {} | {} | {} of {FULL} |", score.check, score.what, score.points);
    }
    text.push_str(
        "\nThese need the host, and have no points here:\n\n| check | depends on |\n|---|---|\n",
    );
    for (check, on) in ELSEWHERE {
        let _ = writeln!(text, "| {check} | {on} |");
    }
    text
}

/// Its number, and its cell.
fn state(state: &State) -> (usize, String) {
    match state {
        State::Held => (0, "held".to_owned()),
        State::Host(what) => (1, format!("**host**: {what}")),
        State::Release(what) => (2, format!("**first release**: {what}")),
        State::Open(what) => (3, format!("**open**: {what}")),
        State::None(what) => (4, format!("nothing to hold: {what}")),
    }
}
