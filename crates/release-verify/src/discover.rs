//! Finds evidence: which files of a folder are artifacts, which are evidence, and of what.
//!
//! Only names decide here; nothing is opened. What a file is taken for never makes it trusted.

mod names;
mod scan;

pub(crate) use names::{Of, Role, role};
pub use scan::{DiscoverError, ScanLimits};
pub(crate) use scan::{NOT_TEXT, Scan, open_regular};
