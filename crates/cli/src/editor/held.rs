//! A private folder held by its descriptor: what takes the place of its path is never touched.

use std::fs;
#[cfg(unix)]
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// How the name of such a folder begins; 16 digits follow.
const PREFIX: &str = "dsops-edit-";
/// How it begins until the folder is locked. Nobody looks for that, and nothing is in it yet.
#[cfg(unix)]
const UNLOCKED: &str = "dsops-new-";

/// A folder that is ours alone as long as this is held.
///
/// # Platform
/// Elsewhere than on Unix it is a path, and nobody can tell whether it is in use.
#[derive(Debug)]
pub struct Held {
    /// Where it is.
    pub path: PathBuf,
    /// Carries the lock. The system lets go of it when the last process that has the descriptor ends, however it does.
    #[cfg(unix)]
    open: File,
}

/// Whether a folder of this name is one of ours.
pub fn is_our_name(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(unix)]
impl Held {
    /// A fresh folder in `parent`, if one can be made there. Where the file system has no locks it has none.
    pub fn fresh(parent: &Path) -> Option<Self> {
        let digits = random()?;
        let unlocked = parent.join(format!("{UNLOCKED}{digits}"));
        let path = parent.join(format!("{PREFIX}{digits}"));
        // One that is there already is somebody else's.
        if path.symlink_metadata().is_ok() {
            return None;
        }
        rustix::fs::mkdir(&unlocked, rustix::fs::Mode::RWXU).ok()?;
        // It gets the name that others look for when it is locked: the lock goes with it.
        let made = open_private(&unlocked)
            .ok()
            .filter(|open| !matches!(open.try_lock(), Err(fs::TryLockError::WouldBlock)))
            .filter(|_| fs::rename(&unlocked, &path).is_ok());
        if made.is_none() {
            // It is empty. What cannot be removed stays so.
            let _ = fs::remove_dir(&unlocked);
        }
        made.map(|open| Self { path, open })
    }

    /// A folder that its process left behind. What is locked is in use, here or in another container; what cannot be
    /// locked may be.
    pub fn leftover(path: PathBuf) -> Option<Self> {
        let open = open_private(&path).ok()?;
        open.try_lock().ok()?;
        // Between the two somebody may have removed it.
        let held = Self { path, open };
        held.is_in_place().then_some(held)
    }

    /// The descriptor with the lock, for a child that uses the folder too.
    #[allow(clippy::unnecessary_wraps, reason = "there is none on other platforms")]
    pub fn descriptor(&self) -> Option<i32> {
        Some(std::os::fd::AsRawFd::as_raw_fd(&self.open))
    }

    /// Wipes and removes it.
    ///
    /// # Errors
    /// The first thing the system says; whatever else can be wiped and removed is.
    pub fn remove(&self) -> io::Result<()> {
        let cleared = by_descriptor::clear(&self.open);
        let removed = if self.is_in_place() { fs::remove_dir(&self.path) } else { Ok(()) };
        cleared.and(removed)
    }

    /// Whether the path leads to the folder that is open.
    fn is_in_place(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        match (self.open.metadata(), self.path.symlink_metadata()) {
            (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }
}

#[cfg(not(unix))]
impl Held {
    /// A fresh folder in `parent`, if one can be made there.
    pub fn fresh(parent: &Path) -> Option<Self> {
        let path = parent.join(format!("{PREFIX}{}", random()?));
        fs::create_dir(&path).ok()?;
        Some(Self { path })
    }

    /// None: nobody can tell whether it is in use.
    pub fn leftover(_: PathBuf) -> Option<Self> {
        None
    }

    /// There is none.
    #[expect(clippy::unused_self, reason = "as on Unix")]
    pub fn descriptor(&self) -> Option<i32> {
        None
    }

    /// Wipes and removes it.
    ///
    /// # Errors
    /// What the system says; files that could be opened are wiped all the same.
    pub fn remove(&self) -> io::Result<()> {
        wipe_all(&self.path);
        fs::remove_dir_all(&self.path)
    }
}

fn random() -> Option<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).ok()?;
    Some(format!("{:016x}", u64::from_le_bytes(random)))
}

/// Opens a folder that is ours and that nobody else may enter; a link to one is none.
#[cfg(unix)]
fn open_private(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    use std::os::unix::fs::MetadataExt as _;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let found = open.metadata()?;
    let is_ours = found.uid() == rustix::process::geteuid().as_raw();
    if is_ours && found.mode() & 0o777 == 0o700 {
        Ok(open)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

#[cfg(unix)]
mod by_descriptor {
    use std::ffi::CStr;
    use std::fs::File;
    use std::io;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt as _;

    use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, unlinkat};

    /// Wipes and removes everything in a folder; links are removed, not followed.
    pub fn clear(folder: &impl AsFd) -> io::Result<()> {
        let mut first = Ok(());
        // All names are read before the first goes: what is removed meanwhile may shift the rest.
        let entries: Vec<_> = Dir::read_from(folder)?.collect();
        for entry in entries {
            let done =
                entry.map_err(io::Error::from).and_then(|entry| remove(folder, entry.file_name()));
            first = first.and(done);
        }
        first
    }

    fn remove(folder: &impl AsFd, name: &CStr) -> io::Result<()> {
        if matches!(name.to_bytes(), b"." | b"..") {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if let Ok(below) = openat(folder, name, flags, Mode::empty()) {
            clear(&below)?;
            return Ok(unlinkat(folder, name, AtFlags::REMOVEDIR)?);
        }
        // Best effort: the file is removed next, and its memory goes back to the kernel.
        let _ = wipe(folder, name);
        Ok(unlinkat(folder, name, AtFlags::empty())?)
    }

    /// Overwrites a file that has no other name: what has one is somebody's elsewhere.
    fn wipe(folder: &impl AsFd, name: &CStr) -> io::Result<()> {
        // Without waiting: opening a FIFO waits for who reads it.
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = File::from(openat(folder, name, flags | OFlags::NOCTTY, Mode::empty())?);
        let found = file.metadata()?;
        if found.is_file() && found.nlink() == 1 {
            super::overwrite(&mut file, found.len())?;
        }
        Ok(())
    }
}

/// Overwrites every file below a folder; links are not followed.
#[cfg(not(unix))]
fn wipe_all(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => wipe_all(&entry.path()),
            Ok(kind) if kind.is_file() => {
                let file = fs::OpenOptions::new().write(true).open(entry.path());
                // Best effort: the file is removed next.
                let _ = file.and_then(|mut file| {
                    let length = file.metadata()?.len();
                    overwrite(&mut file, length)
                });
            }
            _ => {}
        }
    }
}

fn overwrite(file: &mut fs::File, mut left: u64) -> io::Result<()> {
    let zeros = [0; 4096];
    while left > 0 {
        let part = usize::try_from(left).map_or(zeros.len(), |left| left.min(zeros.len()));
        io::Write::write_all(file, &zeros[..part])?;
        left -= part as u64;
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[allow(clippy::unwrap_used, reason = "tests")]
    fn names(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn what_is_in_use_is_no_leftover() {
        let parent = tempfile::tempdir().unwrap();
        let held = Held::fresh(parent.path()).unwrap();
        let path = held.path.clone();
        assert_eq!(
            names(parent.path()),
            *std::slice::from_ref(&path),
            "it has its name, and nothing else is left"
        );
        assert!(is_our_name(&path.file_name().unwrap().to_string_lossy()));
        assert!(Held::leftover(path.clone()).is_none(), "it is locked");
        // Who has inherited the descriptor holds the lock too.
        let inherited = held.open.try_clone().unwrap();
        drop(held);
        assert!(Held::leftover(path.clone()).is_none(), "a child has it");
        drop(inherited);
        let left = Held::leftover(path.clone()).unwrap();
        assert!(Held::leftover(path.clone()).is_none(), "somebody removes it");
        left.remove().unwrap();
        assert!(names(parent.path()).is_empty());
    }

    #[test]
    fn a_folder_is_never_seen_unlocked_under_its_name() {
        let parent = tempfile::tempdir().unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    for path in names(parent.path()) {
                        let ours = is_our_name(&path.file_name().unwrap().to_string_lossy());
                        assert!(!ours || Held::leftover(path).is_none());
                    }
                }
            });
            // One at a time: the shorter the list, the more often it is looked at.
            let made = (0..5000)
                .filter_map(|_| Held::fresh(parent.path()))
                .filter(|held| held.remove().is_ok())
                .count();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(made, 5000);
        });
        assert!(names(parent.path()).is_empty());
    }

    #[test]
    fn nothing_is_left_where_none_can_be_made() {
        let parent = tempfile::tempdir().unwrap();
        assert!(Held::fresh(&parent.path().join("missing")).is_none());
        assert!(names(parent.path()).is_empty());
    }

    #[test]
    fn other_folders_are_no_leftovers() {
        for name in
            ["dsops-edit-", "dsops-edit-0123456789abcdeg", "dsops-edit-0123456789abcdef0", "x"]
        {
            assert!(!is_our_name(name), "{name}");
        }
        assert!(!is_our_name("dsops-new-0123456789abcdef"));
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("dsops-edit-0123456789abcdef");
        symlink(parent.path(), &path).unwrap();
        assert!(Held::leftover(path.clone()).is_none(), "a link");
        fs::remove_file(&path).unwrap();
        dsops_stores::file::publish_new(&path, b"", 0o600).unwrap();
        assert!(Held::leftover(path.clone()).is_none(), "a file");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        assert!(Held::leftover(path.clone()).is_none(), "others may enter");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        assert!(Held::leftover(path).is_some());
    }

    #[test]
    fn what_lies_outside_is_not_touched() {
        use io::Read as _;
        let parent = tempfile::tempdir().unwrap();
        let outside = parent.path().join("outside");
        fs::create_dir(&outside).unwrap();
        for name in ["linked", "named"] {
            dsops_stores::file::publish_new(&outside.join(name), b"kept", 0o600).unwrap();
        }
        let held = Held::fresh(parent.path()).unwrap();
        let inside = held.path.join("below");
        fs::create_dir(&inside).unwrap();
        symlink(outside.join("linked"), inside.join("to a file")).unwrap();
        symlink(&outside, inside.join("to a folder")).unwrap();
        fs::hard_link(outside.join("named"), inside.join("second name")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            inside.join("fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        // Two names, both inside: the last is wiped.
        dsops_stores::file::publish_new(&inside.join("a"), b"hunter2", 0o600).unwrap();
        fs::hard_link(inside.join("a"), inside.join("b")).unwrap();
        let mut open = File::open(inside.join("a")).unwrap();
        held.remove().unwrap();
        assert_eq!(names(parent.path()), *std::slice::from_ref(&outside));
        for name in ["linked", "named"] {
            assert_eq!(fs::read(outside.join(name)).unwrap(), b"kept", "{name}");
        }
        let mut left = Vec::new();
        open.read_to_end(&mut left).unwrap();
        assert_eq!(left, [0; 7]);
    }

    #[test]
    fn what_took_its_place_is_not_touched() {
        let parent = tempfile::tempdir().unwrap();
        let held = Held::fresh(parent.path()).unwrap();
        let moved = parent.path().join("moved");
        dsops_stores::file::publish_new(&held.path.join("a"), b"hunter2", 0o600).unwrap();
        fs::rename(&held.path, &moved).unwrap();
        fs::create_dir(&held.path).unwrap();
        dsops_stores::file::publish_new(&held.path.join("a"), b"other", 0o600).unwrap();
        held.remove().unwrap();
        assert_eq!(fs::read(held.path.join("a")).unwrap(), b"other");
        assert!(names(&moved).is_empty(), "ours is cleared wherever it is");
    }
}
