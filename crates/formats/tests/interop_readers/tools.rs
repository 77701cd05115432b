//! Where the readers are, and how they are run. One that is not there makes its test print "not run".

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A program on the search path.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        println!("not run: {name} is not installed");
    }
    found
}

/// The folder of pinned packages that `cargo xtask tools` installs; see `xtask/src/tools/packages.rs`.
fn packages() -> Option<PathBuf> {
    let folder = env::var_os("DSOPS_TEST_READERS").map(PathBuf::from);
    if folder.is_none() {
        println!("not run: DSOPS_TEST_READERS does not name the folder of pinned packages");
    }
    folder
}

/// Python with the pinned packages, about to run a script with arguments.
pub fn python(script: &str) -> Option<Command> {
    let packages = packages()?.join("python");
    let mut command = Command::new(program("python3")?);
    command.env("PYTHONPATH", packages).env("PYTHONUTF8", "1").args(["-c", script]);
    Some(command)
}

/// Node with the pinned packages, about to run a script with arguments.
pub fn node(script: &str) -> Option<Command> {
    let packages = packages()?.join("node");
    let mut command = Command::new(program("node")?);
    command.current_dir(packages).args(["-e", script, "--"]);
    Some(command)
}

/// A shell about to run a script in an environment with little else.
pub fn shell(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).args(args);
    command
}

/// What a program prints; it must succeed.
pub fn output(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let program = command.get_program().to_string_lossy();
    assert!(output.status.success(), "{program}: {}: {errors}", output.status);
    output.stdout
}

/// A folder with a file.
pub fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}
