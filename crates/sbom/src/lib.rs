//! Lists of ingredients (SBOM): SPDX and `CycloneDX` documents written, read, compared and checked.

mod check;
mod diff;
mod error;
mod license;
mod model;
mod names;
mod purl;
mod read;
#[cfg(any(feature = "auditable", feature = "cargo"))]
#[cfg_attr(
    not(all(feature = "auditable", feature = "cargo")),
    allow(dead_code, reason = "each feature uses a part")
)]
mod source;
mod write;

#[cfg(feature = "auditable")]
pub mod auditable;
#[cfg(feature = "cargo")]
pub mod cargo;

#[cfg(feature = "auditable")]
pub use check::check_binary;
#[cfg(feature = "cargo")]
pub use check::check_lockfile;
pub use check::{CODES, Problem, Severity, check, minimum_elements};
pub use diff::{Aspect, Change, Diff, Item, diff};
pub use error::ReadError;
pub use model::{
    Checksum, Creator, Document, Identifier, Kind, License, Package, Party, PartyKind, Relation,
    Relationship,
};
pub use purl::crate_of_purl;
pub use read::{Fault, Form, LIMIT_BYTES, Reading, read, read_json};
pub use write::{Format, Written, write};
