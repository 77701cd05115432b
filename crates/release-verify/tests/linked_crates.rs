//! What was linked into a binary, against the SBOM that is signed for it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Folder, code, demands};
use dsops_release_verify::{Requirement, State, Verdict};
use dsops_testkit::binaries;
use dsops_testkit::sigstore::{World, hex, sha256};
use serde_json::{Value, json};

const LINKED: &[u8] = br#"{"packages":[
    {"name":"tool","version":"1.2.3","source":"local","root":true},
    {"name":"time","version":"0.3.1","source":"crates.io"}]}"#;

fn tool() -> Vec<u8> {
    binaries::elf(".dep-v0", &miniz_oxide::deflate::compress_to_vec_zlib(LINKED, 6))
}

fn sbom(crates: &[(&str, &str)]) -> Value {
    let components: Vec<Value> = crates
        .iter()
        .map(|(name, version)| {
            json!({"type": "library", "name": name, "version": version,
                   "purl": format!("pkg:cargo/{name}@{version}")})
        })
        .collect();
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "metadata": {"component": {
            "type": "application",
            "name": "tool",
            "version": "1.2.3",
            "hashes": [{"alg": "SHA-256", "content": hex(&sha256(&tool()))}],
        }},
        "components": components,
    })
}

fn verdict(crates: &[(&str, &str)], attested: bool) -> (Verdict, Option<State>) {
    let folder = Folder::new("linked");
    folder.write("tool", &tool());
    folder.bundle("tool");
    if attested {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [common::subject("tool", &tool())],
            "predicateType": "https://cyclonedx.org/bom",
            "predicate": sbom(crates),
        });
        let bundle = folder.world.attest(&statement).bundle();
        folder.write("tool.att", bundle.to_string().as_bytes());
    } else {
        folder.write("tool.cdx.json", sbom(crates).to_string().as_bytes());
        folder.bundle("tool.cdx.json");
    }
    let report = folder.verify(demands(&World::identity()).require(Requirement::Sbom), "tool");
    (report.verdict, code(&report, "sbom/binary"))
}

#[test]
fn a_list_that_leaves_out_what_was_linked_is_none() {
    for attested in [false, true] {
        let good = [("time", "0.3.1")];
        assert_eq!(verdict(&good, attested), (Verdict::Verified, Some(State::Passed)));
        for wrong in [vec![], vec![("time", "0.3.2")], vec![("tim", "0.3.1")]] {
            let (verdict, finding) = verdict(&wrong, attested);
            assert_eq!(verdict, Verdict::Failed, "{wrong:?}");
            assert_eq!(finding, Some(State::Failed), "{wrong:?}");
        }
        let more = [("time", "0.3.1"), ("windows-sys", "0.61.0")];
        assert_eq!(verdict(&more, attested), (Verdict::Verified, Some(State::Warning)));
    }
}
