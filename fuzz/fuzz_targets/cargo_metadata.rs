//! Feeds arbitrary bytes to the readers of `cargo metadata` and of `Cargo.lock`, a zero byte between them.
#![no_main]

use std::path::Path;

use dsops_sbom::cargo::{Lockfile, Options, from_metadata};
use dsops_sbom::{Format, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (metadata, lock) = bytes.split_at(at);
    let lock = lock.strip_prefix(&[0]).unwrap_or(lock);
    if let Ok(lock) = Lockfile::read(lock) {
        assert!(lock.packages().all(|one| lock.find(&one.name, &one.version).contains(one)));
    }
    let own = Path::new("/a/Cargo.toml");
    if let Ok(document) = from_metadata(metadata, b"", own, &Options::default()) {
        assert_eq!(document.subjects().count(), 1);
        for format in Format::ALL {
            let text = write(&document, format).text;
            assert!(dsops_sbom::read(text.as_bytes()).is_ok());
        }
    }
});
