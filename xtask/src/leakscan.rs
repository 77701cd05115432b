//! `cargo xtask leakscan`.
pub(crate) mod binaries;
pub(crate) mod memory;
pub(crate) mod needles;
pub(crate) mod observe;
pub(crate) mod scanner;
pub(crate) mod tracer;

/// Runs the command.
pub fn run(_args: &[String]) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
