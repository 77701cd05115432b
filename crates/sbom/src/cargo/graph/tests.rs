//! Graphs small enough to be seen whole.

use std::path::Path;

use super::*;
use crate::model::{License, PartyKind};

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// One package of `cargo metadata`.
fn package(name: &str, source: Option<&str>, kind: &str, more: &str) -> String {
    let source = source.map_or("null".to_owned(), |source| format!("\"{source}\""));
    format!(
        r#"{{"id":"{name}-id","name":"{name}","version":"1.0.0","source":{source},
            "manifest_path":"/home/somebody/{name}/Cargo.toml",
            "targets":[{{"name":"{name}","kind":["{kind}"]}}]{more}}}"#
    )
}

/// What it needs: names with `null`, `"build"` or `"dev"`.
fn node(name: &str, needs: &[(&str, &str)]) -> String {
    let needs = needs.iter().map(|(to, kind)| {
        format!(
            r#"{{"name":"{to}","pkg":"{to}-id","dep_kinds":[{{"kind":{kind},"target":null}}]}}"#
        )
    });
    format!(r#"{{"id":"{name}-id","deps":[{}]}}"#, needs.collect::<Vec<_>>().join(","))
}

fn metadata() -> String {
    let packages = [
        package("app", None, "bin", ""),
        package(
            "lib_a",
            Some(REGISTRY),
            "lib",
            r#","license":"MIT/Apache-2.0","authors":["A Person <mail@example.org>"],
               "description":"a\n  line","repository":"https://example.org/a""#,
        ),
        package("macros", Some(REGISTRY), "proc-macro", r#","authors":["The Macro Developers"]"#),
        package("syn", Some(REGISTRY), "lib", ""),
        package("cc", Some(REGISTRY), "lib", ""),
        package("tests-only", Some(REGISTRY), "lib", ""),
    ];
    let nodes = [
        node(
            "app",
            &[
                ("lib_a", "null"),
                ("macros", "null"),
                ("cc", "\"build\""),
                ("tests-only", "\"dev\""),
            ],
        ),
        node("lib_a", &[]),
        node("macros", &[("syn", "null")]),
        node("syn", &[("lib_a", "null")]),
        node("cc", &[]),
        node("tests-only", &[]),
    ];
    format!(
        r#"{{"packages":[{}],"resolve":{{"nodes":[{}],"root":"app-id"}},
            "workspace_default_members":["app-id"],"workspace_root":"/home/somebody"}}"#,
        packages.join(","),
        nodes.join(",")
    )
}

fn lockfile() -> Lockfile {
    let text = format!(
        "[[package]]\nname = \"lib_a\"\nversion = \"1.0.0\"\nsource = \"{REGISTRY}\"\nchecksum = \"{}\"\n",
        "ab".repeat(32)
    );
    Lockfile::read(text.as_bytes()).unwrap()
}

fn own() -> &'static Path {
    Path::new("/home/somebody/app/Cargo.toml")
}

#[test]
fn what_is_linked_and_what_is_only_built_with() {
    let options = Options { supplier: Some(Party::organization("Acme")), ..Options::default() };
    let document = document(metadata().as_bytes(), &lockfile(), own(), &options).unwrap();
    let seen: Vec<_> = document.packages.iter().map(|p| (p.name.as_str(), p.build_only)).collect();
    assert_eq!(
        seen,
        [("app", false), ("cc", true), ("lib_a", false), ("macros", true), ("syn", true)]
    );
    let edges: Vec<String> = document
        .relationships
        .iter()
        .map(|one| format!("{} {:?} {}", one.from, one.kind, one.to))
        .collect();
    assert_eq!(
        edges,
        [
            "cargo-app-1.0.0 BuildDependsOn cargo-cc-1.0.0",
            "cargo-app-1.0.0 DependsOn cargo-lib.a-1.0.0",
            "cargo-app-1.0.0 BuildDependsOn cargo-macros-1.0.0",
            "cargo-macros-1.0.0 DependsOn cargo-syn-1.0.0",
            "cargo-syn-1.0.0 DependsOn cargo-lib.a-1.0.0",
        ]
    );
    let app = document.package("cargo-app-1.0.0").unwrap();
    assert_eq!(app.supplier, options.supplier);
    assert_eq!(app.kind, Some(Kind::Application));
    assert!(app.checksums.is_empty());
    let lib = document.package("cargo-lib.a-1.0.0").unwrap();
    assert_eq!(lib.license, Some(License::Expression("MIT OR Apache-2.0".into())));
    assert_eq!(lib.supplier, Some(Party::person("A Person")));
    assert_eq!(lib.description.as_deref(), Some("a line"));
    assert_eq!(lib.checksums, [Checksum::sha256("ab".repeat(32))]);
    let location = "https://static.crates.io/crates/lib_a/lib_a-1.0.0.crate";
    assert_eq!(lib.download_location.as_deref(), Some(location));
    let macros = document.package("cargo-macros-1.0.0").unwrap();
    assert_eq!(macros.supplier.as_ref().map(|s| s.kind), Some(PartyKind::Organization));
    assert_eq!(
        document.package("cargo-cc-1.0.0").unwrap().supplier,
        Some(Party::organization("crates.io"))
    );
    // Nothing of the machine gets in.
    assert!(!format!("{document:?}").contains("somebody"));
}

#[test]
fn a_package_is_named_in_several_ways() {
    let find = |options: &Options, asked: &str| {
        manifest_of(metadata().as_bytes(), options, Path::new(asked))
    };
    let options = |package: Option<&str>, bin: Option<&str>| Options {
        package: package.map(str::to_owned),
        bin: bin.map(str::to_owned),
        ..Options::default()
    };
    for good in [options(None, None), options(Some("app"), None), options(None, Some("app"))] {
        assert_eq!(find(&good, "/nowhere/Cargo.toml").unwrap(), own());
    }
    let error = find(&options(Some("apq"), None), "/nowhere").unwrap_err();
    assert_eq!(error.to_string(), "the workspace has no package `apq`");
    assert!(error.help().unwrap().contains("app"));
    assert!(find(&options(None, Some("lib_a")), "/nowhere").is_err(), "it is no program");
}

#[test]
fn an_answer_that_is_none() {
    let read = |text: &str| document(text.as_bytes(), &lockfile(), own(), &Options::default());
    for (from, to) in [
        ("\"nodes\"", "\"nodez\""),
        ("\"pkg\":\"cc-id\"", "\"pkg\":\"gone-id\""),
        ("\"kind\":\"build\"", "\"kind\":\"other\""),
        ("\"version\":\"1.0.0\"", "\"version\":1"),
        ("\"resolve\":", "\"packages\":[],\"resolve\":"),
        ("/app/Cargo.toml", "/other/Cargo.toml"),
    ] {
        let text = metadata();
        assert!(text.contains(from), "{from}");
        let result = read(&text.replacen(from, to, 1));
        if from == "\"nodes\"" {
            // Without a graph there is only the package itself.
            assert_eq!(result.unwrap().packages.len(), 1);
        } else {
            assert!(result.is_err(), "{to}");
        }
    }
}
