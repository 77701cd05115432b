//! `cargo xtask interop`: reads the real sops' files and has it read ours; has others read what `render`
//! writes and judge what `release-verify` judges.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::process::{self, NotRun};
use crate::{tools, workspace};

/// Names the `sops` to test against.
pub const SOPS_VARIABLE: &str = "DSOPS_TEST_SOPS";

/// Names the `age` to test against.
pub const AGE_VARIABLE: &str = "DSOPS_TEST_AGE";

/// Programs of the system that tests start, by the variables that name them. Debian's packages have the same names.
pub const PROGRAMS: &[(&str, &str)] =
    &[("DSOPS_TEST_REGISTRY", "docker-registry"), ("DSOPS_TEST_SKOPEO", "skopeo")];

/// When set to 1, a test that lacks the other implementation fails instead of saying "not run".
pub const REQUIRE_VARIABLE: &str = "DSOPS_TEST_REQUIRE_INTEROP";

/// Runs every interop test; none may be left out.
///
/// # Errors
/// A test fails, there are none, or the real sops cannot be had ([`NotRun`]).
pub fn run(args: &[String]) -> anyhow::Result<()> {
    if let Some(argument) = args.first() {
        bail!("`cargo xtask interop` takes no arguments, found `{argument}`");
    }
    let sops = tools::sops().map_err(|error| {
        NotRun::because(format!("sops cannot be installed: {}", tools::reason(&error)))
    })?;
    let version = process::output(std::process::Command::new(&sops).arg("--version"))?;
    println!("{}", version.lines().next().unwrap_or_default());

    let root = workspace::root();
    let mut cargo = process::cargo();
    match tools::age() {
        Ok(age) => drop(cargo.env(AGE_VARIABLE, age)),
        Err(error) => process::report_part_not_run("age", tools::reason(&error)),
    }
    for (variable, program) in PROGRAMS {
        match process::on_path(program) {
            Some(path) => drop(cargo.env(variable, path)),
            None => process::report_part_not_run(program, "it is not installed"),
        }
    }
    // As the stage `test` builds: nothing is built twice.
    cargo.current_dir(&root).args(["test", "--no-fail-fast", "--workspace", "--all-features"]);
    let tests = all_tests(&root.join("crates"))?;
    if tests.is_empty() {
        bail!("there is no interop test");
    }
    cargo.args(tests.iter().flat_map(|test| ["--test", test]));
    // Without this a test that says "not run" would look like a pass.
    cargo.args(["--", "--show-output"]);
    for packages in tools::packages::FOR_TESTS {
        match packages.install() {
            Ok(folder) => drop(cargo.env(packages.variable, folder)),
            Err(error) => process::report_part_not_run(packages.name, tools::reason(&error)),
        }
    }
    process::run(cargo.env(SOPS_VARIABLE, sops).env(REQUIRE_VARIABLE, "1"))
}

/// The test targets of all crates that have such a name, each once.
fn all_tests(crates: &Path) -> anyhow::Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(crates).with_context(|| format!("{}", crates.display()))? {
        all.extend(tests(&entry?.path().join("tests"))?);
    }
    Ok(all)
}

/// The test targets named `interop*` in a folder: files, or folders with a `main.rs`.
fn tests(folder: &Path) -> anyhow::Result<Vec<String>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path: PathBuf = entry?.path();
        let is_target = path.extension().is_some_and(|extension| extension == "rs")
            || path.join("main.rs").is_file();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if is_target && name.starts_with("interop") {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_targets_are_found_by_name() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(tests(&folder.path().join("absent")).unwrap(), Vec::<String>::new());
        for file in ["interop_sops.rs", "interop_age/main.rs", "interop.txt", "other.rs"] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        assert_eq!(tests(folder.path()).unwrap(), ["interop_age", "interop_sops"]);
    }
}
