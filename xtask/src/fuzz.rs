//! `cargo xtask fuzz [--secs N] [--seed N|random] [TARGET..]`: builds every fuzz target and runs each for a few seconds.
//!
//! `fuzz/` is laid out for cargo-fuzz, but this needs no tool: it is built with the flags that
//! make libFuzzer's coverage and `AddressSanitizer` work on the pinned toolchain. A short run is a smoke test of a
//! fixed number of inputs from a fixed seed; long runs are `--secs 600 --seed random`, or `cargo fuzz run TARGET`. Seeds in `fuzz/seeds/TARGET/` are used when they are there.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::process::{self, NotRun};
use crate::workspace;

/// Instrumentation as libFuzzer wants it, and checks as in a debug build.
const COVERAGE_FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Zsanitizer=address",
    "-Cdebug-assertions",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];

/// The only platform the instrumented build is known to work on.
const HOST: &str = "x86_64-unknown-linux-gnu";

/// Seconds for each target at most when none are named.
const DEFAULT_SECS: u32 = 5;

/// Inputs for each target when no seconds are named: a faster machine goes no further than the one
/// that a change was checked on.
const DEFAULT_RUNS: u32 = 50_000;

/// What libFuzzer's choices start from when nothing is said: the same each time, so that a check of
/// a change fails by the change and not by luck. Luck is for long runs.
const SEED: u32 = 1;

/// Checks all targets and runs each, or those named.
///
/// # Errors
/// A target does not build, crashes or runs nothing. [`NotRun`] where there is none, or the
/// platform or compiler cannot build them instrumented.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let Arguments { secs, seed, targets: wanted } = parse(args)?;
    let folder = workspace::root().join("fuzz");
    let mut targets = targets(&folder)?;
    if targets.is_empty() {
        return Err(NotRun::because("there is no fuzz target").into());
    }
    let target_dir = workspace::target_dir().join("fuzz");
    let cargo = |verb: &str| {
        let mut cargo = process::cargo();
        cargo.current_dir(&folder).args([verb, "--quiet"]).env("CARGO_TARGET_DIR", &target_dir);
        cargo
    };
    process::run(&mut cargo("check"))?;
    println!("{} targets build", targets.len());

    if let Some(odd) = wanted.iter().find(|name| !targets.contains(name)) {
        bail!("`{odd}` is none of {}", targets.join(", "));
    }
    if !wanted.is_empty() {
        targets = wanted;
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) || !process::is_on_path("c++") {
        process::report_part_not_run("smoke", "needs Linux on x86-64 and a C++ compiler");
        return Ok(());
    }
    process::run(
        cargo("build")
            .args(["--release", "--target", HOST, "--bins"])
            .env("RUSTFLAGS", COVERAGE_FLAGS.join(" "))
            // The sanitizer's flag is not stable yet.
            .env("RUSTC_BOOTSTRAP", "1"),
    )?;
    let run_one = |target: &String| {
        let program = target_dir.join(HOST).join("release").join(target);
        let start = Instant::now();
        let result = smoke(&program, &folder.join("seeds").join(target), secs, seed);
        let secs = start.elapsed().as_secs_f64();
        match &result {
            Ok(executions) => println!("{target}: {executions} executions in {secs:.1} s"),
            Err(error) => println!("{target}: FAILED: {error:#}"),
        }
        result.is_ok()
    };
    let failed = in_parallel(&targets, run_one);
    if !failed.is_empty() {
        bail!("{} of {} targets failed: {}", failed.len(), targets.len(), failed.join(", "));
    }
    Ok(())
}

/// Runs the targets, as many at a time as there are processors; returns those that did not hold.
fn in_parallel(targets: &[String], holds: impl Fn(&String) -> bool + Sync) -> Vec<&str> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mine = std::iter::from_fn(|| targets.get(next.fetch_add(1, Ordering::Relaxed)));
        mine.filter(|target| !holds(target)).map(String::as_str).collect::<Vec<_>>()
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut failed: Vec<&str> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let lists = workers.into_iter().map(|worker| worker.join().expect("a worker only waits"));
        lists.flatten().collect()
    });
    failed.sort_unstable();
    failed
}

/// Runs one target on its seeds and what libFuzzer makes of them; returns how often it ran.
fn smoke(program: &Path, seeds: &Path, secs: Option<u32>, seed: u32) -> anyhow::Result<u64> {
    let corpus = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut command = Command::new(program);
    if secs.is_none() {
        command.arg(format!("-runs={DEFAULT_RUNS}"));
    }
    command
        .arg(format!("-max_total_time={}", secs.unwrap_or(DEFAULT_SECS)))
        .arg(format!("-seed={seed}"))
        .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=1"])
        .arg(format!("-artifact_prefix={}/crash-", program.parent().unwrap_or(seeds).display()))
        .arg(corpus.path());
    if seeds.is_dir() {
        command.arg(seeds);
    }
    let output = command.output().with_context(|| format!("cannot start {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{}\n{said}", output.status);
    }
    match executions(&said) {
        Some(0) | None => bail!("it ran nothing:\n{said}"),
        Some(executions) => Ok(executions),
    }
}

/// The number of executions in libFuzzer's closing statistics.
fn executions(said: &str) -> Option<u64> {
    said.lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .and_then(|number| number.trim().parse().ok())
}

/// The targets in the manifest; every file in `fuzz_targets` must be one.
fn targets(folder: &Path) -> anyhow::Result<Vec<String>> {
    let metadata = process::output(process::cargo().current_dir(folder).args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let mut targets: Vec<String> = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|package| package["targets"].as_array().into_iter().flatten())
        .filter(|target| target["kind"] == serde_json::json!(["bin"]))
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect();
    targets.sort();
    let files = folder.join("fuzz_targets");
    if files.is_dir() {
        for entry in std::fs::read_dir(&files)? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            let is_source = path.extension().is_some_and(|extension| extension == "rs");
            if is_source && !targets.iter().any(|target| target == name) {
                bail!("{} has no [[bin]] in fuzz/Cargo.toml: it is never built", path.display());
            }
        }
    }
    Ok(targets)
}

/// What was asked for.
#[derive(Debug, PartialEq)]
struct Arguments {
    /// For each target; none named bounds the number of inputs too.
    secs: Option<u32>,
    /// 0 lets libFuzzer choose.
    seed: u32,
    /// None named means all.
    targets: Vec<String>,
}

fn parse(args: &[String]) -> anyhow::Result<Arguments> {
    let mut parsed = Arguments { secs: None, seed: SEED, targets: Vec::new() };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let number = |value: Option<&String>| {
            let value = value.with_context(|| format!("{arg} needs a number"))?;
            value.parse().with_context(|| format!("{arg} {value}: not a number"))
        };
        match arg.as_str() {
            "--secs" => parsed.secs = Some(number(args.next())?),
            "--seed" => {
                let value = args.next();
                parsed.seed = if value.is_some_and(|v| v == "random") { 0 } else { number(value)? };
            }
            flag if flag.starts_with('-') => bail!("unknown option `{flag}`"),
            target => parsed.targets.push(target.to_owned()),
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let parse =
            |args: &[&str]| parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
        let is = |secs, seed, targets: &[&str]| Arguments {
            secs,
            seed,
            targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        };
        assert_eq!(parse(&[]).unwrap(), is(None, SEED, &[]));
        assert_eq!(parse(&["yaml", "--secs", "3"]).unwrap(), is(Some(3), SEED, &["yaml"]));
        assert_eq!(parse(&["--seed", "random"]).unwrap(), is(None, 0, &[]));
        assert_eq!(parse(&["--seed", "7"]).unwrap(), is(None, 7, &[]));
        for bad in [&["--secs"][..], &["--secs", "soon"], &["--seed", "x"], &["--what"]] {
            parse(bad).unwrap_err();
        }
    }

    #[test]
    fn every_target_runs_and_those_that_fail_are_named_in_order() {
        let targets = ["d", "b", "a", "c"].map(str::to_owned);
        let ran = AtomicUsize::new(0);
        let failed = in_parallel(&targets, |target| {
            ran.fetch_add(1, Ordering::Relaxed);
            target != "d" && target != "b"
        });
        assert_eq!((failed, ran.into_inner()), (vec!["b", "d"], 4));
    }

    #[test]
    fn executions_are_read_from_the_statistics() {
        let said = "#2 INITED\nstat::number_of_executed_units: 1234\nstat::peak_rss_mb: 40\n";
        assert_eq!(executions(said), Some(1234));
        assert_eq!(executions("killed"), None);
    }

    #[test]
    fn a_target_without_an_entry_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let manifest = "[package]\nname = 'f'\nversion = '0.0.0'\nedition = '2024'\n[workspace]\n\
                        [[bin]]\nname = 'one'\npath = 'fuzz_targets/one.rs'\n";
        write("Cargo.toml", manifest);
        write("fuzz_targets/one.rs", "fn main() {}");
        assert_eq!(targets(folder.path()).unwrap(), ["one"]);
        write("fuzz_targets/two.rs", "fn main() {}");
        assert!(targets(folder.path()).unwrap_err().to_string().contains("two.rs"));
    }
}
