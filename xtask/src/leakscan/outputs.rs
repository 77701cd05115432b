//! Runs every command and every failing path, and searches what comes out: words on the terminal,
//! files, arguments of other programs, and memory on the way.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use nix::sys::wait::WaitStatus;

use super::{
    cases::{self, Case, Place, Wanted, with_home},
    needles::identity_secrets,
    observe::Search,
    project::run,
    report::{self, Report},
    stages::Marked,
    tracer::{End, Launch},
};

/// Runs all cases.
///
/// # Errors
/// A case cannot be prepared or started.
pub fn check(marked: &Marked, report: &mut Report) -> anyhow::Result<()> {
    init(marked, report)?;
    for case in cases::all(marked)? {
        judge(marked, &case, report)?;
    }
    files(marked, report)
}

/// What `init` says and writes, apart from the identity file itself.
fn init(marked: &Marked, report: &mut Report) -> anyhow::Result<()> {
    let project = &marked.project;
    let (work, home) = (project.folder().join("init-work"), project.folder().join("init-home"));
    for path in [&work, &home] {
        fs::create_dir(path)?;
        std::os::unix::fs::chown(path, project.user(), project.user())?;
    }
    let launch = with_home(Launch { directory: work.clone(), ..project.launch(&["init"]) }, &home);
    let ran = run(&launch)?;
    let identity_file = home.join(".config/sops/age/keys.txt");
    let search = Search::new(identity_secrets(&fs::read_to_string(&identity_file)?)?)?;
    let mut hits = search.describe_all(&ran.stdout);
    hits.extend(search.describe_all(&ran.stderr));
    for file in files_below(&work)?.into_iter().chain(files_below(&home)?) {
        if file != identity_file {
            hits.extend(search.describe_all(&fs::read(&file)?));
        }
    }
    report.check(hits.is_empty(), "init: a fresh identity is only in its file", &count(&hits));
    report::details(&hits);
    Ok(())
}

/// Runs a case and searches all that came of it.
fn judge(marked: &Marked, case: &Case, report: &mut Report) -> anyhow::Result<()> {
    let output = tempfile::NamedTempFile::new_in(marked.project.folder())?;
    let launch = Launch { output: Some(output.path().into()), ..case.launch.clone() };
    let mut faults = Vec::new();
    let succeeded = if case.secret == Place::InHand {
        launch.command()?.status().context("cannot start the program")?.success()
    } else {
        let observed = marked.search.observe(&launch, &|_, _| false)?;
        faults.extend(observed.details);
        if !case.writes_files {
            faults.extend(observed.opened_for_writing.iter().map(|path| format!("wrote {path}")));
        }
        if case.secret != Place::Printed {
            faults.extend(observed.hidden_writes);
        }
        matches!(observed.end, End::Ended { status: WaitStatus::Exited(_, 0), .. })
    };
    let said = fs::read(output.path())?;
    let printed = marked.search.describe_all(&said);
    if case.secret != Place::Printed {
        faults.extend(printed.iter().map(|hit| format!("printed {hit}")));
    } else if printed.is_empty() {
        faults.push("it should have printed the secret and did not".into());
    }
    let wanted = match (case.wanted, succeeded) {
        (Wanted::Success, false) => Some("succeed"),
        (Wanted::Failure, true) => Some("fail"),
        _ => None,
    };
    if let Some(wanted) = wanted {
        let said = if printed.is_empty() { String::from_utf8_lossy(&said) } else { "…".into() };
        faults.push(format!("it should {wanted} and did not: {}", said.trim_end()));
    }
    let name = format!("{}: no secret comes out", case.name);
    report.check(faults.is_empty(), &name, &count(&faults));
    report::details(&faults);
    Ok(())
}

/// No file of the project holds a secret, apart from the identity file.
fn files(marked: &Marked, report: &mut Report) -> anyhow::Result<()> {
    let project = &marked.project;
    let identity = project.identity_file();
    let mut hits = Vec::new();
    let mut searched = 0;
    for file in files_below(&project.work())?.into_iter().chain(files_below(&project.home())?) {
        if file != identity {
            searched += 1;
            hits.extend(marked.search.describe_all(&fs::read(&file)?));
        }
    }
    let seen = format!("{} in {searched} files", count(&hits));
    report.check(
        hits.is_empty() && searched >= 2,
        "no file but the identity's holds a secret",
        &seen,
    );
    report::details(&hits);
    Ok(())
}

/// Every file below a folder.
fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    Ok(files)
}

fn count(faults: &[String]) -> String {
    format!("{} faults", faults.len())
}
