//! `cargo xtask verify FOLDER --policy POLICY [--trusted-root FILE] [--tag]`: the released program verifies the release,
//! as the guide for users says, and refuses it once anything is changed.
//!
//! Nothing here judges a signature: the program in the folder does, by its command line. What is
//! added is that nothing may be missing, that each file must pass by its own evidence alone, and
//! that what was tampered with must not pass.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use super::folder::{self, Folder};
use super::{guide, peers, push, tag, tamper};
use crate::workspace;

/// How often the time of verifying all is taken; the shortest counts.
const ROUNDS: usize = 5;

/// How long verifying all should take.
const GOAL: Duration = Duration::from_millis(50);

/// The repository whose workflow releases.
const REPOSITORY: &str = "systmms/dsops";

/// The workflow that releases, in the repository that a policy names.
pub const WORKFLOW: &str = ".github/workflows/release.yml";

/// Runs the command.
///
/// # Errors
/// The release is not whole, does not verify, or passes after it was changed.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let (mut path, mut policy, mut root, mut with_tag) = (None, None, None, false);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--policy" => policy = Some(args.next().context("--policy takes a policy")?),
            "--trusted-root" => root = Some(args.next().context("--trusted-root takes a file")?),
            "--tag" => with_tag = true,
            flag if flag.starts_with('-') || path.is_some() => {
                bail!(
                    "unknown argument `{flag}`: verify FOLDER --policy POLICY [--trusted-root FILE]"
                )
            }
            _ => path = Some(PathBuf::from(arg)),
        }
    }
    let path = path.context("verify takes the folder of a release")?;
    let policy = policy.context("verify takes `--policy github:OWNER/REPOSITORY@TAG`")?;
    let signer = Signer::of_policy(policy)?;
    let release = Folder::open(&path)?;
    if with_tag {
        tag::check(&workspace::root(), &release, &signer.tag)?;
    }
    verify(&release, &signer, root.map(Path::new))
}

/// Verifies a release in every way there is.
///
/// # Errors
/// As [`run`].
pub fn verify(release: &Folder, signer: &Signer, root: Option<&Path>) -> anyhow::Result<()> {
    is_whole(release)?;
    let program = Program::new(&release.program(), &signer.policy(), root)?;
    let commands = guide::commands(&workspace::root(), release, signer)?;
    for command in &commands {
        println!("$ {command}");
        program.shell(command, release.path())?;
    }
    let time = fastest(ROUNDS, || program.accepts(release.path(), ".", &[]))?;
    let note = if time <= GOAL { "" } else { " (hint: slower than it should be)" };
    println!(
        "`dsops verify` of the whole release: {:.1} ms, goal {} ms{note}",
        time.as_secs_f64() * 1000.0,
        GOAL.as_millis(),
    );
    tamper::matrix(&program, release, signer)?;
    peers::judge(release, signer, root)?;
    push::rehearse(release, &program)
}

/// Who signs releases: a workflow at a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// `OWNER/REPOSITORY`.
    pub repository: String,
    /// The tag.
    pub tag: String,
}

impl Signer {
    /// The one that `github:OWNER/REPOSITORY@TAG` names.
    ///
    /// # Errors
    /// The policy names none: who accepts any tag, accepts an older release for a newer one.
    pub fn of_policy(policy: &str) -> anyhow::Result<Self> {
        let named = policy
            .strip_prefix("github:")
            .and_then(|text| text.split_once('@'))
            .filter(|(_, tag)| !tag.is_empty() && !tag.contains('*'));
        let (repository, tag) =
            named.with_context(|| format!("`{policy}` is not `github:OWNER/REPOSITORY@TAG`"))?;
        Ok(Self { repository: repository.to_owned(), tag: tag.to_owned() })
    }

    /// Ours, of that version.
    pub fn of_version(version: &str) -> Self {
        Self { repository: REPOSITORY.to_owned(), tag: format!("v{version}") }
    }

    /// It, as a policy.
    pub fn policy(&self) -> String {
        format!("github:{}@{}", self.repository, self.tag)
    }

    /// The workflow, as its host names it.
    pub fn workflow(&self) -> String {
        format!("{}/{WORKFLOW}@refs/tags/{}", self.repository, self.tag)
    }

    /// Its name in certificates.
    pub fn identity(&self) -> String {
        format!("https://github.com/{}", self.workflow())
    }

    /// Who vouches for it.
    pub fn issuer() -> &'static str {
        "https://token.actions.githubusercontent.com"
    }
}

/// Makes sure that every file of a release is there, with its evidence, and no other.
///
/// # Errors
/// One is missing or too many.
pub fn is_whole(release: &Folder) -> anyhow::Result<()> {
    let (there, wanted) = (folder::names(release.path())?, release.wanted());
    let only_in = |one: &[String], other: &[String]| -> Vec<String> {
        one.iter().filter(|name| !other.contains(name)).cloned().collect()
    };
    let (missing, extra) = (only_in(&wanted, &there), only_in(&there, &wanted));
    if !missing.is_empty() {
        bail!("the release lacks {}", missing.join(", "));
    }
    if !extra.is_empty() {
        bail!("the release has files that are no part of one: {}", extra.join(", "));
    }
    Ok(())
}

/// The released program, ready to verify.
pub struct Program {
    /// The folder it lies in as `dsops`: what was downloaded need not be a program any more.
    folder: TempDir,
    policy: String,
    root: Option<PathBuf>,
}

impl Program {
    /// A copy of a program, which accepts who that policy names.
    ///
    /// # Errors
    /// It cannot be copied.
    pub fn new(program: &Path, policy: &str, root: Option<&Path>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let copy = folder.path().join("dsops");
        fs::copy(program, &copy).with_context(|| format!("cannot copy {}", program.display()))?;
        super::dist::make_program(&copy)?;
        let absolute =
            |root: &Path| root.canonicalize().with_context(|| format!("no {}", root.display()));
        Ok(Self { folder, policy: policy.to_owned(), root: root.map(absolute).transpose()? })
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("dsops")
    }

    /// The exit code of verifying `artifact` in a folder, and what was said.
    ///
    /// # Errors
    /// The program does not start, or is ended by a signal.
    pub fn verify(
        &self,
        folder: &Path,
        artifact: &str,
        more: &[&str],
    ) -> anyhow::Result<(i32, String)> {
        let mut command = Command::new(self.path());
        command.args(["verify", artifact]);
        if !more.iter().any(|word| ["--policy", "--identity"].contains(word)) {
            command.args(["--policy", &self.policy]);
        }
        command.args(more).current_dir(folder).env_clear().env("NO_COLOR", "1");
        if let Some(root) = &self.root {
            command.arg("--trusted-root").arg(root);
        }
        let output = command.stdin(Stdio::null()).output().context("the program cannot start")?;
        let said = [output.stdout, output.stderr].concat();
        let code = output.status.code().context("a signal ended the program")?;
        Ok((code, String::from_utf8_lossy(&said).into_owned()))
    }

    /// Makes sure that it verifies.
    fn accepts(&self, folder: &Path, artifact: &str, more: &[&str]) -> anyhow::Result<()> {
        let (code, said) = self.verify(folder, artifact, more)?;
        if code != 0 {
            bail!("`dsops verify {artifact}` exits with {code}:\n{said}");
        }
        Ok(())
    }

    /// Runs a line of the guide, which must succeed.
    fn shell(&self, line: &str, folder: &Path) -> anyhow::Result<()> {
        let line = match &self.root {
            Some(root) if line.starts_with("dsops verify ") => {
                format!("{line} --trusted-root '{}'", root.display())
            }
            _ => line.to_owned(),
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.folder.path().to_owned());
        let path = std::env::join_paths(folders.chain(std::env::split_paths(&path)))?;
        let output = Command::new("sh")
            .args([OsStr::new("-c"), OsStr::new(&line)])
            .current_dir(folder)
            .env("PATH", path)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .context("cannot start a shell")?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            bail!("the guide's `{line}`: {}\n{}", output.status, String::from_utf8_lossy(&said));
        }
        Ok(())
    }
}

/// The shortest time of several.
fn fastest(rounds: usize, run: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_that_lacks_evidence_or_has_more_is_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("dsops-1-x.tar.gz"), "").unwrap();
        let release = Folder::open(folder.path()).unwrap();
        for name in release.wanted() {
            fs::write(folder.path().join(name), "").unwrap();
        }
        is_whole(&release).unwrap();
        for name in release.wanted() {
            let path = folder.path().join(&name);
            fs::remove_file(&path).unwrap();
            let error = is_whole(&release).unwrap_err().to_string();
            assert!(error.contains(&name), "{error}");
            fs::write(&path, "").unwrap();
        }
        fs::write(folder.path().join("install.sh"), "").unwrap();
        assert!(is_whole(&release).unwrap_err().to_string().contains("install.sh"));
    }

    #[test]
    fn a_policy_without_a_tag_is_refused() {
        let signer = Signer::of_policy("github:octo/demo@v1.2.3").unwrap();
        assert_eq!(signer.policy(), "github:octo/demo@v1.2.3");
        assert_eq!(
            signer.identity(),
            "https://github.com/octo/demo/.github/workflows/release.yml@refs/tags/v1.2.3"
        );
        for bad in
            ["github:octo/demo", "octo/demo@v1", "", "github:octo/demo@", "github:octo/demo@v1.*"]
        {
            assert!(Signer::of_policy(bad).is_err(), "{bad}");
        }
    }
}
