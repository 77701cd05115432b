//! What can go wrong while writing or reading. No text here holds a secret's value.

use std::fmt;

use crate::{format::Format, import::ImportFormat};

/// Why a variable, or the whole, could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// The format has no place for a variable of this name.
    #[error("format {format} takes no variable named `{}`: {problem}", .name.escape_debug())]
    Name {
        /// The variable.
        name: String,
        /// The format.
        format: Format,
        /// What is wrong with it.
        problem: NameProblem,
    },
    /// The format cannot carry this value.
    #[error("format {format} cannot carry the value of {}: {problem}", .name.escape_debug())]
    Value {
        /// The variable.
        name: String,
        /// The format.
        format: Format,
        /// What is wrong with it.
        problem: ValueProblem,
    },
    /// One name, several values.
    #[error("{} is given more than once", .name.escape_debug())]
    Duplicate {
        /// The variable.
        name: String,
    },
    /// All values together are more than the reader takes.
    #[error("format {format} cannot carry {len_bytes} bytes of values: the limit is {limit_bytes}")]
    TooLarge {
        /// The format.
        format: Format,
        /// What there is.
        len_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// The format holds one value.
    #[error("format {format} holds exactly one variable, not {count}")]
    NotOne {
        /// The format.
        format: Format,
        /// How many were given.
        count: usize,
    },
    /// The format needs something that was not said.
    #[error("format {format} needs {option}")]
    MissingOption {
        /// The format.
        format: Format,
        /// What it needs.
        option: &'static str,
    },
    /// Something that was said cannot be.
    #[error("{option} is not valid: {reason}")]
    InvalidOption {
        /// Which.
        option: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// The template is wrong, or asks for what is not there.
    #[error("template {name}, line {line}: {message}")]
    Template {
        /// The template's name.
        name: String,
        /// Where, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// Protected memory has no room, or the limit is reached.
    #[error("cannot keep the output in protected memory")]
    Memory(#[from] dsops_secure_mem::Error),
}

impl RenderError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Value { problem, format, .. } => Some(problem.help(*format)),
            Self::NotOne { .. } => {
                Some("choose one variable, for example with `--only`".to_owned())
            }
            _ => None,
        }
    }
}

/// Everything that was wrong with one call of [`crate::render`], by the names of the variables.
#[derive(Debug)]
pub struct RenderErrors(pub(crate) Vec<RenderError>);

impl RenderErrors {
    /// The errors, at least one.
    pub fn iter(&self) -> std::slice::Iter<'_, RenderError> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a RenderErrors {
    type Item = &'a RenderError;
    type IntoIter = std::slice::Iter<'a, RenderError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<RenderError> for RenderErrors {
    fn from(error: RenderError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for RenderErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RenderErrors {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.0.as_slice() {
            [only] => only.source(),
            _ => None,
        }
    }
}

/// Why a format has no place for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameProblem {
    /// It is empty.
    #[error("the name is empty")]
    Empty,
    /// It is no name of a shell variable.
    #[error("a name is made of ASCII letters, digits and `_`, and starts with no digit")]
    NotPosix,
    /// docker would read it as something else.
    #[error("a name has no blanks, no `=` and no control characters, and starts with no `#`")]
    NotDocker,
    /// Kubernetes refuses it.
    #[error("a key is made of ASCII letters, digits, `-`, `_` and `.`, and starts with no `..`")]
    NotKubernetesKey,
    /// systemd refuses it.
    #[error("a credential is named like a file, without `/`, `:` and control characters")]
    NotCredential,
    /// The reader keeps it for itself.
    #[error("the runner does not let a job set NODE_OPTIONS, GITHUB_* or RUNNER_*")]
    Reserved,
}

/// Why a format cannot carry a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueProblem {
    /// It has a NUL byte.
    #[error("it has a NUL byte")]
    Nul,
    /// It has several lines.
    #[error("it has more than one line")]
    NewLine,
    /// It has a carriage return where the reader loses it.
    #[error("it has a carriage return")]
    CarriageReturn,
    /// It is not UTF-8 text.
    #[error("it is not UTF-8 text")]
    NotUtf8,
    /// It is empty, which the reader takes as unset.
    #[error("it is empty")]
    Empty,
    /// It starts or ends with blanks, which the reader cuts off.
    #[error("it starts or ends with blanks")]
    OuterBlanks,
    /// It is longer than the reader takes.
    #[error("it is longer than {limit_bytes} bytes")]
    TooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// The reader would replace a part that looks like a variable.
    #[error(
        "it has a part that looks like a variable (`$`), which the reader replaces even in quotes"
    )]
    Interpolation,
    /// It has a code point that Unicode keeps free (U+FFFE, U+FDD0 and the like), which the reader refuses.
    #[error("it has a Unicode noncharacter, for which the reader refuses the whole file")]
    Noncharacter,
    /// The reader has no way of quoting this.
    #[error("its mix of quotes and backslashes cannot be quoted")]
    Quotes,
}

impl ValueProblem {
    /// What to do about it.
    pub fn help(self, format: Format) -> String {
        let other = match (self, format) {
            (Self::NotUtf8 | Self::Nul, _) => {
                "k8s or systemd-credential, or encode the value with the transform `base64_encode`"
            }
            (_, Format::Docker | Format::GitlabEnv) => {
                "another format, or encode the value with the transform `base64_encode`"
            }
            (_, Format::Dotenv) => "the dotenv dialect `shell`, or format json",
            _ => "json, yaml or k8s",
        };
        format!("use {other}")
    }
}

/// Why a file could not be read. Display holds no part of the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It is too long.
    #[error("the file is longer than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// It is not in the format.
    #[error("line {line}: {problem}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: ImportProblem,
    },
    /// This build cannot read the format.
    #[error("format {format} is left out of this build, which lacks the cargo feature `{feature}`")]
    LeftOut {
        /// The format.
        format: ImportFormat,
        /// What it needs.
        feature: &'static str,
    },
    /// Protected memory has no room.
    #[error("cannot keep a value in protected memory")]
    Memory(#[from] dsops_secure_mem::Error),
}

/// What is wrong at a place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportProblem {
    /// dotenv: the line starts with something else.
    #[error("expected the name of a variable")]
    NotAName,
    /// dotenv: the name stands alone.
    #[error("expected `=` after the name")]
    NoEqualsSign,
    /// dotenv: the quote that starts here has no end.
    #[error("the quote that starts here is never closed")]
    Unterminated,
    /// dotenv: a quoted value is followed by something else.
    #[error("expected the end of the line after the closing quote")]
    AfterQuote,
    /// dotenv: readers disagree where the value ends.
    #[error(
        "a backslash before a quote in single quotes: shells end the value here, other readers do not"
    )]
    BackslashBeforeQuote,
    /// No reader carries it.
    #[error("there is a NUL byte")]
    Nul,
    /// JSON: something else was expected.
    #[error("this is not valid JSON")]
    Json,
    /// JSON: half of a pair.
    #[error("a `\\u` escape is half of a surrogate pair")]
    LoneSurrogate,
    /// JSON: neither names and values nor a list of them.
    #[error("expected an object of names and values")]
    NotAnObject,
    /// Nested too deep.
    #[error("keys or values are nested too deep, or keys are too long")]
    TooDeep,
    /// Not text.
    #[error("this is not UTF-8 text")]
    NotUtf8,
    /// TOML: with the parser's words.
    #[error("this is not valid TOML")]
    Toml,
    /// TOML: a key that is there already.
    #[error("this key is given a second time")]
    DuplicateKey,
}

/// A format or dialect that is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} `{given}`; known are: {}", known.join(", "))]
pub struct UnknownName {
    pub(crate) what: &'static str,
    /// What was asked for.
    pub given: String,
    /// What there is.
    pub known: Vec<&'static str>,
}
