//! Writes variables as one of the formats, into protected memory.

mod base64;
mod dotenv;
mod github;
mod json;
mod kubernetes;
mod lines;
mod shell;
mod systemd;
#[cfg(feature = "template")]
mod template;
mod yaml;

use std::{
    io::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use dsops_secure_mem::{SecretBytes, Writer};

use crate::{
    error::{RenderError, RenderErrors, ValueProblem},
    format::{Dialect, Format},
};

/// What a format may be told. The default is right for all but [`Format::Kubernetes`] and [`Format::Template`].
///
/// ```
/// let mut options = dsops_formats::Options::default();
/// options.flat = true;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Options<'a> {
    /// A time to write into the file, where the format has a place for one (dotenv, JSON, YAML). Without it the
    /// output depends on the variables alone.
    pub generated_at: Option<SystemTime>,
    /// JSON and YAML: only the variables, without `generated_by` around them.
    pub flat: bool,
    /// dotenv: the reader that it is meant for.
    pub dialect: Dialect,
    /// Kubernetes: the manifest's name.
    pub secret_name: Option<&'a str>,
    /// Kubernetes: the manifest's namespace; without it that of the one who applies it.
    pub namespace: Option<&'a str>,
    /// Template: its name for messages, and its text.
    pub template: Option<Template<'a>>,
}

/// A template's name for messages, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a> {
    /// The file it comes from.
    pub name: &'a str,
    /// Its text. It is not secret.
    pub source: &'a str,
}

/// Writes variables, sorted by name. The output lies in protected memory.
///
/// The same variables and options always give the same bytes. Nothing is written if anything is wrong.
///
/// # Errors
/// Everything that is wrong, sorted by name: a name or value that the format cannot carry, a missing option.
///
/// # Security
/// Values go from one protected place to the other. Escapes are computed byte by byte; what base64 needs lies on the
/// stack for a moment and is wiped. For templates see `docs/reference/formats.md`.
///
/// # Examples
/// ```
/// use dsops_formats::{Format, Options, render};
/// use dsops_secure_mem::SecretBytes;
///
/// let value = SecretBytes::copy_from(b"it's $5")?;
/// let file = render(Format::Shell, &[("PRICE", &value)], &Options::default())?;
/// assert_eq!(&*file.expose(), b"export PRICE='it'\\''s $5'\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn render(
    format: Format,
    variables: &[(&str, &SecretBytes)],
    options: &Options<'_>,
) -> Result<SecretBytes, RenderErrors> {
    let mut sorted = variables.to_vec();
    sorted.sort_by_key(|(name, _)| *name);
    let problems = check(format, &sorted);
    if !problems.is_empty() {
        return Err(RenderErrors(problems));
    }
    let mut out = Writer::new();
    let mut document = Document { format, options, out: &mut out, problems: Vec::new() };
    document.write(&sorted)?;
    if !document.problems.is_empty() {
        return Err(RenderErrors(document.problems));
    }
    Ok(out.finish().map_err(RenderError::from)?)
}

/// What can be said without looking at a value.
fn check(format: Format, sorted: &[(&str, &SecretBytes)]) -> Vec<RenderError> {
    let mut problems = Vec::new();
    for (name, _) in sorted {
        if let Err(problem) = format.check_name(name) {
            problems.push(RenderError::Name { name: (*name).to_owned(), format, problem });
        }
    }
    for pair in sorted.windows(2) {
        if pair[0].0 == pair[1].0 {
            problems.push(RenderError::Duplicate { name: pair[0].0.to_owned() });
        }
    }
    if format == Format::SystemdCredential && sorted.len() != 1 {
        problems.push(RenderError::NotOne { format, count: sorted.len() });
    }
    problems
}

/// Why one value was not written.
pub(crate) enum Refused {
    Problem(ValueProblem),
    Memory(dsops_secure_mem::Error),
}

impl From<ValueProblem> for Refused {
    fn from(problem: ValueProblem) -> Self {
        Self::Problem(problem)
    }
}

impl From<dsops_secure_mem::Error> for Refused {
    fn from(error: dsops_secure_mem::Error) -> Self {
        Self::Memory(error)
    }
}

/// One file in the making.
struct Document<'a> {
    format: Format,
    options: &'a Options<'a>,
    out: &'a mut Writer,
    problems: Vec<RenderError>,
}

impl Document<'_> {
    fn write(&mut self, sorted: &[(&str, &SecretBytes)]) -> Result<(), RenderError> {
        match self.format {
            Format::Dotenv => {
                self.dotenv_header()?;
                let dialect = self.options.dialect;
                self.each(sorted, |out, name, value| dotenv::line(out, dialect, name, value))
            }
            Format::Json => self.wrapped(sorted, json::BRACES, json::entry),
            Format::Yaml => self.wrapped(sorted, yaml::BRACES, yaml::entry),
            Format::Shell => self.each(sorted, shell::posix),
            Format::Fish => self.each(sorted, shell::fish),
            Format::PowerShell => self.each(sorted, shell::power_shell),
            Format::Docker => self.each(sorted, lines::docker),
            Format::GitlabEnv => self.each(sorted, lines::gitlab),
            Format::Kubernetes => {
                kubernetes::header(self.out, self.options, sorted)?;
                self.each(sorted, kubernetes::entry)
            }
            Format::SystemdCredential => self.each(sorted, systemd::credential),
            Format::SystemdEnvironment => self.each(sorted, systemd::environment),
            Format::GithubEnv => self.each(sorted, github::entry),
            #[cfg(feature = "template")]
            Format::Template => template::write(self.out, self.options, sorted),
            #[cfg(not(feature = "template"))]
            Format::Template => Err(RenderError::MissingOption {
                format: self.format,
                option: "the cargo feature `template`, which this build lacks",
            }),
        }
    }

    /// Writes every variable by `write`; what cannot be written is noted, and the rest goes on.
    fn each(
        &mut self,
        sorted: &[(&str, &SecretBytes)],
        mut write: impl FnMut(&mut Writer, &str, &[u8]) -> Result<(), Refused>,
    ) -> Result<(), RenderError> {
        for (name, value) in sorted {
            match write(self.out, name, &value.try_expose()?) {
                Ok(()) => {}
                Err(Refused::Memory(error)) => return Err(error.into()),
                Err(Refused::Problem(problem)) => self.problems.push(RenderError::Value {
                    name: (*name).to_owned(),
                    format: self.format,
                    problem,
                }),
            }
        }
        Ok(())
    }

    /// JSON and YAML: the variables, and what stands around them.
    fn wrapped(
        &mut self,
        sorted: &[(&str, &SecretBytes)],
        braces: Braces,
        entry: impl Fn(&mut Writer, &Place, &str, &[u8]) -> Result<(), Refused>,
    ) -> Result<(), RenderError> {
        let flat = self.options.flat;
        if !flat {
            self.out.push(braces.open.as_bytes())?;
            if let Some(time) = self.options.generated_at {
                self.out.push(braces.generated_at.as_bytes())?;
                self.time(time)?;
                self.out.push(braces.after_time.as_bytes())?;
            }
            self.out.push(braces.generated_by.as_bytes())?;
        }
        self.out.push(match (sorted.is_empty(), flat) {
            (true, true) => b"{}",
            (true, false) => braces.no_variables.as_bytes(),
            (false, true) => braces.open.as_bytes(),
            (false, false) => braces.open_variables.as_bytes(),
        })?;
        let mut is_first = true;
        self.each(sorted, |out, name, value| {
            let place =
                Place { is_first: std::mem::take(&mut is_first), depth: 2 - usize::from(flat) };
            entry(out, &place, name, value)
        })?;
        if !sorted.is_empty() {
            let close = if flat { braces.close_flat } else { braces.close_variables };
            self.out.push(close.as_bytes())?;
        }
        if !flat {
            self.out.push(braces.close.as_bytes())?;
        }
        self.out.push(b"\n")?;
        Ok(())
    }

    fn dotenv_header(&mut self) -> Result<(), RenderError> {
        self.out.push(b"# Generated by dsops\n")?;
        if let Some(time) = self.options.generated_at {
            self.out.push(b"# Created: ")?;
            self.time(time)?;
            self.out.push(b"\n")?;
        }
        self.out.push(b"# This file holds secrets: keep it out of version control.\n\n")?;
        Ok(())
    }

    /// RFC 3339, whole seconds, UTC.
    fn time(&mut self, time: SystemTime) -> Result<(), RenderError> {
        let invalid = RenderError::InvalidOption {
            option: "the time of generation",
            reason: "it lies before 1970 or after 9999",
        };
        // The library panics before 1970.
        if time < UNIX_EPOCH {
            return Err(invalid);
        }
        write!(self.out, "{}", humantime::format_rfc3339_seconds(time)).map_err(|_| invalid)
    }
}

/// The fixed text of JSON and YAML around the variables.
#[derive(Clone, Copy)]
struct Braces {
    open: &'static str,
    generated_at: &'static str,
    after_time: &'static str,
    generated_by: &'static str,
    no_variables: &'static str,
    open_variables: &'static str,
    close_variables: &'static str,
    close_flat: &'static str,
    close: &'static str,
}

/// Where an entry stands.
struct Place {
    is_first: bool,
    /// How deep it is indented.
    depth: usize,
}

/// The value as text.
fn text(value: &[u8]) -> Result<&str, ValueProblem> {
    std::str::from_utf8(value).map_err(|_| ValueProblem::NotUtf8)
}

/// For readers that end a value at NUL.
fn refuse_nul(value: &[u8]) -> Result<(), ValueProblem> {
    if value.contains(&0) { Err(ValueProblem::Nul) } else { Ok(()) }
}

/// Writes `value` with each byte for which `escape` has another text replaced by that.
fn push_escaped(
    out: &mut Writer,
    value: &[u8],
    escape: impl Fn(u8) -> Option<&'static str>,
) -> Result<(), dsops_secure_mem::Error> {
    let mut done = 0;
    for (index, byte) in value.iter().enumerate() {
        if let Some(other) = escape(*byte) {
            out.push(&value[done..index])?;
            out.push(other.as_bytes())?;
            done = index + 1;
        }
    }
    out.push(&value[done..])
}
