//! TOML 1.1 as a flat list of paths and values; strings are decoded straight into protected memory.
//!
//! The grammar is `toml_parser`'s. It reports places, so that nothing is copied before somebody asks for a value.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use dsops_secure_mem::{Error, SecretBytes, Writer};
use toml_parser::{
    ErrorSink, ParseError, Raw, Source, Span,
    decoder::{Encoding, ScalarKind, StringBuilder},
    parser::{EventReceiver, RecursionGuard, parse_document},
};

use super::push_char;
use crate::error::{ImportError, ImportProblem};

/// How deep inline tables and lists may nest.
const DEPTH_LIMIT: u32 = 32;

/// No path has more keys.
const KEYS_LIMIT: usize = 64;

/// No file is longer: each of its bytes may become a token of the parser.
const LIMIT_BYTES: usize = 1024 * 1024;

/// All paths together are not longer: many short keys under one long one would make much of little.
const PATHS_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// One key with its value.
pub(super) struct Entry<'a> {
    /// The keys that lead to it; the elements of a list are counted.
    pub path: Vec<String>,
    /// Where the value starts, from 1.
    pub line: usize,
    raw: Raw<'a>,
}

impl Entry<'_> {
    /// The path as `&str`, to match on.
    pub fn keys(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// The value as a secret: a string decoded, anything else as it is written.
    pub fn secret(&self) -> Result<SecretBytes, ImportError> {
        let mut protected = Protected { out: Writer::new(), error: None };
        let is_text = self.raw.decode_scalar(&mut protected, &mut ()) == ScalarKind::String;
        if let Some(error) = protected.error {
            return Err(error.into());
        }
        if !is_text {
            return Ok(SecretBytes::copy_from(self.raw.as_bytes())?);
        }
        Ok(protected.out.finish()?)
    }

    /// The value as public text: a name, a description.
    pub fn text(&self) -> String {
        let mut text = Cow::Borrowed("");
        match self.raw.decode_scalar(&mut text, &mut ()) {
            ScalarKind::String => text.into_owned(),
            _ => self.raw.as_str().to_owned(),
        }
    }

    /// The value if it is a boolean.
    pub fn boolean(&self) -> Option<bool> {
        match self.raw.decode_scalar(&mut (), &mut ()) {
            ScalarKind::Boolean(value) => Some(value),
            _ => None,
        }
    }
}

/// Reads a document, in its order.
pub(super) fn entries(bytes: &[u8]) -> Result<Vec<Entry<'_>>, ImportError> {
    if bytes.len() > LIMIT_BYTES {
        return Err(ImportError::TooLarge { limit_bytes: LIMIT_BYTES });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| ImportError::Syntax {
        line: 1 + newlines(&bytes[..error.valid_up_to()]),
        problem: ImportProblem::NotUtf8,
    })?;
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut reader = Reader::new(source);
    let mut first: Option<ParseError> = None;
    parse_document(&tokens, &mut RecursionGuard::new(&mut reader, DEPTH_LIMIT), &mut first);
    let fail = |at: usize, problem| Err(ImportError::Syntax { line: line_at(text, at), problem });
    if let Some(error) = first.or(reader.error) {
        let at = error.unexpected().or(error.context()).map_or(0, |span| span.start());
        return fail(at, ImportProblem::Toml);
    }
    if let Some(at) = reader.overflow {
        return fail(at, ImportProblem::TooDeep);
    }
    if let Some(at) = reader.duplicate {
        return fail(at, ImportProblem::DuplicateKey);
    }
    let mut line = 1;
    let mut counted = 0;
    let mut entries = Vec::with_capacity(reader.found.len());
    for (path, raw, start) in reader.found {
        line += newlines(&text.as_bytes()[counted..start]);
        counted = start;
        entries.push(Entry { path, line, raw });
    }
    Ok(entries)
}

/// The line of a place, from 1.
fn line_at(text: &str, at: usize) -> usize {
    1 + newlines(&text.as_bytes()[..at.min(text.len())])
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

/// Follows the events of the parser.
struct Reader<'a> {
    source: Source<'a>,
    /// The path of what is being read.
    path: Vec<String>,
    /// What is open: the length of the path in it, and for a list the number of elements so far.
    open: Vec<(usize, Option<usize>)>,
    /// How many elements each array of tables has.
    tables: BTreeMap<Vec<String>, usize>,
    /// The paths that have a value.
    seen: BTreeSet<Vec<String>>,
    found: Vec<(Vec<String>, Raw<'a>, usize)>,
    error: Option<ParseError>,
    duplicate: Option<usize>,
    /// Length of the paths so far.
    paths_bytes: usize,
    /// Where a limit was passed.
    overflow: Option<usize>,
}

impl<'a> Reader<'a> {
    fn new(source: Source<'a>) -> Self {
        Self {
            source,
            path: Vec::new(),
            open: vec![(0, None)],
            tables: BTreeMap::new(),
            seen: BTreeSet::new(),
            found: Vec::new(),
            error: None,
            duplicate: None,
            paths_bytes: 0,
            overflow: None,
        }
    }

    /// A value starts: in a list it gets its number.
    fn start_value(&mut self) {
        if let Some((_, Some(count))) = self.open.last_mut() {
            self.path.push(count.to_string());
            *count += 1;
        }
    }

    /// A value is complete: back to the path of what it stands in.
    fn end_value(&mut self) {
        let length = self.open.last().map_or(0, |(length, _)| *length);
        self.path.truncate(length);
    }

    fn close(&mut self) {
        self.open.pop();
        self.end_value();
    }
}

impl EventReceiver for Reader<'_> {
    fn std_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.path.clear();
    }

    fn std_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.open = vec![(self.path.len(), None)];
    }

    fn array_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.path.clear();
    }

    fn array_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        let count = self.tables.entry(self.path.clone()).or_default();
        self.path.push(count.to_string());
        *count += 1;
        self.open = vec![(self.path.len(), None)];
    }

    fn inline_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.start_value();
        self.open.push((self.path.len(), None));
        true
    }

    fn inline_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.close();
    }

    fn array_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.start_value();
        self.open.push((self.path.len(), Some(0)));
        true
    }

    fn array_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.close();
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        if self.path.len() == KEYS_LIMIT {
            self.overflow.get_or_insert(span.start());
            return;
        }
        let mut key = String::new();
        if let Some(raw) = self.source.get(span) {
            let raw = Raw::new_unchecked(raw.as_str(), encoding, span);
            raw.decode_key(&mut key, error);
        }
        self.path.push(key);
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, _: &mut dyn ErrorSink) {
        self.start_value();
        let key_bytes = |key: &String| key.len() + size_of::<String>();
        self.paths_bytes += self.path.iter().map(key_bytes).sum::<usize>();
        if self.paths_bytes > PATHS_LIMIT_BYTES {
            self.overflow.get_or_insert(span.start());
        } else if let Some(raw) = self.source.get(span) {
            let raw = Raw::new_unchecked(raw.as_str(), encoding, span);
            // Checked here once, so that later decoding cannot fail.
            let _ = raw.decode_scalar(&mut (), &mut self.error);
            if !self.seen.insert(self.path.clone()) {
                self.duplicate.get_or_insert(span.start());
            }
            self.found.push((self.path.clone(), raw, span.start()));
        }
        self.end_value();
    }
}

/// Collects a decoded string in protected memory.
struct Protected {
    out: Writer,
    error: Option<Error>,
}

impl Protected {
    fn note(&mut self, result: Result<(), Error>) -> bool {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
        true
    }
}

impl<'a> StringBuilder<'a> for Protected {
    fn clear(&mut self) {
        self.out = Writer::new();
    }

    fn push_str(&mut self, text: &'a str) -> bool {
        let result = self.out.push(text.as_bytes());
        self.note(result)
    }

    fn push_char(&mut self, c: char) -> bool {
        let result = push_char(&mut self.out, c);
        self.note(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, usize)> {
        let describe = |entry: &Entry<'_>| {
            let value = String::from_utf8(entry.secret().unwrap().expose().to_vec()).unwrap();
            assert_eq!(value, entry.text());
            (entry.path.join("/"), value, entry.line)
        };
        entries(text.as_bytes()).unwrap().iter().map(describe).collect()
    }

    fn problem(text: &str) -> (usize, ImportProblem) {
        match entries(text.as_bytes()) {
            Err(ImportError::Syntax { line, problem }) => (line, problem),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("no error"),
        }
    }

    #[test]
    fn every_way_of_nesting_becomes_a_path() {
        let text = "a = 1\nb.c = 'x'\n[t]\nd = { e = \"y\\n\", f = [1, { g = true }, [2, 3]] }\nh = '''z\n'''\n\
                    [t.\"u v\"]\ni = 1979-05-27\n[[l]]\nj = 1\n[[l]]\nj = 2\n";
        let want = [
            ("a", "1", 1),
            ("b/c", "x", 2),
            ("t/d/e", "y\n", 4),
            ("t/d/f/0", "1", 4),
            ("t/d/f/1/g", "true", 4),
            ("t/d/f/2/0", "2", 4),
            ("t/d/f/2/1", "3", 4),
            ("t/h", "z\n", 5),
            ("t/u v/i", "1979-05-27", 8),
            ("l/0/j", "1", 10),
            ("l/1/j", "2", 12),
        ];
        let want = want.map(|(path, value, line)| (path.to_owned(), value.to_owned(), line));
        assert_eq!(read(text), want);
    }

    #[test]
    fn errors_have_their_line() {
        for text in ["a = \n", "a = 'x\n", "a = tru\n", "a = \"\\q\"\n", "= 1\n", "[a\n", "a = {\n"]
        {
            let (line, problem) = problem(&format!("ok = 1\n{text}"));
            assert_eq!((line.min(2), problem), (2, ImportProblem::Toml), "{text}");
        }
        assert_eq!(problem("a = 1\nb = 2\na = 3\n"), (3, ImportProblem::DuplicateKey));
        let deep = format!("a = {}1{}\n", "[".repeat(100), "]".repeat(100));
        assert_eq!(problem(&deep), (1, ImportProblem::Toml));
        assert_eq!(
            problem(&format!("x = 1\n{}b = 1\n", "a.".repeat(64))),
            (2, ImportProblem::TooDeep)
        );
        let long = "a".repeat(500_000);
        let many = "k = 1\n".repeat(1000);
        assert_eq!(problem(&format!("[{long}]\n{many}")).1, ImportProblem::TooDeep);
        let too_long = "#".repeat(LIMIT_BYTES + 1);
        assert!(matches!(entries(too_long.as_bytes()), Err(ImportError::TooLarge { .. })));
    }
}
