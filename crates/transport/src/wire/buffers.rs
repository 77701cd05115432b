//! Buffers that hold nothing longer than needed: what was consumed or sent is wiped at once.

use std::fmt;
use std::ops::Range;

use zeroize::{Zeroize as _, Zeroizing};

/// Grows by at least this much.
const STEP_BYTES: usize = 16 * 1024;

/// A queue of bytes in one piece; what leaves it is wiped, and what it outgrows too.
pub(crate) struct Queue {
    bytes: Zeroizing<Vec<u8>>,
    filled: Range<usize>,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self { bytes: Zeroizing::new(Vec::new()), filled: 0..0 }
    }

    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[self.filled.clone()]
    }

    pub(crate) fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.filled.clone()]
    }

    /// Room behind what is there, at least `least` bytes of it.
    pub(crate) fn room(&mut self, least: usize) -> &mut [u8] {
        if self.bytes.len() - self.filled.end < least {
            self.make_room(least);
        }
        &mut self.bytes[self.filled.end..]
    }

    /// Says that the first `count` bytes of the room are filled.
    pub(crate) fn grew(&mut self, count: usize) {
        self.filled.end = (self.filled.end + count).min(self.bytes.len());
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.grew(bytes.len());
    }

    /// Takes the first `count` bytes out.
    pub(crate) fn consume(&mut self, count: usize) {
        let end = (self.filled.start + count).min(self.filled.end);
        self.bytes[self.filled.start..end].zeroize();
        self.filled.start = end;
        if self.filled.is_empty() {
            self.filled = 0..0;
        }
    }

    fn make_room(&mut self, least: usize) {
        let len = self.filled.len();
        if self.bytes.len() - len >= least {
            self.bytes.copy_within(self.filled.clone(), 0);
            self.bytes[len..self.filled.end].zeroize();
        } else {
            // A new piece: growing in place would leave the old one unwiped.
            let size = (len + least).next_multiple_of(STEP_BYTES);
            let mut larger = Zeroizing::new(vec![0; size]);
            larger[..len].copy_from_slice(self.filled());
            self.bytes = larger;
        }
        self.filled = 0..len;
    }
}

/// The two buffers ureq asks a connection for.
pub(crate) struct Buffers {
    input: Queue,
    output: Zeroizing<Vec<u8>>,
    progress: bool,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self { input: Queue::new(), output: Zeroizing::new(Vec::new()), progress: false }
    }

    pub(crate) fn wipe_output(&mut self, amount: usize) {
        let end = amount.min(self.output.len());
        self.output[..end].zeroize();
    }

    fn allocate_output(&mut self) {
        if self.output.is_empty() {
            self.output = Zeroizing::new(vec![0; STEP_BYTES]);
        }
    }
}

impl ureq::unversioned::transport::Buffers for Buffers {
    fn output(&mut self) -> &mut [u8] {
        self.allocate_output();
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        self.input.filled()
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.input.room(STEP_BYTES)
    }

    fn input_appended(&mut self, amount: usize) {
        self.input.grew(amount);
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.input.consume(amount);
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.allocate_output();
        (self.input.room(STEP_BYTES), &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        self.progress && !self.input.filled().is_empty()
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({} bytes)", self.filled.len())
    }
}

impl fmt::Debug for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffers({:?})", self.input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_is_wiped() {
        let mut queue = Queue::new();
        queue.push(b"secret one");
        queue.push(b"secret two");
        queue.consume(10);
        assert_eq!(queue.filled(), b"secret two");
        assert!(queue.bytes[..10].iter().all(|byte| *byte == 0));
        // Making room by moving leaves nothing where it was.
        let free = queue.bytes.len() - 10;
        queue.room(free);
        assert_eq!(queue.filled(), b"secret two");
        assert!(queue.bytes[10..].iter().all(|byte| *byte == 0));
        queue.consume(usize::from(u8::MAX));
        assert!(queue.filled().is_empty() && queue.bytes.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn it_is_a_queue() {
        let mut queue = Queue::new();
        let mut wanted = Vec::new();
        for round in 0..200_u8 {
            let part = vec![round; usize::from(round) * 37];
            queue.push(&part);
            wanted.extend(part);
            let out = wanted.len() / 3;
            queue.consume(out);
            wanted.drain(..out);
            assert_eq!(queue.filled(), wanted);
        }
    }
}
