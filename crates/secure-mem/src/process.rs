//! Hardening of our own process: no core files, no observers, limits remembered, the environment cleaned.

use crate::{
    error::Error,
    protection::{Degradation, DegradationKind, Limit},
    secret::SecretBytes,
    sys::{self, Resource},
};
use std::{
    ffi::OsStr,
    io,
    sync::{Mutex, PoisonError},
};

/// What [`harden_process`] reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hardening {
    /// Whether the system still treats the process as dumpable; `None` where it doesn't tell.
    pub dumpable: Option<bool>,
    /// The limit on core files now; `None` where there is none.
    pub core_limit: Option<Limit>,
    /// What could not be had.
    pub degradations: Vec<Degradation>,
}

/// The limits as they were before this crate changed them; `None` for one it didn't change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OriginalLimits {
    /// On core files.
    pub core: Option<Limit>,
    /// On locked memory.
    pub locked_memory: Option<Limit>,
}

static ORIGINAL: Mutex<OriginalLimits> =
    Mutex::new(OriginalLimits { core: None, locked_memory: None });

/// Switches core files and observers off for this process. Call it first in `main`.
///
/// On Linux the process becomes non-dumpable (`execve` undoes that, so a child is free again) and the soft limit
/// on core files becomes 0. The hard limit stays: a child gets its own limit back, see [`original_limits`].
///
/// # Platform
/// macOS refuses debuggers with `PT_DENY_ATTACH` and lowers the limit. Windows has neither; the report says so.
///
/// # Examples
/// ```
/// let hardening = dsops_secure_mem::harden_process();
/// for missing in &hardening.degradations {
///     eprintln!("warning: {missing} ({})", missing.remedy);
/// }
/// ```
pub fn harden_process() -> Hardening {
    let mut degradations = Vec::new();
    if let Err(refusal) = sys::deny_observation() {
        let reason = format!("{}: {}", refusal.step, refusal.error);
        degradations.push(DegradationKind::Observable.with(reason));
    }
    let none = |limit: Limit| Limit { soft: 0, ..limit };
    if let Err(error) = change(Resource::CoreSize, none) {
        degradations.push(DegradationKind::CoreFile.with(format!("setrlimit: {error}")));
    }
    raise_lock_limit();
    Hardening {
        dumpable: sys::is_observable(),
        core_limit: sys::limit(Resource::CoreSize),
        degradations,
    }
}

/// The limits to give back to a child: limits are inherited, and ours are not its business.
pub fn original_limits() -> OriginalLimits {
    *ORIGINAL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The limit on core files before [`harden_process`]; `None` when it was not changed.
pub fn original_core_limit() -> Option<Limit> {
    original_limits().core
}

/// The limit on locked memory before the first vault raised it; `None` when it was not changed.
pub fn original_memlock_limit() -> Option<Limit> {
    original_limits().locked_memory
}

/// Puts the limits of this process back, for a program that is about to replace itself with another.
///
/// Memory that is locked stays locked.
///
/// # Errors
/// The system's answer when it refuses.
pub fn restore_original_limits() -> io::Result<()> {
    let original = original_limits();
    if let Some(limit) = original.core {
        sys::set_limit(Resource::CoreSize, limit)?;
    }
    if let Some(limit) = original.locked_memory {
        sys::set_limit(Resource::LockedMemory, limit)?;
    }
    Ok(())
}

/// Moves the value of a variable out of the environment: into protected memory, wiped where it was, removed.
///
/// `Ok(None)` when there is no such variable. If the value appears twice, the first one counts and all are wiped.
///
/// # Errors
/// [`Error::Threads`] when more than one thread runs; [`Error::System`] when the threads can't be counted; those of
/// [`SecretBytes::adopt`]. The environment is unchanged then.
///
/// # Platform
/// On Unix the bytes that `/proc/PID/environ` shows are overwritten. Windows keeps a block that is not ours to
/// overwrite: the variable is removed, its old bytes may stay there.
#[allow(unsafe_code)]
pub fn take_env(name: &OsStr) -> Result<Option<SecretBytes>, Error> {
    // Most variables that are asked for are not there, and looking is cheap.
    if !sys::is_set(name) {
        return Ok(None);
    }
    let threads =
        sys::threads().map_err(|source| Error::System { what: "counting threads", source })?;
    if threads != 1 {
        return Err(Error::Threads { name: name.to_string_lossy().into_owned(), threads });
    }
    // SAFETY: this is the only thread.
    unsafe { sys::take_variable(name, SecretBytes::copy_from) }
}

/// Raises the soft limit on locked memory to the hard one. What is missing shows when a region can't be had.
pub(crate) fn raise_lock_limit() {
    let _ = change(Resource::LockedMemory, |limit| Limit { soft: limit.hard, ..limit });
}

/// What the process around a vault leaves open.
pub(crate) fn degradations(hidden: bool) -> Vec<Degradation> {
    let mut missing = Vec::new();
    let observable = sys::is_observable();
    if observable == Some(true) {
        let reason = if hidden {
            "the process is dumpable: what is not in hidden memory can be read by others of the same user"
        } else {
            "the process is dumpable: others of the same user can read its memory"
        };
        missing.push(DegradationKind::Observable.with(reason.into()));
    }
    let core = sys::limit(Resource::CoreSize).is_some_and(|limit| limit.soft > 0);
    if core && observable != Some(false) {
        missing.push(DegradationKind::CoreFile.with("the limit on core files is above 0".into()));
    }
    missing
}

/// Changes a limit and remembers the first one seen, unless it is as wanted already.
fn change(resource: Resource, wanted: impl FnOnce(Limit) -> Limit) -> io::Result<()> {
    let mut original = ORIGINAL.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(found) = sys::limit(resource) else { return Ok(()) };
    let wanted = wanted(found);
    if wanted == found {
        return Ok(());
    }
    sys::set_limit(resource, wanted)?;
    let memory = match resource {
        Resource::CoreSize => &mut original.core,
        Resource::LockedMemory => &mut original.locked_memory,
    };
    memory.get_or_insert(found);
    Ok(())
}
