//! What an observer uses: maps, memory of processes, cores, and ways to start a probe.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    os::unix::{fs::FileExt, process::CommandExt},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_mins(2);
/// Markers travel between processes under this mask, so that no pipe buffer holds one.
const MASK: u8 = 0x5C;

pub fn program() -> std::path::PathBuf {
    std::env::current_exe().unwrap()
}

pub fn probe(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(["--probe", name]).args(arguments);
    command
}

/// Runs a command; a hang is a failure, not a wait.
pub fn finish(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{command:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

pub fn succeed(command: Command) -> String {
    let what = format!("{command:?}");
    let output = finish(command);
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// A probe that talks line by line.
pub struct Talk {
    pub child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Talk {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub fn go_on(&mut self) {
        self.input.write_all(b"\n").unwrap();
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In a probe: waits for [`Talk::go_on`].
pub fn wait() {
    std::io::stdout().flush().unwrap();
    let mut byte = [0];
    // One byte by a plain read: no buffer of the library remembers anything.
    std::io::Read::read_exact(&mut File::open("/proc/self/fd/0").unwrap(), &mut byte).unwrap();
}

pub fn masked(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{:02x}", byte ^ MASK).unwrap();
        text
    })
}

pub fn unmask(text: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(|at| digits(at) ^ MASK).collect()
}

/// A mapping of a process: range and name.
pub struct Map {
    pub start: u64,
    pub end: u64,
    pub name: String,
}

pub fn maps(pid: &str) -> Vec<Map> {
    let text = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    text.lines()
        .map(|line| {
            let mut fields = line.split_whitespace();
            let (start, end) = fields.next().unwrap().split_once('-').unwrap();
            let hex = |text| u64::from_str_radix(text, 16).unwrap();
            let name = fields.skip(4).collect::<Vec<_>>().join(" ");
            Map { start: hex(start), end: hex(end), name }
        })
        .collect()
}

/// Copies of `needle` in `/proc/PID/mem`; pages that can't be read are passed over.
pub fn copies_by_mem(pid: &str, needle: &[u8]) -> usize {
    let mem = File::open(format!("/proc/{pid}/mem")).unwrap();
    count_copies(pid, needle, |at, room| mem.read_at(room, at).ok())
}

/// Copies of `needle` that `process_vm_readv` shows.
pub fn copies_by_readv(pid: &str, needle: &[u8]) -> usize {
    let number = pid.parse().unwrap();
    count_copies(pid, needle, |at, room| {
        let local = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
        let remote = libc::iovec { iov_base: at as *mut libc::c_void, iov_len: room.len() };
        // SAFETY: writes into the buffer only; the other process's addresses are checked by the kernel.
        let count =
            unsafe { libc::process_vm_readv(number, &raw const local, 1, &raw const remote, 1, 0) };
        usize::try_from(count).ok()
    })
}

fn count_copies(
    pid: &str,
    needle: &[u8],
    mut read: impl FnMut(u64, &mut [u8]) -> Option<usize>,
) -> usize {
    const STEP: usize = 1 << 16;
    let mut found = 0;
    let mut room = vec![0; STEP + needle.len() - 1];
    for map in maps(pid) {
        let mut at = map.start;
        while at < map.end {
            let want = usize::try_from(map.end - at).unwrap().min(room.len());
            let got = read(at, &mut room[..want]).unwrap_or(0);
            found += count_in(&room[..got], needle);
            at += STEP as u64;
        }
    }
    room.fill(0);
    std::hint::black_box(&room);
    found
}

pub fn count_in(hay: &[u8], needle: &[u8]) -> usize {
    hay.windows(needle.len()).filter(|window| window == &needle).count()
}

pub fn status_kib(field: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

pub fn is_root() -> bool {
    // SAFETY: reads our own id.
    unsafe { libc::geteuid() == 0 }
}

/// Has a command run as a plain user, from a copy of this program that everybody may read.
pub fn as_plain_user(directory: &Path, shell_prefix: &str, arguments: &[&str]) -> Command {
    let copy = directory.join("probe");
    if !copy.exists() {
        fs::copy(program(), &copy).unwrap();
        let open = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(directory, open(0o777)).unwrap();
        fs::set_permissions(&copy, open(0o755)).unwrap();
    }
    let script = format!("{shell_prefix}; exec \"$0\" --probe \"$@\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(&copy).args(arguments).current_dir(directory);
    if is_root() {
        command.uid(65534).gid(65534);
    }
    command
}
