//! Times whole processes, from `posix_spawn` to the end of the wait, in interleaved rounds.

use std::{
    ffi::{CString, OsString},
    fs::File,
    os::{fd::AsRawFd as _, unix::ffi::OsStrExt as _},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::{
    libc,
    spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn},
    sys::wait::{WaitStatus, waitpid},
};

use crate::leakscan::{
    memory::status_kib,
    observe::makes_a_child,
    tracer::{Event, Launch, Next, trace},
};

/// The times of one case.
#[derive(Debug, Clone, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// The middle one; the lower of two.
    pub fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    }

    /// The shortest.
    pub fn min(&self) -> Duration {
        self.0.iter().min().copied().unwrap_or_default()
    }
}

/// Runs every launch `rounds` times, one of each in turn, so that whatever else the machine does
/// falls on all alike.
///
/// # Errors
/// One does not start or does not exit with 0.
pub fn time_all(launches: &[&Launch], rounds: usize) -> anyhow::Result<Vec<Times>> {
    const WARM_UP: usize = 5;
    let prepared =
        launches.iter().map(|launch| Prepared::new(launch)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut times = vec![Times::default(); launches.len()];
    for round in 0..WARM_UP + rounds {
        for (prepared, times) in prepared.iter().zip(&mut times) {
            let time = prepared.run()?;
            if round >= WARM_UP {
                times.0.push(time);
            }
        }
    }
    Ok(times)
}

/// A launch with nothing left to compute.
struct Prepared<'a> {
    launch: &'a Launch,
    words: Vec<CString>,
    environment: Vec<CString>,
    actions: PosixSpawnFileActions,
    attributes: PosixSpawnAttr,
    /// What the actions give the child as its three descriptors; it must stay open.
    _null: File,
}

impl<'a> Prepared<'a> {
    fn new(launch: &'a Launch) -> anyhow::Result<Self> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let mut actions = PosixSpawnFileActions::init()?;
        for descriptor in 0..3 {
            actions.add_dup2(null.as_raw_fd(), descriptor)?;
        }
        let words = launch.command.iter().map(c_string).collect::<anyhow::Result<_>>()?;
        let pair = |(name, value): &(OsString, OsString)| {
            let mut pair = name.clone();
            pair.push("=");
            pair.push(value);
            c_string(&pair)
        };
        let environment = launch.environment.iter().map(pair).collect::<anyhow::Result<_>>()?;
        let attributes = PosixSpawnAttr::init()?;
        Ok(Self { launch, words, environment, actions, attributes, _null: null })
    }

    fn run(&self) -> anyhow::Result<Duration> {
        // Ours, because posix_spawn has no portable way to set the child's.
        std::env::set_current_dir(&self.launch.directory).context("no such folder")?;
        let program = self.words.first().context("no command to run")?.as_c_str();
        let start = Instant::now();
        let pid =
            posix_spawn(program, &self.actions, &self.attributes, &self.words, &self.environment)
                .with_context(|| format!("cannot start {:?}", self.launch.command))?;
        let status = waitpid(pid, None)?;
        let time = start.elapsed();
        anyhow::ensure!(
            matches!(status, WaitStatus::Exited(_, 0)),
            "{:?} ended with {status:?}",
            self.launch.command
        );
        Ok(time)
    }
}

fn c_string(text: impl AsRef<std::ffi::OsStr>) -> anyhow::Result<CString> {
    CString::new(text.as_ref().as_bytes()).context("a word with a NUL byte")
}

/// The most memory the program itself had resident, in KiB: `VmHWM` at its end or when it becomes
/// another program. (`ru_maxrss` would count what its parent had when it was forked.)
///
/// # Errors
/// Tracing fails, or the figure could not be read.
pub fn peak_rss_kib(launch: &Launch) -> anyhow::Result<u64> {
    let mut peak = None;
    trace(launch, &mut |stop| {
        if let Event::Entry(call) = stop.event {
            let ends = matches!(call.number, libc::SYS_exit | libc::SYS_exit_group);
            let becomes = stop.is_main && makes_a_child(call);
            if ends || becomes {
                peak = peak.max(status_kib(stop.pid, "VmHWM"));
            }
        }
        Ok(Next::Go)
    })?;
    peak.with_context(|| format!("no peak memory for {:?}", launch.command))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(words: &[&str]) -> Launch {
        Launch {
            command: words.iter().map(OsString::from).collect(),
            directory: "/".into(),
            ..Launch::default()
        }
    }

    #[test]
    fn the_median_is_one_that_was_measured() {
        let times = |list: &[u64]| Times(list.iter().copied().map(Duration::from_micros).collect());
        assert_eq!(times(&[9, 1, 5]).median(), Duration::from_micros(5));
        assert_eq!(times(&[9, 1, 5, 7]).median(), Duration::from_micros(5));
        assert_eq!(times(&[9, 1, 5]).min(), Duration::from_micros(1));
    }

    #[test]
    fn every_launch_is_timed_as_often_as_asked() {
        let program = launch(&["/bin/true"]);
        let times = time_all(&[&program, &program], 3).unwrap();
        assert_eq!(times.iter().map(|times| times.0.len()).collect::<Vec<_>>(), [3, 3]);
        assert!(times[0].min() > Duration::ZERO);
    }

    #[test]
    fn a_failing_program_is_no_measurement() {
        assert!(time_all(&[&launch(&["/bin/false"])], 1).is_err());
        assert!(time_all(&[&launch(&["/no/such/program"])], 1).is_err());
    }

    #[test]
    fn peak_memory_is_the_programs_own() {
        let small = peak_rss_kib(&launch(&["/bin/true"])).unwrap();
        assert!((100..20_000).contains(&small), "{small}");
    }
}
