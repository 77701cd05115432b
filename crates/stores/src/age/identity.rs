//! X25519 identities: secret keys that files are decrypted with, and the files they are kept in.

use std::fmt;

use base64ct::{Base64Unpadded, Encoding};
use bech32::{
    Bech32, Hrp,
    primitives::{
        decode::CheckedHrpstring,
        iter::{ByteIterExt, Fe32IterExt},
    },
};
use chacha20poly1305::{
    Tag,
    aead::{AeadInOut, inout::InOutBuf},
};
use dsops_secure_mem::SecretBytes;

use super::{
    Error, FILE_KEY_BYTES, derive_key,
    header::Stanza,
    random_secret,
    recipient::{
        KEY_BYTES, Recipient, STANZA_INFO, STANZA_KIND, TAG_BYTES, WRAP_NONCE, read_key,
        shared_secret, wrap_cipher,
    },
};
use crate::scrub::scrubbed;

const HRP: Hrp = Hrp::parse_unchecked("age-secret-key-");
const PREFIX: &[u8] = b"AGE-SECRET-KEY-1";
/// Prefix, 52 characters for 32 bytes, 6 of checksum.
const TEXT_BYTES: usize = 74;

/// A secret key, in protected memory.
pub struct Identity {
    secret: SecretBytes,
    recipient: Recipient,
}

impl Identity {
    /// Makes a fresh identity from the kernel's random bytes.
    ///
    /// # Errors
    /// [`Error::Random`], [`Error::Memory`].
    pub fn generate() -> Result<Self, Error> {
        Ok(Self::from_secret(random_secret(KEY_BYTES)?))
    }

    /// Parses one `AGE-SECRET-KEY-1…`, white space around it ignored.
    ///
    /// # Errors
    /// [`Error::Identity`], which repeats nothing of the text; [`Error::Memory`].
    ///
    /// # Security
    /// `text` is read where it lies (keep it in protected memory) and only ever copied into
    /// protected memory.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        parse_at(text.trim_ascii(), 1)
    }

    /// The public key that belongs to this identity.
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// The identity as text `AGE-SECRET-KEY-1…`, in protected memory.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn to_text(&self) -> Result<SecretBytes, Error> {
        SecretBytes::build(TEXT_BYTES, |text| {
            scrubbed(|| {
                let secret = self.secret.expose();
                let characters =
                    secret.iter().copied().bytes_to_fes().with_checksum::<Bech32>(&HRP).chars();
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

    /// Finds a stanza for this identity and unwraps the file key; `None` if there is none.
    pub(super) fn unwrap(&self, stanzas: &[Stanza]) -> Result<Option<SecretBytes>, Error> {
        for stanza in stanzas.iter().filter(|stanza| stanza.args[0] == STANZA_KIND) {
            let (share, sealed, tag) = stanza_parts(stanza)?;
            let shared = shared_secret(&self.secret, &share)?.ok_or(Error::Header {
                line: 0,
                reason: "the share of an X25519 recipient is a point of low order",
            })?;
            let key = derive_key(&shared.expose(), &self.recipient.salt(&share), STANZA_INFO)?;
            let mut opened = false;
            let file_key = SecretBytes::build(FILE_KEY_BYTES, |plain| {
                scrubbed(|| {
                    let buffer = InOutBuf::new(sealed, plain).expect("both have 16 bytes");
                    opened = wrap_cipher(&key)
                        .decrypt_inout_detached(&WRAP_NONCE.into(), &[], buffer, &tag)
                        .is_ok();
                });
                Ok::<_, Error>(FILE_KEY_BYTES)
            })?;
            if opened {
                return Ok(Some(file_key));
            }
        }
        Ok(None)
    }

    fn from_secret(secret: SecretBytes) -> Self {
        let recipient = Recipient::of_secret(&secret);
        Self { secret, recipient }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(of {})", self.recipient)
    }
}

/// The identities of a key file, and the lines that hold keys of kinds not supported here.
#[derive(Debug)]
pub struct IdentityFile {
    /// In the order of the file.
    pub identities: Vec<Identity>,
    /// Line and kind of each key that cannot be used, such as a plugin's.
    pub unsupported: Vec<(usize, &'static str)>,
}

impl IdentityFile {
    /// Parses a key file: one identity per line (or several, separated by white space), empty
    /// lines, and comments that start with `#`.
    ///
    /// # Errors
    /// [`Error::Identity`] with the line of the first thing that is none of these;
    /// [`Error::Memory`].
    ///
    /// # Security
    /// As [`Identity::parse`].
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let mut file = Self { identities: Vec::new(), unsupported: Vec::new() };
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if line.trim_ascii_start().starts_with(b"#") {
                continue;
            }
            for word in line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
                match unsupported_kind(word) {
                    Some(kind) => file.unsupported.push((index + 1, kind)),
                    None => file.identities.push(parse_at(word, index + 1)?),
                }
            }
        }
        Ok(file)
    }
}

fn unsupported_kind(word: &[u8]) -> Option<&'static str> {
    if word.starts_with(b"AGE-SECRET-KEY-PQ-1") {
        Some("a post-quantum identity")
    } else if word.starts_with(b"AGE-PLUGIN-") {
        Some("an identity of a plugin")
    } else {
        None
    }
}

fn parse_at(text: &[u8], line: usize) -> Result<Identity, Error> {
    let fail = |reason| Error::Identity { line, reason };
    if !text.starts_with(PREFIX) {
        return Err(fail("it is not an identity, which starts with AGE-SECRET-KEY-1"));
    }
    let text = std::str::from_utf8(text).map_err(|_| fail("it is not text"))?;
    let secret = SecretBytes::build(KEY_BYTES, |secret| {
        scrubbed(|| {
            let parsed = CheckedHrpstring::new::<Bech32>(text)
                .map_err(|_| fail("it is not valid Bech32; it may be cut off or mistyped"))?;
            read_key(&parsed, secret).map_err(fail)
        })?;
        Ok::<_, Error>(KEY_BYTES)
    })?;
    Ok(Identity::from_secret(secret))
}

/// The ephemeral share, the wrapped file key and its tag; the lengths are checked before any
/// decryption is tried, as the format demands.
fn stanza_parts(stanza: &Stanza) -> Result<([u8; KEY_BYTES], &[u8], Tag), Error> {
    let fail = |reason| Error::Header { line: 0, reason };
    let [_, encoded] = stanza.args.as_slice() else {
        return Err(fail("an X25519 recipient does not have exactly one share"));
    };
    let mut share = [0u8; KEY_BYTES];
    match Base64Unpadded::decode(encoded.as_bytes(), &mut share) {
        Ok(decoded) if decoded.len() == KEY_BYTES => {}
        _ => return Err(fail("an X25519 share is not 32 bytes of canonical base64")),
    }
    if stanza.body.len() != FILE_KEY_BYTES + TAG_BYTES {
        return Err(fail("an X25519 recipient's body is not 32 bytes"));
    }
    let (sealed, tag) = stanza.body.split_at(FILE_KEY_BYTES);
    Ok((share, sealed, Tag::try_from(tag).expect("the length was checked")))
}

#[cfg(test)]
mod tests {
    use super::{Error, Identity, IdentityFile};

    // The example of the specification: 32 bytes of 0x42.
    const TEXT: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    const RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

    #[test]
    fn the_example_of_the_specification() {
        let identity = Identity::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(identity.recipient().to_string(), RECIPIENT);
        assert_eq!(&*identity.secret.expose(), &[0x42; 32]);
        assert_eq!(&*identity.to_text().unwrap().expose(), TEXT.as_bytes());
        assert_eq!(format!("{identity:?}"), format!("Identity(of {RECIPIENT})"));
    }

    #[test]
    fn a_fresh_identity_survives_its_text() {
        let identity = Identity::generate().unwrap();
        let again = Identity::parse(&identity.to_text().unwrap().expose()).unwrap();
        assert_eq!(again.recipient(), identity.recipient());
    }

    #[test]
    fn key_files_have_comments_several_keys_and_kinds_we_do_not_know() {
        let other = Identity::generate().unwrap().to_text().unwrap();
        let mut text = format!("# created: today\n# public key: {RECIPIENT}\r\n{TEXT}\r\n\n  ");
        text.push_str(std::str::from_utf8(&other.expose()).unwrap());
        text.push_str("\nAGE-PLUGIN-YUBIKEY-1QQPQQQ\nAGE-SECRET-KEY-PQ-1QQQ");
        let file = IdentityFile::parse(text.as_bytes()).unwrap();
        assert_eq!(file.identities.len(), 2);
        assert_eq!(
            file.unsupported,
            [(6, "an identity of a plugin"), (7, "a post-quantum identity")]
        );
    }

    #[test]
    fn what_is_not_an_identity_is_refused_with_its_line_and_without_repeating_it() {
        for bad in
            ["hunter2", &TEXT[..60], &TEXT.replace('Z', "Y"), RECIPIENT, &TEXT.to_lowercase()]
        {
            let error = IdentityFile::parse(format!("#\n\n{bad}\n").as_bytes()).unwrap_err();
            assert!(matches!(error, Error::Identity { line: 3, .. }), "{error}");
            assert!(!format!("{error} {error:?}").contains(bad), "{error}");
        }
    }
}
