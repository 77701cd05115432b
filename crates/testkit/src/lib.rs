//! What tests of several crates share: stores that fail on purpose, and a clock without waiting.
//!
//! For tests only; no crate may depend on it otherwise.

mod faulty;
mod virtual_time;

pub use faulty::{Behaviour, Faulty, Log, Open, Script};
pub use virtual_time::VirtualTime;
