//! Reading an entry piece by piece: no byte comes out before its chunk was verified.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use crate::{body::Chunks, format::CHUNK, fs};

/// A payload that is verified while it is read, with one chunk of 64 KiB in memory.
///
/// A chunk that is not authentic is an error of kind [`io::ErrorKind::InvalidData`]; what came out
/// before was authentic. The file is held open: a store under the same key does not disturb.
pub struct VerifiedReader {
    file: File,
    chunks: Chunks,
    len: u64,
    at: u64,
    loaded: Option<u64>,
    buffer: Vec<u8>,
}

impl VerifiedReader {
    pub(crate) fn new(file: File, chunks: Chunks, len: u64) -> Self {
        Self { file, chunks, len, at: 0, loaded: None, buffer: Vec::new() }
    }

    /// Length of the payload.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no payload.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn load(&mut self, index: u64) -> io::Result<()> {
        if self.loaded == Some(index) {
            return Ok(());
        }
        self.loaded = None;
        let (at, stored, len) = self.chunks.place(index);
        self.buffer.resize(stored, 0);
        if fs::read_at(&self.file, &mut self.buffer, at)? < stored {
            self.buffer.clear();
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the entry became shorter"));
        }
        if let Err(reason) = self.chunks.open(index, &mut self.buffer) {
            self.buffer.clear();
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason.to_string()));
        }
        self.buffer.truncate(len);
        self.loaded = Some(index);
        Ok(())
    }
}

impl fmt::Debug for VerifiedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("VerifiedReader");
        debug.field("len", &self.len).field("at", &self.at).finish_non_exhaustive()
    }
}

impl Read for VerifiedReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.len {
            // The one chunk of an empty payload is verified too.
            if self.len == 0 {
                self.load(0)?;
            }
            return Ok(0);
        }
        if out.is_empty() {
            return Ok(0);
        }
        self.load(self.at / CHUNK as u64)?;
        let within = usize::try_from(self.at % CHUNK as u64).expect("less than a chunk");
        let part = &self.buffer[within..];
        let len = part.len().min(out.len());
        out[..len].copy_from_slice(&part[..len]);
        self.at += len as u64;
        Ok(len)
    }
}

impl Seek for VerifiedReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
