//! One mapping cut into granules of 16 bytes; which are in use is kept outside the mapping.

use crate::{
    protection::Backend,
    sys::{self, Access, Mapping, Refusal},
};
use std::{io, ptr::NonNull};

/// Unit of allocation, and size of a canary.
pub(crate) const GRANULE: usize = 16;

/// A region: pages, a bit for each granule in use, a bit for each granule that holds a canary.
pub(crate) struct Region {
    mapping: Mapping,
    used: Bits,
    canaries: Bits,
    /// Where the last search ended; filling a region in order costs no search.
    cursor: usize,
    /// No free run is longer than this, so hopeless searches are skipped.
    longest_run: usize,
    /// Every granule ever handed out lies below: a wipe touches no page that was never touched.
    high_water: usize,
    /// Blocks in use.
    pub(crate) live: usize,
    readers: usize,
    writers: usize,
}

impl Region {
    pub(crate) fn map(backend: Backend, len: usize) -> Result<Self, Refusal> {
        let mapping = sys::map(backend, len)?;
        let granules = len / GRANULE;
        Ok(Self {
            mapping,
            used: Bits::new(granules),
            canaries: Bits::new(granules),
            cursor: 0,
            longest_run: granules,
            high_water: 0,
            live: 0,
            readers: 0,
            writers: 0,
        })
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    pub(crate) fn len(&self) -> usize {
        self.mapping.data_len
    }

    /// Finds `count` free granules in a row and marks them used.
    pub(crate) fn take(&mut self, count: usize) -> Option<usize> {
        if count > self.longest_run {
            return None;
        }
        let found = self.used.find_clear_run(self.cursor, count);
        let Some(start) = found.or_else(|| self.used.find_clear_run(0, count)) else {
            self.longest_run = count - 1;
            return None;
        };
        self.used.set(start, count);
        self.cursor = start + count;
        self.high_water = self.high_water.max(self.cursor);
        Some(start)
    }

    /// Marks the last `count` granules of the region used; they must be free.
    pub(crate) fn take_tail(&mut self, count: usize) -> usize {
        let start = self.used.len - count;
        self.used.set(start, count);
        start
    }

    /// Marks granules free again. They hold zeros by then.
    pub(crate) fn give_back(&mut self, start: usize, count: usize) {
        self.used.clear(start, count);
        self.longest_run = self.used.len;
        if start + count == self.cursor {
            // What was taken last comes back: the next value goes there, so that few pages are touched.
            self.cursor = start;
        }
    }

    pub(crate) fn mark_canary(&mut self, granule: usize) {
        self.canaries.set_one(granule);
    }

    pub(crate) fn unmark_canary(&mut self, granule: usize) {
        self.canaries.clear_one(granule);
    }

    pub(crate) fn unmark_all_canaries(&mut self) {
        self.canaries.clear(0, self.canaries.len);
    }

    /// Addresses of all canaries.
    pub(crate) fn canaries(&self) -> impl Iterator<Item = NonNull<u8>> {
        self.canaries.ones().map(|granule| self.address(granule))
    }

    pub(crate) fn used_bytes(&self) -> usize {
        self.used.count() * GRANULE
    }

    /// The part of the mapping that was ever handed out: where it starts, how long it is.
    pub(crate) fn touched(&self) -> (NonNull<u8>, usize) {
        (self.mapping.data, self.high_water * GRANULE)
    }

    pub(crate) fn address(&self, granule: usize) -> NonNull<u8> {
        debug_assert!(granule < self.used.len);
        NonNull::new(self.mapping.data.as_ptr().wrapping_add(granule * GRANULE))
            .expect("an address inside a mapping isn't null")
    }

    pub(crate) fn granule_at(&self, address: NonNull<u8>) -> usize {
        (address.as_ptr().addr() - self.mapping.data.as_ptr().addr()) / GRANULE
    }

    /// Counts a reader or writer in and opens the pages as far as needed.
    pub(crate) fn open(&mut self, write: bool) -> io::Result<()> {
        let before = self.access();
        *self.users(write) += 1;
        self.change_from(before).inspect_err(|_| *self.users(write) -= 1)
    }

    /// Counts a reader or writer out and closes the pages as far as possible.
    pub(crate) fn close(&mut self, write: bool) -> io::Result<()> {
        let before = self.access();
        *self.users(write) -= 1;
        self.change_from(before)
    }

    /// Takes all access away until the first [`Region::open`].
    pub(crate) fn shut(&mut self) -> io::Result<()> {
        sys::protect(&self.mapping, Access::None)
    }

    /// Opens the pages for the last wipe, whoever counts as a user.
    pub(crate) fn force_open(&mut self) -> io::Result<()> {
        sys::protect(&self.mapping, Access::Write)
    }

    /// Puts the access back to what the users need, after [`Region::force_open`].
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        sys::protect(&self.mapping, self.access())
    }

    fn users(&mut self, write: bool) -> &mut usize {
        if write { &mut self.writers } else { &mut self.readers }
    }

    fn access(&self) -> Access {
        match (self.writers, self.readers) {
            (0, 0) => Access::None,
            (0, _) => Access::Read,
            _ => Access::Write,
        }
    }

    fn change_from(&self, before: Access) -> io::Result<()> {
        let now = self.access();
        if now == before { Ok(()) } else { sys::protect(&self.mapping, now) }
    }
}

/// A fixed number of bits with searches for runs.
struct Bits {
    words: Box<[u64]>,
    len: usize,
}

impl Bits {
    fn new(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)].into_boxed_slice(), len }
    }

    fn set(&mut self, start: usize, count: usize) {
        self.each_word(start, count, |word, mask| *word |= mask);
    }

    fn clear(&mut self, start: usize, count: usize) {
        self.each_word(start, count, |word, mask| *word &= !mask);
    }

    fn set_one(&mut self, index: usize) {
        self.words[index / 64] |= 1 << (index % 64);
    }

    fn clear_one(&mut self, index: usize) {
        self.words[index / 64] &= !(1 << (index % 64));
    }

    fn each_word(&mut self, start: usize, count: usize, mut change: impl FnMut(&mut u64, u64)) {
        let end = start + count;
        debug_assert!(end <= self.len);
        let mut at = start;
        while at < end {
            let here = (64 - at % 64).min(end - at);
            let ones = if here == 64 { u64::MAX } else { (1 << here) - 1 };
            change(&mut self.words[at / 64], ones << (at % 64));
            at += here;
        }
    }

    fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn ones(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(index, &word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| index * 64 + bit)
        })
    }

    /// First run of `count` clear bits at or after `from`.
    fn find_clear_run(&self, from: usize, count: usize) -> Option<usize> {
        let mut start = self.next(from, self.len, false);
        while start + count <= self.len {
            let end = self.next(start, start + count, true);
            if end == start + count {
                return Some(start);
            }
            start = self.next(end, self.len, false);
        }
        None
    }

    /// First bit in `from..limit` that is `wanted`, or `limit`.
    fn next(&self, from: usize, limit: usize, wanted: bool) -> usize {
        let mut skip = u64::MAX << (from % 64);
        for index in from / 64..limit.div_ceil(64) {
            let word = self.words[index];
            let hits = if wanted { word } else { !word } & skip;
            if hits != 0 {
                return (index * 64 + hits.trailing_zeros() as usize).min(limit);
            }
            skip = u64::MAX;
        }
        limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_agree_with_a_list_of_booleans(
            len in 1usize..300,
            changes in prop::collection::vec((0usize..300, 0usize..130, any::<bool>()), 0..30),
            from in 0usize..300,
            count in 1usize..100,
        ) {
            let mut bits = Bits::new(len);
            let mut model = vec![false; len];
            for (start, count, on) in changes {
                let start = start.min(len);
                let count = count.min(len - start);
                if on { bits.set(start, count) } else { bits.clear(start, count) }
                model[start..start + count].fill(on);
            }
            prop_assert_eq!(bits.count(), model.iter().filter(|&&b| b).count());
            let ones: Vec<usize> = (0..len).filter(|&i| model[i]).collect();
            prop_assert_eq!(bits.ones().collect::<Vec<_>>(), ones);
            let from = from.min(len);
            let run = (from..len).find(|&i| i + count <= len && !model[i..i + count].contains(&true));
            prop_assert_eq!(bits.find_clear_run(from, count), run);
        }
    }

    #[test]
    fn a_long_first_run_is_found_from_the_cursor() {
        let mut bits = Bits::new(1 << 16);
        bits.set(0, 40_000);
        assert_eq!(bits.find_clear_run(0, 20_000), Some(40_000));
        assert_eq!(bits.find_clear_run(0, 26_000), None);
    }
}
