//! Starting the example programs, waiting for conditions, saying what was not run.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

/// Nothing here takes long; this is for a machine that has better things to do.
pub const LONG: Duration = Duration::from_mins(1);

pub const MODES: [&str; 2] = ["--replace", "--supervise"];

/// An example program, built with the tests.
pub fn tool(name: &str) -> PathBuf {
    let exe = std::env::current_exe().expect("our own path");
    let folder = exe.ancestors().nth(2).expect("target/PROFILE/deps/NAME").join("examples");
    let path = folder.join(name);
    assert!(path.exists(), "build the examples first: cargo build -p dsops-execenv --examples");
    path
}

/// `execenv-run` in a session of its own: without a terminal, whoever runs the tests.
pub fn exec(args: &[&str]) -> Command {
    let mut command = Command::new("setsid");
    command.arg(tool("execenv-run")).args(args).stdin(Stdio::null());
    command
}

/// The same started by a shell that first runs `before`.
pub fn exec_after(before: &str, args: &[&str]) -> Command {
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", &format!("{before}; exec \"$0\" \"$@\"")]);
    command.arg(tool("execenv-run")).args(args).stdin(Stdio::null());
    command
}

/// `python3` with a script, for what no shell can do.
pub fn python(script: &str, args: &[&str]) -> Command {
    let mut command = Command::new("setsid");
    command.args(["python3", "-c", script]).arg(tool("execenv-run")).args(args);
    command.stdin(Stdio::null());
    command
}

pub fn has(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Says that a case was not run, past the capture of the test harness.
pub fn not_run(reason: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let _ = writeln!(std::io::stderr(), "not run: {name}: {reason}");
}

pub fn code(output: &Output) -> i32 {
    code_of(output.status, &String::from_utf8_lossy(&output.stderr))
}

pub fn code_of(status: ExitStatus, stderr: &str) -> i32 {
    status.code().unwrap_or_else(|| panic!("killed by {:?}: {stderr}", status.signal()))
}

pub fn stdout(command: &mut Command) -> String {
    let output = command.output().expect("starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {stderr}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// Asks until there is an answer.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < LONG, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A program that talks to the test line by line. It is killed when the test ends.
pub struct Talking {
    pub child: Child,
    lines: Receiver<String>,
}

impl Talking {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    pub fn line(&mut self) -> String {
        match self.lines.recv_timeout(LONG) {
            Ok(line) => line,
            Err(error) => panic!("no line: {error}; {:?}", self.child.try_wait()),
        }
    }

    /// The number at the end of the next line.
    pub fn number(&mut self) -> i32 {
        let line = self.line();
        let last = line.rsplit(' ').next().expect("never empty");
        last.parse().unwrap_or_else(|_| panic!("no number: {line}"))
    }

    pub fn id(&self) -> i32 {
        i32::try_from(self.child.id()).expect("pids are small")
    }

    pub fn end(&mut self) -> ExitStatus {
        wait_for("the program's end", || self.child.try_wait().expect("ours"))
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn send(pid: i32, signal: &str) {
    let status = Command::new("sh")
        .args(["-c", &format!("kill -s {signal} {pid}")])
        .status()
        .expect("sh is there");
    assert!(status.success(), "kill -s {signal} {pid}");
}

/// The state letter of a process; `None` when it is gone.
pub fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(')')? + 2..].chars().next()
}

pub fn is_dead(pid: i32) -> bool {
    matches!(state(pid), None | Some('Z' | 'X'))
}

/// A signal set from `/proc/PID/status`, without 32 and 33: the C library keeps these for itself,
/// and when it starts a process (as it does for these tests) it has them ignored.
pub fn signal_set(status: &str, field: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(field)).expect("the field is there");
    let set = line.rsplit('\t').next().expect("a value");
    u64::from_str_radix(set, 16).expect("hexadecimal") & !(bit(32) | bit(33))
}

pub const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// Living processes that are `sleep TAG`.
pub fn sleepers(tag: &str) -> Vec<i32> {
    with_command_line(|line| line == format!("sleep\0{tag}\0"))
}

/// Living processes whose command lines (arguments ended by NUL) are wanted.
pub fn with_command_line(is_wanted: impl Fn(&str) -> bool) -> Vec<i32> {
    fs::read_dir("/proc")
        .expect("proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| is_wanted(&String::from_utf8_lossy(&line)))
                && !is_dead(*pid)
        })
        .collect()
}

/// A number of seconds, longer than any test, that nobody else sleeps: so it marks a process.
pub fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let own = u64::from(std::process::id()) * 100;
    (1_000_000_000 + own + u64::from(NEXT.fetch_add(1, Ordering::Relaxed))).to_string()
}
