//! Values out of YAML, and fields out of whatever kind of document a value is.

use dsops_secure_mem::SecretBytes;

use super::path::{Path, Step};
use super::{TransformErrorKind, build, encoding, json, text};
use crate::yaml::{self, Node, Scalar, Style, SyntaxErrorKind, Value};

/// The value at a path: a scalar's text as written, with quotes, escapes and folding undone; data
/// with the tag `!!binary` decoded; a list or mapping as its own YAML, moved to the left.
pub(super) fn extract_yaml(bytes: &[u8], path: &Path) -> Result<SecretBytes, TransformErrorKind> {
    let source = text::text(bytes)?;
    let root = parse(source)?;
    take(source, find(&root, path)?, path)
}

/// The value of a field: of JSON if the value is JSON, else of YAML.
///
/// A key that is exactly `field` wins over `field` read as a path.
pub(super) fn field(
    bytes: &[u8],
    field: &str,
    path: Option<&Path>,
) -> Result<SecretBytes, TransformErrorKind> {
    let key = Path::key(field);
    let either = |extract: &dyn Fn(&Path) -> Result<SecretBytes, TransformErrorKind>| {
        match (extract(&key), path) {
            // A list has no keys, but items.
            (
                Err(TransformErrorKind::NotFound { .. } | TransformErrorKind::WrongKind { .. }),
                Some(path),
            ) => extract(path),
            (result, _) => result,
        }
    };
    let is_like_json =
        bytes.trim_ascii_start().starts_with(b"{") || bytes.trim_ascii_start().starts_with(b"[");
    if !is_like_json {
        return either(&|path| extract_yaml(bytes, path));
    }
    let from_json = either(&|path| json::extract(bytes, path));
    let Err(TransformErrorKind::Malformed { .. }) = from_json else { return from_json };
    // `{a: b}` is YAML only. If it is neither, it was meant to be JSON.
    match either(&|path| extract_yaml(bytes, path)) {
        Err(TransformErrorKind::Malformed { .. }) => from_json,
        result => result,
    }
}

fn parse(source: &str) -> Result<Node, TransformErrorKind> {
    yaml::parse(source).map_err(|error| {
        // The parser's own words may quote the text.
        let reason = match error.kind {
            SyntaxErrorKind::TooLarge { .. } | SyntaxErrorKind::TooManyNodes { .. } => {
                "it is too large"
            }
            SyntaxErrorKind::TooDeep { .. } => "it is nested too deeply",
            SyntaxErrorKind::ControlCharacter { .. } => "a control character",
            SyntaxErrorKind::MultipleDocuments => "a second document starts",
            SyntaxErrorKind::DuplicateKey { .. } => "a key is there twice",
            SyntaxErrorKind::ComplexKey => "a mapping or list is a key",
            SyntaxErrorKind::RecursiveAlias | SyntaxErrorKind::UnknownAlias => {
                "an alias without its anchor"
            }
            SyntaxErrorKind::TabIndentation => "a tab is used as indentation",
            SyntaxErrorKind::UnclosedQuote => "a quote is not closed",
            SyntaxErrorKind::UnclosedBracket { .. } => "a bracket is not closed",
            _ => "it cannot be read",
        };
        let offset = error.span.start.offset;
        TransformErrorKind::Malformed { format: "YAML", reason, offset }
    })
}

fn find<'a>(root: &'a Node, path: &Path) -> Result<&'a Node, TransformErrorKind> {
    let mut here = root;
    for (depth, step) in path.steps.iter().enumerate() {
        let next = match (&here.value, step) {
            (Value::Mapping(_), Step::Key(key)) => here.get(key),
            (Value::Sequence(items), step) => step.index().and_then(|index| items.get(index)),
            _ => {
                let (path, found) = (path.up_to(depth), here.kind());
                return Err(TransformErrorKind::WrongKind { path, found });
            }
        };
        let not_found = || TransformErrorKind::NotFound { path: path.up_to(depth + 1) };
        here = next.ok_or_else(not_found)?;
    }
    Ok(here)
}

fn take(source: &str, node: &Node, path: &Path) -> Result<SecretBytes, TransformErrorKind> {
    match node.scalar() {
        Some(Scalar::Null) => Err(TransformErrorKind::Null { path: path.to_string() }),
        Some(Scalar::Binary(text)) => encoding::base64_decode(text.as_bytes()),
        Some(_) => Ok(SecretBytes::copy_from(node.as_str().unwrap_or_default().as_bytes())?),
        None if has_alias(node) => Err(TransformErrorKind::Alias { path: path.to_string() }),
        None => cut(source, node),
    }
}

/// A list or mapping as it was written, without the indentation it had.
fn cut(source: &str, node: &Node) -> Result<SecretBytes, TransformErrorKind> {
    let mut range = node.span.range();
    if ends_with_block_text(node) {
        // The line break at the end, and blank lines after it, may belong to the text.
        let rest = &source[range.end..];
        let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        let last_break = rest[..blank].rfind('\n').map_or(0, |at| at + 1);
        range.end += last_break;
    }
    let indentation = node.span.start.column - 1;
    let text = &source.as_bytes()[range];
    build(text.len(), |out| {
        let mut used = 0;
        for (index, line) in text.split_inclusive(|&b| b == b'\n').enumerate() {
            let blanks = line.iter().take_while(|&&b| b == b' ').count();
            let line = if index == 0 { line } else { &line[blanks.min(indentation)..] };
            out[used..used + line.len()].copy_from_slice(line);
            used += line.len();
        }
        Ok(used)
    })
}

fn ends_with_block_text(node: &Node) -> bool {
    match &node.value {
        Value::Scalar { style, .. } => matches!(style, Style::Literal | Style::Folded),
        Value::Mapping(entries) => {
            entries.last().is_some_and(|(_, last)| ends_with_block_text(last))
        }
        Value::Sequence(items) => items.last().is_some_and(ends_with_block_text),
    }
}

fn has_alias(node: &Node) -> bool {
    node.is_alias()
        || match &node.value {
            Value::Scalar { .. } => false,
            Value::Mapping(entries) => {
                entries.iter().any(|(key, value)| has_alias(key) || has_alias(value))
            }
            Value::Sequence(items) => items.iter().any(has_alias),
        }
}
