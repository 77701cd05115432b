//! Under what an answer is kept: a keyed hash over everything that tells it from another.
//!
//! Hashed, because the cache's entries carry their keys in clear; keyed, because what is hashed can
//! be guessed: names of items, and credentials that stand in settings.

use std::fs::File;
use std::io;
use std::path::Path;

use dsops_integrity_cache::Key;
use dsops_resolver::yaml::{Node, Value};
use dsops_resolver::{CacheScope, Item};
use dsops_secure_mem::SecretBytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::CacheError;
use crate::file::{self, FileError};

const SALT_LEN: usize = 32;
/// Changes whenever the parts do.
const FORM: &[u8] = b"dsops store cache 2";

/// The random bytes that names are made with; made when there are none.
pub(super) fn salt(path: &Path) -> Result<SecretBytes, CacheError> {
    let io = |action| {
        let path = path.to_owned();
        move |source| FileError::Io { action, path, source }
    };
    match File::open(path) {
        Ok(mut file) => {
            let salt = SecretBytes::from_reader(&mut file, SALT_LEN + 1)?;
            match salt.len() {
                SALT_LEN => Ok(salt),
                _ => Err(CacheError::Salt { path: path.to_owned() }),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let fresh = SecretBytes::build(SALT_LEN, |bytes| {
                getrandom::fill(bytes).map_err(|error| CacheError::Random {
                    path: path.to_owned(),
                    source: error.into(),
                })?;
                Ok::<_, CacheError>(SALT_LEN)
            })?;
            let published = {
                let bytes = fresh.try_expose()?;
                file::publish_new(path, &bytes, 0o600)
            };
            match published {
                Ok(()) => Ok(fresh),
                // Another process was quicker.
                Err(FileError::Exists { .. }) => salt(path),
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => Err(io("open")(error).into()),
    }
}

/// Names the answers of one scope.
pub(super) struct Namer {
    of_scope: Hmac<Sha256>,
}

impl Namer {
    pub(super) fn new(salt: &SecretBytes, scope: &CacheScope<'_>) -> Result<Self, CacheError> {
        let mac = Hmac::<Sha256>::new_from_slice(&salt.try_expose()?);
        let mac = mac.expect("HMAC takes a key of any length");
        let mut parts = Parts(mac.clone());
        parts.add("form", FORM);
        // Relative paths in settings start here, and no project shares with another.
        let base = scope.base_dir.canonicalize().map_err(|source| {
            let path = scope.base_dir.to_owned();
            FileError::Io { action: "find", path, source }
        })?;
        parts.add("project", base.as_os_str().as_encoded_bytes());
        parts.add("store", scope.settings.name().as_bytes());
        parts.add("type", scope.settings.store_type().as_bytes());
        for (key, value) in scope.settings.options() {
            parts.add_node("setting", key);
            parts.add_node("value", value);
        }
        for (label, value) in scope.identity.parts() {
            parts.add("identity", label.as_bytes());
            parts.add("value", &digest(&mac, &value.try_expose()?));
            dsops_secure_mem::scrub_stack();
        }
        Ok(Self { of_scope: parts.0 })
    }

    pub(super) fn key(&self, item: &Item) -> Key {
        let mut parts = Parts(self.of_scope.clone());
        parts.add("item", item.key.as_bytes());
        match &item.version {
            Some(version) => parts.add("version", version.as_bytes()),
            None => parts.add("latest", b""),
        }
        Key::new().part("answer", parts.0.finalize().into_bytes())
    }
}

/// What may be a credential, as a digest of its own: of what is hashed itself, up to a block waits in
/// a buffer in ordinary memory.
#[inline(never)]
fn digest(mac: &Hmac<Sha256>, value: &[u8]) -> [u8; 32] {
    let mut mac = mac.clone();
    mac.update(value);
    mac.finalize().into_bytes().into()
}

/// Parts with their lengths, so that no two lists of them are hashed alike.
struct Parts(Hmac<Sha256>);

impl Parts {
    fn add(&mut self, label: &str, value: &[u8]) {
        for bytes in [label.as_bytes(), value] {
            self.0.update(&(bytes.len() as u64).to_le_bytes());
            self.0.update(bytes);
        }
    }

    fn add_node(&mut self, label: &str, node: &Node) {
        self.add(label, node.kind().as_bytes());
        match &node.value {
            Value::Scalar { text, .. } => self.add("text", text.as_bytes()),
            Value::Sequence(items) => {
                self.add("items", &(items.len() as u64).to_le_bytes());
                for item in items {
                    self.add_node("item", item);
                }
            }
            Value::Mapping(entries) => {
                self.add("entries", &(entries.len() as u64).to_le_bytes());
                for (key, value) in entries {
                    self.add_node("key", key);
                    self.add_node("value", value);
                }
            }
        }
    }
}
