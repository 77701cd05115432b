//! What `dsops sbom` reads and writes.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use dsops_sbom::{Format, LIMIT_BYTES, Reading};
use dsops_stores::file;
use sha2::{Digest as _, Sha256};

use crate::cmd::verify::files as input;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::trust::hex;
use crate::ui;

/// Reads the name of a format.
///
/// # Errors
/// There is none of that name.
pub fn format(name: &str) -> Result<Format, String> {
    let known: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
    Format::from_name(name)
        .ok_or_else(|| format!("no such format; there are spdx, cyclonedx, {}", known.join(", ")))
}

/// The bytes of a file, or of standard input for `-`.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &OsStr, limit_bytes: usize) -> Result<Vec<u8>, Failure> {
    input::read(path, limit_bytes)
        .map_err(|error| Failure::new(Exit::Store, input::unreadable(path, &error)))
}

/// A document, read.
///
/// # Errors
/// It cannot be read, or is none.
pub fn document(path: &OsStr) -> Result<Reading, Failure> {
    let bytes = read(path, LIMIT_BYTES)?;
    dsops_sbom::read(&bytes).map_err(|error| {
        let name = Path::new(path).display();
        let mut report = Report::error(format!("cannot read {name} as an SBOM")).because(&error);
        report.code = Some("sbom/format");
        report.help = error.help().map(str::to_owned);
        Failure::new(Exit::Store, report)
    })
}

/// The SHA-256 of a file of any size, in hex.
///
/// # Errors
/// It cannot be read.
pub fn sha256(path: &OsStr) -> Result<String, Failure> {
    let hash = || -> io::Result<String> {
        let mut file: File = input::open(path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => hasher.update(&buffer[..count]),
            }
        }
        Ok(hex(&hasher.finalize()))
    };
    hash().map_err(|error| Failure::new(Exit::Store, input::unreadable(path, &error)))
}

/// Writes a document to a file, or to stdout.
///
/// # Errors
/// It cannot be written.
pub fn write(cx: &Context, output: Option<&OsString>, text: &str) -> Result<(), Failure> {
    let Some(path) = output.filter(|path| *path != "-") else {
        return Ok(ui::print(text.as_bytes())?);
    };
    file::publish(Path::new(path), text.as_bytes(), 0o644)
        .map_err(|error| Failure::new(Exit::Store, Report::from_error(&error)))?;
    cx.ui.detail(format!("wrote {}", Path::new(path).display()));
    Ok(())
}
