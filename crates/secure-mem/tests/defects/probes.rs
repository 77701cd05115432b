//! The processes under observation. Each prints what the observer needs, values only under a mask.
#![allow(clippy::disallowed_methods, reason = "the environment is what one probe is about")]

use crate::watch::{masked, status_kib, wait};
use dsops_secure_mem::{
    AtRest, Backend, DegradationKind, Error, Policy, SecretBytes, Vault, VaultBuilder,
    harden_process, original_core_limit, protection, restore_original_limits, take_env, wipe_all,
};
use std::{ffi::OsStr, fs, hint::black_box, process::Command};

pub fn run(name: &str, arguments: &[String]) {
    let argument = arguments.first().map_or("", String::as_str);
    match name {
        "hold" => hold(argument),
        "core" => core(argument),
        "descriptors" => descriptors(argument),
        "limit" => limit(argument.parse().unwrap()),
        "neighbour" => neighbour(),
        "fork" => fork(argument),
        "touch" => touch(argument),
        "smash" => smash(argument),
        "wiped" => wiped(argument),
        "panic" => panic(),
        "writer" => writer(),
        "regions" => regions(),
        "environment" => environment(),
        "hardened" => hardened(),
        "observe-hardened" => observe_hardened(),
        "trim" => trim(),
        "idle" => {
            harden_process();
            println!("ready");
            wait();
        }
        other => panic!("no probe is called {other}"),
    }
}

pub fn vault(kind: &str) -> Vault {
    let builder: VaultBuilder = match kind {
        "hidden" => Vault::builder().policy(Policy::Strict),
        "no-access" => Vault::builder().at_rest(AtRest::NoAccess),
        "encrypted" => Vault::builder().at_rest(AtRest::Encrypted),
        "locked" => Vault::builder().best_backend(Backend::Locked),
        "locked-open" => Vault::builder().best_backend(Backend::Locked).at_rest(AtRest::Open),
        "wipe-only" => Vault::builder().best_backend(Backend::WipeOnly),
        other => panic!("no vault is called {other}"),
    };
    builder.build().unwrap()
}

/// A fresh value that never lay anywhere else.
fn marker(vault: &Vault) -> SecretBytes {
    let filled = vault.build::<Error>(32, |room| {
        getrandom::fill(room).unwrap();
        Ok(32)
    });
    filled.unwrap()
}

fn control() -> Vec<u8> {
    let mut bytes = vec![0; 32];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

/// Prints the masks of a control and of a protected value, and waits to be read.
fn hold(kind: &str) {
    let (vault, control) = (vault(kind), control());
    let secret = marker(&vault);
    println!("{}", masked(&control));
    println!("{}", secret.expose_with(masked));
    // The mask was made byte by byte; what the formatting left on the stack is not the subject here.
    dsops_secure_mem::scrub_stack();
    println!("ready");
    wait();
    black_box((&control, &secret));
}

/// As `hold`, but dies with a core; "copy" makes a copy of the value the last thing the process does.
fn core(argument: &str) {
    let (kind, copy) = argument.strip_suffix("+copy").map_or((argument, false), |k| (k, true));
    let (vault, control) = (vault(kind), control());
    let secret = marker(&vault);
    println!("{}", masked(&control));
    println!("{}", secret.expose_with(masked));
    dsops_secure_mem::scrub_stack();
    if copy {
        let twin = vault.copy_from(&secret.expose()).unwrap();
        black_box((&twin, &control));
        abort();
    }
    black_box((&control, &secret));
    abort();
}

fn abort() -> ! {
    // SAFETY: ends the process.
    unsafe { libc::abort() }
}

fn descriptors(kind: &str) {
    let vault = vault(kind);
    let secret = marker(&vault);
    if kind == "hidden" {
        // The control: what a careless program does.
        // SAFETY: makes a descriptor.
        let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, 0) };
        println!("{}", list_of_child());
        // SAFETY: closes it again.
        unsafe { libc::close(i32::try_from(fd).unwrap()) };
    }
    println!("{}", list_of_child());
    black_box(secret);
}

fn list_of_child() -> usize {
    let listing = Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
    String::from_utf8(listing.stdout).unwrap().matches("secretmem").count()
}

/// Fills vaults under a limit on locked memory and tells how far it got.
fn limit(kib: u64) {
    let fill = |vault: &Vault, len: usize| {
        let value = vec![7; len];
        let mut all = Vec::new();
        while all.len() < 300_000
            && let Ok(secret) = vault.copy_from(&value)
        {
            all.push(secret);
        }
        all
    };
    for len in [32, 4096] {
        let strict = Vault::builder().policy(Policy::Strict).build().unwrap();
        let all = fill(&strict, len);
        let locked = status_kib("VmLck:");
        assert!(locked <= kib, "{locked} KiB locked under a limit of {kib}");
        if all.is_empty() {
            let refusal = strict.copy_from(&vec![0; len]).unwrap_err().to_string();
            assert!(refusal.contains("limit on locked memory"), "{refusal}");
        } else {
            assert_eq!(strict.check(), all.len());
            assert!(strict.protection().locked);
            assert!(strict.protection().capacity_bytes as u64 <= kib * 1024);
        }
        println!("{}", all.len());
    }
    // Degrade goes on past the limit and says so, once.
    let value = vec![7; 4096];
    let many: Vec<_> =
        (0..kib / 4 + 200).map(|_| SecretBytes::copy_from(&value).unwrap()).collect();
    let report = protection();
    assert!(status_kib("VmLck:") <= kib);
    let told =
        report.degradations.iter().filter(|one| one.kind == DegradationKind::NotLocked).count();
    assert_eq!(told, 1, "{report:?}");
    assert!(!report.locked && !report.hidden_from_ptrace_reads && !report.swap_safe);
    assert_eq!(report.backend, Backend::WipeOnly);
    for secret in &many {
        assert_eq!(&*secret.expose(), &value[..]);
    }
}

fn neighbour() {
    let vault = vault("locked-open");
    let kept = vault.copy_from(&[1; 32]).unwrap();
    let gone = vault.copy_from(&[2; 32]).unwrap();
    let before = status_kib("VmLck:");
    drop(gone);
    let after = status_kib("VmLck:");
    println!("{before} {after}");
    black_box(kept);
}

/// What a fork child can see: "handle" asks politely, "raw" reads the address.
fn fork(argument: &str) {
    let (kind, how) = argument.split_once('/').unwrap();
    let vault = vault(kind);
    let secret = vault.copy_from(&[0xA7; 32]).unwrap();
    let address = secret.expose().as_ptr();
    // SAFETY: the child calls only what is listed below and leaves with `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = if how == "raw" {
            // SAFETY: the address was valid in the parent; faulting is what the case looks for.
            i32::from(unsafe { address.read_volatile() })
        } else {
            let refused = matches!(secret.try_expose(), Err(Error::Forked))
                && matches!(SecretBytes::copy_from(b"x"), Err(Error::Forked));
            drop(secret);
            drop(vault);
            if refused { 0 } else { 99 }
        };
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: waits for our own child.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    if libc::WIFSIGNALED(status) {
        println!("signal {}", libc::WTERMSIG(status));
    } else {
        println!("exit {}", libc::WEXITSTATUS(status));
    }
    assert_eq!(&*secret.expose(), &[0xA7; 32], "the parent keeps its value");
}

/// Touches what must fault: the page after a region, the page before, or a value at rest without access.
fn touch(what: &str) {
    let kind = if what == "at-rest" { "no-access" } else { "hidden" };
    let vault = vault(kind);
    let secret = vault.copy_from(&[1; 32]).unwrap();
    let address = secret.expose().as_ptr();
    let maps = crate::watch::maps("self");
    let here = maps.iter().find(|map| (map.start..map.end).contains(&(address as u64))).unwrap();
    let target = match what {
        "after" => here.end as *const u8,
        "before" => (here.start - 1) as *const u8,
        _ => address,
    };
    println!("ready");
    // SAFETY: faulting is what the case looks for.
    black_box(unsafe { target.read_volatile() });
}

/// Where the other secret of `smash` lies.
static WITNESS: std::sync::atomic::AtomicPtr<u8> =
    std::sync::atomic::AtomicPtr::new(std::ptr::null_mut());

extern "C" fn on_abort(_: libc::c_int) {
    let address = WITNESS.load(std::sync::atomic::Ordering::SeqCst);
    // SAFETY: 32 bytes of a secret in a vault that is still mapped.
    let wiped = (0..32).all(|at| unsafe { address.wrapping_add(at).read_volatile() } == 0);
    let word: &[u8] = if wiped { b"wiped\n" } else { b"STILL THERE\n" };
    // SAFETY: writes a constant.
    unsafe { libc::write(1, word.as_ptr().cast(), word.len()) };
}

/// Writes past a secret, then does `how` what must notice.
fn smash(how: &str) {
    let vault = vault("hidden");
    let other = vault.copy_from(&[0x77; 32]).unwrap();
    let mut victim = vault.copy_from(&[0x66; 30]).unwrap();
    WITNESS.store(other.expose().as_ptr().cast_mut(), std::sync::atomic::Ordering::SeqCst);
    // SAFETY: installs a handler that only reads and writes.
    unsafe { libc::signal(libc::SIGABRT, on_abort as *const () as libc::sighandler_t) };
    let start = victim.expose_mut().as_mut_ptr();
    // One byte past the end lies in the padding; two more and it is the canary.
    let distance = if how == "padding" { 30 } else { 32 };
    // SAFETY: in fact not: it is the overflow the canary is for. The address is mapped.
    unsafe { start.wrapping_add(distance).write_volatile(1) };
    match how {
        "check" => drop(vault.check()),
        "truncate" => victim.truncate(3),
        _ => drop(victim),
    }
    println!("NOT NOTICED");
}

fn wiped(kind: &str) {
    let vault = vault(kind);
    let mut old = vault.copy_from(&[0xEE; 5000]).unwrap();
    let other = vault.copy_from(&[0xEE; 20]).unwrap();
    let address = old.expose().as_ptr();
    wipe_all();
    if kind == "hidden" {
        // SAFETY: the vault is still mapped.
        assert!((0..5000).all(|at| unsafe { address.wrapping_add(at).read_volatile() } == 0));
    }
    assert!(matches!(old.try_expose(), Err(Error::Wiped)));
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let attempt = |run: &mut dyn FnMut()| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err()
    };
    assert!(attempt(&mut || drop(old.expose())), "{kind}: expose panics");
    assert!(attempt(&mut || drop(old.expose_mut())), "{kind}: expose_mut panics");
    std::panic::set_hook(quiet);
    let fresh = vault.copy_from(b"fresh").unwrap();
    drop((old, other));
    assert_eq!(&*fresh.expose(), b"fresh", "{kind}: the vault goes on");
    assert_eq!(vault.check(), 1, "{kind}: one canary for one live value");
}

fn panic() {
    let vault = vault("hidden");
    let secret = vault.copy_from(&[0xDD; 64]).unwrap();
    let address = secret.expose().as_ptr();
    let unwound = std::panic::catch_unwind(move || {
        let kept = secret;
        assert!(kept.is_empty(), "on purpose");
    });
    assert!(unwound.is_err());
    // SAFETY: the vault is still mapped.
    assert!((0..64).all(|at| unsafe { address.wrapping_add(at).read_volatile() } == 0));
}

/// Stops after each step of a growing writer, in memory that can be searched.
fn writer() {
    let vault = vault("locked-open");
    let marker = marker(&vault);
    println!("{}", marker.expose_with(masked));
    let step = || {
        println!("step");
        wait();
    };
    step();
    let mut writer = vault.writer();
    for filler in [10usize, 200, 3000, 50_000] {
        writer.push(&vec![b'.'; filler]).unwrap();
        writer.push(&marker.expose()).unwrap();
        step();
    }
    let whole = writer.finish().unwrap();
    step();
    drop(whole);
    step();
    drop(marker);
    step();
}

fn regions() {
    let vault = vault("hidden");
    let before = crate::watch::maps("self").len();
    let secrets: Vec<_> = (0..20_000).map(|_| vault.copy_from(&[1; 40]).unwrap()).collect();
    let large = vault.copy_from(&vec![1; 100_000]).unwrap();
    let after = crate::watch::maps("self").len();
    println!("{} {}", after - before, vault.protection().regions);
    black_box((secrets, large));
}

fn environment() {
    let name = OsStr::new("PROBE_TOKEN");
    let value = std::env::var("PROBE_TOKEN").unwrap().into_bytes();
    let shown = || fs::read("/proc/self/environ").unwrap();
    assert_eq!(crate::watch::count_in(&shown(), &value), 1, "the control");
    let stop = std::sync::Arc::new(std::sync::Barrier::new(2));
    let other = std::thread::spawn({
        let stop = stop.clone();
        move || stop.wait()
    });
    assert!(matches!(take_env(name), Err(Error::Threads { threads: 2, .. })));
    stop.wait();
    other.join().unwrap();
    // The kernel takes a moment to forget a joined thread.
    while fs::read_dir("/proc/self/task").unwrap().count() > 1 {
        std::thread::yield_now();
    }
    let taken = take_env(name).unwrap().unwrap();
    assert_eq!(&*taken.expose(), &value[..]);
    assert_eq!(crate::watch::count_in(&shown(), &value), 0, "it is gone from where it lay");
    assert!(std::env::var_os(name).is_none());
    assert!(take_env(name).unwrap().is_none());
    assert!(take_env(OsStr::new("PROBE")).unwrap().is_none(), "a prefix is another name");
    let child = Command::new("env").output().unwrap();
    assert_eq!(crate::watch::count_in(&child.stdout, b"PROBE_TOKEN"), 0);
}

fn hardened() {
    let core = || {
        let text = fs::read_to_string("/proc/self/limits").unwrap();
        let line = text.lines().find(|line| line.starts_with("Max core")).unwrap().to_owned();
        line.split_whitespace().skip(4).take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = core();
    assert_ne!(before[0], "0", "the case starts with core files on");
    let hardening = harden_process();
    assert!(hardening.degradations.is_empty(), "{hardening:?}");
    assert_eq!(hardening.dumpable, Some(false));
    assert_eq!(core(), ["0", &before[1]], "the hard limit stays");
    let original = original_core_limit().unwrap();
    assert_ne!(original.soft, 0);
    assert_eq!(harden_process().core_limit.unwrap().soft, 0);
    assert_eq!(original_core_limit(), Some(original), "the second call keeps the first limits");
    let secret = SecretBytes::copy_from(b"x").unwrap();
    assert_eq!(protection().dumpable, Some(false));
    assert!(protection().degradations.is_empty(), "{:?}", protection());
    drop(secret);
    restore_original_limits().unwrap();
    assert_eq!(core(), before);
}

/// Runs as a plain user: a hardened process of the same user can't be opened.
fn observe_hardened() {
    let mut talk = crate::watch::Talk::start(crate::watch::probe("idle", &[]));
    assert_eq!(talk.line(), "ready");
    let path = format!("/proc/{}/mem", talk.child.id());
    println!("{}", fs::File::open(path).unwrap_err().kind());
    talk.go_on();
}

fn trim() {
    let hidden =
        || crate::watch::maps("self").iter().filter(|m| m.name.contains("secretmem")).count();
    let secret = SecretBytes::copy_from(&vec![1; 50_000]).unwrap();
    let before = hidden();
    dsops_secure_mem::vault().trim();
    assert!(secret.expose().iter().all(|&byte| byte == 1), "what lives stays");
    drop(secret);
    assert!(dsops_secure_mem::vault().trim() >= 50_000);
    println!("{before} {}", hidden());
}
