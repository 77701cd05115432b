//! Where the master key comes from, and the file that keeps it.

use std::{
    fs::File,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use dsops_secure_mem::SecretBytes;

use crate::{
    Error, KeyProblem,
    format::take,
    fs::{self, Dir, Opened, Published, Stat},
    keys::KEY_LEN,
};

const MAGIC: [u8; 8] = *b"DSICKEY\n";
const VERSION: u16 = 1;
const HEADER: usize = 16;
const RECORD: usize = KEY_LEN + 16;
const CHECK: usize = 32;
/// A file with one key.
const SHORTEST: usize = HEADER + RECORD + CHECK;
/// The active key and those it replaced.
const MOST_KEYS: usize = 3;
/// Where two publish without links or renames, the loser may see a file that is not whole yet.
const SHORT_READS: u32 = 5;
const SHORT_WAIT: Duration = Duration::from_millis(10);

/// Where the master key of a cache comes from.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeySource {
    /// The file `key` in the state directory, made when there is no cache yet. The default.
    StateDir,
    /// This file, made when there is no cache yet. Its folder must be ours alone.
    File(PathBuf),
    /// These bytes, at least 32: from a CI secret, a credential or a key ring.
    Bytes(SecretBytes),
    /// A random key that ends with the process: every start is cold.
    Ephemeral,
    /// The file `key` in the cache directory itself.
    ///
    /// # Security
    /// Whoever can write the directory can replace the key and every entry: this protects against
    /// accidents, not against anybody. Refused for sensitive namespaces.
    BesideData,
    /// The signing key (32 bytes) of a sealed cache: this handle stores, and everybody who has the
    /// public key reads.
    Sealing(SecretBytes),
    /// The public key of a sealed cache: this handle reads, and cannot forge.
    Sealed([u8; KEY_LEN]),
}

/// A master key and, when it was replaced, since when.
#[derive(Debug)]
pub(crate) struct Master {
    pub(crate) key: SecretBytes,
    pub(crate) retired_ms: Option<i64>,
}

impl Master {
    pub(crate) fn random() -> Result<Self, Error> {
        let key = SecretBytes::build(KEY_LEN, |bytes| -> Result<usize, Error> {
            getrandom::fill(bytes).map_err(|error| Error::Io {
                action: "make random bytes for",
                path: "the cache key".into(),
                source: error.into(),
            })?;
            Ok(KEY_LEN)
        })?;
        Ok(Self { key, retired_ms: None })
    }

    pub(crate) fn given(bytes: &SecretBytes) -> Result<Self, Error> {
        if bytes.len() < KEY_LEN {
            return Err(Error::Key { path: "given".into(), problem: KeyProblem::Weak });
        }
        let key = SecretBytes::copy_from(&bytes.try_expose()?)?;
        Ok(Self { key, retired_ms: None })
    }
}

/// A key file in a folder that is open.
pub(crate) struct KeyFile<'a> {
    pub(crate) dir: &'a Dir,
    pub(crate) name: &'a str,
    pub(crate) path: &'a Path,
}

impl KeyFile<'_> {
    /// Reads the keys, the active one first; `None` if there is no file.
    pub(crate) fn load(&self) -> Result<Option<Vec<Master>>, Error> {
        let mut reads = 0;
        loop {
            match self.load_once() {
                Err(Error::Key { problem: KeyProblem::Length { len_bytes }, .. })
                    if reads < SHORT_READS && len_bytes < SHORTEST as u64 =>
                {
                    reads += 1;
                    thread::sleep(SHORT_WAIT);
                }
                other => return other,
            }
        }
    }

    fn load_once(&self) -> Result<Option<Vec<Master>>, Error> {
        let (file, stat) =
            match self.dir.open_file(self.name).map_err(Error::io("open", self.path))? {
                Opened::File(file, stat) => (file, stat),
                Opened::Absent => return Ok(None),
                Opened::Unsafe(..) => return Err(self.problem(KeyProblem::NotAFile)),
            };
        self.check_access(&stat)?;
        let lengths = (1..=MOST_KEYS).map(|keys| HEADER + keys * RECORD + CHECK);
        let wrong_length = || self.problem(KeyProblem::Length { len_bytes: stat.size });
        let len =
            lengths.into_iter().find(|len| *len as u64 == stat.size).ok_or_else(wrong_length)?;
        let bytes = read_secret(&file, len).map_err(|error| match error {
            ReadError::Io(error) => Error::io("read", self.path)(error),
            ReadError::Memory(error) => Error::Memory(error),
        })?;
        if bytes.len() != len {
            return Err(wrong_length());
        }
        decode(&bytes.try_expose()?)?.map(Some).ok_or_else(|| self.problem(KeyProblem::Corrupt))
    }

    fn check_access(&self, stat: &Stat) -> Result<(), Error> {
        if fs::effective_uid().is_some_and(|uid| uid != stat.uid) {
            return Err(self.problem(KeyProblem::Foreign { uid: stat.uid }));
        }
        if stat.mode & 0o077 != 0 {
            return Err(self.problem(KeyProblem::TooOpen { mode: stat.mode }));
        }
        Ok(())
    }

    /// Makes the file with a new key, or takes the one that another process made meanwhile.
    pub(crate) fn create(&self) -> Result<Vec<Master>, Error> {
        let bytes = encode(&[Master::random()?])?;
        let published = {
            let bytes = bytes.try_expose()?;
            self.dir.publish_new(self.name, &bytes).map_err(Error::io("create", self.path))?
        };
        // Both outcomes read what lies there now: that is the key everybody uses.
        debug_assert!(matches!(published, Published::New | Published::Exists));
        self.load()?.ok_or_else(|| self.problem(KeyProblem::Missing))
    }

    /// Replaces the keys.
    pub(crate) fn store(&self, keys: &[Master]) -> Result<(), Error> {
        let bytes = encode(keys)?;
        let bytes = bytes.try_expose()?;
        self.dir.replace(self.name, &bytes).map_err(Error::io("replace", self.path))
    }

    fn problem(&self, problem: KeyProblem) -> Error {
        Error::Key { path: self.path.to_owned(), problem }
    }
}

/// The keys after a rotation: a new one, and those that still verify.
pub(crate) fn rotated(old: Vec<Master>, now_ms: i64) -> Result<Vec<Master>, Error> {
    let mut keys = vec![Master::random()?];
    keys.extend(
        old.into_iter()
            .take(MOST_KEYS - 1)
            .map(|key| Master { retired_ms: Some(key.retired_ms.unwrap_or(now_ms)), ..key }),
    );
    Ok(keys)
}

enum ReadError {
    Io(std::io::Error),
    Memory(dsops_secure_mem::Error),
}

impl From<dsops_secure_mem::Error> for ReadError {
    fn from(error: dsops_secure_mem::Error) -> Self {
        Self::Memory(error)
    }
}

fn read_secret(file: &File, len: usize) -> Result<SecretBytes, ReadError> {
    SecretBytes::build(len, |bytes| fs::read_at(file, bytes, 0).map_err(ReadError::Io))
}

fn encode(keys: &[Master]) -> Result<SecretBytes, Error> {
    let len = HEADER + keys.len() * RECORD + CHECK;
    SecretBytes::build(len, |bytes| {
        let (body, check) = bytes.split_at_mut(len - CHECK);
        body[..8].copy_from_slice(&MAGIC);
        body[8..10].copy_from_slice(&VERSION.to_le_bytes());
        let count = u16::try_from(keys.len()).expect("at most three keys are kept");
        body[10..12].copy_from_slice(&count.to_le_bytes());
        for (master, record) in keys.iter().zip(body[HEADER..].chunks_exact_mut(RECORD)) {
            record[..KEY_LEN].copy_from_slice(&master.key.try_expose()?);
            let retired = master.retired_ms.unwrap_or(0);
            record[KEY_LEN..KEY_LEN + 8].copy_from_slice(&retired.to_le_bytes());
        }
        check.copy_from_slice(digest(&SHA256, body).as_ref());
        Ok(len)
    })
}

/// Decodes a key file; `None` if it is corrupt.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Vec<Master>>, Error> {
    let Some((body, check)) = bytes.split_last_chunk::<CHECK>() else { return Ok(None) };
    let Some((header, records)) = body.split_first_chunk::<HEADER>() else { return Ok(None) };
    let count = usize::from(u16::from_le_bytes(take(header, 10)));
    let sound = header[..8] == MAGIC
        && u16::from_le_bytes(take(header, 8)) == VERSION
        && header[12..] == [0; 4]
        && (1..=MOST_KEYS).contains(&count)
        && records.len() == count * RECORD
        && digest(&SHA256, body).as_ref() == check;
    if !sound {
        return Ok(None);
    }
    let mut keys = Vec::with_capacity(count);
    for record in records.chunks_exact(RECORD) {
        let retired = i64::from_le_bytes(take(record, KEY_LEN));
        keys.push(Master {
            key: SecretBytes::copy_from(&record[..KEY_LEN])?,
            retired_ms: (retired != 0).then_some(retired),
        });
    }
    Ok(Some(keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_key_file_is_corrupt() {
        let keys = rotated(vec![Master::random().expect("random")], 5).expect("random");
        let bytes = encode(&keys).expect("encodes").expose().to_vec();
        assert_eq!(decode(&bytes).expect("memory").expect("sound").len(), 2);
        for at in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert!(decode(&changed).expect("memory").is_none(), "bit {at}");
        }
    }

    #[test]
    fn rotation_keeps_three_keys_and_the_first_time_of_retirement() {
        let mut keys = vec![Master::random().expect("random")];
        for now in [10, 20, 30] {
            keys = rotated(keys, now).expect("random");
        }
        let retired: Vec<_> = keys.iter().map(|key| key.retired_ms).collect();
        assert_eq!(retired, [None, Some(30), Some(20)]);
    }
}
