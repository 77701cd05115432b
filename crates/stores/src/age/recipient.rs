//! X25519 recipients: public keys that files are encrypted to (C2SP age §"The X25519 recipient type").

use std::{fmt, str::FromStr};

use base64ct::{Base64Unpadded, Encoding};
use bech32::{Bech32, Hrp, primitives::decode::CheckedHrpstring};
use chacha20poly1305::{
    ChaCha20Poly1305,
    aead::{AeadInOut, KeyInit, inout::InOutBuf},
};
use dsops_secure_mem::SecretBytes;
use x25519_dalek::{PublicKey, StaticSecret};

use super::{Error, FILE_KEY_BYTES, derive_key, header::Stanza, random_secret};
use crate::scrub::scrubbed;

pub(super) const STANZA_KIND: &str = "X25519";
pub(super) const STANZA_INFO: &[u8] = b"age-encryption.org/v1/X25519";
/// The file key is wrapped under a key that is used once, so the nonce is all zeroes.
pub(super) const WRAP_NONCE: [u8; 12] = [0; 12];
pub(super) const TAG_BYTES: usize = 16;
pub(super) const KEY_BYTES: usize = 32;
const HRP: Hrp = Hrp::parse_unchecked("age");

/// A public key that files can be encrypted to, as text `age1…`. Not a secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Recipient([u8; KEY_BYTES]);

impl Recipient {
    pub(super) fn of_secret(secret: &SecretBytes) -> Self {
        Self(scrubbed(|| PublicKey::from(&static_secret(&secret.expose())).to_bytes()))
    }

    /// The salt of the wrapping key: both public halves.
    pub(super) fn salt(&self, share: &[u8; KEY_BYTES]) -> [u8; 2 * KEY_BYTES] {
        let mut salt = [0u8; 2 * KEY_BYTES];
        salt[..KEY_BYTES].copy_from_slice(share);
        salt[KEY_BYTES..].copy_from_slice(&self.0);
        salt
    }

    /// Wraps the file key for this recipient under a fresh ephemeral key.
    pub(super) fn wrap(&self, file_key: &SecretBytes) -> Result<Stanza, Error> {
        let ephemeral = random_secret(KEY_BYTES)?;
        let share = Self::of_secret(&ephemeral).0;
        let shared = shared_secret(&ephemeral, &self.0)?
            .ok_or(Error::Recipient { reason: "it is a point of low order, nobody's key" })?;
        let key = derive_key(&shared.expose(), &self.salt(&share), STANZA_INFO)?;
        let mut body = vec![0u8; FILE_KEY_BYTES];
        let tag = scrubbed(|| {
            let file_key = file_key.expose();
            let buffer = InOutBuf::new(&file_key, &mut body).expect("file keys have 16 bytes");
            wrap_cipher(&key)
                .encrypt_inout_detached(&WRAP_NONCE.into(), &[], buffer)
                .expect("16 bytes are below the limit of the cipher")
        });
        body.extend_from_slice(&tag);
        let mut encoded = [0u8; 43];
        let share =
            Base64Unpadded::encode(&share, &mut encoded).expect("32 bytes are 43 characters");
        Ok(Stanza { args: vec![STANZA_KIND.to_owned(), share.to_owned()], body })
    }
}

impl FromStr for Recipient {
    type Err = Error;

    /// Parses `age1…`.
    ///
    /// # Errors
    /// [`Error::Recipient`]; the text is not repeated, it may be a secret key given by mistake.
    fn from_str(text: &str) -> Result<Self, Error> {
        let fail = |reason| Error::Recipient { reason };
        if text.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("AGE-SECRET-KEY-")) {
            return Err(fail("it is a secret key; recipients start with age1"));
        }
        if !text.starts_with("age1") {
            return Err(fail("only X25519 recipients are supported, they start with age1"));
        }
        let parsed = CheckedHrpstring::new::<Bech32>(text)
            .map_err(|_| fail("it is not valid Bech32; it may be cut off or mistyped"))?;
        if parsed.hrp() != HRP {
            return Err(fail(
                "recipients of plugins and post-quantum recipients are not supported",
            ));
        }
        let mut key = [0u8; KEY_BYTES];
        read_key(&parsed, &mut key).map_err(fail)?;
        Ok(Self(key))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32, _>(f, HRP, &self.0).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

/// Copies exactly 32 bytes out of a Bech32 string; padding must be canonical.
pub(super) fn read_key(parsed: &CheckedHrpstring<'_>, key: &mut [u8]) -> Result<(), &'static str> {
    parsed.validate_segwit_padding().map_err(|_| "its last bits are not zero")?;
    let mut bytes = parsed.byte_iter();
    for slot in key.iter_mut() {
        *slot = bytes.next().ok_or("it is too short")?;
    }
    if bytes.next().is_some() { Err("it is too long") } else { Ok(()) }
}

/// The X25519 product, or `None` if it is the all-zero value that gives nothing away to no one.
pub(super) fn shared_secret(
    secret: &SecretBytes,
    public: &[u8; KEY_BYTES],
) -> Result<Option<SecretBytes>, Error> {
    let mut contributory = false;
    let shared = SecretBytes::build(KEY_BYTES, |shared| {
        scrubbed(|| {
            let product = static_secret(&secret.expose()).diffie_hellman(&PublicKey::from(*public));
            contributory = product.was_contributory();
            shared.copy_from_slice(product.as_bytes());
        });
        Ok::<_, Error>(KEY_BYTES)
    })?;
    Ok(contributory.then_some(shared))
}

pub(super) fn wrap_cipher(key: &SecretBytes) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new_from_slice(&key.expose()).expect("derived keys have 32 bytes")
}

/// Callers run this under [`scrubbed`]: the bytes pass over the stack.
fn static_secret(secret: &[u8]) -> StaticSecret {
    let bytes: [u8; KEY_BYTES] = secret.try_into().expect("X25519 secrets are kept with 32 bytes");
    StaticSecret::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::Recipient;

    const TEXT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

    #[test]
    fn text_comes_back() {
        assert_eq!(TEXT.parse::<Recipient>().unwrap().to_string(), TEXT);
    }

    #[test]
    fn what_is_not_a_recipient_is_refused_without_repeating_it() {
        let mistyped = TEXT.replace('7', "8");
        for (text, reason) in [
            ("", "start with age1"),
            (&mistyped, "Bech32"),
            (&TEXT[..40], "Bech32"),
            ("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "plugins"),
            (
                "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
                "secret",
            ),
            ("ssh-ed25519 AAAA", "start with age1"),
        ] {
            let error = text.parse::<Recipient>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
    }
}
