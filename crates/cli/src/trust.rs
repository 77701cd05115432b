//! Which configurations a person has allowed to do what can run code or redirect secrets.
//!
//! A configuration comes with a repository, and a repository comes from anywhere. What is merely
//! data works at once; what needs trust works after `dsops trust` saw exactly this content. A
//! record names a path and the hash of all files the configuration was read from: any change of
//! any of them, or a move, asks again.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dsops_resolver::{Config, Environment};
use dsops_stores::file;
use sha2::{Digest, Sha256};

use crate::env_vars;
use crate::exit::Exit;
use crate::report::{Failure, Report};

/// The first line of a record.
const MAGIC: &str = "dsops-trust v1";

/// A record holds a path and a hash.
const LIMIT_BYTES: u64 = 16 * 1024;

/// The records of one user.
#[derive(Debug)]
pub struct TrustStore {
    /// `None` when the environment names no place for it.
    folder: Option<PathBuf>,
    /// Hashes that the environment says are trusted, for CI.
    from_environment: Vec<String>,
}

/// One trusted configuration.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The configuration, absolute.
    pub path: PathBuf,
    /// The hash of its content, in hexadecimal digits.
    pub content_hash: String,
}

impl TrustStore {
    /// The records of the user that the environment names.
    pub fn find(environment: &dyn Environment) -> Self {
        let set = |name| environment.var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let data = set(env_vars::XDG_DATA_HOME)
            .filter(|path| path.is_absolute())
            .or_else(|| Some(set(env_vars::HOME)?.join(".local/share")))
            .or_else(|| set(env_vars::LOCAL_APP_DATA));
        let listed = environment.var(env_vars::TRUST).unwrap_or_default();
        let from_environment =
            listed.to_string_lossy().split(',').map(|hash| hash.trim().to_owned()).collect();
        Self { folder: data.map(|data| data.join("dsops/trust")), from_environment }
    }

    /// Where the records are.
    fn folder(&self) -> Result<&Path, Failure> {
        self.folder.as_deref().ok_or_else(|| {
            let report = Report::error("there is no folder to keep trust in")
                .help("set HOME or XDG_DATA_HOME; in CI, DSOPS_TRUST needs none");
            Failure::new(Exit::Config, report)
        })
    }

    /// Whether this content at this place is trusted.
    pub fn trusts(&self, config: &Config) -> bool {
        let hash = config.content_hash();
        if self.from_environment.iter().any(|listed| listed == hash) {
            return true;
        }
        let (Some(folder), Ok(wanted)) = (&self.folder, Record::of(config)) else { return false };
        read_record(&wanted.file(folder)).is_some_and(|record| record == wanted)
    }

    /// That this content at this place is trusted, for the shell hook.
    ///
    /// # Errors
    /// It is not. The report is a warning: a shell that enters a folder has asked for nothing.
    pub fn require(&self, config: &Config) -> Result<(), Failure> {
        if self.trusts(config) {
            return Ok(());
        }
        let path = config.path().display();
        let report = Report::warning(format!("{path} is not trusted, so it was not loaded"))
            .help("`dsops trust` shows what it would be allowed, and asks");
        Err(Failure::new(Exit::Config, report))
    }

    /// Trusts this content at this place.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn add(&self, config: &Config) -> Result<(), Failure> {
        let record = Record::of(config)?;
        let folder = self.folder()?;
        file::private_folder(folder).map_err(|error| failed(&error))?;
        let text = format!("{MAGIC}\n{}\n{}\n", record.content_hash, record.path.display());
        let file = record.file(folder);
        match file::publish_new(&file, text.as_bytes(), 0o600) {
            Ok(()) | Err(file::FileError::Exists { .. }) => {}
            Err(error) => return Err(failed(&error)),
        }
        if read_record(&file).as_ref() == Some(&record) {
            return Ok(());
        }
        // One that was there already, or a folder that others may write to.
        let report = Report::error(format!("{} is no record of trust", file.display())).help(
            "it and its folder have to be yours, writable by nobody else; remove it, and try again",
        );
        Err(Failure::new(Exit::Store, report))
    }

    /// Takes back every trust in the configuration at this path, whatever its content was. Says how
    /// many records there were.
    ///
    /// # Errors
    /// A record cannot be removed.
    pub fn revoke(&self, path: &Path) -> Result<usize, Failure> {
        let folder = self.folder()?;
        let mut removed = 0;
        for record in self.records()?.iter().filter(|record| record.path == path) {
            fs::remove_file(record.file(folder)).map_err(|error| {
                let report = Report::error("cannot take the trust back").because(&error);
                Failure::new(Exit::Store, report)
            })?;
            removed += 1;
        }
        Ok(removed)
    }

    /// All records, sorted by path.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn records(&self) -> Result<Vec<Record>, Failure> {
        let folder = self.folder()?;
        let unreadable = |error: io::Error| {
            let report = Report::error(format!("cannot read {}", folder.display()));
            Failure::new(Exit::Store, report.because(&error))
        };
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let mut records = Vec::new();
        for entry in entries {
            // A file that is no record says nothing.
            records.extend(read_record(&entry.map_err(unreadable)?.path()));
        }
        records.sort();
        Ok(records)
    }
}

impl Record {
    /// What would be recorded for a configuration.
    ///
    /// # Errors
    /// Its path cannot be made absolute, or cannot be written down.
    fn of(config: &Config) -> Result<Self, Failure> {
        let path = fs::canonicalize(config.path()).map_err(|error| {
            let report = Report::error(format!("cannot find {}", config.path().display()));
            Failure::new(Exit::Config, report.because(&error))
        })?;
        if path.to_str().is_none_or(|text| text.contains('\n')) {
            let report = Report::error(format!("the path {} is not plain text", path.display()))
                .help("trust is recorded by path; move the project to a plainer one");
            return Err(Failure::new(Exit::Config, report));
        }
        Ok(Self { path, content_hash: config.content_hash().to_owned() })
    }

    /// Where it is kept.
    fn file(&self, folder: &Path) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(self.content_hash.as_bytes());
        hash.update([0]);
        hash.update(self.path.as_os_str().as_encoded_bytes());
        folder.join(hex(&hash.finalize()))
    }
}

/// A hash, in hexadecimal digits.
pub fn hex(hash: &[u8]) -> String {
    hash.iter().fold(String::with_capacity(hash.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A record, if the file holds one and nobody else could have written it.
fn read_record(path: &Path) -> Option<Record> {
    if !is_ours_alone(path) {
        return None;
    }
    let text = String::from_utf8(file::read(path, LIMIT_BYTES).ok()?).ok()?;
    let mut lines = text.lines();
    if lines.next() != Some(MAGIC) {
        return None;
    }
    let (content_hash, path) = (lines.next()?.to_owned(), PathBuf::from(lines.next()?));
    (lines.next().is_none()).then_some(Record { path, content_hash })
}

/// A record that others may write would let them trust in our name.
#[cfg(unix)]
fn is_ours_alone(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let ours = |path: &Path| {
        path.symlink_metadata().is_ok_and(|metadata| {
            metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0
        })
    };
    ours(path) && path.parent().is_some_and(ours)
}

/// Access control lists are not looked at here.
#[cfg(not(unix))]
fn is_ours_alone(_: &Path) -> bool {
    true
}

fn failed(error: &file::FileError) -> Failure {
    let report = Report::error("cannot record the trust").because(error);
    Failure::new(Exit::Store, report)
}
