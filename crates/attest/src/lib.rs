//! Makes statements about what was built, and signs them: in-toto statements, SLSA provenance, DSSE
//! envelopes and Sigstore bundles, with a key of the caller's or keyless (Fulcio, Rekor, a timestamp
//! authority).
//!
//! # Guarantees
//! - No statement without a subject, no subject without a digest ([`Subject`]).
//! - A private key lies in protected memory from its file on. aws-lc holds a copy in ordinary memory
//!   while it makes one signature and wipes it then ([`SigningKey`]).
//! - An identity token goes from protected memory into the header of one request.
//! - Nothing is written anywhere: what is made is handed to the caller, whole or not at all.
//!
//! # Not guaranteed
//! - Nothing is verified, neither what services answer nor what is signed here: that is the job of
//!   `dsops-release-verify`, which knows whom to trust. Verify a bundle before it is published.
//! - Provenance says what its maker says. A build that writes its own is SLSA build level 1, whatever
//!   it claims.
//!
//! # Examples
//! ```
//! use dsops_attest::{Algorithm, Signer, SigningKey};
//!
//! let key = SigningKey::generate(Algorithm::EcdsaP256)?;
//! let bundle = Signer::Key(&key).sign_artifact(&mut "the file".as_bytes())?;
//! assert!(bundle.to_string().contains("messageSignature"));
//! // With `key.public_pem()`, anybody can verify it: dsops, cosign, sigstore-js …
//! # Ok::<(), dsops_attest::Error>(())
//! ```

mod bundle;
mod dsse;
mod encoding;
mod error;
mod key;
mod keyless;
pub mod oci;
mod provenance;
mod sbom;
mod signer;
mod statement;

pub use bundle::Bundle;
pub use dsse::{IN_TOTO_TYPE, pae};
pub use error::Error;
pub use key::{Algorithm, KEY_FILE_LIMIT_BYTES, KeyError, KeyFile, SigningKey};
pub use keyless::{Keyless, Services, TOKEN_LIMIT_BYTES, github_token};
pub use provenance::{BUILD_TYPE, Dependency, LOCAL_BUILDER, Provenance};
pub use sbom::sbom_statement;
pub use signer::Signer;
pub use statement::{Statement, Subject};
