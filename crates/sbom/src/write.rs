//! Documents as text. The same document gives the same bytes.

mod cyclonedx;
mod spdx;

use dsops_json::Json;
use sha2::{Digest as _, Sha256};

use crate::model::Document;

/// A format that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// SPDX 2.3 as JSON.
    Spdx23,
    /// `CycloneDX` 1.5 as JSON.
    CycloneDx15,
    /// `CycloneDX` 1.6 as JSON.
    CycloneDx16,
    /// `CycloneDX` 1.7 as JSON.
    CycloneDx17,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Spdx23, Self::CycloneDx15, Self::CycloneDx16, Self::CycloneDx17];

    /// The name with the version: `spdx@2.3`, `cyclonedx@1.6`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spdx23 => "spdx@2.3",
            Self::CycloneDx15 => "cyclonedx@1.5",
            Self::CycloneDx16 => "cyclonedx@1.6",
            Self::CycloneDx17 => "cyclonedx@1.7",
        }
    }

    /// The format of that name. Without a version it is SPDX 2.3, or `CycloneDX` 1.6.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "spdx" => Some(Self::Spdx23),
            "cyclonedx" => Some(Self::CycloneDx16),
            _ => Self::ALL.into_iter().find(|format| format.name() == name),
        }
    }

    /// What files of it are called: `.spdx.json`, `.cdx.json`.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Spdx23 => ".spdx.json",
            _ => ".cdx.json",
        }
    }
}

/// A document as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The document, with a line end at its end.
    pub text: String,
    /// What the format has no place for, one sentence each.
    pub lost: Vec<String>,
}

/// Writes a document. Order does not matter: everything is written in one order.
///
/// A document without a namespace gets one that is made from its content, so that equal documents
/// have equal ones and others have not.
///
/// Source: SPDX 2.3, chapters 6, 7 and 11; `CycloneDX` (ECMA-424) JSON reference.
///
/// # Examples
/// See the [crate](crate).
pub fn write(document: &Document, format: Format) -> Written {
    let mut document = document.clone();
    document.sort();
    let mut lost = Vec::new();
    let json = match format {
        Format::Spdx23 => spdx::write(&document, &mut lost),
        _ => cyclonedx::write(&document, format, &mut lost),
    };
    Written { text: json.to_text(), lost }
}

/// An object of those fields that have a value.
fn object<const N: usize>(fields: [(&str, Option<Json>); N]) -> Json {
    let present = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Json::Object(present.collect())
}

#[expect(clippy::unnecessary_wraps, reason = "fields that may be absent stand beside it")]
fn text(text: &str) -> Option<Json> {
    Some(Json::Text(text.to_owned()))
}

fn optional(value: Option<&String>) -> Option<Json> {
    value.and_then(|value| text(value))
}

/// A list, or nothing when it would be empty.
fn list(values: impl IntoIterator<Item = Json>) -> Option<Json> {
    let values: Vec<Json> = values.into_iter().collect();
    (!values.is_empty()).then_some(Json::List(values))
}

fn content_hash(json: &Json) -> [u8; 32] {
    Sha256::digest(json.to_text().as_bytes()).into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `3 packages have no …`, when there are any.
fn tell(lost: &mut Vec<String>, count: usize, what: &str) {
    if count > 0 {
        lost.push(format!("{what} ({count} {})", if count == 1 { "place" } else { "places" }));
    }
}

/// Sets or replaces a field of an object.
fn set(json: &mut Json, name: &str, value: Json) {
    if let Json::Object(fields) = json
        && let Some(field) = fields.iter_mut().find(|(key, _)| key == name)
    {
        field.1 = value;
    }
}
