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
    /// are valid. `content` opens the artifact again, for formats that need more than its digests.
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
        let mut refused = None;
        let mut refuse = |error: EvidenceError| {
            // What is nearest to being right tells most.
            if !matches!(
                refused,
                Some(EvidenceError::BadSignature | EvidenceError::Unsupported { .. })
            ) {
                refused = Some(error);
            }
        };
        for key in keys {
            match (self, key) {
                (Self::Minisign(signature), Key::Minisign(key)) => {
                    let mut checked = Checked::new(content()?, artifact);
                    match key.verify(&mut checked, signature)? {
                        Ok(claim) => {
                            checked.same()?;
                            let remark = claim.trusted_comment;
                            return Ok(Ok(Signed { signer: key.signer(), remark }));
                        }
                        Err(error) => refuse(error),
                    }
                }
                (Self::Ssh(signature), Key::Ssh(signers)) => {
                    match signers.principals(signature, None, time) {
                        Ok(principals) => {
                            let digest = match artifact.digest(signature.hash()) {
                                Some(digest) => digest.clone(),
                                None => rehash(content()?, artifact, signature.hash())?,
                            };
                            match signature.verify(&digest) {
                                Ok(()) => {
                                    let signer = signature.key().signer();
                                    let remark = (principals != "*").then(|| principals.to_owned());
                                    return Ok(Ok(Signed { signer, remark }));
                                }
                                Err(error) => refuse(error),
                            }
                        }
                        Err(error) => refuse(error),
                    }
                }
                (Self::Bare(signature), Key::Managed(key)) => {
                    let good = if key.signs_content() {
                        let mut checked = Checked::new(content()?, artifact);
                        match super::whole(&mut checked)? {
                            Ok(bytes) => {
                                key.verifies(&bytes, signature) && checked.same().map(|()| true)?
                            }
                            Err(error) => {
                                refuse(error);
                                continue;
                            }
                        }
                    } else {
                        artifact
                            .digests()
                            .iter()
                            .any(|digest| key.verifies_digest(digest, signature))
                    };
                    if good {
                        return Ok(Ok(Signed { signer: key.signer(), remark: None }));
                    }
                    refuse(EvidenceError::BadSignature);
                }
                _ => {}
            }
        }
        Ok(Err(refused.unwrap_or(EvidenceError::OtherKey { found: self.key_id() })))
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

/// A digest of the same content that was not computed before.
fn rehash(source: impl Read, artifact: &Artifact, algorithm: Algorithm) -> io::Result<Digest> {
    let again = Artifact::read(artifact.name(), source, &[algorithm])?;
    if again.sha256() != artifact.sha256() {
        return Err(io::Error::other("it changed while it was verified"));
    }
    Ok(again.digest(algorithm).expect("asked for").clone())
}
