//! References: `store://NAME/path#field?version=…`.
//!
//! ```text
//! reference = "store://" name "/" path [ "#" field ] [ "?" query ]
//!           | "store://" name "/" path [ "?" query ] [ "#" field ]
//! query     = "version=" version
//! ```
//! `%XX` stands for a byte in every part, as in RFC 3986 §2.1; the bytes have to be UTF-8. `%`,
//! `#` and `?` themselves are written `%25`, `%23` and `%3F`, a `/` in a name `%2F`. All else,
//! blanks, `+` and non-ASCII text included, stands for itself. Control characters are refused.
//! What a path means is the store's affair: this module keeps its slashes as they are.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::diagnostic::suggest;

const SCHEME: &str = "store://";

/// What a reference to a rotation target starts with. It names no secret.
pub(crate) const SERVICE_SCHEME: &str = "svc://";

/// A parsed reference; its parts are decoded.
///
/// ```
/// use dsops_resolver::Reference;
///
/// let reference: Reference = "store://local/db/main#password?version=3".parse()?;
/// assert_eq!(reference.store, "local");
/// assert_eq!(reference.path, "db/main");
/// assert_eq!(reference.field.as_deref(), Some("password"));
/// assert_eq!(reference.version.as_deref(), Some("3"));
///
/// let error = "store://local".parse::<Reference>().unwrap_err();
/// assert_eq!(error.to_string(), "the reference has no path (column 14)");
/// # Ok::<(), dsops_resolver::ReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The name of the store in `dsops.yaml`.
    pub store: String,
    /// The item, in the store's own grammar.
    pub path: String,
    /// One value inside the item.
    pub field: Option<String>,
    /// The version of the item.
    pub version: Option<String>,
}

impl Reference {
    /// Whether a text means to be a reference.
    pub fn is_like(text: &str) -> bool {
        text.starts_with(SCHEME)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Parser { text }.reference()
    }
}

/// The reference as it would be written; parsing it gives the same parts.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", Encoded(&self.store, "/"), Encoded(&self.path, ""))?;
        if let Some(field) = &self.field {
            write!(f, "#{}", Encoded(field, ""))?;
        }
        if let Some(version) = &self.version {
            write!(f, "?version={}", Encoded(version, "&"))?;
        }
        Ok(())
    }
}

/// What is wrong with a reference, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (column {column})")]
pub struct ReferenceError {
    /// What is wrong, with a `Display` of its own for those who show the place in another way.
    pub kind: ReferenceErrorKind,
    /// Where it starts: characters of the reference, from 1.
    pub column: usize,
    /// How many characters it spans; 0 for something that is not there.
    pub width: usize,
}

/// What can be wrong with a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceErrorKind {
    /// It does not start with `store://`.
    #[error("a reference starts with `store://`")]
    Scheme,
    /// No store between `store://` and the next `/`.
    #[error("the reference has no store name")]
    NoStore,
    /// No path after the store.
    #[error("the reference has no path")]
    NoPath,
    /// Nothing after `#`.
    #[error("the field after `#` is empty")]
    EmptyField,
    /// Two `#`.
    #[error("a second `#`")]
    SecondField,
    /// Two `?`.
    #[error("a second `?`")]
    SecondQuery,
    /// Nothing after `?` or `&`.
    #[error("a parameter is missing after `?` or `&`")]
    EmptyQuery,
    /// A parameter other than `version`.
    #[error("unknown parameter `{name}`")]
    UnknownParameter {
        /// The parameter, as written.
        name: String,
    },
    /// `version` without a value.
    #[error("the version is empty")]
    EmptyVersion,
    /// `version` twice.
    #[error("a second version")]
    SecondVersion,
    /// `%` without two hexadecimal digits.
    #[error("`%` is not followed by two hexadecimal digits")]
    Escape,
    /// `%XX` bytes that are not UTF-8.
    #[error("the escaped bytes are not UTF-8")]
    NotUtf8,
    /// A control character, written or escaped.
    #[error("a control character")]
    Control,
}

impl ReferenceError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        Some(match &self.kind {
            ReferenceErrorKind::Scheme
            | ReferenceErrorKind::NoStore
            | ReferenceErrorKind::NoPath => {
                "write `store://NAME/PATH`, as `store://local/DB_PASSWORD`".to_owned()
            }
            ReferenceErrorKind::SecondField => {
                "write a `#` that belongs to a name as `%23`".to_owned()
            }
            ReferenceErrorKind::SecondQuery => {
                "write a `?` that belongs to a name as `%3F`".to_owned()
            }
            ReferenceErrorKind::Escape => "write a `%` that belongs to a name as `%25`".to_owned(),
            ReferenceErrorKind::EmptyQuery => "write `?version=…`, or leave out the `?`".to_owned(),
            ReferenceErrorKind::UnknownParameter { name } => match suggest(name, ["version"]) {
                Some(likely) => format!("did you mean `{likely}`?"),
                None => "the only parameter is `version`".to_owned(),
            },
            _ => return None,
        })
    }
}

struct Parser<'a> {
    text: &'a str,
}

impl Parser<'_> {
    fn reference(&self) -> Result<Reference, ReferenceError> {
        if let Some((at, c)) = self.text.char_indices().find(|(_, c)| c.is_control()) {
            return Err(self.error(ReferenceErrorKind::Control, at..at + c.len_utf8()));
        }
        if !Reference::is_like(self.text) {
            let scheme_len = self.text.find("://").map_or(0, |n| n + 3);
            return Err(self.error(ReferenceErrorKind::Scheme, 0..scheme_len));
        }
        let end = self.text.len();
        let address_end = self.text.find(['#', '?']).unwrap_or(end);
        let name_start = SCHEME.len();
        let name_end =
            self.text[name_start..address_end].find('/').map_or(address_end, |n| name_start + n);
        if name_start == name_end {
            return Err(self.error(ReferenceErrorKind::NoStore, name_start..name_start));
        }
        let path_start = (name_end + 1).min(address_end);
        if path_start == address_end {
            return Err(self.error(ReferenceErrorKind::NoPath, address_end..address_end));
        }
        let mut reference = Reference {
            store: self.decode(name_start..name_end)?,
            path: self.decode(path_start..address_end)?,
            field: None,
            version: None,
        };
        let (mut field, mut query) = (None, None);
        let mut at = address_end;
        while at < end {
            let part_end = self.text[at + 1..].find(['#', '?']).map_or(end, |n| at + 1 + n);
            let (part, again) = match self.text.as_bytes()[at] {
                b'#' => (&mut field, ReferenceErrorKind::SecondField),
                _ => (&mut query, ReferenceErrorKind::SecondQuery),
            };
            if part.replace(at + 1..part_end).is_some() {
                return Err(self.error(again, at..at + 1));
            }
            at = part_end;
        }
        if let Some(range) = field {
            if range.is_empty() {
                return Err(self.error(ReferenceErrorKind::EmptyField, range));
            }
            reference.field = Some(self.decode(range)?);
        }
        if let Some(range) = query {
            reference.version = Some(self.version(range)?);
        }
        Ok(reference)
    }

    fn version(&self, query: Range<usize>) -> Result<String, ReferenceError> {
        let mut version = None;
        let mut at = query.start;
        for parameter in self.text[query].split('&') {
            let range = at..at + parameter.len();
            at = range.end + 1;
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if parameter.is_empty() {
                return Err(self.error(ReferenceErrorKind::EmptyQuery, range));
            }
            if name != "version" {
                let kind = ReferenceErrorKind::UnknownParameter { name: name.to_owned() };
                return Err(self.error(kind, range.start..range.start + name.len()));
            }
            if value.is_empty() {
                return Err(self.error(ReferenceErrorKind::EmptyVersion, range.end..range.end));
            }
            let value = self.decode(range.end - value.len()..range.end)?;
            if version.replace(value).is_some() {
                return Err(self.error(ReferenceErrorKind::SecondVersion, range));
            }
        }
        Ok(version
            .expect("`split` gives at least one parameter, and each gives a version or returns"))
    }

    fn decode(&self, range: Range<usize>) -> Result<String, ReferenceError> {
        let text = &self.text[range.clone()];
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            if *first != b'%' {
                bytes.push(*first);
                rest = tail;
                continue;
            }
            let escape = tail.get(..2).and_then(|digits| {
                let digit = |d: u8| char::from(d).to_digit(16);
                u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
            });
            let Some(byte) = escape else {
                let at = range.end - rest.len();
                return Err(self.error(ReferenceErrorKind::Escape, at..at + 1));
            };
            bytes.push(byte);
            rest = &tail[2..];
        }
        let Ok(decoded) = String::from_utf8(bytes) else {
            return Err(self.error(ReferenceErrorKind::NotUtf8, range));
        };
        if decoded.contains(char::is_control) {
            return Err(self.error(ReferenceErrorKind::Control, range));
        }
        Ok(decoded)
    }

    fn error(&self, kind: ReferenceErrorKind, range: Range<usize>) -> ReferenceError {
        ReferenceError {
            kind,
            column: self.text[..range.start].chars().count() + 1,
            width: self.text[range].chars().count(),
        }
    }
}

/// A part with the characters escaped that would end it.
struct Encoded<'a>(&'a str, &'static str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if matches!(c, '%' | '#' | '?') || self.1.contains(c) {
                write!(f, "%{:02X}", u32::from(c))?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str) -> (String, String, Option<String>, Option<String>) {
        let Reference { store, path, field, version } = text.parse().expect(text);
        (store, path, field, version)
    }

    #[test]
    fn all_forms() {
        let some = |text: &str| Some(text.to_owned());
        let cases = [
            ("store://s/p", ("s", "p", None, None)),
            ("store://s/a/b/c", ("s", "a/b/c", None, None)),
            ("store://s//abs/path/", ("s", "/abs/path/", None, None)),
            ("store://s/p#f", ("s", "p", some("f"), None)),
            ("store://s/p?version=2", ("s", "p", None, some("2"))),
            ("store://s/p#f?version=2", ("s", "p", some("f"), some("2"))),
            ("store://s/p?version=2#f", ("s", "p", some("f"), some("2"))),
            (
                "store://s%2Ft/p%23%3f%25#a%20b?version=1+%26=2",
                ("s/t", "p#?%", some("a b"), some("1+&=2")),
            ),
            ("store://müll/grüße%C3%A9", ("müll", "grüßeé", None, None)),
            ("store://s/My Item", ("s", "My Item", None, None)),
        ];
        for (text, (store, path, field, version)) in cases {
            assert_eq!(parts(text), (store.to_owned(), path.to_owned(), field, version), "{text}");
        }
    }

    #[test]
    fn every_error_has_its_place() {
        let cases = [
            ("", "a reference starts with `store://`", 1, 0),
            ("op://v/i", "a reference starts with `store://`", 1, 5),
            ("store:/s/p", "a reference starts with `store://`", 1, 0),
            ("store://", "the reference has no store name", 9, 0),
            ("store:///p", "the reference has no store name", 9, 0),
            ("store://#f", "the reference has no store name", 9, 0),
            ("store://s", "the reference has no path", 10, 0),
            ("store://é/", "the reference has no path", 11, 0),
            ("store://s/#f", "the reference has no path", 11, 0),
            ("store://s#f/p", "the reference has no path", 10, 0),
            ("store://s/p#", "the field after `#` is empty", 13, 0),
            ("store://s/p#?version=1", "the field after `#` is empty", 13, 0),
            ("store://s/p#a#b", "a second `#`", 14, 1),
            ("store://s/p?version=1?version=2", "a second `?`", 22, 1),
            ("store://s/p?", "a parameter is missing after `?` or `&`", 13, 0),
            ("store://s/p?version=1&", "a parameter is missing after `?` or `&`", 23, 0),
            ("store://s/p?verison=1", "unknown parameter `verison`", 13, 7),
            ("store://s/p?version", "the version is empty", 20, 0),
            ("store://s/p?version=", "the version is empty", 21, 0),
            ("store://s/p?version=1&version=1", "a second version", 23, 9),
            ("store://s/p%2", "`%` is not followed by two hexadecimal digits", 12, 1),
            ("store://s/é%+1x", "`%` is not followed by two hexadecimal digits", 12, 1),
            ("store://s/p%ff", "the escaped bytes are not UTF-8", 11, 4),
            ("store://s/p%00", "a control character", 11, 4),
            ("store://s/p\n", "a control character", 12, 1),
        ];
        for (text, message, column, width) in cases {
            let error = text.parse::<Reference>().expect_err(text);
            assert_eq!(
                (error.kind.to_string().as_str(), error.column, error.width),
                (message, column, width),
                "{text}"
            );
        }
        let help = |text: &str| text.parse::<Reference>().unwrap_err().help().unwrap();
        assert_eq!(help("store://s/p?verison=1"), "did you mean `version`?");
        assert_eq!(help("store://s/p?x=1"), "the only parameter is `version`");
        assert_eq!(help("store://s/50%"), "write a `%` that belongs to a name as `%25`");
    }

    proptest! {
        #[test]
        fn written_and_read_again_it_is_the_same(
            store in "[^\\p{Cc}]{1,9}", path in "[^\\p{Cc}]{1,20}",
            field in proptest::option::of("[^\\p{Cc}]{1,9}"), version in proptest::option::of("[^\\p{Cc}]{1,9}"),
        ) {
            let reference = Reference { store, path, field, version };
            prop_assert_eq!(reference.to_string().parse::<Reference>(), Ok(reference));
        }

        #[test]
        fn no_text_panics(text in "(store://)?[sp/#?%&=v\u{e9}0-9a-f\\PC]{0,30}") {
            match text.parse::<Reference>() {
                Ok(reference) => prop_assert_eq!(reference.to_string().parse::<Reference>(), Ok(reference)),
                Err(error) => prop_assert!(error.column - 1 + error.width <= text.chars().count()),
            }
        }
    }
}
