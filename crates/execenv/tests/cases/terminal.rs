//! On a terminal: the child shares our process group, and job control is the shell's.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Instant,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::{LONG, exec, has, not_run, tool, wait_for};

/// A program on a terminal of its own.
struct Terminal {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn start(program: &str, args: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pty");
        grantpt(&master).expect("ours");
        unlockpt(&master).expect("ours");
        let name = ptsname(&master, Vec::new()).expect("has a name");
        let path = name.to_str().expect("ASCII");
        let open = || -> OwnedFd {
            let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
            rustix::fs::open(path, flags, rustix::fs::Mode::empty()).expect("the other side")
        };
        let mut command = Command::new("setsid");
        command.args(["-c", program]).args(args);
        command.env("PS1", "prompt> ").env("TERM", "dumb").env_remove("PROMPT_COMMAND");
        command.stdin(open()).stdout(open()).stderr(open());
        let child = command.spawn().expect("setsid");
        let mut reader = File::from(master.try_clone().expect("a descriptor"));
        let (sender, screen) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len) = reader.read(&mut buffer) {
                if len == 0 || sender.send(buffer[..len].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, keyboard: File::from(master), screen, seen: String::new() }
    }

    fn bash() -> Self {
        let mut terminal = Self::start("bash", &["--norc", "--noprofile", "--noediting", "-i"]);
        terminal.expect("prompt> ");
        terminal
    }

    fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("room in the terminal");
    }

    /// Waits for a text and forgets what came up to its end; that is returned.
    fn expect(&mut self, text: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some(at) = self.seen.find(text) {
                return self.seen.drain(..at + text.len()).collect();
            }
            match self.screen.recv_timeout(LONG.saturating_sub(start.elapsed())) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(RecvTimeoutError::Timeout) => panic!("no {text:?} in {:?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended without {text:?}: {:?}", self.seen)
                }
            }
        }
    }

    fn code(&mut self) -> Option<i32> {
        wait_for("the end", || self.child.try_wait().expect("ours")).code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn execenv() -> String {
    tool("execenv-run").to_str().expect("UTF-8").to_owned()
}

/// Logs INT and QUIT with who sent them, and ends by code 9 on USR1.
const LOGGER: &str = "import os, signal
few = {signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1}
signal.pthread_sigmask(signal.SIG_BLOCK, few)
print('ready', flush=True)
while True:
    info = signal.sigwaitinfo(few)
    print('got', info.si_signo, info.si_code, flush=True)
    if info.si_signo == signal.SIGUSR1: os._exit(9)";

/// Presses a key; the child must log the signal once, as the kernel's.
fn key_comes_once(key: &str, signal: i32) {
    if !has("python3") {
        return not_run("python3 is missing");
    }
    let mut terminal = Terminal::start(&execenv(), &["--supervise", "--", "python3", "-c", LOGGER]);
    terminal.expect("ready");
    terminal.type_in(key);
    terminal.expect(&format!("got {signal} 128"));
    // Whoever would send it again has had the time to: we answer this one later.
    crate::support::send(i32::try_from(terminal.child.id()).expect("small"), "USR1");
    let between = terminal.expect("got 10 0");
    assert!(!between.contains(&format!("got {signal}")), "twice: {between}");
    assert_eq!(terminal.code(), Some(9));
}

#[test]
fn t14_ctrl_c_reaches_the_child_once() {
    key_comes_once("\x03", 2);
}

#[test]
fn t15_ctrl_backslash_reaches_the_child_once() {
    key_comes_once("\x1c", 3);
}

#[test]
fn t15_a_trapped_ctrl_c_ends_as_the_child_does() {
    let script = "trap 'exit 5' INT; echo up; while :; do sleep 0.02; done";
    for _ in 0..5 {
        let mut terminal = Terminal::start(&execenv(), &["--supervise", "--", "sh", "-c", script]);
        terminal.expect("up");
        terminal.type_in("\x03");
        assert_eq!(terminal.code(), Some(5));
    }
}

#[test]
fn t14_an_untrapped_ctrl_c_is_a_death_by_signal() {
    let args = ["--supervise", "--", "sh", "-c", "echo up; exec sleep 300"];
    let mut terminal = Terminal::start(&execenv(), &args);
    terminal.expect("up");
    terminal.type_in("\x03");
    assert_eq!(terminal.code(), None);
    let status = terminal.child.wait().expect("ours");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(2));
}

#[test]
fn t16_ctrl_z_gives_the_shell_back_and_fg_goes_on() {
    if !has("bash") || !has("python3") {
        return not_run("bash or python3 is missing");
    }
    // Says so when it goes on: a key pressed before the shell has handed the terminal over and sent
    // SIGCONT would go to the shell, or be undone by that signal.
    let child = "import signal; \
                 signal.signal(signal.SIGCONT, lambda *_: print(\"ba\" + \"ck\", flush=True)); \
                 print(\"u\" + \"p\", flush=True)\nwhile True: signal.pause()";
    for mode in ["--supervise", "--replace"] {
        let mut terminal = Terminal::bash();
        terminal.type_in(&format!(
            "{} {mode} -- python3 -c $'{}'\n",
            execenv(),
            child.replace('\n', "\\n")
        ));
        terminal.expect("up\r\n");
        for _ in 0..2 {
            terminal.type_in("\x1a");
            terminal.expect("Stopped");
            terminal.expect("prompt> ");
            terminal.type_in("jobs\n");
            terminal.expect("Stopped");
            terminal.expect("prompt> ");
            terminal.type_in("fg\n");
            terminal.expect("back\r\n");
        }
        terminal.type_in("\x03");
        terminal.expect("prompt> ");
        terminal.type_in("echo RC=$?\n");
        let answer = terminal.expect("prompt> ");
        assert!(answer.contains("RC=130"), "{mode}: {answer}");
    }
}

#[test]
fn t16_a_background_job_reads_the_terminal_in_vain() {
    if !has("bash") {
        return not_run("bash is missing");
    }
    let mut terminal = Terminal::bash();
    terminal.type_in(&format!("{} --supervise -- cat &\n", execenv()));
    terminal.expect("prompt> ");
    // The shell tells at its next prompt.
    wait_for("the job to stop", || {
        terminal.type_in("jobs\n");
        terminal.expect("jobs\r\n");
        terminal.expect("prompt> ").contains("Stopped").then_some(())
    });
    terminal.type_in("kill -9 %1\n");
    terminal.expect("prompt> ");
}

#[test]
fn t20_the_terminal_is_read_by_the_child() {
    let args = ["--supervise", "--", "sh", "-c", "echo up; read line; echo \"<$line>\""];
    let mut terminal = Terminal::start(&execenv(), &args);
    terminal.expect("up");
    terminal.type_in("hello\n");
    terminal.expect("<hello>");
    assert_eq!(terminal.code(), Some(0));
}

#[test]
fn t20_a_hundred_megabytes_pass_unchanged() {
    const BLOCK: usize = 1 << 20;
    const BLOCKS: usize = 100;
    // A period that no pipe or block size divides.
    let block: Vec<u8> = (0..BLOCK + 251).map(|i| u8::try_from(i % 251).expect("small")).collect();
    let mut child = exec(&["--supervise", "--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut stdin = child.stdin.take().expect("piped");
    let source = block.clone();
    let writer = thread::spawn(move || {
        for index in 0..BLOCKS {
            let start = index * BLOCK % 251;
            stdin.write_all(&source[start..start + BLOCK]).expect("cat reads");
        }
    });
    let mut stdout = child.stdout.take().expect("piped");
    let mut buffer = vec![0; BLOCK];
    for index in 0..BLOCKS {
        stdout.read_exact(&mut buffer).expect("cat writes");
        let start = index * BLOCK % 251;
        assert!(buffer == block[start..start + BLOCK], "block {index}");
    }
    assert_eq!(stdout.read(&mut buffer).expect("the end"), 0);
    writer.join().expect("no panic");
    assert_eq!(child.wait().expect("ours").code(), Some(0));
}
