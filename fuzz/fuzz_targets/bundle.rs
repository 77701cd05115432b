//! Feeds arbitrary bytes to the reader of bundles, and what it reads to the verifier: it must not
//! panic, and must not find a good signature where nobody made one.
#![no_main]

use dsops_release_verify::{Artifact, Bundle, Leniency, Origin, State, TrustRoots, Verifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let origin = Origin::new("fuzz");
    let artifact = Artifact::read("fuzz", &b"fuzz"[..], &[]).unwrap();
    let verifier = Verifier::new(TrustRoots::embedded());
    for leniency in [Leniency::default(), Leniency { unknown_fields: true }] {
        for bundle in Bundle::read_all(bytes, &origin, leniency).into_iter().flatten() {
            let outcome = verifier.authenticate(&bundle, &artifact, Some(b"fuzz"));
            assert!(outcome.authenticated.is_none());
            assert!(outcome.findings.iter().any(|f| matches!(f.state, State::Failed | State::Undecided)));
        }
    }
});
