//! The formats of documents: each is parsed into the same tree, and edited in its own text.

mod dotenv;
mod flat;
mod ini;
mod ini_edit;
mod json;
mod json_edit;
pub(super) mod plain;
mod quote;
pub(super) mod section;
mod text;
mod yaml;
mod yaml_section;

use std::{fmt, ops::Range, path::Path, str::FromStr};

use dsops_resolver::yaml::{self as tree, Node, Position, SyntaxError};

use self::section::Item;
use super::{path::SOPS_SECTION, value::Kind};

/// The format of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// YAML: `.yaml`, `.yml`.
    Yaml,
    /// JSON: `.json`.
    Json,
    /// Lines `NAME=value` without any quoting: `.env`.
    Dotenv,
    /// Sections of `key = value`: `.ini`.
    Ini,
    /// Any other file, kept as the one value `data` of a JSON document.
    Binary,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 5] = [Self::Yaml, Self::Json, Self::Dotenv, Self::Ini, Self::Binary];

    /// The format of a file by its extension, as sops chooses it.
    pub fn of(path: impl AsRef<Path>) -> Self {
        let name = path.as_ref().to_string_lossy();
        let ends = |end| name.ends_with(end);
        match () {
            () if ends(".yaml") || ends(".yml") => Self::Yaml,
            () if ends(".json") => Self::Json,
            () if ends(".env") => Self::Dotenv,
            () if ends(".ini") => Self::Ini,
            () => Self::Binary,
        }
    }

    /// Its name, as sops takes it for `--input-type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
            Self::Dotenv => "dotenv",
            Self::Ini => "ini",
            Self::Binary => "binary",
        }
    }

    /// What a document of it is called in a message.
    pub(super) const fn document(self) -> &'static str {
        match self {
            Self::Yaml => "a YAML document",
            Self::Json | Self::Binary => "a JSON document",
            Self::Dotenv => "a dotenv file",
            Self::Ini => "an INI file",
        }
    }

    pub(super) fn parse(self, text: &str) -> Result<Node, SyntaxError> {
        match self {
            Self::Yaml => tree::parse(text),
            Self::Json | Self::Binary => json::parse(text),
            Self::Dotenv => dotenv::parse(text),
            Self::Ini => ini::parse(text),
        }
    }

    /// Writes `sealed` as the value of the key, adding what is missing of its path.
    pub(super) fn set(
        self,
        text: &str,
        root: &Node,
        parts: &[String],
        sealed: &str,
    ) -> Result<String, Refused> {
        match self {
            Self::Yaml => yaml::set(text, root, parts, sealed),
            Self::Json => json_edit::set(text, root, parts, &json_edit::quoted(sealed)),
            Self::Binary if parts == [BINARY_KEY] => {
                json_edit::set(text, root, parts, &json_edit::quoted(sealed))
            }
            Self::Binary => {
                let reason = "the file is one value with the key `data`";
                Err(Refused { position: root.span.start, reason })
            }
            Self::Dotenv => dotenv::set(text, root, parts, sealed),
            Self::Ini => ini_edit::set(text, root, parts, sealed),
        }
    }

    /// Writes a list or group, which is JSON, as the value of the key.
    pub(super) fn set_written(
        self,
        text: &str,
        root: &Node,
        parts: &[String],
        json: &str,
    ) -> Result<String, Refused> {
        match self {
            // What is JSON is YAML too, in brackets.
            Self::Yaml => yaml::set(text, root, parts, json),
            _ => json_edit::set(text, root, parts, json),
        }
    }

    /// Removes the key with its value, which may be a group.
    pub(super) fn unset(
        self,
        text: &str,
        root: &Node,
        parts: &[String],
    ) -> Result<String, Refused> {
        match self {
            Self::Yaml => yaml::unset(text, root, parts),
            Self::Json | Self::Binary => json_edit::unset(text, root, parts),
            Self::Dotenv => dotenv::unset(text, root, parts),
            Self::Ini => ini_edit::unset(text, root, parts),
        }
    }

    /// Writes time and MAC into the `sops` section.
    pub(super) fn set_metadata(self, text: &str, root: &Node, modified: &str, mac: &str) -> String {
        if self == Self::Yaml {
            return yaml::set_metadata(text, root, modified, mac);
        }
        let section = root.get(SOPS_SECTION).expect("a parsed document has the section");
        let edits = [("lastmodified", modified), ("mac", mac)].map(|(name, value)| {
            let node = section.get(name).expect("a parsed document has the setting");
            let json = matches!(self, Self::Json | Self::Binary);
            let value = if json { json_edit::quoted(value) } else { value.to_owned() };
            (node.span.range(), value)
        });
        text::splice_all(text, edits.to_vec())
    }

    /// A text that takes the place of what stands in a range.
    pub(super) fn replacement(self, text: &str, range: &Range<usize>, sealed: &str) -> String {
        let quoted = text[range.clone()].starts_with(['"', '\'']);
        match self {
            Self::Yaml => quote::value_text(sealed, quoted),
            Self::Json | Self::Binary => json_edit::quoted(sealed),
            Self::Dotenv | Self::Ini => sealed.to_owned(),
        }
    }

    /// Replaces the section `sops`, or adds it at the end.
    pub(super) fn write_section(self, text: &str, root: &Node, section: &Item) -> String {
        match self {
            Self::Yaml => yaml_section::write_section(text, root, section),
            Self::Json | Self::Binary => json_edit::write_section(text, root, section),
            Self::Dotenv => dotenv::write_section(text, section),
            Self::Ini => ini_edit::write_section(text, section),
        }
    }

    /// The text of a document without any value.
    pub(super) const fn empty(self) -> &'static str {
        match self {
            Self::Json | Self::Binary => "{}\n",
            Self::Yaml | Self::Dotenv | Self::Ini => "",
        }
    }
}

/// The key of the one value of a file that is kept as a whole.
pub(super) const BINARY_KEY: &str = "data";

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let known = Self::ALL.into_iter().find(|format| format.name() == name);
        known.ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// The name is none of a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no format `{0}`; there are yaml, json, dotenv, ini and binary")]
pub struct UnknownFormat(String);

/// Where and why an edit is not possible.
pub(super) struct Refused {
    pub position: Position,
    pub reason: &'static str,
}

/// A text as a JSON string.
pub(super) fn quoted_json(text: &str) -> String {
    json_edit::quoted(text)
}

/// Replaces several ranges that do not overlap.
pub(super) fn splice_all(text: &str, edits: Vec<(Range<usize>, String)>) -> String {
    text::splice_all(text, edits)
}

/// Where the section of sops stands, with what separates it from the rest.
pub(super) fn section_ranges(format: Format, text: &str, root: &Node) -> Vec<Range<usize>> {
    match format {
        Format::Yaml => yaml_section::without_section(text, root).into_iter().collect(),
        Format::Json | Format::Binary => json_edit::section_range(root).into_iter().collect(),
        Format::Dotenv => dotenv::without_section(text),
        Format::Ini => ini_edit::without_section(text),
    }
}

/// Whether a format has its own way to write a value of a type.
pub(super) fn can_write(format: Format, kind: Kind) -> bool {
    match format {
        Format::Yaml => kind != Kind::Bytes,
        Format::Json => matches!(kind, Kind::Str | Kind::Int | Kind::Float | Kind::Bool),
        Format::Dotenv | Format::Ini | Format::Binary => kind == Kind::Str,
    }
}

/// Where the comments stand, without their line breaks and outside of the section `sops`.
pub(super) fn comments(format: Format, text: &str, root: &Node) -> Vec<Range<usize>> {
    match format {
        Format::Yaml => yaml::comments(text, root),
        Format::Json | Format::Binary => Vec::new(),
        Format::Dotenv => dotenv::comments(text),
        Format::Ini => ini_edit::comments(text),
    }
}

/// Positions of the items of a list that are values. In YAML sops keeps a comment as an item.
pub(super) fn item_positions(items: &[Node]) -> Vec<usize> {
    yaml::item_positions(items)
}
