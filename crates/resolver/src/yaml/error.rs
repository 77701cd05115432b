//! Why a text is not a YAML document we accept, and where.

use granit_parser::ErrorKind;

use super::{Position, Span};

/// The first thing wrong with a text.
///
/// Shows the place and what is wrong. Keys are named; no other content of the text is shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {kind}", span.start.line, span.start.column)]
pub struct SyntaxError {
    /// What is wrong, with a `Display` of its own for those who show the place in another way.
    pub kind: SyntaxErrorKind,
    /// Where.
    pub span: Span,
}

impl SyntaxError {
    pub(super) fn new(kind: SyntaxErrorKind, span: Span) -> Self {
        Self { kind, span }
    }

    pub(super) fn at(kind: SyntaxErrorKind, position: Position) -> Self {
        Self { kind, span: Span { start: position, end: position } }
    }

    /// What to do about it, where there is something to say beyond the error.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self.kind {
            SyntaxErrorKind::TabIndentation => "indent with spaces",
            SyntaxErrorKind::MultipleDocuments => "keep one document in the file: remove the `---`",
            SyntaxErrorKind::ComplexKey => {
                "a key is one line of text; quote it if it starts with `[`, `{`, `*` or `&`"
            }
            SyntaxErrorKind::DuplicateKey { .. } => "remove or rename one of the two",
            SyntaxErrorKind::UnclosedQuote => {
                "close the quote; inside single quotes a quote is written twice"
            }
            SyntaxErrorKind::ValueNotAllowed => {
                "quote a text that contains `: `; a line above may lack its colon or be indented wrongly"
            }
            SyntaxErrorKind::ReservedCharacter { .. } => {
                "quote a text that starts with this character"
            }
            _ => return None,
        })
    }
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyntaxErrorKind {
    /// The text is longer than the limit.
    #[error("the text has {bytes} bytes, more than the {limit} that are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Collections are nested deeper than the limit.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// The document has more nodes than the limit, aliases expanded.
    #[error("more than {limit} values, with aliases expanded")]
    TooManyNodes {
        /// The limit.
        limit: usize,
    },
    /// A character that no text holds, as NUL.
    #[error("the control character 0x{code:02x} is not allowed")]
    ControlCharacter {
        /// The character.
        code: u8,
    },
    /// A second document in the same text.
    #[error("a second document starts here")]
    MultipleDocuments,
    /// The same key twice in one mapping.
    #[error("the key `{key}` is there twice (first on line {})", first.line)]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it was first.
        first: Position,
    },
    /// A mapping or list as a key.
    #[error("a mapping or list cannot be a key")]
    ComplexKey,
    /// An alias inside the node that it names.
    #[error("the alias stands inside its own anchor")]
    RecursiveAlias,
    /// An alias without an anchor before it.
    #[error("no anchor of this name stands before the alias")]
    UnknownAlias,
    /// A tab where indentation must be spaces.
    #[error("a tab cannot be used as indentation")]
    TabIndentation,
    /// A quoted text without its end.
    #[error("the quote that is opened here or before is not closed")]
    UnclosedQuote,
    /// A bracket without its partner.
    #[error("the bracket `{open}` that is opened here is not closed")]
    UnclosedBracket {
        /// The opening bracket.
        open: char,
    },
    /// A colon where no mapping can be.
    #[error("a mapping cannot start here: a second `: ` on the line, or wrong indentation")]
    ValueNotAllowed,
    /// Wrong indentation, or a key without its colon.
    #[error("expected a `key: value` line of this indentation")]
    ExpectedKey,
    /// A text that starts with a character YAML keeps for itself.
    #[error("a text cannot start with `{character}`")]
    ReservedCharacter {
        /// The character.
        character: char,
    },
    /// Anything else the parser found, in its own words.
    #[error("{message}")]
    Other {
        /// What it says.
        message: String,
    },
}

/// The parser's error in our words where ours are better.
pub(super) fn from_scanner(kind: &ErrorKind, depth_limit: usize) -> SyntaxErrorKind {
    match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => SyntaxErrorKind::TabIndentation,
        ErrorKind::UnclosedQuotedScalar => SyntaxErrorKind::UnclosedQuote,
        ErrorKind::UnclosedFlowCollection { open } => {
            SyntaxErrorKind::UnclosedBracket { open: *open }
        }
        ErrorKind::UnknownAnchor => SyntaxErrorKind::UnknownAlias,
        ErrorKind::RecursionLimitExceeded => SyntaxErrorKind::TooDeep { limit: depth_limit },
        ErrorKind::MappingValueNotAllowed => SyntaxErrorKind::ValueNotAllowed,
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey => SyntaxErrorKind::ExpectedKey,
        ErrorKind::UnexpectedCharacter { character } => {
            SyntaxErrorKind::ReservedCharacter { character: *character }
        }
        other => SyntaxErrorKind::Other { message: other.to_string() },
    }
}
