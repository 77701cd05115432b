//! From the layers of an environment, over files and `extends`, to its variables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::VariableSpec;
use crate::diagnostic::{Diagnostic, Place, codes, suggest};

/// More variables than this, those inherited counted each time, are refused.
const MAX_VARIABLES: usize = 100_000;

/// `extends` may go this far up.
const MAX_DEPTH: usize = 32;

/// What one file says about an environment.
#[derive(Debug)]
pub(super) struct Layer {
    /// The environments it starts from, if it says so: later ones win.
    pub(super) extends: Option<Vec<(String, Place)>>,
    pub(super) entries: BTreeMap<String, Entry>,
}

/// What a layer says about a variable.
#[derive(Debug)]
pub(super) enum Entry {
    Set(Arc<VariableSpec>),
    /// `NAME: null`: without the one that would be inherited.
    Removed(Place),
    /// What is wrong with it has been reported.
    Broken,
}

/// A place that has a say in a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The environment it is defined in.
    pub environment: Arc<str>,
    /// Where its name stands.
    pub place: Place,
}

/// One environment with all it inherits.
#[derive(Debug, Default)]
pub(crate) struct EnvironmentSpec {
    pub(crate) variables: BTreeMap<String, Variable>,
    /// The environments it extends, as written.
    pub(crate) extends: Vec<String>,
}

/// A variable of an environment: the definition that wins, and those it wins over.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub(crate) spec: Arc<VariableSpec>,
    pub(crate) environment: Arc<str>,
    /// The nearest first.
    pub(crate) overrides: Vec<Origin>,
}

impl Variable {
    pub(crate) fn origin(&self) -> Origin {
        Origin { environment: Arc::clone(&self.environment), place: self.spec.place.clone() }
    }

    /// Puts this one over what is there.
    fn over(mut self, below: Option<&Self>) -> Self {
        // The same definition by two ways does not override itself.
        if let Some(below) = below.filter(|below| !Arc::ptr_eq(&below.spec, &self.spec)) {
            let chain = std::iter::once(below.origin()).chain(below.overrides.iter().cloned());
            for origin in chain {
                if !self.overrides.contains(&origin) {
                    self.overrides.push(origin);
                }
            }
        }
        self
    }
}

/// Puts the layers of each environment together; the last layer wins.
pub(super) fn flatten(
    layers: &BTreeMap<String, Vec<Layer>>,
    problems: &mut Vec<Diagnostic>,
) -> BTreeMap<String, EnvironmentSpec> {
    let mut flattener = Flattener {
        layers,
        done: BTreeMap::new(),
        path: Vec::new(),
        left: MAX_VARIABLES,
        problems,
    };
    for name in layers.keys() {
        flattener.environment(name);
    }
    flattener.done
}

struct Flattener<'a> {
    layers: &'a BTreeMap<String, Vec<Layer>>,
    done: BTreeMap<String, EnvironmentSpec>,
    /// The environments on the way here.
    path: Vec<&'a str>,
    left: usize,
    problems: &'a mut Vec<Diagnostic>,
}

impl<'a> Flattener<'a> {
    fn environment(&mut self, name: &'a str) {
        if self.done.contains_key(name) {
            return;
        }
        let layers = &self.layers[name];
        let parents = layers.iter().rev().find_map(|layer| layer.extends.as_deref());
        self.path.push(name);
        let mut variables = BTreeMap::new();
        let mut sound = true;
        for (parent, place) in parents.unwrap_or_default() {
            sound &= self.inherit(parent, place, &mut variables);
        }
        self.path.pop();
        let environment: Arc<str> = name.into();
        for layer in layers {
            self.lay(layer, &environment, sound, parents.is_some(), &mut variables);
        }
        let extends = parents.unwrap_or_default().iter().map(|(name, _)| name.clone()).collect();
        self.left = self.left.saturating_sub(variables.len());
        self.done.insert(name.to_owned(), EnvironmentSpec { variables, extends });
    }

    /// Adds what an environment has; whether that is all it has.
    fn inherit(
        &mut self,
        parent: &'a str,
        place: &Place,
        variables: &mut BTreeMap<String, Variable>,
    ) -> bool {
        if let Some(from) = self.path.iter().position(|name| *name == parent) {
            let circle: Vec<&str> = self.path[from..].iter().copied().chain([parent]).collect();
            let message = format!("`extends` goes in a circle: {}", circle.join(" → "));
            self.problem(codes::EXTENDS, message, place, "remove one of them");
            return false;
        }
        if !self.layers.contains_key(parent) {
            // The one that extends it is not what was meant.
            let is_other = |name: &&str| self.path.last() != Some(name);
            let known = self.layers.keys().map(String::as_str).filter(is_other);
            let help = match suggest(parent, known.clone()) {
                Some(likely) => format!("did you mean `{likely}`?"),
                None if known.clone().next().is_none() => "define it under `envs`".to_owned(),
                None => format!("there are: {}", known.collect::<Vec<_>>().join(", ")),
            };
            let message = format!("there is no environment `{parent}` to extend");
            self.problem(codes::EXTENDS, message, place, &help);
            return false;
        }
        if self.path.len() >= MAX_DEPTH {
            let message = format!("`extends` goes through more than {MAX_DEPTH} environments");
            self.problem(codes::EXTENDS, message, place, "extend fewer of them");
            return false;
        }
        self.environment(parent);
        // In a circle the parent may still be on its way.
        let Some(inherited) = self.done.get(parent) else { return false };
        if inherited.variables.len() > self.left {
            let message = format!(
                "the environments have more than {MAX_VARIABLES} variables, inherited ones included"
            );
            self.problem(codes::EXTENDS, message, place, "extend fewer of them");
            return false;
        }
        self.left -= inherited.variables.len();
        for (name, variable) in &inherited.variables {
            let variable = variable.clone().over(variables.get(name));
            variables.insert(name.clone(), variable);
        }
        true
    }

    fn lay(
        &mut self,
        layer: &Layer,
        environment: &Arc<str>,
        sound: bool,
        inherits: bool,
        variables: &mut BTreeMap<String, Variable>,
    ) {
        for (name, entry) in &layer.entries {
            match entry {
                Entry::Broken => {}
                Entry::Set(spec) => {
                    let variable = Variable {
                        spec: Arc::clone(spec),
                        environment: Arc::clone(environment),
                        overrides: Vec::new(),
                    };
                    let variable = variable.over(variables.get(name));
                    variables.insert(name.clone(), variable);
                }
                Entry::Removed(place) => {
                    if variables.remove(name).is_some() || !sound {
                        continue;
                    }
                    if inherits {
                        let message = format!("there is no inherited `{name}` to remove");
                        let help = match suggest(name, variables.keys().map(String::as_str)) {
                            Some(likely) => format!("did you mean `{likely}`?"),
                            None => "remove the line".to_owned(),
                        };
                        self.problem(codes::SOURCE, message, place, &help);
                    } else {
                        let message = format!("the variable `{name}` has no source");
                        let help = "give it `from: store://NAME/PATH` or `literal: …`";
                        self.problem(codes::SOURCE, message, place, help);
                    }
                }
            }
        }
    }

    fn problem(&mut self, code: &'static str, message: String, place: &Place, help: &str) {
        self.problems.push(Diagnostic::error(code, message).at(place.clone()).help(help));
    }
}

/// The environments that a name stands for when all that are extended are followed.
pub(super) fn ancestors<'a>(
    environments: &'a BTreeMap<String, EnvironmentSpec>,
    name: &'a str,
) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut next = vec![name];
    while let Some(name) = next.pop() {
        if let Some(spec) = environments.get(name)
            && seen.insert(name)
        {
            next.extend(spec.extends.iter().map(String::as_str));
        }
    }
    seen
}
