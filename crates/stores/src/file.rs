//! Files that are read within limits, published whole or not at all, and locked against lost updates.

mod lock;
mod publish;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use lock::is_still;

pub use lock::{Lock, lock};
pub use publish::{New, publish, publish_new, publish_new_pair, replace};

/// Why a file could not be read, replaced, published or locked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A file of this name is there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The path names something that is no regular file.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is larger than what is read.
    #[error("{} has more than {limit_bytes} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit_bytes: u64,
    },
    /// Another process has the file locked.
    #[error("{} is being changed by another process (waited {} s)", path.display(), waited.as_secs())]
    Locked {
        /// The file.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FileError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

/// Reads a regular file of at most `limit_bytes`.
///
/// # Errors
/// [`FileError::Io`], [`FileError::NotAFile`], [`FileError::TooLarge`].
pub fn read(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, FileError> {
    let file = open_regular(path)?;
    // The size is a hint: the limit holds whatever the system says.
    let size = file.metadata().map_err(FileError::io("read", path))?.len().min(limit_bytes);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    if bytes.len() as u64 > limit_bytes {
        return Err(FileError::TooLarge { path: path.to_owned(), limit_bytes });
    }
    Ok(bytes)
}

/// Makes a folder that only its owner may enter, and the missing ones above it; one that is there
/// already stays as it is.
///
/// # Errors
/// [`FileError::Io`].
///
/// # Platform
/// Elsewhere than on Unix the folder has the access rights of the one above it.
pub fn private_folder(path: &Path) -> Result<(), FileError> {
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::DirBuilderExt as _;
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
    };
    #[cfg(not(unix))]
    let builder = {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        builder
    };
    builder.create(path).map_err(FileError::io("make", path))
}

/// Opens a file, and says no to anything else. It is opened before it is looked at, so that nothing can
/// be put in its place in between, and without waiting: opening a FIFO waits for who writes to it.
pub(crate) fn open_regular(path: &Path) -> Result<File, FileError> {
    let not_a_file = || FileError::NotAFile { path: path.to_owned() };
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    }
    match options.open(path) {
        Ok(file) => {
            let opened = file.metadata().map_err(FileError::io("open", path))?;
            if opened.is_file() { Ok(file) } else { Err(not_a_file()) }
        }
        // What cannot be opened at all, as a socket.
        Err(_) if fs::metadata(path).is_ok_and(|there| !there.is_file()) => Err(not_a_file()),
        Err(error) => Err(FileError::io("open", path)(error)),
    }
}

/// What is in a folder.
#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[cfg(all(test, unix))]
#[allow(clippy::disallowed_methods, clippy::unwrap_used)]
mod tests {
    use std::{
        process::Command,
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn what_is_no_file_is_neither_read_nor_locked() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for path in [&*fifo, folder.path()] {
            assert!(matches!(read(path, 5), Err(FileError::NotAFile { .. })));
            assert!(matches!(lock(path, Duration::from_secs(30)), Err(FileError::NotAFile { .. })));
        }
        let missing = folder.path().join("missing");
        let Err(FileError::Io { action: "open", .. }) = read(&missing, 5) else { panic!("io") };
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(matches!(read(&path, 4), Err(FileError::TooLarge { limit_bytes: 4, .. })));
    }

    #[test]
    fn what_is_put_in_the_place_of_a_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let [path, file, fifo] = ["f", "file", "fifo"].map(|name| folder.path().join(name));
        fs::write(&file, "x").unwrap();
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        // Somebody has it open at both ends, so that whoever opens it gets it at once.
        let _both = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        fs::hard_link(&file, &path).unwrap();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let next = folder.path().join("next");
                while !stop.load(Ordering::Relaxed) {
                    for what in [&fifo, &file] {
                        fs::hard_link(what, &next).unwrap();
                        fs::rename(&next, &path).unwrap();
                        // Between two names of one file a rename does nothing.
                        let _ = fs::remove_file(&next);
                    }
                }
            });
            let others = (0..5_000)
                .filter_map(|_| open_regular(&path).ok())
                .filter(|file| !file.metadata().unwrap().is_file())
                .count();
            stop.store(true, Ordering::Relaxed);
            assert_eq!(others, 0);
        });
    }
}
