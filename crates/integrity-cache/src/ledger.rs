//! The freshness ledger: which generation of each name is the last, for namespaces that ask for it.
//!
//! An append-only file of authenticated records, bound to their place. A name without a record has
//! no hit, so that whatever is lost of the ledger only ever causes misses. A damaged record might
//! have replaced any record before it: those are forgotten.

use std::{
    collections::HashMap,
    fs::File,
    io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    Error,
    format::take,
    fs::{self, Dir, Opened, Stat},
    keys::{KeySet, Purpose},
};

/// Length of a record: name 32, generation 8, expiry 8, tag 16.
pub(crate) const RECORD: usize = 64;
const SIGNED: usize = 48;
/// A ledger is rewritten when it has this many records and most are of no use.
const COMPACT_FROM: u64 = 1024;
const READ: usize = 1024 * RECORD;

/// The ledger of one namespace under one key.
pub(crate) struct Ledger {
    name: String,
    path: PathBuf,
    view: Mutex<View>,
}

/// What was read so far.
#[derive(Default)]
struct View {
    file: Option<(File, Stat)>,
    read: u64,
    floors: HashMap<[u8; 32], Floor>,
    damaged: bool,
}

/// The last entry of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) generation: u64,
    pub(crate) expires_ms: i64,
}

impl Ledger {
    pub(crate) fn new(state: &std::path::Path, keys: &KeySet, namespace: &str) -> Self {
        let name = format!("ledger.{}.{namespace}", fs::hex(&keys.id));
        Self { path: state.join(&name), name, view: Mutex::default() }
    }

    /// The last entry of a name; `damaged` tells whether records had to be forgotten since asked last.
    pub(crate) fn floor(
        &self,
        dir: &Dir,
        keys: &KeySet,
        name: &[u8; 32],
    ) -> Result<(Option<Floor>, bool), Error> {
        let mut view = self.view();
        self.refresh(dir, keys, &mut view)?;
        Ok((view.floors.get(name).copied(), std::mem::take(&mut view.damaged)))
    }

    /// Appends a record, synced, that makes a generation the last of its name; answers it. It is
    /// after the floor, and `least` or more.
    pub(crate) fn raise(
        &self,
        dir: &Dir,
        keys: &KeySet,
        name: &[u8; 32],
        least: u64,
        expires_ms: i64,
        now_ms: i64,
    ) -> Result<u64, Error> {
        let io = |error| Error::io("write", &self.path)(error);
        loop {
            let file = dir.open_or_create(&self.name).map_err(io)?;
            fs::lock(&file, true, fs::PATIENCE)
                .map_err(|_| Error::Busy { path: self.path.clone() })?;
            let stat = fs::stat_file(&file).map_err(io)?;
            if stat.links == 0 {
                // Rewritten while we waited.
                continue;
            }
            let mut view = self.view();
            self.refresh(dir, keys, &mut view)?;
            let generation = match view.floors.get(name) {
                Some(floor) => least.max(floor.generation.saturating_add(1)),
                None => least,
            };
            let floor = Floor { generation, expires_ms };
            // A crash may have left half a record; it never counted.
            let at = stat.size / RECORD as u64;
            fs::write_at(&file, &record(keys, at, name, floor)?, at * RECORD as u64).map_err(io)?;
            file.sync_data().map_err(io)?;
            if stat.size == 0 {
                dir.sync().map_err(io)?;
            }
            self.refresh(dir, keys, &mut view)?;
            if view.read > COMPACT_FROM && view.read > 2 * view.floors.len() as u64 {
                self.compact(dir, keys, &mut view, now_ms)?;
            }
            return Ok(generation);
        }
    }

    /// Rewrites the ledger without records that later ones replaced or whose time is over.
    fn compact(&self, dir: &Dir, keys: &KeySet, view: &mut View, now_ms: i64) -> Result<(), Error> {
        view.floors.retain(|_, floor| floor.expires_ms >= now_ms);
        let mut bytes = Vec::with_capacity(view.floors.len() * RECORD);
        let mut floors: Vec<_> = view.floors.iter().collect();
        floors.sort_unstable_by_key(|(name, _)| **name);
        for (at, (name, floor)) in (0..).zip(floors) {
            bytes.extend_from_slice(&record(keys, at, name, *floor)?);
        }
        dir.replace(&self.name, &bytes).map_err(Error::io("replace", &self.path))?;
        *view = View::default();
        self.refresh(dir, keys, view)
    }

    /// Reads what was appended since.
    fn refresh(&self, dir: &Dir, keys: &KeySet, view: &mut View) -> Result<(), Error> {
        let io = |error| Error::io("read", &self.path)(error);
        let stat = match &view.file {
            Some((file, _)) => fs::stat_file(file).map_err(io)?,
            None => match dir.open_file(&self.name).map_err(io)? {
                Opened::File(file, stat) => {
                    view.file = Some((file, stat));
                    stat
                }
                Opened::Absent => return Ok(()),
                Opened::Unsafe(..) => return Err(io(io::ErrorKind::InvalidInput.into())),
            },
        };
        let records = stat.size / RECORD as u64;
        if stat.links == 0 || records < view.read {
            // Rewritten, or damaged: from the start.
            *view = View::default();
            return if stat.links == 0 {
                self.refresh(dir, keys, view)
            } else {
                self.reread(dir, keys, view)
            };
        }
        self.read_records(keys, view, records)
    }

    fn reread(&self, dir: &Dir, keys: &KeySet, view: &mut View) -> Result<(), Error> {
        view.damaged = true;
        self.refresh(dir, keys, view)
    }

    fn read_records(&self, keys: &KeySet, view: &mut View, records: u64) -> Result<(), Error> {
        let Some((file, _)) = &view.file else { return Ok(()) };
        let mut buffer = Vec::new();
        while view.read < records {
            let want = usize::try_from((records - view.read).saturating_mul(RECORD as u64))
                .map_or(READ, |want| want.min(READ));
            buffer.resize(want, 0);
            let len = fs::read_at(file, &mut buffer, view.read * RECORD as u64)
                .map_err(Error::io("read", &self.path))?;
            for bytes in buffer[..len].chunks_exact(RECORD) {
                if let Some((name, floor)) = decode(keys, view.read, bytes)? {
                    view.floors.insert(name, floor);
                } else {
                    view.floors.clear();
                    view.damaged = true;
                }
                view.read += 1;
            }
            if len < want {
                break;
            }
        }
        Ok(())
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn record(keys: &KeySet, at: u64, name: &[u8; 32], floor: Floor) -> Result<[u8; RECORD], Error> {
    let mut bytes = [0; RECORD];
    bytes[..32].copy_from_slice(name);
    bytes[32..40].copy_from_slice(&floor.generation.to_le_bytes());
    bytes[40..48].copy_from_slice(&floor.expires_ms.to_le_bytes());
    let tag = keys.digest(Purpose::Ledger, &[&at.to_le_bytes(), &bytes[..SIGNED]])?;
    bytes[SIGNED..].copy_from_slice(&tag[..RECORD - SIGNED]);
    Ok(bytes)
}

fn decode(keys: &KeySet, at: u64, bytes: &[u8]) -> Result<Option<([u8; 32], Floor)>, Error> {
    let (signed, tag) = bytes.split_at(SIGNED);
    let authentic = keys.is_digest(Purpose::Ledger, &[&at.to_le_bytes(), signed], tag)?;
    Ok(authentic.then(|| {
        let floor = Floor {
            generation: u64::from_le_bytes(take(signed, 32)),
            expires_ms: i64::from_le_bytes(take(signed, 40)),
        };
        (take(signed, 0), floor)
    }))
}
