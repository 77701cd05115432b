//! `cargo xtask layers`: the arrows between crates, their lints, and where dependencies are declared.
//!
//! The allowed arrows stand in `[workspace.metadata.layers]` of the top manifest. Everything is a
//! plain function from data to the list of violations, so each is tested on made-up workspaces.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::{process, workspace};

/// The crates that may hold `unsafe`: they may loosen that one lint, and no other.
const UNSAFE_HOLDERS: &[&str] = &["dsops-secure-mem", "dsops-execenv"];

/// The crates that tests of any layer may depend on. Other development edges obey the table too.
const TEST_SUPPORT: &[&str] = &["dsops-testkit"];

/// Runs the check on this workspace.
///
/// # Errors
/// There is a violation, or the workspace cannot be read.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    if let Some(argument) = args.first() {
        bail!("`cargo xtask layers` takes no arguments, found `{argument}`");
    }
    let root = workspace::root();
    let top = workspace::manifest(&root.join("Cargo.toml"))?;
    let metadata = process::output(
        process::cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(&root),
    )?;
    let metadata: Value =
        serde_json::from_str(&metadata).context("`cargo metadata` did not write JSON")?;
    let crates = crates(&metadata)?;
    let mut manifests = BTreeMap::new();
    for member in &crates {
        manifests.insert(member.name.clone(), workspace::manifest(&member.manifest)?);
    }

    let mut violations = check_edges(&crates, &layers(&top)?);
    violations.extend(check_manifests(&top, &manifests));
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        bail!("{} violations in {} crates", violations.len(), crates.len());
    }
    println!(
        "{} crates, {} edges",
        crates.len(),
        crates.iter().map(|c| c.edges.len()).sum::<usize>()
    );
    Ok(())
}

/// What a crate does that the workspace does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Violation {
    /// A workspace crate without a line in the table.
    NotInTable { package: String },
    /// A line in the table without a workspace crate.
    NoSuchCrate { package: String },
    /// A dependency on a workspace crate that the table does not list.
    Arrow { from: String, to: String, kind: Kind },
    /// A crate without `[lints]`.
    NoLints { package: String },
    /// A crate with lints of its own that may not have them, or that differ in more than `unsafe_code`.
    OwnLints { package: String, lint: String },
    /// A dependency declared in a member with a version, path or source of its own.
    OwnDependency { package: String, dependency: String },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInTable { package } => {
                write!(f, "{package}: not in [workspace.metadata.layers]")
            }
            Self::NoSuchCrate { package } => {
                write!(
                    f,
                    "{package}: in [workspace.metadata.layers], but no crate of the workspace"
                )
            }
            Self::Arrow { from, to, kind } => {
                write!(f, "{from}: {kind} dependency on {to} is not in [workspace.metadata.layers]")
            }
            Self::NoLints { package } => write!(f, "{package}: no `[lints] workspace = true`"),
            Self::OwnLints { package, lint } => {
                write!(f, "{package}: lint `{lint}` differs from the workspace's")
            }
            Self::OwnDependency { package, dependency } => {
                write!(f, "{package}: dependency {dependency} is not `workspace = true`")
            }
        }
    }
}

/// The kind of a dependency edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    Build,
    Dev,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::Build => "build",
            Self::Dev => "development",
        })
    }
}

/// A crate of the workspace and the workspace crates it depends on.
struct Crate {
    name: String,
    manifest: PathBuf,
    edges: Vec<(String, Kind)>,
}

/// Reads the crates and the edges between them from `cargo metadata --no-deps`.
fn crates(metadata: &Value) -> anyhow::Result<Vec<Crate>> {
    let packages = metadata["packages"].as_array().context("metadata has no packages")?;
    let name_of = |package: &Value| {
        package["name"].as_str().map(str::to_owned).context("a package has no name")
    };
    let members: BTreeSet<String> = packages.iter().map(name_of).collect::<Result<_, _>>()?;
    let mut crates = Vec::new();
    for package in packages {
        let name = name_of(package)?;
        let mut edges = Vec::new();
        for dependency in package["dependencies"].as_array().context("no dependencies")? {
            let to = name_of(dependency)?;
            if members.contains(&to) {
                let kind = match dependency["kind"].as_str() {
                    None => Kind::Normal,
                    Some("build") => Kind::Build,
                    Some("dev") => Kind::Dev,
                    Some(other) => bail!("{name}: unknown kind of dependency `{other}`"),
                };
                edges.push((to, kind));
            }
        }
        let manifest = package["manifest_path"].as_str().context("a package has no manifest")?;
        crates.push(Crate { name, manifest: PathBuf::from(manifest), edges });
    }
    Ok(crates)
}

/// Reads the table of allowed edges.
fn layers(top: &toml::Table) -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let table = lookup(top, &["workspace", "metadata", "layers"])
        .and_then(toml::Value::as_table)
        .context("no [workspace.metadata.layers]")?;
    let mut layers = BTreeMap::new();
    for (package, allowed) in table {
        let allowed = allowed.as_array().and_then(|names| {
            names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<_>>()
        });
        let allowed =
            allowed.with_context(|| format!("layers: {package} is not a list of names"))?;
        layers.insert(package.clone(), allowed);
    }
    Ok(layers)
}

/// Every edge must be in the table, and the table must fit the workspace.
fn check_edges(crates: &[Crate], layers: &BTreeMap<String, BTreeSet<String>>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for member in crates {
        let Some(allowed) = layers.get(&member.name) else {
            violations.push(Violation::NotInTable { package: member.name.clone() });
            continue;
        };
        for (to, kind) in &member.edges {
            let test_support = *kind == Kind::Dev && TEST_SUPPORT.contains(&to.as_str());
            // A crate's tests may name the crate itself (to turn a feature of it on).
            let itself = *kind == Kind::Dev && *to == member.name;
            if !allowed.contains(to) && !test_support && !itself {
                let (from, to) = (member.name.clone(), to.clone());
                violations.push(Violation::Arrow { from, to, kind: *kind });
            }
        }
    }
    for package in layers.keys().chain(layers.values().flatten()) {
        let violation = Violation::NoSuchCrate { package: package.clone() };
        if !crates.iter().any(|member| member.name == *package) && !violations.contains(&violation)
        {
            violations.push(violation);
        }
    }
    violations
}

/// Every member inherits lints and dependencies from the workspace.
fn check_manifests(top: &toml::Table, manifests: &BTreeMap<String, toml::Table>) -> Vec<Violation> {
    let shared = lookup(top, &["workspace", "lints"]).and_then(toml::Value::as_table);
    let none = toml::Table::new();
    let mut violations = Vec::new();
    for (package, manifest) in manifests {
        violations.extend(check_lints(package, manifest, shared.unwrap_or(&none)));
        violations.extend(check_dependencies(package, manifest));
    }
    violations
}

/// `[lints]` is the workspace's; a holder of unsafe may repeat it with another `unsafe_code`.
fn check_lints(package: &str, manifest: &toml::Table, shared: &toml::Table) -> Vec<Violation> {
    let Some(lints) = manifest.get("lints").and_then(toml::Value::as_table) else {
        return vec![Violation::NoLints { package: package.to_owned() }];
    };
    if lints.get("workspace").and_then(toml::Value::as_bool) == Some(true) {
        return Vec::new();
    }
    if !UNSAFE_HOLDERS.contains(&package) {
        return vec![Violation::NoLints { package: package.to_owned() }];
    }
    let mut own = flatten(lints);
    let mut shared = flatten(shared);
    // The one lint they may loosen, and only as far as allowing it to be said where.
    own.remove("rust.unsafe_code");
    shared.remove("rust.unsafe_code");
    let names: BTreeSet<&String> = own.keys().chain(shared.keys()).collect();
    names
        .into_iter()
        .filter(|name| own.get(*name) != shared.get(*name))
        .map(|lint| Violation::OwnLints { package: package.to_owned(), lint: lint.clone() })
        .collect()
}

/// Lints by their full name, `tool.lint`.
fn flatten(lints: &toml::Table) -> BTreeMap<String, toml::Value> {
    let tools = lints.iter().filter_map(|(tool, lints)| Some((tool, lints.as_table()?)));
    tools
        .flat_map(|(tool, lints)| {
            lints.iter().map(move |(lint, level)| (format!("{tool}.{lint}"), level.clone()))
        })
        .collect()
}

/// Every dependency, in every kind and for every target, is `workspace = true`.
fn check_dependencies(package: &str, manifest: &toml::Table) -> Vec<Violation> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let per_target =
        targets.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table);
    let mut violations = Vec::new();
    for table in std::iter::once(manifest).chain(per_target) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let dependencies = table.get(kind).and_then(toml::Value::as_table);
            for (dependency, value) in dependencies.into_iter().flatten() {
                if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                    let (package, dependency) = (package.to_owned(), dependency.clone());
                    violations.push(Violation::OwnDependency { package, dependency });
                }
            }
        }
    }
    violations
}

/// The value at a path of keys.
fn lookup<'a>(table: &'a toml::Table, path: &[&str]) -> Option<&'a toml::Value> {
    let (last, parents) = path.split_last()?;
    let mut table = table;
    for key in parents {
        table = table.get(*key)?.as_table()?;
    }
    table.get(*last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What one edge of `low` ← `high` gives under a table.
    fn edges(kind: Option<&str>, to: &str, table: &str) -> Vec<Violation> {
        let metadata = json!({ "packages": [
            { "name": "low", "manifest_path": "low/Cargo.toml", "dependencies": [] },
            { "name": "dsops-testkit", "manifest_path": "testkit/Cargo.toml", "dependencies": [] },
            { "name": "high", "manifest_path": "high/Cargo.toml", "dependencies": [
                { "name": to, "kind": kind },
                { "name": "from-the-registry", "kind": null },
            ] },
        ] });
        let top = format!("[workspace.metadata.layers]\ndsops-testkit = []\n{table}");
        check_edges(&crates(&metadata).unwrap(), &layers(&top.parse().unwrap()).unwrap())
    }

    fn arrow(to: &str, kind: Kind) -> Vec<Violation> {
        vec![Violation::Arrow { from: "high".into(), to: to.into(), kind }]
    }

    #[test]
    fn listed_edges_pass() {
        for kind in [None, Some("build"), Some("dev")] {
            assert_eq!(edges(kind, "low", "low = []\nhigh = ['low']"), []);
        }
    }

    #[test]
    fn an_edge_that_is_not_listed_fails_in_every_kind() {
        let table = "low = []\nhigh = []";
        assert_eq!(edges(None, "low", table), arrow("low", Kind::Normal));
        assert_eq!(edges(Some("build"), "low", table), arrow("low", Kind::Build));
        assert_eq!(edges(Some("dev"), "low", table), arrow("low", Kind::Dev));
    }

    #[test]
    fn the_test_kit_is_for_tests_only() {
        let table = "low = []\nhigh = []";
        assert_eq!(edges(Some("dev"), "dsops-testkit", table), []);
        assert_eq!(edges(None, "dsops-testkit", table), arrow("dsops-testkit", Kind::Normal));
    }

    #[test]
    fn an_upward_edge_fails() {
        let metadata = json!({ "packages": [
            { "name": "low", "manifest_path": "", "dependencies": [{ "name": "high", "kind": null }] },
            { "name": "high", "manifest_path": "", "dependencies": [] },
        ] });
        let top: toml::Table =
            "[workspace.metadata.layers]\nlow = []\nhigh = ['low']".parse().unwrap();
        let violations = check_edges(&crates(&metadata).unwrap(), &layers(&top).unwrap());
        let (from, to) = ("low".into(), "high".into());
        assert_eq!(violations, [Violation::Arrow { from, to, kind: Kind::Normal }]);
    }

    #[test]
    fn the_table_and_the_workspace_must_fit() {
        assert_eq!(
            edges(None, "low", "high = ['low']"),
            [Violation::NotInTable { package: "low".into() }]
        );
        assert_eq!(
            edges(None, "low", "low = []\nhigh = ['low']\ngone = []"),
            [Violation::NoSuchCrate { package: "gone".into() }]
        );
        assert_eq!(
            edges(None, "low", "low = []\nhigh = ['low', 'gone']"),
            [Violation::NoSuchCrate { package: "gone".into() }]
        );
    }

    const TOP: &str = "
        [workspace.lints.rust]
        unsafe_code = 'forbid'
        missing_docs = 'warn'
        [workspace.lints.clippy]
        pedantic = { level = 'warn', priority = -1 }
    ";

    fn manifest(package: &str, text: &str) -> Vec<Violation> {
        let manifests = BTreeMap::from([(package.to_owned(), text.parse().unwrap())]);
        check_manifests(&TOP.parse().unwrap(), &manifests)
    }

    #[test]
    fn lints_are_inherited() {
        assert_eq!(manifest("any", "lints.workspace = true"), []);
        let violation = [Violation::NoLints { package: "any".into() }];
        assert_eq!(manifest("any", "[package]\nname = 'any'"), violation);
        assert_eq!(manifest("any", "lints.workspace = false"), violation);
        assert_eq!(manifest("any", "[lints.rust]\nunsafe_code = 'allow'"), violation);
    }

    #[test]
    fn a_holder_of_unsafe_repeats_every_other_lint() {
        let same = "[lints.rust]\nunsafe_code = 'deny'\nmissing_docs = 'warn'\n\
                    [lints.clippy]\npedantic = { level = 'warn', priority = -1 }\n";
        assert_eq!(manifest("dsops-execenv", same), []);

        let violation = |lint: &str| {
            [Violation::OwnLints { package: "dsops-execenv".into(), lint: lint.into() }]
        };
        let weaker = same.replace("missing_docs = 'warn'", "missing_docs = 'allow'");
        assert_eq!(manifest("dsops-execenv", &weaker), violation("rust.missing_docs"));
        let missing = same.replace("pedantic = { level = 'warn', priority = -1 }", "");
        assert_eq!(manifest("dsops-execenv", &missing), violation("clippy.pedantic"));
        let more = format!("{same}unwrap_used = 'allow'\n");
        assert_eq!(manifest("dsops-execenv", &more), violation("clippy.unwrap_used"));
    }

    #[test]
    fn dependencies_come_from_the_workspace() {
        let fine = "lints.workspace = true\n[dependencies]\na.workspace = true\n\
                    b = { workspace = true, features = ['x'] }";
        assert_eq!(manifest("any", fine), []);
        for table in [
            "dependencies",
            "dev-dependencies",
            "build-dependencies",
            "target.'cfg(unix)'.dependencies",
        ] {
            for own in ["bad = '1'", "bad = { path = '../bad' }"] {
                let text = format!("lints.workspace = true\n[{table}]\n{own}");
                let (package, dependency) = ("any".into(), "bad".into());
                assert_eq!(
                    manifest("any", &text),
                    [Violation::OwnDependency { package, dependency }]
                );
            }
        }
    }
}
