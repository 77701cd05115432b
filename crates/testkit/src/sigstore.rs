//! A stand-in for the Sigstore services: makes bundles of any shape, good and bad, without a network.
//!
//! A [`World`] is one instance: certificate authority, certificate log, transparency logs, timestamp
//! authorities, and the trusted root that names them. What it signs verifies:
//!
//! ```
//! use dsops_testkit::sigstore::{Version, World};
//!
//! let world = World::new("demo");
//! let root = world.trusted_root();
//! let good = world.sign(b"the file").version(Version::V02).bundle();
//!
//! // Whatever shall be wrong is changed before or after it is made.
//! let mut late = world.sign(b"the file").rekor2();
//! late.stamps[0].time += std::time::Duration::from_secs(3600);
//! let mut made = late.make();
//! made.entries[0].index += 1;
//! let bad = made.bundle();
//! # assert_ne!(good, bad);
//! # assert_eq!(root["tlogs"].as_array().unwrap().len(), 2);
//! ```
//!
//! Beside bundles there is what came before them and what stands beside them: cosign's own files and
//! layers ([`cosign`]), [`minisign`] and signify, SSH signatures ([`sshsig`]), and the repository that
//! gives out trusted roots ([`tuf`]). A folder as a user downloads it is a [`Release`].
//!
//! Clients that sign find a world on loopback by [`server`].
//!
//! The keys of a world are derived from its label and its clock stands still, so names, times and log
//! indices are the same in each run. ECDSA signatures, and with them certificates, are not; RSA keys are
//! new in each process.

#![allow(
    clippy::missing_panics_doc,
    reason = "for tests only: the expects say why they hold, and where a caller can break it there is a section"
)]

pub mod cases;
pub mod certificate;
pub mod content;
pub mod cosign;
pub mod der;
pub mod fulcio;
pub mod identity;
pub mod key;
pub mod merkle;
pub mod minisign;
pub mod note;
pub mod rekor;
pub mod release;
pub mod server;
pub mod signing;
pub mod sshsig;
pub mod tsa;
pub mod tuf;
pub mod world;

use std::time::SystemTime;

pub use certificate::{Certificate, Extension, San};
pub use content::{Content, Kind};
pub use fulcio::{CtLog, Fulcio, Leaf, Sct};
pub use identity::Identity;
pub use key::{Algorithm, Key};
pub use minisign::Minisign;
pub use rekor::{Entry, Proof, Rekor};
pub use release::Release;
pub use server::Services;
pub use signing::{Signed, Signing, Version};
pub use sshsig::SshSig;
pub use tsa::{Stamp, Tsa};
pub use tuf::{Role, TufRepository};
pub use world::World;

use base64ct::{Base64, Encoding as _};

/// Standard base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hash.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// PEM (RFC 7468): 64 columns, a newline at the end, as Rekor writes it back.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = base64(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for start in (0..text.len()).step_by(64) {
        out.push_str(&text[start..text.len().min(start + 64)]);
        out.push('\n');
    }
    out + "-----END " + label + "-----\n"
}

/// A time as the JSON of the Sigstore protocol has it (RFC 3339).
pub fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
}
