//! From the answers of the stores to the values of the variables: all, or every failure.

use std::collections::HashMap;
use std::sync::Arc;

use dsops_secure_mem::SecretBytes;

use crate::error::StoreError;
use crate::plan::{Plan, PlannedSource, PlannedVariable};
use crate::store::Item;

use super::failure::{Failures, ResolveErrors};

/// The values of an environment, sorted by name.
#[derive(Debug, Default)]
pub struct Resolved {
    values: Vec<(String, Arc<SecretBytes>)>,
    missing: Vec<String>,
    defaulted: Vec<String>,
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
        let PlannedVariable { name, source, optional, default, .. } = variable;
        let mut give =
            |value: &Arc<SecretBytes>| resolved.values.push((name.clone(), Arc::clone(value)));
        let (store, item) = match source {
            PlannedSource::Literal(value) => {
                give(value);
                continue;
            }
            PlannedSource::Item { reference, item } => (reference.store.as_str(), item),
        };
        match &results[&(store, item)] {
            Ok(value) => give(value),
            Err(StoreError::NotFound { .. }) if let Some(default) = default => {
                give(default);
                resolved.defaulted.push(name.clone());
            }
            Err(StoreError::NotFound { .. }) if *optional => resolved.missing.push(name.clone()),
            Err(error) => failures.add(variable, store, error),
        }
    }
    match failures.into_errors(plan.variables.len()) {
        Some(errors) => Err(errors),
        None => Ok(resolved),
    }
}
