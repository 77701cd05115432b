//! The corpus of good and bad bundles, judged by `sigstore-verify`: where it differs is written down.

use std::collections::BTreeMap;

use dsops_testkit::sigstore::cases::{self, Case, Wanted};
use sigstore_trust_root::TrustedRoot;
use sigstore_verify::types::{Bundle, DerPublicKey};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, Verifier};

/// Where `sigstore-verify` alone gives another verdict than the right one, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    // Refused, though right.
    ("Rekor v2, stamp with fractions of a second", "its reader of times takes whole seconds only"),
    ("certificate timestamps of two logs", "it takes exactly one"),
    ("user name in otherName", "it reads mail addresses and URIs"),
    ("attestation, intoto 0.0.1", "it does not know the kind"),
    // Accepted, though wrong: `release-verify` closes each.
    ("certificate with two issuers", "it takes the first"),
    ("chain with the root in it", "the chain is built from what helps"),
    ("the same entry twice", "entries are not compared with each other"),
    ("the same stamp twice", "stamps are not compared with each other"),
    ("Rekor v2, log id of nobody", "the checkpoint's key is found by its hint alone"),
    ("Rekor v2, log id of the Rekor v1 log", "the same"),
    (
        "Rekor v2 log retired before the stamp",
        "a window's end is not asked for a log without times",
    ),
    ("Rekor v2 log started after the stamp", "a window's start is compared with today"),
    ("no media type", "one is assumed"),
    ("envelope and message at once", "surplus fields are passed over"),
    ("certificate and key at once", "the same"),
    ("root of an unknown media type", "it is not looked at"),
    ("root with the wrong details of the log's key", "they are not looked at"),
    ("stamp names another certificate as its signer's", "SigningCertificateV2 is not looked at"),
];

fn judge(case: &Case) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let root = TrustedRoot::from_json(&case.root.to_string()).map_err(|error| text(&error))?;
    let verifier = Verifier::new(&root).map_err(|error| text(&error))?;
    let bundle = Bundle::from_json(&case.bundle).map_err(|error| text(&error))?;
    let verdict = match &case.wanted {
        Wanted::Identity(name, issuer) => {
            let mut policy = VerificationPolicy::new(name.clone(), issuer.clone());
            if root.tlogs.is_empty() {
                policy = policy.skip_tlog_unsafe();
            }
            if root.ctlogs.is_empty() {
                policy = policy.skip_sct();
            }
            verifier.verify(&case.artifact[..], &bundle, &policy)
        }
        Wanted::Key(key) => {
            let policy = PublicKeyVerificationPolicy::new(DerPublicKey::new(key.spki()));
            verifier.verify(&case.artifact[..], &bundle, &policy)
        }
    };
    verdict.map(drop).map_err(|error| text(&error))
}

#[test]
fn verdicts_are_right_but_for_what_is_written_down() {
    let known: BTreeMap<_, _> = DIFFERENCES.iter().copied().collect();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for case in cases::all() {
        let verdict = judge(&case);
        let differs = verdict.is_ok() != case.is_good;
        seen += usize::from(differs && known.contains_key(case.name));
        if differs != known.contains_key(case.name) {
            wrong.push(format!("{}: {verdict:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen, known.len(), "a difference is listed for a case that is not there");
}

#[test]
fn each_case_has_a_name_of_its_own() {
    let mut names: Vec<_> = cases::all().iter().map(|case| case.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}
