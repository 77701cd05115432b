//! Feeds arbitrary binaries, and lists packed into a small one, to the reader of crate lists.
#![no_main]

use dsops_release_verify::auditable::LinkedCrates;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(linked) = LinkedCrates::from_list(bytes) {
        assert!(!linked.crates().is_empty());
        assert!(linked.crates().is_sorted());
    }
    let _ = LinkedCrates::from_binary(bytes);
});
