//! SSH keys as recipients and identities, as `age` uses them: `ssh-ed25519` and `ssh-rsa`.

mod bcrypt;
mod ed25519;
mod key_file;
mod rsa;
mod wire;

pub(super) use key_file::{KeyFile, LockedKey, parse as parse_private_key};

use std::fmt;

use base64ct::{Base64, Encoding};
use dsops_secure_mem::SecretBytes;
use sha2::{Digest, Sha256};

use super::{
    Error,
    header::{Stanza, base64},
};

/// An RSA key of 4096 bits has some 550 bytes.
const PUBLIC_KEY_LIMIT_BYTES: usize = 1024;
const TOO_LONG: &str = "it is longer than an RSA key of 4096 bits";
const TAG_BYTES: usize = 4;

/// A public key in the format of OpenSSH.
#[derive(Clone)]
pub struct PublicKey {
    /// The key as SSH writes it on the wire: name of the kind and numbers.
    wire: Vec<u8>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Ed25519(ed25519::PublicKey),
    Rsa(rsa::PublicKey),
}

impl PublicKey {
    /// Reads `ssh-ed25519 AAAA… comment`, as a line of `authorized_keys` without options.
    pub(super) fn parse_line(line: &str) -> Result<Self, &'static str> {
        let mut words = line.split_ascii_whitespace();
        let (Some(kind), Some(encoded)) = (words.next(), words.next()) else {
            return Err("it is not an SSH public key, which is `ssh-ed25519 AAAA…`");
        };
        if ![ed25519::KIND, rsa::KIND].contains(&kind) {
            return Err("of SSH keys, only ssh-ed25519 and ssh-rsa are supported");
        }
        let mut bytes = [0u8; PUBLIC_KEY_LIMIT_BYTES];
        if encoded.len() / 4 * 3 > bytes.len() {
            return Err(TOO_LONG);
        }
        let wire = Base64::decode(encoded, &mut bytes)
            .map_err(|_| "it is not valid base64; it may be cut off or mistyped")?;
        let key = Self::parse(wire)?;
        if key.name() == kind { Ok(key) } else { Err("it says one kind and is another") }
    }

    /// Reads a key as it is on the wire.
    fn parse(wire: &[u8]) -> Result<Self, &'static str> {
        if wire.len() > PUBLIC_KEY_LIMIT_BYTES {
            return Err(TOO_LONG);
        }
        let mut reader = wire::Reader::new(wire);
        let cut_off = "it is cut off";
        let kind = match reader.string().ok_or(cut_off)? {
            name if name == ed25519::KIND.as_bytes() => {
                Kind::Ed25519(ed25519::PublicKey::new(reader.string().ok_or(cut_off)?)?)
            }
            name if name == rsa::KIND.as_bytes() => {
                let exponent = reader.number().ok_or(cut_off)?;
                let modulus = reader.number().ok_or(cut_off)?;
                Kind::Rsa(rsa::PublicKey::new(modulus, exponent)?)
            }
            _ => return Err("of SSH keys, only ssh-ed25519 and ssh-rsa are supported"),
        };
        if reader.is_empty() {
            Ok(Self { wire: wire.to_vec(), kind })
        } else {
            Err("something follows the key")
        }
    }

    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Ed25519(_) => ed25519::KIND,
            Kind::Rsa(_) => rsa::KIND,
        }
    }

    /// How stanzas name the key: the start of its hash.
    fn tag(&self) -> String {
        base64(&Sha256::digest(&self.wire)[..TAG_BYTES])
    }

    pub(super) fn wrap(&self, file_key: &SecretBytes) -> Result<Stanza, Error> {
        let (share, body) = match &self.kind {
            Kind::Ed25519(key) => {
                let (share, body) = key.wrap(&self.wire, file_key)?;
                (Some(base64(&share)), body)
            }
            Kind::Rsa(key) => (None, key.wrap(file_key)?),
        };
        let args = [self.name().to_owned(), self.tag()].into_iter().chain(share).collect();
        Ok(Stanza { args, body })
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.wire == other.wire
    }
}

impl Eq for PublicKey {}

impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.wire.hash(state);
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; PUBLIC_KEY_LIMIT_BYTES.div_ceil(3) * 4];
        let encoded = Base64::encode(&self.wire, &mut text).map_err(|_| fmt::Error)?;
        write!(f, "{} {encoded}", self.name())
    }
}

/// A private key, in protected memory.
pub(super) struct PrivateKey {
    public: PublicKey,
    secret: Secret,
}

/// More stanzas for one key are refused.
const MAX_TRIES: usize = 16;

enum Secret {
    Ed25519(ed25519::PrivateKey),
    Rsa(rsa::PrivateKey),
}

/// A file has one stanza for a key; a hostile one has many, each worth an operation with the key.
fn count(tries: &mut usize) -> Result<(), Error> {
    *tries += 1;
    if *tries <= MAX_TRIES {
        return Ok(());
    }
    Err(Error::Header { line: 0, reason: "there are too many stanzas for one SSH key" })
}

impl PrivateKey {
    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Finds a stanza for this key and unwraps the file key; `None` if there is none.
    pub(super) fn unwrap(&self, stanzas: &[Stanza]) -> Result<Option<SecretBytes>, Error> {
        let fail = |reason| Error::Header { line: 0, reason };
        let kind = self.public.name();
        let tag = self.public.tag();
        let mut tries = 0;
        for stanza in stanzas.iter().filter(|stanza| stanza.args[0] == kind) {
            let opened = match (&self.secret, stanza.args.as_slice()) {
                (Secret::Ed25519(key), [_, whose, share]) => {
                    let share = super::file_key::argument(
                        share,
                        "the share of an SSH recipient is not 32 bytes of canonical base64",
                    )?;
                    if *whose != tag {
                        continue;
                    }
                    count(&mut tries)?;
                    key.unwrap(&self.public.wire, &share, &stanza.body)?
                }
                (Secret::Rsa(key), [_, whose]) => {
                    if *whose != tag {
                        continue;
                    }
                    count(&mut tries)?;
                    key.unwrap(&stanza.body)?
                }
                _ => return Err(fail("an SSH recipient has too few or too many arguments")),
            };
            if opened.is_some() {
                return Ok(opened);
            }
        }
        Ok(None)
    }
}
