//! Evidence that is not a Sigstore bundle: checksum files, and signatures by keys.
//!
//! Everything here reads untrusted bytes, with a limit and a typed error, and verifies signatures.
//! Whether a signer is wanted is not decided here.

mod checksums;
mod encoding;
mod error;
mod key;
mod managed;
mod minisign;
mod signature;
mod ssh;

use std::io::{self, Read};

pub use checksums::{Checksums, Entry, Weak};
pub use error::EvidenceError;
pub use key::Key;
pub use managed::ManagedKey;
pub use minisign::{MinisignClaim, MinisignKey, MinisignSignature};
pub use signature::{Signature, Signed};
pub use ssh::{AllowedSigners, SshKey, SshSignature};

/// How large content may be that must be in memory whole to verify its signature: some formats
/// sign the content itself and not a digest of it.
pub const WHOLE_LIMIT_BYTES: usize = 512 * 1024 * 1024;

/// Reads `content` to its end, up to the limit.
pub(crate) fn whole(content: impl Read) -> io::Result<Result<Vec<u8>, EvidenceError>> {
    let mut bytes = Vec::new();
    content.take(WHOLE_LIMIT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > WHOLE_LIMIT_BYTES {
        let what = "content that is signed without a hash";
        return Ok(Err(EvidenceError::TooLarge { what, limit_bytes: WHOLE_LIMIT_BYTES }));
    }
    Ok(Ok(bytes))
}
