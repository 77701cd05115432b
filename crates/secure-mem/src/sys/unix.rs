//! What all Unix back ends share: limits, reserved address space, the environment, the fork handler.

use super::{Mapping, Refusal, Resource, page_size};
use crate::protection::{Backend, Limit};
use std::{
    ffi::{CStr, OsStr, c_char},
    io,
    os::unix::ffi::OsStrExt,
    ptr::{self, NonNull},
};

#[cfg(all(target_os = "linux", target_env = "gnu"))]
type ResourceId = libc::__rlimit_resource_t;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
type ResourceId = std::ffi::c_int;

fn id(resource: Resource) -> ResourceId {
    match resource {
        Resource::CoreSize => libc::RLIMIT_CORE,
        Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
    }
}

/// The limit as it is now; `None` where the system has no such limit.
pub(crate) fn limit(resource: Resource) -> Option<Limit> {
    let mut raw = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call fills the struct it is given.
    let answer = unsafe { libc::getrlimit(id(resource), &raw mut raw) };
    (answer == 0).then_some(Limit { soft: raw.rlim_cur, hard: raw.rlim_max })
}

/// Sets the soft limit and leaves the hard limit as it is.
pub(crate) fn set_limit(resource: Resource, limit: Limit) -> io::Result<()> {
    let raw = libc::rlimit { rlim_cur: limit.soft, rlim_max: limit.hard };
    // SAFETY: the call reads the struct it is given.
    match unsafe { libc::setrlimit(id(resource), &raw const raw) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reserves `data_len` bytes without access, with a page before and after that never gets any.
pub(super) fn reserve(backend: Backend, data_len: usize) -> Result<Mapping, Refusal> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let len = data_len + 2 * page_size();
    // SAFETY: asks for fresh address space, touches nothing that exists.
    let base = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
    if base == libc::MAP_FAILED {
        return Err(Refusal::last("mmap"));
    }
    let data = base.cast::<u8>().wrapping_add(page_size());
    Ok(Mapping {
        backend,
        data: NonNull::new(data).expect("mmap never answers null without MAP_FIXED"),
        data_len,
        excluded_from_dumps: false,
        fork_safe: false,
    })
}

/// Gives a region's pages and guards back.
///
/// # Safety
/// Nothing may point into the mapping any more.
pub(crate) unsafe fn unmap(mapping: &Mapping) {
    let base = mapping.data.as_ptr().wrapping_sub(page_size()).cast();
    // SAFETY: the range is the reservation made by `reserve`; the caller gives it up.
    unsafe { libc::munmap(base, mapping.data_len + 2 * page_size()) };
}

/// Has `handler` called in every child made by `fork`, before anything else runs there.
pub(crate) fn on_fork(handler: unsafe extern "C" fn()) {
    // SAFETY: the handler only stores to atomics, which is safe in a fork child.
    unsafe { libc::pthread_atfork(None, None, Some(handler)) };
}

/// Whether the environment has `name`. The value is not looked at.
pub(crate) fn is_set(name: &OsStr) -> bool {
    // SAFETY: reads the array as `environ` does: it races only with a change of the environment,
    // which the callers rule out.
    !unsafe { values_of(name.as_bytes()) }.is_empty()
}

/// Hands the value of `name` to `keep`; when that succeeds, wipes every copy in the environment and removes it.
///
/// # Safety
/// No other thread may run.
pub(crate) unsafe fn take_variable<T, E>(
    name: &OsStr,
    keep: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<Option<T>, E> {
    // SAFETY: the caller promises that no thread changes the environment.
    let values = unsafe { values_of(name.as_bytes()) };
    let Some(&first) = values.first() else { return Ok(None) };
    // SAFETY: entries of the environment end with NUL and stay until they are removed.
    let kept = keep(unsafe { CStr::from_ptr(first) }.to_bytes())?;
    for value in values {
        // SAFETY: as above.
        let len = unsafe { CStr::from_ptr(value) }.count_bytes();
        // SAFETY: the bytes before the NUL belong to this process and nobody else reads them.
        unsafe { crate::wipe::wipe(value.cast(), len) };
    }
    #[allow(
        clippy::disallowed_methods,
        reason = "its one home: wiped above, and only one thread runs"
    )]
    // SAFETY: the caller promises that no other thread runs.
    unsafe {
        std::env::remove_var(name);
    }
    Ok(Some(kept))
}

/// Where the values of all entries called `name` begin.
///
/// # Safety
/// No other thread may change the environment meanwhile.
unsafe fn values_of(name: &[u8]) -> Vec<*mut c_char> {
    let mut found = Vec::new();
    let mut entry = super::environ();
    if entry.is_null() || name.is_empty() {
        return found;
    }
    loop {
        // SAFETY: the environment is an array of pointers that ends with null, which is not passed.
        let text = unsafe { entry.read() };
        if text.is_null() {
            return found;
        }
        // SAFETY: every entry is a C string.
        let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
        if bytes.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b'=')) {
            found.push(text.wrapping_add(name.len() + 1));
        }
        entry = entry.wrapping_add(1);
    }
}
