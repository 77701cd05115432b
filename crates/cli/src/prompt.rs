//! A value from a person: asked for on the terminal, without echo, straight into protected memory.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::secret;

/// There is no prompt on this system.
///
/// # Errors
/// Always, with what to do instead.
#[cfg(not(unix))]
pub fn secret(_: &str) -> Result<dsops_secure_mem::SecretBytes, crate::report::Failure> {
    Err(crate::report::Failure::usage(
        "asking for a value is not supported on this system",
        "pipe the value in, or use `--from-file FILE`",
    ))
}
