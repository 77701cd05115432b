//! macOS: `fork` and `execve`, kqueue for signals and the child's end.
//!
//! Modest beside Linux: no timeout and no tree kill (there is no child subreaper and no pidfd), the
//! child does not die with us, and who sent a signal cannot be told.
#![allow(unsafe_code)]

use std::{
    convert::Infallible,
    ffi::{CStr, OsStr},
    fs::File,
    io::{self, Read},
    marker::PhantomData,
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    ptr,
};

use libc::{c_char, c_int};
use rustix::{
    fs::{Access, AtFlags, CWD, accessat},
    process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid},
};

use crate::{
    error::{ExecError, NotExecutable},
    exec::{ChildLimits, Image, ResourceLimit, Supervision},
    outcome::Outcome,
    size::SizeLimits,
};

/// Signals that are handed on.
const TAKEN: [c_int; 10] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGWINCH,
    libc::SIGCONT,
    libc::SIGALRM,
    libc::SIGURG,
];

/// Of these, the ones a terminal sends to its whole foreground group.
const FROM_TERMINAL: [c_int; 5] =
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGWINCH, libc::SIGCONT];

/// A child that runs.
#[derive(Debug)]
pub(crate) struct Supervised {
    pid: Pid,
    queue: OwnedFd,
    on_terminal: bool,
    caller_mask: libc::sigset_t,
    has_ended: bool,
    stays_on_thread: PhantomData<*const ()>,
}

pub(crate) fn spawn(image: &Image<'_>, supervision: Supervision) -> Result<Supervised, ExecError> {
    if supervision.timeout.is_some() {
        return Err(ExecError::Unsupported { what: "a timeout" });
    }
    if supervision.kill_tree {
        return Err(ExecError::Unsupported { what: "ending what the command leaves running" });
    }
    let on_terminal = File::open("/dev/tty").is_ok();
    let prepared = Prepared::new(image)?;
    let (mut report, report_writer) = pipe().map_err(|error| ExecError::os("pipe", error))?;
    let caller_mask = block_taken();
    let queue = watch_signals().map_err(|error| {
        restore_mask(&caller_mask);
        ExecError::os("kqueue", error)
    })?;
    // SAFETY: the child makes only async-signal-safe calls until it has become the program.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let child = ChildOf { mask: &caller_mask, own_group: !on_terminal };
        // SAFETY: `image` and `prepared` are this process's copies, and nothing else runs in it.
        let failed = unsafe { prepared.become_program(image, Some(&child)) };
        let bytes = failed.to_bytes();
        // SAFETY: 8 bytes from an array of 8.
        unsafe { libc::write(report_writer.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(127) }
    }
    let fork_error = io::Error::last_os_error();
    drop(report_writer);
    let Some(pid) = (pid > 0).then(|| Pid::from_raw(pid)).flatten() else {
        restore_mask(&caller_mask);
        return Err(ExecError::os("starting a child process", fork_error));
    };
    // The pipe closes when the program starts; before, it brings what failed.
    let mut bytes = [0; 8];
    if report.read_exact(&mut bytes).is_ok() {
        let _ = waitpid(Some(pid), WaitOptions::empty());
        restore_mask(&caller_mask);
        return Err(Failed::from_bytes(bytes).explain(image));
    }
    let running = Supervised {
        pid,
        queue,
        on_terminal,
        caller_mask,
        has_ended: false,
        stays_on_thread: PhantomData,
    };
    let event = event(pid.as_raw_nonzero().get(), libc::EVFILT_PROC, libc::NOTE_EXIT);
    match register(&running.queue, event) {
        // Already over; the first look finds it.
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
            Err(ExecError::os("kqueue", error))
        }
        _ => Ok(running),
    }
}

pub(crate) fn replace(image: &Image<'_>) -> Result<Infallible, ExecError> {
    let prepared = Prepared::new(image)?;
    // SAFETY: everything `image` points to is borrowed for the call.
    Err(unsafe { prepared.become_program(image, None) }.explain(image))
}

impl Supervised {
    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(crate) fn wait(mut self) -> Result<Outcome, ExecError> {
        loop {
            match waitpid(Some(self.pid), WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some((_, status))) if status.stopped() => {
                    // As the child, so that a shell sees the job stop.
                    let _ = kill_process(getpid(), Signal::STOP);
                }
                Ok(Some((_, status))) => {
                    self.has_ended = true;
                    return Ok(match status.terminating_signal() {
                        Some(signal) => Outcome::Signaled(signal),
                        None => Outcome::Exited(
                            u8::try_from(status.exit_status().unwrap_or_default() & 0xff)
                                .expect("eight bits"),
                        ),
                    });
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(ExecError::os("waiting for the child", errno)),
            }
            if let Some(signal) =
                self.next_signal().map_err(|error| ExecError::os("reading signals", error))?
            {
                self.hand_on(signal);
            }
        }
    }

    /// Sleeps until something happens; a signal to hand on is returned.
    fn next_signal(&self) -> io::Result<Option<c_int>> {
        let mut event = MaybeUninit::<libc::kevent>::zeroed();
        // SAFETY: no changes, room for one event, no timeout.
        let count = unsafe {
            libc::kevent(self.queue.as_raw_fd(), ptr::null(), 0, event.as_mut_ptr(), 1, ptr::null())
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(None) } else { Err(error) };
        }
        // SAFETY: zeroed is a valid event, and the call has filled it in.
        let event = unsafe { event.assume_init() };
        Ok((event.filter == libc::EVFILT_SIGNAL)
            .then(|| c_int::try_from(event.ident).ok())
            .flatten()
            .filter(|&signal| signal != libc::SIGCHLD))
    }

    fn hand_on(&self, signal: c_int) {
        let pid = self.pid.as_raw_nonzero().get();
        if self.on_terminal && FROM_TERMINAL.contains(&signal) {
            return;
        }
        let target = if self.on_terminal { pid } else { -pid };
        // SAFETY: plain numbers.
        unsafe { libc::kill(target, signal) };
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if !self.has_ended {
            let _ = kill_process(self.pid, Signal::KILL);
            while let Err(rustix::io::Errno::INTR) = waitpid(Some(self.pid), WaitOptions::empty()) {
            }
        }
        for signal in TAKEN {
            // Ignoring a signal takes it from the queue of the pending ones.
            // SAFETY: a standing disposition, and then the one that was there.
            let before = unsafe { libc::signal(signal, libc::SIG_IGN) };
            // SAFETY: as above.
            unsafe { libc::signal(signal, before) };
        }
        restore_mask(&self.caller_mask);
    }
}

/// What has to be ready before the child exists.
struct Prepared {
    argv: Vec<*const c_char>,
    fds: Vec<RawFd>,
    limits: Vec<(c_int, libc::rlimit)>,
}

struct ChildOf<'a> {
    mask: &'a libc::sigset_t,
    own_group: bool,
}

/// What failed on the way to the program: a step (see `explain`) and the system's answer.
struct Failed {
    step: c_int,
    errno: c_int,
}

const CHDIR: c_int = 1;
const EXECVE: c_int = 2;
const OTHER: c_int = 3;

impl Failed {
    fn here(step: c_int) -> Self {
        Self { step, errno: io::Error::last_os_error().raw_os_error().unwrap_or_default() }
    }

    fn to_bytes(&self) -> [u8; 8] {
        (i64::from(self.step) << 32 | i64::from(self.errno)).to_ne_bytes()
    }

    fn from_bytes(bytes: [u8; 8]) -> Self {
        let both = i64::from_ne_bytes(bytes);
        let half = |value: i64| c_int::try_from(value & 0x7fff_ffff).expect("31 bits");
        Self { step: half(both >> 32), errno: half(both) }
    }

    fn explain(&self, image: &Image<'_>) -> ExecError {
        let owned = |text: &CStr| Path::new(OsStr::from_bytes(text.to_bytes())).to_owned();
        let source = io::Error::from_raw_os_error(self.errno);
        let reason = match (self.step, self.errno) {
            (CHDIR, _) => {
                let path = image.dir.map(owned).unwrap_or_default();
                return ExecError::WorkingDir { path, source };
            }
            (EXECVE, libc::ENOEXEC) => NotExecutable::Format,
            (EXECVE, libc::EACCES | libc::EPERM) => NotExecutable::Permission,
            (EXECVE, libc::ENOENT) => NotExecutable::Interpreter,
            (EXECVE, libc::E2BIG | libc::ENOMEM) => {
                return ExecError::Os { step: "starting the program", source };
            }
            (EXECVE, errno) => NotExecutable::Refused { errno },
            _ => return ExecError::Os { step: "preparing the child", source },
        };
        ExecError::NotExecutable { path: owned(image.path), reason }
    }
}

impl Prepared {
    fn new(image: &Image<'_>) -> Result<Self, ExecError> {
        let fds = std::fs::read_dir("/dev/fd")
            .map_err(|error| ExecError::os("listing open file descriptors", error))?
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|fd| *fd > 2 && !image.keep_fds.contains(fd))
            .collect();
        let argv = image.argv.iter().map(|arg| arg.as_ptr()).chain([ptr::null()]).collect();
        Ok(Self { argv, fds, limits: limits(image.limits, image.no_core) })
    }

    /// Runs the steps and becomes the program. Returns only on failure.
    ///
    /// # Safety
    /// The pointers of `image` are valid. In a child: only async-signal-safe calls are made.
    unsafe fn become_program(&self, image: &Image<'_>, child: Option<&ChildOf<'_>>) -> Failed {
        // Rust's runtime ignores it; what the caller had cannot be told here, and default is usual.
        // SAFETY: a standing disposition.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        if let Some(child) = child {
            // SAFETY: plain numbers.
            if child.own_group && unsafe { libc::setpgid(0, 0) } != 0 {
                return Failed::here(OTHER);
            }
        }
        if let Some(dir) = image.dir {
            // SAFETY: a C string.
            if unsafe { libc::chdir(dir.as_ptr()) } != 0 {
                return Failed::here(CHDIR);
            }
        }
        for &fd in &self.fds {
            // SAFETY: plain numbers; one closed meanwhile needs no mark.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
        for &fd in image.keep_fds {
            // SAFETY: plain numbers.
            if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } != 0 {
                return Failed::here(OTHER);
            }
        }
        for (resource, limit) in &self.limits {
            // SAFETY: `limit` is read only.
            if unsafe { libc::setrlimit(*resource, limit) } != 0 {
                return Failed::here(OTHER);
            }
        }
        if let Some(child) = child {
            // SAFETY: a mask from the kernel; handlers of the parent run in the child's own memory.
            unsafe { libc::sigprocmask(libc::SIG_SETMASK, child.mask, ptr::null_mut()) };
        }
        // SAFETY: a C string and two arrays of C strings, each ended by a null pointer.
        unsafe { libc::execve(image.path.as_ptr(), self.argv.as_ptr(), image.envp.as_ptr()) };
        Failed::here(EXECVE)
    }
}

fn limits(wanted: ChildLimits, no_core: bool) -> Vec<(c_int, libc::rlimit)> {
    let of = |limit: ResourceLimit| libc::rlimit {
        rlim_cur: limit.soft.unwrap_or(libc::RLIM_INFINITY),
        rlim_max: limit.hard.unwrap_or(libc::RLIM_INFINITY),
    };
    let core =
        if no_core { Some(libc::rlimit { rlim_cur: 0, rlim_max: 0 }) } else { wanted.core.map(of) };
    let core = core.map(|limit| (libc::RLIMIT_CORE, limit));
    let memlock = wanted.memlock.map(|limit| (libc::RLIMIT_MEMLOCK, of(limit)));
    core.into_iter().chain(memlock).collect()
}

pub(crate) fn may_execute(path: &Path) -> bool {
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

pub(crate) fn is_open(fd: i32) -> bool {
    // SAFETY: plain numbers; F_GETFD changes nothing.
    fd >= 0 && unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0
}

/// `ARG_MAX` of macOS; only the sum counts.
pub(crate) fn size_limits() -> SizeLimits {
    SizeLimits { string_bytes: None, total_bytes: 1024 * 1024 }
}

/// Lends the process's own environment strings, without copying them.
pub(crate) fn with_environ<R>(use_it: impl FnOnce(&[&CStr]) -> R) -> R {
    let mut entries = Vec::new();
    // SAFETY: always a valid address.
    let environ = unsafe { libc::_NSGetEnviron() };
    // SAFETY: set by the C runtime before `main`. Whoever changes the environment promises that no
    // other thread reads it meanwhile.
    let mut next = unsafe { *environ };
    while !next.is_null() {
        // SAFETY: within the array, whose last element is null and ends the loop.
        let entry = unsafe { *next };
        if entry.is_null() {
            break;
        }
        // SAFETY: elements before the null are NUL-terminated strings.
        entries.push(unsafe { CStr::from_ptr(entry) });
        // SAFETY: the element at `next` was not the last.
        next = unsafe { next.add(1) };
    }
    use_it(&entries)
}

/// Ends this process by a signal with its default action and without a core file.
pub(crate) fn die_by(signal: i32) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Core).maximum;
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
    // SAFETY: a standing disposition.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    restore_mask(&empty_set());
    // SAFETY: a plain number.
    unsafe { libc::raise(signal) };
}

fn empty_set() -> libc::sigset_t {
    let mut set = MaybeUninit::zeroed();
    // SAFETY: `set` has room for a set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the call above.
    unsafe { set.assume_init() }
}

fn block_taken() -> libc::sigset_t {
    let mut set = empty_set();
    for signal in TAKEN {
        // SAFETY: a valid set and a valid number.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    let mut before = empty_set();
    // SAFETY: two valid sets.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, &raw mut before) };
    before
}

fn restore_mask(mask: &libc::sigset_t) {
    // SAFETY: a valid set.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, ptr::null_mut()) };
}

fn watch_signals() -> io::Result<OwnedFd> {
    // SAFETY: no arguments.
    let queue = unsafe { libc::kqueue() };
    if queue < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor.
    let queue = unsafe { OwnedFd::from_raw_fd(queue) };
    for signal in TAKEN.into_iter().chain([libc::SIGCHLD]) {
        register(&queue, event(signal, libc::EVFILT_SIGNAL, 0))?;
    }
    Ok(queue)
}

fn event(ident: c_int, filter: i16, fflags: u32) -> libc::kevent {
    libc::kevent {
        ident: usize::try_from(ident).expect("pids and signals are positive"),
        filter,
        flags: libc::EV_ADD | libc::EV_CLEAR,
        fflags,
        data: 0,
        udata: ptr::null_mut(),
    }
}

fn register(queue: &OwnedFd, event: libc::kevent) -> io::Result<()> {
    // SAFETY: one change, no room for events asked for.
    let result = unsafe {
        libc::kevent(queue.as_raw_fd(), &raw const event, 1, ptr::null_mut(), 0, ptr::null())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Both ends are closed when the program starts.
fn pipe() -> io::Result<(File, File)> {
    let mut fds = [0; 2];
    // SAFETY: room for two descriptors.
    if unsafe { libc::pipe(fds.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let [reader, writer] = fds.map(|fd| {
        // SAFETY: plain numbers.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        // SAFETY: the kernel has just given us this descriptor.
        unsafe { File::from_raw_fd(fd) }
    });
    Ok((reader, writer))
}
