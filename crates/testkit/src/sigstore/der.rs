//! Writes DER (X.690), and on purpose nothing checks what is written: broken certificates are wanted
//! too. Reads as little of it as requests need.

use std::time::SystemTime;

/// One element: tag, length, content.
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    if content.len() < 0x80 {
        out.push(u8::try_from(content.len()).expect("below 128"));
    } else {
        let bytes = content.len().to_be_bytes();
        let length = &bytes[bytes.iter().position(|byte| *byte != 0).expect("not zero")..];
        out.push(0x80 | u8::try_from(length.len()).expect("at most 8"));
        out.extend_from_slice(length);
    }
    out.extend_from_slice(content);
    out
}

/// Splits DER into the first element's tag and content, and what follows it.
pub fn split(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, short, rest @ ..] = der else { return None };
    let (length, rest) = if *short < 0x80 {
        (usize::from(*short), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// `SEQUENCE` of ready elements.
pub fn sequence<T: AsRef<[u8]>>(elements: impl AsRef<[T]>) -> Vec<u8> {
    element(0x30, &joined(elements.as_ref()))
}

/// `SET OF` ready elements, in the order DER wants.
pub fn set<T: AsRef<[u8]>>(elements: impl AsRef<[T]>) -> Vec<u8> {
    element(0x31, &sorted(elements.as_ref()))
}

/// `[n]` around ready elements: explicit, or the implicit tag of a sequence.
pub fn tagged<T: AsRef<[u8]>>(number: u8, elements: impl AsRef<[T]>) -> Vec<u8> {
    element(0xa0 | number, &joined(elements.as_ref()))
}

/// `[n] IMPLICIT SET OF` ready elements.
pub fn tagged_set<T: AsRef<[u8]>>(number: u8, elements: impl AsRef<[T]>) -> Vec<u8> {
    element(0xa0 | number, &sorted(elements.as_ref()))
}

/// `[n] IMPLICIT` around the content of a primitive type.
pub fn tagged_primitive(number: u8, content: &[u8]) -> Vec<u8> {
    element(0x80 | number, content)
}

/// `INTEGER`, not negative, from big-endian bytes.
pub fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let mut content = bytes[start..].to_vec();
    // Without the extra byte the number would be negative; zero itself is one byte.
    if content.first().is_none_or(|byte| byte & 0x80 != 0) {
        content.insert(0, 0);
    }
    element(0x02, &content)
}

/// `BIT STRING` of whole bytes.
pub fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(0x03, &[&[0], bytes].concat())
}

/// `OCTET STRING`.
pub fn octet_string(bytes: &[u8]) -> Vec<u8> {
    element(0x04, bytes)
}

/// `NULL`.
pub fn null() -> Vec<u8> {
    element(0x05, &[])
}

/// `BOOLEAN TRUE`.
pub fn yes() -> Vec<u8> {
    element(0x01, &[0xff])
}

/// `UTF8String`.
pub fn utf8(text: &str) -> Vec<u8> {
    element(0x0c, text.as_bytes())
}

/// `OBJECT IDENTIFIER` from its dotted form.
///
/// # Panics
/// It is not numbers with dots between them.
pub fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u64> =
        dotted.split('.').map(|arc| arc.parse().expect("an arc is a number")).collect();
    let mut content = base128(arcs[0] * 40 + arcs[1]);
    for arc in &arcs[2..] {
        content.extend(base128(*arc));
    }
    element(0x06, &content)
}

/// `UTCTime`: years 1950 to 2049, whole seconds.
pub fn utc_time(time: SystemTime) -> Vec<u8> {
    element(0x17, &digits(&humantime::format_rfc3339_seconds(time).to_string()).as_bytes()[2..])
}

/// `GeneralizedTime`, whole seconds.
pub fn generalized_time(time: SystemTime) -> Vec<u8> {
    element(0x18, digits(&humantime::format_rfc3339_seconds(time).to_string()).as_bytes())
}

/// `GeneralizedTime` with milliseconds, as RFC 3161 allows and DER wants it: no zeros at its end.
pub fn fractional_time(time: SystemTime) -> Vec<u8> {
    let text = digits(&humantime::format_rfc3339_millis(time).to_string());
    let text = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    element(0x18, format!("{text}Z").as_bytes())
}

/// Base 128 with the top bit set on all but the last byte.
fn base128(mut number: u64) -> Vec<u8> {
    let mut out = vec![u8::try_from(number & 0x7f).expect("seven bits")];
    while number > 0x7f {
        number >>= 7;
        out.insert(0, u8::try_from(number & 0x7f).expect("seven bits") | 0x80);
    }
    out
}

/// An RFC 3339 time without its separators.
fn digits(time: &str) -> String {
    time.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | 'Z')).collect()
}

fn joined<T: AsRef<[u8]>>(elements: &[T]) -> Vec<u8> {
    elements.iter().flat_map(|element| element.as_ref().iter().copied()).collect()
}

fn sorted<T: AsRef<[u8]>>(elements: &[T]) -> Vec<u8> {
    let mut elements: Vec<&[u8]> = elements.iter().map(AsRef::as_ref).collect();
    elements.sort_unstable();
    elements.concat()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lengths_and_numbers_are_minimal() {
        assert_eq!(element(4, &[7; 127])[..2], [4, 127]);
        assert_eq!(element(4, &[7; 128])[..3], [4, 0x81, 128]);
        assert_eq!(element(4, &[7; 256])[..4], [4, 0x82, 1, 0]);
        assert_eq!(integer(&[]), [2, 1, 0]);
        assert_eq!(integer(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(oid("1.3.6.1.4.1.57264.1.24")[2..], [0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 24]);
    }

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 127, 128, 70_000] {
            let content = vec![7; length];
            let der = [element(4, &content), null()].concat();
            assert_eq!(split(&der), Some((4, &content[..], &null()[..])));
            assert_eq!(split(&der[..length]), None);
        }
    }

    #[test]
    fn sets_are_sorted_and_sequences_are_not() {
        let elements = [octet_string(b"b"), octet_string(b"a")];
        assert_eq!(set(&elements), [0x31, 6, 4, 1, b'a', 4, 1, b'b']);
        assert_eq!(sequence(&elements), [0x30, 6, 4, 1, b'b', 4, 1, b'a']);
    }

    #[test]
    fn times_have_both_forms() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_748_779_200_250);
        assert_eq!(utc_time(time)[2..], *b"250601120000Z");
        assert_eq!(generalized_time(time)[2..], *b"20250601120000Z");
        assert_eq!(fractional_time(time)[2..], *b"20250601120000.25Z");
    }
}
