//! `cargo xtask docs`: writes the reference and the manual pages from the code.
//!
//! The command line is declared in the binary's own crate, so a test of that crate does the work: as
//! a test it compares, and with the variable set it writes. `ci` runs it as a test.

use anyhow::bail;

use crate::{process, workspace};

/// The test of the package `dsops`, and what makes it write.
const TEST: &str = "reference::tests::the_reference_is_what_the_declaration_says";
const WRITE: &str = "DSOPS_WRITE_REFERENCE";

/// Writes the files.
///
/// # Errors
/// The crate does not build, or a file cannot be written.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    if let Some(argument) = args.first() {
        bail!("`cargo xtask docs` takes no arguments, found `{argument}`");
    }
    // Twice: the pages are part of the binary, and the second run compares.
    let test = || {
        let mut cargo = process::cargo();
        cargo.current_dir(workspace::root());
        cargo.args([
            "test",
            "--quiet",
            "--package",
            "dsops",
            "--bin",
            "dsops",
            "--",
            "--exact",
            TEST,
        ]);
        cargo
    };
    process::run(test().env(WRITE, "1"))?;
    process::run(&mut test())
}
