//! What `docs/migrating-from-go.md` says of each form of the Go version: it loads, or which error names the
//! change.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

use common::{Project, stderr};

/// Codes of problems and what to do about each.
fn check(project: &Project, text: &str) -> Vec<(String, String)> {
    project.write("dsops.yaml", text);
    let output = project.run(&["config", "check", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let problems = json["problems"].as_array().unwrap();
    problems.iter().map(|problem| (text(&problem["code"]), text(&problem["help"]))).collect()
}

#[test]
fn what_works_loads() {
    let project = Project::empty();
    let stores = "{ s: { type: literal, timeout_ms: 500, values: { a: x, k: '{\"f\": 1}' } } }";
    for start in ["", "version: 0\n", "version: 1\n"] {
        for section in ["providers", "secretStores"] {
            let text = format!(
                "{start}{section}: {stores}
envs:
  dev:
    A: {{ from: {{ provider: s, key: a, version: '' }}, transform: 'trim,base64_encode' }}
    B: {{ from: store://s/a }}
    C: {{ from: {{ store: store://s/a }}, optional: true, metadata: {{ owner: us }} }}
    D: {{ from: {{ store: s, key: a }}, transform: [ trim, join: ',' ] }}
    E: {{ from: 'store://s/k#f' }}
    F: {{ literal: '' }}
services: {{ db: {{ type: postgresql }} }}
policies: {{ a: b }}
notifications: {{ a: b }}
metrics: {{ a: b }}
rotation: {{ a: b }}
service_groups: {{ a: b }}
transforms: {{ clean: [ trim ] }}
"
            );
            assert_eq!(check(&project, &text), [], "{text}");
        }
    }
}

#[test]
fn what_needs_a_change_is_told_which() {
    let project = Project::empty();
    for (variable, code, help) in [
        ("from: 's:a'", "config/reference", "{ store: s, key: \"a\" }"),
        ("from: { store: s/a }", "config/source", "store://s/a"),
        ("from: { store: s, name: a }", "config/unknown-key", "`key`"),
        ("from: { store: s, path: a }", "config/unknown-key", "`key`"),
        ("from: { store: s, secret: a }", "config/unknown-key", "`key`"),
        ("from: { store: s, secret_id: a }", "config/unknown-key", "`key`"),
        ("from: { store: s, item: a }", "config/unknown-key", "`key`"),
        ("from: { store: s, path: a, key: f }", "config/unknown-key", "`field`"),
        ("from: { store: s, value: a }", "config/unknown-key", "`literal: …`"),
        ("from: { store: s, key: a, fallback: b }", "config/unknown-key", "`default: …`"),
        ("from: { store: s, key: a, vault: b }", "config/unknown-key", "a setting of the store"),
        ("from: { store: s, key: a, project: b }", "config/unknown-key", "a setting of the store"),
        ("from: { store: s, key: a, config: b }", "config/unknown-key", "a setting of the store"),
        ("from: { store: s, key: a, account: b }", "config/unknown-key", "a setting of the store"),
        (
            "from: { store: s, key: a, subscription: b }",
            "config/unknown-key",
            "a setting of the store",
        ),
        (
            "from: { store: s, key: a, resource_type: b }",
            "config/unknown-key",
            "a setting of the store",
        ),
        ("from: { batch: b, key: a }", "config/unknown-key", "`store` and `key`"),
        ("from: { service: 'svc://x/y?kind=z' }", "config/service-reference", "store://NAME/PATH"),
        ("from: { store: s, key: a, service: 'svc://x' }", "config/source", "remove `service`"),
        ("from: 'store://s/a?option=x'", "config/reference", ""),
        (
            "from: store://s/a, transform: [ { type: json_extract, path: .a } ]",
            "config/transform",
            "- json_extract: …",
        ),
        ("literal: '${NOT_SET}'", "config/expansion", "set it"),
        ("from: store://s/a, trasnform: trim", "config/unknown-key", "`transform`"),
    ] {
        let text = format!(
            "secretStores: {{ s: {{ type: literal, values: {{ a: x }} }} }}\nenvs: {{ dev: {{ A: {{ {variable} }} }} }}\n"
        );
        let found = check(&project, &text);
        assert_eq!(found.len(), 1, "{variable}: {found:?}");
        assert!(found[0].0 == code && found[0].1.contains(help), "{variable}: {found:?}");
    }
    for (name, code) in [("A-B", "config/bad-name"), ("1A", "config/bad-name")] {
        let found = check(&project, &format!("envs: {{ dev: {{ {name}: {{ literal: a }} }} }}\n"));
        assert_eq!(found.iter().map(|(code, _)| &**code).collect::<Vec<_>>(), [code]);
    }
    let found = check(&project, "envs: { dev: { A: text } }\n");
    assert!(found[0].0 == "config/wrong-type" && found[0].1.contains("literal"), "{found:?}");
    let found = check(&project, "envs: {}\nenvs: {}\n");
    assert_eq!(found[0].0, "config/syntax");
}

#[test]
fn a_type_of_the_go_version_is_known_and_costs_only_who_uses_it() {
    let project = Project::empty();
    for (name, help) in [
        ("vault", "not built in here yet"),
        ("aws.secretsmanager", "not built in here yet"),
        ("bitwarden", "not built in here yet"),
        ("onepassword", "not built in here yet"),
        ("mock", "`type: literal`"),
    ] {
        let text = format!(
            "secretStores: {{ s: {{ type: {name} }} }}\nenvs: {{ dev: {{ A: {{ from: store://s/a }} }}, ci: {{ B: {{ literal: b }} }} }}\n"
        );
        let found = check(&project, &text);
        if found.is_empty() {
            // A type that this build has.
            continue;
        }
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0 == "plan/unknown-store-type" && found[0].1.contains(help), "{found:?}");
        assert_eq!(project.ok(&["--env", "ci", "get", "B"]), "b");
    }
}
