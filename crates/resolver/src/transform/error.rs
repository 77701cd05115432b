//! What can be wrong with a chain as written, and with a value that goes through it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::names;
use crate::diagnostic::suggest;

/// What is wrong with a chain of transforms, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (column {column})")]
pub struct TransformParseError {
    /// What is wrong, with a `Display` of its own for those who show the place in another way.
    pub kind: TransformParseErrorKind,
    /// Where it starts: characters of the text, from 1.
    pub column: usize,
    /// How many characters it spans; 0 for something that is not there.
    pub width: usize,
}

/// What can be wrong with a chain of transforms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransformParseErrorKind {
    /// Nothing between two separators.
    #[error("a transform is missing")]
    EmptyStep,
    /// A name that no transform has.
    #[error("unknown transform `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// More steps than any chain needs.
    #[error("more than {limit} transforms in a chain")]
    TooManySteps {
        /// The limit.
        limit: usize,
    },
    /// Fewer or more arguments than the transform takes.
    #[error("`{name}` takes {takes}, found {found}")]
    ArgumentCount {
        /// The transform.
        name: &'static str,
        /// What it takes, in words.
        takes: &'static str,
        /// How many there are.
        found: usize,
    },
    /// An argument of the wrong kind.
    #[error("`{name}`: {reason}")]
    Argument {
        /// The transform.
        name: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// A path into a document that cannot be read.
    #[error("{reason}")]
    Path {
        /// What is wrong.
        reason: &'static str,
    },
    /// A quote without its end.
    #[error("the quote `{quote}` that is opened here is not closed")]
    UnclosedQuote {
        /// The quote.
        quote: char,
    },
    /// Text between a closing quote and the end of the argument.
    #[error("text after the closing quote")]
    AfterQuote,
    /// A backslash with something that it does not go with.
    #[error("`\\` is not followed by `n`, `r`, `t`, `\\` or `\"`")]
    Escape,
}

impl TransformParseError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        use TransformParseErrorKind as Kind;
        Some(match &self.kind {
            Kind::EmptyStep => {
                "remove the separator; write a `,` or `|` that belongs to an argument in quotes, as `join:\",\"`"
                    .to_owned()
            }
            Kind::Unknown { name } => return Some(unknown_help(name)),
            Kind::ArgumentCount { name, .. } | Kind::Argument { name, .. } => {
                format!("write `{}`", super::form(name))
            }
            Kind::Path { .. } => {
                "write it as `.users[0].name` or `/users/0/name`; quote a key with dots, as `.\"a.b\"`".to_owned()
            }
            Kind::UnclosedQuote { quote: '\'' } => {
                "close it; an argument that starts with `'` is written `\"'…\"`".to_owned()
            }
            Kind::UnclosedQuote { .. } => {
                "close it; an argument that starts with `\"` is written `'\"…'`".to_owned()
            }
            Kind::AfterQuote => "quote the whole argument, or none of it".to_owned(),
            Kind::Escape => "write a backslash as `\\\\`, or use single quotes".to_owned(),
            Kind::TooManySteps { .. } => return None,
        })
    }

    /// The name, if the error is that no transform has it: it may be a chain that the
    /// configuration names.
    pub fn unknown_name(&self) -> Option<&str> {
        match &self.kind {
            TransformParseErrorKind::Unknown { name } => Some(name),
            _ => None,
        }
    }
}

fn unknown_help(name: &str) -> String {
    match name {
        "template" => return "use `prefix` and `suffix`".to_owned(),
        "regex_replace" | "regex" => return "use `replace:FROM:TO`, without patterns".to_owned(),
        _ if name.contains('|') => return "separate by `,` or by `|`, not by both".to_owned(),
        _ => {}
    }
    match suggest(name, names()) {
        Some(likely) => format!("did you mean `{likely}`?"),
        None => format!("there are: {}", names().collect::<Vec<_>>().join(", ")),
    }
}

/// A transform that could not be applied to a value.
///
/// Names the transform and, where it helps, a byte offset or the path from the configuration. Never
/// holds any of the value.
#[derive(Clone, Debug)]
pub struct TransformError {
    /// The transform, by its name; `#field` for the field of a reference.
    pub transform: &'static str,
    /// What is wrong, with a `Display` of its own.
    pub kind: TransformErrorKind,
}

impl fmt::Display for TransformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.transform, self.kind)
    }
}

impl Error for TransformError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

/// Why a transform could not be applied.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransformErrorKind {
    /// The value, or what would come out, is too large.
    #[error("more than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The transform needs text.
    #[error("the value is not UTF-8 text (first bad byte at offset {offset})")]
    NotText {
        /// Where the text ends.
        offset: usize,
    },
    /// The value is not in the form that the transform reads.
    #[error("the value is not {format}: {reason} at byte {offset}")]
    Malformed {
        /// The form, as `JSON`.
        format: &'static str,
        /// What is wrong.
        reason: &'static str,
        /// Where in the value.
        offset: usize,
    },
    /// The document has nothing at the path.
    #[error("there is nothing at `{path}`")]
    NotFound {
        /// The path, as far as the first step that leads nowhere.
        path: String,
    },
    /// The document has null at the path.
    #[error("null is at `{path}`")]
    Null {
        /// The path.
        path: String,
    },
    /// The path goes on where the document has something without parts, or with other parts.
    #[error("{} is {found}", at_path(path))]
    WrongKind {
        /// The path up to there.
        path: String,
        /// What is there, as `text`.
        found: &'static str,
    },
    /// Two values have the same key, so neither is the one that is meant.
    #[error("the key `{path}` is there twice")]
    DuplicateKey {
        /// The path up to the key.
        path: String,
    },
    /// What the path names refers to a part of the document outside of it.
    #[error("`{path}` holds an alias")]
    Alias {
        /// The path.
        path: String,
    },
    /// The value has fewer parts.
    #[error("there is no part {index}")]
    NoPart {
        /// The part that was asked for.
        index: i64,
    },
    /// There is no protected memory for the result, or the value was wiped.
    #[error("protected memory failed")]
    Memory(#[source] Arc<dsops_secure_mem::Error>),
}

/// A path as part of a message; the whole document is `.`.
fn at_path(path: &str) -> String {
    if path == "." { "the value".to_owned() } else { format!("`{path}`") }
}

impl TransformError {
    /// Whether the value is sound but has nothing where the path points: a missing field, or null.
    pub fn is_missing(&self) -> bool {
        matches!(self.kind, TransformErrorKind::NotFound { .. } | TransformErrorKind::Null { .. })
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        use TransformErrorKind as Kind;
        Some(match (&self.kind, self.transform) {
            (Kind::Malformed { .. }, "base64_decode") => {
                "use `base64url_decode` for the alphabet with `-` and `_`; put `trim` before it to drop blanks around the value"
            }
            (Kind::Malformed { .. }, "base64url_decode") => {
                "use `base64_decode` for the alphabet with `+` and `/`; put `trim` before it to drop blanks around the value"
            }
            (Kind::Malformed { .. }, "hex_decode") => {
                "put `trim` before it to drop blanks around the value"
            }
            (Kind::Malformed { .. }, "pem") => {
                "the value is a PEM block, or base64 with the label given as in `pem:CERTIFICATE`"
            }
            (Kind::Malformed { .. }, "url_decode") => "write a `%` of the text itself as `%25`",
            (Kind::Malformed { .. } | Kind::WrongKind { .. }, "#field") => {
                "leave out `#field` if the whole value is the secret"
            }
            (Kind::Malformed { .. }, "json_extract" | "yaml_extract") => {
                "check that the item holds the document, and that no transform before changed it"
            }
            (Kind::NotFound { .. } | Kind::WrongKind { .. }, _) => {
                "check the path against the keys of the document: capitals count, lists count from 0"
            }
            (Kind::Null { .. }, _) => "null is no value: set one, or leave the variable out",
            (Kind::DuplicateKey { .. }, _) => "remove or rename one of the two",
            (Kind::Alias { .. }, _) => "take one value of it, or write the alias out",
            (Kind::NoPart { .. }, _) => "parts count from 0, or from the end as -1",
            (Kind::NotText { .. }, _) => "decode it first, as with `base64_decode`",
            _ => return None,
        })
    }
}

impl From<dsops_secure_mem::Error> for TransformErrorKind {
    fn from(error: dsops_secure_mem::Error) -> Self {
        match error {
            dsops_secure_mem::Error::TooLarge { limit_bytes } => Self::TooLarge { limit_bytes },
            other => Self::Memory(Arc::new(other)),
        }
    }
}
