//! The cases: one defect each, named after it.
#![allow(clippy::unnecessary_wraps, reason = "every case may answer that it can't run")]

use crate::watch::{
    self, Talk, as_plain_user, copies_by_mem, copies_by_readv, finish, probe, succeed,
};
use dsops_secure_mem::Vault;
use std::{
    fs,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitCode},
    sync::Arc,
    thread,
};

/// A case that can't run here says why; it counts as not run, never as passed.
type Outcome = Result<(), String>;

type Case = (&'static str, fn() -> Outcome);

const CASES: &[Case] = &[
    ("no_descriptor_reaches_a_child", no_descriptor_reaches_a_child),
    ("low_limits_neither_hang_nor_degrade_silently", low_limits),
    ("a_dropped_secret_does_not_unlock_its_neighbour", neighbour_stays_locked),
    ("concurrent_guards_do_not_close_each_others_pages", concurrent_guards),
    ("other_processes_read_nothing", other_processes_read_nothing),
    ("a_core_file_holds_nothing", a_core_file_holds_nothing),
    ("a_fork_child_sees_nothing", a_fork_child_sees_nothing),
    ("guard_pages_and_pages_at_rest_fault", stray_reads_fault),
    ("an_overflow_wipes_everything_and_aborts", an_overflow_aborts),
    ("a_wiped_vault_refuses_cleanly", a_wiped_vault_refuses_cleanly),
    ("a_panic_wipes_what_it_unwinds", a_panic_wipes),
    ("a_growing_writer_leaves_no_copies", a_growing_writer_leaves_no_copies),
    ("a_region_takes_few_mappings", a_region_takes_few_mappings),
    ("a_taken_variable_is_gone_from_the_environment", a_taken_variable_is_gone),
    ("hardening_keeps_the_hard_limit_and_can_be_undone", hardening_is_gentle),
    ("a_hardened_process_can_not_be_opened", a_hardened_process_is_closed),
    ("an_empty_vault_holds_no_hidden_memory", trim_releases),
];

/// Runs the cases whose name contains the filter, in the harness's words.
pub fn run(filter: Option<&str>) -> ExitCode {
    let chosen: Vec<_> =
        CASES.iter().filter(|(name, _)| filter.is_none_or(|part| name.contains(part))).collect();
    println!("\nrunning {} tests", chosen.len());
    let (mut failed, mut skipped) = (0, 0);
    for (name, case) in &chosen {
        match std::panic::catch_unwind(case) {
            Ok(Ok(())) => println!("test {name} ... ok"),
            Ok(Err(reason)) => {
                skipped += 1;
                println!("test {name} ... ignored, not run: {reason}");
            }
            Err(_) => {
                failed += 1;
                println!("test {name} ... FAILED");
            }
        }
    }
    let passed = chosen.len() - failed - skipped;
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let others = CASES.len() - chosen.len();
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; {skipped} ignored; 0 measured; \
         {others} filtered out\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn has_hidden_memory() -> bool {
    let vault = Vault::builder().build().unwrap();
    vault.protection().hidden_from_ptrace_reads
}

fn need_hidden_memory() -> Outcome {
    if has_hidden_memory() { Ok(()) } else { Err("no memfd_secret on this system".into()) }
}

fn no_descriptor_reaches_a_child() -> Outcome {
    need_hidden_memory()?;
    assert_eq!(succeed(probe("descriptors", &["hidden"])), "1\n0\n", "control, then ours");
    assert_eq!(succeed(probe("descriptors", &["encrypted"])), "0\n");
    Ok(())
}

fn low_limits() -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let mut missed = Vec::new();
    // KiB allowed; at least so many secrets of 32 bytes, of 4 KiB.
    for (kib, small, pages) in
        [("0", 0, 0), ("4", 40, 0), ("16", 250, 2), ("64", 800, 12), ("8192", 100_000, 1900)]
    {
        let allowed =
            Command::new("sh").args(["-c", &format!("ulimit -l {kib}")]).status().unwrap();
        if !allowed.success() {
            missed.push(kib);
            continue;
        }
        let shell = format!("ulimit -l {kib}");
        let counts = succeed(as_plain_user(directory.path(), &shell, &["limit", kib]));
        let counts: Vec<usize> = counts.lines().map(|line| line.parse().unwrap()).collect();
        println!("  {kib} KiB: {} secrets of 32 bytes, {} of 4 KiB", counts[0], counts[1]);
        assert!(counts[0] >= small && counts[1] >= pages, "{kib} KiB: {counts:?}");
        if kib == "0" {
            assert_eq!(counts, [0, 0], "nothing can be locked, so Strict makes nothing");
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(format!("the hard limit forbids {missed:?} KiB")) }
}

fn neighbour_stays_locked() -> Outcome {
    let shown = succeed(probe("neighbour", &[]));
    let (before, after) = shown.trim().split_once(' ').unwrap();
    assert_ne!(before, "0", "the control: something is locked");
    assert_eq!(before, after);
    Ok(())
}

fn concurrent_guards() -> Outcome {
    for kind in ["no-access", "encrypted"] {
        let vault = crate::probes::vault(kind);
        let secret = Arc::new(vault.copy_from(&[0x3C; 48]).unwrap());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (secret, vault) = (Arc::clone(&secret), vault.clone());
                thread::spawn(move || {
                    for round in 0..100_000u32 {
                        let open = secret.expose();
                        assert_eq!(open[47], 0x3C);
                        if round % 64 == 0 {
                            let own = vault.copy_from(&[1; 24]).unwrap();
                            assert_eq!(own.expose()[23], 1);
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(vault.check(), 1, "{kind}");
    }
    Ok(())
}

fn other_processes_read_nothing() -> Outcome {
    // Kind; whether the value can be found: the locked open vault is a control of the search itself.
    let mut kinds = vec![("locked", false), ("encrypted", false), ("wipe-only", false)];
    kinds.push(("locked-open", true));
    if has_hidden_memory() {
        kinds.extend([("hidden", false), ("no-access", false)]);
    }
    for (kind, visible) in kinds {
        let mut talk = Talk::start(probe("hold", &[kind]));
        let (control, secret) = (watch::unmask(&talk.line()), watch::unmask(&talk.line()));
        assert_eq!(talk.line(), "ready");
        let pid = talk.child.id().to_string();
        for (way, count) in [
            ("/proc/PID/mem", copies_by_mem as fn(&str, &[u8]) -> usize),
            ("process_vm_readv", copies_by_readv),
        ] {
            assert!(count(&pid, &control) >= 1, "{kind}, {way}: the control must be found");
            assert_eq!(count(&pid, &secret) >= 1, visible, "{kind}, {way}");
            assert_eq!(count(&pid, &secret[..16]) >= 1, visible, "{kind}, {way}, first half");
        }
        talk.go_on();
    }
    Ok(())
}

fn a_core_file_holds_nothing() -> Outcome {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if pattern.starts_with('|') || pattern.contains('/') {
        return Err(format!("core files go elsewhere: {}", pattern.trim()));
    }
    let kinds = ["hidden", "hidden+copy", "locked", "locked+copy", "locked-open", "wipe-only"];
    for kind in kinds {
        if kind.starts_with("hidden") && !has_hidden_memory() {
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        let script = "ulimit -c unlimited && exec \"$0\" --probe core \"$1\"";
        command.args(["-c", script]).arg(watch::program()).arg(kind).current_dir(directory.path());
        let output = finish(command);
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{kind}: {output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        let values: Vec<_> = lines.lines().map(watch::unmask).collect();
        let Some(core) = fs::read_dir(directory.path()).unwrap().next() else {
            return Err("the system wrote no core file".into());
        };
        let core = fs::read(core.unwrap().path()).unwrap();
        assert!(watch::count_in(&core, &values[0]) >= 1, "{kind}: the control must be found");
        assert_eq!(watch::count_in(&core, &values[1]), 0, "{kind}");
        assert_eq!(watch::count_in(&core, &values[1][..16]), 0, "{kind}, first half");
        assert_eq!(watch::count_in(&core, &values[1][16..]), 0, "{kind}, second half");
    }
    Ok(())
}

fn a_fork_child_sees_nothing() -> Outcome {
    for kind in ["hidden", "no-access", "encrypted", "locked", "locked-open", "wipe-only"] {
        if kind == "hidden" && !has_hidden_memory() {
            continue;
        }
        assert_eq!(succeed(probe("fork", &[&format!("{kind}/handle")])), "exit 0\n", "{kind}");
    }
    if has_hidden_memory() {
        assert_eq!(succeed(probe("fork", &["hidden/raw"])), "signal 11\n");
    }
    assert_eq!(succeed(probe("fork", &["locked-open/raw"])), "exit 0\n", "zeros");
    Ok(())
}

fn stray_reads_fault() -> Outcome {
    need_hidden_memory()?;
    for what in ["after", "before", "at-rest"] {
        let output = finish(probe("touch", &[what]));
        assert_eq!(output.stdout, b"ready\n", "{what}: {output:?}");
        assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{what}");
    }
    Ok(())
}

fn an_overflow_aborts() -> Outcome {
    need_hidden_memory()?;
    for how in ["drop", "padding", "check", "truncate"] {
        let output = finish(probe("smash", &[how]));
        assert_eq!(output.stdout, b"wiped\n", "{how}: {output:?}");
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{how}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("was overwritten"), "{how}");
    }
    Ok(())
}

fn a_wiped_vault_refuses_cleanly() -> Outcome {
    for kind in ["hidden", "no-access", "encrypted", "locked", "wipe-only"] {
        if kind == "hidden" && !has_hidden_memory() {
            continue;
        }
        succeed(probe("wiped", &[kind]));
    }
    Ok(())
}

fn a_panic_wipes() -> Outcome {
    need_hidden_memory()?;
    succeed(probe("panic", &[]));
    Ok(())
}

fn a_growing_writer_leaves_no_copies() -> Outcome {
    let mut talk = Talk::start(probe("writer", &[]));
    let marker = watch::unmask(&talk.line());
    let pid = talk.child.id().to_string();
    let counts = [(); 8].map(|()| {
        assert_eq!(talk.line(), "step");
        let count = copies_by_mem(&pid, &marker);
        talk.go_on();
        count
    });
    // The marker itself, one more for each time it was written, after `finish` still as many, then none.
    assert_eq!(counts, [1, 2, 3, 4, 5, 5, 1, 0]);
    Ok(())
}

fn a_region_takes_few_mappings() -> Outcome {
    need_hidden_memory()?;
    let shown = succeed(probe("regions", &[]));
    let (mappings, regions) = shown.trim().split_once(' ').unwrap();
    let (mappings, regions): (usize, usize) = (mappings.parse().unwrap(), regions.parse().unwrap());
    println!("  {mappings} mappings for {regions} regions");
    // The heap of the probe may grow by a mapping of its own.
    assert!(regions >= 5 && mappings <= 4 * regions, "{shown}");
    Ok(())
}

fn a_taken_variable_is_gone() -> Outcome {
    let mut command = probe("environment", &[]);
    #[allow(clippy::disallowed_methods, reason = "the variable is what the case is about")]
    command.env(
        "PROBE_TOKEN",
        format!("token-{}-{:?}", std::process::id(), std::time::Instant::now()),
    );
    succeed(command);
    Ok(())
}

fn hardening_is_gentle() -> Outcome {
    need_hidden_memory()?;
    let mut command = Command::new("sh");
    let script = "ulimit -S -c 4096 && exec \"$0\" --probe hardened";
    command.args(["-c", script]).arg(watch::program());
    succeed(command);
    Ok(())
}

fn a_hardened_process_is_closed() -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let command = as_plain_user(directory.path(), ":", &["observe-hardened"]);
    assert_eq!(succeed(command), "permission denied\n");
    Ok(())
}

fn trim_releases() -> Outcome {
    need_hidden_memory()?;
    let shown = succeed(probe("trim", &[]));
    let (before, after) = shown.trim().split_once(' ').unwrap();
    assert_ne!(before, "0", "the control: hidden memory is mapped");
    assert_eq!(after, "0");
    Ok(())
}
