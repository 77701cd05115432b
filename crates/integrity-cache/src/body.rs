//! Payload chunks: sealed when written, opened one by one when read.

use aws_lc_rs::{
    aead::{Aad, LessSafeKey, Nonce},
    digest::{Context, SHA256},
};

use crate::{
    MissReason, Part,
    format::{AEAD_TAG, BodyForm, CHUNK, DIGEST, Header, chunks, is_zero},
};

/// What digests the chunks of a body in clear.
#[derive(Clone, Copy)]
pub(crate) enum Hash {
    Sha256,
    #[cfg(feature = "blake3")]
    Blake3,
}

impl Hash {
    /// The digest that a form asks for, if it is one in clear that was built in.
    pub(crate) fn of(form: BodyForm) -> Option<Self> {
        match form {
            BodyForm::Sha256 => Some(Self::Sha256),
            #[cfg(feature = "blake3")]
            BodyForm::Blake3 => Some(Self::Blake3),
            _ => None,
        }
    }

    /// The digest of a clear chunk.
    pub(crate) fn leaf(self, index: u64, last: bool, chunk: &[u8]) -> [u8; DIGEST] {
        let mut place = [0; 10];
        place[1..9].copy_from_slice(&index.to_le_bytes());
        place[9] = u8::from(last);
        self.digest(&place, chunk)
    }

    /// The digest of a table of leaves; a single leaf is the root itself.
    pub(crate) fn root(self, table: &[u8]) -> [u8; DIGEST] {
        table.try_into().unwrap_or_else(|_| self.digest(&[1], table))
    }

    /// SHA-256 takes the place before the bytes, BLAKE3 as its key, so that the chunk stays aligned.
    fn digest(self, place: &[u8], bytes: &[u8]) -> [u8; DIGEST] {
        match self {
            Self::Sha256 => {
                let mut hash = Context::new(&SHA256);
                hash.update(place);
                hash.update(bytes);
                hash.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
            }
            #[cfg(feature = "blake3")]
            Self::Blake3 => {
                let mut key = [0; blake3::KEY_LEN];
                key[..place.len()].copy_from_slice(place);
                *blake3::keyed_hash(&key, bytes).as_bytes()
            }
        }
    }
}

/// Encrypts a chunk where it lies; answers its tag.
pub(crate) fn seal(
    cipher: &LessSafeKey,
    index: u64,
    last: bool,
    chunk: &mut [u8],
) -> [u8; AEAD_TAG] {
    cipher
        .seal_in_place_separate_tag(nonce(index, last), Aad::empty(), chunk)
        .ok()
        .and_then(|tag| tag.as_ref().try_into().ok())
        .expect("a chunk is shorter than AES-GCM allows, and its tag has 16 bytes")
}

/// Encrypts a chunk that is not the last to another place, where its tag follows it.
pub(crate) fn seal_to(cipher: &LessSafeKey, index: u64, chunk: &[u8], out: &mut [u8]) {
    let (sealed, tag) = out.split_at_mut(chunk.len());
    cipher
        .seal_out_of_place_scatter(nonce(index, false), Aad::empty(), chunk, sealed, &[], tag)
        .expect("a chunk is shorter than AES-GCM allows");
}

/// Index, and whether it is the last: no chunk can take another's place.
fn nonce(index: u64, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&index.to_le_bytes());
    nonce[11] = u8::from(last);
    Nonce::assume_unique_for_key(nonce)
}

/// Where the chunks of an authentic entry are and how they are verified.
pub(crate) struct Chunks {
    payload_len: u64,
    count: u64,
    start: u64,
    /// Whether opening a chunk must leave nothing behind.
    sensitive: bool,
    form: Form,
}

enum Form {
    Clear { hash: Hash, table: Vec<u8> },
    Sealed(LessSafeKey),
}

impl Chunks {
    /// The chunks of an entry in clear whose table is still to be read, if it has several.
    pub(crate) fn clear(header: &Header<'_>, hash: Hash) -> Self {
        let table = if chunks(header.payload_len) == 1 { header.root.to_vec() } else { Vec::new() };
        Self::new(header, Form::Clear { hash, table })
    }

    pub(crate) fn sealed(header: &Header<'_>, cipher: LessSafeKey) -> Self {
        Self::new(header, Form::Sealed(cipher))
    }

    fn new(header: &Header<'_>, form: Form) -> Self {
        Self {
            payload_len: header.payload_len,
            count: chunks(header.payload_len),
            start: (header.len() + header.auth.tag_len()) as u64,
            sensitive: header.sensitive,
            form,
        }
    }

    /// Where the table is and how long, if it has to be read.
    pub(crate) fn wants_table(&self) -> Option<(u64, usize)> {
        match &self.form {
            Form::Clear { table, .. } if table.is_empty() => {
                let len = usize::try_from(self.count).ok()?.checked_mul(DIGEST)?;
                Some((self.start + self.payload_len, len))
            }
            _ => None,
        }
    }

    /// Takes the table if it is the one that the header speaks of.
    pub(crate) fn set_table(
        &mut self,
        read: Vec<u8>,
        root_of: &[u8; DIGEST],
    ) -> Result<(), MissReason> {
        match &mut self.form {
            Form::Clear { hash, table } if hash.root(&read) == *root_of => {
                *table = read;
                Ok(())
            }
            _ => Err(rejected(&read)),
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Where a chunk is in the file, its length there, and its length in clear.
    pub(crate) fn place(&self, index: u64) -> (u64, usize, usize) {
        let before = index * CHUNK as u64;
        let len = usize::try_from((self.payload_len - before).min(CHUNK as u64))
            .expect("a chunk fits in memory");
        match self.form {
            Form::Clear { .. } => (self.start + before, len, len),
            Form::Sealed(_) => (self.start + before + index * AEAD_TAG as u64, len + AEAD_TAG, len),
        }
    }

    /// Verifies a chunk, and decrypts it where it lies.
    pub(crate) fn open(&self, index: u64, stored: &mut [u8]) -> Result<(), MissReason> {
        let opened = self.open_here(index, stored);
        if self.sensitive {
            // The cipher leaves the end of the chunk in a vector register.
            dsops_secure_mem::scrub_stack();
        }
        opened
    }

    #[inline(never)]
    fn open_here(&self, index: u64, stored: &mut [u8]) -> Result<(), MissReason> {
        let last = index + 1 == self.count;
        match &self.form {
            Form::Clear { hash, table } => {
                let at = usize::try_from(index).expect("the table is in memory") * DIGEST;
                if hash.leaf(index, last, stored)[..] == table[at..at + DIGEST] {
                    return Ok(());
                }
                Err(rejected(stored))
            }
            Form::Sealed(cipher) => {
                let (chunk, tag) =
                    stored.split_last_chunk_mut::<AEAD_TAG>().expect("the place includes the tag");
                cipher
                    .open_in_place_separate_tag(nonce(index, last), Aad::empty(), &*tag, chunk)
                    .map(|_| ())
                    .map_err(|_| rejected(tag))
            }
        }
    }
}

/// Zeros at either end are what a power cut leaves of sectors that were never written.
fn rejected(bytes: &[u8]) -> MissReason {
    const SECTOR: usize = 512;
    let sector = bytes.len().min(SECTOR);
    let unwritten = is_zero(&bytes[..sector]) || is_zero(&bytes[bytes.len() - sector..]);
    if unwritten && !bytes.is_empty() { MissReason::Torn } else { MissReason::Tampered(Part::Body) }
}

/// The form that a policy asks for.
pub(crate) fn form(body: crate::Body) -> BodyForm {
    match body {
        crate::Body::Sha256 => BodyForm::Sha256,
        #[cfg(feature = "blake3")]
        crate::Body::Blake3 => BodyForm::Blake3,
        crate::Body::Aes256Gcm => BodyForm::Aes256Gcm,
    }
}
