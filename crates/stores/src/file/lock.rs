//! Locks that are taken on a file itself.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{FileError, open_regular};

/// How often a lock that another process holds is tried again.
const LOCK_POLL: Duration = Duration::from_millis(5);

/// An exclusive lock on a file, among all that use [`lock`]; released when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Locks a file for a change that reads it, and then replaces it by [`replace`](super::replace). Waits at most
/// `patience` for others.
///
/// The lock is taken on the file itself, so none is left behind. A replaced file is another file:
/// who waited for the old one takes the lock on the new.
///
/// # Errors
/// [`FileError::Locked`], [`FileError::Io`], [`FileError::NotAFile`].
///
/// # Platform
/// On Unix an advisory `flock`. Elsewhere the file is locked while it is read only, see
/// [`std::fs::File::lock`].
pub fn lock(path: &Path, patience: Duration) -> Result<Lock, FileError> {
    let start = Instant::now();
    loop {
        let file = open_regular(path)?;
        let opened = file.metadata().map_err(FileError::io("read", path))?;
        match file.try_lock() {
            Ok(()) if is_still(path, &opened)? => return Ok(Lock { _file: file }),
            // Replaced while we waited: the new file is the one to lock.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if start.elapsed() < patience => {
                thread::sleep(LOCK_POLL);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(FileError::Locked { path: path.to_owned(), waited: start.elapsed() });
            }
            Err(TryLockError::Error(error)) => return Err(FileError::io("lock", path)(error)),
        }
    }
}

/// Whether the path still names the file that was locked.
#[cfg(unix)]
pub(super) fn is_still(path: &Path, opened: &fs::Metadata) -> Result<bool, FileError> {
    use std::os::unix::fs::MetadataExt;
    let now = fs::metadata(path).map_err(FileError::io("read", path))?;
    Ok((now.dev(), now.ino()) == (opened.dev(), opened.ino()))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
pub(super) fn is_still(_: &Path, _: &fs::Metadata) -> Result<bool, FileError> {
    Ok(true)
}

#[cfg(all(test, unix))]
#[allow(clippy::disallowed_methods, clippy::unwrap_used)]
mod tests {
    use super::super::{names, replace};
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn a_lock_is_exclusive_and_patience_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "x").unwrap();
        let held = lock(&path, PATIENCE).unwrap();
        let refused = lock(&path, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(refused, FileError::Locked { .. }));
        drop(held);
        lock(&path, PATIENCE).unwrap();
        assert_eq!(names(folder.path()), ["f"]);
    }

    #[test]
    fn no_update_is_lost_among_many() {
        const THREADS: usize = 8;
        const ROUNDS: usize = 25;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "").unwrap();
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let path = &path;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let _lock = lock(path, PATIENCE).unwrap();
                        let mut content = fs::read(path).unwrap();
                        content.extend_from_slice(format!("{thread}.{round}\n").as_bytes());
                        replace(path, &content).unwrap();
                    }
                });
            }
        });
        let content = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<&str> = content.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), THREADS * ROUNDS);
    }
}
