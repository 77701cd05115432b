//! Where age identities come from: the variables and files that sops reads.

mod locked;
mod read;

pub use locked::PASSPHRASE_VARIABLE;

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use dsops_resolver::{Environment, StoreError};
use dsops_secure_mem::SecretBytes;

use super::Document;
use crate::age::{Identity, IdentityFile, Recipient};
use locked::Locked;

/// Holds identities, or several of them.
pub const KEY_VARIABLE: &str = "SOPS_AGE_KEY";
/// Names a file of identities.
pub const KEY_FILE_VARIABLE: &str = "SOPS_AGE_KEY_FILE";
/// Names an SSH private key.
pub const SSH_KEY_FILE_VARIABLE: &str = "SOPS_AGE_SSH_PRIVATE_KEY_FILE";
/// Ways to get an identity that sops knows and that are not supported: they run a command.
pub(crate) const UNSUPPORTED_VARIABLES: [&str; 2] =
    ["SOPS_AGE_KEY_CMD", "SOPS_AGE_SSH_PRIVATE_KEY_CMD"];
/// Below the user's configuration folder.
const DEFAULT_KEY_FILE: &str = "sops/age/keys.txt";
/// Below the home folder.
const DEFAULT_SSH_KEYS: [&str; 2] = [".ssh/id_ed25519", ".ssh/id_rsa"];

/// The identities that were found, and where they were looked for.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    identities: Vec<Arc<Identity>>,
    locked: Vec<Arc<Locked>>,
    /// SSH keys that are read only for a file that has an SSH recipient.
    ssh_keys: Vec<PathBuf>,
    looked: Vec<Looked>,
    warnings: Vec<String>,
}

/// A place and what was found there. It is put into words only when somebody asks: naming an
/// identity costs a curve operation.
#[derive(Clone, Debug)]
struct Looked {
    place: String,
    found: Found,
}

#[derive(Clone, Debug)]
enum Found {
    /// Identities, and what else there was.
    Identities(Vec<Arc<Identity>>, Vec<String>),
    Locked(Arc<Locked>),
    Other(String),
}

impl Keyring {
    /// Collects identities from `SOPS_AGE_SSH_PRIVATE_KEY_FILE`, `SOPS_AGE_KEY`,
    /// `SOPS_AGE_KEY_FILE` and the default key file of sops, in this order. A place without a
    /// usable identity is no error: it is remembered for the error that follows when none fits.
    ///
    /// What a passphrase protects is not opened yet, and the default SSH keys are not read:
    /// [`Keyring::for_document`] does both when a file needs it.
    ///
    /// # Errors
    /// When a variable is there but cannot be moved into protected memory.
    ///
    /// # Security
    /// Key files are read straight into protected memory. The variables are taken as credentials:
    /// a child does not inherit them.
    pub fn find(environment: &dyn Environment) -> Result<Self, StoreError> {
        let mut ring = Self::default();
        if let Some(path) = environment.credential(SSH_KEY_FILE_VARIABLE)? {
            ring.add_named_file(SSH_KEY_FILE_VARIABLE, &path);
        }
        match environment.credential(KEY_VARIABLE)? {
            Some(text) => ring.add(KEY_VARIABLE, &text),
            None => ring.note(KEY_VARIABLE, "not set"),
        }
        match environment.credential(KEY_FILE_VARIABLE)? {
            Some(path) => ring.add_named_file(KEY_FILE_VARIABLE, &path),
            None => ring.note(KEY_FILE_VARIABLE, "not set"),
        }
        if let Some(path) = default_key_file(environment) {
            ring.add_file(&path, None);
        }
        for name in UNSUPPORTED_VARIABLES {
            if environment.var(name).is_some() {
                ring.note(name, "set, but not supported");
            }
        }
        if let Some(home) = environment.var("HOME").filter(|home| !home.is_empty()) {
            let home = PathBuf::from(home);
            ring.ssh_keys = DEFAULT_SSH_KEYS.map(|name| home.join(name)).into();
        }
        Ok(ring)
    }

    /// Adds the identities of a file.
    #[must_use]
    pub fn with_file(mut self, path: &Path) -> Self {
        self.add_file(path, None);
        self
    }

    /// All identities of this ring and of another, those of this one first.
    #[must_use]
    pub fn joined(mut self, other: &Self) -> Self {
        self.identities.extend_from_slice(&other.identities);
        self.locked.extend_from_slice(&other.locked);
        self.ssh_keys.extend_from_slice(&other.ssh_keys);
        self.looked.extend_from_slice(&other.looked);
        self.warnings.extend_from_slice(&other.warnings);
        self
    }

    /// Whether [`Keyring::for_document`] could find more: there is an identity that a passphrase
    /// protects.
    pub fn has_locked(&self) -> bool {
        !self.locked.is_empty()
    }

    /// Whether there are SSH keys at their default places.
    pub fn has_ssh_keys(&self) -> bool {
        self.ssh_keys.iter().any(|path| path.symlink_metadata().is_ok())
    }

    /// This ring, and what it takes to open this document: nothing more if its identities are
    /// recipients enough; else the default SSH keys, if one of the recipients is an SSH key; else
    /// what a passphrase protects, for which the user is asked once in a run.
    ///
    /// Call it on the main thread, and before a deadline runs: it may wait for the user.
    ///
    /// # Errors
    /// The user declined to give a passphrase, or it cannot be kept in protected memory.
    pub fn for_document(
        self: &Arc<Self>,
        document: &Document,
        environment: &dyn Environment,
    ) -> Result<Arc<Self>, StoreError> {
        let (groups, needed) = document.key_groups();
        let is_enough = |identities: &[Arc<Identity>]| {
            let is_open = |group: &&Vec<Recipient>| {
                identities.iter().any(|identity| group.contains(identity.recipient()))
            };
            groups.iter().filter(is_open).count() >= needed
        };
        if is_enough(&self.identities) {
            return Ok(Arc::clone(self));
        }
        let mut ring = Self::clone(self);
        if groups.iter().flatten().any(Recipient::is_ssh) {
            for path in std::mem::take(&mut ring.ssh_keys) {
                ring.add_file(&path, None);
            }
        }
        let wanted = |locked: &Arc<Locked>| {
            let named = |whose| groups.iter().any(|group| group.contains(whose));
            locked.recipient().is_none_or(named)
        };
        for locked in ring.locked.clone().iter().filter(|locked| wanted(locked)) {
            if is_enough(&ring.identities) {
                break;
            }
            ring.identities.extend_from_slice(locked.unlock(environment)?);
        }
        Ok(Arc::new(ring))
    }

    /// The recipient of the first identity: whom a new file is for. Asks for a passphrase only if
    /// there is no other way to know.
    ///
    /// # Errors
    /// As [`Keyring::for_document`].
    pub fn own_recipient(
        &self,
        environment: &dyn Environment,
    ) -> Result<Option<Recipient>, StoreError> {
        if let Some(first) = self.identities.first() {
            return Ok(Some(first.recipient().clone()));
        }
        for locked in &self.locked {
            let known = locked.recipient().cloned();
            let opened = |opened: &[Arc<Identity>]| opened.first().map(|id| id.recipient().clone());
            let recipient = match known {
                Some(recipient) => Some(recipient),
                None => opened(locked.unlock(environment)?),
            };
            if recipient.is_some() {
                return Ok(recipient);
            }
        }
        Ok(None)
    }

    /// The identities, in the order they were found.
    pub fn identities(&self) -> &[Arc<Identity>] {
        &self.identities
    }

    /// Where identities were looked for and what was found there, for people.
    pub fn looked(&self) -> Vec<String> {
        self.looked.iter().map(ToString::to_string).collect()
    }

    /// What is unsafe about the places, such as a key file that others may read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn add_named_file(&mut self, variable: &str, path: &SecretBytes) {
        if is_key(&path.expose()) {
            self.note(variable, &format!("holds a key, not a path; use {KEY_VARIABLE}"));
        } else {
            self.add_file(&path_from(path), Some(variable));
        }
    }

    fn add_file(&mut self, path: &Path, variable: Option<&str>) {
        let place = match variable {
            Some(name) => format!("{} (from {name})", path.display()),
            None => path.display().to_string(),
        };
        match read::key_file(path) {
            Ok(key) => {
                if let Some(mode) = key.loose_mode {
                    self.warnings.push(format!(
                        "the key file {} can be read by others (mode {mode:04o}): run `chmod 600` on it",
                        path.display()
                    ));
                }
                self.add(&place, &key.text);
            }
            Err(error) => self.note(&place, &error.to_string()),
        }
    }

    fn add(&mut self, place: &str, text: &SecretBytes) {
        let file = match IdentityFile::parse(&text.expose()) {
            Ok(file) => file,
            Err(error) => return self.note(place, &error.to_string()),
        };
        for locked in file.locked {
            let locked = Arc::new(Locked::new(place, locked));
            self.locked.push(Arc::clone(&locked));
            self.looked.push(Looked { place: place.to_owned(), found: Found::Locked(locked) });
        }
        let unsupported: Vec<String> = file
            .unsupported
            .iter()
            .map(|(line, kind)| format!("line {line} is {kind}, which is not supported"))
            .collect();
        let identities: Vec<Arc<Identity>> = file.identities.into_iter().map(Arc::new).collect();
        self.identities.extend_from_slice(&identities);
        if !identities.is_empty() || !unsupported.is_empty() || !self.ends_with(place) {
            let found = Found::Identities(identities, unsupported);
            self.looked.push(Looked { place: place.to_owned(), found });
        }
    }

    fn ends_with(&self, place: &str) -> bool {
        self.looked.last().is_some_and(|looked| looked.place == place)
    }

    fn note(&mut self, place: &str, found: &str) {
        let found = Found::Other(found.to_owned());
        self.looked.push(Looked { place: place.to_owned(), found });
    }
}

impl fmt::Display for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.looked().join("; "))
    }
}

impl fmt::Display for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.place)?;
        match &self.found {
            Found::Identities(identities, others) => {
                match &**identities {
                    [one] => write!(f, "identity of {}", one.recipient())?,
                    more => write!(f, "{} identities", more.len())?,
                }
                others.iter().try_for_each(|other| write!(f, ", {other}"))?;
            }
            Found::Locked(locked) => f.write_str(&locked.found())?,
            Found::Other(text) => f.write_str(text)?,
        }
        f.write_str(")")
    }
}

/// Where sops keeps identities by default: `sops/age/keys.txt` in `$XDG_CONFIG_HOME`, else in
/// `~/.config`.
///
/// # Platform
/// On macOS the second is `~/Library/Application Support`, on Windows it is `%AppData%` alone.
pub fn default_key_file(environment: &dyn Environment) -> Option<PathBuf> {
    let set = |name| environment.var(name).filter(|value: &OsString| !value.is_empty());
    let folder = if cfg!(windows) {
        PathBuf::from(set("AppData")?)
    } else if let Some(folder) = set("XDG_CONFIG_HOME") {
        PathBuf::from(folder)
    } else {
        let below =
            if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
        PathBuf::from(set("HOME")?).join(below)
    };
    Some(folder.join(DEFAULT_KEY_FILE))
}

/// Whether what should be a path is an identity, or the content of a file of them. It must then be
/// shown nowhere.
pub(super) fn is_key(path: &[u8]) -> bool {
    const START: &[u8] = b"AGE-SECRET-KEY-";
    let path = path.trim_ascii();
    path.get(..START.len()).is_some_and(|start| start.eq_ignore_ascii_case(START))
        || path.contains(&b'\n')
        || path.contains(&b'\r')
}

/// A path is no secret; it only came as one.
#[cfg(unix)]
fn path_from(bytes: &SecretBytes) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(&bytes.expose()))
}

#[cfg(not(unix))]
fn path_from(bytes: &SecretBytes) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(&bytes.expose()).into_owned())
}
