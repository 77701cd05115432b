//! What a person is asked for on the terminal: a value, without echo, straight into protected
//! memory; or yes and no. And standard input, where a program answers.

use std::fs::File;
use std::io::{self, Write as _};

use crate::exit::Exit;
use crate::report::{Failure, Report};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::{answer, has_terminal, passphrase, secret};

#[cfg(not(unix))]
pub use elsewhere::{answer, has_terminal, passphrase, secret};

/// There is no prompt on this system.
#[cfg(not(unix))]
mod elsewhere {
    use dsops_secure_mem::SecretBytes;

    use crate::report::Failure;

    /// There is none to ask on.
    pub fn has_terminal() -> bool {
        false
    }

    /// Reads a line of standard input after `ask`.
    ///
    /// # Errors
    /// What the system says.
    pub fn answer(ask: impl FnOnce() -> std::io::Result<()>) -> Result<String, Failure> {
        let mut answer = String::new();
        ask().and_then(|()| std::io::stdin().read_line(&mut answer)).map_err(super::failed)?;
        Ok(answer)
    }

    /// Asks for a new secret.
    ///
    /// # Errors
    /// Always, with what to do instead.
    pub fn secret(_: &str) -> Result<SecretBytes, Failure> {
        Err(Failure::usage(
            "asking for a value is not supported on this system",
            "pipe the value in, or use `--from-file FILE`",
        ))
    }

    /// Asks for a passphrase.
    ///
    /// # Errors
    /// Always, with what to do instead.
    pub fn passphrase(_: &str) -> Result<SecretBytes, Failure> {
        Err(Failure::usage(
            "asking for a passphrase is not supported on this system",
            "set DSOPS_AGE_PASSPHRASE, or use an identity without a passphrase",
        ))
    }
}

/// Asks a question that is answered by yes or no; anything but yes is no.
///
/// # Errors
/// The answer cannot be read; ^C.
pub fn yes(question: &str) -> Result<bool, Failure> {
    let answer = answer(|| {
        let mut talk = io::stderr().lock();
        write!(talk, "{question} [y/N] ")?;
        talk.flush()
    })?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Standard input without the buffer of `io::stdin()`, which is ordinary memory.
///
/// # Errors
/// It is closed.
pub fn stdin_unbuffered() -> Result<File, Failure> {
    #[cfg(unix)]
    let owned = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned();
    #[cfg(windows)]
    let owned = std::os::windows::io::AsHandle::as_handle(&io::stdin()).try_clone_to_owned();
    owned.map(File::from).map_err(|error| {
        Failure::new(Exit::Usage, Report::error("cannot read from stdin").because(&error))
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: io::Error) -> Failure {
    Failure::new(Exit::Usage, Report::error("reading from the terminal failed").because(&error))
}
