//! Bytes in protected memory. (First signatures; the protected back ends replace the body.)
#![allow(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::unwrap_used)]
use std::{
    fmt, io,
    ops::{Deref, DerefMut},
};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("the value is longer than the limit of {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },
    #[error("reading the value failed")]
    Read(#[source] io::Error),
    #[error("the value is not valid UTF-8 (first bad byte at offset {offset})")]
    NotUtf8 { offset: usize },
    #[error("protected memory is not available: {reason}")]
    Unavailable { reason: String },
}

pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Copies into protected memory, then wipes the source.
    pub fn adopt(source: &mut [u8]) -> Result<Self, Error> {
        let s = Self(Zeroizing::new(source.to_vec()));
        source.zeroize();
        Ok(s)
    }
    /// Copies bytes that are not ours to wipe (another slot, a constant, the kernel's).
    pub fn copy_from(source: &[u8]) -> Result<Self, Error> {
        Ok(Self(Zeroizing::new(source.to_vec())))
    }
    /// Reads to the end straight into protected memory; more than `limit_bytes` is an error.
    pub fn from_reader(reader: &mut impl io::Read, limit_bytes: usize) -> Result<Self, Error> {
        let mut v = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(reader, limit_bytes as u64 + 1), &mut v)
            .map_err(Error::Read)?;
        if v.len() > limit_bytes {
            return Err(Error::TooLarge { limit_bytes });
        }
        Ok(Self(Zeroizing::new(v)))
    }
    /// Makes a slot of `len` zero bytes, lets `fill` write into it in place; `fill` returns how many bytes are used.
    pub fn build<E: From<Error>>(
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Self, E> {
        let mut v = Zeroizing::new(vec![0u8; len]);
        let used = fill(&mut v)?;
        v.truncate(used);
        Ok(Self(v))
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Opens the secret for reading until the guard drops.
    pub fn expose(&self) -> Exposed<'_> {
        Exposed(&self.0)
    }
    pub fn try_expose(&self) -> Result<Exposed<'_>, Error> {
        Ok(Exposed(&self.0))
    }
    pub fn expose_mut(&mut self) -> ExposedMut<'_> {
        ExposedMut(&mut self.0)
    }
    pub fn expose_with<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(&self.expose())
    }
    /// Shortens the secret, wiping what is cut off.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}
impl ConstantTimeEq for SecretBytes {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.expose().ct_eq(&other.expose())
    }
}
impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes, REDACTED)", self.len())
    }
}

pub struct Exposed<'a>(&'a [u8]);
impl Deref for Exposed<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.0
    }
}
impl secrecy::ExposeSecret<[u8]> for Exposed<'_> {
    fn expose_secret(&self) -> &[u8] {
        self.0
    }
}
pub struct ExposedMut<'a>(&'a mut [u8]);
impl Deref for ExposedMut<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.0
    }
}
impl DerefMut for ExposedMut<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0
    }
}

/// UTF-8 checked secret.
pub struct SecretStr(SecretBytes);
impl SecretStr {
    pub fn from_utf8(bytes: SecretBytes) -> Result<Self, Error> {
        if let Err(e) = std::str::from_utf8(&bytes.expose()) {
            return Err(Error::NotUtf8 { offset: e.valid_up_to() });
        }
        Ok(Self(bytes))
    }
    pub fn expose(&self) -> ExposedStr<'_> {
        ExposedStr(self.0.expose())
    }
    pub fn into_bytes(self) -> SecretBytes {
        self.0
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
impl fmt::Debug for SecretStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretStr({} bytes, REDACTED)", self.len())
    }
}
pub struct ExposedStr<'a>(Exposed<'a>);
impl Deref for ExposedStr<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).expect("checked when made")
    }
}

/// Grows without ever copying a secret byte to a new place.
#[derive(Default)]
pub struct Writer {
    bytes: Zeroizing<Vec<u8>>,
    limit: Option<usize>,
}
impl Writer {
    pub fn new() -> Self {
        Self::default()
    }
    /// Refuses to grow past `limit_bytes`.
    pub fn with_limit(limit_bytes: usize) -> Self {
        Self { limit: Some(limit_bytes), ..Self::default() }
    }
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(limit_bytes) = self.limit
            && self.bytes.len() + bytes.len() > limit_bytes
        {
            return Err(Error::TooLarge { limit_bytes });
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
    pub fn finish(self) -> Result<SecretBytes, Error> {
        Ok(SecretBytes(self.bytes))
    }
}
impl io::Write for Writer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.push(buf).map_err(io::Error::other)?;
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
