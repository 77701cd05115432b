//! The formats, their names, and which names of variables each accepts.

use std::{fmt, path::Path, str::FromStr};

use crate::error::{NameProblem, UnknownName};

/// What secrets can be written as.
///
/// What each can carry, and how it quotes, is in `docs/reference/formats.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `NAME='value'` lines that `.env` readers and POSIX shells take; see [`Dialect`].
    Dotenv,
    /// A JSON object.
    Json,
    /// A YAML mapping.
    Yaml,
    /// `export` lines for sh, dash, bash, ksh and zsh.
    Shell,
    /// `set -gx` lines for fish.
    Fish,
    /// `$env:` lines for PowerShell.
    PowerShell,
    /// The file for `docker run --env-file`: everything after `=` is the value.
    Docker,
    /// A Kubernetes `Secret` manifest.
    Kubernetes,
    /// The value of one variable, byte for byte: a file for systemd's `LoadCredential=`.
    SystemdCredential,
    /// The file for systemd's `EnvironmentFile=`.
    SystemdEnvironment,
    /// What is appended to the file that `$GITHUB_ENV` names.
    GithubEnv,
    /// A dotenv report of a GitLab job.
    GitlabEnv,
    /// A template of the user's own; with the cargo feature `template`.
    Template,
}

impl Format {
    /// All formats, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::Dotenv,
        Self::Json,
        Self::Yaml,
        Self::Shell,
        Self::Fish,
        Self::PowerShell,
        Self::Docker,
        Self::Kubernetes,
        Self::SystemdCredential,
        Self::SystemdEnvironment,
        Self::GithubEnv,
        Self::GitlabEnv,
        Self::Template,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dotenv => "dotenv",
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Shell => "shell",
            Self::Fish => "fish",
            Self::PowerShell => "powershell",
            Self::Docker => "docker",
            Self::Kubernetes => "k8s",
            Self::SystemdCredential => "systemd-credential",
            Self::SystemdEnvironment => "systemd-env",
            Self::GithubEnv => "github-env",
            Self::GitlabEnv => "gitlab-env",
            Self::Template => "template",
        }
    }

    /// The format that a file's name asks for: by its extension, else dotenv.
    ///
    /// # Examples
    /// ```
    /// use dsops_formats::Format;
    ///
    /// assert_eq!(Format::from_path("out/app.yml".as_ref()), Format::Yaml);
    /// assert_eq!(Format::from_path(".env.production".as_ref()), Format::Dotenv);
    /// ```
    pub fn from_path(path: &Path) -> Self {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("json") => Self::Json,
            Some("yaml" | "yml") => Self::Yaml,
            Some("tmpl" | "template" | "j2") => Self::Template,
            Some("sh") => Self::Shell,
            Some("fish") => Self::Fish,
            Some("ps1") => Self::PowerShell,
            _ => Self::Dotenv,
        }
    }

    /// Whether a variable of this name can be written.
    pub(crate) fn check_name(self, name: &str) -> Result<(), NameProblem> {
        if name.is_empty() {
            return Err(NameProblem::Empty);
        }
        match self {
            Self::Json | Self::Yaml | Self::Template => Ok(()),
            Self::Kubernetes => check_kubernetes_key(name),
            Self::SystemdCredential => check_file_name(name),
            Self::Docker => check_docker(name),
            Self::GithubEnv => check_posix(name).and_then(|()| check_github(name)),
            Self::Dotenv
            | Self::Shell
            | Self::Fish
            | Self::PowerShell
            | Self::SystemdEnvironment
            | Self::GitlabEnv => check_posix(name),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let known = match text {
            "env" => Some(Self::Dotenv),
            "yml" => Some(Self::Yaml),
            "sh" | "bash" | "zsh" => Some(Self::Shell),
            "pwsh" => Some(Self::PowerShell),
            "kubernetes" => Some(Self::Kubernetes),
            _ => Self::ALL.into_iter().find(|format| format.name() == text),
        };
        known.ok_or_else(|| UnknownName {
            what: "format",
            given: text.to_owned(),
            known: Self::ALL.iter().map(|format| format.name()).collect(),
        })
    }
}

/// Which reader a dotenv file is meant for, where readers disagree.
///
/// Most values are written in a form that every reader takes alike. The rest (both kinds of quotes, a
/// backslash before a quote, a carriage return) needs an escape, and those differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// POSIX shells (`. ./file`), `dsops import`, and the readers that follow the shell.
    #[default]
    Shell,
    /// `python-dotenv`.
    Python,
    /// The npm package `dotenv`.
    Node,
}

impl Dialect {
    /// All dialects.
    pub const ALL: [Self; 3] = [Self::Shell, Self::Python, Self::Node];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Python => "python",
            Self::Node => "node",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == text).ok_or_else(|| UnknownName {
            what: "dotenv dialect",
            given: text.to_owned(),
            known: Self::ALL.iter().map(|dialect| dialect.name()).collect(),
        })
    }
}

/// Whether a name is a variable name of POSIX shells.
pub(crate) fn is_posix_name(name: &[u8]) -> bool {
    name.first().is_some_and(|first| !first.is_ascii_digit())
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn check_posix(name: &str) -> Result<(), NameProblem> {
    if is_posix_name(name.as_bytes()) { Ok(()) } else { Err(NameProblem::NotPosix) }
}

/// The runner refuses the one and ignores the others.
fn check_github(name: &str) -> Result<(), NameProblem> {
    let upper = name.to_ascii_uppercase();
    let reserved =
        upper == "NODE_OPTIONS" || upper.starts_with("GITHUB_") || upper.starts_with("RUNNER_");
    if reserved { Err(NameProblem::Reserved) } else { Ok(()) }
}

/// docker takes what stands before `=` if it has no blanks; `#` at the start is a comment.
fn check_docker(name: &str) -> Result<(), NameProblem> {
    let bad = name.starts_with('#')
        || name
            .contains(|c: char| c.is_whitespace() || c.is_control() || c == '=' || c == '\u{feff}');
    if bad { Err(NameProblem::NotDocker) } else { Ok(()) }
}

/// Kubernetes, `IsConfigMapKey`.
fn check_kubernetes_key(name: &str) -> Result<(), NameProblem> {
    let valid = name.len() <= 253
        && name != "."
        && !name.starts_with("..")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if valid { Ok(()) } else { Err(NameProblem::NotKubernetesKey) }
}

/// systemd, `credential_name_valid`: a file name.
fn check_file_name(name: &str) -> Result<(), NameProblem> {
    let valid = name.len() <= 255
        && name != "."
        && name != ".."
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_control());
    if valid { Ok(()) } else { Err(NameProblem::NotCredential) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_found_by_its_name() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        for dialect in Dialect::ALL {
            assert_eq!(dialect.to_string().parse(), Ok(dialect));
        }
        let error = "jsn".parse::<Format>().unwrap_err();
        assert!(error.to_string().starts_with("there is no format `jsn`; known are: dotenv, json"));
    }

    #[test]
    fn a_file_name_chooses_the_format() {
        for (path, want) in [
            ("a.json", Format::Json),
            ("a.YAML", Format::Yaml),
            (".env", Format::Dotenv),
            ("prod.env", Format::Dotenv),
            ("nginx.conf.tmpl", Format::Template),
            ("x.template", Format::Template),
            ("x.j2", Format::Template),
            ("load.sh", Format::Shell),
            ("secrets", Format::Dotenv),
        ] {
            assert_eq!(Format::from_path(Path::new(path)), want, "{path}");
        }
    }

    #[test]
    fn names_are_checked_by_the_format() {
        let is_ok = |format: Format, name| format.check_name(name).is_ok();
        for format in Format::ALL {
            assert!(is_ok(format, "DATABASE_URL"), "{format}");
            assert!(!is_ok(format, ""), "{format}");
        }
        for format in [Format::Dotenv, Format::Shell, Format::Fish, Format::GitlabEnv] {
            for name in ["1A", "A-B", "A.B", "A B", "A=B", "Ä", "A\nB", "$(id)", "A;B"] {
                assert!(!is_ok(format, name), "{format} {name}");
            }
        }
        assert!(is_ok(Format::Kubernetes, "tls.crt") && !is_ok(Format::Kubernetes, "a/b"));
        assert!(!is_ok(Format::Kubernetes, "..") && !is_ok(Format::Kubernetes, "..a"));
        assert!(is_ok(Format::Docker, "a.b-c") && !is_ok(Format::Docker, "#a"));
        assert!(!is_ok(Format::Docker, "a b") && !is_ok(Format::Docker, "a=b"));
        assert!(!is_ok(Format::SystemdCredential, "../a"));
        for name in ["NODE_OPTIONS", "GITHUB_TOKEN", "runner_temp"] {
            assert!(!is_ok(Format::GithubEnv, name), "{name}");
        }
    }
}
