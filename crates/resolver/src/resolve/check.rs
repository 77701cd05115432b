//! Asks stores about items and about themselves, never for a value.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cache::CacheUse;
use crate::error::StoreError;
use crate::plan::{Plan, PlannedSource};
use crate::settings::StoreSettings;
use crate::store::{Description, Health, Item, OpenContext, StoreFactory};

use super::queue;
use super::{ResolveOptions, cached, open};

/// What the stores say about the items of a plan.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckReport {
    /// By the store's name, then by key and version; each item once.
    pub items: Vec<CheckedItem>,
}

/// What a store says about one item.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckedItem {
    /// The store's name.
    pub store: String,
    /// The item.
    pub item: Item,
    /// The variables that get it, sorted; at least one.
    pub variables: Vec<String>,
    /// Whether one of them can't do without: it has no default and is not optional.
    pub required: bool,
    /// What the store says.
    pub state: ItemState,
}

/// Whether an item is there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ItemState {
    /// It is there.
    Exists(Description),
    /// The store answered that it is not there: always [`StoreError::NotFound`], with its help.
    Missing(StoreError),
    /// The store cannot say without fetching the value. This is not a pass.
    NotCheckable,
    /// The store did not answer that. This is not a pass either.
    Failed(StoreError),
}

impl CheckReport {
    /// What is known about the item of a variable; `None` for one that needs no store.
    pub fn of(&self, variable: &str) -> Option<&CheckedItem> {
        self.items.iter().find(|item| item.variables.iter().any(|name| name == variable))
    }

    /// Whether every item that is required is known to be there, and nothing failed.
    pub fn is_complete(&self) -> bool {
        self.items.iter().all(|item| match item.state {
            ItemState::Exists(_) => true,
            ItemState::Missing(_) => !item.required,
            ItemState::NotCheckable | ItemState::Failed(_) => false,
        })
    }
}

/// Asks the stores of a plan which items are there and what is known about them. Fetches nothing.
///
/// Stores are opened and asked as by [`resolve`](crate::resolve()): with the same limits,
/// deadlines and retries. A call that hangs is left behind on its thread. With [`CacheUse::Offline`]
/// the cache is asked what it has instead, and no store is opened but those that answer from memory.
pub fn check(
    plan: &Plan,
    factory: &dyn StoreFactory,
    cx: &OpenContext<'_>,
    options: &ResolveOptions<'_>,
) -> CheckReport {
    let offline = options.cache_use == CacheUse::Offline;
    let mut from_cache: Vec<_> = (plan.stores.iter())
        .map(|store| offline.then(|| cached::describe(store, factory, cx, options)).flatten())
        .collect();
    let asked = plan.stores.iter().zip(&from_cache).filter(|(_, known)| known.is_none());
    let works: Vec<_> = asked
        .map(|(store, _)| open(&store.settings, &store.items, store.limits, factory, cx, options))
        .collect();
    let answered =
        queue::run::<Description>(&works, |store, items, cx| store.describe(items, cx), options);
    let mut answered = answered.into_iter().map(|answered| answered.results);
    let mut results = from_cache
        .iter_mut()
        .map(|known| known.take().or_else(|| answered.next()).unwrap_or_default());
    let mut users: BTreeMap<(&str, &Item), (Vec<String>, bool)> = BTreeMap::new();
    for variable in &plan.variables {
        if let PlannedSource::Item { reference, item } = &variable.source {
            let (names, required) = users.entry((&reference.store, item)).or_default();
            names.push(variable.name.clone());
            *required |= !variable.optional && variable.default.is_none();
        }
    }
    let mut items = Vec::new();
    for store in &plan.stores {
        let name = store.settings.name();
        for (item, result) in store.items.iter().zip(results.next().unwrap_or_default()) {
            let (variables, required) = users.remove(&(name, item)).unwrap_or_default();
            let state = match result {
                Ok(description) => ItemState::Exists(description),
                Err(error @ StoreError::NotFound { .. }) => ItemState::Missing(error),
                Err(StoreError::NotDescribed) => ItemState::NotCheckable,
                Err(error) => ItemState::Failed(error),
            };
            let (store, item) = (name.to_owned(), item.clone());
            items.push(CheckedItem { store, item, variables, required, state });
        }
    }
    CheckReport { items }
}

/// How one store does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreHealth {
    /// Its name.
    pub name: String,
    /// Its type.
    pub store_type: String,
    /// How long it took to open it and to have its answer.
    pub latency: Duration,
    /// What it says of itself.
    pub result: Result<Health, StoreError>,
}

/// Opens stores, and asks all of them at the same time whether they would answer; one result for
/// each, in the order of `stores`. Nothing is tried again: this shows how it is.
///
/// A store that hangs past its deadline is left behind on its thread; one without a deadline is
/// waited for, so [`ResolveOptions::deadline`] should be set.
///
/// The settings have to be [valid](StoreFactory::validate).
pub fn check_stores<'a>(
    stores: impl IntoIterator<Item = &'a StoreSettings>,
    factory: &dyn StoreFactory,
    cx: &OpenContext<'_>,
    options: &ResolveOptions<'_>,
) -> Vec<StoreHealth> {
    // The queue gives one answer for each item, so each store has one.
    let itself = [Item { key: String::new(), version: None }];
    let timing = options.timing();
    let (mut works, mut opened) = (Vec::new(), Vec::new());
    for settings in stores {
        let started = timing.now();
        let limits = factory.limits(settings).under(settings);
        let mut work = open(settings, &[], limits, factory, cx, options);
        work.items = &itself;
        work.policy.retries = 0;
        let latency = timing.now().saturating_duration_since(started);
        opened.push((settings, latency));
        works.push(work);
    }
    let answered = queue::run::<Health>(&works, |store, _, cx| vec![store.check(cx)], options);
    let health = |((settings, latency), mut answered): (
        (&StoreSettings, Duration),
        queue::Answered<Health>,
    )| {
        StoreHealth {
            name: settings.name().to_owned(),
            store_type: settings.store_type().to_owned(),
            latency: latency + answered.took,
            result: answered.results.swap_remove(0),
        }
    };
    opened.into_iter().zip(answered).map(health).collect()
}
