//! A signature in a file of its own, told apart by how it is written, and verified with a key.

use std::io::{self, Read};
use std::time::SystemTime;

use aws_lc_rs::digest::{Context, SHA256};

use super::{EvidenceError, Key, MinisignSignature, SshSignature, encoding};
use crate::{Algorithm, Artifact, Digest, Signer};

/// A detached signature of any kind that keys make.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Signature {
    /// minisign or signify.
    Minisign(MinisignSignature),
    /// `ssh-keygen -Y sign`.
    Ssh(SshSignature),
    /// The bare bytes, in base64 (as cosign writes them) or raw (as OpenSSL does).
    Bare(Vec<u8>),
}

/// What a good signature tells besides that it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signed {
    /// Who made it.
    pub signer: Signer,
    /// What its format says more: minisign's signed comment, the principals of an SSH key.
    pub remark: Option<String>,
}

impl Signature {
    /// How large such a file may be.
    pub const LIMIT_BYTES: usize = 64 * 1024;

    /// Reads a signature of any kind.
    ///
    /// # Errors
    /// [`EvidenceError`] when it is none, is not in order, or is one of `OpenPGP`, which is not read.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let malformed = |problem| EvidenceError::malformed("a signature", problem);
        if bytes.len() > Self::LIMIT_BYTES {
            let limit_bytes = Self::LIMIT_BYTES;
            return Err(EvidenceError::TooLarge { what: "the signature", limit_bytes });
        }
        let starts = |prefix: &str| bytes.trim_ascii_start().starts_with(prefix.as_bytes());
        if starts(SshSignature::ARMOR) {
            return SshSignature::parse(bytes).map(Self::Ssh);
        }
        if starts("untrusted comment:") {
            return MinisignSignature::parse(bytes).map(Self::Minisign);
        }
        if starts("-----BEGIN PGP") || matches!(bytes.first(), Some(0x88 | 0x89 | 0xc2)) {
            return Err(EvidenceError::unsupported("a signature by OpenPGP"));
        }
        if bytes.is_empty() {
            return Err(malformed("it is empty"));
        }
        let bare = encoding::base64(bytes).unwrap_or_else(|| bytes.to_vec());
        // The longest is RSA's with 8192 bits.
        if bare.len() > 1024 {
            return Err(malformed("it is too long"));
        }
        Ok(Self::Bare(bare))
    }

    /// The digests of an artifact that verifying this with one of `keys` will need.
    pub fn algorithms(&self, keys: &[Key]) -> Vec<Algorithm> {
        match self {
            Self::Ssh(signature) => vec![signature.hash()],
            Self::Minisign(_) => Vec::new(),
            // The hash is not written down; these two curves are used with their own by newer tools.
            Self::Bare(_) => keys
                .iter()
                .filter_map(|key| match key {
                    Key::Managed(key) => Some(match key.algorithm() {
                        "ecdsa-p384" => Algorithm::Sha384,
                        "ecdsa-p521" => Algorithm::Sha512,
                        _ => Algorithm::Sha256,
                    }),
                    _ => None,
                })
                .collect(),
        }
    }

    /// Verifies that one of `keys` made this over `artifact`, at `time` as far as keys say when they
    /// are valid. `content` opens the artifact again, for formats that need more than its digests;
    /// it fails with [`io::ErrorKind::Unsupported`] where only digests are at hand.
    ///
    /// # Errors
    /// The outer one is that of reading. The inner one says why no key accepts the signature.
    pub fn verify<R: Read>(
        &self,
        keys: &[Key],
        artifact: &Artifact,
        mut content: impl FnMut() -> io::Result<R>,
        time: SystemTime,
    ) -> io::Result<Result<Signed, EvidenceError>> {
        let mut refused = EvidenceError::OtherKey { found: self.key_id() };
        for key in keys {
            match self.verify_by(key, artifact, &mut content, time)? {
                Ok(signed) => return Ok(Ok(signed)),
                // Of several keys, the one that comes nearest tells most.
                Err(EvidenceError::OtherKey { .. }) => {}
                Err(error) => refused = error,
            }
        }
        Ok(Err(refused))
    }

    fn verify_by<R: Read>(
        &self,
        key: &Key,
        artifact: &Artifact,
        content: &mut impl FnMut() -> io::Result<R>,
        time: SystemTime,
    ) -> io::Result<Result<Signed, EvidenceError>> {
        Ok(match (self, key) {
            (Self::Minisign(signature), Key::Minisign(key)) => {
                let mut checked = Checked::new(content()?, artifact);
                match key.verify(&mut checked, signature)? {
                    Ok(claim) => {
                        checked.same()?;
                        Ok(Signed { signer: key.signer(), remark: claim.trusted_comment })
                    }
                    Err(error) => Err(error),
                }
            }
            (Self::Ssh(signature), Key::Ssh(signers)) => {
                let principals = match signers.principals(signature, None, time) {
                    Ok(principals) => principals,
                    Err(error) => return Ok(Err(error)),
                };
                let good = match artifact.digest(signature.hash()) {
                    Some(digest) => signature.verify(digest),
                    None => rehash(content()?, artifact)?
                        .iter()
                        .find(|digest| digest.algorithm() == signature.hash())
                        .map_or(Err(EvidenceError::BadSignature), |digest| {
                            signature.verify(digest)
                        }),
                };
                let remark = (principals != "*").then(|| principals.to_owned());
                good.map(|()| Signed { signer: signature.key().signer(), remark })
            }
            (Self::Bare(signature), Key::Managed(key)) if key.signs_content() => {
                let mut checked = Checked::new(content()?, artifact);
                match super::whole(&mut checked)? {
                    Ok(bytes) if key.verifies(&bytes, signature) => {
                        checked.same()?;
                        Ok(Signed { signer: key.signer(), remark: None })
                    }
                    Ok(_) => Err(EvidenceError::BadSignature),
                    Err(error) => Err(error),
                }
            }
            (Self::Bare(signature), Key::Managed(key)) => {
                let among = |digests: &[Digest]| {
                    digests.iter().any(|digest| key.verifies_digest(digest, signature))
                };
                let good = among(artifact.digests())
                    || match content().and_then(|source| rehash(source, artifact)) {
                        Ok(digests) => among(&digests),
                        Err(error) if error.kind() == io::ErrorKind::Unsupported => false,
                        Err(error) => return Err(error),
                    };
                if good {
                    Ok(Signed { signer: key.signer(), remark: None })
                } else {
                    Err(EvidenceError::BadSignature)
                }
            }
            _ => Err(EvidenceError::OtherKey { found: self.key_id() }),
        })
    }

    /// The key it says it was made with, as far as its format says so.
    pub fn key_id(&self) -> Option<String> {
        match self {
            Self::Minisign(signature) => Some(signature.key_id()),
            Self::Ssh(signature) => Some(signature.key().fingerprint()),
            Self::Bare(_) => None,
        }
    }

    /// What kind it is, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Minisign(_) => "a minisign signature",
            Self::Ssh(_) => "an SSH signature",
            Self::Bare(_) => "a bare signature",
        }
    }
}

/// Content that is read again: it must still be what was hashed, or a signature over the one
/// would be taken for a signature over the other.
struct Checked<'a, R> {
    source: R,
    hash: Context,
    artifact: &'a Artifact,
}

impl<'a, R: Read> Checked<'a, R> {
    fn new(source: R, artifact: &'a Artifact) -> Self {
        Self { source, hash: Context::new(&SHA256), artifact }
    }

    fn same(self) -> io::Result<()> {
        if self.hash.finish().as_ref() == self.artifact.sha256().as_bytes() {
            return Ok(());
        }
        Err(io::Error::other("it changed while it was verified"))
    }
}

impl<R: Read> Read for Checked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

/// Every digest of the same content, for a signature over one that was not computed before.
fn rehash(source: impl Read, artifact: &Artifact) -> io::Result<Vec<Digest>> {
    let again = Artifact::read(artifact.name(), source, &Algorithm::ALL)?;
    if again.sha256() != artifact.sha256() {
        return Err(io::Error::other("it changed while it was verified"));
    }
    Ok(again.digests().to_vec())
}
