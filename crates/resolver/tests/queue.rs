//! How stores are asked: batches, calls at once, deadlines, retries, progress; time is virtual.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dsops_resolver::{
    CheckReport, Config, Diagnostic, Health, ItemState, Limits, NoEnvironment, OpenContext, Plan,
    Progress, ProgressEvent, ResolveErrors, ResolveOptions, Resolved, StoreError, StoreSettings,
    check, check_stores, codes, plan, resolve,
};
use dsops_testkit::{Behaviour, Faulty, Open, Script, VirtualTime};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn unavailable() -> StoreError {
    StoreError::unavailable("connection refused", None)
}

fn flaky(times: u32, error: StoreError) -> Behaviour {
    Behaviour::Flaky { times, error, then: Box::new(Behaviour::Value(b"at last".to_vec())) }
}

/// Stores by name with their settings, and variables by name with their source.
fn planned(stores: &[(&str, &str)], variables: &[(String, String)], factory: &Faulty) -> Plan {
    let mut text = "version: 1\nsecretStores:\n".to_owned();
    for (name, settings) in stores {
        writeln!(text, "  {name}: {{ type: faulty, {settings} }}").unwrap();
    }
    text.push_str("envs:\n  dev:\n");
    for (name, source) in variables {
        writeln!(text, "    {name}: {{ {source} }}").unwrap();
    }
    let config = Config::parse("dsops.yaml", &text).unwrap();
    plan(&config, "dev", factory).unwrap()
}

/// One variable `A0`, `A1` … for each key, all from the store `s`.
fn of_keys(settings: &str, keys: &[&str], factory: &Faulty) -> Plan {
    let variable = |(i, key)| (format!("A{i}"), format!("from: store://s/{key}"));
    let variables: Vec<_> = keys.iter().enumerate().map(variable).collect();
    planned(&[("s", settings)], &variables, factory)
}

struct Run {
    time: Arc<VirtualTime>,
    factory: Faulty,
    deadline: Option<Duration>,
}

impl Run {
    fn new(script: Script) -> Self {
        let time = Arc::new(VirtualTime::new(7));
        let factory = Faulty::new(&time).with("s", script);
        Self { time, factory, deadline: None }
    }

    fn options(&self) -> ResolveOptions<'_> {
        let mut options = ResolveOptions::default();
        options.deadline = self.deadline.map(|deadline| self.time.at(deadline));
        options.timing = Some(&*self.time);
        options
    }

    fn resolve(&self, plan: &Plan) -> Result<Resolved, ResolveErrors> {
        let cx = OpenContext::new(Path::new("."), &NoEnvironment);
        let result = resolve(plan, &self.factory, &cx, &self.options());
        self.time.stop();
        result
    }

    fn check(&self, plan: &Plan) -> CheckReport {
        let cx = OpenContext::new(Path::new("."), &NoEnvironment);
        let report = check(plan, &self.factory, &cx, &self.options());
        self.time.stop();
        report
    }

    /// The keys of each call, sorted.
    fn calls(&self) -> Vec<String> {
        let keys = |items: &[dsops_resolver::Item]| {
            items.iter().map(|item| item.key.as_str()).collect::<Vec<_>>().join(" ")
        };
        let mut calls: Vec<_> =
            self.factory.log().calls.iter().map(|(_, items, _)| keys(items)).collect();
        calls.sort();
        calls
    }
}

fn messages(errors: ResolveErrors) -> Vec<String> {
    errors.into_iter().map(|error| Diagnostic::from(error).message).collect()
}

fn value(resolved: &Resolved, name: &str) -> String {
    String::from_utf8(resolved.get(name).unwrap().expose().to_vec()).unwrap()
}

/// A store with the items `a` to `f`.
fn letters() -> Script {
    ["a", "b", "c", "d", "e", "f"]
        .into_iter()
        .fold(Script::new(), |script, key| script.with_value(key, &key.to_uppercase()))
}

#[test]
fn items_are_asked_for_in_batches_and_a_plan_says_so() {
    let run = Run::new(letters().with_limits(Limits::default().with_batch(4).with_concurrency(8)));
    let plan = of_keys("retries: 1", &["a", "b", "c", "d", "e", "missing"], &run.factory);
    let batches: Vec<_> = plan.stores[0].batches().map(<[_]>::len).collect();
    assert_eq!(batches, [4, 2]);
    let groups: Vec<_> =
        plan.variables.iter().map(|v| plan.batch_of(v).map(|(_, batch)| batch)).collect();
    assert_eq!(groups, [0, 0, 0, 0, 1, 1].map(Some));
    let errors = run.resolve(&plan).unwrap_err();
    assert_eq!(
        messages(errors),
        ["cannot get `A5` from store://s/missing: there is no item `missing`"]
    );
    // A missing item is neither asked for again nor alone.
    assert_eq!(run.calls(), ["a b c d", "e missing"]);
}

#[test]
fn concurrency_is_what_the_store_takes_and_settings_lower_it() {
    for (settings, store, expected) in
        [("", 3, 3), ("concurrency: 2", 3, 2), ("concurrency: 9", 3, 3), ("", 1, 1)]
    {
        let script = letters().with_limits(Limits::default().with_batch(1).with_concurrency(store));
        let script = ["a", "b", "c", "d", "e", "f"]
            .into_iter()
            .fold(script, |script, key| script.with_delay(key, ms(10)));
        let run = Run::new(script);
        let plan = of_keys(settings, &["a", "b", "c", "d", "e", "f"], &run.factory);
        assert_eq!(plan.stores[0].limits.concurrency.get(), expected);
        run.resolve(&plan).unwrap();
        assert_eq!(run.factory.log().most_at_once["s"], expected, "{settings}");
        let rounds = u64::try_from(6 / expected).unwrap();
        assert_eq!(run.time.elapsed(), ms(10 * rounds), "{settings}");
    }
}

#[test]
fn a_slow_item_stalls_nobody() {
    let limits = Limits::default().with_batch(1).with_concurrency(2);
    let script = ["b", "c", "d", "e", "f"]
        .into_iter()
        .fold(letters(), |script, key| script.with_delay(key, ms(10)));
    let run = Run::new(script.with_delay("a", ms(50)).with_limits(limits));
    run.resolve(&of_keys("", &["a", "b", "c", "d", "e", "f"], &run.factory)).unwrap();
    // In chunks of two with a barrier it would be 70.
    assert_eq!(run.time.elapsed(), ms(50));
}

#[test]
fn stores_are_asked_at_the_same_time() {
    let time = Arc::new(VirtualTime::new(1));
    let names: Vec<String> = (0..9).map(|i| format!("s{i}")).collect();
    let slow = || Script::new().with_value("k", "v").with_delay("k", ms(100));
    let factory = names.iter().fold(Faulty::new(&time), |factory, name| factory.with(name, slow()));
    let stores: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let variable = |name: &String| (name.to_uppercase(), format!("from: store://{name}/k"));
    let plan = planned(&stores, &names.iter().map(variable).collect::<Vec<_>>(), &factory);
    let run = Run { time, factory, deadline: None };
    assert_eq!(run.resolve(&plan).unwrap().len(), 9);
    assert_eq!(run.time.elapsed(), ms(100));
    assert_eq!(run.factory.log().opened, names);
}

#[test]
fn a_lone_call_needs_no_thread_and_one_under_a_deadline_does() {
    let here = std::thread::current().id();
    let threads = |run: &Run| {
        run.factory.log().calls.iter().map(|(_, _, thread)| *thread == here).collect::<Vec<_>>()
    };
    let run = Run::new(letters());
    run.resolve(&of_keys("", &["a", "b"], &run.factory)).unwrap();
    assert_eq!(threads(&run), [true]);

    let run = Run::new(letters());
    run.resolve(&of_keys("timeout_ms: 1000", &["a", "b"], &run.factory)).unwrap();
    assert_eq!(threads(&run), [false]);

    let run = Run::new(letters().with_limits(Limits::immediate().with_batch(1)));
    run.resolve(&of_keys("timeout_ms: 1000", &["a", "b"], &run.factory)).unwrap();
    assert_eq!(threads(&run), [true, true]);
}

#[test]
fn what_fails_for_now_is_asked_for_again_alone() {
    let interrupted =
        || StoreError::io("read", "f", std::io::Error::from(std::io::ErrorKind::Interrupted));
    let script =
        letters().with("flaky", flaky(2, unavailable())).with("io", flaky(1, interrupted()));
    let run = Run::new(script);
    let resolved = run.resolve(&of_keys("", &["a", "flaky", "io"], &run.factory)).unwrap();
    assert_eq!(value(&resolved, "A1"), "at last");
    assert_eq!(run.calls(), ["a flaky io", "flaky", "flaky io"]);
    // Full jitter: at most 100 ms, then at most 200.
    assert!(run.time.elapsed() > ms(0) && run.time.elapsed() < ms(300));
}

#[test]
fn retries_end() {
    for (settings, calls) in [("", 3), ("retries: 0", 1), ("retries: 5", 6)] {
        let run = Run::new(Script::new().with("x", flaky(99, unavailable())));
        let errors = run.resolve(&of_keys(settings, &["x"], &run.factory)).unwrap_err();
        assert_eq!(
            messages(errors),
            ["cannot get `A0` from store://s/x: not available: connection refused"]
        );
        assert_eq!(run.calls().len(), calls, "{settings}");
    }
}

#[test]
fn what_the_last_try_says_counts() {
    let then = Box::new(Behaviour::Fails(StoreError::not_found("x")));
    let missing = Behaviour::Flaky { times: 1, error: unavailable(), then };
    let run = Run::new(Script::new().with("x", missing));
    let variables = [("A".to_owned(), "from: store://s/x, optional: true".to_owned())];
    let resolved = run.resolve(&planned(&[("s", "")], &variables, &run.factory)).unwrap();
    assert_eq!(resolved.missing(), ["A"]);
}

#[test]
fn what_will_not_change_is_not_asked_for_again() {
    let tampered = StoreError::Tampered { what: "f".into(), reason: "MAC".into() };
    let denied = StoreError::Denied { reason: "no".into(), help: None };
    let disk = StoreError::io("read", "f", std::io::Error::other("disk on fire"));
    for error in [tampered, denied, disk, StoreError::DeadlineExceeded] {
        let run = Run::new(Script::new().with("x", Behaviour::Fails(error)));
        run.resolve(&of_keys("", &["x"], &run.factory)).unwrap_err();
        assert_eq!(run.calls().len(), 1);
    }
    for behaviour in [Behaviour::Panics, Behaviour::Short, Behaviour::Long] {
        let run = Run::new(Script::new().with("x", behaviour).with("y", flaky(1, unavailable())));
        let errors = run.resolve(&of_keys("", &["x", "y"], &run.factory)).unwrap_err();
        assert_eq!(errors.errors()[0].code(), codes::STORE_BUG);
        assert_eq!(run.calls().len(), 1);
    }
}

#[test]
fn a_store_that_is_asked_too_often_is_left_alone() {
    let throttled = |secs| StoreError::Throttled {
        reason: "429".into(),
        retry_after: Some(Duration::from_secs(secs)),
    };
    let limits = Limits::default().with_batch(1);
    let script = letters().with("0", flaky(1, throttled(3))).with_limits(limits);
    let run = Run::new(script);
    run.resolve(&of_keys("", &["0", "a", "b"], &run.factory)).unwrap();
    let elapsed = run.time.elapsed();
    assert!(elapsed >= ms(3000) && elapsed < ms(3100), "{elapsed:?}");
    let order: Vec<_> =
        run.factory.log().calls.iter().map(|(_, items, _)| items[0].key.clone()).collect();
    assert_eq!(order[0], "0", "and nothing else before the time is over");

    // More than anybody would wait.
    let run = Run::new(Script::new().with("x", flaky(1, throttled(31))));
    let errors = run.resolve(&of_keys("", &["x"], &run.factory)).unwrap_err();
    assert_eq!(errors.errors()[0].code(), codes::STORE_THROTTLED);
    assert!(errors.errors()[0].help().unwrap().contains("`concurrency`"));
    assert_eq!(run.time.elapsed(), ms(0));
}

#[test]
fn no_retry_goes_beyond_the_deadline() {
    let mut run = Run::new(Script::new().with("x", flaky(99, unavailable())));
    run.deadline = Some(ms(250));
    let errors = run.resolve(&of_keys("retries: 10", &["x"], &run.factory)).unwrap_err();
    // The failure that is known, not the deadline.
    assert_eq!(errors.errors()[0].code(), codes::STORE_UNAVAILABLE);
    assert!(run.time.elapsed() < ms(250));
}

#[test]
fn a_store_that_hangs_is_left_behind() {
    let time = Arc::new(VirtualTime::new(1));
    let hangs = Script::new()
        .with("hangs", Behaviour::Hangs)
        .with_value("other", "never asked for")
        .with_limits(Limits::default().with_batch(1));
    let factory = Faulty::new(&time).with("s", hangs).with("fine", letters());
    let variables = [
        ("A", "from: store://fine/a"),
        ("B", "from: store://s/hangs, optional: true"),
        ("C", "from: store://s/other, default: d"),
    ]
    .map(|(name, source)| (name.to_owned(), source.to_owned()));
    let plan = planned(&[("s", "timeout_ms: 50"), ("fine", "")], &variables, &factory);
    let run = Run { time, factory, deadline: None };
    let errors = run.resolve(&plan).unwrap_err();
    // Not optional, not a default: nobody knows whether it is there.
    assert_eq!(
        messages(errors),
        ["cannot get `B`, `C` from the store `s`: no answer before the deadline"]
    );
    assert_eq!(run.time.elapsed(), ms(100), "50 ms and the same to come back");
    assert_eq!(run.calls(), ["a", "hangs"], "a call that hangs keeps its place");
}

#[test]
fn one_call_that_hangs_leaves_the_others_their_places() {
    let limits = Limits::default().with_batch(1).with_concurrency(2);
    let run = Run::new(letters().with("b", Behaviour::Hangs).with_limits(limits));
    let plan = of_keys("timeout_ms: 50", &["a", "b", "c", "d"], &run.factory);
    let errors = run.resolve(&plan).unwrap_err();
    assert_eq!(
        messages(errors),
        ["cannot get `A1` from store://s/b: no answer before the deadline"]
    );
    assert_eq!(run.calls(), ["a", "b", "c", "d"]);
}

#[test]
fn a_store_may_come_back_a_little_late() {
    let run = Run::new(letters().with_delay("a", ms(60)));
    let resolved = run.resolve(&of_keys("timeout_ms: 50", &["a"], &run.factory)).unwrap();
    assert_eq!(value(&resolved, "A0"), "A");
    let run = Run::new(letters().with_delay("a", ms(110)));
    run.resolve(&of_keys("timeout_ms: 50", &["a"], &run.factory)).unwrap_err();
    assert_eq!(run.time.elapsed(), ms(100));
}

#[test]
fn a_place_that_was_held_too_long_is_free_again_when_the_call_comes_back() {
    // Two calls at once; the first is left behind at 100 ms, comes back at 150, and its place is
    // used for the last one while the second still runs.
    let limits = Limits::default().with_batch(1).with_concurrency(2);
    let script = letters().with_delay("a", ms(150)).with_delay("b", ms(95)).with_delay("c", ms(95));
    let run = Run::new(script.with_limits(limits).with_delay("d", ms(95)));
    let plan = of_keys("timeout_ms: 50", &["a", "b", "c", "d"], &run.factory);
    let errors = run.resolve(&plan).unwrap_err();
    assert_eq!(
        messages(errors),
        ["cannot get `A0` from store://s/a: no answer before the deadline"]
    );
    // `b` until 95, `c` until 190; `d` starts at 150.
    assert_eq!(run.time.elapsed(), ms(245));
}

#[test]
fn the_overall_deadline_ends_everything() {
    let limits = Limits::default().with_batch(1);
    let slow = ["a", "b", "c"].into_iter().fold(letters(), |s, key| s.with_delay(key, ms(40)));
    let mut run = Run::new(slow.with_limits(limits));
    run.deadline = Some(ms(50));
    let errors = run.resolve(&of_keys("", &["a", "b", "c"], &run.factory)).unwrap_err();
    // `b` comes back at 80, which is late but not too late; `c` is never asked for.
    assert_eq!(
        messages(errors),
        ["cannot get `A2` from store://s/c: no answer before the deadline"]
    );
    assert_eq!(run.calls(), ["a", "b"]);

    let mut run = Run::new(Script::new().with("x", Behaviour::Hangs));
    run.deadline = Some(ms(50));
    let errors = run.resolve(&of_keys("", &["x"], &run.factory)).unwrap_err();
    assert_eq!(errors.errors()[0].code(), codes::STORE_TIMEOUT);
    assert_eq!(run.time.elapsed(), ms(100));

    let mut run = Run::new(letters());
    run.deadline = Some(ms(0));
    run.resolve(&of_keys("", &["a"], &run.factory)).unwrap_err();
    assert!(run.factory.log().opened.is_empty(), "it had passed before");
}

#[test]
fn a_panic_spoils_only_its_own_call() {
    let limits = Limits::default().with_batch(1).with_concurrency(3);
    let run = Run::new(letters().with("b", Behaviour::Panics).with_limits(limits));
    let errors = run.resolve(&of_keys("", &["a", "b", "c", "d", "e"], &run.factory)).unwrap_err();
    assert_eq!(
        messages(errors),
        ["cannot get `A1` from store://s/b: the store stopped unexpectedly (a bug in the store)"]
    );
    assert_eq!(run.calls().len(), 5);
}

#[test]
fn many_stores_and_items_at_every_concurrency() {
    const STORES: usize = 50;
    const ITEMS: usize = 200;
    for concurrency in [1, 2, 8] {
        let time = Arc::new(VirtualTime::new(3));
        let limits = Limits::default().with_batch(16).with_concurrency(concurrency);
        let mut factory = Faulty::new(&time);
        let (mut names, mut variables) = (Vec::new(), Vec::new());
        for s in 0..STORES {
            let mut script = Script::new().with_limits(limits);
            for i in 0..ITEMS {
                script = script.with_value(&format!("k{i}"), &format!("{s}.{i}"));
                variables.push((format!("V{s:02}_{i:03}"), format!("from: store://s{s}/k{i}")));
            }
            script = script.with_delay(&format!("k{s}"), ms(u64::try_from(s).unwrap()));
            names.push(format!("s{s}"));
            factory = factory.with(&format!("s{s}"), script);
        }
        let stores: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
        let plan = planned(&stores, &variables, &factory);
        let run = Run { time, factory, deadline: None };
        let resolved = run.resolve(&plan).unwrap();
        assert_eq!(resolved.len(), STORES * ITEMS);
        for ((name, value), (wanted, _)) in resolved.iter().zip(&variables) {
            let (s, i) = name[1..].split_once('_').unwrap();
            let expected =
                format!("{}.{}", s.parse::<usize>().unwrap(), i.parse::<usize>().unwrap());
            assert_eq!(name, wanted);
            assert_eq!(&*value.expose(), expected.as_bytes());
        }
        let log = run.factory.log();
        assert_eq!(log.calls.len(), STORES * ITEMS.div_ceil(16));
        assert!(log.most_at_once.values().all(|most| *most <= concurrency));
        assert!(log.most_in_all <= 64, "{} threads", log.most_in_all);
        assert_eq!(log.running, 0);
    }
}

/// Everything that was told, as text.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Progress for Heard {
    fn event(&self, event: ProgressEvent<'_>) {
        let text = match event {
            ProgressEvent::Opened { store, .. } => format!("{store} open"),
            ProgressEvent::Waiting { store, items, elapsed } => {
                format!("{store} waits for {items} after {elapsed:?}")
            }
            ProgressEvent::Retrying { store, items, attempt, .. } => {
                format!("{store} asks again for {items}, call {attempt}")
            }
            ProgressEvent::Done { store, items, failed, .. } => {
                format!("{store} done: {items}, {failed} failed")
            }
            _ => "something else".to_owned(),
        };
        self.0.lock().unwrap().push(text);
    }
}

#[test]
fn progress_is_told() {
    let heard = Heard::default();
    let script = letters().with_delay("a", ms(450)).with("x", flaky(1, unavailable()));
    let run = Run::new(script.with_limits(Limits::default().with_batch(1)));
    let plan = of_keys("", &["a", "missing", "x"], &run.factory);
    let mut options = run.options();
    options.progress = Some(&heard);
    let cx = OpenContext::new(Path::new("."), &NoEnvironment);
    resolve(&plan, &run.factory, &cx, &options).unwrap_err();
    assert_eq!(
        *heard.0.lock().unwrap(),
        [
            "s open",
            "s waits for 3 after 300ms",
            "s waits for 3 after 400ms",
            "s asks again for 1, call 2",
            "s waits for 1 after 500ms",
            "s done: 3, 1 failed",
        ]
    );
}

#[test]
fn a_fetch_that_is_quick_is_not_waited_for() {
    let heard = Heard::default();
    let run = Run::new(letters().with_delay("a", ms(299)));
    let plan = of_keys("", &["a"], &run.factory);
    let mut options = run.options();
    options.progress = Some(&heard);
    let cx = OpenContext::new(Path::new("."), &NoEnvironment);
    resolve(&plan, &run.factory, &cx, &options).unwrap();
    assert_eq!(*heard.0.lock().unwrap(), ["s open", "s done: 1, 0 failed"]);
}

#[test]
fn a_check_asks_for_everything_but_values() {
    let denied = StoreError::Denied { reason: "no".into(), help: None };
    let script = letters()
        .with("denied", Behaviour::Fails(denied))
        .with("flaky", flaky(2, unavailable()))
        .with("hangs", Behaviour::Hangs)
        .with_limits(Limits::default().with_batch(1).with_concurrency(4));
    let run = Run::new(script);
    let plan = of_keys("timeout_ms: 50", &["a", "denied", "flaky", "hangs", "none"], &run.factory);
    let report = run.check(&plan);
    let state = |item: &dsops_resolver::CheckedItem| match &item.state {
        ItemState::Exists(description) => format!("there: {}", description.kind.clone().unwrap()),
        ItemState::Missing(error) => format!("missing: {error}"),
        ItemState::NotCheckable => "not checkable".to_owned(),
        ItemState::Failed(error) => format!("failed: {error}"),
        _ => String::new(),
    };
    let states: Vec<_> = report.items.iter().map(|i| (i.item.key.as_str(), state(i))).collect();
    assert_eq!(
        states,
        [
            ("a", "there: 1 bytes".to_owned()),
            ("denied", "failed: access denied: no".to_owned()),
            ("flaky", "there: 7 bytes".to_owned()),
            ("hangs", "failed: no answer before the deadline".to_owned()),
            ("none", "missing: there is no item `none`".to_owned()),
        ]
    );
    assert!(!report.is_complete());
    assert_eq!(report.of("A4").unwrap().item.key, "none");
    assert!(report.items.iter().all(|item| item.required && item.variables.len() == 1));
}

#[test]
fn what_is_missing_may_do_no_harm() {
    let run = Run::new(letters());
    let variables = [
        ("A", "from: store://s/a"),
        ("B", "from: store://s/none, optional: true"),
        ("C", "from: store://s/none, default: d"),
        ("L", "literal: x"),
    ]
    .map(|(name, source)| (name.to_owned(), source.to_owned()));
    let report = run.check(&planned(&[("s", "")], &variables, &run.factory));
    assert!(report.is_complete());
    assert_eq!(report.items[1].variables, ["B", "C"]);
    assert!(!report.items[1].required);
    assert!(report.of("L").is_none());
}

#[test]
fn a_store_that_cannot_be_checked_is_no_pass() {
    let mut script = letters();
    script.describes = false;
    let run = Run::new(script);
    let report = run.check(&of_keys("", &["a"], &run.factory));
    assert!(matches!(report.items[0].state, ItemState::NotCheckable));
    assert!(!report.is_complete());
    assert!(run.calls().is_empty());
}

#[test]
fn stores_are_checked_side_by_side_and_timed() {
    let time = Arc::new(VirtualTime::new(1));
    let well = |delay| Script::new().with_value("check", "well").with_delay("check", ms(delay));
    let mut closed = Script::new();
    closed.open = Open::Fails(unavailable());
    let mut panics = Script::new();
    panics.open = Open::Panics;
    let factory = Faulty::new(&time)
        .with("a", well(20))
        .with("b", well(30))
        .with("closed", closed)
        .with("flaky", Script::new().with("check", flaky(1, unavailable())))
        .with("hangs", Script::new().with("check", Behaviour::Hangs))
        .with("panics", panics);
    let settings = ["a", "b", "closed", "flaky", "hangs", "panics"]
        .map(|name| StoreSettings::parse(name, "{ type: faulty, timeout_ms: 50 }").unwrap());
    let run = Run { time, factory, deadline: None };
    let cx = OpenContext::new(Path::new("."), &NoEnvironment);
    let healths = check_stores(&settings, &run.factory, &cx, &run.options());
    run.time.stop();
    let said: Vec<_> = healths
        .iter()
        .map(|health| {
            let result = match &health.result {
                Ok(Health::Checked { summary, .. }) => summary.clone(),
                Ok(Health::NotChecked) => "not checked".to_owned(),
                Err(error) => error.to_string(),
            };
            format!("{} {} {:?}: {result}", health.name, health.store_type, health.latency)
        })
        .collect();
    assert_eq!(
        said,
        [
            "a faulty 20ms: 4 bytes",
            "b faulty 30ms: 4 bytes",
            "closed faulty 0ns: not available: connection refused",
            "flaky faulty 0ns: not available: connection refused",
            "hangs faulty 100ms: no answer before the deadline",
            "panics faulty 0ns: the store stopped unexpectedly (a bug in the store)",
        ]
    );
    assert_eq!(run.time.elapsed(), ms(100));
}
