//! Takes dumps of a running program, gdb's and the kernel's, and searches them.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::{
    libc,
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::{Signal, kill},
    },
    unistd::Pid,
};

use super::{
    observe::{Stage, makes_a_child},
    readers::start,
    report::{self, Report},
    stages::{Marked, user_name},
    tracer::{Call, End, Event, Launch, Next, Stopped, trace},
};
use crate::process::is_on_path;

/// Long enough for a debugger to look around; the child is killed when the look is over.
const SLEEP_SECS: &str = "60";

/// Lets programs started from here dump core, as a developer's shell may.
///
/// # Errors
/// The limit cannot be read or set.
pub fn allow_cores() -> anyhow::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
    setrlimit(Resource::RLIMIT_CORE, hard, hard).context("cannot raise the core limit")
}

/// Dumps `exec` at the stages where it holds secrets, by gdb and by signals, and the control
/// likewise.
///
/// # Errors
/// A program cannot be started, traced or dumped.
pub fn check(marked: &Marked, control: &Path, report: &mut Report) -> anyhow::Result<()> {
    gdb(marked, control, report)?;
    kernel(marked, control, report)
}

/// `gcore -a` and `gcore`.
fn gdb(marked: &Marked, control: &Path, report: &mut Report) -> anyhow::Result<()> {
    if !is_on_path("gcore") {
        report.not_run("gcore", "gdb is not installed");
        return Ok(());
    }
    for (mode, stage) in [
        ("replace", Stage::Resolved),
        ("supervise", Stage::Resolved),
        ("supervise", Stage::Running),
    ] {
        let run = format!("exec --mode {mode}, {}, {stage}", user_name(marked.project.user()));
        let process = stand(&marked.exec(mode, SLEEP_SECS), stage, Next::Leave)?;
        for option in ["-a", ""] {
            let Some(dump) = gcore(process.pid(), option, marked.project.folder())? else {
                report.check(true, &format!("{run}: gcore {option}"), "refused");
                continue;
            };
            let hits = marked.search.describe_all(&dump);
            let seen = format!("{} hits in {} KiB", hits.len(), dump.len() / 1024);
            report.check(hits.is_empty(), &format!("{run}: gcore {option}"), &seen);
            report::details(&hits);
        }
    }
    let process = stand(&marked.control(control, SLEEP_SECS)?, Stage::Running, Next::Leave)?;
    let dump = gcore(process.pid(), "", marked.project.folder())?.unwrap_or_default();
    let hits = marked.search.describe_all(&dump).len();
    report.check(hits >= 1, "control: gcore sees its secret", &format!("{hits} hits"));
    Ok(())
}

/// Death by signals whose default is a core dump.
fn kernel(marked: &Marked, control: &Path, report: &mut Report) -> anyhow::Result<()> {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let pattern = pattern.trim();
    if pattern.contains(['|', '/']) {
        let why = format!("core_pattern is `{pattern}`, not a file in the working folder");
        report.not_run("kernel core dumps", &why);
        return Ok(());
    }
    let project = &marked.project;
    let user = user_name(project.user());
    let (replace, supervise) =
        (marked.exec("replace", SLEEP_SECS), marked.exec("supervise", SLEEP_SECS));
    let deaths = [
        ("replace", &replace, Stage::Resolved, None),
        ("replace", &replace, Stage::Resolved, Some(Signal::SIGABRT)),
        ("replace", &replace, Stage::Resolved, Some(Signal::SIGQUIT)),
        ("supervise", &supervise, Stage::Resolved, None),
        ("supervise", &supervise, Stage::Resolved, Some(Signal::SIGABRT)),
        ("supervise", &supervise, Stage::Running, None),
        ("supervise", &supervise, Stage::Running, Some(Signal::SIGABRT)),
        ("supervise", &supervise, Stage::Running, Some(Signal::SIGQUIT)),
    ];
    for (mode, launch, stage, signal) in deaths {
        let status = match (stage, signal) {
            (_, None) => end(stand(launch, stage, Next::LeaveCrashing)?, Signal::SIGCONT)?,
            // It must hear the signal itself, not find its wait cut short.
            (Stage::Running, Some(signal)) => end(start(launch, project.folder())?, signal)?,
            (_, Some(signal)) => end(stand(launch, stage, Next::Leave)?, signal)?,
        };
        let cores = take_cores(&project.work())?;
        let how = signal.map_or("a crash", Signal::as_str);
        let died = status.signal() == Some(signal.unwrap_or(Signal::SIGSEGV) as i32);
        report.check(
            cores.is_empty() && died,
            &format!("exec --mode {mode}, {user}, {stage}: {how} leaves no core"),
            &format!("{} cores, {status}", cores.len()),
        );
        for core in &cores {
            report::details(&marked.search.describe_all(core));
        }
    }
    let process = start(&marked.control(control, SLEEP_SECS)?, project.folder())?;
    let status = end(process, Signal::SIGABRT)?;
    let cores = take_cores(&project.work())?;
    let hits: usize = cores.iter().map(|core| marked.search.describe_all(core).len()).sum();
    let seen = format!("{hits} hits, {status}");
    report.check(hits >= 1, "control: the kernel's core has its secret", &seen);
    Ok(())
}

/// Runs `launch` to a stage and leaves it standing there: before the call that makes the child, or
/// before the call that waits for it.
fn stand(launch: &Launch, stage: Stage, leave: Next) -> anyhow::Result<Stopped> {
    let mut runs = false;
    let end = trace(launch, &mut |stop| {
        let reached = match stop.event {
            Event::Entry(call) if stop.is_main && stage == Stage::Resolved => makes_a_child(call),
            // The parent of a `vfork` goes on once its child runs the program, and may come here
            // before the child's own event does.
            Event::Entry(call) if stop.is_main && makes_a_child(call) => {
                runs = true;
                false
            }
            Event::Entry(call) => stop.is_main && runs && waits(call),
            Event::ChildRuns => {
                runs = true;
                false
            }
            _ => false,
        };
        Ok(if reached { leave } else { Next::Go })
    })?;
    match end {
        End::Left(process) => Ok(process),
        End::Ended { status, .. } => {
            anyhow::bail!("the stage `{stage}` was never reached: {status:?}")
        }
    }
}

/// The calls in which a parent waits for its child, or for anything at all.
fn waits(call: Call) -> bool {
    matches!(
        call.number,
        libc::SYS_wait4
            | libc::SYS_waitid
            | libc::SYS_poll
            | libc::SYS_ppoll
            | libc::SYS_select
            | libc::SYS_pselect6
            | libc::SYS_epoll_wait
            | libc::SYS_epoll_pwait
    )
}

/// Sends a signal, lets the process run if it stands, and waits for its end.
fn end(process: Stopped, signal: Signal) -> anyhow::Result<ExitStatus> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let pid = process.pid();
    kill(pid, signal)?;
    kill(pid, Signal::SIGCONT)?;
    let deadline = Instant::now() + PATIENCE;
    while !ended(pid) {
        if Instant::now() > deadline {
            let state = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            anyhow::bail!("{signal} did not end the program:\n{state}");
        }
        sleep(Duration::from_millis(5));
    }
    Ok(process.wait()?)
}

/// Whether a process is gone or waits only to be collected.
fn ended(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// The dump that `gcore` makes; none where it is refused.
fn gcore(pid: Pid, option: &str, folder: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    let mut command = Command::new("gcore");
    if !option.is_empty() {
        command.arg(option);
    }
    let prefix = folder.join("dump");
    command.arg("-o").arg(&prefix).arg(pid.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().context("cannot start gcore")?;
    let mut path = prefix.into_os_string();
    path.push(format!(".{pid}"));
    read_and_remove(&PathBuf::from(path))
}

/// The core files in a folder, read and removed.
fn take_cores(folder: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut cores = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("core") {
            cores.extend(read_and_remove(&entry.path())?);
        }
    }
    Ok(cores)
}

fn read_and_remove(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => {
            fs::remove_file(path)?;
            Ok(Some(bytes))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
