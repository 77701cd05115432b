//! The truthful report: which protection holds, which doesn't, why not, and what to do about it.

use std::fmt;

/// How well a region of memory is protected, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// Linux `memfd_secret`: not even root reads it through `ptrace`, `/proc/PID/mem` or a core file.
    SecretMemory,
    /// Anonymous pages locked in memory, left out of core files where the system can, encrypted at rest.
    Locked,
    /// Anonymous pages that may be swapped; encrypted at rest and wiped after use.
    WipeOnly,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecretMemory => "hidden memory (memfd_secret)",
            Self::Locked => "locked memory",
            Self::WipeOnly => "unlocked memory, wiped after use",
        })
    }
}

/// A resource limit as the system counts it, in bytes; the system's "unlimited" is its largest number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit {
    /// What applies now; may be raised up to `hard`.
    pub soft: u64,
    /// The ceiling.
    pub hard: u64,
}

/// A protection that was wanted and isn't there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Degradation {
    /// What is missing; each kind is reported once.
    pub kind: DegradationKind,
    /// What was tried and what the system answered.
    pub reason: String,
    /// What a person can do about it.
    pub remedy: &'static str,
}

impl fmt::Display for Degradation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.reason)
    }
}

/// The protections that can be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DegradationKind {
    /// No hidden memory; values are encrypted at rest instead.
    NotHidden,
    /// Some values, while open, lie in memory the system may swap.
    NotLocked,
    /// Some region would be part of a core file.
    InCoreFiles,
    /// A fork child would inherit some region.
    InForkChildren,
    /// Others may attach to the process or read its memory.
    Observable,
    /// The system may write a core file.
    CoreFile,
}

impl fmt::Display for DegradationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHidden => "not hidden from debuggers",
            Self::NotLocked => "not locked in memory",
            Self::InCoreFiles => "not excluded from core files",
            Self::InForkChildren => "not kept from fork children",
            Self::Observable => "process may be observed",
            Self::CoreFile => "core files are on",
        })
    }
}

impl DegradationKind {
    pub(crate) fn with(self, reason: String) -> Degradation {
        let remedy = match self {
            Self::NotHidden => {
                "use Linux 6.5 or later, or boot with `secretmem.enable=1`; allow `memfd_secret` in the \
                 container's seccomp profile; check `ulimit -l`"
            }
            Self::NotLocked => {
                "raise the limit on locked memory: `ulimit -l`, `LimitMEMLOCK=` in systemd, \
                 `--ulimit memlock=` in Docker"
            }
            Self::InCoreFiles | Self::CoreFile => "switch core files off: `ulimit -c 0`",
            Self::InForkChildren => "use Linux 4.14 or later",
            Self::Observable => "restrict ptrace: `sysctl kernel.yama.ptrace_scope=2`",
        };
        Degradation { kind: self, reason, remedy }
    }
}

/// What protects the secrets of a vault, and of the process around it, at the moment of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools, reason = "a report of independent facts")]
pub struct Protection {
    /// The weakest memory any plain value of this vault lies in.
    pub backend: Backend,
    /// Plain values never lie in memory that may be swapped.
    pub locked: bool,
    /// `ptrace`, `process_vm_readv` and `/proc/PID/mem` can't read the values, not even as root.
    pub hidden_from_ptrace_reads: bool,
    /// Values that are not open are encrypted.
    pub encrypted_at_rest: bool,
    /// Whether the system treats the process as dumpable; `None` where it doesn't tell.
    pub dumpable: Option<bool>,
    /// The limit on core files; `None` where there is no such limit.
    pub core_limit: Option<Limit>,
    /// No plain value reaches a swap area (an image written for hibernation is another matter).
    pub swap_safe: bool,
    /// A fork child sees no value.
    pub fork_safe: bool,
    /// Bytes of protected memory mapped for plain values.
    pub capacity_bytes: usize,
    /// Bytes of it in use, with canaries and rounding.
    pub used_bytes: usize,
    /// Regions of all kinds.
    pub regions: usize,
    /// What is missing; empty when everything holds.
    pub degradations: Vec<Degradation>,
}

impl Protection {
    /// Whether everything that was wanted holds.
    pub fn is_complete(&self) -> bool {
        self.degradations.is_empty()
    }
}
