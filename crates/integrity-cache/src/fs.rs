//! The file system as the cache uses it: held directories, no links followed, nothing replaced by accident.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

use std::{io, time::Duration};

#[cfg(not(unix))]
pub(crate) use other::{
    Dir, claim, effective_uid, lock, read_at, read_start, stat_file, touch, write_at,
};
#[cfg(unix)]
pub(crate) use unix::{
    Dir, claim, effective_uid, lock, read_at, read_start, stat_file, touch, write_at,
};

use crate::{Offender, Unsafe};

/// How long a lock that another process holds is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is tried again.
pub(crate) const LOCK_POLL: Duration = Duration::from_micros(500);
/// Ends the names of files that are being written outside `tmp/`.
const TEMPORARY: &str = ".tmp";

/// What is known of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) uid: u32,
    pub(crate) mode: u32,
    pub(crate) links: u64,
    pub(crate) modified_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    Other,
}

impl Stat {
    /// Whether it is the same file.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    pub(crate) fn offender(&self) -> Offender {
        Offender {
            device: self.device,
            inode: self.inode,
            uid: self.uid,
            modified_ms: self.modified_ms,
            size_bytes: self.size,
        }
    }
}

/// Where the bytes of an entry come from: its file, or memory.
pub(crate) trait Source {
    /// Reads at a place, as much as there is.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
}

impl Source for std::fs::File {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        read_at(self, buffer, at)
    }
}

impl Source for [u8] {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or(&[]);
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}

/// What opening a file found.
pub(crate) enum Opened {
    /// A regular file.
    File(std::fs::File, Stat),
    /// Nothing.
    Absent,
    /// Something that is no regular file, or not to be had.
    Unsafe(Unsafe, Option<Stat>),
}

/// What publishing a new file found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// It is there now.
    New,
    /// Another file of this name was there before, and is unchanged.
    Exists,
}

/// A random file name of 62 hexadecimal digits.
pub(crate) fn random_name() -> io::Result<String> {
    let mut bytes = [0u8; 31];
    getrandom::fill(&mut bytes)?;
    Ok(hex(&bytes))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Whether a name is one that entries and temporary files have.
pub(crate) fn is_our_name(name: &str) -> bool {
    name.len() == 62 && is_hex(name)
}

/// Whether there are only lower-case hexadecimal digits.
pub(crate) fn is_hex(name: &str) -> bool {
    name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The name of the file in which the new content of another is prepared.
fn temporary_name(name: &str) -> io::Result<String> {
    Ok(format!(".{name}.{}{TEMPORARY}", &random_name()?[..16]))
}

/// Whether a name is a [`temporary_name`] for a file, or for any whose name starts with `of` when that
/// ends in a dot.
fn is_temporary_name(name: &str, of: &str) -> bool {
    name.strip_prefix('.')
        .and_then(|name| name.strip_prefix(of)?.strip_suffix(TEMPORARY)?.rsplit_once('.'))
        .is_some_and(|(rest, random)| {
            (rest.is_empty() || of.ends_with('.'))
                && random.len() == 16
                && random.bytes().all(|b| b.is_ascii_hexdigit())
        })
}

/// Repeats what a signal interrupted.
pub(crate) fn uninterrupted<T>(mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match act() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Whether an error of a write says that there is no room.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
