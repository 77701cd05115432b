//! The `sops` section where there are only lines: `age__list_0__map_recipient` and the like.

use std::collections::BTreeMap;

use dsops_resolver::yaml::{Node, Span, Style, SyntaxError, SyntaxErrorKind, Value};

use super::section::Item;

const MAP: &str = "__map_";
const LIST: &str = "__list_";
/// More than any file has: recipients times two.
const LINE_LIMIT: usize = 4096;
const DEPTH_LIMIT: usize = 16;
/// The settings that are not text.
const BARE: [&str; 2] = ["mac_only_encrypted", "shamir_threshold"];

/// A line of the section: its flat name, its value, and where the value stands.
pub(super) struct Line {
    pub name: String,
    pub value: String,
    pub span: Span,
}

/// Makes the section of its lines; `\n` in a value stands for a line break.
pub(super) fn unflatten(lines: Vec<Line>, span: Span) -> Result<Node, SyntaxError> {
    let mut root = Slot::Map(Vec::new());
    let too_large = lines.len() > LINE_LIMIT
        || lines.iter().any(|line| {
            line.name.matches(MAP).count() + line.name.matches(LIST).count() > DEPTH_LIMIT
        });
    if too_large {
        let message = "more settings of sops than any file has".to_owned();
        return Err(SyntaxError { kind: SyntaxErrorKind::Other { message }, span });
    }
    for line in lines {
        let at = line.span;
        let fail = || SyntaxError {
            kind: SyntaxErrorKind::Other {
                message: format!("the setting `{}` of sops contradicts another one", line.name),
            },
            span: at,
        };
        let bare = BARE.contains(&line.name.as_str());
        let style = if bare { Style::Plain } else { Style::DoubleQuoted };
        let text = line.value.replace("\\n", "\n").into();
        let node = Node::new(Value::Scalar { text, style, tag: None }, at);
        root.place(&line.name, true, node).ok_or_else(fail)?;
    }
    root.into_node(span).ok_or(SyntaxError {
        kind: SyntaxErrorKind::Other { message: "a list of the settings of sops has gaps".into() },
        span,
    })
}

/// The lines of a section, sorted by name. Line breaks are written as `\n`.
pub(super) fn flatten(section: &Item) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    push(section, "", true, &mut lines);
    lines.sort_unstable();
    lines
}

fn push(item: &Item, name: &str, top: bool, lines: &mut Vec<(String, String)>) {
    match item {
        Item::Text(text) => lines.push((name.to_owned(), text.replace('\n', "\\n"))),
        Item::Bare(text) if text == "null" => {}
        Item::Bare(text) => lines.push((name.to_owned(), text.clone())),
        Item::List(items) => {
            for (index, item) in items.iter().enumerate() {
                push(item, &format!("{name}{LIST}{index}"), false, lines);
            }
        }
        Item::Map(entries) => {
            let separator = if top { "" } else { MAP };
            for (key, item) in entries {
                push(item, &format!("{name}{separator}{key}"), false, lines);
            }
        }
    }
}

enum Slot {
    Empty,
    Leaf(Box<Node>),
    Map(Vec<(String, Slot)>),
    List(BTreeMap<usize, Slot>),
}

impl Slot {
    /// Puts a leaf where its name says; `None` when something else is there.
    fn place(&mut self, name: &str, top: bool, leaf: Node) -> Option<()> {
        if name.is_empty() && !top {
            if !matches!(self, Self::Empty) {
                return None;
            }
            *self = Self::Leaf(Box::new(leaf));
            return Some(());
        }
        let (list, rest) = if top {
            (false, name)
        } else if let Some(rest) = name.strip_prefix(MAP) {
            (false, rest)
        } else {
            (true, name.strip_prefix(LIST)?)
        };
        let end = [MAP, LIST].iter().filter_map(|mark| rest.find(mark)).min();
        let (part, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let next = if list {
            if matches!(self, Self::Empty) {
                *self = Self::List(BTreeMap::new());
            }
            let Self::List(items) = self else { return None };
            items.entry(part.parse().ok()?).or_insert(Self::Empty)
        } else {
            if matches!(self, Self::Empty) {
                *self = Self::Map(Vec::new());
            }
            let Self::Map(entries) = self else { return None };
            let at = entries.iter().position(|(known, _)| known == part).unwrap_or_else(|| {
                entries.push((part.to_owned(), Self::Empty));
                entries.len() - 1
            });
            &mut entries[at].1
        };
        next.place(rest, false, leaf)
    }

    fn into_node(self, span: Span) -> Option<Node> {
        let value = match self {
            Self::Empty => return None,
            Self::Leaf(node) => return Some(*node),
            Self::Map(entries) => {
                let entry = |(name, slot): (String, Self)| {
                    let node = slot.into_node(span)?;
                    let start = Span { start: node.span.start, end: node.span.start };
                    let text = name.into();
                    let name = Value::Scalar { text, style: Style::DoubleQuoted, tag: None };
                    Some((Node::new(name, start), node))
                };
                Value::Mapping(entries.into_iter().map(entry).collect::<Option<_>>()?)
            }
            Self::List(items) => {
                if items.keys().enumerate().any(|(want, index)| want != *index) {
                    return None;
                }
                Value::Sequence(
                    items.into_values().map(|slot| slot.into_node(span)).collect::<Option<_>>()?,
                )
            }
        };
        let start = first_place(&value).unwrap_or(span);
        Some(Node::new(value, start))
    }
}

fn first_place(value: &Value) -> Option<Span> {
    match value {
        Value::Mapping(entries) => entries.first().map(|(_, node)| node.span),
        Value::Sequence(items) => items.first().map(|node| node.span),
        Value::Scalar { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section() -> Item {
        let keys = Item::List(vec![
            Item::map([("recipient", "age1a"), ("enc", "one\ntwo")]),
            Item::map([("recipient", "age1b"), ("enc", "x")]),
        ]);
        Item::Map(vec![
            ("age".to_owned(), keys),
            ("mac_only_encrypted".to_owned(), Item::Bare("true".to_owned())),
            ("mac".to_owned(), Item::Text("m".to_owned())),
        ])
    }

    fn lines(section: &Item) -> Vec<Line> {
        let line = |(name, value)| Line { name, value, span: Span::default() };
        flatten(section).into_iter().map(line).collect()
    }

    #[test]
    fn what_is_flattened_is_unflattened() {
        let flat = flatten(&section());
        let names: Vec<&str> = flat.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[..2], ["age__list_0__map_enc", "age__list_0__map_recipient"]);
        assert_eq!(flat[0].1, "one\\ntwo");
        let node = unflatten(lines(&section()), Span::default()).unwrap();
        let Item::Map(mut back) = Item::of(&node) else { panic!("not a map") };
        let Item::Map(mut want) = section() else { panic!("not a map") };
        let sort = |entries: &mut Vec<(String, Item)>| entries.sort_by(|a, b| a.0.cmp(&b.0));
        sort(&mut back);
        sort(&mut want);
        assert_eq!(back.len(), want.len());
        assert_eq!(back[2], want[2]);
    }

    #[test]
    fn contradictions_and_gaps_are_refused() {
        for names in [
            vec!["a", "a__map_b"],
            vec!["a__list_0", "a__map_b"],
            vec!["a__list_0", "a__list_2"],
            vec!["a__list_x"],
            vec!["a", "a"],
        ] {
            let line = |name: &str| Line {
                name: name.to_owned(),
                value: "v".to_owned(),
                span: Span::default(),
            };
            let lines = names.iter().map(|name| line(name)).collect();
            assert!(unflatten(lines, Span::default()).is_err(), "{names:?}");
        }
    }
}
