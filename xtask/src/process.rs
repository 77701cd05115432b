//! Starting other programs: one way to do it, and the word for "could not be run here".

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// A check that could not be made here. It is never a pass: `ci` shows it as "not run".
///
/// Return it as an error: `return Err(NotRun::because("no gdb").into())`. For a part of a check,
/// print a line with [`report_part_not_run`] instead; `ci` repeats it beside the stage's result.
#[derive(Debug)]
pub struct NotRun(String);

impl NotRun {
    /// What a command exits with when it could not be run (the number automake uses for a skip).
    pub const EXIT_CODE: u8 = 77;

    /// Says why the check could not be made.
    pub fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not run: {}", self.0)
    }
}

impl std::error::Error for NotRun {}

/// Says that a part of a check could not be made, in the form `ci` looks for.
pub fn report_part_not_run(part: &str, reason: impl fmt::Display) {
    println!("{part}: not run: {reason}");
}

/// `cargo`, the one that started us.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs to the end, output passed through.
///
/// # Errors
/// The program does not start, or exits with anything but 0.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{}`", line(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// Runs to the end and returns what was written to standard output.
///
/// # Errors
/// The program does not start, exits with anything but 0 (the error has what it wrote to standard
/// error), or does not write UTF-8.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", line(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}\n{}", line(command), output.status, said.trim_end());
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` did not write UTF-8", line(command)))
}

/// Whether a program of that name can be started: it is a file in one of the folders of `PATH`.
pub fn is_on_path(program: &str) -> bool {
    on_path(program).is_some()
}

/// Where a program of that name is, by the folders of `PATH`.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Whether we are the superuser, by the owner of our own process folder.
pub fn is_root() -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        Path::new("/proc/self").metadata().is_ok_and(|metadata| metadata.uid() == 0)
    }
    #[cfg(not(unix))]
    false
}

/// The command as one would type it, for messages.
fn line(command: &Command) -> String {
    let mut text = name(command.get_program());
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// The last part of a program's path.
fn name(program: &OsStr) -> String {
    Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_an_error_with_its_words() {
        let error = output(Command::new("sh").args(["-c", "echo broken >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit status: 3") && text.contains("broken"), "{text}");
        assert!(run(Command::new("sh").args(["-c", "exit 3"])).is_err());
    }

    #[test]
    fn output_is_what_the_program_wrote() {
        assert_eq!(output(Command::new("echo").arg("one")).unwrap(), "one\n");
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(is_on_path("sh"));
        assert!(!is_on_path("no-such-program-anywhere"));
    }

    #[test]
    fn not_run_says_why() {
        assert_eq!(NotRun::because("no gdb").to_string(), "not run: no gdb");
    }
}
