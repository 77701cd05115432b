//! A layout in a folder.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::{Algorithm, Digest, Files, OciError, io_error};
use crate::discover::{DiscoverError, open_regular};

pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    fn open(&self, path: &str) -> Result<Option<File>, OciError> {
        let whole = self.path.join(path);
        match open_regular(&whole) {
            Ok(file) => Ok(Some(file)),
            Err(DiscoverError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Ok(None)
            }
            Err(DiscoverError::Io { source, .. }) => Err(io_error(whole)(source)),
            Err(_) => Err(OciError::NotAnImage { path: whole, why: "it is not a regular file" }),
        }
    }
}

impl Files for Folder {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self, path: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, OciError> {
        let Some(file) = self.open(path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = file.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(io_error(self.path.join(path)))?;
        if bytes.len() as u64 > limit_bytes {
            return Err(OciError::TooLarge { what: path.to_owned(), limit_bytes });
        }
        Ok(Some(bytes))
    }

    fn hash(&self, path: &str, algorithm: Algorithm) -> Result<Option<(u64, Digest)>, OciError> {
        let Some(file) = self.open(path)? else { return Ok(None) };
        super::hash(file, algorithm).map_err(io_error(self.path.join(path)))
    }
}
