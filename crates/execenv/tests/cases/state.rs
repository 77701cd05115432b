//! What the child finds as the caller left it: descriptors, signals, umask, directory, limits.

use std::{fs, path::Path};

use crate::support::{
    MODES, bit, code, exec, exec_after, has, not_run, python, signal_set, stdout,
};

#[test]
fn t10_only_kept_descriptors_get_through() {
    if !has("python3") {
        return not_run("python3 is missing");
    }
    let open_many = "import os, sys
null = os.open('/dev/null', os.O_RDONLY)
for fd in range(3, 201): os.dup2(null, fd, inheritable=True)
os.execv(sys.argv[1], sys.argv[1:])";
    let list =
        "i=3; while [ $i -le 300 ]; do [ -e /proc/$$/fd/$i ] && echo $i; i=$((i+1)); done; :";
    for mode in MODES {
        let kept = [mode, "--keep-fd", "7", "--keep-fd", "150", "--", "sh", "-c", list];
        assert_eq!(stdout(&mut python(open_many, &kept)), "7\n150\n", "{mode}");
        let none = [mode, "--", "sh", "-c", list];
        assert_eq!(stdout(&mut python(open_many, &none)), "", "{mode}");
    }
    let output = exec(&["--keep-fd", "77", "--", "true"]).output().expect("starts");
    assert_eq!(code(&output), 125);
    assert!(String::from_utf8_lossy(&output.stderr).contains("77"));
}

#[test]
fn t11_ignored_signals_stay_ignored_and_no_other_becomes_so() {
    for mode in MODES {
        let args = [mode, "--", "cat", "/proc/self/status"];
        let status = stdout(&mut exec_after("trap '' HUP PIPE", &args));
        assert_eq!(signal_set(&status, "SigIgn:"), bit(1) | bit(13), "{mode}");
        let status = stdout(&mut exec(&args));
        assert_eq!(signal_set(&status, "SigIgn:"), 0, "{mode}");
        assert_eq!(signal_set(&status, "SigBlk:"), 0, "{mode}");
        assert_eq!(signal_set(&status, "SigCgt:"), 0, "{mode}");
    }
}

#[test]
fn t12_a_closed_stdin_and_a_blocked_signal_stay_so() {
    let look = "for fd in 0 1 2; do [ -e /proc/$$/fd/$fd ] && echo $fd; done; :";
    for mode in MODES {
        let args = [mode, "--", "sh", "-c", look];
        assert_eq!(stdout(&mut exec_after("exec <&-", &args)), "1\n2\n", "{mode}");
        assert_eq!(stdout(&mut exec_after("exec <&- 2>&-", &args)), "1\n", "{mode}");
        assert_eq!(stdout(&mut exec(&args)), "0\n1\n2\n", "{mode}");
        // A null device of the caller's own is no closed descriptor.
        assert_eq!(stdout(&mut exec_after("exec </dev/null", &args)), "0\n1\n2\n", "{mode}");
    }
    if !has("python3") {
        return not_run("the blocked signal: python3 is missing");
    }
    let block = "import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])";
    for mode in MODES {
        let status = stdout(&mut python(block, &[mode, "--", "cat", "/proc/self/status"]));
        assert_eq!(signal_set(&status, "SigBlk:"), bit(10), "{mode}");
    }
}

#[test]
fn t27_the_umask_is_the_callers() {
    for mode in MODES {
        for umask in ["0000", "0077"] {
            let command =
                &mut exec_after(&format!("umask {umask}"), &[mode, "--", "sh", "-c", "umask"]);
            assert_eq!(stdout(command).trim_end(), umask, "{mode}");
        }
    }
}

#[test]
fn the_directory_is_the_callers_unless_given() {
    let dir = tempfile::tempdir().expect("directory");
    let path = fs::canonicalize(&dir).expect("ours");
    let text = path.to_str().expect("UTF-8");
    for mode in MODES {
        let given = stdout(&mut exec(&[mode, "--chdir", text, "--", "sh", "-c", "pwd -P"]));
        assert_eq!(Path::new(given.trim_end()), path, "{mode}");
        let inherited = stdout(exec(&[mode, "--", "sh", "-c", "pwd -P"]).current_dir(&path));
        assert_eq!(Path::new(inherited.trim_end()), path, "{mode}");
    }
}

#[test]
fn no_core_holds_for_files_and_handlers() {
    for mode in MODES {
        let limits = stdout(&mut exec(&[mode, "--no-core", "--", "cat", "/proc/self/limits"]));
        let line = limits.lines().find(|line| line.starts_with("Max core")).expect("listed");
        let fields: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(fields[4..6], ["1", "1"], "{mode}");
    }
}
