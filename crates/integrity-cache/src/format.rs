//! On-disk format v1 of an entry's header: pure encoding and decoding, described in `docs/integrity-cache.md`.
//!
//! Nothing here decides whether bytes are authentic. Decoding reads fixed-width fields with checked
//! bounds, allocates nothing, and accepts one form only.

/// First bytes of every entry.
pub const MAGIC: [u8; 8] = *b"DSIE\x89\r\n\x1a";
/// The version written and read here.
pub const VERSION: u16 = 1;
/// Bytes of a payload chunk.
pub const CHUNK: usize = 1 << CHUNK_LOG2;
/// Length of the header before the namespace.
pub const FIXED: usize = 176;
/// The longest header, and its tag, that this version can have.
pub const LONGEST: usize = 8192;
/// Length of an AES-GCM tag.
pub const AEAD_TAG: usize = 16;
/// Length of a SHA-256 digest.
pub const DIGEST: usize = 32;

const CHUNK_LOG2: u8 = 16;
const FLAG_NEGATIVE: u16 = 1;
const FLAG_SENSITIVE: u16 = 2;

/// How a header is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// HMAC-SHA256, 32 bytes.
    Hmac = 1,
    /// Ed25519, 64 bytes.
    Ed25519 = 2,
}

impl Auth {
    /// Length of the tag after the header.
    pub const fn tag_len(self) -> usize {
        match self {
            Self::Hmac => 32,
            Self::Ed25519 => 64,
        }
    }
}

/// How a payload is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// Clear chunks and a table of their SHA-256 digests.
    Sha256 = 1,
    /// Clear chunks and a table of their BLAKE3 digests.
    Blake3 = 2,
    /// AES-256-GCM chunks, each with its tag.
    Aes256Gcm = 3,
}

/// What an entry says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of the table in docs/integrity-cache.md")]
pub struct Header<'a> {
    pub auth: Auth,
    pub body: BodyForm,
    pub negative: bool,
    pub sensitive: bool,
    pub schema: u32,
    pub cache_id: [u8; 16],
    pub key_id: [u8; 8],
    pub epoch: u64,
    pub generation: u64,
    pub created_ms: i64,
    pub expires_ms: i64,
    pub boot_tag: [u8; 8],
    pub boot_ms: u64,
    pub payload_len: u64,
    pub nonce: [u8; 32],
    pub root: [u8; 32],
    pub namespace: &'a [u8],
    pub key: &'a [u8],
}

/// Why bytes are no header of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// They end before the header does.
    Short,
    /// They start with zeros, as a file does whose blocks were never written.
    Zero,
    /// Another form: magic, version, algorithm, reserved bytes, lengths.
    Unsupported,
}

impl<'a> Header<'a> {
    /// Length of the header: the fixed part, namespace and key, padded to 16.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        length(self.namespace.len(), self.key.len())
    }

    /// Appends the header.
    ///
    /// # Panics
    /// When namespace and key together are longer than a header can hold.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let len = self.len();
        assert!(len + self.auth.tag_len() <= LONGEST, "namespace and key are bounded");
        let start = out.len();
        let flags =
            u16::from(self.negative) * FLAG_NEGATIVE + u16::from(self.sensitive) * FLAG_SENSITIVE;
        let short = |len: usize| u16::try_from(len).expect("bounded above").to_le_bytes();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[self.auth as u8, self.body as u8]);
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&[CHUNK_LOG2, 0]);
        out.extend_from_slice(&u32::try_from(len).expect("bounded above").to_le_bytes());
        out.extend_from_slice(&short(self.namespace.len()));
        out.extend_from_slice(&short(self.key.len()));
        out.extend_from_slice(&self.schema.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.cache_id);
        out.extend_from_slice(&self.key_id);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.created_ms.to_le_bytes());
        out.extend_from_slice(&self.expires_ms.to_le_bytes());
        out.extend_from_slice(&self.boot_tag);
        out.extend_from_slice(&self.boot_ms.to_le_bytes());
        out.extend_from_slice(&self.payload_len.to_le_bytes());
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(&self.root);
        out.extend_from_slice(self.namespace);
        out.extend_from_slice(self.key);
        out.resize(start + len, 0);
    }

    /// Decodes a header from the start of an entry; what follows it is not looked at. On success
    /// the bytes hold the whole header and its tag.
    ///
    /// # Errors
    /// [`Defect`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Defect> {
        let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
            let known = bytes.len().min(MAGIC.len());
            return Err(if bytes[..known] == MAGIC[..known] || is_zero(bytes) {
                Defect::Short
            } else {
                Defect::Unsupported
            });
        };
        if is_zero(fixed) {
            return Err(Defect::Zero);
        }
        let auth = match fixed[10] {
            1 => Auth::Hmac,
            2 => Auth::Ed25519,
            _ => return Err(Defect::Unsupported),
        };
        let body = match fixed[11] {
            1 => BodyForm::Sha256,
            2 => BodyForm::Blake3,
            3 => BodyForm::Aes256Gcm,
            _ => return Err(Defect::Unsupported),
        };
        let flags = u16::from_le_bytes(take(fixed, 12));
        let namespace_len = usize::from(u16::from_le_bytes(take(fixed, 20)));
        let key_len = usize::from(u16::from_le_bytes(take(fixed, 22)));
        let len = length(namespace_len, key_len);
        let known = fixed[..8] == MAGIC
            && u16::from_le_bytes(take(fixed, 8)) == VERSION
            && flags & !(FLAG_NEGATIVE | FLAG_SENSITIVE) == 0
            && fixed[14..16] == [CHUNK_LOG2, 0]
            && u32::from_le_bytes(take(fixed, 16)) as usize == len
            && len + auth.tag_len() <= LONGEST
            && fixed[28..32] == [0; 4];
        if !known {
            return Err(Defect::Unsupported);
        }
        if bytes.len() < len + auth.tag_len() {
            return Err(Defect::Short);
        }
        let (namespace, rest) = rest.split_at(namespace_len);
        let (key, rest) = rest.split_at(key_len);
        if !is_zero(&rest[..len - FIXED - namespace_len - key_len]) {
            return Err(Defect::Unsupported);
        }
        let header = Self {
            auth,
            body,
            negative: flags & FLAG_NEGATIVE != 0,
            sensitive: flags & FLAG_SENSITIVE != 0,
            schema: u32::from_le_bytes(take(fixed, 24)),
            cache_id: take(fixed, 32),
            key_id: take(fixed, 48),
            epoch: u64::from_le_bytes(take(fixed, 56)),
            generation: u64::from_le_bytes(take(fixed, 64)),
            created_ms: i64::from_le_bytes(take(fixed, 72)),
            expires_ms: i64::from_le_bytes(take(fixed, 80)),
            boot_tag: take(fixed, 88),
            boot_ms: u64::from_le_bytes(take(fixed, 96)),
            payload_len: u64::from_le_bytes(take(fixed, 104)),
            nonce: take(fixed, 112),
            root: take(fixed, 144),
            namespace,
            key,
        };
        // What an encrypted body does not use has one form too.
        let canonical = match header.body {
            BodyForm::Aes256Gcm => is_zero(&header.root),
            BodyForm::Sha256 | BodyForm::Blake3 => !header.sensitive && is_zero(&header.nonce),
        };
        if canonical { Ok(header) } else { Err(Defect::Unsupported) }
    }

    /// Exact length of the file; `None` when no file can be that long.
    pub fn file_len(&self) -> Option<u64> {
        let chunks = chunks(self.payload_len);
        let overhead = match self.body {
            BodyForm::Aes256Gcm => chunks.checked_mul(AEAD_TAG as u64)?,
            BodyForm::Sha256 | BodyForm::Blake3 => table_len(chunks)?,
        };
        (self.len() as u64 + self.auth.tag_len() as u64)
            .checked_add(self.payload_len)?
            .checked_add(overhead)
    }
}

/// Number of chunks; an empty payload has one, which is empty.
pub fn chunks(payload_len: u64) -> u64 {
    payload_len.div_ceil(CHUNK as u64).max(1)
}

/// Length of the digest table; a single chunk has none, its digest is the root.
pub fn table_len(chunks: u64) -> Option<u64> {
    if chunks == 1 { Some(0) } else { chunks.checked_mul(DIGEST as u64) }
}

/// Length of the header with a namespace and a key of these lengths.
pub fn length(namespace_len: usize, key_len: usize) -> usize {
    (FIXED + namespace_len + key_len).next_multiple_of(16)
}

/// The superblock, file `CACHE`: what makes a directory a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// How it is authenticated.
    pub auth: Auth,
    /// Identity of the cache, the salt of its keys.
    pub cache_id: [u8; 16],
    /// The key that authenticates it.
    pub key_id: [u8; 8],
    /// When it was made.
    pub created_ms: i64,
}

impl Superblock {
    /// Length of the file.
    pub const LEN: usize = 256;
    /// Length of what is authenticated.
    pub const SIGNED: usize = 192;
    const MAGIC: [u8; 8] = *b"DSOPSIC1";
    const FAN_OUT: u16 = 256;

    /// The authenticated part.
    pub fn encode(&self) -> [u8; Self::SIGNED] {
        let mut out = [0; Self::SIGNED];
        out[..8].copy_from_slice(&Self::MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[10] = self.auth as u8;
        out[12..14].copy_from_slice(&Self::FAN_OUT.to_le_bytes());
        out[16..32].copy_from_slice(&self.cache_id);
        out[32..40].copy_from_slice(&self.key_id);
        out[40..48].copy_from_slice(&self.created_ms.to_le_bytes());
        out
    }

    /// Decodes the file; answers the superblock and its tag. `None` if it is not of this version.
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let auth = match bytes[10] {
            1 => Auth::Hmac,
            2 => Auth::Ed25519,
            _ => return None,
        };
        let superblock = Self {
            auth,
            cache_id: take(bytes, 16),
            key_id: take(bytes, 32),
            created_ms: i64::from_le_bytes(take(bytes, 40)),
        };
        let (signed, tag) = bytes.split_at(Self::SIGNED);
        let (tag, rest) = tag.split_at(auth.tag_len());
        (superblock.encode() == signed && is_zero(rest)).then_some((superblock, tag))
    }
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// A field of fixed width at an offset that is within the bytes by construction.
pub(crate) fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("the offset is within a part of known length")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header<'a>(namespace: &'a [u8], key: &'a [u8]) -> Header<'a> {
        Header {
            auth: Auth::Hmac,
            body: BodyForm::Sha256,
            negative: false,
            sensitive: false,
            schema: 7,
            cache_id: [1; 16],
            key_id: [2; 8],
            epoch: 3,
            generation: 4,
            created_ms: 5,
            expires_ms: -6,
            boot_tag: [7; 8],
            boot_ms: 8,
            payload_len: 9,
            nonce: [0; 32],
            root: [10; 32],
            namespace,
            key,
        }
    }

    fn encoded(header: &Header<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        bytes.resize(bytes.len() + header.auth.tag_len(), 0xaa);
        bytes
    }

    #[test]
    fn every_length_of_a_header_is_short() {
        let bytes = encoded(&header(b"sbom", b"key"));
        for len in 0..bytes.len() {
            assert_eq!(Header::decode(&bytes[..len]), Err(Defect::Short), "{len}");
        }
        assert_eq!(Header::decode(&[0; FIXED]), Err(Defect::Zero));
        assert_eq!(Header::decode(b"{\"entry\""), Err(Defect::Unsupported));
    }

    #[test]
    fn row_13_lengths_at_their_extremes_are_refused_without_allocation() {
        let bytes = encoded(&header(b"sbom", b"key"));
        for (at, width) in [(14, 1), (15, 1), (16, 4), (20, 2), (22, 2), (28, 4)] {
            for value in [0u32, 1, 0x7fff_ffff, u32::MAX] {
                let mut changed = bytes.clone();
                changed[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
                let taken = changed != bytes && Header::decode(&changed).is_ok();
                assert!(!taken, "a header with {value} at {at} was taken");
            }
        }
        let mut huge = header(b"", b"");
        huge.payload_len = u64::MAX;
        assert_eq!(huge.file_len(), None);
    }

    proptest! {
        #[test]
        fn decoding_gives_what_was_encoded(ns in prop::collection::vec(any::<u8>(), 0..64),
            key in prop::collection::vec(any::<u8>(), 0..300), schema: u32, len: u64) {
            let mut header = header(&ns, &key);
            (header.schema, header.payload_len) = (schema, len);
            let bytes = encoded(&header);
            prop_assert_eq!(Header::decode(&bytes), Ok(header));
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..400), keep in 0..FIXED) {
            let good = encoded(&header(b"ns", b"k"));
            let keep = keep.min(bytes.len());
            bytes[..keep].copy_from_slice(&good[..keep]);
            if let Ok(header) = Header::decode(&bytes) {
                let mut again = Vec::new();
                header.encode(&mut again);
                prop_assert_eq!(&again[..], &bytes[..again.len()]);
            }
        }
    }
}
