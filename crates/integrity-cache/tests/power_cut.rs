//! Row 40 of the attack table in `docs/integrity-cache.md`: the power is cut after every write, and what was not synced is lost.
//!
//! A child does its work under `strace`, which writes down every change of a file and of a name. The log is replayed to every
//! point, in a folder of its own, as a journaling file system may leave it: names in order, up to any point since the last
//! folder that was synced; content that was not synced whole, empty, its first sectors or zeros of the right length.
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
        collections::{BTreeMap, HashMap},
        env, fs,
        os::unix::fs::PermissionsExt as _,
        path::{Path, PathBuf},
        process::{Command, ExitCode, Stdio},
    };

    use dsops_integrity_cache::{
        Body, Cache, Durability, Error, Freshness, MissReason, Namespace, SystemClock,
    };

    use dsops_secure_mem::{Backend, Vault};

    use super::common::{folder, key, payload, policy, put};

    const ROLE: &str = "DSOPS_CACHE_POWER_CUT";
    /// Looked for after each step, to be found in the log.
    const ACKNOWLEDGED: &str = "/acknowledged-";
    const CALLS: &str = "open,openat,openat2,mkdir,mkdirat,pwrite64,write,linkat,renameat,renameat2,unlinkat,\
        fsync,fdatasync,statx";

    /// What a disk writes whole.
    const SECTOR: usize = 512;

    pub(super) fn main() -> ExitCode {
        if env::var_os(ROLE).is_some() {
            // What is written from hidden memory no tracer can see.
            let vault = Vault::builder().best_backend(Backend::Locked).install();
            vault.expect("nothing was protected before");
            work(env::args_os().nth(1).unwrap().as_ref()).unwrap();
            return ExitCode::SUCCESS;
        }
        if env::args().any(|arg| arg == "--list") {
            return ExitCode::SUCCESS;
        }
        if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
            println!("not run: strace is not installed");
            println!("test result: ok. 0 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out");
            return ExitCode::SUCCESS;
        }
        for fresh in [true, false] {
            let template = folder();
            if !fresh {
                let spaces = open(template.path()).unwrap();
                for space in [&spaces.loose, &spaces.full, &spaces.strict] {
                    put(space, "k", &old());
                    put(space, "gone", &old());
                }
            }
            let template = Disk::read(template.path());
            let log = record(&template);
            let (cuts, states) = replay(&template, &log, fresh);
            let what = if fresh { "a fresh cache" } else { "a cache in use" };
            println!(
                "{what}: {} changes, the power cut in {cuts} ways, {states} different disks",
                log.len()
            );
            assert!(states > 100, "the log was not understood");
        }
        println!("test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        ExitCode::SUCCESS
    }

    struct Spaces {
        cache: Cache,
        loose: Namespace,
        full: Namespace,
        strict: Namespace,
    }

    fn open(root: &Path) -> Result<Spaces, Error> {
        let cache = Cache::builder(root.join("cache"))
            .state_dir(root.join("state"))
            .clock(SystemClock::new())
            .open()?;
        let full = policy(Body::Aes256Gcm).with(|p| p.durability = Durability::Full);
        let strict = policy(Body::Sha256).with(|p| p.freshness = Freshness::Strict);
        Ok(Spaces {
            loose: cache.namespace("loose")?,
            full: cache.namespace_with("full", full)?,
            strict: cache.namespace_with("strict", strict)?,
            cache,
        })
    }

    fn old() -> Vec<u8> {
        payload(900)
    }

    fn new() -> Vec<u8> {
        payload(70_000)
    }

    /// What the child does; each step is acknowledged when its call has returned.
    fn work(root: &Path) -> Result<(), Error> {
        let mut step = 0;
        let mut acknowledge = || {
            let _ = fs::symlink_metadata(format!("{ACKNOWLEDGED}{step}"));
            step += 1;
        };
        let Spaces { cache, loose, full, strict } = open(root)?;
        acknowledge();
        put(&loose, "k", &new());
        acknowledge();
        put(&full, "k", &new());
        acknowledge();
        put(&strict, "k", &new());
        acknowledge();
        strict.invalidate(&key("gone"))?;
        acknowledge();
        cache.invalidate_all()?;
        acknowledge();
        cache.rotate_key()?;
        acknowledge();
        put(&full, "k", b"after all");
        acknowledge();
        Ok(())
    }

    /// What has to hold when this many steps were acknowledged.
    fn check(root: &Path, steps: usize, fresh: bool, case: &str) {
        let Spaces { loose, full, strict, .. } =
            open(root).unwrap_or_else(|error| panic!("{case}: {error}"));
        let look = |space: &Namespace, name: &str| match super::common::get(space, name) {
            dsops_integrity_cache::Lookup::Hit(bytes) if bytes == old() => Ok("old"),
            dsops_integrity_cache::Lookup::Hit(bytes) if bytes == new() => Ok("new"),
            dsops_integrity_cache::Lookup::Hit(bytes) if bytes == b"after all" => Ok("after all"),
            dsops_integrity_cache::Lookup::Hit(_) => panic!("{case}: {name} has wrong bytes"),
            dsops_integrity_cache::Lookup::Miss(reason) => Err(reason),
        };
        let all = [look(&loose, "k"), look(&full, "k"), look(&strict, "k"), look(&strict, "gone")];
        for found in &all {
            // Nothing that a cut leaves looks like an attack, but for the entry that the ledger knows of.
            let innocent = match found {
                Ok(_) | Err(MissReason::RolledBack) => true,
                Err(reason) => !reason.is_suspicious(),
            };
            assert!(innocent, "{case}: {found:?}");
        }
        let [loose_k, full_k, strict_k, gone] = all;
        let stale = |found: &Result<&str, MissReason>| !matches!(found, Ok("old" | "new"));
        // A store that waits for the disk is there when it is acknowledged, and never half there.
        match steps {
            0..=1 if fresh => {}
            0..=2 if !fresh || steps > 2 => assert!(full_k.is_ok(), "{case}: {full_k:?}"),
            3..=4 => assert_eq!(full_k, Ok("new"), "{case}"),
            8.. => assert_eq!(full_k, Ok("after all"), "{case}"),
            _ => {}
        }
        // What the ledger was told is not forgotten: neither a store nor that an entry is gone.
        if steps >= 4 {
            assert_ne!(strict_k, Ok("old"), "{case}");
        }
        if steps >= 5 {
            assert!(gone.is_err(), "{case}");
        }
        // A raised epoch stays raised.
        if steps >= 6 {
            assert!([&loose_k, &full_k, &strict_k].into_iter().all(stale), "{case}");
        }
        put(&full, "k", b"still works");
    }

    // --- what strace saw ---------------------------------------------------------------------

    #[derive(Debug)]
    enum Change {
        /// A file gets a name, if there is none of it.
        Create {
            path: PathBuf,
            id: usize,
        },
        Folder {
            path: PathBuf,
        },
        Write {
            id: usize,
            at: usize,
            bytes: Vec<u8>,
        },
        Link {
            id: usize,
            path: PathBuf,
        },
        Rename {
            from: PathBuf,
            to: PathBuf,
        },
        Unlink {
            path: PathBuf,
        },
        SyncFile {
            id: usize,
        },
        SyncFolder,
        Acknowledge,
    }

    /// Files by number, names to them, folders.
    #[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
    struct Disk {
        names: BTreeMap<PathBuf, usize>,
        folders: Vec<PathBuf>,
        files: BTreeMap<usize, Vec<u8>>,
    }

    impl Disk {
        fn read(root: &Path) -> Self {
            let mut disk = Self::default();
            for (path, content) in super::common::snapshot(root) {
                let path = path.strip_prefix(root).unwrap().to_owned();
                match content {
                    None => disk.folders.push(path),
                    Some(bytes) => {
                        let id = disk.files.len();
                        disk.files.insert(id, bytes);
                        disk.names.insert(path, id);
                    }
                }
            }
            disk
        }

        fn write(&self, root: &Path) {
            let mut folders = self.folders.clone();
            folders.sort();
            for path in folders {
                fs::create_dir(root.join(&path)).unwrap();
                fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o700)).unwrap();
            }
            for (path, id) in &self.names {
                let path = root.join(path);
                // A file in a folder that was lost is lost with it.
                if path.parent().unwrap().is_dir() {
                    fs::write(&path, &self.files[id]).unwrap();
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
                }
            }
        }
    }

    fn record(template: &Disk) -> Vec<Change> {
        let (root, trace) = (folder(), folder());
        template.write(root.path());
        let log = trace.path().join("log");
        let status = Command::new("strace")
            .args(["-qq", "-xx", "-s", "1000000", "-e", &format!("trace={CALLS}"), "-o"])
            .arg(&log)
            .arg(env::current_exe().unwrap())
            .arg(root.path())
            .env(ROLE, "1")
            .status()
            .unwrap();
        assert!(status.success());
        parse(&fs::read_to_string(log).unwrap(), root.path(), template)
    }

    fn parse(log: &str, root: &Path, template: &Disk) -> Vec<Change> {
        let mut changes = Vec::new();
        // What descriptors and names lead to, in the child.
        let mut open: HashMap<String, (PathBuf, Option<usize>)> = HashMap::new();
        let mut names = template.names.clone();
        let mut next = template.files.len();
        for line in log.lines() {
            let Some((call, rest)) = line.split_once('(') else { continue };
            let Some((args, result)) = rest.rsplit_once(" = ") else { continue };
            let args: Vec<&str> = args.trim_end().trim_end_matches(')').split(", ").collect();
            if call == "statx" {
                if text(args[1]).is_some_and(|path| path.starts_with(ACKNOWLEDGED.as_bytes())) {
                    changes.push(Change::Acknowledge);
                }
                continue;
            }
            if result.starts_with('-') {
                continue;
            }
            let args = if call == "open" { [&["AT_FDCWD"], &args[..]].concat() } else { args };
            let path = |dir: &str, name: &str| -> Option<PathBuf> {
                let name = PathBuf::from(String::from_utf8(text(name)?).ok()?);
                let full = match open.get(dir) {
                    Some((folder, _)) => root.join(folder).join(name),
                    None => name,
                };
                Some(full.strip_prefix(root).ok()?.components().collect())
            };
            let id_of = |fd: &str| open.get(fd).and_then(|(_, id)| *id);
            match call {
                "open" | "openat" | "openat2" => {
                    let Some(path) = path(args[0], args[1]) else {
                        open.remove(result);
                        continue;
                    };
                    let flags = args[2..].join(",");
                    let id = if flags.contains("O_TMPFILE") {
                        next += 1;
                        Some(next - 1)
                    } else if let Some(id) = names.get(&path) {
                        Some(*id)
                    } else if flags.contains("O_CREAT") {
                        names.insert(path.clone(), next);
                        changes.push(Change::Create { path: path.clone(), id: next });
                        next += 1;
                        Some(next - 1)
                    } else {
                        None
                    };
                    open.insert(result.to_owned(), (path, id));
                }
                "mkdir" => {
                    changes.extend(path("AT_FDCWD", args[0]).map(|path| Change::Folder { path }));
                }
                "mkdirat" => {
                    changes.extend(path(args[0], args[1]).map(|path| Change::Folder { path }));
                }
                "pwrite64" => {
                    let bytes = text(args[1]).unwrap();
                    assert_eq!(result, bytes.len().to_string(), "{call}");
                    let id = id_of(args[0]).unwrap_or_else(|| panic!("{line:.300} {open:?}"));
                    let at = args[3].parse().unwrap();
                    changes.push(Change::Write { id, at, bytes });
                }
                "linkat" => {
                    let from = String::from_utf8(text(args[1]).unwrap()).unwrap();
                    let id = match from.strip_prefix("/proc/self/fd/") {
                        Some(fd) => id_of(fd).unwrap(),
                        None => names[&path(args[0], args[1]).unwrap()],
                    };
                    let path = path(args[2], args[3]).unwrap();
                    names.insert(path.clone(), id);
                    changes.push(Change::Link { id, path });
                }
                "renameat" | "renameat2" => {
                    let (from, to) =
                        (path(args[0], args[1]).unwrap(), path(args[2], args[3]).unwrap());
                    let id = names.remove(&from).unwrap();
                    names.insert(to.clone(), id);
                    changes.push(Change::Rename { from, to });
                }
                "unlinkat" => {
                    let path = path(args[0], args[1]).unwrap();
                    names.remove(&path);
                    changes.push(Change::Unlink { path });
                }
                "fsync" | "fdatasync" => changes.push(match id_of(args[0]) {
                    Some(id) => Change::SyncFile { id },
                    None => Change::SyncFolder,
                }),
                other => panic!("{other} is not understood: {line:.200}"),
            }
        }
        changes
    }

    /// The bytes of a quoted argument, which is all `\xNN`.
    fn text(quoted: &str) -> Option<Vec<u8>> {
        let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
        inner.split("\\x").skip(1).map(|digits| u8::from_str_radix(digits, 16).ok()).collect()
    }

    // --- what a cut leaves -------------------------------------------------------------------

    /// What becomes of content that was not synced.
    #[derive(Clone, Copy, Debug)]
    enum Content {
        Whole,
        Empty,
        Half,
        Zeros,
    }

    fn replay(template: &Disk, log: &[Change], fresh: bool) -> (usize, usize) {
        let mut seen = std::collections::BTreeSet::new();
        let mut cuts = 0;
        for cut in 0..=log.len() {
            let steps = log[..cut].iter().filter(|c| matches!(c, Change::Acknowledge)).count();
            let synced =
                log[..cut].iter().rposition(|c| matches!(c, Change::SyncFolder)).unwrap_or(0);
            for names in synced..=cut {
                for content in [Content::Whole, Content::Empty, Content::Half, Content::Zeros] {
                    cuts += 1;
                    let disk = left(template, &log[..cut], names, content);
                    if !seen.insert((steps, disk.clone())) {
                        continue;
                    }
                    let root = folder();
                    disk.write(root.path());
                    let case = format!(
                        "cut at {cut}, names to {names}, {content:?}, {steps} acknowledged"
                    );
                    check(root.path(), steps, fresh, &case);
                }
            }
        }
        (cuts, seen.len())
    }

    /// The disk when the power was cut after a log of which the names are there up to a point.
    fn left(template: &Disk, log: &[Change], names: usize, content: Content) -> Disk {
        let mut disk = template.clone();
        for (at, change) in log.iter().enumerate() {
            match change {
                Change::Write { id, at: offset, bytes } => {
                    let synced = log[at..].iter().any(
                        |later| matches!(later, Change::SyncFile { id: other } if other == id),
                    );
                    let file = disk.files.entry(*id).or_default();
                    let end = offset + bytes.len();
                    let (len, from) = match content {
                        _ if synced => (end, &bytes[..]),
                        Content::Whole => (end, &bytes[..]),
                        Content::Empty => continue,
                        Content::Half => {
                            let half = bytes.len() / 2 / SECTOR * SECTOR;
                            (offset + half, &bytes[..half])
                        }
                        Content::Zeros => (end, &[][..]),
                    };
                    if file.len() < len {
                        file.resize(len, 0);
                    }
                    file[*offset..offset + from.len()].copy_from_slice(from);
                }
                _ if at >= names => {}
                Change::Create { path, id } => {
                    disk.files.entry(*id).or_default();
                    disk.names.insert(path.clone(), *id);
                }
                Change::Link { path, id } => {
                    disk.names.insert(path.clone(), *id);
                }
                Change::Folder { path } => disk.folders.push(path.clone()),
                Change::Rename { from, to } => {
                    let id = disk.names.remove(from).unwrap();
                    disk.names.insert(to.clone(), id);
                }
                Change::Unlink { path } => drop(disk.names.remove(path)),
                Change::SyncFile { .. } | Change::SyncFolder | Change::Acknowledge => {}
            }
        }
        for id in disk.names.values() {
            disk.files.entry(*id).or_default();
        }
        disk
    }
}
