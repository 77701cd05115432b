//! The state of one cache outside its directory: the epoch, and the highest time ever seen.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

use aws_lc_rs::digest::{SHA256, digest};

use crate::{
    Error,
    format::take,
    fs::{self, Dir},
};

const FILE: &str = "epoch";
const SLOT: usize = 64;
const SIGNED: usize = 32;
/// The time floor is written again only when it has moved by this much.
const FLOOR_STEP_MS: i64 = 60_000;

/// What the file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    sequence: u64,
    /// Entries of another epoch are stale.
    pub(crate) epoch: u64,
    /// No authenticated write was ever later than this.
    pub(crate) time_floor_ms: i64,
}

/// The state directory of one cache, held open.
pub(crate) struct State {
    pub(crate) dir: Dir,
    pub(crate) path: PathBuf,
    file: File,
    writable: bool,
    /// The bytes that `last` was read from.
    seen: Mutex<([u8; 2 * SLOT], Marks)>,
}

impl State {
    /// Opens the state, or makes it with an epoch that no lost state of this cache had.
    pub(crate) fn open(
        dir: Dir,
        path: &Path,
        now_ms: i64,
        floor_only: bool,
    ) -> Result<Self, Error> {
        let file_path = path.join(FILE);
        let (file, writable) = match dir.open_or_create(FILE) {
            Ok(file) => (file, true),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
                ) =>
            {
                match dir.open_file(FILE).map_err(Error::io("open", &file_path))? {
                    fs::Opened::File(file, _) => (file, false),
                    _ => return Err(Error::io("open", &file_path)(error)),
                }
            }
            Err(error) => return Err(Error::io("open", &file_path)(error)),
        };
        let state =
            Self { dir, path: path.to_owned(), file, writable, seen: Mutex::default_seen() };
        if state.read()?.is_none() && writable {
            let fresh = if floor_only { 0 } else { micros(now_ms) };
            state.change(|marks| {
                if marks.sequence == 0 {
                    marks.epoch = fresh;
                }
            })?;
        }
        Ok(state)
    }

    /// What holds now; changes by other processes are seen.
    pub(crate) fn marks(&self) -> Result<Marks, Error> {
        Ok(self.read()?.unwrap_or_default())
    }

    fn read(&self) -> Result<Option<Marks>, Error> {
        let mut bytes = [0; 2 * SLOT];
        let len = fs::read_at(&self.file, &mut bytes, 0)
            .map_err(Error::io("read", self.path.join(FILE)))?;
        bytes[len..].fill(0);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 == bytes && seen.1.sequence > 0 {
            return Ok(Some(seen.1));
        }
        let Some(marks) = decode(&bytes) else { return Ok(None) };
        // A slot that was torn by a crash must not bring an older epoch back while we live.
        if marks.sequence >= seen.1.sequence {
            *seen = (bytes, marks);
        }
        Ok(Some(seen.1))
    }

    /// Raises the epoch: every entry from before is stale.
    pub(crate) fn raise_epoch(&self, now_ms: i64) -> Result<(), Error> {
        self.change(|marks| marks.epoch = micros(now_ms).max(marks.epoch + 1))
    }

    /// Raises the epoch to one that an authentic entry showed (readers of sealed caches).
    pub(crate) fn raise_epoch_to(&self, epoch: u64) -> Result<(), Error> {
        self.change(|marks| marks.epoch = marks.epoch.max(epoch))
    }

    /// Remembers a time, rarely.
    pub(crate) fn raise_time_floor(&self, now_ms: i64, marks: &Marks) -> Result<(), Error> {
        if !self.writable || now_ms < marks.time_floor_ms.saturating_add(FLOOR_STEP_MS) {
            return Ok(());
        }
        self.change(|marks| marks.time_floor_ms = marks.time_floor_ms.max(now_ms))
    }

    /// Forgets the time floor, after a clock was wrong.
    pub(crate) fn reset_time_floor(&self) -> Result<(), Error> {
        self.change(|marks| marks.time_floor_ms = 0)
    }

    fn change(&self, change: impl FnOnce(&mut Marks)) -> Result<(), Error> {
        let io = |error| Error::io("write", self.path.join(FILE))(error);
        // A handle of its own: locks belong to the open file.
        let own = self.dir.open_or_create(FILE).map_err(io)?;
        fs::lock(&own, true, fs::PATIENCE).map_err(io)?;
        let mut marks = self.marks()?;
        change(&mut marks);
        marks.sequence += 1;
        // The older slot: a crash in the middle leaves the other.
        let slot = marks.sequence % 2 * SLOT as u64;
        fs::write_at(&own, &encode(&marks), slot).map_err(io)?;
        own.sync_data().map_err(io)?;
        self.marks().map(|_| ())
    }
}

trait DefaultSeen {
    fn default_seen() -> Self;
}

impl DefaultSeen for Mutex<([u8; 2 * SLOT], Marks)> {
    fn default_seen() -> Self {
        Self::new(([0; 2 * SLOT], Marks::default()))
    }
}

/// The epoch and the time floor without a state directory: of this handle alone.
#[derive(Default)]
pub(crate) struct Volatile {
    pub(crate) epoch: AtomicU64,
    pub(crate) time_floor_ms: AtomicI64,
}

impl Volatile {
    pub(crate) fn marks(&self) -> Marks {
        Marks {
            sequence: 0,
            epoch: self.epoch.load(Relaxed),
            time_floor_ms: self.time_floor_ms.load(Relaxed),
        }
    }
}

fn micros(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).saturating_mul(1000).max(1)
}

fn encode(marks: &Marks) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..8].copy_from_slice(&marks.sequence.to_le_bytes());
    slot[8..16].copy_from_slice(&marks.epoch.to_le_bytes());
    slot[16..24].copy_from_slice(&marks.time_floor_ms.to_le_bytes());
    let check = digest(&SHA256, &slot[..SIGNED]);
    slot[SIGNED..].copy_from_slice(check.as_ref());
    slot
}

/// The newer of the two slots that are whole.
pub(crate) fn decode(bytes: &[u8; 2 * SLOT]) -> Option<Marks> {
    let slots = bytes.chunks_exact(SLOT).filter_map(|slot| {
        let marks = Marks {
            sequence: u64::from_le_bytes(take(slot, 0)),
            epoch: u64::from_le_bytes(take(slot, 8)),
            time_floor_ms: i64::from_le_bytes(take(slot, 16)),
        };
        (marks.sequence > 0 && encode(&marks) == *slot).then_some(marks)
    });
    slots.max_by_key(|marks| marks.sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_slot_leaves_the_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || {
            let dir = Dir::open(folder.path()).expect("opens");
            State::open(dir, folder.path(), 1_000, false).expect("opens")
        };
        let state = open();
        let first = state.marks().expect("reads");
        assert_eq!(first.epoch, 1_000_000);
        state.raise_epoch(1_000).expect("writes");
        assert_eq!(state.marks().expect("reads").epoch, 1_000_001);
        state.raise_time_floor(5_000_000, &first).expect("writes");
        assert_eq!(open().marks().expect("reads").time_floor_ms, 5_000_000);
        for torn in 0..SLOT {
            let file = open().file;
            fs::write_at(&file, &[0xee], torn as u64).expect("writes");
            let marks = open().marks().expect("reads");
            assert_eq!(marks.epoch, 1_000_001, "the slot of sequence 3 is the other");
        }
    }
}
