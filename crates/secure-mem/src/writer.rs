//! A growable secret: chained slots, so growing never moves a byte that was written.

use crate::{
    error::Error,
    secret::{self, SecretBytes},
    slab::Purpose,
    slot::Slot,
    vault::{self, Shared, Vault},
};
use std::{fmt, io};

/// Payload of the first slot of a writer: 128 bytes with its canary.
const FIRST_CHUNK_BYTES: usize = 112;
/// Payload of the first slot when reading: a kibibyte with its canary.
const FIRST_READ_BYTES: usize = 1008;
/// Slots stop growing here.
const LARGEST_CHUNK_BYTES: usize = 1024 * 1024 - 16;

/// Collects bytes of unknown number in protected memory.
///
/// Until [`Writer::finish`] the bytes are open in this process, whatever the vault does with values at rest.
///
/// # Examples
/// ```
/// use dsops_secure_mem::Writer;
/// use std::io::Write;
///
/// let mut writer = Writer::with_limit(64);
/// write!(writer, "user={}", "app")?;
/// let secret = writer.finish()?;
/// assert_eq!(&*secret.expose(), b"user=app");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Writer {
    /// The vault; the process-wide one if not said otherwise.
    vault: Option<Vault>,
    /// All full but the last.
    chunks: Vec<Slot>,
    /// Bytes used of the last chunk.
    used: usize,
    len: usize,
    limit_bytes: Option<usize>,
}

impl Writer {
    /// Makes a writer without limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a writer that refuses to grow past `limit_bytes`.
    pub fn with_limit(limit_bytes: usize) -> Self {
        Self { limit_bytes: Some(limit_bytes), ..Self::default() }
    }

    pub(crate) fn in_vault(vault: Vault) -> Self {
        Self { vault: Some(vault), ..Self::default() }
    }

    /// Appends bytes; on an error nothing of them is kept.
    ///
    /// # Errors
    /// [`Error::TooLarge`] past the limit, and those of [`SecretBytes::adopt`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(limit_bytes) = self.limit_bytes
            && bytes.len() > limit_bytes - self.len
        {
            return Err(Error::TooLarge { limit_bytes });
        }
        let room = self.spare()?.len();
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        // The only step that can fail comes first.
        let next = if later.is_empty() { None } else { Some(self.chunk(later.len())?) };
        self.write(now);
        if let Some(next) = next {
            self.chunks.push(next);
            self.used = 0;
            self.write(later);
        }
        Ok(())
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes one secret of what was written. Several slots are copied into one, inside protected memory, and wiped.
    ///
    /// # Errors
    /// Those of [`SecretBytes::adopt`].
    pub fn finish(mut self) -> Result<SecretBytes, Error> {
        self.spare()?;
        if self.chunks.len() == 1
            && let Some(mut only) = self.chunks.pop()
        {
            only.truncate(self.used);
            return secret::settle(only);
        }
        let mut whole = Slot::new(self.shared(), Purpose::Plain, self.len)?;
        let last = self.chunks.len() - 1;
        let mut offset = 0;
        for (index, chunk) in self.chunks.drain(..).enumerate() {
            let part = if index == last { self.used } else { chunk.len() };
            chunk.ensure_live()?;
            whole.write_at(offset, &chunk.bytes()[..part]);
            offset += part;
        }
        secret::settle(whole)
    }

    /// Appends what `reader` has, read straight into slots.
    pub(crate) fn fill_from(
        &mut self,
        reader: &mut impl io::Read,
        limit_bytes: usize,
    ) -> Result<(), Error> {
        loop {
            if self.chunks.is_empty() {
                let first = self.chunk(FIRST_READ_BYTES.min(limit_bytes.saturating_add(1)))?;
                self.chunks.push(first);
            } else if self.spare()?.is_empty() {
                let next = self.chunk(1)?;
                self.chunks.push(next);
                self.used = 0;
            }
            let room = self.spare()?;
            let room_len = room.len();
            match reader.read(room) {
                Ok(0) => return Ok(()),
                Ok(count) if count > room_len => {
                    return Err(Error::Read(io::Error::other("the reader claims too many bytes")));
                }
                Ok(count) => {
                    self.used += count;
                    self.len += count;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Read(error)),
            }
            if self.len > limit_bytes {
                return Err(Error::TooLarge { limit_bytes });
            }
        }
    }

    fn shared(&self) -> &'static Shared {
        self.vault.as_ref().unwrap_or_else(|| vault::vault()).shared()
    }

    /// A slot for at least `need` bytes, as large as all before it.
    fn chunk(&mut self, need: usize) -> Result<Slot, Error> {
        let wanted = self.len.clamp(FIRST_CHUNK_BYTES, LARGEST_CHUNK_BYTES).max(need);
        Slot::new(self.shared(), Purpose::Plain, wanted)
    }

    /// What is left of the last slot; makes the first one.
    fn spare(&mut self) -> Result<&mut [u8], Error> {
        if self.chunks.is_empty() {
            let first = self.chunk(0)?;
            self.chunks.push(first);
            self.used = 0;
        }
        let used = self.used;
        let Some(last) = self.chunks.last_mut() else { return Ok(&mut []) };
        last.ensure_live()?;
        Ok(&mut last.bytes_mut()[used..])
    }

    /// Fills the last slot; the caller made sure of the room.
    fn write(&mut self, bytes: &[u8]) {
        let used = self.used;
        if let Some(last) = self.chunks.last_mut() {
            last.write_at(used, bytes);
        }
        self.used += bytes.len();
        self.len += bytes.len();
    }
}

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Writer({} bytes, REDACTED)", self.len)
    }
}
