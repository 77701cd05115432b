//! A folder in memory for one file, wiped and removed when dropped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use dsops_resolver::Environment;
use dsops_secure_mem::SecretBytes;
use dsops_stores::file;

use crate::env_vars;
use crate::exit::Exit;
use crate::report::{Failure, Report};

/// A folder that only its owner may enter, with one file.
#[derive(Debug)]
pub struct PrivateFolder {
    path: PathBuf,
    file: PathBuf,
}

impl PrivateFolder {
    /// Makes one; on a disk only if that is allowed.
    ///
    /// # Errors
    /// There is no file system in memory that can be written, or the folder cannot be made.
    pub fn make(environment: &dyn Environment, name: &str, disk: bool) -> Result<Self, Failure> {
        let set = |name| environment.var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let in_memory = set(env_vars::XDG_RUNTIME_DIR)
            .into_iter()
            .chain([PathBuf::from("/dev/shm")])
            .filter(|folder| is_in_memory(folder))
            .find_map(|folder| fresh(&folder));
        let path = match in_memory {
            Some(path) => path,
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
        Ok(Self { file: path.join(name), path })
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

/// A fresh folder in `parent`, if one can be made there.
fn fresh(parent: &Path) -> Option<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).ok()?;
    let path = parent.join(format!("dsops-edit-{:016x}", u64::from_le_bytes(random)));
    // One that is there already is somebody else's.
    (path.symlink_metadata().is_err() && file::private_folder(&path).is_ok()).then_some(path)
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
    fn a_disk_is_not_memory() {
        assert!(!is_in_memory(Path::new("/proc")));
        assert!(!is_in_memory(Path::new("/no/such/folder")));
    }
}
