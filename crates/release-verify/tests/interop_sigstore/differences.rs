//! Where verifiers give another verdict than the right one, and why.

/// sigstore-python 4.5.1.
pub const PYTHON: &[(&str, &str)] = &[];

/// `@sigstore/verify` 4.1.3.
pub const JAVASCRIPT: &[(&str, &str)] = &[];
