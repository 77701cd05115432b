//! Lists of ingredients (SBOM): SPDX and `CycloneDX` documents written, read, compared and checked.

mod license;
mod model;
mod names;
mod purl;
mod source;
mod write;

#[cfg(feature = "auditable")]
pub mod auditable;
#[cfg(feature = "cargo")]
pub mod cargo;

pub use model::{
    Checksum, Creator, Document, Identifier, Kind, License, Package, Party, PartyKind, Relation,
    Relationship,
};
pub use purl::crate_of_purl;
pub use write::{Format, Written, write};
