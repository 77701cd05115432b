//! Signing without a key of one's own: a key for minutes, a certificate for an identity, a log entry
//! and a timestamp that prove when it was.

mod call;
mod fulcio;
mod github;
mod rekor;
mod services;
mod tsa;

use dsops_secure_mem::SecretBytes;
use dsops_transport::Client;
use serde_json::{Value, json};

use crate::bundle::Material;
use crate::encoding::base64;
use crate::{Algorithm, Error, SigningKey};

pub use github::github_token;
pub use services::Services;

/// How large an identity token may be.
pub const TOKEN_LIMIT_BYTES: usize = 64 * 1024;

/// A key that was made for these signatures, with a certificate of who holds it.
///
/// It can sign as long as the certificate is valid, ten minutes at the public instance.
pub struct Keyless<'a> {
    client: &'a Client,
    services: &'a Services,
    key: SigningKey,
    /// In DER.
    certificate: Vec<u8>,
}

/// Who can verify a signature, as logs write it down.
#[derive(Clone, Copy)]
pub(crate) enum Verifier<'a> {
    /// A certificate, in DER.
    Certificate(&'a [u8]),
    /// A key that is known to who verifies.
    Key(&'a SigningKey),
}

/// What was signed, in the two ways that logs write down.
pub(crate) enum Logged<'a> {
    /// The hash of what the signature is over.
    Hash(&'a [u8]),
    /// An envelope, as it stands in the bundle, and the hash of what its signature is over.
    Envelope(&'a str, &'a [u8]),
}

impl<'a> Keyless<'a> {
    /// Makes a key, and shows the identity token for a certificate.
    ///
    /// # Errors
    /// [`Error::Token`], [`Error::Key`], and those of services.
    ///
    /// # Security
    /// The token is sent to the certificate authority of `services` and nowhere else.
    pub fn begin(
        client: &'a Client,
        services: &'a Services,
        token: &SecretBytes,
    ) -> Result<Self, Error> {
        let key = SigningKey::generate(Algorithm::EcdsaP256)?;
        let certificate = fulcio::certificate(client, &services.fulcio, &key, token)?;
        Ok(Self { client, services, key, certificate })
    }

    /// The certificate, in DER. It names whom the token is about.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Has a signature logged and stamped.
    pub(crate) fn prove(&self, signature: &[u8], logged: &Logged<'_>) -> Result<Material, Error> {
        prove(
            self.client,
            self.services,
            signature,
            Verifier::Certificate(&self.certificate),
            logged,
        )
    }
}

/// Has a signature logged and stamped.
pub(crate) fn prove(
    client: &Client,
    services: &Services,
    signature: &[u8],
    verifier: Verifier<'_>,
    logged: &Logged<'_>,
) -> Result<Material, Error> {
    let stamp = |url| tsa::stamp(client, url, signature);
    let timestamps = services.tsas.iter().map(stamp).collect::<Result<_, _>>()?;
    let entry = |log| rekor::log(client, log, signature, verifier, logged);
    let entries = services.logs.iter().map(entry).collect::<Result<_, _>>()?;
    Ok(Material { signer: verifier.json(), entries, timestamps })
}

impl Verifier<'_> {
    /// As bundles name it.
    pub(crate) fn json(self) -> (&'static str, Value) {
        match self {
            Self::Certificate(der) => ("certificate", json!({ "rawBytes": base64(der) })),
            Self::Key(key) => ("publicKey", json!({ "hint": key.hint() })),
        }
    }
}

impl std::fmt::Debug for Keyless<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyless").field("services", &self.services).finish_non_exhaustive()
    }
}
