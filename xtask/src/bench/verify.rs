//! The measurements of `dsops verify`: as a whole process, on releases that the stand-in signed and on
//! bundles of the recorded suite, and in process.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::runner::{peak_rss_kib, time_all};
use super::table::Row;
use crate::leakscan::{binaries, tracer::Launch};
use crate::{process, workspace};

/// How many files the batches have.
const MANY: usize = 1000;

/// The suite with bundles of the public instance, when it lies beside the workspace.
const SUITE: &str = "../shared/conformance/sigstore/assets/bundle-verify";

/// Bundles of the suite with their name in the table, and what one may take in process.
const RECORDED: [(&str, &str, Duration); 2] = [
    ("happy-path-v0.3", "v1 bundle", Duration::from_micros(400)),
    ("rekor2-happy-path", "Rekor v2 bundle", Duration::from_micros(600)),
];

/// One thing to measure.
struct Case {
    what: String,
    launch: Launch,
    goal: Option<Duration>,
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
    let one = |what: &str, artifact: &str, goal_ms: Option<u64>, memory_goal_kib| Case {
        what: what.to_owned(),
        launch: launch(&dsops, folder.path(), artifact),
        goal: goal_ms.map(Duration::from_millis),
        memory_goal_kib,
    };
    let mut few = vec![
        one("one file with its bundle", "one/file-0000", Some(3), Some(8 * MIB)),
        one(&format!("the same among {MANY}"), "own/file-0000", None, None),
        one(
            "one file, all evidence of a release",
            "dist/app-1.2.3-linux-amd64.tar.gz",
            Some(10),
            None,
        ),
    ];
    let suite = workspace::root().join(SUITE);
    if suite.is_dir() {
        few.extend(RECORDED.map(|(name, what, _)| Case {
            what: format!("one file, recorded {what}"),
            launch: recorded(&dsops, &suite, name),
            goal: Some(Duration::from_millis(3)),
            memory_goal_kib: Some(8 * MIB),
        }));
    } else {
        process::report_part_not_run("bench verify: recorded bundles", "the suite is not here");
    }
    let many = [
        one(&format!("{MANY} files with a bundle each"), "own", Some(600), None),
        one(&format!("{MANY} files, one signed list"), "listed", Some(600), None),
        // 1 GiB at 1.8 GB/s.
        one("1 GiB under a signed list", "large/large", Some(596), Some(10 * MIB)),
    ];
    let mut rows = Vec::new();
    for (cases, rounds) in [(&few[..], rounds), (&many[..], (rounds / 20).max(3))] {
        let launches: Vec<&Launch> = cases.iter().map(|case| &case.launch).collect();
        let times = time_all(&launches, rounds)?;
        for (case, times) in cases.iter().zip(&times) {
            rows.push(time_row(&case.what, case.goal, times.median(), times.min()));
            let kib = peak_rss_kib(&case.launch)?;
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
    if suite.is_dir() {
        rows.extend(in_process(&suite)?);
    }
    Ok(rows)
}

fn launch(dsops: &Path, folder: &Path, artifact: &str) -> Launch {
    let flags = ["--policy", "github:octo/demo", "--trusted-root", "trusted_root.json"];
    verify(dsops, folder, artifact, flags.map(OsString::from))
}

/// A file of the suite with the bundle of the case `name`, and the policy that its signer meets.
fn recorded(dsops: &Path, suite: &Path, name: &str) -> Launch {
    let mut flags: Vec<OsString> = [
        "--identity",
        "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main",
        "--issuer",
        "https://token.actions.githubusercontent.com",
        "--bundle",
    ]
    .map(OsString::from)
    .into();
    flags.push(suite.join(name).join(BUNDLE).into());
    flags.extend(root_of(suite, name).into_iter().flat_map(|root| ["--trusted-root".into(), root]));
    verify(dsops, suite, FILE, flags)
}

/// What is signed in the suite.
const FILE: &str = "a.txt";
const BUNDLE: &str = "bundle.sigstore.json";

/// The root of trust of a case that has its own.
fn root_of(suite: &Path, name: &str) -> Option<OsString> {
    let root = suite.join(name).join("trusted_root.json");
    root.is_file().then(|| root.into())
}

fn verify(
    dsops: &Path,
    directory: &Path,
    artifact: &str,
    flags: impl IntoIterator<Item = OsString>,
) -> Launch {
    let mut command: Vec<OsString> = vec![dsops.into(), "verify".into(), artifact.into()];
    command.extend(flags);
    Launch { command, directory: directory.to_owned(), ..Launch::default() }
}

/// What one bundle costs a program that uses the crate: `verify_bench`, built as releases are, five
/// times 1000 rounds.
fn in_process(suite: &Path) -> anyhow::Result<Vec<Row>> {
    const ROUNDS: &str = "1000";
    let bench = |name: &str| {
        let mut command = process::cargo();
        command
            .current_dir(workspace::root())
            .args(["run", "--quiet", "--release", "--package", "dsops-release-verify"])
            .args(["--example", "verify_bench", "--", ROUNDS])
            .args([suite.join(name).join(BUNDLE), suite.join(FILE)])
            .args(root_of(suite, name));
        process::output(&mut command)
    };
    RECORDED
        .iter()
        .map(|(name, what, goal)| {
            let mut times = Vec::new();
            for _ in 0..5 {
                let text = bench(name)?;
                let each = text.trim().strip_suffix(" ns each").and_then(|ns| ns.parse().ok());
                let each = each.with_context(|| format!("verify_bench printed `{text}`"))?;
                times.push(Duration::from_nanos(each));
            }
            times.sort_unstable();
            Ok(time_row(&format!("in process: {what}"), Some(*goal), times[2], times[0]))
        })
        .collect()
}

fn time_row(what: &str, goal: Option<Duration>, median: Duration, min: Duration) -> Row {
    Row {
        what: what.to_owned(),
        figure: ms(median),
        min: ms(min),
        goal: goal.map(|goal| format!("≤ {}", ms(goal))).unwrap_or_default(),
        met: goal.map(|goal| median <= goal),
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
