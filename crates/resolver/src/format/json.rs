//! JSON text, indented, in the order it was built: enough for a schema.

use std::fmt::{self, Write as _};

/// A value that only needs to be written.
#[derive(Clone, Debug)]
pub(super) enum Json {
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    pub(super) fn object<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Object(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// The same object with one more entry, in front.
    pub(super) fn with(self, key: &str, value: Self) -> Self {
        match self {
            Self::Object(mut entries) => {
                entries.insert(0, (key.to_owned(), value));
                Self::Object(entries)
            }
            other => other,
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = |f: &mut fmt::Formatter<'_>, depth| write!(f, "\n{:1$}", "", 2 * depth);
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(text) => quote(f, text),
            Self::List(items) if items.is_empty() => f.write_str("[]"),
            Self::List(items) => {
                f.write_char('[')?;
                for (i, item) in items.iter().enumerate() {
                    f.write_str(if i > 0 { "," } else { "" })?;
                    indent(f, depth + 1)?;
                    item.write(f, depth + 1)?;
                }
                indent(f, depth)?;
                f.write_char(']')
            }
            Self::Object(entries) if entries.is_empty() => f.write_str("{}"),
            Self::Object(entries) => {
                f.write_char('{')?;
                for (i, (key, value)) in entries.iter().enumerate() {
                    f.write_str(if i > 0 { "," } else { "" })?;
                    indent(f, depth + 1)?;
                    quote(f, key)?;
                    f.write_str(": ")?;
                    value.write(f, depth + 1)?;
                }
                indent(f, depth)?;
                f.write_char('}')
            }
        }
    }
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if u32::from(c) < 0x20 => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_json() {
        let value = Json::object([
            ("a\"\\\n", Json::List(vec![Json::Bool(true), Json::Number(7)])),
            ("empty", Json::object::<&str>([])),
        ]);
        assert_eq!(
            value.with("é", Json::texts([])).to_string(),
            "{\n  \"é\": [],\n  \"a\\\"\\\\\\u000a\": [\n    true,\n    7\n  ],\n  \"empty\": {}\n}"
        );
    }
}
