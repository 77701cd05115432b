//! The little of YAML that a policy file needs: mappings, lists and texts, each with its place.
//!
//! Anchors, aliases, tags, merge keys and second documents are refused: a policy has to mean what
//! it looks like.

use granit_parser::{Event, Parser, Span};

/// A place in the text, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A value and where it starts.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    List(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

/// How much a policy may hold.
const NODES: usize = 20_000;
const DEPTH: usize = 16;

/// Reads the one document of a text; `None` when it has none.
pub(super) fn parse(text: &str) -> Result<Option<Node>, (Place, String)> {
    if let Some(offset) = text.bytes().position(|b| b < 0x20 && !b"\t\n\r".contains(&b)) {
        let before = &text[..offset];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        return Err((Place { line, column }, "a control character".to_owned()));
    }
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: DEPTH,
        block_nesting_limit: DEPTH,
    };
    let mut open: Vec<Frame> = Vec::new();
    let mut root = None;
    let (mut nodes, mut documents) = (0, 0);
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            let place = Place { line: marker.line(), column: marker.col() + 1 };
            (place, error.kind().to_string())
        })?;
        let place = start(&span);
        nodes += 1;
        if nodes > NODES {
            return Err((place, format!("more than {NODES} values")));
        }
        let node = match event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    return Err((place, "a second document".to_owned()));
                }
                continue;
            }
            Event::Alias(..) => return Err((place, "aliases are not allowed here".to_owned())),
            Event::Scalar(text, _, anchor, tag) => {
                plain(place, anchor, tag.is_some())?;
                Node { place, value: Value::Text(text.into_owned()) }
            }
            Event::SequenceStart(_, anchor, tag) => {
                plain(place, anchor, tag.is_some())?;
                open.push(Frame { place, content: Content::List(Vec::new()) });
                continue;
            }
            Event::MappingStart(_, anchor, tag) => {
                plain(place, anchor, tag.is_some())?;
                open.push(Frame { place, content: Content::Mapping(Vec::new(), None) });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(frame) => frame.close(),
                None => continue,
            },
            _ => continue,
        };
        match open.last_mut() {
            None => root = Some(node),
            Some(frame) => frame.content.take(node)?,
        }
    }
    Ok(root)
}

struct Frame {
    place: Place,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Mapping(Vec<(Node, Node)>, Option<Node>),
}

impl Frame {
    fn close(self) -> Node {
        let value = match self.content {
            Content::List(items) => Value::List(items),
            Content::Mapping(entries, _) => Value::Mapping(entries),
        };
        Node { place: self.place, value }
    }
}

impl Content {
    fn take(&mut self, node: Node) -> Result<(), (Place, String)> {
        match self {
            Self::List(items) => items.push(node),
            Self::Mapping(entries, key @ None) => {
                let Value::Text(name) = &node.value else {
                    return Err((node.place, "a key is one line of text".to_owned()));
                };
                let same = |(other, _): &&(Node, Node)| matches!(&other.value, Value::Text(other) if other == name);
                if let Some((first, _)) = entries.iter().find(same) {
                    let problem = format!(
                        "the key `{}` is there twice (first on line {})",
                        name.escape_debug(),
                        first.place.line
                    );
                    return Err((node.place, problem));
                }
                *key = Some(node);
            }
            Self::Mapping(entries, key) => {
                if let Some(key) = key.take() {
                    entries.push((key, node));
                }
            }
        }
        Ok(())
    }
}

fn plain(place: Place, anchor: usize, tagged: bool) -> Result<(), (Place, String)> {
    if anchor != 0 || tagged {
        return Err((place, "anchors and tags are not allowed here".to_owned()));
    }
    Ok(())
}

fn start(span: &Span) -> Place {
    Place { line: span.start.line(), column: span.start.col() + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_values() {
        let root = parse("a: 1\nb:\n  - x\n  - 'y z'\n").unwrap().unwrap();
        let Value::Mapping(entries) = root.value else { panic!() };
        assert_eq!(entries[1].0.place, Place { line: 2, column: 1 });
        let Value::List(items) = &entries[1].1.value else { panic!() };
        assert_eq!(items[1].place, Place { line: 4, column: 5 });
        assert!(matches!(&items[1].value, Value::Text(text) if text == "y z"));
        assert!(parse("# nothing\n").unwrap().is_none());
    }

    #[test]
    fn what_a_policy_does_not_need() {
        for (bad, line, column) in [
            ("a: &x 1\n", 1, 7),
            ("a: b\nb: *x\n", 2, 4),
            ("a: !!str 1\n", 1, 10),
            ("a: 1\n---\nb: 2\n", 2, 1),
            ("a: 1\na: 2\n", 2, 1),
            ("? [a]\n: 1\n", 1, 3),
            ("a: \u{1}\n", 1, 4),
        ] {
            let (place, problem) = parse(bad).unwrap_err();
            assert_eq!((place.line, place.column), (line, column), "{bad:?}: {problem}");
        }
        assert!(parse(&"[".repeat(100)).is_err());
    }
}
