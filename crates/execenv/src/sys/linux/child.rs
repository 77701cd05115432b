//! Between the parent and the new program: `clone`, the few steps of the child, `execve`.
//!
//! The child shares the parent's memory (`CLONE_VM`) and the parent stands still until `execve`
//! (`CLONE_VFORK`), so nothing of the parent is copied, whatever its size. The child runs on a
//! stack of its own, makes only raw system calls, allocates nothing, cannot panic, and tells a
//! failure by writing it where the parent looks afterwards.
#![allow(unsafe_code)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "numbers cross the system call boundary as machine words"
)]

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::OwnedFd,
    ptr,
    sync::atomic::{AtomicI32, Ordering},
};

use libc::{c_char, c_int, c_long, c_void};

use super::calls::{SignalSet, owned, set_blocked};

#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
compile_error!("signal tables have another layout and size on MIPS");

/// What the child does before it becomes the program.
pub(super) struct Steps<'a> {
    pub(super) path: &'a CStr,
    pub(super) argv: &'a [CString],
    pub(super) envp: &'a [*const c_char],
    pub(super) dir: Option<&'a CStr>,
    pub(super) ignore_sigpipe: bool,
    /// Standard descriptors that were closed when this process started.
    pub(super) close: [bool; 3],
    pub(super) keep_fds: &'a [i32],
    /// Where `close_range` cannot mark descriptors: the ones to mark.
    pub(super) mark_fds: Option<&'a [i32]>,
    pub(super) limits: &'a [(c_int, libc::rlimit64)],
}

/// What only a child of ours needs.
pub(super) struct ChildSteps {
    /// The signals the program starts with blocked.
    pub(super) mask: SignalSet,
    pub(super) ignore_sigchld: bool,
    pub(super) own_group: bool,
}

/// A step that failed, and how.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) step: Step,
    pub(super) error: io::Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Step {
    Clone = 1,
    Signals,
    Group,
    ParentDeathSignal,
    WorkingDir,
    Descriptors,
    Limits,
    Execve,
}

impl Step {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Clone => "starting a child process",
            Self::Signals => "restoring a signal",
            Self::Group => "making a process group for the child",
            Self::ParentDeathSignal => "binding the child to its parent",
            Self::WorkingDir => "entering the working directory",
            Self::Descriptors => "closing file descriptors",
            Self::Limits => "setting a resource limit",
            Self::Execve => "starting the program",
        }
    }

    fn from_raw(raw: i32) -> Option<Self> {
        [
            Self::Clone,
            Self::Signals,
            Self::Group,
            Self::ParentDeathSignal,
            Self::WorkingDir,
            Self::Descriptors,
            Self::Limits,
            Self::Execve,
        ]
        .into_iter()
        .find(|step| *step as i32 == raw)
    }
}

/// Becomes the program. Returns only on failure.
pub(super) fn replace(steps: &Steps<'_>) -> Failed {
    let orders = Orders::new(steps, None);
    // SAFETY: everything `orders` points to is borrowed by `steps`, which outlives the call.
    let (step, errno) = unsafe { orders.become_program() };
    // We stay after all, so the signal is as Rust had it.
    // SAFETY: one of the two standing dispositions.
    let _ = unsafe { set_standing(libc::SIGPIPE, libc::SIG_IGN) };
    Failed { step, error: io::Error::from_raw_os_error(errno) }
}

/// Starts the program in a child. On failure no child is left behind, only one to reap, whose pid
/// is given to `reap`.
pub(super) fn spawn(
    steps: &Steps<'_>,
    child: &ChildSteps,
    reap: impl FnOnce(&OwnedFd),
) -> Result<(i32, OwnedFd), Failed> {
    let stack = Stack::new().map_err(|error| Failed { step: Step::Clone, error })?;
    // From here until the child has become the program no handler may run: it would run on memory
    // that both share. The child sets its mask itself.
    let own_mask = set_blocked(SignalSet::ALL);
    // SAFETY: a call without arguments.
    let parent = unsafe { libc::getpid() };
    let mut orders = Orders::new(steps, Some((child, parent)));
    let mut pidfd: c_int = -1;
    // SAFETY: `child_main` takes what `orders` is. The stack is ours, mapped, grows down from its
    // end and outlives the child's use of it, because VFORK holds us here until the child has left
    // this memory. Without SETTLS and without THREAD the child is a process of its own.
    let pid = unsafe {
        libc::clone(
            child_main,
            stack.top(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD,
            (&raw mut orders).cast::<c_void>(),
            &raw mut pidfd,
        )
    };
    let error = io::Error::last_os_error();
    set_blocked(own_mask);
    drop(stack);
    if pid < 0 {
        return Err(Failed { step: Step::Clone, error });
    }
    let pidfd = owned(c_long::from(pidfd)).map_err(|_| {
        // The kernel ignored the flag. Nobody could wait for the child.
        kill_and_reap(pid);
        Failed { step: Step::Clone, error: io::Error::from(io::ErrorKind::Unsupported) }
    })?;
    match Step::from_raw(orders.failed_step.load(Ordering::Acquire)) {
        None => Ok((pid, pidfd)),
        Some(step) => {
            reap(&pidfd);
            let errno = orders.errno.load(Ordering::Acquire);
            Err(Failed { step, error: io::Error::from_raw_os_error(errno) })
        }
    }
}

/// Ends a child of ours that has no pidfd and leaves no zombie.
fn kill_and_reap(pid: libc::pid_t) {
    debug_assert!(pid > 0);
    // SAFETY: plain numbers; the child is not reaped yet, so the pid is still its own.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    // SAFETY: plain numbers; a null pointer stands for a status nobody asks for.
    while unsafe { libc::waitpid(pid, ptr::null_mut(), 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}

/// [`Steps`] without lifetimes and allocations, ready before the child exists.
struct Orders {
    path: *const c_char,
    argv: Vec<*const c_char>,
    envp: *const *const c_char,
    dir: *const c_char,
    sigpipe: libc::sighandler_t,
    sigchld: libc::sighandler_t,
    close: [bool; 3],
    keep_fds: *const [i32],
    mark_fds: Option<*const [i32]>,
    limits: *const [(c_int, libc::rlimit64)],
    /// Whether a child runs this, with a mask to restore and a parent to check.
    as_child: bool,
    own_group: bool,
    mask: u64,
    parent: libc::pid_t,
    failed_step: AtomicI32,
    errno: AtomicI32,
}

impl Orders {
    fn new(steps: &Steps<'_>, child: Option<(&ChildSteps, libc::pid_t)>) -> Self {
        debug_assert!(steps.envp.last().is_some_and(|last| last.is_null()));
        let argv = steps.argv.iter().map(|arg| arg.as_ptr()).chain([ptr::null()]).collect();
        let standing = |ignore| if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
        Self {
            path: steps.path.as_ptr(),
            argv,
            envp: steps.envp.as_ptr(),
            dir: steps.dir.map_or(ptr::null(), CStr::as_ptr),
            sigpipe: standing(steps.ignore_sigpipe),
            sigchld: standing(child.is_some_and(|(child, ..)| child.ignore_sigchld)),
            close: steps.close,
            keep_fds: steps.keep_fds,
            mark_fds: steps.mark_fds.map(ptr::from_ref),
            limits: steps.limits,
            as_child: child.is_some(),
            own_group: child.is_some_and(|(child, ..)| child.own_group),
            mask: child.map_or(0, |(child, _)| child.mask.0),
            parent: child.map_or(0, |(.., parent)| parent),
            failed_step: AtomicI32::new(0),
            errno: AtomicI32::new(0),
        }
    }

    /// Runs the steps in order and becomes the program; the first failure comes back.
    ///
    /// # Safety
    /// All pointers are still valid.
    unsafe fn become_program(&self) -> (Step, i32) {
        // SAFETY: as required of the caller.
        match unsafe { self.run_steps() } {
            Ok(never) => match never {},
            Err(failed) => failed,
        }
    }

    /// # Safety
    /// As [`become_program`](Self::become_program).
    unsafe fn run_steps(&self) -> Result<std::convert::Infallible, (Step, i32)> {
        let at = |step| move |errno| (step, errno);
        if self.as_child {
            // SAFETY: only standing dispositions are set.
            unsafe { reset_handlers() };
            // SAFETY: likewise.
            unsafe { set_standing(libc::SIGCHLD, self.sigchld) }.map_err(at(Step::Signals))?;
        }
        // SAFETY: likewise.
        unsafe { set_standing(libc::SIGPIPE, self.sigpipe) }.map_err(at(Step::Signals))?;
        if self.own_group {
            // SAFETY: plain numbers.
            unsafe { call(libc::SYS_setpgid, [0; 5]) }.map_err(at(Step::Group))?;
        }
        if self.as_child {
            let args = [libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize, 0, 0, 0];
            // SAFETY: plain numbers.
            unsafe { call(libc::SYS_prctl, args) }.map_err(at(Step::ParentDeathSignal))?;
            // SAFETY: no arguments.
            let parent = unsafe { call(libc::SYS_getppid, [0; 5]) };
            // The parent may have ended before it was bound to us; then nobody wants the program.
            if parent != Ok(self.parent as usize) {
                return Err((Step::ParentDeathSignal, libc::ESRCH));
            }
        }
        if !self.dir.is_null() {
            // SAFETY: `dir` is a C string.
            unsafe { call(libc::SYS_chdir, [self.dir as usize, 0, 0, 0, 0]) }
                .map_err(at(Step::WorkingDir))?;
        }
        // SAFETY: as required of the caller.
        unsafe { self.settle_descriptors() }.map_err(at(Step::Descriptors))?;
        // SAFETY: as required of the caller.
        for (resource, limit) in unsafe { &*self.limits } {
            let limit = ptr::from_ref(limit) as usize;
            // SAFETY: `limit` is read only; a null old limit is allowed.
            unsafe { call(libc::SYS_prlimit64, [0, *resource as usize, limit, 0, 0]) }
                .map_err(at(Step::Limits))?;
        }
        if self.as_child {
            let mask = (&raw const self.mask) as usize;
            let args = [libc::SIG_SETMASK as usize, mask, 0, size_of::<u64>(), 0];
            // SAFETY: `mask` is 8 bytes, the size given. No handler is left that could run.
            unsafe { call(libc::SYS_rt_sigprocmask, args) }.map_err(at(Step::Signals))?;
        }
        let args = [self.path as usize, self.argv.as_ptr() as usize, self.envp as usize, 0, 0];
        // SAFETY: a C string and two arrays of C strings, each ended by a null pointer.
        match unsafe { call(libc::SYS_execve, args) } {
            Err(errno) => Err((Step::Execve, errno)),
            Ok(_) => Err((Step::Execve, libc::EINVAL)),
        }
    }

    /// # Safety
    /// As [`become_program`](Self::become_program).
    unsafe fn settle_descriptors(&self) -> Result<(), i32> {
        for (fd, close) in self.close.into_iter().enumerate() {
            if close {
                // SAFETY: nothing of ours uses what the runtime put in place of a closed one.
                let _ = unsafe { call(libc::SYS_close, [fd, 0, 0, 0, 0]) };
            }
        }
        match self.mark_fds {
            None => {
                let args = [3, u32::MAX as usize, libc::CLOSE_RANGE_CLOEXEC as usize, 0, 0];
                // SAFETY: marks only; nothing is closed before `execve` succeeds.
                unsafe { call(libc::SYS_close_range, args) }?;
            }
            Some(marked) => {
                // SAFETY: as required of the caller.
                for fd in unsafe { &*marked } {
                    let args =
                        [*fd as usize, libc::F_SETFD as usize, libc::FD_CLOEXEC as usize, 0, 0];
                    // SAFETY: plain numbers. One that has been closed meanwhile needs no mark.
                    let _ = unsafe { call(libc::SYS_fcntl, args) };
                }
            }
        }
        // SAFETY: as required of the caller.
        for fd in unsafe { &*self.keep_fds } {
            // SAFETY: plain numbers.
            unsafe { call(libc::SYS_fcntl, [*fd as usize, libc::F_SETFD as usize, 0, 0, 0]) }?;
        }
        Ok(())
    }
}

/// More words than the kernel's `sigaction` has anywhere; the handler is the first (not on MIPS).
const ACTION_WORDS: usize = 8;

/// The child's first function.
extern "C" fn child_main(orders: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes its orders, and stands still until we are done with them.
    let orders = unsafe { &*orders.cast::<Orders>() };
    // SAFETY: as above.
    let (step, errno) = unsafe { orders.become_program() };
    orders.errno.store(errno, Ordering::Release);
    orders.failed_step.store(step as i32, Ordering::Release);
    // `clone` ends the child with this code, without running anything of the parent's.
    127
}

/// Signals with a handler get their default action, as `execve` would do it: after the mask is
/// restored no handler may run on the shared memory.
///
/// # Safety
/// To be called in the child only; the table of the parent would lose its handlers.
unsafe fn reset_handlers() {
    let mut signal = 1;
    while signal <= 64 {
        let mut action = [0_usize; ACTION_WORDS];
        let args = [signal, 0, action.as_mut_ptr() as usize, size_of::<u64>(), 0];
        // SAFETY: reads into a buffer larger than any kernel's `sigaction`.
        let known = unsafe { call(libc::SYS_rt_sigaction, args) }.is_ok();
        let handler = action[0];
        if known && handler != libc::SIG_DFL && handler != libc::SIG_IGN {
            // SAFETY: a standing disposition, in the child's own table.
            let _ = unsafe { set_standing(signal as c_int, libc::SIG_DFL) };
        }
        signal += 1;
    }
}

/// Sets a signal to default or ignored.
///
/// # Safety
/// `standing` is `SIG_DFL` or `SIG_IGN`.
unsafe fn set_standing(signal: c_int, standing: libc::sighandler_t) -> Result<usize, i32> {
    let mut action = [0_usize; ACTION_WORDS];
    action[0] = standing;
    let args = [signal as usize, action.as_ptr() as usize, 0, size_of::<u64>(), 0];
    // SAFETY: the kernel reads its `sigaction` from a larger buffer: flags and mask are zero.
    unsafe { call(libc::SYS_rt_sigaction, args) }
}

/// A raw system call. It touches nothing but `errno`, which the child shares with the thread that
/// waits for it.
///
/// # Safety
/// As the system call.
unsafe fn call(number: c_long, args: [usize; 5]) -> Result<usize, i32> {
    let [first, second, third, fourth, fifth] = args;
    // SAFETY: as required of the caller.
    let result = unsafe { libc::syscall(number, first, second, third, fourth, fifth) };
    if result < 0 {
        // SAFETY: the address is this thread's `errno`, always valid.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: as above.
        Err(unsafe { *errno })
    } else {
        Ok(result as usize)
    }
}

/// A mapped stack with a guard page below.
struct Stack {
    base: *mut c_void,
    len: usize,
}

impl Stack {
    const BYTES: usize = 64 * 1024;
    /// One page of the largest kind there is.
    const GUARD: usize = 64 * 1024;

    fn new() -> io::Result<Self> {
        let len = Self::BYTES + Self::GUARD;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Self { base, len };
        // SAFETY: less than the length of the mapping.
        let usable = unsafe { base.byte_add(Self::GUARD) };
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the rest of our own mapping.
        match unsafe { libc::mprotect(usable, Self::BYTES, access) } {
            0 => Ok(stack),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The end, where a stack that grows down starts; page-aligned.
    fn top(&self) -> *mut c_void {
        // SAFETY: one past the end of our own mapping.
        unsafe { self.base.byte_add(self.len) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and the child no longer runs on it.
        unsafe { libc::munmap(self.base, self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, io::Read, os::fd::AsRawFd};

    fn c(text: &str) -> CString {
        CString::new(text).expect("no NUL")
    }

    /// Runs `sh -c script` and gives its exit code.
    fn run(script: &str, change: impl Fn(&mut Steps<'_>)) -> Result<i32, Failed> {
        let argv = [c("sh"), c("-c"), c(script)];
        let path = c("/bin/sh");
        let variable = c("A=1");
        let envp = [variable.as_ptr(), ptr::null()];
        let mut steps = Steps {
            path: &path,
            argv: &argv,
            envp: &envp,
            dir: None,
            ignore_sigpipe: false,
            close: [false; 3],
            keep_fds: &[],
            mark_fds: None,
            limits: &[],
        };
        change(&mut steps);
        let child = ChildSteps { mask: SignalSet(0), ignore_sigchld: false, own_group: true };
        let (pid, pidfd) = spawn(&steps, &child, |pidfd| assert_eq!(wait(pidfd), 127))?;
        assert!(pid > 0);
        Ok(wait(&pidfd))
    }

    fn wait(pidfd: &OwnedFd) -> i32 {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        let status = waitid(WaitId::PidFd(std::os::fd::AsFd::as_fd(pidfd)), WaitIdOptions::EXITED);
        status.expect("our child").and_then(|status| status.exit_status()).unwrap_or(-1)
    }

    #[test]
    fn the_program_gets_exactly_its_environment() {
        assert_eq!(run("test \"$A\" = 1 && exit 7", |_| ()).expect("starts"), 7);
    }

    #[test]
    fn a_failed_step_comes_back_and_leaves_no_child() {
        let failed = run("", |steps| steps.path = c"/nonexistent").expect_err("no such file");
        assert_eq!((failed.step, failed.error.raw_os_error()), (Step::Execve, Some(libc::ENOENT)));
        let failed = run("", |steps| steps.dir = Some(c"/nonexistent")).expect_err("no such dir");
        assert_eq!(failed.step, Step::WorkingDir);
        let failed = run("", |steps| steps.keep_fds = &[987_654]).expect_err("not open");
        assert_eq!(failed.step, Step::Descriptors);
        let failed = run("", |steps| {
            steps.limits =
                &[(libc::RLIMIT_NOFILE as c_int, libc::rlimit64 { rlim_cur: 2, rlim_max: 1 })];
        })
        .expect_err("soft over hard");
        assert_eq!(failed.step, Step::Limits);
    }

    #[test]
    fn descriptors_are_closed_with_and_without_close_range() {
        let file = File::open("/dev/null").expect("always there");
        // SAFETY: plain numbers; the copy is at 200 or above and closed below.
        let stray = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 200) };
        let script = format!("test -e /proc/self/fd/{stray} && exit 3; exit 4");
        assert_eq!(run(&script, |_| ()).expect("starts"), 4);
        let marked: &'static [i32] = vec![stray].leak();
        assert_eq!(run(&script, |steps| steps.mark_fds = Some(&[])).expect("starts"), 3);
        assert_eq!(run(&script, |steps| steps.mark_fds = Some(marked)).expect("starts"), 4);
        assert_eq!(run(&script, |steps| steps.keep_fds = marked).expect("starts"), 3);
        // SAFETY: ours, see above.
        unsafe { libc::close(stray) };
    }

    #[test]
    fn handlers_do_not_reach_the_child_and_limits_do() {
        extern "C" fn nothing(_: c_int) {}
        let handler = nothing as extern "C" fn(c_int) as libc::sighandler_t;
        // SAFETY: the handler does nothing; SIGURG is used by nobody here.
        let before = unsafe { libc::signal(libc::SIGURG, handler) };
        let code = run("test \"$(ulimit -Hc)\" = 0 && exit 5", |steps| {
            steps.limits =
                &[(libc::RLIMIT_CORE as c_int, libc::rlimit64 { rlim_cur: 0, rlim_max: 0 })];
        });
        assert_eq!(code.expect("starts"), 5);
        // SAFETY: what stood before.
        let after = unsafe { libc::signal(libc::SIGURG, before) };
        assert_eq!(after, handler, "the parent keeps its handlers");
    }

    #[test]
    fn a_child_without_a_pidfd_is_ended_and_reaped() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("starts");
        kill_and_reap(i32::try_from(child.id()).expect("a pid"));
        let error = child.wait().expect_err("reaped");
        assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
    }

    #[test]
    fn the_stack_has_a_guard_below() {
        let stack = Stack::new().expect("memory");
        let base = stack.base as usize;
        let mut maps = String::new();
        File::open("/proc/self/maps").expect("proc").read_to_string(&mut maps).expect("text");
        let access_at = |address: usize| {
            maps.lines().find_map(|line| {
                let (range, rest) = line.split_once(' ')?;
                let (start, end) = range.split_once('-')?;
                let number = |text| usize::from_str_radix(text, 16).ok();
                (number(start)? <= address && address < number(end)?).then(|| rest[..4].to_owned())
            })
        };
        assert_eq!(access_at(base).as_deref(), Some("---p"));
        assert_eq!(access_at(base + Stack::GUARD - 1).as_deref(), Some("---p"));
        assert_eq!(access_at(base + Stack::GUARD).as_deref(), Some("rw-p"));
        assert_eq!(access_at(stack.top() as usize - 1).as_deref(), Some("rw-p"));
    }
}
