//! Stands in for the commands that watch processes, on platforms where they are not written yet.

use crate::process::NotRun;

/// Says so.
///
/// # Errors
/// Always [`NotRun`].
pub fn run(_args: &[String]) -> anyhow::Result<()> {
    let why = "it watches a process by ptrace, as Linux on x86-64 with glibc has it";
    Err(NotRun::because(why).into())
}
