//! Archives that are the same bytes whenever and wherever they are made: sorted, one time, no user.

use std::io::{self, Write as _};

use anyhow::Context as _;
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

/// One file or folder of an archive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its path in the archive; a folder's ends in `/`.
    pub path: String,
    /// Its permissions.
    pub mode: u32,
    /// What is in it.
    pub content: Vec<u8>,
}

impl Entry {
    /// A file that anybody may read.
    pub fn file(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), mode: 0o644, content: content.into() }
    }

    /// A file that anybody may run.
    pub fn program(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { mode: 0o755, ..Self::file(path, content) }
    }

    /// A folder.
    pub fn folder(path: &str) -> Self {
        Self { path: format!("{path}/"), mode: 0o755, content: Vec::new() }
    }
}

/// A tar archive (ustar), its entries sorted by path, all of the superuser and of that time.
///
/// # Errors
/// A path is too long for ustar, or stands there twice.
pub fn tar(mut entries: Vec<Entry>, seconds: u64) -> anyhow::Result<Vec<u8>> {
    entries.sort();
    if let Some([one, _]) = entries.array_windows().find(|[one, next]| one.path == next.path) {
        anyhow::bail!("{} would be in the archive twice", one.path);
    }
    let mut builder = Builder::new(Vec::new());
    for entry in &entries {
        let mut header = Header::new_ustar();
        header.set_path(&entry.path).with_context(|| format!("the path {}", entry.path))?;
        header.set_size(entry.content.len() as u64);
        header.set_mode(entry.mode);
        header.set_mtime(seconds);
        header.set_uid(0);
        header.set_gid(0);
        let is_folder = entry.path.ends_with('/');
        header.set_entry_type(if is_folder { EntryType::Directory } else { EntryType::Regular });
        header.set_cksum();
        builder.append(&header, entry.content.as_slice())?;
    }
    builder.into_inner().context("cannot end the archive")
}

/// Packed as gzip, which then says neither when nor of what.
///
/// # Errors
/// Never in practice: it is written to memory.
pub fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    packer.write_all(bytes)?;
    packer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHEN: u64 = 1_700_000_000;

    fn entries() -> Vec<Entry> {
        vec![
            Entry::program("app-1/app", "program"),
            Entry::folder("app-1"),
            Entry::file("app-1/man/app.1", "page"),
        ]
    }

    #[test]
    fn the_order_of_entries_and_the_hour_change_nothing() {
        let one = gzip(&tar(entries(), WHEN).unwrap()).unwrap();
        let mut turned = entries();
        turned.reverse();
        assert_eq!(gzip(&tar(turned, WHEN).unwrap()).unwrap(), one);
        // Bytes 4 to 7 of gzip are a time, and byte 3 would say that a name follows.
        assert_eq!(one[3..8], [0; 5]);
    }

    #[test]
    fn entries_are_of_nobody_and_of_one_time() {
        let bytes = tar(entries(), WHEN).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut names = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            assert_eq!(header.mtime().unwrap(), WHEN);
            assert_eq!(header.username().unwrap(), Some(""));
            assert!(header.as_ustar().is_some());
            let path = entry.path().unwrap().display().to_string();
            names.push((path, header.mode().unwrap()));
        }
        let wanted = [("app-1/", 0o755), ("app-1/app", 0o755), ("app-1/man/app.1", 0o644)];
        assert_eq!(names, wanted.map(|(name, mode)| (name.to_owned(), mode)));
    }

    #[test]
    fn nothing_is_there_twice_or_under_another_name() {
        assert!(tar(vec![Entry::file("a", "1"), Entry::file("a", "2")], WHEN).is_err());
        assert!(tar(vec![Entry::file("a".repeat(300), "1")], WHEN).is_err());
        assert!(tar(vec![Entry::file("../a", "1")], WHEN).is_err());
    }
}
