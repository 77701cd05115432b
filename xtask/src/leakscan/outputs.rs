//! Runs every command and every failing path, and searches what comes out: words on the terminal,
//! files, arguments of other programs, and memory on the way.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use nix::sys::wait::WaitStatus;

use super::{
    binaries::publish,
    cases::{self, Case, Place, Wanted, with_home},
    features::Features,
    needles::{hex, identity_secrets},
    observe::Search,
    project::{Project, run},
    report::{self, Report},
    signing::Signing,
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
        judge(&marked.project, &marked.search, &case, report)?;
    }
    files(&marked.project, &marked.search, report)
}

/// Runs what a configuration can ask for, in a project of its own.
///
/// # Errors
/// A case cannot be prepared or started.
pub fn check_features(marked: &Marked, control: &Path, report: &mut Report) -> anyhow::Result<()> {
    let features = Features::create(marked)?;
    see_all(&features.project, &features.search, control, report)?;
    for case in features.cases(report)? {
        judge(&features.project, &features.search, &case, report)?;
    }
    files(&features.project, &features.search, report)
}

/// Runs what signs, in a project of its own.
///
/// # Errors
/// A case cannot be prepared or started.
pub fn check_signing(marked: &Marked, control: &Path, report: &mut Report) -> anyhow::Result<()> {
    let signing = Signing::create(marked)?;
    see_all(&signing.project, &signing.search, control, report)?;
    for case in signing.cases(report)? {
        judge(&signing.project, &signing.search, &case, report)?;
    }
    files(&signing.project, &signing.search, report)
}

/// The control with all secrets in its hands, in hexadecimal: each must be seen, or the search
/// for it proves nothing.
fn see_all(
    project: &Project,
    search: &Search,
    control: &Path,
    report: &mut Report,
) -> anyhow::Result<()> {
    let program = publish(control, project.folder())?;
    let file = project.folder().join("secret.txt");
    let words: Vec<Vec<u8>> =
        search.secrets().iter().map(|secret| hex(&secret.bytes, b"0123456789abcdef")).collect();
    fs::write(&file, words.join(&b' '))?;
    let words = [program.into(), file.into(), "SECRET".into(), "/bin/true".into()];
    let observed = search.observe_given(&project.launch_program(words), &[])?;
    let unseen: Vec<&str> = search
        .secrets()
        .iter()
        .map(|secret| secret.name.as_str())
        .filter(|name| {
            let quoted = format!("`{name}`");
            !observed.details.iter().any(|detail| detail.contains(&quoted))
        })
        .collect();
    report.check(
        unseen.is_empty(),
        "control: the search sees every secret of these runs",
        &format!("{} secrets, not seen: {unseen:?}", search.secrets().len()),
    );
    Ok(())
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
fn judge(
    project: &Project,
    search: &Search,
    case: &Case,
    report: &mut Report,
) -> anyhow::Result<()> {
    let output = tempfile::NamedTempFile::new_in(project.folder())?;
    let launch = Launch { output: Some(output.path().into()), ..case.launch.clone() };
    let mut faults = Vec::new();
    let succeeded = if case.secret == Place::InHand {
        launch.command()?.status().context("cannot start the program")?.success()
    } else {
        let observed = search.observe_given(&launch, &case.given)?;
        faults.extend(observed.details);
        let may_write = |path: &str| match &case.secret {
            Place::Written(file) => file.parent().is_some_and(|folder| below(folder, path)),
            Place::Edited => case.writes_files || below(Path::new(MEMORY_FOLDER), path),
            _ => case.writes_files,
        };
        let opened = observed.opened_for_writing.iter().filter(|path| !may_write(path));
        faults.extend(opened.map(|path| format!("wrote {path}")));
        if matches!(case.secret, Place::Hidden) && !case.writes_keys {
            faults.extend(observed.hidden_writes);
        }
        matches!(observed.end, End::Ended { status: WaitStatus::Exited(_, 0), .. })
    };
    let said = fs::read(output.path())?;
    let printed = search.describe_all(&said);
    if case.secret != Place::Printed {
        faults.extend(printed.iter().map(|hit| format!("printed {hit}")));
    } else if printed.is_empty() && succeeded {
        faults.push("it should have printed the secret and did not".into());
    }
    match &case.secret {
        Place::Written(file) => faults.extend(written(search, file)?),
        Place::Edited => faults.extend(left_behind(search, Path::new(MEMORY_FOLDER))?),
        _ => {}
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

/// Where files in memory lie while they are edited.
const MEMORY_FOLDER: &str = "/dev/shm";

/// Whether `path` leads below `folder`, as far as its text tells.
fn below(folder: &Path, path: &str) -> bool {
    Path::new(path).starts_with(folder) && !path.contains("/../")
}

/// What is wrong with a file that should hold secrets, and with its folder.
fn written(search: &Search, file: &Path) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    if !file.is_file() || search.describe_all(&fs::read(file)?).is_empty() {
        faults.push("the file should hold a secret and does not".into());
    }
    for other in files_below(file.parent().context("a file lies in a folder")?)? {
        if other != file {
            faults.push(format!("left {}", other.display()));
        }
    }
    Ok(faults)
}

/// The files below a folder that hold a secret. What others do there meanwhile is not our concern.
fn left_behind(search: &Search, folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    for file in files_below(folder)? {
        let Ok(bytes) = fs::read(&file) else { continue };
        faults.extend(
            search.describe_all(&bytes).iter().map(|hit| format!("{}: {hit}", file.display())),
        );
    }
    Ok(faults)
}

/// No file of the project holds a secret, apart from the identity file.
fn files(project: &Project, search: &Search, report: &mut Report) -> anyhow::Result<()> {
    let identity = project.identity_file();
    let mut hits = Vec::new();
    let mut searched = 0;
    for file in files_below(&project.work())?.into_iter().chain(files_below(&project.home())?) {
        if file != identity {
            searched += 1;
            hits.extend(search.describe_all(&fs::read(&file)?));
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
