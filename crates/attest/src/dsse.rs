//! Dead simple signing envelopes: what is signed, and the envelope as JSON (DSSE v1).

use serde_json::{Value, json};

use crate::encoding::base64;

/// The payload type of in-toto statements.
pub const IN_TOTO_TYPE: &str = "application/vnd.in-toto+json";

/// The pre-authentication encoding: the bytes that are signed.
///
/// # Examples
/// ```
/// let signed = dsops_attest::pae("text/plain", b"hello");
/// assert_eq!(signed, b"DSSEv1 10 text/plain 5 hello");
/// ```
///
/// Source: DSSE v1, protocol.md, "Signature Definition".
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// An envelope with one signature.
pub(crate) fn envelope(payload_type: &str, payload: &[u8], signature: &[u8]) -> Value {
    json!({
        "payload": base64(payload),
        "payloadType": payload_type,
        "signatures": [{ "sig": base64(signature) }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Two different pairs of type and payload are never the same bytes.
        #[test]
        fn the_encoding_can_be_taken_apart(kind in "[ -~é]{0,30}", payload: Vec<u8>) {
            let bytes = pae(&kind, &payload);
            let rest = bytes.strip_prefix(b"DSSEv1 ").unwrap();
            let (first, rest) = take(rest);
            let (second, rest) = take(&rest[1..]);
            prop_assert_eq!((first, second), (kind.as_bytes(), &payload[..]));
            prop_assert!(rest.is_empty());
        }
    }

    fn take(bytes: &[u8]) -> (&[u8], &[u8]) {
        let space = bytes.iter().position(|byte| *byte == b' ').unwrap();
        let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
        bytes[space + 1..].split_at(length)
    }
}
