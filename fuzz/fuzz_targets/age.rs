//! Feeds arbitrary bytes to every parser of the age module.
#![no_main]

use dsops_stores::age::{self, Identity, IdentityFile, Recipient};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let identity = Identity::parse(
        b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
    )
    .expect("the example of the specification");
    let identities = [identity];
    let _ = age::decrypt(bytes, &identities);
    let _ = age::decrypt_armored(bytes, &identities);
    let _ = IdentityFile::parse(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = text.parse::<Recipient>();
    }
});
