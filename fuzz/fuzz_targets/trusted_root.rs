//! Feeds arbitrary bytes to the reader of trusted roots.
#![no_main]

use std::time::SystemTime;

use dsops_release_verify::{Origin, TrustRoots};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(roots) = TrustRoots::load(bytes, &Origin::new("fuzz"), Some(SystemTime::UNIX_EPOCH)) {
        for root in roots.iter() {
            assert!(root.counts().iter().sum::<usize>() > 0);
            let _ = root.finding(SystemTime::UNIX_EPOCH);
        }
    }
});
