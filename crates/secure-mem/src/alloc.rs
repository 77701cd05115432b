//! A global allocator that wipes what it frees: the net under libraries that copy secrets to the heap.
#![allow(unsafe_code)]

use crate::wipe;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    ptr,
};

/// Wraps an allocator and zeroes every block before it is freed, also when a block grows or shrinks.
///
/// # Security
/// It clears what libraries leave on the heap *after* they free it. While a value is alive it is as readable as
/// any heap memory, so this is a net, not a place for secrets: those belong in [`SecretBytes`](crate::SecretBytes).
///
/// # Examples
/// ```
/// #[global_allocator]
/// static ALLOCATOR: dsops_secure_mem::ZeroizingAlloc = dsops_secure_mem::ZeroizingAlloc::system();
/// # fn main() {}
/// ```
#[derive(Debug, Default, Clone, Copy)]
pub struct ZeroizingAlloc<A = System>(pub A);

impl ZeroizingAlloc {
    /// Over the system's allocator.
    pub const fn system() -> Self {
        Self(System)
    }
}

// SAFETY: every call is passed on to the wrapped allocator with the layout it was made with.
unsafe impl<A: GlobalAlloc> GlobalAlloc for ZeroizingAlloc<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives up the block, all of it is ours to write.
        unsafe { wipe::wipe(block, layout.size()) };
        // SAFETY: the caller's promises are passed on.
        unsafe { self.0.dealloc(block, layout) };
    }

    // Never the inner `realloc`: it may move the block and free the old one unwiped.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `new_size` fits the alignment.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the caller promises a size above zero.
        let new = unsafe { self.0.alloc(new_layout) };
        if !new.is_null() {
            // SAFETY: both blocks are at least that long, and a fresh block overlaps no live one.
            unsafe { ptr::copy_nonoverlapping(block, new, layout.size().min(new_size)) };
            // SAFETY: the caller gives up the old block.
            unsafe { self.dealloc(block, layout) };
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// Records whether each block was zero when it came back.
    struct Witness(RefCell<Vec<bool>>);

    // SAFETY: passes on to the system's allocator.
    unsafe impl GlobalAlloc for Witness {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: passed on.
            unsafe { System.alloc(layout) }
        }
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: the tests below initialise every block they free.
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            self.0.borrow_mut().push(bytes.iter().all(|&b| b == 0));
            // SAFETY: passed on.
            unsafe { System.dealloc(block, layout) }
        }
    }

    fn freed_blank(run: impl FnOnce(&ZeroizingAlloc<Witness>, *mut u8, Layout)) -> Vec<bool> {
        let alloc = ZeroizingAlloc(Witness(RefCell::default()));
        let layout = Layout::array::<u8>(100).expect("a small layout");
        // SAFETY: the layout isn't empty.
        let block = unsafe { alloc.alloc(layout) };
        assert!(!block.is_null());
        // SAFETY: a fresh block of 100 bytes.
        unsafe { block.write_bytes(0xA5, 100) };
        run(&alloc, block, layout);
        alloc.0.0.take()
    }

    #[test]
    fn a_freed_block_is_blank() {
        // SAFETY: the block comes from this allocator with this layout.
        assert_eq!(freed_blank(|a, b, l| unsafe { a.dealloc(b, l) }), [true]);
    }

    #[test]
    fn a_grown_or_shrunk_block_leaves_nothing_behind() {
        for new_size in [10, 100, 300] {
            let seen = freed_blank(|a, b, l| {
                // SAFETY: the block comes from this allocator with this layout.
                let moved = unsafe { a.realloc(b, l, new_size) };
                // SAFETY: the moved block holds at least 10 bytes.
                assert_eq!(unsafe { moved.wrapping_add(9).read() }, 0xA5);
                // SAFETY: the tail of a grown block is ours to initialise for the witness.
                unsafe { moved.write_bytes(0xA5, new_size) };
                let layout = Layout::array::<u8>(new_size).expect("a small layout");
                // SAFETY: the block comes from this allocator with this layout.
                unsafe { a.dealloc(moved, layout) };
            });
            assert_eq!(seen, [true, true], "grown to {new_size}");
        }
    }
}
