//! The stand-in for the public Sigstore services, on loopback, while a dry run signs.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};

use super::verify::Signer;
use crate::{process, workspace};

/// The package and the program in it.
const PACKAGE: &str = "dsops-testkit";
const EXAMPLE: &str = "sigstore_services";

/// Running services. They end when this is dropped.
pub struct Services {
    child: Child,
    folder: PathBuf,
}

impl Services {
    /// Builds and starts them; what they write goes into `folder`. Their token says that `signer`
    /// runs, at that commit.
    ///
    /// # Errors
    /// They cannot be built, or do not start.
    pub fn start(folder: &Path, signer: &Signer, commit: &str) -> anyhow::Result<Self> {
        process::run(process::cargo().current_dir(workspace::root()).args([
            "build",
            "--quiet",
            "--locked",
            "--package",
            PACKAGE,
            "--features",
            "sigstore",
            "--example",
            EXAMPLE,
        ]))?;
        let program = workspace::target_dir().join("debug/examples").join(EXAMPLE);
        let reference = format!("refs/tags/{}", signer.tag);
        let mut child = Command::new(&program)
            .arg(folder)
            .args([&signer.repository, "release.yml", &reference, commit])
            // They answer until this is closed, so they end with us however we end.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut line = String::new();
        let output = child.stdout.take().context("it has an output")?;
        let read = BufReader::new(output).read_line(&mut line);
        let services = Self { child, folder: folder.to_owned() };
        read.context("the services do not speak")?;
        if !line.starts_with("ready ") {
            bail!("the services say `{}`", line.trim_end());
        }
        Ok(services)
    }

    /// The root of trust that vouches for what they sign.
    pub fn trusted_root(&self) -> PathBuf {
        self.folder.join("trusted_root.json")
    }

    /// Where the services are.
    pub fn signing_config(&self) -> PathBuf {
        self.folder.join("signing_config.json")
    }

    /// Who signs.
    pub fn token(&self) -> PathBuf {
        self.folder.join("token")
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
