//! Any public key that a caller can name, told apart by how it is written.

use super::{AllowedSigners, EvidenceError, ManagedKey, MinisignKey, SshKey};
use crate::{Signer, SignerRule};

/// What a caller trusts to sign: the content of `--key FILE`, or of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Key {
    /// PEM or DER.
    Managed(ManagedKey),
    /// minisign or signify.
    Minisign(MinisignKey),
    /// One SSH key, or a file of allowed signers.
    Ssh(AllowedSigners),
}

impl Key {
    /// Everyone whose signatures this makes good, as reports and policies name them.
    pub fn signers(&self) -> Vec<Signer> {
        match self {
            Self::Managed(key) => vec![key.signer()],
            Self::Minisign(key) => vec![key.signer()],
            Self::Ssh(signers) => signers.keys().map(SshKey::signer).collect(),
        }
    }

    /// The same as rules for a policy: whoever holds one of these keys is accepted.
    pub fn rules(&self) -> Vec<SignerRule> {
        self.ids().into_iter().map(|id| SignerRule::Key { id }).collect()
    }

    /// The ids of its keys.
    pub fn ids(&self) -> Vec<String> {
        match self {
            Self::Managed(key) => vec![key.id().to_owned()],
            Self::Minisign(key) => vec![key.id()],
            Self::Ssh(signers) => signers.keys().map(SshKey::fingerprint).collect(),
        }
    }

    /// Reads a key of any kind: PEM, DER, `minisign.pub`, `signify.pub`, the base64 line of
    /// minisign, `id_ed25519.pub`, `allowed_signers`.
    ///
    /// # Errors
    /// [`EvidenceError`] when it is none of them, or of a kind that is not accepted.
    ///
    /// # Examples
    /// ```
    /// use dsops_release_verify::evidence::Key;
    /// let key = Key::parse(b"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n")?;
    /// assert!(matches!(key, Key::Minisign(_)));
    /// # Ok::<(), dsops_release_verify::evidence::EvidenceError>(())
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        if bytes.len() > AllowedSigners::LIMIT_BYTES {
            let limit_bytes = AllowedSigners::LIMIT_BYTES;
            return Err(EvidenceError::TooLarge { what: "a public key", limit_bytes });
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) if bytes.first() != Some(&0x30) => text,
            _ => return ManagedKey::parse(bytes).map(Self::Managed),
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
        let has_kind = |line: &str| {
            line.split_ascii_whitespace().any(|word| {
                ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"]
                    .iter()
                    .any(|kind| word.starts_with(kind))
            })
        };
        if text.contains("-----BEGIN ") {
            ManagedKey::parse(text.as_bytes()).map(Self::Managed)
        } else if let Ok(key) = MinisignKey::parse(text) {
            Ok(Self::Minisign(key))
        } else if let Ok(key) = SshKey::parse(text)
            && text.lines().count() == 1
        {
            Ok(Self::Ssh(AllowedSigners::of_key(key)))
        } else if text.lines().any(has_kind) {
            AllowedSigners::parse(text).map(Self::Ssh)
        } else {
            Err(EvidenceError::malformed("a public key", "it is of no kind that is read here"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart() {
        let ssh =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBm/RAlphM3+hUG6wWfcO5bIUIaqMLa2ywxcOK1wMWbh";
        let minisign = "untrusted comment: minisign public key E7620F1842B4E81F\n\
                        RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n";
        let pem = "-----BEGIN PUBLIC KEY-----\n\
                   MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                   -----END PUBLIC KEY-----\n";
        let kind = |text: &str| match Key::parse(text.as_bytes()) {
            Ok(Key::Managed(_)) => "managed",
            Ok(Key::Minisign(_)) => "minisign",
            Ok(Key::Ssh(_)) => "ssh",
            Err(_) => "error",
        };
        assert_eq!(kind(pem), "managed");
        assert_eq!(kind(&format!("\u{feff}{pem}")), "managed");
        assert_eq!(kind(minisign), "minisign");
        assert_eq!(kind(ssh), "ssh");
        assert_eq!(kind(&format!("# team\na@example.org {ssh}\n")), "ssh");
        assert_eq!(kind(&format!("{ssh}\n{ssh}")), "error", "principals are missing");
        for bad in ["", "hello", "-----BEGIN SSH SIGNATURE-----", "RWQf6LRC"] {
            assert_eq!(kind(bad), "error", "{bad}");
        }
    }
}
