//! The checked-in schema, held against what is printed: a validator for the part of JSON Schema that
//! it uses, which refuses what it does not know.

use serde_json::Value;

/// The schema of `--json`.
pub const SCHEMA: &str = include_str!("../../../../../schema/dsops-verify.schema.json");

/// All that is wrong with `value`, each with its path.
pub fn faults(root: &Value, schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |text: String| faults.push(format!("{path}: {text}"));
    let mut nested = Vec::new();
    for (word, rule) in schema.as_object().unwrap() {
        match word.as_str() {
            "$ref" => {
                let target = rule.as_str().unwrap().strip_prefix('#').unwrap();
                let target = root.pointer(target).expect("a reference leads somewhere");
                nested.extend(self::faults(root, target, value, path));
            }
            "type" => {
                let names: Vec<&str> = match rule {
                    Value::Array(names) => {
                        names.iter().map(|name| name.as_str().unwrap()).collect()
                    }
                    name => vec![name.as_str().unwrap()],
                };
                if !names.iter().any(|name| is_of(value, name)) {
                    fault(format!("{value} is none of {names:?}"));
                }
            }
            "const" if value != rule => fault(format!("{value} is not {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => {
                fault(format!("{value} is not in {rule}"));
            }
            "minimum" => {
                if value.as_i64().is_some_and(|number| number < rule.as_i64().unwrap()) {
                    fault(format!("{value} is less than {rule}"));
                }
            }
            "pattern" => {
                if value.as_str().is_some_and(|text| !fits(rule.as_str().unwrap(), text)) {
                    fault(format!("{value} does not fit {rule}"));
                }
            }
            "required" if value.is_object() => {
                for key in rule.as_array().unwrap() {
                    if value.get(key.as_str().unwrap()).is_none() {
                        fault(format!("{key} is missing"));
                    }
                }
            }
            "properties" => {
                // A key that the schema does not tell of is one that nobody documented.
                for (key, below) in value.as_object().into_iter().flatten() {
                    match rule.get(key) {
                        Some(rule) => {
                            nested.extend(self::faults(
                                root,
                                rule,
                                below,
                                &format!("{path}/{key}"),
                            ));
                        }
                        None => fault(format!("`{key}` is not in the schema")),
                    }
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    nested.extend(self::faults(root, rule, item, &format!("{path}/{index}")));
                }
            }
            "oneOf" => {
                let all: Vec<Vec<String>> = rule
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|rule| self::faults(root, rule, value, path))
                    .collect();
                if all.iter().filter(|faults| faults.is_empty()).count() != 1 {
                    fault(format!("does not fit exactly one: {all:?}"));
                }
            }
            "$schema" | "$id" | "$defs" | "title" | "description" | "const" | "enum"
            | "required" => {}
            other => panic!("the validator does not know `{other}`"),
        }
    }
    faults.extend(nested);
    faults
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("the validator does not know the type `{other}`"),
    }
}

/// The two patterns that the schema has.
fn fits(pattern: &str, text: &str) -> bool {
    if pattern == "^[a-z0-9-]+/[a-z0-9-]+$" {
        let plain = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        return text.split_once('/').is_some_and(|(left, right)| plain(left) && plain(right));
    }
    let length = pattern.strip_prefix("^[0-9a-f]{").and_then(|rest| rest.strip_suffix("}$"));
    let length: usize = length.expect("a pattern that the validator knows").parse().unwrap();
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

mod tests {
    use dsops_release_verify::{Finding, State};
    use serde_json::json;

    use super::*;
    use crate::cmd::verify::json::render;
    use crate::cmd::verify::outcome::Found;
    use crate::cmd::verify::outcome::tests::samples;

    fn all() -> Found {
        let notes = vec![Finding::new("evidence/ignored", State::Note, "not used")];
        Found { outcomes: samples(), notes }
    }

    fn check(value: &Value) -> Vec<String> {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        faults(&schema, &schema, value, "")
    }

    #[test]
    fn every_kind_of_outcome_fits_the_schema() {
        assert_eq!(check(&render(&all())), Vec::<String>::new());
        assert_eq!(check(&render(&Found::default())), Vec::<String>::new());
        for one in samples() {
            assert_eq!(check(&render(&Found::of(one))), Vec::<String>::new());
        }
    }

    #[test]
    fn what_differs_is_found() {
        let good = render(&all());
        let changed = |pointer: &str, new: Value| {
            let mut value = good.clone();
            *value.pointer_mut(pointer).expect("it is there") = new;
            check(&value).len()
        };
        assert_eq!(changed("/version", json!(2)), 1);
        assert_eq!(changed("/exit_code", json!(1)), 1);
        assert!(changed("/artifacts/0/verdict", json!("error")) > 0);
        assert!(changed("/artifacts/0/digests/sha256", json!("AB")) > 0);
        assert!(changed("/artifacts/0/findings/0/origin/part", json!(0)) > 0);
        assert!(changed("/artifacts/0/findings/0/code", json!("Signature")) > 0);
        assert!(changed("/artifacts/0/findings/0/state", json!("good")) > 0);
        assert!(changed("/artifacts/0/signers/0/kind", json!("nobody")) > 0);
        assert!(changed("/counts", json!({})) > 0);
        let mut value = good.clone();
        value["extra"] = json!(1);
        assert_eq!(check(&value), [": `extra` is not in the schema"]);
    }
}
