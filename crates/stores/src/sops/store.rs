//! The store `sops`: a SOPS file beside the configuration.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use dsops_resolver::{
    Address, Caching, Description, Diagnostic, FetchContext, Fields, Health, Identity, Item,
    OpenContext, Store, StoreError, StoreFactory, StoreSettings,
    format::{Kind, Setting},
};
use dsops_secure_mem::SecretBytes;
use sha2::{Digest as _, Sha256};

use super::{
    CreationRule, Document, EntryKind, Error, Format, KEY_FILE_VARIABLE, KEY_VARIABLE, Keyring,
    OpenDocument, PASSPHRASE_VARIABLE, SSH_KEY_FILE_VARIABLE, keyring::is_key, path,
};
use crate::file::{self, FileError};

/// Larger than any file of secrets that people edit; the parser has the same limit.
pub(super) const FILE_LIMIT_BYTES: u64 = 8 << 20;
/// How long a change waits for another one.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// What stands in `type:`.
pub const TYPE: &str = "sops";

const PATH: &str = "path";
const KEY_FILE: &str = "age_key_file";
const FORMAT: &str = "format";

const SETTINGS: &[Setting] = &[
    Setting::new(PATH, Kind::Path, "The file.").required(),
    Setting::new(
        KEY_FILE,
        Kind::Path,
        "A file of age identities that may open it, beside those of the environment.",
    ),
    Setting::new(
        FORMAT,
        Kind::Text,
        "The format of the file, where its extension does not say it: `yaml`, `json`, `dotenv` or `ini`.",
    ),
];

/// Makes stores of the type `sops`, with the settings `path` and, optionally, `age_key_file`, both
/// relative to the folder of the configuration, and `format`, where the extension of the file does
/// not say it.
///
/// The identities of the environment are collected once and shared by all stores it opens.
#[derive(Debug, Default)]
pub struct SopsFactory {
    environment: Mutex<Option<Arc<Keyring>>>,
}

impl SopsFactory {
    /// A factory that has opened nothing yet.
    pub const fn new() -> Self {
        Self { environment: Mutex::new(None) }
    }

    fn keyring(&self, cx: &OpenContext<'_>) -> Result<Arc<Keyring>, StoreError> {
        let mut shared = self.environment.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ring) = &*shared {
            return Ok(Arc::clone(ring));
        }
        let ring = Arc::new(Keyring::find(cx.environment)?);
        *shared = Some(Arc::clone(&ring));
        Ok(ring)
    }
}

impl StoreFactory for SopsFactory {
    fn types(&self) -> &[&str] {
        &[TYPE]
    }

    fn settings(&self, _: &str) -> Option<&'static [Setting]> {
        Some(SETTINGS)
    }

    fn validate(&self, settings: &StoreSettings) -> Vec<Diagnostic> {
        let mut problems = settings.check(SETTINGS);
        // Of the wrong kind, they have been reported.
        if settings.text(FORMAT).is_ok() {
            problems.extend(format_of(settings).err());
        }
        if settings.text(KEY_FILE).is_ok() {
            problems.extend(key_file(settings).err());
        }
        problems
    }

    /// A field is one more part of the key: `db#password` is `db/password`.
    fn item(&self, _: &StoreSettings, address: Address) -> Result<Item, StoreError> {
        if address.version.is_some() {
            return Err(StoreError::unsupported("a version"));
        }
        let mut key = address.key;
        if let Some(field) = address.field {
            path::push(&mut key, &field);
        }
        path::parse(&key).map_err(|error| to_store_error("", error))?;
        Ok(Item { key, version: None })
    }

    fn fields(&self, _: &StoreSettings) -> Fields {
        Fields::Own
    }

    fn caching(&self, _: &StoreSettings) -> Caching {
        Caching::Doubtful(
            "the file is on this machine already, so this only saves being asked for a passphrase; \
             whoever can read the key of the cache reads the values without one",
        )
    }

    /// What the file holds, so that a change of it is seen at once, and what the environment says
    /// about identities, so that others do not get what these opened.
    fn identity(
        &self,
        settings: &StoreSettings,
        cx: &OpenContext<'_>,
    ) -> Result<Identity, StoreError> {
        // No part of who asks. It is taken out of the environment here, because a store whose answers
        // are all in the cache is not opened, and the child must not inherit it.
        cx.environment.credential(PASSPHRASE_VARIABLE)?;
        let SopsFile { path, .. } = locate_without_keys(settings, cx.base_dir)?;
        let content = file::read(&path, FILE_LIMIT_BYTES)
            .map_err(|error| to_store_error(&path.display().to_string(), Error::File(error)))?;
        let mut identity = Identity::new().with("content", Sha256::digest(&content))?;
        for name in [KEY_VARIABLE, KEY_FILE_VARIABLE, SSH_KEY_FILE_VARIABLE] {
            if let Some(value) = cx.environment.credential(name)? {
                identity = identity.with(name, &*value.try_expose()?)?;
            }
        }
        Ok(identity)
    }

    fn open(
        &self,
        settings: &StoreSettings,
        cx: &OpenContext<'_>,
    ) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(Sops { file: located(settings, cx, self.keyring(cx)?)? }))
    }
}

/// A SOPS file, and the identities that may open it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SopsFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// The identities.
    pub keyring: Arc<Keyring>,
}

impl SopsFile {
    /// A file whose extension says its format.
    pub fn new(path: impl Into<PathBuf>, keyring: Arc<Keyring>) -> Self {
        let path = path.into();
        Self { format: Format::of(&path), path, keyring }
    }

    /// Reads and parses the file.
    ///
    /// # Errors
    /// [`Error::File`], and those of [`Document::parse`].
    pub fn read(&self) -> Result<Document, Error> {
        read_as(self.format, &self.path)
    }

    /// Reads, opens and verifies the file.
    ///
    /// # Errors
    /// Those of [`SopsFile::read`] and of [`Document::open`].
    pub fn open(&self) -> Result<OpenDocument, Error> {
        let open = self.read()?.open(self.keyring.identities());
        open.map_err(|error| error.looked_in(&self.keyring))
    }

    /// Makes the file, new and empty, as a rule says; never overwrites one.
    ///
    /// # Errors
    /// [`Error::File`], and those of [`OpenDocument::create_by`].
    pub fn create(&self, rule: &CreationRule) -> Result<OpenDocument, Error> {
        let name = self.path.display().to_string();
        let document = OpenDocument::create_by(self.format, &name, rule, SystemTime::now())?;
        // The file is made to be shared and committed: what it protects is encrypted.
        file::publish_new(&self.path, document.text().as_bytes(), 0o644)?;
        Ok(document)
    }

    /// Changes the file: locks it, opens and verifies it, lets `change` edit it, and replaces it
    /// at once. Concurrent changes wait for each other, so none is lost. Returns what `change`
    /// returns.
    ///
    /// # Errors
    /// [`Error::File`], those of [`SopsFile::open`], and whatever `change` returns; the file is
    /// then as it was.
    pub fn change<R>(
        &self,
        change: impl FnOnce(&mut OpenDocument) -> Result<R, Error>,
    ) -> Result<R, Error> {
        change_as(self.format, &self.path, &self.keyring, change)
    }
}

/// The file of a store and the identities that may open it.
///
/// # Errors
/// A setting is wrong, or a variable cannot be moved into protected memory.
pub fn locate(settings: &StoreSettings, cx: &OpenContext<'_>) -> Result<SopsFile, StoreError> {
    located(settings, cx, Arc::new(Keyring::find(cx.environment)?))
}

/// The file of a store without identities: enough to read names and recipients, and it asks nobody.
///
/// # Errors
/// A setting is wrong.
pub fn locate_without_keys(
    settings: &StoreSettings,
    base_dir: &Path,
) -> Result<SopsFile, Diagnostic> {
    let path = base_dir.join(settings.required_text(PATH)?);
    let format = format_of(settings)?.unwrap_or_else(|| Format::of(&path));
    Ok(SopsFile { path, format, keyring: Arc::default() })
}

fn located(
    settings: &StoreSettings,
    cx: &OpenContext<'_>,
    shared: Arc<Keyring>,
) -> Result<SopsFile, StoreError> {
    let SopsFile { path, format, .. } = locate_without_keys(settings, cx.base_dir)?;
    let keyring = match key_file(settings)? {
        Some(own) => Arc::new(Keyring::default().with_file(&cx.base_dir.join(own)).joined(&shared)),
        None => shared,
    };
    let keyring = completed(format, &path, keyring, cx)?;
    Ok(SopsFile { path, format, keyring })
}

/// The setting `format`.
fn format_of(settings: &StoreSettings) -> Result<Option<Format>, Diagnostic> {
    let Some(name) = settings.text(FORMAT)? else { return Ok(None) };
    match name.parse() {
        Ok(format) => Ok(Some(format)),
        Err(error) => Err(settings.error(FORMAT, format!("{error}"))),
    }
}

/// The keyring with what this file takes beyond the plain identities. Looks into the file only
/// where that could matter; what is wrong with the file is told when it is read.
fn completed(
    format: Format,
    path: &Path,
    keyring: Arc<Keyring>,
    cx: &OpenContext<'_>,
) -> Result<Arc<Keyring>, StoreError> {
    let mentions_ssh = || {
        file::read(path, FILE_LIMIT_BYTES).is_ok_and(|text| text.windows(4).any(|at| at == b"ssh-"))
    };
    if (keyring.has_locked() || (keyring.has_ssh_keys() && mentions_ssh()))
        && let Ok(document) = read_as(format, path)
    {
        return keyring.for_document(&document, cx.environment);
    }
    Ok(keyring)
}

/// The setting `age_key_file`. A key in its place is not repeated, neither is the line it is in.
fn key_file(settings: &StoreSettings) -> Result<Option<&str>, Diagnostic> {
    let path = settings.text(KEY_FILE)?;
    if !path.is_some_and(|path| is_key(path.as_bytes())) {
        return Ok(path);
    }
    let message = format!("`{KEY_FILE}` holds a key, not a path");
    let mut problem = settings.error(KEY_FILE, message).help(format!(
        "put the key into {KEY_VARIABLE}, or into a file that is not in the repository, and make a new key if others saw this one"
    ));
    if let Some(place) = &mut problem.place {
        place.line_text = None;
    }
    Err(problem)
}

struct Sops {
    file: SopsFile,
}

impl Store for Sops {
    fn fetch(&self, items: &[Item], cx: &FetchContext<'_>) -> Vec<Result<SecretBytes, StoreError>> {
        let all = |error: StoreError| items.iter().map(|_| Err(error.clone())).collect();
        if items.iter().any(|item| item.version.is_some()) {
            return all(StoreError::unsupported("a version"));
        }
        if let Err(error) = cx.check_deadline() {
            return all(error);
        }
        let SopsFile { path, keyring, .. } = &self.file;
        let name = path.display().to_string();
        let keys: Vec<&str> = items.iter().map(|item| item.key.as_str()).collect();
        let fetched = self
            .file
            .read()
            .and_then(|document| document.fetch(&keys, keyring.identities()))
            .map_err(|error| to_store_error(&name, error.looked_in(keyring)));
        match fetched {
            Ok(values) => values
                .into_iter()
                .map(|value| value.map_err(|error| to_store_error(&name, error)))
                .collect(),
            Err(error) => all(error),
        }
    }

    /// Needs no key: keys stand in the clear. What it says is not verified.
    fn describe(
        &self,
        items: &[Item],
        _: &FetchContext<'_>,
    ) -> Vec<Result<Description, StoreError>> {
        let name = self.file.path.display().to_string();
        let keys: Vec<&str> = items.iter().map(|item| item.key.as_str()).collect();
        match self.file.read().and_then(|document| document.entries_of(&keys)) {
            Ok(entries) => entries
                .into_iter()
                .map(|entry| match entry {
                    Ok(entry) => Ok(Description::new().with_kind(match entry.kind {
                        EntryKind::Clear => "in the clear",
                        EntryKind::Empty => "empty",
                        EntryKind::Encrypted => "encrypted",
                    })),
                    Err(error) => Err(to_store_error(&name, error)),
                })
                .collect(),
            Err(error) => {
                let error = to_store_error(&name, error);
                items.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    fn check(&self, _: &FetchContext<'_>) -> Result<Health, StoreError> {
        let SopsFile { path, keyring, .. } = &self.file;
        let name = path.display().to_string();
        let summary = || {
            let open = self.file.open()?;
            let count = |count: usize, word: &str| {
                format!("{count} {word}{}", if count == 1 { "" } else { "s" })
            };
            let values = count(open.keys()?.len(), "value");
            let recipients = count(open.recipients().count(), "recipient");
            Ok(format!("{name}: {values} for {recipients}, verified"))
        };
        let summary = summary().map_err(|error: Error| to_store_error(&name, error))?;
        Ok(Health::Checked { summary, warnings: keyring.warnings().to_vec() })
    }
}

/// Reads and parses a SOPS file whose extension says its format.
///
/// # Errors
/// Those of [`SopsFile::read`].
pub fn read(path: &Path) -> Result<Document, Error> {
    read_as(Format::of(path), path)
}

fn read_as(format: Format, path: &Path) -> Result<Document, Error> {
    let name = path.display().to_string();
    let bytes = file::read(path, FILE_LIMIT_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::NotText { file: name.clone() })?;
    Document::parse_as(format, &name, text)
}

/// Makes a new, empty SOPS file for some recipients; never overwrites one.
///
/// # Errors
/// Those of [`SopsFile::create`].
pub fn create(path: &Path, recipients: &[crate::age::Recipient]) -> Result<OpenDocument, Error> {
    SopsFile::new(path, Arc::default()).create(&CreationRule::new(recipients))
}

/// Changes a SOPS file whose extension says its format, see [`SopsFile::change`].
///
/// # Errors
/// Those of [`SopsFile::change`].
pub fn change<R>(
    path: &Path,
    keyring: &Keyring,
    change: impl FnOnce(&mut OpenDocument) -> Result<R, Error>,
) -> Result<R, Error> {
    change_as(Format::of(path), path, keyring, change)
}

fn change_as<R>(
    format: Format,
    path: &Path,
    keyring: &Keyring,
    change: impl FnOnce(&mut OpenDocument) -> Result<R, Error>,
) -> Result<R, Error> {
    let _lock = file::lock(path, LOCK_PATIENCE)?;
    let document = read_as(format, path)?;
    let mut open = document.open(keyring.identities()).map_err(|error| error.looked_in(keyring))?;
    let before = open.text().to_owned();
    let result = change(&mut open)?;
    if open.text() != before {
        file::replace(path, open.text().as_bytes())?;
    }
    Ok(result)
}

/// What the resolver is told.
fn to_store_error(file: &str, error: Error) -> StoreError {
    let help = error.help();
    let at = |place: &super::Place| (place.file.clone(), Some((place.line, place.column)));
    let malformed = |(what, at), reason: String| {
        let help = help.clone();
        StoreError::Malformed { what, at, reason, help }
    };
    match error {
        Error::Syntax { file, source, .. } => {
            let start = source.span.start;
            malformed((file, Some((start.line, start.column))), source.kind.to_string())
        }
        Error::NotSops { file } => {
            malformed((file, None), "it is not a SOPS file, there is no `sops` section".to_owned())
        }
        Error::NotText { file } => malformed((file, None), "it is not UTF-8 text".to_owned()),
        Error::Metadata { place, reason } => {
            malformed(at(&place), format!("the `sops` section: {reason}"))
        }
        Error::Unsupported { place, what } => {
            malformed(at(&place), format!("{what}, which is not supported"))
        }
        Error::Pattern { place, name, reason } => {
            malformed(at(&place), format!("`{name}`: {reason}"))
        }
        Error::Value { place, key, reason } => {
            malformed(at(&place), format!("the value of `{key}`: {reason}"))
        }
        // A value that is there but null is one that nobody has set.
        Error::NotAValue { kind: super::NULL_KIND, key, .. } => StoreError::not_found(key),
        Error::NotAValue { place, key, kind } => {
            malformed(at(&place), format!("`{key}` is {kind}, not a value"))
        }
        Error::NotFound { key, suggestion, .. } => StoreError::NotFound { key, suggestion },
        Error::NoIdentity { .. } | Error::TooFewGroups { .. } | Error::NoAgeRecipient { .. } => {
            StoreError::Locked { reason: error.to_string(), help }
        }
        Error::WrappedKey { ref place, ref recipient, ref source } => StoreError::Tampered {
            what: place.to_string(),
            reason: format!("the data key wrapped for {recipient} does not open: {source}"),
        },
        Error::Changed { place, key } => StoreError::Tampered {
            what: place.to_string(),
            reason: format!("the value of `{key}` does not authenticate at this place"),
        },
        Error::Mac { place } => StoreError::Tampered {
            what: place.to_string(),
            reason: "the MAC over the whole file does not match".to_owned(),
        },
        Error::Memory(error) => error.into(),
        Error::File(FileError::Io { action, path, source }) => StoreError::io(action, path, source),
        Error::File(error) => malformed((file.to_owned(), None), error.to_string()),
        error => StoreError::Setting { message: error.to_string(), help },
    }
}
