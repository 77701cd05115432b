//! X25519 recipients and identities (C2SP age §"The X25519 recipient type").

use bech32::{
    Bech32, Hrp,
    primitives::{
        decode::CheckedHrpstring,
        iter::{ByteIterExt, Fe32IterExt},
    },
};
use dsops_secure_mem::SecretBytes;
use x25519_dalek::{PublicKey, StaticSecret};

use super::{
    Error, derive_key,
    file_key::{self, Sealed},
    header::{Stanza, base64},
    random_secret,
};
use crate::scrub::scrubbed;

pub(super) const STANZA_KIND: &str = "X25519";
pub(super) const KEY_BYTES: usize = 32;
pub(super) const SECRET_PREFIX: &str = "AGE-SECRET-KEY-1";
const STANZA_INFO: &[u8] = b"age-encryption.org/v1/X25519";
const RECIPIENT_HRP: Hrp = Hrp::parse_unchecked("age");
const SECRET_HRP: Hrp = Hrp::parse_unchecked("age-secret-key-");
/// Prefix, 52 characters for 32 bytes, 6 of checksum.
const SECRET_TEXT_BYTES: usize = 74;

/// A point of the curve: a recipient, or one half of an exchange.
pub(super) type Point = [u8; KEY_BYTES];

/// Reads `age1…`.
pub(super) fn parse_recipient(text: &str) -> Result<Point, &'static str> {
    let parsed = CheckedHrpstring::new::<Bech32>(text)
        .map_err(|_| "it is not valid Bech32; it may be cut off or mistyped")?;
    if parsed.hrp() != RECIPIENT_HRP {
        return Err("recipients of plugins and post-quantum recipients are not supported");
    }
    let mut point = [0u8; KEY_BYTES];
    read_key(&parsed, &mut point)?;
    Ok(point)
}

/// Writes `age1…`.
pub(super) fn write_recipient(
    f: &mut std::fmt::Formatter<'_>,
    point: &Point,
) -> Result<(), std::fmt::Error> {
    bech32::encode_lower_to_fmt::<Bech32, _>(f, RECIPIENT_HRP, point).map_err(|_| std::fmt::Error)
}

/// Reads `AGE-SECRET-KEY-1…`; reasons repeat nothing of it.
pub(super) fn parse_secret(
    text: &[u8],
    fail: impl Fn(&'static str) -> Error,
) -> Result<SecretBytes, Error> {
    if !text.starts_with(SECRET_PREFIX.as_bytes()) {
        return Err(fail("it is not an identity, which starts with AGE-SECRET-KEY-1"));
    }
    let text = std::str::from_utf8(text).map_err(|_| fail("it is not text"))?;
    SecretBytes::build(KEY_BYTES, |secret| {
        scrubbed(|| {
            let parsed = CheckedHrpstring::new::<Bech32>(text)
                .map_err(|_| fail("it is not valid Bech32; it may be cut off or mistyped"))?;
            read_key(&parsed, secret).map_err(fail)
        })?;
        Ok(KEY_BYTES)
    })
}

/// Writes `AGE-SECRET-KEY-1…` into protected memory.
pub(super) fn secret_text(secret: &SecretBytes) -> Result<SecretBytes, Error> {
    SecretBytes::build(SECRET_TEXT_BYTES, |text| {
        scrubbed(|| {
            let secret = secret.expose();
            let characters =
                secret.iter().copied().bytes_to_fes().with_checksum::<Bech32>(&SECRET_HRP).chars();
            let mut length = 0;
            for (slot, character) in text.iter_mut().zip(characters) {
                // Bech32 characters are ASCII.
                *slot = (character as u8).to_ascii_uppercase();
                length += 1;
            }
            Ok(length)
        })
    })
}

/// Wraps the file key for a recipient under a fresh ephemeral key.
pub(super) fn wrap(to: &Point, file_key: &SecretBytes) -> Result<Stanza, Error> {
    let ephemeral = random_secret(KEY_BYTES)?;
    let share = public_key(&ephemeral);
    let shared = shared_secret(&ephemeral, to)?
        .ok_or(Error::Recipient { reason: "it is a point of low order, nobody's key" })?;
    let key = derive_key(&shared.expose(), &salt(&share, to), STANZA_INFO)?;
    Ok(Stanza {
        args: vec![STANZA_KIND.to_owned(), base64(&share)],
        body: file_key::seal(file_key, &key),
    })
}

/// Finds a stanza that `secret` opens and unwraps the file key; `None` if there is none.
///
/// `own` is the point of `secret`. It costs a multiplication, so `claimed` is tried first, where
/// somebody says what it is: as the point goes into the key, a wrong one opens nothing.
pub(super) fn unwrap(
    secret: &SecretBytes,
    own: impl Fn() -> Point,
    claimed: Option<Point>,
    stanzas: &[Stanza],
) -> Result<Option<SecretBytes>, Error> {
    for stanza in stanzas.iter().filter(|stanza| stanza.args[0] == STANZA_KIND) {
        let fail = |reason| Error::Header { line: 0, reason };
        let [_, encoded] = stanza.args.as_slice() else {
            return Err(fail("an X25519 recipient does not have exactly one share"));
        };
        let share =
            file_key::argument(encoded, "an X25519 share is not 32 bytes of canonical base64")?;
        let sealed = Sealed::of(&stanza.body, "an X25519 recipient's body is not 32 bytes")?;
        let shared = shared_secret(secret, &share)?
            .ok_or(fail("the share of an X25519 recipient is a point of low order"))?;
        let open = |public: &Point| {
            sealed.open(&derive_key(&shared.expose(), &salt(&share, public), STANZA_INFO)?)
        };
        let by_claim = claimed.map(|public| open(&public)).transpose()?.flatten();
        let opened = if by_claim.is_some() { by_claim } else { open(&own())? };
        if opened.is_some() {
            return Ok(opened);
        }
    }
    Ok(None)
}

/// The point that belongs to a secret.
pub(super) fn public_key(secret: &SecretBytes) -> Point {
    scrubbed(|| PublicKey::from(&static_secret(&secret.expose())).to_bytes())
}

/// The salt of the wrapping key: both public halves.
pub(super) fn salt(share: &Point, to: &Point) -> [u8; 2 * KEY_BYTES] {
    let mut salt = [0u8; 2 * KEY_BYTES];
    salt[..KEY_BYTES].copy_from_slice(share);
    salt[KEY_BYTES..].copy_from_slice(to);
    salt
}

/// The X25519 product, or `None` if it is the all-zero value that gives nothing away to no one.
pub(super) fn shared_secret(
    secret: &SecretBytes,
    public: &Point,
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

/// Copies exactly 32 bytes out of a Bech32 string; padding must be canonical.
fn read_key(parsed: &CheckedHrpstring<'_>, key: &mut [u8]) -> Result<(), &'static str> {
    parsed.validate_segwit_padding().map_err(|_| "its last bits are not zero")?;
    let mut bytes = parsed.byte_iter();
    for slot in key.iter_mut() {
        *slot = bytes.next().ok_or("it is too short")?;
    }
    if bytes.next().is_some() { Err("it is too long") } else { Ok(()) }
}

/// Callers run this under [`scrubbed`]: the bytes pass over the stack.
fn static_secret(secret: &[u8]) -> StaticSecret {
    let bytes: Point = secret.try_into().expect("X25519 secrets are kept with 32 bytes");
    StaticSecret::from(bytes)
}
