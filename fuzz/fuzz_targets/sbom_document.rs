//! Feeds arbitrary bytes to the readers of SPDX and CycloneDX documents, and writes again what they read.
#![no_main]

use dsops_sbom::{Format, check, diff, minimum_elements, read, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(reading) = read(bytes) else { return };
    let _ = (check(&reading), minimum_elements(&reading.document));
    assert!(diff(&reading.document, &reading.document).is_empty());
    for format in Format::ALL {
        let once = write(&reading.document, format).text;
        let again = read(once.as_bytes()).expect("what was read can be written");
        let twice = write(&again.document, format).text;
        assert!(read(twice.as_bytes()).is_ok(), "what was read once is read again");
    }
});
