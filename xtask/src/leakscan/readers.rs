//! Tries to read a running program as another process of the same user.

use std::{
    fmt::Write as _,
    fs,
    io::Read as _,
    path::Path,
    process::Child,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::{
    sys::{
        ptrace,
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};

use super::{
    binaries::publish,
    memory::{Memory, vm_readv},
    project::run,
    report::Report,
    stages::Marked,
    tracer::{Launch, Stopped},
};

/// What the reader tries, as it names it in its lines.
const TRIES: [&str; 5] = ["maps", "mem", "environ", "process_vm_readv", "ptrace attach"];

/// The word of a try that was refused.
const REFUSED: &str = "refused";

/// A reader of the same user must be refused by `dsops` and let in by the control.
///
/// # Errors
/// A program cannot be started.
pub fn check(marked: &Marked, control: &Path, report: &mut Report) -> anyhow::Result<()> {
    let answers = read(marked, &marked.exec("supervise", "60"))?;
    for (name, answer) in &answers {
        let what = format!("exec, read by the same user: {name}");
        report.check(answer.starts_with(REFUSED), &what, answer);
    }
    report.check(
        answers.len() == TRIES.len(),
        "the reader tried everything",
        &answers.len().to_string(),
    );
    for (name, answer) in read(marked, &marked.control(control, "60")?)? {
        let what = format!("control, read by the same user: {name} is let in");
        if name == "ptrace attach" && yama() {
            report.not_run(&what, "Yama restricts ptrace for every program");
        } else {
            report.check(answer == "read", &what, &answer);
        }
    }
    Ok(())
}

/// Starts `launch`, and the reader once its child runs.
fn read(marked: &Marked, launch: &Launch) -> anyhow::Result<Vec<(String, String)>> {
    let project = &marked.project;
    let process = start(launch, project.folder())?;
    let pid = process.pid();
    let mapping = Memory::open(pid)?.mappings()?.into_iter().next().context("it has no memory")?;
    let reader = publish(&std::env::current_exe()?, project.folder())?;
    let words = [
        reader.into(),
        "leakscan".into(),
        "--read".into(),
        pid.to_string().into(),
        mapping.start.to_string().into(),
    ];
    let ran = run(&project.launch_program(words))?;
    anyhow::ensure!(
        ran.status.success(),
        "the reader failed: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let text = String::from_utf8(ran.stdout).context("the reader writes text")?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, answer)| (name.to_owned(), answer.to_owned()))
        .collect())
}

/// Starts a run whose child says `ready`, and waits for that word.
///
/// # Errors
/// It does not start, or the word does not come.
pub fn start(launch: &Launch, folder: &Path) -> anyhow::Result<Stopped> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let output = tempfile::NamedTempFile::new_in(folder)?;
    let launch = Launch { output: Some(output.path().into()), ..launch.clone() };
    let child: Child = launch.command()?.spawn().context("cannot start the program")?;
    let process = Stopped::new(child);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = fs::read_to_string(output.path())?;
        if said.contains("ready\n") {
            return Ok(process);
        }
        anyhow::ensure!(Instant::now() < deadline, "the child never ran: {said}");
        sleep(Duration::from_millis(5));
    }
}

/// The reader itself, started as the plain user: prints what it could read of a process.
///
/// # Errors
/// The arguments are not a process and an address.
pub fn read_as_other(arguments: &[String]) -> anyhow::Result<()> {
    let [pid, address] = arguments else { anyhow::bail!("--read takes PID and ADDRESS") };
    let pid = Pid::from_raw(pid.parse().context("PID")?);
    let address: usize = address.parse().context("ADDRESS")?;
    let answer = |result: Result<(), String>| match result {
        Ok(()) => "read".to_owned(),
        Err(error) => format!("{REFUSED}: {error}"),
    };
    let first_byte = |name: &str| {
        fs::File::open(format!("/proc/{pid}/{name}"))
            .and_then(|mut file| file.read_exact(&mut [0]))
            .map_err(|error| error.to_string())
    };
    // To open it is to be let in: the first byte of the address space is nobody's.
    let open = |name: &str| {
        fs::File::open(format!("/proc/{pid}/{name}")).map(drop).map_err(|error| error.to_string())
    };
    let attach = || {
        ptrace::attach(pid).map_err(|error| error.to_string())?;
        waitpid(pid, Some(WaitPidFlag::__WALL)).map_err(|error| error.to_string())?;
        ptrace::detach(pid, None).map_err(|error| error.to_string())
    };
    let answers = [
        answer(first_byte("maps")),
        answer(open("mem")),
        answer(first_byte("environ")),
        answer(vm_readv(pid, address, &mut [0]).map(drop).map_err(|error| error.to_string())),
        answer(attach()),
    ];
    let mut text = String::new();
    for (name, answer) in TRIES.iter().zip(answers) {
        writeln!(text, "{name}: {answer}")?;
    }
    print!("{text}");
    Ok(())
}

/// Whether the Yama security module limits who may attach.
fn yama() -> bool {
    fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").is_ok_and(|scope| scope.trim() != "0")
}
