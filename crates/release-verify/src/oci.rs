//! Images: in a registry, a folder or an archive, and what is signed about them.
//!
//! An image is its manifest, named by a digest. A tag is asked for once; from then on only the
//! digest counts. Whatever a source sends is compared with the digest and size it was asked for
//! by, so a source can hide evidence or fail, but not make an image pass that nobody signed.
//!
//! Layouts in folders and archives need no feature; registries need `oci`.

mod error;
mod evidence;
mod image;
mod layout;
mod manifest;
mod reference;
#[cfg(feature = "oci")]
mod registry;
mod simple;
mod source;

pub use error::OciError;
pub use evidence::{Found, Piece, find};
pub use image::Image;
pub use layout::Layout;
pub use manifest::{Descriptor, Document, Index, MANIFEST_LIMIT_BYTES, Manifest, Platform};
pub use reference::Reference;
#[cfg(feature = "oci")]
pub use registry::{Challenge, DockerConfig, Keychain, Login, Registry};
pub use simple::SimpleSigning;
pub use source::{Fetched, Presence, Source};
