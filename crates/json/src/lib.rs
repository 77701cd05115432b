//! Strict JSON: a tree without duplicate keys, of bounded size and depth, and fields read by name.
//!
//! `serde_json` keeps the last of two equal keys. Two readers that disagree on which one counts
//! can be shown two documents in one, so here a duplicate is an error. So is a field nobody asked
//! for, unless the caller is lenient.
//!
//! For documents of strangers that are judged, not for secrets: texts are ordinary memory.
//!
//! # Examples
//! ```
//! use dsops_json::{Fields, parse};
//!
//! let document = parse(br#"{"name": "demo", "parts": [{"size": 7}]}"#)?;
//! let mut fields = Fields::of(&document, "")?;
//! assert_eq!(fields.text("name")?, "demo");
//! let mut parts = fields.objects("parts", 10)?;
//! assert_eq!(parts[0].integer("size")?, Some(7));
//! assert_eq!(parts[0].text("kind").unwrap_err().to_string(), "parts[0].kind: missing");
//! assert!(parse(br#"{"a": 1, "a": 2}"#).is_err());
//! # Ok::<(), dsops_json::JsonError>(())
//! ```

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// A value of JSON. Numbers keep their value only when they are integers of 64 bits.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Integer(i128),
    /// Any other number.
    Number(f64),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object, in the order of the document.
    Object(Vec<(String, Json)>),
}

/// What is wrong with a document, and where: `verificationMaterial.tlogEntries[0].logIndex`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{problem}", .path, if .path.is_empty() { "" } else { ": " })]
pub struct JsonError {
    /// The path of names and indexes; empty when it is about the whole.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
}

impl JsonError {
    /// A problem at a path.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

/// How many values a document may have, about: what bounds the memory it takes.
const VALUES: usize = 4_000_000;

/// Reads one document and nothing behind it but white space.
///
/// # Errors
/// It is no JSON of UTF-8, has a key twice, is nested too deep or has too many values.
pub fn parse(text: &[u8]) -> Result<Json, JsonError> {
    if text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]) {
        return Err(JsonError::new(
            "",
            "the text is UTF-16, not UTF-8; PowerShell's `>` writes it, `Out-File -Encoding utf8` does not",
        ));
    }
    if text.starts_with(&[0xef, 0xbb, 0xbf]) {
        return Err(JsonError::new(
            "",
            "the text starts with a byte order mark, which JSON forbids",
        ));
    }
    // A value takes more memory than the two bytes it can be written with. Texts with many commas
    // count as more than they are; a limit need not be exact.
    let more = |byte: &&u8| matches!(**byte, b',' | b'[' | b'{');
    if text.len() > VALUES && text.iter().filter(more).count() > VALUES {
        return Err(JsonError::new("", format!("more than {VALUES} values")));
    }
    serde_json::from_slice(text).map_err(|error| JsonError::new("", error.to_string()))
}

/// The documents of a file: the file itself, or its lines when the first one that is not blank is
/// a document of its own (JSON lines). A last line without an end counts as any other.
pub fn documents(content: &[u8]) -> Vec<&[u8]> {
    let lines: Vec<&[u8]> =
        content.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect();
    match lines.as_slice() {
        [first, _, ..] if serde_json::from_slice::<serde::de::IgnoredAny>(first).is_ok() => lines,
        _ => vec![content],
    }
}

impl Json {
    /// The kind, for messages.
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// The field of that name, when this is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Object(fields) => {
                fields.iter().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The text, when this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Json {
    /// The document as text: two spaces a level, fields in their order, a line end at the end. Equal
    /// documents give equal bytes.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text.push('\n');
        text
    }

    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Integer(number) => out.push_str(&number.to_string()),
            // What JSON has no number for is nothing, as in JavaScript.
            Self::Number(number) if !number.is_finite() => out.push_str("null"),
            Self::Number(number) => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "{number:?}");
            }
            Self::Text(text) => quote(out, text),
            Self::List(values) => block(out, depth, ['[', ']'], values, |out, value| {
                value.write(out, depth + 1);
            }),
            Self::Object(fields) => block(out, depth, ['{', '}'], fields, |out, (name, value)| {
                quote(out, name);
                out.push_str(": ");
                value.write(out, depth + 1);
            }),
        }
    }
}

/// The values of a list or an object, one a line.
fn block<T>(
    out: &mut String,
    depth: usize,
    [open, close]: [char; 2],
    values: &[T],
    mut write: impl FnMut(&mut String, &T),
) {
    out.push(open);
    for (index, value) in values.iter().enumerate() {
        out.push_str(if index == 0 { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(depth + 1));
        write(out, value);
    }
    if !values.is_empty() {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
    out.push(close);
}

fn quote(out: &mut String, text: &str) {
    out.push_str(&serde_json::to_string(text).expect("a string can be written"));
}

/// The fields of one object, taken by name; what is left in the end was not asked for.
pub struct Fields<'a> {
    path: String,
    entries: &'a [(String, Json)],
    taken: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The object `value`, which lies at `path` of its document.
    ///
    /// # Errors
    /// It is no object.
    pub fn of(value: &'a Json, path: impl Into<String>) -> Result<Self, JsonError> {
        let path = path.into();
        match value {
            Json::Object(fields) => Ok(Self { path, entries: fields, taken: Vec::new() }),
            other => Err(JsonError::new(path, format!("{} where an object belongs", other.kind()))),
        }
    }

    /// Where the field `name` lies.
    pub fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// An error about the field `name`.
    pub fn error(&self, name: &str, problem: impl Into<String>) -> JsonError {
        JsonError::new(self.path(name), problem)
    }

    /// The value, when it is there. `null` is as good as absent (Protocol Buffers' JSON mapping).
    pub fn optional(&mut self, name: &'static str) -> Option<&'a Json> {
        self.taken.push(name);
        self.entries
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
            .filter(|value| **value != Json::Null)
    }

    /// The value, which must be there.
    ///
    /// # Errors
    /// It is missing.
    pub fn required(&mut self, name: &'static str) -> Result<&'a Json, JsonError> {
        self.optional(name).ok_or_else(|| self.error(name, "missing"))
    }

    /// The object at `name`, which must be there.
    ///
    /// # Errors
    /// It is missing, or no object.
    pub fn object(&mut self, name: &'static str) -> Result<Fields<'a>, JsonError> {
        let value = self.required(name)?;
        Fields::of(value, self.path(name))
    }

    /// The object at `name`, when it is there.
    ///
    /// # Errors
    /// It is no object.
    pub fn optional_object(&mut self, name: &'static str) -> Result<Option<Fields<'a>>, JsonError> {
        self.optional(name).map(|value| Fields::of(value, self.path(name))).transpose()
    }

    /// The objects of the list at `name`, at most `limit`; none when it is absent.
    ///
    /// # Errors
    /// It is no list, too long, or holds something else.
    pub fn objects(
        &mut self,
        name: &'static str,
        limit: usize,
    ) -> Result<Vec<Fields<'a>>, JsonError> {
        self.list(name, limit)?
            .iter()
            .enumerate()
            .map(|(index, value)| Fields::of(value, format!("{}[{index}]", self.path(name))))
            .collect()
    }

    /// The list at `name`, of at most `limit` values; empty when it is absent.
    ///
    /// # Errors
    /// It is no list, or too long.
    pub fn list(&mut self, name: &'static str, limit: usize) -> Result<&'a [Json], JsonError> {
        match self.optional(name) {
            None => Ok(&[]),
            Some(Json::List(values)) if values.len() > limit => {
                Err(self.error(name, format!("more than {limit} entries")))
            }
            Some(Json::List(values)) => Ok(values),
            Some(other) => Err(self.error(name, format!("{} where a list belongs", other.kind()))),
        }
    }

    /// The string at `name`, which must be there.
    ///
    /// # Errors
    /// It is missing, or no string.
    pub fn text(&mut self, name: &'static str) -> Result<&'a str, JsonError> {
        match self.required(name)? {
            Json::Text(text) => Ok(text),
            other => Err(self.error(name, format!("{} where a string belongs", other.kind()))),
        }
    }

    /// The string at `name`, when it is there.
    ///
    /// # Errors
    /// It is no string.
    pub fn optional_text(&mut self, name: &'static str) -> Result<Option<&'a str>, JsonError> {
        match self.optional(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(other) => {
                Err(self.error(name, format!("{} where a string belongs", other.kind())))
            }
        }
    }

    /// The bytes at `name` in canonical base64, which must be there and not be empty.
    ///
    /// # Errors
    /// It is missing, empty, or no canonical base64.
    pub fn bytes(&mut self, name: &'static str) -> Result<Vec<u8>, JsonError> {
        let text = self.text(name)?;
        let bytes = base64(text).ok_or_else(|| self.error(name, "not canonical base64"))?;
        if bytes.is_empty() { Err(self.error(name, "empty")) } else { Ok(bytes) }
    }

    /// The integer at `name`, as a number or, as Protocol Buffers write 64 bits, a string.
    /// `None` when it is absent.
    ///
    /// # Errors
    /// It is no integer from 0 to 2^63-1.
    pub fn integer(&mut self, name: &'static str) -> Result<Option<u64>, JsonError> {
        let Some(value) = self.optional(name) else { return Ok(None) };
        let number = match value {
            Json::Integer(number) => i64::try_from(*number).ok(),
            Json::Text(text) => {
                // The one way to write it: no sign, no zeros in front.
                text.parse::<i64>().ok().filter(|number| number.to_string() == *text)
            }
            _ => None,
        };
        number
            .and_then(|number| u64::try_from(number).ok())
            .map(Some)
            .ok_or_else(|| self.error(name, "not an integer from 0 to 2^63-1"))
    }

    /// The names of fields that were not asked for.
    pub fn untaken(&self) -> impl Iterator<Item = &'a str> {
        let entries = self.entries.iter().map(|(key, _)| key.as_str());
        entries.filter(|key| !self.taken.contains(key))
    }

    /// Refuses what was not asked for; says nothing when `lenient`.
    ///
    /// # Errors
    /// The first field that nobody asked for.
    pub fn end(self, lenient: bool) -> Result<(), JsonError> {
        match self.entries.iter().find(|(key, _)| !self.taken.contains(&key.as_str())) {
            Some((key, _)) if !lenient => Err(self.error(key, "unknown field")),
            _ => Ok(()),
        }
    }
}

/// Decodes base64 (RFC 4648, section 4) in its one canonical spelling.
///
/// # Security
/// Not in constant time: for what everybody may read.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Encodes base64 (RFC 4648, section 4).
///
/// # Security
/// Not in constant time: for what everybody may read.
pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = access.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        /// Up to here, comparing with each key is cheaper than a set.
        const FEW: usize = 16;
        let mut fields: Vec<(String, Json)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some((key, value)) = access.next_entry::<String, Json>()? {
            let twice = if fields.len() < FEW {
                fields.iter().any(|(other, _)| *other == key)
            } else {
                if seen.is_empty() {
                    seen.extend(fields.iter().map(|(other, _)| other.clone()));
                }
                !seen.insert(key.clone())
            };
            if twice {
                return Err(A::Error::custom(format_args!(
                    "the key `{}` occurs twice",
                    key.escape_debug()
                )));
            }
            fields.push((key, value));
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_occurs_twice_is_an_error() {
        for twice in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#, r#"[{"a":1,"\u0061":2}]"#] {
            let error = parse(twice.as_bytes()).unwrap_err();
            assert!(error.problem.contains("occurs twice"), "{error}");
        }
        let fields: Vec<String> = (0..40).map(|n| format!("\"k{n}\":0,")).collect();
        let many = format!("{{{}", fields.concat());
        assert!(parse(format!("{many}\"z\":0}}").as_bytes()).is_ok());
        assert!(parse(format!("{many}\"k3\":0}}").as_bytes()).is_err());
        assert!(parse(format!("{many}\"k39\":0}}").as_bytes()).is_err());
    }

    #[test]
    fn other_encodings_are_named() {
        assert!(parse(b"\xff\xfe{\0}\0").unwrap_err().problem.contains("UTF-16"));
        assert!(parse(b"\xef\xbb\xbf{}").unwrap_err().problem.contains("byte order mark"));
        assert!(parse(b"{} {}").is_err());
        assert!(parse("[".repeat(10_000).as_bytes()).is_err());
        let many = format!("[{}0]", "0,".repeat(VALUES));
        assert!(parse(many.as_bytes()).unwrap_err().problem.contains("values"));
        let long = format!("\"{}\"", " ".repeat(VALUES));
        assert!(parse(long.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = "{\n  \"b\": [\n    1,\n    -2.5,\n    \"\\u0001\\\"\u{e4}\"\n  ],\n  \"a\": {},\n  \"c\": [],\n  \"d\": null,\n  \"e\": true\n}\n";
        assert_eq!(parse(text.as_bytes()).unwrap().to_text(), text);
    }

    #[test]
    fn integers_have_one_spelling() {
        let read = |text: &str| {
            let json = parse(format!("{{\"n\":{text}}}").as_bytes()).unwrap();
            Fields::of(&json, "").unwrap().integer("n")
        };
        assert_eq!(read("7").unwrap(), Some(7));
        assert_eq!(read("\"7\"").unwrap(), Some(7));
        assert_eq!(read("null").unwrap(), None);
        for bad in [
            "-1",
            "\"07\"",
            "\"+7\"",
            "\" 7\"",
            "\"-0\"",
            "1.5",
            "9223372036854775808",
            "1e300",
            "true",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(base64("aGk=").unwrap(), b"hi");
        for bad in ["aGk", "aGl=", "aGk=\n", "aG k=", "aGk==", "_-8="] {
            assert_eq!(base64(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_was_not_asked_for_is_named() {
        let json = parse(br#"{"a":{"b":1,"c":2}}"#).unwrap();
        let mut fields = Fields::of(&json, "").unwrap();
        let mut inner = fields.object("a").unwrap();
        inner.integer("b").unwrap();
        assert_eq!(inner.end(false).unwrap_err().to_string(), "a.c: unknown field");
        assert_eq!(fields.text("x").unwrap_err().to_string(), "x: missing");
    }
}
