//! What to write in place of what documents and examples of the first dsops show and no dsops took.

/// For `NAME:KEY` as a reference.
pub(super) fn name_and_key(text: &str) -> Option<String> {
    let (name, key) = text.split_once(':')?;
    let sound = is_name(name)
        && !key.is_empty()
        && !key.starts_with("//")
        && !key.contains(char::is_control);
    sound.then(|| format!("write `from: {{ store: {name}, key: \"{key}\" }}`"))
}

/// For `{ store: NAME/PATH }`.
pub(super) fn store_and_path(text: &str) -> Option<String> {
    let (name, path) = text.split_once('/')?;
    let sound = is_name(name) && !path.is_empty() && !path.contains(char::is_control);
    sound.then(|| format!("write `from: store://{text}`"))
}

/// For a key in `from`; `has_key` is whether `key` stands there too.
pub(super) fn key_of_from(name: &str, has_key: bool) -> Option<&'static str> {
    Some(match name {
        "path" if has_key => {
            "the item is `key`, a part of it `field`: write `path` as `key`, and `key` as `field`"
        }
        "path" | "name" | "secret" | "secret_id" | "item" if !has_key => "write it as `key`",
        "value" => "a value that stands in the file is `literal: …`, in place of `from`",
        "fallback" => "a value for when there is none is `default: …`, beside `from`",
        "vault" | "project" | "config" | "account" | "subscription" | "resource_type" => {
            "where a store looks is a setting of the store: define one store for each"
        }
        "batch" => {
            "items of one store are fetched together without being told: name `store` and `key`"
        }
        _ => return None,
    })
}

/// For a step of a chain that is a mapping with several keys, or with `type`.
pub(super) fn step(keys: &[&str], name: Option<&str>) -> Option<String> {
    let name = name.filter(|_| keys.contains(&"type"))?;
    let known = crate::transform::names().any(|known| known == name);
    known.then(|| match keys {
        [_] => format!("write `- {name}`"),
        _ => format!("write `- {name}: …`, with its arguments after the name"),
    })
}

fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !text.is_empty() && text.chars().all(fits)
}
