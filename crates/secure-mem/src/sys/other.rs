//! Other Unix systems: `mlock` and `mprotect` through the `region` crate, limits, and no more than that.

use super::unix;
pub(crate) use super::unix::{is_set, limit, on_fork, set_limit, take_variable, unmap};
use super::{Access, Mapping, Refusal};
use crate::protection::Backend;
use std::{ffi::c_char, io, mem};

/// Maps a region with guard pages, ready for reading and writing.
pub(crate) fn map(backend: Backend, data_len: usize) -> Result<Mapping, Refusal> {
    if backend == Backend::SecretMemory {
        return Err(Refusal::unsupported("hidden memory"));
    }
    let mapping = unix::reserve(backend, data_len)?;
    match prepare(&mapping) {
        Ok(()) => Ok(mapping),
        Err(refusal) => {
            // SAFETY: nobody has seen the mapping.
            unsafe { unmap(&mapping) };
            Err(refusal)
        }
    }
}

fn prepare(mapping: &Mapping) -> Result<(), Refusal> {
    protect(mapping, Access::Write).map_err(|error| Refusal { step: "mprotect", error })?;
    if mapping.backend == Backend::Locked {
        let guard = region::lock(mapping.data.as_ptr(), mapping.data_len)
            .map_err(|error| Refusal { step: "mlock", error: io::Error::other(error) })?;
        // Unmapping unlocks; a guard that unlocks by itself would do so under our feet.
        mem::forget(guard);
    }
    Ok(())
}

/// Changes what the data pages allow.
pub(crate) fn protect(mapping: &Mapping, access: Access) -> io::Result<()> {
    let flags = match access {
        Access::None => region::Protection::NONE,
        Access::Read => region::Protection::READ,
        Access::Write => region::Protection::READ_WRITE,
    };
    // SAFETY: the range is ours; readers and writers are counted before access is taken away.
    unsafe { region::protect(mapping.data.as_ptr(), mapping.data_len, flags) }
        .map_err(io::Error::other)
}

/// No portable way to refuse debuggers.
pub(crate) fn deny_observation() -> Result<(), Refusal> {
    Err(Refusal::unsupported("refusing debuggers"))
}

/// The system doesn't tell.
pub(crate) fn is_observable() -> Option<bool> {
    None
}

/// No portable way to count threads, so the environment is never touched.
pub(crate) fn threads() -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The array of the environment.
pub(super) fn environ() -> *mut *mut c_char {
    unsafe extern "C" {
        static mut environ: *mut *mut c_char;
    }
    // SAFETY: the C library sets the variable before `main`; reading it races only with a change of the
    // environment, which the callers rule out.
    unsafe { environ }
}
