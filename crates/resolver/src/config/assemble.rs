//! From the documents of a configuration to the whole: what is said later wins.

use std::collections::{BTreeMap, btree_map};
use std::path::PathBuf;
use std::sync::Arc;

use super::chain::{Chain, Chains};
use super::environment::{self, Entry, Layer};
use super::load::Content;
use super::read::Document;
use super::scope::Scopes;
use super::template::Template;
use super::{Config, EnvironmentSpec, sort};
use crate::diagnostic::{Diagnostic, codes, suggest};
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
    let mut scopes = BTreeMap::new();
    let mut templates: Vec<Template> = Vec::new();
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
        scopes.extend(document.scopes);
        for template in document.templates {
            add_template(&mut templates, template, problems);
        }
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
    let environments = environment::flatten(&layers, problems);
    let scopes = Scopes(scopes);
    scopes.check(problems);
    problems.extend(
        templates.iter().filter_map(|template| unknown_environment(template, &environments)),
    );
    sort(&mut warnings);
    Config {
        path,
        version,
        stores: stores.into_iter().map(|(name, settings)| (name, Arc::new(settings))).collect(),
        environments,
        scopes: Arc::new(scopes),
        templates,
        warnings,
        files: Vec::new(),
        content: Content::default(),
        expanded,
    }
}

/// A template of another file with the same name is replaced; in the same file it is a mistake.
fn add_template(templates: &mut Vec<Template>, template: Template, problems: &mut Vec<Diagnostic>) {
    let Some(known) = templates.iter_mut().find(|known| known.name == template.name) else {
        templates.push(template);
        return;
    };
    // The same place is the same file, included twice.
    if known.place.file == template.place.file && known.place != template.place {
        let message = format!(
            "the template `{}` is defined twice (the other one on line {})",
            template.name, known.place.line
        );
        problems.push(
            Diagnostic::error(codes::BAD_NAME, message).at(template.place).help("rename one"),
        );
    } else {
        *known = template;
    }
}

fn unknown_environment(
    template: &Template,
    environments: &BTreeMap<String, EnvironmentSpec>,
) -> Option<Diagnostic> {
    let wanted = template.environment.as_ref().filter(|name| !environments.contains_key(*name))?;
    let message =
        format!("there is no environment `{wanted}` for the template `{}`", template.name);
    let problem = Diagnostic::error(codes::UNKNOWN_ENVIRONMENT, message)
        .at(template.environment_place.clone());
    Some(match suggest(wanted, environments.keys().map(String::as_str)) {
        Some(likely) => problem.help(format!("did you mean `{likely}`?")),
        None => problem,
    })
}
