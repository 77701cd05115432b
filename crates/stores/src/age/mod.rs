//! The age file format (`age-encryption.org/v1`) with X25519 recipients.
//!
//! Identities and plaintexts stay in protected memory: an identity is parsed from protected bytes
//! to protected bytes, a payload is decrypted straight into its slot, and the stack is wiped after
//! every operation on keys. What cannot be in protected memory is said at its place: the working
//! memory of scrypt ([`WorkFactor`]).
//!
//! Supported: X25519 recipients, SSH keys (`ssh-ed25519`, `ssh-rsa` from 2048 to 4096 bits) as
//! recipients and identities, passphrases (scrypt), the header MAC, the chunked payload, ASCII
//! armor. Not supported: plugins, the hybrid post-quantum and the tagged recipients. A file for
//! several recipients can be read if one of them is an identity that is given.
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
mod file_key;
mod header;
mod identity;
mod identity_file;
mod passphrase;
mod payload;
mod recipient;
mod scrypt;
mod ssh;
mod x25519;

pub use identity::Identity;
pub use identity_file::{IdentityFile, LockedIdentity};
pub use passphrase::WorkFactor;
pub use recipient::Recipient;

use std::borrow::Borrow;

use dsops_secure_mem::SecretBytes;
use hkdf::Hkdf;
use sha2::Sha256;

use crate::scrub::scrubbed;
use file_key::FILE_KEY_BYTES;
use header::{Header, Stanza};

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
    /// A passphrase cannot be used.
    #[error("the passphrase cannot be used: {reason}")]
    Passphrase {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The passphrase does not open what it was given for.
    #[error("the passphrase does not open it")]
    WrongPassphrase,
    /// The file is not one that a passphrase opens.
    #[error("the age file is for recipients, not for a passphrase (recipient kinds in it: {})", kinds.join(", "))]
    NotForPassphrase {
        /// The kinds of recipients the file has, each once.
        kinds: Vec<String>,
    },
    /// Something that an identity of this kind cannot do.
    #[error("{what} is not supported")]
    Unsupported {
        /// What it is.
        what: &'static str,
    },
    /// The memory that a passphrase's work factor asks for cannot be had.
    #[error("there is not enough memory for the work factor of the passphrase")]
    WorkMemory,
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
    seal(plaintext, |file_key| recipients.iter().map(|to| to.wrap(file_key)).collect())
}

/// Encrypts `plaintext` for every recipient, as an armored age file.
///
/// # Errors
/// As [`encrypt`].
pub fn encrypt_armored(plaintext: &[u8], recipients: &[Recipient]) -> Result<String, Error> {
    Ok(armor::encode(&encrypt(plaintext, recipients)?))
}

/// Encrypts `plaintext` with a passphrase, as a binary age file.
///
/// # Errors
/// [`Error::Passphrase`] when it is empty, [`Error::WorkMemory`], [`Error::Random`],
/// [`Error::Memory`].
///
/// # Security
/// As [`encrypt`]. A file is as strong as its passphrase: whoever has the file can try any number
/// of them, each at the cost of `work`.
pub fn encrypt_with_passphrase(
    plaintext: &[u8],
    passphrase: &SecretBytes,
    work: WorkFactor,
) -> Result<Vec<u8>, Error> {
    seal(plaintext, |file_key| Ok(vec![passphrase::wrap(passphrase, work, file_key)?]))
}

/// Encrypts `plaintext` with a passphrase, as an armored age file.
///
/// # Errors
/// As [`encrypt_with_passphrase`].
pub fn encrypt_armored_with_passphrase(
    plaintext: &[u8],
    passphrase: &SecretBytes,
    work: WorkFactor,
) -> Result<String, Error> {
    Ok(armor::encode(&encrypt_with_passphrase(plaintext, passphrase, work)?))
}

/// Decrypts a binary age file with the first identity that is one of its recipients.
///
/// # Errors
/// [`Error::Header`], [`Error::HeaderMac`], [`Error::NoMatch`], [`Error::Payload`],
/// [`Error::Memory`]. Nothing of the plaintext is handed out unless all of it is authentic.
pub fn decrypt(file: &[u8], identities: &[impl Borrow<Identity>]) -> Result<SecretBytes, Error> {
    decrypt_claimed(file, None, identities)
}

/// As [`decrypt_armored`], for a file that says elsewhere whose it is. Where that is true, the
/// identity's own public key need not be computed; where it is not, the result is the same.
///
/// # Errors
/// As [`decrypt_armored`].
pub fn decrypt_armored_for(
    armored: &[u8],
    claimed: &str,
    identities: &[impl Borrow<Identity>],
) -> Result<SecretBytes, Error> {
    decrypt_claimed(&armor::decode(armored)?, claimed.parse().ok().as_ref(), identities)
}

fn decrypt_claimed(
    file: &[u8],
    claimed: Option<&Recipient>,
    identities: &[impl Borrow<Identity>],
) -> Result<SecretBytes, Error> {
    open(file, |stanzas| {
        for identity in identities {
            if let Some(file_key) = identity.borrow().unwrap(stanzas, claimed)? {
                return Ok(file_key);
            }
        }
        Err(Error::NoMatch { identities: identities.len(), kinds: kinds(stanzas) })
    })
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

/// Decrypts a binary age file with the passphrase it was encrypted with.
///
/// # Errors
/// [`Error::WrongPassphrase`], [`Error::NotForPassphrase`], [`Error::WorkMemory`], and those of
/// [`decrypt`] but [`Error::NoMatch`].
///
/// # Security
/// See [`WorkFactor`]: a file that somebody else wrote can ask for up to 4 GiB of memory.
pub fn decrypt_with_passphrase(
    file: &[u8],
    passphrase: &SecretBytes,
) -> Result<SecretBytes, Error> {
    open(file, |stanzas| match stanzas {
        [stanza] if passphrase::is_ours(stanza) => {
            passphrase::unwrap(passphrase, stanza)?.ok_or(Error::WrongPassphrase)
        }
        others => Err(Error::NotForPassphrase { kinds: kinds(others) }),
    })
}

/// Decrypts an armored age file with the passphrase it was encrypted with.
///
/// # Errors
/// [`Error::Armor`], and as [`decrypt_with_passphrase`].
pub fn decrypt_armored_with_passphrase(
    armored: &[u8],
    passphrase: &SecretBytes,
) -> Result<SecretBytes, Error> {
    decrypt_with_passphrase(&armor::decode(armored)?, passphrase)
}

/// Encrypts under a fresh file key that `wrap` makes stanzas of.
fn seal(
    plaintext: &[u8],
    wrap: impl FnOnce(&SecretBytes) -> Result<Vec<Stanza>, Error>,
) -> Result<Vec<u8>, Error> {
    let file_key = random_secret(FILE_KEY_BYTES)?;
    let mut file = header::write(&wrap(&file_key)?, &file_key)?;
    payload::encrypt(plaintext, &file_key, &mut file)?;
    Ok(file)
}

/// Decrypts with the file key that `unwrap` finds in the stanzas.
fn open(
    file: &[u8],
    unwrap: impl FnOnce(&[Stanza]) -> Result<SecretBytes, Error>,
) -> Result<SecretBytes, Error> {
    let header = Header::parse(file)?;
    if header.stanzas.len() > 1 && header.stanzas.iter().any(passphrase::is_ours) {
        let reason = "a passphrase is mixed with other recipients";
        return Err(Error::Header { line: 0, reason });
    }
    let file_key = unwrap(&header.stanzas)?;
    header.verify(file, &file_key)?;
    payload::decrypt(&file[header.payload_offset..], &file_key)
}

fn kinds(stanzas: &[Stanza]) -> Vec<String> {
    let mut kinds: Vec<String> = stanzas.iter().map(|stanza| stanza.args[0].clone()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
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
    use super::{
        Error, Identity, Recipient, decrypt, decrypt_armored, decrypt_armored_for, encrypt,
        encrypt_armored,
    };

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
    fn a_claimed_recipient_helps_if_it_is_right_and_harms_in_no_case() {
        let (owner, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let recipient = owner.recipient().to_string();
        let file = encrypt_armored(b"x", &[owner.recipient().clone()]).unwrap();
        let text = owner.to_text().unwrap();
        for claimed in [&*recipient, &other.recipient().to_string(), "ssh-ed25519 AAAA", ""] {
            let fresh = [Identity::parse(&text.expose()).unwrap()];
            let plaintext = decrypt_armored_for(file.as_bytes(), claimed, &fresh).unwrap();
            assert_eq!(&*plaintext.expose(), b"x");
            assert!(decrypt_armored_for(file.as_bytes(), claimed, &[&other]).is_err());
        }
    }

    #[test]
    fn no_recipients_is_an_error() {
        assert!(matches!(encrypt(b"x", &[]), Err(Error::NoRecipients)));
    }
}
