//! Why a SOPS file was refused, where, and what to do about it.

use std::fmt;

use dsops_resolver::yaml::{Position, SyntaxError};

use super::{Format, Keyring};
use crate::{age, file::FileError};

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named to us.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
}

impl Place {
    pub(super) fn new(file: &str, position: Position) -> Self {
        Self { file: file.to_owned(), line: position.line, column: position.column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Why a SOPS file, or an edit of one, was refused. Names keys and places, never a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is no document of its format.
    #[error("{file}: it is not {}", format.document())]
    Syntax {
        /// The file.
        file: String,
        /// The format it was taken for.
        format: Format,
        /// What is wrong, and where.
        source: Box<SyntaxError>,
    },
    /// The file is a document, but sops did not write it.
    #[error("{file}: it is not a SOPS file, there is no `sops` section")]
    NotSops {
        /// The file.
        file: String,
    },
    /// The file is not UTF-8.
    #[error("{file}: it is not UTF-8 text")]
    NotText {
        /// The file.
        file: String,
    },
    /// The file cannot be read, locked or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// An edit would make the file larger than what is read.
    #[error("{file}: it would have more than {limit_bytes} bytes")]
    TooLarge {
        /// The file.
        file: String,
        /// The limit.
        limit_bytes: u64,
    },
    /// The `sops` section is incomplete or malformed.
    #[error("{place}: the `sops` section: {reason}")]
    Metadata {
        /// Where.
        place: Place,
        /// What is wrong.
        reason: &'static str,
    },
    /// A regular expression of the `sops` section, or of `.sops.yaml`, is not supported.
    #[error("{place}: `{name}`: {reason}")]
    Pattern {
        /// Where.
        place: Place,
        /// The setting.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file uses something of SOPS, or of its format, that is not supported.
    #[error("{place}: {what}, which is not supported")]
    Unsupported {
        /// Where.
        place: Place,
        /// What the file uses, as a sentence.
        what: String,
    },
    /// The data key is wrapped, but for no age recipient.
    #[error("{place}: no age recipient can open it, its data key is wrapped only for {}", needs.join(", "))]
    NoAgeRecipient {
        /// Where the `sops` section starts.
        place: Place,
        /// Who could open it, such as `pgp FINGERPRINT` or `kms ARN`.
        needs: Vec<String>,
    },
    /// The data key is split over several groups, and too few of them open.
    #[error(
        "{file}: {opened} of its {} key groups open, {needed} are needed (missing: {}){}",
        missing.len() + opened,
        missing.join("; "),
        looked_in(looked)
    )]
    TooFewGroups {
        /// The file.
        file: String,
        /// How many groups opened.
        opened: usize,
        /// How many are needed.
        needed: usize,
        /// The recipients of each group that did not open.
        missing: Vec<String>,
        /// Where identities were looked for, and what was found there.
        looked: Vec<String>,
    },
    /// A new data key cannot be wrapped for all recipients of the file.
    #[error("{place}: a new data key cannot be wrapped for {}", needs.join(", "))]
    ForeignRecipients {
        /// Where the `sops` section starts.
        place: Place,
        /// The recipients that are no age recipients, such as `pgp FINGERPRINT`.
        needs: Vec<String>,
    },
    /// A recipient of the file is not one that can be written for.
    #[error("{place}: the recipient {recipient} cannot be used")]
    Recipient {
        /// Where it stands.
        place: Place,
        /// The recipient, as it is written.
        recipient: String,
        /// What is wrong with it.
        source: Box<age::Error>,
    },
    /// `.sops.yaml` is malformed, or has no rule for the file.
    #[error("{place}: {reason}")]
    Creation {
        /// Where.
        place: Place,
        /// What is wrong.
        reason: String,
    },
    /// Who should be removed is no recipient.
    #[error("{file}: {recipient} is not one of its recipients")]
    NotARecipient {
        /// The file.
        file: String,
        /// Who should be removed.
        recipient: String,
    },
    /// None of the identities is a recipient of the file.
    #[error(
        "{file}: no age identity opens it (recipients: {}){}",
        recipients.join(", "),
        looked_in(looked)
    )]
    NoIdentity {
        /// The file.
        file: String,
        /// The file's recipients.
        recipients: Vec<String>,
        /// Where identities were looked for, and what was found there.
        looked: Vec<String>,
    },
    /// A wrapped data key was changed or is malformed.
    #[error("{place}: the data key wrapped for {recipient} does not open")]
    WrappedKey {
        /// Where it stands.
        place: Place,
        /// For whom it is wrapped.
        recipient: String,
        /// What is wrong with it.
        source: Box<age::Error>,
    },
    /// A value is not in the form that sops writes.
    #[error("{place}: the value of `{key}`: {reason}")]
    Value {
        /// Where it stands.
        place: Place,
        /// Its key.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A value does not authenticate.
    #[error("{place}: the value of `{key}` was changed, or moved here from another key or file")]
    Changed {
        /// Where it stands.
        place: Place,
        /// Its key.
        key: String,
    },
    /// The values authenticate each for itself, but not together.
    #[error("{place}: the file was changed since it was written: its MAC does not match")]
    Mac {
        /// Where the MAC stands.
        place: Place,
    },
    /// There is no such key.
    #[error("{file}: there is no key `{key}`")]
    NotFound {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// A key that is there and looks alike.
        suggestion: Option<String>,
    },
    /// The key names no single value.
    #[error("{place}: `{key}` is {kind}, not a value")]
    NotAValue {
        /// Where it stands.
        place: Place,
        /// The key.
        key: String,
        /// What it is.
        kind: &'static str,
    },
    /// A key that cannot be used.
    #[error("the key `{key}` {reason}")]
    Key {
        /// The key.
        key: String,
        /// Why not.
        reason: &'static str,
    },
    /// An edit that the document does not allow.
    #[error("{place}: `{key}` cannot be edited here: {reason}")]
    Edit {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// Why not.
        reason: &'static str,
    },
    /// A new file needs a recipient.
    #[error("a SOPS file needs at least one recipient")]
    NoRecipients,
    /// A fresh key could not be made or wrapped.
    #[error("the data key could not be made or wrapped")]
    DataKey(#[source] age::Error),
    /// The kernel gave no random bytes.
    #[error("the system gave no random bytes")]
    Random(#[source] getrandom::Error),
    /// Protected memory ran out.
    #[error("the secret could not be kept in protected memory")]
    Memory(#[from] dsops_secure_mem::Error),
}

/// The kind of a value that is null, in [`Error::NotAValue`].
pub(super) const NULL_KIND: &str = "empty (null)";

impl Error {
    /// Adds to [`Error::NoIdentity`] and [`Error::TooFewGroups`] where identities were looked for;
    /// other errors stay.
    #[must_use]
    pub fn looked_in(mut self, keyring: &Keyring) -> Self {
        if let Self::NoIdentity { looked, .. } | Self::TooFewGroups { looked, .. } = &mut self {
            *looked = keyring.looked();
        }
        self
    }

    /// The next step, where there is one to name.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::Syntax { source, .. } => return source.help().map(str::to_owned),
            Self::File(FileError::Locked { .. }) => {
                "try again; if it stays so, look for a dsops that hangs"
            }
            Self::NotText { .. } | Self::NotSops { .. } => {
                "encrypt it with `sops encrypt --in-place`, or make a new one with `dsops init`"
            }
            Self::Metadata { .. } => "restore the file from version control",
            Self::Unsupported { .. } => "rewrite the file with sops in a form that is supported",
            Self::Pattern { .. } => {
                "say the same in the syntax that Go's regexp and Rust's regex-lite share, or use a suffix"
            }
            Self::NoAgeRecipient { .. } => {
                "someone who has one of these keys can add an age recipient: `sops rotate --in-place --add-age RECIPIENT FILE`"
            }
            Self::ForeignRecipients { .. } => {
                "use `sops rotate` where these keys are at hand, or remove these recipients with it"
            }
            Self::Creation { .. } => {
                "correct the creation rules, see https://getsops.io/docs/#using-sops-yaml-conf-to-select-kms-pgp-and-age-for-new-files"
            }
            Self::Recipient { .. } => "remove it from the file with `sops`",
            Self::NotARecipient { .. } => "see `dsops recipients list`",
            Self::NoIdentity { .. } | Self::TooFewGroups { .. } => {
                "set SOPS_AGE_KEY_FILE to the file of an identity that is a recipient, or ask someone who can read the file to add yours"
            }
            Self::WrappedKey { .. } | Self::Changed { .. } | Self::Mac { .. } => {
                dsops_resolver::TAMPERED_HELP
            }
            Self::Value { .. } => {
                "set the value with `dsops set`, or restore the file from version control"
            }
            Self::NotFound { suggestion: Some(name), .. } => {
                return Some(format!("did you mean `{name}`?"));
            }
            Self::NotFound { .. } => "set it with `dsops set`",
            Self::NotAValue { .. } => {
                "name a value inside it, with `/` between the parts of the key"
            }
            Self::Key { .. } => {
                "keys are parts separated by `/`; inside a part write `~1` for `/` and `~0` for `~`"
            }
            Self::TooLarge { .. } => "keep large values in a store of their own",
            Self::Edit { .. } => "edit the file with `sops edit`",
            Self::Memory(_) => "raise the limit of locked memory (`ulimit -l`), see `dsops doctor`",
            Self::File(_) | Self::NoRecipients | Self::DataKey(_) | Self::Random(_) => return None,
        };
        Some(help.to_owned())
    }
}

fn looked_in(looked: &[String]) -> String {
    if looked.is_empty() { String::new() } else { format!("; looked in: {}", looked.join("; ")) }
}
