//! The MAC over a document: SHA-512 over every value in the order of the document.

use dsops_secure_mem::SecretBytes;
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::{
    Error, Place,
    metadata::Metadata,
    tree::{Content, Leaves},
    value::{Cipher, Encrypted, Kind, Refused, Sealing},
};
use crate::scrub::scrubbed;

/// What the hash starts with if only encrypted values are hashed: SHA-256 of `sops`, so that the
/// setting cannot be changed without changing the MAC.
const ONLY_ENCRYPTED_PREFIX: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b,
    0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];
const HEX_BYTES: usize = 128;

/// Decrypts and hashes every value, compares the MAC, and only then hands out the values of the
/// leaves that are wanted, in the order of `wanted`, which is sorted and may have a leaf twice.
///
/// All memory is had before the first value is decrypted: while plaintext may stand on the stack
/// or in a register, there is no system call at which an observer could look.
pub(super) fn verify(
    file: &str,
    leaves: &Leaves<'_>,
    metadata: &Metadata,
    data_key: &SecretBytes,
    wanted: &[usize],
) -> Result<Vec<SecretBytes>, Error> {
    let mac_error = || Error::Mac { place: metadata.mac_place.clone() };
    let mac = Encrypted::parse(&metadata.mac).map_err(|_| mac_error())?;
    let mut values = wanted
        .iter()
        .map(|leaf| room(leaves.all[*leaf].max_len()))
        .collect::<Result<Vec<_>, _>>()?;
    let longest = leaves.max_len().max(mac.max_len());
    let mut plaintext = room(longest)?;
    let mut plaintext = plaintext.expose_mut();
    let mut ciphertext = Vec::with_capacity(longest);
    let mut filled = 0;
    let equal = scrubbed(|| {
        let cipher = Cipher::new(data_key);
        let mut scratch = Scratch { plaintext: &mut plaintext, ciphertext: &mut ciphertext };
        let mut computed = hash(leaves, metadata, &cipher, &mut scratch, |leaf, plaintext| {
            while wanted.get(filled) == Some(&leaf) {
                plaintext.keep(&mut values[filled]);
                filled += 1;
            }
        })?;
        let path = metadata.last_modified.as_bytes();
        let equal = mac.kind == Kind::Str
            && scratch.open(&cipher, &mac, path).is_ok_and(|mac| mac.ct_eq(&computed).into());
        computed.zeroize();
        Ok(equal)
    })
    .map_err(|fault| refuse(file, leaves, &fault))?;
    if equal { Ok(values) } else { Err(mac_error()) }
}

/// Computes the MAC of a document and encrypts it for the time of the change.
pub(super) fn seal(
    file: &str,
    leaves: &Leaves<'_>,
    metadata: &Metadata,
    data_key: &SecretBytes,
    last_modified: &str,
) -> Result<String, Error> {
    let longest = leaves.max_len();
    let mut plaintext = room(longest)?;
    let mut plaintext = plaintext.expose_mut();
    let mut ciphertext = Vec::with_capacity(longest);
    let sealing = Sealing::new(HEX_BYTES)?;
    scrubbed(|| {
        let cipher = Cipher::new(data_key);
        let mut scratch = Scratch { plaintext: &mut plaintext, ciphertext: &mut ciphertext };
        let mut computed = hash(leaves, metadata, &cipher, &mut scratch, |_, _| ())?;
        let sealed = cipher.seal(sealing, Kind::Str, &computed, last_modified.as_bytes());
        computed.zeroize();
        Ok(sealed)
    })
    .map_err(|fault| refuse(file, leaves, &fault))
}

/// A plaintext while it is looked at.
struct Plaintext<'a> {
    kind: Kind,
    bytes: &'a [u8],
}

impl Plaintext<'_> {
    /// Copies it into a slot of its own, in the form that users expect: a boolean is `true` or
    /// `false` although sops keeps it as Python writes it.
    fn keep(&self, value: &mut SecretBytes) {
        let mut open = value.expose_mut();
        let used = &mut open[..self.bytes.len()];
        used.copy_from_slice(self.bytes);
        if self.kind == Kind::Bool {
            used.make_ascii_lowercase();
        }
        drop(open);
        value.truncate(self.bytes.len());
    }
}

/// A leaf, by its place, and what is wrong with it.
type Fault = (usize, Refused);

fn hash(
    leaves: &Leaves<'_>,
    metadata: &Metadata,
    cipher: &Cipher,
    scratch: &mut Scratch<'_>,
    mut see: impl FnMut(usize, &Plaintext<'_>),
) -> Result<[u8; HEX_BYTES], Fault> {
    let mut hasher = Sha512::new();
    if metadata.mac_only_encrypted {
        hasher.update(ONLY_ENCRYPTED_PREFIX);
    }
    for (index, leaf) in leaves.all.iter().enumerate() {
        let plaintext = match &leaf.content {
            Content::Encrypted(value) => {
                let bytes = scratch
                    .open(cipher, value, leaves.path(leaf))
                    .map_err(|refused| (index, refused))?;
                let form = value.kind.check(bytes);
                form.map_err(|reason| (index, Refused::Form(reason)))?;
                Plaintext { kind: value.kind, bytes }
            }
            Content::Clear { form, kind } => Plaintext { kind: *kind, bytes: form.as_bytes() },
            Content::Empty => Plaintext { kind: Kind::Str, bytes: &[] },
        };
        if (leaf.encrypted || !metadata.mac_only_encrypted) && !leaf.is_comment() {
            hasher.update(plaintext.bytes);
        }
        see(index, &plaintext);
    }
    let mut digest = hasher.finalize();
    let mut hex = [0u8; HEX_BYTES];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(&digest) {
        pair[0] = b"0123456789ABCDEF"[usize::from(byte >> 4)];
        pair[1] = b"0123456789ABCDEF"[usize::from(byte & 15)];
    }
    digest.as_mut_slice().zeroize();
    Ok(hex)
}

fn refuse(file: &str, leaves: &Leaves<'_>, (leaf, refused): &Fault) -> Error {
    let leaf = &leaves.all[*leaf];
    let place = Place::new(file, leaf.node.span.start);
    let key = leaves.key(leaf).to_owned();
    match refused {
        Refused::Form(reason) => Error::Value { place, key, reason },
        Refused::Authentication => Error::Changed { place, key },
    }
}

/// Protected memory in which one value after the other is decrypted, and a buffer for ciphertext.
struct Scratch<'a> {
    plaintext: &'a mut [u8],
    ciphertext: &'a mut Vec<u8>,
}

impl Scratch<'_> {
    fn open(
        &mut self,
        cipher: &Cipher,
        value: &Encrypted<'_>,
        path: &[u8],
    ) -> Result<&[u8], Refused> {
        let used = cipher.open(value, path, self.ciphertext, self.plaintext)?;
        Ok(&self.plaintext[..used])
    }
}

fn room(len: usize) -> Result<SecretBytes, Error> {
    SecretBytes::build(len, |_| Ok::<_, Error>(len))
}
