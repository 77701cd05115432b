//! What is left in memory, who may read ours, and what a spawn costs a large parent.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::support::{Talking, code, has, not_run, stdout, tool};

#[test]
fn t07_nothing_of_a_secret_is_left_after_the_spawn() {
    let mut run = Talking::start(Command::new(tool("memscan")).stdin(Stdio::piped()));
    // The control: a plain copy is found, so the scan sees what there is.
    assert!(run.number() > 0, "the scan finds nothing at all");
    assert_eq!(run.line(), "without the copy: 0");
    assert_eq!(run.line(), "while the child runs: 0");
    drop(run.child.stdin.take());
    assert_eq!(run.line(), "after the end: 0");
    assert_eq!(run.line(), "the child had it: yes");
    assert!(run.end().success());
}

#[test]
fn t08_a_hardened_parent_is_closed_to_its_own_user() {
    // The child has the same user as we, and looks at us.
    let look = "for what in environ mem; do
            dd if=/proc/$PPID/$what of=/dev/null bs=1 count=1 2>&1 | grep -c 'Permission denied'
        done; ls /proc/$PPID/fd 2>&1 | grep -c 'Permission denied'";
    let dir = tempfile::tempdir().expect("directory");
    let copy = dir.path().join("execenv-run");
    fs::copy(tool("execenv-run"), &copy).expect("ours");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&dir, mode).expect("ours");
    let mut command = if rustix::process::geteuid().is_root() {
        // To root everything is open, so somebody else has to look.
        if !has("setpriv") {
            return not_run("setpriv is missing");
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy);
        command
    } else {
        Command::new(&copy)
    };
    command.args(["--harden", "--supervise", "--secret", "A", "1", "--", "sh", "-c", look]);
    assert_eq!(stdout(command.current_dir("/")), "1\n1\n1\n");
}

/// Resident memory that a machine can spare.
fn has_memory(bytes: u64) -> bool {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.is_some_and(|kib| kib > bytes / 1024)
}

#[test]
fn t40_a_large_parent_starts_a_child_at_once() {
    if !has_memory(3 << 30) {
        return not_run("less than 3 GiB of memory to spare");
    }
    let output = stdout(Command::new(tool("threads")).arg("large").stdin(Stdio::null()));
    let micros: u64 =
        output.trim().rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    // A fork copies the tables of a gigabyte: 45 ms. This is about the best of 20.
    assert!(micros < 20_000, "{output}");
}

#[test]
fn t40_the_child_is_a_clone_that_shares_memory() {
    let trace = tempfile::NamedTempFile::new().expect("file");
    let traced = Command::new("strace")
        .args(["-f", "-e", "trace=clone,clone3,fork,vfork", "-o"])
        .arg(trace.path())
        .arg(tool("execenv-run"))
        .args(["--supervise", "--", "true"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !traced.is_ok_and(|status| status.success()) {
        return not_run("strace is missing or not allowed");
    }
    let text = fs::read_to_string(trace.path()).expect("ours");
    let calls: Vec<&str> = text.lines().filter(|line| line.contains("clone(")).collect();
    assert_eq!(calls.len(), 1, "{text}");
    assert!(calls[0].contains("CLONE_VM|CLONE_PIDFD|CLONE_VFORK"), "{text}");
    assert!(!text.contains("fork("), "{text}");
}

#[test]
fn t40_a_thousand_runs_from_threads_lose_nothing() {
    let output = Command::new(tool("threads")).arg("many").stdin(Stdio::null()).output();
    let output = output.expect("starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), 0, "{text}");
    assert_eq!(text, "ends as expected: 1000 of 1000\nopen descriptors before and after: equal\n");
}
