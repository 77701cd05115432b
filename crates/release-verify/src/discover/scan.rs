//! Lists the files of a folder without leaving it, and opens none that could block.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What is wrong with a name that cannot be told from others.
pub(crate) const NOT_TEXT: &str = "its name is no text";

/// How much of a folder is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanLimits {
    /// Files and folders in all, evidence included: who is to look at a million empty folders has
    /// as much to do.
    pub files: usize,
    /// Folders within folders.
    pub depth: usize,
    /// Bytes of evidence in all; what is beyond is not read, and said to be too large.
    pub evidence_bytes: u64,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self { files: 100_000, depth: 32, evidence_bytes: 512 << 20 }
    }
}

/// A folder or file that cannot be looked at.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiscoverError {
    /// The system said no.
    #[error("cannot read {}", path.display())]
    Io {
        /// What was to be read.
        path: PathBuf,
        /// Why it could not be.
        source: io::Error,
    },
    /// More than the limit: nothing is said about a part of a release.
    #[error("{} has more than {limit} {what}", path.display())]
    TooMuch {
        /// The folder.
        path: PathBuf,
        /// How many.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
    /// A pipe, a socket, a device.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// A link that leads out of the folder it is in.
    #[error("{} is a link that leads out of its folder", path.display())]
    Outside {
        /// The link.
        path: PathBuf,
    },
}

impl DiscoverError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// The same error once more: what could not be read once is asked about for many files.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Io { path, source } => {
                let source = io::Error::new(source.kind(), source.to_string());
                Self::Io { path: path.clone(), source }
            }
            Self::TooMuch { path, limit, what } => {
                Self::TooMuch { path: path.clone(), limit: *limit, what }
            }
            Self::NotRegular { path } => Self::NotRegular { path: path.clone() },
            Self::Outside { path } => Self::Outside { path: path.clone() },
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Io { .. } => None,
            Self::TooMuch { .. } => Some("verify the files, or the folders in it, one by one"),
            Self::NotRegular { .. } => Some("pass what it gives on standard input: `-`"),
            Self::Outside { .. } => Some("put the file itself there, or name it directly"),
        }
    }
}

/// The files of a folder.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The folder as the caller named it.
    pub root: PathBuf,
    /// Paths of files below it, parts separated by `/`, sorted.
    pub files: Vec<String>,
    /// What is there but no file that may be opened, sorted.
    pub refused: Vec<(String, DiscoverError)>,
}

impl Scan {
    /// Lists the files of `root`; with `deep`, those of the folders in it too.
    pub(crate) fn new(root: &Path, deep: bool, limits: ScanLimits) -> Result<Self, DiscoverError> {
        let mut scan = Self { root: root.to_owned(), files: Vec::new(), refused: Vec::new() };
        let real = fs::canonicalize(root).map_err(|error| DiscoverError::io(root, error))?;
        let mut folders = vec![(String::new(), 0)];
        let mut count = 0;
        while let Some((folder, depth)) = folders.pop() {
            let path = root.join(&folder);
            let entries = fs::read_dir(&path).map_err(|error| DiscoverError::io(&path, error))?;
            for entry in entries {
                let entry = entry.map_err(|error| DiscoverError::io(&path, error))?;
                let name = entry.file_name();
                let below = |name: &str| match folder.as_str() {
                    "" => name.to_owned(),
                    folder => format!("{folder}/{name}"),
                };
                count += 1;
                if count > limits.files {
                    let (path, what) = (root.to_owned(), "files and folders");
                    return Err(DiscoverError::TooMuch { path, limit: limits.files, what });
                }
                let kind =
                    entry.file_type().map_err(|error| DiscoverError::io(&entry.path(), error))?;
                let Some(text) = name.to_str() else {
                    // With marks in place of what cannot be shown it may be the name of another
                    // file, which would then be read, and signed, in its place.
                    if deep || !kind.is_dir() {
                        let error = io::Error::new(io::ErrorKind::InvalidInput, NOT_TEXT);
                        let error = DiscoverError::io(&entry.path(), error);
                        scan.refused.push((below(&name.to_string_lossy()), error));
                    }
                    continue;
                };
                let below = below(text);
                if kind.is_dir() {
                    if !deep {
                        continue;
                    }
                    if depth >= limits.depth {
                        let what = "folders within folders";
                        let path = root.to_owned();
                        return Err(DiscoverError::TooMuch { path, limit: limits.depth, what });
                    }
                    folders.push((below, depth + 1));
                } else if kind.is_file() {
                    scan.files.push(below);
                } else {
                    match target(&entry.path(), &real) {
                        Ok(()) => scan.files.push(below),
                        Err(error) => scan.refused.push((below, error)),
                    }
                }
            }
        }
        scan.files.sort_unstable();
        scan.refused.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(scan)
    }

    /// Whether it has a file of that path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.binary_search_by(|file| file.as_str().cmp(path)).is_ok()
    }
}

/// Whether the link leads to a regular file below `real`.
fn target(link: &Path, real: &Path) -> Result<(), DiscoverError> {
    let path = || link.to_owned();
    let target = fs::canonicalize(link).map_err(|error| DiscoverError::io(link, error))?;
    let metadata = fs::symlink_metadata(&target).map_err(|error| DiscoverError::io(link, error))?;
    if !metadata.is_file() {
        return Err(DiscoverError::NotRegular { path: path() });
    }
    if !target.starts_with(real) {
        return Err(DiscoverError::Outside { path: path() });
    }
    Ok(())
}

/// Opens a regular file. Opening a pipe would wait for a writer, and a device may act; so it does
/// not wait, and what was opened is looked at before it is read.
pub(crate) fn open_regular(path: &Path) -> Result<File, DiscoverError> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path).map_err(|error| DiscoverError::io(path, error))?;
    let metadata = file.metadata().map_err(|error| DiscoverError::io(path, error))?;
    if metadata.is_file() {
        Ok(file)
    } else {
        Err(DiscoverError::NotRegular { path: path.to_owned() })
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create_new(path).unwrap();
    }

    #[test]
    fn files_are_listed_in_order_and_links_stay_inside() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("release");
        for name in ["b", "a", "sub/c", "sub/deep/d"] {
            touch(&root.join(name));
        }
        touch(&outer.path().join("outside"));
        symlink("../outside", root.join("escape")).unwrap();
        symlink("sub/c", root.join("link")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        symlink("sub", root.join("folder")).unwrap();
        symlink("/dev/null", root.join("null")).unwrap();
        let deep = Scan::new(&root, true, ScanLimits::default()).unwrap();
        assert_eq!(deep.files, ["a", "b", "link", "sub/c", "sub/deep/d"]);
        let refused: Vec<_> = deep.refused.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(refused, ["dangling", "escape", "folder", "null"]);
        assert!(matches!(deep.refused[1].1, DiscoverError::Outside { .. }));
        assert!(deep.has("sub/c") && !deep.has("c"));
        let flat = Scan::new(&root, false, ScanLimits::default()).unwrap();
        assert_eq!(flat.files, ["a", "b", "link"]);
    }

    #[test]
    fn limits_are_errors_and_not_parts() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a", "b", "x/y/z"] {
            touch(&root.path().join(name));
        }
        let limits = |files, depth| ScanLimits { files, depth, ..ScanLimits::default() };
        // Three files, and two folders.
        for limits in [limits(4, 9), limits(9, 1)] {
            let error = Scan::new(root.path(), true, limits).unwrap_err();
            assert!(matches!(error, DiscoverError::TooMuch { .. }), "{error}");
        }
        assert_eq!(Scan::new(root.path(), true, limits(5, 2)).unwrap().files.len(), 3);
        let empty = tempfile::tempdir().unwrap();
        for name in ["a", "b", "b/c", "d"] {
            fs::create_dir(empty.path().join(name)).unwrap();
        }
        let error = Scan::new(empty.path(), true, limits(3, 9)).unwrap_err();
        assert!(matches!(error, DiscoverError::TooMuch { limit: 3, .. }), "{error}");
        assert!(Scan::new(empty.path(), true, limits(4, 9)).is_ok());
    }

    #[test]
    fn a_pipe_is_refused_without_waiting() {
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert!(matches!(open_regular(&pipe), Err(DiscoverError::NotRegular { .. })));
        let scan = Scan::new(root.path(), true, ScanLimits::default()).unwrap();
        assert!(scan.files.is_empty());
        assert_eq!(scan.refused.len(), 1);
        assert!(matches!(open_regular(root.path()), Err(DiscoverError::NotRegular { .. })));
        assert!(matches!(open_regular(&root.path().join("no")), Err(DiscoverError::Io { .. })));
    }
}
