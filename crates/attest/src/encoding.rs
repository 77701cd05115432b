//! Small encodings: base64, hex, PEM, and DER as far as it is written here.

use aws_lc_rs::digest::{self, Digest, SHA256};
use base64ct::{Base64, Encoding as _};

pub(crate) fn base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

/// The bytes of standard base64, or of the URL alphabet, which protobuf's JSON also allows.
pub(crate) fn unbase64(text: &str) -> Option<Vec<u8>> {
    Base64::decode_vec(text).or_else(|_| base64ct::Base64Url::decode_vec(text)).ok()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    digest::digest(&SHA256, bytes)
}

/// Textual encoding (RFC 7468): 64 columns, a newline at the end.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = base64(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = more;
    }
    out + "-----END " + label + "-----\n"
}

/// The bytes of the first PEM block, which has to have this label. Not for secrets.
pub(crate) fn unpem(text: &str, label: &str) -> Option<Vec<u8>> {
    let body = text.trim_start().strip_prefix(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = body.split_once(&format!("-----END {label}-----"))?;
    unbase64(&body.split_ascii_whitespace().collect::<String>())
}

/// A DER element: tag, length, and these contents.
pub(crate) fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let content = contents.concat();
    let mut out = vec![tag];
    if let Ok(short @ ..0x80) = u8::try_from(content.len()) {
        out.push(short);
    } else {
        let length = content.len().to_be_bytes();
        let start = length.iter().take_while(|byte| **byte == 0).count();
        let significant = &length[start..];
        out.push(0x80 | u8::try_from(significant.len()).expect("at most eight"));
        out.extend(significant);
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_of_elements() {
        assert_eq!(element(4, &[b"a", b"b"]), b"\x04\x02ab");
        assert_eq!(element(4, &[&[0; 0x80]])[..3], [4, 0x81, 0x80]);
        assert_eq!(element(0x30, &[&[0; 0x100]])[..4], [0x30, 0x82, 1, 0]);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes: Vec<u8>) {
            prop_assert_eq!(unbase64(&base64(&bytes)), Some(bytes.clone()));
            prop_assert_eq!(unhex(&hex(&bytes)), Some(bytes.clone()));
            prop_assert_eq!(unpem(&pem("X Y", &bytes), "X Y"), Some(bytes));
        }

        #[test]
        fn whatever_it_is_it_does_not_panic(text: String) {
            let _ = (unbase64(&text), unhex(&text), unpem(&text, "X"));
        }
    }
}
