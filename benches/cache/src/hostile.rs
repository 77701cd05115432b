//! What an adversary does (rows 15, 21, 55 and 59 of the attack table): what it costs, and what it tells.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    process::Command,
    time::{Duration, Instant},
};

use dsops_integrity_cache::{Body, Lookup};

use crate::{cache, entry, folder, is_wanted, key, least, line, open, peak_kib, print, reset_peak};

/// Rows 15 and 21: a FIFO and sparse files in an entry's place. Wall time, as a FIFO would cost no CPU time.
pub(crate) fn files() {
    let folder = folder();
    let namespace = open(folder.path(), Body::Aes256Gcm);
    let _ = namespace.put(&key(0), None, b"v").expect("stores");
    let path = entry(folder.path());
    let worst = |name: &str, goal: f64| {
        reset_peak();
        let (before, mut worst) = (peak_kib(), Duration::ZERO);
        for _ in 0..1000 {
            let start = Instant::now();
            assert!(matches!(namespace.get(&key(0)), Ok(Lookup::Miss(_))));
            worst = worst.max(start.elapsed());
        }
        print(name, worst.as_secs_f64() * 1e6, goal);
        println!(
            "{:58} {:>10} {:>10}",
            "    more memory at the peak, KiB",
            peak_kib() - before,
            8192
        );
    };
    for (name, size) in [("2 GiB", 2 << 30), ("1 TiB", 1 << 40)] {
        let name = format!("row 21: {name} sparse, worst of 1,000, wall µs");
        if is_wanted(&name) {
            let file = fs::OpenOptions::new().write(true).open(&path).expect("opens");
            file.set_len(size).expect("sets a length");
            worst(&name, 1000.0);
        }
    }
    let name = "row 15: a FIFO, worst of 1,000, wall µs";
    if is_wanted(name) {
        fs::remove_file(&path).expect("removes");
        assert!(Command::new("mkfifo").arg(&path).status().is_ok_and(|status| status.success()));
        worst(name, 10_000.0);
    }
}

/// Row 59: a million tiny entries.
pub(crate) fn many() {
    const MANY: u32 = 1_000_000;
    let name = "row 59: get with 1,000,000 entries, ours";
    if !is_wanted(name) {
        return;
    }
    let folder = folder();
    let namespace = open(folder.path(), Body::Aes256Gcm);
    let mut at = 0;
    let get = || {
        at = (at + 7919) % 1000;
        assert!(matches!(namespace.get(&key(at)), Ok(Lookup::Hit(_))));
    };
    let put = |at: u32| {
        let _ = namespace.put(&key(at), None, b"v").expect("stores");
    };
    (0..1000).for_each(put);
    let before = least(4000, get);
    let start = Instant::now();
    let mut puts: Vec<Duration> = (1000..MANY)
        .map(|at| {
            let start = Instant::now();
            put(at);
            start.elapsed()
        })
        .collect();
    println!("{:58} {:>9.0}s", "row 59: 999,000 stores, wall", start.elapsed().as_secs_f64());
    puts.sort_unstable();
    let p99 = puts[puts.len() / 100 * 99].as_secs_f64() * 1e6;
    print("row 59: a store, 99 of 100, wall µs", p99, 2000.0);
    print("row 59: get with 1,000 entries, ours", before, f64::NAN);
    let mut at = 0;
    let get = || {
        at = (at + 611_953) % MANY;
        assert!(matches!(namespace.get(&key(at)), Ok(Lookup::Hit(_))));
    };
    print(name, least(4000, get), before * 1.1);
    line("row 59: open with 1,000,000 entries, ours", 20, f64::NAN, || drop(cache(folder.path())));
}

/// Row 55: whether the time to refuse tells where a tag is wrong (dudect: Reparaz, Balasch, Verbauwhede, 2017). Welch's t
/// of two classes, taken in random order; reported, it decides nothing.
pub(crate) fn timing() {
    const SAMPLES: usize = 500_000;
    let name = "row 55: |t|, first against last byte of the tag wrong";
    if !is_wanted(name) {
        return;
    }
    let folder = folder();
    let namespace = open(folder.path(), Body::Aes256Gcm);
    let _ = namespace.put(&key(0), None, b"v").expect("stores");
    let path = entry(folder.path());
    let good = fs::read(&path).expect("reads");
    let tag = u32::from_le_bytes(good[16..20].try_into().expect("4 bytes")) as usize;
    // The two files take each other's place, so that nothing but the wrong byte differs.
    let file = fs::OpenOptions::new().write(true).open(&path).expect("opens");
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut times = [Vec::with_capacity(SAMPLES), Vec::with_capacity(SAMPLES)];
    for _ in 0..2 * SAMPLES {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let class = usize::from(random & 1 == 1);
        let mut wrong: [u8; 32] = good[tag..tag + 32].try_into().expect("32 bytes");
        wrong[31 * class] ^= 1;
        file.write_all_at(&wrong, tag as u64).expect("writes");
        let start = Instant::now();
        assert!(matches!(namespace.get(&key(0)), Ok(Lookup::Miss(_))));
        times[class].push(start.elapsed().as_secs_f64() * 1e9);
    }
    // What was interrupted says nothing: the slowest tenth of both is left out.
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    let most = all[all.len() / 10 * 9];
    let moments = times.map(|mut times| {
        times.retain(|time| *time <= most);
        let n = times.len() as f64;
        let mean = times.iter().sum::<f64>() / n;
        let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance / n)
    });
    let t = (moments[0].0 - moments[1].0) / (moments[0].1 + moments[1].1).sqrt();
    print(name, t.abs(), 4.5);
}
