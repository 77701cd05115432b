//! Base64, hexadecimal and percent encoding, slot to slot.

use base64ct::{Base64, Base64Unpadded, Base64UrlUnpadded, Encoding};
use dsops_secure_mem::SecretBytes;

use super::{TransformErrorKind, build};

pub(super) fn base64_encode(bytes: &[u8]) -> Result<SecretBytes, TransformErrorKind> {
    encode::<Base64>(bytes)
}

/// Without padding, as in JSON Web Tokens (RFC 7515 §2).
pub(super) fn base64url_encode(bytes: &[u8]) -> Result<SecretBytes, TransformErrorKind> {
    encode::<Base64UrlUnpadded>(bytes)
}

pub(super) fn base64_decode(bytes: &[u8]) -> Result<SecretBytes, TransformErrorKind> {
    decode::<Base64Unpadded>(bytes, "base64", [b'+', b'/'])
}

pub(super) fn base64url_decode(bytes: &[u8]) -> Result<SecretBytes, TransformErrorKind> {
    decode::<Base64UrlUnpadded>(bytes, "URL-safe base64", [b'-', b'_'])
}

fn encode<E: Encoding>(bytes: &[u8]) -> Result<SecretBytes, TransformErrorKind> {
    build(E::encoded_len(bytes), |out| {
        Ok(E::encode(bytes, out).expect("the room is what the encoder asks for").len())
    })
}

/// Line breaks are skipped; padding may be missing, but is right where there is some.
fn decode<E: Encoding>(
    bytes: &[u8],
    format: &'static str,
    last_two: [u8; 2],
) -> Result<SecretBytes, TransformErrorKind> {
    let wrong = |reason, offset| TransformErrorKind::Malformed { format, reason, offset };
    let digits = || bytes.iter().enumerate().filter(|(_, b)| !matches!(b, b'\n' | b'\r'));
    let (mut count, mut padding) = (0, 0);
    for (offset, byte) in digits() {
        match byte {
            b'=' => padding += 1,
            _ if padding > 0 => return Err(wrong("there is text after the padding", offset)),
            b if b.is_ascii_alphanumeric() || last_two.contains(b) => count += 1,
            _ => return Err(wrong("a character of another alphabet", offset)),
        }
    }
    if count % 4 == 1 || (padding > 0 && (padding > 2 || (count + padding) % 4 != 0)) {
        return Err(wrong("it is cut off or padded wrongly", bytes.len()));
    }
    build(count, |out| {
        for (place, (_, byte)) in out.iter_mut().zip(digits()) {
            *place = *byte;
        }
        let decoded = E::decode_in_place(out).map(<[u8]>::len);
        decoded.map_err(|_| wrong("it is cut off or padded wrongly", bytes.len()))
    })
}

pub(super) fn hex_encode(bytes: &[u8]) -> Result<SecretBytes, TransformErrorKind> {
    build(bytes.len() * 2, |out| {
        for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
            pair[0] = hex_digit(byte >> 4, b'a');
            pair[1] = hex_digit(byte & 15, b'a');
        }
        Ok(bytes.len() * 2)
    })
}

/// Line breaks are skipped.
pub(super) fn hex_decode(bytes: &[u8]) -> Result<SecretBytes, TransformErrorKind> {
    let wrong =
        |reason, offset| TransformErrorKind::Malformed { format: "hexadecimal", reason, offset };
    build(bytes.len().div_ceil(2), |out| {
        let mut digits = 0;
        for (offset, &byte) in bytes.iter().enumerate() {
            if matches!(byte, b'\n' | b'\r') {
                continue;
            }
            let digit = hex_value(byte).ok_or_else(|| wrong("a character is no digit", offset))?;
            out[digits / 2] = (out[digits / 2] << 4) | digit;
            digits += 1;
        }
        match digits % 2 {
            0 => Ok(digits / 2),
            _ => Err(wrong("a digit is missing", bytes.len())),
        }
    })
}

/// All but the unreserved characters of RFC 3986 §2.3 as `%XX`.
pub(super) fn url_encode(bytes: &[u8]) -> Result<SecretBytes, TransformErrorKind> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    let len = bytes.iter().map(|&b| if is_plain(b) { 1 } else { 3 }).sum();
    build(len, |out| {
        let mut used = 0;
        for &byte in bytes {
            if is_plain(byte) {
                out[used] = byte;
                used += 1;
            } else {
                out[used] = b'%';
                out[used + 1] = hex_digit(byte >> 4, b'A');
                out[used + 2] = hex_digit(byte & 15, b'A');
                used += 3;
            }
        }
        Ok(used)
    })
}

/// RFC 3986 §2.1: `+` stands for itself.
pub(super) fn url_decode(bytes: &[u8]) -> Result<SecretBytes, TransformErrorKind> {
    build(bytes.len(), |out| {
        let (mut used, mut at) = (0, 0);
        while let Some(&byte) = bytes.get(at) {
            out[used] = if byte == b'%' {
                let digit = |index: usize| bytes.get(index).copied().and_then(hex_value);
                let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) else {
                    return Err(TransformErrorKind::Malformed {
                        format: "percent-encoded",
                        reason: "`%` without two hexadecimal digits",
                        offset: at,
                    });
                };
                at += 3;
                high << 4 | low
            } else {
                at += 1;
                byte
            };
            used += 1;
        }
        Ok(used)
    })
}

/// Arithmetic instead of a table: where a secret selects, the cache would know.
fn hex_digit(value: u8, ten: u8) -> u8 {
    let above = 0u8.wrapping_sub(u8::from(value > 9));
    b'0' + value + (above & (ten - b'0' - 10))
}

fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
