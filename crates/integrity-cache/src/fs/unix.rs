//! Held directories on Unix: every name is relative to an open directory, every link is refused.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStringExt as _,
    },
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags, Timespec, Timestamps},
    io::{Errno, retry_on_intr},
};

use zeroize::Zeroizing;

use super::{
    Kind, LOCK_POLL, Opened, PATIENCE, Published, Stat, is_temporary_name, temporary_name,
};
use crate::Unsafe;

const PRIVATE_FOLDER: Mode = Mode::RWXU;
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
/// What every open has: no leak to children, no wait for a FIFO, no controlling terminal.
const ALWAYS: OFlags =
    OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::NOCTTY);

/// Names are listed in pieces of this length.
#[cfg(target_os = "linux")]
const LISTING: usize = 16 << 10;

/// An open directory.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
}

impl Dir {
    /// Opens a directory whose last component is no link.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | ALWAYS;
        let fd = retry_on_intr(|| fs::open(path, flags, Mode::empty()))?;
        Ok(Self { fd })
    }

    /// Opens a directory in this one.
    pub(crate) fn sub(&self, name: &str) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | ALWAYS;
        Ok(Self { fd: retry_on_intr(|| fs::openat(&self.fd, name, flags, Mode::empty()))? })
    }

    /// Opens a directory in this one, and makes it for us alone if it is missing.
    pub(crate) fn sub_or_make(&self, name: &str) -> io::Result<Self> {
        match self.sub(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        match retry_on_intr(|| fs::mkdirat(&self.fd, name, PRIVATE_FOLDER)) {
            Err(Errno::EXIST) | Ok(()) => self.sub(name),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn stat(&self) -> io::Result<Stat> {
        Ok(stat(&retry_on_intr(|| fs::fstat(&self.fd))?))
    }

    /// What a name in this directory is; links are not followed.
    pub(crate) fn stat_at(&self, name: &str) -> io::Result<Stat> {
        let found = retry_on_intr(|| fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW))?;
        Ok(stat(&found))
    }

    /// Opens a file below this directory for reading. What stands in its place instead never
    /// blocks, is never followed and never read.
    pub(crate) fn open_file(&self, path: &str) -> io::Result<Opened> {
        let fd = match self.open_below(path) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(Opened::Absent),
            Err(Errno::LOOP) => return Ok(Opened::Unsafe(Unsafe::Symlink, None)),
            Err(Errno::ACCESS | Errno::PERM) => return Ok(Opened::Unsafe(Unsafe::Mode, None)),
            Err(Errno::NXIO | Errno::NODEV | Errno::NOTDIR | Errno::XDEV | Errno::OPNOTSUPP) => {
                return Ok(Opened::Unsafe(Unsafe::Type, None));
            }
            Err(error) => return Err(error.into()),
        };
        let stat = stat(&retry_on_intr(|| fs::fstat(&fd))?);
        Ok(match stat.kind {
            Kind::File => Opened::File(fd.into(), stat),
            _ => Opened::Unsafe(Unsafe::Type, Some(stat)),
        })
    }

    fn open_below(&self, path: &str) -> Result<OwnedFd, Errno> {
        #[cfg(target_os = "linux")]
        {
            use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

            use fs::ResolveFlags;
            // Sandboxes and old kernels do not have it; asked once.
            static MISSING: AtomicBool = AtomicBool::new(false);
            let resolve = ResolveFlags::BENEATH
                | ResolveFlags::NO_SYMLINKS
                | ResolveFlags::NO_MAGICLINKS
                | ResolveFlags::NO_XDEV;
            if !MISSING.load(Relaxed) {
                let flags = OFlags::RDONLY | ALWAYS;
                let open = || fs::openat2(&self.fd, path, flags, Mode::empty(), resolve);
                match retry_on_intr(open) {
                    Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => MISSING.store(true, Relaxed),
                    // A rename elsewhere while the kernel walked: the slow way does not mind.
                    Err(Errno::AGAIN) => {}
                    other => return other,
                }
            }
        }
        let open = |dir: &OwnedFd, name: &str, kind| {
            let flags = OFlags::RDONLY | kind | ALWAYS;
            retry_on_intr(|| fs::openat(dir, name, flags, Mode::empty()))
        };
        match path.split_once('/') {
            None => open(&self.fd, path, OFlags::empty()),
            Some((folder, file)) => {
                open(&open(&self.fd, folder, OFlags::DIRECTORY)?, file, OFlags::empty())
            }
        }
    }

    /// Makes a file for us alone; an existing one is an error.
    pub(crate) fn create_new(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | ALWAYS;
        Ok(retry_on_intr(|| fs::openat(&self.fd, name, flags, PRIVATE_FILE))?.into())
    }

    /// Opens a file for reading and writing, and makes it for us alone if it is missing.
    pub(crate) fn open_or_create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | ALWAYS;
        let fd = retry_on_intr(|| fs::openat(&self.fd, name, flags, PRIVATE_FILE))?;
        match stat(&retry_on_intr(|| fs::fstat(&fd))?).kind {
            Kind::File => Ok(fd.into()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Moves a file; one that has the new name is replaced.
    pub(crate) fn rename_to(&self, name: &str, to: &Self, new_name: &str) -> io::Result<()> {
        Ok(retry_on_intr(|| fs::renameat(&self.fd, name, &to.fd, new_name))?)
    }

    /// Removes a file; a missing one is no error. Says whether it was there.
    pub(crate) fn unlink(&self, name: &str) -> io::Result<bool> {
        match retry_on_intr(|| fs::unlinkat(&self.fd, name, AtFlags::empty())) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes an empty directory.
    pub(crate) fn remove_sub(&self, name: &str) -> io::Result<()> {
        Ok(retry_on_intr(|| fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR))?)
    }

    /// All names in this directory.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        let mut take = |name: &std::ffi::CStr| {
            if name != c"." && name != c".." {
                names.push(OsString::from_vec(name.to_bytes().to_vec()));
            }
        };
        #[cfg(target_os = "linux")]
        {
            // Straight from the kernel: `fs::Dir` would open the directory once more.
            let mut buffer = Vec::with_capacity(LISTING);
            fs::seek(&self.fd, fs::SeekFrom::Start(0))?;
            let mut listing = fs::RawDir::new(&self.fd, buffer.spare_capacity_mut());
            while let Some(entry) = listing.next() {
                match entry {
                    Ok(entry) => take(entry.file_name()),
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        #[cfg(not(target_os = "linux"))]
        for entry in fs::Dir::read_from(&self.fd)? {
            take(entry?.file_name());
        }
        Ok(names)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        match retry_on_intr(|| fs::fsync(&self.fd)) {
            // Some file systems cannot sync a folder.
            Err(Errno::INVAL) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Takes a lock on this directory, given up when it is closed. Answers whether it is held:
    /// some network file systems have none. A handle that locks is opened for that alone.
    pub(crate) fn lock(&self, exclusive: bool, patience: Duration) -> io::Result<bool> {
        lock(&self.fd, exclusive, patience)
    }

    /// Publishes a file whole, synced, and only if there is none of its name.
    pub(crate) fn publish_new(&self, name: &str, bytes: &[u8]) -> io::Result<Published> {
        if let Some(published) = self.publish_unnamed(name, bytes)? {
            return Ok(published);
        }
        let (temporary, file) = self.temporary(name)?;
        let result = (|| {
            write_at(&file, bytes, 0)?;
            file.sync_all()?;
            self.move_new(&temporary, name, bytes)
        })();
        // After a hard link the temporary name is still there; after a rename it is not.
        let _ = self.unlink(&temporary);
        if result.is_ok() {
            self.sync()?;
        }
        result
    }

    /// A file that never has a name until it is whole: a crash leaves nothing. `None` where the
    /// file system has no such files.
    #[cfg(target_os = "linux")]
    fn publish_unnamed(&self, name: &str, bytes: &[u8]) -> io::Result<Option<Published>> {
        use std::os::fd::AsRawFd as _;
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        let Ok(fd) = fs::openat(&self.fd, ".", flags, PRIVATE_FILE) else { return Ok(None) };
        let file = File::from(fd);
        write_at(&file, bytes, 0)?;
        file.sync_all()?;
        let own = format!("/proc/self/fd/{}", file.as_raw_fd());
        match fs::linkat(fs::CWD, own, &self.fd, name, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) => self.sync().map(|()| Some(Published::New)),
            Err(Errno::EXIST) => Ok(Some(Published::Exists)),
            Err(_) => Ok(None),
        }
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as on Linux")]
    fn publish_unnamed(&self, _: &str, _: &[u8]) -> io::Result<Option<Published>> {
        Ok(None)
    }

    /// Gives a written file its name, never replacing: by what the file system offers.
    fn move_new(&self, from: &str, name: &str, bytes: &[u8]) -> io::Result<Published> {
        match fs::linkat(&self.fd, from, &self.fd, name, AtFlags::empty()) {
            Ok(()) => return Ok(Published::New),
            Err(Errno::EXIST) => return Ok(Published::Exists),
            Err(_) => {}
        }
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        match fs::renameat_with(&self.fd, from, &self.fd, name, fs::RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(Published::New),
            Err(Errno::EXIST) => return Ok(Published::Exists),
            Err(_) => {}
        }
        // Neither: written under its name. Who reads it meanwhile sees it short and waits.
        match self.create_new(name) {
            Ok(file) => {
                write_at(&file, bytes, 0)?;
                file.sync_all()?;
                Ok(Published::New)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Published::Exists),
            Err(error) => Err(error),
        }
    }

    /// Replaces a file: at every moment the name leads to the old content or the new, whole.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (temporary, file) = self.temporary(name)?;
        let result = (|| {
            write_at(&file, bytes, 0)?;
            file.sync_all()?;
            self.rename_to(&temporary, self, name)
        })();
        if result.is_err() {
            let _ = self.unlink(&temporary);
        }
        result.and_then(|()| self.sync())
    }

    /// A file for new content, locked as long as its writer lives.
    fn temporary(&self, name: &str) -> io::Result<(String, File)> {
        let temporary = temporary_name(name)?;
        let file = self.create_new(&temporary)?;
        lock(&file, true, PATIENCE)?;
        Ok((temporary, file))
    }

    /// Removes what crashed writers of a file left.
    pub(crate) fn sweep_temporaries(&self, of: &str) -> io::Result<()> {
        for name in self.names()? {
            let Some(name) = name.to_str().filter(|name| is_temporary_name(name, of)) else {
                continue;
            };
            self.unlink_orphan(name)?;
        }
        Ok(())
    }

    /// Removes a temporary file if its writer is gone: only living writers hold the lock.
    pub(crate) fn unlink_orphan(&self, name: &str) -> io::Result<bool> {
        let Opened::File(file, _) = self.open_file(name)? else { return Ok(false) };
        match fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => self.unlink(name),
            Err(_) => Ok(false),
        }
    }

    /// Whether others' locks and renames can be relied on here.
    #[cfg_attr(not(target_os = "linux"), expect(clippy::unused_self, reason = "as on Linux"))]
    pub(crate) fn is_network(&self) -> bool {
        #[cfg(target_os = "linux")]
        {
            // NFS, SMB, CIFS, SMB2, 9p, FUSE, AFS.
            const MAGIC: [u64; 7] =
                [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x6573_5546, 0x5346_414f];
            retry_on_intr(|| fs::fstatfs(&self.fd))
                .is_ok_and(|stat| MAGIC.contains(&(u64::from_ne_bytes(stat.f_type.to_ne_bytes()))))
        }
        #[cfg(not(target_os = "linux"))]
        false
    }
}

/// Makes a file's time now, as a mark that it was used.
pub(crate) fn touch(file: &File) {
    let now = Timespec { tv_sec: 0, tv_nsec: fs::UTIME_NOW };
    // A read-only file system keeps its times.
    let _ = fs::futimens(file, &Timestamps { last_access: now, last_modification: now });
}

/// Takes the lock of a file that we just made. `false`: somebody removed it in between.
pub(crate) fn claim(file: &File) -> io::Result<bool> {
    let lock = || fs::flock(file, FlockOperation::NonBlockingLockExclusive);
    // A sweeper has it for a moment, to remove it. Where there are no locks nobody can tell
    // orphans, so nobody removes them either.
    if retry_on_intr(lock) == Err(Errno::WOULDBLOCK) {
        return Ok(false);
    }
    Ok(retry_on_intr(|| fs::fstat(file))?.st_nlink > 0)
}

/// Takes a lock; `false` where the file system has none.
pub(crate) fn lock(fd: impl AsFd, exclusive: bool, patience: Duration) -> io::Result<bool> {
    let operation = if exclusive {
        FlockOperation::NonBlockingLockExclusive
    } else {
        FlockOperation::NonBlockingLockShared
    };
    let mut start = None;
    loop {
        match fs::flock(&fd, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => {
                if start.get_or_insert_with(Instant::now).elapsed() > patience {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                thread::sleep(LOCK_POLL);
            }
            Err(Errno::INTR) => {}
            Err(_) => return Ok(false),
        }
    }
}

pub(crate) fn stat_file(file: &File) -> io::Result<Stat> {
    Ok(stat(&retry_on_intr(|| fs::fstat(file))?))
}

/// Reads at a place, as much as there is.
pub(crate) fn read_at(file: &File, mut buffer: &mut [u8], mut at: u64) -> io::Result<usize> {
    use std::os::unix::fs::FileExt as _;
    let mut done = 0;
    while !buffer.is_empty() {
        match file.read_at(buffer, at) {
            Ok(0) => break,
            Ok(len) => {
                buffer = &mut buffer[len..];
                at += len as u64;
                done += len;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_unreachable(&error) => {
                let mut ordinary = Zeroizing::new(vec![0; buffer.len()]);
                let len = read_at(file, &mut ordinary, at)?;
                buffer[..len].copy_from_slice(&ordinary[..len]);
                return Ok(done + len);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Whether the system cannot reach our memory: some file systems (FUSE with direct I/O) want to pin
/// it, which secret memory does not allow. Then the bytes pass through memory that is wiped.
fn is_unreachable(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::FAULT)
}

/// Reads the start of a file, as much as there is, without clearing the memory for it first.
pub(crate) fn read_start(file: &File, len: usize) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(len);
    while buffer.len() < len {
        let at = buffer.len() as u64;
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut buffer), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The allocator may have given more room than was asked for.
    buffer.truncate(len);
    Ok(buffer)
}

pub(crate) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    match file.write_all_at(bytes, at) {
        Err(error) if is_unreachable(&error) => {
            file.write_all_at(&Zeroizing::new(bytes.to_vec()), at)
        }
        other => other,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
pub(crate) fn effective_uid() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

#[allow(
    clippy::useless_conversion,
    clippy::unnecessary_cast,
    clippy::cast_lossless,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the types of these fields differ between systems"
)]
fn stat(stat: &fs::Stat) -> Stat {
    Stat {
        kind: match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link,
            _ => Kind::Other,
        },
        size: stat.st_size as u64,
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        uid: stat.st_uid,
        mode: u32::from(stat.st_mode) & 0o7777,
        links: stat.st_nlink as u64,
        modified_ms: (stat.st_mtime as i64)
            .saturating_mul(1000)
            .saturating_add(stat.st_mtime_nsec as i64 / 1_000_000),
    }
}
