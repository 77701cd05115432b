//! Owned secrets: bytes and text. No clone, no display, no equality but the constant-time one.

use crate::{
    error::Error,
    guard::{Exposed, ExposedMut, ExposedStr},
    protection::Backend,
    seal::{self, CipherUse},
    slab::Purpose,
    slot::Slot,
    vault::{self, AtRest, Shared},
};
use std::{
    fmt, io,
    ptr::NonNull,
    sync::{Mutex, PoisonError},
};
use subtle::{Choice, ConstantTimeEq};

/// A secret: bytes in protected memory, wiped when dropped.
///
/// It can be sent to and read from several threads. It has no `Clone`, `Display`, `PartialEq` or `Serialize`:
///
/// ```compile_fail
/// let secret = dsops_secure_mem::SecretBytes::copy_from(b"x")?;
/// let copy = secret.clone();
/// # Ok::<(), dsops_secure_mem::Error>(())
/// ```
/// ```compile_fail
/// let secret = dsops_secure_mem::SecretBytes::copy_from(b"x")?;
/// println!("{secret}");
/// # Ok::<(), dsops_secure_mem::Error>(())
/// ```
/// ```compile_fail
/// let secret = dsops_secure_mem::SecretBytes::copy_from(b"x")?;
/// let same = secret == secret;
/// # Ok::<(), dsops_secure_mem::Error>(())
/// ```
/// An open guard can't outlive it:
/// ```compile_fail
/// let secret = dsops_secure_mem::SecretBytes::copy_from(b"x")?;
/// let open = secret.expose();
/// drop(secret);
/// println!("{}", open.len());
/// # Ok::<(), dsops_secure_mem::Error>(())
/// ```
pub struct SecretBytes {
    body: Body,
    len: usize,
}

/// Where the bytes are while nobody reads them.
enum Body {
    Open(Slot),
    Guarded(Slot),
    Sealed(Box<Sealed>),
}

/// Ciphertext, and the plain text while somebody reads it.
struct Sealed {
    cipher: CipherUse,
    home: Slot,
    state: Mutex<Seal>,
}

struct Seal {
    readers: usize,
    /// Fresh for each seal; the same one as long as the plain text is.
    number: u64,
    tag: seal::Tag,
    window: Option<Slot>,
}

impl SecretBytes {
    /// Copies into protected memory, then wipes the source, also when the copy failed.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is no room of the kind the vault's policy asks for; [`Error::Forked`] in
    /// a fork child.
    ///
    /// # Examples
    /// ```
    /// # use dsops_secure_mem::SecretBytes;
    /// let mut typed = *b"correct horse";
    /// let secret = SecretBytes::adopt(&mut typed)?;
    /// assert_eq!(typed, [0; 13]);
    /// # Ok::<(), dsops_secure_mem::Error>(())
    /// ```
    pub fn adopt(source: &mut [u8]) -> Result<Self, Error> {
        vault::vault().adopt(source)
    }

    /// Copies bytes that are not ours to wipe (another slot, a constant, the kernel's).
    ///
    /// # Errors
    /// As [`SecretBytes::adopt`].
    pub fn copy_from(source: &[u8]) -> Result<Self, Error> {
        vault::vault().copy_from(source)
    }

    /// Reads to the end straight into protected memory; more than `limit_bytes` is an error.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Read`], and those of [`SecretBytes::adopt`].
    pub fn from_reader(reader: &mut impl io::Read, limit_bytes: usize) -> Result<Self, Error> {
        vault::vault().from_reader(reader, limit_bytes)
    }

    /// Makes a slot of `len` zero bytes, lets `fill` write into it in place; `fill` returns how many bytes are used.
    ///
    /// # Errors
    /// Those of `fill`, and of [`SecretBytes::adopt`].
    ///
    /// # Panics
    /// When `fill` claims more than `len`.
    pub fn build<E: From<Error>>(
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Self, E> {
        vault::vault().build(len, fill)
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Opens the secret for reading until the guard drops.
    ///
    /// # Panics
    /// Where [`SecretBytes::try_expose`] has an error.
    #[inline]
    pub fn expose(&self) -> Exposed<'_> {
        self.try_expose().unwrap_or_else(|error| self.refuse(&error))
    }

    /// Opens the secret for reading until the guard drops.
    ///
    /// # Errors
    /// [`Error::Wiped`], [`Error::Forked`]; with encryption at rest also [`Error::Altered`] and
    /// [`Error::Unavailable`]; with switched pages also [`Error::Access`].
    #[inline]
    pub fn try_expose(&self) -> Result<Exposed<'_>, Error> {
        let start = match &self.body {
            Body::Open(slot) => {
                slot.ensure_live()?;
                slot.start()
            }
            other => other.reader_came(self.len)?,
        };
        Ok(Exposed::new(start, self.len, self))
    }

    /// Opens the secret for reading while `read` runs.
    ///
    /// # Panics
    /// As [`SecretBytes::expose`].
    pub fn expose_with<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        read(&self.expose())
    }

    /// Opens the secret for changing until the guard drops.
    ///
    /// # Panics
    /// As [`SecretBytes::expose`].
    pub fn expose_mut(&mut self) -> ExposedMut<'_> {
        let opened = match &mut self.body {
            Body::Open(slot) => slot.ensure_live().map(|()| slot.start()),
            Body::Guarded(slot) => slot.reopen().map(|()| slot.start()),
            Body::Sealed(sealed) => sealed.reader_came(self.len),
        };
        match opened {
            Ok(start) => ExposedMut::new(start, self.len, self),
            Err(error) => self.refuse(&error),
        }
    }

    /// Shortens the secret, wiping what is cut off; longer than it is changes nothing.
    ///
    /// # Panics
    /// As [`SecretBytes::expose`].
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        let done = match &mut self.body {
            Body::Open(slot) => {
                slot.truncate(len);
                Ok(())
            }
            Body::Guarded(slot) => slot.reopen().map(|()| {
                slot.truncate(len);
                slot.close();
            }),
            Body::Sealed(sealed) => sealed.truncate(self.len, len),
        };
        match done {
            Ok(()) => self.len = len,
            Err(error) => self.refuse(&error),
        }
    }

    /// Called when an [`Exposed`] drops.
    #[inline]
    pub(crate) fn reader_left(&self) {
        if !matches!(self.body, Body::Open(_)) {
            self.body.reader_left();
        }
    }

    /// Called when an [`ExposedMut`] drops.
    pub(crate) fn writer_left(&mut self) {
        match &mut self.body {
            Body::Open(_) => {}
            Body::Guarded(slot) => slot.close(),
            // Sealing fails only when everything was wiped meanwhile; then the handle is stale anyway.
            Body::Sealed(sealed) => drop(sealed.reseal()),
        }
    }

    #[cold]
    fn refuse(&self, error: &Error) -> ! {
        panic!("can't open a secret of {} bytes: {error}", self.len)
    }
}

impl ConstantTimeEq for SecretBytes {
    /// Compares in time that depends on the lengths only.
    fn ct_eq(&self, other: &Self) -> Choice {
        self.expose().ct_eq(&other.expose())
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes, REDACTED)", self.len)
    }
}

impl TryFrom<secrecy::SecretSlice<u8>> for SecretBytes {
    type Error = Error;

    /// Copies into protected memory; the source wipes itself.
    fn try_from(source: secrecy::SecretSlice<u8>) -> Result<Self, Error> {
        Self::copy_from(secrecy::ExposeSecret::expose_secret(&source))
    }
}

/// A secret that is known to be UTF-8 text.
pub struct SecretStr(SecretBytes);

impl SecretStr {
    /// Checks that the bytes are text.
    ///
    /// # Errors
    /// [`Error::NotUtf8`] with the place of the first bad byte; the bytes are wiped then.
    pub fn from_utf8(bytes: SecretBytes) -> Result<Self, Error> {
        let valid = std::str::from_utf8(&bytes.try_expose()?).map(|_| ());
        match valid {
            Ok(()) => Ok(Self(bytes)),
            Err(error) => Err(Error::NotUtf8 { offset: error.valid_up_to() }),
        }
    }

    /// Opens the secret for reading until the guard drops.
    ///
    /// # Panics
    /// As [`SecretBytes::expose`].
    pub fn expose(&self) -> ExposedStr<'_> {
        ExposedStr::new(self.0.expose())
    }

    /// Opens the secret for reading until the guard drops.
    ///
    /// # Errors
    /// As [`SecretBytes::try_expose`].
    pub fn try_expose(&self) -> Result<ExposedStr<'_>, Error> {
        self.0.try_expose().map(ExposedStr::new)
    }

    /// The same secret as bytes.
    pub fn into_bytes(self) -> SecretBytes {
        self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SecretStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretStr({} bytes, REDACTED)", self.len())
    }
}

impl ConstantTimeEq for SecretStr {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl TryFrom<secrecy::SecretString> for SecretStr {
    type Error = Error;

    /// Copies into protected memory; the source wipes itself.
    fn try_from(source: secrecy::SecretString) -> Result<Self, Error> {
        let text = secrecy::ExposeSecret::expose_secret(&source);
        SecretBytes::copy_from(text.as_bytes()).map(Self)
    }
}

#[inline]
pub(crate) fn copy_from(shared: &'static Shared, source: &[u8]) -> Result<SecretBytes, Error> {
    let mut slot = Slot::new(shared, Purpose::Plain, source.len())?;
    slot.write_at(0, source);
    settle(slot)
}

pub(crate) fn build<E: From<Error>>(
    shared: &'static Shared,
    len: usize,
    fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> Result<SecretBytes, E> {
    let mut slot = Slot::new(shared, Purpose::Plain, len)?;
    let used = fill(slot.bytes_mut())?;
    assert!(used <= len, "the filler used {used} bytes of {len}");
    slot.truncate(used);
    Ok(settle(slot)?)
}

/// Puts a plain, open slot to rest in the way its vault asks for.
#[inline]
pub(crate) fn settle(mut plain: Slot) -> Result<SecretBytes, Error> {
    let len = plain.len();
    let body = match plain.shared().at_rest() {
        Some(AtRest::NoAccess) => {
            plain.close();
            Body::Guarded(plain)
        }
        Some(AtRest::Open) => Body::Open(plain),
        None if plain.backend() == Backend::SecretMemory => Body::Open(plain),
        Some(AtRest::Encrypted) | None => Sealed::body(plain)?,
    };
    Ok(SecretBytes { body, len })
}

impl Body {
    #[inline(never)]
    fn reader_came(&self, len: usize) -> Result<NonNull<u8>, Error> {
        match self {
            Self::Open(slot) => slot.ensure_live().map(|()| slot.start()),
            Self::Guarded(slot) => {
                slot.ensure_live()?;
                slot.reader_came().map(|()| slot.start())
            }
            Self::Sealed(sealed) => sealed.reader_came(len),
        }
    }

    #[inline(never)]
    fn reader_left(&self) {
        match self {
            Self::Open(_) => {}
            Self::Guarded(slot) => slot.reader_left(),
            Self::Sealed(sealed) => sealed.reader_left(),
        }
    }
}

impl Sealed {
    #[inline(never)]
    fn body(plain: Slot) -> Result<Body, Error> {
        Self::new(plain).map(|sealed| Body::Sealed(Box::new(sealed)))
    }

    fn new(mut plain: Slot) -> Result<Self, Error> {
        let sealed_len = seal::sealed_len(plain.len());
        plain.widen(sealed_len);
        let cipher = CipherUse::new(plain.shared())?;
        let mut home = Slot::new(plain.shared(), Purpose::Ciphertext, sealed_len)?;
        let (number, tag) = seal_over(&cipher, &mut plain, &mut home)?;
        let state = Mutex::new(Seal { readers: 0, number, tag, window: None });
        Ok(Self { cipher, home, state })
    }

    /// Decrypts for the first reader; answers where the plain text is.
    fn reader_came(&self, len: usize) -> Result<NonNull<u8>, Error> {
        self.home.ensure_live()?;
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        if let Some(window) = &state.window {
            state.readers += 1;
            return Ok(window.start());
        }
        let window = state.window.insert(self.decrypt(state.number, &state.tag, len)?);
        state.readers = 1;
        Ok(window.start())
    }

    fn decrypt(&self, number: u64, tag: &seal::Tag, len: usize) -> Result<Slot, Error> {
        let mut window = Slot::new(self.home.shared(), Purpose::Plain, self.home.len())?;
        window.write_at(0, self.home.bytes());
        let opened = self.cipher.open(number, tag, window.bytes_mut());
        // A wipe under way blanks the key, which looks like tampering.
        opened.map_err(|_| self.home.ensure_live().err().unwrap_or(Error::Altered { len }))?;
        Ok(window)
    }

    fn reader_left(&self) {
        if vault::is_forked() {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.readers -= 1;
        if state.readers == 0 {
            state.window = None;
        }
    }

    /// Encrypts what a writer left, under a fresh number.
    fn reseal(&mut self) -> Result<(), Error> {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.readers = 0;
        if let Some(mut window) = state.window.take() {
            self.home.ensure_live()?;
            (state.number, state.tag) = seal_over(&self.cipher, &mut window, &mut self.home)?;
        }
        Ok(())
    }

    fn truncate(&mut self, old_len: usize, len: usize) -> Result<(), Error> {
        self.reader_came(old_len)?;
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = &mut state.window {
            window.truncate(len);
            window.widen(seal::sealed_len(len));
        }
        self.home.truncate(seal::sealed_len(len));
        self.reseal()
    }
}

/// Encrypts the plain text where it lies and copies the ciphertext over `home`.
fn seal_over(
    cipher: &CipherUse,
    plain: &mut Slot,
    home: &mut Slot,
) -> Result<(u64, seal::Tag), Error> {
    let sealed = cipher.seal(plain.bytes_mut()).map_err(|_| vault::why_stale())?;
    home.write_at(0, plain.bytes());
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Vault;

    fn sealed(secret: &SecretBytes) -> &Sealed {
        match &secret.body {
            Body::Sealed(sealed) => sealed,
            _ => panic!("the vault encrypts"),
        }
    }

    fn number(secret: &SecretBytes) -> u64 {
        sealed(secret).state.lock().unwrap_or_else(PoisonError::into_inner).number
    }

    fn encrypting() -> Vault {
        Vault::builder().at_rest(AtRest::Encrypted).build().expect("degrades at worst")
    }

    #[test]
    fn a_number_seals_one_plain_text_only() {
        let vault = encrypting();
        let mut secret = vault.copy_from(b"first value").expect("degrades at worst");
        let first = (number(&secret), sealed(&secret).home.bytes().to_vec());
        drop(secret.expose());
        assert_eq!((number(&secret), sealed(&secret).home.bytes().to_vec()), first);
        secret.expose_mut()[0] = b'F';
        let second = (number(&secret), sealed(&secret).home.bytes().to_vec());
        assert_ne!(second.0, first.0, "a change takes a fresh number");
        assert_ne!(second.1[1..], first.1[1..], "and so another key stream");
        secret.truncate(4);
        assert_ne!(number(&secret), second.0);
        let other = vault.copy_from(b"first value").expect("degrades at worst");
        assert_ne!(number(&other), number(&secret));
    }

    #[test]
    fn the_plain_text_is_gone_between_openings() {
        let vault = encrypting();
        let secret = vault.copy_from(b"plain").expect("degrades at worst");
        assert_ne!(sealed(&secret).home.bytes(), b"plain");
        let used_at_rest = vault.protection().used_bytes;
        let open = secret.expose();
        assert!(vault.protection().used_bytes > used_at_rest, "the window takes room");
        drop(open);
        assert_eq!(vault.protection().used_bytes, used_at_rest);
    }

    #[test]
    fn an_altered_ciphertext_is_an_error() {
        let vault = encrypting();
        let mut secret = vault.copy_from(b"genuine").expect("degrades at worst");
        if let Body::Sealed(sealed) = &mut secret.body {
            sealed.home.bytes_mut()[2] ^= 1;
        }
        assert!(matches!(secret.try_expose(), Err(Error::Altered { len: 7 })));
    }

    #[test]
    fn encrypted_values_need_no_locked_memory_of_their_own() {
        let vault = Vault::builder()
            .at_rest(AtRest::Encrypted)
            .policy(crate::Policy::Strict)
            .cap_bytes(64 * 1024)
            .build()
            .expect("the system gives random bytes");
        let all: Vec<_> = (0..200)
            .map(|seed| vault.copy_from(&[seed; 4096]).expect("one window at a time fits"))
            .collect();
        assert!(vault.protection().capacity_bytes <= 64 * 1024);
        for (secret, seed) in all.iter().zip(0..) {
            assert_eq!(&*secret.expose(), &[seed; 4096]);
        }
        let open: Vec<_> = all.iter().map_while(|secret| secret.try_expose().ok()).collect();
        assert!((10..16).contains(&open.len()), "{} windows of a page fit at once", open.len());
    }
}
