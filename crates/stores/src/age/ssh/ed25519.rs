//! The recipient type `ssh-ed25519`: X25519 on the same curve, bound to the SSH key by a tweak.

use curve25519_dalek::edwards::CompressedEdwardsY;
use dsops_secure_mem::SecretBytes;
use sha2::{Digest, Sha512};
use zeroize::Zeroize;

use crate::age::{
    Error, derive_key,
    file_key::{self, Sealed},
    random_secret,
    x25519::{self, KEY_BYTES, Point},
};
use crate::scrub::scrubbed;

pub(super) const KIND: &str = "ssh-ed25519";
const INFO: &[u8] = b"age-encryption.org/v1/ssh-ed25519";

/// The public key as a point of Curve25519.
#[derive(Clone)]
pub(super) struct PublicKey {
    point: Point,
}

impl PublicKey {
    pub(super) fn new(edwards: &[u8]) -> Result<Self, &'static str> {
        let compressed = CompressedEdwardsY::from_slice(edwards)
            .map_err(|_| "an Ed25519 key has 32 bytes, this one has not")?;
        let point = compressed.decompress().ok_or("it is not a point of the curve")?;
        Ok(Self { point: point.to_montgomery().to_bytes() })
    }

    /// The ephemeral share and the stanza's body; `wire` is the key as SSH writes it.
    pub(super) fn wrap(
        &self,
        wire: &[u8],
        file_key: &SecretBytes,
    ) -> Result<(Point, Vec<u8>), Error> {
        let ephemeral = random_secret(KEY_BYTES)?;
        let share = x25519::public_key(&ephemeral);
        let key = wrapping_key(&ephemeral, &self.point, wire, &share, &self.point)?
            .ok_or(Error::Recipient { reason: "it is a point of low order, nobody's key" })?;
        Ok((share, file_key::seal(file_key, &key)))
    }
}

/// The private key as a scalar of Curve25519.
pub(super) struct PrivateKey {
    scalar: SecretBytes,
    point: Point,
}

impl PrivateKey {
    /// From the seed, which is what SSH keeps; `None` if it is not the public key's.
    pub(super) fn new(seed: &[u8], public: &PublicKey) -> Result<Option<Self>, Error> {
        let scalar = SecretBytes::build(KEY_BYTES, |scalar| {
            scrubbed(|| {
                let mut hash = Sha512::digest(seed);
                scalar.copy_from_slice(&hash[..KEY_BYTES]);
                hash.as_mut_slice().zeroize();
            });
            Ok::<_, Error>(KEY_BYTES)
        })?;
        let point = x25519::public_key(&scalar);
        Ok((point == public.point).then_some(Self { scalar, point }))
    }

    /// Unwraps the file key; `None` if the body is another key's.
    pub(super) fn unwrap(
        &self,
        wire: &[u8],
        share: &Point,
        body: &[u8],
    ) -> Result<Option<SecretBytes>, Error> {
        let sealed = Sealed::of(body, "the body of an SSH recipient is not 32 bytes")?;
        let reason = "the share of an SSH recipient is a point of low order";
        let key = wrapping_key(&self.scalar, share, wire, share, &self.point)?
            .ok_or(Error::Header { line: 0, reason })?;
        sealed.open(&key)
    }
}

/// The product of the exchange, multiplied once more with a scalar made of the SSH key, and
/// expanded. `None` if the other half is of low order.
fn wrapping_key(
    secret: &SecretBytes,
    other: &Point,
    wire: &[u8],
    share: &Point,
    to: &Point,
) -> Result<Option<SecretBytes>, Error> {
    let Some(shared) = x25519::shared_secret(secret, other)? else { return Ok(None) };
    let tweak = derive_key(&[], wire, INFO)?;
    let shared = {
        let point = shared.expose();
        let point = (&*point).try_into().expect("X25519 products have 32 bytes");
        x25519::shared_secret(&tweak, point)?
    };
    let Some(shared) = shared else { return Ok(None) };
    derive_key(&shared.expose(), &x25519::salt(share, to), INFO).map(Some)
}
