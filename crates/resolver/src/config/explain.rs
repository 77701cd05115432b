//! Why a variable of an environment is what it is: its definition, and all that has a say in it.

use super::{Config, Origin, SourceSpec};
use crate::diagnostic::Place;
use crate::transform::Transform;

/// All that is known about a variable without asking a store. Holds no value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The variable.
    pub variable: String,
    /// The environment that was asked about.
    pub environment: String,
    /// The definition that wins.
    pub defined: Origin,
    /// Those it wins over, the nearest first.
    pub overrides: Vec<Origin>,
    /// The source: `literal`, or the reference in its `store://` form; `None` when it cannot be
    /// told, as while a `${…}` is missing.
    pub source: Option<String>,
    /// The store, if the source is an item of one that is defined.
    pub store: Option<ExplainedStore>,
    /// What is done to the value, named chains followed. Without the field of the reference.
    pub transforms: Vec<Transform>,
    /// Whether there is a default.
    pub has_default: bool,
    /// Whether it may be left out.
    pub optional: bool,
    /// The scopes that have it, sorted.
    pub scopes: Vec<String>,
    /// The variables of the process environment that it and its store's settings use, sorted.
    pub expanded: Vec<String>,
}

/// The store of an [`Explanation`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExplainedStore {
    /// Its name.
    pub name: String,
    /// Its type.
    pub store_type: String,
    /// Where it is defined.
    pub place: Place,
    /// The definitions it wins over, the nearest first.
    pub overrides: Vec<Place>,
}

impl Config {
    /// Explains a variable of an environment; `None` when the environment, or the variable in it,
    /// is not there.
    pub fn explain(&self, environment: &str, variable: &str) -> Option<Explanation> {
        let found = self.environments.get(environment)?.variables.get(variable)?;
        let spec = &found.spec;
        let (source, settings) = match &spec.source {
            SourceSpec::Literal(_) => (Some("literal".to_owned()), None),
            SourceSpec::Deferred => (None, None),
            SourceSpec::Item { reference, .. } => {
                (Some(reference.to_string()), self.stores.get(&reference.store))
            }
        };
        let of_store = settings.into_iter().flat_map(|store| &store.expanded);
        let mut expanded: Vec<String> =
            spec.expanded.iter().chain(of_store.map(|(name, _)| name)).cloned().collect();
        expanded.sort_unstable();
        expanded.dedup();
        Some(Explanation {
            variable: variable.to_owned(),
            environment: environment.to_owned(),
            defined: found.origin(),
            overrides: found.overrides.clone(),
            source,
            store: settings.map(|store| ExplainedStore {
                name: store.name().to_owned(),
                store_type: store.store_type().to_owned(),
                place: store.place.clone(),
                overrides: store.overrides.clone(),
            }),
            transforms: spec.transforms.clone(),
            has_default: spec.default.is_some(),
            optional: spec.optional,
            scopes: self.scopes.having(variable).into_iter().map(str::to_owned).collect(),
            expanded,
        })
    }
}
