//! Lets the kernel push a running program's memory out to a swap file of our own, and searches that.
//!
//! Only when asked for (`--swap`): for some seconds the whole machine may swap to that file.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::{
    memory::status_kib,
    readers::start,
    report::{self, Report},
    stages::Marked,
    tracer::{Launch, Stopped},
};
use crate::process;

const SWAP_BYTES: u64 = 64 << 20;

/// Swaps out `exec` and then the control.
///
/// # Errors
/// A program cannot be started, or the swap file cannot be read.
pub fn check(marked: &Marked, control: &Path, report: &mut Report) -> anyhow::Result<()> {
    if !process::is_root() {
        report.not_run("swap", "only the superuser can add swap");
        return Ok(());
    }
    let (swap, group) = match (Swap::on(marked.project.folder()), Group::make()) {
        (Ok(swap), Ok(group)) => (swap, group),
        (Err(error), _) | (_, Err(error)) => {
            report.not_run("swap", &format!("{error:#}"));
            return Ok(());
        }
    };
    let run = "exec, swapped out";
    let process = group.start(&marked.exec("supervise", "60"), marked.project.folder())?;
    let out_kib = group.push_out(&process)?;
    let hits = marked.search.describe_all(&swap.contents()?);
    let seen = format!("{} hits, {out_kib} KiB of it swapped out", hits.len());
    report.check(
        hits.is_empty() && out_kib > 0,
        &format!("{run}: nothing in the swap file"),
        &seen,
    );
    report::details(&hits);
    drop(process);

    let process = group.start(&marked.control(control, "60")?, marked.project.folder())?;
    let out_kib = group.push_out(&process)?;
    let hits = marked.search.describe_all(&swap.contents()?).len();
    let seen = format!("{hits} hits, {out_kib} KiB of it swapped out");
    report.check(hits >= 1, "control, swapped out: its secret is in the swap file", &seen);
    Ok(())
}

/// A swap file in use; taken out of use when dropped.
struct Swap {
    file: PathBuf,
}

impl Swap {
    fn on(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join("swapfile");
        // Every block must be there: a swap file has no holes.
        fs::write(&file, vec![0; usize::try_from(SWAP_BYTES)?])?;
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        process::output(Command::new("mkswap").arg(&file))?;
        process::output(Command::new("swapon").arg(&file))?;
        Ok(Self { file })
    }

    /// What is on the disk: not what the page cache remembers of the file.
    fn contents(&self) -> anyhow::Result<Vec<u8>> {
        let mut from = OsString::from("if=");
        from.push(&self.file);
        let output = Command::new("dd")
            .arg(from)
            .args(["iflag=direct", "bs=1M", "status=none"])
            .output()
            .context("cannot start dd")?;
        anyhow::ensure!(output.status.success(), "the swap file cannot be read directly");
        Ok(output.stdout)
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        if let Err(error) = process::output(Command::new("swapoff").arg(&self.file)) {
            eprintln!("{error:#}");
        }
    }
}

/// A control group whose memory can be reclaimed without touching anyone else's.
struct Group {
    folder: PathBuf,
    /// The file that asks for it, and what to write there.
    reclaim: (&'static str, &'static str),
}

impl Group {
    fn make() -> anyhow::Result<Self> {
        let name = format!("dsops-leakscan-{}", std::process::id());
        let (root, reclaim) = if Path::new("/sys/fs/cgroup/memory/cgroup.procs").exists() {
            ("/sys/fs/cgroup/memory", ("memory.force_empty", "0")) // version 1
        } else {
            ("/sys/fs/cgroup", ("memory.reclaim", "64M")) // version 2
        };
        let folder = Path::new(root).join(name);
        fs::create_dir(&folder).context("no control group can be made")?;
        let group = Self { folder, reclaim };
        let file = group.folder.join(reclaim.0);
        anyhow::ensure!(file.exists(), "control groups here cannot reclaim memory");
        Ok(group)
    }

    /// Starts a program inside, so that its memory is counted here from the first page on.
    fn start(&self, launch: &Launch, folder: &Path) -> anyhow::Result<Stopped> {
        let mut launch = launch.clone();
        let script = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.folder.display());
        let words = ["/bin/sh", "-c", &script, "sh"].map(OsString::from);
        launch.command.splice(0..0, words);
        start(&launch, folder)
    }

    /// Pushes out what can be pushed out, until some of the program is; returns how much is.
    fn push_out(&self, process: &Stopped) -> anyhow::Result<u64> {
        const PATIENCE: Duration = Duration::from_secs(5);
        let deadline = Instant::now() + PATIENCE;
        loop {
            // It reports busy when some pages cannot go; those that can have gone.
            let _ = fs::write(self.folder.join(self.reclaim.0), self.reclaim.1);
            let out_kib = status_kib(process.pid(), "VmSwap").unwrap_or(0);
            if out_kib > 0 || Instant::now() > deadline {
                return Ok(out_kib);
            }
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        let deadline = Instant::now() + PATIENCE;
        // It can go once the last of its processes, a child that was just killed, is gone.
        while fs::remove_dir(&self.folder).is_err() && Instant::now() < deadline {
            sleep(Duration::from_millis(10));
        }
    }
}
