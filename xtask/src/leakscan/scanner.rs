//! Finds needles and pieces of them in bytes, fast enough to do it at every system call.
//!
//! Any run of 16 bytes covers one whole 8-byte word of the memory it lies in. So the scanner knows
//! every 8-byte window of every needle, looks only at aligned words, and where one is known it
//! measures how far memory and needle agree in both directions.

use std::collections::{HashMap, HashSet};

use super::needles::Needle;

/// A piece of a needle this long is a hit (or the whole needle, when that is shorter).
pub const PIECE_BYTES: usize = 16;

const WORD_BYTES: usize = 8;

/// Where a needle, or a piece of one, was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Which needle, by its place in the list.
    pub needle: usize,
    /// Where the piece starts in the searched bytes.
    pub at: usize,
    /// Where the piece starts in the needle.
    pub from: usize,
    /// How many bytes agree.
    pub len: usize,
}

/// An index over needles.
#[derive(Debug)]
pub struct Scanner {
    needles: Vec<Needle>,
    /// Every 8-byte window: which needles have it, and where.
    windows: HashMap<u64, Vec<(usize, usize)>>,
    /// One bit for each hashed window, so that most words are dismissed without a look-up.
    filter: Vec<u64>,
}

impl Scanner {
    /// Indexes `needles`.
    ///
    /// # Errors
    /// A needle shorter than 15 bytes: it could lie between two aligned words and be missed.
    pub fn new(needles: Vec<Needle>) -> anyhow::Result<Self> {
        let mut windows: HashMap<u64, Vec<(usize, usize)>> = HashMap::new();
        let mut filter = vec![0; 1 << (FILTER_BITS - 6)];
        for (index, needle) in needles.iter().enumerate() {
            anyhow::ensure!(
                needle.bytes.len() >= 2 * WORD_BYTES - 1,
                "a needle of {} bytes is too short to be found for certain",
                needle.bytes.len()
            );
            for (from, window) in needle.bytes.windows(WORD_BYTES).enumerate() {
                let word = word(window);
                let (slot, bit) = filter_place(word);
                filter[slot] |= bit;
                windows.entry(word).or_default().push((index, from));
            }
        }
        Ok(Self { needles, windows, filter })
    }

    /// The needles, in the order hits name them.
    pub fn needles(&self) -> &[Needle] {
        &self.needles
    }

    /// All places in `haystack` where [`PIECE_BYTES`] of a needle stand in a row.
    pub fn scan(&self, haystack: &[u8]) -> Vec<Hit> {
        self.scan_pieces(haystack, PIECE_BYTES)
    }

    /// As [`Self::scan`], for pieces from `piece_bytes` on. Below 15 bytes only pieces that cover
    /// an aligned word are found: right for registers, which are aligned words.
    pub fn scan_pieces(&self, haystack: &[u8], piece_bytes: usize) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut seen = HashSet::new();
        for (index, chunk) in haystack.chunks_exact(WORD_BYTES).enumerate() {
            let word = word(chunk);
            let (slot, bit) = filter_place(word);
            if self.filter[slot] & bit == 0 {
                continue;
            }
            for &(needle, from) in self.windows.get(&word).into_iter().flatten() {
                let hit = self.extend(haystack, index * WORD_BYTES, needle, from);
                let whole = hit.len == self.needles[needle].bytes.len();
                if (hit.len >= piece_bytes || whole) && seen.insert((needle, hit.at, hit.from)) {
                    hits.push(hit);
                }
            }
        }
        hits
    }

    /// How far `haystack` around `at` agrees with the needle around `from`.
    fn extend(&self, haystack: &[u8], at: usize, needle: usize, from: usize) -> Hit {
        let bytes = &self.needles[needle].bytes;
        let agree = |(a, b): &(&u8, &u8)| a == b;
        let before =
            haystack[..at].iter().rev().zip(bytes[..from].iter().rev()).take_while(agree).count();
        let after = haystack[at..].iter().zip(&bytes[from..]).take_while(agree).count();
        Hit { needle, at: at - before, from: from - before, len: before + after }
    }
}

const FILTER_BITS: u32 = 20;

/// The filter's word and bit for a window.
fn filter_place(word: u64) -> (usize, u64) {
    // Fibonacci hashing: the top bits of a product with 2^64 divided by the golden ratio.
    let hash = word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS);
    (usize::try_from(hash >> 6).expect("the hash has 20 bits"), 1 << (hash & 63))
}

/// Eight bytes as a number.
fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("windows and chunks are eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::super::needles::{Encoding, Secret, needles};
    use super::*;

    fn scanner(secret: &[u8]) -> Scanner {
        Scanner::new(needles(&[Secret { name: "s".into(), bytes: secret.to_vec() }])).unwrap()
    }

    fn raw_hits(scanner: &Scanner, haystack: &[u8]) -> Vec<Hit> {
        let mut hits = scanner.scan(haystack);
        hits.retain(|hit| scanner.needles()[hit.needle].encoding == Encoding::Raw);
        hits
    }

    const SECRET: &[u8] = b"correct horse battery staple, forty bytes";

    #[test]
    fn the_whole_secret_is_found_once_at_every_offset() {
        let scanner = scanner(SECRET);
        for at in 0..64 {
            let mut haystack = vec![0; 64 + SECRET.len() + 7];
            haystack[at..at + SECRET.len()].copy_from_slice(SECRET);
            assert_eq!(
                scanner.scan(&haystack),
                [Hit { needle: 0, at, from: 0, len: SECRET.len() }],
                "offset {at}"
            );
        }
    }

    #[test]
    fn every_window_of_sixteen_bytes_is_found_at_every_offset() {
        let scanner = scanner(SECRET);
        for (from, window) in SECRET.windows(PIECE_BYTES).enumerate() {
            for at in 0..9 {
                let mut haystack = vec![0xaa; at];
                haystack.extend_from_slice(window);
                haystack.extend_from_slice(&[0xaa; 9]);
                assert_eq!(
                    raw_hits(&scanner, &haystack),
                    [Hit { needle: 0, at, from, len: PIECE_BYTES }],
                    "window {from} at {at}"
                );
            }
        }
    }

    #[test]
    fn fifteen_bytes_are_not_a_hit() {
        let scanner = scanner(SECRET);
        for window in SECRET.windows(PIECE_BYTES - 1) {
            for at in 0..9 {
                let mut haystack = vec![0xaa; at];
                haystack.extend_from_slice(window);
                haystack.extend_from_slice(&[0xaa; 16]);
                assert_eq!(raw_hits(&scanner, &haystack), [], "at {at}");
            }
        }
    }

    #[test]
    fn a_secret_split_in_two_is_found_wherever_one_part_is_long_enough() {
        let scanner = scanner(SECRET);
        for split in 0..=SECRET.len() {
            let mut haystack = SECRET[..split].to_vec();
            haystack.extend_from_slice(&[0; 21]);
            haystack.extend_from_slice(&SECRET[split..]);
            let parts = [split, SECRET.len() - split];
            let expected = parts.iter().filter(|&&len| len >= PIECE_BYTES).count();
            assert_eq!(raw_hits(&scanner, &haystack).len(), expected, "split at {split}");
        }
    }

    #[test]
    fn a_piece_cut_off_by_either_end_of_the_bytes_is_found() {
        let scanner = scanner(SECRET);
        for cut in 0..=SECRET.len() - PIECE_BYTES {
            assert_eq!(raw_hits(&scanner, &SECRET[cut..]).len(), 1, "{cut} missing in front");
            let end = SECRET.len() - cut;
            assert_eq!(raw_hits(&scanner, &SECRET[..end]).len(), 1, "{cut} missing behind");
        }
    }

    #[test]
    fn two_copies_are_two_hits() {
        let scanner = scanner(SECRET);
        let haystack = [SECRET, b"--", SECRET].concat();
        assert_eq!(raw_hits(&scanner, &haystack).len(), 2);
    }

    #[test]
    fn a_secret_of_sixteen_bytes_is_found_in_every_encoding() {
        let secret = b"0123456789abcdef";
        let scanner = scanner(secret);
        for (index, needle) in scanner.needles().iter().enumerate() {
            for at in 0..9 {
                let mut haystack = vec![b'~'; at];
                haystack.extend_from_slice(&needle.bytes);
                haystack.extend_from_slice(b"~~~~~~~~");
                let hits = scanner.scan(&haystack);
                assert!(hits.iter().any(|hit| hit.needle == index && hit.at == at), "{needle:?}");
            }
        }
    }

    #[test]
    fn registers_are_searched_for_eight_bytes() {
        let scanner = scanner(SECRET);
        let mut registers = [0_u8; 32];
        registers[8..16].copy_from_slice(&SECRET[5..13]);
        assert_eq!(scanner.scan(&registers), []);
        assert_eq!(scanner.scan_pieces(&registers, 8), [Hit { needle: 0, at: 8, from: 5, len: 8 }]);
    }

    #[test]
    fn clean_memory_has_no_hits() {
        let scanner = scanner(SECRET);
        let haystack: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        assert_eq!(scanner.scan(&haystack), []);
        assert_eq!(scanner.scan(&vec![0; 100_000]), []);
        assert_eq!(scanner.scan(&[]), []);
    }

    #[test]
    fn a_needle_too_short_to_be_certain_is_refused() {
        let short =
            Needle { secret: 0, encoding: Encoding::Raw, bytes: b"fourteen bytes".to_vec() };
        assert!(Scanner::new(vec![short]).is_err());
    }
}
