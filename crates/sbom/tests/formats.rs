//! Documents in one format and another: nothing gets lost on the way that is not told.
#![allow(clippy::unwrap_used, reason = "tests")]

use dsops_sbom::{
    Checksum, Creator, Document, Format, Identifier, Kind, License, Package, Party, Relation,
    Relationship, diff, read, write,
};
use proptest::prelude::*;

/// A small document that has something of everything both formats can say.
fn documents() -> impl Strategy<Value = Document> {
    let text = "[A-Za-z0-9][A-Za-z0-9 _.+-]{0,8}";
    let package = (
        (text, prop::option::of("[0-9]{1,2}\\.[0-9]{1,2}\\.[0-9](-rc\\.[0-9]|\\+[a-z0-9]{3})?")),
        prop::option::of(prop::sample::select(vec!["MIT", "MIT OR Apache-2.0", "own words"])),
        (prop::option::of("[a-f0-9]{64}"), prop::option::of(text), prop::option::of(text)),
        (any::<u8>(), any::<bool>(), any::<u8>(), 0_usize..5),
    );
    prop::collection::vec(package, 1..8).prop_map(|parts| {
        let mut document = Document {
            created: Some("2026-01-01T00:00:00Z".to_owned()),
            creators: vec![
                Creator::Tool { name: "maker".into(), version: Some("1.0.0".into()) },
                Creator::Party(Party::organization("Acme")),
            ],
            described: vec!["p0".to_owned()],
            ..Document::default()
        };
        let mut edge = |from: usize, to: usize, packages: &[Package]| {
            let (from, to) = (&packages[from], &packages[to]);
            let first = to.build_only && !from.build_only;
            let kind = if first { Relation::BuildDependsOn } else { Relation::DependsOn };
            document.relationships.push(Relationship {
                from: from.id.clone(),
                to: to.id.clone(),
                kind,
            });
        };
        let mut packages: Vec<Package> = Vec::new();
        for (index, (named, license, said, shape)) in parts.into_iter().enumerate() {
            let ((name, version), (sha256, supplier, description)) = (named, said);
            let (parent, build, other, kind) = shape;
            let parent = usize::from(parent) % index.max(1);
            let build_only = index > 0 && (build || packages[parent].build_only);
            packages.push(Package {
                id: format!("p{index}"),
                purl: version.as_ref().map(|version| format!("pkg:cargo/x{index}@{version}")),
                name: name.trim().to_owned(),
                version,
                kind: Some(
                    [
                        Kind::Application,
                        Kind::Library,
                        Kind::Framework,
                        Kind::Container,
                        Kind::File,
                    ][kind],
                ),
                identifiers: vec![Identifier {
                    kind: "cpe23Type".into(),
                    locator: format!("cpe:2.3:a:x:{index}:*:*:*:*:*:*:*:*"),
                }],
                checksums: sha256.map(Checksum::sha256).into_iter().collect(),
                supplier: supplier.map(|name| Party::organization(name.trim())),
                license: license
                    .filter(|text| *text != "own words")
                    .map(|text| License::Expression(text.to_owned())),
                download_location: Some(format!("https://example.org/{index}")),
                homepage: description.as_ref().map(|_| "https://example.org".to_owned()),
                description,
                build_only,
                ..Package::default()
            });
            if index > 0 {
                edge(parent, index, &packages);
                edge(index, usize::from(other) % (index + 1), &packages);
            }
        }
        document.name.clone_from(&packages[0].name);
        document.packages = packages;
        document.sort();
        document
    })
}

/// Writes and reads back, with its namespace forgotten.
fn through(document: &Document, format: Format) -> Document {
    let written = write(document, format);
    assert_eq!(written.lost, Vec::<String>::new(), "{}", format.name());
    let reading = read(written.text.as_bytes()).unwrap();
    assert_eq!(reading.faults, []);
    assert!(reading.dropped.is_empty(), "{:?}", reading.dropped);
    let mut document = reading.document;
    assert!(document.namespace.take().is_some());
    document.sort();
    document
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_back(document in documents()) {
        for format in Format::ALL {
            let back = through(&document, format);
            prop_assert_eq!(&back, &document, "{}", format.name());
            prop_assert!(diff(&document, &back).is_empty());
        }
        // From format to format, and back.
        let there = through(&through(&document, Format::Spdx23), Format::CycloneDx16);
        prop_assert_eq!(&through(&there, Format::Spdx23), &document);
    }

    #[test]
    fn order_does_not_matter(document in documents()) {
        let mut other = document.clone();
        other.packages.reverse();
        other.relationships.reverse();
        other.creators.reverse();
        for format in Format::ALL {
            prop_assert_eq!(write(&document, format), write(&other, format));
        }
    }

    #[test]
    fn another_content_has_another_name(document in documents()) {
        let mut other = document.clone();
        other.packages[0].version = Some("other".to_owned());
        for format in Format::ALL {
            let name = |document: &Document| {
                read(write(document, format).text.as_bytes()).unwrap().document.namespace
            };
            prop_assert_ne!(name(&document), name(&other));
        }
    }

    #[test]
    fn reading_never_panics(text in "(SPDXVersion: SPDX-2.3\n)?([A-Za-z]{1,8}: ?(<text>)?[ -~]{0,12}(</text>)?\n){0,8}") {
        let _ = read(text.as_bytes());
    }
}

/// What a format has no place for is told, whatever it is.
#[test]
fn what_is_lost_is_told() {
    let package = Package {
        id: "a_b".into(),
        name: "a".into(),
        kind: Some(Kind::Archive),
        file_name: Some("a.tar.gz".into()),
        supplier: Some(Party::person("Somebody")),
        license: Some(License::Name("own words".into())),
        checksums: vec![Checksum { algorithm: "SHA224".into(), value: "00".repeat(28) }],
        identifiers: vec![Identifier { kind: "swh".into(), locator: "swh:1:x".into() }],
        ..Package::default()
    };
    let other = Package { id: "other".into(), name: "other".into(), ..Package::default() };
    let edge = |kind: Relation| Relationship { from: "a_b".into(), to: "other".into(), kind };
    let document = Document {
        name: "the whole".into(),
        created: None,
        packages: vec![package, other],
        described: vec!["a_b".into(), "other".into()],
        relationships: vec![
            edge(Relation::Other("GENERATED_FROM".into())),
            edge(Relation::Contains),
        ],
        ..Document::default()
    };
    let lost = write(&document, Format::CycloneDx15).lost.join("\n");
    for part in [
        "about one thing",
        "the document's own name",
        "a supplier is a person",
        "names of files",
        "kinds of packages",
        "checksums by algorithms",
        "names of packages that are the same everywhere",
        "a part of another",
        "no dependencies",
    ] {
        assert!(lost.contains(part), "{part}: {lost}");
    }
    let lost = write(&document, Format::Spdx23).lost.join("\n");
    assert!(lost.contains("wants a date") && lost.contains("no expression"), "{lost}");
    // An identifier that SPDX forbids gets another.
    let text = write(&document, Format::Spdx23).text;
    assert!(text.contains("\"SPDXRef-a.b\"") && !text.contains("a_b"), "{text}");
}

#[test]
fn a_reader_drops_nothing_in_silence() {
    let text = br#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "vulnerabilities": [],
        "metadata": {"component": {"type": "application", "name": "a", "pedigree": {}}},
        "components": [{"type": "library", "name": "b", "pedigree": {}, "evidence": {}}]}"#;
    let dropped = read(text).unwrap().dropped;
    let seen: Vec<_> = dropped.iter().map(|(field, count)| (field.as_str(), *count)).collect();
    assert_eq!(
        seen,
        [("components[].evidence", 1), ("components[].pedigree", 2), ("vulnerabilities", 1)]
    );
}

/// Whatever identifiers and nesting a stranger chooses, what was read can be written and read again.
#[test]
fn strange_identifiers_and_parts() {
    let ids =
        ["a", "SPDXRef-a", "SPDXRef-SPDXRef-a", "SPDXRef-", "DOCUMENT", "a_b", "a.b", "\u{e4}"];
    let package = |id: &str| format!(r#"{{"SPDXID": "{id}", "name": "x"}}"#);
    let packages: Vec<String> = ids.iter().map(|id| package(id)).collect();
    let deep: Vec<String> = (0..100).map(|n| package(&format!("SPDXRef-deep-{n}"))).collect();
    let contains = |from: usize, to: usize| {
        format!(
            r#"{{"spdxElementId": "SPDXRef-deep-{from}", "relationshipType": "CONTAINS",
                "relatedSpdxElement": "SPDXRef-deep-{to}"}}"#
        )
    };
    // A chain, told from its end, and closed to a ring.
    let chain: Vec<String> = (1..100).rev().map(|n| contains(n - 1, n)).collect();
    let text = format!(
        r#"{{"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT",
            "packages": [{}, {}], "relationships": [{}, {}]}}"#,
        packages.join(","),
        deep.join(","),
        chain.join(","),
        contains(99, 0)
    );
    let first = read(text.as_bytes()).unwrap();
    let unique: std::collections::BTreeSet<&str> =
        first.document.packages.iter().map(|package| package.id.as_str()).collect();
    assert_eq!(unique.len(), ids.len() + deep.len());
    for format in Format::ALL {
        let again = read(write(&first.document, format).text.as_bytes()).unwrap();
        assert_eq!(again.document.packages.len(), first.document.packages.len());
    }
}

#[test]
fn what_has_no_place_is_told() {
    let dropped = |text: &str| -> Vec<String> {
        read(text.as_bytes()).unwrap().dropped.into_keys().collect()
    };
    let text = "SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nSPDXID: SPDXRef-DOCUMENT\n\
        DocumentComment: hello\n\
        PackageName: a\nSPDXID: SPDXRef-a\nFilesAnalyzed: false\n\
        ExternalRef: SECURITY advisory https://example.org\n\
        FileName: ./b\nSPDXID: SPDXRef-b\nFileType: SOURCE\n\
        Annotator: Person: Ada\n";
    assert_eq!(dropped(text), ["Annotator", "DocumentComment", "ExternalRef", "FileType"]);
    // The form demands more than that document has.
    let faults: Vec<_> =
        read(text.as_bytes()).unwrap().faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults, ["no DocumentNamespace", "no Creator", "no Created"]);
    let text = r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 2,
        "metadata": {"authors": [{"name": "Ada", "phone": "1"}]},
        "components": [{"type": "library", "name": "a", "supplier": {"name": "Acme", "url": ["u"]},
            "publisher": "Other", "author": "Acme", "swid": {"tagId": "t", "name": "n"},
            "externalReferences": [{"type": "website", "url": "u", "comment": "c"}]}]}"#;
    assert_eq!(
        dropped(text),
        [
            "components[].externalReferences[].comment",
            "components[].publisher",
            "components[].swid.name",
            "metadata.authors[].phone",
            "organization.url",
            "version",
        ]
    );
}
