//! Where the comments of a document stand, and the paths that could authenticate each.
//!
//! Sops encrypts a comment with the path of the mapping that it takes it for a part of. Which one
//! that is, is a matter of its YAML library; here a comment has all paths around it as candidates,
//! and the one under which it opens is its own.

use std::ops::Range;

use dsops_resolver::yaml::{Node, Position, Value};

use super::{Format, format, path::SOPS_SECTION};

/// How much all candidates together may take; comments beyond it have none.
const PATHS_LIMIT_BYTES: usize = 16 << 20;

/// A comment.
pub(super) struct Comment {
    /// From its `#` or `;` to the end of its line.
    pub range: Range<usize>,
    /// Where its text starts.
    body: usize,
    /// The paths under which it may be encrypted, each part followed by a colon; the likeliest
    /// first. None where all comments together have more than the limit.
    pub paths: Vec<String>,
    /// The parts of the likeliest path.
    pub parts: Vec<String>,
}

impl Comment {
    pub(super) fn body<'a>(&self, text: &'a str) -> &'a str {
        &text[self.body_range()]
    }

    pub(super) fn body_range(&self) -> Range<usize> {
        self.body..self.range.end
    }

    pub(super) fn position(&self, text: &str) -> Position {
        Position::START.advance(text, self.range.start)
    }
}

/// All comments outside of the `sops` section, in order.
pub(super) fn find(format: Format, text: &str, root: &Node) -> Vec<Comment> {
    let ranges = format::comments(format, text, root);
    if ranges.is_empty() {
        return Vec::new();
    }
    let mut map = Map::default();
    map.walk(root, None, true, format == Format::Ini);
    map.landmarks.sort_by_key(|(offset, _)| *offset);
    let mut budget_bytes = PATHS_LIMIT_BYTES;
    ranges
        .into_iter()
        .map(|range| {
            let mut body = range.start + 1;
            if format == Format::Ini {
                let rest = &text[body..range.end];
                body += rest.len() - rest.trim_start().len();
            }
            let next = map.landmarks.partition_point(|(offset, _)| *offset < range.start);
            let mut paths: Vec<String> = Vec::new();
            let (after, before) =
                (map.landmarks.get(next), next.checked_sub(1).map(|at| &map.landmarks[at]));
            // A comment on a line of its own is about what follows, unless it stands further in.
            let lead = column(text, range.start);
            let own_line = text[range.start - lead..range.start].trim().is_empty();
            let follows = after.is_none_or(|(offset, _)| lead <= column(text, *offset));
            let around = if own_line && follows { [after, before] } else { [before, after] };
            let mut around: Vec<_> =
                around.into_iter().flatten().map(|(_, parent)| *parent).collect();
            if around.is_empty() {
                // Nothing but comments: they are about the document.
                around.push(None);
            }
            let parts = map.parts(around[0]).into_iter().map(str::to_owned).collect();
            for mut above in around {
                loop {
                    let path = map.path(above);
                    let used = path.len().min(budget_bytes + 1);
                    if used <= budget_bytes && !paths.contains(&path) {
                        budget_bytes -= used;
                        paths.push(path);
                    }
                    match above {
                        Some(at) => above = map.groups[at].0,
                        None => break,
                    }
                }
            }
            Comment { range, body, paths, parts }
        })
        .collect()
}

/// Bytes from the start of the line.
fn column(text: &str, offset: usize) -> usize {
    offset - text[..offset].rfind('\n').map_or(0, |at| at + 1)
}

/// The places in a document, each with the group that it is in.
#[derive(Default)]
struct Map<'a> {
    /// A group in its group, and its name.
    groups: Vec<(Option<usize>, &'a str)>,
    landmarks: Vec<(usize, Option<usize>)>,
}

impl<'a> Map<'a> {
    /// With `headers`, the groups at the top start with a header that is a part of them.
    fn walk(&mut self, node: &'a Node, group: Option<usize>, top: bool, headers: bool) {
        if node.is_alias() {
            return;
        }
        match &node.value {
            Value::Mapping(entries) => {
                for (name, value) in entries {
                    let part = name.as_str().unwrap_or_default();
                    if !(top && headers) {
                        self.landmarks.push((name.span.start.offset, group));
                    }
                    if top && part == SOPS_SECTION {
                        continue;
                    }
                    if matches!(value.value, Value::Scalar { .. }) {
                        continue;
                    }
                    self.groups.push((group, part));
                    let below = Some(self.groups.len() - 1);
                    // A block starts with its first child; a section of INI before it.
                    self.landmarks.push((value.span.start.offset, below));
                    self.walk(value, below, false, headers);
                }
            }
            Value::Sequence(items) => {
                for item in items {
                    self.landmarks.push((item.span.start.offset, group));
                    self.walk(item, group, false, headers);
                }
            }
            Value::Scalar { .. } => {}
        }
    }

    /// The parts of a group's path, each followed by a colon; `:` at the top.
    fn path(&self, group: Option<usize>) -> String {
        let parts = self.parts(group);
        if parts.is_empty() {
            return ":".to_owned();
        }
        parts.iter().flat_map(|part| [*part, ":"]).collect()
    }

    /// The parts of a group's path.
    fn parts(&self, group: Option<usize>) -> Vec<&'a str> {
        let mut parts = Vec::new();
        let mut above = group;
        while let Some(at) = above {
            let (next, part) = self.groups[at];
            parts.push(part);
            above = next;
        }
        parts.reverse();
        parts
    }
}
