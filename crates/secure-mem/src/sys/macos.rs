//! macOS: `mlock` through the `region` crate, `minherit`, `PT_DENY_ATTACH`.

use super::unix;
pub(crate) use super::unix::{is_set, limit, on_fork, set_limit, take_variable, unmap};
use super::{Access, Mapping, Refusal};
use crate::protection::Backend;
use std::{
    ffi::{c_char, c_int, c_void},
    io, mem, ptr,
};

unsafe extern "C" {
    fn minherit(start: *mut c_void, len: usize, inherit: c_int) -> c_int;
    fn _NSGetEnviron() -> *mut *mut *mut c_char;
}

/// Maps a region with guard pages, ready for reading and writing.
pub(crate) fn map(backend: Backend, data_len: usize) -> Result<Mapping, Refusal> {
    if backend == Backend::SecretMemory {
        return Err(Refusal::unsupported("hidden memory"));
    }
    let mut mapping = unix::reserve(backend, data_len)?;
    match prepare(&mut mapping) {
        Ok(()) => Ok(mapping),
        Err(refusal) => {
            // SAFETY: nobody has seen the mapping.
            unsafe { unmap(&mapping) };
            Err(refusal)
        }
    }
}

fn prepare(mapping: &mut Mapping) -> Result<(), Refusal> {
    protect(mapping, Access::Write).map_err(|error| Refusal { step: "mprotect", error })?;
    let start = mapping.data.as_ptr();
    // SAFETY: decides what a fork child inherits, changes nothing here.
    mapping.fork_safe =
        unsafe { minherit(start.cast(), mapping.data_len, libc::VM_INHERIT_NONE as c_int) } == 0;
    if mapping.backend == Backend::Locked {
        let guard = region::lock(start, mapping.data_len)
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

/// Refuses debuggers from now on.
pub(crate) fn deny_observation() -> Result<(), Refusal> {
    // SAFETY: sets a flag of the process.
    match unsafe { libc::ptrace(libc::PT_DENY_ATTACH, 0, ptr::null_mut(), 0) } {
        0 => Ok(()),
        _ => Err(Refusal::last("ptrace(PT_DENY_ATTACH)")),
    }
}

/// The system doesn't tell.
pub(crate) fn is_observable() -> Option<bool> {
    None
}

/// How many threads run in this process.
pub(crate) fn threads() -> io::Result<usize> {
    // SAFETY: a struct of integers, for which zeros are valid.
    let mut info: libc::proc_taskinfo = unsafe { mem::zeroed() };
    let size = c_int::try_from(size_of_val(&info)).map_err(io::Error::other)?;
    // SAFETY: reads our own process id.
    let pid = unsafe { libc::getpid() };
    let buffer = (&raw mut info).cast();
    // SAFETY: the buffer is as long as said.
    let filled = unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTASKINFO, 0, buffer, size) };
    if filled != size {
        return Err(io::Error::last_os_error());
    }
    usize::try_from(info.pti_threadnum).map_err(io::Error::other)
}

/// The array of the environment.
pub(super) fn environ() -> *mut *mut c_char {
    // SAFETY: the C library answers with a valid pointer to its variable.
    let variable = unsafe { _NSGetEnviron() };
    // SAFETY: as above; reading it races only with a change of the environment, which the callers rule out.
    unsafe { variable.read() }
}
