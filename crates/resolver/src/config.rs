//! The configuration: what a `dsops.yaml` says, checked, before anything is chosen from it.
//!
//! Versions 0 and 1 of the format load. A key that means nothing is an error with its place, all
//! problems are reported at once, and whatever loads but is not acted upon is a warning:
//!
//! - `services`, `policies`, `notifications`, `metrics`, `templates` and `transforms` load without
//!   being looked at, with the warning `config/not-acted-upon`.
//! - `transform`, `extends`, `service` references and `${…}` expansion are part of the format but
//!   not supported yet: they load, and a plan for an environment that uses them fails with
//!   `config/not-supported`. They are never ignored and never taken literally.
//!
//! Literal values move into protected memory, and the text of the file is wiped. What is kept for
//! error messages has every value masked that may be a secret.

mod discovery;
mod read;
mod variable;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsops_secure_mem::SecretBytes;
use zeroize::Zeroizing;

use crate::diagnostic::{Diagnostic, Place, codes};
use crate::reference::Reference;
use crate::settings::{StoreSettings, syntax_diagnostic};
use crate::source::Source;
use crate::yaml::{self, Limits};

pub use discovery::find_config;
pub(crate) use variable::has_expansion;

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
    warnings: Vec<Diagnostic>,
}

/// One environment: its variables, and what keeps it from being planned.
#[derive(Debug, Default)]
pub(crate) struct EnvironmentSpec {
    pub(crate) variables: BTreeMap<String, VariableSpec>,
    pub(crate) unsupported: Vec<Diagnostic>,
}

/// One variable as written.
#[derive(Debug)]
pub(crate) struct VariableSpec {
    pub(crate) place: Place,
    pub(crate) source: SourceSpec,
    pub(crate) optional: bool,
    pub(crate) default: Option<Arc<SecretBytes>>,
    pub(crate) unsupported: Vec<Diagnostic>,
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
    /// Something that `unsupported` tells of.
    Unsupported,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigErrors> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let bytes = read_file(path).map_err(|error| {
            let problem = match error.kind() {
                io::ErrorKind::NotFound => not_found(format!("there is no {name}")),
                io::ErrorKind::FileTooLarge => too_large(&name),
                _ => Diagnostic::error(codes::IO, format!("cannot read {name}: {error}")),
            };
            ConfigErrors::one(problem)
        })?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let message =
                format!("{name} is not UTF-8: byte {} is the first bad one", error.valid_up_to());
            ConfigErrors::one(
                Diagnostic::error(codes::NOT_UTF8, message)
                    .help("save it as UTF-8 without other encodings"),
            )
        })?;
        let mut config = Self::parse(&name, text)?;
        path.clone_into(&mut config.path);
        Ok(config)
    }

    /// Checks a text; `name` is what errors call it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigErrors> {
        if text.len() > MAX_CONFIG_BYTES {
            return Err(ConfigErrors::one(too_large(name)));
        }
        let limits = Limits { text_bytes: MAX_CONFIG_BYTES, depth: 32, nodes: 100_000 };
        let root = yaml::parse_with(text, limits).map_err(|error| {
            ConfigErrors::one(syntax_diagnostic(&error, &Source::unparsed(name, text)))
        })?;
        let source = Arc::new(Source::new(name, text, &root, read::is_shown));
        read::document(root, source)
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
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
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

    /// The stores of `secretStores` and `providers`, sorted by name.
    pub fn stores(&self) -> impl ExactSizeIterator<Item = &StoreSettings> {
        self.stores.values().map(|store| &**store)
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
        let place = d.place.as_ref().map(|place| (place.line, place.column));
        (place, d.code, d.message.clone())
    };
    diagnostics.sort_by_cached_key(key);
    diagnostics.dedup();
}

fn not_found(message: String) -> Diagnostic {
    Diagnostic::error(codes::NOT_FOUND, message)
        .help("`dsops init` makes one; `--config FILE` names another")
}

fn too_large(name: &str) -> Diagnostic {
    let message = format!("{name} is larger than {MAX_CONFIG_BYTES} bytes");
    Diagnostic::error(codes::TOO_LARGE, message)
}

fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Asked before it is opened: opening a FIFO waits for someone who writes to it.
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = File::open(path)?;
    // One allocation of the right size: a vector that grows leaves copies behind.
    let expected = usize::try_from(metadata.len()).unwrap_or(usize::MAX).min(MAX_CONFIG_BYTES);
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected + 1));
    file.take(MAX_CONFIG_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_CONFIG_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}
