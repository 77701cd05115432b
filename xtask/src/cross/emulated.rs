//! Unit tests of Linux on arm64, run by QEMU's emulation of one program.
//!
//! Only tests inside the crates that talk to the system: what starts a program cannot work, since
//! the kernel has no arm64 programs and the emulator hands none on. macOS and Windows have no
//! emulator here.

use anyhow::Context as _;

use super::foreign_cargo;
use crate::process;
use crate::tools::{self, rust_web};

/// What has an emulator.
const TARGET: &str = "aarch64-unknown-linux-gnu";

/// The C compiler, which links; the emulator; and where the platform's libraries are.
const LINKER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: &str = "qemu-aarch64-static";
const LIBRARIES: &str = "/usr/aarch64-linux-gnu";

/// Debian packages with these.
const PACKAGES: &[(&str, &str)] = &[
    ("gcc-aarch64-linux-gnu", "/usr/bin/aarch64-linux-gnu-gcc"),
    ("libc6-dev-arm64-cross", "/usr/aarch64-linux-gnu/lib/libc.so.6"),
    ("qemu-user-static", "/usr/bin/qemu-aarch64-static"),
];

/// Searches its own stack a byte at a time: minutes under emulation.
const SLOW: &str = "no_key_remains_on_the_stack";

/// Runs the unit tests of the crates that differ by platform; says "not run" for a target without an emulator.
///
/// # Errors
/// A test fails or cannot be built, or none ran.
pub(super) fn run_tests(toolchain: &rust_web::Toolchain, target: &str) -> anyhow::Result<()> {
    if target != TARGET {
        process::report_part_not_run(&format!("tests of {target}"), "nothing here can run them");
        return Ok(());
    }
    if let Some(missing) = tools::install_debian_packages(PACKAGES).first() {
        let why = format!("the package {missing} is not installed");
        process::report_part_not_run(&format!("tests of {target}"), why);
        return Ok(());
    }
    let mut cargo = foreign_cargo(toolchain)?;
    cargo
        .args(["test", "--quiet", "--locked", "--no-fail-fast", "--target", target, "--lib"])
        .args(["--package", "dsops-secure-mem", "--package", "dsops-formats"])
        .args(["-Zbuild-std=std,panic_abort,test", "--", "--skip", SLOW])
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", format!("{EMULATOR} -L {LIBRARIES}"))
        .env("CC_aarch64_unknown_linux_gnu", LINKER);
    let said = process::output(&mut cargo).context("tests under emulation")?;
    let results: Vec<_> = said.lines().filter(|line| line.starts_with("test result: ")).collect();
    anyhow::ensure!(results.len() == 2, "not both crates ran their tests:\n{said}");
    for line in results {
        println!("{target}: {line}");
    }
    Ok(())
}
