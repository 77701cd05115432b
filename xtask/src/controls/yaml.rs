//! The little of YAML that workflows need: a tree of texts, lists and mappings, each with its line.
//!
//! Anchors, aliases and tags are refused: a workflow has to mean what it looks like.

use anyhow::bail;
use granit_parser::{Event, Parser};

/// A value and the line it starts on, counted from 1.
#[derive(Clone, Debug)]
pub struct Node {
    pub line: usize,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub enum Value {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of a key; `None` where there is none, or this is no mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The text of a key.
    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Self::text)
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What a list holds; nothing for anything else.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// What a mapping holds, in order; nothing for anything else.
    pub fn entries(&self) -> &[(String, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// One text or a list of texts.
    pub fn texts(&self) -> Vec<&str> {
        match &self.value {
            Value::Text(text) => vec![text],
            _ => self.items().iter().filter_map(Self::text).collect(),
        }
    }
}

/// Reads the one document of a text.
///
/// # Errors
/// It is no YAML, is empty, has a key twice, or uses what is refused.
pub fn parse(text: &str) -> anyhow::Result<Node> {
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| anyhow::anyhow!("no YAML: {error}"))?;
        let line = span.start.line();
        let value = match event {
            Event::Alias(..) => bail!("line {line}: aliases are not allowed here"),
            Event::Scalar(_, _, anchor, tag) if anchor != 0 || tag.is_some() => {
                bail!("line {line}: anchors and tags are not allowed here")
            }
            Event::Scalar(text, ..) => Value::Text(text.into_owned()),
            Event::SequenceStart(..) => {
                open.push(Open { line, key: None, value: Value::List(Vec::new()) });
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open { line, key: None, value: Value::Map(Vec::new()) });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(closed) => {
                    place(Node { line: closed.line, value: closed.value }, &mut open, &mut root)?;
                    continue;
                }
                None => continue,
            },
            _ => continue,
        };
        place(Node { line, value }, &mut open, &mut root)?;
    }
    root.ok_or_else(|| anyhow::anyhow!("no document"))
}

/// A list or mapping that is being read, with the key whose value comes next.
struct Open {
    line: usize,
    key: Option<String>,
    value: Value,
}

/// Puts a value where it belongs.
fn place(node: Node, open: &mut [Open], root: &mut Option<Node>) -> anyhow::Result<()> {
    let Some(parent) = open.last_mut() else {
        if root.replace(node).is_some() {
            bail!("a second document");
        }
        return Ok(());
    };
    match &mut parent.value {
        Value::List(items) => items.push(node),
        Value::Map(entries) => {
            if let Some(key) = parent.key.take() {
                entries.push((key, node));
                return Ok(());
            }
            let Some(key) = node.text() else { bail!("line {}: a key is no text", node.line) };
            if entries.iter().any(|(known, _)| known == key) {
                bail!("line {}: `{key}` occurs twice", node.line);
            }
            parent.key = Some(key.to_owned());
        }
        Value::Text(_) => bail!("line {}: a value inside a text", node.line),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_with_lines() {
        let tree =
            parse("on: [push, pull_request]\njobs:\n  a:\n    run: |\n      x\n      y\n").unwrap();
        assert_eq!(tree.get("on").unwrap().texts(), ["push", "pull_request"]);
        let job = tree.get("jobs").and_then(|jobs| jobs.get("a")).unwrap();
        assert_eq!((job.line, job.text_of("run")), (4, Some("x\ny\n")));
        assert_eq!(
            parse("permissions: {}\n").unwrap().get("permissions").unwrap().entries().len(),
            0
        );
    }

    #[test]
    fn what_is_refused() {
        for bad in
            ["", "a: &x 1\nb: *x\n", "a: 1\na: 2\n", "a: !t 1\n", "a: 1\n---\nb: 2\n", "a: [\n"]
        {
            parse(bad).unwrap_err();
        }
    }
}
