//! A validator for the part of JSON Schema that our own schemas use, which refuses what it does not know:
//! a rule that is not checked must not look checked. An independent validator says the same in `interop`.

use serde_json::Value;

/// All that is wrong with `value` by the schema at `pointer` (empty for the whole) of `root`, each with its path.
///
/// # Panics
/// The schema uses a word that is not known here, leads nowhere, or leaves an object open.
pub fn faults(root: &Value, pointer: &str, value: &Value) -> Vec<String> {
    let schema = root.pointer(pointer).unwrap_or_else(|| panic!("the schema has no {pointer}"));
    let mut all = Vec::new();
    check(root, schema, value, "", &mut all);
    all
}

fn check(root: &Value, schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>) {
    let words = schema.as_object().expect("a schema is an object");
    let is_closed = words.get("additionalProperties") == Some(&Value::Bool(false));
    assert_eq!(words.contains_key("properties"), is_closed, "an open object: {schema}");
    for (word, rule) in words {
        match word.as_str() {
            "$ref" => {
                let target = rule.as_str().and_then(|rule| rule.strip_prefix('#'));
                let target = root.pointer(target.expect("a reference into the schema itself"));
                check(root, target.expect("a reference leads somewhere"), value, path, faults);
            }
            "oneOf" => {
                let each: Vec<Vec<String>> = list(rule)
                    .map(|rule| {
                        let mut own = Vec::new();
                        check(root, rule, value, path, &mut own);
                        own
                    })
                    .collect();
                if each.iter().filter(|own| own.is_empty()).count() != 1 {
                    faults.push(format!("{path}: does not fit exactly one: {each:?}"));
                }
            }
            "properties" => {
                for (key, below) in value.as_object().into_iter().flatten() {
                    let path = format!("{path}/{key}");
                    match rule.get(key) {
                        Some(rule) => check(root, rule, below, &path, faults),
                        None => faults.push(format!("{path}: is not in the schema")),
                    }
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{path}/{index}"), faults);
                }
            }
            word => {
                if let Some(fault) = fault(word, rule, value) {
                    faults.push(format!("{path}: {fault}"));
                }
            }
        }
    }
}

/// What is wrong by a rule that looks at nothing below.
fn fault(word: &str, rule: &Value, value: &Value) -> Option<String> {
    let text = |rule: &Value| rule.as_str().expect("a text").to_owned();
    let wrong = match word {
        "$schema" | "$id" | "$defs" | "title" | "description" | "additionalProperties" => false,
        "type" => {
            let names: Vec<String> =
                if rule.is_array() { list(rule).map(text).collect() } else { vec![text(rule)] };
            !names.iter().any(|name| is_of(value, name))
        }
        "const" => value != rule,
        "enum" => !list(rule).any(|known| known == value),
        "minimum" => {
            let least = rule.as_i64().expect("a whole number");
            value.as_i64().is_some_and(|number| number < least)
        }
        "pattern" => value.as_str().is_some_and(|value| !fits(&text(rule), value)),
        "required" => {
            let lacking: Vec<_> = list(rule)
                .map(text)
                .filter(|key| value.is_object() && value.get(key).is_none())
                .collect();
            return (!lacking.is_empty()).then(|| format!("{lacking:?} is missing"));
        }
        other => panic!("the validator does not know `{other}`"),
    };
    wrong.then(|| format!("{value} is not of {word} {rule}"))
}

fn list(rule: &Value) -> impl Iterator<Item = &Value> {
    rule.as_array().expect("a list").iter()
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("the validator does not know the type `{other}`"),
    }
}

/// The two patterns that the schemas have.
fn fits(pattern: &str, text: &str) -> bool {
    if pattern == "^[a-z0-9-]+/[a-z0-9-]+$" {
        let plain = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        return text.split_once('/').is_some_and(|(left, right)| plain(left) && plain(right));
    }
    let length = pattern.strip_prefix("^[0-9a-f]{").and_then(|rest| rest.strip_suffix("}$"));
    let length = length.and_then(|length| length.parse().ok());
    let length: usize = length.unwrap_or_else(|| panic!("the validator does not know {pattern}"));
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_found() {
        let schema = json!({
            "type": "object", "required": ["a"], "additionalProperties": false,
            "properties": {
                "a": { "type": ["integer", "null"], "minimum": 1 },
                "b": { "$ref": "#/$defs/word" },
                "c": { "type": "array", "items": { "oneOf": [{ "const": "x" }, { "enum": [1, 2] }] } },
                "d": { "pattern": "^[0-9a-f]{4}$" },
            },
            "$defs": { "word": { "pattern": "^[a-z0-9-]+/[a-z0-9-]+$" } },
        });
        let count = |value: Value| faults(&schema, "", &value).len();
        let good = json!({ "a": null, "b": "x/y", "c": ["x", 2], "d": "00ff" });
        assert_eq!(faults(&schema, "", &good), Vec::<String>::new());
        assert_eq!(faults(&schema, "/$defs/word", &json!("a/b")), Vec::<String>::new());
        for bad in [
            json!([]),
            json!({}),
            json!({ "a": 0 }),
            json!({ "a": 1.5 }),
            json!({ "a": 1, "b": "x" }),
            json!({ "a": 1, "c": ["y"] }),
            json!({ "a": 1, "d": "00FF" }),
            json!({ "a": 1, "e": 1 }),
        ] {
            assert_eq!(count(bad.clone()), 1, "{bad}");
        }
    }

    #[test]
    #[should_panic(expected = "an open object")]
    fn an_open_schema_is_refused() {
        faults(&json!({ "type": "object", "properties": {} }), "", &json!({}));
    }
}
