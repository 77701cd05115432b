//! Feeds arbitrary bytes to the decoders of the cache: headers and superblocks, and what they decode back again.
#![no_main]

use dsops_integrity_cache::format::{Header, Superblock};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = Header::decode(bytes) {
        let mut again = Vec::new();
        header.encode(&mut again);
        assert_eq!(again, bytes[..again.len()], "there is one form only");
        assert!(bytes.len() >= again.len() + header.auth.tag_len());
        if let Some(len) = header.file_len() {
            assert!(len >= header.payload_len + again.len() as u64);
        }
    }
    if let Some((superblock, tag)) = Superblock::decode(bytes) {
        assert_eq!(superblock.encode(), bytes[..Superblock::SIGNED]);
        assert_eq!(tag.len(), superblock.auth.tag_len());
    }
});
