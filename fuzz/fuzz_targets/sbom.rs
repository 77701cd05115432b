//! Feeds arbitrary bytes to the readers of SPDX and CycloneDX documents.
#![no_main]

use dsops_release_verify::auditable::{self, LinkedCrates};
use dsops_release_verify::sbom::{Authority, Sbom};
use dsops_release_verify::{Algorithm, Artifact, State};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(sbom) = Sbom::read(bytes) else { return };
    assert!(sbom.described().count() <= sbom.components().len());
    let artifact = Artifact::read("fuzz", &b"fuzz"[..], &Algorithm::ALL).unwrap();
    for authority in [Authority::Statement, Authority::Document, Authority::Nobody] {
        let findings = sbom.check(&artifact, authority);
        let good = findings.iter().all(|f| !matches!(f.state, State::Failed | State::Undecided));
        assert!(authority != Authority::Nobody || !good, "nobody signed it");
        let named = sbom
            .components()
            .iter()
            .any(|c| c.digests().iter().any(|digest| artifact.matches(digest) == Some(true)));
        assert!(authority != Authority::Document || named || !good, "it names something else");
    }
    let list = br#"{"packages":[{"name":"a","version":"1.0.0","source":"local"}]}"#;
    let linked = LinkedCrates::from_list(list).unwrap();
    assert!(!auditable::check(&linked, &sbom).is_empty());
});
