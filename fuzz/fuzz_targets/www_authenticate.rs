//! Any text as `WWW-Authenticate`: read to its end or to the first nonsense.
#![no_main]

use dsops_release_verify::oci::Challenge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for challenge in Challenge::read_all(text) {
        if let Some(realm) = challenge.parameter("realm") {
            assert!(realm.len() <= text.len());
        }
    }
});
