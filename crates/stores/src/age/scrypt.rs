//! The scrypt key derivation (RFC 7914) with r = 8, p = 1, the only parameters age uses.
//!
//! The working memory is wiped, which the crates for it do not do.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use super::Error;

const BLOCK_WORDS: usize = 256;
const CHUNK_WORDS: usize = 16;
const HASH_BYTES: usize = 32;

/// A block of 128 · r bytes. Within each chunk of 16 words, words stand in the order of the
/// diagonals of the Salsa20 matrix: four at a time can then be worked on side by side.
type Block = [u32; BLOCK_WORDS];
type Lanes = [u32; 4];

/// Where each word of a chunk in diagonal order comes from.
const DIAGONALS: [usize; CHUNK_WORDS] = [0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11];

/// Derives a key with N = 2^`log_n`, which takes 2^`log_n` KiB of memory.
///
/// Run it under [`crate::scrub::scrubbed`]: blocks pass over the stack.
pub(super) fn derive(
    passphrase: &[u8],
    salt: &[u8],
    log_n: u8,
    key: &mut [u8],
) -> Result<(), Error> {
    let blocks = 1usize << log_n;
    let mut table = Zeroizing::new(Vec::new());
    table.try_reserve_exact(blocks).map_err(|_| Error::WorkMemory)?;
    let mut bytes = Zeroizing::new([0u8; 4 * BLOCK_WORDS]);
    pbkdf2(passphrase, salt, bytes.as_mut_slice());
    let mut block = Zeroizing::new(load(&bytes));
    for _ in 0..blocks {
        table.push(*block);
        mix(&mut block);
    }
    for _ in 0..blocks {
        let at = block[BLOCK_WORDS - CHUNK_WORDS] as usize & (blocks - 1);
        for (word, other) in block.iter_mut().zip(&table[at]) {
            *word ^= other;
        }
        mix(&mut block);
    }
    store(&block, &mut bytes);
    pbkdf2(passphrase, bytes.as_slice(), key);
    Ok(())
}

/// PBKDF2-HMAC-SHA-256 (RFC 8018 §5.2) with one iteration.
fn pbkdf2(passphrase: &[u8], salt: &[u8], out: &mut [u8]) {
    let keyed = Hmac::<Sha256>::new_from_slice(passphrase).expect("HMAC takes keys of any length");
    for (index, chunk) in (1u32..).zip(out.chunks_mut(HASH_BYTES)) {
        let mac = keyed.clone().chain_update(salt).chain_update(index.to_be_bytes());
        let mut bytes = mac.finalize().into_bytes();
        chunk.copy_from_slice(&bytes[..chunk.len()]);
        bytes.as_mut_slice().zeroize();
    }
}

/// The function `BlockMix` of RFC 7914 §4.
fn mix(block: &mut Block) {
    let mut chunk: [u32; CHUNK_WORDS] =
        block[BLOCK_WORDS - CHUNK_WORDS..].try_into().expect("a chunk");
    let mut mixed = [0u32; BLOCK_WORDS];
    for (index, input) in block.chunks_exact(CHUNK_WORDS).enumerate() {
        for (word, other) in chunk.iter_mut().zip(input) {
            *word ^= other;
        }
        salsa8(&mut chunk);
        // Even chunks come first, odd ones after them.
        let place = index / 2 + (index % 2) * (BLOCK_WORDS / CHUNK_WORDS / 2);
        mixed[place * CHUNK_WORDS..][..CHUNK_WORDS].copy_from_slice(&chunk);
    }
    *block = mixed;
}

/// Salsa20/8 (RFC 7914 §3) on a chunk in diagonal order.
fn salsa8(chunk: &mut [u32; CHUNK_WORDS]) {
    let lanes = |at: usize| -> Lanes { [chunk[at], chunk[at + 1], chunk[at + 2], chunk[at + 3]] };
    let (mut a, mut b, mut c, mut d) = (lanes(0), lanes(4), lanes(8), lanes(12));
    for _ in 0..4 {
        quarter(&mut a, &mut b, &mut c, &mut d);
        // Rows after columns: the same step with the diagonals turned.
        (b, c, d) = (turn::<3>(b), turn::<2>(c), turn::<1>(d));
        quarter(&mut a, &mut d, &mut c, &mut b);
        (b, c, d) = (turn::<1>(b), turn::<2>(c), turn::<3>(d));
    }
    let words = a.into_iter().chain(b).chain(c).chain(d);
    for (word, add) in chunk.iter_mut().zip(words) {
        *word = word.wrapping_add(add);
    }
}

#[inline]
fn quarter(a: &mut Lanes, b: &mut Lanes, c: &mut Lanes, d: &mut Lanes) {
    step::<7>(b, a, d);
    step::<9>(c, b, a);
    step::<13>(d, c, b);
    step::<18>(a, d, c);
}

#[inline]
fn step<const LEFT: u32>(target: &mut Lanes, x: &Lanes, y: &Lanes) {
    for lane in 0..4 {
        target[lane] ^= x[lane].wrapping_add(y[lane]).rotate_left(LEFT);
    }
}

#[inline]
fn turn<const BY: usize>(lanes: Lanes) -> Lanes {
    [lanes[BY % 4], lanes[(BY + 1) % 4], lanes[(BY + 2) % 4], lanes[(BY + 3) % 4]]
}

fn load(bytes: &[u8; 4 * BLOCK_WORDS]) -> Block {
    std::array::from_fn(|at| {
        let from = at / CHUNK_WORDS * CHUNK_WORDS + DIAGONALS[at % CHUNK_WORDS];
        u32::from_le_bytes(bytes[4 * from..][..4].try_into().expect("four bytes"))
    })
}

fn store(block: &Block, bytes: &mut [u8; 4 * BLOCK_WORDS]) {
    for (at, word) in block.iter().enumerate() {
        let to = at / CHUNK_WORDS * CHUNK_WORDS + DIAGONALS[at % CHUNK_WORDS];
        bytes[4 * to..][..4].copy_from_slice(&word.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{DIAGONALS, derive, pbkdf2, salsa8};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    #[test]
    fn salsa20_8_of_the_rfc() {
        // RFC 7914 §8.
        let bytes = |text: &str| -> Vec<u8> {
            text.as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect()
        };
        let input = bytes(
            "7e879a214f3ec9867ca940e641718f26baee555b8c61c1b50df846116dcd3b1d\
             ee24f319df9b3d8514121e4b5ac5aa3276021d2909c74829edebc68db8b8c25e",
        );
        let word = |at: usize| u32::from_le_bytes(input[4 * at..][..4].try_into().unwrap());
        let mut chunk = DIAGONALS.map(word);
        salsa8(&mut chunk);
        let mut output = [0u8; 64];
        for (word, to) in chunk.iter().zip(DIAGONALS) {
            output[4 * to..][..4].copy_from_slice(&word.to_le_bytes());
        }
        assert_eq!(
            hex(&output),
            "a41f859c6608cc993b81cacb020cef05044b2181a2fd337dfd7b1c6396682f29\
             b4393168e3c9e6bcfe6bc5b7a06d96bae424cc102c91745c24ad673dc7618f81"
        );
    }

    #[test]
    fn scrypt_of_the_rfc() {
        // RFC 7914 §12, the two examples with r = 8 and p = 1 that fit a test.
        let mut key = [0u8; 64];
        derive(b"pleaseletmein", b"SodiumChloride", 14, &mut key).unwrap();
        assert_eq!(
            hex(&key),
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2\
             d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
        );
    }

    #[test]
    fn pbkdf2_of_the_rfc() {
        // RFC 7914 §11.
        let mut key = [0u8; 64];
        pbkdf2(b"passwd", b"salt", &mut key);
        assert_eq!(
            hex(&key),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc\
             49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
        );
    }
}
