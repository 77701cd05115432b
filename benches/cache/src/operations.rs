//! What users do: get, set, miss, read piece by piece; and maintenance.

use std::{
    fs,
    hint::black_box,
    io::{Read as _, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
    time::Duration,
};

use dsops_integrity_cache::{Body, Lookup};

use crate::{
    BODIES, bytes, cache, cpu, entry, folder, is_wanted, key, least, line, open, peak_kib, print,
    reset_peak,
};

/// Payload, runs in a batch, and the goals: get by body in the order of `BODIES`, set.
const SIZES: [(usize, u32, [f64; 3], f64); 3] = [
    (1 << 10, 4000, [6.5, 6.5, 6.5], 19.0),
    (64 << 10, 1000, [17.0, 45.0, 17.0], f64::NAN),
    (5 << 20, 20, [1150.0, 2950.0, 900.0], 3300.0),
];

pub(crate) fn payloads() {
    for (size, runs, get_goals, set_goal) in SIZES {
        let bytes = bytes(size);
        for ((name, body), get_goal) in BODIES.into_iter().zip(get_goals) {
            let folder = folder();
            let namespace = open(folder.path(), body);
            let _ = namespace.put(&key(0), None, &bytes).expect("stores");
            line(&format!("get {size} B: ours, {name}"), runs, get_goal, || {
                assert!(matches!(namespace.get(&key(0)), Ok(Lookup::Hit(_))));
            });
            let mut at = 0;
            let goal = if body == Body::Aes256Gcm { set_goal } else { f64::NAN };
            line(&format!("set {size} B: ours, {name}"), runs, goal, || {
                at += 1;
                let _ = namespace.put(&key(at % 64), None, black_box(&bytes)).expect("stores");
            });
        }
        alone(size, runs, &bytes);
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
}

/// Open, length, read, close; and create, write, close, rename: the least that a file for each entry costs.
fn alone(size: usize, runs: u32, bytes: &[u8]) {
    let folder = folder();
    let path = folder.path().join("file");
    fs::write(&path, bytes).expect("writes");
    line(&format!("get {size} B: the system calls alone"), runs, f64::NAN, || {
        let file = fs::File::open(&path).expect("opens");
        let len = file.metadata().expect("is there").len();
        let mut read = Vec::with_capacity(usize::try_from(len).expect("fits"));
        for at in (0..len).step_by(64 << 10) {
            let start = read.len();
            read.resize(start + usize::try_from((len - at).min(64 << 10)).expect("fits"), 0);
            file.read_exact_at(&mut read[start..], at).expect("reads");
        }
        black_box(read);
    });
    let mut at = 0;
    line(&format!("set {size} B: the system calls alone"), runs, f64::NAN, || {
        at += 1;
        let temporary = folder.path().join(format!("tmp-{at}"));
        let mut options = fs::OpenOptions::new();
        let file =
            options.write(true).create_new(true).mode(0o600).open(&temporary).expect("makes");
        file.write_all_at(black_box(bytes), 0).expect("writes");
        drop(file);
        fs::rename(temporary, folder.path().join(format!("{}", at % 64))).expect("renames");
    });
}

pub(crate) fn others() {
    let folder = folder();
    let namespace = open(folder.path(), Body::Aes256Gcm);
    line("miss: ours", 4000, 1.5, || {
        assert!(matches!(namespace.get(&key(7)), Ok(Lookup::Miss(_))));
    });
    let missing = folder.path().join("cache/ab").join("c".repeat(62));
    line("miss: the system call alone", 4000, f64::NAN, || {
        assert!(fs::File::open(black_box(&missing)).is_err());
    });
    let _ = namespace.put(&key(0), None, &vec![7; 5 << 20]).expect("stores");
    line("metadata of 5 MiB: ours", 4000, 5.0, || {
        assert!(matches!(namespace.metadata(&key(0)), Ok(Lookup::Hit(_))));
    });
    if !is_wanted("get 1024 B after 50,000 overwrites: ours") {
        return;
    }
    let small = [7; 1 << 10];
    let _ = namespace.put(&key(1), None, &small).expect("stores");
    let get = || assert!(matches!(namespace.get(&key(1)), Ok(Lookup::Hit(_))));
    let before = least(4000, get);
    for _ in 0..50_000 {
        let _ = namespace.put(&key(1), None, &small).expect("stores");
    }
    print("get 1024 B before 50,000 overwrites: ours", before, f64::NAN);
    print("get 1024 B after 50,000 overwrites: ours", least(4000, get), before * 1.05);
    #[cfg(feature = "peer")]
    {
        let folder = crate::folder();
        for _ in 0..5_000 {
            cacache::write_sync(folder.path(), "k", small).expect("stores");
        }
        line("get 1024 B after 5,000 overwrites: cacache", 20, f64::NAN, || {
            black_box(cacache::read_sync(folder.path(), "k").expect("found"));
        });
    }
}

pub(crate) fn maintenance() {
    for (count, size, goal) in [(1000, 1 << 10, 8000.0), (100, 1 << 20, 1000.0)] {
        let name = format!("maintain {count} entries of {size} B: ours");
        if !is_wanted(&name) {
            continue;
        }
        let folder = folder();
        let cache = cache(folder.path());
        let namespace = cache.namespace("bench").expect("a good name");
        for at in 0..count {
            let _ = namespace.put(&key(at), None, &vec![7; size]).expect("stores");
        }
        line(&name, 3, goal, || {
            let done = cache.maintain(Duration::from_secs(60)).expect("maintains");
            assert_eq!((done.left.entries, done.complete), (u64::from(count), true));
        });
    }
}

/// Bytes on disk beyond the payload: at most 0.1 % and 400.
pub(crate) fn overhead() {
    for (name, body) in BODIES {
        for size in [0, 1 << 10, 64 << 10, 5 << 20, 64 << 20] {
            let name = format!("overhead of {size} B, bytes: ours, {name}");
            if is_wanted(&name) {
                let folder = folder();
                let _ = open(folder.path(), body).put(&key(0), None, &bytes(size)).expect("stores");
                let more = entry(folder.path()).metadata().expect("is there").len() - size as u64;
                print(&name, more as f64, (size / 1000 + 400) as f64);
            }
        }
    }
}

/// Memory and speed of reading 1 GiB piece by piece.
pub(crate) fn reader() {
    for (name, body) in BODIES {
        let title = format!("1 GiB by the reader, {name}: ours");
        if is_wanted(&title) {
            let folder = folder();
            gibibyte(&title, folder.path(), body);
        }
    }
}

fn gibibyte(title: &str, root: &Path, body: Body) {
    let namespace = open(root, body);
    {
        let mut writer = namespace.writer(&key(0), None).expect("opens");
        let piece = vec![7; 1 << 20];
        for _ in 0..1024 {
            writer.write_all(&piece).expect("writes");
        }
        let _ = writer.commit().expect("stores");
    }
    reset_peak();
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
    let rate = 1.0 / took.as_secs_f64();
    println!("{title:58} {rate:>7.2} GiB/s, {} KiB more at the peak", peak_kib() - before);
}
