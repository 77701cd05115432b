//! Documents from what cargo knows of a workspace: `cargo metadata` and `Cargo.lock`.
//!
//! The graph is the one that cargo resolves for the features and the target that are asked for: normal and
//! build dependencies from one package on, none that only tests need. Nothing is built, no build script runs.

mod graph;
mod lock;
mod tree;

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dsops_json::{Fields, JsonError};

use crate::model::{Document, Party};

pub use lock::{LockError, Lockfile};

/// The answer of `cargo metadata` is read up to this size.
const LIMIT_METADATA_BYTES: u64 = 256 << 20;

/// What to list.
#[derive(Clone, Debug)]
pub struct Options {
    /// The package that was built; without it, the one of the folder, or the only default member.
    pub package: Option<String>,
    /// The program that was built: another way to name the package.
    pub bin: Option<String>,
    /// Features it was built with.
    pub features: Vec<String>,
    /// Whether it was built with all features.
    pub all_features: bool,
    /// Whether it was built without the default ones.
    pub no_default_features: bool,
    /// The target it was built for; without it, cargo's host.
    pub target: Option<String>,
    /// Whether cargo must not use the network.
    pub offline: bool,
    /// Who supplies the packages of the workspace, where their manifests name no author.
    pub supplier: Option<Party>,
    /// The program.
    pub cargo: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            package: None,
            bin: None,
            features: Vec::new(),
            all_features: false,
            no_default_features: false,
            target: None,
            offline: false,
            supplier: None,
            cargo: PathBuf::from("cargo"),
        }
    }
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CargoError {
    /// Cargo could not be started.
    #[error("cannot run {}", .program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Cargo says no.
    #[error("cargo failed: {message}")]
    Failed {
        /// The last line of what it says.
        message: String,
    },
    /// Its answer is not what `cargo metadata` prints.
    #[error("the answer of `cargo metadata` cannot be read")]
    Metadata(#[source] JsonError),
    /// Its answer does not end.
    #[error("the answer of `cargo metadata` has more than {LIMIT_METADATA_BYTES} bytes")]
    TooLarge,
    /// There is no such package.
    #[error("the workspace has no {what} `{}`", .name.escape_debug())]
    NoSuch {
        /// A package or a program.
        what: &'static str,
        /// Its name.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// Several packages could be meant.
    #[error("the workspace has several packages")]
    WhichPackage {
        /// Those there are.
        known: Vec<String>,
    },
    /// The lock file could not be read.
    #[error("cannot read {}", .path.display())]
    ReadLock {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The lock file is not what cargo writes.
    #[error("Cargo.lock cannot be used")]
    Lock(#[from] LockError),
}

impl CargoError {
    /// What to do next, where there is something.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Start { .. } => Some(
                "install cargo, or list a binary that was built with `cargo auditable`".to_owned(),
            ),
            Self::Failed { message } if message.contains("--locked") => {
                Some("bring Cargo.lock up to date: a list must say what is locked".to_owned())
            }
            Self::NoSuch { known, .. } if !known.is_empty() => {
                Some(format!("there are {}", known.join(", ")))
            }
            Self::WhichPackage { known } => Some(format!("name one: {}", known.join(", "))),
            _ => None,
        }
    }
}

impl From<JsonError> for CargoError {
    fn from(error: JsonError) -> Self {
        Self::Metadata(error)
    }
}

/// Lists what is in a package of the workspace at `path`, a folder or a `Cargo.toml`.
///
/// The document has no date and no creators yet.
///
/// # Errors
/// [`CargoError`] says why there is none.
///
/// # Security
/// Runs `cargo metadata` and `cargo tree` there: cargo obeys the configuration of that folder, and may download crates
/// unless told not to. It builds nothing.
pub fn generate(path: &Path, options: &Options) -> Result<Document, CargoError> {
    let manifest = if path.is_dir() { path.join("Cargo.toml") } else { path.to_path_buf() };
    let target = match &options.target {
        Some(target) => target.clone(),
        None => host(options)?,
    };
    let members = run(options, &manifest, &["--no-deps".into()])?;
    let own = graph::manifest_of(&members, options, &manifest)?;
    let mut words: Vec<OsString> = Vec::new();
    for (flag, given) in [
        ("--all-features", options.all_features),
        ("--no-default-features", options.no_default_features),
    ] {
        if given {
            words.push(flag.into());
        }
    }
    if !options.features.is_empty() {
        words.extend(["--features".into(), options.features.join(",").into()]);
    }
    let platform = |flag: &str| [flag.into(), OsString::from(&target)];
    let metadata = run(options, &own, &[&words[..], &platform("--filter-platform")[..]].concat())?;
    let tree = tree(options, &own, &[&words[..], &platform("--target")[..]].concat())?;
    let path = graph::workspace_root(&metadata)?.join("Cargo.lock");
    let lockfile = read_lock(&path).map_err(|source| CargoError::ReadLock { path, source })?;
    let mut document = from_metadata(&metadata, &lockfile, &own, options)?;
    tree::keep(&mut document, &tree::read(&String::from_utf8_lossy(&tree)));
    Ok(document)
}

/// A document from what `cargo metadata --format-version 1` printed for the manifest at `own`, and the bytes of
/// `Cargo.lock`.
///
/// # Errors
/// As [`generate()`].
pub fn from_metadata(
    metadata: &[u8],
    lockfile: &[u8],
    own: &Path,
    options: &Options,
) -> Result<Document, CargoError> {
    let lockfile = Lockfile::read(lockfile)?;
    graph::document(metadata, &lockfile, own, options)
}

fn read_lock(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(lock::LIMIT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The target that cargo itself was built for.
fn host(options: &Options) -> Result<String, CargoError> {
    let mut command = Command::new(&options.cargo);
    command.args(["--version", "--verbose"]);
    let text = String::from_utf8_lossy(&output(&mut command, options)?).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    let unknown = || CargoError::Failed { message: "it does not say its host".to_owned() };
    host.map(|host| host.trim().to_owned()).ok_or_else(unknown)
}

fn tree(options: &Options, manifest: &Path, words: &[OsString]) -> Result<Vec<u8>, CargoError> {
    let mut command = Command::new(&options.cargo);
    command.args(["tree", "--locked", "--color", "never", "--prefix", "none", "--format", "{p}"]);
    command.args(["--edges", "normal,build"]);
    if options.offline {
        command.arg("--offline");
    }
    command.arg("--manifest-path").arg(manifest).args(words);
    output(&mut command, options)
}

fn run(options: &Options, manifest: &Path, words: &[OsString]) -> Result<Vec<u8>, CargoError> {
    let mut command = Command::new(&options.cargo);
    command.args(["metadata", "--format-version", "1", "--locked", "--color", "never"]);
    if options.offline {
        command.arg("--offline");
    }
    command.arg("--manifest-path").arg(manifest).args(words);
    output(&mut command, options)
}

fn output(command: &mut Command, options: &Options) -> Result<Vec<u8>, CargoError> {
    let failed = |source| CargoError::Start { program: options.cargo.clone(), source };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let stderr = child.stderr.take();
    // Read beside stdout, so that neither pipe can fill up.
    let said = std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut stderr) = stderr {
            // What is too much is read and dropped, or cargo would wait for us.
            let _ = stderr.by_ref().take(1 << 20).read_to_end(&mut text);
            let _ = io::copy(&mut stderr, &mut io::sink());
        }
        text
    });
    let mut answer = Vec::new();
    let read = child
        .stdout
        .take()
        .map_or(Ok(0), |stdout| stdout.take(LIMIT_METADATA_BYTES + 1).read_to_end(&mut answer));
    if answer.len() as u64 > LIMIT_METADATA_BYTES {
        // It is of no use any more; that it is gone already is as good.
        let _ = child.kill();
        let _ = child.wait();
        return Err(CargoError::TooLarge);
    }
    let status = child.wait().map_err(failed)?;
    read.map_err(failed)?;
    let said = said.join().unwrap_or_default();
    if status.success() {
        return Ok(answer);
    }
    let said = String::from_utf8_lossy(&said);
    let mut lines = said.lines().filter(|line| !line.trim().is_empty());
    let error = lines.clone().find(|line| line.starts_with("error"));
    let message = error.or_else(|| lines.next_back()).unwrap_or("it says nothing").to_owned();
    Err(CargoError::Failed { message })
}

/// The fields of an object at the top of a document.
fn top(document: &dsops_json::Json) -> Result<Fields<'_>, CargoError> {
    Ok(Fields::of(document, "")?)
}
