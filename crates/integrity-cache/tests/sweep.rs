//! Rows 28, 35, 36 and 49 of the attack table in `docs/integrity-cache.md`: killed, or failing, at every system call.
//!
//! Each case runs this program again under `strace`, which kills it or makes one system call fail: the first, then the
//! second, to the last. After each, the cache opens, answers the old entry, the new one or a miss, and maintenance
//! leaves no temporary file and no key but in the key file.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[cfg(target_os = "linux")]
mod common;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("not run: strace is a tool of Linux");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        env, fs,
        os::unix::process::ExitStatusExt as _,
        path::Path,
        process::{Command, ExitCode, ExitStatus, Stdio},
        time::Duration,
    };

    use dsops_integrity_cache::{Body, Cache, Error, Freshness, Lookup, Namespace, SystemClock};

    use super::common::{assert_hit, entries, folder, get, key, policy, put, snapshot};

    const ROLE: &str = "DSOPS_CACHE_SWEEP";
    /// What the child looks for before and after its work, to be found in the trace.
    const MARKS: [&str; 2] = ["/sweep-starts-here", "/sweep-ends-here"];
    /// Where it can be killed.
    const CALLS: &str = "openat,openat2,mkdir,mkdirat,newfstatat,fstat,statx,read,pread64,write,pwrite64,fsync,\
        fdatasync,flock,linkat,renameat,renameat2,unlinkat,getdents64,ftruncate,fstatfs,close,getrandom,utimensat,lstat,stat";
    /// What can fail in a way that a file system knows.
    const FAILING: &str = "openat,openat2,mkdir,mkdirat,pread64,write,pwrite64,fsync,fdatasync,flock,linkat,renameat,\
        renameat2,unlinkat,getdents64,fstatfs";
    const ERRNOS: [&str; 8] =
        ["ENOSPC", "EIO", "EROFS", "EMFILE", "EINTR", "EACCES", "ENOMEM", "ESTALE"];
    const ACTIONS: [&str; 6] = ["start", "put", "strict", "invalidate", "rotate", "maintain"];
    /// The exit code of a child whose work ended in an error of ours.
    const TYPED: i32 = 3;

    pub(super) fn main() -> ExitCode {
        if let Ok(action) = env::var(ROLE) {
            let root = env::args_os().nth(1).unwrap();
            return match work(root.as_ref(), &action) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::from(3),
            };
        }
        if env::args().any(|arg| arg == "--list") {
            return ExitCode::SUCCESS;
        }
        if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
            println!("not run: strace is not installed");
            println!("test result: ok. 0 passed; 0 failed; 10 ignored; 0 measured; 0 filtered out");
            return ExitCode::SUCCESS;
        }
        for action in ACTIONS {
            let template = prepare(action);
            let killed = sweep(action, template.path(), CALLS, "signal=KILL");
            println!("{action}: killed at each of {killed} system calls");
            assert!(killed > 10, "{action}: the trace was not understood");
        }
        // Starting and storing are what every user does; the others fail in the same places.
        for action in ["start", "put", "strict"] {
            let template = prepare(action);
            let mut failed = 0;
            for errno in ERRNOS {
                failed += sweep(action, template.path(), FAILING, &format!("error={errno}"));
            }
            println!(
                "{action}: each of {} errors at each of {} calls",
                ERRNOS.len(),
                failed / ERRNOS.len()
            );
        }
        degraded();
        // As the test harness says it, for whoever counts: six actions, three with errors, one without.
        println!("test result: ok. 10 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        ExitCode::SUCCESS
    }

    /// Rows 28 and 49: what a file system or a sandbox does not have is done in another way.
    fn degraded() {
        let log = folder();
        for missing in [
            "linkat",
            "linkat,renameat2",
            "openat2",
            "flock",
            "fstatfs",
            "linkat,renameat2,openat2,flock",
        ] {
            for errno in
                ["EPERM", "EOPNOTSUPP", "EXDEV", "EINVAL", "ENOSYS", "EMLINK", "EIO", "EACCES"]
            {
                let sandbox = ["EPERM", "EINVAL", "ENOSYS"].contains(&errno);
                if missing.contains("openat2") && !sandbox {
                    continue;
                }
                for action in ["start", "strict"] {
                    let root = copy(prepare(action).path());
                    let inject = format!("inject={missing}:error={errno}");
                    let status = strace(action, root.path(), &inject, &log.path().join("log"));
                    assert!(status.success(), "{action} without {missing} ({errno}): {status}");
                    let (_, loose, strict) = open(root.path()).unwrap();
                    assert_hit(if action == "start" { &loose } else { &strict }, "k", &new());
                    check(root.path(), action, &format!("{action} without {missing} ({errno})"));
                }
            }
        }
        println!(
            "without links, renames that do not replace, openat2, locks: all is done in another way"
        );
    }

    fn open(root: &Path) -> Result<(Cache, Namespace, Namespace), Error> {
        let cache = Cache::builder(root.join("cache"))
            .state_dir(root.join("state"))
            .clock(SystemClock::new())
            .open()?;
        let strict = policy(Body::Sha256).with(|p| p.freshness = Freshness::Strict);
        let (loose, strict) = (cache.namespace("loose")?, cache.namespace_with("strict", strict)?);
        Ok((cache, loose, strict))
    }

    fn old() -> Vec<u8> {
        b"old".repeat(400)
    }

    fn new() -> Vec<u8> {
        b"new".repeat(30_000)
    }

    /// What is there before the child starts.
    fn prepare(action: &str) -> tempfile::TempDir {
        let root = folder();
        if action == "start" {
            return root;
        }
        let (_, loose, strict) = open(root.path()).unwrap();
        put(&loose, "k", &old());
        put(&strict, "k", &old());
        if action == "maintain" {
            let _ = loose.put(&key("expired"), Some(Duration::from_millis(1)), b"v").unwrap();
            let before = entries(&root.path().join("cache"));
            put(&loose, "tampered", b"v");
            let all = entries(&root.path().join("cache"));
            let tampered = all.iter().find(|path| !before.contains(path)).unwrap();
            let mut bytes = fs::read(tampered).unwrap();
            bytes[200] ^= 1;
            fs::write(tampered, bytes).unwrap();
        }
        root
    }

    /// What the child does.
    fn work(root: &Path, action: &str) -> Result<(), Error> {
        let _ = fs::symlink_metadata(MARKS[0]);
        let (cache, loose, strict) = open(root)?;
        match action {
            "start" | "put" => drop(loose.put(&key("k"), None, &new())?),
            "strict" => drop(strict.put(&key("k"), None, &new())?),
            "invalidate" => drop(strict.invalidate(&key("k"))?),
            "rotate" => cache.rotate_key()?,
            _ => drop(cache.maintain(Duration::from_mins(1))?),
        }
        let _ = fs::symlink_metadata(MARKS[1]);
        Ok(())
    }

    /// Interferes at every call in turn; answers how many there were.
    fn sweep(action: &str, template: &Path, calls: &str, how: &str) -> usize {
        let trace = folder();
        let log = trace.path().join("log");
        let root = copy(template);
        // `stat` calls are traced for the marks, wherever they are not counted.
        let plain =
            strace(action, root.path(), &format!("trace={calls},lstat,statx,newfstatat"), &log);
        assert!(plain.success(), "{action}: {plain}");
        let text = fs::read_to_string(&log).unwrap();
        let counted: Vec<&str> = calls.split(',').map(str::trim).collect();
        let (mut at, mut first, mut last) = (0, 0, 0);
        for line in text.lines() {
            let Some((call, _)) = line.split_once('(') else { continue };
            if line.contains(MARKS[0]) {
                first = at + 1;
            } else if line.contains(MARKS[1]) {
                last = at;
            }
            at += usize::from(counted.contains(&call));
        }
        // The mark itself is a counted call where `stat` is.
        for number in first..=last {
            let root = copy(template);
            let inject = format!("inject={calls}:{how}:when={number}");
            let status = strace(action, root.path(), &inject, &log);
            let ended = status.success()
                || status.code() == Some(TYPED)
                || (how.contains("KILL") && status.signal() == Some(9));
            assert!(ended, "{action} {how} {number}: {status}");
            check(root.path(), action, &format!("{action} {how} at {number} of {first} to {last}"));
        }
        (last + 1).saturating_sub(first)
    }

    fn strace(action: &str, root: &Path, expression: &str, log: &Path) -> ExitStatus {
        Command::new("strace")
            .arg("-qq")
            .arg("-o")
            .arg(log)
            .args(["-e", expression])
            .arg(env::current_exe().unwrap())
            .arg(root)
            .env(ROLE, action)
            .stderr(Stdio::null())
            .status()
            .unwrap()
    }

    /// What has to hold whatever happened.
    fn check(root: &Path, action: &str, case: &str) {
        let (cache, loose, strict) = open(root).unwrap_or_else(|error| panic!("{case}: {error}"));
        for namespace in [&loose, &strict] {
            if let Lookup::Hit(bytes) = get(namespace, "k") {
                assert!(bytes == old() || bytes == new(), "{case}: wrong bytes");
            }
        }
        if action != "strict" && action != "invalidate" && action != "start" {
            assert!(matches!(get(&strict, "k"), Lookup::Hit(_)), "{case}: an entry nobody touched");
        }
        let done = cache.maintain(Duration::from_mins(1)).unwrap();
        assert!(done.complete, "{case}");
        let keys = fs::read(root.join("state/key")).unwrap();
        for (path, content) in snapshot(root) {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(
                !name.starts_with("tmp-") && path.extension().is_none_or(|end| end != "tmp"),
                "{case}: {name} is left"
            );
            let Some(content) = content.filter(|_| !path.ends_with("state/key")) else { continue };
            for key in keys[16..keys.len() - 32].chunks(48) {
                let found = content.windows(32).any(|window| window == &key[..32]);
                assert!(!found, "{case}: {} holds a key", path.display());
            }
        }
        put(&loose, "k", b"after");
        put(&strict, "k", b"after");
        assert_hit(&loose, "k", b"after");
        assert_hit(&strict, "k", b"after");
    }

    fn copy(template: &Path) -> tempfile::TempDir {
        let root = folder();
        let mut open = vec![template.to_owned()];
        while let Some(from) = open.pop() {
            let to = root.path().join(from.strip_prefix(template).unwrap());
            if from != template {
                fs::create_dir(&to).unwrap();
                fs::set_permissions(&to, fs::metadata(&from).unwrap().permissions()).unwrap();
            }
            for entry in fs::read_dir(&from).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                } else {
                    fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
                }
            }
        }
        root
    }
}
