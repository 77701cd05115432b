//! Guards: the bytes of a secret while it is open, and the only way to them.
#![allow(unsafe_code)]

use crate::secret::SecretBytes;
use std::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

/// A secret open for reading. Dropping it closes the secret.
pub struct Exposed<'a> {
    start: NonNull<u8>,
    len: usize,
    owner: &'a SecretBytes,
}

// SAFETY: the guard is a shared view of bytes that stay mapped and unchanged while the owner is borrowed.
unsafe impl Send for Exposed<'_> {}
// SAFETY: as above.
unsafe impl Sync for Exposed<'_> {}

impl<'a> Exposed<'a> {
    #[inline]
    pub(crate) fn new(start: NonNull<u8>, len: usize, owner: &'a SecretBytes) -> Self {
        Self { start, len, owner }
    }
}

impl Deref for Exposed<'_> {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the owner opened that many bytes and keeps them open until `reader_left`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Exposed<'_> {
    #[inline]
    fn drop(&mut self) {
        self.owner.reader_left();
    }
}

impl secrecy::ExposeSecret<[u8]> for Exposed<'_> {
    fn expose_secret(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Exposed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exposed({} bytes, REDACTED)", self.len)
    }
}

/// A secret open for changing. Dropping it closes the secret.
pub struct ExposedMut<'a> {
    start: NonNull<u8>,
    len: usize,
    owner: NonNull<SecretBytes>,
    borrowed: PhantomData<&'a mut SecretBytes>,
}

// SAFETY: the guard is the unique view of bytes that stay mapped while the owner is borrowed.
unsafe impl Send for ExposedMut<'_> {}
// SAFETY: sharing the guard gives shared views of the bytes only.
unsafe impl Sync for ExposedMut<'_> {}

impl<'a> ExposedMut<'a> {
    pub(crate) fn new(start: NonNull<u8>, len: usize, owner: &'a mut SecretBytes) -> Self {
        Self { start, len, owner: NonNull::from(owner), borrowed: PhantomData }
    }
}

impl Deref for ExposedMut<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the owner opened that many bytes and keeps them open until `writer_left`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for ExposedMut<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the owner is borrowed uniquely.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for ExposedMut<'_> {
    fn drop(&mut self) {
        // SAFETY: the owner is borrowed uniquely for the life of the guard.
        unsafe { self.owner.as_mut() }.writer_left();
    }
}

impl fmt::Debug for ExposedMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExposedMut({} bytes, REDACTED)", self.len)
    }
}

/// A secret text open for reading. Dropping it closes the secret.
#[derive(Debug)]
pub struct ExposedStr<'a>(Exposed<'a>);

impl<'a> ExposedStr<'a> {
    pub(crate) fn new(bytes: Exposed<'a>) -> Self {
        Self(bytes)
    }
}

impl Deref for ExposedStr<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        // A wipe meanwhile makes zeros of the bytes, and those are text, too.
        std::str::from_utf8(&self.0).expect("a secret text is checked when it is made")
    }
}

impl secrecy::ExposeSecret<str> for ExposedStr<'_> {
    fn expose_secret(&self) -> &str {
        self
    }
}
