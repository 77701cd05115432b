//! What people do with the cache as a whole.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use dsops_integrity_cache::{Cache, Error, EventSink, KeySource};

use super::{CacheError, Places, name};
use crate::file::{self, FileError};

/// The file that makes a directory a cache.
const SUPERBLOCK: &str = "CACHE";

/// How the file of a key starts. The rest is not read where it is not protected.
const KEY_MAGIC: &[u8; 8] = b"DSICKEY\n";

/// Whether there is a cache, sound or not.
pub fn is_there(places: &Places) -> bool {
    places.cache_dir.join(SUPERBLOCK).symlink_metadata().is_ok()
}

/// Whether there is a key of a cache, sound or not: without a cache the name alone says nothing.
pub fn is_key_there(places: &Places) -> bool {
    let mut start = [0; KEY_MAGIC.len()];
    let file = file::open_regular(&places.key_file());
    file.is_ok_and(|mut file| file.read_exact(&mut start).is_ok()) && start == *KEY_MAGIC
}

/// The cache, if there is one; makes none.
///
/// # Errors
/// It cannot be used.
pub fn open_existing(
    places: &Places,
    events: impl EventSink + 'static,
) -> Result<Option<Cache>, CacheError> {
    if !is_there(places) {
        return Ok(None);
    }
    Ok(Some(places.builder().events(events).open()?))
}

/// Takes the cache away with its key; says whether there was one. Works without the key too.
///
/// # Errors
/// The directory is no cache, or something cannot be removed.
///
/// # Security
/// The key goes first: copies of entries in backups are of no use from then on, whatever fails later.
pub fn destroy(places: &Places) -> Result<bool, CacheError> {
    let cache = if is_there(places) { Some(open_in_any_case(places)?) } else { None };
    let mut found = cache.is_some();
    // A folder `secrets` with a file `key` may well be somebody else's.
    if !found && !is_key_there(places) {
        return Ok(false);
    }
    for path in [places.key_file(), places.salt_file(), places.events_file()] {
        found |= remove(&path)?;
    }
    if let Some(cache) = cache {
        cache.destroy()?;
    }
    Ok(found)
}

/// Starts anew with another key. What was kept is gone.
///
/// # Errors
/// As [`destroy`], and what keeps a cache from being made.
pub fn rekey(places: &Places) -> Result<(), CacheError> {
    destroy(places)?;
    places.builder().open()?;
    name::salt(&places.salt_file())?;
    Ok(())
}

/// Opens it with its key or, when that is lost, with none that fits: enough to take it away.
fn open_in_any_case(places: &Places) -> Result<Cache, CacheError> {
    match places.builder().open() {
        // A superblock that was altered is no cache either; one of another key is not compared.
        Err(Error::Key { .. } | Error::NotACache { .. }) => {
            Ok(places.builder().key(KeySource::Ephemeral).open()?)
        }
        other => Ok(other?),
    }
}

fn remove(path: &Path) -> Result<bool, CacheError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => {
            Err(FileError::Io { action: "remove", path: path.to_owned(), source }.into())
        }
    }
}
