//! What becomes of the processes that the child leaves behind.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use crate::support::{LONG, Talking, exec, send, sleepers, unique, wait_for};

/// A root and 90 more: nine in sessions of their own, each with nine that have left session and
/// parent: 90 `sleep`s. It waits for a file.
fn grow(tag: &str, go: &str) -> String {
    format!(
        "for i in 1 2 3 4 5 6 7 8 9; do
            setsid sh -c 'for j in 1 2 3 4 5 6 7 8 9; do
                (setsid sleep {tag} &); done; exec sleep {tag}' &
        done
        while [ ! -e {go} ]; do sleep 0.02; done; exit 4"
    )
}

#[test]
fn t22_a_tree_of_91_ends_with_the_child() {
    let dir = tempfile::tempdir().expect("directory");
    let go = dir.path().join("go");
    let tag = unique();
    let script = grow(&tag, go.to_str().expect("UTF-8"));
    let mut run = Talking::start(&mut exec(&["--kill-tree", "--", "sh", "-c", &script]));
    wait_for("the tree to grow", || (sleepers(&tag).len() == 90).then_some(()));
    fs::write(&go, "").expect("ours");
    assert_eq!(run.end().code(), Some(4));
    assert_eq!(sleepers(&tag), [], "left of 91");
}

#[test]
fn t22_a_tree_of_91_ends_by_timeout() {
    let tag = unique();
    let script = grow(&tag, "/nonexistent/go");
    let args = ["--timeout", "3000", "--grace", "2000", "--", "sh", "-c", &script];
    let mut run = Talking::start(&mut exec(&args));
    // How far it gets in the time does not matter; that it was more than the child does.
    wait_for("the tree to grow", || (sleepers(&tag).len() > 9).then_some(()));
    assert_eq!(run.end().code(), Some(124));
    assert_eq!(sleepers(&tag), []);
}

#[test]
fn t22_what_ignores_term_is_killed() {
    let tag = unique();
    let script = format!("(setsid sh -c 'trap \"\" TERM; echo up; exec sleep {tag}' &); sleep 300");
    let args = ["--timeout", "2000", "--grace", "200", "--", "sh", "-c", &script];
    let mut run = Talking::start(&mut exec(&args));
    assert_eq!(run.line(), "up");
    assert_eq!(run.end().code(), Some(137));
    assert_eq!(sleepers(&tag), []);
}

#[test]
fn t22_children_from_before_are_not_part_of_the_tree() {
    let tag = unique();
    // A shell with a background process becomes the supervisor.
    let before = format!("sleep {tag} & echo $!");
    let args = ["--kill-tree", "--", "sh", "-c", "sleep 300 & exit 3"];
    let mut command = crate::support::exec_after(&before, &args);
    let mut run = Talking::start(&mut command);
    let stranger = run.number();
    assert_eq!(run.end().code(), Some(3));
    assert!(!crate::support::is_dead(stranger));
    send(stranger, "KILL");
}

#[test]
fn t23_a_daemon_with_our_stdout_does_not_keep_us() {
    let tag = unique();
    let script = format!("sleep {tag} & exit 6");
    let mut child = exec(&["--supervise", "--", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let start = Instant::now();
    assert_eq!(child.wait().expect("ours").code(), Some(6));
    assert!(start.elapsed() < LONG.min(Duration::from_secs(30)), "the daemon sleeps for 300 s");
    let left = wait_for("the daemon", || Some(sleepers(&tag)).filter(|left| !left.is_empty()));
    for pid in left {
        send(pid, "KILL");
    }
}
