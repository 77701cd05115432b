//! Small files that somebody names: read whole, up to a limit.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::inputs::STDIN;
use crate::report::Report;

/// The content of a file, or of standard input for `-`.
///
/// # Errors
/// Those of the system; the file is longer than the limit.
pub fn read(file: &OsStr, limit_bytes: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = limit_bytes as u64 + 1;
    if file == STDIN {
        io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    } else {
        let (file, size) = open_sized(file)?;
        // One call instead of one for every doubling.
        bytes.reserve(usize::try_from(size).map_or(0, |size| size.min(limit_bytes) + 1));
        file.take(most).read_to_end(&mut bytes)?;
    }
    if bytes.len() > limit_bytes {
        let text = format!("it has more than {limit_bytes} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// A file that is no folder: opening one works, reading one says what helps nobody.
///
/// # Errors
/// Those of the system.
pub fn open(file: &OsStr) -> io::Result<File> {
    open_sized(file).map(|(file, _)| file)
}

fn open_sized(file: &OsStr) -> io::Result<(File, u64)> {
    let file = File::open(file)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok((file, metadata.len()))
}

/// A file that cannot be read, told.
pub fn unreadable(file: &OsStr, error: &io::Error) -> Report {
    let report = Report::error(format!("cannot read {}", Path::new(file).display())).because(error);
    match error.kind() {
        io::ErrorKind::NotFound => report.help("look for a typing error in the name"),
        _ => report,
    }
}
