//! minisign and signify: small Ed25519 signatures with a comment that is signed too.

use std::fmt;
use std::io::{self, Read};

use aws_lc_rs::signature::{ED25519, VerificationAlgorithm as _};
use minisign_verify as format;

use super::{EvidenceError, encoding};
use crate::Signer;

/// A minisign or signify public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinisignKey {
    /// For what minisign wrote; the format is the same as signify's, apart from the file around it.
    key: format::PublicKey,
    raw: [u8; 32],
    id: [u8; 8],
}

/// A minisign or signify signature that was read, but not verified.
#[derive(Clone)]
pub struct MinisignSignature {
    form: Form,
    id: [u8; 8],
}

#[derive(Clone)]
enum Form {
    Minisign { signature: Box<format::Signature>, prehashed: bool },
    Signify([u8; 64]),
}

/// What a good signature says besides.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MinisignClaim {
    /// The signed comment; signify has none. minisign itself writes the time and the file's name
    /// into it. Untrusted text only in so far as the signer chose it.
    pub trusted_comment: Option<String>,
}

const FORMAT: &str = "a minisign file";

impl MinisignKey {
    /// Reads a public key: the file (`minisign.pub`, `signify.pub`), or its one line of base64.
    ///
    /// # Errors
    /// [`EvidenceError`] when it is neither.
    ///
    /// # Examples
    /// ```
    /// use dsops_release_verify::evidence::MinisignKey;
    /// let key = MinisignKey::parse("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3")?;
    /// assert_eq!(key.id(), "E7620F1842B4E81F");
    /// # Ok::<(), dsops_release_verify::evidence::EvidenceError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, EvidenceError> {
        let malformed = |problem| EvidenceError::malformed("a minisign public key", problem);
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let encoded = match lines.as_slice() {
            [encoded] => encoded,
            [comment, encoded] if comment.starts_with("untrusted comment:") => encoded,
            _ => return Err(malformed("it is not a comment and a line of base64")),
        };
        let bytes = encoding::base64(encoded.as_bytes()).ok_or_else(|| malformed("no base64"))?;
        let key = format::PublicKey::from_base64(encoded)
            .map_err(|_| malformed("not an Ed25519 key in that format"))?;
        let (_, rest) = bytes.split_at_checked(2).ok_or_else(|| malformed("too short"))?;
        let (id, raw) = rest.split_first_chunk().ok_or_else(|| malformed("too short"))?;
        let raw = raw.try_into().map_err(|_| malformed("not 32 bytes of key"))?;
        Ok(Self { key, raw, id: *id })
    }

    /// The key's id as minisign shows it.
    pub fn id(&self) -> String {
        shown_id(self.id)
    }

    /// The holder of this key, as a report names it.
    pub fn signer(&self) -> Signer {
        Signer::Key { id: self.id(), algorithm: "minisign".to_owned() }
    }

    /// Verifies `signature` over what `content` reads. It is read in pieces, but whole into memory
    /// where the signature is not over a hash (signify, minisign before 0.10).
    ///
    /// # Errors
    /// The outer one is that of `content`. The inner one says why the signature is not accepted;
    /// [`EvidenceError::TooLarge`] when it cannot be verified in pieces and the content is large.
    pub fn verify(
        &self,
        mut content: impl Read,
        signature: &MinisignSignature,
    ) -> io::Result<Result<MinisignClaim, EvidenceError>> {
        const PIECE: usize = 256 * 1024;
        if self.id != signature.id {
            return Ok(Err(EvidenceError::OtherKey { found: Some(signature.key_id()) }));
        }
        let good = match &signature.form {
            Form::Minisign { signature, prehashed: true } => {
                let Ok(mut stream) = self.key.verify_stream(signature) else {
                    return Ok(Err(EvidenceError::BadSignature));
                };
                let mut piece = vec![0; PIECE];
                loop {
                    match content.read(&mut piece) {
                        Ok(0) => break,
                        Ok(count) => stream.update(&piece[..count]),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                stream.finalize().is_ok()
            }
            Form::Minisign { signature, prehashed: false } => match super::whole(content)? {
                Ok(bytes) => self.key.verify(&bytes, signature, true).is_ok(),
                Err(error) => return Ok(Err(error)),
            },
            Form::Signify(signature) => match super::whole(content)? {
                Ok(bytes) => ED25519.verify_sig(&self.raw, &bytes, signature).is_ok(),
                Err(error) => return Ok(Err(error)),
            },
        };
        if !good {
            return Ok(Err(EvidenceError::BadSignature));
        }
        Ok(Ok(MinisignClaim { trusted_comment: signature.comment() }))
    }
}

impl MinisignSignature {
    /// How large a signature file may be.
    pub const LIMIT_BYTES: usize = 16 * 1024;

    /// Reads a `.minisig` file of minisign, or a `.sig` file of signify.
    ///
    /// # Errors
    /// [`EvidenceError`] when it is neither.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let malformed = |problem| EvidenceError::malformed(FORMAT, problem);
        if bytes.len() > Self::LIMIT_BYTES {
            return Err(EvidenceError::TooLarge {
                what: "the minisign signature",
                limit_bytes: Self::LIMIT_BYTES,
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("its text is not UTF-8"))?;
        let lines: Vec<&str> = text.lines().collect();
        let [comment, encoded, rest @ ..] = lines.as_slice() else {
            return Err(malformed("it has too few lines"));
        };
        if !comment.starts_with("untrusted comment:") {
            return Err(malformed("it does not begin with an untrusted comment"));
        }
        let decoded = encoding::base64(encoded.as_bytes())
            .ok_or_else(|| malformed("line 2 is not base64"))?;
        let parts: Option<(&[u8; 2], &[u8])> = decoded.split_first_chunk();
        let (kind, after) = parts.ok_or_else(|| malformed("line 2 is too short"))?;
        let (id, raw) =
            after.split_first_chunk().ok_or_else(|| malformed("line 2 is too short"))?;
        let form = match (kind, rest) {
            // signify: two lines, and often an empty one.
            (b"Ed", []) => Form::Signify(raw.try_into().map_err(|_| malformed("not 64 bytes"))?),
            (b"Ed" | b"ED", [_, _]) => {
                let signature = format::Signature::decode(text)
                    .map_err(|_| malformed("it is not a signature and a signed comment"))?;
                Form::Minisign { signature: Box::new(signature), prehashed: kind == b"ED" }
            }
            (b"Ed" | b"ED", _) => return Err(malformed("it has lines too many or too few")),
            _ => return Err(EvidenceError::unsupported("a minisign signature of another kind")),
        };
        Ok(Self { form, id: *id })
    }

    /// The id of the key it says it was made with.
    pub fn key_id(&self) -> String {
        shown_id(self.id)
    }

    fn comment(&self) -> Option<String> {
        match &self.form {
            Form::Minisign { signature, .. } => Some(signature.trusted_comment().to_owned()),
            Form::Signify(_) => None,
        }
    }
}

impl fmt::Debug for MinisignSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MinisignSignature({})", self.key_id())
    }
}

fn shown_id(id: [u8; 8]) -> String {
    format!("{:016X}", u64::from_le_bytes(id))
}
