//! `secretspec.toml` (secretspec 0.21): it declares secrets and holds no values but defaults, so all become references.

use std::collections::BTreeMap;

use dsops_secure_mem::SecretBytes;

use super::{Found, Key, Origin, Reference, toml};
use crate::error::ImportError;

pub(super) fn read(bytes: &[u8], found: &mut Found) -> Result<(), ImportError> {
    let mut secrets: BTreeMap<Key, Secret> = BTreeMap::new();
    let mut required: BTreeMap<Option<String>, bool> = BTreeMap::new();
    for entry in toml::entries(bytes)? {
        match entry.keys().as_slice() {
            ["profiles", profile, "defaults", "required"] => {
                if let Some(value) = entry.boolean() {
                    required.insert(Some((*profile).to_owned()), value);
                }
            }
            ["profiles", profile, "defaults", "default"] => found.note(
                entry.line,
                format!("the default for all secrets of profile {profile} is not taken"),
            ),
            ["profiles", _, "defaults", ..] => {}
            ["profiles", profile, name, field, rest @ ..] => {
                let key = (Some((*profile).to_owned()), (*name).to_owned());
                let secret = secrets.entry(key).or_default();
                if secret.line == 0 {
                    secret.line = entry.line;
                }
                secret.take(name, field, rest, &entry, found)?;
            }
            ["project", "extends", ..] => {
                found.note(entry.line, "the extended project is not read: import it by itself");
            }
            _ => {}
        }
    }
    for ((profile, name), secret) in secrets {
        let Secret { line, description, default, provider, item, .. } = secret;
        let required = secret.required.or_else(|| required.get(&profile).copied());
        let origin = match (provider, item) {
            (None, None) => Origin::Declared,
            (provider, key) => {
                // An address without a provider is asked of whichever one the user has.
                let (name, kind) = provider.map_or((String::new(), None), split_uri);
                Origin::Provider { name, kind, key }
            }
        };
        found.references.push(Reference {
            name,
            profile,
            line,
            description,
            required,
            default,
            origin,
        });
    }
    Ok(())
}

/// One declaration.
#[derive(Default)]
struct Secret {
    line: usize,
    description: Option<String>,
    required: Option<bool>,
    default: Option<SecretBytes>,
    /// The first of `providers`.
    provider: Option<String>,
    /// `ref.item`, with `ref.field` after a `#`.
    item: Option<String>,
    groups: bool,
}

impl Secret {
    fn take(
        &mut self,
        name: &str,
        field: &str,
        rest: &[&str],
        entry: &toml::Entry<'_>,
        found: &mut Found,
    ) -> Result<(), ImportError> {
        let mut note = |text: &str| found.note(entry.line, format!("{name}: {text}"));
        match (field, rest) {
            ("description", []) => self.description = Some(entry.text()),
            ("required", []) => self.required = entry.boolean(),
            ("required", ..) => {
                self.required = Some(false);
                if !std::mem::replace(&mut self.groups, true) {
                    note(
                        "groups of which one must be there are not taken over: it becomes optional",
                    );
                }
            }
            ("default", []) => self.default = Some(entry.secret()?),
            ("providers", ["0"]) => self.provider = Some(entry.text()),
            ("providers", [_]) => note("a further provider to fall back to is not taken over"),
            ("ref", ["item"]) => {
                let field = self.item.take().unwrap_or_default();
                self.item = Some(entry.text() + &field);
            }
            ("ref", ["field"]) => {
                let item = self.item.take().unwrap_or_default();
                self.item = Some(format!("{item}#{}", entry.text()));
            }
            ("refs", ..) => note("addresses by provider (`refs`) are not taken over"),
            ("composed", []) => note("it is composed of other secrets, which is not taken over"),
            ("encoding", []) => {
                note("`encoding` is not applied: add the transform that decodes it");
            }
            ("extract", ..) => note("`extract` is not applied: add the transform `json_extract`"),
            ("as_path", []) if entry.boolean() == Some(true) => {
                note("`as_path` is not taken over: the variable gets the value itself");
            }
            _ => {}
        }
        Ok(())
    }
}

/// `keyring://…` is a type and the whole an address; a bare word is a name. A password in the address is left out.
fn split_uri(provider: String) -> (String, Option<String>) {
    let Some((scheme, rest)) = provider.split_once("://") else {
        let kind = provider.split_once(':').map(|(kind, _)| kind.to_owned());
        return (provider, kind);
    };
    let address = match rest.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => format!("{scheme}://{host}"),
        _ => format!("{scheme}://{rest}"),
    };
    (address, Some(scheme.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_shown_without_its_password() {
        for (given, name, kind) in [
            ("keyring", "keyring", None),
            ("dotenv:.env", "dotenv:.env", Some("dotenv")),
            ("keyring://", "keyring://", Some("keyring")),
            ("op+token://u:hidden@vault", "op+token://vault", Some("op+token")),
            ("op://me@vault", "op://me@vault", Some("op")),
        ] {
            let want = (name.to_owned(), kind.map(str::to_owned));
            assert_eq!(split_uri(given.to_owned()), want);
        }
    }
}
