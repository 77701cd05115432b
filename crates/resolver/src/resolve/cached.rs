//! Answers from a cache before, instead of and after those of the stores.
//!
//! The cache is asked before any store is opened, so that one whose answers are all there is not
//! opened, asks for no passphrase and costs no time. It is asked again for what a store did not
//! answer, also where a call was left behind at its deadline. Nothing is locked meanwhile: two
//! processes that miss the same answer both ask the store, because a lock would be held across
//! whatever a store asks its user.

use std::time::SystemTime;

use dsops_secure_mem::SecretBytes;

use crate::cache::{CacheScope, CacheSettings, CacheUse, SecretCache};
use crate::error::StoreError;
use crate::plan::{Plan, PlannedStore};
use crate::store::{Description, Item, OpenContext, StoreFactory};

use super::{ResolveOptions, open, queue};

/// What of one store came from the cache.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FromCache {
    /// The store's name.
    pub store: String,
    /// How many items.
    pub items: usize,
    /// Why the store did not answer, when values past their `ttl` stand in for what it would have
    /// said.
    pub instead: Option<StoreError>,
    /// When the oldest of those was kept.
    pub oldest: Option<SystemTime>,
}

type Results = Vec<Result<SecretBytes, StoreError>>;

/// Whether a cache has any part in this.
pub(super) fn concerns(plan: &Plan, options: &ResolveOptions<'_>) -> bool {
    match options.cache_use {
        CacheUse::Offline => true,
        CacheUse::Normal | CacheUse::Refresh => {
            options.cache.is_some()
                && plan.stores.iter().any(|store| store.settings.cache().is_some())
        }
    }
}

/// One planned store, with what the cache says of it.
struct Lane<'a> {
    store: &'a PlannedStore,
    /// The cache and whose answers, if it has a part in this store.
    cached: Option<(&'a dyn SecretCache, CacheScope<'a>, &'a CacheSettings)>,
    results: Vec<Option<Result<SecretBytes, StoreError>>>,
    /// What the store is asked for.
    missing: Vec<Item>,
}

/// Fetches what a plan says, from the cache where that may be.
pub(super) fn fetch(
    plan: &Plan,
    factory: &dyn StoreFactory,
    cx: &OpenContext<'_>,
    options: &ResolveOptions<'_>,
) -> (Vec<Results>, Vec<FromCache>) {
    let mut told = Vec::new();
    let mut lanes: Vec<Lane<'_>> =
        plan.stores.iter().map(|store| look_up(store, factory, cx, options, &mut told)).collect();
    let works: Vec<_> = lanes
        .iter()
        .filter(|lane| !lane.missing.is_empty())
        .map(|lane| {
            let PlannedStore { settings, limits, .. } = lane.store;
            open(settings, &lane.missing, *limits, factory, cx, options)
        })
        .collect();
    let answered =
        queue::run::<SecretBytes>(&works, |store, items, cx| store.fetch(items, cx), options);
    drop(works);
    let mut answered = answered.into_iter();
    for lane in lanes.iter_mut().filter(|lane| !lane.missing.is_empty()) {
        let answers = answered.next().expect("one for each store that was asked").results;
        lane.learn(answers, factory, cx, options, &mut told);
    }
    let results = lanes.into_iter().map(|lane| {
        lane.results.into_iter().map(|result| result.expect("found, or asked for")).collect()
    });
    (results.collect(), told)
}

/// Looks a store's items up, and says what is left to ask.
fn look_up<'a>(
    store: &'a PlannedStore,
    factory: &dyn StoreFactory,
    cx: &OpenContext<'a>,
    options: &ResolveOptions<'a>,
    told: &mut Vec<FromCache>,
) -> Lane<'a> {
    let nothing = || store.items.iter().map(|_| None).collect();
    let mut lane = Lane { store, cached: None, results: nothing(), missing: Vec::new() };
    // What answers from memory needs no cache, and no network.
    if store.limits.immediate {
        lane.missing.clone_from(&store.items);
        return lane;
    }
    match part(store, factory, cx, options) {
        Ok(cached) => lane.cached = cached,
        Err(error) => {
            lane.results = store.items.iter().map(|_| Some(Err(error.clone()))).collect();
            return lane;
        }
    }
    if let Some((cache, scope, settings)) = &lane.cached {
        let oldest = match options.cache_use {
            CacheUse::Normal => Some(settings.ttl),
            CacheUse::Offline => Some(settings.max_ttl),
            CacheUse::Refresh => None,
        };
        if let Some(oldest) = oldest {
            let found = cache.get(scope, &store.items, oldest);
            lane.results = found.into_iter().map(|value| value.map(Ok)).collect();
            // A cache that breaks its contract has found nothing.
            lane.results.resize_with(store.items.len(), || None);
        }
    }
    let hits = lane.results.iter().flatten().count();
    if hits > 0 {
        let store = store.settings.name().to_owned();
        told.push(FromCache { store, items: hits, instead: None, oldest: None });
    }
    if options.cache_use == CacheUse::Offline {
        for (item, result) in store.items.iter().zip(&mut lane.results) {
            result.get_or_insert_with(|| Err(not_there(item)));
        }
        return lane;
    }
    let open = store.items.iter().zip(&lane.results).filter(|(_, result)| result.is_none());
    lane.missing = open.map(|(item, _)| item.clone()).collect();
    lane
}

/// The part that the cache has in a store; an error when it would have to have one.
fn part<'a>(
    store: &'a PlannedStore,
    factory: &dyn StoreFactory,
    cx: &OpenContext<'a>,
    options: &ResolveOptions<'a>,
) -> Result<Option<(&'a dyn SecretCache, CacheScope<'a>, &'a CacheSettings)>, StoreError> {
    let offline = options.cache_use == CacheUse::Offline;
    let name = store.settings.name();
    let refuse = |reason: String, help: &str| {
        Err(StoreError::NotCached { reason, help: Some(help.to_owned()) })
    };
    let Some(settings) = store.settings.cache() else {
        return if offline {
            refuse(
                format!("nothing is kept of the store `{name}`"),
                "give the store `cache: { ttl: … }` in dsops.yaml and run once online, or leave `--offline` out",
            )
        } else {
            Ok(None)
        };
    };
    if offline && !settings.offline {
        return refuse(
            format!("`offline: deny` of the store `{name}` forbids it"),
            "leave `--offline` out",
        );
    }
    let Some(cache) = options.cache else {
        return if offline {
            refuse("there is no cache".to_owned(), "leave `--offline` out")
        } else {
            Ok(None)
        };
    };
    match factory.identity(&store.settings, cx) {
        Ok(identity) => {
            Ok(Some((cache, CacheScope::new(&store.settings, cx.base_dir, identity), settings)))
        }
        Err(error) if offline => Err(error),
        // The store will say what is wrong.
        Err(_) => Ok(None),
    }
}

fn not_there(item: &Item) -> StoreError {
    StoreError::NotCached {
        reason: format!("no answer for `{}` is there that is young enough", item.key),
        help: Some("run it once without `--offline`, while the store can be reached".to_owned()),
    }
}

impl Lane<'_> {
    /// Takes what the store answered, keeps it, and looks for what stands in for the rest.
    fn learn(
        &mut self,
        answers: Results,
        factory: &dyn StoreFactory,
        cx: &OpenContext<'_>,
        options: &ResolveOptions<'_>,
        told: &mut Vec<FromCache>,
    ) {
        let mut answers = answers;
        if let Some((cache, scope, settings)) = &self.cached {
            let pairs = || self.missing.iter().zip(&answers);
            let values: Vec<_> =
                pairs().filter_map(|(item, answer)| Some((item, answer.as_ref().ok()?))).collect();
            let gone: Vec<&Item> =
                pairs().filter(|(_, answer)| is_taken_back(answer)).map(|(item, _)| item).collect();
            // A file may have been changed while its user was asked for a passphrase: what was read
            // then is no answer of what was there before.
            let is_still = || {
                let now = factory.identity(&self.store.settings, cx);
                now.is_ok_and(|now| scope.identity.is(&now))
            };
            if !values.is_empty() && is_still() {
                cache.keep(scope, &values, settings.max_ttl);
            }
            if !gone.is_empty() {
                cache.forget(scope, &gone);
            }
            let may_stand_in =
                options.cache_use == CacheUse::Normal && !settings.stale_if_error.is_zero();
            if may_stand_in {
                let instead = stand_in(*cache, scope, settings, &self.missing, &mut answers);
                told.extend(instead);
            }
        }
        let mut answers = answers.into_iter();
        for result in self.results.iter_mut().filter(|result| result.is_none()) {
            *result = answers.next();
        }
    }
}

/// Whether the store says that what it gave before is not to be had: no such item, or not for us.
fn is_taken_back<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::NotFound { .. } | StoreError::Denied { .. }))
}

/// Puts values past their `ttl` in the place of answers that did not come.
fn stand_in(
    cache: &dyn SecretCache,
    scope: &CacheScope<'_>,
    settings: &CacheSettings,
    items: &[Item],
    answers: &mut [Result<SecretBytes, StoreError>],
) -> Option<FromCache> {
    let failed = |answer: &Result<SecretBytes, StoreError>| {
        answer.as_ref().err().filter(|error| error.is_no_answer()).cloned()
    };
    let (mut wanted, mut places, mut why) = (Vec::new(), Vec::new(), None);
    for (place, (item, answer)) in items.iter().zip(answers.iter()).enumerate() {
        if let Some(error) = failed(answer) {
            wanted.push(item.clone());
            places.push(place);
            why.get_or_insert(error);
        }
    }
    if wanted.is_empty() {
        return None;
    }
    let found = cache.get(scope, &wanted, settings.stale());
    let kept = cache.kept_at(scope, &wanted, settings.stale());
    let (mut items, mut oldest) = (0, None::<SystemTime>);
    for ((place, value), kept) in places.into_iter().zip(found).zip(kept) {
        if let Some(value) = value {
            answers[place] = Ok(value);
            items += 1;
            oldest = oldest.into_iter().chain(kept).min();
        }
    }
    let store = scope.settings.name().to_owned();
    (items > 0).then_some(FromCache { store, items, instead: why, oldest })
}

/// What the cache has of a plan, when no store may be opened: a description for each item of each
/// store but those that answer from memory, for which it is `None`.
pub(super) fn describe(
    store: &PlannedStore,
    factory: &dyn StoreFactory,
    cx: &OpenContext<'_>,
    options: &ResolveOptions<'_>,
) -> Option<Vec<Result<Description, StoreError>>> {
    if store.limits.immediate {
        return None;
    }
    Some(match part(store, factory, cx, options) {
        Ok(Some((cache, scope, settings))) => {
            let mut kept = cache.kept_at(&scope, &store.items, settings.max_ttl);
            kept.resize(store.items.len(), None);
            let one = |(item, kept): (&Item, Option<SystemTime>)| match kept {
                Some(at) => {
                    let mut description = Description::new().with_kind("kept in the cache");
                    description.changed = Some(at);
                    Ok(description)
                }
                None => Err(not_there(item)),
            };
            store.items.iter().zip(kept).map(one).collect()
        }
        Ok(None) => store.items.iter().map(|item| Err(not_there(item))).collect(),
        Err(error) => store.items.iter().map(|_| Err(error.clone())).collect(),
    })
}
