//! Files of private keys: PEM, plain or under a passphrase.

use base64ct::{Base64, Encoding as _};
use dsops_secure_mem::{SecretBytes, Writer};

use super::{KeyError, SigningKey, cosign, pbes2};

/// How large a file of a private key may be.
pub const KEY_FILE_LIMIT_BYTES: usize = 64 * 1024;

const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";

/// A private key as it lies in a file, perhaps under a passphrase.
///
/// Read are PKCS#8 (`PRIVATE KEY`), `EC PRIVATE KEY`, PKCS#8 under a passphrase by PBES2
/// (`ENCRYPTED PRIVATE KEY`), and cosign's own files (`ENCRYPTED SIGSTORE PRIVATE KEY`).
///
/// # Examples
/// ```
/// use dsops_attest::{Algorithm, KeyFile, SigningKey};
/// use dsops_secure_mem::SecretBytes;
///
/// let key = SigningKey::generate(Algorithm::Ed25519)?;
/// let passphrase = SecretBytes::copy_from(b"correct horse")?;
/// let text = key.to_encrypted_pem(&passphrase)?;
///
/// let file = KeyFile::read(&SecretBytes::copy_from(text.as_bytes())?)?;
/// assert!(file.is_encrypted());
/// let same = file.open(Some(&passphrase))?;
/// assert_eq!(same.public_der(), key.public_der());
/// # Ok::<(), dsops_attest::KeyError>(())
/// ```
pub struct KeyFile {
    form: Form,
    content: SecretBytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    Pbes2,
    Cosign,
}

impl KeyFile {
    /// Reads a file. What it holds stays in protected memory.
    ///
    /// # Errors
    /// [`KeyError::Malformed`], [`KeyError::Kind`], [`KeyError::Memory`].
    pub fn read(text: &SecretBytes) -> Result<Self, KeyError> {
        if text.len() > KEY_FILE_LIMIT_BYTES {
            return Err(KeyError::Malformed { problem: "is too large for a private key" });
        }
        let open = text.try_expose()?;
        let mut rest = &open[..];
        loop {
            let (label, body, after) = block(rest)?;
            let form = match label {
                // `openssl ecparam -genkey` writes the name of the curve first.
                b"EC PARAMETERS" => {
                    rest = after;
                    continue;
                }
                b"PRIVATE KEY" | b"EC PRIVATE KEY" => Form::Plain,
                b"ENCRYPTED PRIVATE KEY" => Form::Pbes2,
                b"ENCRYPTED SIGSTORE PRIVATE KEY" | b"ENCRYPTED COSIGN PRIVATE KEY" => Form::Cosign,
                b"PUBLIC KEY" => return Err(malformed("is a public key; the private one signs")),
                _ => return Err(KeyError::Kind),
            };
            if body.contains(&b':') {
                // `Proc-Type: 4,ENCRYPTED`, before PKCS#8.
                return Err(KeyError::Unsupported { what: "headers within the PEM block" });
            }
            return Ok(Self { form, content: decode(body)? });
        }
    }

    /// Whether a passphrase is needed.
    pub fn is_encrypted(&self) -> bool {
        self.form != Form::Plain
    }

    /// The key.
    ///
    /// # Errors
    /// [`KeyError::PassphraseNeeded`], [`KeyError::WrongPassphrase`], [`KeyError::Unsupported`], and
    /// [`KeyError::Kind`] when it is of another kind.
    pub fn open(self, passphrase: Option<&SecretBytes>) -> Result<SigningKey, KeyError> {
        let opened = match (self.form, passphrase) {
            (Form::Plain, _) => return SigningKey::from_der(self.content),
            (_, None) => return Err(KeyError::PassphraseNeeded),
            (Form::Pbes2, Some(passphrase)) => pbes2::open(&self.content.try_expose()?, passphrase),
            (Form::Cosign, Some(passphrase)) => {
                cosign::open(&self.content.try_expose()?, passphrase)
            }
        }?;
        SigningKey::from_der(opened)
    }
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFile").field("form", &self.form).finish_non_exhaustive()
    }
}

fn malformed(problem: &'static str) -> KeyError {
    KeyError::Malformed { problem }
}

/// A PEM block: its label, its body, and what comes after it.
type Block<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// The first PEM block.
fn block(text: &[u8]) -> Result<Block<'_>, KeyError> {
    let none = || malformed("is no PEM file");
    let start = find(text, BEGIN).ok_or_else(none)? + BEGIN.len();
    let text = &text[start..];
    let label = &text[..find(text, DASHES).ok_or_else(none)?];
    let text = &text[label.len() + DASHES.len()..];
    let end = find(text, b"-----END ").ok_or_else(none)?;
    let (body, end) = text.split_at(end);
    let end = end.strip_prefix(b"-----END ").and_then(|end| end.strip_prefix(label));
    let after = end.and_then(|end| end.strip_prefix(DASHES));
    Ok((
        label,
        body,
        after.ok_or_else(|| malformed("is a PEM file that ends otherwise than it begins"))?,
    ))
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Base64 with line breaks, decoded where it then lies.
fn decode(body: &[u8]) -> Result<SecretBytes, KeyError> {
    let significant = || body.iter().filter(|byte| !byte.is_ascii_whitespace());
    let length = significant().count();
    SecretBytes::build(length, |into| {
        for (to, from) in into.iter_mut().zip(significant()) {
            *to = *from;
        }
        let bytes = Base64::decode_in_place(into).map_err(|_| malformed("is not base64 in PEM"))?;
        Ok(bytes.len())
    })
}

/// The PEM file of a private key in DER.
pub(super) fn to_pem(private: &SecretBytes) -> Result<SecretBytes, KeyError> {
    let der = private.try_expose()?;
    // `ECPrivateKey` has version 1, PKCS#8 version 0 or a sequence right behind it.
    let is_sec1 = find(&der[..der.len().min(8)], &[2, 1, 1, 4]).is_some();
    let label = if is_sec1 { "EC PRIVATE KEY" } else { "PRIVATE KEY" };
    let mut out = Writer::with_limit(KEY_FILE_LIMIT_BYTES);
    out.push(format!("-----BEGIN {label}-----\n").as_bytes())?;
    // 48 bytes are a line of 64 columns.
    for line in der.chunks(48) {
        let mut text = zeroize::Zeroizing::new([0; 64]);
        let line = Base64::encode(line, text.as_mut_slice()).expect("48 bytes are 64 characters");
        out.push(line.as_bytes())?;
        out.push(b"\n")?;
    }
    out.push(format!("-----END {label}-----\n").as_bytes())?;
    Ok(out.finish()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Algorithm;
    use super::*;

    fn read(text: &str) -> Result<KeyFile, KeyError> {
        KeyFile::read(&SecretBytes::copy_from(text.as_bytes()).unwrap())
    }

    #[test]
    fn a_plain_file_is_read_back() {
        for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
            let key = SigningKey::generate(algorithm).unwrap();
            let text = key.to_plain_pem().unwrap();
            let file = KeyFile::read(&text).unwrap();
            assert!(!file.is_encrypted());
            let same = file.open(None).unwrap();
            assert_eq!((same.algorithm(), same.public_der()), (algorithm, key.public_der()));
        }
    }

    #[test]
    fn what_is_no_private_key() {
        let public = SigningKey::generate(Algorithm::Ed25519).unwrap().public_pem();
        for (text, wanted) in [
            ("", "is no PEM file"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n", "is no PEM file"),
            ("-----BEGIN PRIVATE KEY-----\nAA\u{e9}A\n-----END PRIVATE KEY-----", "is not base64"),
            ("-----BEGIN PRIVATE KEY-----\n\n-----END EC KEY-----", "ends otherwise"),
            (&public, "is a public key"),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\n\n-----END OPENSSH PRIVATE KEY-----",
                "no private key on",
            ),
            (
                "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n-----END EC PRIVATE KEY-----",
                "headers",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
        let empty = read("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----").unwrap();
        assert!(matches!(empty.open(None), Err(KeyError::Kind)));
        assert!(read(&"-".repeat(KEY_FILE_LIMIT_BYTES + 1)).is_err());
    }

    proptest! {
        #[test]
        fn whatever_it_is_it_does_not_panic(
            label in "(ENCRYPTED |EC |SIGSTORE |PRIVATE |KEY){0,4}",
            body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let text = crate::encoding::pem(label.trim(), &body);
            if let Ok(file) = read(&text) {
                let _ = file.open(None);
            }
        }
    }
}
