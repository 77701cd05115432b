//! `cargo xtask sign --keyless|--stand-in FOLDER`: the released program signs every file of the release and says how
//! each was built.
//!
//! Keyless is for a job of the workflow that releases, whose host says who it is. A dry run does the
//! same with a stand-in for the services, whose root of trust is left in a folder, and with the
//! variables that such a job has.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use super::build::Commit;
use super::folder::{self, Folder, SBOMS};
use super::services::Services;
use super::verify::{Program, Signer};
use crate::{process, workspace};

/// Who vouches for the signer.
#[derive(Clone, Copy)]
pub enum With<'a> {
    /// The public services, for the job that this runs in.
    Keyless,
    /// The stand-in, for that signer at that commit.
    StandIn(&'a Services, &'a Signer, &'a str),
}

/// Signs the folder of the release.
///
/// # Errors
/// It is not what its checksums say, is signed already, or the program refuses.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let release = || Folder::open(Folder::here()?.path());
    match args {
        [flag] if flag == "--keyless" => sign(&release()?, With::Keyless),
        [flag, folder] if flag == "--stand-in" => {
            let root = workspace::root();
            let commit = Commit::of(&root)?.context("the checkout differs from its commit")?;
            let signer = Signer::of_version(&folder::version(&root)?);
            let services = Services::start(Path::new(folder), &signer, &commit.id)?;
            sign(&release()?, With::StandIn(&services, &signer, &commit.id))?;
            println!("the root of trust: {}", services.trusted_root().display());
            Ok(())
        }
        _ => bail!("sign takes `--keyless`, in a job that has an identity, or `--stand-in FOLDER`"),
    }
}

/// Signs everything in a folder, with provenance for each file and the components of the image.
///
/// # Errors
/// As [`run`].
pub fn sign(release: &Folder, with: With<'_>) -> anyhow::Result<()> {
    release.check_sums()?;
    let artifacts = release.artifacts()?;
    // What was loaded from elsewhere need not be a program any more.
    let program = Program::new(&release.program(), "", None)?;
    let dsops = |words: &[&str]| {
        let mut command = Command::new(program.path());
        command.args(words);
        with.add_to(&mut command);
        command
    };
    process::run(dsops(&["sign", "--quiet"]).args(&artifacts)).context("signing")?;
    for artifact in &artifacts {
        let name = folder::name_of(artifact);
        let mut attest = dsops(&["attest", "provenance", "--quiet"]);
        process::run(attest.arg(artifact)).with_context(|| format!("provenance of {name}"))?;
    }
    let image = release.manifest();
    let (ending, _) = SBOMS[0];
    let mut attest = dsops(&["attest", "sbom", "--quiet"]);
    attest.arg(&image).arg("--sbom").arg(folder::with_ending(&image, ending));
    process::run(attest.arg("--output").arg(release.image_components()))?;
    let count = folder::names(release.path())?.len() - artifacts.len();
    println!("signed: {} files, {count} pieces of evidence", artifacts.len());
    Ok(())
}

impl With<'_> {
    /// What the program needs to sign so.
    fn add_to(self, command: &mut Command) {
        let Self::StandIn(services, signer, commit) = self else { return };
        command.arg("--identity-token-file").arg(services.token());
        command.arg("--signing-config").arg(services.signing_config());
        command.arg("--trusted-root").arg(services.trusted_root());
        let Signer { repository, tag } = signer;
        for (name, value) in [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_SERVER_URL", "https://github.com".to_owned()),
            ("GITHUB_REPOSITORY", repository.clone()),
            ("GITHUB_REF", format!("refs/tags/{tag}")),
            ("GITHUB_WORKFLOW_REF", signer.workflow()),
            ("GITHUB_SHA", commit.to_owned()),
            ("GITHUB_RUN_ID", "1".to_owned()),
            ("GITHUB_RUN_ATTEMPT", "1".to_owned()),
            ("GITHUB_EVENT_NAME", "push".to_owned()),
            ("RUNNER_ENVIRONMENT", "github-hosted".to_owned()),
        ] {
            command.env(name, value);
        }
        // Where the job of the continuous integration that this runs in would say otherwise.
        for name in ["GITHUB_REPOSITORY_ID", "GITHUB_REPOSITORY_OWNER_ID", "SIGSTORE_ID_TOKEN"] {
            command.env_remove(name);
        }
    }
}
