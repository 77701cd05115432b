//! Adds a variable to an environment of `dsops.yaml`, or removes one, leaving every other byte as
//! it is.

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

/// The text of the configuration without the variable; `None` when it is not there or the document
/// has a shape that this does not edit. A comment behind the variable goes with it; other comments
/// stay.
pub fn undeclare(text: &str, environment: &str, name: &str) -> Option<String> {
    let document = yaml::parse(text).ok()?;
    let variables = entry(entry(&document, "envs")?, environment)?;
    let Value::Mapping(entries) = &variables.value else { return None };
    let at = entries.iter().position(|(key, _)| key.as_str() == Some(name))?;
    let (key, value) = &entries[at];
    // A value that stands elsewhere is an alias; its end is no place in this entry.
    if value.span.start.offset < key.span.end.offset {
        return None;
    }
    let (start, end) = (key.span.start.offset, value.span.end.offset.max(key.span.end.offset));
    if text[variables.span.start.offset..].starts_with('{') {
        // With the comma before it, or for the first one, with the comma behind it.
        return Some(
            match (at.checked_sub(1).map(|before| &entries[before]), entries.get(at + 1)) {
                (Some((_, before)), _) => splice(text, before.span.end.offset, end, ""),
                (None, Some((next, _))) => splice(text, start, next.span.start.offset, ""),
                (None, None) => splice(text, start, end, ""),
            },
        );
    }
    let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
    if !text[line..start].trim().is_empty() {
        return None;
    }
    let end = end_of_line(text, end);
    if entries.len() > 1 {
        return Some(splice(text, line, end, ""));
    }
    // An environment without variables is still one.
    let own = entry_key(entry(&document, "envs")?, environment)?;
    let colon = own.span.end.offset + text[own.span.end.offset..line].find(':')? + 1;
    let without = splice(text, line, end, "");
    Some(splice(&without, colon, colon, " {}"))
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
    fn a_variable_goes_with_its_lines_and_nothing_else_does() {
        let text = "envs:\n  dev: # mine\n    # the first\n    A: { literal: x } # gone\n    B:\n      from: store://s/B\n      optional: true\n    # the last\n    C: { literal: y }\n  prod: {}\n";
        assert_eq!(
            undeclare(text, "dev", "B").as_deref(),
            Some(
                "envs:\n  dev: # mine\n    # the first\n    A: { literal: x } # gone\n    # the last\n    C: { literal: y }\n  prod: {}\n"
            )
        );
        assert_eq!(
            undeclare(text, "dev", "A").as_deref(),
            Some(
                "envs:\n  dev: # mine\n    # the first\n    B:\n      from: store://s/B\n      optional: true\n    # the last\n    C: { literal: y }\n  prod: {}\n"
            )
        );
        assert_eq!(undeclare(text, "dev", "D"), None);
        assert_eq!(undeclare(text, "prod", "A"), None);
    }

    #[test]
    fn the_last_variable_leaves_an_empty_environment() {
        assert_eq!(
            undeclare("envs:\n  dev: # c\n    A: { literal: x }\n", "dev", "A").as_deref(),
            Some("envs:\n  dev: {} # c\n")
        );
    }

    #[test]
    fn a_flow_mapping_loses_one_comma() {
        let text = "envs: {dev: {A: {literal: x}, B: {literal: y}, C: {literal: z}}}";
        let without = |name| undeclare(text, "dev", name).expect("declared");
        assert_eq!(without("A"), "envs: {dev: {B: {literal: y}, C: {literal: z}}}");
        assert_eq!(without("B"), "envs: {dev: {A: {literal: x}, C: {literal: z}}}");
        assert_eq!(without("C"), "envs: {dev: {A: {literal: x}, B: {literal: y}}}");
        assert_eq!(
            undeclare("envs: {dev: {A: {literal: x}}}", "dev", "A").as_deref(),
            Some("envs: {dev: {}}")
        );
    }

    #[test]
    fn an_unknown_environment_is_left_alone() {
        assert_eq!(declare("envs:\n  dev: {}\n", "prod", "B", REFERENCE), None);
        assert_eq!(declare("not: [valid", "dev", "B", REFERENCE), None);
    }
}
