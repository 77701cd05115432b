//! Puts a secret together from its shares: Shamir's scheme over GF(256), as sops and Vault use it.
//!
//! A share has a byte for each byte of the secret, and one more at its end: its x coordinate. Each
//! byte of the secret is the value at 0 of the polynomial through the points of the shares.
//!
//! Time and memory accesses depend on the number, length and x coordinates of the shares, which
//! are public, never on their other bytes.

use dsops_secure_mem::SecretBytes;

/// How much longer than the secret a share is.
pub(super) const SHARE_OVERHEAD: usize = 1;

/// Combines shares of the same length; `None` if two have the same coordinate or one is at 0.
///
/// # Panics
/// When the shares are not all of the same length, or there is none.
pub(super) fn combine(
    shares: &[SecretBytes],
) -> Result<Option<SecretBytes>, dsops_secure_mem::Error> {
    let len = shares[0].len() - SHARE_OVERHEAD;
    assert!(shares.iter().all(|share| share.len() == len + SHARE_OVERHEAD), "shares of one secret");
    let coordinates: Vec<u8> = shares.iter().map(|share| share.expose()[len]).collect();
    let distinct = coordinates
        .iter()
        .enumerate()
        .all(|(index, x)| *x != 0 && !coordinates[..index].contains(x));
    if !distinct {
        return Ok(None);
    }
    let secret = SecretBytes::build(len, |secret| {
        secret.fill(0);
        for (index, share) in shares.iter().enumerate() {
            let weight = weight_at_zero(&coordinates, index);
            for (byte, share) in secret.iter_mut().zip(share.expose().iter()) {
                *byte ^= multiply(*share, weight);
            }
        }
        Ok::<_, dsops_secure_mem::Error>(len)
    })?;
    Ok(Some(secret))
}

/// The Lagrange polynomial of a point at 0: the product of `x / (x - own)` over all other points.
fn weight_at_zero(coordinates: &[u8], own: usize) -> u8 {
    let others = coordinates.iter().enumerate().filter(|(index, _)| *index != own);
    others.fold(1, |weight, (_, x)| multiply(weight, multiply(*x, invert(x ^ coordinates[own]))))
}

/// Multiplies in GF(2⁸) modulo x⁸ + x⁴ + x³ + x + 1, without a branch or a table.
fn multiply(a: u8, b: u8) -> u8 {
    (0..8).rev().fold(0u8, |product, bit| {
        let reduce = (product >> 7).wrapping_neg() & 0x1b;
        let add = ((b >> bit) & 1).wrapping_neg() & a;
        (product << 1) ^ reduce ^ add
    })
}

/// The inverse is the power of 254, as every element but 0 has the order 255.
fn invert(a: u8) -> u8 {
    let square = |x| multiply(x, x);
    // 254 = 2 + 4 + 8 + 16 + 32 + 64 + 128
    let mut power = square(a);
    let mut product = power;
    for _ in 0..6 {
        power = square(power);
        product = multiply(product, power);
    }
    product
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(bytes: &[u8]) -> SecretBytes {
        SecretBytes::copy_from(bytes).unwrap()
    }

    /// Shares of a secret: `coefficients` are those of all its polynomials, lowest first.
    fn split(bytes: &[u8], coefficients: &[Vec<u8>], coordinates: &[u8]) -> Vec<SecretBytes> {
        let value = |index: usize, x: u8| {
            let higher = coefficients.iter().rev();
            let sum = higher.fold(0, |sum, own| multiply(sum ^ own[index], x));
            sum ^ bytes[index]
        };
        let share = |x: &u8| {
            let mut share: Vec<u8> = (0..bytes.len()).map(|index| value(index, *x)).collect();
            share.push(*x);
            secret(&share)
        };
        coordinates.iter().map(share).collect()
    }

    #[test]
    fn the_field_is_that_of_aes() {
        // FIPS 197 §4.2 and §4.4.
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        assert_eq!(multiply(0x57, 0x13), 0xfe);
        assert_eq!(invert(0x53), 0xca);
        for a in 1..=255 {
            assert_eq!(multiply(a, invert(a)), 1, "{a}");
        }
    }

    #[test]
    fn shares_at_one_place_or_at_zero_are_refused() {
        for coordinates in [[1, 1], [0, 1]] {
            let shares: Vec<_> = coordinates.iter().map(|x| secret(&[9, 9, *x])).collect();
            assert!(combine(&shares).unwrap().is_none());
        }
    }

    proptest! {
        #[test]
        fn enough_shares_give_the_secret_and_fewer_do_not(
            bytes in proptest::collection::vec(any::<u8>(), 32),
            coefficients in proptest::collection::vec(proptest::collection::vec(1u8.., 32), 1..4),
            coordinates in proptest::collection::hash_set(1u8.., 4..7),
        ) {
            let coordinates: Vec<u8> = coordinates.into_iter().collect();
            let needed = coefficients.len() + 1;
            let shares = split(&bytes, &coefficients, &coordinates);
            let got = combine(&shares[..needed]).unwrap().unwrap();
            prop_assert_eq!(&*got.expose(), bytes.as_slice());
            let got = combine(&shares).unwrap().unwrap();
            prop_assert_eq!(&*got.expose(), bytes.as_slice());
            let wrong = combine(&shares[..needed - 1]).unwrap().unwrap();
            prop_assert_ne!(&*wrong.expose(), bytes.as_slice());
        }
    }
}
