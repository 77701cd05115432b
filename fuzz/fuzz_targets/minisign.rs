//! Feeds arbitrary bytes to the readers of minisign's and signify's files.
#![no_main]

use dsops_release_verify::evidence::{MinisignKey, MinisignSignature};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

/// A signature by the key of the tests, with a comment that nobody signed.
const SIGNATURE: &str = "RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=";

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = MinisignKey::parse(text);
    }
    let key = MinisignKey::parse(KEY).expect("a key of minisign's own documentation");
    let with = |bytes: &[u8]| {
        if let Ok(signature) = MinisignSignature::parse(bytes) {
            let _ = signature.key_id();
            let verified = key.verify(&b"content"[..], &signature).expect("memory can be read");
            assert!(verified.is_err(), "a signature that nobody made");
        }
    };
    with(bytes);
    // Past the first lines, which few inputs guess.
    let mut whole = format!("untrusted comment: x\n{SIGNATURE}\n").into_bytes();
    whole.extend_from_slice(bytes);
    with(&whole);
});
