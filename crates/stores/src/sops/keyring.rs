//! Where age identities come from: the variables and files that sops reads.

use std::{
    ffi::OsString,
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use dsops_resolver::{Environment, StoreError};
use dsops_secure_mem::SecretBytes;

use crate::age::{Identity, IdentityFile};

/// Holds identities, or several of them.
pub const KEY_VARIABLE: &str = "SOPS_AGE_KEY";
/// Names a file of identities.
pub const KEY_FILE_VARIABLE: &str = "SOPS_AGE_KEY_FILE";
/// Ways to get an identity that sops knows and that are not supported.
pub(crate) const UNSUPPORTED_VARIABLES: [&str; 3] =
    ["SOPS_AGE_KEY_CMD", "SOPS_AGE_SSH_PRIVATE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_CMD"];
/// Below the user's configuration folder.
const DEFAULT_KEY_FILE: &str = "sops/age/keys.txt";
/// Some thousand identities.
const KEY_FILE_LIMIT: usize = 256 * 1024;

/// The identities that were found, and where they were looked for.
#[derive(Debug, Default)]
pub struct Keyring {
    identities: Vec<Arc<Identity>>,
    looked: Vec<String>,
    warnings: Vec<String>,
}

impl Keyring {
    /// Collects identities from `SOPS_AGE_KEY`, `SOPS_AGE_KEY_FILE` and the default key file of
    /// sops, in this order. A place without a usable identity is no error: it is remembered for
    /// the error that follows when none fits.
    ///
    /// # Errors
    /// When a variable is there but cannot be moved into protected memory.
    ///
    /// # Security
    /// Key files are read straight into protected memory. Both variables are taken as credentials:
    /// a child does not inherit them.
    pub fn find(environment: &dyn Environment) -> Result<Self, StoreError> {
        let mut ring = Self::default();
        match environment.credential(KEY_VARIABLE)? {
            Some(text) => ring.add(KEY_VARIABLE, &text),
            None => ring.looked.push(format!("{KEY_VARIABLE} (not set)")),
        }
        match environment.credential(KEY_FILE_VARIABLE)? {
            Some(path) if is_key(&path.expose()) => ring
                .looked
                .push(format!("{KEY_FILE_VARIABLE} (holds a key, not a path; use {KEY_VARIABLE})")),
            Some(path) => ring.add_file(&path_from(&path), Some(KEY_FILE_VARIABLE)),
            None => ring.looked.push(format!("{KEY_FILE_VARIABLE} (not set)")),
        }
        if let Some(path) = default_key_file(environment) {
            ring.add_file(&path, None);
        }
        for name in UNSUPPORTED_VARIABLES {
            if environment.var(name).is_some() {
                ring.looked.push(format!("{name} (set, but not supported)"));
            }
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
        self.identities.extend(other.identities.iter().cloned());
        self.looked.extend(other.looked.iter().cloned());
        self.warnings.extend(other.warnings.iter().cloned());
        self
    }

    /// The identities, in the order they were found.
    pub fn identities(&self) -> &[Arc<Identity>] {
        &self.identities
    }

    /// Where identities were looked for and what was found there, for people.
    pub fn looked(&self) -> &[String] {
        &self.looked
    }

    /// What is unsafe about the places, such as a key file that others may read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn add_file(&mut self, path: &Path, variable: Option<&str>) {
        let place = match variable {
            Some(name) => format!("{} (from {name})", path.display()),
            None => path.display().to_string(),
        };
        let open = || -> std::io::Result<File> {
            // Opening a FIFO would wait for someone who writes to it.
            if !fs::metadata(path)?.is_file() {
                return Err(std::io::Error::other("it is not a regular file"));
            }
            File::open(path)
        };
        let read = open().and_then(|mut file| {
            let mode = others_may_read(&file);
            SecretBytes::from_reader(&mut file, KEY_FILE_LIMIT)
                .map(|text| (text, mode))
                .map_err(std::io::Error::other)
        });
        match read {
            Ok((text, loose)) => {
                if let Some(mode) = loose {
                    self.warnings.push(format!(
                        "the key file {} can be read by others (mode {mode:04o}): run `chmod 600` on it",
                        path.display()
                    ));
                }
                self.add(&place, &text);
            }
            Err(error) => self.looked.push(format!("{place} ({error})")),
        }
    }

    fn add(&mut self, place: &str, text: &SecretBytes) {
        match IdentityFile::parse(&text.expose()) {
            Ok(file) => {
                let mut found = vec![match file.identities.len() {
                    1 => format!("identity of {}", file.identities[0].recipient()),
                    count => format!("{count} identities"),
                }];
                found.extend(
                    file.unsupported.iter().map(|(line, kind)| {
                        format!("line {line} is {kind}, which is not supported")
                    }),
                );
                self.looked.push(format!("{place} ({})", found.join(", ")));
                self.identities.extend(file.identities.into_iter().map(Arc::new));
            }
            Err(error) => self.looked.push(format!("{place} ({error})")),
        }
    }
}

impl fmt::Display for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.looked.join("; "))
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

/// The mode of a file that group or others may read.
#[cfg(unix)]
fn others_may_read(file: &File) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata().ok()?;
    let mode = metadata.mode() & 0o7777;
    (metadata.is_file() && mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn others_may_read(_: &File) -> Option<u32> {
    None
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
