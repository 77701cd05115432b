//! Where verifiers give another verdict than the right one, and why.

/// Ours.
pub const OURS: &[(&str, &str)] = &[];

/// sigstore-python 4.5.1. It has no managed keys on its command line and is not asked about them.
pub const PYTHON: &[(&str, &str)] = &[
    // Refused, though right.
    ("version 0.1 with a promise and no proof", "it wants a proof in each version"),
    ("certificate timestamps of two logs", "it takes exactly one"),
    ("user name in otherName", "it compares the name's encoding, tag and length included"),
    ("attestation, intoto 0.0.2", "it takes no time from entries of this kind"),
    ("attestation, intoto 0.0.1", "the same"),
    ("intoto-with-custom-trust-root", "the same"),
    ("private instance, message", "it wants a log entry of each instance"),
    ("private instance, attestation", "the same"),
    ("trust-root-tsa-validity-end-inclusive", "to it a window ends before its last second"),
    // Accepted, though wrong.
    ("chain with the root in it", "it warns: the first clients wrote such bundles"),
    ("Rekor v2, log id of nobody", "the checkpoint's key is found by its hint alone"),
    ("the same key twice", "its reader of JSON takes the last"),
    ("log retired before it took the entry in", "it does not compare windows with signing times"),
    ("log started after it took the entry in", "the same"),
    ("Rekor v2 log retired before the stamp", "the same"),
    ("Rekor v2 log started after the stamp", "the same"),
    ("certificate log retired before its timestamp", "the same"),
    ("certificate log started after its timestamp", "the same"),
    ("authority retired before the signature", "the same"),
    ("authority started after the signature", "the same"),
    ("stamp names another certificate as its signer's", "SigningCertificateV2 is not looked at"),
];

/// `@sigstore/verify` 4.1.3.
pub const JAVASCRIPT: &[(&str, &str)] = &[
    // Refused, though right.
    ("Rekor v2, stamp with fractions of a second", "its reader of times takes whole seconds only"),
    ("user name in otherName", "it reads mail addresses and URIs"),
    ("attestation, intoto 0.0.1", "it does not know the kind"),
    ("managed key, Ed25519", "it hashes first, which this algorithm does not"),
    ("Rekor v1 with a P-384 key", "it checks promises with SHA-256 whatever the key"),
    // Accepted, though wrong.
    ("certificate is not for signing code", "it does not look at extended uses"),
    ("authority's certificate is not for stamping times", "the same"),
    ("certificate with two issuers", "it takes one of them"),
    ("chain with the root in it", "it takes the first certificate and leaves the others"),
    ("attestation about another file", "it leaves comparing subjects to its caller"),
    ("media type of a version to come", "it looks at how the text begins"),
    ("media type with more after it", "the same"),
    ("message and envelope at once", "it takes the one and passes over the other"),
    ("the same key twice", "its reader of JSON takes the last"),
    ("root of an unknown media type", "it is not looked at"),
    ("root with the wrong details of the log's key", "they are not looked at"),
    ("Rekor v2 log retired before the stamp", "windows are compared with times of Rekor v1 only"),
    ("Rekor v2 log started after the stamp", "the same"),
    ("stamp was not granted", "the status is not looked at"),
    ("stamp names another certificate as its signer's", "SigningCertificateV2 is not looked at"),
    ("trust-root-tlog-missing-validity-start_fail", "to it such a window is open"),
];
