//! The concrete secret stores of dsops.
pub mod age;
mod scrub;
pub mod sops;
