//! Recipients: public keys that files are encrypted to.

use std::{fmt, str::FromStr};

use dsops_secure_mem::SecretBytes;

use super::{Error, header::Stanza, ssh, x25519};

/// A public key that files can be encrypted to. Not a secret.
///
/// As text: `age1…` (X25519), or as in the files of OpenSSH `ssh-ed25519 AAAA…` and
/// `ssh-rsa AAAA…`. A comment after an SSH key is accepted and left out when it is written.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Recipient(Kind);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Kind {
    X25519(x25519::Point),
    Ssh(ssh::PublicKey),
}

impl Recipient {
    pub(super) fn x25519(point: x25519::Point) -> Self {
        Self(Kind::X25519(point))
    }

    pub(super) fn ssh(key: ssh::PublicKey) -> Self {
        Self(Kind::Ssh(key))
    }

    /// Whether it is an SSH key.
    pub fn is_ssh(&self) -> bool {
        matches!(self.0, Kind::Ssh(_))
    }

    pub(super) fn point(&self) -> Option<x25519::Point> {
        match self.0 {
            Kind::X25519(point) => Some(point),
            Kind::Ssh(_) => None,
        }
    }

    /// Wraps the file key for this recipient.
    pub(super) fn wrap(&self, file_key: &SecretBytes) -> Result<Stanza, Error> {
        match &self.0 {
            Kind::X25519(point) => x25519::wrap(point, file_key),
            Kind::Ssh(key) => key.wrap(file_key),
        }
    }
}

impl FromStr for Recipient {
    type Err = Error;

    /// Parses `age1…`, `ssh-ed25519 AAAA…` or `ssh-rsa AAAA…`.
    ///
    /// # Errors
    /// [`Error::Recipient`]; the text is not repeated, it may be a secret key given by mistake.
    fn from_str(text: &str) -> Result<Self, Error> {
        let fail = |reason| Error::Recipient { reason };
        if text.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("AGE-SECRET-KEY-")) {
            return Err(fail("it is a secret key; recipients start with age1"));
        }
        if text.trim_start().starts_with("-----BEGIN ") {
            return Err(fail(
                "it is a private key file; the public key is in the `.pub` beside it",
            ));
        }
        if text.starts_with("ssh-") {
            return ssh::PublicKey::parse_line(text).map(Self::ssh).map_err(fail);
        }
        if !text.starts_with("age1") {
            return Err(fail("recipients start with age1, ssh-ed25519 or ssh-rsa"));
        }
        x25519::parse_recipient(text).map(Self::x25519).map_err(fail)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::X25519(point) => x25519::write_recipient(f, point),
            Kind::Ssh(key) => key.fmt(f),
        }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::Recipient;

    const TEXT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

    #[test]
    fn text_comes_back() {
        assert_eq!(TEXT.parse::<Recipient>().unwrap().to_string(), TEXT);
    }

    #[test]
    fn what_is_not_a_recipient_is_refused_without_repeating_it() {
        let mistyped = TEXT.replace('7', "8");
        for (text, reason) in [
            ("", "start with age1"),
            (&mistyped, "Bech32"),
            (&TEXT[..40], "Bech32"),
            ("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "plugins"),
            (
                "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
                "secret",
            ),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA", "private key"),
            ("ssh-ed25519 AAAA", "cut off"),
            ("ssh-dss AAAAB3NzaC1kc3M=", "only ssh-ed25519 and ssh-rsa"),
        ] {
            let error = text.parse::<Recipient>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
    }
}
