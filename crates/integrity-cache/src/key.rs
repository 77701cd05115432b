//! Cache keys: labelled parts in one unambiguous form, raw bytes, of any length.

use aws_lc_rs::digest::{SHA256, digest as hash};

/// Longer keys are stored as their digest.
const LIMIT_BYTES: usize = 4096;
/// Starts a digest; no part's label has this length.
const DIGEST: [u8; 4] = [0xff; 4];

/// What an entry is stored under: labelled parts, in order.
///
/// Two keys are equal only if they have the same parts with the same bytes in the same order:
/// nothing is trimmed, normalised, joined or read as text. The labels say what a part is, so that a
/// tool's version can never be taken for the version of its database.
///
/// ```
/// use dsops_integrity_cache::Key;
/// let a = Key::new().part("image", "sha256:ab").part("tool", "c");
/// let b = Key::new().part("image", "sha256:a").part("tool", "bc");
/// assert_ne!(a, b);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Key {
    parts: Vec<u8>,
}

impl Key {
    /// A key without parts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part.
    ///
    /// # Panics
    /// When the label or the value has 4 GiB or more.
    #[must_use]
    pub fn part(mut self, label: &str, value: impl AsRef<[u8]>) -> Self {
        let (label, value) = (label.as_bytes(), value.as_ref());
        self.parts.reserve(8 + label.len() + value.len());
        for bytes in [label, value] {
            let len = u32::try_from(bytes.len()).ok().filter(|len| *len < u32::MAX);
            let len = len.expect("a part of a cache key is smaller than 4 GiB");
            self.parts.extend_from_slice(&len.to_le_bytes());
            self.parts.extend_from_slice(bytes);
        }
        self
    }

    /// The form that is stored and authenticated: the parts, or their digest when they are long.
    pub(crate) fn canonical(&self) -> std::borrow::Cow<'_, [u8]> {
        if self.parts.len() <= LIMIT_BYTES {
            return (&self.parts).into();
        }
        let mut digest = DIGEST.to_vec();
        digest.extend_from_slice(hash(&SHA256, &self.parts).as_ref());
        digest.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_become_digests_that_no_short_key_equals() {
        let long = Key::new().part("x", vec![7; 10 << 20]);
        assert_eq!(long.canonical().len(), 36);
        assert_eq!(long.canonical()[..4], DIGEST);
        let other = Key::new().part("x", vec![8; 10 << 20]);
        assert_ne!(long.canonical(), other.canonical());
        assert_eq!(Key::new().part("a", "b").canonical(), &b"\x01\0\0\0a\x01\0\0\0b"[..]);
    }
}
