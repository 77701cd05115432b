//! SBOMs: SPDX and `CycloneDX` documents written, read, compared and checked.
//!
//! One [`Document`] stands for both formats. It is made by [`cargo::generate`](crate::cargo::generate()) from
//! a workspace, by [`LinkedCrates`](crate::auditable::LinkedCrates) from a binary, by [`read()`] from a document, or by hand.
//!
//! Guaranteed: equal documents give equal bytes, whatever the order and the place of a checkout; what a format has no
//! place for is told; readers have limits, refuse a key or an identifier that occurs twice, and never panic.
//!
//! Not guaranteed: that a document is true. It says what its author wrote into it; only a signature says who that is.
//!
//! # Examples
//! ```
//! use dsops_sbom::{Document, Format, Package, Relation, Relationship, check, read, write};
//!
//! let package = |id: &str| Package { id: id.into(), name: id.into(), ..Package::default() };
//! let document = Document {
//!     name: "app".into(),
//!     created: Some("2026-01-01T00:00:00Z".into()),
//!     packages: vec![package("app"), package("time")],
//!     described: vec!["app".into()],
//!     relationships: vec![Relationship {
//!         from: "app".into(),
//!         to: "time".into(),
//!         kind: Relation::DependsOn,
//!     }],
//!     ..Document::default()
//! };
//! let written = write(&document, Format::Spdx23);
//! let reading = read(written.text.as_bytes())?;
//! assert_eq!(check(&reading), []);
//! assert_eq!(reading.document.relationships, document.relationships);
//! # Ok::<(), dsops_sbom::ReadError>(())
//! ```

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
