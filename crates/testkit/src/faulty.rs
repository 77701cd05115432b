//! Stores in memory that do what a script says: answer, miss, fail, take long, hang, panic.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use dsops_resolver::{
    Address, Description, Diagnostic, FetchContext, Fields, Health, Item, Limits, OpenContext,
    Store, StoreError, StoreFactory, StoreSettings,
};
use dsops_secure_mem::SecretBytes;

use crate::VirtualTime;

/// The one type of store this makes.
const TYPE: &str = "faulty";

/// What comes of asking for one item.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// The value.
    Value(Vec<u8>),
    /// The store fails so, every time.
    Fails(StoreError),
    /// The store fails so some times, then does something else.
    Flaky {
        /// How often it fails.
        times: u32,
        /// With what.
        error: StoreError,
        /// What comes then: a value or another failure.
        then: Box<Behaviour>,
    },
    /// The whole call panics.
    Panics,
    /// The whole call never ends.
    Hangs,
    /// The whole call gives one result too few.
    Short,
    /// The whole call gives one result too many.
    Long,
}

/// What comes of opening a store.
#[derive(Clone, Debug, Default)]
pub enum Open {
    /// It opens.
    #[default]
    Fine,
    /// It fails so.
    Fails(StoreError),
    /// It panics.
    Panics,
}

/// One store. What it does not name it does not have.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// What comes of opening it.
    pub open: Open,
    /// What comes of asking for an item.
    pub items: BTreeMap<Item, Behaviour>,
    /// How much longer a call takes for an item.
    pub slow: BTreeMap<Item, Duration>,
    /// What it takes at once.
    pub limits: Limits,
    /// Whether it can say what is there without a value.
    pub describes: bool,
    /// Whether fields are its own.
    pub own_fields: bool,
}

impl Script {
    /// A store without items, which takes one call at a time for all.
    pub fn new() -> Self {
        Self { describes: true, ..Self::default() }
    }

    /// The same with an item.
    #[must_use]
    pub fn with(mut self, key: &str, behaviour: Behaviour) -> Self {
        self.items.insert(Item { key: key.to_owned(), version: None }, behaviour);
        self
    }

    /// The same with an item that has a value.
    #[must_use]
    pub fn with_value(self, key: &str, value: &str) -> Self {
        self.with(key, Behaviour::Value(value.as_bytes().to_vec()))
    }

    /// The same; calls that ask for this item take this much longer.
    #[must_use]
    pub fn with_delay(mut self, key: &str, delay: Duration) -> Self {
        self.slow.insert(Item { key: key.to_owned(), version: None }, delay);
        self
    }

    /// The same with these limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}

/// What happened to the stores, in the order it happened.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The stores that were opened.
    pub opened: Vec<String>,
    /// Store, items and thread of each call.
    pub calls: Vec<(String, Vec<Item>, ThreadId)>,
    /// The most calls that one store had at the same time, for each.
    pub most_at_once: BTreeMap<String, usize>,
    /// The most calls that all stores together had at the same time.
    pub most_in_all: usize,
    /// Calls that run.
    pub running: usize,
}

/// Makes the stores of some scripts, by name; their type is `faulty`, without settings of its own.
#[derive(Clone, Debug)]
pub struct Faulty {
    scripts: BTreeMap<String, Script>,
    time: Arc<VirtualTime>,
    log: Arc<Mutex<Log>>,
}

impl Faulty {
    /// Stores that take their time from this clock.
    pub fn new(time: &Arc<VirtualTime>) -> Self {
        Self { scripts: BTreeMap::new(), time: Arc::clone(time), log: Arc::default() }
    }

    /// The same with a store.
    #[must_use]
    pub fn with(mut self, name: &str, script: Script) -> Self {
        self.scripts.insert(name.to_owned(), script);
        self
    }

    /// What happened so far.
    pub fn log(&self) -> Log {
        lock(&self.log).clone()
    }

    fn script(&self, settings: &StoreSettings) -> Script {
        self.scripts.get(settings.name()).cloned().unwrap_or_default()
    }
}

impl StoreFactory for Faulty {
    fn types(&self) -> &[&str] {
        &[TYPE]
    }

    fn validate(&self, settings: &StoreSettings) -> Vec<Diagnostic> {
        settings.unknown_keys(&[])
    }

    fn item(&self, settings: &StoreSettings, address: Address) -> Result<Item, StoreError> {
        let Address { key, field, version } = address;
        match field {
            None => Ok(Item { key, version }),
            Some(field) if self.script(settings).own_fields => {
                Ok(Item { key: format!("{key}#{field}"), version })
            }
            Some(_) => Err(StoreError::unsupported("a field (`#…`)")),
        }
    }

    fn fields(&self, settings: &StoreSettings) -> Fields {
        if self.script(settings).own_fields { Fields::Own } else { Fields::Extract }
    }

    fn limits(&self, settings: &StoreSettings) -> Limits {
        self.script(settings).limits
    }

    fn open(
        &self,
        settings: &StoreSettings,
        _: &OpenContext<'_>,
    ) -> Result<Box<dyn Store>, StoreError> {
        let script = self.script(settings);
        lock(&self.log).opened.push(settings.name().to_owned());
        match script.open {
            Open::Fine => {}
            Open::Fails(error) => return Err(error),
            Open::Panics => panic!("the script says so"),
        }
        Ok(Box::new(FaultyStore {
            name: settings.name().to_owned(),
            script,
            asked: Mutex::default(),
            time: Arc::clone(&self.time),
            log: Arc::clone(&self.log),
        }))
    }
}

struct FaultyStore {
    name: String,
    script: Script,
    asked: Mutex<Asked>,
    time: Arc<VirtualTime>,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Asked {
    /// How often each flaky item was asked for.
    times: BTreeMap<Item, u32>,
    /// Calls that run.
    running: usize,
}

impl Store for FaultyStore {
    fn fetch(&self, items: &[Item], _: &FetchContext<'_>) -> Vec<Result<SecretBytes, StoreError>> {
        self.call(items, |behaviour| Ok(SecretBytes::copy_from(behaviour)?))
    }

    fn describe(
        &self,
        items: &[Item],
        _: &FetchContext<'_>,
    ) -> Vec<Result<Description, StoreError>> {
        if !self.script.describes {
            return items.iter().map(|_| Err(StoreError::NotDescribed)).collect();
        }
        self.call(items, |value| Ok(Description::new().with_kind(format!("{} bytes", value.len()))))
    }

    fn check(&self, _: &FetchContext<'_>) -> Result<Health, StoreError> {
        self.call(&[Item { key: "check".to_owned(), version: None }], |value| {
            Ok(Health::checked(format!("{} bytes", value.len())))
        })
        .remove(0)
    }
}

impl FaultyStore {
    fn call<T>(
        &self,
        items: &[Item],
        give: impl Fn(&[u8]) -> Result<T, StoreError>,
    ) -> Vec<Result<T, StoreError>> {
        let running = {
            let mut asked = lock(&self.asked);
            asked.running += 1;
            asked.running
        };
        {
            let mut log = lock(&self.log);
            log.calls.push((self.name.clone(), items.to_vec(), thread::current().id()));
            let most = log.most_at_once.entry(self.name.clone()).or_default();
            *most = running.max(*most);
            log.running += 1;
            log.most_in_all = log.running.max(log.most_in_all);
        }
        let delay: Duration = items.iter().filter_map(|item| self.script.slow.get(item)).sum();
        if !delay.is_zero() {
            self.time.sleep(delay);
        }
        let has = |wanted: fn(&Behaviour) -> bool| {
            items.iter().filter_map(|item| self.script.items.get(item)).any(wanted)
        };
        if has(|behaviour| matches!(behaviour, Behaviour::Hangs)) {
            self.time.hang();
        }
        lock(&self.asked).running -= 1;
        lock(&self.log).running -= 1;
        assert!(!has(|behaviour| matches!(behaviour, Behaviour::Panics)), "the script says so");
        let mut results: Vec<_> = items.iter().map(|item| self.one(item, &give)).collect();
        if has(|behaviour| matches!(behaviour, Behaviour::Short)) {
            results.pop();
        }
        if has(|behaviour| matches!(behaviour, Behaviour::Long)) {
            results.push(Err(StoreError::not_found("nobody asked for this")));
        }
        results
    }

    fn one<T>(
        &self,
        item: &Item,
        give: impl Fn(&[u8]) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.script.items.get(item) {
            None => Err(StoreError::not_found(&item.key)),
            Some(behaviour) => self.behave(item, behaviour, give),
        }
    }

    fn behave<T>(
        &self,
        item: &Item,
        behaviour: &Behaviour,
        give: impl Fn(&[u8]) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match behaviour {
            Behaviour::Value(value) => give(value),
            Behaviour::Fails(error) => Err(error.clone()),
            Behaviour::Flaky { times, error, then } => {
                let asked = {
                    let mut asked = lock(&self.asked);
                    let so_far = asked.times.entry(item.clone()).or_default();
                    *so_far += 1;
                    *so_far
                };
                if asked > *times { self.behave(item, then, give) } else { Err(error.clone()) }
            }
            Behaviour::Panics | Behaviour::Hangs | Behaviour::Short | Behaviour::Long => {
                give(b"never seen")
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
