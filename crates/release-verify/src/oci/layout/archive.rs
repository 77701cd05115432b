//! A layout in a tar archive, read where it lies: nothing is unpacked, so no name in it leads
//! anywhere.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Algorithm, Digest, Files, OciError, io_error};

/// How many entries an archive may have.
const ENTRY_LIMIT: usize = 100_000;

pub(super) struct Archive {
    path: PathBuf,
    file: Mutex<File>,
    places: Places,
}

/// Where each file begins, and how long it is; none of what is a link or a device.
type Places = HashMap<String, Option<(u64, u64)>>;

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self, OciError> {
        let io = |source| OciError::Io { path: path.to_owned(), source };
        let none = |why| OciError::NotAnImage { path: path.to_owned(), why };
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(none("it is neither a folder nor a regular file"));
        }
        let mut file = File::open(path).map_err(io)?;
        let mut start = Vec::new();
        (&mut file).take(6).read_to_end(&mut start).map_err(io)?;
        if start.starts_with(b"\x1f\x8b") || start.starts_with(b"\x28\xb5\x2f\xfd") {
            return Err(none("it is compressed; unpack it with gzip or zstd first"));
        }
        file.rewind().map_err(io)?;
        let places = places(&file, path)?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), places })
    }
}

fn places(file: &File, path: &Path) -> Result<Places, OciError> {
    let none = |why| OciError::NotAnImage { path: path.to_owned(), why };
    let mut archive = tar::Archive::new(file);
    let mut places = HashMap::new();
    let entries = archive.entries_with_seek().map_err(io_error(path.to_owned()))?;
    for (count, entry) in entries.enumerate() {
        if count >= ENTRY_LIMIT {
            let what = "the entries of the archive";
            return Err(OciError::TooMany { what, limit: ENTRY_LIMIT });
        }
        let damaged = |_| none("it is not a tar archive, or it is damaged");
        let mut entry = entry.map_err(damaged)?;
        // Some readers take the name and the content of such a file from there, others do not.
        for more in entry.pax_extensions().map_err(damaged)?.into_iter().flatten() {
            if more.map_err(damaged)?.key_bytes().starts_with(b"GNU.sparse.") {
                return Err(none("it holds a sparse file"));
            }
        }
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        // Other names are of no interest: layouts have only these.
        let Ok(name) = String::from_utf8(entry.path_bytes().into_owned()) else { continue };
        let name = cleaned(&name).ok_or_else(|| none("a name in it leads back by `..`"))?;
        // Whoever unpacks the archive follows a link to somewhere else.
        let place = kind.is_file().then(|| (entry.raw_file_position(), entry.size()));
        if places.insert(name, place).is_some_and(|before| before != place) {
            // Unpacked, the last one would count; another reader may take the first.
            return Err(none("it holds two files of one name"));
        }
    }
    // Below what is no folder but a link, files get to somewhere else too.
    let folders = |name: &str| {
        let ends = name.match_indices('/').map(|(at, _)| at).collect::<Vec<_>>();
        ends.into_iter().any(|end| places.contains_key(&name[..end]))
    };
    if places.keys().any(|name| folders(name)) {
        return Err(none("it holds a file or link where a folder has to be"));
    }
    Ok(places)
}

/// A name as whoever unpacks an archive takes it: below one folder, without what means nothing.
fn cleaned(name: &str) -> Option<String> {
    let parts: Vec<&str> =
        name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

impl Archive {
    /// What lies at a path, behind the file's own position.
    fn at(&self, path: &str) -> Result<Option<(MutexGuard<'_, File>, u64)>, OciError> {
        let Some(place) = self.places.get(path).copied() else { return Ok(None) };
        let why = "it holds a link where a file has to be";
        let none = || OciError::NotAnImage { path: self.path.clone(), why };
        let (start, len) = place.ok_or_else(none)?;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start)).map_err(io_error(self.path.clone()))?;
        Ok(Some((file, len)))
    }
}

impl Files for Archive {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self, path: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, OciError> {
        let Some((mut file, len)) = self.at(path)? else { return Ok(None) };
        if len > limit_bytes {
            return Err(OciError::TooLarge { what: path.to_owned(), limit_bytes });
        }
        let mut bytes = Vec::new();
        let read = (&mut *file).take(len).read_to_end(&mut bytes);
        read.map_err(io_error(self.path.clone()))?;
        if bytes.len() as u64 != len {
            let found = bytes.len() as u64;
            return Err(OciError::WrongSize { what: path.to_owned(), expected: len, found });
        }
        Ok(Some(bytes))
    }

    fn hash(&self, path: &str, algorithm: Algorithm) -> Result<Option<(u64, Digest)>, OciError> {
        let Some((mut file, len)) = self.at(path)? else { return Ok(None) };
        super::hash((&mut *file).take(len), algorithm).map_err(io_error(self.path.clone()))
    }
}
