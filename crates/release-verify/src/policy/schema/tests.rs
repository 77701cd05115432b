//! The schema says of policy files what the reader says of their structure.
#![allow(clippy::disallowed_methods, reason = "files of the repository, and a peer that validates")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;
use crate::policy::yaml;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What does not fit the schema in a policy file, each with its path.
pub(in crate::policy) fn faults(text: &str) -> Vec<String> {
    let node = yaml::parse(text).unwrap().unwrap();
    let root = root();
    self::check(&root, &root, &json_of(&node), "")
}

/// As YAML 1.2 reads it.
fn json_of(node: &yaml::Node) -> Value {
    match &node.value {
        yaml::Value::Text(text) => match text.as_str() {
            "true" => json!(true),
            "false" => json!(false),
            text => text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
        },
        yaml::Value::List(items) => items.iter().map(json_of).collect(),
        yaml::Value::Mapping(entries) => {
            let entry = |(key, value): &(yaml::Node, yaml::Node)| {
                let yaml::Value::Text(key) = &key.value else { panic!("a key is a text") };
                (key.clone(), json_of(value))
            };
            Value::Object(entries.iter().map(entry).collect())
        }
    }
}

/// A validator for the part of JSON Schema that is used here, which refuses what it does not know.
fn check(root: &Value, schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let size = |value: &Value| value.as_object().map_or(0, Map::len);
    let length = |value: &Value| value.as_array().map_or(usize::MAX, Vec::len);
    let is_good = |rule: &Value| check(root, rule, value, path).is_empty();
    let at_least = |rule: &Value, found: usize| (found as u64) >= rule.as_u64().unwrap();
    for (word, rule) in schema.as_object().unwrap() {
        let good = match word.as_str() {
            "$schema" | "title" | "description" | "$defs" => true,
            "$ref" => {
                let place = rule.as_str().unwrap().strip_prefix('#').unwrap();
                faults.extend(check(root, root.pointer(place).unwrap(), value, path));
                true
            }
            "type" => match rule {
                Value::Array(names) => names.iter().any(|name| is_of(value, name)),
                name => is_of(value, name),
            },
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
            "maximum" => value.as_i64().is_none_or(|number| number <= rule.as_i64().unwrap()),
            "minLength" => value.as_str().is_none_or(|text| at_least(rule, text.chars().count())),
            "pattern" => {
                let pattern = regex_lite::Regex::new(rule.as_str().unwrap()).unwrap();
                value.as_str().is_none_or(|text| pattern.is_match(text))
            }
            "required" => {
                let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
                !value.is_object() || rule.as_array().unwrap().iter().all(has)
            }
            "minProperties" => !value.is_object() || at_least(rule, size(value)),
            "maxProperties" => size(value) as u64 <= rule.as_u64().unwrap(),
            "properties" => {
                for (name, rule) in rule.as_object().unwrap() {
                    if let Some(below) = value.get(name) {
                        faults.extend(check(root, rule, below, &format!("{path}/{name}")));
                    }
                }
                true
            }
            "additionalProperties" => {
                for (name, below) in value.as_object().into_iter().flatten() {
                    if schema.pointer("/properties").is_some_and(|own| own.get(name).is_some()) {
                        continue;
                    }
                    match rule {
                        Value::Bool(false) => faults.push(format!("{path}: `{name}` is unknown")),
                        rule => faults.extend(check(root, rule, below, &format!("{path}/{name}"))),
                    }
                }
                true
            }
            "minItems" => at_least(rule, length(value)),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    faults.extend(check(root, rule, item, &format!("{path}/{index}")));
                }
                true
            }
            "anyOf" => rule.as_array().unwrap().iter().any(is_good),
            "oneOf" => rule.as_array().unwrap().iter().filter(|rule| is_good(rule)).count() == 1,
            "allOf" => rule.as_array().unwrap().iter().all(is_good),
            "not" => !is_good(rule),
            other => panic!("the validator does not know `{other}`"),
        };
        if !good {
            faults.push(format!("{path}: {value} does not fit {word} {rule}"));
        }
    }
    faults
}

fn is_of(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("the validator does not know the type `{other}`"),
    }
}

/// Signers, one of each kind, and rules that say everything that can be said.
const GOOD: &[&str] = &[
    "version: 1\nsigners: { ci: { github: octo/demo@v* } }\n",
    "version: '1'\nsigners: { ci: [{ gitlab: octo/demo }, { github: octo/demo }] }\n",
    "version: 1\nsigners:\n  a: { identity: a@example.org, issuer-glob: 'https://*.example.org' }\n  \
     b: { identity-regex: 'https://x/.*', issuer: https://y, claims: { repository-id: 1001, ref: { glob: 'refs/tags/*' } } }\n",
    "version: 1\nsigners: { ci: { github: octo/demo } }\nartifacts:\n  \
     - { match: ['*.gz', x], signed-by: ci, threshold: 1, require: [sbom, checksums, provenance, signature] }\n  \
     - { match: 1.0, published: pypi, logs: 1, certificate-logs: 0, timestamps: 2, keys-without-log: true }\n  \
     - { provenance: { source: github.com/o/r, builder: ['https://x@v1'], branch: main, build-type: 'https://t', \
         trigger: push, workflow: a.yml, inputs: { a: b, n: 1 }, hosted-runners-only: true } }\n  \
     - { provenance: { source: github.com/o/r, isolated-builders: true, tag: v1, versioned-tag: v1, \
         commit: 5c1e0d3a9b7f4e2d8c6a1b0f9e8d7c6b5a493827 } }\n  - {}\n",
    "version: 1\nsigners: { npm: { registry: npm } }\nartifacts: [{ published: 'npm:@o/demo@1.2.3' }]\n",
    "version: 1\nsigners: { hub: { registry: github-releases } }\nartifacts: [{ published: 'github-release:o/r@v1' }]\n",
];

/// What is refused for its structure.
const BAD: &[&str] = &[
    "- 1\n",
    "signers: { ci: { github: o/a } }\n",
    "version: 1\n",
    "version: 2\nsigners: { ci: { github: o/a } }\n",
    "version: 1\nsigners: {}\n",
    "version: 1\nsigners: []\n",
    "version: 1\nsigners: { ci: {} }\n",
    "version: 1\nsigners: { ci: [] }\n",
    "version: 1\nsigners: { ci: github }\n",
    "version: 1\nsigners: { ci: [[{ github: o/a }]] }\n",
    "version: 1\nsigners: { ci: { githb: o/a } }\n",
    "version: 1\nsigners: { ci: { github: [o/a] } }\n",
    "version: 1\nsigners: { ci: { github: o/a, gitlab: o/a } }\n",
    "version: 1\nsigners: { ci: { github: o/a, issuer: x } }\n",
    "version: 1\nsigners: { ci: { github: o/a, hint: x } }\n",
    "version: 1\nsigners: { ci: { identity: x } }\n",
    "version: 1\nsigners: { ci: { issuer: x } }\n",
    "version: 1\nsigners: { ci: { identity: x, identity-glob: y, issuer: z } }\n",
    "version: 1\nsigners: { ci: { identity: 'x*', issuer: z } }\n",
    "version: 1\nsigners: { ci: { github: o/a, claims: {} } }\n",
    "version: 1\nsigners: { ci: { github: o/a, claims: [ref] } }\n",
    "version: 1\nsigners: { ci: { github: o/a, claims: { reff: x } } }\n",
    "version: 1\nsigners: { ci: { github: o/a, claims: { ref: 'x*' } } }\n",
    "version: 1\nsigners: { ci: { github: o/a, claims: { ref: { glob: x, regex: y } } } }\n",
    "version: 1\nsigners: { ci: { github: o/a, claims: { ref: { globb: x } } } }\n",
    "version: 1\nsigners: { ci: { key: '-' } }\n",
    "version: 1\nsigners: { ci: { key: https://x/k.pub } }\n",
    "version: 1\nsigners: { ci: { registry: nmp } }\n",
    "version: 1\nsigners: { ci: { registry: npm, claims: { ref: x } } }\n",
    "version: 1\nsigners: { ci: { github: o/a } }\ntrusted-roots: []\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartefacts: []\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: []\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: {}\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [x]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ mtach: x }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ match: [] }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ match: { a: b } }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ signed-by: [] }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ threshold: 0 }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ threshold: x }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ threshold: -1 }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ logs: 1001 }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ require: [] }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ require: [provenence] }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ published: npm }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ keys-without-log: 1 }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ provenance: {} }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ provenance: { source: a.b/c/d, tagg: x } }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ provenance: { source: a.b/c/d, commit: abc } }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ provenance: { source: a.b/c/d, inputs: {} } }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ provenance: { source: a.b/c/d, isolated-builders: 1 } }]\n",
    "version: 1\nsigners: { ci: { github: o/a } }\nartifacts: [{ provenance: { source: a.b/c/d, builder: x, isolated-builders: true } }]\n",
];

fn read(text: &str) -> Result<PolicyFile, crate::PolicyFileError> {
    let nothing = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    PolicyFile::read(text.as_bytes(), &crate::Origin::new("p"), nothing)
}

/// The policy files that people are shown, and those of the cases of the command line.
fn there() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let is_policy = |text: &str| text.lines().any(|line| line.starts_with("signers:"));
    let mut folders = vec![repository().join("docs"), repository().join("crates/cli/tests/cmd")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if ending == "yaml" || ending == "md" {
                // Some cases are of files that cannot be read.
                let Ok(text) = fs::read_to_string(&path) else { continue };
                let parts = match ending {
                    "md" => text.split("```yaml\n").skip(1).collect::<Vec<_>>(),
                    _ => vec![text.as_str()],
                };
                for part in parts {
                    let part = part.split("```").next().unwrap();
                    if is_policy(part) {
                        found.push((path.clone(), part.to_owned()));
                    }
                }
            }
        }
    }
    let source = include_str!("../file.rs");
    let comment = source.split("//! ```yaml\n").nth(1).unwrap().split("//! ```").next().unwrap();
    let lines = comment.lines().map(|line| line.strip_prefix("//!").unwrap().trim_end());
    let example: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    found.push(("policy/file.rs".into(), example.join("\n")));
    found
}

#[test]
fn the_schema_in_the_repository_is_current() {
    let there = fs::read_to_string(repository().join("schema/dsops-verify-policy.schema.json"));
    assert!(
        there.unwrap_or_default() == PolicyFile::schema(),
        "run `dsops verify policy schema > schema/dsops-verify-policy.schema.json`"
    );
}

#[test]
fn reader_and_schema_say_the_same_of_structure() {
    for text in GOOD {
        assert!(read(text).is_ok(), "{text}: {}", read(text).unwrap_err());
        assert_eq!(faults(text), Vec::<String>::new(), "{text}");
    }
    for text in BAD {
        assert!(read(text).is_err(), "{text}");
        assert!(!faults(text).is_empty(), "{text}");
    }
    // Nothing behind a name, which the reader of YAML refuses already.
    let root = root();
    for place in ["/version", "/signers", "/signers/ci", "/signers/ci/github", "/artifacts"] {
        let mut value = json!({
            "version": 1, "signers": { "ci": { "github": "o/a" } }, "artifacts": [{ "match": "x" }],
        });
        assert_eq!(check(&root, &root, &value, ""), Vec::<String>::new());
        *value.pointer_mut(place).unwrap() = Value::Null;
        assert!(!check(&root, &root, &value, "").is_empty(), "{place}");
        assert!(read(&value.to_string()).is_err(), "{place}");
    }
}

#[test]
fn every_policy_that_is_shown_fits() {
    let all = there();
    assert!(all.len() >= 5, "{all:?}");
    for (path, text) in all {
        let should = path.file_name().is_none_or(|name| name != "bad.yaml");
        assert_eq!(faults(&text).is_empty(), should, "{}: {:?}", path.display(), faults(&text));
    }
}

const PROGRAM: &str = "
import json, sys
import jsonschema
schema, cases = json.load(sys.stdin)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
print(json.dumps([validator.is_valid(case) for case in cases]))
";

#[test]
fn another_validator_says_so_too() {
    let has_module = Command::new("python3").args(["-c", "import jsonschema"]).output();
    if !has_module.is_ok_and(|output| output.status.success()) {
        println!("not run: python3 with jsonschema is not here");
        return;
    }
    let texts: Vec<&str> = GOOD.iter().chain(BAD).copied().collect();
    let cases = texts.iter().map(|text| json_of(&yaml::parse(text).unwrap().unwrap()));
    let input = json!([root(), cases.collect::<Vec<_>>()]);
    let mut child = Command::new("python3")
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let valid: Vec<bool> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(valid.len(), texts.len());
    for (index, (text, valid)) in texts.iter().zip(valid).enumerate() {
        assert_eq!(valid, index < GOOD.len(), "{text}");
    }
}
