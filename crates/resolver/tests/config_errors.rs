//! Every error of the configuration, as it is shown: `cases/config-errors.txt` holds each text and
//! what is said about it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fakes;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use dsops_resolver::{Config, LoadOptions, Severity, codes, plan};

/// What is said about a text: its errors, or its warnings and the errors of planning `dev`.
fn said(text: &str) -> String {
    // A text without line breaks and such can only be written escaped.
    let text = text.replace("␀", "\0").replace("␉", "\t");
    let mut said = Vec::new();
    let variables = |name: &str| (name == "STAGE").then(|| "dev".into());
    match Config::parse_at("dsops.yaml", &text, &LoadOptions::new().variables(&variables)) {
        Err(errors) => said.extend(errors),
        Ok(config) => {
            said.extend_from_slice(config.warnings());
            said.extend(plan(&config, "dev", &fakes::Fakes::default()).err().into_iter().flatten());
        }
    }
    said.iter().fold(String::new(), |mut text, diagnostic| {
        writeln!(text, "{}", diagnostic.render()).unwrap();
        text
    })
}

fn cases() -> Vec<(&'static str, &'static str, &'static str)> {
    let text = include_str!("cases/config-errors.txt");
    let case = |case: &'static str| {
        let (name, rest) = case.split_once('\n').expect("a name");
        let (input, expected) = rest.split_once("\n----\n").expect("a case has `----`");
        (name, input, expected)
    };
    text.split("==== ").skip(1).map(case).collect()
}

#[test]
fn every_error_reads_as_written_down() {
    let mut differing = String::new();
    for (name, input, expected) in cases() {
        let said = said(input);
        if said.trim_end() != expected.trim_end() {
            write!(differing, "==== {name}\n{input}\n----\n{said}\n").unwrap();
        }
    }
    assert!(differing.is_empty(), "{differing}");
}

#[test]
fn every_code_of_configuration_and_plan_has_a_case() {
    let shown: BTreeSet<&str> = cases()
        .iter()
        .flat_map(|(_, _, expected)| expected.lines())
        .filter_map(|line| {
            line.strip_prefix("error[").or(line.strip_prefix("warning["))?.split(']').next()
        })
        .collect();
    // Those of files are in `load.rs`, of a selection in `compose.rs`, of values in `values.rs`.
    let elsewhere = [
        codes::NOT_FOUND,
        codes::IO,
        codes::TOO_LARGE,
        codes::NOT_UTF8,
        codes::SELECTION,
        codes::VALUE_TRANSFORM,
        codes::PLAINTEXT,
        codes::OLDER_FORM,
    ];
    let missing: Vec<&str> = codes::ALL
        .iter()
        .map(|(code, _)| *code)
        .filter(|code| {
            !code.starts_with("store/")
                && !code.starts_with("power/")
                && !elsewhere.contains(code)
                && !shown.contains(code)
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn no_value_is_shown() {
    for (name, input, _) in cases() {
        assert!(!said(input).contains("hunter2"), "{name}");
    }
    assert!(cases().iter().filter(|(_, input, _)| input.contains("hunter2")).count() > 5);
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_text() {
    let text =
        "version: 7\nsecretStores:\n  s: {}\nenvs:\n  dev:\n    1A: { literal: x }\n    B: {}\n";
    let errors = Config::parse("dsops.yaml", text).unwrap_err();
    let lines: Vec<usize> =
        errors.diagnostics().iter().map(|d| d.place.as_ref().unwrap().line).collect();
    assert_eq!(lines, [1, 3, 6, 7]);
    assert_eq!(
        errors.to_string(),
        "dsops.yaml:1:10: this version of the format is not known (and 3 more problems)"
    );
    assert!(errors.diagnostics().iter().all(|d| d.severity == Severity::Error));
}
