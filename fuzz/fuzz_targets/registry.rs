//! Feeds arbitrary bytes to the readers of what package registries keep.
#![no_main]

use dsops_release_verify::registry::{npm, pypi};
use dsops_release_verify::{Bundle, Leniency, Origin};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let origin = Origin::new("fuzz");
    if let Ok(attestations) = npm::read_attestations(bytes) {
        for attestation in attestations {
            let _ = Bundle::read(&attestation.bundle, &origin, Leniency::default());
        }
    }
    let _ = npm::RegistryKeys::read(bytes);
    let mut all: Vec<_> = pypi::Attestation::read(bytes).into_iter().collect();
    for publisher in pypi::read_provenance(bytes).into_iter().flatten() {
        all.extend(publisher.attestations);
    }
    for attestation in all {
        let _ = Bundle::read(&attestation.to_bundle(), &origin, Leniency::default());
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(package) = npm::Package::parse(text)
    {
        assert_eq!(npm::Package::parse(&package.to_string()).unwrap(), package);
        assert_eq!(package.to_string(), text);
    }
});
