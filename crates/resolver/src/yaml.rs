//! A YAML document as a tree whose every node knows its exact bytes in the text.
//!
//! One parser serves the configuration and the stores that edit documents in place: what lies
//! between the spans of the nodes is comments, white space and punctuation, and can be kept byte
//! for byte. The parser refuses what YAML allows but no one wants in a file of secrets: duplicate
//! keys, several documents in one file, alias bombs, lists or mappings as keys, control
//! characters, endless nesting. The first such thing is one [`SyntaxError`] with its place.
//!
//! The text of a scalar is a [`Text`]: wiped when dropped and hidden from `Debug`, because it may
//! be a secret. An error never shows a scalar that is not a key.
//!
//! ```
//! use dsops_resolver::yaml;
//!
//! let text = "greeting: grüß dich # comment\n";
//! let root = yaml::parse(text)?;
//! let greeting = root.get("greeting").expect("the key is there");
//! assert_eq!(greeting.as_str(), Some("grüß dich"));
//! assert_eq!(&text[greeting.span.range()], "grüß dich");
//!
//! let error = yaml::parse("a: 1\na: 2\n").unwrap_err();
//! assert_eq!(error.to_string(), "line 2, column 1: the key `a` is there twice (first on line 1)");
//! # Ok::<(), yaml::SyntaxError>(())
//! ```

mod build;
mod error;
mod scalar;
mod text;

use std::ops::Range;

pub use build::{Limits, parse, parse_with};
pub use error::{SyntaxError, SyntaxErrorKind};
pub use scalar::Scalar;
pub use text::Text;

/// A place in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Bytes from the start of the text; always on a character boundary.
    pub offset: usize,
    /// Lines, from 1.
    pub line: usize,
    /// Characters in the line, from 1.
    pub column: usize,
}

impl Position {
    /// The very first place of a text.
    pub const START: Self = Self { offset: 0, line: 1, column: 1 };

    /// The place `text[self.offset..offset]` further on; `text` is the whole text.
    #[must_use]
    pub fn advance(mut self, text: &str, offset: usize) -> Self {
        let mut chars = text.get(self.offset..offset).unwrap_or_default().chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\n' || (c == '\r' && chars.peek() != Some(&'\n')) {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.offset = offset;
        self
    }
}

/// From where to where (exclusive) something stands in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: Position,
    /// The byte after the last.
    pub end: Position,
}

impl Span {
    /// The bytes, to index the text with.
    pub fn range(&self) -> Range<usize> {
        self.start.offset..self.end.offset
    }
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// `'…'`
    SingleQuoted,
    /// `"…"`
    DoubleQuoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// A node's content.
#[derive(Clone, Debug)]
pub enum Value {
    /// A string, number, boolean or null: see [`Node::scalar`] for which.
    Scalar {
        /// The value with quotes, escapes and folding undone.
        text: Text,
        /// How it was written.
        style: Style,
        /// The tag as `tag:yaml.org,2002:str` (for `!!str`) or `!Sub`, if one was written.
        tag: Option<String>,
    },
    /// Key and value pairs in the order of the text. Keys are scalars, and no two have the same text.
    Mapping(Vec<(Node, Node)>),
    /// A list.
    Sequence(Vec<Node>),
}

/// A node of the tree.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it holds.
    pub value: Value,
    /// Where it stands, without its tag and anchor.
    ///
    /// Of a quoted scalar with its quotes; of a block scalar from its `|` or `>` to the end of its
    /// last line that is not blank (without the line break); of a flow collection with its
    /// brackets; of a block collection from its first key or dash to the end of its last child; of
    /// a value that is not there (`key:`) the empty place after the colon. Of an alias, the alias
    /// (see [`Node::is_alias`]).
    pub span: Span,
    tag: Option<String>,
    alias: bool,
}

impl Node {
    /// A node of a tree that was not parsed from YAML: other document formats use the same tree.
    pub fn new(value: Value, span: Span) -> Self {
        Self { value, span, tag: None, alias: false }
    }

    /// Whether the node was written as an alias (`*name`).
    ///
    /// Its own span is the alias; the spans inside it are those of the anchored original.
    pub fn is_alias(&self) -> bool {
        self.alias
    }

    /// The tag of a scalar, list or mapping, if one was written.
    pub fn tag(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { tag, .. } => tag.as_deref(),
            _ => self.tag.as_deref(),
        }
    }

    /// The text of a scalar, whatever its type.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The pairs of a mapping.
    pub fn as_mapping(&self) -> Option<&[(Node, Node)]> {
        match &self.value {
            Value::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_mapping()?.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// The typed value of a scalar, as Go's yaml.v3 (and so `sops`) sees it.
    pub fn scalar(&self) -> Option<Scalar<'_>> {
        match &self.value {
            Value::Scalar { text, style, tag } => {
                Some(scalar::resolve(text, *style, tag.as_deref()))
            }
            _ => None,
        }
    }

    /// Whether the node is null: nothing, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.scalar(), Some(Scalar::Null))
    }

    /// What the node is, in a word for messages.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Mapping(_) => "a mapping",
            Value::Sequence(_) => "a list",
            Value::Scalar { .. } => match self.scalar() {
                Some(Scalar::Null) => "nothing",
                Some(Scalar::Bool(_)) => "a boolean",
                Some(Scalar::Int(_) | Scalar::Float(_)) => "a number",
                Some(Scalar::Timestamp(_)) => "a date",
                _ => "text",
            },
        }
    }
}
