//! JSON scanned where it lies: the place of one value, and its text straight into a slot.
//!
//! Strict RFC 8259, all of the document; a lone surrogate is refused as in RFC 7493 §2.1, a byte
//! order mark skipped. Only keys on the path are checked for duplicates. Nothing is copied but the
//! value that was asked for.

use dsops_secure_mem::{SecretBytes, Writer};

use super::path::{Path, Step};
use super::{TransformErrorKind, build, text};

/// Nested lists and objects, as in `serde_json`.
const MAX_DEPTH: usize = 128;

/// The value at a path: the text of a string, a number as written, `true` or `false`, an object or
/// list as written but without blanks.
pub(super) fn extract(bytes: &[u8], path: &Path) -> Result<SecretBytes, TransformErrorKind> {
    let item = find(bytes, path)?;
    if item.kind == Kind::Null {
        return Err(TransformErrorKind::Null { path: path.to_string() });
    }
    // Undoing escapes and dropping blanks only makes it shorter.
    build(item.bytes.len(), |out| {
        let mut used = 0;
        item.pieces(|piece| {
            out[used..used + piece.len()].copy_from_slice(piece);
            used += piece.len();
            Ok(())
        })?;
        Ok(used)
    })
}

/// The items of a document that is a list; `None` if it is anything else.
pub(super) fn items(bytes: &[u8]) -> Option<Vec<Item<'_>>> {
    let whole = find(bytes, &Path::root()).ok()?;
    if whole.kind != Kind::List {
        return None;
    }
    let mut scanner = Scanner { bytes: whole.bytes, at: 1, depth: 0 };
    let mut items = Vec::new();
    loop {
        scanner.blanks();
        match scanner.peek()? {
            b']' => return Some(items),
            b',' => scanner.at += 1,
            _ => items.push(scanner.value().ok()?),
        }
    }
}

/// One value of a document.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    kind: Kind,
    /// As written; a string with its quotes.
    bytes: &'a [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    /// A boolean or number.
    Plain,
    Text,
    List,
    Object,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Plain => "a number or boolean",
            Self::Text => "text",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }
}

impl Item<'_> {
    /// Appends what [`extract`] would give; nothing for null.
    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), TransformErrorKind> {
        self.pieces(|piece| Ok(writer.push(piece)?))
    }

    fn pieces(
        &self,
        mut put: impl FnMut(&[u8]) -> Result<(), TransformErrorKind>,
    ) -> Result<(), TransformErrorKind> {
        match self.kind {
            Kind::Null => Ok(()),
            Kind::Plain => put(self.bytes),
            Kind::Text => unescape(inside(self.bytes), put),
            Kind::List | Kind::Object => {
                let mut scanner = Scanner { bytes: self.bytes, at: 0, depth: 0 };
                while let Some(byte) = scanner.peek() {
                    let start = scanner.at;
                    match byte {
                        b'"' => scanner.string()?,
                        b' ' | b'\t' | b'\n' | b'\r' => {
                            scanner.at += 1;
                            continue;
                        }
                        _ => scanner.at += 1,
                    }
                    put(&self.bytes[start..scanner.at])?;
                }
                Ok(())
            }
        }
    }
}

/// The value at a path of a document that is sound as a whole.
fn find<'a>(bytes: &'a [u8], path: &Path) -> Result<Item<'a>, TransformErrorKind> {
    text::text(bytes)?;
    let at = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut scanner = Scanner { bytes, at, depth: 0 };
    scanner.blanks();
    let start = scanner.at;
    let whole = scanner.value()?;
    scanner.blanks();
    if scanner.at < bytes.len() {
        return Err(scanner.wrong("there is more after the end of the document"));
    }
    // Sound from here on: what `?` passes below is no syntax error any more.
    let mut here = (whole, start);
    for (depth, step) in path.steps.iter().enumerate() {
        let (item, start) = here;
        let mut inner = Scanner { bytes, at: start + 1, depth: 0 };
        let next = match (item.kind, step) {
            (Kind::Object, Step::Key(key)) => inner.member(key, || path.up_to(depth + 1))?,
            (Kind::List, step) => match step.index() {
                Some(index) => inner.nth(index)?,
                None => None,
            },
            (kind, _) => {
                let (path, found) = (path.up_to(depth), kind.word());
                return Err(TransformErrorKind::WrongKind { path, found });
            }
        };
        let not_found = || TransformErrorKind::NotFound { path: path.up_to(depth + 1) };
        here = next.ok_or_else(not_found)?;
    }
    Ok(here.0)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Scanner<'a> {
    /// Goes through an object from after its brace; the value of `key` and where it starts.
    fn member(
        &mut self,
        key: &str,
        path: impl FnOnce() -> String,
    ) -> Result<Option<(Item<'a>, usize)>, TransformErrorKind> {
        let mut found = None;
        loop {
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'"') => {
                    let start = self.at;
                    self.string()?;
                    let is_it = is_text(inside(&self.bytes[start..self.at]), key.as_bytes());
                    self.blanks();
                    self.at += 1;
                    self.blanks();
                    let place = self.at;
                    let value = self.value()?;
                    if is_it && found.replace((value, place)).is_some() {
                        return Err(TransformErrorKind::DuplicateKey { path: path() });
                    }
                }
                _ => return Ok(found),
            }
        }
    }

    /// Goes through a list from after its bracket; item `index` and where it starts.
    fn nth(&mut self, index: usize) -> Result<Option<(Item<'a>, usize)>, TransformErrorKind> {
        let mut count = 0;
        loop {
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                None | Some(b']') => return Ok(None),
                Some(_) => {
                    let place = self.at;
                    let value = self.value()?;
                    if count == index {
                        return Ok(Some((value, place)));
                    }
                    count += 1;
                }
            }
        }
    }

    /// Checks a value and goes past it.
    fn value(&mut self) -> Result<Item<'a>, TransformErrorKind> {
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => {
                self.collection(b'}', |scanner| {
                    if scanner.peek() != Some(b'"') {
                        return Err(scanner.wrong("expected a key in quotes"));
                    }
                    scanner.string()?;
                    scanner.blanks();
                    if scanner.peek() != Some(b':') {
                        return Err(scanner.wrong("expected `:` after a key"));
                    }
                    scanner.at += 1;
                    scanner.blanks();
                    scanner.value().map(drop)
                })?;
                Kind::Object
            }
            Some(b'[') => {
                self.collection(b']', |scanner| scanner.value().map(drop))?;
                Kind::List
            }
            Some(b'"') => {
                self.string()?;
                Kind::Text
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Kind::Plain
            }
            _ => {
                let words =
                    [(&b"null"[..], Kind::Null), (b"true", Kind::Plain), (b"false", Kind::Plain)];
                let rest = &self.bytes[self.at..];
                let word = words.into_iter().find(|(word, _)| rest.starts_with(word));
                let (word, kind) = word.ok_or_else(|| self.wrong("expected a value"))?;
                self.at += word.len();
                kind
            }
        };
        Ok(Item { kind, bytes: &self.bytes[start..self.at] })
    }

    fn collection(
        &mut self,
        close: u8,
        mut one: impl FnMut(&mut Self) -> Result<(), TransformErrorKind>,
    ) -> Result<(), TransformErrorKind> {
        if self.depth == MAX_DEPTH {
            return Err(self.wrong("it is nested too deeply"));
        }
        self.depth += 1;
        self.at += 1;
        self.blanks();
        if self.peek() == Some(close) {
            self.at += 1;
        } else {
            loop {
                one(self)?;
                self.blanks();
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(byte) if byte == close => {
                        self.at += 1;
                        break;
                    }
                    _ => return Err(self.wrong("expected `,` or the end of a list or object")),
                }
                self.blanks();
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn string(&mut self) -> Result<(), TransformErrorKind> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    let Some((_, len)) = escape(&self.bytes[self.at..]) else {
                        return Err(self.wrong("an escape in a text is wrong"));
                    };
                    self.at += len;
                }
                Some(0..0x20) => return Err(self.wrong("a control character in a text")),
                Some(_) => self.at += 1,
                None => return Err(self.wrong("the end of a text is missing")),
            }
        }
    }

    fn number(&mut self) -> Result<(), TransformErrorKind> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let start = self.at;
        self.digits()?;
        if self.bytes[start] == b'0' && self.at > start + 1 {
            self.at = start;
            return Err(self.wrong("a number starts with 0"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), TransformErrorKind> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.wrong("expected a digit")) } else { Ok(()) }
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn wrong(&self, reason: &'static str) -> TransformErrorKind {
        TransformErrorKind::Malformed { format: "JSON", reason, offset: self.at }
    }
}

/// A string without its quotes.
fn inside(string: &[u8]) -> &[u8] {
    &string[1..string.len() - 1]
}

/// Whether the inside of a string, with its escapes undone, is `wanted`.
fn is_text(string: &[u8], wanted: &[u8]) -> bool {
    let mut rest = Some(wanted);
    let walk = unescape(string, |piece| {
        rest = rest.and_then(|rest| rest.strip_prefix(piece));
        Ok(())
    });
    walk.is_ok() && rest.is_some_and(<[u8]>::is_empty)
}

/// Hands the inside of a sound string over with its escapes undone.
fn unescape(
    string: &[u8],
    mut put: impl FnMut(&[u8]) -> Result<(), TransformErrorKind>,
) -> Result<(), TransformErrorKind> {
    let mut rest = string;
    while !rest.is_empty() {
        let plain = rest.iter().position(|&b| b == b'\\').unwrap_or(rest.len());
        put(&rest[..plain])?;
        rest = &rest[plain..];
        if let Some((c, len)) = escape(rest) {
            put(c.encode_utf8(&mut [0; 4]).as_bytes())?;
            rest = &rest[len..];
        }
    }
    Ok(())
}

/// The character that an escape at the start of `bytes` means, and the length of the escape.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let c = match bytes.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = code_unit(bytes)?;
            if !(0xd800..0xdc00).contains(&first) {
                return Some((char::from_u32(first)?, 6));
            }
            let second =
                code_unit(bytes.get(6..)?).filter(|unit| (0xdc00..0xe000).contains(unit))?;
            let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Some((char::from_u32(code)?, 12));
        }
        _ => return None,
    };
    Some((c, 2))
}

/// The number in `\uXXXX`.
fn code_unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |sum, &digit| Some(sum * 16 + char::from(digit).to_digit(16)?))
}
