//! Workspaces as cargo sees them: a small one at two places, and our own.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use dsops_sbom::cargo::{CargoError, Lockfile, Options, generate};
use dsops_sbom::{Format, Party, Severity, check, check_lockfile, minimum_elements, read, write};

fn options() -> Options {
    Options {
        cargo: PathBuf::from(env!("CARGO")),
        offline: true,
        supplier: Some(Party::organization("Acme")),
        ..Options::default()
    }
}

/// A workspace that needs nothing from elsewhere.
fn workspace(folder: &Path) {
    let member = |name: &str, more: &str| {
        let own = folder.join(name);
        fs::create_dir_all(own.join("src")).unwrap();
        let text = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\nlicense = \"MIT\"\n{more}\n"
        );
        fs::write(own.join("Cargo.toml"), text).unwrap();
        fs::write(own.join("src/lib.rs"), "").unwrap();
    };
    let all = ["app", "extra", "helper", "maker", "own_macro", "tester"];
    let list = all.map(|name| format!("\"{name}\"")).join(", ");
    fs::create_dir_all(folder).unwrap();
    let text =
        format!("[workspace]\nresolver = \"3\"\nmembers = [{list}]\ndefault-members = [\"app\"]\n");
    fs::write(folder.join("Cargo.toml"), text).unwrap();
    let needs = "[features]\nmore = [\"dep:extra\"]\n\
        [dependencies]\nhelper = { path = \"../helper\" }\nown_macro = { path = \"../own_macro\" }\n\
        extra = { path = \"../extra\", optional = true }\n\
        [build-dependencies]\nmaker = { path = \"../maker\" }\n\
        [dev-dependencies]\ntester = { path = \"../tester\" }\n\
        [target.'cfg(windows)'.dependencies]\nextra = { path = \"../extra\" }\n";
    member("app", needs);
    fs::write(folder.join("app/src/main.rs"), "fn main() {}").unwrap();
    fs::write(folder.join("app/build.rs"), "fn main() { panic!(\"this must not run\") }").unwrap();
    member("own_macro", "[lib]\nproc-macro = true\n");
    for name in ["extra", "maker"] {
        member(name, "");
    }
    // What tests ask of a dependency is not built into the program.
    let optional = "[dependencies]\nextra = { path = \"../extra\", optional = true }\n\
        [features]\nfull = [\"dep:extra\"]\n";
    member("helper", optional);
    member("tester", "[dependencies]\nhelper = { path = \"../helper\", features = [\"full\"] }\n");
    let lock: Vec<String> = all
        .iter()
        .map(|name| {
            let needs = match *name {
                "app" => {
                    "dependencies = [\n \"extra\",\n \"helper\",\n \"maker\",\n \"own_macro\",\n \"tester\",\n]\n"
                }
                "helper" => "dependencies = [\n \"extra\",\n]\n",
                "tester" => "dependencies = [\n \"helper\",\n]\n",
                _ => "",
            };
            format!("[[package]]\nname = \"{name}\"\nversion = \"0.1.0\"\n{needs}")
        })
        .collect();
    fs::write(folder.join("Cargo.lock"), format!("version = 4\n\n{}", lock.join("\n"))).unwrap();
}

fn names(path: &Path, options: &Options) -> Vec<String> {
    let document = generate(path, options).unwrap();
    document
        .packages
        .iter()
        .map(|p| format!("{}{}", p.name, if p.build_only { " (build)" } else { "" }))
        .collect()
}

#[test]
fn the_list_is_for_the_features_and_the_target() {
    let folder = tempfile::tempdir().unwrap();
    workspace(folder.path());
    let linux = Options { target: Some("x86_64-unknown-linux-gnu".into()), ..options() };
    let plain = ["app", "helper", "maker (build)", "own_macro (build)"];
    assert_eq!(names(folder.path(), &linux), plain);
    let more = ["app", "extra", "helper", "maker (build)", "own_macro (build)"];
    let with_more = Options { features: vec!["more".into()], ..linux.clone() };
    assert_eq!(names(folder.path(), &with_more), more);
    assert_eq!(names(folder.path(), &Options { all_features: true, ..linux.clone() }), more);
    let windows = Options { target: Some("x86_64-pc-windows-msvc".into()), ..options() };
    assert_eq!(names(folder.path(), &windows), more);
    // By the package, by the program, by the manifest.
    let helper = Options { package: Some("helper".into()), ..linux.clone() };
    assert_eq!(names(folder.path(), &helper), ["helper"]);
    let bin = Options { bin: Some("app".into()), ..linux.clone() };
    assert_eq!(names(folder.path(), &bin), plain);
    assert_eq!(names(&folder.path().join("maker/Cargo.toml"), &linux), ["maker"]);
}

#[test]
fn two_checkouts_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<Vec<String>> = ["one", "another/place"]
        .iter()
        .map(|name| {
            let path = folder.path().join(name);
            workspace(&path);
            let mut document = generate(&path, &options()).unwrap();
            document.created = Some("2026-01-01T00:00:00Z".into());
            Format::ALL.map(|format| write(&document, format).text).to_vec()
        })
        .collect();
    assert_eq!(texts[0], texts[1]);
    let path = folder.path().to_str().unwrap();
    assert!(texts[0].iter().all(|text| !text.contains(path)));
}

#[test]
fn what_cargo_refuses_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = generate(folder.path(), &options()).unwrap_err();
    assert!(matches!(error, CargoError::Failed { .. }), "{error:?}");
    workspace(folder.path());
    let none = Options { cargo: PathBuf::from("/nowhere/cargo"), ..options() };
    assert!(matches!(generate(folder.path(), &none), Err(CargoError::Start { .. })));
    let wrong = Options { features: vec!["no-such".into()], ..options() };
    let error = generate(folder.path(), &wrong).unwrap_err().to_string();
    assert!(error.contains("no-such"), "{error}");
    fs::remove_file(folder.path().join("Cargo.lock")).unwrap();
    assert!(generate(folder.path(), &options()).is_err(), "nothing is locked");
    assert!(!folder.path().join("Cargo.lock").exists());
}

#[test]
fn our_own_workspace_has_a_whole_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut document = generate(&root, &options()).unwrap();
    assert_eq!(document.subjects().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["dsops"]);
    assert!(document.packages.len() > 100);
    document.created = Some("2026-01-01T00:00:00Z".into());
    document.creators.push(dsops_sbom::Creator::Tool { name: "test".into(), version: None });
    assert_eq!(minimum_elements(&document), [""; 0]);
    let lockfile = Lockfile::read(&fs::read(root.join("Cargo.lock")).unwrap()).unwrap();
    let against = check_lockfile(&document, &lockfile);
    assert!(against.iter().all(|problem| problem.severity == Severity::Note), "{against:?}");
    for format in Format::ALL {
        let reading = read(write(&document, format).text.as_bytes()).unwrap();
        assert_eq!(check(&reading), []);
    }
    // Each crate of the registry has its checksum and a licence that is an expression.
    for package in document.packages.iter().filter(|p| p.download_location.is_some()) {
        assert_eq!(package.checksums.len(), 1, "{}", package.name);
        assert!(
            matches!(package.license, Some(dsops_sbom::License::Expression(_))),
            "{}",
            package.name
        );
    }
}
