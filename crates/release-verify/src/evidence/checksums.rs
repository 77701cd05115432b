//! Checksum files: lists of names and digests, as `sha256sum`, BSD `sha256`, OpenSSL and release
//! tools write them.

use std::collections::BTreeMap;

use super::EvidenceError;
use crate::{Algorithm, Digest};

mod line;
mod path;

pub(crate) use path::listed_path;

/// A file that a checksum file lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The path as listed, without a leading `./`, parts separated by `/`. Never absolute, never
    /// with `..`, without control characters.
    pub path: String,
    /// Its digests, one for each algorithm at most, SHA-256 first.
    pub digests: Vec<Digest>,
}

impl Entry {
    /// The last part of the path.
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// The content of a checksum file.
///
/// It proves nothing by itself: whoever can change a file can change the list beside it.
///
/// Read are the lines of GNU tools (text and binary marks, names with escapes), of BSD tools and of
/// OpenSSL (`SHA256 (name) = …`), a digest alone in a file named `NAME.sha256`, line ends of Unix
/// and Windows, a byte order mark, empty lines and comments (`#`). A line that is anything else
/// makes the file unusable.
///
/// # Security
/// A name that leads out of the folder, an absolute one, or one with control characters is refused;
/// so are two lines that disagree about a name. MD5, SHA-1 and other digests that prove nothing
/// here are counted and skipped.
///
/// # Examples
/// ```
/// use dsops_release_verify::evidence::Checksums;
/// let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
/// let list = Checksums::parse("SHA256SUMS", format!("{digest}  hello.txt\n").as_bytes())?;
/// assert_eq!(list.find("hello.txt").unwrap().digests[0].hex(), digest);
/// assert!(Checksums::parse("SHA256SUMS", format!("{digest}  ../hello.txt").as_bytes()).is_err());
/// # Ok::<(), dsops_release_verify::evidence::EvidenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksums {
    /// In the order of their paths, each once.
    entries: Vec<Entry>,
    weak: Vec<Weak>,
    /// Indexes of entries: the first of each digest, and the only one of each file name.
    by_digest: BTreeMap<Digest, usize>,
    by_file_name: BTreeMap<String, Option<usize>>,
}

/// A listed digest that proves nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Weak {
    /// The name of the algorithm as people write it: `MD5`, `SHA-1`, `BLAKE2b`.
    pub algorithm: String,
    /// The listed path.
    pub path: String,
}

impl Checksums {
    /// How large a checksum file may be.
    pub const LIMIT_BYTES: usize = 16 * 1024 * 1024;

    /// Reads the checksum file called `name`. The name helps where the content is not clear: whose
    /// digest a lone one is, and whether 64 digits are SHA-256.
    ///
    /// # Errors
    /// [`EvidenceError`] for the first line that is not in order.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, EvidenceError> {
        if bytes.len() > Self::LIMIT_BYTES {
            return Err(EvidenceError::TooLarge {
                what: "the checksum file",
                limit_bytes: Self::LIMIT_BYTES,
            });
        }
        let malformed = |problem| EvidenceError::malformed("a checksum file", problem);
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("its text is not UTF-8"))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim_start().starts_with("-----BEGIN PGP") {
            return Err(EvidenceError::unsupported("a list signed by OpenPGP"));
        }
        let file_name = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let hint = line::Hint::of(file_name);
        let mut entries: BTreeMap<String, Vec<Digest>> = BTreeMap::new();
        let mut weak = Vec::new();
        let lines: Vec<(usize, &str)> = text
            .split('\n')
            .enumerate()
            .map(|(index, line)| (index + 1, line.strip_suffix('\r').unwrap_or(line)))
            .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
            .collect();
        for (number, text) in &lines {
            let problem = |problem| EvidenceError::Line { line: *number, problem };
            let listed = line::parse(text, &hint).map_err(problem)?;
            let listed_name = match listed.name {
                Some(name) => name,
                // A digest alone: of the file whose name this file's own begins with.
                None if lines.len() == 1 => line::without_suffix(file_name)
                    .ok_or_else(|| problem("is a digest without a name"))?
                    .to_owned(),
                None => return Err(problem("is a digest without a name")),
            };
            let path = listed_path(&listed_name).map_err(problem)?;
            match listed.digest {
                line::Value::Strong(digest) => {
                    let known = entries.entry(path).or_default();
                    match known.iter().find(|other| other.algorithm() == digest.algorithm()) {
                        Some(other) if *other != digest => {
                            return Err(problem("lists another digest for a name listed before"));
                        }
                        Some(_) => {}
                        None => known.push(digest),
                    }
                }
                line::Value::Weak(algorithm) => weak.push(Weak { algorithm, path }),
            }
        }
        let entries: Vec<Entry> = entries
            .into_iter()
            .map(|(path, mut digests)| {
                digests.sort_by_key(Digest::algorithm);
                Entry { path, digests }
            })
            .collect();
        if entries.is_empty() {
            return Err(match weak.first() {
                Some(weak) => EvidenceError::unsupported(format!("{} alone", weak.algorithm)),
                None => malformed("it lists nothing"),
            });
        }
        let (mut by_digest, mut by_file_name) = (BTreeMap::new(), BTreeMap::new());
        for (index, entry) in entries.iter().enumerate() {
            for digest in &entry.digests {
                by_digest.entry(digest.clone()).or_insert(index);
            }
            by_file_name
                .entry(entry.file_name().to_owned())
                .and_modify(|only| *only = None)
                .or_insert(Some(index));
        }
        Ok(Self { entries, weak, by_digest, by_file_name })
    }

    /// What it lists, in the order of the paths.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The digests that were skipped.
    pub fn weak(&self) -> &[Weak] {
        &self.weak
    }

    /// The entry for `path`, relative to the checksum file.
    pub fn find(&self, path: &str) -> Option<&Entry> {
        self.entries
            .binary_search_by(|entry| entry.path.as_str().cmp(path))
            .ok()
            .map(|at| &self.entries[at])
    }

    /// The only entry whose path ends with that name: releases are often downloaded without their
    /// folders. `None` when there are several.
    pub fn find_file_name(&self, name: &str) -> Option<&Entry> {
        let only = (*self.by_file_name.get(name)?)?;
        self.entries.get(only)
    }

    /// The first entry with that digest.
    pub fn find_digest(&self, digest: &Digest) -> Option<&Entry> {
        self.by_digest.get(digest).and_then(|first| self.entries.get(*first))
    }

    /// Every algorithm it uses, in order.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms: Vec<Algorithm> = self
            .entries
            .iter()
            .flat_map(|entry| entry.digests.iter().map(Digest::algorithm))
            .collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        algorithms
    }
}

#[cfg(test)]
mod tests;
