//! What the system does for secrets in memory, and what it does not.

use std::fs;

use dsops_secure_mem::{Limit, Protection, original_limits};

use super::{Finding, Outcome};
use crate::ui;

/// What holds in the memory of this process.
pub fn protection(protection: &Protection) -> Vec<Finding> {
    let yes_no = |holds: bool| if holds { Outcome::Ok } else { Outcome::Warning };
    let mut findings = vec![
        Finding::new(
            yes_no(protection.hidden_from_ptrace_reads),
            "memory",
            format!(
                "secrets lie in {}; {} KiB mapped, {} in use",
                protection.backend,
                protection.capacity_bytes / 1024,
                ui::plural(protection.used_bytes, "byte")
            ),
        ),
        Finding::new(
            yes_no(protection.swap_safe),
            "swap",
            if protection.swap_safe {
                "no open secret reaches a swap area"
            } else {
                "open secrets may be swapped"
            },
        ),
        Finding::new(
            yes_no(protection.fork_safe),
            "fork",
            if protection.fork_safe {
                "a forked child sees no secret"
            } else {
                "a forked child may see secrets"
            },
        ),
        Finding::new(
            yes_no(protection.dumpable == Some(false)),
            "observers",
            match protection.dumpable {
                Some(false) => "other processes of the same user cannot read dsops; no core dumps",
                Some(true) => "other processes of the same user may read dsops",
                None => "the system does not tell whether others may read dsops",
            },
        ),
    ];
    findings.extend(
        protection
            .degradations
            .iter()
            .map(|missing| Finding::warning("missing", missing.to_string()).help(missing.remedy)),
    );
    findings
}

/// Limits and settings of the system that matter, as facts.
pub fn settings() -> Vec<Finding> {
    let show = |limit: Limit| {
        let part = |value: u64| {
            if value == u64::MAX { "unlimited".to_owned() } else { format!("{} KiB", value / 1024) }
        };
        format!("{} (hard {})", part(limit.soft), part(limit.hard))
    };
    let original = original_limits();
    let mut findings = Vec::new();
    if let Some(limit) = original.core {
        findings.push(Finding::new(
            Outcome::Ok,
            "core limit",
            format!("0 for dsops; a program it runs gets back {}", show(limit)),
        ));
    }
    if let Some(limit) = original.locked_memory {
        findings.push(Finding::new(
            Outcome::Ok,
            "locked memory",
            format!("raised for dsops; a program it runs gets back {}", show(limit)),
        ));
    }
    if original.locked_memory.is_none()
        && let Some(limit) =
            fs::read_to_string("/proc/self/limits").ok().as_deref().and_then(locked)
    {
        findings.push(Finding::ok("locked memory", format!("the limit is {limit}")));
    }
    let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    if let Some(pattern) = read("/proc/sys/kernel/core_pattern") {
        let where_to =
            if pattern.starts_with('|') { "go to a handler" } else { "are written as files" };
        findings.push(Finding::ok(
            "core dumps",
            format!("those of programs you run {where_to}; `exec --no-core` forbids them"),
        ));
    }
    if let Some(areas) = read("/proc/swaps") {
        findings.push(Finding::ok("swap areas", swap_areas(&areas)));
    }
    if let Some(scope) = read("/proc/sys/kernel/yama/ptrace_scope") {
        findings.push(Finding::ok("ptrace", ptrace_scope(&scope)));
    }
    findings
}

/// The limit of locked memory in `/proc/self/limits`.
fn locked(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    let soft = line.split_whitespace().next()?;
    let kib = soft.parse::<u64>().ok().map(|bytes| format!("{} KiB", bytes / 1024));
    Some(kib.unwrap_or_else(|| soft.to_owned()))
}

/// Which dsops this is: releases know the commit they were built from.
pub fn version() -> String {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let commit = option_env!("DSOPS_COMMIT").map(|id| format!(" (commit {id})"));
    let commit = commit.unwrap_or_default();
    format!("version {}{commit} for {os} on {arch}", env!("CARGO_PKG_VERSION"))
}

/// What `/proc/swaps` says: a header, then one area a line.
fn swap_areas(text: &str) -> String {
    let areas: Vec<&str> =
        text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    match areas.len() {
        0 => "there are none".to_owned(),
        _ => format!("what programs you run keep in memory may reach {}", areas.join(", ")),
    }
}

/// The meaning of Yama's setting, as the kernel's documentation has it.
fn ptrace_scope(scope: &str) -> String {
    let who = match scope {
        "0" => "a program you run can be read by any other process of yours",
        "1" => "a program you run can be read by its own ancestors, and by root",
        "2" => "a program you run can be read by administrators only",
        "3" => "no process can be read by another",
        _ => "not known",
    };
    format!("scope {scope}: {who}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_areas_are_named() {
        let header = "Filename\t\tType\t\tSize\n";
        assert_eq!(swap_areas(header), "there are none");
        let text = format!("{header}/dev/dm-1 partition 1 0 -2\n/swap file 1 0 -3\n");
        assert!(swap_areas(&text).ends_with("may reach /dev/dm-1, /swap"));
    }

    #[test]
    fn the_limit_of_locked_memory_is_read() {
        let line = |limit: &str| format!("Limit Soft\nMax locked memory         {limit}   bytes\n");
        assert_eq!(locked(&line("8388608              8388608")).as_deref(), Some("8192 KiB"));
        assert_eq!(locked(&line("unlimited unlimited")).as_deref(), Some("unlimited"));
        assert_eq!(locked("nothing"), None);
    }

    #[test]
    fn a_scope_that_is_not_known_is_not_explained() {
        assert_eq!(ptrace_scope("7"), "scope 7: not known");
        assert!(ptrace_scope("1").contains("ancestors"));
    }
}
