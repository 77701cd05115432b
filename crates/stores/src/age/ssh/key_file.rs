//! SSH private key files: the format of OpenSSH (`PROTOCOL.key`), and PKCS #1 for older RSA keys.

use aes::{
    Aes256,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use base64ct::{Base64, Encoding};
use dsops_secure_mem::SecretBytes;
use zeroize::Zeroizing;

use super::{Kind, PrivateKey, PublicKey, Secret, bcrypt, ed25519, rsa, wire::Reader};
use crate::{age::Error, scrub::scrubbed};

const MAGIC: &[u8] = b"openssh-key-v1\0";
const BLOCK_BYTES: usize = 16;
/// A key of 32 bytes and the counter or first block.
const DERIVED_BYTES: usize = 32 + BLOCK_BYTES;
/// Some minutes of work; `ssh-keygen` writes 16 or 24.
const MOST_ROUNDS: u32 = 4096;
const SEED_BYTES: usize = 32;

/// What a file that starts with `-----BEGIN ` holds.
pub(in crate::age) enum KeyFile {
    Open(PrivateKey),
    Locked(LockedKey),
    /// The kind of a key that is not supported.
    Unsupported(&'static str),
}

/// A private key that a passphrase protects. Nothing in it is secret, and it is not authenticated.
pub(in crate::age) struct LockedKey {
    public: PublicKey,
    cipher: Cipher,
    salt: Vec<u8>,
    rounds: u32,
    sealed: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Cipher {
    Ctr,
    Cbc,
}

/// Reads a private key file.
///
/// # Errors
/// [`Error::Identity`], which repeats nothing of it; [`Error::Memory`].
pub(in crate::age) fn parse(text: &[u8]) -> Result<KeyFile, Error> {
    let text = text.trim_ascii();
    let (begin, rest) = split_line(text);
    let label = begin.strip_prefix(b"-----BEGIN ").and_then(|rest| rest.strip_suffix(b"-----"));
    match label.ok_or(fail("its first line is not that of a key file"))? {
        b"OPENSSH PRIVATE KEY" => {
            openssh(&decoded(rest, b"-----END OPENSSH PRIVATE KEY-----")?.expose())
        }
        b"RSA PRIVATE KEY" if rest.starts_with(b"Proc-Type:") => Ok(KeyFile::Unsupported(
            "an RSA key encrypted in the old format, which `ssh-keygen -p -f FILE` rewrites",
        )),
        b"RSA PRIVATE KEY" => {
            let der = decoded(rest, b"-----END RSA PRIVATE KEY-----")?;
            pkcs1(&der.expose()).map(KeyFile::Open)
        }
        b"EC PRIVATE KEY" => Ok(KeyFile::Unsupported(ECDSA)),
        b"DSA PRIVATE KEY" => Ok(KeyFile::Unsupported(DSA)),
        b"PRIVATE KEY" | b"ENCRYPTED PRIVATE KEY" => Ok(KeyFile::Unsupported(
            "a key in the format PKCS #8, which SSH does not use by default",
        )),
        _ => Err(fail("it is a PEM file, but not of a private key")),
    }
}

const ECDSA: &str = "an ECDSA key (age takes only ssh-ed25519 and ssh-rsa)";
const DSA: &str = "a DSA key (age takes only ssh-ed25519 and ssh-rsa)";
const SECURITY_KEY: &str = "a key in a hardware token (age takes only ssh-ed25519 and ssh-rsa)";

impl LockedKey {
    pub(in crate::age) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Opens the key.
    pub(in crate::age) fn unlock(&self, passphrase: &SecretBytes) -> Result<PrivateKey, Error> {
        let plain = SecretBytes::build(self.sealed.len(), |plain| {
            scrubbed(|| {
                let mut derived = Zeroizing::new([0u8; DERIVED_BYTES]);
                bcrypt::derive(
                    &passphrase.expose(),
                    &self.salt,
                    self.rounds,
                    derived.as_mut_slice(),
                );
                plain.copy_from_slice(&self.sealed);
                self.cipher.decrypt(&derived, plain);
            });
            Ok::<_, Error>(plain.len())
        })?;
        let plain = plain.expose();
        let mut reader = Reader::new(&plain);
        if reader.u32() != reader.u32() {
            return Err(Error::WrongPassphrase);
        }
        private_part(reader, &self.public)
    }
}

impl Cipher {
    fn decrypt(self, derived: &[u8; DERIVED_BYTES], text: &mut [u8]) {
        let (key, start) = derived.split_at(DERIVED_BYTES - BLOCK_BYTES);
        let aes = Aes256::new_from_slice(key).expect("32 bytes");
        let start: [u8; BLOCK_BYTES] = start.try_into().expect("16 bytes");
        let mut previous = start;
        for (chunk, count) in text.chunks_exact_mut(BLOCK_BYTES).zip(0u128..) {
            let sealed: [u8; BLOCK_BYTES] = (&*chunk).try_into().expect("chunks are exact");
            match self {
                Self::Ctr => {
                    let counter = u128::from_be_bytes(start).wrapping_add(count);
                    let mut pad = counter.to_be_bytes().into();
                    aes.encrypt_block(&mut pad);
                    xor(chunk, &pad);
                }
                Self::Cbc => {
                    let mut block = sealed.into();
                    aes.decrypt_block(&mut block);
                    chunk.copy_from_slice(&block);
                    xor(chunk, &previous);
                    previous = sealed;
                }
            }
        }
    }
}

fn openssh(bytes: &[u8]) -> Result<KeyFile, Error> {
    let cut_off = || fail("it is cut off");
    let bytes = bytes.strip_prefix(MAGIC).ok_or(fail("it is not in the format of OpenSSH"))?;
    let mut reader = Reader::new(bytes);
    let cipher = reader.string().ok_or_else(cut_off)?;
    let derivation = reader.string().ok_or_else(cut_off)?;
    let options = reader.string().ok_or_else(cut_off)?;
    if reader.u32() != Some(1) {
        return Err(fail("it does not hold exactly one key"));
    }
    let wire = reader.string().ok_or_else(cut_off)?;
    let sealed = reader.string().ok_or_else(cut_off)?;
    if !reader.is_empty() {
        return Err(fail("something follows the key"));
    }
    if let Some(kind) = unsupported_kind(Reader::new(wire).string().unwrap_or_default()) {
        return Ok(KeyFile::Unsupported(kind));
    }
    let public = PublicKey::parse(wire).map_err(fail)?;
    let cipher = match (cipher, derivation) {
        (b"none", b"none") => {
            let mut reader = Reader::new(sealed);
            return match (reader.u32(), reader.u32()) {
                (Some(one), Some(other)) if one == other => {
                    private_part(reader, &public).map(KeyFile::Open)
                }
                _ => Err(fail("its check numbers differ: it was changed")),
            };
        }
        (b"aes256-ctr", b"bcrypt") => Cipher::Ctr,
        (b"aes256-cbc", b"bcrypt") => Cipher::Cbc,
        _ => {
            return Ok(KeyFile::Unsupported(
                "a key encrypted with another cipher than aes256-ctr, which `ssh-keygen -p -Z aes256-ctr -f FILE` changes",
            ));
        }
    };
    let mut options = Reader::new(options);
    let salt = options.string().ok_or_else(cut_off)?.to_vec();
    let rounds = options.u32().ok_or_else(cut_off)?;
    if !(1..=MOST_ROUNDS).contains(&rounds) || salt.is_empty() {
        return Err(fail("its passphrase takes no work, or more than 4096 rounds"));
    }
    if sealed.is_empty() || !sealed.len().is_multiple_of(BLOCK_BYTES) {
        return Err(fail("its encrypted part is not made of whole blocks"));
    }
    Ok(KeyFile::Locked(LockedKey { public, cipher, salt, rounds, sealed: sealed.to_vec() }))
}

/// The part that can be encrypted, after its check numbers.
fn private_part(mut reader: Reader<'_>, public: &PublicKey) -> Result<PrivateKey, Error> {
    let cut_off = || fail("its private part is cut off");
    if reader.string() != Some(public.name().as_bytes()) {
        return Err(fail("its private part is of another kind than its public part"));
    }
    let secret = match &public.kind {
        Kind::Ed25519(key) => {
            reader.string().ok_or_else(cut_off)?;
            let seed = reader.string().and_then(|both| both.get(..SEED_BYTES));
            ed25519::PrivateKey::new(seed.ok_or_else(cut_off)?, key)?.map(Secret::Ed25519)
        }
        Kind::Rsa(key) => {
            let mut number = || reader.number().ok_or_else(cut_off);
            let (modulus, exponent) = (number()?, number()?);
            let (d, inverse, p, q) = (number()?, number()?, number()?, number()?);
            if rsa::PublicKey::new(modulus, exponent).as_ref() == Ok(key) {
                rsa::PrivateKey::new(key, [p, q], d, inverse)?.map(Secret::Rsa)
            } else {
                None
            }
        }
    };
    reader.string().ok_or_else(cut_off)?;
    let padding = reader.rest();
    if padding.len() > BLOCK_BYTES || padding.iter().zip(1u8..).any(|(byte, want)| *byte != want) {
        return Err(fail("its padding is not that of OpenSSH"));
    }
    let secret = secret.ok_or(fail("its private part does not belong to its public part"))?;
    Ok(PrivateKey { public: public.clone(), secret })
}

/// The structure `RSAPrivateKey` (RFC 8017 §A.1.2).
fn pkcs1(der: &[u8]) -> Result<PrivateKey, Error> {
    let malformed = || fail("it is not an RSA key in the format PKCS #1");
    let (mut fields, after) = der_element(der, 0x30).ok_or_else(malformed)?;
    if !after.is_empty() {
        return Err(malformed());
    }
    let mut numbers = [&[] as &[u8]; 9];
    for number in &mut numbers {
        let (value, rest) = der_element(fields, 0x02).ok_or_else(malformed)?;
        *number = match value {
            [0, value @ ..] if !value.is_empty() => value,
            value => value,
        };
        fields = rest;
    }
    let [[0], modulus, exponent, d, p, q, _, _, inverse] = numbers else {
        return Err(malformed());
    };
    let key = rsa::PublicKey::new(modulus, exponent).map_err(fail)?;
    let secret = rsa::PrivateKey::new(&key, [p, q], d, inverse)?.ok_or_else(malformed)?;
    let wire = rsa_wire(modulus, exponent);
    let public = PublicKey { wire, kind: Kind::Rsa(key) };
    Ok(PrivateKey { public, secret: Secret::Rsa(secret) })
}

/// The content of a DER element and what follows it.
fn der_element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der {
        [first, short @ 0..=0x7f, rest @ ..] if *first == tag => (usize::from(*short), rest),
        [first, 0x81, length, rest @ ..] if *first == tag => (usize::from(*length), rest),
        [first, 0x82, high, low, rest @ ..] if *first == tag => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

fn rsa_wire(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut push = |bytes: &[u8], sign: &[u8]| {
        let length = u32::try_from(bytes.len() + sign.len()).expect("far below 4 GiB");
        wire.extend_from_slice(&length.to_be_bytes());
        wire.extend_from_slice(sign);
        wire.extend_from_slice(bytes);
    };
    push(rsa::KIND.as_bytes(), &[]);
    for number in [exponent, modulus] {
        // A number whose first bit is set would be negative.
        push(number, if number.first().is_some_and(|byte| byte & 0x80 != 0) { &[0] } else { &[] });
    }
    wire
}

fn unsupported_kind(name: &[u8]) -> Option<&'static str> {
    if name.starts_with(b"ecdsa-") {
        Some(ECDSA)
    } else if name == b"ssh-dss" {
        Some(DSA)
    } else if name.starts_with(b"sk-") {
        Some(SECURITY_KEY)
    } else {
        None
    }
}

/// The bytes between the lines of a PEM file, in protected memory.
fn decoded(rest: &[u8], end: &[u8]) -> Result<SecretBytes, Error> {
    let body = rest.strip_suffix(end).ok_or(fail("its last line is missing; it may be cut off"))?;
    let characters = SecretBytes::build(body.len(), |characters| {
        let kept = body.iter().filter(|byte| !byte.is_ascii_whitespace());
        let mut length = 0;
        for (slot, byte) in characters.iter_mut().zip(kept) {
            *slot = *byte;
            length += 1;
        }
        Ok::<_, Error>(length)
    })?;
    SecretBytes::build(characters.len() / 4 * 3, |bytes| {
        Base64::decode(&*characters.expose(), bytes)
            .map(<[u8]>::len)
            .map_err(|_| fail("it is not valid base64; it may be cut off or mistyped"))
    })
}

fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    (text[..end].trim_ascii_end(), text[end..].trim_ascii_start())
}

fn xor(target: &mut [u8], other: &[u8]) {
    for (byte, other) in target.iter_mut().zip(other) {
        *byte ^= other;
    }
}

fn fail(reason: &'static str) -> Error {
    Error::Identity { line: 1, reason }
}
