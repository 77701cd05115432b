//! The configuration: what a `dsops.yaml` says, checked, before anything is chosen from it.
//!
//! Versions 0 and 1 of the format load. A key that means nothing is an error with its place, all
//! problems are reported at once, and whatever loads but is not acted upon is a warning
//! (`config/not-acted-upon`): the sections `services`,
//! `service_groups`, `rotation`, `policies`, `notifications` and `metrics`, and `service` and `rotation`
//! of a variable.
//!
//! Files that `include` names come first, in their order, then the file itself; what is said later
//! wins, for each store, variable, transform, scope and template by its name. An environment
//! starts from those it `extends`. Both keep every place a variable was defined at.
//!
//! `${VAR}` is put in while loading, from a source that the caller gives ([`LoadOptions`]), in the
//! settings of stores, in `from`, `literal` and `default`: literals too, because the format's
//! documents show it there, and because a text without `${` never changes. What cannot be put in
//! is a problem of the environments that use it, not of the others, as is a reference to a
//! service.
//!
//! Literal values move into protected memory, and the text of the files is wiped. What is kept for
//! error messages has every value masked that may be a secret.

mod assemble;
mod chain;
mod discovery;
mod environment;
mod expand;
mod explain;
mod foreign;
mod lint;
mod load;
mod migrate;
mod powers;
mod read;
mod scope;
mod template;
mod variable;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsops_secure_mem::SecretBytes;

use crate::diagnostic::{Diagnostic, Place, codes};
use crate::reference::Reference;
use crate::settings::StoreSettings;
use crate::transform::Transform;

pub use discovery::find_config;
pub use environment::Origin;
pub(crate) use environment::{EnvironmentSpec, Variable};
pub use expand::Variables;
pub use explain::{ExplainedStore, Explanation};
pub use load::ConfigFile;
pub use migrate::{Change, Migration, migrate};
pub(crate) use scope::Scopes;
pub use scope::{Scope, Selection};
pub use template::Template;

/// The name of the configuration file.
pub const FILE_NAME: &str = "dsops.yaml";

/// A larger configuration is refused.
pub const MAX_CONFIG_BYTES: usize = 1 << 20;

/// A configuration that was read and found sound by itself.
#[derive(Debug)]
pub struct Config {
    path: PathBuf,
    version: u8,
    pub(crate) stores: BTreeMap<String, Arc<StoreSettings>>,
    pub(crate) environments: BTreeMap<String, EnvironmentSpec>,
    pub(crate) scopes: Arc<Scopes>,
    templates: Vec<Template>,
    warnings: Vec<Diagnostic>,
    files: Vec<ConfigFile>,
    content: load::Content,
    /// The variables of the environment that were asked for, and whether where a secret may be.
    expanded: BTreeMap<String, bool>,
}

/// How to load a configuration.
#[derive(Clone, Copy, Default)]
#[non_exhaustive]
pub struct LoadOptions<'a> {
    /// Where `${VAR}` takes its values from. Without it, `${…}` is an error of what uses it.
    pub variables: Option<&'a Variables<'a>>,
}

impl<'a> LoadOptions<'a> {
    /// Without a source of variables.
    pub const fn new() -> Self {
        Self { variables: None }
    }

    /// With a source of variables.
    #[must_use]
    pub const fn variables(mut self, variables: &'a Variables<'a>) -> Self {
        self.variables = Some(variables);
        self
    }
}

impl fmt::Debug for LoadOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadOptions").field("variables", &self.variables.is_some()).finish()
    }
}

/// One variable as written.
#[derive(Debug)]
pub(crate) struct VariableSpec {
    pub(crate) place: Place,
    pub(crate) source: SourceSpec,
    pub(crate) optional: bool,
    pub(crate) default: Option<Arc<SecretBytes>>,
    /// Its transforms as written; gone once the names in them are known.
    steps: Vec<chain::Step>,
    pub(crate) transforms: Vec<Transform>,
    /// What a plan that needs the variable will say.
    pub(crate) deferred: Vec<Diagnostic>,
    /// The variables of the environment that it uses.
    pub(crate) expanded: Vec<String>,
}

/// Where a variable's value is to come from.
#[derive(Debug)]
pub(crate) enum SourceSpec {
    Literal(Arc<SecretBytes>),
    Item {
        reference: Reference,
        /// Where the reference stands.
        place: Place,
    },
    /// Something that `deferred` tells of.
    Deferred,
}

impl Config {
    /// Reads and checks a file and those it includes, without a source for `${VAR}`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigErrors> {
        Self::load_with(path, &LoadOptions::new())
    }

    /// Reads and checks a file and those it includes.
    ///
    /// ```
    /// use dsops_resolver::{Config, LoadOptions};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("dsops.yaml");
    /// # #[allow(clippy::disallowed_methods)]
    /// # std::fs::write(&path, "envs: { dev: { GREETING: { literal: 'hello ${NAME}' } } }")?;
    /// let variables = |name: &str| (name == "NAME").then(|| "world".into());
    /// let config = Config::load_with(&path, &LoadOptions::new().variables(&variables))?;
    /// assert_eq!(config.expanded_variables().collect::<Vec<_>>(), ["NAME"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load_with(
        path: impl AsRef<Path>,
        options: &LoadOptions<'_>,
    ) -> Result<Self, ConfigErrors> {
        load::file(path.as_ref(), options)
    }

    /// Checks a text that includes no files; `name` is what errors call it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigErrors> {
        load::text(name, text, &LoadOptions::new(), false)
    }

    /// Checks a text as if it stood in the file `path`, from which `include` starts: for one that
    /// is about to be written there.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse_at(
        path: impl AsRef<Path>,
        text: &str,
        options: &LoadOptions<'_>,
    ) -> Result<Self, ConfigErrors> {
        let path = path.as_ref();
        let mut config = load::text(&path.display().to_string(), text, options, true)?;
        path.clone_into(&mut config.path);
        Ok(config)
    }

    /// Reads the `dsops.yaml` in a folder or in the nearest one above it.
    ///
    /// # Errors
    /// That there is none, or all that is wrong with it.
    pub fn discover(start_dir: impl AsRef<Path>) -> Result<Self, ConfigErrors> {
        let start_dir = start_dir.as_ref();
        let Some(path) = find_config(start_dir) else {
            let message = format!("there is no {FILE_NAME} in {} or above it", start_dir.display());
            return Err(ConfigErrors::one(not_found(message)));
        };
        Self::load(path)
    }

    /// The file it was read from, or the name it was parsed under.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that relative paths in the configuration start from.
    pub fn base_dir(&self) -> &Path {
        load::folder(&self.path)
    }

    /// 0 or 1.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// The names of the environments, sorted.
    pub fn environments(&self) -> impl ExactSizeIterator<Item = &str> {
        self.environments.keys().map(String::as_str)
    }

    /// The environment, if there is exactly one.
    pub fn only_environment(&self) -> Option<&str> {
        let mut names = self.environments();
        names.next().filter(|_| names.len() == 0)
    }

    /// The names of an environment's variables, inherited ones included, sorted; none if there is
    /// no such environment.
    pub fn variables<'a>(&'a self, environment: &str) -> impl Iterator<Item = &'a str> {
        let spec = self.environments.get(environment);
        spec.into_iter().flat_map(|spec| spec.variables.keys()).map(String::as_str)
    }

    /// The stores of `secretStores` and `providers`, sorted by name.
    pub fn stores(&self) -> impl ExactSizeIterator<Item = &StoreSettings> {
        self.stores.values().map(|store| &**store)
    }

    /// The files it was read from: itself, then what it includes, in the order of reading.
    pub fn files(&self) -> &[ConfigFile] {
        &self.files
    }

    /// SHA-256 over all files read, in hexadecimal: names relative to the folder of the
    /// configuration, and bytes. The same files in another place have the same hash.
    pub fn content_hash(&self) -> &str {
        self.content.hash()
    }

    /// The variables of the environment that `${…}` asked for, sorted.
    pub fn expanded_variables(&self) -> impl Iterator<Item = &str> {
        self.expanded.keys().map(String::as_str)
    }

    /// Those of them that are part of a store's setting whose name says that it is a secret, as
    /// `token` does: what a child has no need of.
    pub fn expanded_credentials(&self) -> impl Iterator<Item = &str> {
        self.expanded.iter().filter(|(_, credential)| **credential).map(|(name, _)| name.as_str())
    }

    /// The names of the environments that one inherits from, itself included.
    pub fn ancestors<'a>(&'a self, environment: &'a str) -> BTreeSet<&'a str> {
        environment::ancestors(&self.environments, environment)
    }

    /// The scopes, sorted by name.
    pub fn scopes(&self) -> impl ExactSizeIterator<Item = (&str, &Scope)> {
        self.scopes.0.iter().map(|(name, scope)| (name.as_str(), scope))
    }

    /// The templates, in the order of the text.
    pub fn templates(&self) -> &[Template] {
        &self.templates
    }

    /// What loads but is not acted upon.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }
}

/// All that is wrong with a configuration or a plan, in the order of the text, each thing once.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    diagnostics: Vec<Diagnostic>,
}

impl ConfigErrors {
    pub(crate) fn one(diagnostic: Diagnostic) -> Self {
        Self { diagnostics: vec![diagnostic] }
    }

    /// `None` when there is nothing wrong.
    pub(crate) fn from_problems(mut diagnostics: Vec<Diagnostic>) -> Option<Self> {
        sort(&mut diagnostics);
        (!diagnostics.is_empty()).then_some(Self { diagnostics })
    }

    /// The problems; at least one.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

impl IntoIterator for ConfigErrors {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.diagnostics.into_iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = &self.diagnostics[0];
        if let Some(place) = &first.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&first.message)?;
        match self.diagnostics.len() - 1 {
            0 => Ok(()),
            1 => f.write_str(" (and 1 more problem)"),
            more => write!(f, " (and {more} more problems)"),
        }
    }
}

impl std::error::Error for ConfigErrors {}

/// In the order of the text, each once: an anchor may bring the same problem to several places.
pub(crate) fn sort(diagnostics: &mut Vec<Diagnostic>) {
    let key = |d: &Diagnostic| {
        let place = d.place.as_ref().map(|place| (place.file.clone(), place.line, place.column));
        (place, d.code, d.message.clone())
    };
    diagnostics.sort_by_cached_key(key);
    diagnostics.dedup();
}

fn not_found(message: String) -> Diagnostic {
    Diagnostic::error(codes::NOT_FOUND, message)
        .help("`dsops init` makes one; `--config FILE` names another")
}
