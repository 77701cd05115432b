//! Signals without a terminal: who gets them, how often, and what a stop does.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::support::{
    Talking, bit, exec, has, not_run, send, signal_set, sleepers, state, tool, unique, wait_for,
};

/// Logs every signal with its code and sender, and goes on.
const LOGGER: &str = "import os, signal, sys
all = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
signal.pthread_sigmask(signal.SIG_BLOCK, all)
print('ready', os.getpid(), flush=True)
while True:
    info = signal.sigwaitinfo(all)
    print('got', info.si_signo, info.si_code, info.si_pid, flush=True)";

#[test]
fn t19_every_signal_reaches_the_child_once() {
    if !has("python3") {
        return not_run("python3 is missing");
    }
    let mut run = Talking::start(&mut exec(&["--supervise", "--", "python3", "-c", LOGGER]));
    let child = run.number();
    let signals = ["15", "2", "1", "3", "10", "12", "28", "18", "35", "20", "14"];
    for signal in signals {
        send(run.id(), signal);
        // From us, not from the terminal: code 0, and our pid.
        assert_eq!(run.line(), format!("got {signal} 0 {}", run.id()));
    }
    // Had one come twice, it would stand before this.
    send(run.id(), "36");
    assert_eq!(run.line(), format!("got 36 0 {}", run.id()));
    send(child, "KILL");
    run.end();
}

#[test]
fn signals_held_by_the_parent_reach_the_child_and_wait_for_the_parents_last_step() {
    let script = "grep SigBlk /proc/self/status; echo $$; sleep 60";
    let mut run = Talking::start(&mut exec(&["--held", "--", "sh", "-c", script]));
    assert_eq!(run.line(), "SigBlk:\t0000000000000000");
    run.number();
    send(run.id(), "INT");
    assert_eq!(run.line(), "over");
    send(run.id(), "INT");
    assert_eq!(run.line(), "put right");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&run.end()), Some(2));
}

#[test]
fn t19_helpers_in_the_childs_group_hear_it_too() {
    // Its own trap first: the helper's word that it is up must mean both.
    let script = "trap 'wait; exit 5' TERM
        sh -c 'trap \"echo helper; exit\" TERM; echo up; while :; do sleep 0.02; done' &
        wait";
    let mut run = Talking::start(&mut exec(&["--supervise", "--", "sh", "-c", script]));
    assert_eq!(run.line(), "up");
    send(run.id(), "TERM");
    assert_eq!(run.line(), "helper");
    assert_eq!(run.end().code(), Some(5));
}

#[test]
fn t18_a_signal_from_the_child_or_its_group_does_not_come_back() {
    let tag = unique();
    let by_others = [
        // By the child itself.
        "kill -TERM $parent".to_owned(),
        // By a process of its group; it stays until the parent has looked at it.
        format!("sh -c 'kill -TERM '$parent'; exec sleep {tag}' &"),
        // By one that has left the group and lost its parent.
        format!("(setsid sh -c 'kill -TERM '$parent'; exec sleep {tag}' &)"),
    ];
    for (index, sender) in by_others.iter().enumerate() {
        let script = format!(
            "parent=$PPID; trap 'echo term' TERM; trap 'echo marker; exit 6' USR1; {sender}
             echo sent; while :; do sleep 0.02; done"
        );
        let mut run = Talking::start(&mut exec(&["--kill-tree", "--", "sh", "-c", &script]));
        assert_eq!(run.line(), "sent");
        let pid = run.id();
        if index > 0 {
            wait_for("the sender", || (sleepers(&tag).len() == 1).then_some(()));
        }
        wait_for("the parent to have taken it", || {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
            (signal_set(&status, "ShdPnd:") & bit(15) == 0 && state(pid) == Some('S')).then_some(())
        });
        send(pid, "USR1");
        assert_eq!(run.line(), "marker", "{sender}");
        assert_eq!(run.end().code(), Some(6), "{sender}");
    }
}

/// A shell with job control but without a terminal, so that a stop is somebody's business.
fn under_job_control(args: &[&str]) -> Talking {
    let mut command = Command::new("setsid");
    command.args(["bash", "-c", "set -m; \"$0\" \"$@\" <&- & echo job $!; read wait"]);
    command.arg(tool("execenv-run")).args(args).stdin(Stdio::piped());
    Talking::start(&mut command)
}

#[test]
fn t17_a_stopped_child_stops_us_and_cont_continues_both() {
    if !has("bash") {
        return not_run("bash is missing");
    }
    let script = "trap 'echo on' CONT; echo child $$; while :; do sleep 0.02; done";
    let mut run = under_job_control(&["--supervise", "--", "sh", "-c", script]);
    let (mut job, mut child) = (0, 0);
    for _ in 0..2 {
        let line = run.line();
        let (who, pid) = line.split_once(' ').expect("two words");
        *(if who == "job" { &mut job } else { &mut child }) = pid.parse().expect("a pid");
    }
    for _ in 0..3 {
        send(child, "STOP");
        wait_for("both to stop", || {
            (state(child) == Some('T') && state(job) == Some('T')).then_some(())
        });
        send(job, "CONT");
        assert_eq!(run.line(), "on");
        wait_for("us to go on", || (state(job) == Some('S')).then_some(()));
    }
    send(child, "KILL");
    wait_for("the end", || crate::support::is_dead(job).then_some(()));
}

/// With nobody to continue us, a stop would be for ever.
#[test]
fn t17_nobody_stops_for_nobody() {
    let script = "echo child $$; while :; do sleep 0.02; done";
    let mut run = Talking::start(&mut exec(&["--supervise", "--", "sh", "-c", script]));
    let child = run.number();
    send(child, "STOP");
    wait_for("the child to stop", || (state(child) == Some('T')).then_some(()));
    // The stop has been noticed when the notice is no longer pending.
    let pid = run.id();
    wait_for("the notice", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        (signal_set(&status, "ShdPnd:") & bit(17) == 0 && state(pid) == Some('S')).then_some(())
    });
    send(child, "CONT");
    send(run.id(), "TERM");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&run.end()), Some(15));
}
