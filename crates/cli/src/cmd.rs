//! The commands, one file each.

#[cfg(feature = "sign")]
pub mod attest;
pub mod cache;
pub mod completion;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod edit;
pub mod exec;
pub mod get;
pub mod hook;
pub mod import;
pub mod init;
pub mod list;
pub mod login;
pub mod man;
pub mod plan;
pub mod providers;
pub mod recipients;
pub mod rekey;
pub mod render;
#[cfg(feature = "sbom")]
pub mod sbom;
pub mod set;
#[cfg(feature = "sign")]
pub mod sign;
#[cfg(feature = "sign")]
mod signing;
pub mod trust;
pub mod unset;
#[cfg(feature = "verify")]
pub mod verify;
