//! What a run costs over starting the same child bare:
//! `cargo build --release -p dsops-execenv --examples && cargo bench -p dsops-execenv`.
//!
//! Prints the least and the median time of a whole process, from its start to its reaping, in
//! microseconds: `execenv-run` with ten secrets beside the child alone and the child under `env`.
//! The rounds are interleaved, so that a busy machine is busy for all alike.
#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const ROUNDS: usize = 300;

fn main() {
    let Some(runner) = runner() else {
        println!("not run: build the example with `cargo build --release --examples` first");
        return;
    };
    let child = "/bin/true";
    let secrets: Vec<String> = (0..10)
        .flat_map(|index| ["--secret".to_owned(), format!("SECRET_{index}"), "x".repeat(40)])
        .collect();
    let with = |mode: &str| {
        let mut command = Command::new(&runner);
        command.arg(mode).args(&secrets).args(["--", child]);
        command
    };
    let mut cases = [
        ("floor: the child alone", Command::new(child)),
        ("floor: env(1) in between", {
            let mut command = Command::new("env");
            command.arg(child);
            command
        }),
        ("replace, 10 secrets", with("--replace")),
        ("supervise, 10 secrets", with("--supervise")),
    ];
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        for ((_, command), times) in cases.iter_mut().zip(&mut times) {
            command.stdin(Stdio::null()).stdout(Stdio::null());
            let start = Instant::now();
            let ended = command.status().is_ok_and(|status| status.success());
            times.push(start.elapsed());
            assert!(ended, "{command:?}");
        }
    }
    println!("{:<28} {:>8} {:>8}", "microseconds", "least", "median");
    for ((name, _), times) in cases.iter().zip(&mut times) {
        times.sort_unstable();
        let micros = |time: Option<&Duration>| time.map_or(0, Duration::as_micros);
        println!(
            "{name:<28} {:>8} {:>8}",
            micros(times.first()),
            micros(times.get(times.len() / 2))
        );
    }
}

/// The example beside this program's own folder.
fn runner() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    let path = exe.ancestors().nth(2)?.join("examples/execenv-run");
    path.exists().then_some(path)
}
