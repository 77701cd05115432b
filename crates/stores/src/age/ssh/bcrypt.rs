//! The key derivation of OpenSSH's encrypted private keys: bcrypt in the place of the HMAC of PBKDF2.

use blowfish::Blowfish;
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, Zeroizing};

const HASH_BYTES: usize = 32;
/// What bcrypt encrypts here, where for passwords it is another text.
const TEXT: &[u8; HASH_BYTES] = b"OxychromaticBlowfishSwatDynamite";
const COST: usize = 64;

/// Fills `key` from a passphrase. Run it under [`crate::scrub::scrubbed`].
pub(super) fn derive(passphrase: &[u8], salt: &[u8], rounds: u32, key: &mut [u8]) {
    let passphrase = hash(&[passphrase]);
    let blocks = key.len().div_ceil(HASH_BYTES);
    let taken = key.len().div_ceil(blocks);
    for (index, count) in (0..blocks).zip(1u32..) {
        let mut round = bcrypt(&passphrase, &hash(&[salt, &count.to_be_bytes()]));
        let mut sum = round.clone();
        for _ in 1..rounds {
            round = bcrypt(&passphrase, &hash(&[round.as_slice()]));
            for (byte, other) in sum.iter_mut().zip(round.iter()) {
                *byte ^= other;
            }
        }
        // Bytes of the blocks take turns in the key.
        for (byte, slot) in sum.iter().take(taken).zip(key.iter_mut().skip(index).step_by(blocks)) {
            *slot = *byte;
        }
    }
}

fn bcrypt(passphrase: &[u8; 64], salt: &[u8; 64]) -> Zeroizing<[u8; HASH_BYTES]> {
    let mut state: Blowfish = Blowfish::bc_init_state();
    state.salted_expand_key(salt, passphrase);
    for _ in 0..COST {
        state.bc_expand_key(salt);
        state.bc_expand_key(passphrase);
    }
    let mut out = Zeroizing::new([0u8; HASH_BYTES]);
    for (text, out) in TEXT.chunks_exact(8).zip(out.chunks_exact_mut(8)) {
        let word = |at: usize| u32::from_be_bytes(text[at..at + 4].try_into().expect("four bytes"));
        let words = (0..COST).fold([word(0), word(4)], |words, _| state.bc_encrypt(words));
        out[..4].copy_from_slice(&words[0].to_le_bytes());
        out[4..].copy_from_slice(&words[1].to_le_bytes());
    }
    out
}

fn hash(parts: &[&[u8]]) -> Zeroizing<[u8; 64]> {
    let mut hash = parts.iter().fold(Sha512::new(), Sha512::chain_update).finalize();
    let mut bytes = Zeroizing::new([0u8; 64]);
    bytes.copy_from_slice(&hash);
    hash.as_mut_slice().zeroize();
    bytes
}
