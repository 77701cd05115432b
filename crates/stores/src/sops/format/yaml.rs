//! Edits of a YAML text in place, its comments, and time and MAC in its `sops` section.

use std::ops::Range;

use dsops_resolver::yaml::{Node, Position, Value};

use super::{
    Refused,
    quote::{key_text, needs_escape, value_text},
    text::{insert, insert_line_after, line_end, line_start, newline, splice, splice_all},
};
use crate::sops::{
    path::{self, SOPS_SECTION},
    value::{Encrypted, Kind},
};

/// Spaces per level where the document does not show its own habit; sops uses as many.
pub(super) const DEFAULT_STEP: usize = 4;

/// Writes `sealed` as the value of the key, adding what is missing of its path.
pub(super) fn set(
    text: &str,
    root: &Node,
    parts: &[String],
    sealed: &str,
) -> Result<String, Refused> {
    let mut node = root;
    let mut flow = is_flow(text, root);
    for (depth, part) in parts.iter().enumerate() {
        let rest = &parts[depth + 1..];
        let child = match &node.value {
            Value::Mapping(entries) => match node.get(part) {
                Some(child) => child,
                None => {
                    return Ok(add_entry(text, root, entries, node, flow, &parts[depth..], sealed));
                }
            },
            Value::Sequence(items) => {
                let values = item_positions(items);
                let index = path::index(part)
                    .ok_or(refuse(node, "a list has numbered items, counted from 0"))?;
                match values.get(index) {
                    Some(position) => &items[*position],
                    None if index == values.len() => {
                        return Ok(add_item(text, root, items, node, flow, rest, sealed));
                    }
                    None => return Err(refuse(node, "the number is past the end of the list")),
                }
            }
            Value::Scalar { .. } => {
                return Err(refuse(node, "a part of the key names a value, not a group"));
            }
        };
        node = child;
        flow |= is_flow(text, node);
    }
    if !matches!(node.value, Value::Scalar { .. }) {
        return Err(refuse(node, "it is a group of values; unset it first"));
    }
    if node.tag().is_some() {
        return Err(refuse(node, "the value has an explicit type"));
    }
    let range = node.span.range();
    let after_blank = text[..range.start].ends_with([' ', '\n']);
    let space = if range.is_empty() && !after_blank { " " } else { "" };
    Ok(splice(text, range, &format!("{space}{}", value_text(sealed, flow))))
}

/// Removes the key with its value, which may be a group.
pub(super) fn unset(text: &str, root: &Node, parts: &[String]) -> Result<String, Refused> {
    let (last, above) = parts.split_last().expect("a key has at least one part");
    let mut owner: Option<&Node> = None;
    let mut node = root;
    let mut flow = is_flow(text, root);
    for part in above {
        let (name, child) = match &node.value {
            Value::Mapping(entries) => {
                entry(entries, part).map(|(name, child)| (Some(name), child))
            }
            Value::Sequence(items) => item(items, part).map(|position| (None, &items[position])),
            Value::Scalar { .. } => None,
        }
        .ok_or(refuse(node, "there is no such key"))?;
        owner = name;
        node = child;
        flow |= is_flow(text, node);
    }
    let missing = refuse(node, "there is no such key");
    match &node.value {
        Value::Mapping(entries) => {
            let at = entries.iter().position(|(name, _)| name.as_str() == Some(last));
            let at = at.ok_or(missing)?;
            let starts: Vec<Range<usize>> = entries
                .iter()
                .map(|(name, value)| name.span.start.offset..value.span.end.offset)
                .collect();
            remove(text, node, owner, &starts, at, flow, "{}")
        }
        Value::Sequence(items) => {
            let at = item(items, last).ok_or(missing)?;
            let ranges = if flow {
                items.iter().map(|item| item.span.range()).collect()
            } else {
                dashed_ranges(text, node, items)?
            };
            remove(text, node, owner, &ranges, at, flow, "[]")
        }
        Value::Scalar { .. } => Err(missing),
    }
}

/// Writes time and MAC into the `sops` section.
pub(super) fn set_metadata(text: &str, root: &Node, modified: &str, mac: &str) -> String {
    let section = root.get(SOPS_SECTION).expect("a parsed document has the section");
    let flow = is_flow(text, root) || is_flow(text, section);
    let edits = [("lastmodified", format!("\"{modified}\"")), ("mac", value_text(mac, flow))];
    let edits = edits.into_iter().map(|(name, value)| {
        let node = section.get(name).expect("a parsed document has the setting");
        (node.span.range(), value)
    });
    splice_all(text, edits.collect())
}

/// Comments are what follows a `#` between the scalars.
pub(super) fn comments(text: &str, root: &Node) -> Vec<Range<usize>> {
    if !text.contains('#') {
        return Vec::new();
    }
    let mut scalars = Vec::new();
    for (name, node) in root.as_mapping().unwrap_or_default() {
        if name.as_str() == Some(SOPS_SECTION) {
            scalars.push(name.span.start.offset..node.span.end.offset);
        } else {
            scalars.push(name.span.range());
            collect_scalars(node, &mut scalars);
        }
    }
    scalars.push(text.len()..text.len());
    let mut comments = Vec::new();
    let mut at = 0;
    for scalar in scalars {
        // The anchored original of an alias stands before it.
        while let Some(found) = text.get(at..scalar.start).and_then(|gap| gap.find('#')) {
            let start = at + found;
            if text[..start].ends_with(|c: char| !c.is_whitespace()) {
                at = start + 1;
                continue;
            }
            let end = line_end(text, start);
            comments.push(start..start + text[start..end].trim_end_matches('\r').len());
            at = end;
        }
        at = at.max(scalar.end);
    }
    comments
}

fn collect_scalars(node: &Node, scalars: &mut Vec<Range<usize>>) {
    match &node.value {
        _ if node.is_alias() => scalars.push(node.span.range()),
        Value::Scalar { .. } => scalars.push(node.span.range()),
        Value::Mapping(entries) => {
            for (name, value) in entries {
                scalars.push(name.span.range());
                collect_scalars(value, scalars);
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| collect_scalars(item, scalars)),
    }
}

/// Positions of the items of a list that are values. Sops keeps a comment in a list as an item.
pub(super) fn item_positions(items: &[Node]) -> Vec<usize> {
    let is_comment = |node: &Node| {
        let value = node.as_str().and_then(|text| Encrypted::parse(text).ok());
        value.is_some_and(|value| value.kind == Kind::Comment)
    };
    (0..items.len()).filter(|position| !is_comment(&items[*position])).collect()
}

fn add_entry(
    text: &str,
    root: &Node,
    entries: &[(Node, Node)],
    node: &Node,
    flow: bool,
    parts: &[String],
    sealed: &str,
) -> String {
    if flow {
        let entry = flow_entry(parts, &value_text(sealed, true));
        return match entries.last() {
            Some((_, last)) => insert(text, last.span.end.offset, &format!(", {entry}")),
            None => splice(text, node.span.range(), &format!("{{{entry}}}")),
        };
    }
    let top = std::ptr::eq(node, root);
    let data = entries.iter().rfind(|(name, _)| !(top && name.as_str() == Some(SOPS_SECTION)));
    let first = entries.first().map_or(Position::START, |(name, _)| name.span.start);
    let line = block_entry(text, root, parts, sealed, first.column - 1);
    match data {
        Some((_, last)) => insert_line_after(text, last.span.end.offset, &line),
        None => insert(text, line_start(text, first.offset), &format!("{line}{}", newline(text))),
    }
}

fn add_item(
    text: &str,
    root: &Node,
    items: &[Node],
    node: &Node,
    flow: bool,
    parts: &[String],
    sealed: &str,
) -> String {
    if flow {
        let value = value_text(sealed, true);
        let value =
            if parts.is_empty() { value } else { format!("{{{}}}", flow_entry(parts, &value)) };
        return match items.last() {
            Some(last) => insert(text, last.span.end.offset, &format!(", {value}")),
            None => splice(text, node.span.range(), &format!("[{value}]")),
        };
    }
    let dash = first_dash(text, node, items);
    let indent = dash - line_start(text, dash);
    let value = if parts.is_empty() {
        value_text(sealed, false)
    } else {
        block_entry(text, root, parts, sealed, indent + 2).trim_start().to_owned()
    };
    let line = format!("{}- {value}", " ".repeat(indent));
    let end = items.last().map_or(node.span.end.offset, |last| last.span.end.offset);
    insert_line_after(text, end, &line)
}

/// Removes one of the ranges of a container; the last one leaves it empty.
fn remove(
    text: &str,
    node: &Node,
    owner: Option<&Node>,
    ranges: &[Range<usize>],
    at: usize,
    flow: bool,
    empty: &str,
) -> Result<String, Refused> {
    let range = ranges[at].clone();
    if ranges.len() == 1 {
        if flow {
            return Ok(splice(text, range, ""));
        }
        let after_colon = owner.map(|name| name.span.end.offset + 1).filter(|start| {
            text.get(*start..range.start).is_some_and(|between| between.trim().is_empty())
        });
        return Ok(match after_colon {
            Some(start) => splice(text, start..range.end, &format!(" {empty}")),
            None => splice(text, range, empty),
        });
    }
    if flow {
        return Ok(match ranges.get(at + 1) {
            Some(next) => splice(text, range.start..next.start, ""),
            None => splice(text, ranges[at - 1].end..range.end, ""),
        });
    }
    let start = line_start(text, range.start);
    if text[start..range.start].trim().is_empty() {
        let end = line_end(text, range.end);
        let end = if text[end..].starts_with('\n') { end + 1 } else { end };
        return Ok(splice(text, start..end, ""));
    }
    // The first entry shares its line with the dash of a list; the next takes its place.
    match ranges.get(at + 1) {
        Some(next) if text[range.end..next.start].trim().is_empty() => {
            Ok(splice(text, range.start..next.start, ""))
        }
        _ => Err(refuse(node, "comments stand between it and the next")),
    }
}

/// The dash of the first item. A list that is indented like its key starts, to the parser, after it.
fn first_dash(text: &str, node: &Node, items: &[Node]) -> usize {
    let start = node.span.start.offset;
    if items.first().is_none_or(|item| item.span.start.offset > start) {
        return start;
    }
    text[..start].rfind('-').unwrap_or(start)
}

/// The items of a block list, each from its dash.
fn dashed_ranges(text: &str, node: &Node, items: &[Node]) -> Result<Vec<Range<usize>>, Refused> {
    let first = first_dash(text, node, items);
    let column = first - line_start(text, first);
    let mut ranges: Vec<Range<usize>> = Vec::with_capacity(items.len());
    for item in items {
        let start = match ranges.last() {
            None => first,
            Some(previous) => {
                let region = previous.end..item.span.start.offset;
                let dash = text[region.clone()].rmatch_indices('-').find(|(at, _)| {
                    let before = &text[line_start(text, region.start + at)..region.start + at];
                    before.len() == column && before.trim().is_empty()
                });
                region.start + dash.ok_or(refuse(item, "its dash was not found"))?.0
            }
        };
        ranges.push(start..item.span.end.offset);
    }
    Ok(ranges)
}

pub(super) fn entry<'a>(entries: &'a [(Node, Node)], part: &str) -> Option<(&'a Node, &'a Node)> {
    entries.iter().find(|(name, _)| name.as_str() == Some(part)).map(|(name, value)| (name, value))
}

fn item(items: &[Node], part: &str) -> Option<usize> {
    item_positions(items).get(path::index(part)?).copied()
}

fn block_entry(text: &str, root: &Node, parts: &[String], sealed: &str, indent: usize) -> String {
    let step = step(root);
    let mut lines = String::new();
    for (depth, part) in parts.iter().enumerate() {
        lines.push_str(&" ".repeat(indent + depth * step));
        lines.push_str(&key_text(part, false));
        lines.push(':');
        if depth + 1 == parts.len() {
            lines.push(' ');
            lines.push_str(&value_text(sealed, false));
        } else {
            lines.push_str(newline(text));
        }
    }
    lines
}

fn flow_entry(parts: &[String], value: &str) -> String {
    let (first, rest) = parts.split_first().expect("an entry has a key");
    let key = key_text(first, true);
    if rest.is_empty() {
        format!("{key}: {value}")
    } else {
        format!("{key}: {{{}}}", flow_entry(rest, value))
    }
}

/// How far the document indents a level, seen on its `sops` section.
pub(super) fn step(root: &Node) -> usize {
    root.get(SOPS_SECTION)
        .and_then(|section| section.as_mapping()?.first())
        .map(|(name, _)| name.span.start.column - 1)
        .filter(|step| (1..=8).contains(step))
        .unwrap_or(DEFAULT_STEP)
}

pub(super) fn is_flow(text: &str, node: &Node) -> bool {
    !matches!(node.value, Value::Scalar { .. })
        && text[node.span.start.offset..].starts_with(['{', '['])
}

fn refuse(node: &Node, reason: &'static str) -> Refused {
    Refused { position: node.span.start, reason }
}

/// Whether a value can stand as a literal block: several lines, none of which a reader would take
/// for something else.
pub(super) fn is_literal(value: &str) -> bool {
    value.contains('\n')
        && !value.starts_with([' ', '\n', '\t'])
        && !value.ends_with("\n\n")
        && value.lines().all(|line| line.is_empty() || !line.trim_matches([' ', '\t']).is_empty())
        && !value.chars().any(|c| !matches!(c, '\n' | '\t') && needs_escape(c))
}

#[cfg(test)]
mod tests {
    use dsops_resolver::yaml;

    use super::*;

    fn parts(key: &str) -> Vec<String> {
        key.split('/').map(str::to_owned).collect()
    }

    const SOPS: &str = "sops:\n  mac: m\n";

    fn set_in(text: &str, key: &str) -> String {
        let text = format!("{text}{SOPS}");
        let root = yaml::parse(&text).unwrap();
        let Ok(new) = set(&text, &root, &parts(key), "ENC[1,2]") else { return "refused".into() };
        new.strip_suffix(SOPS).unwrap().to_owned()
    }

    fn unset_in(text: &str, key: &str) -> String {
        let text = format!("{text}{SOPS}");
        let root = yaml::parse(&text).unwrap();
        let Ok(new) = unset(&text, &root, &parts(key)) else { return "refused".into() };
        new.strip_suffix(SOPS).unwrap().to_owned()
    }

    #[test]
    fn values_are_replaced_where_they_stand() {
        for (text, key, want) in [
            ("# c\na: old # why\nb: 2\n", "a", "# c\na: ENC[1,2] # why\nb: 2\n"),
            ("a:\nb: 2\n", "a", "a: ENC[1,2]\nb: 2\n"),
            ("a:   # none\nb: 2\n", "a", "a: ENC[1,2]   # none\nb: 2\n"),
            ("a: ~\n", "a", "a: ENC[1,2]\n"),
            ("a: 'q''q'\n", "a", "a: ENC[1,2]\n"),
            ("a: |\n  x\n  y\n\nb: 2\n", "a", "a: ENC[1,2]\n\nb: 2\n"),
            ("a: {b: 'x', c: y}\n", "a/b", "a: {b: \"ENC[1,2]\", c: y}\n"),
            ("a:\n- x\n-   y\n", "a/1", "a:\n- x\n-   ENC[1,2]\n"),
            ("a: [x, y]\n", "a/0", "a: [\"ENC[1,2]\", y]\n"),
            ("a:\r\n  b: x\r\n", "a/b", "a:\r\n  b: ENC[1,2]\r\n"),
        ] {
            assert_eq!(set_in(text, key), want, "{text}");
        }
    }

    #[test]
    fn keys_are_added_after_the_last() {
        for (text, key, want) in [
            ("", "a", "a: ENC[1,2]\n"),
            ("# only a comment\n", "a/b", "# only a comment\na:\n  b: ENC[1,2]\n"),
            ("a: x # c\n# end\n", "b", "a: x # c\nb: ENC[1,2]\n# end\n"),
            ("a:\n    b: x\nc: y\n", "a/d", "a:\n    b: x\n    d: ENC[1,2]\nc: y\n"),
            ("a:\n- k: v\n  l: w\n- m\n", "a/0/x", "a:\n- k: v\n  l: w\n  x: ENC[1,2]\n- m\n"),
            ("a:\n- x\n", "a/1", "a:\n- x\n- ENC[1,2]\n"),
            ("a:\n- x\n", "a/1/k/l", "a:\n- x\n- k:\n    l: ENC[1,2]\n"),
            ("a: {b: x}\n", "a/c/d", "a: {b: x, \"c\": {\"d\": \"ENC[1,2]\"}}\n"),
            ("a: {}\n", "a/c", "a: {\"c\": \"ENC[1,2]\"}\n"),
            ("a: []\n", "a/0", "a: [\"ENC[1,2]\"]\n"),
            ("a: x\r\n", "b", "a: x\r\nb: ENC[1,2]\r\n"),
            ("a: x\n", "true", "a: x\n\"true\": ENC[1,2]\n"),
        ] {
            assert_eq!(set_in(text, key), want, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_set_is_refused() {
        for (text, key) in [
            ("a: {b: x}\n", "a"),
            ("a: x\n", "a/b"),
            ("a: [x]\n", "a/2"),
            ("a: [x]\n", "a/name"),
            ("a: [x]\n", "a/00"),
            ("a: !!str x\n", "a"),
        ] {
            assert_eq!(set_in(text, key), "refused", "{text}");
        }
    }

    #[test]
    fn keys_are_removed_with_their_lines() {
        for (text, key, want) in [
            ("# c\na: x # gone\nb: y\n", "a", "# c\nb: y\n"),
            ("a: x\n", "a", ""),
            ("a:\n  b: x\n  c: y\nd: z\n", "a/b", "a:\n  c: y\nd: z\n"),
            ("a:\n  b: x\nd: z\n", "a/b", "a: {}\nd: z\n"),
            ("a: # c\n  b: x\n", "a/b", "a: # c\n  {}\n"),
            ("a:\n  b: x\nd: z\n", "a", "d: z\n"),
            ("a: {b: x, c: y}\n", "a/b", "a: {c: y}\n"),
            ("a: {b: x, c: y}\n", "a/c", "a: {b: x}\n"),
            ("a: {b: x}\n", "a/b", "a: {}\n"),
            ("a:\n- x\n# - c\n- y\n", "a/1", "a:\n- x\n# - c\n"),
            ("a:\n- x\n- y\n", "a/0", "a:\n- y\n"),
            ("a:\n- x\n", "a/0", "a: []\n"),
            ("a:\n- k: v\n  l: w\n", "a/0/k", "a:\n- l: w\n"),
            ("a:\n- k: v\n", "a/0/k", "a:\n- {}\n"),
            ("a: |\n  x\nb: y\n", "a", "b: y\n"),
            ("a:\nb: y\n", "a", "b: y\n"),
        ] {
            assert_eq!(unset_in(text, key), want, "{text}");
        }
        assert_eq!(unset_in("a: x\n", "b"), "refused");
    }
}
