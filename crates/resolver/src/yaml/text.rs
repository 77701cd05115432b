//! The text of a scalar: it may be a secret, so it is hidden and wiped.

use std::fmt;
use std::ops::Deref;

use dsops_secure_mem::SecretBytes;
use zeroize::Zeroize;

/// Text from a document: reads as a `str`, is not shown by `Debug`, is wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Moves the text into protected memory and wipes it here.
    ///
    /// # Errors
    /// When no protected memory is to be had.
    pub fn into_secret(mut self) -> Result<SecretBytes, dsops_secure_mem::Error> {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        let secret = SecretBytes::adopt(&mut bytes);
        bytes.zeroize();
        secret
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_it() {
        assert_eq!(format!("{:?}", Text::from("hunter2")), "Text(7 bytes)");
    }

    #[test]
    fn it_becomes_a_secret() {
        let secret = Text::from("hunter2").into_secret().unwrap();
        assert_eq!(&*secret.expose(), b"hunter2");
    }
}
