//! The measurements of `dsops` as a whole process: time, memory, size, dependencies.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;

use super::{
    elf::exit_zero,
    peers::{self, Peer},
    runner::{Times, peak_rss_kib, time_all},
    table::Row,
};
use crate::{
    leakscan::{binaries, needles::Secret, project::Project, tracer::Launch},
    process, workspace,
};

/// The length of every secret, in bytes: a common length for a token.
const SECRET_BYTES: usize = 40;

/// One thing to time.
struct Case {
    what: String,
    launch: Launch,
    /// The case whose time is the floor, by its place in the list.
    floor: Option<usize>,
    goal_us: Option<u32>,
}

/// Measures everything and returns the table's rows.
///
/// # Errors
/// The build fails or a run does.
pub fn measure(rounds: usize) -> anyhow::Result<Vec<Row>> {
    let dsops = binaries::dsops()?;
    let projects = [1, 10, 100, 300]
        .into_iter()
        .map(|count| Ok((count, project(&dsops, count)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let of = |wanted: usize| {
        projects.iter().find(|(count, _)| *count == wanted).map(|(_, project)| project)
    };
    let (one, ten, hundred) = (of(1), of(10), of(100));
    let (Some(one), Some(ten), Some(hundred)) = (one, ten, hundred) else {
        anyhow::bail!("a project is missing")
    };
    let nop = nop(one.folder())?;
    let nop = nop.to_str().context("temporary folders have plain names")?;
    let case =
        |what: &str, launch, floor, goal_us| Case { what: what.into(), launch, floor, goal_us };
    let mut cases = vec![
        case("`/bin/true` alone", one.launch_program(["/bin/true".into()]), None, None),
        case("minimal static child alone", one.launch_program([nop.into()]), None, None),
        case("`dsops --version`", one.launch(&["--version"]), Some(1), Some(1000)),
    ];
    for (count, project) in &projects {
        let goal_us = match count {
            1 => Some(1400),
            100 => Some(2200),
            300 => Some(4000),
            _ => None,
        };
        let what = format!("`dsops exec -- /bin/true`, {}", secrets(*count));
        cases.push(case(&what, project.launch(&["exec", "--", "/bin/true"]), Some(0), goal_us));
    }
    for (mode, goal_us) in [("replace", Some(1200)), ("supervise", None)] {
        let what = format!("`dsops exec --mode {mode}`, 10 secrets, minimal static child");
        let launch = ten.launch(&["exec", "--mode", mode, "--", nop]);
        cases.push(case(&what, launch, Some(1), goal_us));
    }
    let peers = peers::all(one, hundred)?;
    let mut launches: Vec<&Launch> = cases.iter().map(|case| &case.launch).collect();
    launches.extend(peers.iter().map(|peer| &peer.launch));
    let times = time_all(&launches, rounds)?;
    let mut rows = time_rows(&cases, &peers, &times);
    rows.extend(memory_rows(&projects, &peers)?);
    rows.extend(size_rows(&dsops)?);
    Ok(rows)
}

/// A project with so many secrets.
fn project(dsops: &Path, count: usize) -> anyhow::Result<Project> {
    let project = Project::create(dsops, None)?;
    for index in 0..count {
        let secret = Secret::random(format!("SECRET_{index:03}"), SECRET_BYTES)?;
        project.set(&secret.name, &secret.bytes)?;
    }
    Ok(project)
}

/// The minimal child, written to a file.
fn nop(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("nop");
    fs::write(&path, exit_zero())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn time_rows(cases: &[Case], peers: &[Peer], times: &[Times]) -> Vec<Row> {
    let mut rows: Vec<Row> = cases
        .iter()
        .zip(times)
        .map(|(case, time)| {
            let goal = case.goal_us.map(|us| Duration::from_micros(us.into()));
            Row {
                floor: case.floor.map(|at| ms(times[at].median())).unwrap_or_default(),
                goal: goal.map(|goal| format!("≤ {}", ms(goal))).unwrap_or_default(),
                met: goal.map(|goal| time.median() <= goal),
                ..time_row(&case.what, time)
            }
        })
        .collect();
    let peer_times = times.iter().skip(cases.len());
    rows.extend(
        peers
            .iter()
            .zip(peer_times)
            .map(|(peer, time)| Row { floor: ms(times[0].median()), ..time_row(&peer.what, time) }),
    );
    rows
}

/// `1 secret`, `2 secrets`.
pub fn secrets(count: usize) -> String {
    format!("{count} secret{}", if count == 1 { "" } else { "s" })
}

fn time_row(what: &str, times: &Times) -> Row {
    Row { what: what.into(), figure: ms(times.median()), min: ms(times.min()), ..Row::default() }
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// Peak resident memory.
fn memory_rows(projects: &[(usize, Project)], peers: &[Peer]) -> anyhow::Result<Vec<Row>> {
    const GOAL_KIB: u64 = 6 * 1024;
    let mut rows = Vec::new();
    for (count, project) in projects {
        let launch = project.launch(&["exec", "--mode", "supervise", "--", "/bin/true"]);
        let kib = peak_rss_kib(&launch)?;
        rows.push(Row {
            goal: format!("≤ {}", mib(GOAL_KIB)),
            met: Some(kib <= GOAL_KIB),
            ..memory_row(&format!("peak memory of `dsops exec`, {}", secrets(*count)), kib)
        });
    }
    for peer in peers {
        rows.push(memory_row(
            &format!("peak memory of {}", peer.what),
            peak_rss_kib(&peer.launch)?,
        ));
    }
    Ok(rows)
}

fn memory_row(what: &str, kib: u64) -> Row {
    Row { what: what.into(), figure: mib(kib), ..Row::default() }
}

#[allow(clippy::cast_precision_loss, reason = "for people to read")]
fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

/// The size of the program and how many crates are in it.
fn size_rows(dsops: &Path) -> anyhow::Result<Vec<Row>> {
    const GOAL_KIB: u64 = 12 * 1024;
    const GOAL_CRATES: usize = 80;
    let kib = fs::metadata(dsops)?.len() / 1024;
    let crates = crates()?;
    Ok(vec![
        Row {
            goal: format!("≤ {}", mib(GOAL_KIB)),
            met: Some(kib <= GOAL_KIB),
            ..memory_row("size of the static binary", kib)
        },
        Row {
            what: "crates in it, our own included".into(),
            figure: crates.to_string(),
            goal: format!("≤ {GOAL_CRATES}"),
            met: Some(crates <= GOAL_CRATES),
            ..Row::default()
        },
    ])
}

/// The different crates the binary is built from, build scripts and macros included.
fn crates() -> anyhow::Result<usize> {
    let text = process::output(process::cargo().current_dir(workspace::root()).args([
        "tree",
        "--locked",
        "--package",
        "dsops",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let name = |line: &str| line.trim_end_matches(" (*)").to_owned();
    Ok(text.lines().filter(|line| !line.is_empty()).map(name).collect::<BTreeSet<_>>().len())
}
