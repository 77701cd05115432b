//! Any bytes as Docker's configuration: read or refused, and never shown. No helper is run.
#![no_main]

use dsops_release_verify::oci::{DockerConfig, Keychain};
use dsops_secure_mem::SecretBytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if bytes.windows(5).any(|part| part.eq_ignore_ascii_case(b"creds") || part.eq_ignore_ascii_case(b"credH")) {
        return;
    }
    let Ok(text) = SecretBytes::copy_from(bytes) else { return };
    let Ok(config) = DockerConfig::read(text) else { return };
    for registry in ["docker.io", "ghcr.io", "a"] {
        let _ = config.login(registry, "b/c");
    }
});
