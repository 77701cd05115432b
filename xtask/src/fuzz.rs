//! `cargo xtask fuzz [--secs N] [--seed N|random] [TARGET..]`: builds every fuzz target and runs each for a few seconds.
//!
//! `fuzz/` is laid out for cargo-fuzz, but this needs no tool: it is built with the flags that
//! make libFuzzer's coverage and `AddressSanitizer` work on the pinned toolchain. A short run is a smoke test; long
//! runs are `--secs 600 --seed random`, or `cargo fuzz run TARGET`. Seeds in `fuzz/seeds/TARGET/` are used when they are there.

use std::path::Path;
use std::process::Command;

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

/// Seconds for each target when none are named.
const DEFAULT_SECS: u32 = 5;

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
    let mut failed = Vec::new();
    for target in &targets {
        let program = target_dir.join(HOST).join("release").join(target);
        match smoke(&program, &folder.join("seeds").join(target), secs, seed) {
            Ok(executions) => println!("{target}: {executions} executions in {secs} s"),
            Err(error) => {
                println!("{target}: FAILED: {error:#}");
                failed.push(target.as_str());
            }
        }
    }
    if !failed.is_empty() {
        bail!("{} of {} targets failed: {}", failed.len(), targets.len(), failed.join(", "));
    }
    Ok(())
}

/// Runs one target on its seeds and what libFuzzer makes of them; returns how often it ran.
fn smoke(program: &Path, seeds: &Path, secs: u32, seed: u32) -> anyhow::Result<u64> {
    let corpus = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut command = Command::new(program);
    command
        .arg(format!("-max_total_time={secs}"))
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
    /// For each target.
    secs: u32,
    /// 0 lets libFuzzer choose.
    seed: u32,
    /// None named means all.
    targets: Vec<String>,
}

fn parse(args: &[String]) -> anyhow::Result<Arguments> {
    let mut parsed = Arguments { secs: DEFAULT_SECS, seed: SEED, targets: Vec::new() };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let number = |value: Option<&String>| {
            let value = value.with_context(|| format!("{arg} needs a number"))?;
            value.parse().with_context(|| format!("{arg} {value}: not a number"))
        };
        match arg.as_str() {
            "--secs" => parsed.secs = number(args.next())?,
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
        assert_eq!(parse(&[]).unwrap(), is(DEFAULT_SECS, SEED, &[]));
        assert_eq!(parse(&["yaml", "--secs", "3"]).unwrap(), is(3, SEED, &["yaml"]));
        assert_eq!(parse(&["--seed", "random"]).unwrap(), is(DEFAULT_SECS, 0, &[]));
        assert_eq!(parse(&["--seed", "7"]).unwrap(), is(DEFAULT_SECS, 7, &[]));
        for bad in [&["--secs"][..], &["--secs", "soon"], &["--seed", "x"], &["--what"]] {
            parse(bad).unwrap_err();
        }
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
