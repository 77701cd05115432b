//! What `--policy` names: a short form, or a policy file.
//!
//! Only a file that the user names is read. The working folder is often the folder that was
//! downloaded, and a policy in it would be the word of whoever made the download.

use std::ffi::OsStr;
use std::path::Path;

use dsops_release_verify::registry::npm::RegistryKeys;
use dsops_release_verify::{
    Origin, POLICY_LIMIT_BYTES, PolicyFile, PolicyFileError, TRUST_LIMIT_BYTES,
};
use dsops_resolver::Place;

use super::demands::Keys;
use super::files;
use super::inputs::STDIN;
use crate::exit::Exit;
use crate::report::{Failure, Report};

/// What a policy file is called by custom.
pub const FILE: &str = "dsops-verify.yaml";

/// The code of what is wrong with a policy.
pub const CODE: &str = "verify/policy";

/// The policy of that name. Keys are only for the registry that a short form names.
///
/// # Errors
/// It is none, or keys were named beside it.
pub fn read(policy: &OsStr, keys: Keys) -> Result<PolicyFile, Failure> {
    let short = policy.to_str().filter(|text| PolicyFile::is_short(text));
    let is_npm = short.is_some_and(|text| text.starts_with("npm:"));
    let has_registry = !keys.registry.keys().is_empty();
    if !keys.own.is_empty() || (has_registry && !is_npm) {
        return Err(Failure::usage(
            "a policy says itself which keys may sign",
            "take `--key` out, or `--policy`; a policy file names keys as `key: FILE`",
        ));
    }
    match short {
        Some(text) => {
            let npm = if has_registry { keys.registry } else { RegistryKeys::npm() };
            PolicyFile::short(text, &npm).map_err(|error| refused(&error))
        }
        None => file(policy),
    }
}

/// The policy in a file. Keys and roots that it names lie beside it.
///
/// # Errors
/// It cannot be read, or is none.
pub fn file(path: &OsStr) -> Result<PolicyFile, Failure> {
    if path == STDIN {
        return Err(Failure::usage(
            "a policy is not read from standard input",
            "name its file: the keys that it names lie beside it",
        ));
    }
    let content = files::read(path, POLICY_LIMIT_BYTES).map_err(|error| {
        let report = files::unreadable(path, &error);
        let text = path.to_str().unwrap_or_default();
        // `GitHub:octo/demo`, `gh:octo/demo` and `octo/demo` are no short forms.
        let name = text.split_once(':').map_or(text, |(_, name)| name);
        let looks_short = name.split('/').count() == 2;
        let report = match error.kind() {
            std::io::ErrorKind::NotFound if looks_short => {
                report.help(format!("for a repository on GitHub: `github:{name}`"))
            }
            _ => report,
        };
        Failure::new(Exit::Store, report)
    })?;
    let path = Path::new(path);
    let folder = path.parent().unwrap_or(Path::new(""));
    let name = path.display().to_string();
    PolicyFile::read(&content, &Origin::new(&name), |file| {
        files::read(folder.join(file).as_os_str(), TRUST_LIMIT_BYTES)
    })
    .map_err(|error| malformed(&name, error))
}

/// A policy on the command line that is none.
pub fn refused(error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut report = Report::from_error(error);
    report.code = Some(CODE);
    Failure::new(Exit::Usage, report)
}

fn malformed(file: &str, error: PolicyFileError) -> Failure {
    let mut report = Report::error(error.problem);
    report.code = Some(CODE);
    report.place = Some(place(file, error.line, error.column));
    report.help = error.help;
    Failure::new(Exit::Config, report)
}

/// A place in a policy file.
pub fn place(file: &str, line: usize, column: usize) -> Place {
    Place { file: file.into(), line, column, width: 1, line_text: None }
}
