//! INI as sops reads it (the rules of go-ini): sections, `key = value`, four ways to quote.

use std::{collections::HashMap, ops::Range};

use dsops_resolver::yaml::{
    Limits, Node, Position, Span, Style, SyntaxError, SyntaxErrorKind, Text, Value,
};

use super::flat::{self, Line};
use crate::sops::path::SOPS_SECTION;

/// The section of the keys that come before any header.
pub(super) const DEFAULT: &str = "DEFAULT";

/// A document in its parts.
pub(super) struct Ini {
    pub sections: Vec<Section>,
    /// Where comments stand: lines of their own, and ends of lines.
    pub comments: Vec<Comment>,
}

pub(super) struct Section {
    pub name: String,
    /// The line of the header; empty for the keys that come before any.
    pub header: Range<usize>,
    pub entries: Vec<Entry>,
}

pub(super) struct Entry {
    pub name: String,
    pub value: Text,
    /// The name as it is written.
    pub name_range: Range<usize>,
    /// The value as it is written, with its quotes.
    pub range: Range<usize>,
}

pub(super) struct Comment {
    pub range: Range<usize>,
    own_line: bool,
}

/// Parses a document; the section `sops` is that of sops.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let ini = Ini::parse(text)?;
    let mut places = Places { text, known: Position::START };
    let mut groups: Vec<(Node, Node)> = Vec::new();
    let mut names: HashMap<&str, Position> = HashMap::new();
    for section in &ini.sections {
        if section.header.is_empty() && section.entries.is_empty() {
            continue;
        }
        let header = places.span(&section.header);
        if let Some(first) = names.insert(&section.name, header.start) {
            let kind = SyntaxErrorKind::DuplicateKey { key: section.name.clone(), first };
            return Err(SyntaxError { kind, span: header });
        }
        let mut seen: HashMap<&str, Position> = HashMap::new();
        let mut entries = Vec::with_capacity(section.entries.len());
        let mut lines = Vec::new();
        for entry in &section.entries {
            let name_span = places.span(&entry.name_range);
            if let Some(first) = seen.insert(&entry.name, name_span.start) {
                let kind = SyntaxErrorKind::DuplicateKey { key: entry.name.clone(), first };
                return Err(SyntaxError { kind, span: name_span });
            }
            let span = places.span(&entry.range);
            if section.name == SOPS_SECTION {
                let (name, value) = (entry.name.clone(), entry.value.to_string());
                lines.push(Line { name, value, span });
            } else {
                entries.push((
                    scalar(entry.name.as_str().into(), name_span),
                    scalar(entry.value.clone(), span),
                ));
            }
        }
        let end = places.known;
        let group = if section.name == SOPS_SECTION {
            flat::unflatten(lines, header)?
        } else {
            Node::new(Value::Mapping(entries), Span { start: header.start, end })
        };
        groups.push((scalar(section.name.as_str().into(), header), group));
    }
    let end = Position { offset: text.len(), ..places.known };
    Ok(Node::new(Value::Mapping(groups), Span { start: Position::START, end }))
}

impl Ini {
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let limits = Limits::default();
        if text.len() > limits.text_bytes {
            let kind = SyntaxErrorKind::TooLarge { bytes: text.len(), limit: limits.text_bytes };
            return Err(fail(text, 0, kind));
        }
        let first = Section { name: DEFAULT.to_owned(), header: 0..0, entries: Vec::new() };
        let mut ini = Self { sections: vec![first], comments: Vec::new() };
        let mut at = text.len() - text.trim_start_matches('\u{feff}').len();
        let mut count = 0;
        while at < text.len() {
            let end = line_break(text, at);
            let start = end - text[at..end].trim_start().len();
            if start == end {
                at = end;
                continue;
            }
            let line = &text[start..end];
            count += 1;
            if count > limits.nodes {
                let kind = SyntaxErrorKind::TooManyNodes { limit: limits.nodes };
                return Err(fail(text, start, kind));
            }
            at = match line.as_bytes()[0] {
                b'#' | b';' => {
                    let line_end = start + line.trim_end().len();
                    match ini.comments.last_mut() {
                        // Lines of comments up to the next key are one comment.
                        Some(last)
                            if last.own_line && text[last.range.end..start].trim().is_empty() =>
                        {
                            last.range.end = line_end;
                        }
                        _ => {
                            ini.comments.push(Comment { range: start..line_end, own_line: true });
                        }
                    }
                    end
                }
                b'[' => {
                    ini.header(text, start, end)?;
                    end
                }
                _ => ini.entry(text, start, end)?,
            };
        }
        Ok(ini)
    }

    fn header(&mut self, text: &str, start: usize, end: usize) -> Result<(), SyntaxError> {
        let line = &text[start..end];
        let close = line
            .rfind(']')
            .ok_or_else(|| other(text, start, "the header of a section is not closed"))?;
        let name = &line[1..close];
        if name.is_empty() {
            return Err(other(text, start, "a section has no name"));
        }
        if let Some(comment) = line[close..].find(['#', ';']) {
            let range = start + close + comment..start + line.trim_end().len();
            self.comments.push(Comment { range, own_line: false });
        }
        let header = start..start + line.trim_end().len();
        self.sections.push(Section { name: name.to_owned(), header, entries: Vec::new() });
        Ok(())
    }

    /// Reads a key with its value, which may go on over the next lines; returns where they end.
    fn entry(&mut self, text: &str, start: usize, end: usize) -> Result<usize, SyntaxError> {
        let line = &text[start..end];
        let (name, written, offset) =
            read_name(line).map_err(|reason| other(text, start, reason))?;
        if name.is_empty() || name == "-" {
            return Err(other(text, start, "a key has no name of its own"));
        }
        let read = read_value(text, start + offset, end)
            .ok_or_else(|| other(text, start, "the quotes of a value are not closed"))?;
        if let Some(range) = read.comment {
            self.comments.push(Comment { range, own_line: false });
        }
        let section = self.sections.last_mut().expect("there is always the first section");
        section.entries.push(Entry {
            name: name.to_owned(),
            value: read.value,
            name_range: start..start + written,
            range: read.range,
        });
        Ok(read.end)
    }
}

/// The name of a key, how many bytes it takes as written, and where its value starts.
pub(super) fn read_name(line: &str) -> Result<(&str, usize, usize), &'static str> {
    const NO_VALUE: &str = "a line is neither `key = value`, nor a section, nor a comment";
    let quote = if line.len() > 6 && line.starts_with("\"\"\"") {
        "\"\"\""
    } else if line.starts_with('"') {
        "\""
    } else if line.starts_with('`') {
        "`"
    } else {
        let end = line.find(['=', ':']).ok_or(NO_VALUE)?;
        let name = line[..end].trim();
        return Ok((name, line[..end].trim_end().len(), end + 1));
    };
    let body = &line[quote.len()..];
    let close = body.find(quote).ok_or("the quote of a key is not closed")?;
    let written = close + 2 * quote.len();
    let delimiter = line[written..].find(['=', ':']).ok_or(NO_VALUE)?;
    Ok((body[..close].trim(), written, written + delimiter + 1))
}

pub(super) struct Read {
    pub value: Text,
    /// The value as it is written, with its quotes.
    range: Range<usize>,
    comment: Option<Range<usize>>,
    /// Where the next line starts.
    end: usize,
}

/// Reads a value that starts in `text[at..end]`, where `end` is after the line break. `None` for
/// quotes that are not closed.
pub(super) fn read_value(text: &str, at: usize, end: usize) -> Option<Read> {
    let line = text[at..end].trim_start();
    let start = end - line.len();
    if line.is_empty() {
        // Before the line break that ends the line.
        let blank = text[at..end].find(['\r', '\n']).unwrap_or(end - at);
        let place = at + blank;
        return Some(Read { value: Text::default(), range: place..place, comment: None, end });
    }
    let quote = if line.len() > 3 && line.starts_with("\"\"\"") {
        "\"\"\""
    } else if line.starts_with('`') {
        "`"
    } else {
        return Some(read_unquoted(text, start, end));
    };
    let body = start + quote.len();
    if let Some(close) = text[body..end].rfind(quote) {
        let value = text[body..body + close].into();
        let after = body + close + quote.len();
        return Some(Read { value, range: start..after, comment: None, end });
    }
    let mut next = end;
    while next < text.len() {
        let line_end = line_break(text, next);
        if let Some(close) = text[next..line_end].rfind(quote) {
            let close = next + close;
            let after = close + quote.len();
            let comment = text[after..line_end].find(['#', ';']).map(|found| {
                let from = after + found;
                from..from + text[from..line_end].trim_end().len()
            });
            let value = text[body..close].into();
            return Some(Read { value, range: start..after, comment, end: line_end });
        }
        next = line_end;
    }
    None
}

fn read_unquoted(text: &str, start: usize, end: usize) -> Read {
    let line = text[start..end].trim_end();
    if let Some(first) = line.strip_suffix('\\') {
        return read_continued(text, start, end, first);
    }
    let cut = line.find(['#', ';']);
    let comment = cut.map(|cut| start + cut..start + line.len());
    let value = line[..cut.unwrap_or(line.len())].trim_end();
    let range = start..start + value.len();
    let inner = ['"', '\''].into_iter().find_map(|quote| {
        let inner = value.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains(quote)).then_some(inner)
    });
    Read { value: inner.unwrap_or(value).into(), range, comment, end }
}

/// A `\` at the end of a line joins the next one to it.
fn read_continued(text: &str, start: usize, end: usize, first: &str) -> Read {
    let mut pieces = vec![first];
    let mut next = end;
    let mut range_end = start + first.len() + 1;
    while next < text.len() {
        let line_end = line_break(text, next);
        let piece = text[next..line_end].trim();
        let lead = text[next..line_end].len() - text[next..line_end].trim_start().len();
        let from = next + lead;
        next = line_end;
        if piece.is_empty() {
            break;
        }
        range_end = from + piece.len();
        if let Some(more) = piece.strip_suffix('\\') {
            pieces.push(more);
        } else {
            pieces.push(piece);
            break;
        }
    }
    // Made at its full size, so that no copy of a secret is left behind by growing.
    let value = pieces.concat();
    Read { value: value.into(), range: start..range_end, comment: None, end: next }
}

/// Where the line of `at` ends, after its break.
fn line_break(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |found| at + found + 1)
}

/// Counts lines once, as places are mostly asked for in order.
struct Places<'a> {
    text: &'a str,
    known: Position,
}

impl Places<'_> {
    fn span(&mut self, range: &Range<usize>) -> Span {
        if range.start < self.known.offset {
            self.known = Position::START;
        }
        let start = self.known.advance(self.text, range.start);
        self.known = start.advance(self.text, range.end);
        Span { start, end: self.known }
    }
}

fn scalar(text: Text, span: Span) -> Node {
    Node::new(Value::Scalar { text, style: Style::DoubleQuoted, tag: None }, span)
}

fn other(text: &str, at: usize, message: &str) -> SyntaxError {
    fail(text, at, SyntaxErrorKind::Other { message: message.to_owned() })
}

fn fail(text: &str, at: usize, kind: SyntaxErrorKind) -> SyntaxError {
    let place = Position::START.advance(text, at);
    SyntaxError { kind, span: Span { start: place, end: place } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        let text = format!("k ={text}\nnext = 1\n");
        let root = parse(&text).unwrap();
        root.get(DEFAULT).unwrap().get("k").unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn values_as_go_ini_reads_them() {
        for (text, want) in [
            (" plain value ", "plain value"),
            ("", ""),
            ("a ; comment", "a"),
            ("a#comment", "a"),
            (" \"quoted\"", "quoted"),
            (" 'quoted'", "quoted"),
            (" \"two\" and \"three\"", "\"two\" and \"three\""),
            (" `a;b#c`", "a;b#c"),
            (" `a\nb`", "a\nb"),
            (" \"\"\"a\nb\n\"\"\" ; c", "a\nb\n"),
            (" \"\"\"x`y\"\"\"", "x`y"),
            (" a\\\n  b\\\n  c", "abc"),
            (" a = b: c", "a = b: c"),
        ] {
            assert_eq!(value(text), want, "{text}");
        }
    }

    #[test]
    fn sections_keys_and_places() {
        let text =
            "top=1\n; c\n[one] # h\n\"a=b\" = x\n  `c:d`: y ; i\n[two words]\n[sops]\nmac = m\n";
        let root = parse(text).unwrap();
        let names: Vec<_> =
            root.as_mapping().unwrap().iter().map(|(n, _)| n.as_str().unwrap()).collect();
        assert_eq!(names, [DEFAULT, "one", "two words", "sops"]);
        let one = root.get("one").unwrap();
        assert_eq!(one.get("a=b").unwrap().as_str(), Some("x"));
        let y = one.get("c:d").unwrap();
        assert_eq!((y.span.start.line, y.span.start.column), (5, 10));
        assert_eq!(&text[y.span.range()], "y");
        assert_eq!(root.get("sops").unwrap().get("mac").unwrap().as_str(), Some("m"));
        let comments = Ini::parse(text).unwrap().comments;
        let comments: Vec<&str> = comments.into_iter().map(|c| &text[c.range]).collect();
        assert_eq!(comments, ["; c", "# h", "; i"]);
    }

    #[test]
    fn what_is_no_ini_is_refused() {
        for text in [
            "no value\n",
            "[open\n",
            "[]\n",
            "= x\n",
            "- = x\n",
            "\"a = x\n",
            "a = `open\n",
            "a = 1\na = 2\n",
            "[s]\n[s]\n",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
