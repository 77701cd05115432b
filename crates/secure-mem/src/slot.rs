//! A slot: one block, its owner's length, and the way to its bytes. Dropping it wipes.
#![allow(unsafe_code)]

use crate::{
    error::Error,
    protection::Backend,
    slab::{Block, Purpose, Slab},
    vault::{self, Shared},
    wipe,
};
use std::ptr::NonNull;

/// Owns a block. Its pages may be without access: open the slot before touching the bytes.
pub(crate) struct Slot {
    block: Block,
    len: usize,
    /// The wipe count when the slot was made: a later wipe makes it stale.
    epoch: u32,
    /// Whether this slot counts as a writer of its region.
    opened: bool,
    shared: &'static Shared,
}

impl Slot {
    /// Makes a slot of `len` zero bytes, open for writing.
    #[inline]
    pub(crate) fn new(
        shared: &'static Shared,
        purpose: Purpose,
        len: usize,
    ) -> Result<Self, Error> {
        // The epoch first: a wipe in between makes the slot stale, never the other way round.
        let epoch = vault::epoch()?;
        let block = shared.lock().allocate(purpose, len)?;
        Ok(Self { block, len, epoch, opened: shared.guarded(), shared })
    }

    pub(crate) fn shared(&self) -> &'static Shared {
        self.shared
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Counts padding in, up to what the block holds.
    pub(crate) fn widen(&mut self, len: usize) {
        assert!(self.len <= len && len <= self.block.capacity(), "padding lies inside the block");
        self.len = len;
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.block.address
    }

    pub(crate) fn backend(&self) -> Backend {
        self.block.backend
    }

    /// Fails when the values were wiped since, or the process is a fork child.
    #[inline]
    pub(crate) fn ensure_live(&self) -> Result<(), Error> {
        if self.epoch == vault::raw_epoch() { Ok(()) } else { Err(vault::why_stale()) }
    }

    /// Closes the pages, where pages are switched.
    pub(crate) fn close(&mut self) {
        if self.opened {
            self.shared.lock().close(&self.block, true);
            self.opened = false;
        }
    }

    /// Opens the pages for writing, where pages are switched.
    pub(crate) fn reopen(&mut self) -> Result<(), Error> {
        self.ensure_live()?;
        if self.shared.guarded() && !self.opened {
            self.shared.lock().open(&self.block, true).map_err(Error::Access)?;
            self.opened = true;
        }
        Ok(())
    }

    /// Counts a reader in; the caller balances it with [`Slot::reader_left`].
    pub(crate) fn reader_came(&self) -> Result<(), Error> {
        self.shared.lock().open(&self.block, false).map_err(Error::Access)
    }

    pub(crate) fn reader_left(&self) {
        if !vault::is_forked() {
            self.shared.lock().close(&self.block, false);
        }
    }

    /// The bytes of an open slot.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the block is mapped and initialised while the slot lives, and `&self` rules out a writer.
        unsafe { std::slice::from_raw_parts(self.start().as_ptr(), self.len) }
    }

    /// The bytes of an open slot.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the block is mapped and initialised while the slot lives, and `&mut self` is alone.
        unsafe { std::slice::from_raw_parts_mut(self.start().as_ptr(), self.len) }
    }

    /// Copies bytes in at `offset`, without a trace in vector registers for small ones.
    pub(crate) fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        let room = &mut self.bytes_mut()[offset..offset + bytes.len()];
        // SAFETY: both ranges have the length, and a borrowed slice can't overlap our own unique one.
        unsafe { wipe::copy(bytes.as_ptr(), room.as_mut_ptr(), bytes.len()) };
    }

    /// Makes an open slot shorter, wipes what is cut off and gives its room back.
    pub(crate) fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        let shared = self.shared;
        let mut slab = shared.lock();
        if self.ensure_live().is_ok() && slab.verify(&self.block, self.len).is_err() {
            drop(slab);
            vault::die_of_corruption();
        }
        let end = self.start().as_ptr().wrapping_add(len);
        // SAFETY: the tail is ours, and `&mut self` is alone.
        unsafe { wipe::wipe(end, self.len - len) };
        slab.shrink(&mut self.block, len);
        self.len = len;
    }
}

impl Drop for Slot {
    #[inline]
    fn drop(&mut self) {
        let stale = self.epoch != vault::raw_epoch();
        if stale && vault::is_forked() {
            // The pages belong to the parent: nothing here to wipe, and its locks may be held for ever.
            return;
        }
        let mut slab = self.shared.lock();
        if Slab::is_large(&self.block) && !self.shared.guarded() {
            if !stale && slab.verify(&self.block, self.len).is_err() {
                drop(slab);
                vault::die_of_corruption();
            }
            slab.release_canary(&self.block);
            // Not under the lock: others needn't wait for a megabyte.
            drop(slab);
            // SAFETY: the block is ours until it is freed.
            unsafe { wipe::wipe(self.start().as_ptr(), self.block.size()) };
            self.shared.lock().give_back_wiped(&self.block);
            return;
        }
        if slab.free(&self.block, self.len, self.opened, stale).is_err() {
            drop(slab);
            vault::die_of_corruption();
        }
    }
}
