//! Searches a traced program for its secrets at every stop, and says at which stage of its work
//! each was found.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use nix::libc;

use super::{
    memory::{Memory, Way},
    needles::Secret,
    scanner::{Hit, Scanner},
    tracer::{Call, End, Event, Launch, Next, Stop, trace},
};

/// How far a run has come, told from its system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Loaded, nothing of the project opened.
    Start,
    /// The configuration is open or read.
    Config,
    /// The identity's file is open or read.
    Identity,
    /// The store's file is open or read.
    Store,
    /// The child is about to be made, or what is to be signed is read: every secret is there.
    Resolved,
    /// The child runs.
    Running,
    /// The child has ended, or the program is about to.
    After,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Start => "start",
            Self::Config => "config read",
            Self::Store => "store opened",
            Self::Identity => "identity read",
            Self::Resolved => "resolved",
            Self::Running => "child running",
            Self::After => "after",
        })
    }
}

/// What was searched and found at one stage.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Stops, each of them searched.
    pub stops: usize,
    /// Bytes searched through `/proc/PID/mem`.
    pub mem_bytes: usize,
    /// Bytes searched through `process_vm_readv`.
    pub readv_bytes: usize,
    /// Different places where a piece was found, by way.
    pub mem_hits: usize,
    /// The same for `process_vm_readv`.
    pub readv_hits: usize,
    /// Stops at which a register held a piece.
    pub register_hits: usize,
}

impl Tally {
    /// All hits.
    pub fn hits(&self) -> usize {
        self.mem_hits + self.readv_hits + self.register_hits
    }
}

/// What a traced run showed.
#[derive(Debug)]
pub struct Observed {
    /// What was found, by stage.
    pub stages: BTreeMap<Stage, Tally>,
    /// Each hit in words: what, where, when.
    pub details: Vec<String>,
    /// Files the program opened so that it could write to them.
    pub opened_for_writing: Vec<String>,
    /// Writes whose bytes an observer could not read: they come from hidden memory.
    pub hidden_writes: Vec<String>,
    /// Whether some of an environment handed to `execve` lay in hidden memory.
    pub hidden_environment: Option<bool>,
    /// How the run ended.
    pub end: End,
}

impl Observed {
    /// The hits from `stage` on.
    pub fn hits_from(&self, stage: Stage) -> usize {
        self.stages.range(stage..).map(|(_, tally)| tally.hits()).sum()
    }
}

/// What to look for, with the names for the report.
#[derive(Debug)]
pub struct Search {
    scanner: Scanner,
    secrets: Vec<Secret>,
}

impl Search {
    /// Prepares a search for `secrets`.
    pub fn new(secrets: Vec<Secret>) -> anyhow::Result<Self> {
        Ok(Self { scanner: Scanner::new(super::needles::needles(&secrets))?, secrets })
    }

    /// How many needles are looked for.
    pub fn needles(&self) -> usize {
        self.scanner.needles().len()
    }

    /// The secrets.
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// Every hit in `bytes`, in words.
    pub fn describe_all(&self, bytes: &[u8]) -> Vec<String> {
        self.scanner.scan(bytes).iter().map(|hit| self.describe(hit)).collect()
    }

    /// A hit in words: what, not its value.
    fn describe(&self, hit: &Hit) -> String {
        let needle = &self.scanner.needles()[hit.needle];
        format!(
            "{} of the secret `{}` ({}), {} of {} bytes from {}",
            if hit.len == needle.bytes.len() { "all" } else { "a piece" },
            self.secrets[needle.secret].name,
            needle.encoding,
            hit.len,
            needle.bytes.len(),
            hit.from,
        )
    }

    /// Runs `launch`, searching at every stop. At `leave_at` (asked before each stop is passed) the
    /// program is left standing.
    ///
    /// # Errors
    /// Tracing fails, or nothing could be read at a stop.
    pub fn observe(
        &self,
        launch: &Launch,
        leave_at: &dyn Fn(Stage, &Stop<'_>) -> bool,
    ) -> anyhow::Result<Observed> {
        watch(Look::new(self), launch, leave_at)
    }

    /// As [`Self::observe`], to the end. Of the secrets with these names a hit counts from
    /// [`Stage::Resolved`] on only: they were in the environment the program was started with, which
    /// the kernel puts on the stack before the first instruction.
    ///
    /// # Errors
    /// As there.
    pub fn observe_given(&self, launch: &Launch, given: &[String]) -> anyhow::Result<Observed> {
        let given = |secret: &Secret| given.contains(&secret.name);
        let given = self.secrets.iter().map(given).collect();
        watch(Look { given, ..Look::new(self) }, launch, &|_, _| false)
    }
}

/// Traces a run to its end, or to where it is left.
fn watch(
    mut look: Look<'_>,
    launch: &Launch,
    leave_at: &dyn Fn(Stage, &Stop<'_>) -> bool,
) -> anyhow::Result<Observed> {
    let end = trace(launch, &mut |stop| {
        look.advance(stop);
        look.search_stop(stop)?;
        look.note_call(stop);
        let leave = leave_at(look.stage, stop);
        look.pass(stop);
        Ok(if leave { Next::Leave } else { Next::Go })
    })?;
    let Look { stages, details, opened_for_writing, hidden_writes, hidden_environment, .. } = look;
    Ok(Observed { stages, details, opened_for_writing, hidden_writes, hidden_environment, end })
}

/// One run while it is watched.
struct Look<'a> {
    search: &'a Search,
    stage: Stage,
    /// For each secret, whether it counts only once everything is resolved.
    given: Vec<bool>,
    /// Hits already counted at this stage: way, needle, place in it, address.
    seen: BTreeSet<(bool, usize, usize, usize)>,
    stages: BTreeMap<Stage, Tally>,
    details: Vec<String>,
    opened_for_writing: Vec<String>,
    hidden_writes: Vec<String>,
    hidden_environment: Option<bool>,
}

impl<'a> Look<'a> {
    fn new(search: &'a Search) -> Self {
        Self {
            search,
            stage: Stage::Start,
            given: vec![false; search.secrets.len()],
            seen: BTreeSet::new(),
            stages: BTreeMap::new(),
            details: Vec::new(),
            opened_for_writing: Vec::new(),
            hidden_writes: Vec::new(),
            hidden_environment: None,
        }
    }

    /// Enters the stage that begins with this stop.
    fn advance(&mut self, stop: &Stop<'_>) {
        match stop.event {
            Event::Entry(call) if makes_a_child(call) => self.enter(Stage::Resolved),
            Event::Entry(call) if call.number == libc::SYS_exit_group => self.enter(Stage::After),
            Event::Exit(call, result) if call.number == libc::SYS_wait4 && result > 0 => {
                self.enter(Stage::After);
            }
            Event::Exit(call, 0) if call.number == libc::SYS_waitid => self.enter(Stage::After),
            Event::Exit(call, result) if result >= 0 => {
                if let Some(path) = opened_path(call, stop.memory) {
                    self.enter(stage_of_file(&path, self.stage).unwrap_or(self.stage));
                }
            }
            _ => {}
        }
    }

    /// Enters the stage that begins behind this stop.
    fn pass(&mut self, stop: &Stop<'_>) {
        match stop.event {
            Event::Exit(call, child) if stop.is_main && makes_a_child(call) && child > 0 => {
                self.enter(Stage::Running);
            }
            Event::ChildRuns => self.enter(Stage::Running),
            _ => {}
        }
    }

    /// Stages only go forward.
    fn enter(&mut self, stage: Stage) {
        if stage > self.stage {
            self.stage = stage;
            self.seen.clear();
        }
    }

    /// Reads and searches everything.
    fn search_stop(&mut self, stop: &mut Stop<'_>) -> anyhow::Result<()> {
        if stop.event == Event::ChildRuns {
            return Ok(());
        }
        let when = describe_event(stop.event);
        for way in [Way::ProcMem, Way::VmReadv] {
            let runs = stop.memory.runs(way)?;
            let bytes: usize = runs.iter().map(|run| run.bytes.len()).sum();
            let mut new = Vec::new();
            for run in &runs {
                for hit in self.search.scanner.scan(run.bytes) {
                    if self.is_given(&hit) {
                        continue;
                    }
                    let address = run.start + hit.at;
                    if self.seen.insert((way == Way::ProcMem, hit.needle, hit.from, address)) {
                        new.push((hit, address));
                    }
                }
            }
            let tally = self.stages.entry(self.stage).or_default();
            match way {
                Way::ProcMem => {
                    // Something must always be there to read; nothing means the search is blind.
                    anyhow::ensure!(bytes > 0, "no memory could be read {when}");
                    tally.stops += 1;
                    tally.mem_bytes += bytes;
                    tally.mem_hits += new.len();
                }
                Way::VmReadv => {
                    tally.readv_bytes += bytes;
                    tally.readv_hits += new.len();
                }
            }
            for (hit, address) in new {
                let what = self.search.describe(&hit);
                let mapping = stop.memory.name_of(address);
                let stage = self.stage;
                self.details.push(format!(
                    "{stage}, {when}: {what} at {address:#x} in `{mapping}` ({way:?})"
                ));
            }
        }
        let registers = stop.registers()?;
        let hits = self.search.scanner.scan_pieces(&registers, 8);
        if let Some(hit) = hits.iter().find(|hit| !self.is_given(hit)) {
            let (what, stage) = (self.search.describe(hit), self.stage);
            self.details.push(format!("{stage}, {when}: {what} in a register ({})", hit.at));
            self.stages.entry(stage).or_default().register_hits += 1;
        }
        Ok(())
    }

    /// Whether a hit does not count yet.
    fn is_given(&self, hit: &Hit) -> bool {
        let secret = self.search.scanner.needles()[hit.needle].secret;
        self.stage < Stage::Resolved && self.given[secret]
    }

    /// Notes files opened for writing, writes from hidden memory, and where `execve`'s words lie.
    fn note_call(&mut self, stop: &Stop<'_>) {
        let Event::Entry(call) = stop.event else { return };
        let [first, second, third, ..] = call.arguments;
        match call.number {
            libc::SYS_open | libc::SYS_openat | libc::SYS_creat | libc::SYS_openat2
                if opens_for_writing(call, stop.memory) =>
            {
                let path = path_argument(call, stop.memory).unwrap_or_else(|| "?".into());
                self.opened_for_writing.push(path);
            }
            libc::SYS_memfd_create => self.opened_for_writing.push("a memfd".into()),
            libc::SYS_write | libc::SYS_pwrite64 | libc::SYS_sendto
                if third > 0 && !readable(stop.memory, second) =>
            {
                self.hidden_writes.push(format!("{third} bytes to descriptor {first}"));
            }
            libc::SYS_writev | libc::SYS_pwritev | libc::SYS_pwritev2 => {
                for pair in 0..third {
                    let [base, len] =
                        [0, 8].map(|field| word_at(stop.memory, second + pair * 16 + field));
                    if len.is_some_and(|len| len > 0)
                        && !base.is_some_and(|at| readable(stop.memory, at))
                    {
                        self.hidden_writes.push(format!("part of a writev to descriptor {first}"));
                    }
                }
            }
            libc::SYS_execve => {
                let mut argument = second;
                while let Some(text) = word_at(stop.memory, argument).filter(|&text| text != 0) {
                    if !readable(stop.memory, text) {
                        self.hidden_writes.push("an argument of the child".into());
                    }
                    argument += 8;
                }
                self.hidden_environment = Some(partly_hidden(stop.memory, third));
            }
            _ => {}
        }
    }
}

/// Calls after which there is another process or program.
pub fn makes_a_child(call: Call) -> bool {
    const THREAD: u64 = 0x0001_0000; // CLONE_THREAD, from linux/sched.h
    match call.number {
        libc::SYS_clone => call.arguments[0] & THREAD == 0,
        libc::SYS_clone3 | libc::SYS_fork | libc::SYS_vfork | libc::SYS_execve => true,
        _ => false,
    }
}

/// The stage that begins when this file is open, after what there was before.
fn stage_of_file(path: &str, before: Stage) -> Option<Stage> {
    let name = path.rsplit('/').next()?;
    match name {
        "dsops.yaml" => Some(Stage::Config),
        // The second is the file the control reads.
        "secrets.sops.yaml" | "secret.txt" => Some(Stage::Store),
        "keys.txt" => Some(Stage::Identity),
        name if name.rsplit_once('.').is_some_and(|(_, kind)| kind == "key") => {
            Some(Stage::Identity)
        }
        // What is signed is looked at before the key is read, and read afterwards.
        "artifact" if before >= Stage::Identity => Some(Stage::Resolved),
        _ => None,
    }
}

/// The path of an `open` or `openat`.
fn opened_path(call: Call, memory: &Memory) -> Option<String> {
    matches!(call.number, libc::SYS_open | libc::SYS_openat | libc::SYS_openat2)
        .then(|| path_argument(call, memory))?
}

fn path_argument(call: Call, memory: &Memory) -> Option<String> {
    let at = match call.number {
        libc::SYS_open | libc::SYS_creat => call.arguments[0],
        _ => call.arguments[1],
    };
    memory.c_string(usize::try_from(at).ok()?)
}

fn opens_for_writing(call: Call, memory: &Memory) -> bool {
    let flags = match call.number {
        libc::SYS_open => call.arguments[1],
        libc::SYS_openat => call.arguments[2],
        libc::SYS_openat2 => word_at(memory, call.arguments[2]).unwrap_or(u64::MAX),
        _ => return true, // creat
    };
    let writing = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_TMPFILE;
    // O_TMPFILE contains O_DIRECTORY, which alone opens nothing for writing.
    flags & u64::from((writing & !libc::O_DIRECTORY).cast_unsigned()) != 0
}

/// Whether some of the strings that a list of pointers names, or the list, cannot be read.
fn partly_hidden(memory: &Memory, list: u64) -> bool {
    let mut at = list;
    loop {
        match word_at(memory, at) {
            None => return true,
            Some(0) => return false,
            Some(text) if !readable(memory, text) => return true,
            Some(_) => at += 8,
        }
    }
}

/// Whether an observer can read the byte at `at`.
fn readable(memory: &Memory, at: u64) -> bool {
    usize::try_from(at).is_ok_and(|at| memory.read(Way::ProcMem, at, &mut [0]) == 1)
}

/// The eight bytes at `at`.
fn word_at(memory: &Memory, at: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    let read = memory.read(Way::ProcMem, usize::try_from(at).ok()?, &mut bytes);
    (read == bytes.len()).then(|| u64::from_le_bytes(bytes))
}

/// A stop in words.
fn describe_event(event: Event) -> String {
    match event {
        Event::Start => "as it is loaded".into(),
        Event::Entry(call) => format!("before system call {}", call.number),
        Event::Exit(call, result) => format!("after system call {} = {result}", call.number),
        Event::ChildRuns => "as the child runs".into(),
    }
}
