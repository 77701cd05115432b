//! `cargo xtask dist`: the program and the archive of this commit, as anybody else would build them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::archive::{self, Entry};
use super::build::{self, Built, Commit, Place};
use super::folder::{self, Folder};
use super::{auditable, scan};
use crate::process;

/// Documents of the archive, by their place in the checkout.
const DOCUMENTS: &[&str] =
    &["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "SECURITY.md"];

/// Where the manual pages are in the checkout.
const MANUAL: &str = "crates/cli/man";

/// Shells, and what their scripts are usually called.
const COMPLETIONS: &[(&str, &str)] = &[
    ("bash", "dsops.bash"),
    ("fish", "dsops.fish"),
    ("nushell", "dsops.nu"),
    ("powershell", "dsops.ps1"),
    ("zsh", "_dsops"),
];

/// Builds, and fills the folder of the release.
///
/// # Errors
/// The build fails, has a path of this machine in it, or needs something that is not there.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    match args {
        [] => {}
        [flag, target] if flag == "--target" => {
            let triple = build::host_triple()?;
            if *target != triple {
                bail!("built on {triple}, it cannot be static for {target}");
            }
        }
        _ => bail!("dist takes nothing, or --target and a platform"),
    }
    let release = Folder::here()?;
    release.clear()?;
    make(&Place::here()?, &release)?;
    release.write_sums()?;
    print(&release)
}

/// Makes program and archive in a folder, from a build in that place.
///
/// # Errors
/// As [`run`].
pub fn make(place: &Place, release: &Folder) -> anyhow::Result<()> {
    let built = place.build("dsops", "dsops")?;
    is_static(&built.program)?;
    let program = release.program();
    auditable::embed(&place.source, &built, &program)?;
    make_program(&program)?;
    let secrets = place.secrets()?;
    scan::check(&program, &secrets)?;
    let seconds = time(&place.source)?;
    let content = content(&place.source, &built, &program, release.stem())?;
    for entry in &content {
        scan::check_bytes(&entry.path, &entry.content, &secrets)?;
    }
    let packed = archive::gzip(&archive::tar(content, seconds)?)?;
    folder::write(&release.archive(), &packed)
}

/// The time of everything in a release: that of the commit.
///
/// # Errors
/// The checkout has changes: there is no commit that this would be.
pub fn time(source: &Path) -> anyhow::Result<u64> {
    let commit = Commit::of(source)?;
    let commit = commit.context("the checkout differs from its commit: commit, then build")?;
    Ok(commit.seconds)
}

/// What the archive has in it.
fn content(source: &Path, built: &Built, program: &Path, stem: &str) -> anyhow::Result<Vec<Entry>> {
    let place = |path: &str| format!("{stem}/{path}");
    let mut entries = vec![
        Entry::folder(stem),
        Entry::folder(&place("man")),
        Entry::folder(&place("completions")),
        Entry::program(place("dsops"), folder::read(program)?),
    ];
    for name in DOCUMENTS {
        entries.push(Entry::file(place(name), folder::read(&source.join(name))?));
    }
    let manual = source.join(MANUAL);
    let mut pages: Vec<PathBuf> = fs::read_dir(&manual)
        .with_context(|| format!("cannot read {}", manual.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "1"));
    if pages.is_empty() {
        bail!("there are no manual pages in {}", manual.display());
    }
    for page in pages {
        let name = folder::name_of(&page);
        entries.push(Entry::file(place(&format!("man/{name}")), folder::read(&page)?));
    }
    for (shell, name) in COMPLETIONS {
        let mut command = std::process::Command::new(&built.program);
        let script = process::output(command.args(["completion", shell]))?;
        entries.push(Entry::file(place(&format!("completions/{name}")), script));
    }
    Ok(entries)
}

/// Makes sure that a program needs no library of the system, and can lie anywhere in memory.
fn is_static(program: &Path) -> anyhow::Result<()> {
    let headers = process::output(
        std::process::Command::new("readelf").arg("-hlW").arg(program).env("LC_ALL", "C"),
    )?;
    if headers.contains("INTERP") || !headers.contains("DYN (") {
        bail!("{} is no static, position-independent program", program.display());
    }
    Ok(())
}

/// Lets anybody run it, and nobody change it but us.
///
/// # Errors
/// The system refuses.
pub fn make_program(path: &Path) -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make {} a program", path.display()))?;
    }
    let _ = path;
    Ok(())
}

/// What was made, with sizes.
///
/// # Errors
/// The folder cannot be read.
pub fn print(release: &Folder) -> anyhow::Result<()> {
    println!("{}:", release.path().display());
    for artifact in release.artifacts()? {
        let bytes = fs::metadata(&artifact)?.len();
        println!("{bytes:>10}  {}", folder::name_of(&artifact));
    }
    Ok(())
}
