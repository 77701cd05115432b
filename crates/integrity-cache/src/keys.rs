//! The key hierarchy: one master key, keys for each purpose, and who may sign.

use std::sync::{Mutex, PoisonError};

use aws_lc_rs::{
    aead::{AES_256_GCM, LessSafeKey, UnboundKey},
    constant_time::verify_slices_are_equal,
    hkdf::{self, HKDF_SHA256},
    hmac::{self, HMAC_SHA256},
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use dsops_secure_mem::SecretBytes;
use zeroize::Zeroizing;

use crate::{Error, clock::BootId, format::Auth};

/// Length of a master key, a public key and a signing key.
pub(crate) const KEY_LEN: usize = 32;
/// Prefix of everything that is authenticated in an entry.
const ENTRY: &[u8] = b"dsops.integrity-cache.entry.v1\0";
/// Prefix of everything that is authenticated in a superblock.
const SUPERBLOCK: &[u8] = b"dsops.integrity-cache.superblock.v1\0";

/// What a derived key is for; also its place in the derived material.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Name = 0,
    Entry = 1,
    Meta = 2,
    Enc = 3,
    Ledger = 4,
    Boot = 5,
}

const PURPOSES: [&[u8]; 6] = [b"name", b"entry", b"meta", b"enc", b"ledger", b"boot"];

/// The keys that come from one master key for one cache. They lie in protected memory; what is made
/// of them for one use, the library wipes when it is dropped.
pub(crate) struct KeySet {
    pub(crate) id: [u8; 8],
    material: SecretBytes,
    signer: Signer,
    /// The last boot that was asked for, and its tag.
    boot: Mutex<Option<(BootId, [u8; 8])>>,
}

/// Who authenticates headers.
enum Signer {
    /// Whoever has the master key.
    Hmac,
    /// Whoever has the signing key; the "master key" is then the public key.
    Ed25519 { public: [u8; KEY_LEN], signing: Option<SecretBytes> },
}

/// An authentication tag.
pub(crate) struct Tag {
    bytes: [u8; 64],
    len: usize,
}

impl Tag {
    fn new(of: &[u8]) -> Self {
        let mut bytes = [0; 64];
        bytes[..of.len()].copy_from_slice(of);
        Self { bytes, len: of.len() }
    }
}

impl AsRef<[u8]> for Tag {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl KeySet {
    /// Derives the keys of a shared-key cache.
    pub(crate) fn derive(master: &[u8], cache_id: &[u8; 16]) -> Result<Self, Error> {
        let prk = hkdf::Salt::new(HKDF_SHA256, cache_id).extract(master);
        let mut id = [0; 8];
        expand(&prk, &[b"dsops.ic.v1/id"], &mut id);
        let material =
            SecretBytes::build(PURPOSES.len() * KEY_LEN, |bytes| -> Result<usize, Error> {
                for (name, key) in PURPOSES.iter().zip(bytes.chunks_exact_mut(KEY_LEN)) {
                    expand(&prk, &[b"dsops.ic.v1/", name], key);
                }
                Ok(bytes.len())
            })?;
        Ok(Self { id, material, signer: Signer::Hmac, boot: Mutex::default() })
    }

    /// Derives the names of a sealed cache from its public key; `seed` is the signing key.
    pub(crate) fn sealed(
        public: &[u8; KEY_LEN],
        seed: Option<&SecretBytes>,
        cache_id: &[u8; 16],
    ) -> Result<Self, Error> {
        if is_weak(public) {
            return Err(Error::config("the public key is no Ed25519 key"));
        }
        let signing = seed
            .map(|seed| seed.try_expose().and_then(|seed| SecretBytes::copy_from(&seed)))
            .transpose()?;
        let signer = Signer::Ed25519 { public: *public, signing };
        Ok(Self { signer, ..Self::derive(public, cache_id)? })
    }

    pub(crate) fn auth(&self) -> Auth {
        match self.signer {
            Signer::Hmac => Auth::Hmac,
            Signer::Ed25519 { .. } => Auth::Ed25519,
        }
    }

    /// Whether this handle can store.
    pub(crate) fn can_sign(&self) -> bool {
        !matches!(self.signer, Signer::Ed25519 { signing: None, .. })
    }

    /// A keyed digest.
    pub(crate) fn digest(&self, purpose: Purpose, parts: &[&[u8]]) -> Result<[u8; 32], Error> {
        let material = self.material.try_expose()?;
        let key = hmac::Key::new(HMAC_SHA256, &material[purpose as usize * KEY_LEN..][..KEY_LEN]);
        let mut mac = hmac::Context::with_key(&key);
        for part in parts {
            mac.update(part);
        }
        Ok(mac.sign().as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// Whether the first bytes of a keyed digest are these; in constant time.
    pub(crate) fn is_digest(
        &self,
        purpose: Purpose,
        parts: &[&[u8]],
        tag: &[u8],
    ) -> Result<bool, Error> {
        let digest = self.digest(purpose, parts)?;
        let start = digest.get(..tag.len()).filter(|start| start.len() >= 16);
        Ok(start.is_some_and(|start| verify_slices_are_equal(start, tag).is_ok()))
    }

    /// The file name of an entry, 64 hexadecimal digits.
    pub(crate) fn name(&self, namespace: &str, key: &[u8]) -> Result<Name, Error> {
        Ok(Name::new(&self.digest(Purpose::Name, &[namespace.as_bytes(), &[0], key])?))
    }

    /// The boot as an entry says it.
    pub(crate) fn boot_tag(&self, boot: &BootId) -> Result<[u8; 8], Error> {
        let mut known = self.boot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, tag)) = &*known
            && asked == boot
        {
            return Ok(*tag);
        }
        let tag = *self.digest(Purpose::Boot, &[boot])?.first_chunk().expect("a digest is longer");
        *known = Some((*boot, tag));
        Ok(tag)
    }

    /// The cipher for the payload of one entry.
    pub(crate) fn cipher(&self, nonce: &[u8; 32]) -> Result<LessSafeKey, Error> {
        let material = self.material.try_expose()?;
        let enc = &material[Purpose::Enc as usize * KEY_LEN..][..KEY_LEN];
        let mut key = Zeroizing::new([0; KEY_LEN]);
        expand(&hkdf::Prk::new_less_safe(HKDF_SHA256, enc), &[b"body", nonce], &mut *key);
        let key = UnboundKey::new(&AES_256_GCM, &*key).expect("the key has 32 bytes");
        Ok(LessSafeKey::new(key))
    }

    pub(crate) fn sign_entry(&self, header: &[u8]) -> Result<Tag, Error> {
        self.sign(Purpose::Entry, ENTRY, header)
    }

    pub(crate) fn is_entry(&self, header: &[u8], tag: &[u8]) -> Result<bool, Error> {
        self.is_signed(Purpose::Entry, ENTRY, header, tag)
    }

    pub(crate) fn sign_superblock(&self, bytes: &[u8]) -> Result<Tag, Error> {
        self.sign(Purpose::Meta, SUPERBLOCK, bytes)
    }

    pub(crate) fn is_superblock(&self, bytes: &[u8], tag: &[u8]) -> Result<bool, Error> {
        self.is_signed(Purpose::Meta, SUPERBLOCK, bytes, tag)
    }

    fn sign(&self, purpose: Purpose, prefix: &[u8], bytes: &[u8]) -> Result<Tag, Error> {
        match &self.signer {
            Signer::Hmac => Ok(Tag::new(&self.digest(purpose, &[prefix, bytes])?)),
            Signer::Ed25519 { signing: None, .. } => Err(Error::ReadOnlyKey),
            Signer::Ed25519 { signing: Some(seed), .. } => {
                let signature = key_pair(seed)?.sign(&[prefix, bytes].concat());
                Ok(Tag::new(signature.as_ref()))
            }
        }
    }

    fn is_signed(
        &self,
        purpose: Purpose,
        prefix: &[u8],
        bytes: &[u8],
        tag: &[u8],
    ) -> Result<bool, Error> {
        match &self.signer {
            Signer::Hmac => Ok(tag.len() == 32 && self.is_digest(purpose, &[prefix, bytes], tag)?),
            Signer::Ed25519 { public, .. } => {
                let public = UnparsedPublicKey::new(&ED25519, public);
                Ok(public.verify(&[prefix, bytes].concat(), tag).is_ok())
            }
        }
    }
}

/// HKDF-Expand (RFC 5869 §2.3) straight to where the key is to lie.
fn expand(prk: &hkdf::Prk, info: &[&[u8]], out: &mut [u8]) {
    struct Len(usize);
    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }
    let okm = prk.expand(info, Len(out.len())).expect("at most 32 bytes are asked for");
    okm.fill(out).expect("the length is the one that was asked for");
}

/// The public key that belongs to a signing key.
pub(crate) fn public_key(seed: &SecretBytes) -> Result<[u8; KEY_LEN], Error> {
    let pair = key_pair(seed)?;
    Ok(pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes"))
}

fn key_pair(seed: &SecretBytes) -> Result<Ed25519KeyPair, Error> {
    let seed = seed.try_expose()?;
    let pair = (seed.len() == KEY_LEN).then(|| Ed25519KeyPair::from_seed_unchecked(&seed));
    let pair = pair.and_then(Result::ok);
    pair.ok_or_else(|| Error::config("an Ed25519 signing key has 32 bytes"))
}

/// Whether a public key is a point of small order, under which anybody can make signatures.
fn is_weak(public: &[u8; KEY_LEN]) -> bool {
    /// The y of the points of order 8, up to the sign.
    const ORDER_8: [[u8; KEY_LEN]; 2] = [
        *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
        *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
    ];
    let mut y = *public;
    // The highest bit is the sign of x.
    y[31] &= 0x7f;
    // 0 and 1, and -1, 0 and 1 once more as numbers from 2^255 - 20 on.
    let small = y[0] <= 1 && y[1..].iter().all(|byte| *byte == 0);
    let large = y[0] >= 0xec && y[31] == 0x7f && y[1..31].iter().all(|byte| *byte == 0xff);
    small || large || ORDER_8.contains(&y)
}

/// An entry's file name: 2 digits of folder, 62 of file.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    text: [u8; 65],
    pub(crate) digest: [u8; 32],
}

impl Name {
    pub(crate) fn new(digest: &[u8; 32]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'/'; 65];
        for (at, byte) in digest.iter().enumerate() {
            let place = 2 * at + usize::from(at > 0);
            text[place] = HEX[usize::from(byte >> 4)];
            text[place + 1] = HEX[usize::from(byte & 15)];
        }
        Self { text, digest: *digest }
    }

    /// `ab/cdef…`
    pub(crate) fn path(&self) -> &str {
        std::str::from_utf8(&self.text).expect("hexadecimal digits and a slash")
    }

    pub(crate) fn folder(&self) -> &str {
        &self.path()[..2]
    }

    pub(crate) fn file(&self) -> &str {
        &self.path()[3..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_two_caches_and_two_purposes_differ() {
        let (a, b) = (KeySet::derive(&[1; 32], &[1; 16]), KeySet::derive(&[1; 32], &[2; 16]));
        let (a, b) = (a.expect("derives"), b.expect("derives"));
        assert_ne!(a.id, b.id);
        let digest = |keys: &KeySet, purpose| keys.digest(purpose, &[b"x"]).expect("digests");
        assert_ne!(digest(&a, Purpose::Name), digest(&b, Purpose::Name));
        assert_ne!(digest(&a, Purpose::Name), digest(&a, Purpose::Ledger));
    }

    #[test]
    fn points_of_small_order_are_no_public_keys() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut minus_one = [0xff; 32];
        (minus_one[0], minus_one[31]) = (0xec, 0x7f);
        for mut weak in [[0; 32], identity, minus_one] {
            assert!(is_weak(&weak));
            weak[31] |= 0x80;
            assert!(is_weak(&weak));
        }
        // With the identity as key and as R, and s = 0, any message would pass.
        let signature = [identity, [0; 32]].concat();
        assert!(UnparsedPublicKey::new(&ED25519, identity).verify(b"any", &signature).is_ok());
        assert!(KeySet::sealed(&identity, None, &[1; 16]).is_err());
        let seed = SecretBytes::copy_from(&[9; 32]).expect("memory");
        assert!(!is_weak(&public_key(&seed).expect("a key")));
    }

    #[test]
    fn a_name_is_two_and_sixty_two_digits() {
        let name = Name::new(&[0xab; 32]);
        assert_eq!(name.path(), format!("ab/{}", "ab".repeat(31)));
        assert_eq!((name.folder(), name.file().len()), ("ab", 62));
    }
}
