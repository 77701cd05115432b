//! The file that is imported, as names and values in protected memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use dsops_formats::{IMPORT_LIMIT_BYTES, ImportFormat, Imported, Origin, import};
use dsops_secure_mem::SecretBytes;
use dsops_stores::age;
use dsops_stores::sops::{Keyring, SopsFile};

use super::{Args, Source};
use crate::context::Context;
use crate::embedded::file_failure;
use crate::exit::Exit;
use crate::prompt;
use crate::report::{Failure, Report};
use crate::ui;

/// What a file gave.
#[derive(Debug, Default)]
pub struct Found {
    /// By name.
    pub values: Vec<(String, SecretBytes)>,
    /// What the file names without having its value, and why it was left out.
    pub left: Vec<(String, String)>,
    /// What else there is to know.
    pub notes: Vec<String>,
    /// Whether the file holds values that anyone who reads it can read.
    pub in_clear: bool,
}

/// The name of standard input.
pub const STDIN: &str = "-";

/// Reads the file.
///
/// # Errors
/// It cannot be read, or is not what it is taken for.
pub fn read(cx: &Context, args: &Args) -> Result<Found, Failure> {
    let is_stdin = args.file.as_os_str() == STDIN;
    match args.from.or_else(|| source_of(&args.file)) {
        Some(Source::Sops) if is_stdin => {
            Err(Failure::usage("a SOPS document is not read from standard input", "name its file"))
        }
        Some(Source::Sops) => read_sops(cx, &args.file),
        Some(Source::Other(format)) => read_other(cx, args, format),
        None => Err(Failure::usage(
            format!("it cannot be said from its name what {} is", args.file.display()),
            "say it with `--from`: dotenv, json, fnox, secretspec or sops",
        )),
    }
}

fn source_of(path: &Path) -> Option<Source> {
    let name = path.file_name()?.to_str()?;
    let is_sops = name.contains(".sops.") || name.contains(".enc.");
    if is_sops { Some(Source::Sops) } else { ImportFormat::from_path(path).map(Source::Other) }
}

fn read_other(cx: &Context, args: &Args, format: ImportFormat) -> Result<Found, Failure> {
    let unreadable = || Report::error(format!("cannot read {}", args.file.display()));
    let is_stdin = args.file.as_os_str() == STDIN;
    let mut file = if is_stdin {
        // Not `io::stdin()`: its buffer is ordinary memory.
        prompt::stdin_unbuffered()?
    } else {
        File::open(&args.file)
            .map_err(|error| Failure::new(Exit::Config, unreadable().because(&error)))?
    };
    let bytes = SecretBytes::from_reader(&mut file, IMPORT_LIMIT_BYTES)
        .map_err(|error| Failure::new(Exit::Config, unreadable().because(&error)))?;
    let imported = import(format, &bytes.expose()).map_err(|error| {
        let report = Report::error(format!("cannot read {} as {format}", args.file.display()));
        Failure::new(Exit::Config, report.because(&error))
    })?;
    drop(bytes);
    let mut found = Found {
        notes: imported.notes.iter().map(ToString::to_string).collect(),
        in_clear: !is_stdin && !imported.values.is_empty(),
        ..Found::default()
    };
    note_profiles(&imported, args, &mut found);
    let wanted = |profile: &Option<String>| profile.is_none() || *profile == args.profile;
    // What all profiles share comes first, so that the profile's own value wins.
    let mut values = BTreeMap::new();
    let (shared, own): (Vec<_>, Vec<_>) = imported
        .values
        .into_iter()
        .filter(|value| wanted(&value.profile))
        .partition(|value| value.profile.is_none());
    for value in shared.into_iter().chain(own) {
        values.insert(value.name, value.value);
    }
    let mut keyring = None;
    for reference in imported.references {
        if !wanted(&reference.profile) || values.contains_key(&reference.name) {
            continue;
        }
        match reference.origin {
            Origin::Age { ciphertext, .. } => {
                if keyring.is_none() {
                    keyring = Some(Keyring::find(&cx.environment).map_err(Failure::from_store)?);
                }
                let identities = keyring.as_ref().map(Keyring::identities).unwrap_or_default();
                match age::decrypt(&ciphertext, identities) {
                    Ok(value) => {
                        values.insert(reference.name, value);
                    }
                    Err(error) => {
                        found
                            .left
                            .push((reference.name, format!("it is encrypted with age: {error}")));
                    }
                }
            }
            Origin::Provider { name, kind, key } => {
                let kind = kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
                let key =
                    key.map(|key| format!(", key `{}`", ui::one_line(&key))).unwrap_or_default();
                found.left.push((reference.name, format!("its value is in `{name}`{kind}{key}")));
            }
            _ => {
                let about = reference.description.map(|text| format!(": {}", ui::one_line(&text)));
                let text = format!("the file only declares it{}", about.unwrap_or_default());
                found.left.push((reference.name, text));
            }
        }
    }
    found.values = values.into_iter().collect();
    Ok(found)
}

/// Says which profiles were not taken.
fn note_profiles(imported: &Imported, args: &Args, found: &mut Found) {
    let profiles: BTreeSet<&str> = imported
        .values
        .iter()
        .filter_map(|value| value.profile.as_deref())
        .chain(imported.references.iter().filter_map(|reference| reference.profile.as_deref()))
        .collect();
    let others: Vec<&str> =
        profiles.iter().copied().filter(|name| args.profile.as_deref() != Some(*name)).collect();
    if let Some(wanted) = args.profile.as_deref().filter(|wanted| !profiles.contains(wanted)) {
        found.notes.push(format!("there is no profile `{wanted}`"));
    }
    if !others.is_empty() {
        found
            .notes
            .push(format!("profiles not taken: {}; `--profile` takes one", others.join(", ")));
    }
}

fn read_sops(cx: &Context, path: &Path) -> Result<Found, Failure> {
    let keyring = Arc::new(Keyring::find(&cx.environment).map_err(Failure::from_store)?);
    let document = SopsFile::new(path, keyring).open().map_err(|error| file_failure(&error))?;
    let keys = document.keys().map_err(|error| file_failure(&error))?;
    let mut found = Found::default();
    for key in keys {
        let value = document.get(&key).map_err(|error| file_failure(&error))?;
        let name = variable_name(&key);
        if name != key {
            found.notes.push(format!("`{}` is called {name} here", ui::one_line(&key)));
        }
        match found.values.iter_mut().find(|(known, _)| *known == name) {
            Some(_) => found.notes.push(format!("{name} is there twice; the first one was taken")),
            None => found.values.push((name, value)),
        }
    }
    Ok(found)
}

/// The name a variable gets from a key: `database/password` is `DATABASE_PASSWORD`; a name that is
/// one already stays.
fn variable_name(key: &str) -> String {
    if super::is_variable(key) {
        return key.to_owned();
    }
    key.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_what_a_file_is() {
        let source = |name: &str| source_of(Path::new(name));
        assert_eq!(source("a/old.sops.yaml"), Some(Source::Sops));
        assert_eq!(source(".env"), Some(Source::Other(ImportFormat::Dotenv)));
        assert_eq!(source("fnox.toml"), Some(Source::Other(ImportFormat::Fnox)));
        assert_eq!(source("notes"), None);
    }

    #[test]
    fn nested_keys_become_names() {
        assert_eq!(variable_name("PLAIN_name"), "PLAIN_name");
        assert_eq!(variable_name("database/password"), "DATABASE_PASSWORD");
        assert_eq!(variable_name("api-key.v2"), "API_KEY_V2");
    }
}
