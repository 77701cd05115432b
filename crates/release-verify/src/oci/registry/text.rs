//! A text of JSON that may be a secret: left where it stands, or undone from its escapes in memory
//! that is wiped.
//!
//! Programs in Go write `<`, `>` and `&` as escapes, others `/` and `+`, so a token may have some.
//! `serde_json` undoes them in a buffer of its own, which only an allocator that wipes clears (the
//! binary's does).

use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use zeroize::Zeroizing;

/// A text, read from a document that lives for `'a`.
pub(super) enum Text<'a> {
    /// It stands in the document as it is.
    There(&'a str),
    /// It had escapes.
    Undone(Zeroizing<String>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::There(text) => text,
            Self::Undone(text) => text,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Reader)
    }
}

struct Reader;

impl<'a> Visitor<'a> for Reader {
    type Value = Text<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Text::There(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text::Undone(Zeroizing::new(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_escapes_is_copied() {
        let read = |text: &'static str| serde_json::from_str::<Text<'static>>(text).unwrap();
        assert!(matches!(read(r#""plain/+""#), Text::There("plain/+")));
        let undone = read(r#""\u003ctoken\u003e\/\"\\""#);
        assert!(matches!(undone, Text::Undone(_)));
        assert_eq!(&*undone, "<token>/\"\\");
        assert!(serde_json::from_str::<Text<'_>>("7").is_err());
    }
}
