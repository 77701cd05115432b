//! What a secret costs: making, opening and freeing it in the three modes, and starting a vault.
//!
//! `cargo bench -p dsops-secure-mem` prints nanoseconds: the fastest and the median of 25 batches.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints a table")]

use dsops_secure_mem::{AtRest, Backend, SecretBytes, Vault};
use std::{hint::black_box, time::Instant};

const BATCHES: usize = 25;

/// Fastest and median batch, per run.
fn measure(runs: u32, mut work: impl FnMut()) -> (f64, f64) {
    for _ in 0..runs.div_ceil(10) {
        work();
    }
    let mut batches: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..runs {
                work();
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(runs)
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    (batches[0], batches[BATCHES / 2])
}

fn line(name: &str, runs: u32, goal: Option<f64>, work: impl FnMut()) {
    let (fastest, median) = measure(runs, work);
    let verdict = match goal {
        Some(goal) if fastest <= goal => format!("goal {goal}: met"),
        Some(goal) => format!("goal {goal}: MISSED"),
        None => String::new(),
    };
    println!("{name:44} {fastest:>12.1} {median:>12.1}  {verdict}");
}

fn modes() -> [(&'static str, Vault); 4] {
    [
        ("open", Vault::builder().at_rest(AtRest::Open)),
        ("no access", Vault::builder().at_rest(AtRest::NoAccess)),
        ("encrypted", Vault::builder().at_rest(AtRest::Encrypted)),
        ("locked, encrypted", Vault::builder().best_backend(Backend::Locked)),
    ]
    .map(|(name, builder)| (name, builder.build().unwrap()))
}

fn use_once(secret: &SecretBytes) {
    let open = black_box(secret).expose();
    black_box(open.first());
}

fn main() {
    println!("{:44} {:>12} {:>12}", "nanoseconds", "fastest", "median");
    for (mode, vault) in modes() {
        let plain = mode == "open";
        for (size, runs, goal) in
            [(32, 20_000, 60.0), (4096, 5_000, 150.0), (1 << 20, 100, 40_000.0)]
        {
            let source = vec![7u8; size];
            line(
                &format!("{mode}: make, read, free {size} B"),
                runs,
                plain.then_some(goal),
                || {
                    use_once(&vault.copy_from(&source).unwrap());
                },
            );
        }
        let goal = match mode {
            "open" => 2.0,
            "no access" => 2000.0,
            _ => 250.0,
        };
        for (size, runs) in [(32, 20_000), (4096, 5_000), (1 << 20, 50)] {
            let secret = vault.copy_from(&vec![7u8; size]).unwrap();
            let goal = (size == 32).then_some(goal);
            line(&format!("{mode}: open {size} B"), runs, goal, || use_once(&secret));
        }
    }
    let value = [7u8; 32];
    line("start a vault, first secret, drop it", 200, None, || {
        use_once(&Vault::builder().build().unwrap().copy_from(&value).unwrap());
    });
    let mut vaults = Vec::with_capacity(BATCHES * 100 + 100);
    line("start a vault, first secret", 100, Some(25_000.0), || {
        let vault = Vault::builder().build().unwrap();
        let secret = vault.copy_from(&value).unwrap();
        vaults.push((vault, secret));
    });
}
