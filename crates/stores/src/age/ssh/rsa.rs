//! The recipient type `ssh-rsa`: the file key under RSAES-OAEP (RFC 8017 §7.1) with SHA-256.
//!
//! The arithmetic is that of `crypto-bigint`, in constant time, on numbers of fixed size. They are
//! on the stack, which is wiped after each operation.

use crypto_bigint::{
    Limb, NonZero, Odd, U2048, U4096, Uint,
    modular::{FixedMontyForm, FixedMontyParams},
};
use dsops_secure_mem::SecretBytes;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::age::{Error, file_key::FILE_KEY_BYTES, random_secret};
use crate::scrub::scrubbed;

pub(super) const KIND: &str = "ssh-rsa";
const LABEL: &[u8] = b"age-encryption.org/v1/ssh-rsa";
const HASH_BYTES: usize = 32;
const LEAST_BITS: u32 = 2048;
const MOST_BYTES: usize = 512;
/// Each of the five numbers of a private key is kept with this size.
const PART_BYTES: usize = 256;

/// A modulus of 2048 to 4096 bits and its exponent.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    modulus: Vec<u8>,
    exponent: u32,
}

impl PublicKey {
    /// From big-endian numbers without leading zeros.
    pub(super) fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, &'static str> {
        let [first, .., last] = modulus else { return Err("its modulus is too short") };
        let bits = 8 * modulus.len() - first.leading_zeros() as usize;
        if *first == 0 || bits < LEAST_BITS as usize || modulus.len() > MOST_BYTES {
            return Err("only RSA keys of 2048 to 4096 bits are supported");
        }
        if last % 2 == 0 {
            return Err("its modulus is even");
        }
        if exponent.len() > 4 {
            return Err("its exponent is larger than 32 bits");
        }
        let exponent = exponent.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        if exponent < 3 || exponent % 2 == 0 {
            return Err("its exponent is not an odd number from 3");
        }
        Ok(Self { modulus: modulus.to_vec(), exponent })
    }

    /// The stanza's body.
    pub(super) fn wrap(&self, file_key: &SecretBytes) -> Result<Vec<u8>, Error> {
        let seed = random_secret(HASH_BYTES)?;
        let message = SecretBytes::build(self.modulus.len(), |message| {
            scrubbed(|| pad(&file_key.expose(), &seed.expose(), message));
            Ok::<_, Error>(message.len())
        })?;
        let mut body = vec![0u8; self.modulus.len()];
        scrubbed(|| {
            let message: U4096 = load(&message.expose()).expect("of the size of the modulus");
            store(&self.power(&message), &mut body);
        });
        Ok(body)
    }

    /// `base` to the power of the exponent. Takes the same time for every base.
    fn power(&self, base: &U4096) -> U4096 {
        let params = FixedMontyParams::new_vartime(self.number());
        FixedMontyForm::new(base, &params).pow_vartime(&Uint::<1>::from(self.exponent)).retrieve()
    }

    fn number(&self) -> Odd<U4096> {
        let modulus = load(&self.modulus).expect("the length was checked");
        Option::from(Odd::new(modulus)).expect("it was checked to be odd")
    }
}

/// The primes of a key and what else the Chinese remainder theorem takes.
pub(super) struct PrivateKey {
    public: PublicKey,
    /// p, q, d mod (p - 1), d mod (q - 1), 1/q mod p; of [`PART_BYTES`] each.
    parts: SecretBytes,
}

impl PrivateKey {
    /// From big-endian numbers: both primes, the private exponent and 1/q mod p. `None` if they are
    /// not those of one key, or of sizes that no RSA key has.
    pub(super) fn new(
        public: &PublicKey,
        [p, q]: [&[u8]; 2],
        exponent: &[u8],
        inverse: &[u8],
    ) -> Result<Option<Self>, Error> {
        let mut fits = false;
        let parts = SecretBytes::build(5 * PART_BYTES, |parts| {
            fits = scrubbed(|| fill_parts(public, [p, q], exponent, inverse, parts)).is_some();
            Ok::<_, Error>(parts.len())
        })?;
        Ok(fits.then(|| Self { public: public.clone(), parts }))
    }

    /// Unwraps the file key; `None` if the body is another key's or was changed.
    pub(super) fn unwrap(&self, body: &[u8]) -> Result<Option<SecretBytes>, Error> {
        if body.len() != self.public.modulus.len() {
            let reason = "the body of an SSH recipient is not of the size of its RSA key";
            return Err(Error::Header { line: 0, reason });
        }
        let mut opened = false;
        let mut message = SecretBytes::build(body.len(), |message| {
            opened = scrubbed(|| match self.decrypt(body) {
                Some(number) => {
                    store(&number, message);
                    true
                }
                None => false,
            });
            Ok::<_, Error>(message.len())
        })?;
        if !opened || !scrubbed(|| unpad(&mut message.expose_mut())) {
            return Ok(None);
        }
        let message = message.expose();
        let file_key = &message[message.len() - FILE_KEY_BYTES..];
        Ok(Some(SecretBytes::copy_from(file_key)?))
    }

    /// `None` if the body is not below the modulus. The result was checked with the public key, so
    /// a fault in the computation gives nothing away.
    fn decrypt(&self, body: &[u8]) -> Option<U4096> {
        let cipher: U4096 = load(body)?;
        if cipher >= *self.public.number() {
            return None;
        }
        let (high, low) = body.split_at(body.len() - PART_BYTES);
        let halves: (U2048, U2048) = (load(low)?, load(high)?);
        let parts = self.parts.expose();
        let mut parts = parts.chunks_exact(PART_BYTES).map(load::<{ U2048::LIMBS }>);
        let mut next = || parts.next().flatten();
        let (p, q) = (next()?, next()?);
        let (p_exponent, q_exponent, inverse) = (next()?, next()?, next()?);
        let by_p = FixedMontyParams::new(Option::from(Odd::new(p))?);
        let by_q = FixedMontyParams::new(Option::from(Odd::new(q))?);
        let reduced = |modulus: &FixedMontyParams<{ U2048::LIMBS }>| {
            let rest = U2048::rem_wide(halves, modulus.modulus().as_nz_ref());
            FixedMontyForm::new(&rest, modulus)
        };
        let of_p = reduced(&by_p).pow(&p_exponent);
        let of_q = reduced(&by_q).pow(&q_exponent).retrieve();
        let of_q_by_p = FixedMontyForm::new(&of_q.rem(by_p.modulus().as_nz_ref()), &by_p);
        let factor = of_p.sub(&of_q_by_p).mul(&FixedMontyForm::new(&inverse, &by_p)).retrieve();
        let product: U4096 = factor.concatenating_mul(&q);
        let message = product.wrapping_add(&of_q.resize());
        (self.public.power(&message) == cipher).then_some(message)
    }
}

/// Checks that the numbers belong together as far as a wrong result could come of it, and keeps
/// them.
fn fill_parts(
    public: &PublicKey,
    [p, q]: [&[u8]; 2],
    exponent: &[u8],
    inverse: &[u8],
    parts: &mut [u8],
) -> Option<()> {
    let (p, q): (U2048, U2048) = (load(p)?, load(q)?);
    let exponent: U4096 = load(exponent)?;
    let inverse: U2048 = load(inverse)?;
    let product: U4096 = p.concatenating_mul(&q);
    if product != *public.number() {
        return None;
    }
    let below = |prime: &U2048| -> Option<U2048> {
        let below = prime.wrapping_sub(&U2048::ONE);
        Some(exponent.rem(&Option::<NonZero<U2048>>::from(NonZero::new(below))?))
    };
    let numbers = [p, q, below(&p)?, below(&q)?, inverse];
    for (number, part) in numbers.iter().zip(parts.chunks_exact_mut(PART_BYTES)) {
        store(number, part);
    }
    Some(())
}

/// EME-OAEP encoding; `message` comes zeroed.
fn pad(file_key: &[u8], seed: &[u8], message: &mut [u8]) {
    let (masked_seed, block) = message[1..].split_at_mut(HASH_BYTES);
    block[..HASH_BYTES].copy_from_slice(&Sha256::digest(LABEL));
    let (padding, text) = block.split_at_mut(block.len() - FILE_KEY_BYTES);
    padding[padding.len() - 1] = 1;
    text.copy_from_slice(file_key);
    masked_seed.copy_from_slice(seed);
    mask(block, masked_seed);
    mask(masked_seed, block);
}

/// EME-OAEP decoding in place; the file key is then at the end. As its length is known, so is the
/// place of everything, and nothing is searched for.
fn unpad(message: &mut [u8]) -> bool {
    let (first, rest) = message.split_at_mut(1);
    let (seed, block) = rest.split_at_mut(HASH_BYTES);
    mask(seed, block);
    mask(block, seed);
    let label = Sha256::digest(LABEL);
    let (hash, rest) = block.split_at(HASH_BYTES);
    let (zeros, end) = rest.split_at(rest.len() - FILE_KEY_BYTES - 1);
    let differing = hash.iter().zip(label).map(|(byte, want)| byte ^ want);
    let wrong = differing.chain(zeros.iter().copied()).chain([first[0], end[0] ^ 1]);
    std::hint::black_box(wrong.fold(0, |sum, byte| std::hint::black_box(sum | byte))) == 0
}

/// XORs the mask that MGF1 makes of `seed` (RFC 8017 §B.2.1) over `target`.
fn mask(target: &mut [u8], seed: &[u8]) {
    for (chunk, counter) in target.chunks_mut(HASH_BYTES).zip(0u32..) {
        let hash = Sha256::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize();
        for (byte, other) in chunk.iter_mut().zip(hash) {
            *byte ^= other;
        }
    }
}

/// A big-endian number; `None` if it is larger than the type.
fn load<const LIMBS: usize>(bytes: &[u8]) -> Option<Uint<LIMBS>> {
    let size = LIMBS * Limb::BYTES;
    let mut padded = Zeroizing::new([0u8; MOST_BYTES]);
    padded[MOST_BYTES - size..][size.checked_sub(bytes.len())?..size].copy_from_slice(bytes);
    Some(Uint::from_be_slice(&padded[MOST_BYTES - size..]))
}

/// The lower bytes of a number, big endian.
fn store<const LIMBS: usize>(number: &Uint<LIMBS>, bytes: &mut [u8]) {
    let encoded = Zeroizing::new(number.to_be_bytes());
    let encoded: &[u8] = encoded.as_ref();
    bytes.copy_from_slice(&encoded[encoded.len() - bytes.len()..]);
}

#[cfg(test)]
mod tests {
    use super::{pad, unpad};

    #[test]
    fn padding_comes_off_and_every_flipped_bit_is_noticed() {
        let mut message = [0u8; 256];
        pad(&[7; 16], &[0xa5; 32], &mut message);
        for at in 0..8 * message.len() {
            let mut changed = message;
            changed[at / 8] ^= 1 << (at % 8);
            let is_right = unpad(&mut changed);
            // The file key is not covered: a bit of it, and it alone, can change unnoticed.
            assert!(!is_right || at / 8 >= message.len() - 16, "bit {at}");
        }
        assert!(unpad(&mut message));
        assert_eq!(message[240..], [7; 16]);
    }
}
