//! The JSON schema of `dsops.yaml`, written from the description of the format.

use super::json::Json;
use super::{ENVIRONMENT, FILE, Kind, STORE, Setting, VARIABLE_FORMS};
use crate::store::StoreFactory;

const NAME_BUT_EXTENDS: &str = "^(?!extends$)[A-Za-z_][A-Za-z0-9_]*$";

/// The JSON schema (draft 2020-12) of a `dsops.yaml` with the stores that `factory` makes; a text
/// that ends with a line break.
///
/// It is as strict as the reader where a schema can be. It does not know which names are defined,
/// what a reference looks like inside, and what `${…}` becomes.
pub fn schema(factory: &dyn StoreFactory) -> String {
    let stores = factory.types().iter().map(|store_type| store(store_type, factory));
    let schema = Json::object([
        ("$schema", Json::text("https://json-schema.org/draft/2020-12/schema")),
        ("title", Json::text("dsops.yaml")),
        ("description", Json::text("Where the environment variables of a project come from.")),
    ]);
    let definitions = Json::object([
        ("variable", kind(&VARIABLE_FORMS)),
        ("environment", environment()),
        ("store", Json::object([("oneOf", Json::List(stores.collect()))])),
    ]);
    let (Json::Object(mut entries), Json::Object(keys)) = (schema, keys(FILE)) else {
        unreachable!("both were built as objects")
    };
    entries.extend(keys);
    entries.push(("$defs".to_owned(), definitions));
    format!("{}\n", Json::Object(entries))
}

fn store(store_type: &str, factory: &dyn StoreFactory) -> Json {
    let own = factory.settings(store_type);
    let settings: Vec<Setting> = STORE.iter().chain(own.unwrap_or_default()).copied().collect();
    let Json::Object(mut entries) = keys(&settings) else {
        unreachable!("it was built as an object")
    };
    for (name, value) in &mut entries {
        match (name.as_str(), value) {
            ("properties", Json::Object(properties)) => {
                if let Some((_, of_type)) = properties.iter_mut().find(|(name, _)| name == "type") {
                    *of_type = Json::object([("const", Json::text(store_type))]);
                }
            }
            // A store that does not describe its settings may have any.
            ("additionalProperties", value) => *value = Json::Bool(own.is_none()),
            _ => {}
        }
    }
    Json::Object(entries).with("title", Json::text(store_type))
}

/// `extends` is a list of environments, or a variable of that name.
fn environment() -> Json {
    let variable = || Json::object([("$ref", Json::text("#/$defs/variable"))]);
    let extends = &ENVIRONMENT[0];
    let forms = Json::object([("anyOf", Json::List(vec![kind(&extends.kind), variable()]))]);
    let extends = (extends.name, forms.with("description", Json::text(extends.doc)));
    nullable(Json::object([
        ("type", Json::text("object")),
        ("properties", Json::object([extends])),
        ("patternProperties", Json::object([(NAME_BUT_EXTENDS, variable())])),
        ("additionalProperties", Json::Bool(false)),
    ]))
}

/// An empty section is as if it were not there.
fn nullable(schema: Json) -> Json {
    Json::object([(
        "anyOf",
        Json::List(vec![schema, Json::object([("type", Json::text("null"))])]),
    )])
}

/// A mapping with these keys and no others.
fn keys(settings: &[Setting]) -> Json {
    let properties = settings.iter().map(|setting| {
        (setting.name, kind(&setting.kind).with("description", Json::text(setting.doc)))
    });
    let required = settings.iter().filter(|setting| setting.required).map(|setting| setting.name);
    let required = Json::texts(required);
    let mut entries = vec![
        ("type", Json::text("object")),
        ("properties", Json::object(properties)),
        ("additionalProperties", Json::Bool(false)),
    ];
    if matches!(&required, Json::List(names) if !names.is_empty()) {
        entries.push(("required", required));
    }
    Json::object(entries)
}

fn kind(kind: &Kind) -> Json {
    let of_type = |name| Json::object([("type", Json::text(name))]);
    // A plain number or boolean is the text it was written as.
    let text = || Json::object([("type", Json::texts(["string", "number", "boolean"]))]);
    match kind {
        Kind::Text | Kind::Secret | Kind::Path => text(),
        Kind::Reference => Json::object([
            ("type", Json::text("string")),
            ("pattern", Json::text("^(store|svc)://|\\$\\{")),
        ]),
        Kind::Boolean => of_type("boolean"),
        Kind::Duration => Json::object([("type", Json::texts(["string", "integer"]))]),
        Kind::Integer { least, most } => {
            let number = Json::object([
                ("type", Json::text("integer")),
                ("minimum", Json::Number(*least)),
                ("maximum", Json::Number(*most)),
            ]);
            Json::object([("anyOf", Json::List(vec![number, expansion()]))])
        }
        Kind::Choice(choices) => {
            let choice = Json::object([("enum", Json::texts(choices.iter().copied()))]);
            Json::object([("anyOf", Json::List(vec![choice, expansion()]))])
        }
        Kind::Keys(settings) => keys(settings),
        Kind::Map(values) => {
            nullable(of_type("object").with("additionalProperties", self::kind(values)))
        }
        Kind::List(items) => of_type("array").with("items", self::kind(items)),
        Kind::OneOf(kinds) => {
            Json::object([("anyOf", Json::List(kinds.iter().map(self::kind).collect()))])
        }
        Kind::Null => of_type("null"),
        Kind::Anything => Json::object::<&str>([]),
        Kind::Store => Json::object([("$ref", Json::text("#/$defs/store"))]),
        Kind::Environment => Json::object([("$ref", Json::text("#/$defs/environment"))]),
    }
}

fn expansion() -> Json {
    Json::object([("type", Json::text("string")), ("pattern", Json::text("\\$\\{"))])
}
