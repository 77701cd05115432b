//! Signatures made with SSH keys (`ssh-keygen -Y sign`, OpenSSH's PROTOCOL.sshsig).

mod allowed;
mod key;
mod wire;

pub use allowed::AllowedSigners;
pub use key::SshKey;

use super::{EvidenceError, encoding};
use crate::{Algorithm, Digest};
use wire::Reader;

const FORMAT: &str = "an SSH signature";
const MAGIC: &[u8] = b"SSHSIG";

/// An SSH signature that was read, but not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshSignature {
    key: SshKey,
    namespace: String,
    reserved: Vec<u8>,
    hash: Algorithm,
    signature: Vec<u8>,
}

impl SshSignature {
    /// How large a signature file may be.
    pub const LIMIT_BYTES: usize = 64 * 1024;

    /// The first line of the file.
    pub(crate) const ARMOR: &str = "-----BEGIN SSH SIGNATURE-----";

    /// Reads the file that `ssh-keygen -Y sign` writes.
    ///
    /// # Errors
    /// [`EvidenceError`] when it is something else, or a signature by a certificate, over SHA-1, or
    /// of an algorithm that is not accepted.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let malformed = |problem| EvidenceError::malformed(FORMAT, problem);
        if bytes.len() > Self::LIMIT_BYTES {
            return Err(EvidenceError::TooLarge {
                what: "the SSH signature",
                limit_bytes: Self::LIMIT_BYTES,
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("its text is not UTF-8"))?;
        let blocks = encoding::pem(text)?;
        let [block] = blocks.as_slice() else {
            return Err(malformed("there is not exactly one block"));
        };
        if block.label != "SSH SIGNATURE" {
            return Err(malformed("the block is of another kind"));
        }
        Self::from_blob(&block.bytes)
    }

    fn from_blob(blob: &[u8]) -> Result<Self, EvidenceError> {
        let short = || EvidenceError::malformed(FORMAT, "it ends too early, or too late");
        let malformed = |problem| EvidenceError::malformed(FORMAT, problem);
        let rest = blob.strip_prefix(MAGIC).ok_or_else(|| malformed("it begins otherwise"))?;
        let mut reader = Reader::new(rest);
        if reader.number().ok_or_else(short)? != 1 {
            return Err(EvidenceError::unsupported("an SSH signature of another version"));
        }
        let key = SshKey::from_blob(reader.string().ok_or_else(short)?)?;
        let namespace = reader.string().ok_or_else(short)?;
        let reserved = reader.string().ok_or_else(short)?.to_vec();
        let hash = reader.string().ok_or_else(short)?;
        let signature = reader.string().ok_or_else(short)?.to_vec();
        reader.end().ok_or_else(short)?;
        let namespace = std::str::from_utf8(namespace)
            .ok()
            .filter(|namespace| !namespace.is_empty())
            .ok_or_else(|| malformed("its namespace is empty or no text"))?
            .to_owned();
        let hash = match hash {
            b"sha256" => Algorithm::Sha256,
            b"sha512" => Algorithm::Sha512,
            _ => return Err(EvidenceError::unsupported("an SSH signature over another hash")),
        };
        Ok(Self { key, namespace, reserved, hash, signature })
    }

    /// The key it says it was made with.
    pub fn key(&self) -> &SshKey {
        &self.key
    }

    /// What it was made for; `file` for files.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// By which hash of the content it was made.
    pub fn hash(&self) -> Algorithm {
        self.hash
    }

    /// Verifies that the key in the signature made it, in its namespace, over content with that
    /// digest. Whether that key and that namespace are wanted is for the caller to say.
    ///
    /// # Errors
    /// [`EvidenceError::BadSignature`], also when the digest is by another hash.
    pub fn verify(&self, content: &Digest) -> Result<(), EvidenceError> {
        if content.algorithm() != self.hash {
            return Err(EvidenceError::BadSignature);
        }
        let mut signed = MAGIC.to_vec();
        for part in [
            self.namespace.as_bytes(),
            &self.reserved,
            self.hash.name().as_bytes(),
            content.as_bytes(),
        ] {
            wire::push_string(&mut signed, part);
        }
        self.key.verify(&signed, &self.signature)
    }
}
