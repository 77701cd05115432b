//! Signatures of minisign and signify, and the `BLAKE2b` (RFC 7693) that minisign hashes by.

use super::base64;
use super::key::Key;

/// A minisign signature that is yet to be made.
#[derive(Clone, Debug)]
pub struct Minisign {
    /// Signs; Ed25519.
    pub key: Key,
    /// The id both files name.
    pub key_id: [u8; 8],
    /// The first line, which nobody signs.
    pub untrusted: String,
    /// The third line, which is signed too.
    pub trusted: String,
    /// Signs the hash of the file, as all newer versions do.
    pub prehashed: bool,
}

impl Minisign {
    /// As minisign does it today.
    pub fn new(key: &Key) -> Self {
        Self {
            key: key.clone(),
            key_id: key.id()[..8].try_into().expect("eight of 32"),
            untrusted: "signature from minisign secret key".into(),
            trusted: "timestamp:1748779200\tfile:file\thashed".into(),
            prehashed: true,
        }
    }

    /// The `.minisig` file.
    pub fn sign(&self, artifact: &[u8]) -> String {
        let (signature, line) = if self.prehashed {
            let signature = self.key.sign(&blake2b(artifact));
            (signature.clone(), self.blob(b"ED", &signature))
        } else {
            let signature = self.key.sign(artifact);
            (signature.clone(), self.blob(b"Ed", &signature))
        };
        let global = self.key.sign(&[&signature, self.trusted.as_bytes()].concat());
        let (untrusted, trusted, global) = (&self.untrusted, &self.trusted, base64(&global));
        format!("untrusted comment: {untrusted}\n{line}\ntrusted comment: {trusted}\n{global}\n")
    }

    /// The `.pub` file.
    pub fn public(&self) -> String {
        let line = self.blob(b"Ed", &self.key.public_bytes());
        format!("untrusted comment: minisign public key\n{line}\n")
    }

    /// A signify `.sig` file.
    pub fn signify(&self, artifact: &[u8]) -> String {
        let line = self.blob(b"Ed", &self.key.sign(artifact));
        format!("untrusted comment: verify with release.pub\n{line}\n")
    }

    fn blob(&self, algorithm: &[u8], bytes: &[u8]) -> String {
        base64(&[algorithm, &self.key_id, bytes].concat())
    }
}

/// `BLAKE2b` with 64 bytes, without a key.
pub fn blake2b(data: &[u8]) -> [u8; 64] {
    // The first word is marked with the length of the hash.
    let mut state = INITIAL;
    state[0] ^= 0x0101_0040;
    let mut done = 0_u128;
    let mut rest = data;
    loop {
        let (block, after) = rest.split_at(rest.len().min(128));
        done += block.len() as u128;
        let mut whole = [0; 128];
        whole[..block.len()].copy_from_slice(block);
        compress(&mut state, &whole, done, after.is_empty());
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    let mut out = [0; 64];
    for (bytes, word) in out.chunks_exact_mut(8).zip(state) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    out
}

/// The same as SHA-512's.
const INITIAL: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// The order of the message's words in each round; the last two are the first two again.
const ORDER: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

/// The columns and diagonals a round mixes.
const MIXED: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

fn compress(state: &mut [u64; 8], block: &[u8; 128], done: u128, is_last: bool) {
    let mut message = [0; 16];
    for (word, bytes) in message.iter_mut().zip(block.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().expect("eight"));
    }
    let mut v = [0; 16];
    v[..8].copy_from_slice(state);
    v[8..].copy_from_slice(&INITIAL);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a counter")]
    let halves = [done as u64, (done >> 64) as u64];
    v[12] ^= halves[0];
    v[13] ^= halves[1];
    if is_last {
        v[14] = !v[14];
    }
    for round in 0..12 {
        let order = &ORDER[round % 10];
        for (pair, [a, b, c, d]) in order.chunks_exact(2).zip(MIXED) {
            v[a] = v[a].wrapping_add(v[b]).wrapping_add(message[pair[0]]);
            v[d] = (v[d] ^ v[a]).rotate_right(32);
            v[c] = v[c].wrapping_add(v[d]);
            v[b] = (v[b] ^ v[c]).rotate_right(24);
            v[a] = v[a].wrapping_add(v[b]).wrapping_add(message[pair[1]]);
            v[d] = (v[d] ^ v[a]).rotate_right(16);
            v[c] = v[c].wrapping_add(v[d]);
            v[b] = (v[b] ^ v[c]).rotate_right(63);
        }
    }
    for (index, word) in state.iter_mut().enumerate() {
        *word ^= v[index] ^ v[index + 8];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigstore::hex;

    #[test]
    fn blake2b_hashes_as_the_rfc_says() {
        // RFC 7693, appendix A.
        assert!(hex(&blake2b(b"abc")).starts_with("ba80a53f981c4d0d6a2797b69f12f6e9"));
        // Known of the empty message.
        assert!(hex(&blake2b(b"")).starts_with("786a02f742015903c6c6fd852552d272"));
    }
}
