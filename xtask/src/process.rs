//! Starting other programs: one way to do it, and the word for "could not be run here".

use std::fmt;

/// A check that could not be made here. It is never a pass: `ci` shows it as "not run".
///
/// Return it as an error: `return Err(NotRun::because("no gdb").into())`.
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
