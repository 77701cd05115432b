//! Linux: `clone` with shared memory, pidfd, signalfd, child subreaper.

mod calls;
mod child;
mod held;
mod process;
mod signals;
mod startup;
mod supervise;
mod tree;

pub(crate) use calls::{die_by, is_open, with_environ};
pub use held::HeldSignals;
pub(crate) use supervise::{Supervised, spawn};

use std::{convert::Infallible, os::unix::fs::MetadataExt, path::Path};

use rustix::{
    fs::{Access, AtFlags, CWD, accessat},
    process::{Resource, getrlimit},
};

use crate::{
    error::{ExecError, NotExecutable},
    exec::{ChildLimits, Image},
    size::SizeLimits,
};
use child::{Failed, Step, Steps};

pub(crate) fn may_execute(path: &Path) -> bool {
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

pub(crate) fn size_limits() -> SizeLimits {
    SizeLimits::linux(getrlimit(Resource::Stack).current)
}

pub(crate) fn replace(image: &Image<'_>) -> Result<Infallible, ExecError> {
    with_steps(image, |steps| Err(explain(child::replace(steps), image)))
}

/// Completes what the caller wants with what the system needs.
fn with_steps<R>(
    image: &Image<'_>,
    use_it: impl FnOnce(&Steps<'_>) -> Result<R, ExecError>,
) -> Result<R, ExecError> {
    let limits = limits(image.limits, image.no_core);
    let mark_fds = if has_close_range() { None } else { Some(open_fds()?) };
    use_it(&Steps {
        path: image.path,
        argv: image.argv,
        envp: image.envp,
        dir: image.dir,
        ignore_sigpipe: startup::sigpipe_was_ignored(),
        close: [0, 1, 2].map(|fd| startup::was_closed(fd) && is_dev_null(fd)),
        keep_fds: image.keep_fds,
        mark_fds: mark_fds.as_deref(),
        limits: &limits,
    })
}

#[allow(clippy::cast_possible_wrap, clippy::unnecessary_cast, reason = "see the last lines")]
fn limits(wanted: ChildLimits, no_core: bool) -> Vec<(libc::c_int, libc::rlimit64)> {
    let bytes = |limit: Option<u64>| limit.unwrap_or(libc::RLIM64_INFINITY);
    let core = if no_core {
        Some(libc::rlimit64 { rlim_cur: 1, rlim_max: 1 })
    } else {
        wanted
            .core
            .map(|core| libc::rlimit64 { rlim_cur: bytes(core.soft), rlim_max: bytes(core.hard) })
    };
    let memlock = wanted
        .memlock
        .map(|lock| libc::rlimit64 { rlim_cur: bytes(lock.soft), rlim_max: bytes(lock.hard) });
    // Unsigned with some C libraries and signed with others, small in all.
    let core = core.map(|limit| (libc::RLIMIT_CORE as libc::c_int, limit));
    let memlock = memlock.map(|limit| (libc::RLIMIT_MEMLOCK as libc::c_int, limit));
    core.into_iter().chain(memlock).collect()
}

/// Whether the program has since opened something else where the runtime had put `/dev/null`.
fn is_dev_null(fd: i32) -> bool {
    std::fs::metadata(format!("/proc/self/fd/{fd}"))
        .is_ok_and(|metadata| metadata.rdev() == libc::makedev(1, 3))
}

/// Linux 5.11 marks a range of descriptors in one call. Asked about a range that holds none.
fn has_close_range() -> bool {
    calls::mark_range(u32::MAX).is_ok()
}

fn open_fds() -> Result<Vec<i32>, ExecError> {
    let entries = std::fs::read_dir("/proc/self/fd")
        .map_err(|error| ExecError::os("listing open file descriptors", error))?;
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&fd| fd > 2)
        .collect())
}

/// Turns a failed step into what went wrong for the user.
fn explain(failed: Failed, image: &Image<'_>) -> ExecError {
    use std::os::unix::ffi::OsStrExt;
    let Failed { step, error } = failed;
    let path = || Path::new(std::ffi::OsStr::from_bytes(image.path.to_bytes())).to_owned();
    let reason = match (step, error.raw_os_error()) {
        (Step::WorkingDir, _) => {
            let dir = image.dir.unwrap_or_default().to_bytes();
            let path = Path::new(std::ffi::OsStr::from_bytes(dir)).to_owned();
            return ExecError::WorkingDir { path, source: error };
        }
        (Step::Execve, Some(libc::ENOEXEC)) => NotExecutable::Format,
        (Step::Execve, Some(libc::EACCES | libc::EPERM)) => NotExecutable::Permission,
        // The file itself was found before.
        (Step::Execve, Some(libc::ENOENT)) => NotExecutable::Interpreter,
        (Step::Execve, Some(errno))
            if !matches!(errno, libc::E2BIG | libc::ENOMEM | libc::EAGAIN | libc::EFAULT) =>
        {
            NotExecutable::Refused { errno }
        }
        _ => return ExecError::Os { step: step.name(), source: error },
    };
    ExecError::NotExecutable { path: path(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::ResourceLimit;

    #[test]
    fn no_core_wins_over_the_callers_limit() {
        let core = Some(ResourceLimit { soft: None, hard: None });
        let wanted = ChildLimits { core, ..Default::default() };
        let all = limits(wanted, false);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].1.rlim_cur, libc::RLIM64_INFINITY);
        let none = limits(wanted, true);
        assert_eq!((none[0].1.rlim_cur, none[0].1.rlim_max), (1, 1));
    }

    #[test]
    fn the_fallback_lists_open_descriptors() {
        use std::os::fd::AsRawFd;
        let file = std::fs::File::open("/dev/null").expect("always there");
        let fds = open_fds().expect("proc");
        assert!(fds.contains(&file.as_raw_fd()));
        assert!(fds.iter().all(|&fd| fd > 2));
        assert!(has_close_range() || !fds.is_empty());
    }
}
