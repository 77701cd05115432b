//! Edits of a JSON text in place, and the `sops` section as JSON.

use std::ops::Range;

use dsops_resolver::yaml::{Node, Value};

use super::{
    Refused,
    section::Item,
    text::{insert, splice},
};
use crate::sops::path::{self, SOPS_SECTION};

/// What sops indents with.
const INDENT: &str = "\t";

/// Writes `value`, which is JSON, as the value of the key, adding what is missing of its path.
pub(super) fn set(
    text: &str,
    root: &Node,
    parts: &[String],
    value: &str,
) -> Result<String, Refused> {
    let mut node = root;
    for (depth, part) in parts.iter().enumerate() {
        let rest = &parts[depth..];
        let next = match &node.value {
            Value::Mapping(_) => match node.get(part) {
                Some(child) => child,
                None => return Ok(add_entry(text, root, node, rest, value)),
            },
            Value::Sequence(items) => {
                let index = path::index(part)
                    .ok_or(refuse(node, "a list has numbered items, counted from 0"))?;
                match items.get(index) {
                    Some(item) => item,
                    None if index == items.len() => {
                        return Ok(add_item(text, root, node, &rest[1..], value));
                    }
                    None => return Err(refuse(node, "the number is past the end of the list")),
                }
            }
            Value::Scalar { .. } => {
                return Err(refuse(node, "a part of the key names a value, not a group"));
            }
        };
        node = next;
    }
    if !matches!(node.value, Value::Scalar { .. }) {
        return Err(refuse(node, "it is a group of values; unset it first"));
    }
    Ok(splice(text, node.span.range(), value))
}

/// Removes the key with its value, which may be a group.
pub(super) fn unset(text: &str, root: &Node, parts: &[String]) -> Result<String, Refused> {
    let (last, above) = parts.split_last().expect("a key has at least one part");
    let missing = || refuse(root, "there is no such key");
    let mut node = root;
    for part in above {
        node = child(node, part).ok_or_else(missing)?;
    }
    let (spans, at) = match &node.value {
        Value::Mapping(entries) => {
            let at = entries.iter().position(|(name, _)| name.as_str() == Some(last));
            (entries.iter().map(entry_span).collect::<Vec<_>>(), at)
        }
        Value::Sequence(items) => {
            let at = path::index(last).filter(|index| *index < items.len());
            (items.iter().map(|item| item.span.range()).collect(), at)
        }
        Value::Scalar { .. } => (Vec::new(), None),
    };
    let at = at.ok_or_else(missing)?;
    Ok(splice(text, removable(node, &spans, at), ""))
}

/// The section of sops with the comma that goes with it.
pub(super) fn section_range(root: &Node) -> Option<Range<usize>> {
    let entries = root.as_mapping()?;
    let at = entries.iter().position(|(name, _)| name.as_str() == Some(SOPS_SECTION))?;
    let spans: Vec<Range<usize>> = entries.iter().map(entry_span).collect();
    Some(removable(root, &spans, at))
}

/// One of the parts of a container, with its comma.
fn removable(node: &Node, spans: &[Range<usize>], at: usize) -> Range<usize> {
    match (spans.get(at + 1), at.checked_sub(1).map(|before| &spans[before])) {
        (Some(next), _) => spans[at].start..next.start,
        (None, Some(before)) => before.end..spans[at].end,
        (None, None) => node.span.start.offset + 1..node.span.end.offset - 1,
    }
}

fn entry_span((name, value): &(Node, Node)) -> Range<usize> {
    name.span.start.offset..value.span.end.offset
}

/// Replaces the section `sops`, or adds it as the last one.
pub(super) fn write_section(text: &str, root: &Node, section: &Item) -> String {
    let layout = Layout::of(text, root);
    let written = layout.item(section, 1);
    match root.get(SOPS_SECTION) {
        Some(node) => splice(text, node.span.range(), &written),
        None => add_entry(text, root, root, &[SOPS_SECTION.to_owned()], &written),
    }
}

/// A text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    push_escaped(text, &mut |part| json.push_str(part));
    json.push('"');
    json
}

/// The inside of a JSON string, piece by piece.
pub(super) fn push_escaped(text: &str, push: &mut dyn FnMut(&str)) {
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| matches!(c, '"' | '\\') || c < ' ') {
        push(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => push("\\\""),
            b'\\' => push("\\\\"),
            b'\n' => push("\\n"),
            b'\r' => push("\\r"),
            b'\t' => push("\\t"),
            control => {
                let hex = b"0123456789abcdef";
                let digits = [hex[usize::from(control >> 4)], hex[usize::from(control & 15)]];
                push("\\u00");
                push(std::str::from_utf8(&digits).expect("hexadecimal digits are ASCII"));
            }
        }
        rest = &rest[at + 1..];
    }
    push(rest);
}

fn child<'a>(node: &'a Node, part: &str) -> Option<&'a Node> {
    match &node.value {
        Value::Mapping(_) => node.get(part),
        Value::Sequence(items) => items.get(path::index(part)?),
        Value::Scalar { .. } => None,
    }
}

fn add_entry(text: &str, root: &Node, node: &Node, parts: &[String], value: &str) -> String {
    let layout = Layout::of(text, root);
    let entries = node.as_mapping().unwrap_or_default();
    let level = layout.level(text, node);
    let entry = layout.entry(parts, value, level + 1);
    let top = std::ptr::eq(node, root);
    let is_section = |name: &Node| top && name.as_str() == Some(SOPS_SECTION);
    let last = entries.iter().rfind(|(name, _)| !is_section(name));
    if let Some((name, last)) = last {
        let before = before_key(text, name);
        return insert(text, last.span.end.offset, &format!(",{before}{entry}"));
    }
    if let Some((name, _)) = entries.first() {
        let before = before_key(text, name).to_owned();
        insert(text, name.span.start.offset, &format!("{entry},{before}"))
    } else {
        let (open, close) = (layout.line(level + 1), layout.line(level));
        splice(text, node.span.range(), &format!("{{{open}{entry}{close}}}"))
    }
}

fn add_item(text: &str, root: &Node, node: &Node, rest: &[String], value: &str) -> String {
    let layout = Layout::of(text, root);
    let level = layout.level(text, node);
    let item =
        if rest.is_empty() { value.to_owned() } else { layout.group(rest, value, level + 1) };
    if let Some(last) = node.as_sequence().unwrap_or_default().last() {
        let before = before_key(text, last).to_owned();
        insert(text, last.span.end.offset, &format!(",{before}{item}"))
    } else {
        let (open, close) = (layout.line(level + 1), layout.line(level));
        splice(text, node.span.range(), &format!("[{open}{item}{close}]"))
    }
}

/// The white space between a key, or an item of a list, and what comes before it.
fn before_key<'a>(text: &'a str, key: &Node) -> &'a str {
    let before = &text[..key.span.start.offset];
    &before[before.trim_end().len()..]
}

/// How the document is laid out: its indentation, or everything on one line.
struct Layout {
    unit: Option<String>,
    newline: &'static str,
}

impl Layout {
    fn of(text: &str, root: &Node) -> Self {
        let first = root.as_mapping().and_then(|entries| entries.first());
        let unit = match first {
            None => Some(INDENT.to_owned()),
            Some((name, _)) => {
                let before = before_key(text, name);
                before.rfind('\n').map(|at| before[at + 1..].to_owned())
            }
        };
        Self { unit, newline: super::text::newline(text) }
    }

    /// How deep the line is on which a node starts.
    fn level(&self, text: &str, node: &Node) -> usize {
        let Some(unit) = self.unit.as_ref().filter(|unit| !unit.is_empty()) else { return 0 };
        let line = &text[super::text::line_start(text, node.span.start.offset)..];
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        indent / unit.len()
    }

    /// A line break with the indentation of a level; nothing where all is on one line.
    fn line(&self, level: usize) -> String {
        match &self.unit {
            Some(unit) => format!("{}{}", self.newline, unit.repeat(level)),
            None => String::new(),
        }
    }

    fn entry(&self, parts: &[String], value: &str, level: usize) -> String {
        let (first, rest) = parts.split_first().expect("an entry has a key");
        let value = if rest.is_empty() { value.to_owned() } else { self.group(rest, value, level) };
        format!("{}: {value}", quoted(first))
    }

    fn group(&self, parts: &[String], value: &str, level: usize) -> String {
        let entry = self.entry(parts, value, level + 1);
        format!("{{{}{entry}{}}}", self.line(level + 1), self.line(level))
    }

    fn item(&self, item: &Item, level: usize) -> String {
        let (open, close, items): (_, _, Vec<String>) = match item {
            Item::Text(text) => return quoted(text),
            Item::Bare(text) => return text.clone(),
            Item::List(items) => {
                ('[', ']', items.iter().map(|item| self.item(item, level + 1)).collect())
            }
            Item::Map(entries) => {
                let entry = |(name, item): &(String, Item)| {
                    format!("{}: {}", quoted(name), self.item(item, level + 1))
                };
                ('{', '}', entries.iter().map(entry).collect())
            }
        };
        if items.is_empty() {
            return format!("{open}{close}");
        }
        let line = self.line(level + 1);
        let between = if self.unit.is_some() { "," } else { ", " };
        let items = items.join(&format!("{between}{line}"));
        format!("{open}{line}{items}{}{close}", self.line(level))
    }
}

fn refuse(node: &Node, reason: &'static str) -> Refused {
    Refused { position: node.span.start, reason }
}

#[cfg(test)]
mod tests {
    use super::{super::json, *};

    const SOPS: &str = "\"sops\": {\"mac\": \"m\"}";

    fn edit(text: &str, key: &str, set_it: bool) -> String {
        let text = text.replace("SOPS", SOPS);
        let root = json::parse(&text).unwrap();
        let parts: Vec<String> = key.split('/').map(str::to_owned).collect();
        let edited =
            if set_it { set(&text, &root, &parts, "\"N\"") } else { unset(&text, &root, &parts) };
        let Ok(new) = edited else { return "refused".to_owned() };
        json::parse(&new).unwrap();
        new.replace(SOPS, "SOPS")
    }

    #[test]
    fn values_are_set_where_they_stand_or_after_the_last() {
        for (text, key, want) in [
            ("{\"a\": 1, SOPS}", "a", "{\"a\": \"N\", SOPS}"),
            ("{ \"a\" :null , SOPS}", "a", "{ \"a\" :\"N\" , SOPS}"),
            ("{\"a\": 1, SOPS}", "b", "{\"a\": 1,\"b\": \"N\", SOPS}"),
            ("{SOPS}", "b", "{\"b\": \"N\",SOPS}"),
            ("{\n\tSOPS\n}\n", "b", "{\n\t\"b\": \"N\",\n\tSOPS\n}\n"),
            ("{\n\tSOPS\n}\n", "b/c", "{\n\t\"b\": {\n\t\t\"c\": \"N\"\n\t},\n\tSOPS\n}\n"),
            (
                "{\n  \"a\": {},\n  SOPS\n}",
                "a/b",
                "{\n  \"a\": {\n    \"b\": \"N\"\n  },\n  SOPS\n}",
            ),
            ("{\n  \"a\": [],\n  SOPS\n}", "a/0", "{\n  \"a\": [\n    \"N\"\n  ],\n  SOPS\n}"),
            ("{\"a\": [1], SOPS}", "a/1/b", "{\"a\": [1,{\"b\": \"N\"}], SOPS}"),
            (
                "{\"a\": {\"b\": 1}, SOPS}",
                "a/c/d",
                "{\"a\": {\"b\": 1,\"c\": {\"d\": \"N\"}}, SOPS}",
            ),
            ("{SOPS, \"a\": 1}", "b", "{SOPS, \"a\": 1, \"b\": \"N\"}"),
            ("{\"a\": {}, SOPS}", "a", "refused"),
            ("{\"a\": 1, SOPS}", "a/b", "refused"),
            ("{\"a\": [1], SOPS}", "a/2", "refused"),
        ] {
            assert_eq!(edit(text, key, true), want, "{text} {key}");
        }
    }

    #[test]
    fn keys_are_removed_with_their_comma() {
        for (text, key, want) in [
            ("{\"a\": 1, \"b\": 2, SOPS}", "a", "{\"b\": 2, SOPS}"),
            ("{\n\t\"a\": 1,\n\tSOPS\n}", "a", "{\n\tSOPS\n}"),
            ("{SOPS, \"a\": 1}", "a", "{SOPS}"),
            ("{\"a\": {\"b\": 1}, SOPS}", "a/b", "{\"a\": {}, SOPS}"),
            ("{\"a\": [1, 2], SOPS}", "a/1", "{\"a\": [1], SOPS}"),
            ("{\"a\": [ 1 ], SOPS}", "a/0", "{\"a\": [], SOPS}"),
            ("{\"a\": 1, SOPS}", "b", "refused"),
        ] {
            assert_eq!(edit(text, key, false), want, "{text} {key}");
        }
    }

    #[test]
    fn the_section_takes_the_layout_of_the_document() {
        let section = Item::Map(vec![
            ("age".to_owned(), Item::List(vec![Item::map([("enc", "a\nb")])])),
            ("flag".to_owned(), Item::Bare("true".to_owned())),
        ]);
        for (text, want) in [
            (
                "{}",
                "{\n\t\"sops\": {\n\t\t\"age\": [\n\t\t\t{\n\t\t\t\t\"enc\": \"a\\nb\"\n\t\t\t}\n\t\t],\n\t\t\"flag\": true\n\t}\n}",
            ),
            (
                "{\"a\": 1}",
                "{\"a\": 1,\"sops\": {\"age\": [{\"enc\": \"a\\nb\"}], \"flag\": true}}",
            ),
        ] {
            let root = json::parse(text).unwrap();
            let written = write_section(text, &root, &section);
            assert_eq!(written, want);
            let root = json::parse(&written).unwrap();
            assert_eq!(Item::of(root.get("sops").unwrap()), section);
            assert_eq!(write_section(&written, &root, &section), written);
        }
    }
}
