//! Feeds arbitrary bytes to the reader of public keys of any kind, and of signatures of any kind.
#![no_main]

use std::io;
use std::time::SystemTime;

use dsops_release_verify::Artifact;
use dsops_release_verify::evidence::{Key, ManagedKey, Signature};
use libfuzzer_sys::fuzz_target;

const KEYS: [&[u8]; 3] = [
    include_bytes!("../../crates/release-verify/tests/data/signatures/openssl/p256.pem"),
    include_bytes!("../../crates/release-verify/tests/data/signatures/openssl/ed25519.pem"),
    include_bytes!("../../crates/release-verify/tests/data/signatures/openssl/rsa2048.pem"),
];

fuzz_target!(|bytes: &[u8]| {
    if let Ok(key) = Key::parse(bytes) {
        assert_eq!(key.ids().len(), key.signers().len());
        assert!(!key.rules().is_empty());
    }
    if let Ok(key) = ManagedKey::parse(bytes) {
        // One key, one spelling: what is written is read as the same key.
        assert_eq!(ManagedKey::parse(key.spki()).as_ref(), Ok(&key));
        let _ = key.verifies(b"content", bytes);
    }
    if let Ok(signature) = Signature::parse(bytes) {
        let keys: Vec<Key> =
            KEYS.iter().map(|key| Key::parse(key).expect("keys of the tests")).collect();
        let artifact = Artifact::read("content", &b"content"[..], &signature.algorithms(&keys))
            .expect("memory can be read");
        let content = || Ok(io::Cursor::new(b"content"));
        let verified = signature
            .verify(&keys, &artifact, content, SystemTime::UNIX_EPOCH)
            .expect("memory can be read");
        assert!(verified.is_err(), "a signature that nobody made");
    }
});
