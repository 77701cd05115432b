//! What becomes of a value between its store and the program: fields, transforms, defaults.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fakes;

use std::error::Error as _;
use std::path::Path;

use dsops_resolver::{
    Config, Diagnostic, NoEnvironment, OpenContext, ResolveErrors, ResolveOptions, Resolved, codes,
    plan, resolve,
};
use fakes::Fakes;

fn resolved(variables: &str) -> Result<Resolved, ResolveErrors> {
    let text = format!(
        r#"
version: 1
secretStores:
  one: {{ type: fake, values: {{ a: alpha, doc: '{{"user": "me", "no": null}}', b64: YWJj }} }}
  own: {{ type: field, values: {{ item.user: own }} }}
envs:
  dev:
{variables}
"#
    );
    let config = Config::parse("dsops.yaml", &text).unwrap();
    let fakes = Fakes::default();
    let plan = plan(&config, "dev", &fakes).unwrap();
    let cx = OpenContext::new(Path::new("."), &NoEnvironment);
    let result = resolve(&plan, &fakes, &cx, &ResolveOptions::default());
    // However many variables an item has, and whatever is done to it: one call for each store.
    let log = fakes.log.lock().unwrap();
    assert_eq!(log.fetched.len(), log.opened.len());
    result
}

fn values(variables: &str) -> Vec<(String, String)> {
    let resolved = resolved(variables).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    resolved.iter().map(|(name, value)| (name.to_owned(), text(&value.expose()))).collect()
}

fn failures(variables: &str) -> Vec<String> {
    let errors = resolved(variables).unwrap_err();
    errors.into_iter().map(|error| Diagnostic::from(error).message).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn transforms_are_applied_in_order_to_whatever_the_value_is() {
    let variables = r#"
    A: { from: store://one/a, transform: "upper, prefix:x-" }
    B: { from: store://one/b64, transform: [base64_decode, upper] }
    C: { from: store://one/a }
    D: { from: store://one/none, default: later, transform: upper }
    E: { literal: plain, transform: upper }
    F: { from: store://one/none, optional: true, transform: upper }
"#;
    assert_eq!(
        values(variables),
        pairs(&[("A", "x-ALPHA"), ("B", "ABC"), ("C", "alpha"), ("D", "later"), ("E", "PLAIN")])
    );
}

#[test]
fn a_field_is_taken_first_and_by_the_store_if_it_can() {
    let variables = r#"
    A: { from: "store://one/doc#user", transform: upper }
    B: { from: "store://own/item#user" }
"#;
    assert_eq!(values(variables), pairs(&[("A", "ME"), ("B", "own")]));
}

#[test]
fn a_field_that_is_not_there_is_missing_and_a_default_has_no_fields() {
    let variables = r#"
    A: { from: "store://one/doc#pass", optional: true }
    B: { from: "store://one/doc#pass", default: d, transform: upper }
    C: { from: "store://one/doc#no", optional: true }
    D: { from: "store://one/none#user", default: d }
"#;
    let resolved = resolved(variables).unwrap();
    assert_eq!(
        (resolved.missing(), resolved.defaulted()),
        (&["A".to_owned(), "C".to_owned()][..], &["B".to_owned(), "D".to_owned()][..],)
    );
    assert_eq!(&*resolved.get("B").unwrap().expose(), b"d");
    assert_eq!(&*resolved.get("D").unwrap().expose(), b"d");
}

#[test]
fn what_is_no_document_is_told_once_and_is_not_missing() {
    let variables = r#"
    A: { from: "store://one/doc#pass" }
    B: { from: "store://one/a#user", optional: true }
    C: { from: "store://one/a#user", default: d }
"#;
    let failures = failures(variables);
    assert_eq!(failures.len(), 2, "{failures:?}");
    let field = "there is nothing at `.pass`";
    assert!(failures[0].starts_with("cannot get `A` from store://one/doc#pass: `#field`: "));
    assert!(failures[0].ends_with(field), "{}", failures[0]);
    assert!(failures[1].starts_with("cannot get `B`, `C` from the store `one`: `#field`: "));
}

#[test]
fn a_transform_that_fails_names_variable_step_and_transform_but_no_value() {
    let variables = r#"
    A: { from: store://one/a, transform: "trim, hex_decode" }
    B: { from: store://one/a, transform: hex_decode, optional: true }
    C: { from: store://one/none, transform: hex_decode, default: hunter2 }
    D: { literal: hunter2, transform: hex_decode }
    E: { from: store://one/doc, transform: json_extract:.pass, optional: true }
    F: { from: store://one/doc, transform: json_extract:.user }
"#;
    let errors = resolved(variables).unwrap_err();
    let messages: Vec<_> = errors.errors().iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "cannot transform `A` from store://one/a (step 2 of 2)",
            "cannot transform `B` from store://one/a",
            "cannot transform `D`",
            "cannot transform `E` from store://one/doc",
        ]
    );
    for error in errors.errors() {
        assert_eq!(error.code(), codes::VALUE_TRANSFORM);
        assert!(error.help().is_some() && error.place.line > 8);
        let cause = error.source().unwrap().to_string();
        assert!(cause.starts_with("`hex_decode`: ") || cause.starts_with("`json_extract`: "));
        assert!(!cause.contains("hunter2") && !format!("{error:?}").contains("hunter2"));
    }
    assert_eq!(errors.errors()[2].store, None);
    assert_eq!(errors.to_string(), "4 of 6 variables could not be resolved");
}
