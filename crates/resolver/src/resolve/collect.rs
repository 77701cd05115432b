//! From the answers of the stores to the values of the variables: all, or every failure.

use std::collections::HashMap;
use std::sync::Arc;

use dsops_secure_mem::SecretBytes;

use crate::error::StoreError;
use crate::plan::{Plan, PlannedSource};
use crate::store::Item;
use crate::transform::Transform;

use super::cached::FromCache;
use super::failure::{Failures, ResolveCause, ResolveErrors};

/// The values of an environment, sorted by name.
#[derive(Debug, Default)]
pub struct Resolved {
    values: Vec<(String, Arc<SecretBytes>)>,
    missing: Vec<String>,
    defaulted: Vec<String>,
    cached: Vec<FromCache>,
}

impl Resolved {
    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&SecretBytes> {
        let index = self.values.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok()?;
        Some(&self.values[index].1)
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &SecretBytes)> {
        self.values.iter().map(|(name, value)| (name.as_str(), &**value))
    }

    /// How many variables have a value.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether no variable has a value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The optional variables that were left out, sorted.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// What came from the cache and not from a store, by store.
    pub fn cached(&self) -> &[FromCache] {
        &self.cached
    }

    pub(super) fn with_cached(self, cached: Vec<FromCache>) -> Self {
        Self { cached, ..self }
    }

    /// The variables that got their default, sorted.
    pub fn defaulted(&self) -> &[String] {
        &self.defaulted
    }
}

impl IntoIterator for Resolved {
    type Item = (String, Arc<SecretBytes>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.values.into_iter()
    }
}

/// One result for each item of a planned store.
type Fetched = Vec<Result<SecretBytes, StoreError>>;

/// Gives each variable its value; `fetched` is in the order of the plan's stores.
pub(super) fn collect(plan: &Plan, fetched: Vec<Fetched>) -> Result<Resolved, ResolveErrors> {
    let mut results: HashMap<(&str, &Item), Result<Arc<SecretBytes>, StoreError>> = HashMap::new();
    for (store, fetched) in plan.stores.iter().zip(fetched) {
        for (item, result) in store.items.iter().zip(fetched) {
            results.insert((store.settings.name(), item), result.map(Arc::new));
        }
    }
    let mut resolved = Resolved::default();
    let mut failures = Failures::default();
    for variable in &plan.variables {
        let (field, transforms) = match variable.transforms.split_first() {
            Some((first, rest)) if first.is_field() => (Some(first), rest),
            _ => (None, &*variable.transforms),
        };
        let found = match &variable.source {
            PlannedSource::Literal(value) => Ok(Arc::clone(value)),
            PlannedSource::Item { reference, item } => {
                match (&results[&(reference.store.as_str(), item)], field) {
                    (Ok(value), None) => Ok(Arc::clone(value)),
                    (Ok(value), Some(field)) => {
                        field.apply(value).map(Arc::new).map_err(ResolveCause::Field)
                    }
                    (Err(error), _) => Err(ResolveCause::Store(error.clone())),
                }
            }
        };
        let name = &variable.name;
        let value = match (found, &variable.default) {
            (Ok(value), _) => value,
            (Err(cause), Some(default)) if cause.is_missing() => {
                resolved.defaulted.push(name.clone());
                resolved.values.push((name.clone(), Arc::clone(default)));
                continue;
            }
            (Err(cause), None) if cause.is_missing() && variable.optional => {
                resolved.missing.push(name.clone());
                continue;
            }
            (Err(cause), _) => {
                failures.add(variable, cause);
                continue;
            }
        };
        match transformed(value, transforms) {
            Ok(value) => resolved.values.push((name.clone(), value)),
            Err(cause) => failures.add(variable, cause),
        }
    }
    match failures.into_errors(plan.variables.len()) {
        Some(errors) => Err(errors),
        None => Ok(resolved),
    }
}

fn transformed(
    mut value: Arc<SecretBytes>,
    transforms: &[Transform],
) -> Result<Arc<SecretBytes>, ResolveCause> {
    for (index, transform) in transforms.iter().enumerate() {
        let applied = transform.apply(&value);
        let (step, of) = (index + 1, transforms.len());
        value = Arc::new(applied.map_err(|error| ResolveCause::Transform { step, of, error })?);
    }
    Ok(value)
}
