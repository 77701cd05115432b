//! Windows: `VirtualLock` through the `region` crate with a larger working set, error reports that leave regions out.
#![allow(clippy::unnecessary_wraps, reason = "the interface of the other platforms")]

use super::{Access, Mapping, Refusal, Resource, page_size};
use crate::protection::{Backend, Limit};
use std::{
    ffi::OsStr,
    io, mem,
    os::windows::ffi::OsStrExt,
    ptr::{self, NonNull},
};
use windows_sys::Win32::System::{
    Environment::{GetEnvironmentVariableW, SetEnvironmentVariableW},
    ErrorReporting::{WerRegisterExcludedMemoryBlock, WerUnregisterExcludedMemoryBlock},
    Memory::{
        MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_NOACCESS, PAGE_READWRITE, VirtualAlloc,
        VirtualFree,
    },
    Threading::{GetCurrentProcess, GetProcessWorkingSetSize, SetProcessWorkingSetSize},
};

/// Maps a region with guard pages, ready for reading and writing.
pub(crate) fn map(backend: Backend, data_len: usize) -> Result<Mapping, Refusal> {
    if backend == Backend::SecretMemory {
        return Err(Refusal::unsupported("hidden memory"));
    }
    let len = data_len + 2 * page_size();
    // SAFETY: asks for fresh address space, touches nothing that exists.
    let base = unsafe { VirtualAlloc(ptr::null(), len, MEM_RESERVE, PAGE_NOACCESS) };
    let Some(data) =
        NonNull::new(base.cast::<u8>().wrapping_add(page_size())).filter(|_| !base.is_null())
    else {
        return Err(Refusal::last("VirtualAlloc"));
    };
    let mut mapping =
        Mapping { backend, data, data_len, excluded_from_dumps: false, fork_safe: true };
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
    let start = mapping.data.as_ptr();
    // SAFETY: commits pages of our own reservation.
    let committed =
        unsafe { VirtualAlloc(start.cast(), mapping.data_len, MEM_COMMIT, PAGE_READWRITE) };
    if committed.is_null() {
        return Err(Refusal::last("VirtualAlloc"));
    }
    if mapping.backend == Backend::Locked {
        grow_working_set(mapping.data_len);
        let guard = region::lock(start, mapping.data_len)
            .map_err(|error| Refusal { step: "VirtualLock", error: io::Error::other(error) })?;
        // Freeing unlocks; a guard that unlocks by itself would do so under our feet.
        mem::forget(guard);
    }
    if let Ok(len) = u32::try_from(mapping.data_len) {
        // SAFETY: names a range for error reports to leave out.
        mapping.excluded_from_dumps =
            unsafe { WerRegisterExcludedMemoryBlock(start.cast(), len) } >= 0;
    }
    Ok(())
}

/// `VirtualLock` is bounded by the minimum working set, 200 KiB unless somebody raises it.
fn grow_working_set(by: usize) {
    let (mut least, mut most) = (0, 0);
    // SAFETY: the pseudo handle of this process needs no closing.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: fills the two integers.
    if unsafe { GetProcessWorkingSetSize(process, &raw mut least, &raw mut most) } != 0 {
        // A refusal shows when the lock itself fails.
        // SAFETY: changes limits of this process only.
        unsafe { SetProcessWorkingSetSize(process, least + by, most + by) };
    }
}

/// Gives a region's pages and guards back.
///
/// # Safety
/// Nothing may point into the mapping any more.
pub(crate) unsafe fn unmap(mapping: &Mapping) {
    let start = mapping.data.as_ptr();
    if mapping.excluded_from_dumps {
        // SAFETY: takes back the registration made by `prepare`.
        unsafe { WerUnregisterExcludedMemoryBlock(start.cast()) };
    }
    let base = start.wrapping_sub(page_size()).cast();
    // SAFETY: the base of the reservation made by `map`; the caller gives it up.
    unsafe { VirtualFree(base, 0, MEM_RELEASE) };
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

/// There are no such limits.
pub(crate) fn limit(_resource: Resource) -> Option<Limit> {
    None
}

/// There are no such limits.
pub(crate) fn set_limit(_resource: Resource, _limit: Limit) -> io::Result<()> {
    Ok(())
}

/// There is no fork.
pub(crate) fn on_fork(_handler: unsafe extern "C" fn()) {}

/// A process can't refuse an administrator's debugger; an access list against others is void for those who matter.
pub(crate) fn deny_observation() -> Result<(), Refusal> {
    Err(Refusal::unsupported("refusing debuggers"))
}

/// The system doesn't tell.
pub(crate) fn is_observable() -> Option<bool> {
    None
}

/// Threads that may race on the environment: the system locks it, so only the caller counts.
pub(crate) fn threads() -> io::Result<usize> {
    Ok(1)
}

/// Whether it is worth looking for `name`: here taking a variable is as cheap as looking.
pub(crate) fn is_set(_: &OsStr) -> bool {
    true
}

/// Hands the value of `name` to `keep` as UTF-8; when that succeeds, removes the variable.
///
/// The block the system keeps is not ours to overwrite: a removed value may stay in it until it is reused.
///
/// # Safety
/// None on this platform; the contract is the one of the other back ends.
pub(crate) unsafe fn take_variable<T, E>(
    name: &OsStr,
    keep: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<Option<T>, E> {
    let wide: Vec<u16> = name.encode_wide().chain([0]).collect();
    // SAFETY: asks for the length of the value; the name ends with NUL.
    let len = unsafe { GetEnvironmentVariableW(wide.as_ptr(), ptr::null_mut(), 0) };
    if len == 0 {
        return Ok(None);
    }
    let mut value = zeroize::Zeroizing::new(vec![0u16; len as usize]);
    // SAFETY: the buffer is as long as said.
    let used = unsafe { GetEnvironmentVariableW(wide.as_ptr(), value.as_mut_ptr(), len) };
    let units = &value[..(used as usize).min(value.len())];
    let mut text = zeroize::Zeroizing::new(Vec::with_capacity(units.len() * 3));
    let mut unit = [0u8; 4];
    for decoded in char::decode_utf16(units.iter().copied()) {
        let letter = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
        text.extend_from_slice(letter.encode_utf8(&mut unit).as_bytes());
    }
    zeroize::Zeroize::zeroize(&mut unit);
    let kept = keep(&text)?;
    // SAFETY: removes the variable; the name ends with NUL.
    unsafe { SetEnvironmentVariableW(wide.as_ptr(), ptr::null()) };
    Ok(Some(kept))
}
