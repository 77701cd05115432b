//! A folder in memory for one file, wiped and removed when dropped; and what is left of those whose process was
//! killed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use dsops_resolver::Environment;
use dsops_secure_mem::SecretBytes;
use dsops_stores::file;

use crate::env_vars;
use crate::exit::Exit;
use crate::report::{Failure, Report};

/// How the name of such a folder begins; 16 digits follow.
const PREFIX: &str = "dsops-edit-";
/// How often a folder is made anew when somebody takes it for a leftover before it is locked.
const TRIES: usize = 8;

/// A folder that only its owner may enter, with one file.
#[derive(Debug)]
pub struct PrivateFolder {
    path: PathBuf,
    file: PathBuf,
    /// Held as long as somebody edits; the system lets go of it when the process ends, however it does.
    _lock: Option<File>,
}

impl PrivateFolder {
    /// Makes one; on a disk only if that is allowed.
    ///
    /// # Errors
    /// There is no file system in memory that can be written, or the folder cannot be made.
    pub fn make(environment: &dyn Environment, name: &str, disk: bool) -> Result<Self, Failure> {
        let in_memory = in_memory(environment).iter().find_map(|folder| fresh(folder));
        let (path, lock) = match in_memory {
            Some(made) => made,
            None if disk => {
                let folder = std::env::temp_dir();
                fresh(&folder).ok_or_else(|| {
                    let message = format!("cannot make a private folder in {}", folder.display());
                    Failure::new(Exit::Store, Report::error(message))
                })?
            }
            None => {
                let report = Report::error("there is no file system in memory for the plaintext")
                    .help("a tmpfs at XDG_RUNTIME_DIR or /dev/shm is needed; `--allow-disk` writes to the disk instead, where traces stay");
                return Err(Failure::new(Exit::Protection, report));
            }
        };
        Ok(Self { file: path.join(name), path, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Writes the file anew.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, text: &SecretBytes) -> Result<(), Failure> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        // A `File` has no buffer: the bytes go straight from protected memory to the kernel.
        options
            .open(&self.file)
            .and_then(|mut file| file.write_all(&text.expose()))
            .map_err(|error| self.failed("write", &error))
    }

    /// Reads what the editor saved.
    ///
    /// # Errors
    /// What the system says, or that it is too large.
    pub fn read(&self, limit_bytes: usize) -> Result<SecretBytes, Failure> {
        let mut file = File::open(&self.file).map_err(|error| self.failed("read", &error))?;
        SecretBytes::from_reader(&mut file, limit_bytes).map_err(|error| {
            let report = Report::error(format!("cannot read {}", self.file.display()));
            Failure::new(Exit::Store, report.because(&error))
        })
    }

    fn failed(&self, action: &str, error: &io::Error) -> Failure {
        let report = Report::error(format!("cannot {action} {}", self.file.display()));
        Failure::new(Exit::Store, report.because(error))
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // Whatever the editor left beside the file goes with it.
        wipe_all(&self.path);
        // What cannot be removed has been wiped.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The folders of processes that are gone: what was killed could not remove its own.
///
/// # Platform
/// Only Unix has them; elsewhere nobody can tell whether a folder is in use.
pub fn leftovers(environment: &dyn Environment) -> Vec<Leftover> {
    let mut found: Vec<Leftover> = in_memory(environment)
        .into_iter()
        .chain([std::env::temp_dir()])
        .filter_map(|parent| fs::read_dir(parent).ok())
        .flat_map(Iterator::flatten)
        .filter(|entry| is_our_name(&entry.file_name().to_string_lossy()))
        .filter_map(|entry| Leftover::of(entry.path()))
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    found
}

/// A folder that nobody uses any more. It is ours while this is held.
#[derive(Debug)]
pub struct Leftover {
    /// Where it is.
    pub path: PathBuf,
    _lock: File,
}

impl Leftover {
    #[cfg(unix)]
    fn of(path: PathBuf) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let there = path.symlink_metadata().ok()?;
        let is_ours = there.is_dir() && there.uid() == rustix::process::geteuid().as_raw();
        // What is locked is in use, here or in another container.
        let lock = is_ours.then(|| locked(&path)).flatten()?;
        Some(Self { path, _lock: lock })
    }

    #[cfg(not(unix))]
    fn of(_: PathBuf) -> Option<Self> {
        None
    }

    /// Wipes and removes it.
    ///
    /// # Errors
    /// What the system says; files that could be opened are wiped all the same.
    pub fn remove(self) -> io::Result<()> {
        wipe_all(&self.path);
        fs::remove_dir_all(&self.path)
    }
}

fn is_our_name(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The folders in memory that there are, the user's own first.
fn in_memory(environment: &dyn Environment) -> Vec<PathBuf> {
    let set = |name| environment.var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set(env_vars::XDG_RUNTIME_DIR)
        .into_iter()
        .chain([PathBuf::from("/dev/shm")])
        .filter(|folder| is_in_memory(folder))
        .collect()
}

/// A fresh folder in `parent`, if one can be made there, and the lock that says that it is in use.
fn fresh(parent: &Path) -> Option<(PathBuf, Option<File>)> {
    for _ in 0..TRIES {
        let mut random = [0; 8];
        getrandom::fill(&mut random).ok()?;
        let path = parent.join(format!("{PREFIX}{:016x}", u64::from_le_bytes(random)));
        // One that is there already is somebody else's.
        if path.symlink_metadata().is_ok() || file::private_folder(&path).is_err() {
            return None;
        }
        if cfg!(not(unix)) {
            return Some((path, None));
        }
        // Who looks for leftovers may have seen it before it was locked.
        if let Some(lock) = locked(&path) {
            return Some((path, Some(lock)));
        }
    }
    None
}

/// The lock on a folder, unless somebody has it, or the folder is gone by now.
fn locked(folder: &Path) -> Option<File> {
    let lock = File::open(folder).ok()?;
    lock.try_lock().ok()?;
    folder.is_dir().then_some(lock)
}

/// Overwrites every file below a folder; links are not followed.
fn wipe_all(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => wipe_all(&entry.path()),
            Ok(kind) if kind.is_file() => {
                // Best effort: the file is removed next, and its memory goes back to the kernel.
                let _ = wipe(&entry.path());
            }
            _ => {}
        }
    }
}

fn wipe(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    let mut left = file.metadata()?.len();
    file.rewind()?;
    let zeros = [0; 4096];
    while left > 0 {
        let part = usize::try_from(left).map_or(zeros.len(), |left| left.min(zeros.len()));
        file.write_all(&zeros[..part])?;
        left -= part as u64;
    }
    Ok(())
}

/// Whether files in a folder live in memory only (and in swap, where there is some).
#[cfg(target_os = "linux")]
fn is_in_memory(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|system| {
        // The width and sign of the field depend on the architecture; the numbers of tmpfs and
        // ramfs (linux/magic.h) have 32 bits.
        matches!(system.f_type.cast_unsigned() & 0xffff_ffff, 0x0102_1994 | 0x8584_58f6)
    })
}

/// Not to be told here.
#[cfg(not(target_os = "linux"))]
fn is_in_memory(_: &Path) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use dsops_resolver::NoEnvironment;

    #[test]
    fn it_is_private_in_memory_and_gone_afterwards() {
        use std::os::unix::fs::MetadataExt as _;
        if !is_in_memory(Path::new("/dev/shm")) {
            println!("not run: /dev/shm is no tmpfs");
            return;
        }
        let folder = PrivateFolder::make(&NoEnvironment, "a.yaml", false).unwrap();
        folder.write(&SecretBytes::copy_from(b"hunter2").unwrap()).unwrap();
        assert_eq!(folder.path().metadata().unwrap().mode() & 0o7777, 0o700);
        assert_eq!(folder.file().metadata().unwrap().mode() & 0o7777, 0o600);
        // An open file shows that the content is wiped, not only unlinked.
        let mut open = File::open(folder.file()).unwrap();
        assert_eq!(&*folder.read(100).unwrap().expose(), b"hunter2");
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
        let mut left = Vec::new();
        io::Read::read_to_end(&mut open, &mut left).unwrap();
        assert_eq!(left, [0; 7]);
    }

    #[test]
    fn what_is_in_use_is_no_leftover() {
        let parent = tempfile::tempdir().unwrap();
        let (path, lock) = fresh(parent.path()).unwrap();
        assert!(is_our_name(&path.file_name().unwrap().to_string_lossy()));
        file::publish_new(&path.join("a.yaml"), b"hunter2", 0o600).unwrap();
        assert!(Leftover::of(path.clone()).is_none(), "it is locked");
        drop(lock);
        let left = Leftover::of(path.clone()).unwrap();
        assert!(Leftover::of(path.clone()).is_none(), "somebody removes it");
        left.remove().unwrap();
        assert!(!path.exists());
        for name in
            ["dsops-edit-", "dsops-edit-0123456789abcdeg", "dsops-edit-0123456789abcdef0", "x"]
        {
            assert!(!is_our_name(name), "{name}");
        }
        // A link to a folder is none, nor is a file.
        let link = parent.path().join("dsops-edit-0123456789abcdef");
        std::os::unix::fs::symlink(parent.path(), &link).unwrap();
        assert!(Leftover::of(link).is_none());
    }

    #[test]
    fn a_disk_is_not_memory() {
        assert!(!is_in_memory(Path::new("/proc")));
        assert!(!is_in_memory(Path::new("/no/such/folder")));
    }
}
