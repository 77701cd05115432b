//! `fnox.toml` (fnox 1.46): plain values and defaults are taken, what age has encrypted is handed out as it is, and what a
//! provider would fetch becomes a reference.

use std::collections::{BTreeMap, BTreeSet};

use base64ct::{Base64, Encoding as _};
use dsops_secure_mem::SecretBytes;

use super::{Found, Key, Origin, Reference, toml};
use crate::error::ImportError;

pub(super) fn read(bytes: &[u8], found: &mut Found) -> Result<(), ImportError> {
    let mut document = Document::default();
    for entry in toml::entries(bytes)? {
        document.take(&entry, found)?;
    }
    document.finish(found);
    Ok(())
}

/// One secret as it is declared.
#[derive(Default)]
struct Secret {
    line: usize,
    description: Option<String>,
    provider: Option<String>,
    value: Option<SecretBytes>,
    default: Option<SecretBytes>,
    required: Option<bool>,
}

#[derive(Default)]
struct Document {
    /// The types of providers, by profile and name.
    providers: BTreeMap<Key, String>,
    /// What `default_provider` says, by profile.
    default_providers: BTreeMap<Option<String>, String>,
    secrets: BTreeMap<Key, Secret>,
    /// Profiles and names whose `sync` was mentioned.
    synced: BTreeSet<Key>,
}

impl Document {
    fn take(&mut self, entry: &toml::Entry<'_>, found: &mut Found) -> Result<(), ImportError> {
        let keys = entry.keys();
        let (profile, keys) = match keys.as_slice() {
            ["profiles", profile, keys @ ..] => (Some((*profile).to_owned()), keys),
            keys => (None, keys),
        };
        match keys {
            ["providers", name, "type"] => {
                self.providers.insert((profile, (*name).to_owned()), entry.text());
            }
            ["default_provider"] => {
                self.default_providers.insert(profile, entry.text());
            }
            ["secrets", name, field] => {
                let name = (*name).to_owned();
                return self.secret((profile, name), field, entry, found);
            }
            ["secrets", name, "sync", ..] => {
                let key = (profile, (*name).to_owned());
                if self.synced.insert(key) {
                    found.note(
                        entry.line,
                        format!("{name}: the copy that `fnox sync` made is not taken"),
                    );
                }
            }
            ["import", ..] => {
                found.note(entry.line, "the imported file is not read: import it by itself");
            }
            _ => {}
        }
        Ok(())
    }

    fn secret(
        &mut self,
        key: Key,
        field: &str,
        entry: &toml::Entry<'_>,
        found: &mut Found,
    ) -> Result<(), ImportError> {
        let name = key.1.clone();
        let secret = self.secrets.entry(key).or_default();
        if secret.line == 0 {
            secret.line = entry.line;
        }
        let mut note = |text: &str| found.note(entry.line, format!("{name}: {text}"));
        match field {
            "description" => secret.description = Some(entry.text()),
            "provider" => secret.provider = Some(entry.text()),
            "value" => secret.value = Some(entry.secret()?),
            "default" => {
                let default = entry.secret()?;
                if default.expose().windows(2).any(|pair| pair == b"${") {
                    note("the default is made of other secrets (`${…}`) and not taken");
                } else {
                    secret.default = Some(default);
                }
            }
            "if_missing" => secret.required = Some(entry.text() == "error"),
            "json_path" => note("`json_path` is not applied: add the transform `json_extract`"),
            "line" => note("`line` is not applied: the whole value is taken"),
            "as_file" if entry.boolean() == Some(true) => {
                note("`as_file` is not taken over: the variable gets the value itself");
            }
            "env" if entry.boolean() == Some(false) => {
                note(
                    "`env = false` is not taken over: leave it out of the environment it should not be in",
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// Turns the secrets into values and references.
    fn finish(self, found: &mut Found) {
        let Self { providers, default_providers, secrets, .. } = self;
        let lookup = Providers { providers, defaults: default_providers };
        for ((profile, name), secret) in secrets {
            let (provider, kind) = lookup.of(profile.as_ref(), secret.provider.as_deref());
            let Secret { line, description, value, default, required, .. } = secret;
            let origin = match (value, provider, kind.as_deref()) {
                (Some(value), _, Some("plain")) => {
                    found.value(line, profile.as_deref(), name, value);
                    continue;
                }
                (Some(value), Some(provider), Some("age")) => {
                    Origin::Age { ciphertext: ciphertext(&value.expose()), provider }
                }
                (Some(value), Some(provider), kind) => {
                    // Ciphertext is of no use as a key. Of a provider that another file declares, the value may be
                    // anything, the secret itself included.
                    let key = match kind {
                        None | Some("aws-kms" | "azure-kms" | "gcp-kms" | "fido2" | "yubikey") => {
                            None
                        }
                        Some(_) => Some(String::from_utf8_lossy(&value.expose()).into_owned()),
                    };
                    if kind.is_none() {
                        let text = format!(
                            "{name}: provider {provider} is not declared in this file, not taken"
                        );
                        found.note(line, text);
                    }
                    Origin::Provider { name: provider, kind: kind.map(str::to_owned), key }
                }
                (None, _, _) if default.is_some() => {
                    if let Some(default) = default {
                        found.value(line, profile.as_deref(), name, default);
                    }
                    continue;
                }
                (None, Some(provider), kind) if secret.provider.is_some() => {
                    Origin::Provider { name: provider, kind: kind.map(str::to_owned), key: None }
                }
                (Some(_), None, _) => {
                    found.note(
                        line,
                        format!("{name}: no provider is named for its value, not taken"),
                    );
                    Origin::Declared
                }
                (None, _, _) => Origin::Declared,
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
    }
}

/// Which provider a secret belongs to.
struct Providers {
    providers: BTreeMap<Key, String>,
    defaults: BTreeMap<Option<String>, String>,
}

impl Providers {
    /// Name and type: the one that is named, else the default, else the only one.
    fn of(
        &self,
        profile: Option<&String>,
        wanted: Option<&str>,
    ) -> (Option<String>, Option<String>) {
        let scopes = [profile.cloned(), None];
        let visible = |key: &&Key| scopes.contains(&key.0);
        let default = || scopes.iter().find_map(|scope| self.defaults.get(scope)).cloned();
        let only = || {
            let names: BTreeSet<_> =
                self.providers.keys().filter(visible).map(|(_, name)| name).collect();
            if names.len() == 1 { names.first().map(|name| (*name).clone()) } else { None }
        };
        let name = wanted.map(str::to_owned).or_else(default).or_else(only);
        let kind = name.as_ref().and_then(|name| {
            scopes
                .iter()
                .find_map(|scope| self.providers.get(&(scope.clone(), name.clone())))
                .cloned()
        });
        (name, kind)
    }
}

/// fnox writes base64, and takes anything else for the file itself.
fn ciphertext(value: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; value.len()];
    let decoded =
        std::str::from_utf8(value).ok().and_then(|text| Base64::decode(text, &mut buffer).ok());
    decoded.map_or_else(|| value.to_vec(), <[u8]>::to_vec)
}
