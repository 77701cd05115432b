//! `cargo xtask deny`: licences, bans, sources and known advisories, by cargo-deny and `deny.toml`.
//!
//! Needs no network once the tool is built. The advisory database is a folder of its own: from
//! `$DSOPS_ADVISORY_DB`, else `../shared/advisory-db`. Without one, advisories are "not run",
//! never "ok". Before the real graph, each check is shown a made-up graph it must refuse. Advisories that do not concern
//! us are set aside by statements in `vex`. Then cargo-vet looks for a line of each dependency in `supply-chain`;
//! `--exempt` writes those that are missing.

mod vet;
mod vex;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::process::{self, NotRun};
use crate::{calendar, tools, workspace};

/// The folder cargo-deny looks for inside its database path: name and a hash of the default address.
const DATABASE_FOLDER: &str = "advisory-db-3157b0e258782691";

/// From this age on a database is called old.
const OLD_DAYS: i64 = 90;

/// Runs the checks.
///
/// # Errors
/// A check fails, finds nothing in the made-up graph, or the tool cannot be had ([`NotRun`]).
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let root = workspace::root();
    match args {
        [] => {}
        [flag] if flag == "--exempt" => return vet::exempt(&root, &vet::install()?),
        _ => bail!("`cargo xtask deny` takes nothing, or --exempt"),
    }
    let tool = tools::cargo_deny().map_err(|error| {
        NotRun::because(format!("cargo-deny cannot be installed: {}", tools::reason(&error)))
    })?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let deny = Deny { tool, root: root.clone(), folder: folder.path().to_path_buf() };
    let asides = vex::read(&root.join("vex"), &locked(&root)?)?;
    deny.configure(&asides)?;

    let database = database(&root);
    let mut checks = vec!["bans", "licenses", "sources"];
    match &database {
        Some(source) => {
            let date = lay_out_database(source, &deny.database())?;
            let age = calendar::today()
                - calendar::days(&date).context("the advisory database has an odd date")?;
            println!("advisories: database of {date}, {age} days old");
            if age > OLD_DAYS {
                println!("advisories: hint: older than {OLD_DAYS} days, bring a newer one");
            }
            checks.push("advisories");
        }
        None => process::report_part_not_run("advisories", "no advisory database"),
    }

    for check in &checks {
        deny.must_refuse(check)?;
    }
    if database.is_some() {
        deny.must_pass_with_a_statement(&asides)?;
    }
    println!("self-check: {} find what they must", checks.join(", "));

    // What cannot be fetched, the tool would leave out of its checks with no more than a word.
    process::run(process::cargo().args(["fetch", "--quiet", "--locked"]).current_dir(&root))?;
    let metadata = folder.path().join("metadata.json");
    let graph = process::output(
        process::cargo()
            .args(["metadata", "--locked", "--all-features", "--format-version", "1"])
            .current_dir(&root),
    )?;
    std::fs::write(&metadata, graph)?;
    process::run(deny.command(&metadata, &checks).arg("--show-stats"))?;

    match vet::install() {
        Ok(tool) => vet::check(&root, &tool, folder.path()),
        Err(error) if error.is::<tools::WrongHash>() => Err(error),
        Err(error) => {
            process::report_part_not_run("vet", tools::reason(&error));
            Ok(())
        }
    }
}

/// cargo-deny and the folders it works on.
struct Deny {
    tool: PathBuf,
    root: PathBuf,
    folder: PathBuf,
}

impl Deny {
    /// What `db-path` in `deny.toml` is set to.
    fn database(&self) -> PathBuf {
        self.folder.join("advisory-dbs")
    }

    /// `deny.toml` with what is set aside.
    fn config(&self) -> PathBuf {
        self.folder.join("deny.toml")
    }

    /// Writes it.
    fn configure(&self, asides: &[vex::Aside]) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(self.root.join("deny.toml")).context("deny.toml")?;
        std::fs::write(self.config(), vex::configure(&text, asides)?).context("cannot write")
    }

    /// Shows that a statement sets an advisory aside that is found without it.
    fn must_pass_with_a_statement(&self, asides: &[vex::Aside]) -> anyhow::Result<()> {
        let (bad, code) = refused_by("advisories");
        let metadata = self.folder.join("refused.json");
        std::fs::write(&metadata, graph_with(&bad).to_string())?;
        let statement = vex::Aside { id: code.to_owned(), reason: "a test".to_owned() };
        self.configure(&[statement])?;
        process::output(&mut self.command(&metadata, &["advisories"]))
            .context("a statement does not set an advisory aside")?;
        self.configure(asides)
    }

    /// A run of some checks on a dependency graph.
    fn command(&self, metadata: &Path, checks: &[&str]) -> Command {
        let mut command = Command::new(&self.tool);
        command
            .current_dir(&self.root)
            .env("DSOPS_DENY_DB", self.database())
            .args(["--offline", "--color", "never", "--metadata-path"])
            .arg(metadata)
            .arg("--config")
            .arg(self.config())
            .args(["check", "--hide-inclusion-graph"])
            .args(checks);
        command
    }

    /// Shows one check a graph it must refuse.
    fn must_refuse(&self, check: &str) -> anyhow::Result<()> {
        let (bad, code) = refused_by(check);
        let metadata = self.folder.join("refused.json");
        std::fs::write(&metadata, graph_with(&bad).to_string())?;
        let output =
            self.command(&metadata, &[check]).output().context("cannot start cargo-deny")?;
        let said = String::from_utf8_lossy(&output.stderr);
        // The exit code alone could come from a graph it cannot read.
        if output.status.success() || !said.contains(code) {
            bail!("the check `{check}` let a graph pass that it must refuse:\n{said}");
        }
        Ok(())
    }
}

/// A package that a check must refuse, and the code of the diagnostic.
fn refused_by(check: &str) -> (Value, &'static str) {
    let package = |name: &str, version: &str, license: &str, source: &str| json!({ "name": name, "version": version, "license": license, "source": source });
    // The registry's name in every lock file.
    let registry = concat!("registry+https://github.com/", "rust-lang/crates.io-index");
    match check {
        // A segmentation fault, known since 2020.
        "advisories" => (package("time", "0.1.43", "MIT", registry), "RUSTSEC-2020-0071"),
        "bans" => (package("openssl-sys", "0.9.1", "MIT", registry), "error[banned]"),
        "licenses" => (package("copyleft", "1.0.0", "AGPL-3.0-only", registry), "error[rejected]"),
        _ => (
            package("elsewhere", "1.0.0", "MIT", "git+https://example.org/elsewhere?rev=1#1"),
            "error[source-not-allowed]",
        ),
    }
}

/// What `cargo metadata` would say of a workspace with one crate and this one dependency.
fn graph_with(package: &Value) -> Value {
    let full = |name: &str, version: &str, license: &str, source: &Value, dependencies: Value| {
        json!({
            "name": name, "version": version, "license": license, "source": source,
            "id": id(name, version, source), "dependencies": dependencies,
            "license_file": null, "description": null, "targets": [], "features": {},
            "manifest_path": format!("/none/{name}/Cargo.toml"), "metadata": null, "publish": null,
            "authors": [], "categories": [], "keywords": [], "readme": null, "repository": null,
            "homepage": null, "documentation": null, "edition": "2021", "links": null,
            "default_run": null, "rust_version": null,
        })
    };
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    let (name, version) = (text("name"), text("version"));
    let edge = json!([{
        "name": name, "source": package["source"], "req": format!("^{version}"), "kind": null,
        "rename": null, "optional": false, "uses_default_features": true, "features": [],
        "target": null, "registry": null,
    }]);
    let top = id("top", "1.0.0", &Value::Null);
    let dependency = id(name, version, &package["source"]);
    json!({
        "packages": [
            full("top", "1.0.0", "MIT", &Value::Null, edge),
            full(name, version, text("license"), &package["source"], json!([])),
        ],
        "workspace_members": [top], "workspace_default_members": [top],
        "resolve": { "root": top, "nodes": [
            { "id": top, "dependencies": [dependency], "features": [], "deps": [{
                "name": name.replace('-', "_"), "pkg": dependency,
                "dep_kinds": [{ "kind": null, "target": null }],
            }] },
            { "id": dependency, "dependencies": [], "deps": [], "features": [] },
        ] },
        "target_directory": "/none/target", "version": 1, "workspace_root": "/none",
        "metadata": null,
    })
}

/// A package's identity as cargo writes it: where it is from, its name, its version.
fn id(name: &str, version: &str, source: &Value) -> String {
    match source.as_str() {
        None => format!("path+file:///none/{name}#{version}"),
        Some(source) => {
            let source = source.split('#').next().unwrap_or(source);
            format!("{source}#{name}@{version}")
        }
    }
}

/// The packages of the lock file, `NAME@VERSION`.
fn locked(root: &Path) -> anyhow::Result<BTreeSet<String>> {
    let lock = workspace::manifest(&root.join("Cargo.lock"))?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let packages = packages.context("Cargo.lock has no packages")?.iter();
    let named = packages.filter_map(|package| {
        let text = |key: &str| package.get(key).and_then(toml::Value::as_str);
        Some(format!("{}@{}", text("name")?, text("version")?))
    });
    Ok(named.collect())
}

/// The folder with the advisory database, if there is one.
fn database(root: &Path) -> Option<PathBuf> {
    let named = std::env::var_os("DSOPS_ADVISORY_DB").filter(|path| !path.is_empty());
    let folder = named.map_or_else(|| root.join("../shared/advisory-db"), PathBuf::from);
    folder.join("crates").is_dir().then_some(folder)
}

/// Copies the database to where cargo-deny looks, as the git repository it wants; returns its date.
fn lay_out_database(source: &Path, parent: &Path) -> anyhow::Result<String> {
    let copy = parent.join(DATABASE_FOLDER);
    let mut newest = String::new();
    for collection in ["crates", "rust"] {
        copy_advisories(&source.join(collection), &copy.join(collection), &mut newest)?;
    }
    if newest.is_empty() {
        bail!("{} holds no advisories", source.display());
    }
    let stamp = format!("{newest}T00:00:00Z");
    let git = |args: &[&str]| {
        process::output(
            Command::new("git")
                .current_dir(&copy)
                .args(["-c", "user.name=dsops", "-c", "user.email=dsops@localhost"])
                .args(["-c", "core.hooksPath=", "-c", "commit.gpgSign=false"])
                .args(args)
                .env("GIT_AUTHOR_DATE", &stamp)
                .env("GIT_COMMITTER_DATE", &stamp),
        )
    };
    git(&["init", "--quiet"])?;
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "--message", "advisories"])?;
    Ok(newest)
}

/// Copies a folder of advisories and keeps the newest date in them.
fn copy_advisories(from: &Path, to: &Path, newest: &mut String) -> anyhow::Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_advisories(&entry.path(), &target, newest)?;
        } else {
            let text = std::fs::read_to_string(entry.path())
                .with_context(|| format!("cannot read {}", entry.path().display()))?;
            let date =
                text.lines().find_map(|line| line.strip_prefix("date = \"")?.strip_suffix('"'));
            if let Some(date) = date.filter(|date| *date > newest.as_str()) {
                date.clone_into(newest);
            }
            std::fs::write(&target, text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_becomes_a_repository_of_its_own_date() {
        let source = tempfile::tempdir().unwrap();
        for (name, date) in [("a", "2024-01-02"), ("b", "2025-03-04"), ("c", "2020-05-06")] {
            let folder = source.path().join("crates").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            let text = format!("```toml\n[advisory]\ndate = \"{date}\"\n```\n");
            std::fs::write(folder.join("RUSTSEC-1.md"), text).unwrap();
        }
        let parent = tempfile::tempdir().unwrap();
        assert_eq!(lay_out_database(source.path(), parent.path()).unwrap(), "2025-03-04");
        let repository = parent.path().join(DATABASE_FOLDER);
        assert!(repository.join("crates/b/RUSTSEC-1.md").is_file());
        let log = process::output(
            Command::new("git").current_dir(&repository).args(["log", "--format=%cs"]),
        );
        assert_eq!(log.unwrap(), "2025-03-04\n");
    }

    #[test]
    fn an_empty_database_is_an_error() {
        let (source, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        lay_out_database(source.path(), parent.path()).unwrap_err();
    }
}
