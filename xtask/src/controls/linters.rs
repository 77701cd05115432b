//! Linters of others, pinned by hash: each first has to refuse what it is there for, then to find nothing in ours.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::process;
use crate::tools::packages::CONTROLS;

/// A workflow with most of what can be wrong with one.
const BAD: &str = "name: bad
on: pull_request_target
permissions: write-all
jobs:
  a:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
        with:
          ref: ${{ github.event.pull_request.head.sha }}
      - run: echo ${{ github.event.pull_request.title }}
";

/// A workflow that is none: a key is misspelt.
const ODD: &str = "name: odd
on: push
jobs:
  a:
    runs-on: ubuntu-24.04
    timeout-minutes: 1
    steps:
      - rum: make
";

/// A script that does not quote.
const SCRIPT: &str = "#!/bin/sh\nrm $1\n";

/// An update that is for no known ecosystem.
const UPDATES: &str = "version: 2
updates:
  - package-ecosystem: cargos
    directory: /
    schedule:
      interval: weekly
";

/// An issue form without a body.
const FORM: &str = "name: bad\ndescription: bad\n";

/// One use of a linter.
struct Linter {
    name: &'static str,
    /// What it must refuse, as `.github/workflows/bad.yml` or the file it is about.
    bad: (&'static str, &'static str),
    /// What it says about that, each of them.
    says: &'static [&'static str],
    /// Its command, for files relative to the folder it runs in.
    command: fn(&Programs, &[PathBuf]) -> Command,
    /// Whether it looks at a file.
    takes: fn(&Path) -> bool,
}

const LINTERS: &[Linter] = &[
    Linter {
        name: "zizmor",
        bad: (".github/workflows/bad.yml", BAD),
        says: &[
            "artipacked",
            "dangerous-triggers",
            "excessive-permissions",
            "template-injection",
            "unpinned-uses",
        ],
        command: |programs, files| {
            let mut command = programs.binary("zizmor");
            command.args(["--offline", "--quiet", "--no-progress", "--no-config", "--no-ignores"]);
            command.args(["--persona=auditor", "--color=never", "--format=plain"]).args(files);
            command
        },
        takes: |path| is_workflow(path) || is_updates(path),
    },
    Linter {
        name: "jactionlint",
        bad: (".github/workflows/bad.yml", BAD),
        says: &["missing-timeout", "template-injection", "unpinned-uses", "untrusted-checkout"],
        command: |programs, files| {
            let mut command = programs.script("jactionlint");
            command.args(["--profile=pedantic", "--no-color", "--oneline", "--no-ignores"]);
            command.args(["--no-baseline", "--no-online"]);
            let shellcheck = programs.folder.join("bin/shellcheck");
            command.arg(format!("--shellcheck={}", shellcheck.display())).args(files);
            command
        },
        takes: is_workflow,
    },
    Linter {
        name: "pinact",
        bad: (".github/workflows/bad.yml", BAD),
        says: &["can't be pinned"],
        command: |programs, files| {
            let mut command = programs.binary("pinact");
            command.args(["run", "--fix=false", "--no-api"]).args(files);
            command
        },
        takes: is_workflow,
    },
    Linter {
        name: "schema of workflows",
        bad: (".github/workflows/bad.yml", ODD),
        says: &["$.jobs.a"],
        command: |programs, files| programs.schema("vendor.github-workflows", files),
        takes: is_workflow,
    },
    Linter {
        name: "schema of updates",
        bad: (".github/dependabot.yml", UPDATES),
        says: &["cargos"],
        command: |programs, files| programs.schema("vendor.dependabot", files),
        takes: is_updates,
    },
    Linter {
        name: "schema of issue forms",
        bad: (".github/ISSUE_TEMPLATE/bad.yml", FORM),
        says: &["'body' is a required property"],
        command: |programs, files| programs.schema("vendor.github-issue-forms", files),
        takes: |path| path.starts_with(".github/ISSUE_TEMPLATE") && !path.ends_with("config.yml"),
    },
    Linter {
        name: "shellcheck",
        bad: ("bad.sh", SCRIPT),
        says: &["SC2086"],
        command: |programs, files| {
            let mut command = programs.binary("shellcheck");
            command.args(["--format=gcc", "--shell=bash", "--norc"]).args(files);
            command
        },
        takes: |path| {
            path == Path::new(".ci/run")
                || path.extension().is_some_and(|extension| extension == "sh")
                    && !path.ends_with("zsh.sh")
        },
    },
];

/// Where linters look for what to leave out. There is none, and nothing is left out.
const SETTINGS: &[&str] = &[
    ".github/actionlint.yaml",
    ".github/actionlint.yml",
    ".github/jactionlint.yaml",
    ".github/jactionlint.yml",
    ".github/pinact.yaml",
    ".github/pinact.yml",
    ".pinact.yaml",
    ".pinact.yml",
];

/// Runs every linter on the files of a checkout.
///
/// # Errors
/// One finds something, does not find what it must, or is told what to leave out.
pub fn run(root: &Path, files: &[PathBuf], folder: &Path) -> anyhow::Result<()> {
    let programs = Programs { folder: folder.join("python") };
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    if let Some(file) = files.iter().find(|file| SETTINGS.iter().any(|name| file.ends_with(name))) {
        bail!("{} tells a linter what to leave out", file.display());
    }
    let mut failed = 0;
    for linter in LINTERS {
        let start = Instant::now();
        linter.must_refuse(&programs, scratch.path())?;
        let taken: Vec<PathBuf> =
            files.iter().filter(|file| (linter.takes)(file)).cloned().collect();
        if taken.is_empty() {
            bail!("{}: there is nothing to look at", linter.name);
        }
        let output = (linter.command)(&programs, &taken)
            .current_dir(root)
            .output()
            .with_context(|| format!("cannot start {}", linter.name))?;
        if output.status.success() {
            let time = start.elapsed().as_secs_f64();
            println!("{}: nothing in {} files ({time:.1} s)", linter.name, taken.len());
        } else {
            failed += 1;
            print!("{}{}", text(&output.stdout), text(&output.stderr));
            println!("{}: {}", linter.name, output.status);
        }
    }
    if failed > 0 {
        bail!("{failed} linters found something");
    }
    Ok(())
}

impl Linter {
    /// A linter that passes everything would pass ours too.
    fn must_refuse(&self, programs: &Programs, scratch: &Path) -> anyhow::Result<()> {
        let (path, content) = self.bad;
        let target = scratch.join(path);
        std::fs::create_dir_all(target.parent().context("a file is in a folder")?)?;
        std::fs::write(&target, content)?;
        let output = (self.command)(programs, &[path.into()])
            .current_dir(scratch)
            .output()
            .with_context(|| format!("cannot start {}", self.name))?;
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        if output.status.success() {
            bail!("{} lets pass what it must refuse", self.name);
        }
        // The exit code alone could come from a file it cannot read.
        if let Some(missed) = self.says.iter().find(|words| !said.contains(**words)) {
            bail!("{} does not find `{missed}` in what it must refuse:\n{said}", self.name);
        }
        Ok(())
    }
}

/// Where the linters are.
struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// A program of its own.
    fn binary(&self, name: &str) -> Command {
        plain(Command::new(self.folder.join("bin").join(name)))
    }

    /// A program that Python starts.
    fn script(&self, module: &str) -> Command {
        let mut command = Command::new("python3");
        command.args(["-m", module]).env("PYTHONPATH", &self.folder);
        plain(command)
    }

    /// A schema that comes with its checker.
    fn schema(&self, schema: &str, files: &[PathBuf]) -> Command {
        let mut command = self.script("check_jsonschema");
        command.args(["--builtin-schema", schema]).args(files);
        command
    }
}

/// Nothing of the caller's own configuration or credentials.
fn plain(mut command: Command) -> Command {
    for name in ["GH_TOKEN", "GITHUB_TOKEN", "ZIZMOR_CONFIG", "PINACT_CONFIG"] {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1");
    command
}

fn is_workflow(path: &Path) -> bool {
    path.starts_with(".github/workflows")
}

fn is_updates(path: &Path) -> bool {
    path == Path::new(".github/dependabot.yml")
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The linters' folder, installed if it can be.
///
/// # Errors
/// They cannot be had here.
pub fn install() -> anyhow::Result<PathBuf> {
    if !process::is_on_path("python3") {
        bail!("python3 is not installed");
    }
    CONTROLS.install()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// What is said of a linter that is this script.
    fn said_of(script: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("bin/zizmor");
        std::fs::create_dir(program.parent().unwrap()).unwrap();
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let linter = LINTERS.iter().find(|linter| linter.name == "zizmor").unwrap();
        let programs = Programs { folder: folder.path().to_path_buf() };
        linter.must_refuse(&programs, folder.path()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_linter_that_finds_nothing_is_found_out() {
        let all = LINTERS[0].says.join(" ");
        assert_eq!(said_of(&format!("echo {all}; exit 14")), Ok(()));
        assert_eq!(said_of("exit 0").unwrap_err(), "zizmor lets pass what it must refuse");
        assert_eq!(
            said_of(&format!("echo {all}; exit 0")).unwrap_err(),
            "zizmor lets pass what it must refuse"
        );
        // It could not read the file at all.
        let error = said_of("echo no such file; exit 1").unwrap_err();
        assert!(error.starts_with("zizmor does not find `artipacked`"), "{error}");
        let error = said_of("echo artipacked; exit 14").unwrap_err();
        assert!(error.starts_with("zizmor does not find `dangerous-triggers`"), "{error}");
    }

    #[test]
    fn a_linter_is_not_told_what_to_leave_out() {
        let files = [PathBuf::from(".github/jactionlint.yaml")];
        let error = run(Path::new("."), &files, Path::new("none")).unwrap_err().to_string();
        assert_eq!(error, ".github/jactionlint.yaml tells a linter what to leave out");
    }
}
