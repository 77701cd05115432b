//! `cargo xtask ci`: every check in order, what failed and what could not be run, and the test counts.
//!
//! Each stage runs as a program of its own, its output in `target/ci/STAGE.log`; a failed stage
//! shows the end of it. The closing line counts tests, one `cargo test` binary at a time, and
//! counts a stage that failed without a failing test as one failure: nothing failed reads as 0.

mod stages;
mod tally;

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::process::NotRun;
use crate::workspace;
use stages::Stage;
use tally::{Counts, Tally};

/// Lines of a failed stage's log that are shown.
const TAIL_LINES: usize = 80;

/// Runs the chosen stages.
///
/// # Errors
/// A stage failed, or stages with tests were chosen and no test ran.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let chosen = parse(args)?;
    default_signals()?;
    let logs = workspace::target_dir().join("ci");
    std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    let context = stages::Context::new()?;

    let start = Instant::now();
    let mut reports = Vec::new();
    let mut tally = Tally::default();
    for stage in chosen {
        println!("==> {}: {}", stage.name, stage.what);
        let report = run_stage(stage, &context, &logs)?;
        println!("    {} ({:.1} s)", report.result, report.time.as_secs_f64());
        for line in &report.not_run_parts {
            println!("    {line}");
        }
        if report.result == Outcome::Failed {
            print_failure(&report.log, &logs.join(format!("{}.log", stage.name)));
        }
        if stage.has_tests {
            tally.add(&report.log);
        }
        reports.push(report);
    }

    print_table(&reports, start.elapsed());
    let counts = close(&reports, &tally);
    println!("{counts}");
    let failed = reports.iter().filter(|report| report.result == Outcome::Failed).count();
    if failed > 0 {
        bail!("{failed} of {} stages failed", reports.len());
    }
    if reports.iter().any(|report| report.stage.has_tests) && counts.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

/// What `--only` takes.
pub fn stage_names() -> Vec<&'static str> {
    stages::ALL.iter().map(|stage| stage.name).collect()
}

/// Starts over with no signal ignored, where some is: `nohup` and a shell's background jobs hand
/// ignored signals on, and tests of what a child inherits would measure those.
fn default_signals() -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt as _;
        const STARTED_OVER: &str = "DSOPS_XTASK_SIGNALS";
        let ignored = ignored_signals(&std::fs::read_to_string("/proc/self/status")?);
        if ignored != 0 && std::env::var_os(STARTED_OVER).is_none() {
            let error = std::process::Command::new("env")
                .args(["--default-signal", &format!("{STARTED_OVER}=1")])
                .arg(std::env::current_exe()?)
                .args(std::env::args_os().skip(1))
                .exec();
            println!("signals {ignored:#x} are ignored and stay so: env cannot start ({error})");
        }
    }
    Ok(())
}

/// The set of ignored signals in `/proc/PID/status`, but SIGPIPE, which Rust itself ignores.
#[cfg(target_os = "linux")]
fn ignored_signals(status: &str) -> u64 {
    const SIGPIPE: u64 = 1 << 12;
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0);
    set & !SIGPIPE
}

/// How a stage ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Ok,
    Failed,
    /// Why it could not be run here. Never a pass.
    NotRun(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Failed => f.write_str("FAILED"),
            Self::NotRun(reason) => write!(f, "not run: {reason}"),
        }
    }
}

/// What a stage did.
struct Report {
    stage: &'static Stage,
    result: Outcome,
    time: Duration,
    counts: Counts,
    /// `PART: not run: REASON` and `PART: hint: …` lines of its output.
    not_run_parts: Vec<String>,
    log: String,
}

/// Runs the commands of a stage, one after the other, until one fails.
fn run_stage(
    stage: &'static Stage,
    context: &stages::Context,
    logs: &Path,
) -> anyhow::Result<Report> {
    let path = logs.join(format!("{}.log", stage.name));
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    let start = Instant::now();
    let mut exit_code = Some(0);
    for mut command in (stage.commands)(context) {
        exit_code = run_limited(&mut command, &file, stage.limit)
            .with_context(|| format!("stage {}", stage.name))?;
        if exit_code != Some(0) {
            break;
        }
    }
    let log = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
    let result = outcome(exit_code, &log);
    let counts = if stage.has_tests { Tally::of(&log).sum() } else { Counts::default() };
    let parts = log.lines().filter(|line| is_part_not_run(line) || line.contains(": hint: "));
    let not_run_parts = parts.map(str::to_owned).collect();
    Ok(Report { stage, result, time: start.elapsed(), counts, not_run_parts, log })
}

/// Runs to the end or the limit, whichever is first; the exit code, if there is one.
fn run_limited(command: &mut Command, log: &File, limit: Duration) -> anyhow::Result<Option<i32>> {
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("cannot share the log")?)
        .stderr(log.try_clone().context("cannot share the log")?);
    #[cfg(unix)]
    {
        // A group of its own, so that a stage that hangs is ended with all it started.
        std::os::unix::process::CommandExt::process_group(command, 0);
    }
    let mut child = command.spawn().context("cannot start")?;
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        if Instant::now() > end {
            use std::io::Write as _;
            let mut log = log;
            writeln!(log, "\nerror: ended after {} minutes", limit.as_secs() / 60)?;
            let _ =
                Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status();
            let _ = child.kill();
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

/// What an exit code means, with the reason from the log where it is "not run".
fn outcome(exit_code: Option<i32>, log: &str) -> Outcome {
    match exit_code {
        Some(0) => Outcome::Ok,
        Some(code) if code == i32::from(NotRun::EXIT_CODE) => {
            let reason = log.lines().rev().find_map(|line| line.strip_prefix("not run: "));
            Outcome::NotRun(reason.unwrap_or("no reason given").to_owned())
        }
        _ => Outcome::Failed,
    }
}

/// Whether a line says that a part was not run: `PART: not run: REASON`.
fn is_part_not_run(line: &str) -> bool {
    line.split_once(": not run: ").is_some_and(|(part, _)| !part.contains(' '))
}

/// What failing tests said, else the end of a failed stage's log.
fn print_failure(log: &str, path: &Path) {
    let failures = tally::failures(log);
    let lines: Vec<&str> = if failures.is_empty() {
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(TAIL_LINES)..].to_vec()
    } else {
        failures.into_iter().take(TAIL_LINES).collect()
    };
    for line in &lines {
        println!("    | {line}");
    }
    println!("    … the whole log is {}", path.display());
}

/// One line a stage.
fn print_table(reports: &[Report], total: Duration) {
    println!("\n{:<9}  {:>8}  {:>6}  result", "stage", "time", "tests");
    for report in reports {
        let tests = match report.counts.passed + report.counts.failed + report.counts.skipped {
            0 => String::new(),
            tests => tests.to_string(),
        };
        let time = format!("{:.1} s", report.time.as_secs_f64());
        println!("{:<9}  {time:>8}  {tests:>6}  {}", report.stage.name, report.result);
    }
    println!("{:<9}  {:>8}\n", "all", format!("{:.1} s", total.as_secs_f64()));
}

/// The counts of all stages: every test once, and one failure for each stage that failed otherwise.
fn close(reports: &[Report], tally: &Tally) -> Counts {
    let mut counts = tally.sum();
    let otherwise =
        |report: &&Report| report.result == Outcome::Failed && report.counts.failed == 0;
    counts.failed += reports.iter().filter(otherwise).count();
    counts
}

/// Which stages to run: all, or by `--only A,B`, `--skip A,B`, `--fast`.
fn parse(args: &[String]) -> anyhow::Result<Vec<&'static Stage>> {
    let mut only = BTreeSet::new();
    let mut skip = BTreeSet::new();
    let mut fast = false;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let (flag, mut value) = match arg.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (arg.as_str(), None),
        };
        let set = match flag {
            "--only" => &mut only,
            "--skip" => &mut skip,
            "--fast" if value.is_none() => {
                fast = true;
                continue;
            }
            _ => bail!("unknown option `{arg}`; there are --only STAGE,.. --skip STAGE,.. --fast"),
        };
        value = value.or_else(|| args.next().cloned());
        let value = value.with_context(|| format!("{flag} needs names of stages"))?;
        for name in value.split(',') {
            if !stages::ALL.iter().any(|stage| stage.name == name) {
                let known: Vec<_> = stages::ALL.iter().map(|stage| stage.name).collect();
                bail!("no stage `{name}`; there are {}", known.join(", "));
            }
            set.insert(name.to_owned());
        }
    }
    let wanted = |stage: &&Stage| {
        (only.is_empty() || only.contains(stage.name))
            && !skip.contains(stage.name)
            && (!fast || stage.fast)
    };
    let chosen: Vec<&'static Stage> = stages::ALL.iter().filter(wanted).collect();
    if chosen.is_empty() {
        bail!("no stage is left to run");
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(args: &[&str]) -> anyhow::Result<Vec<&'static str>> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Ok(parse(&args)?.iter().map(|stage| stage.name).collect())
    }

    #[test]
    fn stages_are_chosen() {
        assert_eq!(names(&[]).unwrap().len(), stages::ALL.len());
        assert_eq!(names(&["--only", "tidy,fmt"]).unwrap(), ["fmt", "tidy"]);
        assert_eq!(names(&["--only=test"]).unwrap(), ["test"]);
        assert!(!names(&["--skip", "deny"]).unwrap().contains(&"deny"));
        assert!(names(&["--fast"]).unwrap().contains(&"test"));
        assert!(!names(&["--fast"]).unwrap().contains(&"cross"));
        for bad in
            [&["--only"][..], &["--only", "gone"], &["--what"], &["--only=fmt", "--skip=fmt"]]
        {
            names(bad).unwrap_err();
        }
    }

    #[test]
    fn exit_codes_have_meanings() {
        assert_eq!(outcome(Some(0), ""), Outcome::Ok);
        assert_eq!(outcome(Some(1), "not run: no\n"), Outcome::Failed);
        assert_eq!(outcome(None, ""), Outcome::Failed);
        let not_run = i32::from(NotRun::EXIT_CODE);
        assert_eq!(
            outcome(Some(not_run), "x\nnot run: no gdb\n"),
            Outcome::NotRun("no gdb".into())
        );
    }

    #[test]
    fn parts_that_were_not_run_are_seen() {
        assert!(is_part_not_run("advisories: not run: no database"));
        assert!(!is_part_not_run("not run: all of it"));
        assert!(!is_part_not_run("a sentence that says: not run: nothing"));
    }

    #[test]
    fn a_stage_that_fails_without_a_failing_test_counts() {
        let report = |result, counts| Report {
            stage: &stages::ALL[0],
            result,
            time: Duration::ZERO,
            counts,
            not_run_parts: Vec::new(),
            log: String::new(),
        };
        let failing = Counts { failed: 2, ..Counts::default() };
        let reports = [
            report(Outcome::Ok, Counts::default()),
            report(Outcome::Failed, Counts::default()),
            report(Outcome::Failed, failing),
            report(Outcome::NotRun("no gdb".into()), Counts::default()),
        ];
        assert_eq!(close(&reports, &Tally::default()).failed, 1);
    }

    #[test]
    fn a_stage_that_hangs_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = File::create(&path).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo started; sleep 600"]);
        let code = run_limited(&mut command, &log, Duration::from_millis(50)).unwrap();
        assert_eq!(code, None);
        assert!(std::fs::read_to_string(&path).unwrap().contains("ended after"));

        let mut command = Command::new("sh");
        let code = run_limited(command.args(["-c", "exit 7"]), &log, Duration::from_mins(1));
        assert_eq!(code.unwrap(), Some(7));
    }
}
