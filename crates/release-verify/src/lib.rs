//! Is this file, release or image what its publisher signed? One verdict with reasons, offline.
//!
//! Evidence is read in two steps that never mix. First each piece is *authenticated*: is the
//! signature good, by whom, over what, when ([`Authenticated`])? Only then does the policy judge
//! the signer and what the signed statement claims. Each check leaves a [`Finding`], passed or
//! not; a [`Report`] collects them. What could not be decided is never "verified".

mod artifact;
mod claims;
mod discover;
pub mod evidence;
mod json;
mod policy;
mod report;
mod signer;
mod sigstore;
mod trust;
mod verify;

pub mod auditable;
pub mod github;
pub mod oci;
pub mod registry;
pub mod sbom;
pub mod statement;
#[cfg(feature = "tuf")]
pub mod tuf;

pub use artifact::{Algorithm, Artifact, Digest};
pub use claims::check_claims;
pub use discover::{DiscoverError, ScanLimits};
pub use policy::{
    Claim, IdentityRule, Judgement, Pattern, PatternError, PolicyError, SignerPolicy, SignerRule,
};
pub use report::{Finding, Origin, Report, State, Verdict};
pub use signer::{Authenticated, CertificateIdentity, Content, Signer, SubjectName};
pub use sigstore::{
    BUNDLE_LIMIT_BYTES, Bundle, BundleError, CosignParts, KeyKindError, Leniency, Outcome,
    Thresholds, TrustedKey, Verifier,
};
pub use trust::{TRUST_LIMIT_BYTES, TrustError, TrustRoot, TrustRoots};
pub use verify::{Demands, Evidence, Judged, Options, ReleaseReport, ReleaseVerifier, Requirement};
