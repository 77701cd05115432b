//! Systems without a back end: everything that would start a process says so.

use std::{convert::Infallible, ffi::CStr, path::Path};

use crate::{
    error::ExecError,
    exec::{Image, Supervision},
    outcome::Outcome,
    size::SizeLimits,
};

const WHAT: ExecError = ExecError::Unsupported { what: "running a command with secrets" };

/// No value of this type exists here.
#[derive(Debug)]
pub(crate) struct Supervised(Infallible);

impl Supervised {
    pub(crate) fn id(&self) -> u32 {
        match self.0 {}
    }

    pub(crate) fn wait(self) -> Result<Outcome, ExecError> {
        match self.0 {}
    }
}

pub(crate) fn spawn(_: &Image<'_>, _: Supervision) -> Result<Supervised, ExecError> {
    Err(WHAT)
}

pub(crate) fn replace(_: &Image<'_>) -> Result<Infallible, ExecError> {
    Err(WHAT)
}

/// Lends no strings: nothing is started, so nothing is inherited.
pub(crate) fn with_environ<R>(use_it: impl FnOnce(&[&CStr]) -> R) -> R {
    use_it(&[])
}

pub(crate) fn may_execute(_: &Path) -> bool {
    true
}

pub(crate) fn is_open(fd: i32) -> bool {
    (0..3).contains(&fd)
}

pub(crate) fn size_limits() -> SizeLimits {
    SizeLimits { string_bytes: Some(32_767), total_bytes: usize::MAX }
}

pub(crate) fn die_by(_: i32) {}
