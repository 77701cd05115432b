//! Is this file, release or image what its publisher signed? One verdict with reasons, offline.
//!
//! Evidence is read in two steps that never mix. First each piece is *authenticated*: is the
//! signature good, by whom, over what, when ([`Authenticated`])? Only then does the policy judge
//! the signer and what the signed statement claims. Each check leaves a [`Finding`], passed or
//! not; a [`Report`] collects them. What could not be decided is never "verified".
//!
//! # Examples
//! The verdict on a folder of release files, by whatever evidence lies beside them:
//! ```no_run
//! use std::path::Path;
//!
//! use dsops_release_verify::{
//!     Demands, IdentityRule, Options, ReleaseVerifier, SignerPolicy, SignerRule, TrustRoots,
//!     Verdict, Verifier,
//! };
//!
//! // Whom to accept: workflows of one repository, at a tag.
//! let signer = SignerRule::Certificate(IdentityRule::github("octo/demo@v1.*")?);
//! let demands = Demands::new(SignerPolicy::new(signer));
//! let sigstore = Verifier::new(TrustRoots::embedded());
//! let verifier = ReleaseVerifier::new(sigstore, Vec::new(), demands, Options::default());
//! let report = verifier.verify_directory(Path::new("dist"))?;
//! assert_eq!(report.verdict(), Verdict::Verified);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! One bundle, step by step: is the signature good, and is it by whom we accept?
//! ```
//! use dsops_release_verify::{
//!     Artifact, Bundle, IdentityRule, Leniency, Origin, Pattern, SignerPolicy, SignerRule,
//!     TrustRoots, Verifier,
//! };
//!
//! # fn verify(bundle: &[u8], file: &[u8]) -> Result<bool, Box<dyn std::error::Error>> {
//! let bundle = Bundle::read(bundle, &Origin::new("file.sigstore.json"), Leniency::default())?;
//! let artifact = Artifact::read("file", file, &bundle.algorithms())?;
//! let outcome = Verifier::new(TrustRoots::embedded()).authenticate(&bundle, &artifact, Some(file));
//! let Some(signature) = outcome.authenticated else {
//!     return Ok(false); // `outcome.findings` says why
//! };
//! let policy = SignerPolicy::new(SignerRule::Certificate(IdentityRule::new(
//!     Pattern::exact("lead@example.org")?,
//!     Pattern::exact("https://accounts.google.com")?,
//! )));
//! // If a statement was signed, it has to be about this file, too: see `statement`.
//! Ok(policy.judge(&[signature]).accepts(0))
//! # }
//! # assert!(verify(b"{}", b"").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod artifact;
mod claims;
mod discover;
pub mod evidence;
mod policy;
mod report;
mod signer;
mod sigstore;
mod trust;
mod verify;

pub mod auditable;
pub mod codes;
pub mod github;
pub mod oci;
pub mod registry;
pub mod sbom;
pub mod statement;
#[cfg(feature = "tuf")]
pub mod tuf;

use dsops_json as json;

pub use artifact::{Algorithm, Artifact, Digest};
pub use claims::check_claims;
pub use discover::{DiscoverError, ScanLimits};
pub use policy::{
    ArtifactRule, Claim, IdentityRule, Judgement, POLICY_LIMIT_BYTES, Pattern, PatternError,
    PolicyError, PolicyFile, PolicyFileError, PolicyWarning, SignerPolicy, SignerRule,
};
pub use report::{Finding, Origin, Report, State, Verdict};
pub use signer::{Authenticated, CertificateIdentity, Content, Signer, SubjectName};
pub use sigstore::{
    BUNDLE_LIMIT_BYTES, Bundle, BundleError, CosignParts, KeyKindError, Leniency, Outcome,
    Thresholds, TrustedKey, Verifier,
};
pub use trust::{RootSource, TRUST_LIMIT_BYTES, TrustError, TrustRoot, TrustRoots};
pub use verify::{
    Demands, Evidence, Judged, Options, Publication, ReleaseReport, ReleaseVerifier, Requirement,
    Signatures,
};
