//! The builder: what to run, with which environment, and who waits for it.

use std::{
    convert::Infallible,
    ffi::{CStr, CString, OsStr, OsString},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dsops_secure_mem::SecretBytes;

use crate::{
    envblock::{EnvBlock, entry_len},
    error::ExecError,
    lookup,
    name::{Name, is_dangerous},
    outcome::Outcome,
    policy::{EnvPolicy, Merged, Source, merge, split},
    size::Sizes,
    sys,
};

/// A command that gets secrets in its environment.
///
/// The way of use: build it with the names of the secrets ([`announce`](Self::announce)), check it
/// with [`plan`](Self::plan) before anything is fetched, give the values
/// ([`secret`](Self::secret)), then [`run`](Self::run) it, or [`spawn`](Self::spawn) it and drop
/// every other copy of the secrets before [`Running::wait`].
#[derive(Debug)]
pub struct Exec {
    program: OsString,
    args: Vec<OsString>,
    policy: EnvPolicy,
    secrets: Vec<(Name, Option<Arc<SecretBytes>>)>,
    dir: Option<PathBuf>,
    keep_fds: Vec<i32>,
    supervision: Supervision,
    mode: Mode,
    limits: ChildLimits,
    no_core: bool,
}

/// Who is there while the command runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// [`Replace`](Self::Replace), unless an option needs a parent.
    #[default]
    Auto,
    /// The command takes the place of this process: same pid, nothing of us is left.
    Replace,
    /// This process stays as the parent, hands signals on and mirrors the end.
    Supervise,
}

/// A resource limit; `None` is "unlimited".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimit {
    /// The limit in force, in bytes.
    pub soft: Option<u64>,
    /// How far the soft limit may be raised, in bytes.
    pub hard: Option<u64>,
}

/// Limits of the child that differ from this process's own.
///
/// A process that hardens itself (no core files, more lockable memory) must not hand that on: give
/// what the caller had. A field that is `None` leaves the limit as it is in this process.
///
/// ```
/// use dsops_execenv::{ChildLimits, ResourceLimit};
///
/// let core = Some(ResourceLimit { soft: Some(0), hard: None });
/// let limits = ChildLimits { core, ..Default::default() };
/// assert_eq!(limits.memlock, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChildLimits {
    /// `RLIMIT_CORE`.
    pub core: Option<ResourceLimit>,
    /// `RLIMIT_MEMLOCK`.
    pub memlock: Option<ResourceLimit>,
}

/// What a supervisor does besides waiting.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(unix), allow(dead_code, reason = "nothing supervises here"))]
pub(crate) struct Supervision {
    pub(crate) timeout: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) kill_tree: bool,
    pub(crate) adopt_orphans: bool,
    /// The signals the child starts with blocked, a bit each; the caller's when not set.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing is held there"))]
    pub(crate) child_mask: Option<u64>,
}

/// Everything the kernel is told about a new program. Borrowed: it lives for one spawn.
#[cfg_attr(not(unix), allow(dead_code, reason = "nothing starts here"))]
pub(crate) struct Image<'a> {
    pub(crate) path: &'a CStr,
    pub(crate) argv: &'a [CString],
    /// Pointers to `NAME=value` strings that live as long as `'a`, then a null pointer.
    pub(crate) envp: &'a [*const libc::c_char],
    pub(crate) dir: Option<&'a CStr>,
    pub(crate) keep_fds: &'a [i32],
    pub(crate) limits: ChildLimits,
    /// Whether the child and its descendants leave no core file and feed no core handler.
    pub(crate) no_core: bool,
}

/// What would run, before any secret is there. From [`Exec::plan`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The file that would be executed.
    pub program: PathBuf,
    /// [`Mode::Replace`] or [`Mode::Supervise`].
    pub mode: Mode,
    /// The child's variables in the order of its environment.
    pub variables: Vec<PlannedVariable>,
    /// Variables of this process that the child does not get because they are ours.
    pub withheld: Vec<OsString>,
    /// Variables of this process that give way to a secret.
    pub overridden: Vec<OsString>,
    /// Secrets whose names some shells drop; see [`Name::is_portable`].
    pub unportable: Vec<Name>,
}

/// A variable of the child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedVariable {
    /// Its name.
    pub name: OsString,
    /// Whether its value is a secret; else it is inherited.
    pub secret: bool,
}

impl Exec {
    /// How long a timeout waits between asking and killing unless told otherwise.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

    /// A command: a path when it has a `/`, else a name to look up in the child's `PATH`. No shell
    /// is involved; arguments arrive as given.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            policy: EnvPolicy::default(),
            secrets: Vec::new(),
            dir: None,
            keep_fds: Vec::new(),
            supervision: Supervision {
                timeout: None,
                grace: Self::DEFAULT_GRACE,
                kill_tree: false,
                adopt_orphans: true,
                child_mask: None,
            },
            mode: Mode::Auto,
            limits: ChildLimits::default(),
            no_core: false,
        }
    }

    /// Appends arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets what the child inherits. [`EnvPolicy::inherit`] unless given.
    #[must_use]
    pub fn env_policy(mut self, policy: EnvPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Says that a secret of this name will be given. Starting without it is an error.
    #[must_use]
    pub fn announce(mut self, name: Name) -> Self {
        if !self.secrets.iter().any(|(known, _)| *known == name) {
            self.secrets.push((name, None));
        }
        self
    }

    /// Gives a secret. The last value given for a name counts.
    #[must_use]
    pub fn secret(mut self, name: Name, value: impl Into<Arc<SecretBytes>>) -> Self {
        let value = Some(value.into());
        match self.secrets.iter_mut().find(|(known, _)| *known == name) {
            Some((_, slot)) => *slot = value,
            None => self.secrets.push((name, value)),
        }
        self
    }

    /// Sets the child's working directory. A command with a relative path is seen from there.
    #[must_use]
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Hands this open file descriptor on. All others from 3 up are closed.
    #[must_use]
    pub fn keep_fd(mut self, fd: i32) -> Self {
        self.keep_fds.push(fd);
        self
    }

    /// Ends the command and everything it started when `limit` has passed: `SIGTERM` and
    /// `SIGCONT`, after `grace` `SIGKILL`. Needs a supervisor.
    #[must_use]
    pub fn timeout(mut self, limit: Duration, grace: Duration) -> Self {
        self.supervision.timeout = Some(limit);
        self.supervision.grace = grace;
        self
    }

    /// When the command has ended, ends what it left running, as a timeout would. Needs a
    /// supervisor.
    #[must_use]
    pub fn kill_tree(mut self, yes: bool) -> Self {
        self.supervision.kill_tree = yes;
        self
    }

    /// Whether a supervisor takes in and reaps the processes whose parents ended before them
    /// (default: yes). That is what makes the tree complete when it has to be killed.
    ///
    /// While it does, it reaps *every* child of this process. A program that also starts children
    /// by other means says no here, or loses their exit codes.
    #[must_use]
    pub fn adopt_orphans(mut self, yes: bool) -> Self {
        self.supervision.adopt_orphans = yes;
        self
    }

    /// Starts the command with the signals that were let through before `held`, which stay held in
    /// this process beyond the command's end: what has to be put right after it is not cut short.
    ///
    /// # Platform
    /// Linux only.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn with_held_signals(mut self, held: &crate::HeldSignals) -> Self {
        self.supervision.child_mask = Some(held.before());
        self
    }

    /// Sets who is there while the command runs.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Gives the child limits that differ from this process's own.
    #[must_use]
    pub fn child_limits(mut self, limits: ChildLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Keeps the child and its descendants from leaving core dumps, which would hold the secrets
    /// in their environments: `RLIMIT_CORE` is 1 byte, too small for a file and the kernel's own
    /// sign for "no core handler either".
    #[must_use]
    pub fn child_no_core(mut self, yes: bool) -> Self {
        self.no_core = yes;
        self
    }

    /// Finds the command and settles the environment without touching a secret. Call it before
    /// fetching: a typo then costs nothing.
    ///
    /// # Errors
    /// Whatever would keep the command from starting and can be known before the values are:
    /// see [`ExecError`].
    pub fn plan(&self) -> Result<Plan, ExecError> {
        let mode = self.effective_mode()?;
        self.check_names()?;
        sys::with_environ(|environ| {
            let inherited: Vec<&[u8]> = environ.iter().map(|entry| entry.to_bytes()).collect();
            let (merged, program) = self.settle(&inherited)?;
            let name_of = |index: usize| os_string(split(inherited[index]).unwrap_or_default().0);
            Ok(Plan {
                program,
                mode,
                variables: merged
                    .entries
                    .iter()
                    .map(|source| match *source {
                        Source::Inherited(index) => {
                            PlannedVariable { name: name_of(index), secret: false }
                        }
                        Source::Secret(index) => PlannedVariable {
                            name: self.secrets[index].0.as_str().into(),
                            secret: true,
                        },
                    })
                    .collect(),
                withheld: merged.withheld.iter().copied().map(name_of).collect(),
                overridden: merged.overridden.iter().copied().map(name_of).collect(),
                unportable: self
                    .secrets
                    .iter()
                    .map(|(name, _)| name)
                    .filter(|name| !name.is_portable())
                    .cloned()
                    .collect(),
            })
        })
    }

    /// Replaces this process by the command. On success it does not return.
    ///
    /// # Errors
    /// [`ExecError`]. After a failed `execve` the open file descriptors from 3 up are marked
    /// close-on-exec and the working directory may have changed: report the error and end.
    ///
    /// # Platform
    /// Unix only.
    pub fn replace(self) -> Result<Infallible, ExecError> {
        if let Some(feature) = self.needs_parent() {
            return Err(ExecError::NeedsParent { feature });
        }
        self.launch(sys::replace)
    }

    /// Starts the command as a child of the calling thread, and wipes the block its secrets were
    /// laid out in. This value and its share of the secrets are dropped; drop your own before
    /// [`Running::wait`], and nothing of a secret is left in this process while the child runs.
    ///
    /// Call it from the main thread, before other threads exist or with their signals blocked:
    /// signals sent to this process can be handed on only if no other thread takes them, and the
    /// kernel ends the child when the *thread* that started it ends.
    ///
    /// # Errors
    /// [`ExecError`]; then no child is left behind.
    ///
    /// # Platform
    /// Linux; macOS without timeout and tree kill.
    pub fn spawn(self) -> Result<Running, ExecError> {
        let supervision = self.supervision;
        self.launch(|image| sys::spawn(image, supervision)).map(Running)
    }

    /// Runs the command in the mode chosen: replaces this process and does not return, or
    /// [`spawn`](Self::spawn)s and [`wait`](Running::wait)s.
    ///
    /// # Errors
    /// [`ExecError`].
    pub fn run(self) -> Result<Outcome, ExecError> {
        match self.effective_mode()? {
            Mode::Replace => match self.replace()? {},
            Mode::Auto | Mode::Supervise => self.spawn()?.wait(),
        }
    }

    /// The environment and the file to execute, with everything checked that can be.
    fn settle(&self, inherited: &[&[u8]]) -> Result<(Merged, PathBuf), ExecError> {
        let merged = self.merge(inherited);
        let program = self.locate(inherited, &merged)?;
        self.check_dir()?;
        self.check_fds()?;
        self.check_sizes(&program, inherited, &merged)?;
        Ok((merged, program))
    }

    fn launch<R>(
        &self,
        start: impl FnOnce(&Image<'_>) -> Result<R, ExecError>,
    ) -> Result<R, ExecError> {
        self.check_names()?;
        sys::with_environ(|environ| {
            let inherited: Vec<&[u8]> = environ.iter().map(|entry| entry.to_bytes()).collect();
            let (merged, program) = self.settle(&inherited)?;
            let path = c_string(program.as_os_str(), 0)?;
            let mut argv = vec![c_string(&self.program, 0)?];
            for (index, arg) in self.args.iter().enumerate() {
                argv.push(c_string(arg, index + 1)?);
            }
            let dir = self.dir.as_ref().map(|dir| c_string(dir.as_os_str(), 0)).transpose()?;

            let mut chosen = Vec::new();
            for source in &merged.entries {
                if let Source::Secret(index) = *source {
                    let (name, value) = &self.secrets[index];
                    let value = value
                        .as_ref()
                        .ok_or_else(|| ExecError::MissingSecret { name: name.clone() })?;
                    chosen.push((name, value));
                }
            }
            let block = EnvBlock::build(&chosen)?;
            let open = block.open()?;
            let mut next_secret = 0..;
            let envp: Vec<*const libc::c_char> = merged
                .entries
                .iter()
                .map(|source| match *source {
                    Source::Inherited(index) => environ[index].as_ptr(),
                    Source::Secret(_) => open.entry(next_secret.next().expect("endless range")),
                })
                .chain([std::ptr::null()])
                .collect();
            start(&Image {
                path: &path,
                argv: &argv,
                envp: &envp,
                dir: dir.as_deref(),
                keep_fds: &self.keep_fds,
                limits: self.limits,
                no_core: self.no_core,
            })
            // Here `open` and `block` end: the strings are wiped, the child has its own copy.
        })
    }

    fn effective_mode(&self) -> Result<Mode, ExecError> {
        match (self.mode, self.needs_parent()) {
            (Mode::Replace, Some(feature)) => Err(ExecError::NeedsParent { feature }),
            (Mode::Supervise, _) | (Mode::Auto, Some(_)) => Ok(Mode::Supervise),
            (Mode::Replace | Mode::Auto, None) => Ok(Mode::Replace),
        }
    }

    fn needs_parent(&self) -> Option<&'static str> {
        if self.supervision.timeout.is_some() {
            Some("a timeout")
        } else if self.supervision.child_mask.is_some() {
            Some("signals held beyond its end")
        } else if self.supervision.kill_tree {
            Some("ending what the command leaves running")
        } else {
            None
        }
    }

    fn check_names(&self) -> Result<(), ExecError> {
        for (name, _) in &self.secrets {
            if is_dangerous(name.as_str()) && !self.policy.allows_dangerous(name.as_str()) {
                return Err(ExecError::Dangerous { name: name.clone() });
            }
        }
        Ok(())
    }

    fn check_dir(&self) -> Result<(), ExecError> {
        let Some(path) = &self.dir else { return Ok(()) };
        let failed = |source| ExecError::WorkingDir { path: path.clone(), source };
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if metadata.is_dir() {
            Ok(())
        } else {
            Err(failed(std::io::ErrorKind::NotADirectory.into()))
        }
    }

    fn check_fds(&self) -> Result<(), ExecError> {
        match self.keep_fds.iter().find(|&&fd| !sys::is_open(fd)) {
            Some(&fd) => Err(ExecError::KeptFd { fd }),
            None => Ok(()),
        }
    }

    fn merge(&self, inherited: &[&[u8]]) -> Merged {
        let names: Vec<&Name> = self.secrets.iter().map(|(name, _)| name).collect();
        merge(inherited, &names, &self.policy, !self.keep_fds.is_empty())
    }

    /// Finds the command in the `PATH` that the child will have.
    fn locate(&self, inherited: &[&[u8]], merged: &Merged) -> Result<PathBuf, ExecError> {
        let mut search = None;
        for source in &merged.entries {
            match *source {
                Source::Inherited(index) => {
                    if let Some((b"PATH", value)) = split(inherited[index]) {
                        search = Some(os_string(value));
                    }
                }
                Source::Secret(index) if self.secrets[index].0.as_str() == "PATH" => {
                    if !self.program.as_encoded_bytes().contains(&b'/') {
                        let program = self.program.to_string_lossy().into_owned();
                        return Err(ExecError::PathFromSecret { program });
                    }
                }
                Source::Secret(_) => {}
            }
        }
        lookup::find(&self.program, search.as_deref(), self.dir.as_deref())
    }

    fn check_sizes(
        &self,
        program: &Path,
        inherited: &[&[u8]],
        merged: &Merged,
    ) -> Result<(), ExecError> {
        let arguments: Vec<usize> =
            std::iter::once(&self.program).chain(&self.args).map(|arg| arg.len()).collect();
        let entries: Vec<(&[u8], usize)> = merged
            .entries
            .iter()
            .map(|source| match *source {
                Source::Inherited(index) => {
                    (split(inherited[index]).unwrap_or_default().0, inherited[index].len())
                }
                Source::Secret(index) => {
                    let (name, value) = &self.secrets[index];
                    let value_len = value.as_ref().map_or(0, |value| value.len());
                    (name.as_str().as_bytes(), entry_len(name, value_len))
                }
            })
            .collect();
        let limits = sys::size_limits();
        let mut sizes = Sizes {
            path_bytes: program.as_os_str().len(),
            arguments: &arguments,
            entries: &entries,
            script_bytes: 0,
        };
        sizes.check(limits)?;
        // Only near the limit does it matter whether the command is a script.
        let script_bytes = SHEBANG_BYTES + sizes.path_bytes + 4;
        if sizes.total_bytes() + script_bytes > limits.total_bytes
            && is_script(&self.dir.as_deref().unwrap_or(Path::new("")).join(program))
        {
            sizes.script_bytes = script_bytes;
            sizes.check(limits)?;
        }
        Ok(())
    }
}

/// How much of a script's first line the kernel reads (`BINPRM_BUF_SIZE`).
const SHEBANG_BYTES: usize = 256;

fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"#!"
}

fn c_string(text: &OsStr, index: usize) -> Result<CString, ExecError> {
    CString::new(text.as_encoded_bytes()).map_err(|_| ExecError::NulInArgument { index })
}

#[cfg(unix)]
fn os_string(bytes: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(bytes).to_owned()
}

#[cfg(not(unix))]
fn os_string(bytes: &[u8]) -> OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}

/// A started command. Stays on the thread that started it.
///
/// Dropping it without [`wait`](Self::wait) kills the command: a child with secrets does not
/// outlive the one who is responsible for it.
#[derive(Debug)]
#[must_use = "dropping it kills the command"]
pub struct Running(sys::Supervised);

impl Running {
    /// The child's process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for the command to end, hands signals on meanwhile, and enforces the timeout.
    ///
    /// # Errors
    /// [`ExecError::Os`] when the system refuses to wait; the child is killed then.
    pub fn wait(self) -> Result<Outcome, ExecError> {
        self.0.wait()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect("valid")
    }

    #[test]
    fn options_that_need_a_parent_decide_the_mode() {
        let second = Duration::from_secs(1);
        let mode = |exec: Exec| exec.plan().map(|plan| plan.mode);
        assert_eq!(mode(Exec::new("sh")).expect("sh"), Mode::Replace);
        assert_eq!(mode(Exec::new("sh").timeout(second, second)).expect("sh"), Mode::Supervise);
        assert_eq!(mode(Exec::new("sh").kill_tree(true)).expect("sh"), Mode::Supervise);
        let error = mode(Exec::new("sh").kill_tree(true).mode(Mode::Replace));
        assert!(matches!(error, Err(ExecError::NeedsParent { .. })));
    }

    #[test]
    fn a_dangerous_secret_is_refused_until_allowed() {
        let exec = Exec::new("sh").announce(name("LD_PRELOAD"));
        assert!(matches!(exec.plan(), Err(ExecError::Dangerous { .. })));
        let exec = exec.env_policy(EnvPolicy::inherit().allow_dangerous("LD_PRELOAD"));
        assert!(exec.plan().expect("allowed").variables.iter().any(|v| v.secret));
    }

    #[test]
    fn a_path_from_a_secret_needs_an_absolute_command() {
        let policy = EnvPolicy::inherit().allow_dangerous("PATH");
        let plan = |program: &str| {
            Exec::new(program).announce(name("PATH")).env_policy(policy.clone()).plan()
        };
        assert!(matches!(plan("sh"), Err(ExecError::PathFromSecret { .. })));
        assert!(plan("/bin/sh").is_ok());
    }

    #[test]
    fn an_announced_secret_must_be_given() {
        let error = Exec::new("true").announce(name("A")).spawn().expect_err("no value");
        assert!(matches!(error, ExecError::MissingSecret { .. }));
    }

    #[test]
    fn a_missing_directory_or_descriptor_is_found_early() {
        let error = Exec::new("true").current_dir("/nonexistent").plan();
        assert!(matches!(error, Err(ExecError::WorkingDir { .. })));
        let error = Exec::new("true").keep_fd(987_654).plan();
        assert!(matches!(error, Err(ExecError::KeptFd { fd: 987_654 })));
    }
}
