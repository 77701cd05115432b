//! From the parser's events to the tree, with limits and exact places.

use std::collections::BTreeMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, StructureStyle, Tag};

use super::error::from_scanner;
use super::{Node, Position, Span, Style, SyntaxError, SyntaxErrorKind, Text, Value};

/// How much a text may ask for before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The size of the text in bytes; aliases may add as much again.
    pub text_bytes: usize,
    /// Nested lists and mappings.
    pub depth: usize,
    /// Nodes of the tree, aliases expanded.
    pub nodes: usize,
}

impl Default for Limits {
    /// 8 MiB, 64 levels, 200,000 nodes.
    fn default() -> Self {
        Self { text_bytes: 8 << 20, depth: 64, nodes: 200_000 }
    }
}

/// Parses the one document of a text within the default limits.
///
/// A text without a document (empty, or only comments) is null.
///
/// # Errors
/// The first thing wrong with the text.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    parse_with(text, Limits::default())
}

/// Parses the one document of a text within limits of the caller's.
///
/// # Errors
/// The first thing wrong with the text, or the limit it passes.
pub fn parse_with(text: &str, limits: Limits) -> Result<Node, SyntaxError> {
    if text.len() > limits.text_bytes {
        let kind = SyntaxErrorKind::TooLarge { bytes: text.len(), limit: limits.text_bytes };
        return Err(SyntaxError::at(kind, Position::START));
    }
    refuse_control_characters(text)?;
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: limits.depth,
        block_nesting_limit: limits.depth,
    };
    let mut builder = Builder::new(text, limits);
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => builder.take(event, &span)?,
            Err(error) => {
                let kind = from_scanner(error.kind(), limits.depth);
                let mut position = builder.position(error.marker());
                if kind == SyntaxErrorKind::TabIndentation {
                    // The parser names the start of what the tab broke, or what comes after it.
                    let blanks = text[..position.offset].trim_end_matches([' ', '\t']).len();
                    let tab = text[blanks..].find('\t').unwrap_or(0);
                    position = Position::START.advance(text, blanks + tab);
                }
                return Err(SyntaxError::at(kind, position));
            }
        }
    }
    Ok(builder.root.unwrap_or_else(|| Node {
        value: Value::Scalar { text: Text::default(), style: Style::Plain, tag: None },
        span: Span { start: Position::START, end: Position::START },
        tag: None,
        alias: false,
    }))
}

/// The parser takes NUL for the end of the text; the others are outside YAML's character set.
fn refuse_control_characters(text: &str) -> Result<(), SyntaxError> {
    let bad = |byte: u8| (byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')) || byte == 0x7f;
    let Some(offset) = text.bytes().position(bad) else { return Ok(()) };
    let kind = SyntaxErrorKind::ControlCharacter { code: text.as_bytes()[offset] };
    Err(SyntaxError::at(kind, Position::START.advance(text, offset)))
}

/// A list or mapping whose end has not come yet.
struct Frame {
    content: Content,
    flow: bool,
    start: Position,
    anchor: usize,
    tag: Option<String>,
}

enum Content {
    Mapping { entries: Vec<(Node, Node)>, key: Option<Node> },
    Sequence(Vec<Node>),
}

/// What an anchor names, and what it costs to repeat it.
struct Anchored {
    node: Node,
    weight: Weight,
}

#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    text_bytes: usize,
    depth: usize,
}

struct Builder<'a> {
    text: &'a str,
    limits: Limits,
    stack: Vec<Frame>,
    root: Option<Node>,
    anchors: BTreeMap<usize, Anchored>,
    nodes: usize,
    repeated_bytes: usize,
    /// Where the event before this one ended: what lies after it is punctuation of this one.
    previous_end: Position,
    documents: usize,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, limits: Limits) -> Self {
        Self {
            text,
            limits,
            stack: Vec::new(),
            root: None,
            anchors: BTreeMap::new(),
            nodes: 0,
            repeated_bytes: 0,
            previous_end: Position::START,
            documents: 0,
        }
    }

    fn position(&self, marker: &Marker) -> Position {
        let mut offset = marker.byte_offset().unwrap_or_default().min(self.text.len());
        // Errors inside a character do not happen today; a wrong place is better than a panic.
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        Position { offset, line: marker.line(), column: marker.col() + 1 }
    }

    fn take(&mut self, event: Event<'_>, span: &granit_parser::Span) -> Result<(), SyntaxError> {
        let span = Span { start: self.position(&span.start), end: self.position(&span.end) };
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(SyntaxError::new(SyntaxErrorKind::MultipleDocuments, span));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let style = scalar_style(style);
                // The parser spells out a null that is not written.
                let absent = style == Style::Plain && span.range().is_empty();
                let text = if absent { Text::default() } else { Text::from(text.into_owned()) };
                let node_span = match style {
                    Style::Literal | Style::Folded => self.block_scalar_span(span),
                    Style::Plain if absent => self.absent_span(span),
                    _ => span,
                };
                let value = Value::Scalar { text, style, tag: tag.map(|tag| tag_text(&tag)) };
                self.add(Node { value, span: node_span, tag: None, alias: false }, anchor)?;
            }
            Event::Alias(id) => {
                let node = self.repeat(id, span)?;
                self.add(node, 0)?;
            }
            Event::MappingStart(style, anchor, tag) => {
                let content = Content::Mapping { entries: Vec::new(), key: None };
                self.open(content, style, span.start, anchor, tag.as_deref())?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                let start = if style == StructureStyle::Block {
                    self.first_dash(span.start)
                } else {
                    span.start
                };
                self.open(Content::Sequence(Vec::new()), style, start, anchor, tag.as_deref())?;
            }
            Event::MappingEnd | Event::SequenceEnd => self.close(span)?,
            _ => {}
        }
        self.previous_end = self.previous_end.max(span.end);
        Ok(())
    }

    fn open(
        &mut self,
        content: Content,
        style: StructureStyle,
        start: Position,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<(), SyntaxError> {
        if self.stack.len() >= self.limits.depth {
            return Err(SyntaxError::at(self.too_deep(), start));
        }
        let flow = style == StructureStyle::Flow;
        self.stack.push(Frame { content, flow, start, anchor, tag: tag.map(tag_text) });
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), SyntaxError> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let last = match &frame.content {
            Content::Mapping { entries, .. } => {
                entries.last().map(|(key, value)| value.span.end.max(key.span.end))
            }
            Content::Sequence(items) => items.last().map(|item| item.span.end),
        };
        // The end of a block collection is found at the next token; its text ends before.
        let end = if frame.flow { end.end } else { last.unwrap_or(frame.start) };
        let span = Span { start: frame.start, end: end.max(frame.start) };
        let value = match frame.content {
            Content::Mapping { entries, .. } => {
                refuse_duplicates(&entries)?;
                Value::Mapping(entries)
            }
            Content::Sequence(items) => Value::Sequence(items),
        };
        self.add(Node { value, span, tag: frame.tag, alias: false }, frame.anchor)
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), SyntaxError> {
        self.count(1, node.span)?;
        if anchor != 0 {
            let weight = weigh(&node);
            self.count(weight.nodes, node.span)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), weight });
        }
        match self.stack.last_mut().map(|frame| &mut frame.content) {
            None => self.root = Some(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { entries, key }) => match key.take() {
                Some(key) => entries.push((key, node)),
                None if matches!(node.value, Value::Scalar { .. }) => *key = Some(node),
                None => return Err(SyntaxError::new(SyntaxErrorKind::ComplexKey, node.span)),
            },
        }
        Ok(())
    }

    fn repeat(&mut self, id: usize, span: Span) -> Result<Node, SyntaxError> {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(SyntaxError::new(SyntaxErrorKind::RecursiveAlias, span));
        };
        let weight = anchored.weight;
        if self.stack.len() + weight.depth > self.limits.depth {
            return Err(SyntaxError::new(self.too_deep(), span));
        }
        self.repeated_bytes = self.repeated_bytes.saturating_add(weight.text_bytes);
        if self.repeated_bytes > self.limits.text_bytes {
            let kind = SyntaxErrorKind::TooLarge {
                bytes: self.repeated_bytes,
                limit: self.limits.text_bytes,
            };
            return Err(SyntaxError::new(kind, span));
        }
        self.count(weight.nodes, span)?;
        let mut node = self.anchors[&id].node.clone();
        node.span = span;
        node.alias = true;
        Ok(node)
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), SyntaxError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.limits.nodes {
            let kind = SyntaxErrorKind::TooManyNodes { limit: self.limits.nodes };
            return Err(SyntaxError::new(kind, span));
        }
        Ok(())
    }

    fn too_deep(&self) -> SyntaxErrorKind {
        SyntaxErrorKind::TooDeep { limit: self.limits.depth }
    }

    /// The parser gives the content of a block scalar; its header belongs to it, blank lines after
    /// it do not.
    fn block_scalar_span(&self, content: Span) -> Span {
        let bytes = self.text.as_bytes();
        let mut at = self.previous_end.offset;
        let header = loop {
            match bytes.get(at) {
                Some(b'|' | b'>') if at <= content.start.offset => break at,
                Some(b' ' | b'\t' | b'\n' | b'\r' | b':' | b'-' | b'?') => at += 1,
                Some(b'#') => at = self.find(at, |b| b == b'\n'),
                Some(b'&' | b'!') => at = self.find(at, |b| b.is_ascii_whitespace()),
                _ => return content,
            }
        };
        let start = self.previous_end.advance(self.text, header);
        let header_end =
            self.find(header, |b| !matches!(b, b'|' | b'>' | b'+' | b'-' | b'0'..=b'9'));
        let text = self.text.get(content.range()).unwrap_or_default();
        let shown = text.trim_end_matches(['\n', '\r', ' ', '\t']).len();
        let end = if shown == 0 {
            start.advance(self.text, header_end)
        } else {
            // Blanks at the end of the last line with content are content.
            let blanks = text[shown..].bytes().take_while(|b| matches!(b, b' ' | b'\t')).count();
            content.start.advance(self.text, content.start.offset + shown + blanks)
        };
        Span { start, end }
    }

    /// A list that is indented no deeper than its key is given from its first item's content on.
    fn first_dash(&self, start: Position) -> Position {
        if !self.in_value() {
            return start;
        }
        let bytes = self.text.as_bytes();
        let mut at = self.previous_end.offset;
        while at < start.offset {
            match bytes[at] {
                b'-' => return self.previous_end.advance(self.text, at),
                b'#' => at = self.find(at, |b| b == b'\n'),
                b'&' | b'!' => at = self.find(at, |b| b.is_ascii_whitespace()),
                _ => at += 1,
            }
        }
        start
    }

    /// Whether the next node is the value of a key.
    fn in_value(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Frame { content: Content::Mapping { key: Some(_), .. }, .. })
        )
    }

    /// A value that is not written stands after its colon (and tag and anchor), not before.
    fn absent_span(&self, span: Span) -> Span {
        if !self.in_value() {
            return span;
        }
        let bytes = self.text.as_bytes();
        let mut at = self.previous_end.offset;
        loop {
            match bytes.get(at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => at += 1,
                Some(b'#') => at = self.find(at, |b| b == b'\n'),
                Some(b':') => break,
                _ => return span,
            }
        }
        let mut end = at + 1;
        loop {
            let next = self.find(end, |b| !matches!(b, b' ' | b'\t'));
            match bytes.get(next) {
                Some(b'&' | b'!') => {
                    end = self
                        .find(next, |b| b.is_ascii_whitespace() || matches!(b, b',' | b'}' | b']'));
                }
                _ => break,
            }
        }
        let position = self.previous_end.advance(self.text, end);
        Span { start: position, end: position }
    }

    /// The first place from `from` whose byte fits, or the end.
    fn find(&self, from: usize, fits: impl Fn(u8) -> bool) -> usize {
        let rest = &self.text.as_bytes()[from..];
        rest.iter().position(|&b| fits(b)).map_or(self.text.len(), |n| from + n)
    }
}

/// Recursion is bounded by the depth limit, which holds for every anchored node.
fn weigh(node: &Node) -> Weight {
    let children: Weight = match &node.value {
        Value::Scalar { text, .. } => return Weight { nodes: 1, text_bytes: text.len(), depth: 0 },
        Value::Mapping(entries) => entries
            .iter()
            .fold(Weight::default(), |sum, (k, v)| join(join(sum, weigh(k)), weigh(v))),
        Value::Sequence(items) => {
            items.iter().fold(Weight::default(), |sum, item| join(sum, weigh(item)))
        }
    };
    Weight { nodes: children.nodes + 1, depth: children.depth + 1, ..children }
}

fn join(a: Weight, b: Weight) -> Weight {
    Weight {
        nodes: a.nodes + b.nodes,
        text_bytes: a.text_bytes + b.text_bytes,
        depth: a.depth.max(b.depth),
    }
}

/// Reports the first key, in the order of the text, that was there before.
fn refuse_duplicates(entries: &[(Node, Node)]) -> Result<(), SyntaxError> {
    let key = |index: usize| entries[index].0.as_str().unwrap_or_default();
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|&index| (key(index), index));
    let duplicate =
        order.windows(2).filter(|pair| key(pair[0]) == key(pair[1])).min_by_key(|pair| pair[1]);
    let Some(&[first, second]) = duplicate else { return Ok(()) };
    let kind = SyntaxErrorKind::DuplicateKey {
        key: key(second).to_owned(),
        first: entries[first].0.span.start,
    };
    Err(SyntaxError::new(kind, entries[second].0.span))
}

fn tag_text(tag: &Tag) -> String {
    format!("{}{}", tag.handle(), tag.suffix())
}

fn scalar_style(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}
