//! Lists of ingredients: what they are about, and what is no such list.
#![allow(clippy::unwrap_used, reason = "tests")]

mod statements;

use dsops_release_verify::sbom::{
    Authority, Sbom, SbomError, SbomFormat, check_file, check_statement, unread,
};
use dsops_release_verify::{Algorithm, Finding, State};
use proptest::prelude::*;
use serde_json::{Value, json};
use statements::*;

fn spdx() -> Value {
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "octo-1.2.3",
        "documentNamespace": "https://example.org/octo-1.2.3",
        "creationInfo": {"created": "2026-01-01T00:00:00Z", "creators": ["Tool: octo-build"]},
        "documentDescribes": ["SPDXRef-octo"],
        "packages": [
            {
                "SPDXID": "SPDXRef-octo",
                "name": "octo.tar.gz",
                "versionInfo": "1.2.3",
                "supplier": "Organization: Octo",
                "downloadLocation": "NOASSERTION",
                "checksums": [
                    {"algorithm": "SHA1", "checksumValue": "00"},
                    {"algorithm": "SHA256", "checksumValue": sha(Algorithm::Sha256)},
                ],
                "externalRefs": [{
                    "referenceCategory": "PACKAGE-MANAGER",
                    "referenceType": "purl",
                    "referenceLocator": "pkg:generic/octo@1.2.3",
                }],
            },
            {
                "SPDXID": "SPDXRef-time",
                "name": "time",
                "versionInfo": "0.3.1",
                "supplier": "NOASSERTION",
                "downloadLocation": "NOASSERTION",
            },
        ],
        "relationships": [{
            "spdxElementId": "SPDXRef-octo",
            "relationshipType": "DEPENDS_ON",
            "relatedSpdxElement": "SPDXRef-time",
        }],
    })
}

fn tag_value() -> String {
    format!(
        "SPDXVersion: SPDX-2.3\n\
         DataLicense: CC0-1.0\n\
         SPDXID: SPDXRef-DOCUMENT\n\
         DocumentName: octo-1.2.3\n\
         DocumentNamespace: https://example.org/octo-1.2.3\n\
         # a remark\n\
         Creator: Tool: octo-build\n\
         Created: 2026-01-01T00:00:00Z\n\
         \n\
         PackageName: octo.tar.gz\r\n\
         SPDXID: SPDXRef-octo\n\
         PackageVersion: 1.2.3\n\
         PackageSupplier: Organization: Octo\n\
         PackageComment: <text>two\n\
         PackageName: lines</text>\n\
         PackageChecksum: SHA256: {}\n\
         ExternalRef: PACKAGE-MANAGER purl pkg:generic/octo@1.2.3\n\
         PackageName: time\n\
         SPDXID: SPDXRef-time\n\
         PackageVersion: 0.3.1\n\
         Relationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-octo\n\
         Relationship: SPDXRef-octo DEPENDS_ON SPDXRef-time\n",
        sha(Algorithm::Sha256)
    )
}

fn cyclonedx() -> Value {
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "metadata": {
            "timestamp": "2026-01-01T00:00:00Z",
            "tools": {"components": [{"type": "application", "name": "octo-build"}]},
            "component": {
                "bom-ref": "octo",
                "type": "application",
                "name": "octo.tar.gz",
                "version": "1.2.3",
                "supplier": {"name": "Octo"},
                "purl": "pkg:generic/octo@1.2.3",
                "hashes": [
                    {"alg": "MD5", "content": "00"},
                    {"alg": "SHA-256", "content": sha(Algorithm::Sha256)},
                ],
            },
        },
        "components": [{
            "bom-ref": "time",
            "type": "library",
            "name": "time",
            "version": "0.3.1",
            "components": [{"type": "file", "name": "time.rs"}],
        }],
        "dependencies": [{"ref": "octo", "dependsOn": ["time"]}],
    })
}

fn read(value: &Value) -> Result<Sbom, SbomError> {
    Sbom::read(value.to_string().as_bytes())
}

fn about(data: &str, authority: Authority) -> Vec<Finding> {
    check_file(data.as_bytes(), &artifact(), authority, &origin())
}

fn state_of(findings: &[Finding], code: &str) -> State {
    findings.iter().find(|finding| finding.code == code).unwrap().state
}

const NONE: [&str; 0] = [];

#[test]
fn the_three_forms_say_the_same() {
    let forms = [
        (spdx().to_string(), SbomFormat::SpdxJson),
        (tag_value(), SbomFormat::SpdxTagValue),
        (cyclonedx().to_string(), SbomFormat::CycloneDx),
    ];
    for (text, format) in forms {
        let sbom = Sbom::read(text.as_bytes()).unwrap();
        assert_eq!(sbom.format(), format);
        let described: Vec<_> =
            sbom.described().map(|c| (c.name(), c.version(), c.purl())).collect();
        assert_eq!(described, [("octo.tar.gz", Some("1.2.3"), Some("pkg:generic/octo@1.2.3"))]);
        assert!(
            sbom.components().iter().any(|c| c.name() == "time" && c.version() == Some("0.3.1"))
        );

        let findings = about(&text, Authority::Document);
        assert_eq!(problems(&findings), NONE);
        assert_eq!(state_of(&findings, "sbom/artifact"), State::Passed);
        let note = findings.iter().find(|f| f.code == "sbom/minimum-elements").unwrap();
        assert_eq!(note.state, State::Note);
        assert!(
            note.message.contains("1 of 2 have no supplier; 1 of 2 have no unique identifier"),
            "{}",
            note.message
        );
        assert!(!findings.iter().any(|f| f.code == "sbom/form"), "{findings:?}");
        // Nobody signed it: then it proves nothing.
        assert_eq!(problems(&about(&text, Authority::Nobody)), ["sbom/signed"]);
    }
}

#[test]
fn a_list_about_something_else() {
    let other = json!("00".repeat(32));
    let checksum = "/packages/0/checksums/1/checksumValue";
    let hash = "/metadata/component/hashes/1/content";
    let value = edit(spdx(), checksum, Some(other.clone()));
    assert_eq!(problems(&about(&value.to_string(), Authority::Document)), ["sbom/artifact"]);
    // A statement that binds it does not make it right.
    assert_eq!(problems(&about(&value.to_string(), Authority::Statement)), ["sbom/artifact"]);
    let value = edit(cyclonedx(), hash, Some(other.clone()));
    assert_eq!(problems(&about(&value.to_string(), Authority::Document)), ["sbom/artifact"]);
    let text = tag_value().replace(&sha(Algorithm::Sha256), &"00".repeat(32));
    assert_eq!(problems(&about(&text, Authority::Document)), ["sbom/artifact"]);
    // It names the artifact, but as a part of something else.
    let mut value = edit(spdx(), checksum, Some(other.clone()));
    value["files"] = json!([{
        "SPDXID": "SPDXRef-file",
        "fileName": "./octo.tar.gz",
        "checksums": [{"algorithm": "SHA256", "checksumValue": sha(Algorithm::Sha256)}],
    }]);
    let findings = about(&value.to_string(), Authority::Document);
    assert_eq!(problems(&findings), ["sbom/artifact"]);
    assert!(findings[1].message.contains("only a part"));
    // One digest is right, another is not.
    let mut value = spdx();
    value["packages"][0]["checksums"] = json!([
        {"algorithm": "SHA256", "checksumValue": sha(Algorithm::Sha256)},
        {"algorithm": "SHA512", "checksumValue": "00".repeat(64)},
    ]);
    assert_eq!(problems(&about(&value.to_string(), Authority::Document)), ["sbom/artifact"]);
}

#[test]
fn a_list_that_names_nothing_by_a_digest() {
    for value in [
        edit(spdx(), "/packages/0/checksums", None),
        edit(cyclonedx(), "/metadata/component/hashes", None),
        edit(cyclonedx(), "/metadata/component", None),
    ] {
        let findings = about(&value.to_string(), Authority::Document);
        assert_eq!(state_of(&findings, "sbom/artifact"), State::Undecided);
        // Its statement says what it is about.
        assert_eq!(problems(&about(&value.to_string(), Authority::Statement)), NONE);
    }
}

#[test]
fn a_release_that_lists_its_files() {
    let mut value = edit(spdx(), "/packages/0/checksums", None);
    value["files"] = json!([
        {"SPDXID": "SPDXRef-a", "fileName": "./other",
         "checksums": [{"algorithm": "SHA256", "checksumValue": "00".repeat(32)}]},
        {"SPDXID": "SPDXRef-b", "fileName": "./octo.tar.gz",
         "checksums": [{"algorithm": "SHA256", "checksumValue": sha(Algorithm::Sha256)}]},
    ]);
    let findings = about(&value.to_string(), Authority::Document);
    assert_eq!(problems(&findings), NONE);
    assert!(findings[1].message.contains("as a part"));
}

#[test]
fn digests_where_scanners_put_them() {
    let digest = format!("sha256:{}", sha(Algorithm::Sha256));
    let bare = || edit(cyclonedx(), "/metadata/component/hashes", None);
    let version = "/metadata/component/version";
    let purl = "/metadata/component/purl";
    let escaped = digest.replace(':', "%3A");
    for value in [
        edit(bare(), version, Some(json!(digest))),
        edit(bare(), purl, Some(json!(format!("pkg:oci/octo@{escaped}?tag=1")))),
        edit(
            bare(),
            purl,
            Some(json!(format!("pkg:generic/octo@1?a=b&checksum={digest},sha1:00"))),
        ),
        edit(
            edit(spdx(), "/packages/0/checksums", None),
            "/packages/0/versionInfo",
            Some(json!(digest)),
        ),
    ] {
        let findings = about(&value.to_string(), Authority::Document);
        assert_eq!(state_of(&findings, "sbom/artifact"), State::Passed, "{value}");
    }
    for value in [
        edit(bare(), version, Some(json!(format!("{digest} ")))),
        edit(bare(), purl, Some(json!(format!("pkg:generic/octo@{escaped}")))),
        edit(bare(), purl, Some(json!(format!("pkg:generic/octo@1#checksum={digest}")))),
    ] {
        let findings = about(&value.to_string(), Authority::Document);
        assert_eq!(state_of(&findings, "sbom/artifact"), State::Undecided, "{value}");
    }
}

#[test]
fn forms_that_are_recognised_but_not_read() {
    for (text, form) in [
        (
            r#"{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": []}"#,
            "SPDX 3",
        ),
        (r#"<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.6"/>"#, "XML"),
        (r#"<rdf:RDF xmlns:spdx="http://spdx.org/rdf/terms#"/>"#, "RDF"),
        ("spdxVersion: SPDX-2.3\nname: x\n", "YAML"),
        (r#"{"spdxVersion": "SPDX-2.1"}"#, "SPDX-2.1"),
        (r#"{"spdxVersion": "SPDX-2.30"}"#, "SPDX-2.30"),
        ("SPDXVersion: SPDX-2.1\n", "SPDX-2.1"),
        (r#"{"bomFormat": "CycloneDX", "specVersion": "1.8"}"#, "1.8"),
        (r#"{"bomFormat": "CycloneDX", "specVersion": "2.0"}"#, "2.0"),
    ] {
        let error = Sbom::read(text.as_bytes()).unwrap_err();
        assert!(matches!(error, SbomError::Unsupported { .. }), "{text}: {error:?}");
        assert!(error.to_string().contains(form), "{error}");
        assert_eq!(unread(&error, &origin()).state, State::Undecided);
    }
    for text in ["", "{}", "[]", "hello", r#"{"bomFormat": "Other"}"#, r#"{"artifacts": []}"#] {
        assert_eq!(Sbom::read(text.as_bytes()), Err(SbomError::Unknown), "{text}");
    }
}

#[test]
fn documents_that_are_malformed() {
    let spdx_cases = [
        ("/SPDXID", Some(json!("SPDXRef-Other"))),
        ("/SPDXID", None),
        ("/packages", Some(json!({}))),
        ("/packages/0/SPDXID", None),
        ("/packages/0/SPDXID", Some(json!("SPDXRef-time"))),
        ("/packages/0/SPDXID", Some(json!("SPDXRef-DOCUMENT"))),
        ("/packages/0/name", Some(json!(1))),
        ("/packages/0/checksums/1/checksumValue", Some(json!("00"))),
        ("/packages/0/checksums/1/checksumValue", Some(json!("zz".repeat(32)))),
        ("/documentDescribes", Some(json!([1]))),
        ("/relationships/0/relationshipType", None),
        ("/creationInfo", Some(json!("x"))),
    ];
    for (pointer, new) in spdx_cases {
        let error = read(&edit(spdx(), pointer, new)).unwrap_err();
        assert!(matches!(error, SbomError::Malformed { .. }), "{pointer}: {error:?}");
        assert_eq!(unread(&error, &origin()).state, State::Failed);
    }
    for (pointer, new) in [
        ("/specVersion", Some(json!(1.6))),
        ("/specVersion", None),
        ("/metadata/component/name", None),
        ("/metadata/component/type", None),
        ("/metadata/component/hashes/1/content", Some(json!("00"))),
        ("/components/0/bom-ref", Some(json!("octo"))),
        ("/components", Some(json!([1]))),
        ("/dependencies/0/ref", None),
        ("/dependencies/0/dependsOn", Some(json!([1]))),
    ] {
        let error = read(&edit(cyclonedx(), pointer, new)).unwrap_err();
        assert!(matches!(error, SbomError::Malformed { .. }), "{pointer}: {error:?}");
    }
    let mut nested = json!({"type": "library", "name": "x"});
    for _ in 0..40 {
        nested = json!({"type": "library", "name": "x", "components": [nested]});
    }
    let error = read(&edit(cyclonedx(), "/components/0", Some(nested))).unwrap_err();
    assert!(error.to_string().contains("too deep"), "{error}");

    let good = tag_value();
    for (from, to) in [
        ("SPDXID: SPDXRef-DOCUMENT", "SPDXID: SPDXRef-Other"),
        ("SPDXID: SPDXRef-time\n", ""),
        ("SPDXID: SPDXRef-time", "SPDXID: SPDXRef-octo"),
        ("SPDXID: SPDXRef-time", "SPDXID: SPDXRef-time\nSPDXID: SPDXRef-time2"),
        ("lines</text>", "lines"),
        ("lines</text>", "lines</text> more"),
        ("# a remark", "a remark"),
        ("# a remark", "SPDXVersion: SPDX-2.3"),
        ("# a remark", "DocumentName: another"),
        ("DEPENDS_ON SPDXRef-time", "DEPENDS_ON"),
        ("SHA256: ", "SHA256: 00"),
        ("SHA256: ", "SHA256 "),
    ] {
        assert!(good.contains(from), "{from}");
        let error = Sbom::read(good.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(
            matches!(&error, SbomError::Malformed { path, .. } if path.starts_with("line ")),
            "{to}: {error:?}"
        );
    }
    let twice = r#"{"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "SPDXID": "x"}"#;
    assert!(matches!(Sbom::read(twice.as_bytes()), Err(SbomError::Malformed { .. })));
    let marked = format!("\u{feff}{}", spdx());
    assert!(matches!(Sbom::read(marked.as_bytes()), Err(SbomError::Malformed { .. })));
}

#[test]
fn small_faults_are_a_warning() {
    for (value, fault) in [
        (edit(spdx(), "/documentNamespace", None), "no documentNamespace"),
        (edit(spdx(), "/creationInfo", None), "no creationInfo"),
        (
            edit(spdx(), "/relationships/0/relatedSpdxElement", Some(json!("SPDXRef-gone"))),
            "`SPDXRef-gone` is related",
        ),
        (
            edit(spdx(), "/documentDescribes/-", Some(json!("SPDXRef-gone"))),
            "`SPDXRef-gone` is described",
        ),
        (
            edit(cyclonedx(), "/dependencies/0/dependsOn/-", Some(json!("gone"))),
            "`gone` is related",
        ),
    ] {
        let findings = about(&value.to_string(), Authority::Document);
        assert_eq!(problems(&findings), NONE);
        let form = findings.iter().find(|finding| finding.code == "sbom/form").unwrap();
        assert_eq!(form.state, State::Warning);
        assert!(form.message.contains(fault), "{}", form.message);
    }
    let elsewhere = json!("DocumentRef-other:SPDXRef-x");
    let value = edit(spdx(), "/relationships/0/relatedSpdxElement", Some(elsewhere));
    assert!(about(&value.to_string(), Authority::Document).iter().all(|f| f.code != "sbom/form"));
}

#[test]
fn statements_carry_documents() {
    let carry = |kind: &str, predicate: Value| {
        statement(&json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": sha(Algorithm::Sha256)}}],
            "predicateType": kind,
            "predicate": predicate,
        }))
    };
    let check = |kind: &str, predicate: Value| {
        problems(&check_statement(&carry(kind, predicate), &artifact(), &origin()))
    };
    let (spdx_type, cyclonedx_type) =
        ("https://spdx.dev/Document/v2.3", "https://cyclonedx.org/bom");
    assert_eq!(check(spdx_type, spdx()), NONE);
    assert_eq!(check(cyclonedx_type, cyclonedx()), NONE);
    // cosign's older wrapping.
    assert_eq!(check(spdx_type, json!({"Data": tag_value(), "Timestamp": "2026"})), NONE);
    assert_eq!(check(spdx_type, json!({"Data": spdx()})), NONE);
    assert_eq!(check(spdx_type, json!({})), ["sbom/format"]);
    assert_eq!(check("https://example.org/p", spdx()), ["statement/format"]);
    let other = edit(spdx(), "/packages/0/checksums/1/checksumValue", Some(json!("00".repeat(32))));
    assert_eq!(check(spdx_type, other), ["sbom/artifact"]);
    let mut elsewhere = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": "00".repeat(32)}}],
        "predicateType": spdx_type,
    });
    elsewhere["predicate"] = spdx();
    let findings = check_statement(&statement(&elsewhere), &artifact(), &origin());
    assert_eq!(problems(&findings), ["statement/subject"]);
}

proptest! {
    #[test]
    fn reading_never_panics(text in "(SPDXVersion: SPDX-2.3\n)?([A-Za-z]{1,8}: ?(<text>)?[ -~]{0,12}(</text>)?\n){0,8}") {
        let _ = Sbom::read(text.as_bytes());
    }

    #[test]
    fn any_change_of_a_digest_is_noticed(at in 0_usize..64, digit in "[0-9a-f]") {
        let good = sha(Algorithm::Sha256);
        let mut changed = good.clone();
        changed.replace_range(at..=at, &digit);
        let text = tag_value().replace(&good, &changed);
        let found = problems(&about(&text, Authority::Document));
        prop_assert_eq!(found.is_empty(), changed == good);
    }
}
