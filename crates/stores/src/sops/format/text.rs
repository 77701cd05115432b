//! Cutting and pasting in a text.

use std::ops::Range;

pub(super) fn splice(text: &str, range: Range<usize>, replacement: &str) -> String {
    [&text[..range.start], replacement, &text[range.end..]].concat()
}

pub(super) fn insert(text: &str, at: usize, addition: &str) -> String {
    splice(text, at..at, addition)
}

/// Replaces several ranges that do not overlap, in any order.
pub(super) fn splice_all(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut result = String::with_capacity(text.len());
    let mut copied = 0;
    for (range, replacement) in edits {
        result.push_str(&text[copied..range.start]);
        result.push_str(&replacement);
        copied = range.end;
    }
    result.push_str(&text[copied..]);
    result
}

/// Inserts a line after the one on which `offset` stands.
pub(super) fn insert_line_after(text: &str, offset: usize, line: &str) -> String {
    let end = line_end(text, offset);
    // Before the line break, so that a last line without one gets none.
    let end = if text[..end].ends_with('\r') { end - 1 } else { end };
    insert(text, end, &format!("{}{line}", newline(text)))
}

pub(super) fn line_start(text: &str, offset: usize) -> usize {
    text[..offset].rfind('\n').map_or(0, |at| at + 1)
}

pub(super) fn line_end(text: &str, offset: usize) -> usize {
    text[offset..].find('\n').map_or(text.len(), |at| offset + at)
}

/// The end of a line with its line break.
pub(super) fn line_end_with_break(text: &str, offset: usize) -> usize {
    (line_end(text, offset) + 1).min(text.len())
}

pub(super) fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}
