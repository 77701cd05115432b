//! The measurements of `dsops verify` as a whole process, on releases that the stand-in signed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::runner::{Times, peak_rss_kib, time_all};
use super::table::Row;
use crate::leakscan::{binaries, tracer::Launch};
use crate::{process, workspace};

/// How many files the batches have.
const MANY: usize = 1000;

/// One thing to measure.
struct Case {
    what: String,
    /// What is verified, below the folder of the releases.
    artifacts: Vec<String>,
    goal: Duration,
    memory_goal_kib: Option<u64>,
}

/// Measures and returns the table's rows. The batches and the large file run a twentieth of the
/// rounds.
///
/// # Errors
/// A build or a run fails.
pub fn measure(rounds: usize) -> anyhow::Result<Vec<Row>> {
    const MIB: u64 = 1024;
    let dsops = binaries::dsops()?;
    let folder = tempfile::tempdir()?;
    process::run(
        process::cargo()
            .current_dir(workspace::root())
            .args(["run", "--quiet", "--package", "dsops-testkit", "--features", "sigstore"])
            .args(["--example", "release", "--"])
            .arg(folder.path())
            .arg(MANY.to_string()),
    )?;
    let one = |what: &str, path: &str, goal_ms: u64, memory_goal_kib| Case {
        what: what.to_owned(),
        artifacts: vec![path.to_owned()],
        goal: Duration::from_millis(goal_ms),
        memory_goal_kib,
    };
    let few = [
        one("one file with its bundle", "own/file-0000", 3, Some(8 * MIB)),
        one("one file, all evidence of a release", "dist/app-1.2.3-linux-amd64.tar.gz", 10, None),
    ];
    let many = [
        one(&format!("{MANY} files with a bundle each"), "own", 600, None),
        one(&format!("{MANY} files, one signed list"), "listed", 600, None),
        // 1 GiB at 1.8 GB/s.
        one("1 GiB under a signed list", "large/large", 596, Some(10 * MIB)),
    ];
    let mut rows = Vec::new();
    for (cases, rounds) in [(&few[..], rounds), (&many[..], (rounds / 20).max(3))] {
        let launches: Vec<Launch> =
            cases.iter().map(|case| launch(&dsops, folder.path(), &case.artifacts)).collect();
        let times = time_all(&launches.iter().collect::<Vec<_>>(), rounds)?;
        for ((case, launch), times) in cases.iter().zip(&launches).zip(&times) {
            rows.push(time_row(case, times));
            let kib = peak_rss_kib(launch)?;
            rows.push(Row {
                what: format!("peak memory: {}", case.what),
                figure: mib(kib),
                goal: case
                    .memory_goal_kib
                    .map(|goal| format!("≤ {}", mib(goal)))
                    .unwrap_or_default(),
                met: case.memory_goal_kib.map(|goal| kib <= goal),
                ..Row::default()
            });
        }
    }
    Ok(rows)
}

fn launch(dsops: &Path, folder: &Path, artifacts: &[String]) -> Launch {
    let mut command: Vec<OsString> = vec![PathBuf::from(dsops).into(), "verify".into()];
    command.extend(artifacts.iter().map(OsString::from));
    let flags = ["--policy", "github:octo/demo", "--trusted-root", "trusted_root.json"];
    command.extend(flags.map(OsString::from));
    Launch { command, directory: folder.to_owned(), ..Launch::default() }
}

fn time_row(case: &Case, times: &Times) -> Row {
    Row {
        what: case.what.clone(),
        figure: ms(times.median()),
        min: ms(times.min()),
        goal: format!("≤ {}", ms(case.goal)),
        met: Some(times.median() <= case.goal),
        ..Row::default()
    }
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}
