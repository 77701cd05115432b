//! A person edits plaintext in their own editor, and no disk keeps a trace of it.
//!
//! The text lies in a file that only its owner may open, in a fresh folder on a file system that
//! lives in memory. Editors leave copies elsewhere: swap files, backups, histories. Those that are
//! known get the flags that stop this; with others nothing is opened unless the user says so.
//! The memory of the editor itself is the editor's. Who is killed by SIGKILL removes nothing: the next edit does,
//! and `doctor` tells.

mod folder;
mod held;
mod known;

use std::ffi::OsString;
use std::path::Path;

use dsops_execenv::{EnvPolicy, Exec, ExecError, Mode, Name, Outcome};
use dsops_resolver::Environment as _;
use dsops_secure_mem::SecretBytes;
use dsops_stores::CREDENTIAL_VARIABLES;

use crate::cmd::exec::child_limits;
use crate::context::Context;
use crate::env_vars;
use crate::exit::Exit;
use crate::report::{Failure, Report};

use folder::PrivateFolder;
pub use folder::leftovers;

/// What the user said about traces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed {
    /// An editor that is not known to leave no traces.
    pub any_editor: bool,
    /// A folder on a disk, where none in memory is to be had.
    pub disk: bool,
}

/// A text that is being edited; wiped and removed when dropped.
#[derive(Debug)]
pub struct Session {
    folder: PrivateFolder,
    command: Vec<OsString>,
}

impl Session {
    /// Puts a text into a file called `name` and settles which editor opens it.
    ///
    /// # Errors
    /// There is no folder in memory, or the editor might leave traces, and neither was allowed.
    pub fn begin(
        cx: &Context,
        name: &str,
        text: &SecretBytes,
        allowed: Allowed,
    ) -> Result<Self, Failure> {
        let command = command(cx, allowed.any_editor)?;
        remove_leftovers(cx);
        let folder = PrivateFolder::make(&cx.environment, name, allowed.disk)?;
        folder.write(text)?;
        Ok(Self { folder, command })
    }

    /// Opens the editor, waits until it ends, and reads what was saved.
    ///
    /// # Errors
    /// The editor cannot be started or failed; what was saved cannot be read.
    pub fn edit(&self, cx: &Context, limit_bytes: usize) -> Result<SecretBytes, Failure> {
        let mut policy = EnvPolicy::inherit();
        policy = CREDENTIAL_VARIABLES.iter().fold(policy, EnvPolicy::withhold);
        policy = cx.environment.credentials().iter().fold(policy, EnvPolicy::withhold);
        let mut words = self.command.iter().cloned();
        let program = words.next().unwrap_or_default();
        let shown = program.to_string_lossy().into_owned();
        // Editors that make temporary files make them where we can wipe them.
        let folder = SecretBytes::copy_from(self.folder.path().as_os_str().as_encoded_bytes())?;
        let temporary = Name::new(env_vars::TMPDIR).map_err(ExecError::from).map_err(failed)?;
        let exec = Exec::new(program)
            .args(words)
            .args([self.folder.file()])
            .env_policy(policy)
            .mode(Mode::Supervise)
            .child_limits(child_limits())
            .child_no_core(true)
            .secret(temporary, folder);
        // An editor behind a script may live on when we are killed: as long as it does, nobody takes its file for a leftover.
        let exec = self.folder.descriptor().into_iter().fold(exec, Exec::keep_fd);
        let outcome = exec.run().map_err(failed)?;
        if outcome != Outcome::Exited(0) {
            let report = Report::error(format!(
                "the editor `{shown}` failed with exit code {}; nothing was stored",
                outcome.exit_code()
            ));
            return Err(Failure::new(Exit::Store, report));
        }
        self.folder.read(limit_bytes)
    }
}

/// Removes the plaintext of editors whose `dsops` was killed.
fn remove_leftovers(cx: &Context) {
    for left in leftovers(&cx.environment) {
        let path = left.path.display().to_string();
        match left.remove() {
            Ok(()) => {
                let note = format!("removed {path}: an edit that was killed left its plaintext");
                cx.ui.note(note);
            }
            Err(error) => {
                let message = format!("an edit that was killed left its plaintext in {path}");
                cx.ui.report(&Report::warning(message).because(&error).help("remove it yourself"));
            }
        }
    }
}

/// The words that start the editor: what the user has set, and the flags that keep it from leaving
/// traces.
fn command(cx: &Context, any_editor: bool) -> Result<Vec<OsString>, Failure> {
    let set = |name| cx.environment.var(name).filter(|value| !value.is_empty());
    let line = set(env_vars::VISUAL).or_else(|| set(env_vars::EDITOR));
    let line = line.unwrap_or_else(|| OsString::from("vi"));
    let Some(mut words) = line.to_str().and_then(split) else {
        return Err(Failure::usage(
            "the editor in VISUAL or EDITOR cannot be read as a command",
            "it is a program and its arguments, with quotes around blanks; no shell runs it",
        ));
    };
    let program = words.remove(0);
    let path = find(&program, cx.environment.var(env_vars::PATH).as_deref());
    let name = path
        .as_deref()
        .and_then(|path| std::fs::canonicalize(path).ok())
        .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .unwrap_or_else(|| program.clone());
    let flags = match known::editor(&name) {
        known::Traces::None(flags) => flags,
        _ if any_editor => &[],
        known::Traces::Leaves(what) => {
            return Err(refused(format!("the editor `{name}` {what}")));
        }
        known::Traces::Unknown => {
            return Err(refused(format!(
                "it is not known what the editor `{name}` leaves on disk"
            )));
        }
    };
    let mut command = vec![OsString::from(program)];
    command.extend(flags.iter().map(OsString::from));
    command.extend(words.into_iter().map(OsString::from));
    Ok(command)
}

fn refused(message: String) -> Failure {
    let help = "set EDITOR to one of: vim, nvim, nano, emacs, hx, kak; or take the risk with `--allow-traces`";
    Failure::new(Exit::Protection, Report::error(message).help(help))
}

/// Where a program is, as the system would find it.
fn find(program: &str, path: Option<&std::ffi::OsStr>) -> Option<std::path::PathBuf> {
    if program.contains('/') {
        return Some(Path::new(program).to_owned());
    }
    std::env::split_paths(path?).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The words of a command: blanks separate, quotes hold together. `None` when there is none or a
/// quote is left open.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let (mut quote, mut open) = (None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(mark), _) if c == mark => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                if !open {
                    words.push(String::new());
                }
                open = true;
            }
            (None, c) if c.is_whitespace() => open = false,
            _ => {
                if !open {
                    words.push(String::new());
                }
                open = true;
                words.last_mut()?.push(c);
            }
        }
    }
    (quote.is_none() && words.first().is_some_and(|word| !word.is_empty())).then_some(words)
}

fn failed(error: ExecError) -> Failure {
    Failure::new(Exit::Store, error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_without_a_shell() {
        let words = |line| split(line).map(|words| words.join("|"));
        assert_eq!(words("vim").as_deref(), Some("vim"));
        assert_eq!(words("  code  --wait ").as_deref(), Some("code|--wait"));
        assert_eq!(words("'/a b/ed' \"x y\" ''").as_deref(), Some("/a b/ed|x y|"));
        assert_eq!(words("a'b c'd").as_deref(), Some("ab cd"));
        assert_eq!(words("$(rm) `x`").as_deref(), Some("$(rm)|`x`"));
        for line in ["", "  ", "'open", "''"] {
            assert_eq!(words(line), None, "{line}");
        }
    }
}
