//! Plans and what is made of them, with stores that count what they are asked.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fakes;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dsops_resolver::{
    Config, Diagnostic, Item, NoEnvironment, OpenContext, Plan, ResolveErrors, ResolveOptions,
    Resolved, codes, plan, resolve,
};
use fakes::Fakes;

const CONFIG: &str = r#"
version: 1
secretStores:
  one: { type: fake, values: { a: alpha, b: beta } }
  two: { type: field, values: { item.user: me, plain: p } }
  lazy: { type: fake, broken: locked }
  token: { type: fake, token: hunter2, values: { a: hunter2 } }
envs:
  dev:
    Z: { from: store://one/a }
    A: { from: store://one/a }
    B: { from: { provider: one, key: b } }
    C: { from: { store: one, key: a } }
    L: { literal: hunter2 }
    N: { literal: 0x10 }
  both:
    U: { from: store://two/item#user }
    A: { from: store://one/a }
    V: { from: store://one/a?version=2 }
  missing:
    A: { from: store://one/aa }
    B: { from: store://one/nothing }
    C: { from: store://one/aa }
    F: { from: store://one/tampered }
    G: { from: { store: two, key: gone }, optional: true }
    H: { from: store://one/a }
  lenient:
    A: { from: store://one/gone, optional: true }
    B: { from: store://one/gone, default: "" }
    C: { from: store://one/gone, default: d, optional: true }
    D: { from: store://one/a, default: d }
  strict:
    A: { from: store://one/tampered, optional: true }
    B: { from: store://one/denied, default: d }
    C: { from: store://one/io, default: d }
  locked:
    A: { from: store://lazy/a }
    B: { from: store://lazy/b, optional: true }
    C: { from: store://lazy/c, default: d }
    D: { from: store://lazy/d }
    E: { from: store://lazy/e }
    F: { from: store://lazy/f }
    G: { from: store://one/a }
  panic:
    A: { from: store://one/panic }
    B: { from: store://two/panic }
    C: { from: store://token/a }
  short: { A: { from: store://one/short } }
  none: { A: { literal: x } }
"#;

fn planned(environment: &str) -> Plan {
    let config = Config::parse("dsops.yaml", CONFIG).unwrap();
    plan(&config, environment, &Fakes::default()).unwrap()
}

fn resolved(environment: &str, fakes: &Fakes) -> Result<Resolved, ResolveErrors> {
    let cx = OpenContext::new(Path::new("."), &NoEnvironment);
    resolve(&planned(environment), fakes, &cx, &ResolveOptions::default())
}

fn failures(environment: &str) -> Vec<String> {
    let errors = resolved(environment, &Fakes::default()).unwrap_err();
    errors.into_iter().map(|error| Diagnostic::from(error).message).collect()
}

fn values(resolved: &Resolved) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    resolved.iter().map(|(name, value)| (name.to_owned(), text(&value.expose()))).collect()
}

fn item(key: &str) -> Item {
    Item { key: key.into(), version: None }
}

#[test]
fn a_plan_says_what_would_be_fetched() {
    let plan = planned("both");
    let sources: Vec<_> =
        plan.variables.iter().map(|v| (v.name.as_str(), v.source_text())).collect();
    assert_eq!(
        sources,
        [
            ("A", "store://one/a".to_owned()),
            ("U", "store://two/item#user".to_owned()),
            ("V", "store://one/a?version=2".to_owned()),
        ]
    );
    let stores: Vec<_> = plan.stores.iter().map(|s| (s.settings.name(), s.items.clone())).collect();
    let versioned = Item { key: "a".into(), version: Some("2".into()) };
    assert_eq!(stores, [("one", vec![item("a"), versioned]), ("two", vec![item("item.user")])]);
    assert_eq!((plan.variables[0].place.line, plan.variables[0].place.column), (18, 5));
}

#[test]
fn planning_touches_no_store() {
    let fakes = Fakes::default();
    let config = Config::parse("dsops.yaml", CONFIG).unwrap();
    for environment in config.environments() {
        plan(&config, environment, &fakes).unwrap();
    }
    assert!(fakes.log.lock().unwrap().opened.is_empty());
}

#[test]
fn a_plan_can_be_narrowed() {
    let mut plan = planned("both");
    plan.retain(|name| name == "A");
    assert_eq!(plan.variables.len(), 1);
    assert_eq!(plan.stores.len(), 1);
    assert_eq!(plan.stores[0].items, [item("a")]);
}

#[test]
fn each_item_is_fetched_once_and_no_other_store_is_opened() {
    let fakes = Fakes::default();
    let resolved = resolved("dev", &fakes).unwrap();
    let log = fakes.log.lock().unwrap();
    assert_eq!(log.opened, ["one"]);
    assert_eq!(log.fetched.len(), 1);
    assert_eq!(log.fetched[0].1, [item("a"), item("b")]);
    // One store needs no thread.
    assert_eq!(log.fetched[0].2, std::thread::current().id());
    let values = values(&resolved);
    let values: Vec<_> = values.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(
        values,
        [
            ("A", "alpha"),
            ("B", "beta"),
            ("C", "alpha"),
            ("L", "hunter2"),
            ("N", "0x10"),
            ("Z", "alpha")
        ]
    );
    assert!(resolved.get("A").is_some() && resolved.get("M").is_none());
}

#[test]
fn variables_of_one_item_share_its_value() {
    let all: Vec<_> = resolved("dev", &Fakes::default()).unwrap().into_iter().collect();
    assert!(Arc::ptr_eq(&all[0].1, &all[2].1));
}

#[test]
fn without_stores_nothing_is_opened() {
    let fakes = Fakes::default();
    assert_eq!(resolved("none", &fakes).unwrap().len(), 1);
    assert!(fakes.log.lock().unwrap().opened.is_empty());
}

#[test]
fn several_stores_are_opened_here_and_asked_side_by_side() {
    let fakes = Fakes::default();
    let errors = resolved("both", &fakes);
    assert_eq!(values(&errors.unwrap())[1], ("U".into(), "me".into()));
    let log = fakes.log.lock().unwrap();
    assert_eq!(log.opened, ["one", "two"]);
    let here = |name: &str| {
        let (_, _, thread) = log.fetched.iter().find(|(store, ..)| store == name).unwrap();
        *thread == std::thread::current().id()
    };
    assert!(!here("one") && !here("two"));
}

#[test]
fn every_failure_is_told_once_in_order() {
    assert_eq!(
        failures("missing"),
        [
            "cannot get `A`, `C` from the store `one`: there is no item `aa`",
            "cannot get `B` from store://one/nothing: there is no item `nothing`",
            "cannot get `F` from store://one/tampered: `f.yaml` was changed by someone without the key: the MAC differs",
        ]
    );
    let errors = resolved("missing", &Fakes::default()).unwrap_err();
    assert_eq!(errors.to_string(), "4 of 6 variables could not be resolved");
    assert_eq!(errors.errors()[0].help().as_deref(), Some("did you mean `a`?"));
    assert_eq!(errors.errors()[0].code(), codes::STORE_NOT_FOUND);
    assert_eq!(errors.errors()[2].code(), codes::STORE_TAMPERED);
    assert_eq!(errors.errors()[0].place.line, 21);
}

#[test]
fn only_a_missing_item_is_optional_or_has_a_default() {
    let lenient = resolved("lenient", &Fakes::default()).unwrap();
    let expected =
        [("B", ""), ("C", "d"), ("D", "alpha")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    assert_eq!(values(&lenient), expected);
    assert_eq!(
        (lenient.missing(), lenient.defaulted()),
        (&["A".to_owned()][..], &["B".to_owned(), "C".to_owned()][..])
    );
    assert_eq!(
        failures("strict"),
        [
            "cannot get `A` from store://one/tampered: `f.yaml` was changed by someone without the key: the MAC differs",
            "cannot get `B` from store://one/denied: access denied: no permission",
            "cannot get `C` from store://one/io: cannot read f.yaml: disk on fire",
        ]
    );
}

#[test]
fn a_store_that_does_not_open_is_one_failure() {
    assert_eq!(
        failures("locked"),
        [
            "cannot get `A`, `B`, `C`, `D`, `E` and 1 more from the store `lazy`: locked: no identity fits"
        ]
    );
    let fakes = Fakes::default();
    let errors = resolved("locked", &fakes).unwrap_err();
    assert_eq!(errors.errors()[0].help().as_deref(), Some("set SOPS_AGE_KEY_FILE"));
    // The other store is asked all the same: its failures belong into the same report.
    assert_eq!(fakes.log.lock().unwrap().fetched.len(), 1);
}

#[test]
fn a_panic_in_a_store_is_its_failure() {
    let bug = "the store stopped unexpectedly (a bug in the store)";
    assert_eq!(
        failures("panic"),
        [
            format!("cannot get `A` from store://one/panic: {bug}"),
            format!("cannot get `B` from store://two/panic: {bug}"),
        ]
    );
    assert_eq!(
        failures("short"),
        [
            "cannot get `A` from store://one/short: the store answered 0 items instead of 1 (a bug in the store)"
        ]
    );
}

#[test]
fn a_panic_while_opening_is_a_failure_too() {
    let text = "secretStores: { s: { type: fake, broken: panic } }\nenvs: { dev: { A: { from: store://s/a } } }\n";
    let config = Config::parse("dsops.yaml", text).unwrap();
    let plan = plan(&config, "dev", &Fakes::default()).unwrap();
    let cx = OpenContext::new(Path::new("."), &NoEnvironment);
    let errors = resolve(&plan, &Fakes::default(), &cx, &ResolveOptions::default()).unwrap_err();
    assert_eq!(errors.errors()[0].code(), codes::STORE_BUG);
}

#[test]
fn a_passed_deadline_fails_all_without_asking() {
    let fakes = Fakes::default();
    let cx = OpenContext::new(Path::new("."), &NoEnvironment);
    let mut options = ResolveOptions::default();
    options.deadline = Some(Instant::now());
    let errors = resolve(&planned("both"), &fakes, &cx, &options).unwrap_err();
    let messages: Vec<_> =
        errors.into_iter().map(|error| Diagnostic::from(error).message).collect();
    assert_eq!(
        messages,
        [
            "cannot get `A`, `V` from the store `one`: no answer before the deadline",
            "cannot get `U` from store://two/item#user: no answer before the deadline",
        ]
    );
    assert!(fakes.log.lock().unwrap().opened.is_empty());
}

#[test]
fn a_hundred_runs_give_the_same() {
    let run = || {
        let config = Config::parse("dsops.yaml", CONFIG).unwrap();
        let mut said = String::new();
        for environment in config.environments() {
            let plan = plan(&config, environment, &Fakes::default()).unwrap();
            writeln!(said, "{plan:?}").unwrap();
            if environment == "panic" {
                continue;
            }
            match resolved(environment, &Fakes::default()) {
                Ok(resolved) => writeln!(said, "{:?}", values(&resolved)).unwrap(),
                Err(errors) => writeln!(said, "{errors:?}").unwrap(),
            }
        }
        said
    };
    let first = run();
    for _ in 1..100 {
        assert_eq!(run(), first);
    }
}

#[test]
fn no_debug_output_holds_a_value() {
    let config = Config::parse("dsops.yaml", CONFIG).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let plan = planned("dev");
    assert!(!format!("{plan:?}").contains("hunter2"));
    assert!(!format!("{:?}", resolved("dev", &Fakes::default()).unwrap()).contains("hunter2"));
}
