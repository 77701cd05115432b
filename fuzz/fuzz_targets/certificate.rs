//! Feeds arbitrary bytes to the reader of signing certificates, of timestamps and of the bodies of
//! log entries, each in a bundle that is otherwise of the right shape.
#![no_main]

use dsops_release_verify::{Artifact, Bundle, Leniency, Origin, TrustRoots, Verifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let part = base64(bytes);
    let text = format!(
        r#"{{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.1",
        "verificationMaterial":{{"x509CertificateChain":{{"certificates":[{{"rawBytes":"{part}"}}]}},
        "tlogEntries":[{{"logIndex":"1","logId":{{"keyId":"wNI9atQGlz+VWfO6LRygH4QUfY/8W4RFwiT5i5WRgB0="}},
        "kindVersion":{{"kind":"dsse","version":"0.0.1"}},"integratedTime":"1689177396",
        "inclusionPromise":{{"signedEntryTimestamp":"{part}"}},"canonicalizedBody":"{part}"}}],
        "timestampVerificationData":{{"rfc3161Timestamps":[{{"signedTimestamp":"{part}"}}]}}}},
        "dsseEnvelope":{{"payload":"{part}","payloadType":"text/plain","signatures":[{{"sig":"{part}"}}]}}}}"#
    );
    let Ok(bundle) = Bundle::read(text.as_bytes(), &Origin::new("fuzz"), Leniency::default()) else {
        return;
    };
    let artifact = Artifact::read("fuzz", &b"fuzz"[..], &[]).unwrap();
    let _ = bundle.algorithms();
    let outcome = Verifier::new(TrustRoots::embedded()).authenticate(&bundle, &artifact, None);
    assert!(outcome.authenticated.is_none());
});

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for index in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * index)) as usize & 63];
            text.push(if index <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
