//! The list of crates in the binary, in the section and form of `cargo auditable`: what scanners read, and
//! `dsops verify` holds against the SBOM.
//!
//! `cargo auditable` wraps the compiler, and its own path goes into the names of symbols: another
//! folder of tools would be another binary. So the list is put in afterwards, from what cargo
//! reported to have built, and the build stays as it is tested.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::build::Built;
use crate::process;

/// The section's name, as `cargo auditable` has it.
const SECTION: &str = ".dep-v0";

/// How hard the list is packed; part of what has to be the same everywhere.
const LEVEL: u8 = 9;

/// Copies a program, with the list of its crates put in.
///
/// # Errors
/// There is no `objcopy`, or what cargo says of the packages makes no sense.
pub fn embed(source: &Path, built: &Built, to: &Path) -> anyhow::Result<()> {
    let metadata = process::output(process::cargo().current_dir(source).args([
        "metadata",
        "--locked",
        "--offline",
        "--format-version",
        "1",
        "--filter-platform",
        &built.triple,
    ]))?;
    let metadata = serde_json::from_str(&metadata).context("cargo metadata wrote no JSON")?;
    let list = list(&metadata, &built.packages, "dsops")?;
    // Cargo's own resolver must come to the same without having built anything.
    let tree = process::output(process::cargo().current_dir(source).args([
        "tree",
        "--locked",
        "--offline",
        "--package",
        "dsops",
        "--edges",
        "normal,build",
        "--target",
        &built.triple,
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    compare(&list, &tree)?;
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(list.to_string().as_bytes(), LEVEL);
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let file = folder.path().join("list");
    std::fs::write(&file, packed).context("cannot write the list of crates")?;
    process::run(
        Command::new("objcopy")
            .arg("--add-section")
            .arg(format!("{SECTION}={}", file.display()))
            .args(["--set-section-flags", &format!("{SECTION}=readonly,contents")])
            .arg(&built.program)
            .arg(to),
    )
}

/// The list: every package that took part, sorted, and which of them each depends on.
fn list(metadata: &Value, built: &[(String, bool)], root: &str) -> anyhow::Result<Value> {
    let mut linked: BTreeMap<&str, bool> = BTreeMap::new();
    for (id, is_linked) in built {
        *linked.entry(id).or_default() |= is_linked;
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let all = metadata["packages"].as_array().context("there are no packages")?;
    let mut packages = Vec::new();
    for package in all {
        let id = package["id"].as_str().context("a package without an id")?;
        if let Some(is_linked) = linked.remove(id) {
            let name = text(&package["name"]).context("a package without a name")?;
            let version = text(&package["version"]).context("a package without a version")?;
            // `deny` holds every registry to be the one of crates.io.
            let source = if package["source"].is_null() { "local" } else { "crates.io" };
            packages.push((name, version, source, id, is_linked));
        }
    }
    if let Some((unknown, _)) = linked.first_key_value() {
        bail!("cargo built {unknown}, of which cargo metadata knows nothing");
    }
    packages.sort();
    let places: BTreeMap<&str, usize> =
        packages.iter().enumerate().map(|(place, package)| (package.3, place)).collect();
    let nodes = metadata["resolve"]["nodes"].as_array().context("there is no graph")?;
    let mut edges: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for node in nodes {
        let id = node["id"].as_str().context("a node without an id")?;
        let dependencies = node["deps"].as_array().into_iter().flatten();
        let mut to: Vec<usize> = dependencies
            .filter(|edge| is_of_the_build(edge))
            .filter_map(|edge| places.get(edge["pkg"].as_str()?).copied())
            .collect();
        to.sort_unstable();
        to.dedup();
        edges.insert(id, to);
    }
    let mut found_root = false;
    let packages: Vec<Value> = packages
        .iter()
        .map(|(name, version, source, id, is_linked)| {
            let mut package = json!({ "name": name, "version": version, "source": source });
            if !is_linked {
                package["kind"] = "build".into();
            }
            match edges.get(id) {
                Some(to) if !to.is_empty() => package["dependencies"] = json!(to),
                _ => {}
            }
            if name == root {
                found_root = true;
                package["root"] = true.into();
            }
            package
        })
        .collect();
    if !found_root {
        bail!("{root} is not among what was built");
    }
    Ok(json!({ "packages": packages }))
}

/// Holds the list against what `cargo tree` prints: `NAME vVERSION`, and more behind.
fn compare(list: &Value, tree: &str) -> anyhow::Result<()> {
    let packages = list["packages"].as_array().into_iter().flatten();
    let listed: BTreeSet<String> = packages
        .filter_map(|package| {
            Some(format!("{} v{}", package["name"].as_str()?, package["version"].as_str()?))
        })
        .collect();
    let resolved: BTreeSet<String> = tree
        .lines()
        .map(|line| line.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let differing: Vec<&String> = listed.symmetric_difference(&resolved).collect();
    if !differing.is_empty() {
        bail!("what was built and what `cargo tree` says differ in {differing:?}");
    }
    Ok(())
}

/// Whether an edge is one of building: not only of tests.
fn is_of_the_build(edge: &Value) -> bool {
    edge["dep_kinds"].as_array().into_iter().flatten().any(|kind| kind["kind"] != "dev")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Value {
        let package = |name: &str, source: Value| json!({ "id": format!("id-{name}"), "name": name, "version": "1.0.0", "source": source });
        let edge = |name: &str, kind: Value| json!({ "pkg": format!("id-{name}"), "dep_kinds": [{ "kind": kind }] });
        json!({
            "packages": [
                package("dsops", Value::Null), package("lib", "registry+x".into()),
                package("cc", "registry+x".into()), package("unused", "registry+x".into()),
                package("tests-only", "registry+x".into()),
            ],
            "resolve": { "nodes": [
                { "id": "id-dsops", "deps": [
                    edge("lib", Value::Null), edge("cc", "build".into()),
                    edge("unused", Value::Null), edge("tests-only", "dev".into()),
                ] },
                { "id": "id-lib", "deps": [edge("cc", "build".into())] },
            ] },
        })
    }

    fn built(names: &[(&str, bool)]) -> Vec<(String, bool)> {
        names.iter().map(|(name, linked)| (format!("id-{name}"), *linked)).collect()
    }

    #[test]
    fn the_list_has_what_was_built_and_nothing_else() {
        let built = built(&[("cc", false), ("dsops", true), ("lib", false), ("lib", true)]);
        let list = list(&metadata(), &built, "dsops").unwrap();
        assert_eq!(
            list,
            json!({ "packages": [
                { "name": "cc", "version": "1.0.0", "source": "crates.io", "kind": "build" },
                { "name": "dsops", "version": "1.0.0", "source": "local",
                  "dependencies": [0, 2], "root": true },
                { "name": "lib", "version": "1.0.0", "source": "crates.io", "dependencies": [0] },
            ] })
        );
    }

    #[test]
    fn a_package_more_or_less_than_cargo_resolves_is_refused() {
        let list = list(&metadata(), &built(&[("dsops", true), ("lib", true)]), "dsops").unwrap();
        compare(&list, "dsops v1.0.0 (/src)\nlib v1.0.0\nlib v1.0.0 (*)\n").unwrap();
        assert!(compare(&list, "dsops v1.0.0 (/src)\n").is_err());
        assert!(compare(&list, "dsops v1.0.0\nlib v1.0.1\n").is_err());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let stranger = built(&[("dsops", true), ("stranger", true)]);
        assert!(list(&metadata(), &stranger, "dsops").is_err());
        assert!(list(&metadata(), &built(&[("lib", true)]), "dsops").is_err());
    }
}
