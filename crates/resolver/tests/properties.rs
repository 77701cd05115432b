//! No configuration panics, what is said about it fits the text, and a migrated one means the same.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fakes;

use dsops_resolver::{Config, Diagnostic, PlannedVariable, migrate, plan};
use proptest::prelude::*;

fn check(text: &str) -> Result<(), TestCaseError> {
    let lines = text.replace("\r\n", "\n").split(['\n', '\r']).count();
    let said = match Config::parse("f", text) {
        Err(errors) => errors.into_iter().collect(),
        Ok(config) => {
            let mut said = config.warnings().to_vec();
            for environment in config.environments() {
                let fakes = fakes::Fakes::default();
                said.extend(plan(&config, environment, &fakes).err().into_iter().flatten());
            }
            said
        }
    };
    for diagnostic in said {
        prop_assert!(!diagnostic.render().is_empty());
        prop_assert!(!diagnostic.message.contains(char::is_control));
        if let Some(place) = diagnostic.place {
            prop_assert!((1..=lines).contains(&place.line), "{place}");
            if let Some(line) = &place.line_text {
                let columns = line.chars().count();
                prop_assert!(
                    place.column + place.width <= columns + 2,
                    "{place} +{} in {line:?}",
                    place.width
                );
            }
        }
    }
    Ok(())
}

fn configish() -> impl Strategy<Value = String> {
    let words = [
        "version: ",
        "1",
        "0",
        "secretStores:",
        "providers:",
        "envs:",
        "  dev:",
        "    A: ",
        "    B: ",
        "  s: ",
        "{ ",
        " }",
        "type: fake",
        "type: field",
        "from: ",
        "store://s/a",
        "store://s/é#f?version=2",
        "store: ",
        "provider: ",
        "key: ",
        "literal: ",
        "default: ",
        "optional: ",
        "transform: ",
        "metadata: ",
        "extends: ",
        "include: ",
        "transforms:",
        "scopes:",
        "templates:",
        "field: ",
        "retries: ",
        ", ",
        "\n",
        "\n",
        "\r\n",
        "  ",
        "&x ",
        "*x",
        "<<: ",
        "${V}",
        "~",
        "'",
        "\"",
        "[",
        "]",
        "x",
        "é😀",
        "\u{2028}",
        "policies: ",
        "a",
        "|\n      text",
        " # c",
        "timeout_ms: ",
        "values: ",
        "token: ",
        "\t",
        "service: ",
        "\"\\0\"",
        "? ",
        ": ",
    ];
    proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..30)
        .prop_map(|words| words.concat())
}

/// A sound skeleton with a hole, so that the deeper parts are reached.
fn variable() -> impl Strategy<Value = String> {
    configish().prop_map(|hole| {
        format!(
            "secretStores: {{ s: {{ type: field }} }}\nenvs:\n  dev:\n    A: {{ {} }}\n",
            hole.replace(['\n', '\r'], " ")
        )
    })
}

/// What a plan says, without places.
fn meaning(text: &str) -> Vec<String> {
    let config = match Config::parse("f", text) {
        Ok(config) => config,
        // The places move; what is wrong does not.
        Err(errors) => {
            return errors.into_iter().map(|d| format!("{} {}", d.code, d.message)).collect();
        }
    };
    let mut said = Vec::new();
    for environment in config.environments() {
        match plan(&config, environment, &fakes::Fakes::default()) {
            Ok(plan) => said.extend(plan.variables.iter().map(|variable| {
                let PlannedVariable { name, optional, default, transforms, .. } = variable;
                let default = default.is_some();
                format!(
                    "{environment} {name} {} {optional} {default} {transforms:?}",
                    variable.source_text()
                )
            })),
            Err(errors) => {
                said.extend(errors.into_iter().map(|d| format!("{} {}", d.code, d.message)));
            }
        }
    }
    said
}

/// A configuration of the older form, with comments, quotes and styles anywhere.
fn older() -> impl Strategy<Value = String> {
    let key = proptest::sample::select(vec![
        "a",
        "'a b'",
        "\"x#y\"",
        "'50%'",
        "'it''s'",
        "7",
        "a.b/c",
        "'${X}'",
        "é",
        "'a:'",
        "\"a\\tb\"",
        "~",
        "'?'",
        "[x]",
    ]);
    let version = proptest::sample::select(vec![
        "",
        ", version: 2",
        ", version: '1&2'",
        ", version: ~",
        ", field: f",
        ", zz: 1",
    ]);
    let shape = 0..6;
    let variable = (key, version, shape).prop_map(|(key, version, shape)| {
        let entries = format!("provider: s, key: {key}{version}");
        match shape {
            0 => format!("from: {{ {entries} }}"),
            1 => format!("from: {{ {entries} }} # why\n      optional: true"),
            2 => format!("from: # why\n        {}", entries.replace(", ", "\n        ")),
            3 => format!("from:\n        {}", entries.replace(", ", "\n        ")),
            4 => format!("from: &x {{ {entries} }}"),
            _ => format!(
                "transform: 'trim,lower'\n      from: {{ {} }}",
                entries.replace(", ", ",\n        ")
            ),
        }
    });
    let section = proptest::sample::select(vec!["providers", "secretStores"]);
    let head = proptest::sample::select(vec![
        "",
        "version: 0 # old\n",
        "# c\n",
        "version: 1\n",
        "\u{feff}",
        "---\n",
    ]);
    (head, section, proptest::collection::vec(variable, 0..4)).prop_map(|(head, section, variables)| {
        let mut text = format!("{head}{section}:\n  s: {{ type: field }} # kept\nenvs:\n  dev:\n    Z: {{ literal: z }}\n");
        for (i, variable) in variables.iter().enumerate() {
            let variable = variable.replace("&x", &format!("&x{i}"));
            text += &["    V", &i.to_string(), ":\n      ", &variable, "\n"].concat();
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_configuration_panics(text in configish()) {
        check(&text)?;
    }

    #[test]
    fn no_variable_panics(text in variable()) {
        check(&text)?;
    }

    #[test]
    fn a_migrated_configuration_means_the_same(text in older()) {
        let migration = migrate("f", &text).unwrap();
        prop_assert_eq!(meaning(&migration.text), meaning(&text), "{}\n{}", text, &*migration.text);
        let comments = |text: &str| text.matches("# ").count();
        prop_assert_eq!(comments(&migration.text), comments(&text));
        let again = migrate("f", &migration.text).unwrap();
        prop_assert!(again.changes.is_empty(), "{}", &*again.text);
    }

    #[test]
    fn no_migration_panics(text in configish()) {
        if let Ok(migration) = migrate("f", &text) {
            prop_assert_eq!(migration.text.contains('$'), text.contains('$'));
        }
    }

    #[test]
    fn no_literal_is_shown(value in "[a-z]{3}Q[a-z0-9]{5}", style in 0..4, wrong in "(trasnform|optional|from|zz): [a-z]{1,3}") {
        let literal = match style {
            0 => value.clone(),
            1 => format!("'{value}'"),
            2 => format!("\"{value}\\0\""),
            _ => format!("[ {value} ]"),
        };
        for text in [
            format!("envs:\n  dev:\n    A: {{ literal: {literal}, {wrong} }} # {value}\n"),
            format!("envs:\n  dev:\n    A: {{ literal: {literal}, {wrong} }}: x\n"),
            format!("secretStores:\n  s: {{ tyep: t, token: {literal}, password: {literal} }}\n"),
            format!("envs:\n  dev:\n    A:\n      literal: |\n        {value}\n      {wrong}\n"),
        ] {
            let said = match Config::parse("f", &text) {
                Err(errors) => format!("{errors:?} {}", errors.diagnostics().iter().map(Diagnostic::render).collect::<String>()),
                Ok(config) => format!("{config:?}"),
            };
            prop_assert!(!said.contains(&value), "{said}");
        }
    }
}
