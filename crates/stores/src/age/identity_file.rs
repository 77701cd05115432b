//! The files identities are kept in: age key files, the same under a passphrase, SSH keys.

use std::fmt;

use dsops_secure_mem::SecretBytes;

use super::{Error, Identity, Recipient, armor, header, header::Header, passphrase, ssh};

/// What a file of identities holds.
#[derive(Debug, Default)]
pub struct IdentityFile {
    /// In the order of the file.
    pub identities: Vec<Identity>,
    /// What a passphrase opens.
    pub locked: Vec<LockedIdentity>,
    /// Line and kind of each key that cannot be used, such as a plugin's.
    pub unsupported: Vec<(usize, &'static str)>,
}

impl IdentityFile {
    /// Parses one of:
    /// - a key file of age: one identity per line (or several, separated by white space), empty
    ///   lines, and comments that start with `#`;
    /// - such a file encrypted with a passphrase, binary or armored (`age -p`);
    /// - an SSH private key, `ssh-ed25519` or `ssh-rsa`, in the format of OpenSSH or, for RSA, of
    ///   PKCS #1 (`BEGIN RSA PRIVATE KEY`), with a passphrase or without.
    ///
    /// # Errors
    /// [`Error::Identity`] with the line of the first thing that is none of these;
    /// [`Error::Armor`] and [`Error::Header`] for a damaged encrypted file; [`Error::Memory`].
    ///
    /// # Security
    /// `text` is read where it lies (keep it in protected memory) and keys are only ever copied
    /// into protected memory.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let start = text.trim_ascii_start();
        if start.starts_with(armor::BEGIN) {
            return Ok(Self::of_locked(Locked::AgeFile(age_file(armor::decode(text)?)?)));
        }
        if start.starts_with(header::VERSION_START) {
            return Ok(Self::of_locked(Locked::AgeFile(age_file(text.to_vec())?)));
        }
        if start.starts_with(b"-----BEGIN ") {
            return match ssh::parse_private_key(text)? {
                ssh::KeyFile::Open(key) => {
                    Ok(Self { identities: vec![Identity::ssh(key)], ..Self::default() })
                }
                ssh::KeyFile::Locked(key) => {
                    let recipient = Recipient::ssh(key.public().clone());
                    Ok(Self::of_locked(Locked::Ssh(key, recipient)))
                }
                ssh::KeyFile::Unsupported(kind) => {
                    Ok(Self { unsupported: vec![(1, kind)], ..Self::default() })
                }
            };
        }
        Self::parse_lines(text)
    }

    fn of_locked(locked: Locked) -> Self {
        Self { locked: vec![LockedIdentity(locked)], ..Self::default() }
    }

    fn parse_lines(text: &[u8]) -> Result<Self, Error> {
        let mut file = Self::default();
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if line.trim_ascii_start().starts_with(b"#") {
                continue;
            }
            for word in line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
                match unsupported_kind(word) {
                    Some(kind) => file.unsupported.push((index + 1, kind)),
                    None => file.identities.push(Identity::parse_at(word, index + 1)?),
                }
            }
        }
        Ok(file)
    }
}

/// An identity that takes a passphrase to use: an encrypted identity file, or an encrypted SSH key.
pub struct LockedIdentity(Locked);

enum Locked {
    /// Binary; ciphertext.
    AgeFile(Vec<u8>),
    Ssh(ssh::LockedKey, Recipient),
}

impl LockedIdentity {
    /// Whose it is, where that stands outside of what is encrypted, as it does in SSH keys.
    pub fn recipient(&self) -> Option<&Recipient> {
        match &self.0 {
            Locked::AgeFile(_) => None,
            Locked::Ssh(_, recipient) => Some(recipient),
        }
    }

    /// Opens it. It takes up to some seconds, which is the point of a passphrase's protection.
    ///
    /// # Errors
    /// [`Error::WrongPassphrase`]; what [`IdentityFile::parse`] has against what was inside;
    /// [`Error::Memory`].
    ///
    /// # Security
    /// What is opened is only ever in protected memory. See [`WorkFactor`](super::WorkFactor) for
    /// the working memory.
    pub fn unlock(&self, passphrase: &SecretBytes) -> Result<IdentityFile, Error> {
        match &self.0 {
            Locked::AgeFile(file) => {
                let text = super::decrypt_with_passphrase(file, passphrase)?;
                IdentityFile::parse_lines(&text.expose())
            }
            Locked::Ssh(key, _) => Ok(IdentityFile {
                identities: vec![Identity::ssh(key.unlock(passphrase)?)],
                ..IdentityFile::default()
            }),
        }
    }
}

impl fmt::Debug for LockedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Locked::AgeFile(_) => f.write_str("LockedIdentity(an age file)"),
            Locked::Ssh(_, recipient) => write!(f, "LockedIdentity(of {recipient})"),
        }
    }
}

/// An age file is an identity file only if a passphrase opens it.
fn age_file(file: Vec<u8>) -> Result<Vec<u8>, Error> {
    if Header::parse(&file)?.stanzas.iter().any(passphrase::is_ours) {
        return Ok(file);
    }
    let reason = "it is an age file, but for recipients, not for a passphrase";
    Err(Error::Identity { line: 1, reason })
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

#[cfg(test)]
mod tests {
    use super::{Error, Identity, IdentityFile, SecretBytes};
    use crate::age::{WorkFactor, encrypt_armored};

    const TEXT: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    const RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

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

    #[test]
    fn a_protected_file_opens_with_its_passphrase_alone() {
        let identity = Identity::generate().unwrap();
        let passphrase = SecretBytes::copy_from(b"correct horse").unwrap();
        let text = identity.to_protected_text(&passphrase, WorkFactor::new(1).unwrap()).unwrap();
        let file = IdentityFile::parse(text.as_bytes()).unwrap();
        assert!(file.identities.is_empty());
        let [locked] = file.locked.as_slice() else { panic!("one is locked") };
        assert!(locked.recipient().is_none());
        let wrong = SecretBytes::copy_from(b"correct mouse").unwrap();
        assert!(matches!(locked.unlock(&wrong), Err(Error::WrongPassphrase)));
        let open = locked.unlock(&passphrase).unwrap();
        assert_eq!(open.identities[0].recipient(), identity.recipient());
    }

    #[test]
    fn a_file_for_a_recipient_is_no_identity_file() {
        let identity = Identity::generate().unwrap();
        let text = encrypt_armored(b"x", &[identity.recipient().clone()]).unwrap();
        let error = IdentityFile::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("not for a passphrase"), "{error}");
    }
}
