//! The key hierarchy: one master key, keys for each purpose, and who may sign.

use std::sync::{Mutex, PoisonError};

use aes_gcm::{Aes256Gcm, KeyInit as _};
use dsops_secure_mem::SecretBytes;
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
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

/// The keys that come from one master key for one cache.
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
    #[cfg(feature = "sealed")]
    Ed25519 { public: Box<ed25519_dalek::VerifyingKey>, signing: Option<SecretBytes> },
}

/// An authentication tag.
pub(crate) enum Tag {
    Hmac([u8; 32]),
    #[cfg(feature = "sealed")]
    Ed25519([u8; 64]),
}

impl AsRef<[u8]> for Tag {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Hmac(tag) => tag,
            #[cfg(feature = "sealed")]
            Self::Ed25519(tag) => tag,
        }
    }
}

impl KeySet {
    /// Derives the keys of a shared-key cache.
    pub(crate) fn derive(master: &[u8], cache_id: &[u8; 16]) -> Result<Self, Error> {
        let hkdf = Hkdf::<Sha256>::new(Some(cache_id), master);
        let expand = |name: &[u8], out: &mut [u8]| {
            hkdf.expand_multi_info(&[b"dsops.ic.v1/", name], out).expect("32 bytes can be derived");
        };
        let mut id = [0; 8];
        expand(b"id", &mut id);
        let material =
            SecretBytes::build(PURPOSES.len() * KEY_LEN, |bytes| -> Result<usize, Error> {
                for (name, key) in PURPOSES.iter().zip(bytes.chunks_exact_mut(KEY_LEN)) {
                    expand(name, key);
                }
                Ok(bytes.len())
            })?;
        Ok(Self { id, material, signer: Signer::Hmac, boot: Mutex::default() })
    }

    /// Derives the names of a sealed cache from its public key; `seed` is the signing key.
    #[cfg(feature = "sealed")]
    pub(crate) fn sealed(
        public: &[u8; KEY_LEN],
        seed: Option<&SecretBytes>,
        cache_id: &[u8; 16],
    ) -> Result<Self, Error> {
        let mut keys = Self::derive(public, cache_id)?;
        let public = ed25519_dalek::VerifyingKey::from_bytes(public)
            .ok()
            .filter(|key| !key.is_weak())
            .ok_or_else(|| Error::config("the public key is no Ed25519 key"))?;
        let signing = seed
            .map(|seed| seed.try_expose().and_then(|seed| SecretBytes::copy_from(&seed)))
            .transpose()?;
        keys.signer = Signer::Ed25519 { public: Box::new(public), signing };
        Ok(keys)
    }

    pub(crate) fn auth(&self) -> Auth {
        match self.signer {
            Signer::Hmac => Auth::Hmac,
            #[cfg(feature = "sealed")]
            Signer::Ed25519 { .. } => Auth::Ed25519,
        }
    }

    /// Whether this handle can store.
    pub(crate) fn can_sign(&self) -> bool {
        match &self.signer {
            Signer::Hmac => true,
            #[cfg(feature = "sealed")]
            Signer::Ed25519 { signing, .. } => signing.is_some(),
        }
    }

    fn mac(&self, purpose: Purpose, parts: &[&[u8]]) -> Result<Hmac<Sha256>, Error> {
        let material = self.material.try_expose()?;
        let key = &material[purpose as usize * KEY_LEN..][..KEY_LEN];
        let mut mac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(part);
        }
        Ok(mac)
    }

    /// A keyed digest.
    pub(crate) fn digest(&self, purpose: Purpose, parts: &[&[u8]]) -> Result<[u8; 32], Error> {
        Ok(self.mac(purpose, parts)?.finalize().into_bytes().into())
    }

    /// Whether a keyed digest, maybe cut, is right; in constant time.
    pub(crate) fn is_digest(
        &self,
        purpose: Purpose,
        parts: &[&[u8]],
        tag: &[u8],
    ) -> Result<bool, Error> {
        Ok(self.mac(purpose, parts)?.verify_truncated_left(tag).is_ok())
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
    pub(crate) fn cipher(&self, nonce: &[u8; 32]) -> Result<Aes256Gcm, Error> {
        // HKDF-Expand (RFC 5869 §2.3) with one block of output, from the derived key.
        let key = Zeroizing::new(self.digest(Purpose::Enc, &[b"body", nonce, &[1]])?);
        Ok(Aes256Gcm::new_from_slice(&*key).expect("the key has 32 bytes"))
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
            Signer::Hmac => Ok(Tag::Hmac(self.digest(purpose, &[prefix, bytes])?)),
            #[cfg(feature = "sealed")]
            Signer::Ed25519 { signing: None, .. } => Err(Error::ReadOnlyKey),
            #[cfg(feature = "sealed")]
            Signer::Ed25519 { signing: Some(seed), .. } => {
                use ed25519_dalek::Signer as _;
                let seed = seed.try_expose()?;
                let seed: &[u8; KEY_LEN] = seed[..].try_into().expect("checked when it was taken");
                let key = ed25519_dalek::SigningKey::from_bytes(seed);
                Ok(Tag::Ed25519(key.sign(&[prefix, bytes].concat()).to_bytes()))
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
            #[cfg(feature = "sealed")]
            Signer::Ed25519 { public, .. } => {
                let Ok(signature) = ed25519_dalek::Signature::from_slice(tag) else {
                    return Ok(false);
                };
                Ok(public.verify_strict(&[prefix, bytes].concat(), &signature).is_ok())
            }
        }
    }
}

/// The public key that belongs to a signing key.
#[cfg(feature = "sealed")]
pub(crate) fn public_key(seed: &SecretBytes) -> Result<[u8; KEY_LEN], Error> {
    let seed = seed.try_expose()?;
    let seed: &[u8; KEY_LEN] =
        seed[..].try_into().map_err(|_| Error::config("an Ed25519 signing key has 32 bytes"))?;
    Ok(ed25519_dalek::SigningKey::from_bytes(seed).verifying_key().to_bytes())
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
    fn a_name_is_two_and_sixty_two_digits() {
        let name = Name::new(&[0xab; 32]);
        assert_eq!(name.path(), format!("ab/{}", "ab".repeat(31)));
        assert_eq!((name.folder(), name.file().len()), ("ab", 62));
    }
}
