//! The little of YAML that a policy file needs: mappings, lists and texts, each with its place.
//!
//! Anchors, aliases, tags, merge keys and second documents are refused, characters that are not
//! seen, and outside comments letters that only look like others: a policy has to mean what it
//! looks like.

use granit_parser::{Event, Parser, ScalarStyle, Span};

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

const ALIAS: &str =
    "`*` begins an alias, which is not allowed here: a text that begins with it needs quotes";

/// How much a policy may hold.
const NODES: usize = 20_000;
const DEPTH: usize = 16;

/// Reads the one document of a text; `None` when it has none.
pub(super) fn parse(text: &str) -> Result<Option<Node>, (Place, String)> {
    if let Some((offset, c)) = text.char_indices().find(|(_, c)| is_hidden(*c)) {
        let problem = format!("a character that is not seen, U+{:04X}", u32::from(c));
        return Err((place_of(text, offset), problem));
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
            let problem = error.kind().to_string();
            (place, if problem.contains("unknown anchor") { ALIAS.to_owned() } else { problem })
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
            Event::Alias(..) => return Err((place, ALIAS.to_owned())),
            Event::Scalar(value, style, anchor, tag) => {
                plain(place, anchor, tag.is_some())?;
                as_it_looks(&value, style, text, &span).map_err(|problem| (place, problem))?;
                Node { place, value: Value::Text(value.into_owned()) }
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
                if name == "<<" {
                    return Err((node.place, "merge keys are not allowed here".to_owned()));
                }
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

/// Whether a text says what it shows. Letters of other alphabets look like those of English, so
/// another file or signer than the one that is read could be meant; written as an escape, everybody
/// sees which it is. And nothing is no text.
fn as_it_looks(value: &str, style: ScalarStyle, text: &str, span: &Span) -> Result<(), String> {
    // The parser's word for nothing at all is `~`.
    let is_nothing = value.is_empty() || value == "~" || value.eq_ignore_ascii_case("null");
    if style == ScalarStyle::Plain && is_nothing {
        return Err("a value is missing here".to_owned());
    }
    let Some(c) = value.chars().find(|c| !c.is_ascii()) else { return Ok(()) };
    // In other styles nothing can be escaped.
    if style == ScalarStyle::DoubleQuoted && span.slice(text).is_some_and(str::is_ascii) {
        return Ok(());
    }
    let number = u32::from(c);
    let escape =
        if number > 0xffff { format!("\\U{number:08x}") } else { format!("\\u{number:04x}") };
    Err(format!("`{}` can be mistaken for another: write it as \"{escape}\"", c.escape_debug()))
}

/// What no editor shows, or what changes the order in which the rest is shown.
fn is_hidden(c: char) -> bool {
    let odd = matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    odd || (c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
}

fn place_of(text: &str, offset: usize) -> Place {
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    Place { line, column }
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
            ("a: { <<: { b: c } }\n", 1, 6),
            ("a: \u{1}\n", 1, 4),
            ("a: \u{9b}2J\n", 1, 4),
            ("# \u{202e}\na: b\n", 1, 3),
            ("a: b\u{200b}\n", 1, 5),
            ("a: *.gz\n", 1, 4),
            // Letters that look like those of English.
            ("a: c\u{456}\n", 1, 4),
            ("c\u{456}: a\n", 1, 1),
            ("a: 'c\u{456}'\n", 1, 4),
            ("a: \"c\u{456}\\u0456\"\n", 1, 4),
            ("a: |\n  c\u{456}\n", 2, 3),
            ("a:\n", 1, 2),
            ("a: ~\n", 1, 4),
            ("a: [b, Null]\n", 1, 8),
            ("a: b\nc: [x, \"\u{456}\"]\n", 2, 8),
        ] {
            let (place, problem) = parse(bad).unwrap_err();
            assert_eq!((place.line, place.column), (line, column), "{bad:?}: {problem}");
        }
        assert!(parse(&"[".repeat(100)).is_err());
        // As an escape it is seen, and a comment decides nothing.
        let root = parse("# \u{e4}\u{456} # \na: \"c\\u0456\"  # \u{456}\n").unwrap().unwrap();
        let Value::Mapping(entries) = root.value else { panic!() };
        assert!(matches!(&entries[0].1.value, Value::Text(text) if text == "c\u{456}"));
    }
}
