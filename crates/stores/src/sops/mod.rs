//! SOPS files in YAML with age recipients, read and written in process.
mod document;
mod edit;
mod error;
mod mac;
mod metadata;
mod path;
mod tree;
mod value;

pub use document::{Document, OpenDocument};
pub use error::{Error, Place};
