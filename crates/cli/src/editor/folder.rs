//! A folder in memory for one file, wiped and removed when dropped; and what is left of those whose process was
//! killed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use dsops_resolver::Environment;
use dsops_secure_mem::SecretBytes;

use super::held::{Held, is_our_name};
use crate::env_vars;
use crate::exit::Exit;
use crate::report::{Failure, Report};

/// A folder that only its owner may enter, with one file.
#[derive(Debug)]
pub struct PrivateFolder {
    held: Held,
    file: PathBuf,
}

impl PrivateFolder {
    /// Makes one; on a disk only if that is allowed.
    ///
    /// # Errors
    /// There is no file system in memory that can be written, or the folder cannot be made.
    pub fn make(environment: &dyn Environment, name: &str, disk: bool) -> Result<Self, Failure> {
        let in_memory = in_memory(environment).iter().find_map(|folder| Held::fresh(folder));
        let held = match in_memory {
            Some(made) => made,
            None if disk => {
                let folder = std::env::temp_dir();
                Held::fresh(&folder).ok_or_else(|| {
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
        Ok(Self { file: held.path.join(name), held })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.held.path
    }

    /// The descriptor that says that the folder is in use, for the editor to have as well.
    pub fn descriptor(&self) -> Option<i32> {
        self.held.descriptor()
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
        // What cannot be removed has been wiped.
        let _ = self.held.remove();
    }
}

/// The folders of processes that are gone: what was killed could not remove its own.
///
/// # Platform
/// Only Unix has them; elsewhere nobody can tell whether a folder is in use.
pub fn leftovers(environment: &dyn Environment) -> Vec<Held> {
    let mut found: Vec<Held> = in_memory(environment)
        .into_iter()
        .chain([std::env::temp_dir()])
        .filter_map(|parent| fs::read_dir(parent).ok())
        .flat_map(Iterator::flatten)
        .filter(|entry| is_our_name(&entry.file_name().to_string_lossy()))
        .filter_map(|entry| Held::leftover(entry.path()))
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    found
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
