//! A throw-away project: a folder, a home, an identity and secrets made at run time.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use anyhow::Context as _;
use tempfile::TempDir;

use super::{
    binaries::publish,
    needles::{Secret, identity_secrets},
    tracer::Launch,
};

/// A project of its own, gone when dropped.
#[derive(Debug)]
pub struct Project {
    folder: TempDir,
    dsops: PathBuf,
    user: Option<u32>,
}

/// How a program ended and all it wrote to standard output and standard error.
#[derive(Debug)]
pub struct Ran {
    /// The exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Project {
    /// Makes the folders and runs `dsops init` as `user` (none: as ourselves).
    ///
    /// # Errors
    /// A folder cannot be made, or `init` fails.
    pub fn create(dsops: &Path, user: Option<u32>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let dsops = publish(dsops, folder.path())?;
        let project = Self { folder, dsops, user };
        for path in [project.work(), project.home()] {
            fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
            chown(&path, user, user)?;
        }
        must(&project.launch(&["init"]))?;
        Ok(project)
    }

    /// The folder of the project: `dsops.yaml` lies here and programs run here.
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The home folder.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A folder any user can read, for programs and results of the check itself.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The user everything runs as, when not ourselves.
    pub fn user(&self) -> Option<u32> {
        self.user
    }

    /// Where `init` put the identity.
    pub fn identity_file(&self) -> PathBuf {
        self.home().join(".config/sops/age/keys.txt")
    }

    /// The identity as secrets to look for.
    ///
    /// # Errors
    /// The file is missing or has no key in it.
    pub fn identity(&self) -> anyhow::Result<Vec<Secret>> {
        let path = self.identity_file();
        let text = fs::read_to_string(&path)
            .with_context(|| format!("no identity in {}", path.display()))?;
        identity_secrets(&text)
    }

    /// A run of `dsops` with these arguments.
    pub fn launch(&self, arguments: &[&str]) -> Launch {
        let program = [OsString::from(&self.dsops)];
        self.launch_program(program.into_iter().chain(arguments.iter().map(OsString::from)))
    }

    /// A run of any program, as the project's user, in its folder.
    pub fn launch_program(&self, command: impl IntoIterator<Item = OsString>) -> Launch {
        Launch {
            command: command.into_iter().collect(),
            environment: vec![
                ("PATH".into(), "/usr/bin:/bin".into()),
                ("HOME".into(), self.home().into()),
                ("LANG".into(), "C.UTF-8".into()),
            ],
            directory: self.work(),
            user: self.user,
            ..Launch::default()
        }
    }

    /// Stores a secret with `dsops set`, its value on standard input.
    ///
    /// # Errors
    /// `set` fails.
    pub fn set(&self, name: &str, value: &[u8]) -> anyhow::Result<()> {
        must(&Launch { stdin: value.to_vec(), ..self.launch(&["set", name]) })
    }
}

/// Runs to the end and returns what was written.
///
/// # Errors
/// It does not start.
pub fn run(launch: &Launch) -> anyhow::Result<Ran> {
    let output = launch
        .command()?
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("cannot start {:?}", launch.command))?;
    Ok(Ran { status: output.status, stdout: output.stdout, stderr: output.stderr })
}

/// Runs to the end, which must be exit code 0.
///
/// # Errors
/// It does not start or fails; the error has what it said.
fn must(launch: &Launch) -> anyhow::Result<()> {
    let ran = run(launch)?;
    let said = String::from_utf8_lossy(&ran.stderr);
    anyhow::ensure!(ran.status.success(), "{:?}: {}\n{said}", launch.command, ran.status);
    Ok(())
}
