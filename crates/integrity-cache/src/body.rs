//! Payload chunks: sealed when written, opened one by one when read.

use aes_gcm::{
    Aes256Gcm, Tag,
    aead::{AeadInOut as _, array::Array, inout::InOutBuf},
};
use sha2::{Digest as _, Sha256};

use crate::{
    MissReason, Part,
    format::{AEAD_TAG, BodyForm, CHUNK, DIGEST, Header, chunks, is_zero},
};

/// The digest of a clear chunk.
pub(crate) fn leaf(index: u64, last: bool, chunk: &[u8]) -> [u8; DIGEST] {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(index.to_le_bytes());
    hash.update([u8::from(last)]);
    hash.update(chunk);
    hash.finalize().into()
}

/// The digest of a table of leaves; a single leaf is the root itself.
pub(crate) fn root(table: &[u8]) -> [u8; DIGEST] {
    if let Ok(leaf) = table.try_into() {
        return leaf;
    }
    let mut hash = Sha256::new();
    hash.update([1]);
    hash.update(table);
    hash.finalize().into()
}

/// Encrypts a chunk where it lies; answers its tag.
pub(crate) fn seal(cipher: &Aes256Gcm, index: u64, last: bool, chunk: &mut [u8]) -> [u8; AEAD_TAG] {
    cipher
        .encrypt_inout_detached(&Array(nonce(index, last)), &[], InOutBuf::from(chunk))
        .expect("a chunk is shorter than AES-GCM allows")
        .into()
}

/// Index, and whether it is the last: no chunk can take another's place.
fn nonce(index: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&index.to_le_bytes());
    nonce[11] = u8::from(last);
    nonce
}

/// Where the chunks of an authentic entry are and how they are verified.
pub(crate) struct Chunks {
    payload_len: u64,
    count: u64,
    start: u64,
    form: Form,
}

enum Form {
    Clear { table: Vec<u8> },
    Sealed(Box<Aes256Gcm>),
}

impl Chunks {
    /// The chunks of an entry in clear whose table is still to be read, if it has several.
    pub(crate) fn clear(header: &Header<'_>) -> Self {
        let table = if chunks(header.payload_len) == 1 { header.root.to_vec() } else { Vec::new() };
        Self::new(header, Form::Clear { table })
    }

    pub(crate) fn sealed(header: &Header<'_>, cipher: Aes256Gcm) -> Self {
        Self::new(header, Form::Sealed(Box::new(cipher)))
    }

    fn new(header: &Header<'_>, form: Form) -> Self {
        Self {
            payload_len: header.payload_len,
            count: chunks(header.payload_len),
            start: (header.len() + header.auth.tag_len()) as u64,
            form,
        }
    }

    /// Where the table is and how long, if it has to be read.
    pub(crate) fn wants_table(&self) -> Option<(u64, usize)> {
        match &self.form {
            Form::Clear { table } if table.is_empty() => {
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
        if root(&read) != *root_of {
            return Err(rejected(is_zero(&read)));
        }
        self.form = Form::Clear { table: read };
        Ok(())
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
        let last = index + 1 == self.count;
        match &self.form {
            Form::Clear { table } => {
                let at = usize::try_from(index).expect("the table is in memory") * DIGEST;
                if leaf(index, last, stored)[..] == table[at..at + DIGEST] {
                    return Ok(());
                }
                Err(rejected(!stored.is_empty() && is_zero(stored)))
            }
            Form::Sealed(cipher) => {
                let (chunk, tag) =
                    stored.split_last_chunk_mut::<AEAD_TAG>().expect("the place includes the tag");
                let unwritten = is_zero(tag);
                cipher
                    .decrypt_inout_detached(
                        &Array(nonce(index, last)),
                        &[],
                        InOutBuf::from(chunk),
                        &Tag::from(*tag),
                    )
                    .map_err(|_| rejected(unwritten))
            }
        }
    }
}

/// Zeros are what a power cut leaves of blocks that were never written.
fn rejected(unwritten: bool) -> MissReason {
    if unwritten { MissReason::Torn } else { MissReason::Tampered(Part::Body) }
}

/// The form that a policy asks for.
pub(crate) fn form(body: crate::Body) -> BodyForm {
    match body {
        crate::Body::Sha256 => BodyForm::Sha256,
        crate::Body::Aes256Gcm => BodyForm::Aes256Gcm,
    }
}
