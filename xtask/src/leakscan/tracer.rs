//! Runs a program and stops it at the start and end of every system call.
//!
//! The program is started stopped (a shell that stops itself and then becomes the program), seized,
//! and watched from its first instruction to its end or to the moment it becomes another program.
//! A process it forks is watched until it becomes a program of its own, because until then it
//! shares or copies the memory of the one under test.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs::File,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    libc,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill, killpg},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use super::memory::Memory;

/// A program to run, with everything it can see named: nothing is inherited.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// Program and arguments.
    pub command: Vec<OsString>,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it runs.
    pub directory: PathBuf,
    /// The user to run as, when not ours.
    pub user: Option<u32>,
    /// The limit on locked memory, in bytes, when not ours.
    pub memlock_bytes: Option<u64>,
    /// What it reads on standard input. At most what a pipe holds (64 KiB).
    pub stdin: Vec<u8>,
    /// The file that gets standard output and standard error; none: thrown away.
    pub output: Option<PathBuf>,
}

impl Launch {
    /// The command that runs this, without tracing.
    pub fn command(&self) -> anyhow::Result<Command> {
        self.command_with(&[])
    }

    /// The command with `before` in front of the program's own words.
    fn command_with(&self, before: &[&str]) -> anyhow::Result<Command> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(limit) = self.memlock_bytes {
            let option = format!("--memlock={limit}:{limit}");
            words.extend(["/usr/bin/prlimit".into(), option.into(), "--".into()]);
        }
        if let Some(user) = self.user {
            words.push("/usr/bin/setpriv".into());
            words.extend(
                ["--reuid", "--regid"]
                    .iter()
                    .flat_map(|option| [OsString::from(option), OsString::from(user.to_string())]),
            );
            words.extend(["--clear-groups".into(), "--".into()]);
        }
        words.extend(before.iter().map(OsString::from));
        words.extend(self.command.iter().cloned());
        let (program, arguments) = words.split_first().context("no command to run")?;
        let (stdin, mut input) = std::io::pipe().context("no pipe for standard input")?;
        input.write_all(&self.stdin).context("standard input does not fit a pipe")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .current_dir(&self.directory)
            .stdin(stdin)
            .stdout(self.output_stdio()?)
            .stderr(self.output_stdio()?)
            .process_group(0);
        Ok(command)
    }

    fn output_stdio(&self) -> anyhow::Result<Stdio> {
        let Some(path) = &self.output else { return Ok(Stdio::null()) };
        let file = File::options().append(true).create(true).open(path);
        Ok(file.with_context(|| format!("cannot write {}", path.display()))?.into())
    }
}

/// A system call: its number and arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// The number (`libc::SYS_…`).
    pub number: i64,
    /// Its six arguments, used or not.
    pub arguments: [u64; 6],
}

/// Why a process stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The program under test is loaded and has not run an instruction.
    Start,
    /// A system call begins.
    Entry(Call),
    /// A system call has returned this.
    Exit(Call, i64),
    /// A forked process has become a program of its own; its memory is no longer ours to judge.
    ChildRuns,
}

/// A process that stands still.
#[derive(Debug)]
pub struct Stop<'a> {
    /// The process.
    pub pid: Pid,
    /// Whether it is the program under test itself, not a process it forked.
    pub is_main: bool,
    /// Why it stopped.
    pub event: Event,
    /// Its memory.
    pub memory: &'a mut Memory,
}

impl Stop<'_> {
    /// The general and the vector registers (the low 128 bits), as bytes.
    pub fn registers(&self) -> anyhow::Result<Vec<u8>> {
        let r = ptrace::getregs(self.pid).context("cannot read registers")?;
        let general = [
            r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.r8, r.r9, r.r10, r.r11, r.r12,
            r.r13, r.r14, r.r15,
        ];
        let vector = ptrace::getregset::<ptrace::regset::NT_PRFPREG>(self.pid)
            .context("cannot read vector registers")?;
        let mut bytes: Vec<u8> = general.iter().flat_map(|value| value.to_le_bytes()).collect();
        bytes.extend([0; 8]); // keeps the vector registers on 16-byte places
        bytes.extend(vector.st_space.iter().flat_map(|value| value.to_le_bytes()));
        bytes.extend(vector.xmm_space.iter().flat_map(|value| value.to_le_bytes()));
        Ok(bytes)
    }
}

/// What happens after a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Go,
    /// Leave the process as it is: stopped by `SIGSTOP` and no longer traced. A call that is about
    /// to begin is not made. Only for the program under test itself.
    Leave,
    /// As [`Self::Leave`], and with its next instruction at address 0: it crashes when it goes on.
    LeaveCrashing,
}

/// How a traced run ended.
#[derive(Debug)]
pub enum End {
    /// The program ended, itself or as the program it became by `execve`.
    Ended {
        /// How.
        status: WaitStatus,
        /// Whether it had become another program before.
        replaced: bool,
    },
    /// It stands still and is no longer traced, because the observer asked for that.
    Left(Stopped),
}

/// A started process group; whatever of it still lives is killed when this is dropped.
#[derive(Debug)]
pub struct Stopped {
    child: Child,
}

impl Stopped {
    /// Takes charge of a child that leads its own process group.
    pub fn new(child: Child) -> Self {
        Self { child }
    }

    /// The process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("process ids are small"))
    }

    /// Waits for the end and tells how it came.
    pub fn wait(mut self) -> std::io::Result<std::process::ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // Nothing more can be done here about a group that is already gone.
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Runs `launch` and calls `observer` at every stop.
///
/// # Errors
/// Tracing is refused or breaks, or the observer fails. The processes are killed then.
pub fn trace(
    launch: &Launch,
    observer: &mut dyn FnMut(&mut Stop<'_>) -> anyhow::Result<Next>,
) -> anyhow::Result<End> {
    const STOP_THEN_RUN: [&str; 4] = ["/bin/sh", "-c", r#"kill -STOP $$; exec "$@""#, "sh"];
    let group = Stopped::new(
        launch.command_with(&STOP_THEN_RUN)?.spawn().context("cannot start the program")?,
    );
    let main = group.pid();
    let stopped = waitpid(main, Some(WaitPidFlag::WUNTRACED))?;
    anyhow::ensure!(
        matches!(stopped, WaitStatus::Stopped(_, Signal::SIGSTOP)),
        "the shell that starts the program did not stop: {stopped:?}"
    );
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(main, options).context("tracing is refused")?;
    kill(main, Signal::SIGCONT)?;
    let mut watch = Watch { main, processes: HashMap::new(), replaced: false };
    loop {
        let status = match waitpid(
            Pid::from_raw(-1),
            Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD),
        ) {
            Err(Errno::EINTR) => continue,
            status => status.context("waiting for the program failed")?,
        };
        match watch.step(status, observer)? {
            Step::Go => {}
            Step::Leave => return Ok(End::Left(group)),
            Step::Ended(status) => return Ok(End::Ended { status, replaced: watch.replaced }),
        }
    }
}

/// The state of one traced run.
struct Watch {
    main: Pid,
    /// The processes whose stops are shown to the observer.
    processes: HashMap<Pid, Traced>,
    replaced: bool,
}

struct Traced {
    memory: Memory,
    /// The system call that has begun and not ended.
    call: Option<Call>,
}

enum Step {
    Go,
    Leave,
    Ended(WaitStatus),
}

impl Watch {
    fn step(
        &mut self,
        status: WaitStatus,
        observer: &mut dyn FnMut(&mut Stop<'_>) -> anyhow::Result<Next>,
    ) -> anyhow::Result<Step> {
        match status {
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) => {
                self.processes.remove(&pid);
                return Ok(if pid == self.main { Step::Ended(status) } else { Step::Go });
            }
            WaitStatus::PtraceEvent(pid, _, libc::PTRACE_EVENT_EXEC) => {
                return self.exec(pid, observer);
            }
            WaitStatus::PtraceEvent(pid, ..) => {
                self.meet(pid);
                resume(pid, None)?;
            }
            WaitStatus::PtraceSyscall(pid) => {
                self.meet(pid);
                let next = match self.processes.get_mut(&pid) {
                    Some(traced) => syscall_stop(pid, self.main, traced, observer)?,
                    None => Next::Go, // the shell, before it becomes the program
                };
                if next != Next::Go {
                    return Ok(Step::Leave);
                }
                resume(pid, None)?;
            }
            WaitStatus::Stopped(pid, signal) => resume(pid, Some(signal))?,
            WaitStatus::Continued(_) | WaitStatus::StillAlive => {}
        }
        Ok(Step::Go)
    }

    /// Takes up a process that was forked from the program under test.
    fn meet(&mut self, pid: Pid) {
        if pid != self.main && !self.processes.contains_key(&pid) {
            // It may be gone already; then there is nothing to look at.
            if let Ok(memory) = Memory::open(pid) {
                self.processes.insert(pid, Traced { memory, call: None });
            }
        }
    }

    /// A process has become another program.
    fn exec(
        &mut self,
        pid: Pid,
        observer: &mut dyn FnMut(&mut Stop<'_>) -> anyhow::Result<Next>,
    ) -> anyhow::Result<Step> {
        let is_main = pid == self.main;
        let event = match self.processes.remove(&pid) {
            None if is_main => Event::Start,
            _ if is_main => {
                self.replaced = true;
                detach(pid)?;
                return Ok(Step::Go);
            }
            _ => Event::ChildRuns,
        };
        let mut memory = Memory::open(pid)?;
        let next = observer(&mut Stop { pid, is_main, event, memory: &mut memory })?;
        anyhow::ensure!(next == Next::Go, "a program cannot be left as it is loaded");
        if is_main {
            self.processes.insert(pid, Traced { memory, call: None });
            resume(pid, None)?;
        } else {
            detach(pid)?;
        }
        Ok(Step::Go)
    }
}

/// Shows the beginning or end of a system call to the observer.
fn syscall_stop(
    pid: Pid,
    main: Pid,
    traced: &mut Traced,
    observer: &mut dyn FnMut(&mut Stop<'_>) -> anyhow::Result<Next>,
) -> anyhow::Result<Next> {
    let (Ok(info), Ok(registers)) = (ptrace::syscall_info(pid), ptrace::getregs(pid)) else {
        return Ok(Next::Go); // killed in this moment
    };
    let call = Call {
        number: registers.orig_rax.cast_signed(),
        arguments: [
            registers.rdi,
            registers.rsi,
            registers.rdx,
            registers.r10,
            registers.r8,
            registers.r9,
        ],
    };
    let event = match info.op {
        libc::PTRACE_SYSCALL_INFO_ENTRY => {
            traced.call = Some(call);
            Event::Entry(call)
        }
        libc::PTRACE_SYSCALL_INFO_EXIT => {
            Event::Exit(traced.call.take().unwrap_or(call), registers.rax.cast_signed())
        }
        other => anyhow::bail!("a system-call stop of an unknown kind ({other})"),
    };
    let is_main = pid == main;
    let next = observer(&mut Stop { pid, is_main, event, memory: &mut traced.memory })?;
    if next != Next::Go {
        anyhow::ensure!(is_main, "only the program under test can be left");
        let mut registers = registers;
        if matches!(event, Event::Entry(_)) {
            // No such call: the kernel skips it, and the signal below stops the process before it
            // runs another instruction.
            registers.orig_rax = u64::MAX;
        }
        if next == Next::LeaveCrashing {
            registers.rip = 0;
        }
        ptrace::setregs(pid, registers)?;
        kill(pid, Signal::SIGSTOP)?;
        ptrace::detach(pid, None)?;
        let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED))?;
        anyhow::ensure!(
            matches!(stopped, WaitStatus::Stopped(_, Signal::SIGSTOP)),
            "the program did not stand still: {stopped:?}"
        );
    }
    Ok(next)
}

/// Lets a process run to its next system call; one that was killed meanwhile needs no help.
fn resume(pid: Pid, signal: Option<Signal>) -> anyhow::Result<()> {
    match ptrace::syscall(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).context("cannot resume the program"),
    }
}

fn detach(pid: Pid) -> anyhow::Result<()> {
    match ptrace::detach(pid, None) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).context("cannot let go of the program"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(script: &str) -> Launch {
        Launch {
            command: ["/bin/sh", "-c", script].map(OsString::from).into(),
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
            directory: "/".into(),
            ..Launch::default()
        }
    }

    fn run(launch: &Launch) -> (End, Vec<(bool, Event)>) {
        let mut events = Vec::new();
        let end = trace(launch, &mut |stop| {
            events.push((stop.is_main, stop.event));
            Ok(Next::Go)
        })
        .unwrap();
        (end, events)
    }

    #[test]
    fn calls_begin_and_end_and_the_status_comes_back() {
        let (end, events) = run(&launch("exit 7"));
        assert!(matches!(end, End::Ended { status: WaitStatus::Exited(_, 7), replaced: false }));
        assert_eq!(events[0], (true, Event::Start));
        let entries = events.iter().filter(|(_, e)| matches!(e, Event::Entry(_))).count();
        let exits = events.iter().filter(|(_, e)| matches!(e, Event::Exit(..))).count();
        // The execve that loaded the program ends without having begun; exit_group never ends.
        assert_eq!(entries, exits, "{events:?}");
        assert!(entries > 3);
    }

    #[test]
    fn a_program_that_becomes_another_is_let_go() {
        let (end, events) = run(&launch("exec /bin/sh -c 'exit 3'"));
        assert!(matches!(end, End::Ended { status: WaitStatus::Exited(_, 3), replaced: true }));
        let (_, last) = events.last().unwrap();
        assert!(matches!(last, Event::Entry(call) if call.number == libc::SYS_execve), "{last:?}");
    }

    #[test]
    fn a_forked_process_is_watched_until_it_runs_its_own_program() {
        let (_, events) = run(&launch("/bin/true; exit 0"));
        let child: Vec<_> = events.iter().filter(|(is_main, _)| !is_main).collect();
        assert_eq!(child.last().unwrap().1, Event::ChildRuns);
        assert!(child.len() > 1, "{child:?}");
    }

    #[test]
    fn a_call_can_be_prevented_and_the_process_left_standing() {
        let end = trace(&launch("exec /bin/true"), &mut |stop| {
            Ok(match stop.event {
                Event::Entry(call) if call.number == libc::SYS_execve => Next::Leave,
                _ => Next::Go,
            })
        })
        .unwrap();
        let End::Left(process) = end else { panic!("not left: {end:?}") };
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap();
        assert!(stat.contains("(sh) T"), "{stat}");
    }

    #[test]
    fn a_process_can_be_left_so_that_it_crashes() {
        let end = trace(&launch("exec /bin/true"), &mut |stop| {
            Ok(match stop.event {
                Event::Entry(call) if call.number == libc::SYS_execve => Next::LeaveCrashing,
                _ => Next::Go,
            })
        })
        .unwrap();
        let End::Left(process) = end else { panic!("not left: {end:?}") };
        kill(process.pid(), Signal::SIGCONT).unwrap();
        let status = process.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGSEGV));
    }

    #[test]
    fn standard_input_and_output_are_what_was_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("output");
        let launch = Launch {
            stdin: b"hello\n".to_vec(),
            output: Some(output.clone()),
            ..launch("read word; echo got $word; echo and >&2")
        };
        run(&launch);
        assert_eq!(std::fs::read_to_string(output).unwrap(), "got hello\nand\n");
    }
}
