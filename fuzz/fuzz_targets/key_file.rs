//! Files of private keys: any bytes are read or refused, plain and under a passphrase; no panic, and no
//! more memory than the limits allow.
#![no_main]

use dsops_attest::KeyFile;
use dsops_secure_mem::SecretBytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = SecretBytes::copy_from(data) else { return };
    let Ok(file) = KeyFile::read(&text) else { return };
    // Deriving a key may rightly take seconds; what comes before that is what is looked at.
    if !file.is_encrypted() {
        let _ = file.open(None);
    }
});
