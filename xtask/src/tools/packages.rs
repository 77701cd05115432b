//! The pinned Python and Node packages that tests compare our work with.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::PathBuf,
    process::Command,
};

use anyhow::Context as _;

use super::{dir, make_once, pip_into, require_pip};
use crate::{
    process::{self, NotRun},
    workspace,
};

/// Packages that belong together: Python's go to `python`, Node's to `node/node_modules`.
pub struct Packages {
    /// What the folder's name begins with.
    pub name: &'static str,
    /// Names the folder for tests.
    pub variable: &'static str,
    /// Pins those of Python.
    requirements: &'static str,
    /// Its `package-lock.json` pins those of Node; `None` where there are none.
    node: Option<&'static str>,
}

/// Read our rendered files.
pub const READERS: Packages = Packages {
    name: "readers",
    variable: "DSOPS_TEST_READERS",
    requirements: "scripts/requirements-readers.txt",
    node: Some("scripts/readers"),
};

/// Verify Sigstore bundles.
pub const SIGSTORE: Packages = Packages {
    name: "sigstore",
    variable: "DSOPS_TEST_SIGSTORE",
    requirements: "scripts/requirements-sigstore.txt",
    node: Some("scripts/sigstore-peers"),
};

/// Judge lists of ingredients, and make some.
pub const SBOM: Packages = Packages {
    name: "sbom",
    variable: "DSOPS_TEST_SBOM",
    requirements: "scripts/requirements-sbom.txt",
    node: None,
};

/// Hold what we print for programs against its schemas, and SARIF against what code scanning takes.
pub const SCHEMAS: Packages = Packages {
    name: "schemas",
    variable: "DSOPS_TEST_SCHEMAS",
    requirements: "scripts/requirements-schemas.txt",
    node: Some("scripts/schemas"),
};

/// A server that speaks as S3 does.
pub const MOTO: Packages = Packages {
    name: "moto",
    variable: "DSOPS_TEST_MOTO",
    requirements: "scripts/requirements-moto.txt",
    node: None,
};

/// What tests compare our work with.
pub const FOR_TESTS: [Packages; 5] = [READERS, SBOM, SCHEMAS, SIGSTORE, MOTO];

/// Lint workflows and scripts, and vet dependencies.
pub const CONTROLS: Packages = Packages {
    name: "controls",
    variable: "DSOPS_TEST_CONTROLS",
    requirements: "scripts/requirements-controls.txt",
    node: None,
};

impl Packages {
    /// Installs them.
    ///
    /// # Errors
    /// [`NotRun`] when there is no pip or npm; any other error when a package cannot be installed.
    pub fn install(&self) -> anyhow::Result<PathBuf> {
        let folder = self.folder()?;
        make_once(&folder, |fresh| {
            require_pip()?;
            if self.node.is_some() && !process::is_on_path("npm") {
                return Err(NotRun::because("npm is not installed").into());
            }
            let root = workspace::root();
            pip_into(&root.join(self.requirements), &fresh.join("python"))?;
            let Some(packages) = self.node else { return Ok(()) };
            let node = fresh.join("node");
            fs::create_dir(&node).context("cannot make a folder for Node packages")?;
            for name in ["package.json", "package-lock.json"] {
                fs::copy(root.join(packages).join(name), node.join(name))
                    .with_context(|| format!("cannot copy {name}"))?;
            }
            // The lock file holds the hash of each package; none may run a script.
            process::run(
                Command::new("npm")
                    .args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"])
                    .current_dir(&node),
            )
        })?;
        Ok(folder)
    }

    /// Where they are, if they were installed before.
    pub fn installed(&self) -> Option<PathBuf> {
        self.folder().ok().filter(|folder| folder.is_dir())
    }

    /// Named by what is pinned, so that another version goes elsewhere.
    fn folder(&self) -> anyhow::Result<PathBuf> {
        let mut hasher = DefaultHasher::new();
        let node = self.node.map(|folder| format!("{folder}/package-lock.json"));
        for file in [Some(self.requirements), node.as_deref()].into_iter().flatten() {
            let path = workspace::root().join(file);
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            text.hash(&mut hasher);
        }
        Ok(dir()?.join(format!("{}-{:016x}", self.name, hasher.finish())))
    }
}
