//! `.env` files: the grammar that shells, python-dotenv, npm dotenv and docker compose share, and one answer where they
//! differ.
//!
//! ```text
//! line     = blank* [ "export" blank+ ] name blank* "=" blank* value
//! value    = quoted blank* [ "#" comment ] | bare
//! quoted   = ( "'" literal "'" | '"' escaped '"' | "\" quote )+     as in a shell, over several lines
//!          | "`" literal "`"                                         as in npm dotenv
//! bare     = up to a newline or a "#" after a blank, without blanks at its end
//! escaped  = \\ \" \$ \` \n \r \t, a backslash before a newline joins the lines, any other stays
//! ```

use dsops_secure_mem::Writer;

use super::{Cursor, Found, secret};
use crate::error::{ImportError, ImportProblem};

pub(super) fn read(bytes: &[u8], found: &mut Found) -> Result<(), ImportError> {
    let mut cursor = Cursor::new(bytes);
    while cursor.peek().is_some() {
        cursor.skip_while(|byte| is_blank(byte) || byte == b'\n');
        match cursor.peek() {
            None => break,
            Some(b'#') => skip_line(&mut cursor),
            Some(_) => assignment(&mut cursor, found)?,
        }
    }
    Ok(())
}

fn assignment(cursor: &mut Cursor<'_>, found: &mut Found) -> Result<(), ImportError> {
    let mut name = cursor.skip_while(is_name);
    let blanks = cursor.skip_while(is_blank);
    if name == b"export" && !blanks.is_empty() && cursor.peek().is_some_and(is_name) {
        name = cursor.skip_while(is_name);
        cursor.skip_while(is_blank);
    }
    if name.is_empty() || name[0].is_ascii_digit() {
        return Err(cursor.error(ImportProblem::NotAName));
    }
    let name = String::from_utf8_lossy(name).into_owned();
    if matches!(cursor.peek(), None | Some(b'\n' | b'#')) {
        found.note(cursor.line, format!("{name} has no value, not taken"));
        skip_line(cursor);
        return Ok(());
    }
    if !cursor.take(b'=') {
        return Err(cursor.error(ImportProblem::NoEqualsSign));
    }
    let after_blank = !cursor.skip_while(is_blank).is_empty();
    let mut value = ValueReader { cursor, found, name: &name, line: 0 };
    value.line = value.cursor.line;
    let line = value.line;
    let secret = match value.cursor.peek() {
        Some(b'\'' | b'"') => value.quoted()?,
        Some(b'`') if value.is_in_backticks() => value.in_backticks()?,
        _ => value.bare(after_blank)?,
    };
    found.value(line, None, name, secret);
    Ok(())
}

/// One value.
struct ValueReader<'c, 'b, 'f> {
    cursor: &'c mut Cursor<'b>,
    found: &'f mut Found,
    name: &'f str,
    /// Where the value starts.
    line: usize,
}

impl<'b> ValueReader<'_, 'b, '_> {
    /// Strings that touch each other, as in a shell: `'it'\''s'`.
    fn quoted(&mut self) -> Result<dsops_secure_mem::SecretBytes, ImportError> {
        let mut out = Writer::new();
        loop {
            match self.cursor.peek() {
                Some(b'\'') => self.single(&mut out)?,
                Some(b'"') => self.double(&mut out)?,
                Some(b'\\') if matches!(self.cursor.rest().get(1), Some(b'\'' | b'"' | b'\\')) => {
                    self.cursor.next();
                    out.push(&self.cursor.rest()[..1])?;
                    self.cursor.next();
                }
                _ => break,
            }
        }
        self.end_of_line()?;
        Ok(out.finish()?)
    }

    fn single(&mut self, out: &mut Writer) -> Result<(), ImportError> {
        self.cursor.next();
        let text = self.literal(b'\'')?;
        // A shell ends the string here; python-dotenv takes the two for a quote and goes on.
        let is_end =
            matches!(self.cursor.peek(), None | Some(b'\n' | b'\r' | b' ' | b'\t' | b'\\'));
        if text.ends_with(b"\\") && !is_end {
            return Err(self.cursor.error(ImportProblem::BackslashBeforeQuote));
        }
        Ok(out.push(text)?)
    }

    fn double(&mut self, out: &mut Writer) -> Result<(), ImportError> {
        self.cursor.next();
        let mut report = Report::default();
        loop {
            let text = self.cursor.skip_while(|byte| !b"\"\\".contains(&byte));
            refuse_nul(self.cursor, text)?;
            report.look_at(text);
            out.push(text)?;
            match self.cursor.next() {
                Some(b'"') => break,
                Some(_) => self.escape(out)?,
                None => return Err(self.unterminated()),
            }
        }
        self.tell(report);
        Ok(())
    }

    /// What stands after a backslash in double quotes.
    fn escape(&mut self, out: &mut Writer) -> Result<(), ImportError> {
        let plain: &[u8] = match self.cursor.peek() {
            None => return Err(self.unterminated()),
            Some(b'n') => b"\n",
            Some(b'r') => b"\r",
            Some(b't') => b"\t",
            Some(b'\n') => b"",
            Some(b'\\') => b"\\",
            Some(b'"') => b"\"",
            Some(b'$') => b"$",
            Some(b'`') => b"`",
            // The backslash stays, and what follows is read as any other text.
            Some(_) => return Ok(out.push(b"\\")?),
        };
        out.push(plain)?;
        self.cursor.next();
        Ok(())
    }

    /// Whether the backtick here has its partner before anything else that could be meant.
    fn is_in_backticks(&self) -> bool {
        self.cursor.rest()[1..].contains(&b'`')
    }

    fn in_backticks(&mut self) -> Result<dsops_secure_mem::SecretBytes, ImportError> {
        self.cursor.next();
        let text = self.literal(b'`')?;
        self.note("is in backticks and taken literally, as npm dotenv does; a shell would run it");
        self.end_of_line()?;
        secret(text)
    }

    fn bare(&mut self, after_blank: bool) -> Result<dsops_secure_mem::SecretBytes, ImportError> {
        let text = self.cursor.skip_while(|byte| byte != b'\n');
        refuse_nul(self.cursor, text)?;
        let is_comment = |(index, byte): (usize, &u8)| {
            *byte == b'#'
                && (index.checked_sub(1).map_or(after_blank, |before| is_blank(text[before])))
        };
        let end = text.iter().enumerate().position(is_comment).unwrap_or(text.len());
        let text = text[..end].trim_ascii_end();
        if text.contains(&b'#') {
            self.note(
                "has a `#` that is taken as part of the value; some readers end the value there",
            );
        }
        if text.contains(&b'\\') {
            self.note("has a backslash outside quotes that is kept; a shell would drop it");
        }
        let mut report = Report::default();
        report.look_at(text);
        self.tell(report);
        secret(text)
    }

    /// Everything up to the quote, which is taken.
    fn literal(&mut self, quote: u8) -> Result<&'b [u8], ImportError> {
        let text = self.cursor.skip_while(|byte| byte != quote);
        refuse_nul(self.cursor, text)?;
        if self.cursor.next().is_none() {
            return Err(self.unterminated());
        }
        Ok(text)
    }

    /// After a quoted value only a comment may follow.
    fn end_of_line(&mut self) -> Result<(), ImportError> {
        let blanks = self.cursor.skip_while(is_blank);
        match self.cursor.peek() {
            None | Some(b'\n') => Ok(()),
            Some(b'#') if !blanks.is_empty() => {
                skip_line(self.cursor);
                Ok(())
            }
            Some(_) => Err(self.cursor.error(ImportProblem::AfterQuote)),
        }
    }

    fn unterminated(&self) -> ImportError {
        ImportError::Syntax { line: self.line, problem: ImportProblem::Unterminated }
    }

    fn note(&mut self, text: &str) {
        self.found.note(self.line, format!("{} {text}", self.name));
    }

    fn tell(&mut self, report: Report) {
        if report.interpolation {
            self.note("has a `$` before a name, taken as it stands; many readers replace it");
        }
        if report.command {
            self.note("has `$(…)` or a backtick, taken as it stands; a shell would run it");
        }
    }
}

/// What a reader might do with a text and we don't.
#[derive(Clone, Copy, Default)]
struct Report {
    interpolation: bool,
    command: bool,
}

impl Report {
    fn look_at(&mut self, text: &[u8]) {
        self.command |= text.contains(&b'`');
        for pair in text.windows(2).filter(|pair| pair[0] == b'$') {
            self.command |= pair[1] == b'(';
            self.interpolation |=
                pair[1] == b'{' || pair[1] == b'_' || pair[1].is_ascii_alphabetic();
        }
    }
}

fn skip_line(cursor: &mut Cursor<'_>) {
    cursor.skip_while(|byte| byte != b'\n');
}

/// No reader carries a NUL.
fn refuse_nul(cursor: &Cursor<'_>, text: &[u8]) -> Result<(), ImportError> {
    if text.contains(&0) { Err(cursor.error(ImportProblem::Nul)) } else { Ok(()) }
}

/// Blanks within a line; the `\r` of `\r\n` is one.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)
}
