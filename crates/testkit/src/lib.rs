//! What tests of several crates share: stores that fail on purpose, a clock without waiting, and (by feature)
//! a stand-in for the Sigstore services.
//!
//! For tests only; no crate may depend on it otherwise.

pub mod binaries;
mod docker_registry;
mod faulty;
mod http;
#[cfg(feature = "sigstore")]
mod image_evidence;
#[cfg(feature = "sigstore")]
mod image_registry;
#[cfg(feature = "sigstore")]
pub mod json_schema;
#[cfg(feature = "sigstore")]
pub mod sigstore;
mod virtual_time;

pub use docker_registry::{DockerRegistry, named_program};
pub use faulty::{Behaviour, Faulty, Log, Open, Script};
pub use http::{HttpAnswer, HttpHandler, HttpRequest, HttpServer, serve};
#[cfg(feature = "sigstore")]
pub use image_evidence::BUNDLE;
#[cfg(feature = "sigstore")]
pub use image_registry::{Door, ImageRegistry, Referrers};
pub use virtual_time::VirtualTime;
