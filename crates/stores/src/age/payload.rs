//! The payload of age files: 64 KiB chunks in the STREAM construction (C2SP age §"Payload").

use chacha20poly1305::{
    ChaCha20Poly1305, Tag,
    aead::{AeadInOut, KeyInit, inout::InOutBuf},
};
use dsops_secure_mem::SecretBytes;

use super::{Error, derive_key, random};
use crate::scrub::scrubbed;

const NONCE_BYTES: usize = 16;
const CHUNK_BYTES: usize = 64 * 1024;
const TAG_BYTES: usize = 16;

/// Decrypts the payload straight into protected memory. Every chunk is authenticated, the last
/// one is known to be the last, and nothing is handed out unless all of that held.
pub(super) fn decrypt(payload: &[u8], file_key: &SecretBytes) -> Result<SecretBytes, Error> {
    let Some((nonce, ciphertext)) = payload.split_at_checked(NONCE_BYTES) else {
        return Err(Error::Header { line: 0, reason: "the payload's nonce is missing" });
    };
    let key = derive_key(&file_key.expose(), nonce, b"payload")?;
    let chunks = ciphertext.len().div_ceil(CHUNK_BYTES + TAG_BYTES);
    if chunks == 0 {
        return Err(Error::Payload { reason: "it is empty: the file was cut off" });
    }
    let last = ciphertext.len() - (chunks - 1) * (CHUNK_BYTES + TAG_BYTES);
    if last < TAG_BYTES || (last == TAG_BYTES && chunks > 1) {
        return Err(Error::Payload { reason: "the last chunk is too short: the file was cut off" });
    }
    SecretBytes::build(ciphertext.len() - chunks * TAG_BYTES, |plaintext| {
        scrubbed(|| {
            let cipher = cipher(&key);
            let pairs = ciphertext
                .chunks(CHUNK_BYTES + TAG_BYTES)
                .zip(padded_chunks(plaintext, chunks))
                .enumerate();
            let mut written = 0;
            for (index, (sealed, plain)) in pairs {
                let (sealed, tag) = sealed.split_at(sealed.len() - TAG_BYTES);
                let tag = Tag::try_from(tag).expect("the tag was split off with its length");
                let buffer = InOutBuf::new(sealed, plain).expect("sized from the ciphertext");
                cipher
                    .decrypt_inout_detached(
                        &nonce_for(index, index + 1 == chunks).into(),
                        &[],
                        buffer,
                        &tag,
                    )
                    .map_err(|_| Error::Payload { reason: "a chunk was changed or is missing" })?;
                written += sealed.len();
            }
            Ok(written)
        })
    })
}

/// Encrypts `plaintext`, reading it where it lies and writing only ciphertext.
pub(super) fn encrypt(
    plaintext: &[u8],
    file_key: &SecretBytes,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut nonce = [0u8; NONCE_BYTES];
    random(&mut nonce)?;
    out.extend_from_slice(&nonce);
    let key = derive_key(&file_key.expose(), &nonce, b"payload")?;
    let chunks = plaintext.len().div_ceil(CHUNK_BYTES).max(1);
    scrubbed(|| {
        let cipher = cipher(&key);
        for index in 0..chunks {
            let start = index * CHUNK_BYTES;
            let chunk = &plaintext[start..plaintext.len().min(start + CHUNK_BYTES)];
            let sealed = out.len();
            out.resize(sealed + chunk.len(), 0);
            let buffer = InOutBuf::new(chunk, &mut out[sealed..]).expect("just sized");
            let nonce = nonce_for(index, index + 1 == chunks).into();
            let tag = cipher
                .encrypt_inout_detached(&nonce, &[], buffer)
                .expect("a chunk is far below the limit of the cipher");
            out.extend_from_slice(&tag);
        }
    });
    Ok(())
}

fn cipher(key: &SecretBytes) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new_from_slice(&key.expose()).expect("derived keys have 32 bytes")
}

/// The output of each chunk; an empty payload still has its one, empty chunk.
fn padded_chunks(plaintext: &mut [u8], chunks: usize) -> impl Iterator<Item = &mut [u8]> {
    let empty = (chunks == 1 && plaintext.is_empty()).then_some(&mut [] as &mut [u8]);
    plaintext.chunks_mut(CHUNK_BYTES).chain(empty)
}

/// 11 bytes of counter, big endian, and a last byte that marks the final chunk.
fn nonce_for(index: usize, last: bool) -> [u8; 12] {
    let mut nonce = [0u8; 12];
    nonce[3..11].copy_from_slice(&(index as u64).to_be_bytes());
    nonce[11] = u8::from(last);
    nonce
}

#[cfg(test)]
mod tests {
    use super::{CHUNK_BYTES, Error, SecretBytes, TAG_BYTES, decrypt, encrypt};

    #[test]
    fn every_length_comes_back_and_no_cut_is_accepted() {
        let key = SecretBytes::copy_from(&[9; 16]).unwrap();
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES] {
            let plaintext = vec![0x5a; length];
            let mut payload = Vec::new();
            encrypt(&plaintext, &key, &mut payload).unwrap();
            assert_eq!(*decrypt(&payload, &key).unwrap().expose(), *plaintext);
            for cut in [1, TAG_BYTES, TAG_BYTES + 1] {
                let error = decrypt(&payload[..payload.len() - cut], &key).unwrap_err();
                let kind = matches!(error, Error::Payload { .. } | Error::Header { .. });
                assert!(kind, "{length} {cut} {error}");
            }
            payload.push(0);
            assert!(decrypt(&payload, &key).is_err());
        }
    }
}
