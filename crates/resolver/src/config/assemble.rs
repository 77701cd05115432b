//! From the documents of a configuration to the whole: what is said later wins.

use std::collections::{BTreeMap, btree_map};
use std::path::PathBuf;
use std::sync::Arc;

use super::chain::{Chain, Chains};
use super::environment::{self, Entry, Layer};
use super::read::Document;
use super::{Config, sort};
use crate::diagnostic::Diagnostic;
use crate::settings::StoreSettings;

/// Puts documents together, the later over the earlier; the last is the configuration itself.
pub(super) fn config(
    path: PathBuf,
    documents: Vec<Document>,
    problems: &mut Vec<Diagnostic>,
) -> Config {
    let version = documents.last().and_then(|document| document.version).unwrap_or(0);
    let mut stores: BTreeMap<String, StoreSettings> = BTreeMap::new();
    let mut layers: BTreeMap<String, Vec<Layer>> = BTreeMap::new();
    let mut chains: BTreeMap<String, Chain> = BTreeMap::new();
    let mut expanded: BTreeMap<String, bool> = BTreeMap::new();
    let mut warnings = Vec::new();
    for document in documents {
        for (name, mut settings) in document.stores {
            match stores.entry(name) {
                btree_map::Entry::Vacant(entry) => {
                    entry.insert(settings);
                }
                btree_map::Entry::Occupied(mut entry) => {
                    // The same file, included twice, says nothing new.
                    if entry.get().place != settings.place {
                        settings.overrides.push(entry.get().place.clone());
                        settings.overrides.extend(entry.get().overrides.iter().cloned());
                    }
                    entry.insert(settings);
                }
            }
        }
        chains.extend(document.chains);
        for (name, layer) in document.environments {
            layers.entry(name).or_default().push(layer);
        }
        for name in document.expanded {
            expanded.entry(name).or_default();
        }
        warnings.extend(document.warnings);
    }
    for (name, credential) in stores.values().flat_map(|settings| &settings.expanded) {
        *expanded.entry(name.clone()).or_default() |= credential;
    }
    let chains = Chains::new(&chains, problems);
    for entry in layers.values_mut().flatten().flat_map(|layer| layer.entries.values_mut()) {
        if let Entry::Set(spec) = entry
            && let Some(spec) = Arc::get_mut(spec)
            && !spec.steps.is_empty()
        {
            spec.transforms = chains.expand(&std::mem::take(&mut spec.steps), problems);
        }
    }
    let environments = environment::flatten(layers, problems);
    sort(&mut warnings);
    Config {
        path,
        version,
        stores: stores.into_iter().map(|(name, settings)| (name, Arc::new(settings))).collect(),
        environments,
        warnings,
        files: Vec::new(),
        content_hash: String::new(),
        expanded,
    }
}
