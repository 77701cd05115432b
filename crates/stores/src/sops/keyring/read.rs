//! Reads key files: regular files, and pipes as of `SOPS_AGE_KEY_FILE=<(command)`.

use std::{fs::File, io, path::Path, time::Duration};
#[cfg(unix)]
use std::{io::Read, time::Instant};

use dsops_secure_mem::SecretBytes;

/// Some thousand identities.
const LIMIT_BYTES: usize = 256 * 1024;
/// How long whoever writes to a pipe may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A key file that was read.
pub(super) struct KeyText {
    pub text: SecretBytes,
    /// The mode, if group or others may read the file.
    pub loose_mode: Option<u32>,
}

/// Reads a key file straight into protected memory.
///
/// A pipe is read to its end, but waited for no longer than ten seconds.
///
/// # Errors
/// It cannot be opened or read, is neither a file nor a pipe, or has more than 256 KiB.
pub(super) fn key_file(path: &Path) -> io::Result<KeyText> {
    read(path, PATIENCE)
}

#[cfg(unix)]
fn read(path: &Path, patience: Duration) -> io::Result<KeyText> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};

    // Opening a pipe must not wait for someone who writes to it. For a file the flag means nothing.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if metadata.file_type().is_fifo() {
        let mut pipe = Pipe { file, deadline: Instant::now() + patience };
        let text = SecretBytes::from_reader(&mut pipe, LIMIT_BYTES).map_err(read_error)?;
        return Ok(KeyText { text, loose_mode: None });
    }
    let mode = metadata.mode() & 0o7777;
    regular(file, &metadata, (mode & 0o077 != 0).then_some(mode))
}

#[cfg(not(unix))]
fn read(path: &Path, _: Duration) -> io::Result<KeyText> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    regular(file, &metadata, None)
}

fn regular(
    mut file: File,
    metadata: &std::fs::Metadata,
    loose_mode: Option<u32>,
) -> io::Result<KeyText> {
    if !metadata.is_file() {
        return Err(io::Error::other("it is neither a file nor a pipe"));
    }
    let text = SecretBytes::from_reader(&mut file, LIMIT_BYTES).map_err(read_error)?;
    Ok(KeyText { text, loose_mode })
}

/// What the pipe itself has to say is the error; all else is about memory.
fn read_error(error: dsops_secure_mem::Error) -> io::Error {
    match error {
        dsops_secure_mem::Error::Read(error) => error,
        error => io::Error::other(error),
    }
}

/// A pipe that is given up after its deadline.
#[cfg(unix)]
struct Pipe {
    file: File,
    deadline: Instant,
}

#[cfg(unix)]
impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};

        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            // A pipe that nobody opened for writing yet is not at its end: poll waits for them,
            // where read would say that it is.
            let mut watched = [PollFd::new(&self.file, PollFlags::IN)];
            match poll(&mut watched, Some(&left)) {
                Ok(0) => {
                    let reason = "nobody wrote to the pipe and closed it in time";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
                }
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            match self.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{io::Write, path::PathBuf, process::Command, thread, time::Duration};

    use super::read;

    fn pipe(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("pipe");
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.is_ok_and(|status| status.success()));
        path
    }

    #[test]
    fn a_pipe_is_read_to_its_end_though_it_is_written_late_and_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = pipe(&folder);
        let writer = thread::spawn({
            let path = path.clone();
            move || -> std::io::Result<()> {
                thread::sleep(Duration::from_millis(50));
                let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
                for part in ["first ", "second"] {
                    file.write_all(part.as_bytes())?;
                    thread::sleep(Duration::from_millis(20));
                }
                Ok(())
            }
        });
        let key = read(&path, Duration::from_mins(1)).unwrap();
        assert_eq!(&*key.text.expose(), b"first second");
        assert_eq!(key.loose_mode, None);
        writer.join().unwrap().unwrap();
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(&pipe(&folder), Duration::from_millis(10)).err().unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(folder.path(), Duration::ZERO).err().unwrap();
        assert_eq!(error.to_string(), "it is neither a file nor a pipe");
    }
}
