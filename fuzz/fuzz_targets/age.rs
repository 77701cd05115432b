//! Feeds arbitrary bytes to every parser of the age module.
#![no_main]

use dsops_stores::age::{self, Identity, IdentityFile, Recipient};
use libfuzzer_sys::fuzz_target;

fn pem(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = b"-----BEGIN OPENSSH PRIVATE KEY-----\n".to_vec();
    for three in [b"openssh-key-v1\0", bytes].concat().chunks_exact(3) {
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        text.extend([18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 63) as usize]));
    }
    text.extend(b"\n-----END OPENSSH PRIVATE KEY-----\n");
    text
}

fuzz_target!(|bytes: &[u8]| {
    let identity = Identity::parse(
        b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
    )
    .expect("the example of the specification");
    let identities = [identity];
    let _ = age::decrypt(bytes, &identities);
    let _ = age::decrypt_armored(bytes, &identities);
    let _ = IdentityFile::parse(bytes);
    // The same as the inside of a key file of OpenSSH: few inputs guess its base64.
    let _ = IdentityFile::parse(&pem(bytes));
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = text.parse::<Recipient>();
    }
});
