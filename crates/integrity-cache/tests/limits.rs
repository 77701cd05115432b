//! Rows 50, 51, 56 and 59 of the attack table in `docs/integrity-cache.md`: limits of the process, children, its memory, many entries.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    missing_docs
)]

mod common;

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{fs::FileExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use common::*;
use dsops_integrity_cache::{
    Body, Cache, Error, Freshness, Key, Limits, Lookup, Namespace, PutOutcome, SkipReason,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const ROLE: &str = "DSOPS_CACHE_LIMITS_ROLE";
const ROOT: &str = "DSOPS_CACHE_LIMITS_ROOT";

fn role() -> Option<(String, PathBuf)> {
    Some((env::var(ROLE).ok()?, env::var_os(ROOT)?.into()))
}

/// This program again, for one test only, after a line of shell.
fn again(shell: &str, test: &str, role: &str, root: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{shell}exec \"$0\" \"$@\"")])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(ROOT, root);
    command
}

fn run(shell: &str, test: &str, role: &str, root: &Path) -> ExitStatus {
    again(shell, test, role, root).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
}

fn open_at(root: &Path) -> Cache {
    let limits = Limits::default().with(|l| l.max_entry_bytes = 2 << 30);
    let builder = Cache::builder(root.join("cache")).state_dir(root.join("state"));
    builder.limits(limits.with(|l| l.max_bytes = 4 << 30)).open().unwrap()
}

fn strict(cache: &Cache) -> Namespace {
    let policy = policy(Body::Sha256).with(|p| p.freshness = Freshness::Strict);
    cache.namespace_with("strict", policy).unwrap()
}

#[test]
fn row_50_sixteen_descriptors_are_enough() {
    if let Some((_, root)) = role() {
        let cache = open_at(&root);
        let (loose, strict) = (cache.namespace("loose").unwrap(), strict(&cache));
        for at in 0..40 {
            for namespace in [&loose, &strict] {
                put(namespace, &at.to_string(), &payload(70_000));
                assert_hit(namespace, &at.to_string(), &payload(70_000));
            }
        }
        assert!(cache.maintain(Duration::from_mins(1)).unwrap().complete);
        cache.rotate_key().unwrap();
        assert_hit(&strict, "39", &payload(70_000));
        // None at all: what cannot be opened is an error or a skip, and no entry is harmed.
        let mut open = Vec::new();
        while let Ok(file) = fs::File::open("/dev/null") {
            open.push(file);
        }
        assert!(matches!(loose.get(&key("1")), Err(Error::Io { .. })));
        let outcome = loose.put(&key("1"), None, b"v").unwrap();
        assert_eq!(outcome, PutOutcome::Skipped(SkipReason::Resources));
        drop(open);
        assert_hit(&loose, "1", &payload(70_000));
        return;
    }
    let root = folder();
    let test = "row_50_sixteen_descriptors_are_enough";
    assert!(run("ulimit -n 16; ", test, "few", root.path()).success());
}

#[test]
fn row_50_files_of_four_kibibytes() {
    if let Some((_, root)) = role() {
        // Hidden memory is a file to this limit, so that the signal would come there already.
        let vault = dsops_secure_mem::Vault::builder();
        vault.best_backend(dsops_secure_mem::Backend::Locked).install().unwrap();
        let loose = open_at(&root).namespace("loose").unwrap();
        put(&loose, "small", b"fits");
        let outcome = loose.put(&key("k"), None, &payload(70_000)).unwrap();
        assert_eq!(outcome, PutOutcome::Skipped(SkipReason::NoSpace));
        assert_hit(&loose, "k", b"before");
        return;
    }
    let test = "row_50_files_of_four_kibibytes";
    // Blocks of 512 bytes. The signal is ignored, or kills.
    for (shell, killed) in [("trap '' XFSZ; ulimit -f 8; ", false), ("ulimit -f 8; ", true)] {
        let root = folder();
        let cache = open_at(root.path());
        let loose = cache.namespace("loose").unwrap();
        put(&loose, "k", b"before");
        let status = run(shell, test, "short", root.path());
        assert_eq!(status.success(), !killed, "{status}");
        if killed {
            assert!(status.signal().is_some(), "{status}");
        }
        assert_hit(&loose, "k", b"before");
        let done = cache.maintain(Duration::from_mins(1)).unwrap();
        assert_eq!((done.offenders, done.torn), (0, 0));
        assert_eq!(done.orphans, u64::from(killed), "what the killed one left is gone now");
    }
}

#[test]
fn row_50_a_gibibyte_in_a_process_of_64_mebibytes() {
    const PIECE: usize = 1 << 20;
    let test = "row_50_a_gibibyte_in_a_process_of_64_mebibytes";
    if let Some((role, root)) = role() {
        let cache = open_at(&root);
        for body in [Body::Aes256Gcm, Body::Sha256] {
            let namespace = cache.namespace_with("large", policy(body)).unwrap();
            let pieces: usize = role.parse().unwrap();
            let mut writer = namespace.writer(&key("k"), None).unwrap();
            let piece = payload(PIECE);
            for _ in 0..pieces {
                writer.write_all(&piece).unwrap();
            }
            assert_eq!(writer.commit().unwrap(), PutOutcome::Stored);
            let Lookup::Hit(mut reader) = namespace.reader(&key("k")).unwrap() else {
                panic!("a miss");
            };
            let mut read = vec![0; PIECE];
            for _ in 0..pieces {
                reader.read_exact(&mut read).unwrap();
                assert!(read == piece);
            }
            assert_eq!(reader.read(&mut read).unwrap(), 0);
            assert!(namespace.invalidate(&key("k")).unwrap());
        }
        return;
    }
    // 96 MiB are more than the process may have; the whole GiB is read by the bench.
    let root = folder();
    assert!(run("ulimit -v 65536; ", test, "96", root.path()).success());
}

#[test]
fn row_51_a_child_inherits_nothing_and_removes_nothing() {
    let test = "row_51_a_child_inherits_nothing_and_removes_nothing";
    if let Some((_, root)) = role() {
        for entry in fs::read_dir("/proc/self/fd").unwrap().map(Result::unwrap) {
            let leads_to = fs::read_link(entry.path()).unwrap_or_default();
            assert!(!leads_to.starts_with(&root), "{} is open", leads_to.display());
        }
        // Another handle of the same cache, which sweeps what nobody holds.
        let done = open_at(&root).maintain(Duration::from_mins(1)).unwrap();
        assert_eq!(done.orphans, 0);
        return;
    }
    let root = folder();
    let namespace = open_at(root.path()).namespace("ns").unwrap();
    let mut writer = namespace.writer(&key("k"), None).unwrap();
    writer.write_all(&payload(200_000)).unwrap();
    let reader = namespace.reader(&key("k")).unwrap();
    assert!(run("", test, "child", root.path()).success());
    drop(reader);
    assert_eq!(writer.commit().unwrap(), PutOutcome::Stored);
    assert_hit(&namespace, "k", &payload(200_000));
}

#[test]
fn row_56_no_key_and_no_secret_is_left_in_memory() {
    const MARKER: &str = "a text that has to be found, or the search finds nothing";
    let test = "row_56_no_key_and_no_secret_is_left_in_memory";
    let secret_key = || Key::new().part("secret", "s");
    let sensitive = || policy(Body::Aes256Gcm).with(|p| p.sensitive = true);
    if let Some((_, root)) = role() {
        {
            let cache = open_at(&root);
            let namespace = cache.namespace_with("secrets", sensitive()).unwrap();
            let plain = cache.namespace("plain").unwrap();
            let Lookup::Hit(secret) = namespace.get_secret(&secret_key()).unwrap() else {
                panic!("a miss");
            };
            for _ in 0..20 {
                let _ = namespace.put(&secret_key(), None, &secret.expose()).unwrap();
                assert!(namespace.get_secret(&secret_key()).unwrap().hit().is_some());
                put(&plain, "k", b"v");
                assert_hit(&plain, "k", b"v");
                strict_round(&cache);
            }
            cache.maintain(Duration::from_mins(1)).unwrap();
        }
        dsops_secure_mem::scrub_stack();
        let found = MARKER.to_owned();
        println!("dropped");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
        assert!(found.len() + line.len() > 1);
        return;
    }
    let root = folder();
    let cache = open_at(root.path());
    let namespace = cache.namespace_with("secrets", sensitive()).unwrap();
    let mut secret = [0; 48];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut secret).unwrap();
    let _ = namespace.put(&secret_key(), None, &secret).unwrap();
    let mut child = again("", test, "holds", root.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    assert!(stdout.by_ref().lines().map_while(Result::ok).any(|line| line.contains("dropped")));
    let memory = memory_of(&child);
    child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    let _ = stdout.read_to_end(&mut Vec::new());
    assert!(child.wait().unwrap().success());

    let has = |needle: &[u8]| {
        memory.iter().any(|region| region.windows(needle.len()).any(|window| window == needle))
    };
    assert!(has(&MARKER.as_bytes()[..16]), "the search works");
    let master = fs::read(root.path().join("state/key")).unwrap()[16..48].to_vec();
    let cache_id = fs::read(root.path().join("cache/CACHE")).unwrap()[16..32].to_vec();
    let prk = hmac(&cache_id, &[&master]);
    let mut secrets = vec![("the payload", secret[..32].to_vec()), ("the master key", master)];
    for purpose in ["name", "entry", "meta", "enc", "ledger", "boot"] {
        let key = hmac(&prk, &[b"dsops.ic.v1/", purpose.as_bytes(), &[1]]);
        if purpose == "enc" {
            // The payload's own key, of the entry that lies there now.
            for path in entries(&root.path().join("cache")) {
                let nonce = &fs::read(path).unwrap()[112..144];
                secrets.push(("an entry's key", hmac(&key, &[b"body", nonce, &[1]])));
            }
        }
        secrets.push((purpose, key));
    }
    secrets.push(("the extracted key", prk));
    let left: Vec<_> =
        secrets.iter().filter(|(_, bytes)| has(bytes)).map(|(what, _)| what).collect();
    assert!(left.is_empty(), "left in memory: {left:?}");
}

fn strict_round(cache: &Cache) {
    let strict = strict(cache);
    put(&strict, "k", b"v");
    assert_hit(&strict, "k", b"v");
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// All memory of a process that can be written, as far as it can be read.
fn memory_of(child: &Child) -> Vec<Vec<u8>> {
    let of = format!("/proc/{}", child.id());
    let mem = fs::File::open(format!("{of}/mem")).unwrap();
    let mut regions = Vec::new();
    for line in fs::read_to_string(format!("{of}/maps")).unwrap().lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let parse = |text| u64::from_str_radix(text, 16).unwrap();
        let (start, end) = (parse(start), parse(end));
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        if mem.read_exact_at(&mut bytes, start).is_ok() {
            regions.push(bytes);
        }
    }
    regions
}

#[test]
fn row_59_many_tiny_entries() {
    let root = folder();
    let limits = Limits::default().with(|l| l.max_entries = 300);
    let builder = || Cache::builder(root.path().join("cache")).state_dir(root.path().join("state"));
    let namespace = builder().open().unwrap().namespace("ns").unwrap();
    for at in 0..3000u32 {
        let _ = namespace.put(&Key::new().part("at", at.to_le_bytes()), None, b"v").unwrap();
    }
    for at in 0..3000u32 {
        let found = namespace.get(&Key::new().part("at", at.to_le_bytes())).unwrap();
        assert!(found.hit().is_some(), "{at}");
    }
    let cache = builder().limits(limits).open().unwrap();
    let done = cache.maintain(Duration::from_mins(1)).unwrap();
    assert!(done.left.entries <= 300 && done.evicted >= 2700, "{done:?}");
    assert_eq!(cache.stats().unwrap().usage, done.left);
}
