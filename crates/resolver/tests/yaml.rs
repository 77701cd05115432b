//! The YAML tree: exact spans, limits, and no text that panics.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;

use dsops_resolver::yaml::{self, Limits, Node, Style, SyntaxErrorKind, Value};
use proptest::prelude::*;

/// Every node of a tree with the text of its span, keys included; not what aliases repeat.
fn spans<'t>(text: &'t str, node: &Node, found: &mut Vec<&'t str>) {
    found.push(&text[node.span.range()]);
    match &node.value {
        _ if node.is_alias() => {}
        Value::Scalar { .. } => {}
        Value::Mapping(entries) => entries.iter().for_each(|(key, value)| {
            spans(text, key, found);
            spans(text, value, found);
        }),
        Value::Sequence(items) => items.iter().for_each(|item| spans(text, item, found)),
    }
}

fn leaves(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    spans(text, &yaml::parse(text).unwrap(), &mut found);
    found.split_off(1)
}

#[test]
fn a_span_is_exactly_what_was_written() {
    let cases: &[(&str, &[&str])] = &[
        ("ä: é😀 x  # ü\nb: 1\n", &["ä", "é😀 x", "b", "1"]),
        ("\u{feff}a: 1\r\nb: 2\r\n", &["a", "1", "b", "2"]),
        ("a: 'it''s'  \nb: \"q\\n\"\n", &["a", "'it''s'", "b", "\"q\\n\""]),
        (
            "a: \"multi\n  line\"\nb: plain\n  too\n",
            &["a", "\"multi\n  line\"", "b", "plain\n  too"],
        ),
        ("a: | # c\n\n  x\n  y\n\n # c\nb: 1\n", &["a", "| # c\n\n  x\n  y", "b", "1"]),
        ("a: !t &x >2-\n    x\n", &["a", ">2-\n    x"]),
        ("a: |+\n\n\nb: |\n", &["a", "|+", "b", "|"]),
        ("- |\n x\n-\n- y\n", &["|\n x", "", "y"]),
        ("a:\nb: !t\nc: &x\nd: ~\n", &["a", "", "b", "", "c", "", "d", "~"]),
        ("{a: , b, c: !!str }", &["a", "", "b", "", "c", ""]),
        ("a: [1, é,\n 2] # c\n", &["a", "[1, é,\n 2]", "1", "é", "2"]),
        ("a:\n  b: 1\n\n  # c\nd:\n- x\n\n", &["a", "b: 1", "b", "1", "d", "- x", "x"]),
        ("a: &x 1\nb: *x\n", &["a", "1", "b", "*x"]),
        ("? a\n: |\n x\n? b\n", &["a", "|\n x", "b", ""]),
    ];
    for (text, expected) in cases {
        assert_eq!(&leaves(text), expected, "{text}");
    }
    let absent = yaml::parse("a:  # c\nb: !t  \n").unwrap();
    let at = |key: &str| absent.get(key).unwrap().span.start;
    assert_eq!((at("a").offset, at("a").column), (2, 3));
    assert_eq!((at("b").line, at("b").column), (2, 6));
}

#[test]
fn a_place_counts_bytes_lines_and_characters() {
    let text = "x: 1\ré: 2\r\n  \u{2028}: 'ü'\n";
    // The second line is indented no deeper than it looks: a return alone is a line break too.
    let text = &text.replace("  \u{2028}", "\u{2028}");
    let root = yaml::parse(text).unwrap();
    let value = root.get("\u{2028}").unwrap();
    assert_eq!((value.span.start.line, value.span.start.column), (3, 4));
    assert_eq!(value.span.start.offset, text.find('\'').unwrap());
    assert_eq!(value.span.end.column, 7);
}

#[test]
fn styles_tags_and_text_are_kept() {
    let root = yaml::parse("a: 0x10\nb: !!str 12\nc: !Sub {x: 1}\nd: |\n  t\n").unwrap();
    let style = |key: &str| match &root.get(key).unwrap().value {
        Value::Scalar { style, .. } => *style,
        _ => panic!("{key}"),
    };
    assert_eq!(root.get("a").unwrap().as_str(), Some("0x10"));
    assert_eq!((style("a"), style("d")), (Style::Plain, Style::Literal));
    assert_eq!(root.get("b").unwrap().tag(), Some("tag:yaml.org,2002:str"));
    assert_eq!(root.get("c").unwrap().tag(), Some("!Sub"));
    assert_eq!(root.get("b").unwrap().kind(), "text");
    assert_eq!(root.get("d").unwrap().as_str(), Some("t\n"));
}

#[test]
fn an_alias_is_a_copy_that_says_so() {
    let root = yaml::parse("a: &x {k: [1]}\nb: *x\n").unwrap();
    let alias = root.get("b").unwrap();
    assert!(alias.is_alias() && !root.get("a").unwrap().is_alias());
    assert_eq!(alias.get("k").unwrap().as_sequence().unwrap()[0].as_str(), Some("1"));
    assert_eq!(alias.span.start.line, 2);
    assert_eq!(alias.get("k").unwrap().span.start.line, 1);
}

#[test]
fn a_text_without_a_document_is_null() {
    for text in ["", "# c\n", "---\n", "\n\n"] {
        assert!(yaml::parse(text).unwrap().is_null(), "{text:?}");
    }
}

#[test]
fn every_error_has_its_place() {
    let cases = [
        ("a: 1\n\tb: 2", "line 2, column 1: a tab cannot be used as indentation"),
        ("a: [1,\n 2", "line 1, column 4: the bracket `[` that is opened here is not closed"),
        ("é: 'x", "line 1, column 4: the quote that is opened here or before is not closed"),
        (
            "a: b: c",
            "line 1, column 5: a mapping cannot start here: a second `: ` on the line, or wrong indentation",
        ),
        ("a: 1\n---\nb: 2", "line 2, column 1: a second document starts here"),
        ("a: 1\n...\n---\n", "line 3, column 1: a second document starts here"),
        ("a: @x", "line 1, column 4: a text cannot start with `@`"),
        ("{[a]: b}", "line 1, column 2: a mapping or list cannot be a key"),
        ("? {a: b}\n: c", "line 1, column 3: a mapping or list cannot be a key"),
        ("a: *u", "line 1, column 4: no anchor of this name stands before the alias"),
        ("a: &x [*x]", "line 1, column 8: the alias stands inside its own anchor"),
        ("a: 1\0", "line 1, column 5: the control character 0x00 is not allowed"),
        ("é\na: \u{7f}", "line 2, column 4: the control character 0x7f is not allowed"),
        (
            "a: 1\nb: 2\nb: 3\na: 4",
            "line 3, column 1: the key `b` is there twice (first on line 2)",
        ),
        ("a: {'k': 1, k: 2}", "line 1, column 13: the key `k` is there twice (first on line 1)"),
        ("]", "line 1, column 1: misplaced bracket"),
    ];
    for (text, expected) in cases {
        assert_eq!(yaml::parse(text).unwrap_err().to_string(), expected, "{text:?}");
    }
}

#[test]
fn an_error_shows_no_value() {
    for text in [
        "a: 'hunter2",
        "a: \"\\hunter2\"",
        "a: hunter2: x",
        "- hunter2\nb: hunter2",
        "a: |9hunter2\n x",
    ] {
        let error = yaml::parse(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("unter2"), "{error}");
    }
}

#[test]
fn limits_are_errors_not_crashes() {
    let kind = |text: &str, limits| yaml::parse_with(text, limits).unwrap_err().kind;
    let small = Limits { text_bytes: 100, depth: 4, nodes: 20 };
    assert_eq!(kind(&"x".repeat(101), small), SyntaxErrorKind::TooLarge { bytes: 101, limit: 100 });
    assert!(yaml::parse_with(&"x".repeat(100), small).is_ok());
    let too_deep = SyntaxErrorKind::TooDeep { limit: 4 };
    assert_eq!(kind("[[[[[]]]]]", small), too_deep);
    assert_eq!(kind("- - - - - a", small), too_deep);
    assert_eq!(kind("a:\n b:\n  c:\n   d:\n    e: 1", small), too_deep);
    assert!(yaml::parse_with("[[[[]]]]", small).is_ok());
    assert_eq!(kind("- &x [[[]]]\n- [[*x]]", small), too_deep);
    assert_eq!(kind(&"- a\n".repeat(21), small), SyntaxErrorKind::TooManyNodes { limit: 20 });
    let repeated = format!("- &x {}\n- *x\n- *x\n", "y".repeat(60));
    assert_eq!(kind(&repeated, small), SyntaxErrorKind::TooLarge { bytes: 120, limit: 100 });
    for open in ["[", "{a: ", "- ", "? "] {
        assert!(yaml::parse(&open.repeat(100_000)).is_err());
    }
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        writeln!(bomb, "a{level}: &a{level} [{}]", [alias.as_str(); 10].join(", ")).unwrap();
    }
    let error = yaml::parse(&bomb).unwrap_err();
    assert_eq!(error.kind, SyntaxErrorKind::TooManyNodes { limit: 200_000 });
}

#[test]
fn values_are_not_in_debug_output() {
    let root = yaml::parse("a: hunter2\nb: [hunter2]\n").unwrap();
    assert!(!format!("{root:?}").contains("hunter2"));
}

/// Text that often means something to YAML.
fn yamlish() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("a: ".to_owned()),
        Just("- ".into()),
        Just("\n".into()),
        Just("  ".into()),
        Just("? ".into()),
        Just(": ".into()),
        Just("[".into()),
        Just("]".into()),
        Just("{".into()),
        Just("}".into()),
        Just(", ".into()),
        Just("'".into()),
        Just("\"".into()),
        Just("|\n".into()),
        Just(">-\n".into()),
        Just("&x ".into()),
        Just("*x".into()),
        Just("!t ".into()),
        Just(" # c".into()),
        Just("---\n".into()),
        Just("...\n".into()),
        Just("\r\n".into()),
        Just("\t".into()),
        Just("\u{feff}".into()),
        Just("<<: ".into()),
        "[a-cé😀\u{2028}\u{85}]{1,3}",
        "\\PC{0,4}",
    ];
    proptest::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let inside = |span: yaml::Span| {
        text.get(span.range()).is_some()
            && span.start <= span.end
            && span.start.line >= 1
            && span.start.column >= 1
    };
    match yaml::parse(text) {
        Err(error) => prop_assert!(inside(error.span), "{error} {:?}", error.span),
        Ok(root) => {
            let mut nodes = vec![&root];
            while let Some(node) = nodes.pop() {
                prop_assert!(inside(node.span), "{:?}", node.span);
                let line = text[..node.span.start.offset]
                    .replace("\r\n", "\n")
                    .matches(['\n', '\r'])
                    .count()
                    + 1;
                prop_assert_eq!(node.span.start.line, line);
                match &node.value {
                    Value::Mapping(entries) => {
                        nodes.extend(entries.iter().flat_map(|(k, v)| [k, v]));
                    }
                    Value::Sequence(items) => nodes.extend(items),
                    Value::Scalar { text: value, style: Style::Plain, .. } if !node.is_alias() => {
                        // A plain text of one line stands in the document as it is.
                        let written = &text[node.span.range()];
                        if !written.contains(['\n', '\r']) {
                            prop_assert_eq!(written, &**value);
                        }
                    }
                    Value::Scalar { .. } => {}
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_yamlish_text_panics_and_spans_fit(text in yamlish()) {
        check(&text)?;
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,80}|[ -~\\n]{0,80}") {
        check(&text)?;
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        check(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn a_scalar_can_be_replaced_in_place(
        keys in proptest::collection::btree_set("[a-zé]{1,6}", 1..8),
        old in "[a-zü0-9]{1,8}( # [a-zß]{1,5})?|'[ -&(-~]{0,6}'|\"[a-zö]{0,5}\"|\\|\n  [a-zä]{1,5}\n  x",
        which in any::<prop::sample::Index>(),
    ) {
        let keys: Vec<String> = keys.into_iter().collect();
        let text = keys.iter().map(|key| [key, ": ", &old, "\n"].concat()).collect::<Vec<_>>().concat();
        let root = yaml::parse(&text).unwrap();
        let key = which.get(&keys);
        let mut edited = text.clone();
        edited.replace_range(root.get(key).unwrap().span.range(), "NEW");
        let again = yaml::parse(&edited).unwrap();
        for other in &keys {
            let expected = if other == key { Some("NEW") } else { root.get(other).unwrap().as_str() };
            prop_assert_eq!(again.get(other).unwrap().as_str(), expected);
        }
    }
}
