//! What is written from the description of the configuration's format is current, and the schema
//! says of configurations what the reader says.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]
#![cfg(all(feature = "literal", feature = "env", feature = "sops"))]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dsops_resolver::format::{schema, sections, table};
use dsops_resolver::{Config, StoreFactory as _, plan};
use dsops_stores::Registry;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_schema_is_current() {
    let there = fs::read_to_string(root().join("schema/dsops.schema.json")).unwrap();
    assert!(
        there == schema(&Registry::new()),
        "run `cargo run -p dsops-stores --example format > schema/dsops.schema.json`"
    );
}

#[test]
fn the_tables_of_the_reference_are_current() {
    let text = fs::read_to_string(root().join("docs/reference/config.md")).unwrap();
    let registry = Registry::new();
    let stores = registry
        .types()
        .iter()
        .map(|name| (*name, registry.settings(name).expect("every store describes its settings")));
    for (name, settings) in sections().into_iter().chain(stores) {
        assert!(
            text.contains(&table(settings)),
            "the table of `{name}` differs: see `cargo run -p dsops-stores --example format -- tables`"
        );
    }
}

/// Configurations, and whether they are right.
const CASES: &[(&str, bool)] = &[
    ("version: 1\n", true),
    ("version: 2\n", false),
    ("version: '1'\n", false),
    ("versoin: 1\n", false),
    ("include: []\n", true),
    ("include: { a: b }\n", false),
    ("envs:\n", true),
    ("envs: { dev: }\n", true),
    ("envs: { dev: { A: { literal: x } } }\n", true),
    ("envs: { dev: { A: { literal: 8080 } } }\n", true),
    ("envs: { dev: { A: { literal: [ x ] } } }\n", false),
    ("envs: { dev: { A: { literl: x } } }\n", false),
    ("envs: { dev: { A: x } }\n", false),
    ("envs: { dev: { 1A: { literal: x } } }\n", false),
    ("envs: { dev: { A-B: { literal: x } } }\n", false),
    ("envs: { base: { A: { literal: x } }, dev: { extends: base, A: } }\n", true),
    ("envs: { base: {}, dev: { extends: [ base ] } }\n", true),
    ("envs: { dev: { extends: [ [ dev ] ] } }\n", false),
    ("envs: { dev: { extends: { literal: x } } }\n", true),
    ("envs: { dev: { A: { literal: x, optional: true, metadata: { a: [ b ] } } } }\n", true),
    ("envs: { dev: { A: { literal: x, optional: maybe } } }\n", false),
    ("envs: { dev: { A: { literal: x, transform: 'trim,upper' } } }\n", true),
    (
        "envs: { dev: { A: { literal: x, transform: [ trim, { replace: [ a, b ] }, { join: ',' } ] } } }\n",
        true,
    ),
    ("envs: { dev: { A: { literal: x, transform: { trim: } } } }\n", false),
    ("transforms: { t: [ trim ], u: [ t ] }\n", true),
    ("scopes: { a: A_*, b: [ B ], c: { extends: a, only: C, except: [ D ] } }\n", true),
    ("scopes: { a: { olny: x } }\n", false),
    ("templates: [ { name: a, format: dotenv, out: .env } ]\n", true),
    ("templates: [ { format: dotenv } ]\n", false),
    ("templates: { name: a }\n", false),
    ("secretStores: { s: { type: env } }\nenvs: { dev: { A: store://s/a } }\n", true),
    (
        "providers: { s: { type: env, prefix: X_ } }\nenvs: { dev: { A: { from: { provider: s, key: a } } } }\n",
        true,
    ),
    ("secretStores: { s: { type: env, perfix: X_ } }\nenvs: { dev: { A: store://s/a } }\n", false),
    ("secretStores: { s: { type: evn } }\nenvs: { dev: { A: store://s/a } }\n", false),
    ("secretStores: { s: { prefix: x } }\n", false),
    ("secretStores: { s: { type: env, retries: 3, concurrency: 1, timeout_ms: 500 } }\n", true),
    ("secretStores: { s: { type: env, retries: 11 } }\n", false),
    ("secretStores: { s: { type: env, concurrency: 0 } }\n", false),
    (
        "secretStores: { s: { type: sops, path: a.yaml } }\nenvs: { dev: { A: store://s/a } }\n",
        true,
    ),
    ("secretStores: { s: { type: sops } }\nenvs: { dev: { A: store://s/a } }\n", false),
    (
        "secretStores: { s: { type: literal, values: { a: b } } }\nenvs: { dev: { A: { from: 'store://s/a#b?version=1' } } }\n",
        true,
    ),
    ("secretStores: { s: { type: env } }\nenvs: { dev: { A: { from: op://v/i } } }\n", false),
    (
        "secretStores: { s: { type: env } }\nenvs: { dev: { A: { from: { store: s, kye: a } } } }\n",
        false,
    ),
];

#[test]
fn the_reader_says_so() {
    for (text, right) in CASES {
        let config = Config::parse("f", text);
        let sound = config.is_ok_and(|config| {
            config.environments().all(|name| plan(&config, name, &Registry::new()).is_ok())
        });
        assert_eq!(sound, *right, "{text}");
    }
}

const PROGRAM: &str = "
import json, sys
import jsonschema, yaml
schema, cases = json.load(sys.stdin)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
print(json.dumps([validator.is_valid(yaml.safe_load(text)) for text in cases]))
";

#[test]
fn the_schema_says_so_too() {
    let examples = ["examples/quickstart/dsops.yaml"];
    let examples = examples.map(|path| fs::read_to_string(root().join(path)).unwrap());
    let mut input = format!("[{}, [", schema(&Registry::new()));
    let texts: Vec<&str> =
        CASES.iter().map(|(text, _)| *text).chain(examples.iter().map(String::as_str)).collect();
    for (i, text) in texts.iter().enumerate() {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        input += if i > 0 { ", \"" } else { "\"" };
        input += &escaped;
        input += "\"";
    }
    input += "]]";
    let has_modules = Command::new("python3").args(["-c", "import jsonschema, yaml"]).output();
    if !has_modules.is_ok_and(|output| output.status.success()) {
        println!("not run: python3 with jsonschema and yaml is not here");
        return;
    }
    let mut child = Command::new("python3")
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    let valid: Vec<bool> =
        answer.trim().trim_matches(['[', ']']).split(", ").map(|answer| answer == "true").collect();
    assert_eq!(valid.len(), texts.len(), "{answer}");
    let should = CASES.iter().map(|(_, right)| *right).chain(examples.iter().map(|_| true));
    for ((text, should), valid) in texts.iter().zip(should).zip(valid) {
        assert_eq!(valid, should, "{text}");
    }
}
