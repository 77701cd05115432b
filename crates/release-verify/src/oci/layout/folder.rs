//! A layout in a folder.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{Files, OciError, io_error};

pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

impl Files for Folder {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self, path: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, OciError> {
        let whole = self.path.join(path);
        // A pipe or a device would not end, or do something.
        match fs::metadata(&whole) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => {
                return Err(OciError::NotAnImage { path: whole, why: "it is not a regular file" });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(whole)(error)),
        }
        let mut bytes = Vec::new();
        File::open(&whole)
            .and_then(|file| file.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes))
            .map_err(io_error(whole))?;
        if bytes.len() as u64 > limit_bytes {
            return Err(OciError::TooLarge { what: path.to_owned(), limit_bytes });
        }
        Ok(Some(bytes))
    }
}
