//! Our cache beside `cacache`: CPU time of one operation, the least of several batches.
//!
//! `cargo xtask bench cache`, or `cargo run --release -- [TEXT]..` in this folder for what contains all the texts. Directories
//! are in memory where `/dev/shm` is, so that the program is measured and not the disk. Beside ours stands what the system calls
//! alone cost that no design of one file for each entry can do without, measured in the same minute.

mod hostile;
mod operations;

use std::{fs, path::Path, time::Duration};

use dsops_integrity_cache::{Body, Cache, Key, KeySource, Limits, Namespace, Policy};

const BATCHES: usize = 7;
const BODIES: [(&str, Body); 3] =
    [("AES-256-GCM", Body::Aes256Gcm), ("SHA-256", Body::Sha256), ("BLAKE3", Body::Blake3)];

fn main() {
    println!("{:58} {:>10} {:>10}", "CPU µs an operation", "least", "goal");
    operations::payloads();
    operations::others();
    operations::maintenance();
    operations::overhead();
    operations::reader();
    hostile::files();
    hostile::many();
    hostile::timing();
}

fn is_wanted(name: &str) -> bool {
    std::env::args().skip(1).all(|text| name.contains(&text))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

fn cache(root: &Path) -> Cache {
    let mut limits = Limits::default();
    (limits.max_bytes, limits.max_entry_bytes, limits.max_entries) = (4 << 30, 2 << 30, 2_000_000);
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
    let key = Key::new().part("image", "sha256:0123456789abcdef0123456789abcdef");
    key.part("number", at.to_le_bytes())
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| u8::try_from(at % 251).expect("less than 251")).collect()
}

/// The path of the only entry.
fn entry(root: &Path) -> std::path::PathBuf {
    let folders =
        fs::read_dir(root.join("cache")).expect("lists").map(|entry| entry.expect("lists"));
    folders
        .filter(|folder| folder.file_name().len() == 2)
        .flat_map(|folder| fs::read_dir(folder.path()).expect("lists"))
        .map(|entry| entry.expect("lists").path())
        .next()
        .expect("an entry")
}

/// Measures and prints a line; a goal of NaN is none.
fn line(name: &str, runs: u32, goal: f64, run: impl FnMut()) {
    if is_wanted(name) {
        print(name, least(runs, run), goal);
    }
}

fn print(name: &str, value: f64, goal: f64) {
    let goal = if goal.is_nan() { String::new() } else { format!("{goal:.2}") };
    println!("{name:58} {value:>10.2} {goal:>10}");
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

/// The most memory that was resident, since [`reset_peak`].
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}

fn reset_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}
