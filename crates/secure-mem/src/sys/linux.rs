//! Linux: `memfd_secret`, `mlock2`, `madvise`, `prctl`.

use super::unix;
pub(crate) use super::unix::{is_set, limit, on_fork, set_limit, take_variable, unmap};
use super::{Access, Mapping, Refusal};
use crate::protection::Backend;
use std::{
    ffi::{c_char, c_int, c_uint},
    fs, io,
};

/// `MLOCK_ONFAULT`: pages are locked when first touched, so an untouched region costs no memory.
const MLOCK_ONFAULT: c_uint = 1;

/// Maps a region with guard pages, ready for reading and writing.
pub(crate) fn map(backend: Backend, data_len: usize) -> Result<Mapping, Refusal> {
    let mut mapping = unix::reserve(backend, data_len)?;
    let filled = match backend {
        Backend::SecretMemory => fill_with_secret_memory(&mut mapping),
        Backend::Locked => fill_with_anonymous(&mut mapping).and_then(|()| lock(&mapping)),
        Backend::WipeOnly => fill_with_anonymous(&mut mapping),
    };
    match filled {
        Ok(()) => Ok(mapping),
        Err(refusal) => {
            // SAFETY: nobody has seen the mapping.
            unsafe { unmap(&mapping) };
            Err(refusal)
        }
    }
}

/// Changes what the data pages allow.
pub(crate) fn protect(mapping: &Mapping, access: Access) -> io::Result<()> {
    let flags = match access {
        Access::None => libc::PROT_NONE,
        Access::Read => libc::PROT_READ,
        Access::Write => libc::PROT_READ | libc::PROT_WRITE,
    };
    // SAFETY: the range is ours; readers and writers are counted before access is taken away.
    match unsafe { libc::mprotect(mapping.data.as_ptr().cast(), mapping.data_len, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn fill_with_secret_memory(mapping: &mut Mapping) -> Result<(), Refusal> {
    // SAFETY: makes a file descriptor, touches no memory.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let Ok(fd @ 0..) = c_int::try_from(fd) else { return Err(Refusal::last("memfd_secret")) };
    let mapped = map_secret_file(fd, mapping);
    // An open descriptor would let a child or a debugger map the same pages; the mapping doesn't need it.
    // SAFETY: the descriptor was made above and is closed once.
    unsafe { libc::close(fd) };
    mapped?;
    mapping.excluded_from_dumps = true;
    mapping.fork_safe = advise(mapping, libc::MADV_DONTFORK);
    Ok(())
}

fn map_secret_file(fd: c_int, mapping: &Mapping) -> Result<(), Refusal> {
    let too_long = || Refusal { step: "ftruncate", error: io::ErrorKind::InvalidInput.into() };
    let len = libc::off_t::try_from(mapping.data_len).map_err(|_| too_long())?;
    // SAFETY: sets the size of a file nobody else knows.
    if unsafe { libc::ftruncate(fd, len) } != 0 {
        return Err(Refusal::last("ftruncate"));
    }
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_FIXED;
    let start = mapping.data.as_ptr().cast();
    // SAFETY: replaces the middle of our own reservation, which nobody uses yet.
    let mapped = unsafe { libc::mmap(start, mapping.data_len, access, flags, fd, 0) };
    if mapped == libc::MAP_FAILED { Err(Refusal::last("mmap of secret memory")) } else { Ok(()) }
}

fn fill_with_anonymous(mapping: &mut Mapping) -> Result<(), Refusal> {
    protect(mapping, Access::Write).map_err(|error| Refusal { step: "mprotect", error })?;
    mapping.excluded_from_dumps = advise(mapping, libc::MADV_DONTDUMP);
    mapping.fork_safe =
        advise(mapping, libc::MADV_WIPEONFORK) || advise(mapping, libc::MADV_DONTFORK);
    Ok(())
}

fn lock(mapping: &Mapping) -> Result<(), Refusal> {
    let start = mapping.data.as_ptr();
    // SAFETY: locking changes no byte.
    let on_fault =
        unsafe { libc::syscall(libc::SYS_mlock2, start, mapping.data_len, MLOCK_ONFAULT) };
    if on_fault == 0 {
        return Ok(());
    }
    // Kernels before 4.4 have no mlock2.
    // SAFETY: locking changes no byte.
    match unsafe { libc::mlock(start.cast(), mapping.data_len) } {
        0 => Ok(()),
        _ => Err(Refusal::last("mlock")),
    }
}

fn advise(mapping: &Mapping, advice: c_int) -> bool {
    // SAFETY: the advice used here changes dumping and forking only.
    unsafe { libc::madvise(mapping.data.as_ptr().cast(), mapping.data_len, advice) == 0 }
}

/// Makes the process non-dumpable: no core file, no attaching and no `/proc/PID/mem` by others of the same user.
pub(crate) fn deny_observation() -> Result<(), Refusal> {
    // SAFETY: sets a flag of the process.
    match unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(Refusal::last("prctl(PR_SET_DUMPABLE)")),
    }
}

/// Whether the kernel would write a core file of this process and let others of the same user attach.
pub(crate) fn is_observable() -> Option<bool> {
    // SAFETY: reads a flag of the process.
    match unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) } {
        0 => Some(false),
        1 | 2 => Some(true),
        _ => None,
    }
}

/// How many threads run in this process.
pub(crate) fn threads() -> io::Result<usize> {
    fs::read_dir("/proc/self/task").map(Iterator::count)
}

/// Fills `bytes` from the kernel's generator.
///
/// The system call itself: in a static program the `getrandom` crate cannot look the C function up,
/// and opens two devices instead.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), super::Refusal> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        // SAFETY: writes at most `rest.len()` bytes to `rest`.
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        if let Ok(count) = usize::try_from(got) {
            filled += count;
            continue;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(super::Refusal { step: "getrandom", error });
        }
    }
    Ok(())
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
