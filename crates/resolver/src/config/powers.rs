//! What a configuration could do that its user has to agree to, when it came from somebody else.

use std::fs;
use std::path::{Component, Path};

use super::{Config, SourceSpec, Template};
use crate::diagnostic::{Place, codes};
use crate::settings::names_a_secret;
use crate::store::{Power, StoreFactory};

impl Config {
    /// What planning and running an environment of this configuration would let it do: run code in
    /// the child by the name of a variable, read files outside its folder or have templates write
    /// there, give a credential of the environment to a store, and what its stores say of themselves
    /// ([`StoreFactory::powers`]). In the order of the text, each once.
    ///
    /// `is_dangerous` says which names of variables make programs run code or load files.
    /// Stores that the environment does not use count too; those of types that `factory` does not
    /// make do not.
    pub fn powers(
        &self,
        environment: &str,
        factory: &dyn StoreFactory,
        is_dangerous: &dyn Fn(&str) -> bool,
    ) -> Vec<Power> {
        let mut powers = Vec::new();
        for file in self.files.iter().filter(|file| file.outside) {
            if let Some(place) = &file.included_at {
                let what = format!("reads {}, which is outside its folder", file.path.display());
                powers.push(Power { code: codes::POWER_INCLUDE, what, place: place.clone() });
            }
        }
        powers.extend(self.templates().iter().flat_map(|template| self.powers_of(template)));
        let variables = self.environments.get(environment).map(|spec| &spec.variables);
        for (name, variable) in variables.into_iter().flatten() {
            if is_dangerous(name) {
                let what = format!("sets {name}, by which programs run code or load files");
                let place = variable.spec.place.clone();
                powers.push(Power { code: codes::POWER_VARIABLE, what, place });
            }
        }
        for settings in self.stores.values() {
            if settings.deferred.is_empty() && factory.types().contains(&settings.store_type()) {
                powers.extend(factory.powers(settings));
            }
            // A credential of the environment goes wherever the settings say.
            for name in
                self.sent_to(settings.name()).into_iter().filter(|name| names_a_secret(name))
            {
                let what = format!("gives the environment variable {name} to a store");
                powers.push(Power {
                    code: codes::POWER_EXPANSION,
                    what,
                    place: settings.place.clone(),
                });
            }
        }
        let key = |power: &Power| {
            let Place { file, line, column, .. } = &power.place;
            (file.clone(), *line, *column, power.code, power.what.clone())
        };
        powers.sort_by_cached_key(key);
        powers.dedup();
        powers
    }

    /// What rendering a template would do outside the folder of the configuration.
    fn powers_of<'a>(&'a self, template: &'a Template) -> impl Iterator<Item = Power> + 'a {
        let paths = [("reads", &template.template_path), ("writes", &template.out)];
        paths.into_iter().filter_map(|(does, path)| {
            let path = path.as_deref().filter(|path| leaves(self.base_dir(), path))?;
            let what = format!(
                "{does} {} for the template `{}`, which is outside its folder",
                path.display(),
                template.name
            );
            Some(Power { code: codes::POWER_TEMPLATE, what, place: template.place.clone() })
        })
    }

    /// The variables of the environment that a store's settings, or the references to it, use.
    fn sent_to(&self, store: &str) -> Vec<&str> {
        let own = self.stores[store].expanded.iter().map(|(name, _)| name.as_str());
        let specs = self.environments.values().flat_map(|spec| spec.variables.values());
        let of_variables = specs
            .filter(|variable| match &variable.spec.source {
                SourceSpec::Item { reference, .. } => reference.store == store,
                _ => false,
            })
            .flat_map(|variable| variable.spec.expanded.iter().map(String::as_str));
        let mut names: Vec<&str> = own.chain(of_variables).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Whether a path in a configuration ends up outside its folder, links followed. What cannot be
/// told counts as outside.
fn leaves(base: &Path, path: &Path) -> bool {
    let Ok(root) = fs::canonicalize(base) else { return true };
    let path = base.join(path);
    // What is not there yet has no links; the nearest folder that is there decides.
    let mut missing = path.components();
    let real = loop {
        match fs::canonicalize(missing.as_path()) {
            Ok(real) => break real,
            // A link to nothing is still a link.
            Err(_) if missing.as_path().is_symlink() => return true,
            Err(_) => match missing.next_back() {
                Some(Component::Normal(_)) => {}
                _ => return true,
            },
        }
    };
    !real.starts_with(&root)
}
