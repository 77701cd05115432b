//! Reads other tools' files into protected memory, and says what could not be taken.

mod dotenv;
#[cfg(feature = "toml")]
mod fnox;
mod json;
#[cfg(feature = "toml")]
mod secretspec;
#[cfg(feature = "toml")]
mod toml;

use std::{collections::BTreeMap, fmt, path::Path, str::FromStr};

use dsops_secure_mem::{SecretBytes, Writer};

use crate::error::{ImportError, ImportProblem, UnknownName};

/// No file is longer than this.
pub const IMPORT_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// What a file is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImportFormat {
    /// `.env` files, in the grammar that most readers share.
    Dotenv,
    /// A JSON object of names and values: `chamber export`, `doppler secrets download --format json`,
    /// `doppler secrets --json`, `infisical export --format json`, and what [`crate::render`] writes.
    Json,
    /// `fnox.toml`; with the cargo feature `toml`.
    Fnox,
    /// `secretspec.toml`; with the cargo feature `toml`.
    SecretSpec,
}

impl ImportFormat {
    /// All formats, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Dotenv, Self::Json, Self::Fnox, Self::SecretSpec];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dotenv => "dotenv",
            Self::Json => "json",
            Self::Fnox => "fnox",
            Self::SecretSpec => "secretspec",
        }
    }

    /// The format that a file's name tells, if it does.
    ///
    /// # Examples
    /// ```
    /// use dsops_formats::ImportFormat;
    ///
    /// assert_eq!(ImportFormat::from_path(".env.local".as_ref()), Some(ImportFormat::Dotenv));
    /// assert_eq!(ImportFormat::from_path("notes.txt".as_ref()), None);
    /// ```
    pub fn from_path(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
        match extension {
            "json" => Some(Self::Json),
            "toml" if stem == "fnox" || stem.starts_with("fnox.") => Some(Self::Fnox),
            "toml" if stem == "secretspec" => Some(Self::SecretSpec),
            "env" => Some(Self::Dotenv),
            _ if name.starts_with(".env") => Some(Self::Dotenv),
            _ => None,
        }
    }
}

impl fmt::Display for ImportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ImportFormat {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let known = match text {
            "env" => Some(Self::Dotenv),
            "chamber" | "doppler" | "infisical" => Some(Self::Json),
            _ => Self::ALL.into_iter().find(|format| format.name() == text),
        };
        known.ok_or_else(|| UnknownName {
            what: "import format",
            given: text.to_owned(),
            known: Self::ALL.iter().map(|format| format.name()).collect(),
        })
    }
}

/// What was in a file.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Imported {
    /// Values, by profile and name; each pair once.
    pub values: Vec<Value>,
    /// What is declared in the file while its value is elsewhere or encrypted, by profile and name.
    pub references: Vec<Reference>,
    /// What the reader of the file should know, by line.
    pub notes: Vec<Note>,
}

/// One value.
#[derive(Debug)]
#[non_exhaustive]
pub struct Value {
    /// The variable.
    pub name: String,
    /// The profile it belongs to, where the file has profiles; `None` is the part that all share.
    pub profile: Option<String>,
    /// The value.
    pub value: SecretBytes,
    /// Where it starts in the file, from 1.
    pub line: usize,
}

/// A variable without its value.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reference {
    /// The variable.
    pub name: String,
    /// The profile it belongs to; `None` is the part that all share.
    pub profile: Option<String>,
    /// Where it starts in the file, from 1.
    pub line: usize,
    /// What it is for, in the file's words.
    pub description: Option<String>,
    /// Whether the file says that it must or need not be there.
    pub required: Option<bool>,
    /// The value for when there is no other.
    pub default: Option<SecretBytes>,
    /// Where the value is.
    pub origin: Origin,
}

/// Where the value of a [`Reference`] is.
#[derive(Debug)]
#[non_exhaustive]
pub enum Origin {
    /// In a store that the other tool would ask.
    Provider {
        /// The provider's name in the file.
        name: String,
        /// Its type, where the file says it.
        kind: Option<String>,
        /// What the provider is asked for, where the file says it.
        key: Option<String>,
    },
    /// In the file, encrypted with age.
    Age {
        /// The age file (binary or armored).
        ciphertext: Vec<u8>,
        /// The provider's name in the file.
        provider: String,
    },
    /// Nowhere: the file only says that there is such a variable.
    Declared,
}

/// A remark about a place of the file. It holds no value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The line, from 1.
    pub line: usize,
    /// What there is to say.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

/// Reads a file. Nothing is replaced in it (`${…}`), nothing is run (`$(…)`); a note says where that would have been.
///
/// Of several values for one name the last is taken, with a note.
///
/// # Errors
/// [`ImportError`] with the line when the file is not in that format, is too long, or is read differently by
/// different readers so that nobody knows what was meant.
///
/// # Security
/// `bytes` should lie in protected memory; values go from there into protected memory byte by byte, and no value is in a
/// note or error. Names, descriptions, and what a provider is asked for are taken for public.
///
/// # Examples
/// ```
/// use dsops_formats::{ImportFormat, import};
/// use dsops_secure_mem::SecretBytes;
///
/// let file = SecretBytes::copy_from(b"# ours\nexport TOKEN='a b' # comment\nURL=http://${HOST}/\n")?;
/// let imported = import(ImportFormat::Dotenv, &file.expose())?;
/// assert_eq!(imported.values[0].name, "TOKEN");
/// assert_eq!(&*imported.values[0].value.expose(), b"a b");
/// assert_eq!(imported.notes[0].line, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn import(format: ImportFormat, bytes: &[u8]) -> Result<Imported, ImportError> {
    if bytes.len() > IMPORT_LIMIT_BYTES {
        return Err(ImportError::TooLarge { limit_bytes: IMPORT_LIMIT_BYTES });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut found = Found::default();
    match format {
        ImportFormat::Dotenv => dotenv::read(bytes, &mut found)?,
        ImportFormat::Json => json::read(bytes, &mut found)?,
        #[cfg(feature = "toml")]
        ImportFormat::Fnox => fnox::read(bytes, &mut found)?,
        #[cfg(feature = "toml")]
        ImportFormat::SecretSpec => secretspec::read(bytes, &mut found)?,
        #[cfg(not(feature = "toml"))]
        ImportFormat::Fnox | ImportFormat::SecretSpec => {
            return Err(ImportError::LeftOut { format, feature: "toml" });
        }
    }
    Ok(found.finish())
}

/// Profile and name.
type Key = (Option<String>, String);

/// What was found so far.
#[derive(Default)]
struct Found {
    values: BTreeMap<Key, Value>,
    references: Vec<Reference>,
    notes: Vec<Note>,
}

impl Found {
    fn value(&mut self, line: usize, profile: Option<&str>, name: String, value: SecretBytes) {
        let profile = profile.map(str::to_owned);
        let new = Value { name: name.clone(), profile: profile.clone(), value, line };
        if let Some(old) = self.values.insert((profile, name), new) {
            let text =
                format!("{} is given again; the value of line {} is not taken", old.name, old.line);
            self.note(line, text);
        }
    }

    fn note(&mut self, line: usize, text: impl Into<String>) {
        // Names in a file may hold anything, and a note is made for a terminal.
        let text = text.into().replace(char::is_control, "\u{fffd}");
        self.notes.push(Note { line, text });
    }

    fn finish(mut self) -> Imported {
        self.references.sort_by(|a, b| (&a.profile, &a.name).cmp(&(&b.profile, &b.name)));
        self.notes.sort_by_key(|note| note.line);
        Imported {
            values: self.values.into_values().collect(),
            references: self.references,
            notes: self.notes,
        }
    }
}

/// Where a parser is, and what it says about it.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Cursor<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, line: 1 }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        self.line += usize::from(byte == b'\n');
        Some(byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.next();
        }
        is_next
    }

    fn skip_while(&mut self, is_wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        while self.peek().is_some_and(&is_wanted) {
            self.next();
        }
        &self.bytes[start..self.at]
    }

    fn error(&self, problem: ImportProblem) -> ImportError {
        ImportError::Syntax { line: self.line, problem }
    }
}

/// A secret of one part.
fn secret(bytes: &[u8]) -> Result<SecretBytes, ImportError> {
    Ok(SecretBytes::copy_from(bytes)?)
}

/// Appends a character.
fn push_char(out: &mut Writer, c: char) -> Result<(), dsops_secure_mem::Error> {
    let mut buffer = zeroize::Zeroizing::new([0; 4]);
    out.push(c.encode_utf8(&mut buffer[..]).as_bytes())
}
