//! Who signs, and how a file or a statement becomes a bundle.

use std::io::Read;

use aws_lc_rs::digest::{Context, Digest, SHA256};
use dsops_transport::Client;
use serde_json::json;

use crate::bundle::{Bundle, Material};
use crate::dsse::{IN_TOTO_TYPE, envelope, pae};
use crate::encoding::{base64, sha256};
use crate::keyless::{Keyless, Logged, Services, Verifier, prove};
use crate::{Algorithm, Error, SigningKey, Statement};

/// What an Ed25519 key signs at most: it signs the content and not its digest, so all of it is read.
const ED25519_LIMIT_BYTES: u64 = 1 << 30;
const PIECE_BYTES: usize = 64 * 1024;

/// Who signs.
#[derive(Clone, Copy, Debug)]
pub enum Signer<'a> {
    /// The holder of a key. Nothing is logged, and no time is proven.
    Key(&'a SigningKey),
    /// The holder of a key, and each signature is logged and stamped: then it is proven when it was
    /// made, and that it was made in public. ECDSA keys only, as logs ask for.
    LoggedKey(&'a SigningKey, &'a Client, &'a Services),
    /// Who an identity token was about. Each signature is logged for all to see, for ever.
    Keyless(&'a Keyless<'a>),
}

impl Signer<'_> {
    /// Signs a file.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Key`], [`Error::TooLarge`], and those of services.
    pub fn sign_artifact(&self, content: &mut dyn Read) -> Result<Bundle, Error> {
        let (digest, whole) = self.read(content)?;
        let key = self.key();
        let signature = match whole {
            Some(bytes) => key.sign(&bytes)?,
            None => key.sign_digest(&digest)?,
        };
        let material = self.prove(&signature, &Logged::Hash(digest.as_ref()))?;
        let content = json!({
            "messageDigest": { "algorithm": "SHA2_256", "digest": base64(digest.as_ref()) },
            "signature": base64(&signature),
        });
        Ok(Bundle::new(material, ("messageSignature", content)))
    }

    /// Signs a statement, in a DSSE envelope.
    ///
    /// # Errors
    /// [`Error::Key`], and those of services.
    pub fn sign_statement(&self, statement: &Statement) -> Result<Bundle, Error> {
        let signed = pae(IN_TOTO_TYPE, statement.payload());
        let signature = self.key().sign(&signed)?;
        let envelope = envelope(IN_TOTO_TYPE, statement.payload(), &signature);
        let (text, hash) = (envelope.to_string(), sha256(&signed));
        let material = self.prove(&signature, &Logged::Envelope(&text, hash.as_ref()))?;
        Ok(Bundle::new(material, ("dsseEnvelope", envelope)))
    }

    fn key(&self) -> &SigningKey {
        match self {
            Self::Key(key) | Self::LoggedKey(key, ..) => key,
            Self::Keyless(session) => session.key(),
        }
    }

    /// The digest of the content, and the content if that is what is signed.
    fn read(&self, content: &mut dyn Read) -> Result<(Digest, Option<Vec<u8>>), Error> {
        if self.key().algorithm() == Algorithm::Ed25519 {
            let (mut bytes, limit_bytes) = (Vec::new(), ED25519_LIMIT_BYTES);
            content.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(Error::Read)?;
            if bytes.len() as u64 > limit_bytes {
                return Err(Error::TooLarge { limit_bytes });
            }
            return Ok((sha256(&bytes), Some(bytes)));
        }
        let mut hash = Context::new(&SHA256);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match content.read(&mut piece) {
                Ok(0) => return Ok((hash.finish(), None)),
                Ok(count) => hash.update(&piece[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Read(error)),
            }
        }
    }

    fn prove(&self, signature: &[u8], logged: &Logged<'_>) -> Result<Material, Error> {
        match self {
            Self::Key(key) => Ok(Material {
                signer: Verifier::Key(key).json(),
                entries: Vec::new(),
                timestamps: Vec::new(),
            }),
            Self::LoggedKey(key, ..) if key.algorithm() == Algorithm::Ed25519 => {
                Err(Error::NotLoggable)
            }
            Self::LoggedKey(key, client, services) => {
                prove(client, services, signature, Verifier::Key(key), logged)
            }
            Self::Keyless(session) => session.prove(signature, logged),
        }
    }
}
