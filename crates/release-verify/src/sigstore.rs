//! Sigstore evidence: is the signature of a bundle good, by whom, over what, when?
//!
//! Everything here is arithmetic on bytes at hand: no network, no clock but the caller's. The
//! primitives (keys, signatures, certificate paths, Merkle proofs) are the sigstore crates' and
//! webpki's on aws-lc; which of them must hold, and together, is decided here.

mod bundle;
mod certificate;
mod cosign;
mod entry;
pub(crate) mod key;
mod log;

mod sct;
mod timestamp;
mod trusted;
mod verify;

pub use bundle::{BUNDLE_LIMIT_BYTES, Bundle, BundleError, Leniency};
pub(crate) use certificate::are_a_chain;
pub use cosign::CosignParts;
pub use trusted::{KeyKindError, TrustedKey};
pub use verify::{Outcome, Thresholds, Verifier};

/// What a DSSE signature is over: `PAE` of the DSSE protocol, version 1.
pub(crate) fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pre_authentication_encoding() {
        // The example of the DSSE specification.
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }
}
