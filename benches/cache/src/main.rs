//! Prints what a lookup and a store cost with us and with `cacache`: CPU time of this process in µs an operation, the least
//! of 7 batches, and the goal of ours where there is one.
//!
//! `cargo run --release` in this folder. Directories are in memory where `/dev/shm` is, so that the
//! program is measured and not the disk.

use std::{fs, hint::black_box, io::Read as _, path::Path, time::Duration};

use dsops_integrity_cache::{Body, Cache, Key, KeySource, Limits, Lookup, Namespace, Policy};

const BATCHES: usize = 7;
/// Payload, runs in a batch, and the goals of ours: get encrypted, get clear, set.
const SIZES: [(usize, u32, [f64; 3]); 3] = [
    (1 << 10, 4000, [6.5, 6.5, 19.0]),
    (64 << 10, 1000, [17.0, 45.0, f64::NAN]),
    (5 << 20, 20, [1150.0, 2950.0, 3300.0]),
];

fn main() {
    println!("{:58} {:>10} {:>10}", "CPU µs an operation", "least", "goal");
    let bodies = [("AES-256-GCM", Body::Aes256Gcm, 0), ("SHA-256", Body::Sha256, 1)];
    for (size, runs, goals) in SIZES {
        let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        for (name, body, goal) in bodies {
            let folder = folder();
            let namespace = open(folder.path(), body);
            let _ = namespace.put(&key(0), None, &bytes).expect("stores");
            line(&format!("get {size} B: ours, {name}"), runs, goals[goal], || {
                assert!(matches!(namespace.get(&key(0)), Ok(Lookup::Hit(_))));
            });
            let mut at = 0;
            line(&format!("set {size} B: ours, {name}"), runs, goals[2], || {
                at += 1;
                let _ = namespace.put(&key(at % 64), None, black_box(&bytes)).expect("stores");
            });
        }
        #[cfg(feature = "peer")]
        {
            let folder = folder();
            let dir = folder.path();
            cacache::write_sync(dir, "k0", &bytes).expect("stores");
            line(&format!("get {size} B: cacache"), runs, f64::NAN, || {
                black_box(cacache::read_sync(dir, "k0").expect("found"));
            });
            let mut at = 0;
            line(&format!("set {size} B: cacache"), runs, f64::NAN, || {
                at += 1;
                let key = format!("k{}", at % 64);
                cacache::write_sync(dir, key, black_box(&bytes)).expect("stores");
            });
        }
    }
    others();
    maintenance();
    reader();
}

fn others() {
    let folder = folder();
    let namespace = open(folder.path(), Body::Aes256Gcm);
    line("miss: ours", 4000, 1.5, || {
        assert!(matches!(namespace.get(&key(7)), Ok(Lookup::Miss(_))));
    });
    let _ = namespace.put(&key(0), None, &vec![7; 5 << 20]).expect("stores");
    line("metadata of 5 MiB: ours", 4000, 5.0, || {
        assert!(matches!(namespace.metadata(&key(0)), Ok(Lookup::Hit(_))));
    });
    let small = [7; 1 << 10];
    let _ = namespace.put(&key(1), None, &small).expect("stores");
    let get = || assert!(matches!(namespace.get(&key(1)), Ok(Lookup::Hit(_))));
    let before = least(4000, get);
    for _ in 0..50_000 {
        let _ = namespace.put(&key(1), None, &small).expect("stores");
    }
    let after = least(4000, get);
    println!("{:58} {before:>10.2}", "get 1024 B before it is overwritten 50,000 times: ours");
    println!("{:58} {after:>10.2} {:>10.2}", "get 1024 B after: ours", before * 1.05);
    #[cfg(feature = "peer")]
    {
        let folder = self::folder();
        cacache::write_sync(folder.path(), "k", small).expect("stores");
        for _ in 0..5_000 {
            cacache::write_sync(folder.path(), "k", small).expect("stores");
        }
        line("get 1024 B after it is overwritten 5,000 times: cacache", 20, f64::NAN, || {
            black_box(cacache::read_sync(folder.path(), "k").expect("found"));
        });
    }
}

fn maintenance() {
    for (count, size, goal) in [(1000, 1 << 10, 8000.0), (100, 1 << 20, 1000.0)] {
        let folder = folder();
        let cache = cache(folder.path());
        let namespace = cache.namespace("bench").expect("a good name");
        for at in 0..count {
            let _ = namespace.put(&key(at), None, &vec![7; size]).expect("stores");
        }
        line(&format!("maintain {count} entries of {size} B: ours"), 3, goal, || {
            let done = cache.maintain(Duration::from_secs(60)).expect("maintains");
            assert_eq!((done.left.entries, done.complete), (u64::from(count), true));
        });
    }
}

/// Memory and speed of reading 1 GiB piece by piece.
fn reader() {
    for (name, body) in [("AES-256-GCM", Body::Aes256Gcm), ("SHA-256", Body::Sha256)] {
        let folder = folder();
        let namespace = open(folder.path(), body);
        {
            use std::io::Write as _;
            let mut writer = namespace.writer(&key(0), None).expect("opens");
            let piece = vec![7; 1 << 20];
            for _ in 0..1024 {
                writer.write_all(&piece).expect("writes");
            }
            let _ = writer.commit().expect("stores");
        }
        // The peak counts from here.
        let _ = fs::write("/proc/self/clear_refs", "5");
        let before = peak_kib();
        let Ok(Lookup::Hit(mut reader)) = namespace.reader(&key(0)) else { panic!("a hit") };
        let (mut buffer, mut total, start) = (vec![0; 64 << 10], 0, cpu());
        loop {
            match reader.read(&mut buffer).expect("reads") {
                0 => break,
                len => total += len,
            }
        }
        let took = cpu() - start;
        assert_eq!(total, 1 << 30);
        let title = format!("1 GiB by the reader, {name}: ours");
        println!("{title:58} {:>7.2} GiB/s, {} KiB more at the peak", 1.0 / took.as_secs_f64(), peak_kib() - before);
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

fn cache(root: &Path) -> Cache {
    let mut limits = Limits::default();
    (limits.max_bytes, limits.max_entry_bytes) = (4 << 30, 2 << 30);
    Cache::builder(root.join("cache"))
        .state_dir(root.join("state"))
        .key(KeySource::StateDir)
        .limits(limits)
        .open()
        .expect("opens")
}

fn open(root: &Path, body: Body) -> Namespace {
    let policy = Policy::new().with(|policy| policy.body = body);
    cache(root).namespace_with("bench", policy).expect("a good name")
}

fn key(at: u32) -> Key {
    Key::new().part("image", "sha256:0123456789abcdef0123456789abcdef").part("number", at.to_le_bytes())
}

fn line(name: &str, runs: u32, goal: f64, run: impl FnMut()) {
    let least = least(runs, run);
    let goal = if goal.is_nan() { String::new() } else { format!("{goal:.2}") };
    println!("{name:58} {least:>10.2} {goal:>10}");
}

fn least(runs: u32, mut run: impl FnMut()) -> f64 {
    run();
    let batches = (0..BATCHES).map(|_| {
        let start = cpu();
        for _ in 0..runs {
            run();
        }
        (cpu() - start).as_secs_f64() * 1e6 / f64::from(runs)
    });
    batches.fold(f64::INFINITY, f64::min)
}

fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}
