//! What differs between systems. The only modules of the crate with `unsafe` are below here.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::HeldSignals;
#[cfg(target_os = "linux")]
pub(crate) use linux::{
    Supervised, die_by, is_open, may_execute, replace, size_limits, spawn, with_environ,
};

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
pub(crate) use macos::{
    Supervised, die_by, is_open, may_execute, replace, size_limits, spawn, with_environ,
};

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod other;
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(crate) use other::{
    Supervised, die_by, is_open, may_execute, replace, size_limits, spawn, with_environ,
};
