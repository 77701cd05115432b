//! How a run ends: codes, signals, our own failures, time.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{
    LONG, MODES, Talking, bit, code, exec, exec_after, has, is_dead, not_run, python, send,
    signal_set, sleepers, stdout, tool, unique, wait_for,
};

#[test]
fn t01_every_exit_code_is_mirrored() {
    for mode in MODES {
        for expected in 0..=255 {
            let output = exec(&[mode, "--", "sh", "-c", &format!("exit {expected}")]).output();
            assert_eq!(code(&output.expect("starts")), expected, "{mode}");
        }
    }
}

#[test]
fn t02_a_missing_command_is_127_and_nothing_is_fetched() {
    let dir = tempfile::tempdir().expect("directory");
    let fetched = dir.path().join("fetched");
    let path = fetched.to_str().expect("UTF-8");
    for mode in MODES {
        let run = |command: &str| {
            let args = [mode, "--fetched", path, "--secret", "A", "1", "--", command];
            exec(&args).output().expect("starts")
        };
        for missing in ["no-such-command-here", "./no-such-file", "/no/such/file"] {
            let output = run(missing);
            assert_eq!(code(&output), 127);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(stderr.contains(missing), "{stderr}");
            assert!(!fetched.exists(), "fetched for {missing}");
        }
        assert_eq!(code(&run("true")), 0);
        assert!(fetched.exists(), "the counter counts");
        fs::remove_file(&fetched).expect("ours");
    }
}

#[test]
fn t03_what_cannot_be_executed_is_126() {
    let dir = tempfile::tempdir().expect("directory");
    let file = |name: &str, bytes: &[u8], mode| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).expect("temporary file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
        path.to_str().expect("UTF-8").to_owned()
    };
    let cases = [
        (file("plain", b"text", 0o644), "permission denied"),
        (dir.path().to_str().expect("UTF-8").to_owned(), "not a regular file"),
        (file("no-shebang", b"echo hello\n", 0o755), "#!"),
        (file("bad-elf", b"\x7fELF\x02\x01\x01 not really", 0o755), "bad-elf"),
        (file("bad-interpreter", b"#!/no/such/interpreter\n", 0o755), "interpreter"),
    ];
    for mode in MODES {
        for (path, reason) in &cases {
            let output = exec(&[mode, "--", path]).output().expect("starts");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(code(&output), 126, "{path}: {stderr}");
            assert!(stderr.contains(reason), "{path}: {stderr}");
        }
    }
}

#[test]
fn t04_death_by_kill_is_mirrored() {
    for mode in MODES {
        let status = exec(&[mode, "--", "sh", "-c", "kill -9 $$"]).status().expect("starts");
        assert_eq!(status.signal(), Some(9), "{mode}");
    }
}

#[test]
fn t05_other_signals_are_mirrored_without_a_core_of_ours() {
    let dir = tempfile::tempdir().expect("directory");
    for signal in [1, 2, 3, 6, 11, 13, 15, 35] {
        let script = format!("kill -{signal} $$");
        // The child may leave no core itself, so that one could only be ours.
        let args = ["--supervise", "--no-core", "--", "sh", "-c", &script];
        let mut command = exec_after("ulimit -c $(ulimit -Hc)", &args);
        let status = command.current_dir(&dir).status().expect("starts");
        assert_eq!(status.signal(), Some(signal));
        assert!(!status.core_dumped(), "signal {signal}");
    }
    assert_eq!(fs::read_dir(&dir).expect("ours").count(), 0);
}

/// Runs the example as PID 1 of a namespace; `None` where that is not allowed.
fn as_pid_1(args: &[&str]) -> Option<i32> {
    let namespaces: [&[&str]; 2] = [&["-pf", "--mount-proc"], &["-Urpf", "--mount-proc"]];
    let allowed = namespaces.into_iter().find(|flags| {
        let mut probe = Command::new("unshare");
        probe.args(*flags).arg("true").stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    })?;
    let mut command = Command::new("setsid");
    command.arg("unshare").args(allowed).arg(tool("execenv-run")).args(args).stdin(Stdio::null());
    Some(code(&command.output().expect("starts")))
}

#[test]
fn t06_as_pid_1_a_signal_is_a_code_and_orphans_are_reaped() {
    let killed = as_pid_1(&["--supervise", "--", "sh", "-c", "kill -9 $$"]);
    let Some(killed) = killed else {
        return not_run("no PID namespaces here");
    };
    assert_eq!(killed, 137);
    assert_eq!(as_pid_1(&["--supervise", "--", "sh", "-c", "exit 7"]), Some(7));
    // Five processes whose parents end first. Each must vanish from /proc, not stay as a zombie.
    let script = r"
        pids=$(for i in 1 2 3 4 5; do (sh -c 'echo $$' & ) ; done)
        [ $(echo $pids | wc -w) = 5 ] || exit 8
        tries=0
        for pid in $pids; do
            while [ -e /proc/$pid ]; do
                tries=$((tries + 1)); [ $tries -gt 3000 ] && exit 9; sleep 0.01
            done
        done
    ";
    assert_eq!(as_pid_1(&["--supervise", "--", "sh", "-c", script]), Some(0));
}

#[test]
fn t13_the_exit_code_survives_an_ignored_sigchld() {
    if !has("python3") {
        return not_run("python3 is missing");
    }
    // Shells keep SIGCHLD for themselves whatever they are told.
    let ignore = "import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])";
    for mode in MODES {
        let output = python(ignore, &[mode, "--", "sh", "-c", "exit 7"]).output();
        assert_eq!(code(&output.expect("starts")), 7, "{mode}");
        let status = stdout(&mut python(ignore, &[mode, "--", "cat", "/proc/self/status"]));
        let ignored = signal_set(&status, "SigIgn:");
        assert_eq!(ignored, bit(17), "{mode}: SIGCHLD and nothing else");
    }
}

#[test]
fn t24_a_second_term_kills_the_tree() {
    let tag = unique();
    let script = format!("trap '' TERM; sleep {tag} & echo up; wait");
    let mut run = Talking::start(&mut exec(&["--supervise", "--", "sh", "-c", &script]));
    assert_eq!(run.line(), "up");
    let start = Instant::now();
    let status = wait_for("the kill", || {
        let ended = run.child.try_wait().expect("ours");
        if ended.is_none() {
            send(run.id(), "TERM");
            std::thread::sleep(Duration::from_millis(100));
        }
        ended
    });
    assert_eq!(status.signal(), Some(9));
    assert!(start.elapsed() >= Duration::from_millis(200), "the first was not enough");
    wait_for("the rest of the tree to go", || sleepers(&tag).is_empty().then_some(()));
}

/// `timeout` and service managers send the same request twice at once.
#[test]
fn t24_a_request_come_twice_at_once_is_one() {
    let script = "trap 'echo term' TERM; echo up; while :; do sleep 0.02; done";
    let mut run = Talking::start(&mut exec(&["--supervise", "--", "sh", "-c", script]));
    assert_eq!(run.line(), "up");
    let pid = run.id();
    let twice = format!("kill -TERM {pid}; kill -TERM {pid}; kill -HUP {pid}");
    // Whatever the child makes of HUP, it is not SIGKILL.
    Command::new("sh").args(["-c", &twice]).status().expect("sh");
    assert_eq!(run.end().signal(), Some(1));
}

#[test]
fn t25_a_timeout_that_is_obeyed_is_124() {
    let start = Instant::now();
    let output = exec(&["--timeout", "1000", "--", "sleep", "300"]).output().expect("starts");
    assert_eq!(code(&output), 124);
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert!(start.elapsed() < LONG, "no waiting for the grace period");
}

#[test]
fn t25_a_timeout_that_is_ignored_is_137() {
    let tag = unique();
    let script = format!("trap '' TERM; sleep {tag} & wait");
    let start = Instant::now();
    let args = ["--timeout", "300", "--grace", "300", "--", "sh", "-c", &script];
    assert_eq!(code(&exec(&args).output().expect("starts")), 137);
    assert!(start.elapsed() >= Duration::from_millis(600));
    assert!(sleepers(&tag).is_empty());
}

#[test]
fn t25_a_stopped_child_ends_in_time_too() {
    let args = ["--timeout", "300", "--", "sh", "-c", "kill -STOP $$; sleep 300"];
    assert_eq!(code(&exec(&args).output().expect("starts")), 124);
}

#[test]
fn t25_time_left_over_costs_nothing() {
    let start = Instant::now();
    let args = ["--timeout", "600000", "--", "sh", "-c", "exit 3"];
    assert_eq!(code(&exec(&args).output().expect("starts")), 3);
    assert!(start.elapsed() < LONG);
}

#[test]
fn t09_a_killed_parent_takes_the_child_along() {
    let script = "echo pid $$; exec sleep 300";
    let mut run = Talking::start(&mut exec(&["--supervise", "--", "sh", "-c", script]));
    let child = run.number();
    assert!(!is_dead(child));
    let start = Instant::now();
    send(run.id(), "KILL");
    wait_for("the child's death", || is_dead(child).then_some(()));
    assert!(start.elapsed() < LONG);
}

#[test]
fn t09_from_a_worker_thread_as_well() {
    // Killed while a worker thread waits.
    let mut run = Talking::start(Command::new(tool("threads")).arg("wait").stdin(Stdio::piped()));
    let child = run.number();
    send(run.id(), "KILL");
    wait_for("the child's death", || is_dead(child).then_some(()));
    // The worker ends without waiting: nobody is responsible any more, though the process lives.
    let mut run = Talking::start(Command::new(tool("threads")).arg("leave").stdin(Stdio::piped()));
    let child = run.number();
    wait_for("the child's death", || is_dead(child).then_some(()));
    assert!(!is_dead(run.id()), "the process itself goes on");
}

#[test]
fn t28_arguments_are_literal_and_only_a_shell_expands() {
    for mode in MODES {
        let args = [mode, "--", "printf", "<%s>", "; rm x", "$HOME", "*", ""];
        assert_eq!(stdout(&mut exec(&args)), "<; rm x><$HOME><*><>");
        let args = [mode, "--secret", "A", "one", "--", "sh", "-c", "echo $A"];
        assert_eq!(stdout(&mut exec(&args)), "one\n");
    }
}
