//! `cargo xtask counts [--update]`: system calls and instructions of `dsops`, against the figures in
//! `xtask/counts.toml`. Counts say the same on every machine; milliseconds do not.
//!
//! System calls are counted by tracing, from the first instruction to the child's own program.
//! Instructions are counted by valgrind in user space; it knows no `memfd_secret`, so the memory
//! behind it is the locked kind there.

use std::{collections::BTreeMap, ffi::OsString, fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, bail};

use crate::{
    leakscan::{
        binaries,
        needles::Secret,
        project::{Project, run as run_program},
        tracer::{Event, Launch, Next, trace},
    },
    process::{is_on_path, report_part_not_run},
    workspace,
};

/// The figures of one case, by what was counted.
type Figures = BTreeMap<String, u64>;

const SYSTEM_CALLS: &str = "system-calls";
const INSTRUCTIONS: &str = "instructions";

/// How often each count is made; all must agree.
const REPEATS: usize = 3;

/// Runs the command.
///
/// # Errors
/// A count grew by more than a tenth, differs from run to run by more than a hundredth, or could
/// not be made.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let update = match args {
        [] => false,
        [option] if option == "--update" => true,
        [other, ..] => bail!("unknown argument `{other}`: counts [--update]"),
    };
    let file = workspace::root().join("xtask/counts.toml");
    let measured = measure()?;
    if update {
        fs::write(&file, render(&measured))?;
        println!("wrote {}", file.display());
        return Ok(());
    }
    let text = fs::read_to_string(&file)
        .with_context(|| format!("no figures in {}; make them with --update", file.display()))?;
    let comparison = compare(&parse(&text)?, &measured);
    print!("{}", comparison.table);
    if comparison.lower {
        println!("some counts fell; keep the gain with `cargo xtask counts --update`");
    }
    if !comparison.faults.is_empty() {
        bail!("{}", comparison.faults.join("; "));
    }
    Ok(())
}

/// Counts everything.
fn measure() -> anyhow::Result<BTreeMap<String, Figures>> {
    let dsops = binaries::dsops()?;
    let one = project(&dsops, 1)?;
    let hundred = project(&dsops, 100)?;
    let exec =
        |project: &Project, mode| project.launch(&["exec", "--mode", mode, "--", "/bin/true"]);
    let cases = [
        ("version", one.launch(&["--version"])),
        ("exec-1-replace", exec(&one, "replace")),
        ("exec-1-supervise", exec(&one, "supervise")),
        ("exec-100-replace", exec(&hundred, "replace")),
        ("exec-100-supervise", exec(&hundred, "supervise")),
    ];
    let valgrind = is_on_path("valgrind");
    if !valgrind {
        report_part_not_run(INSTRUCTIONS, "valgrind is not installed");
    }
    let mut measured = BTreeMap::new();
    for (name, launch) in cases {
        let mut figures = Figures::new();
        figures.insert(SYSTEM_CALLS.into(), steady(name, || system_calls(&launch))?);
        // A process that becomes another program leaves valgrind without a last word.
        if valgrind && !name.ends_with("replace") {
            figures.insert(INSTRUCTIONS.into(), steady(name, || instructions(&launch))?);
        }
        measured.insert(name.to_owned(), figures);
    }
    Ok(measured)
}

/// A project with so many secrets, each of the same length every time.
fn project(dsops: &Path, count: usize) -> anyhow::Result<Project> {
    let project = Project::create(dsops, None)?;
    for index in 0..count {
        let secret = Secret::random(format!("SECRET_{index:03}"), 40)?;
        project.set(&secret.name, &secret.bytes)?;
    }
    Ok(project)
}

/// The smallest of several counts, which must lie within a hundredth of each other.
fn steady(name: &str, count: impl Fn() -> anyhow::Result<u64>) -> anyhow::Result<u64> {
    let counts = (0..REPEATS).map(|_| count()).collect::<anyhow::Result<Vec<_>>>()?;
    let (min, max) = (counts.iter().min().copied(), counts.iter().max().copied());
    let (Some(min), Some(max)) = (min, max) else { bail!("nothing was counted") };
    if max > min + min / 100 {
        bail!("`{name}` is not the same from run to run: {counts:?}");
    }
    Ok(min)
}

/// System calls of the program and of what it forks, up to another program.
fn system_calls(launch: &Launch) -> anyhow::Result<u64> {
    let mut calls = 0;
    trace(launch, &mut |stop| {
        calls += u64::from(matches!(stop.event, Event::Entry(_)));
        Ok(Next::Go)
    })?;
    anyhow::ensure!(calls > 0, "no system call was seen");
    Ok(calls)
}

/// Instructions in user space, by valgrind.
fn instructions(launch: &Launch) -> anyhow::Result<u64> {
    let mut launch = launch.clone();
    let valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];
    launch.command.splice(0..0, valgrind.map(OsString::from));
    let ran = run_program(&launch)?;
    let said = String::from_utf8_lossy(&ran.stderr);
    anyhow::ensure!(ran.status.success(), "under valgrind: {}\n{said}", ran.status);
    collected(&said).with_context(|| format!("valgrind named no count:\n{said}"))
}

/// The figure in valgrind's line `==1== Collected : 123`.
fn collected(said: &str) -> Option<u64> {
    let (_, figure) = said.lines().find_map(|line| line.split_once("Collected : "))?;
    figure.trim().parse().ok()
}

/// What a comparison says.
#[derive(Debug, Default)]
struct Comparison {
    table: String,
    faults: Vec<String>,
    lower: bool,
}

/// Sets what was measured beside what is checked in.
fn compare(known: &BTreeMap<String, Figures>, measured: &BTreeMap<String, Figures>) -> Comparison {
    let mut comparison = Comparison::default();
    for (case, figures) in measured {
        for (what, &now) in figures {
            let Some(&before) = known.get(case).and_then(|figures| figures.get(what)) else {
                comparison.faults.push(format!("{case} has no checked-in figure for {what}"));
                continue;
            };
            let grew = now > before + before / 10;
            comparison.lower |= now < before - before / 10;
            let mark = if grew { "  GREW" } else { "" };
            writeln!(comparison.table, "{case:<20} {what:<14} {now:>10}  was {before:>10}{mark}")
                .expect("writing to a string does not fail");
            if grew {
                comparison.faults.push(format!("{case}: {what} grew from {before} to {now}"));
            }
        }
    }
    for case in known.keys().filter(|case| !measured.contains_key(*case)) {
        comparison.faults.push(format!("{case} is checked in and was not counted"));
    }
    comparison
}

fn render(measured: &BTreeMap<String, Figures>) -> String {
    let mut text = String::from(
        "# Written by `cargo xtask counts --update`; checked by `cargo xtask counts`.\n",
    );
    for (case, figures) in measured {
        text.extend(["\n[", case, "]\n"]);
        for (what, figure) in figures {
            text.extend([what, " = ", &figure.to_string(), "\n"]);
        }
    }
    text
}

fn parse(text: &str) -> anyhow::Result<BTreeMap<String, Figures>> {
    let table: toml::Table = text.parse().context("counts.toml is not TOML")?;
    let figure = |(what, value): (&String, &toml::Value)| {
        let figure = value.as_integer().and_then(|n| u64::try_from(n).ok());
        Ok((what.clone(), figure.with_context(|| format!("{what} is not a count"))?))
    };
    table
        .iter()
        .map(|(case, figures)| {
            let figures = figures.as_table().with_context(|| format!("{case} is not a table"))?;
            Ok((case.clone(), figures.iter().map(figure).collect::<anyhow::Result<_>>()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(count: u64) -> BTreeMap<String, Figures> {
        [("exec".to_owned(), [(SYSTEM_CALLS.to_owned(), count)].into())].into()
    }

    #[test]
    fn a_tenth_more_is_borne_and_no_further() {
        assert!(compare(&figures(100), &figures(110)).faults.is_empty());
        assert_eq!(compare(&figures(100), &figures(111)).faults.len(), 1);
    }

    #[test]
    fn a_gain_is_pointed_out_and_no_fault() {
        let comparison = compare(&figures(100), &figures(80));
        assert!(comparison.lower && comparison.faults.is_empty());
        assert!(!compare(&figures(100), &figures(95)).lower);
    }

    #[test]
    fn a_case_on_one_side_only_is_a_fault() {
        assert_eq!(compare(&BTreeMap::new(), &figures(1)).faults.len(), 1);
        assert_eq!(compare(&figures(1), &BTreeMap::new()).faults.len(), 1);
    }

    #[test]
    fn figures_are_read_as_they_were_written() {
        let measured = figures(123);
        assert_eq!(parse(&render(&measured)).unwrap(), measured);
        assert!(parse("[exec]\nsystem-calls = \"many\"\n").is_err());
    }

    #[test]
    fn valgrinds_figure_is_found() {
        let said = "==7== Events    : Ir\n==7== Collected : 217543\n==7==\n";
        assert_eq!(collected(said), Some(217_543));
        assert_eq!(collected("nothing"), None);
    }

    #[test]
    fn counts_that_differ_are_refused() {
        let count = std::cell::Cell::new(1000);
        let next = |step: u64| {
            count.set(count.get() + step);
            Ok(count.get())
        };
        assert!(steady("same", || next(1)).is_ok());
        assert!(steady("different", || next(100)).is_err());
    }

    #[test]
    fn system_calls_of_a_program_are_counted() {
        let launch = Launch {
            command: vec!["/bin/true".into()],
            directory: "/".into(),
            ..Launch::default()
        };
        let count = system_calls(&launch).unwrap();
        assert!((5..200).contains(&count), "{count}");
        assert_eq!(system_calls(&launch).unwrap(), count);
    }
}
