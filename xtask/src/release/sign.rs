//! `cargo xtask sign --stand-in FOLDER`: the released program signs every file of the release and says how each was
//! built, as the workflow has it do.
//!
//! The script is read from the workflow and run as its host runs it. What differs: a stand-in for the services, whose
//! root of trust is left in a folder, and variables as such a job has them. In the workflow nothing of this program
//! runs beside the identity, see `controls`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use super::build::Commit;
use super::dist::make_program;
use super::folder::{self, Folder};
use super::services::Services;
use super::verify::{Program, Signer, WORKFLOW};
use crate::controls::rules::{self, Workflow};
use crate::{process, workspace};

/// The job whose scripts are run, and the step that signs.
const JOB: &str = "sign";
const SIGN: &str = "Sign every file, and say how it was built";

/// Signs the folder of the release.
///
/// # Errors
/// It is not what its checksums say, is signed already, or the program refuses.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let [flag, folder] = args else { bail!("sign takes `--stand-in FOLDER`") };
    if flag != "--stand-in" {
        bail!("sign takes `--stand-in FOLDER`; real signatures are made by {WORKFLOW}");
    }
    let root = workspace::root();
    let commit = Commit::of(&root)?.context("the checkout differs from its commit")?;
    let signer = Signer::of_version(&folder::version(&root)?);
    let services = Services::start(Path::new(folder), &signer, &commit.id)?;
    let release = Folder::open(Folder::here()?.path())?;
    sign(&release, &StandIn { services: &services, signer: &signer, commit: &commit.id })?;
    println!("the root of trust: {}", services.trusted_root().display());
    Ok(())
}

/// Who vouches for the signer: the stand-in, for that signer at that commit.
pub struct StandIn<'a> {
    pub services: &'a Services,
    pub signer: &'a Signer,
    pub commit: &'a str,
}

/// Signs everything in a folder, with provenance for each file and the components of the image.
///
/// # Errors
/// As [`run`].
pub fn sign(release: &Folder, with: &StandIn<'_>) -> anyhow::Result<()> {
    release.check_sums()?;
    let artifacts = release.artifacts()?.len();
    if folder::names(release.path())?.len() != artifacts {
        bail!("{} is signed already", release.path().display());
    }
    // What was loaded from elsewhere need not be a program any more.
    let program = Program::new(&release.program(), "", None)?;
    let runner = tempfile::tempdir().context("cannot make a folder")?;
    let wrapper = runner.path().join("dsops");
    folder::write(&wrapper, with.wrapper(&program.path()).as_bytes())?;
    make_program(&wrapper)?;
    let mut bash = step(SIGN, release.path(), runner.path())?;
    with.add_to(&mut bash);
    process::run(&mut bash).context("signing")?;
    let count = folder::names(release.path())?.len() - artifacts;
    println!("signed: {artifacts} files, {count} pieces of evidence");
    Ok(())
}

/// The script of a step of the workflow, started as its host starts it where `shell: bash` is set.
fn step(name: &str, folder: &Path, runner: &Path) -> anyhow::Result<Command> {
    let text = std::fs::read_to_string(workspace::root().join(WORKFLOW))
        .with_context(|| format!("no {WORKFLOW}"))?;
    let workflow = Workflow::read(Path::new(WORKFLOW), &text)?;
    let script = rules::script(&workflow, JOB, name)
        .with_context(|| format!("{WORKFLOW}: the job `{JOB}` has no step `{name}`"))?;
    let mut bash = Command::new("bash");
    bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]);
    bash.current_dir(folder).env("RUNNER_TEMP", runner);
    Ok(bash)
}

impl StandIn<'_> {
    /// A program in place of the released one: it with the flags that name the stand-in.
    fn wrapper(&self, program: &Path) -> String {
        let quoted =
            |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
        format!(
            "#!/bin/sh\nexec {} \"$@\" --identity-token-file {} --signing-config {} --trusted-root {}\n",
            quoted(program),
            quoted(&self.services.token()),
            quoted(&self.services.signing_config()),
            quoted(&self.services.trusted_root()),
        )
    }

    /// The variables of such a job.
    fn add_to(&self, command: &mut Command) {
        let Signer { repository, tag } = self.signer;
        for (name, value) in [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_SERVER_URL", "https://github.com".to_owned()),
            ("GITHUB_REPOSITORY", repository.clone()),
            ("GITHUB_REF", format!("refs/tags/{tag}")),
            ("GITHUB_WORKFLOW_REF", self.signer.workflow()),
            ("GITHUB_SHA", self.commit.to_owned()),
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const STEM: &str = "dsops-1.2.3-x86_64-unknown-linux-gnu";

    /// A release as both builders made it, whose program writes down how it is called.
    fn release() -> (tempfile::TempDir, tempfile::TempDir) {
        let (folder, runner) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let program = "#!/bin/sh\necho \"$@\" >> \"$RUNNER_TEMP/calls\"\n";
        let files =
            [("", program), (".oci.json", "{}"), (".oci.json.spdx.json", "{}"), (".tar.gz", "x")];
        let sums = files.map(|(ending, content)| {
            let name = format!("{STEM}{ending}");
            fs::write(folder.path().join(&name), content).unwrap();
            format!("{}  {name}\n", folder::sha256(content.as_bytes()))
        });
        fs::write(folder.path().join(folder::SUMS), sums.concat()).unwrap();
        (folder, runner)
    }

    /// Whether the job takes the files for what both builders made.
    fn is_taken(folder: &Path, runner: &Path, sums: &str) -> bool {
        let mut check = step("It is what both builders made", folder, runner).unwrap();
        check.env("SUMS", sums).env("LC_ALL", "C").output().unwrap().status.success()
    }

    #[test]
    fn the_job_signs_what_both_builders_made_and_nothing_else() {
        let sums = |folder: &Path| folder::sha256_of(&folder.join(folder::SUMS)).unwrap();
        let (folder, runner) = release();
        let (folder, runner) = (folder.path(), runner.path());
        assert!(is_taken(folder, runner, &sums(folder)));
        assert!(step(SIGN, folder, runner).unwrap().output().unwrap().status.success());
        let calls = fs::read_to_string(runner.join("calls")).unwrap();
        let calls: Vec<&str> = calls.lines().collect();
        let files: Vec<String> = ["", ".oci.json", ".oci.json.spdx.json", ".tar.gz"]
            .iter()
            .map(|ending| format!("{STEM}{ending}"))
            .collect();
        let mut expected = vec![format!("sign --quiet SHA256SUMS {}", files.join(" "))];
        let all = ["SHA256SUMS"].into_iter().chain(files.iter().map(String::as_str));
        expected.extend(all.map(|name| format!("attest provenance --quiet {name}")));
        let image = format!("{STEM}.oci.json");
        expected.push(format!(
            "attest sbom --quiet {image} --sbom {image}.spdx.json --output {STEM}.oci.sbom.intoto.jsonl"
        ));
        assert_eq!(calls, expected);

        let (changed, runner) = release();
        fs::write(changed.path().join(STEM), "another program").unwrap();
        assert!(!is_taken(changed.path(), runner.path(), &sums(changed.path())));
        let (more, runner) = release();
        fs::write(more.path().join("dsops-more"), "").unwrap();
        assert!(!is_taken(more.path(), runner.path(), &sums(more.path())));
        // Another list of sums, with all that it lists, is not the one that the comparison saw.
        let (other, runner) = release();
        assert!(!is_taken(other.path(), runner.path(), &folder::sha256(b"x")));
    }

    #[test]
    fn a_program_that_fails_ends_the_job() {
        let (folder, runner) = release();
        fs::write(runner.path().join("dsops"), "#!/bin/sh\n[ $1 = sign ]\n").unwrap();
        make_program(&runner.path().join("dsops")).unwrap();
        let signed = step(SIGN, folder.path(), runner.path()).unwrap().output().unwrap();
        assert!(!signed.status.success(), "provenance failed");
    }
}
