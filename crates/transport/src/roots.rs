//! Whose certificates are believed, and with which certificate we show who we are.

use std::fmt;
use std::sync::Arc;

use dsops_secure_mem::SecretBytes;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::error::{Error, ErrorKind, Phase};

/// Whose certificates of servers are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Roots {
    /// Those the platform trusts.
    ///
    /// # Platform
    /// Linux reads the system's bundle; there the variables `SSL_CERT_FILE` and `SSL_CERT_DIR`
    /// name another one, as for OpenSSL. macOS and Windows ask the system.
    #[default]
    Platform,
    /// Those, and the authorities of a CA file: its text (PEM).
    PlatformAnd(Vec<u8>),
    /// Only the authorities of a CA file: its text (PEM).
    Only(Vec<u8>),
}

/// A certificate that shows the server who we are (mutual TLS).
pub struct ClientIdentity {
    /// The certificate and those between it and its authority, in that order (PEM).
    pub certificates: Vec<u8>,
    /// Its private key (PEM: PKCS #8, PKCS #1 or SEC 1). The cryptographic library keeps it in
    /// memory of its own for as long as the client lives.
    pub key: SecretBytes,
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity(REDACTED)")
    }
}

/// The configuration of all our TLS: aws-lc, TLS 1.2 and 1.3, no process-wide default.
pub(crate) fn config(
    roots: &Roots,
    identity: Option<&ClientIdentity>,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let fail = |error| Error::new(Phase::Setup, ErrorKind::Tls(error));
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(fail)?;
    let builder = match roots {
        Roots::Only(pem) => {
            let mut store = RootCertStore::empty();
            for certificate in certificates(pem, "CA file")? {
                store.add(certificate).map_err(fail)?;
            }
            builder.with_root_certificates(store)
        }
        Roots::Platform | Roots::PlatformAnd(_) => {
            let extra = match roots {
                Roots::PlatformAnd(pem) => certificates(pem, "CA file")?,
                _ => Vec::new(),
            };
            let verifier = Verifier::new_with_extra_roots(extra, provider).map_err(fail)?;
            // The name means "replaces the built-in check"; the platform's own check is no less.
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let chain = certificates(&identity.certificates, "client certificate")?;
            let key = PrivateKeyDer::from_pem_slice(&identity.key.expose())
                .map_err(|error| Error::setup("client key", pem_problem(&error)))?;
            builder.with_client_auth_cert(chain, key).map_err(fail)
        }
    }
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Error::setup(what, pem_problem(&error)))?;
    if all.is_empty() { Err(Error::setup(what, "it holds no certificate")) } else { Ok(all) }
}

/// What is wrong with a PEM file, without any of its text.
fn pem_problem(error: &rustls::pki_types::pem::Error) -> &'static str {
    use rustls::pki_types::pem::Error as Pem;
    match error {
        Pem::MissingSectionEnd { .. } => "a section has no end",
        Pem::IllegalSectionStart { .. } => "a section does not begin as it should",
        Pem::Base64Decode(_) => "a section is not base64",
        Pem::NoItemsFound => "it holds nothing of the kind",
        _ => "it is not PEM",
    }
}
