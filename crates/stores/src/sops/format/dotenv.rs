//! Dotenv as sops defines it: `NAME=value` to the end of the line, no quotes, `\n` for a line break.
//!
//! This is not the dotenv of shells or of other libraries: quotes and spaces are part of the value,
//! and a comment is a line that starts with `#`.

use std::collections::HashMap;

use dsops_resolver::yaml::{
    Limits, Node, Position, Span, Style, SyntaxError, SyntaxErrorKind, Text, Value,
};

use super::{
    Refused,
    flat::{self, Line},
    section::Item,
    text::{insert, line_end, line_end_with_break, line_start, splice},
};
use crate::sops::path::SOPS_SECTION;

/// What the names of sops' own settings start with.
const PREFIX: &str = "sops_";
/// A carriage return before it is part of the value.
const NEWLINE: &str = "\n";

/// Parses a document; the settings of sops become the section `sops`.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let limits = Limits::default();
    let fail = |kind, at| SyntaxError { kind, span: Span { start: at, end: at } };
    if text.len() > limits.text_bytes {
        let kind = SyntaxErrorKind::TooLarge { bytes: text.len(), limit: limits.text_bytes };
        return Err(fail(kind, Position::START));
    }
    let mut entries: Vec<(Node, Node)> = Vec::new();
    let mut section: Vec<Line> = Vec::new();
    let mut seen: HashMap<&str, Position> = HashMap::new();
    for (number, line) in text.split('\n').enumerate() {
        let offset = line.as_ptr() as usize - text.as_ptr() as usize;
        let start = Position { offset, line: number + 1, column: 1 };
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let other =
            |message: &str| fail(SyntaxErrorKind::Other { message: message.to_owned() }, start);
        let Some((name, value)) = line.split_once('=') else {
            return Err(other("a line is neither `NAME=value` nor a comment"));
        };
        if name.is_empty() {
            return Err(other("a line has no name before its `=`"));
        }
        let value_start = start.advance(text, offset + name.len() + 1);
        let span = Span { start: value_start, end: value_start.advance(text, offset + line.len()) };
        if let Some(first) = seen.insert(name, start) {
            let key = name.to_owned();
            return Err(fail(SyntaxErrorKind::DuplicateKey { key, first }, start));
        }
        if let Some(setting) = name.strip_prefix(PREFIX) {
            section.push(Line { name: setting.to_owned(), value: value.to_owned(), span });
            continue;
        }
        if name == SOPS_SECTION {
            return Err(other("a variable of the name `sops` is not supported"));
        }
        if entries.len() == limits.nodes {
            return Err(fail(SyntaxErrorKind::TooManyNodes { limit: limits.nodes }, start));
        }
        let name_end = start.advance(text, offset + name.len());
        entries.push((
            scalar(name.into(), Span { start, end: name_end }),
            scalar(unescape(value), span),
        ));
    }
    if let Some(first) = section.first() {
        let span = Span { start: first.span.start, end: first.span.start };
        entries.push((scalar(SOPS_SECTION.into(), span), flat::unflatten(section, span)?));
    }
    let end = Position { offset: text.len(), ..Position::START };
    Ok(Node::new(Value::Mapping(entries), Span { start: Position::START, end }))
}

/// Why a value cannot be written: `\n` always reads as a line break.
pub(super) fn check_value(value: &str) -> Result<(), &'static str> {
    if value.contains("\\n") {
        return Err("a dotenv file of sops cannot hold a `\\` before an `n`");
    }
    Ok(())
}

pub(super) fn set(
    text: &str,
    root: &Node,
    parts: &[String],
    value: &str,
) -> Result<String, Refused> {
    let name = single(root, parts)?;
    if let Some(node) = root.get(name) {
        return Ok(splice(text, node.span.range(), value));
    }
    if let Some(reason) = bad_name(name) {
        return Err(Refused { position: Position::START, reason });
    }
    let line = format!("{name}={value}");
    let last = data(root).last();
    Ok(match last {
        Some((_, last)) => {
            let end = line_end(text, last.span.end.offset);
            insert(text, end, &format!("{NEWLINE}{line}"))
        }
        None => insert(text, section_start(text, root), &format!("{line}{NEWLINE}")),
    })
}

pub(super) fn unset(text: &str, root: &Node, parts: &[String]) -> Result<String, Refused> {
    let name = single(root, parts)?;
    let node = root
        .get(name)
        .ok_or(Refused { position: Position::START, reason: "there is no such key" })?;
    let start = line_start(text, node.span.start.offset);
    Ok(splice(text, start..line_end_with_break(text, node.span.end.offset), ""))
}

/// Replaces the settings of sops, or adds them at the end.
pub(super) fn write_section(text: &str, section: &Item) -> String {
    let mut result = String::with_capacity(text.len());
    for line in text.split_inclusive('\n').filter(|line| !line.starts_with(PREFIX)) {
        result.push_str(line);
    }
    if !result.is_empty() && !result.ends_with('\n') {
        result.push_str(NEWLINE);
    }
    for (name, value) in flat::flatten(section) {
        result.extend([PREFIX, &name, "=", &value, NEWLINE]);
    }
    result
}

/// The text without the settings of sops.
pub(super) fn without_section(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut at = 0;
    let mut ranges = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with(PREFIX) {
            ranges.push(at..at + line.len());
        }
        at += line.len();
    }
    ranges
}

/// Lines that start with `#`.
pub(super) fn comments(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut at = 0;
    let mut ranges = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with('#') {
            ranges.push(at..at + line.trim_end_matches('\n').len());
        }
        at += line.len();
    }
    ranges
}

fn data(root: &Node) -> impl Iterator<Item = &(Node, Node)> {
    let entries = root.as_mapping().unwrap_or_default().iter();
    entries.filter(|(name, _)| name.as_str() != Some(SOPS_SECTION))
}

fn section_start(text: &str, root: &Node) -> usize {
    let first = root.get(SOPS_SECTION).and_then(|section| {
        let entries = section.as_mapping()?.iter();
        entries.map(|(name, _)| name.span.start.offset).min()
    });
    first.map_or(text.len(), |offset| line_start(text, offset))
}

fn single<'a>(root: &Node, parts: &'a [String]) -> Result<&'a str, Refused> {
    let refused = |reason| Refused { position: root.span.start, reason };
    match parts {
        [name] => Ok(name),
        _ => Err(refused("a dotenv file has no groups and no lists")),
    }
}

fn bad_name(name: &str) -> Option<&'static str> {
    if name.starts_with(PREFIX) || name == SOPS_SECTION {
        Some("names that start with `sops_` belong to sops itself")
    } else if name.starts_with('#') || name.contains(['=', '\n', '\r']) {
        Some("a name in a dotenv file has no `=`, no line break and no `#` at its start")
    } else {
        None
    }
}

fn unescape(value: &str) -> Text {
    if !value.contains("\\n") {
        return value.into();
    }
    // Only ever shorter, so it does not grow and leave a copy behind.
    let mut text = String::with_capacity(value.len());
    for (index, part) in value.split("\\n").enumerate() {
        if index > 0 {
            text.push('\n');
        }
        text.push_str(part);
    }
    text.into()
}

fn scalar(text: Text, span: Span) -> Node {
    Node::new(Value::Scalar { text, style: Style::DoubleQuoted, tag: None }, span)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOPS: &str = "sops_mac=m\nsops_age__list_0__map_enc=a\\nb\n";

    #[test]
    fn lines_are_taken_as_they_are() {
        let text = format!("# c\nA=x # not a comment\n\n B =\"q\"\nC=a\\nb=\\\\t\nD=\n{SOPS}");
        let root = parse(&text).unwrap();
        let values: Vec<_> = data(&root)
            .map(|(name, value)| (name.as_str().unwrap(), value.as_str().unwrap()))
            .collect();
        assert_eq!(
            values,
            [("A", "x # not a comment"), (" B ", "\"q\""), ("C", "a\nb=\\\\t"), ("D", "")]
        );
        let section = root.get("sops").unwrap();
        let enc = section.get("age").unwrap().as_sequence().unwrap()[0].get("enc").unwrap();
        assert_eq!(enc.as_str(), Some("a\nb"));
        assert_eq!((enc.span.start.line, &text[enc.span.range()]), (8, "a\\nb"));
    }

    #[test]
    fn what_is_no_dotenv_is_refused() {
        for text in ["A\n", "=x\n", "A=1\nA=2\n", "sops=x\n", " # c\n"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn edits_keep_all_other_lines() {
        let edit = |text: &str, name: &str, set_it: bool| {
            let text = format!("{text}{SOPS}");
            let root = parse(&text).unwrap();
            let parts = [name.to_owned()];
            let edited =
                if set_it { set(&text, &root, &parts, "NEW") } else { unset(&text, &root, &parts) };
            edited.map_or("refused".to_owned(), |new| new.strip_suffix(SOPS).unwrap().to_owned())
        };
        for (text, name, set_it, want) in [
            ("", "A", true, "A=NEW\n"),
            ("# only\n", "A", true, "# only\nA=NEW\n"),
            ("A=x\n# c\nB=y\n\n", "A", true, "A=NEW\n# c\nB=y\n\n"),
            ("A=x\n\n# end\n", "B", true, "A=x\nB=NEW\n\n# end\n"),
            ("A=x\n# c\nB=y\n", "A", false, "# c\nB=y\n"),
            ("A=x\r\nB=y\r\n", "C", true, "A=x\r\nB=y\r\nC=NEW\n"),
            ("A=x\n", "A=B", true, "refused"),
            ("A=x\n", "sops_x", true, "refused"),
            ("A=x\n", "#x", true, "refused"),
            ("A=x\n", "B", false, "refused"),
        ] {
            assert_eq!(edit(text, name, set_it), want, "{text} {name}");
        }
    }

    #[test]
    fn the_section_is_replaced_wherever_its_lines_stand() {
        let text = "sops_mac=old\nA=x\nsops_version=3\nB=y";
        let section = Item::map([("mac", "new"), ("enc", "a\nb")]);
        let written = write_section(text, &section);
        assert_eq!(written, "A=x\nB=y\nsops_enc=a\\nb\nsops_mac=new\n");
    }
}
