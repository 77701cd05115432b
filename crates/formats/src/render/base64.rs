//! RFC 4648 base64 from one protected place to another.

use base64ct::{Base64, Encoding as _};
use dsops_secure_mem::{Error, Writer};
use zeroize::Zeroizing;

/// Bytes that are encoded at a time: a multiple of three, so that only the end is padded.
const CHUNK_BYTES: usize = 48;

/// Appends `value` as base64 with padding.
pub(super) fn push(out: &mut Writer, value: &[u8]) -> Result<(), Error> {
    let mut buffer = Zeroizing::new([0; CHUNK_BYTES / 3 * 4]);
    for chunk in value.chunks(CHUNK_BYTES) {
        let encoded = Base64::encode(chunk, &mut buffer[..]).expect("a chunk fits its buffer");
        out.push(encoded.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_join_without_padding_between() {
        for length in [0, 1, 2, 3, 47, 48, 49, 96, 1000] {
            let value: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let mut out = Writer::new();
            push(&mut out, &value).unwrap();
            let mut buffer = vec![0; length / 3 * 4 + 4];
            let whole = Base64::encode(&value, &mut buffer).unwrap();
            assert_eq!(&*out.finish().unwrap().expose(), whole.as_bytes(), "{length}");
        }
    }
}
