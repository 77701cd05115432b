//! The `sops` section as YAML.

use std::ops::Range;

use dsops_resolver::yaml::Node;

use super::{
    quote::{key_text, value_text},
    section::Item,
    text::{insert, line_end_with_break, line_start, newline, splice},
    yaml::{entry, is_flow, step},
};
use crate::sops::{path::SOPS_SECTION, value::Encrypted};

/// Replaces the section `sops`, or adds it at the end.
pub(super) fn write_section(text: &str, root: &Node, section: &Item) -> String {
    let entries = root.as_mapping().unwrap_or_default();
    let there = entry(entries, SOPS_SECTION);
    if is_flow(text, root) {
        let flow = flow_item(section);
        return match (there, entries.last()) {
            (Some((_, node)), _) => splice(text, node.span.range(), &flow),
            (None, Some((_, last))) => {
                insert(text, last.span.end.offset, &format!(", {SOPS_SECTION}: {flow}"))
            }
            (None, None) => splice(text, root.span.range(), &format!("{{{SOPS_SECTION}: {flow}}}")),
        };
    }
    let newline = newline(text);
    let mut block = format!("{SOPS_SECTION}:");
    push_block(section, step(root), step(root), newline, &mut block);
    if let Some((name, node)) = there {
        return splice(text, name.span.start.offset..node.span.end.offset, &block);
    }
    let between = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
    format!("{text}{between}{block}{newline}")
}

/// Where the section of sops stands, with its last line break.
pub(super) fn without_section(text: &str, root: &Node) -> Option<Range<usize>> {
    let entries = root.as_mapping()?;
    let at = entries.iter().position(|(name, _)| name.as_str() == Some(SOPS_SECTION))?;
    let (name, node) = &entries[at];
    if !is_flow(text, root) {
        let end = line_end_with_break(text, node.span.end.offset);
        return Some(line_start(text, name.span.start.offset)..end);
    }
    Some(match (entries.get(at + 1), at.checked_sub(1).map(|before| &entries[before])) {
        (Some((next, _)), _) => name.span.start.offset..next.span.start.offset,
        (None, Some((_, before))) => before.span.end.offset..node.span.end.offset,
        (None, None) => name.span.start.offset..node.span.end.offset,
    })
}

/// A part of the section after its key and colon, or after the dash of a list.
fn push_block(item: &Item, indent: usize, step: usize, newline: &str, out: &mut String) {
    match item {
        Item::Bare(text) => out.extend([" ", text]),
        Item::Text(text) if is_block_text(text) => {
            out.push_str(" |");
            for line in text.lines() {
                out.extend([newline, &" ".repeat(indent), line]);
            }
        }
        Item::Text(text) => out.extend([" ", &section_text(text, false)]),
        Item::List(items) if items.is_empty() => out.push_str(" []"),
        Item::Map(entries) if entries.is_empty() => out.push_str(" {}"),
        Item::List(items) => {
            for item in items {
                out.extend([newline, &" ".repeat(indent), "-"]);
                // The first key of a mapping shares the line of the dash.
                let mut inner = String::new();
                push_block(item, indent + 2, step, newline, &mut inner);
                let first = format!("{newline}{}", " ".repeat(indent + 2));
                match inner.strip_prefix(&first).filter(|_| matches!(item, Item::Map(_))) {
                    Some(inner) => out.extend([" ", inner]),
                    None => out.push_str(&inner),
                }
            }
        }
        Item::Map(entries) => {
            for (name, item) in entries {
                out.extend([newline, &" ".repeat(indent), &key_text(name, false), ":"]);
                let deeper = if matches!(item, Item::Text(_)) { 2 } else { step };
                push_block(item, indent + deeper, step, newline, out);
            }
        }
    }
}

fn flow_item(item: &Item) -> String {
    match item {
        Item::Bare(text) => text.clone(),
        Item::Text(text) => section_text(text, true),
        Item::List(items) => {
            format!("[{}]", items.iter().map(flow_item).collect::<Vec<_>>().join(", "))
        }
        Item::Map(entries) => {
            let entry = |(name, item): &(String, Item)| {
                format!("{}: {}", key_text(name, true), flow_item(item))
            };
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Whether a text can stand as a literal block: whole lines of visible characters.
fn is_block_text(text: &str) -> bool {
    text.ends_with('\n')
        && text.lines().all(|line| {
            !line.is_empty()
                && !line.starts_with(' ')
                && line.chars().all(|c| c == ' ' || c.is_ascii_graphic())
        })
}

fn section_text(text: &str, flow: bool) -> String {
    if Encrypted::parse(text).is_ok() { value_text(text, flow) } else { key_text(text, flow) }
}

#[cfg(test)]
mod tests {
    use dsops_resolver::yaml;

    use super::*;

    fn section() -> Item {
        let keys = Item::List(vec![
            Item::map([("recipient", "age1a"), ("enc", "one\ntwo\n")]),
            Item::map([("recipient", "ssh-ed25519 AAAA a: #b"), ("enc", " odd\n\n")]),
        ]);
        Item::Map(vec![
            ("age".to_owned(), keys),
            ("lastmodified".to_owned(), Item::Text("2026-11-21T12:26:27Z".to_owned())),
            ("flag".to_owned(), Item::Bare("true".to_owned())),
            ("none".to_owned(), Item::List(Vec::new())),
            ("groups".to_owned(), Item::List(vec![Item::List(vec![Item::Text("x".to_owned())])])),
        ])
    }

    #[test]
    fn the_section_is_written_and_read_in_every_layout() {
        for text in [
            "",
            "# c\n",
            "a: x",
            "a:\n  b: x\n",
            "a: x\r\n",
            "{a: x}\n",
            "{}\n",
            "a: x\nsops: {mac: m}\nb: y\n",
            "sops:\n  mac: m\na: x\n",
            "{sops: {mac: m}, a: x}\n",
        ] {
            let root = yaml::parse(text).unwrap();
            let written = write_section(text, &root, &section());
            let root = yaml::parse(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
            assert_eq!(Item::of(root.get("sops").unwrap()), section(), "{written}");
            assert_eq!(root.get("a").is_some(), text.contains('a'), "{written}");
            assert_eq!(write_section(&written, &root, &section()), written);
            let range = without_section(&written, &root).unwrap();
            let root = yaml::parse(&splice(&written, range, "")).unwrap();
            assert!(root.get("sops").is_none());
            assert_eq!(root.get("a").is_some(), text.contains('a'));
        }
    }
}
