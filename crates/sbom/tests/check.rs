//! Mutants of a good document: each is refused, by the check that is there for it.
#![allow(clippy::unwrap_used, reason = "tests")]

use dsops_sbom::auditable::LinkedCrates;
use dsops_sbom::cargo::Lockfile;
use dsops_sbom::{
    CODES, Creator, Document, Format, License, Problem, Severity, check, check_binary,
    check_lockfile, minimum_elements, read, write,
};
use serde_json::{Value, json};

const LIST: &[u8] = br#"{"packages":[
    {"name":"app","version":"0.1.0","source":"local","dependencies":[1,2],"root":true},
    {"name":"time","version":"0.3.1","source":"crates.io"},
    {"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"}]}"#;

const SHA256: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn linked() -> LinkedCrates {
    LinkedCrates::from_list(LIST).unwrap()
}

fn lockfile() -> Lockfile {
    let one = |name: &str, version: &str, digit: &str| {
        let checksum = digit.repeat(64);
        format!(
            "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"registry+x\"\nchecksum = \"{checksum}\"\n"
        )
    };
    let own = "[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n";
    let text =
        [own, &one("time", "0.3.1", "1"), &one("cc", "1.0.0", "2"), &one("dev", "1.0.0", "3")];
    Lockfile::read(text.concat().as_bytes()).unwrap()
}

fn good() -> Document {
    let mut document = linked().document();
    dsops_sbom::auditable::add_checksums(&mut document, &lockfile());
    document.describe_file("app", SHA256);
    document.created = Some("2026-01-01T00:00:00Z".into());
    document.creators = vec![Creator::Tool { name: "maker".into(), version: None }];
    for package in &mut document.packages {
        package.license = Some(License::Expression("MIT".into()));
        package.supplier = Some(dsops_sbom::Party::organization("Acme"));
    }
    document
}

/// Everything that is wrong with a text, by any check, notes aside.
fn problems(text: &str) -> Vec<Problem> {
    let reading = read(text.as_bytes()).unwrap();
    let mut found = check(&reading);
    found.extend(check_binary(&reading.document, &linked(), SHA256));
    found.extend(check_lockfile(&reading.document, &lockfile()));
    found.retain(|problem| problem.severity != Severity::Note);
    found
}

#[test]
fn a_good_document_has_no_problem() {
    for format in Format::ALL {
        let text = write(&good(), format).text;
        assert_eq!(problems(&text), [], "{}", format.name());
        assert_eq!(minimum_elements(&read(text.as_bytes()).unwrap().document), [""; 0]);
    }
    // What tests need is locked, too: worth a note.
    let notes = check_lockfile(&good(), &lockfile());
    assert_eq!(notes.len(), 1);
    assert_eq!(
        (notes[0].severity, notes[0].names.as_slice()),
        (Severity::Note, &["dev 1.0.0".to_owned()][..])
    );
}

/// What a change makes wrong, and the change.
type Mutant = (&'static str, Box<dyn Fn(&mut Value)>);

/// The same, of what is not written yet.
type Lack = (&'static str, fn(&mut Document));

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn every_mutant_is_refused() {
    let text = write(&good(), Format::Spdx23).text;
    let value: Value = serde_json::from_str(&text).unwrap();
    let at = |name: &str| {
        let packages = value["packages"].as_array().unwrap();
        packages.iter().position(|package| package["name"] == name).unwrap()
    };
    let (app, time, cc) = (at("app"), at("time"), at("cc"));
    let mutants: Vec<Mutant> = vec![
        (
            "sbom/binary",
            Box::new(move |v| {
                v["packages"].as_array_mut().unwrap().remove(time);
            }),
        ),
        (
            "sbom/binary",
            Box::new(move |v| {
                v["packages"].as_array_mut().unwrap().remove(cc);
            }),
        ),
        (
            "sbom/binary",
            Box::new(move |v| {
                let mut more = v["packages"][time].clone();
                more["SPDXID"] = json!("SPDXRef-more");
                more["externalRefs"][0]["referenceLocator"] = json!("pkg:cargo/more@1.0.0");
                v["packages"].as_array_mut().unwrap().push(more);
            }),
        ),
        (
            "sbom/binary",
            Box::new(move |v| {
                v["packages"][time]["externalRefs"][0]["referenceLocator"] =
                    json!("pkg:cargo/time@0.3.2");
            }),
        ),
        (
            "sbom/artifact",
            Box::new(move |v| {
                v["packages"][app]["checksums"][0]["checksumValue"] = json!("b".repeat(64));
            }),
        ),
        (
            "sbom/lockfile",
            Box::new(move |v| {
                v["packages"][time]["checksums"][0]["checksumValue"] = json!("b".repeat(64));
            }),
        ),
        (
            "sbom/lockfile",
            Box::new(move |v| {
                v["packages"][time].as_object_mut().unwrap().remove("checksums");
            }),
        ),
        (
            "sbom/form",
            Box::new(|v| {
                v.as_object_mut().unwrap().remove("documentNamespace");
            }),
        ),
        (
            "sbom/form",
            Box::new(|v| {
                v.as_object_mut().unwrap().remove("dataLicense");
            }),
        ),
        (
            "sbom/form",
            Box::new(|v| {
                v.as_object_mut().unwrap().remove("creationInfo");
            }),
        ),
        ("sbom/field", Box::new(|v| v["creationInfo"]["created"] = json!("yesterday"))),
        ("sbom/field", Box::new(move |v| v["packages"][time]["name"] = json!(" "))),
        (
            "sbom/field",
            Box::new(move |v| {
                v["packages"][cc]["checksums"][0] =
                    json!({"algorithm": "SHA1", "checksumValue": "00"});
            }),
        ),
        (
            "sbom/field",
            Box::new(move |v| {
                v["packages"][cc]["externalRefs"][0]["referenceLocator"] = json!("cargo/cc@1.0.0");
            }),
        ),
        (
            "sbom/relationship",
            Box::new(|v| {
                v["relationships"][1]["relatedSpdxElement"] = json!("SPDXRef-gone");
            }),
        ),
        (
            "sbom/relationship",
            Box::new(|v| {
                v["relationships"][0]["relatedSpdxElement"] = json!("SPDXRef-gone");
            }),
        ),
        (
            "sbom/subject",
            Box::new(|v| {
                v["relationships"].as_array_mut().unwrap().remove(0);
            }),
        ),
    ];
    for (index, (code, mutate)) in mutants.iter().enumerate() {
        let mut mutant = value.clone();
        mutate(&mut mutant);
        let found = problems(&mutant.to_string());
        assert!(found.iter().any(|problem| problem.code == *code), "{index} {code}: {found:?}");
    }
    // What contradicts itself is not read at all.
    let mut twice = value.clone();
    let copy = twice["packages"][time].clone();
    twice["packages"].as_array_mut().unwrap().push(copy);
    assert!(read(twice.to_string().as_bytes()).unwrap_err().to_string().contains("occurs twice"));
    let text = text.replacen("\"SPDXID\"", "\"name\": \"x\",\n  \"SPDXID\"", 1);
    assert!(read(text.as_bytes()).unwrap_err().to_string().contains("occurs twice"));
}

#[test]
fn a_document_of_another_file_is_an_error_and_one_that_lists_the_program_is_not() {
    let of = |document: &Document| -> Vec<(&str, Severity)> {
        let found = check_binary(document, &linked(), SHA256);
        found.iter().map(|problem| (problem.code, problem.severity)).collect()
    };
    assert_eq!(of(&good()), []);
    let mut other = good();
    other.describe_file("other", &"b".repeat(64));
    assert_eq!(of(&other), [("sbom/artifact", Severity::Error)]);
    // One about an archive, which lists what is in it.
    let mut archive = other.clone();
    archive.packages.push(dsops_sbom::Package {
        id: "the-program".to_owned(),
        name: "app".to_owned(),
        kind: Some(dsops_sbom::Kind::File),
        checksums: vec![dsops_sbom::Checksum::sha256(SHA256)],
        ..dsops_sbom::Package::default()
    });
    assert_eq!(of(&archive), []);
    let mut silent = good();
    silent.packages.iter_mut().for_each(|package| package.checksums.clear());
    assert_eq!(of(&silent), [("sbom/artifact", Severity::Warning)]);
}

#[test]
fn minimum_elements_are_missed() {
    let mutants: [Lack; 6] = [
        ("1 of 3 have no version", |d| d.packages[0].version = None),
        ("3 of 3 have no supplier", |d| d.packages.iter_mut().for_each(|p| p.supplier = None)),
        ("1 of 3 have no unique identifier", |d| d.packages[0].purl = None),
        ("what depends on what", |d| d.relationships.clear()),
        ("its author is not named", |d| d.creators.clear()),
        ("it has no date", |d| d.created = None),
    ];
    for (missed, mutate) in mutants {
        let mut document = good();
        mutate(&mut document);
        let found = minimum_elements(&document);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(missed), "{found:?}");
    }
}

#[test]
fn codes_are_sorted_and_have_a_meaning() {
    assert!(CODES.is_sorted_by(|one, next| one.0 < next.0));
    assert!(CODES.iter().all(|(code, text)| code.starts_with("sbom/") && text.ends_with('.')));
}

#[test]
fn a_lock_file_says_something_only_of_what_is_listed() {
    // Nothing that it could hold against the list.
    let mut none = good();
    none.packages.iter_mut().for_each(|package| package.purl = None);
    let found = check_lockfile(&none, &lockfile());
    assert!(found.iter().any(|one| one.severity == Severity::Error), "{found:?}");
    // Who says that all of it is the subject does not get out of the checksums.
    let mut all = good();
    all.described = all.packages.iter().map(|package| package.id.clone()).collect();
    for package in &mut all.packages {
        package.checksums = vec![dsops_sbom::Checksum::sha256("b".repeat(64))];
    }
    let found = check_lockfile(&all, &lockfile());
    assert!(found.iter().any(|one| one.message.contains("another checksum")), "{found:?}");
}

/// What takes the square of it would never end.
#[test]
fn documents_of_many_subjects_and_versions() {
    const MANY: usize = 60_000;
    let package = |number: usize| dsops_sbom::Package {
        id: format!("p{number}"),
        name: "a".to_owned(),
        version: Some(format!("{number:06}")),
        purl: Some(format!("pkg:cargo/a@{number}.0.0")),
        ..dsops_sbom::Package::default()
    };
    let document = |numbers: &mut dyn Iterator<Item = usize>| {
        let packages: Vec<_> = numbers.map(package).collect();
        let described = packages.iter().rev().map(|package| package.id.clone()).collect();
        Document { packages, described, ..Document::default() }
    };
    let (old, new) = (document(&mut (0..MANY)), document(&mut (1..=MANY).rev()));
    assert_eq!(old.subjects().count(), MANY);
    let found = dsops_sbom::diff(&old, &new);
    let versions: Vec<_> = found.changed.iter().map(|one| one.aspect).collect();
    assert_eq!(versions, [dsops_sbom::Aspect::Version]);
    assert!(!check_lockfile(&old, &lockfile()).is_empty());
}
