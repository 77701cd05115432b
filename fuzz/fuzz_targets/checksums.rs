//! Feeds arbitrary bytes to the reader of checksum files.
#![no_main]

use dsops_release_verify::evidence::Checksums;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for name in ["SHA256SUMS", "tool.tar.gz.sha256", "sums.b2"] {
        let Ok(list) = Checksums::parse(name, bytes) else { continue };
        assert!(!list.entries().is_empty());
        for entry in list.entries() {
            assert!(!entry.path.is_empty() && !entry.path.starts_with('/'));
            assert!(!entry.path.chars().any(char::is_control));
            assert!(!entry.path.split(['/', '\\']).any(|part| part == ".."));
            assert_eq!(list.find(&entry.path), Some(entry));
            assert!(!entry.digests.is_empty());
        }
    }
});
