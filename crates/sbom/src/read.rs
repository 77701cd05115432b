//! Documents of strangers, read: strict about what is needed, lenient about the rest.

mod cyclonedx;
mod draft;
mod spdx;
mod tag_value;

use std::collections::BTreeMap;

use dsops_json::{Json, parse};

use crate::error::ReadError;
use crate::model::Document;

/// A document is read up to this size.
pub const LIMIT_BYTES: usize = 64 << 20;

/// How many packages or relationships a document may have.
const LIMIT_ENTRIES: usize = 1_000_000;

/// How a document was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// SPDX 2.2 or 2.3 as JSON.
    SpdxJson,
    /// SPDX 2.2 or 2.3 as lines of tags and values.
    SpdxTagValue,
    /// `CycloneDX` 1.2 to 1.7 as JSON.
    CycloneDx,
}

impl Form {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::SpdxJson | Self::SpdxTagValue => "SPDX",
            Self::CycloneDx => "CycloneDX",
        }
    }
}

/// A small fault of form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A field that the format demands is missing.
    #[error("no {0}")]
    Missing(&'static str),
    /// The document says that it is about something that it does not list.
    #[error("`{}` is described, but not there", .0.escape_debug())]
    NotDescribed(String),
    /// Something is related that is not listed.
    #[error("`{}` is related, but not there", .0.escape_debug())]
    NotRelated(String),
}

/// A document that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// What it says.
    pub document: Document,
    /// How it was written.
    pub form: Form,
    /// The version of that: `2.3`, `1.6`.
    pub version: String,
    /// Small faults of form, which do not change what it says; the first few.
    pub faults: Vec<Fault>,
    /// Fields that a [`Document`] has no place for, as `packages[].annotations`, and how often they occur.
    pub dropped: BTreeMap<String, usize>,
    /// How many relationships it states, those with its subject aside.
    pub relationships: usize,
}

/// Reads a document, whichever of the known forms it has.
///
/// # Errors
/// [`ReadError`] says what it is instead.
///
/// # Examples
/// ```
/// let text = br#"{
///   "bomFormat": "CycloneDX", "specVersion": "1.6",
///   "metadata": {"component": {"type": "application", "name": "tool", "version": "1.0.0"}}
/// }"#;
/// let reading = dsops_sbom::read(text)?;
/// assert_eq!(reading.form, dsops_sbom::Form::CycloneDx);
/// assert_eq!(reading.document.packages[0].name, "tool");
/// # Ok::<(), dsops_sbom::ReadError>(())
/// ```
pub fn read(data: &[u8]) -> Result<Reading, ReadError> {
    if data.len() > LIMIT_BYTES {
        return Err(ReadError::TooLarge { found_bytes: data.len() });
    }
    let text = data.trim_ascii_start();
    match text.first() {
        Some(b'{') => read_json(&parse(data)?),
        _ if has_line(text, "SPDXVersion:") => tag_value::read(data),
        _ => Err(unsupported(text)),
    }
}

/// Reads a document that is JSON already: a part of another one.
///
/// # Errors
/// [`ReadError`] says what it is instead.
pub fn read_json(document: &Json) -> Result<Reading, ReadError> {
    if document.get("spdxVersion").is_some() {
        spdx::read(document)
    } else if document.get("bomFormat").is_some() {
        cyclonedx::read(document)
    } else if is_spdx_3(document) {
        Err(ReadError::Unsupported { form: "SPDX 3".to_owned() })
    } else {
        Err(ReadError::Unknown)
    }
}

/// Whether a line begins with `tag`, looked for near the top.
fn has_line(text: &[u8], tag: &str) -> bool {
    const NEAR: usize = 64 << 10;
    let top = &text[..text.len().min(NEAR)];
    top.split(|byte| *byte == b'\n').any(|line| line.trim_ascii_start().starts_with(tag.as_bytes()))
}

/// What a text that is neither JSON nor tags and values could be.
fn unsupported(text: &[u8]) -> ReadError {
    const NEAR: usize = 4 << 10;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let top = String::from_utf8_lossy(&text[..text.len().min(NEAR)]);
    let form = if top.starts_with('<') && top.contains("cyclonedx.org/schema/bom") {
        "CycloneDX as XML"
    } else if top.starts_with('<') && top.contains("spdx.org/rdf") {
        "SPDX as RDF"
    } else if has_line(text, "spdxVersion:") {
        "SPDX as YAML"
    } else if top.starts_with('{') {
        // Only the mark in front kept it from being read as JSON.
        return ReadError::Malformed {
            path: String::new(),
            problem: "the text starts with a byte order mark, which JSON forbids".to_owned(),
        };
    } else {
        return ReadError::Unknown;
    };
    ReadError::Unsupported { form: form.to_owned() }
}

fn is_spdx_3(document: &Json) -> bool {
    let context = match document.get("@context") {
        Some(Json::Text(text)) => Some(text.as_str()),
        Some(Json::List(list)) => list.iter().find_map(Json::as_str),
        _ => None,
    };
    context.is_some_and(|context| context.starts_with("https://spdx.org/rdf/3."))
}
