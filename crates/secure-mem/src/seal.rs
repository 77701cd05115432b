//! Encryption at rest: AES-256-GCM with a key that lives in protected memory, and no trace on the stack.
//!
//! On Windows the system's `CryptProtectMemory` does the same and keeps the key outside the process.
#![allow(unsafe_code)]

pub(crate) use platform::{CIPHER_BYTES, Cipher, Tag, make_cipher, sealed_len};

use crate::{
    error::Error,
    vault::{self, Shared},
};
use platform::{open, seal};
use std::ptr::NonNull;

/// A sealed value was changed, or the key is gone.
#[derive(Debug)]
pub(crate) struct Rejected;

/// The right to use a vault's cipher: it stays where it is until this drops.
pub(crate) struct CipherUse {
    cipher: NonNull<Cipher>,
    shared: &'static Shared,
}

// SAFETY: the cipher isn't changed after it was made, but for the wipe, which makes it useless to everybody.
unsafe impl Send for CipherUse {}
// SAFETY: as above.
unsafe impl Sync for CipherUse {}

impl CipherUse {
    pub(crate) fn new(shared: &'static Shared) -> Result<Self, Error> {
        Ok(Self { cipher: shared.lock().acquire_cipher()?, shared })
    }

    /// Encrypts in place; answers the fresh number that was used, and the tag.
    pub(crate) fn seal(&self, bytes: &mut [u8]) -> Result<(u64, Tag), Rejected> {
        let number = self.shared.fresh_number();
        seal(self.cipher, number, bytes).map(|tag| (number, tag))
    }

    /// Decrypts in place.
    pub(crate) fn open(&self, number: u64, tag: &Tag, bytes: &mut [u8]) -> Result<(), Rejected> {
        open(self.cipher, number, tag, bytes)
    }
}

impl Drop for CipherUse {
    fn drop(&mut self) {
        if !vault::is_forked() {
            self.shared.lock().release_cipher();
        }
    }
}

#[cfg(not(windows))]
mod platform {
    use super::Rejected;
    use crate::{
        sys::{self, Refusal},
        wipe,
    };
    use aes_gcm::{Aes256Gcm, KeyInit, aead::AeadInOut};
    use std::ptr::NonNull;

    /// How much of the stack a call of the cipher may have used, with room to spare; see the test
    /// `no_key_remains_on_the_stack`. Unoptimised builds use far more.
    const SCRUB_BYTES: usize = if cfg!(debug_assertions) { 64 * 1024 } else { 8 * 1024 };

    /// Room for the expanded key.
    pub(crate) const CIPHER_BYTES: usize = size_of::<Cipher>();
    const _: () = assert!(align_of::<Cipher>() <= crate::region::GRANULE);

    /// The authentication tag; it isn't secret and stays in the handle.
    pub(crate) type Tag = [u8; 16];

    /// An expanded key, only ever inside protected memory.
    #[repr(C)]
    pub(crate) struct Cipher {
        /// Zero once the memory was wiped, here or by a fork.
        present: u64,
        gcm: Aes256Gcm,
    }

    /// Bytes a sealed value of `len` takes.
    pub(crate) fn sealed_len(len: usize) -> usize {
        len
    }

    /// Makes a cipher with a fresh key at `place`.
    ///
    /// # Safety
    /// `place` must be writable for [`CIPHER_BYTES`], aligned to 16, and unused.
    pub(crate) unsafe fn make_cipher(place: NonNull<u8>) -> Result<(), Refusal> {
        // SAFETY: the caller's promises are passed on.
        let made = unsafe { expand_fresh_key(place) };
        wipe::scrub_stack();
        made
    }

    #[inline(never)]
    pub(super) unsafe fn expand_fresh_key(place: NonNull<u8>) -> Result<(), Refusal> {
        // SAFETY: the place has room for far more than 32 bytes, which the next line fills.
        let key: &mut [u8; 32] = unsafe { place.cast().as_mut() };
        sys::random(key)?;
        let gcm = Aes256Gcm::new((&*key).into());
        // SAFETY: the place fits and is aligned; the raw key is overwritten with the cipher.
        unsafe { place.cast().write(Cipher { present: 1, gcm }) };
        Ok(())
    }

    /// Encrypts in place. `number` must be fresh for every call under one key.
    pub(crate) fn seal(
        cipher: NonNull<Cipher>,
        number: u64,
        bytes: &mut [u8],
    ) -> Result<Tag, Rejected> {
        let tag = seal_on_own_stack(cipher, number, bytes);
        zeroize::zeroize_stack::<SCRUB_BYTES>();
        wipe::clear_vector_registers();
        tag
    }

    /// Decrypts in place; a changed byte, tag or number is refused.
    pub(crate) fn open(
        cipher: NonNull<Cipher>,
        number: u64,
        tag: &Tag,
        bytes: &mut [u8],
    ) -> Result<(), Rejected> {
        let opened = open_on_own_stack(cipher, number, tag, bytes);
        zeroize::zeroize_stack::<SCRUB_BYTES>();
        wipe::clear_vector_registers();
        opened
    }

    #[inline(never)]
    fn seal_on_own_stack(
        cipher: NonNull<Cipher>,
        number: u64,
        bytes: &mut [u8],
    ) -> Result<Tag, Rejected> {
        let gcm = present(&cipher)?;
        gcm.encrypt_inout_detached(&nonce(number).into(), &[], bytes.into())
            .map(Into::into)
            .map_err(|_| Rejected)
    }

    #[inline(never)]
    fn open_on_own_stack(
        cipher: NonNull<Cipher>,
        number: u64,
        tag: &Tag,
        bytes: &mut [u8],
    ) -> Result<(), Rejected> {
        let gcm = present(&cipher)?;
        gcm.decrypt_inout_detached(&nonce(number).into(), &[], bytes.into(), tag.into())
            .map_err(|_| Rejected)
    }

    fn present(cipher: &NonNull<Cipher>) -> Result<&Aes256Gcm, Rejected> {
        // SAFETY: the cipher's memory stays mapped while a sealed value lives; a blank one is all zeros, which
        // is a valid number here.
        let cipher = unsafe { cipher.as_ref() };
        if cipher.present == 1 { Ok(&cipher.gcm) } else { Err(Rejected) }
    }

    fn nonce(number: u64) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&number.to_le_bytes());
        nonce
    }
}

#[cfg(windows)]
mod platform {
    use super::Rejected;
    use crate::sys::Refusal;
    use std::ptr::NonNull;
    use windows_sys::Win32::Security::Cryptography::{
        CRYPTPROTECTMEMORY_BLOCK_SIZE, CRYPTPROTECTMEMORY_SAME_PROCESS, CryptProtectMemory,
        CryptUnprotectMemory,
    };

    /// The system holds the key.
    pub(crate) const CIPHER_BYTES: usize = size_of::<Cipher>();
    /// The system keeps no tag: a changed value opens to other bytes.
    pub(crate) type Tag = [u8; 16];
    pub(crate) struct Cipher(#[allow(dead_code, reason = "keeps a place")] u64);

    /// The system encrypts whole blocks.
    pub(crate) fn sealed_len(len: usize) -> usize {
        len.next_multiple_of(CRYPTPROTECTMEMORY_BLOCK_SIZE as usize)
    }

    #[allow(clippy::unnecessary_wraps, reason = "the interface of the other platforms")]
    pub(crate) unsafe fn make_cipher(_place: NonNull<u8>) -> Result<(), Refusal> {
        Ok(())
    }

    pub(crate) fn seal(
        _cipher: NonNull<Cipher>,
        _number: u64,
        bytes: &mut [u8],
    ) -> Result<Tag, Rejected> {
        for part in parts(bytes) {
            let (start, len) = part?;
            // SAFETY: the range is a borrowed slice of whole blocks.
            if unsafe { CryptProtectMemory(start, len, CRYPTPROTECTMEMORY_SAME_PROCESS) } == 0 {
                return Err(Rejected);
            }
        }
        Ok([0; 16])
    }

    pub(crate) fn open(
        _cipher: NonNull<Cipher>,
        _number: u64,
        _tag: &Tag,
        bytes: &mut [u8],
    ) -> Result<(), Rejected> {
        for part in parts(bytes) {
            let (start, len) = part?;
            // SAFETY: the range is a borrowed slice of whole blocks.
            if unsafe { CryptUnprotectMemory(start, len, CRYPTPROTECTMEMORY_SAME_PROCESS) } == 0 {
                return Err(Rejected);
            }
        }
        Ok(())
    }

    /// The system counts in 32 bits.
    fn parts(
        bytes: &mut [u8],
    ) -> impl Iterator<Item = Result<(*mut core::ffi::c_void, u32), Rejected>> {
        bytes.chunks_mut(1 << 30).map(|part| {
            let len = u32::try_from(part.len()).map_err(|_| Rejected)?;
            Ok((part.as_mut_ptr().cast(), len))
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::{collections::HashSet, fs::File, os::unix::fs::FileExt};

    /// A place for a cipher, aligned as a slot is.
    #[repr(align(16))]
    struct Place([u8; CIPHER_BYTES]);

    fn fresh() -> (Box<Place>, NonNull<Cipher>) {
        let mut place = Box::new(Place([0; CIPHER_BYTES]));
        let start = NonNull::from(&mut place.0).cast();
        // SAFETY: a fresh place of the right size and alignment.
        unsafe { make_cipher(start) }.expect("the system gives random bytes");
        (place, start.cast())
    }

    /// Where 8 bytes of the cipher's state (the round keys give the key away) lie outside of it.
    fn copies_elsewhere(cipher: NonNull<Cipher>) -> usize {
        let here = cipher.as_ptr().addr() as u64;
        let home = here..here + CIPHER_BYTES as u64;
        // SAFETY: the cipher is alive and holds bytes.
        let state =
            unsafe { std::slice::from_raw_parts(cipher.as_ptr().cast::<u8>(), CIPHER_BYTES) };
        // Eight bytes of each round key, masked, so that the search doesn't find itself.
        let needles: HashSet<u64> = state
            .chunks_exact(8)
            .map(|part| !u64::from_ne_bytes(part.try_into().expect("eight bytes")))
            .filter(|masked| masked.count_zeros() > 12)
            .collect();
        assert!(needles.len() >= 30, "fifteen round keys of 16 bytes");
        let memory = File::open("/proc/self/mem").expect("our own memory");
        let maps = std::fs::read_to_string("/proc/self/maps").expect("our own maps");
        let mut room = vec![0u8; 4096];
        let room_start = room.as_ptr().addr() as u64;
        let mut found = 0;
        for line in maps.lines().filter(|line| line.contains(" rw")) {
            let (start, end) = line.split(' ').next().expect("a range").split_once('-').expect("-");
            let hex = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
            for page in (hex(start)..hex(end)).step_by(4096) {
                if memory.read_exact_at(&mut room, page).is_err() {
                    continue;
                }
                for (at, part) in (page..).step_by(8).zip(room.chunks_exact(8)) {
                    let ours = home.contains(&at) || (room_start..room_start + 4096).contains(&at);
                    let word = u64::from_ne_bytes(part.try_into().expect("eight bytes"));
                    found += usize::from(word != 0 && needles.contains(&!word) && !ours);
                }
            }
        }
        // What was read of the cipher's own page must not be found by the next search.
        room.fill(0);
        std::hint::black_box(&room);
        found
    }

    #[test]
    fn no_key_remains_on_the_stack() {
        let (_place, cipher) = fresh();
        assert_eq!(copies_elsewhere(cipher), 0, "after making the key");
        for len in [0, 1, 15, 16, 32, 100, 250, 500, 1000, 5000, 70_000] {
            let mut bytes = vec![7; len];
            let tag = seal(cipher, 1, &mut bytes).expect("the key is there");
            assert_eq!(copies_elsewhere(cipher), 0, "after sealing {len} bytes");
            open(cipher, 1, &tag, &mut bytes).expect("nothing changed");
            assert_eq!(copies_elsewhere(cipher), 0, "after opening {len} bytes");
        }
    }

    #[test]
    fn the_search_finds_a_key_that_was_not_scrubbed() {
        let mut place = Box::new(Place([0; CIPHER_BYTES]));
        let start = NonNull::from(&mut place.0).cast();
        // SAFETY: a fresh place of the right size and alignment.
        unsafe { platform::expand_fresh_key(start) }.expect("the system gives random bytes");
        assert!(copies_elsewhere(start.cast()) > 0);
        crate::scrub_stack();
    }

    #[test]
    fn a_changed_byte_tag_or_number_is_refused() {
        let (_place, cipher) = fresh();
        let mut bytes = *b"a value of some length";
        let tag = seal(cipher, 5, &mut bytes).expect("the key is there");
        assert_ne!(&bytes, b"a value of some length");
        let mut wrong_tag = tag;
        wrong_tag[3] ^= 1;
        let mut changed = bytes;
        changed[7] ^= 1;
        assert!(open(cipher, 5, &tag, &mut changed).is_err());
        assert!(open(cipher, 5, &wrong_tag, &mut bytes.clone()).is_err());
        assert!(open(cipher, 6, &tag, &mut bytes.clone()).is_err());
        open(cipher, 5, &tag, &mut bytes).expect("nothing changed");
        assert_eq!(&bytes, b"a value of some length");
    }

    #[test]
    fn a_blank_cipher_is_refused_not_used() {
        let mut place = Box::new(Place([0; CIPHER_BYTES]));
        let cipher = NonNull::from(&mut place.0).cast();
        assert!(seal(cipher, 1, &mut [1, 2, 3]).is_err());
        assert!(open(cipher, 1, &[0; 16], &mut [1, 2, 3]).is_err());
    }
}
