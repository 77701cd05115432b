//! Identities: secret keys that files are decrypted with.

use std::{fmt, sync::OnceLock};

use dsops_secure_mem::{SecretBytes, Writer};

use super::{
    Error, Recipient, WorkFactor, encrypt_armored_with_passphrase, header::Stanza, random_secret,
    ssh, x25519,
};

/// A secret key, in protected memory: an X25519 identity of age, or an SSH key.
pub struct Identity {
    secret: Secret,
    /// Computed when it is asked for: it costs a curve operation.
    recipient: OnceLock<Recipient>,
}

enum Secret {
    X25519(SecretBytes),
    Ssh(ssh::PrivateKey),
}

impl Identity {
    /// Makes a fresh X25519 identity from the kernel's random bytes.
    ///
    /// # Errors
    /// [`Error::Random`], [`Error::Memory`].
    pub fn generate() -> Result<Self, Error> {
        Ok(Self::x25519(random_secret(x25519::KEY_BYTES)?))
    }

    /// Parses one `AGE-SECRET-KEY-1…`, white space around it ignored. SSH keys are files:
    /// [`IdentityFile::parse`](super::IdentityFile::parse) reads them.
    ///
    /// # Errors
    /// [`Error::Identity`], which repeats nothing of the text; [`Error::Memory`].
    ///
    /// # Security
    /// `text` is read where it lies (keep it in protected memory) and only ever copied into
    /// protected memory.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        Self::parse_at(text.trim_ascii(), 1)
    }

    /// The public key that belongs to this identity.
    pub fn recipient(&self) -> &Recipient {
        self.recipient.get_or_init(|| match &self.secret {
            Secret::X25519(secret) => Recipient::x25519(x25519::public_key(secret)),
            Secret::Ssh(key) => Recipient::ssh(key.public().clone()),
        })
    }

    /// The identity as text `AGE-SECRET-KEY-1…`, in protected memory.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an SSH key, [`Error::Memory`].
    pub fn to_text(&self) -> Result<SecretBytes, Error> {
        match &self.secret {
            Secret::X25519(secret) => x25519::secret_text(secret),
            Secret::Ssh(_) => Err(Error::Unsupported { what: "writing an SSH key out" }),
        }
    }

    /// The identity as an identity file that a passphrase protects: an armored age file, as
    /// `age-keygen | age -p -a` makes it.
    ///
    /// # Errors
    /// [`Error::Passphrase`] when it is empty, and those of [`Identity::to_text`].
    pub fn to_protected_text(
        &self,
        passphrase: &SecretBytes,
        work: WorkFactor,
    ) -> Result<String, Error> {
        let mut text = Writer::new();
        text.push(format!("# public key: {}\n", self.recipient()).as_bytes())?;
        text.push(&self.to_text()?.expose())?;
        text.push(b"\n")?;
        encrypt_armored_with_passphrase(&text.finish()?.expose(), passphrase, work)
    }

    /// Finds a stanza for this identity and unwraps the file key; `None` if there is none.
    /// `claimed` is whose the file is said to be; nothing is trusted for it.
    pub(super) fn unwrap(
        &self,
        stanzas: &[Stanza],
        claimed: Option<&Recipient>,
    ) -> Result<Option<SecretBytes>, Error> {
        match &self.secret {
            Secret::X25519(secret) => {
                let own = || self.recipient().point().expect("X25519 keys have X25519 points");
                // What was computed before is better than what is claimed.
                let claimed = claimed.filter(|_| self.recipient.get().is_none());
                x25519::unwrap(secret, own, claimed.and_then(Recipient::point), stanzas)
            }
            Secret::Ssh(key) => key.unwrap(stanzas),
        }
    }

    pub(super) fn parse_at(text: &[u8], line: usize) -> Result<Self, Error> {
        let secret = x25519::parse_secret(text, |reason| Error::Identity { line, reason })?;
        Ok(Self::x25519(secret))
    }

    pub(super) fn ssh(key: ssh::PrivateKey) -> Self {
        Self { secret: Secret::Ssh(key), recipient: OnceLock::new() }
    }

    fn x25519(secret: SecretBytes) -> Self {
        Self { secret: Secret::X25519(secret), recipient: OnceLock::new() }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(of {})", self.recipient())
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, Secret};

    // The example of the specification: 32 bytes of 0x42.
    const TEXT: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    const RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

    #[test]
    fn the_example_of_the_specification() {
        let identity = Identity::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(identity.recipient().to_string(), RECIPIENT);
        assert!(matches!(&identity.secret, Secret::X25519(key) if *key.expose() == [0x42; 32]));
        assert_eq!(&*identity.to_text().unwrap().expose(), TEXT.as_bytes());
        assert_eq!(format!("{identity:?}"), format!("Identity(of {RECIPIENT})"));
    }

    #[test]
    fn a_fresh_identity_survives_its_text() {
        let identity = Identity::generate().unwrap();
        let again = Identity::parse(&identity.to_text().unwrap().expose()).unwrap();
        assert_eq!(again.recipient(), identity.recipient());
    }
}
