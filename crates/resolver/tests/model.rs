//! Ten thousand random plans over stores with faults come out as a naive sequential resolver says.
//!
//! The naive resolver below knows nothing of threads, clocks or queues: it goes through stores,
//! batches and items one by one. What the real one adds (calls at once, waiting, jitter, answers in
//! any order) must not show in what comes out. Time is virtual; plan N is the same on every run.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dsops_resolver::{
    Config, Item, Limits, NoEnvironment, OpenContext, ResolveCause, ResolveErrors, ResolveOptions,
    Resolved, StoreError, plan, resolve,
};
use dsops_testkit::{Behaviour, Faulty, Open, Script, VirtualTime};

const PLANS: u64 = 10_000;

#[test]
fn ten_thousand_random_plans_come_out_as_in_the_naive_resolver() {
    std::panic::set_hook(Box::new(|info| {
        // Stores panic on purpose, thousands of times; what fails this test is shown.
        if !info.to_string().contains("the script says so") {
            eprintln!("{info}");
        }
    }));
    let mut seen = Seen::default();
    for seed in 0..PLANS {
        let case = Case::random(seed);
        let expected = case.naive();
        let actual = case.real();
        assert_eq!(actual, expected, "plan {seed}:\n{}\n{:#?}", case.text(), case.stores);
        seen.note(&case, &expected);
    }
    seen.check();
}

/// What a resolve comes to, in a form that can be compared.
#[derive(Debug, PartialEq)]
enum Outcome {
    Values {
        values: Vec<(String, Vec<u8>)>,
        missing: Vec<String>,
        defaulted: Vec<String>,
    },
    /// For each failure: its store, the chain of causes (of a transform: its name and step), the
    /// variables.
    Failures(Vec<(String, String, Vec<String>)>),
}

/// A random environment with the stores it needs.
struct Case {
    seed: u64,
    stores: Vec<Store>,
    variables: Vec<Variable>,
    deadline: bool,
}

#[derive(Debug)]
struct Store {
    name: String,
    script: Script,
    retries: Option<u32>,
    concurrency: Option<usize>,
    timeout: bool,
}

struct Variable {
    name: String,
    source: Source,
    /// Whether it wants the field `f`.
    field: bool,
    transforms: Vec<&'static str>,
    optional: bool,
    default: Option<String>,
}

/// As they are written. The last one fails on every value there is here.
const TRANSFORMS: [&str; 5] = ["upper", "prefix:p-", "suffix:-s", "trim", "hex_decode"];

enum Source {
    Literal(String),
    Item { store: usize, item: Item },
}

/// What the stores hold for some key.
const KEYS: u64 = 6;

impl Case {
    fn random(seed: u64) -> Self {
        let mut random = Random(seed);
        let stores: Vec<_> = (0..random.below(5)).map(|i| Store::random(i, &mut random)).collect();
        let variables = (0..random.below(11)).map(|i| {
            let source = if stores.is_empty() || random.one_in(8) {
                Source::Literal(format!("literal {}", random.below(100)))
            } else {
                let store = usize::try_from(random.below(stores.len() as u64)).unwrap();
                Source::Item { store, item: Item::random(&mut random) }
            };
            Variable {
                name: format!("V{:02}", (i * 7) % 11),
                field: matches!(source, Source::Item { .. }) && random.one_in(5),
                source,
                transforms: (0..random.below(4).saturating_sub(1))
                    .map(|_| TRANSFORMS[if random.one_in(9) { 4 } else { random.size(0..4) }])
                    .collect(),
                optional: random.one_in(3),
                default: random.one_in(4).then(|| format!("default {}", random.below(100))),
            }
        });
        let variables = variables.collect();
        let hangs = |store: &Store| !store.timeout && store.hangs();
        let deadline = stores.iter().any(hangs) || random.one_in(4);
        Self { seed, stores, variables, deadline }
    }

    fn text(&self) -> String {
        let mut text = "version: 1\nsecretStores:\n".to_owned();
        for Store { name, retries, concurrency, timeout, .. } in &self.stores {
            write!(text, "  {name}: {{ type: faulty").unwrap();
            if let Some(retries) = retries {
                write!(text, ", retries: {retries}").unwrap();
            }
            if let Some(concurrency) = concurrency {
                write!(text, ", concurrency: {concurrency}").unwrap();
            }
            text.push_str(if *timeout { ", timeout_ms: 2000 }\n" } else { " }\n" });
        }
        text.push_str("envs:\n  dev:\n");
        for Variable { name, source, field, transforms, optional, default } in &self.variables {
            write!(text, "    {name}: {{ ").unwrap();
            match source {
                Source::Literal(value) => write!(text, "literal: {value}").unwrap(),
                Source::Item { store, item } => {
                    write!(text, "from: 'store://{}/{}", self.stores[*store].name, item.key)
                        .unwrap();
                    if let Some(version) = &item.version {
                        write!(text, "?version={version}").unwrap();
                    }
                    text.push_str(if *field { "#f'" } else { "'" });
                }
            }
            if !transforms.is_empty() {
                write!(text, ", transform: '{}'", transforms.join(", ")).unwrap();
            }
            if *optional {
                text.push_str(", optional: true");
            }
            if let Some(default) = default {
                write!(text, ", default: {default}").unwrap();
            }
            text.push_str(" }\n");
        }
        text
    }

    /// What the library makes of it.
    fn real(&self) -> Outcome {
        let time = Arc::new(VirtualTime::new(self.seed));
        let mut factory = Faulty::new(&time);
        for store in &self.stores {
            factory = factory.with(&store.name, store.script.clone());
        }
        let config = Config::parse("dsops.yaml", &self.text()).unwrap();
        let plan = plan(&config, "dev", &factory).unwrap();
        let mut options = ResolveOptions::default();
        options.timing = Some(&*time);
        options.deadline = self.deadline.then(|| time.at(Duration::from_hours(1)));
        let cx = OpenContext::new(Path::new("."), &NoEnvironment);
        let result = resolve(&plan, &factory, &cx, &options);
        time.stop();
        self.check_calls(&factory);
        match result {
            Ok(resolved) => values(&resolved),
            Err(errors) => failures(errors),
        }
    }

    /// No store is opened without need, opened twice, asked by too many or too often.
    fn check_calls(&self, factory: &Faulty) {
        let log = factory.log();
        let used: Vec<_> = self.used().keys().map(|i| self.stores[*i].name.clone()).collect();
        assert_eq!(log.opened, used, "plan {}", self.seed);
        for store in &self.stores {
            let most = log.most_at_once.get(&store.name).copied().unwrap_or(0);
            assert!(most <= store.calls_at_once(), "plan {}: {most} at once", self.seed);
            let mut times: BTreeMap<&Item, u32> = BTreeMap::new();
            for (_, items, _) in log.calls.iter().filter(|(name, ..)| *name == store.name) {
                assert!(items.len() <= store.batch(), "plan {}: a batch too large", self.seed);
                for item in items {
                    *times.entry(item).or_default() += 1;
                }
            }
            let limit = 1 + store.retries.unwrap_or(2);
            assert!(times.values().all(|times| *times <= limit), "plan {}: {times:?}", self.seed);
        }
    }

    /// The items each store is asked for.
    fn used(&self) -> BTreeMap<usize, BTreeSet<Item>> {
        let mut used: BTreeMap<usize, BTreeSet<Item>> = BTreeMap::new();
        for variable in &self.variables {
            if let Source::Item { store, item } = &variable.source {
                used.entry(*store).or_default().insert(item.clone());
            }
        }
        used
    }

    /// What it should come to.
    fn naive(&self) -> Outcome {
        let mut known: BTreeMap<(usize, Item), Answer> = BTreeMap::new();
        for (store, items) in self.used() {
            let items: Vec<Item> = items.into_iter().collect();
            for (item, answer) in items.iter().zip(self.stores[store].naive(&items)) {
                known.insert((store, item.clone()), answer);
            }
        }
        let (mut values, mut missing, mut defaulted) = (Vec::new(), Vec::new(), Vec::new());
        let mut failures: Vec<(String, String, Vec<String>, String)> = Vec::new();
        let mut variables: Vec<&Variable> = self.variables.iter().collect();
        variables.sort_by(|a, b| a.name.cmp(&b.name));
        let mut fail = |store: &str, text: String, name: &String, about: &str| {
            let known =
                failures.iter_mut().find(|(s, t, _, a)| (&**s, t, &**a) == (store, &text, about));
            match known {
                Some((_, _, variables, _)) => variables.push(name.clone()),
                None => {
                    failures.push((store.to_owned(), text, vec![name.clone()], about.to_owned()));
                }
            }
        };
        for Variable { name, source, field, transforms, optional, default } in variables {
            let (store, key, answer) = match source {
                Source::Literal(text) => ("", "", Answer::Value(text.clone().into_bytes())),
                Source::Item { store, item } => {
                    let answer = known[&(*store, item.clone())].clone();
                    let answer = if *field { answer.field() } else { answer };
                    (&*self.stores[*store].name, &*item.key, answer)
                }
            };
            let value = match (answer, default) {
                (Answer::Value(value), _) => value,
                (Answer::Failure { is_missing: true, .. }, Some(default)) => {
                    defaulted.push(name.clone());
                    values.push((name.clone(), default.clone().into_bytes()));
                    continue;
                }
                (Answer::Failure { is_missing: true, .. }, None) if *optional => {
                    missing.push(name.clone());
                    continue;
                }
                (Answer::Failure { text, .. }, _) => {
                    let about = if text.starts_with("`#field`") { key } else { "" };
                    fail(store, text, name, about);
                    continue;
                }
            };
            match naive_transforms(value, transforms) {
                Ok(value) => values.push((name.clone(), value)),
                Err(text) => fail(store, text, name, name),
            }
        }
        let failures: Vec<_> = failures.into_iter().map(|(s, t, v, _)| (s, t, v)).collect();
        if failures.is_empty() {
            Outcome::Values { values, missing, defaulted }
        } else {
            Outcome::Failures(failures)
        }
    }
}

impl Store {
    fn random(index: u64, random: &mut Random) -> Self {
        let mut limits = Limits::default().with_concurrency(random.size(1..5));
        if random.one_in(2) {
            limits = limits.with_batch(random.size(1..5));
        }
        limits.immediate = random.one_in(6);
        let mut script = Script::new().with_limits(limits);
        script.open = match random.below(24) {
            0 => Open::Fails(StoreError::Locked { reason: "no key".into(), help: None }),
            1 => Open::Panics,
            _ => Open::Fine,
        };
        let hangs = !limits.immediate && random.one_in(5);
        // Too few and too many results would hide each other.
        let wrong_count = if random.one_in(2) { Behaviour::Short } else { Behaviour::Long };
        for _ in 0..random.below(2 * KEYS) {
            let item = Item::random(random);
            if random.one_in(4) {
                script.slow.insert(item.clone(), Duration::from_millis(random.below(90)));
            }
            let value = match random.below(4) {
                0 => format!("{{\"f\": \"in {}\"}}", random.below(1000)),
                1 => r#"{"g": 1}"#.to_owned(),
                _ => format!("value {}", random.below(1000)),
            };
            let value = value.into_bytes();
            let behaviour = match random.below(40) {
                0 => Behaviour::Panics,
                1 => wrong_count.clone(),
                2..=5 => Behaviour::Fails(for_good(random)),
                6..=8 => Behaviour::Fails(for_now(random)),
                9..=11 if hangs => Behaviour::Hangs,
                // Whether a call that hangs comes before the next try is a matter of time.
                9..=16 if !hangs => Behaviour::Flaky {
                    times: u32::try_from(random.below(5)).unwrap(),
                    error: for_now(random),
                    then: Box::new(if random.one_in(4) {
                        Behaviour::Fails(for_good(random))
                    } else {
                        Behaviour::Value(value)
                    }),
                },
                _ => Behaviour::Value(value),
            };
            script.items.insert(item, behaviour);
        }
        Self {
            name: format!("s{index}"),
            script,
            retries: random.one_in(2).then(|| u32::try_from(random.below(4)).unwrap()),
            concurrency: random.one_in(3).then(|| random.size(1..6)),
            timeout: random.one_in(3),
        }
    }

    fn hangs(&self) -> bool {
        self.script.items.values().any(|behaviour| matches!(behaviour, Behaviour::Hangs))
    }

    fn calls_at_once(&self) -> usize {
        let own = self.script.limits.concurrency.get();
        self.concurrency.map_or(own, |setting| setting.min(own))
    }

    fn batch(&self) -> usize {
        self.script.limits.batch.map_or(usize::MAX, std::num::NonZero::get)
    }

    /// What each item comes to.
    fn naive(&self, items: &[Item]) -> Vec<Answer> {
        match &self.script.open {
            Open::Fine => {}
            Open::Fails(error) => return items.iter().map(|_| Answer::of(error)).collect(),
            Open::Panics => return items.iter().map(|_| Answer::panicked()).collect(),
        }
        let mut answers = Vec::new();
        let mut hanging = 0;
        for batch in items.chunks(self.batch()) {
            let is = |wanted: fn(&Behaviour) -> bool| {
                batch.iter().filter_map(|item| self.script.items.get(item)).any(wanted)
            };
            let all: Option<Answer> = if hanging == self.calls_at_once() {
                Some(Answer::of(&StoreError::DeadlineExceeded))
            } else if is(|behaviour| matches!(behaviour, Behaviour::Hangs)) {
                hanging += 1;
                Some(Answer::of(&StoreError::DeadlineExceeded))
            } else if is(|behaviour| matches!(behaviour, Behaviour::Panics)) {
                Some(Answer::panicked())
            } else {
                let expected = batch.len();
                let wrong = |got| Answer::of(&StoreError::WrongCount { expected, got });
                if is(|behaviour| matches!(behaviour, Behaviour::Short)) {
                    Some(wrong(expected - 1))
                } else if is(|behaviour| matches!(behaviour, Behaviour::Long)) {
                    Some(wrong(expected + 1))
                } else {
                    None
                }
            };
            for item in batch {
                answers.push(match &all {
                    Some(answer) => answer.clone(),
                    None => self.naive_item(item),
                });
            }
        }
        answers
    }

    /// What an item in a call without a fault of its own comes to, however often it takes.
    fn naive_item(&self, item: &Item) -> Answer {
        match self.script.items.get(item) {
            None => Answer::of(&StoreError::not_found(&item.key)),
            Some(behaviour) => self.naive_behaviour(behaviour),
        }
    }

    fn naive_behaviour(&self, behaviour: &Behaviour) -> Answer {
        match behaviour {
            Behaviour::Value(value) => Answer::Value(value.clone()),
            Behaviour::Fails(error) => Answer::of(error),
            Behaviour::Flaky { times, error, then } => {
                let patience = Duration::from_secs(30);
                let again = error.retry_after().is_none_or(|asked| asked <= patience);
                let tries = if again { 1 + self.retries.unwrap_or(2) } else { 1 };
                if tries > *times { self.naive_behaviour(then) } else { Answer::of(error) }
            }
            other => unreachable!("{other:?} is a fault of the whole call"),
        }
    }
}

#[derive(Clone, Debug)]
enum Answer {
    Value(Vec<u8>),
    Failure { text: String, is_missing: bool },
}

impl Answer {
    fn of(error: &StoreError) -> Self {
        let is_missing = matches!(error, StoreError::NotFound { .. });
        Self::Failure { text: chain(error), is_missing }
    }

    /// The field `f` of it.
    fn field(self) -> Self {
        let Self::Value(value) = self else { return self };
        let text = String::from_utf8(value).unwrap();
        let wrong = |is_missing| Self::Failure { text: "`#field`".to_owned(), is_missing };
        match text.strip_prefix("{\"f\": \"") {
            Some(rest) => Self::Value(rest.strip_suffix("\"}").unwrap().as_bytes().to_vec()),
            None => wrong(text.starts_with('{')),
        }
    }

    fn panicked() -> Self {
        Self::of(&StoreError::Panicked)
    }
}

fn naive_transforms(value: Vec<u8>, transforms: &[&str]) -> Result<Vec<u8>, String> {
    let mut text = String::from_utf8(value).unwrap();
    for (index, transform) in transforms.iter().enumerate() {
        text = match *transform {
            "upper" => text.to_uppercase(),
            "prefix:p-" => format!("p-{text}"),
            "suffix:-s" => format!("{text}-s"),
            "trim" => text.trim().to_owned(),
            _ => return Err(format!("`hex_decode` {} of {}", index + 1, transforms.len())),
        };
    }
    Ok(text.into_bytes())
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        write!(text, ": {cause}").unwrap();
        next = cause.source();
    }
    text
}

fn values(resolved: &Resolved) -> Outcome {
    Outcome::Values {
        values: resolved
            .iter()
            .map(|(name, value)| (name.to_owned(), value.expose().to_vec()))
            .collect(),
        missing: resolved.missing().to_vec(),
        defaulted: resolved.defaulted().to_vec(),
    }
}

fn failures(errors: ResolveErrors) -> Outcome {
    let one = |error: dsops_resolver::ResolveError| {
        let text = match &error.cause {
            ResolveCause::Transform { step, of, error, .. } => {
                format!("`{}` {step} of {of}", error.transform)
            }
            ResolveCause::Field(error) => format!("`{}`", error.transform),
            _ => chain(error.source().unwrap()),
        };
        (error.store.unwrap_or_default(), text, error.variables)
    };
    Outcome::Failures(errors.into_iter().map(one).collect())
}

/// An error that another try would not mend.
fn for_good(random: &mut Random) -> StoreError {
    match random.below(4) {
        0 => StoreError::Denied { reason: "no".into(), help: None },
        1 => StoreError::Tampered { what: "f".into(), reason: "MAC".into() },
        2 => StoreError::not_found("elsewhere"),
        _ => StoreError::Malformed {
            what: "f".into(),
            at: Some((1, 2)),
            reason: "data".into(),
            help: None,
        },
    }
}

/// An error that another try may mend.
fn for_now(random: &mut Random) -> StoreError {
    match random.below(3) {
        0 => StoreError::unavailable("refused", None),
        1 => StoreError::io("read", "f", std::io::ErrorKind::Interrupted.into()),
        _ => StoreError::Throttled {
            reason: "429".into(),
            retry_after: random.one_in(2).then(|| Duration::from_secs(random.below(40))),
        },
    }
}

trait RandomItem {
    fn random(random: &mut Random) -> Item;
}

impl RandomItem for Item {
    fn random(random: &mut Random) -> Item {
        Item {
            key: format!("k{}", random.below(KEYS)),
            version: random.one_in(6).then(|| random.below(2).to_string()),
        }
    }
}

/// `SplitMix64`: the same numbers on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn size(&mut self, range: std::ops::Range<u64>) -> usize {
        usize::try_from(range.start + self.below(range.end - range.start)).unwrap()
    }
}

/// How often what is to be tested came up at all.
#[derive(Debug, Default)]
struct Seen {
    whole: u32,
    missing: u32,
    defaulted: u32,
    failed: u32,
    shared_failures: u32,
    causes: BTreeSet<String>,
    hung: u32,
    transforms: u32,
    fields: u32,
    many_stores: u32,
}

impl Seen {
    fn note(&mut self, case: &Case, outcome: &Outcome) {
        self.many_stores += u32::from(case.used().len() > 1);
        match outcome {
            Outcome::Values { missing, defaulted, .. } => {
                self.whole += u32::from(!case.used().is_empty());
                self.missing += u32::from(!missing.is_empty());
                self.defaulted += u32::from(!defaulted.is_empty());
            }
            Outcome::Failures(failures) => {
                self.failed += 1;
                for (_, text, variables) in failures {
                    self.shared_failures += u32::from(variables.len() > 1);
                    self.hung += u32::from(text.contains("deadline"));
                    self.transforms += u32::from(text.starts_with("`hex_decode`"));
                    self.fields += u32::from(text.starts_with("`#field`"));
                    self.causes.insert(text.chars().filter(|c| !c.is_ascii_digit()).collect());
                }
            }
        }
    }

    fn check(&self) {
        let counts = [
            self.whole,
            self.missing,
            self.defaulted,
            self.failed,
            self.shared_failures,
            self.hung,
            self.transforms,
            self.fields,
            self.many_stores,
        ];
        assert!(counts.iter().all(|count| *count >= 100), "{self:#?}");
        assert!(self.causes.len() >= 14, "{:#?}", self.causes);
    }
}
