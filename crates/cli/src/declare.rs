//! Adds a variable to an environment of `dsops.yaml`, leaving every other byte as it is.

use dsops_resolver::yaml::{self, Node, Value};

/// The text of the configuration with `name: reference` added to `environment`; `None` when the
/// document has a shape that this does not edit (an anchor, an environment that is no mapping).
///
/// The caller checks the result by loading it.
pub fn declare(text: &str, environment: &str, name: &str, reference: &str) -> Option<String> {
    let document = yaml::parse(text).ok()?;
    let variables = entry(entry(&document, "envs")?, environment)?;
    let line = declaration(name, reference);
    match &variables.value {
        Value::Mapping(entries) if entries.is_empty() => {
            // `dev: {}` becomes a block, indented deeper than the environment's own name.
            let key = entry_key(entry(&document, "envs")?, environment)?;
            let indent = " ".repeat(key.span.start.column + 1);
            Some(splice(
                text,
                variables.span.start.offset,
                variables.span.end.offset,
                &format!("\n{indent}{line}"),
            ))
        }
        Value::Mapping(entries) => {
            let (first, last) = (&entries.first()?.0, &entries.last()?.1);
            if text[variables.span.start.offset..].starts_with('{') {
                let end = last.span.end.offset;
                return Some(splice(text, end, end, &format!(", {line}")));
            }
            let indent = " ".repeat(first.span.start.column - 1);
            let end = end_of_line(text, last.span.end.offset);
            let newline = if text[..end].ends_with('\n') { "" } else { "\n" };
            Some(splice(text, end, end, &format!("{newline}{indent}{line}\n")))
        }
        // `dev:` with nothing behind it.
        Value::Scalar { text: scalar, .. } if scalar.is_empty() => {
            let key = entry_key(entry(&document, "envs")?, environment)?;
            let indent = " ".repeat(key.span.start.column + 1);
            let end = end_of_line(text, key.span.end.offset);
            let newline = if text[..end].ends_with('\n') { "" } else { "\n" };
            Some(splice(text, end, end, &format!("{newline}{indent}{line}\n")))
        }
        _ => None,
    }
}

/// The line that declares a variable, as a person would write it.
pub fn declaration(name: &str, reference: &str) -> String {
    format!("{name}: {{ from: {reference} }}")
}

fn entry<'a>(mapping: &'a Node, key: &str) -> Option<&'a Node> {
    find(mapping, key).map(|(_, value)| value)
}

fn entry_key<'a>(mapping: &'a Node, key: &str) -> Option<&'a Node> {
    find(mapping, key).map(|(key, _)| key)
}

fn find<'a>(mapping: &'a Node, wanted: &str) -> Option<&'a (Node, Node)> {
    let Value::Mapping(entries) = &mapping.value else { return None };
    entries
        .iter()
        .find(|(key, _)| matches!(&key.value, Value::Scalar { text, .. } if text == wanted))
}

fn splice(text: &str, start: usize, end: usize, insert: &str) -> String {
    format!("{}{insert}{}", &text[..start], &text[end..])
}

/// The offset behind the line break that ends the line `offset` is on. A block scalar's end may
/// already be at the start of a line; then nothing is added.
fn end_of_line(text: &str, offset: usize) -> usize {
    if text[..offset].ends_with('\n') {
        return offset;
    }
    text[offset..].find('\n').map_or(text.len(), |at| offset + at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = "store://secrets/B";

    #[test]
    fn an_empty_environment_becomes_a_block() {
        assert_eq!(
            declare("version: 1\nenvs:\n  dev: {}\n", "dev", "B", REFERENCE).as_deref(),
            Some("version: 1\nenvs:\n  dev: \n    B: { from: store://secrets/B }\n")
        );
    }

    #[test]
    fn an_environment_without_a_value_becomes_a_block() {
        assert_eq!(
            declare("envs:\n  dev: # later\n  prod: {}\n", "dev", "B", REFERENCE).as_deref(),
            Some("envs:\n  dev: # later\n    B: { from: store://secrets/B }\n  prod: {}\n")
        );
    }

    #[test]
    fn a_block_grows_at_its_end_and_comments_stay() {
        let text = "envs:\n  dev:\n    A: { from: store://secrets/A } # why\n\n  # the real one\n  prod:\n    A: {literal: x}\n";
        assert_eq!(
            declare(text, "dev", "B", REFERENCE).as_deref(),
            Some(
                "envs:\n  dev:\n    A: { from: store://secrets/A } # why\n    B: { from: store://secrets/B }\n\n  # the real one\n  prod:\n    A: {literal: x}\n"
            )
        );
        assert_eq!(
            declare(text, "prod", "B", REFERENCE).as_deref(),
            Some(
                "envs:\n  dev:\n    A: { from: store://secrets/A } # why\n\n  # the real one\n  prod:\n    A: {literal: x}\n    B: { from: store://secrets/B }\n"
            )
        );
    }

    #[test]
    fn a_flow_mapping_stays_one() {
        assert_eq!(
            declare("envs: {dev: {A: {literal: x}}}", "dev", "B", REFERENCE).as_deref(),
            Some("envs: {dev: {A: {literal: x}, B: { from: store://secrets/B }}}")
        );
    }

    #[test]
    fn a_last_line_without_a_line_break_is_no_obstacle() {
        assert_eq!(
            declare("envs:\n  dev:\n    A: {literal: é}", "dev", "B", REFERENCE).as_deref(),
            Some("envs:\n  dev:\n    A: {literal: é}\n    B: { from: store://secrets/B }\n")
        );
    }

    #[test]
    fn an_unknown_environment_is_left_alone() {
        assert_eq!(declare("envs:\n  dev: {}\n", "prod", "B", REFERENCE), None);
        assert_eq!(declare("not: [valid", "dev", "B", REFERENCE), None);
    }
}
