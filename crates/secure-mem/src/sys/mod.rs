//! The operating system behind one small interface: map, protect, unmap, limits, hardening, environment.
//!
//! Every back end has the same functions; nothing above this module knows a system call.
#![allow(unsafe_code)]

use crate::protection::Backend;
use std::{io, ptr::NonNull};

#[cfg(unix)]
mod unix;

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
#[cfg_attr(not(any(target_os = "linux", target_os = "macos", windows)), path = "other.rs")]
mod platform;

pub(crate) use platform::*;

/// What the pages of a region may be used for right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    None,
    Read,
    Write,
}

/// One run of pages with a guard page on each side.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) backend: Backend,
    pub(crate) data: NonNull<u8>,
    pub(crate) data_len: usize,
    /// Left out of core files whatever the process's settings are.
    pub(crate) excluded_from_dumps: bool,
    /// A fork child gets nothing or zeros.
    pub(crate) fork_safe: bool,
}

// SAFETY: the mapping is owned by one region; who may touch its bytes is decided there, under a lock.
unsafe impl Send for Mapping {}

/// A step the system refused, with its answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) step: &'static str,
    pub(crate) error: io::Error,
}

impl Refusal {
    fn last(step: &'static str) -> Self {
        Self { step, error: io::Error::last_os_error() }
    }

    #[allow(dead_code, reason = "only the back ends without a technique need it")]
    fn unsupported(step: &'static str) -> Self {
        Self { step, error: io::ErrorKind::Unsupported.into() }
    }
}

/// The limits we raise or lower, and hand back to children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    CoreSize,
    LockedMemory,
}

/// Size of a page in bytes.
pub(crate) fn page_size() -> usize {
    region::page::size()
}

/// Fills `bytes` from the kernel's generator.
#[cfg(not(target_os = "linux"))]
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), Refusal> {
    getrandom::fill(bytes)
        .map_err(|error| Refusal { step: "getrandom", error: io::Error::other(error) })
}
