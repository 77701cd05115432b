//! Directories where the system has no held ones: each name is looked at before it is used. A
//! program of the same user can race that; see the degradations in `docs/integrity-cache.md`.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

use super::{
    Kind, LOCK_POLL, Opened, PATIENCE, Published, Stat, is_temporary_name, temporary_name,
};
use crate::Unsafe;

/// The name of the file that stands for the lock of a directory.
const LOCK: &str = "lock";

/// A directory, by its path.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    lock: std::sync::Mutex<Option<File>>,
}

impl Dir {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        match stat(&fs::symlink_metadata(path)?).kind {
            Kind::Folder => Ok(Self { path: path.to_owned(), lock: None.into() }),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(crate) fn sub(&self, name: &str) -> io::Result<Self> {
        Self::open(&self.path.join(name))
    }

    pub(crate) fn sub_or_make(&self, name: &str) -> io::Result<Self> {
        match fs::create_dir(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => self.sub(name),
        }
    }

    pub(crate) fn stat(&self) -> io::Result<Stat> {
        Ok(stat(&fs::symlink_metadata(&self.path)?))
    }

    pub(crate) fn stat_at(&self, name: &str) -> io::Result<Stat> {
        Ok(stat(&fs::symlink_metadata(self.path.join(name))?))
    }

    pub(crate) fn open_file(&self, path: &str) -> io::Result<Opened> {
        let full = self.path.join(path);
        let unsafe_for = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Ok(Opened::Absent),
            io::ErrorKind::PermissionDenied => Ok(Opened::Unsafe(Unsafe::Mode, None)),
            io::ErrorKind::NotADirectory => Ok(Opened::Unsafe(Unsafe::Type, None)),
            _ => Err(error),
        };
        if let Some((folder, _)) = path.split_once('/') {
            match self.stat_at(folder).map(|stat| stat.kind) {
                Ok(Kind::Folder) => {}
                Ok(Kind::Link) => return Ok(Opened::Unsafe(Unsafe::Symlink, None)),
                Ok(_) => return Ok(Opened::Unsafe(Unsafe::Type, None)),
                Err(error) => return unsafe_for(error),
            }
        }
        match fs::symlink_metadata(&full).map(|metadata| stat(&metadata)) {
            Ok(stat) if stat.kind == Kind::File => {}
            Ok(stat) if stat.kind == Kind::Link => {
                return Ok(Opened::Unsafe(Unsafe::Symlink, Some(stat)));
            }
            Ok(stat) => return Ok(Opened::Unsafe(Unsafe::Type, Some(stat))),
            Err(error) => return unsafe_for(error),
        }
        match File::open(&full) {
            Ok(file) => {
                let stat = stat_file(&file)?;
                Ok(Opened::File(file, stat))
            }
            Err(error) => unsafe_for(error),
        }
    }

    pub(crate) fn create_new(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(self.path.join(name))
    }

    pub(crate) fn open_or_create(&self, name: &str) -> io::Result<File> {
        let path = self.path.join(name);
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
    }

    pub(crate) fn rename_to(&self, name: &str, to: &Self, new_name: &str) -> io::Result<()> {
        fs::rename(self.path.join(name), to.path.join(new_name))
    }

    pub(crate) fn unlink(&self, name: &str) -> io::Result<bool> {
        match fs::remove_file(self.path.join(name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn remove_sub(&self, name: &str) -> io::Result<()> {
        let folder = self.path.join(name);
        let _ = fs::remove_file(folder.join(LOCK));
        fs::remove_dir(folder)
    }

    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name()));
        names.filter(|name| !name.as_ref().is_ok_and(|name| name == LOCK)).collect()
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as on Unix")]
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn lock(&self, exclusive: bool, patience: Duration) -> io::Result<bool> {
        let file = self.open_or_create(LOCK)?;
        let held = lock(&file, exclusive, patience)?;
        *self.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(file);
        Ok(held)
    }

    pub(crate) fn publish_new(&self, name: &str, bytes: &[u8]) -> io::Result<Published> {
        let (temporary, mut file) = self.temporary(name)?;
        let result = (|| {
            file.write_all(bytes)?;
            file.sync_all()?;
            match fs::hard_link(self.path.join(&temporary), self.path.join(name)) {
                Ok(()) => Ok(Published::New),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Published::Exists),
                Err(_) => self.write_new(name, bytes),
            }
        })();
        drop(file);
        let _ = self.unlink(&temporary);
        result
    }

    fn write_new(&self, name: &str, bytes: &[u8]) -> io::Result<Published> {
        match self.create_new(name) {
            Ok(mut file) => {
                file.write_all(bytes)?;
                file.sync_all()?;
                Ok(Published::New)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Published::Exists),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (temporary, mut file) = self.temporary(name)?;
        let result = (|| {
            file.write_all(bytes)?;
            file.sync_all()?;
            drop(file);
            self.rename_to(&temporary, self, name)
        })();
        if result.is_err() {
            let _ = self.unlink(&temporary);
        }
        result
    }

    fn temporary(&self, name: &str) -> io::Result<(String, File)> {
        let temporary = temporary_name(name)?;
        let file = self.create_new(&temporary)?;
        lock(&file, true, PATIENCE)?;
        Ok((temporary, file))
    }

    pub(crate) fn sweep_temporaries(&self, of: &str) -> io::Result<()> {
        for name in self.names()? {
            if let Some(name) = name.to_str().filter(|name| is_temporary_name(name, of)) {
                self.unlink_orphan(name)?;
            }
        }
        Ok(())
    }

    pub(crate) fn unlink_orphan(&self, name: &str) -> io::Result<bool> {
        let Opened::File(file, _) = self.open_file(name)? else { return Ok(false) };
        match file.try_lock() {
            Ok(()) => {
                drop(file);
                self.unlink(name)
            }
            Err(_) => Ok(false),
        }
    }

    #[expect(clippy::unused_self, reason = "as on Unix")]
    pub(crate) fn is_network(&self) -> bool {
        false
    }
}

pub(crate) fn touch(file: &File) {
    let _ = file.set_modified(std::time::SystemTime::now());
}

#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
pub(crate) fn claim(file: &File) -> io::Result<bool> {
    Ok(!matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

pub(crate) fn lock(file: &File, exclusive: bool, patience: Duration) -> io::Result<bool> {
    let start = Instant::now();
    loop {
        match if exclusive { file.try_lock() } else { file.try_lock_shared() } {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if start.elapsed() > patience => {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_POLL),
            Err(TryLockError::Error(_)) => return Ok(false),
        }
    }
}

pub(crate) fn stat_file(file: &File) -> io::Result<Stat> {
    Ok(stat(&file.metadata()?))
}

pub(crate) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut file = file;
    file.seek(SeekFrom::Start(at))?;
    let mut done = 0;
    while done < buffer.len() {
        match file.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(len) => done += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

pub(crate) fn read_start(file: &File, len: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; len];
    let read = read_at(file, &mut buffer, 0)?;
    buffer.truncate(read);
    Ok(buffer)
}

pub(crate) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    let mut file = file;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}

pub(crate) fn effective_uid() -> Option<u32> {
    None
}

fn stat(metadata: &Metadata) -> Stat {
    let kind = metadata.file_type();
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Stat {
        kind: if kind.is_symlink() {
            Kind::Link
        } else if kind.is_dir() {
            Kind::Folder
        } else if kind.is_file() {
            Kind::File
        } else {
            Kind::Other
        },
        size: metadata.len(),
        device: 0,
        // There is no stable inode number: the creation time stands for it.
        inode: metadata
            .created()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |age| u64::try_from(age.as_nanos()).unwrap_or(0)),
        uid: 0,
        mode: 0o600,
        links: 1,
        modified_ms: modified.map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
    }
}
