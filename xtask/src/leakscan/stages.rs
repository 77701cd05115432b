//! Searches memory at every system call of whole runs: `exec` in both modes, and the control.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use nix::sys::wait::WaitStatus;

use super::{
    binaries::publish,
    needles::Secret,
    observe::{Observed, Search, Stage},
    project::Project,
    report::{self, Report},
    tracer::{End, Launch},
};

/// The secrets of a project: what they are called there and what they are.
#[derive(Debug)]
pub struct Marked {
    /// The project, with all secrets set.
    pub project: Project,
    /// The program under test, for further projects.
    pub dsops: PathBuf,
    /// Search for the secrets and the identity.
    pub search: Search,
    /// The variables that were set.
    pub variables: Vec<Secret>,
}

/// The lengths of the secrets, in bytes.
const LENGTHS: [usize; 4] = [16, 40, 200, 4096];

impl Marked {
    /// Makes a project with fresh random secrets.
    pub fn create(dsops: &Path, user: Option<u32>) -> anyhow::Result<Self> {
        let project = Project::create(dsops, user)?;
        let mut variables = Vec::new();
        for len in LENGTHS {
            let secret = Secret::random(format!("SECRET_{len}"), len)?;
            project.set(&secret.name, &secret.bytes)?;
            variables.push(secret);
        }
        let mut secrets = variables.clone();
        secrets.extend(project.identity()?);
        Ok(Self { project, dsops: dsops.into(), search: Search::new(secrets)?, variables })
    }

    /// `dsops exec` in this mode. The child proves that it got every secret and goes on as
    /// [`bare_sleep`].
    pub fn exec(&self, mode: &str, sleep_secs: &str) -> Launch {
        let mut script = String::from("ulimit -c 0; ");
        for secret in &self.variables {
            let len = secret.bytes.len().to_string();
            script.extend(["[ ${#", &secret.name, "} = ", &len, " ] && "]);
        }
        script.push_str(&bare_sleep(sleep_secs));
        self.project.launch(&["exec", "--mode", mode, "--", "/bin/sh", "-c", &script])
    }

    /// `dsops exec` with the identity in `SOPS_AGE_KEY` instead of its file. The child proves that
    /// it did not inherit it.
    pub fn given_identity(&self, sleep_secs: &str) -> anyhow::Result<Launch> {
        let mut launch = self.exec("supervise", sleep_secs);
        let script = launch.command.last_mut().context("exec has a command")?;
        let mut checked = OsString::from("[ -z \"$SOPS_AGE_KEY\" ] || exit 9; ");
        checked.push(&*script);
        *script = checked;
        let text = fs::read_to_string(self.project.identity_file())?;
        let key = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1"));
        let key = key.context("the identity file has no key")?;
        for (name, value) in &mut launch.environment {
            if name == "HOME" {
                *value = self.project.folder().into();
            }
        }
        launch.environment.push(("SOPS_AGE_KEY".into(), key.into()));
        Ok(launch)
    }

    /// The control with the last secret, in the same conditions.
    pub fn control(&self, control: &Path, sleep_secs: &str) -> anyhow::Result<Launch> {
        let program = publish(control, self.project.folder())?;
        let secret = self.variables.last().context("a project has secrets")?;
        let file = self.project.folder().join("secret.txt");
        fs::write(&file, &secret.bytes)?;
        let script = format!("ulimit -c 0; {}", bare_sleep(sleep_secs));
        let words = [program.into(), file.into(), "SECRET".into()]
            .into_iter()
            .chain(["/bin/sh", "-c", &script].map(OsString::from));
        Ok(self.project.launch_program(words))
    }
}

/// How a child goes on once it has seen its secrets: without them, so that what is found later is
/// not found in the child, which tells that it runs and sleeps.
fn bare_sleep(secs: &str) -> String {
    format!("exec /usr/bin/env -i /bin/sh -c 'echo ready; exec /bin/sleep {secs}'")
}

/// How the user is called in the report.
pub fn user_name(user: Option<u32>) -> &'static str {
    match user {
        None if crate::process::is_root() => "root",
        None => "this user",
        Some(_) => "plain user",
    }
}

/// One run that was watched, to be judged when all are in the table.
#[derive(Debug)]
pub struct Run {
    name: String,
    kind: Kind,
    observed: Observed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Replace,
    Supervise,
    /// Supervise, with the identity in the environment `dsops` was started with.
    GivenIdentity,
    Control,
}

/// Watches `exec` in both modes, and the control, at every stop.
///
/// # Errors
/// A program cannot be started or traced.
pub fn scan(marked: &Marked, control: &Path) -> anyhow::Result<Vec<Run>> {
    const SLEEP_SECS: &str = "0.05";
    let user = user_name(marked.project.user());
    [
        ("exec --mode supervise", Kind::Supervise, marked.exec("supervise", SLEEP_SECS)),
        ("exec --mode replace", Kind::Replace, marked.exec("replace", SLEEP_SECS)),
        ("exec, identity in SOPS_AGE_KEY", Kind::GivenIdentity, marked.given_identity(SLEEP_SECS)?),
        ("control", Kind::Control, marked.control(control, SLEEP_SECS)?),
    ]
    .into_iter()
    .map(|(what, kind, launch)| {
        let name = format!("{what}, {user}");
        let observed = marked.search.observe(&launch, &|_, _| false)?;
        report::stages(&name, &observed);
        Ok(Run { name, kind, observed })
    })
    .collect()
}

impl Run {
    /// `exec` must be clean at every stop, and the control must not be.
    pub fn judge(&self, report: &mut Report) {
        let Self { name, kind, observed } = self;
        if *kind == Kind::Control {
            let live = observed.stages.get(&Stage::Running).map_or(0, |tally| tally.mem_hits);
            report.check(
                live >= 2,
                &format!("{name}: the search sees its copies"),
                &format!("{live} while the child runs, at least 2 wanted"),
            );
            return;
        }
        let became_another = *kind == Kind::Replace;
        let went_well = matches!(
            observed.end,
            End::Ended { status: WaitStatus::Exited(_, 0), replaced } if replaced == became_another
        );
        let end = match &observed.end {
            End::Ended { status: WaitStatus::Exited(_, code), .. } => format!("exit code {code}"),
            other => format!("{other:?}"),
        };
        report.check(went_well, &format!("{name}: the child got every secret"), &end);
        let last = if became_another { Stage::Resolved } else { Stage::After };
        let mut wanted = vec![Stage::Start, Stage::Config, Stage::Store, Stage::Resolved, last];
        if *kind != Kind::GivenIdentity {
            wanted.push(Stage::Identity);
        }
        let missing: Vec<String> = wanted
            .iter()
            .filter(|stage| !observed.stages.contains_key(stage))
            .map(ToString::to_string)
            .collect();
        let seen = if missing.is_empty() { "all".into() } else { format!("missing {missing:?}") };
        report.check(missing.is_empty(), &format!("{name}: every stage was seen"), &seen);
        // The kernel puts what is in the environment on the stack before the first instruction.
        // Once the secrets are there, it must be gone from there.
        let from = if *kind == Kind::GivenIdentity { Stage::Resolved } else { Stage::Start };
        let hits = observed.hits_from(from);
        let what = format!("{name}: no piece of a secret in memory from `{from}` on");
        report.check(hits == 0, &what, &format!("{hits} hits"));
        if hits > 0 {
            report::details(&observed.details);
        }
        for (what, list) in [
            ("no file opened for writing", &observed.opened_for_writing),
            ("nothing written out of hidden memory", &observed.hidden_writes),
        ] {
            report.check(list.is_empty(), &format!("{name}: {what}"), &format!("{list:?}"));
        }
        report.check(
            observed.hidden_environment == Some(true),
            &format!("{name}: secrets are handed over from hidden memory"),
            &format!("{:?}", observed.hidden_environment),
        );
    }
}
