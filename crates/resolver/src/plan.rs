//! The plan: which item of which store each variable of an environment gets. Nothing is fetched.
//!
//! A plan is pure: the same configuration gives the same plan, in the same order, whatever the
//! stores hold. Stores the environment does not use are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use dsops_secure_mem::SecretBytes;

use crate::cache::Caching;
use crate::config::{
    Config, ConfigErrors, EnvironmentSpec, Origin, Scopes, Selection, SourceSpec, Variable,
    VariableSpec,
};
use crate::diagnostic::{Diagnostic, Place, codes, suggest};
use crate::reference::Reference;
use crate::settings::StoreSettings;
use crate::store::{Address, Fields, Item, Limits, StoreFactory};
use crate::transform::Transform;

/// What would be fetched from where. Printable: it holds no value that could be shown.
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The environment.
    pub environment: String,
    /// Its variables, sorted by name.
    pub variables: Vec<PlannedVariable>,
    /// The stores they need, sorted by name, with every item once.
    pub stores: Vec<PlannedStore>,
    /// The scopes of the configuration.
    scopes: Arc<Scopes>,
}

/// One variable of the plan.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlannedVariable {
    /// Its name.
    pub name: String,
    /// Where its value comes from.
    pub source: PlannedSource,
    /// Whether it is left out when its item is missing.
    pub optional: bool,
    /// What is done to its value, in this order; a field (`#…`) that its store does not find itself
    /// comes first.
    pub transforms: Vec<Transform>,
    /// What it gets when its item is missing.
    pub default: Option<Arc<SecretBytes>>,
    /// Where it is defined.
    pub place: Place,
    /// The environment it is defined in: the planned one, or one that it extends.
    pub environment: Arc<str>,
    /// The definitions it wins over, the nearest first.
    pub overrides: Vec<Origin>,
}

impl Plan {
    /// Keeps only the variables whose names `keep` accepts, and the items and stores they need.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.variables.retain(|variable| keep(&variable.name));
        let variables = &self.variables;
        self.stores.retain_mut(|store| {
            let name = store.settings.name();
            store.items.retain(|wanted| {
                variables.iter().any(|variable| match &variable.source {
                    PlannedSource::Item { reference, item } => {
                        reference.store == name && item == wanted
                    }
                    PlannedSource::Literal(_) => false,
                })
            });
            !store.items.is_empty()
        });
    }
}

impl Plan {
    /// The store a variable's item comes from and which of its [batches](PlannedStore::batches) it
    /// is in, from 0; `None` for a variable that needs no store.
    pub fn batch_of(&self, variable: &PlannedVariable) -> Option<(&PlannedStore, usize)> {
        let PlannedSource::Item { reference, item } = &variable.source else { return None };
        let store = self.stores.iter().find(|store| store.settings.name() == reference.store)?;
        Some((store, store.batch_of(item)?))
    }
}

impl Plan {
    /// Keeps only what a selection wants; what is odd about it, but works, is returned.
    ///
    /// # Errors
    /// A scope that is not defined, or a name or pattern of the selection itself that fits no
    /// variable of the environment. Nothing is changed then.
    pub fn select(&mut self, selection: &Selection) -> Result<Vec<Diagnostic>, ConfigErrors> {
        if *selection == Selection::default() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = self.variables.iter().map(|variable| &*variable.name).collect();
        match self.scopes.select(selection, &names) {
            Ok((kept, warnings)) => {
                self.retain(|name| kept.contains(name));
                Ok(warnings)
            }
            Err(errors) => Err(errors),
        }
    }

    /// The scopes that have a variable, sorted.
    pub fn scopes_of(&self, variable: &str) -> Vec<&str> {
        self.scopes.having(variable)
    }
}

impl PlannedVariable {
    /// Its source as people read it: `literal`, or the reference in its `store://` form.
    pub fn source_text(&self) -> String {
        match &self.source {
            PlannedSource::Literal(_) => "literal".to_owned(),
            PlannedSource::Item { reference, .. } => reference.to_string(),
        }
    }
}

/// Where a planned variable's value comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PlannedSource {
    /// The configuration itself.
    Literal(Arc<SecretBytes>),
    /// An item of a store.
    Item {
        /// As the configuration says it.
        reference: Reference,
        /// As the store is asked.
        item: Item,
    },
}

/// One store of the plan.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlannedStore {
    /// Its name, type and settings.
    pub settings: Arc<StoreSettings>,
    /// What it is asked for: sorted, each item once.
    pub items: Vec<Item>,
    /// How much it takes at once, under its settings.
    pub limits: Limits,
}

impl PlannedStore {
    /// What each call asks for if nothing fails, in the order of the calls.
    pub fn batches(&self) -> impl ExactSizeIterator<Item = &[Item]> {
        self.items.chunks(self.batch_size())
    }

    /// Which of the [`batches`](Self::batches) an item is in, from 0.
    pub fn batch_of(&self, item: &Item) -> Option<usize> {
        Some(self.items.binary_search(item).ok()? / self.batch_size())
    }

    fn batch_size(&self) -> usize {
        self.limits.batch.map_or(self.items.len().max(1), NonZeroUsize::get)
    }
}

/// Plans an environment.
///
/// # Errors
/// All that stands in the way: an environment or store that is not defined, a store type that
/// `factory` does not make, settings it does not accept, items it cannot address, `${…}` that cannot
/// be put in, and references to services.
pub fn plan(
    config: &Config,
    environment: &str,
    factory: &dyn StoreFactory,
) -> Result<Plan, ConfigErrors> {
    let Some(spec) = config.environments.get(environment) else {
        return Err(ConfigErrors::one(unknown_environment(config, environment)));
    };
    let mut problems: Vec<Diagnostic> =
        spec.variables.values().flat_map(|variable| &variable.spec.deferred).cloned().collect();
    let usable = usable_stores(config, spec, factory, &mut problems);
    let mut items: BTreeMap<&str, BTreeSet<Item>> = BTreeMap::new();
    let mut variables = Vec::with_capacity(spec.variables.len());
    for (name, Variable { spec, environment, overrides }) in &spec.variables {
        let mut transforms = Vec::new();
        let source = match &spec.source {
            SourceSpec::Literal(secret) => PlannedSource::Literal(Arc::clone(secret)),
            SourceSpec::Deferred => continue,
            SourceSpec::Item { reference, place } => {
                let Some(settings) = config.stores.get(&reference.store) else {
                    problems.push(unknown_store(config, reference, place));
                    continue;
                };
                if !usable.contains(reference.store.as_str()) {
                    continue;
                }
                if reference.field.is_some() && factory.fields(settings) == Fields::Extract {
                    transforms.extend(reference.field.as_deref().map(Transform::field));
                }
                match address(factory, settings, reference, place) {
                    Ok(item) => {
                        items.entry(&reference.store).or_default().insert(item.clone());
                        PlannedSource::Item { reference: reference.clone(), item }
                    }
                    Err(problem) => {
                        problems.push(problem);
                        continue;
                    }
                }
            }
        };
        let VariableSpec { optional, default, place, .. } = &**spec;
        transforms.extend(spec.transforms.iter().cloned());
        variables.push(PlannedVariable {
            name: name.clone(),
            source,
            optional: *optional,
            transforms,
            default: default.clone(),
            place: place.clone(),
            environment: Arc::clone(environment),
            overrides: overrides.clone(),
        });
    }
    if let Some(errors) = ConfigErrors::from_problems(problems) {
        return Err(errors);
    }
    let stores = items.into_iter().map(|(name, items)| PlannedStore {
        settings: Arc::clone(&config.stores[name]),
        limits: factory.limits(&config.stores[name]).under(&config.stores[name]),
        items: items.into_iter().collect(),
    });
    Ok(Plan {
        environment: environment.to_owned(),
        variables,
        stores: stores.collect(),
        scopes: Arc::clone(&config.scopes),
    })
}

impl Config {
    /// What is wrong with the settings of its stores, whether an environment uses them or not, in
    /// the order of their names. [`plan`] says it of those that its environment uses.
    pub fn store_problems(&self, factory: &dyn StoreFactory) -> Vec<Diagnostic> {
        self.stores.values().flat_map(|settings| store_problems(settings, factory)).collect()
    }

    /// What works in its stores, but has a price that somebody should know, in the order of their
    /// names.
    pub fn store_warnings(&self, factory: &dyn StoreFactory) -> Vec<Diagnostic> {
        let warning = |settings: &Arc<StoreSettings>| {
            let (Some(cache), Caching::Doubtful(price)) =
                (settings.cache(), factory.caching(settings))
            else {
                return None;
            };
            let message = format!("`cache` of the store `{}`: {price}", settings.name());
            Some(Diagnostic::warning(codes::CACHE, message).at(cache.place.clone()))
        };
        self.stores.values().filter_map(warning).collect()
    }
}

/// The stores the environment uses whose settings are sound; what is wrong with the others is said.
fn usable_stores<'a>(
    config: &'a Config,
    spec: &EnvironmentSpec,
    factory: &dyn StoreFactory,
    problems: &mut Vec<Diagnostic>,
) -> BTreeSet<&'a str> {
    let used: BTreeSet<&str> = spec
        .variables
        .values()
        .filter_map(|variable| match &variable.spec.source {
            SourceSpec::Item { reference, .. } => Some(reference.store.as_str()),
            _ => None,
        })
        .collect();
    let mut usable = BTreeSet::new();
    for (name, settings) in &config.stores {
        if !used.contains(name.as_str()) {
            continue;
        }
        let mut found = store_problems(settings, factory);
        if found.is_empty() {
            usable.insert(name.as_str());
        }
        problems.append(&mut found);
    }
    usable
}

/// What is wrong with the settings of a store.
fn store_problems(settings: &StoreSettings, factory: &dyn StoreFactory) -> Vec<Diagnostic> {
    if !settings.deferred.is_empty() {
        settings.deferred.clone()
    } else if factory.types().contains(&settings.store_type()) {
        let mut problems = factory.validate(settings);
        problems.extend(refused_cache(settings, factory));
        problems
    } else {
        vec![unknown_type(settings, factory)]
    }
}

/// A `cache` that its store has no use for.
fn refused_cache(settings: &StoreSettings, factory: &dyn StoreFactory) -> Option<Diagnostic> {
    let (Some(cache), Caching::Refused(reason)) = (settings.cache(), factory.caching(settings))
    else {
        return None;
    };
    let message = format!("the answers of the store `{}` are not kept: {reason}", settings.name());
    Some(Diagnostic::error(codes::CACHE, message).at(cache.place.clone()).help("remove `cache`"))
}

fn address(
    factory: &dyn StoreFactory,
    settings: &StoreSettings,
    reference: &Reference,
    place: &Place,
) -> Result<Item, Diagnostic> {
    let Reference { path, mut field, version, .. } = reference.clone();
    if factory.fields(settings) == Fields::Extract {
        field = None;
    }
    factory.item(settings, Address { key: path, field, version }).map_err(|error| {
        let message = format!("{reference}: {error}");
        let problem = Diagnostic::error(codes::ADDRESS, message).at(place.clone());
        match error.help() {
            Some(help) => problem.help(help),
            None => problem,
        }
    })
}

fn unknown_environment(config: &Config, wanted: &str) -> Diagnostic {
    let problem = Diagnostic::error(
        codes::UNKNOWN_ENVIRONMENT,
        format!("there is no environment `{wanted}`"),
    );
    let known: Vec<&str> = config.environments().collect();
    match suggest(wanted, known.iter().copied()) {
        Some(likely) => {
            problem.help(format!("did you mean `{likely}`? There are: {}", known.join(", ")))
        }
        None if known.is_empty() => {
            problem.help(format!("{} defines none: add one under `envs`", config.path().display()))
        }
        None => problem.help(format!("there are: {}", known.join(", "))),
    }
}

fn unknown_store(config: &Config, reference: &Reference, place: &Place) -> Diagnostic {
    let problem =
        Diagnostic::error(codes::UNKNOWN_STORE, format!("there is no store `{}`", reference.store))
            .at(place.clone());
    let known: Vec<&str> = config.stores.keys().map(String::as_str).collect();
    match suggest(&reference.store, known.iter().copied()) {
        Some(likely) => problem.help(format!("did you mean `{likely}`?")),
        None if known.is_empty() => problem.help("define it under `secretStores`"),
        None => problem.help(format!("there are: {}", known.join(", "))),
    }
}

fn unknown_type(settings: &StoreSettings, factory: &dyn StoreFactory) -> Diagnostic {
    let (wanted, known) = (settings.store_type(), factory.types());
    let message = format!("the store `{}` has the unknown type `{wanted}`", settings.name());
    let problem =
        Diagnostic::error(codes::UNKNOWN_STORE_TYPE, message).at(settings.type_place.clone());
    if let Some(help) = factory.missing_type_help(wanted) {
        return problem.help(help);
    }
    match suggest(wanted, known.iter().copied()) {
        Some(likely) => problem.help(format!("did you mean `{likely}`?")),
        None => problem.help(format!("there are: {}", known.join(", "))),
    }
}
