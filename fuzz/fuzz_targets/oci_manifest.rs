//! Any bytes as a manifest or an index of an image: read or refused, never both kinds at once.
#![no_main]

use dsops_release_verify::oci::{Document, Platform};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = Document::read(bytes, "it") else { return };
    let linux = Platform::parse("linux/amd64").expect("it is a platform");
    match &document {
        Document::Index(index) => {
            // Several for one platform are refused.
            if let Ok(Some(found)) = document.for_platform(&linux, "it") {
                assert!(index.manifests.contains(found));
            }
        }
        Document::Manifest(_) => {
            assert!(document.for_platform(&linux, "it").is_ok_and(|found| found.is_none()));
        }
    }
});
