//! Reads a source in pieces; a large file in a thread ahead of its hashing, so that the two overlap.

use std::fs::File;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

const PIECE_BYTES: usize = 256 * 1024;

/// How many pieces there are, of which one is hashed.
const PIECES: usize = 4;

/// For less than this a thread costs more than it saves.
const AHEAD_FROM_BYTES: u64 = 8 << 20;

/// Gives all of `source`, in order, to `take`.
///
/// # Errors
/// Those of `source`; what was read until then has been given.
pub(super) fn read(mut source: impl Read, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match fill(&mut source, &mut piece)? {
            0 => return Ok(()),
            count => take(&piece[..count]),
        }
    }
}

/// The same, of a file. Its size only decides how: a file that grows is read to its end.
///
/// # Errors
/// As [`read`].
pub(super) fn read_file(file: File, take: impl FnMut(&[u8])) -> io::Result<()> {
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    if size < AHEAD_FROM_BYTES { read(file, take) } else { ahead(file, take) }
}

fn ahead(mut source: impl Read + Send, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let read_from = &mut source;
    let outcome = thread::scope(|scope| {
        // Who has a piece owns it: no lock, and memory is what the pieces are. The channels end
        // with this closure, also by a panic, and with them the reader.
        let (full, to_hash) = sync_channel(PIECES);
        let (empty, to_fill) = sync_channel(PIECES);
        for _ in 0..PIECES {
            empty.send(vec![0; PIECE_BYTES]).expect("its receiver is alive");
        }
        let reader = move || read_ahead(read_from, &to_fill, &full);
        thread::Builder::new().spawn_scoped(scope, reader).ok()?;
        Some(drain(&to_hash, &empty, &mut take))
    });
    // A system that starts no thread still reads.
    outcome.unwrap_or_else(|| read(source, take))
}

/// Takes pieces as they come, and gives them back.
fn drain(
    to_hash: &Receiver<io::Result<Filled>>,
    empty: &SyncSender<Vec<u8>>,
    mut take: impl FnMut(&[u8]),
) -> io::Result<()> {
    while let Ok(filled) = to_hash.recv() {
        let (piece, count) = filled?;
        if count == 0 {
            return Ok(());
        }
        take(&piece[..count]);
        // The reader is gone when it met an error, which comes next.
        let _ = empty.send(piece);
    }
    Err(io::Error::other("reading ended before the file did"))
}

/// A piece and how much of it is filled.
type Filled = (Vec<u8>, usize);

/// Fills the pieces that come in until one is empty, which says that the source is at its end.
fn read_ahead(
    source: &mut impl Read,
    to_fill: &Receiver<Vec<u8>>,
    full: &SyncSender<io::Result<Filled>>,
) {
    while let Ok(mut piece) = to_fill.recv() {
        let filled = fill(source, &mut piece).map(|count| (piece, count));
        let is_last = !matches!(filled, Ok((_, 1..)));
        if full.send(filled).is_err() || is_last {
            return;
        }
    }
}

/// Reads once; 0 at the end.
fn fill(source: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Gives one byte, then as much as is wanted, and is interrupted in between.
    struct Uneven<'a> {
        rest: &'a [u8],
        calls: usize,
        fails_at: Option<usize>,
    }

    impl Read for Uneven<'_> {
        fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.fails_at.is_some_and(|at| self.calls >= at) {
                return Err(io::Error::other("the disk is gone"));
            }
            let most = match self.calls % 3 {
                0 => return Err(io::ErrorKind::Interrupted.into()),
                1 => 1.min(piece.len()),
                _ => piece.len(),
            };
            self.rest.read(&mut piece[..most])
        }
    }

    fn content() -> Vec<u8> {
        (0..PIECE_BYTES * 9 + 7).map(|n| u8::try_from(n * 31 % 251).expect("below 251")).collect()
    }

    #[test]
    fn both_ways_give_every_byte_in_order() {
        let content = content();
        let uneven = || Uneven { rest: &content, calls: 0, fails_at: None };
        let (mut plain, mut overlapped) = (Vec::new(), Vec::new());
        read(uneven(), |piece| plain.extend_from_slice(piece)).expect("no error");
        ahead(uneven(), |piece| overlapped.extend_from_slice(piece)).expect("no error");
        assert!(plain == content && overlapped == content);
        ahead(&b""[..], |_| panic!("there is nothing")).expect("no error");
    }

    #[test]
    fn an_error_is_told_however_late_it_comes() {
        let content = content();
        for at in [1, 2, 7, 12] {
            let failing = || Uneven { rest: &content, calls: 0, fails_at: Some(at) };
            let (mut plain, mut overlapped) = (0, 0);
            let first = read(failing(), |piece| plain += piece.len()).expect_err("the disk");
            let second = ahead(failing(), |piece| overlapped += piece.len()).expect_err("the disk");
            assert_eq!((first.to_string(), plain), (second.to_string(), overlapped));
        }
    }

    #[test]
    fn a_reader_that_is_gone_is_no_end_of_the_file() {
        let (full, to_hash) = sync_channel(1);
        let (empty, _to_fill) = sync_channel(1);
        full.send(Ok((vec![1; 3], 3))).expect("its receiver is alive");
        drop(full);
        let mut count = 0;
        let outcome = drain(&to_hash, &empty, |piece| count += piece.len());
        assert!(outcome.is_err() && count == 3);
    }

    #[test]
    fn a_panic_while_hashing_waits_for_nobody() {
        let content = content();
        let outcome = std::panic::catch_unwind(|| ahead(&content[..], |_| panic!("of the test")));
        assert!(outcome.is_err());
    }

    #[test]
    fn a_large_file_is_read_whole() {
        let mut file = tempfile::tempfile().expect("a temporary file");
        let size = AHEAD_FROM_BYTES + 5;
        file.set_len(size).expect("room");
        file.write_all(b"start").expect("room");
        io::Seek::rewind(&mut file).expect("a file");
        let (mut count, mut start) = (0, None);
        read_file(file, |piece| {
            start.get_or_insert_with(|| piece[..5].to_vec());
            count += piece.len() as u64;
        })
        .expect("no error");
        assert_eq!((count, start.as_deref()), (size, Some(&b"start"[..])));
    }
}
