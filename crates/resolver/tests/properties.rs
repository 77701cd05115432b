//! No configuration panics, and what is said about it fits the text.

mod fakes;

use dsops_resolver::{Config, Diagnostic, plan};
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
