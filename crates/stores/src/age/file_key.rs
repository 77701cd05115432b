//! The file key under a key that is used once: what the bodies of most recipient stanzas hold.

use base64ct::{Base64Unpadded, Encoding};
use chacha20poly1305::{
    ChaCha20Poly1305, Tag,
    aead::{AeadInOut, KeyInit, inout::InOutBuf},
};
use dsops_secure_mem::SecretBytes;

use super::Error;
use crate::scrub::scrubbed;

pub(super) const FILE_KEY_BYTES: usize = 16;
/// The wrapping key is used once, so the nonce is all zeroes.
const NONCE: [u8; 12] = [0; 12];
const TAG_BYTES: usize = 16;

/// Seals the file key: 16 bytes and their tag.
pub(super) fn seal(file_key: &SecretBytes, key: &SecretBytes) -> Vec<u8> {
    let mut body = vec![0u8; FILE_KEY_BYTES];
    let tag = scrubbed(|| {
        let file_key = file_key.expose();
        let buffer = InOutBuf::new(&file_key, &mut body).expect("file keys have 16 bytes");
        cipher(key)
            .encrypt_inout_detached(&NONCE.into(), &[], buffer)
            .expect("16 bytes are below the limit of the cipher")
    });
    body.extend_from_slice(&tag);
    body
}

/// A stanza's body of the right length. It is checked before any decryption is tried, as the
/// format demands.
pub(super) struct Sealed<'a> {
    text: &'a [u8],
    tag: Tag,
}

impl<'a> Sealed<'a> {
    pub(super) fn of(body: &'a [u8], wrong_length: &'static str) -> Result<Self, Error> {
        if body.len() != FILE_KEY_BYTES + TAG_BYTES {
            return Err(Error::Header { line: 0, reason: wrong_length });
        }
        let (text, tag) = body.split_at(FILE_KEY_BYTES);
        Ok(Self { text, tag: Tag::try_from(tag).expect("the length was checked") })
    }

    /// Opens it; `None` if it was not sealed under this key.
    pub(super) fn open(&self, key: &SecretBytes) -> Result<Option<SecretBytes>, Error> {
        let mut opened = false;
        let file_key = SecretBytes::build(FILE_KEY_BYTES, |plain| {
            scrubbed(|| {
                let buffer = InOutBuf::new(self.text, plain).expect("both have 16 bytes");
                opened = cipher(key)
                    .decrypt_inout_detached(&NONCE.into(), &[], buffer, &self.tag)
                    .is_ok();
            });
            Ok::<_, Error>(FILE_KEY_BYTES)
        })?;
        Ok(opened.then_some(file_key))
    }
}

/// An argument of a stanza that is `N` bytes of canonical base64; at most 48.
pub(super) fn argument<const N: usize>(
    encoded: &str,
    malformed: &'static str,
) -> Result<[u8; N], Error> {
    let mut bytes = [0u8; N];
    match Base64Unpadded::decode(encoded.as_bytes(), &mut bytes) {
        Ok(decoded) if decoded.len() == N => Ok(bytes),
        _ => Err(Error::Header { line: 0, reason: malformed }),
    }
}

fn cipher(key: &SecretBytes) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new_from_slice(&key.expose()).expect("derived keys have 32 bytes")
}
