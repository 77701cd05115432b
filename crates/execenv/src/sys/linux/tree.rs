//! The process tree below this process, read from `/proc`.

use std::fs;

/// What `/proc/PID/stat` says about a process.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// One letter: `R`, `S`, `T` stopped, `Z` ended but not reaped …
    pub(super) state: u8,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
}

impl Stat {
    pub(super) fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// proc(5): `pid (name) state ppid pgrp session …`. The name may have spaces and parentheses.
    fn parse(text: &[u8]) -> Option<Self> {
        let after_name = text.iter().rposition(|&byte| byte == b')')? + 1;
        let mut fields = std::str::from_utf8(&text[after_name..]).ok()?.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let mut number = || fields.next()?.parse().ok();
        Some(Self { state, parent: number()?, group: number()?, session: number()? })
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state == b'T'
    }
}

/// All living descendants of `root`, parents before children. `strangers` and what is below them
/// are left out.
pub(super) fn descendants(root: i32, strangers: &[i32]) -> Vec<i32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        next += 1;
        for child in children(parent) {
            // A process that moves while we read could be met twice.
            if !strangers.contains(&child) && !found.contains(&child) {
                found.push(child);
            }
        }
    }
    found.remove(0);
    found.retain(|&pid| is_alive(pid));
    found
}

/// The children of a process.
pub(super) fn children(pid: i32) -> Vec<i32> {
    children_by_task(pid).unwrap_or_else(|| children_by_scan(pid))
}

/// Tells whether `pid` is `ancestor` or below it.
pub(super) fn is_below(pid: i32, ancestor: i32) -> bool {
    let mut pid = pid;
    // Parents cannot form a ring, but they are read one after the other.
    for _ in 0..1024 {
        if pid == ancestor {
            return true;
        }
        match Stat::read(pid) {
            Some(stat) if stat.parent > 1 => pid = stat.parent,
            _ => return false,
        }
    }
    false
}

/// Tells whether a stop of the process group of `pid` would go unnoticed: no process of the group
/// has a parent in the same session and another group (POSIX "orphaned process group", seen from
/// this process and its ancestors).
pub(super) fn is_group_orphaned(pid: i32) -> bool {
    let Some(me) = Stat::read(pid) else { return true };
    let mut parent = me.parent;
    while let Some(stat) = Stat::read(parent) {
        if stat.session != me.session {
            return true;
        }
        if stat.group != me.group {
            return false;
        }
        parent = stat.parent;
    }
    true
}

/// Ended processes stay listed until they are reaped; those with threads left have not ended.
fn is_alive(pid: i32) -> bool {
    match Stat::read(pid) {
        None => false,
        Some(stat) if matches!(stat.state, b'Z' | b'X') => {
            fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|tasks| tasks.count() > 1)
        }
        Some(_) => true,
    }
}

/// Quick, but needs a kernel with `CONFIG_PROC_CHILDREN`. `None` where it has not.
fn children_by_task(pid: i32) -> Option<Vec<i32>> {
    let mut children = Vec::new();
    // A process that has ended has no children, which is an answer.
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Some(children) };
    for task in tasks.flatten() {
        match fs::read_to_string(task.path().join("children")) {
            Ok(list) => children.extend(list.split_ascii_whitespace().filter_map(parse)),
            Err(_) if task.path().exists() => return None,
            Err(_) => {}
        }
    }
    Some(children)
}

/// Reads every process of the machine.
fn children_by_scan(parent: i32) -> Vec<i32> {
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    all.flatten()
        .filter_map(|entry| parse(entry.file_name().to_str()?))
        .filter(|&pid| Stat::read(pid).is_some_and(|stat| stat.parent == parent))
        .collect()
}

fn parse(text: &str) -> Option<i32> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };

    fn me() -> i32 {
        i32::try_from(std::process::id()).expect("pids are small")
    }

    #[test]
    fn a_name_cannot_forge_the_fields_behind_it() {
        let stat = Stat::parse(b"7 (x) Z 1 1 (y) T 3 4 5 6").expect("well formed");
        assert_eq!(stat, Stat { state: b'T', parent: 3, group: 4, session: 5 });
        assert_eq!(Stat::parse(b"7 (x"), None);
        assert_eq!(Stat::parse(b"7 (x) R 1"), None);
    }

    #[test]
    fn both_ways_see_children_and_grandchildren() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 60 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let pid = i32::try_from(child.id()).expect("small");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let grandchild: i32 = line.trim().parse().expect("a pid");

        assert_eq!(children_by_scan(pid), [grandchild]);
        if let Some(children) = children_by_task(pid) {
            assert_eq!(children, [grandchild]);
        }
        let below = descendants(me(), &[]);
        assert!(below.contains(&pid) && below.contains(&grandchild));
        assert!(!descendants(me(), &[pid]).contains(&grandchild));
        assert!(is_below(grandchild, pid) && is_below(grandchild, me()) && !is_below(me(), pid));

        let kill = |pid: i32| super::super::calls::signal_pid(pid, libc::SIGKILL);
        kill(grandchild).expect("ours");
        kill(pid).expect("ours");
        child.wait().expect("ours");
    }

    #[test]
    fn an_ended_process_is_not_alive_although_it_is_listed() {
        let mut child = Command::new("true").spawn().expect("true");
        let pid = i32::try_from(child.id()).expect("small");
        while Stat::read(pid).is_some_and(|stat| stat.state != b'Z') {
            std::thread::yield_now();
        }
        assert!(!is_alive(pid));
        assert!(children(me()).contains(&pid));
        child.wait().expect("ours");
        assert!(Stat::read(pid).is_none());
    }
}
