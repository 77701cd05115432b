//! A value from a person: asked for on the terminal, without echo, straight into protected memory.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::{has_terminal, passphrase, secret};

#[cfg(not(unix))]
pub use elsewhere::{has_terminal, passphrase, secret};

/// There is no prompt on this system.
#[cfg(not(unix))]
mod elsewhere {
    use dsops_secure_mem::SecretBytes;

    use crate::report::Failure;

    /// There is none to ask on.
    pub fn has_terminal() -> bool {
        false
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
