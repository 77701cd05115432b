//! Transforms against other implementations, and against each other.

use dsops_resolver::transform::{RawStep, Transform, TransformError, TransformErrorKind};
use dsops_resolver::yaml;
use dsops_secure_mem::SecretBytes;
use proptest::prelude::*;
use serde_json::Value;

fn apply(name: &str, args: &[&str], value: &[u8]) -> Result<Vec<u8>, TransformError> {
    let args = args.iter().map(|&arg| arg.to_owned()).collect();
    let transform = Transform::build(&RawStep::new(name, args)).expect("a sound step");
    let value = SecretBytes::copy_from(value).expect("protected memory");
    Ok(transform.apply(&value)?.expose().to_vec())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(\\PC|[\"\\\\/\n\u{1}\u{7f}é😀]){0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::hash_map("[a-c.~/\"\\[ 0-2é]{0,3}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every place of a document as a JSON Pointer and in the form with dots.
fn places(value: &Value) -> Vec<(String, String)> {
    let mut found = vec![(String::new(), String::new())];
    let mut add = |pointer: String, dots: String, value: &Value| {
        found.extend(
            places(value).into_iter().map(|(p, d)| (pointer.clone() + &p, dots.clone() + &d)),
        );
    };
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                add(format!("/{index}"), format!("[{index}]"), item);
            }
        }
        Value::Object(entries) => {
            for (key, value) in entries {
                let pointer = key.replace('~', "~0").replace('/', "~1");
                let quoted = key.replace('\\', "\\\\").replace('"', "\\\"");
                add(format!("/{pointer}"), format!(".\"{quoted}\""), value);
            }
        }
        _ => {}
    }
    found
}

/// What `json_extract` has to give for a value that `serde_json` wrote.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn is_null(result: &Result<Vec<u8>, TransformError>) -> bool {
    let kind = result.as_ref().err().map(|error| &error.kind);
    matches!(kind, Some(TransformErrorKind::Null { .. }))
}

/// A tree without its places.
fn shape(node: &yaml::Node) -> String {
    match &node.value {
        yaml::Value::Scalar { text, .. } => format!("{:?}/{:?}", &**text, node.scalar()),
        yaml::Value::Sequence(items) => {
            format!("{:?}", items.iter().map(shape).collect::<Vec<_>>())
        }
        yaml::Value::Mapping(entries) => {
            format!("{:?}", entries.iter().map(|(k, v)| (shape(k), shape(v))).collect::<Vec<_>>())
        }
    }
}

/// Block YAML of some depth; not all of it is sound.
fn block(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        "[a-z0-9.]{1,4}".prop_map(|text| format!(" {text}\n")),
        "[a-z ,:']{0,5}".prop_map(|text| format!(" \"{text}\\n\" # why\n")),
        Just(" { a: [1, x], b: }\n".to_owned()),
        Just(" |\n  one\n\n    two\n\n".to_owned()),
        Just(" |+\n  one\n\n\n".to_owned()),
        Just(" >-\n  one\n  two\n".to_owned()),
        Just(" |-\n  one\n".to_owned()),
        Just("\n".to_owned()),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let indent = |text: &str, by: &str| {
        text.split_inclusive('\n')
            .map(|line| if line == "\n" { line.to_owned() } else { format!("{by}{line}") })
            .collect::<String>()
    };
    let collection = (proptest::collection::vec(block(depth - 1), 1..4), any::<bool>(), 1usize..4)
        .prop_map(move |(children, list, by)| {
            let mut text = "\n".to_owned();
            for (index, child) in children.iter().enumerate() {
                let head = if list { "-".to_owned() } else { format!("k{index}:") };
                let (first, rest) = child.split_once('\n').unwrap_or((child, ""));
                text += &head;
                text += first;
                text += "\n";
                text += &indent(rest, &" ".repeat(by));
            }
            text
        });
    prop_oneof![1 => leaf, 3 => collection].boxed()
}

fn yaml_places(node: &yaml::Node) -> Vec<(String, &yaml::Node)> {
    let mut found = vec![(String::new(), node)];
    match &node.value {
        yaml::Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                found.extend(
                    yaml_places(item).into_iter().map(|(p, n)| (format!("/{index}{p}"), n)),
                );
            }
        }
        yaml::Value::Mapping(entries) => {
            for (key, value) in entries {
                let key = key.as_str().unwrap_or_default();
                found
                    .extend(yaml_places(value).into_iter().map(|(p, n)| (format!("/{key}{p}"), n)));
            }
        }
        yaml::Value::Scalar { .. } => {}
    }
    found
}

proptest! {
    #[test]
    fn encodings_undo_each_other(value in proptest::collection::vec(any::<u8>(), 0..200)) {
        for (encode, decode) in [
            ("base64_encode", "base64_decode"),
            ("base64url_encode", "base64url_decode"),
            ("hex_encode", "hex_decode"),
            ("url_encode", "url_decode"),
        ] {
            let encoded = apply(encode, &[], &value).expect("any bytes");
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(&apply(decode, &[], &encoded).expect("just encoded"), &value, "{}", decode);
            if !decode.starts_with("url") {
                let mut wrapped = Vec::new();
                for line in encoded.chunks(7) {
                    wrapped.extend_from_slice(line);
                    wrapped.extend_from_slice(b"\r\n");
                }
                prop_assert_eq!(&apply(decode, &[], &wrapped).expect("just encoded"), &value, "{}", decode);
            }
        }
    }

    #[test]
    fn decoders_take_anything(value in "[A-Za-z0-9+/=_%\n-]{0,12}|\\PC{0,8}") {
        for decode in ["base64_decode", "base64url_decode", "hex_decode", "url_decode", "pem"] {
            if let Err(TransformError { kind: TransformErrorKind::Malformed { offset, .. }, .. }) = apply(decode, &[], value.as_bytes()) {
                prop_assert!(offset <= value.len());
            }
        }
    }

    #[test]
    fn text_is_as_the_standard_library_has_it(value in "(\\PC|[\\s,;ab]){0,20}", from in "[ab,]{1,2}", to in "\\PC{0,3}", index in 0usize..5) {
        let bytes = value.as_bytes();
        let same = |result: Result<Vec<u8>, TransformError>, expected: &str| {
            prop_assert_eq!(result.expect("text"), expected.as_bytes());
            Ok(())
        };
        same(apply("trim", &[], bytes), value.trim())?;
        same(apply("replace", &[&from, &to], bytes), &value.replace(&from, &to))?;
        same(apply("prefix", &[&to], bytes), &format!("{to}{value}"))?;
        same(apply("suffix", &[&to], bytes), &format!("{value}{to}"))?;
        same(apply("upper", &[], bytes), &value.to_uppercase())?;
        same(apply("multiline_to_single", &[], bytes), &value.replace('\r', "").replace('\n', "\\n"))?;
        let parts: Vec<&str> = value.split(&from).collect();
        for (wanted, place) in [(parts.get(index), index.to_string()), (parts.iter().rev().nth(index), format!("-{}", index + 1))] {
            match (wanted, apply("split", &[&from, &place], bytes)) {
                (Some(part), Ok(result)) => prop_assert_eq!(result, part.as_bytes()),
                (wanted, result) => prop_assert_eq!(wanted.is_none(), result.is_err()),
            }
        }
    }

    #[test]
    fn a_value_of_json_is_the_one_serde_json_finds(document in json(), pretty in any::<bool>()) {
        let written = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
        let written = written.expect("it can be written");
        for (pointer, dots) in places(&document) {
            let expected = text(document.pointer(&pointer).expect("the place is there"));
            for path in [&pointer, &dots] {
                let path = if path.is_empty() { "." } else { path };
                let result = apply("json_extract", &[path], written.as_bytes());
                let result = if is_null(&result) { None } else { Some(result.expect(path)) };
                prop_assert_eq!(result, expected.clone().map(String::into_bytes), "{} of {}", path, &written);
            }
        }
    }

    #[test]
    fn a_missing_value_of_json_is_missing(document in json(), path in "(/[a-c0-2]{1,2}){1,3}") {
        let written = document.to_string();
        let result = apply("json_extract", &[&path], written.as_bytes());
        match document.pointer(&path) {
            None => {
                let kind = result.expect_err("it is not there").kind;
                let missing = matches!(kind, TransformErrorKind::NotFound { .. } | TransformErrorKind::WrongKind { .. });
                prop_assert!(missing, "{}", kind);
            }
            Some(value) => prop_assert_eq!(result.ok(), text(value).map(String::into_bytes)),
        }
    }

    #[test]
    fn what_is_json_is_agreed_upon(text in "[\\[\\]{}:,\"a0-9eE+.\\\\ubn \t\n-]{0,14}|(\\[|\\{\"a\":|1,|\"\\\\u[dD][89cC]00\"|\\]|\\}|true|null){0,6}") {
        let theirs = serde_json::from_str::<Value>(&text);
        let ours = apply("json_extract", &["."], text.as_bytes());
        match (theirs, ours) {
            (Ok(_), Ok(_)) | (Err(_), Err(_)) => {}
            (Ok(value), error) => prop_assert!(is_null(&error) && value.is_null(), "{}", text),
            // They have a range for numbers; here none is computed.
            (Err(error), Ok(_)) => prop_assert!(error.to_string().starts_with("number out of range"), "{}: {}", text, error),
        }
    }

    #[test]
    fn the_items_of_a_list_are_joined(document in proptest::collection::vec(json(), 0..5), separator in "[,; ]{0,2}") {
        let expected: Vec<String> = document.iter().map(|item| text(item).unwrap_or_default()).collect();
        let written = Value::from(document).to_string();
        let result = apply("join", &[&separator], written.as_bytes()).expect("a list");
        prop_assert_eq!(String::from_utf8(result).expect("text"), expected.join(&separator));
    }

    #[test]
    fn a_value_of_yaml_is_the_one_the_tree_has(text in block(3)) {
        let Ok(root) = yaml::parse(&text) else { return Ok(()) };
        for (path, node) in yaml_places(&root) {
            let path = if path.is_empty() { "." } else { &path };
            let result = apply("yaml_extract", &[path], text.as_bytes());
            match node.as_str() {
                _ if node.is_null() => prop_assert!(is_null(&result)),
                Some(scalar) => prop_assert_eq!(result.expect(path), scalar.as_bytes()),
                None => {
                    let cut = String::from_utf8(result.expect(path)).expect("text");
                    let again = yaml::parse(&cut).map(|node| shape(&node));
                    prop_assert_eq!(again, Ok(shape(node)), "{:?} at {} of {:?}", cut, path, &text);
                }
            }
        }
    }

    #[test]
    fn a_block_finds_its_lines_again(data in proptest::collection::vec(any::<u8>(), 1..200), label in "[A-Z]{1,5}( [A-Z0-9]{1,5})?", flattened in 0..5) {
        let base64 = String::from_utf8(apply("base64_encode", &[], &data).expect("any bytes")).expect("ASCII");
        let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
        let whole = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"));
        let flat = match flattened {
            0 => whole.replace('\n', "\\n"),
            1 => whole.replace('\n', " "),
            2 => whole.replace('\n', ""),
            3 => whole.replace('\n', "\\r\\n"),
            _ => base64,
        };
        prop_assert_eq!(String::from_utf8(apply("pem", &[&label], flat.as_bytes()).expect("a block")).expect("text"), whole);
    }
}
