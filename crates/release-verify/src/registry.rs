//! Evidence that package registries keep: the attestations of npm and of the Python index.
//!
//! A registry wraps Sigstore bundles in a document of its own. This module takes them out, and
//! afterwards, when each was found well signed, says whether together they are about the package.

pub mod npm;
pub mod pypi;
mod version;

use crate::json::{Json, JsonError};

/// A registry's document is read up to this size.
pub const LIMIT_BYTES: usize = 16 << 20;

/// How many attestations a document may have.
const LIMIT_ATTESTATIONS: usize = 1000;

/// Why a registry's document could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// There is more of it than is read.
    #[error("the document has {found_bytes} bytes, more than the {LIMIT_BYTES} that are read")]
    TooLarge {
        /// How many bytes it has.
        found_bytes: usize,
    },
    /// A field is missing, occurs twice, or is of another kind.
    #[error("{}{}{problem}", .path, if .path.is_empty() { "" } else { ": " })]
    Malformed {
        /// Where, as `attestations[0].bundle`; may be empty.
        path: String,
        /// What is wrong there.
        problem: String,
    },
    /// The document says that it has another version.
    #[error("the document has version {found}, not 1")]
    Version {
        /// Which one it says.
        found: u64,
    },
    /// A package or a file name is not one.
    #[error("`{}` is not {what}", .text.escape_debug())]
    Name {
        /// What it should be: `the name of a package`.
        what: &'static str,
        /// What was given.
        text: String,
    },
}

impl From<JsonError> for RegistryError {
    fn from(error: JsonError) -> Self {
        Self::Malformed { path: error.path, problem: error.problem }
    }
}

fn parse(data: &[u8]) -> Result<Json, RegistryError> {
    if data.len() > LIMIT_BYTES {
        return Err(RegistryError::TooLarge { found_bytes: data.len() });
    }
    Ok(crate::json::parse(data)?)
}

/// A value as JSON text: what was read once goes to a reader that takes bytes.
fn to_bytes(value: &Json) -> Vec<u8> {
    let mut text = String::new();
    write(value, &mut text);
    text.into_bytes()
}

fn write(value: &Json, text: &mut String) {
    use std::fmt::Write as _;
    // Writing to a `String` cannot fail.
    match value {
        Json::Null => text.push_str("null"),
        Json::Bool(value) => {
            let _ = write!(text, "{value}");
        }
        Json::Integer(value) => {
            let _ = write!(text, "{value}");
        }
        Json::Number(value) => {
            let _ = write!(text, "{value:e}");
        }
        Json::Text(value) => quote(value, text),
        Json::List(values) => {
            text.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(value, text);
            }
            text.push(']');
        }
        Json::Object(fields) => {
            text.push('{');
            for (index, (key, value)) in fields.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                quote(key, text);
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
    }
}

fn quote(value: &str, text: &mut String) {
    text.push_str(&serde_json::Value::from(value).to_string());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            any::<i64>().prop_map(|n| Json::Integer(n.into())),
            any::<f64>()
                .prop_filter("a number of JSON that is no integer", |n| n.is_finite()
                    && n.fract() != 0.0)
                .prop_map(Json::Number),
            any::<String>().prop_map(Json::Text),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::List),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|fields| Json::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in any_json()) {
            prop_assert_eq!(crate::json::parse(&to_bytes(&value)).unwrap(), value);
        }
    }
}
