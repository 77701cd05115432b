//! Feeds arbitrary bytes to the reader of DSSE envelopes and of cosign's parts.
#![no_main]

use dsops_release_verify::{Artifact, Bundle, CosignParts, Origin, TrustRoots, Verifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let origin = Origin::new("fuzz");
    let artifact = Artifact::read("fuzz", &b"fuzz"[..], &[]).unwrap();
    let verifier = Verifier::new(TrustRoots::embedded());
    let mut envelope = CosignParts::default();
    envelope.envelope = Some(bytes);
    let mut parts = vec![envelope];
    if let Ok(text) = std::str::from_utf8(bytes) {
        for certificate in [None, Some(text)] {
            let mut part = CosignParts::default();
            part.signature = Some("aGk=");
            part.certificate = certificate;
            part.chain = certificate;
            part.rekor_bundle = Some(text);
            part.timestamp = certificate;
            parts.push(part);
        }
    }
    for part in &parts {
        if let Ok(bundle) = Bundle::from_cosign(part, &origin) {
            assert!(verifier.authenticate(&bundle, &artifact, Some(b"fuzz")).authenticated.is_none());
        }
    }
});
