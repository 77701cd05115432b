//! A configuration text that can be shown in errors: whatever may be a secret is masked.
//!
//! The text itself is not kept. Every character of a scalar that is not known to be harmless is
//! replaced by `*`, one for one, so that columns stay true.

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::Place;
use crate::yaml::{Node, Span, Value};

/// A longer line is not shown: it would hide the message.
const MAX_LINE_CHARS: usize = 200;

/// The file name and the masked text.
#[derive(Debug)]
pub(crate) struct Source {
    file: Arc<str>,
    masked: String,
    /// Where each line of `masked` starts.
    lines: Vec<usize>,
}

impl Source {
    /// Masks the text of a parsed document. `shown` decides, by the keys on the way to it, whether
    /// a scalar value is harmless; keys always are.
    pub(crate) fn new(
        file: &str,
        text: &str,
        root: &Node,
        shown: fn(&[&str], &str) -> bool,
    ) -> Self {
        let mut scalars = Vec::new();
        collect(root, &mut Vec::new(), shown, &mut scalars);
        Self::masked(file, mask(text, &disjoint(scalars)))
    }

    /// Masks a text that could not be parsed: words stay only where they look like keys.
    pub(crate) fn unparsed(file: &str, text: &str) -> Self {
        Self::masked(file, mask_unparsed(text))
    }

    fn masked(file: &str, masked: String) -> Self {
        let after_break =
            masked.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(n, _)| n + 1);
        let lines = std::iter::once(0).chain(after_break).collect();
        Self { file: file.into(), masked, lines }
    }

    fn line(&self, number: usize) -> &str {
        let Some(&start) = self.lines.get(number.saturating_sub(1)) else { return "" };
        let end = self.lines.get(number).map_or(self.masked.len(), |next| next - 1);
        &self.masked[start..end]
    }

    pub(crate) fn place(&self, span: Span) -> Place {
        let line = self.line(span.start.line);
        let line_chars = line.chars().count();
        let end = if span.end.line == span.start.line { span.end.column } else { line_chars + 1 };
        Place {
            file: Arc::clone(&self.file),
            line: span.start.line,
            column: span.start.column,
            width: end.saturating_sub(span.start.column).max(1),
            line_text: (line_chars <= MAX_LINE_CHARS && !line.trim().is_empty())
                .then(|| line.into()),
        }
    }
}

fn collect<'a>(
    node: &'a Node,
    path: &mut Vec<&'a str>,
    shown: fn(&[&str], &str) -> bool,
    scalars: &mut Vec<(Range<usize>, bool)>,
) {
    // What an alias names is masked where it is defined.
    if node.is_alias() {
        return;
    }
    match &node.value {
        Value::Scalar { text, .. } => scalars.push((node.span.range(), shown(path, text))),
        Value::Mapping(entries) => {
            for (key, value) in entries {
                scalars.push((key.span.range(), true));
                path.push(key.as_str().unwrap_or_default());
                collect(value, path, shown, scalars);
                path.pop();
            }
        }
        Value::Sequence(items) => {
            for item in items {
                path.push("[]");
                collect(item, path, shown, scalars);
                path.pop();
            }
        }
    }
}

/// The scalars in the order of the text, each byte in one at most. The parser's spans overlap in
/// some odd texts; what is in two is shown only if both are harmless.
fn disjoint(mut scalars: Vec<(Range<usize>, bool)>) -> Vec<(Range<usize>, bool)> {
    scalars.sort_by_key(|(range, _)| range.start);
    let mut apart: Vec<(Range<usize>, bool)> = Vec::with_capacity(scalars.len());
    for (range, shown) in scalars {
        match apart.last_mut() {
            Some((last, last_shown)) if range.start < last.end => {
                last.end = last.end.max(range.end);
                *last_shown &= shown;
            }
            _ => apart.push((range, shown)),
        }
    }
    apart
}

fn mask(text: &str, scalars: &[(Range<usize>, bool)]) -> String {
    let mut masked = Masked::with_capacity(text.len());
    let mut at = 0;
    for (range, shown) in scalars {
        masked.comments_hidden(&text[at..range.start]);
        masked.push(&text[range.clone()], |c| if *shown { c } else { star(c) });
        at = range.end;
    }
    masked.comments_hidden(&text[at..]);
    masked.text
}

fn mask_unparsed(text: &str) -> String {
    let mut masked = Masked::with_capacity(text.len());
    let in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word_len = rest.find(|c: char| !in_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_len.max(c.len_utf8()));
        let is_key = after
            .strip_prefix(':')
            .is_some_and(|after| !after.starts_with(|c: char| !c.is_whitespace()));
        // Punctuation tells what is wrong; anything beyond ASCII might be part of a secret.
        let is_mark = word.bytes().all(|b| matches!(b, b'-' | b'.'));
        let shown = is_key || is_mark || (word_len == 0 && c.is_ascii());
        masked.push(word, |c| if shown { c } else { star(c) });
        rest = after;
    }
    masked.text
}

fn star(c: char) -> char {
    if c.is_whitespace() { c } else { '*' }
}

/// Masked text on its way: one line break and one character for each of the original.
struct Masked {
    text: String,
    after_return: bool,
}

impl Masked {
    fn with_capacity(capacity: usize) -> Self {
        Self { text: String::with_capacity(capacity), after_return: false }
    }

    fn push(&mut self, text: &str, mut show: impl FnMut(char) -> char) {
        for c in text.chars() {
            let second_half = c == '\n' && self.after_return;
            self.after_return = c == '\r';
            match c {
                '\n' if second_half => {}
                '\n' | '\r' => self.text.push('\n'),
                // The mark of the byte order has no column.
                '\u{feff}' if self.text.is_empty() => {}
                _ if c.is_control() && c != '\t' => self.text.push('\u{fffd}'),
                _ => self.text.push(show(c)),
            }
        }
    }

    /// Between scalars a `#` starts a comment, and a comment may say anything.
    fn comments_hidden(&mut self, text: &str) {
        for line in text.split_inclusive(['\n', '\r']) {
            let mut comment = false;
            self.push(line, |c| {
                let hidden = comment;
                comment |= c == '#';
                if hidden { star(c) } else { c }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn shown(path: &[&str], _: &str) -> bool {
        path == ["from"]
    }

    #[test]
    fn only_harmless_values_are_kept() {
        let text = "\u{feff}# old: hunter1\r\nliteral: hünter2 # was hunter3\nfrom: store://a/b\rlist:\n  - |\n    one\n    two\n{}";
        let text = &text[..text.len() - 2];
        let source = Source::new("f", text, &yaml::parse(text).unwrap(), shown);
        assert_eq!(
            source.masked,
            "# **** *******\nliteral: ******* # *** *******\nfrom: store://a/b\nlist:\n  - *\n    ***\n    ***\n"
        );
    }

    #[test]
    fn where_scalars_overlap_the_stricter_one_counts() {
        assert_eq!(
            disjoint(vec![(6..9, true), (0..4, true), (2..5, false)]),
            [(0..5, false), (6..9, true)]
        );
        // Found by the fuzz target: the parser says the empty key starts before the one it is in.
        let text = "?\t\n:];::\n";
        if let Ok(root) = yaml::parse(text) {
            Source::new("f", text, &root, shown);
        }
    }

    #[test]
    fn a_broken_text_keeps_keys_and_punctuation() {
        let text = "a: {literal: \"hunter2, trasnform: [é\nhunter3\nx:y: z\u{1}";
        assert_eq!(
            Source::unparsed("f", text).masked,
            "a: {literal: \"*******, trasnform: [*\n*******\n*:y: *\u{fffd}"
        );
    }

    #[test]
    fn a_place_has_its_line() {
        let text = "é: 1\r\nfrom: [a,\n b]\n";
        let root = yaml::parse(text).unwrap();
        let source = Source::new("f", text, &root, shown);
        let place = source.place(root.get("from").unwrap().span);
        assert_eq!((place.line, place.column, place.width), (2, 7, 3));
        assert_eq!(place.line_text.as_deref(), Some("from: [*,"));
    }

    #[test]
    fn a_long_line_is_not_shown() {
        let text = format!("a: {}", "x".repeat(300));
        let root = yaml::parse(&text).unwrap();
        assert_eq!(Source::new("f", &text, &root, shown).place(root.span).line_text, None);
    }
}
