//! Files of private keys: any bytes are read or refused, plain and under a passphrase; no panic, and no
//! more time or memory than the limits allow.
#![no_main]

use base64ct::{Base64, Encoding as _};
use dsops_attest::KeyFile;
use dsops_secure_mem::SecretBytes;
use libfuzzer_sys::fuzz_target;

const LABELS: [&str; 4] =
    ["PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY"];

fuzz_target!(|data: &[u8]| {
    read(data);
    // What PEM holds, without the luck of finding base64.
    if let Some((first, rest)) = data.split_first() {
        let label = LABELS[usize::from(*first) % LABELS.len()];
        let body = Base64::encode_string(rest);
        read(format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").as_bytes());
    }
});

fn read(text: &[u8]) {
    let Ok(text) = SecretBytes::copy_from(text) else { return };
    let Ok(file) = KeyFile::read(&text) else { return };
    let passphrase = SecretBytes::copy_from(b"x").expect("there is room for a byte");
    let _ = file.open(Some(&passphrase));
}
