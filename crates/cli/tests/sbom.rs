//! `dsops sbom` through the real binary: a list held against the program that it is, or is not, about.
#![cfg(all(unix, feature = "sbom"))]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

use common::{Project, code, stderr};
use dsops_testkit::binaries;
use serde_json::Value;

/// A program with the list that `cargo auditable` puts into one.
fn program(crates: &str) -> Vec<u8> {
    let list = format!(r#"{{"packages":[{crates}]}}"#);
    binaries::elf(".dep-v0", &miniz_oxide::deflate::compress_to_vec_zlib(list.as_bytes(), 6))
}

const APP: &str = r#"{"name":"app","version":"1.0.0","source":"local","dependencies":[1],"root":true},
    {"name":"time","version":"0.3.1","source":"crates.io"}"#;

#[test]
fn the_list_of_another_program_is_not_in_order() {
    let project = Project::empty();
    std::fs::write(project.path("app"), program(APP)).unwrap();
    // The same crates, and another file.
    std::fs::write(project.path("other"), [program(APP), b" ".to_vec()].concat()).unwrap();
    project.write("app.spdx.json", &project.ok(&["sbom", "generate", "app"]));
    let check = |file: &str, program: &str| {
        let output = project.run(&["sbom", "check", file, "--binary", program, "--json"]);
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(value["exit_code"], code(&output), "{value:#}");
        assert_eq!(value["in_order"], code(&output) == 0, "{value:#}");
        let failed: Vec<String> = value["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["state"] == "failed")
            .map(|finding| finding["code"].as_str().unwrap().to_owned())
            .collect();
        (code(&output), failed)
    };
    assert_eq!(check("app.spdx.json", "app"), (0, vec![]));
    assert_eq!(check("app.spdx.json", "other"), (1, vec!["sbom/artifact".to_owned()]));
    // A package more, without a package URL.
    let mut document: Value = serde_json::from_str(&project.read("app.spdx.json")).unwrap();
    let packages = document["packages"].as_array_mut().unwrap();
    let time = packages.iter().find(|package| package["name"] == "time").unwrap();
    let mut more = time.clone();
    more.as_object_mut().unwrap().remove("externalRefs");
    more["SPDXID"] = "SPDXRef-more".into();
    more["name"] = "left-pad".into();
    packages.push(more);
    project.write("more.spdx.json", &document.to_string());
    assert_eq!(check("more.spdx.json", "app"), (1, vec!["sbom/binary".to_owned()]));
    let output = project.run(&["sbom", "check", "more.spdx.json", "--binary", "app"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("found:    left-pad 0.3.1"), "{text}{}", stderr(&output));
}
