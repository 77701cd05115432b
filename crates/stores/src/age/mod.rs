//! The age file format (`age-encryption.org/v1`) with X25519 recipients.
//!
//! Identities and plaintexts stay in protected memory: an identity is parsed from protected bytes
//! to protected bytes, a payload is decrypted straight into its slot, and the stack is wiped after
//! every operation on keys.
//!
//! Supported: X25519 recipients, the header MAC, the chunked payload, ASCII armor. Not supported:
//! passphrases (scrypt), SSH keys, plugins, the hybrid post-quantum and the tagged recipients. A
//! file for several recipients can be read if one of them is an X25519 identity that is given.
//!
//! ```
//! use dsops_stores::age::{self, Identity};
//!
//! let identity = Identity::generate()?;
//! let file = age::encrypt(b"attack at dawn", &[identity.recipient().clone()])?;
//! let plaintext = age::decrypt(&file, &[identity])?;
//! assert_eq!(&*plaintext.expose(), b"attack at dawn");
//! # Ok::<(), age::Error>(())
//! ```
//!
//! Source: <https://c2sp.org/age>.

mod armor;
mod header;
mod identity;
mod payload;
mod recipient;

pub use identity::{Identity, IdentityFile};
pub use recipient::Recipient;

use std::borrow::Borrow;

use dsops_secure_mem::SecretBytes;
use hkdf::Hkdf;
use sha2::Sha256;

use crate::scrub::scrubbed;
use header::Header;

const FILE_KEY_BYTES: usize = 16;
const DERIVED_KEY_BYTES: usize = 32;

/// Why an age file, key or recipient was refused. Never shows a byte of any of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The armor is not the strict PEM that age files are wrapped in.
    #[error("age armor, line {line}: {reason}")]
    Armor {
        /// Line in the text, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The header is malformed, of another version, or has a malformed stanza of ours.
    #[error("age header, line {line}: {reason}")]
    Header {
        /// Line of the header, from 1; 0 if no single line is to blame.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The header was changed after the file was written.
    #[error("age header: the MAC does not match, the header was changed")]
    HeaderMac,
    /// None of the identities is a recipient of the file.
    #[error("none of the {identities} given age identities is a recipient of the file (recipient kinds in it: {})", kinds.join(", "))]
    NoMatch {
        /// How many identities were tried.
        identities: usize,
        /// The kinds of recipients the file has, each once.
        kinds: Vec<String>,
    },
    /// The payload was changed or cut off.
    #[error("age payload: {reason}")]
    Payload {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An identity does not parse.
    #[error("age identity, line {line}: {reason}")]
    Identity {
        /// Line in the identity file, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A recipient does not parse.
    #[error("age recipient: {reason}")]
    Recipient {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file needs at least one recipient.
    #[error("an age file needs at least one recipient")]
    NoRecipients,
    /// The kernel gave no random bytes.
    #[error("the system gave no random bytes")]
    Random(#[source] getrandom::Error),
    /// Protected memory ran out.
    #[error("the secret could not be kept in protected memory")]
    Memory(#[from] dsops_secure_mem::Error),
}

/// Encrypts `plaintext` for every recipient, as a binary age file.
///
/// # Errors
/// [`Error::NoRecipients`], [`Error::Random`], [`Error::Memory`].
///
/// # Security
/// `plaintext` is read where it lies; no copy of it is made. Each call uses a fresh file key.
pub fn encrypt(plaintext: &[u8], recipients: &[Recipient]) -> Result<Vec<u8>, Error> {
    if recipients.is_empty() {
        return Err(Error::NoRecipients);
    }
    let file_key = random_secret(FILE_KEY_BYTES)?;
    let stanzas =
        recipients.iter().map(|to| to.wrap(&file_key)).collect::<Result<Vec<_>, Error>>()?;
    let mut file = header::write(&stanzas, &file_key)?;
    payload::encrypt(plaintext, &file_key, &mut file)?;
    Ok(file)
}

/// Encrypts `plaintext` for every recipient, as an armored age file.
///
/// # Errors
/// As [`encrypt`].
pub fn encrypt_armored(plaintext: &[u8], recipients: &[Recipient]) -> Result<String, Error> {
    Ok(armor::encode(&encrypt(plaintext, recipients)?))
}

/// Decrypts a binary age file with the first identity that is one of its recipients.
///
/// # Errors
/// [`Error::Header`], [`Error::HeaderMac`], [`Error::NoMatch`], [`Error::Payload`],
/// [`Error::Memory`]. Nothing of the plaintext is handed out unless all of it is authentic.
pub fn decrypt(file: &[u8], identities: &[impl Borrow<Identity>]) -> Result<SecretBytes, Error> {
    let header = Header::parse(file)?;
    if header.stanzas.len() > 1 && header.stanzas.iter().any(|stanza| stanza.args[0] == "scrypt") {
        let reason = "a passphrase is mixed with other recipients";
        return Err(Error::Header { line: 0, reason });
    }
    let file_key = unwrap_file_key(&header, identities)?;
    header.verify(file, &file_key)?;
    payload::decrypt(&file[header.payload_offset..], &file_key)
}

/// Decrypts an armored age file with the first identity that is one of its recipients.
///
/// # Errors
/// [`Error::Armor`], and as [`decrypt`].
pub fn decrypt_armored(
    armored: &[u8],
    identities: &[impl Borrow<Identity>],
) -> Result<SecretBytes, Error> {
    decrypt(&armor::decode(armored)?, identities)
}

fn unwrap_file_key(
    header: &Header,
    identities: &[impl Borrow<Identity>],
) -> Result<SecretBytes, Error> {
    for identity in identities {
        if let Some(file_key) = identity.borrow().unwrap(&header.stanzas)? {
            return Ok(file_key);
        }
    }
    let mut kinds: Vec<String> =
        header.stanzas.iter().map(|stanza| stanza.args[0].clone()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    Err(Error::NoMatch { identities: identities.len(), kinds })
}

/// HKDF-SHA-256 with a 32-byte output, straight into protected memory.
fn derive_key(secret: &[u8], salt: &[u8], info: &[u8]) -> Result<SecretBytes, Error> {
    SecretBytes::build(DERIVED_KEY_BYTES, |key| {
        scrubbed(|| {
            Hkdf::<Sha256>::new(Some(salt), secret)
                .expand(info, key)
                .expect("32 bytes are within what HKDF can give");
        });
        Ok(DERIVED_KEY_BYTES)
    })
}

fn random_secret(len: usize) -> Result<SecretBytes, Error> {
    SecretBytes::build(len, |bytes| random(bytes).map(|()| len))
}

fn random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(Error::Random)
}

#[cfg(test)]
mod tests {
    use super::{Error, Identity, Recipient, decrypt, decrypt_armored, encrypt, encrypt_armored};

    #[test]
    fn each_of_several_recipients_can_read() {
        let identities: Vec<Identity> = (0..5).map(|_| Identity::generate().unwrap()).collect();
        let recipients: Vec<Recipient> =
            identities.iter().map(|identity| identity.recipient().clone()).collect();
        let file = encrypt_armored(b"for five", &recipients).unwrap();
        for identity in identities {
            let plaintext = decrypt_armored(file.as_bytes(), &[identity]).unwrap();
            assert_eq!(&*plaintext.expose(), b"for five");
        }
    }

    #[test]
    fn a_stranger_is_told_what_the_file_has() {
        let owner = Identity::generate().unwrap();
        let file = encrypt(b"x", &[owner.recipient().clone()]).unwrap();
        let error = decrypt(&file, &[Identity::generate().unwrap()]).unwrap_err();
        assert!(matches!(&error, Error::NoMatch { identities: 1, kinds } if kinds == &["X25519"]));
    }

    #[test]
    fn every_flipped_bit_of_a_file_is_refused() {
        let identities = [Identity::generate().unwrap()];
        let file = encrypt(b"short", &[identities[0].recipient().clone()]).unwrap();
        for byte in 0..file.len() {
            for bit in 0..8 {
                let mut changed = file.clone();
                changed[byte] ^= 1 << bit;
                assert!(decrypt(&changed, &identities).is_err(), "byte {byte} bit {bit}");
            }
        }
    }

    #[test]
    fn no_recipients_is_an_error() {
        assert!(matches!(encrypt(b"x", &[]), Err(Error::NoRecipients)));
    }
}
