//! JSON, RFC 8259, scanned in place: strings are decoded straight into protected memory.

use dsops_secure_mem::{SecretBytes, Writer};

use super::{Cursor, Found, push_char, secret};
use crate::error::{ImportError, ImportProblem};

/// How deep values that are skipped may nest.
const DEPTH_LIMIT: usize = 64;

/// Takes the variables of a document.
pub(super) fn read(bytes: &[u8], found: &mut Found) -> Result<(), ImportError> {
    let mut scanner = Scanner { cursor: Cursor::new(bytes) };
    scanner.blanks();
    match scanner.cursor.peek() {
        Some(b'{') => {
            let is_ours = scanner.is_written_by_render()?;
            scanner.object(|scanner, line, name| {
                if !is_ours {
                    return scanner.variable(found, line, name);
                }
                match name.as_str() {
                    "variables" => {
                        scanner.object(|scanner, line, name| scanner.variable(found, line, name))
                    }
                    _ => scanner.skip(0),
                }
            })?;
        }
        Some(b'[') => scanner.array(|scanner| scanner.named_value(found))?,
        _ => return Err(scanner.cursor.error(ImportProblem::NotAnObject)),
    }
    scanner.blanks();
    match scanner.cursor.peek() {
        None => Ok(()),
        Some(_) => Err(scanner.cursor.error(ImportProblem::Json)),
    }
}

/// A value, or what it is instead.
enum Scalar {
    Value(SecretBytes),
    Null,
    Object,
    Array,
}

struct Scanner<'a> {
    cursor: Cursor<'a>,
}

impl Scanner<'_> {
    /// Whether the object here is what [`crate::render`] writes: `generated_by` and an object `variables`.
    fn is_written_by_render(&self) -> Result<bool, ImportError> {
        let mut ahead = Scanner { cursor: Cursor { ..self.cursor } };
        let (mut has_stamp, mut has_variables, mut has_other) = (false, false, false);
        ahead.object(|scanner, _, name| {
            match name.as_str() {
                "generated_by" => has_stamp = true,
                "generated_at" => {}
                "variables" => has_variables = scanner.cursor.peek() == Some(b'{'),
                _ => has_other = true,
            }
            scanner.skip(0)
        })?;
        Ok(has_stamp && has_variables && !has_other)
    }

    /// `"NAME": value`, where the value may be an object of doppler's.
    fn variable(
        &mut self,
        found: &mut Found,
        line: usize,
        name: String,
    ) -> Result<(), ImportError> {
        match self.scalar()? {
            Scalar::Value(value) => found.value(line, None, name, value),
            Scalar::Null => found.note(line, format!("{name} is null, not taken")),
            Scalar::Array => {
                found.note(line, format!("{name} is a list, not taken"));
                self.skip(0)?;
            }
            Scalar::Object => match self.member(&["computed"])? {
                Some(value) => found.value(line, None, name, value),
                None => {
                    found.note(line, format!("{name} is an object, not taken; flatten it first"));
                }
            },
        }
        Ok(())
    }

    /// An element of infisical's list: `{"key": "NAME", "value": "…"}`.
    fn named_value(&mut self, found: &mut Found) -> Result<(), ImportError> {
        let line = self.cursor.line;
        if self.cursor.peek() != Some(b'{') {
            return Err(self.cursor.error(ImportProblem::NotAnObject));
        }
        let (mut name, mut value) = (None, None);
        self.object(|scanner, _, member| {
            match member.as_str() {
                "key" | "name" if scanner.cursor.peek() == Some(b'"') => {
                    name = Some(scanner.text()?);
                }
                "value" => match scanner.scalar()? {
                    Scalar::Value(secret) => value = Some(secret),
                    Scalar::Null => {}
                    Scalar::Object | Scalar::Array => scanner.skip(0)?,
                },
                _ => scanner.skip(0)?,
            }
            Ok(())
        })?;
        match (name, value) {
            (Some(name), Some(value)) => found.value(line, None, name, value),
            (Some(name), None) => found.note(line, format!("{name} has no value, not taken")),
            (None, _) => found.note(line, "an element has no `key`, not taken"),
        }
        Ok(())
    }

    /// The first of these members of the object here that is a string, number or boolean.
    fn member(&mut self, names: &[&str]) -> Result<Option<SecretBytes>, ImportError> {
        let mut result = None;
        self.object(|scanner, _, name| {
            if result.is_none() && names.contains(&name.as_str()) {
                match scanner.scalar()? {
                    Scalar::Value(value) => result = Some(value),
                    Scalar::Null => {}
                    Scalar::Object | Scalar::Array => scanner.skip(0)?,
                }
                return Ok(());
            }
            scanner.skip(0)
        })?;
        Ok(result)
    }

    /// Calls `member` with the line and name of each member; it takes the value.
    fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, usize, String) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        self.expect(b'{')?;
        self.blanks();
        if self.cursor.take(b'}') {
            return Ok(());
        }
        loop {
            self.blanks();
            let line = self.cursor.line;
            let name = self.text()?;
            self.blanks();
            self.expect(b':')?;
            self.blanks();
            member(self, line, name)?;
            self.blanks();
            if self.cursor.take(b'}') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// Calls `element` for each element; it takes it.
    fn array(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        self.expect(b'[')?;
        self.blanks();
        if self.cursor.take(b']') {
            return Ok(());
        }
        loop {
            self.blanks();
            element(self)?;
            self.blanks();
            if self.cursor.take(b']') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// Takes a string, number, boolean or null; an object or list stays.
    fn scalar(&mut self) -> Result<Scalar, ImportError> {
        match self.cursor.peek() {
            Some(b'{') => Ok(Scalar::Object),
            Some(b'[') => Ok(Scalar::Array),
            Some(b'"') => {
                let mut out = Writer::new();
                self.string(&mut |part| {
                    match part {
                        Part::Text(text) => out.push(text)?,
                        Part::Char(c) => push_char(&mut out, c)?,
                    }
                    Ok(())
                })?;
                Ok(Scalar::Value(out.finish()?))
            }
            _ => match self.word()? {
                b"null" => Ok(Scalar::Null),
                text => Ok(Scalar::Value(secret(text)?)),
            },
        }
    }

    /// Takes any value.
    fn skip(&mut self, depth: usize) -> Result<(), ImportError> {
        if depth == DEPTH_LIMIT {
            return Err(self.cursor.error(ImportProblem::TooDeep));
        }
        match self.cursor.peek() {
            Some(b'{') => self.object(|scanner, _, _| scanner.skip(depth + 1)),
            Some(b'[') => self.array(|scanner| scanner.skip(depth + 1)),
            Some(b'"') => self.string(&mut |_| Ok(())),
            _ => self.word().map(|_| ()),
        }
    }

    /// A name. Names are not secret.
    fn text(&mut self) -> Result<String, ImportError> {
        let mut name = Vec::new();
        self.string(&mut |part| {
            match part {
                Part::Text(text) => name.extend_from_slice(text),
                Part::Char(c) => name.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
            Ok(())
        })?;
        String::from_utf8(name).map_err(|_| self.cursor.error(ImportProblem::NotUtf8))
    }

    /// A number as it is written, `true`, `false` or `null`.
    fn word(&mut self) -> Result<&[u8], ImportError> {
        let line = self.cursor.line;
        let word =
            self.cursor.skip_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if matches!(word, b"true" | b"false" | b"null") || is_number(word) {
            return Ok(word);
        }
        Err(ImportError::Syntax { line, problem: ImportProblem::Json })
    }

    /// Hands the decoded parts of a string to `part`.
    fn string(
        &mut self,
        part: &mut dyn FnMut(Part<'_>) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        self.expect(b'"')?;
        loop {
            let text = self.cursor.skip_while(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
            if std::str::from_utf8(text).is_err() {
                return Err(self.cursor.error(ImportProblem::NotUtf8));
            }
            part(Part::Text(text))?;
            if self.cursor.take(b'"') {
                return Ok(());
            }
            self.expect(b'\\')?;
            let c = self.escape()?;
            part(Part::Char(c))?;
        }
    }

    /// What stands after a backslash.
    fn escape(&mut self) -> Result<char, ImportError> {
        let c = match self.cursor.next() {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'u') => return self.code_point(),
            _ => return Err(self.cursor.error(ImportProblem::Json)),
        };
        Ok(c)
    }

    /// `\uXXXX`, or two of them for one character.
    fn code_point(&mut self) -> Result<char, ImportError> {
        let first = self.four_digits()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            self.expect(b'\\')?;
            self.expect(b'u')?;
            let second = self.four_digits()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.cursor.error(ImportProblem::LoneSurrogate));
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.cursor.error(ImportProblem::LoneSurrogate))
    }

    fn four_digits(&mut self) -> Result<u32, ImportError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.cursor.next().and_then(|byte| char::from(byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.cursor.error(ImportProblem::Json))?;
        }
        Ok(code)
    }

    fn expect(&mut self, byte: u8) -> Result<(), ImportError> {
        if self.cursor.take(byte) { Ok(()) } else { Err(self.cursor.error(ImportProblem::Json)) }
    }

    fn blanks(&mut self) {
        self.cursor.skip_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    }
}

/// A part of a string.
enum Part<'a> {
    Text(&'a [u8]),
    Char(char),
}

/// RFC 8259 §6.
fn is_number(word: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = word.strip_prefix(b"-").unwrap_or(word);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent =
            exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        return digits(exponent) > 0 && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}
