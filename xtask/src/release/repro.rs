//! `cargo xtask repro`: builds the commit in two places, with two folders of cargo, and compares every byte.
//!
//! The first place is this checkout, where the leak scan built already; the second is a fresh clone
//! with a cargo folder, a target folder and a path of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};

use super::build::{self, Place};
use super::folder::{self, Folder};
use super::{dist, image};
use crate::{process, workspace};

/// Builds twice and compares.
///
/// # Errors
/// A build fails, or the two differ.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    if let Some(argument) = args.first() {
        bail!("`cargo xtask repro` takes no arguments, found `{argument}`");
    }
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let clone = clone(&workspace::root(), folder.path())?;
    let second = Folder::here()?.at(&folder.path().join("dist"));
    build(&clone, &second)?;
    compare_with_here(&second, folder.path())
}

/// Builds a release in that place, without lists of components.
///
/// # Errors
/// The build fails.
pub fn build(place: &Place, release: &Folder) -> anyhow::Result<()> {
    let start = Instant::now();
    release.clear()?;
    dist::make(place, release)?;
    image::make(&place.source, release)?;
    println!("built in {}: {:.0} s", place.source.display(), start.elapsed().as_secs_f64());
    Ok(())
}

/// Builds in this checkout too, and compares.
///
/// # Errors
/// The build fails, or a file differs.
pub fn compare_with_here(second: &Folder, scratch: &Path) -> anyhow::Result<()> {
    let first = second.at(&scratch.join("first"));
    build(&Place::here()?, &first)?;
    let same = compare(&first, second)?;
    println!("reproducible: {same} files are the same bytes from two places");
    Ok(())
}

/// A clone of the commit a checkout is at, with a folder of cargo of its own that needs no network.
///
/// # Errors
/// Git or the file system refuses.
pub fn clone(checkout: &Path, folder: &Path) -> anyhow::Result<Place> {
    let source = folder.join("a/clone/elsewhere");
    process::run(
        Command::new("git")
            .args(["clone", "--quiet", "--no-hardlinks", "--no-tags", "--"])
            .arg(checkout)
            .arg(&source),
    )?;
    let cargo_home = folder.join("cargo-home-of-another");
    copy_cargo_home(&build::cargo_home()?, &cargo_home)?;
    Ok(Place { source, cargo_home, target: folder.join("target-of-another"), offline: true })
}

/// Copies what cargo has loaded, but not what it unpacked of it: that is what paths point to.
fn copy_cargo_home(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for name in ["config.toml", "config"] {
        if from.join(name).is_file() {
            fs::copy(from.join(name), to.join(name)).context("cannot copy cargo's settings")?;
        }
    }
    // Packed crates never change and are named by version: a link does. The index is written to.
    tree(&from.join("registry/cache"), &to.join("registry/cache"), true)?;
    tree(&from.join("registry/index"), &to.join("registry/index"), false)
}

/// Copies a folder, or links its files where the file system can.
fn tree(from: &Path, to: &Path, link: bool) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            tree(&from, &to, link)?;
        } else if !(link && fs::hard_link(&from, &to).is_ok()) {
            fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        }
    }
    Ok(())
}

/// Holds the files of two folders against each other; how many there are.
///
/// # Errors
/// One differs, or is in one of them only.
pub fn compare(first: &Folder, second: &Folder) -> anyhow::Result<usize> {
    let (ones, others) = (folder::names(first.path())?, folder::names(second.path())?);
    if ones != others {
        bail!("not reproducible: one build has {ones:?}, the other {others:?}");
    }
    for name in &ones {
        let [one, other] = [first, second].map(|release| folder::read(&release.path().join(name)));
        let (one, other) = (one?, other?);
        if one != other {
            let places = one.iter().zip(&other).enumerate();
            let mut differing = places.filter(|(_, (one, other))| one != other);
            let at = differing.next().map_or(one.len().min(other.len()), |(at, _)| at);
            let count = differing.count() + 1;
            let (one, other) = (one.len(), other.len());
            bail!(
                "not reproducible: {name} has {one} and {other} bytes, {count} differ, from {at} on"
            );
        }
    }
    Ok(ones.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(files: &[(&str, &str)]) -> (tempfile::TempDir, Folder) {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let release = Folder::here().unwrap().at(folder.path());
        (folder, release)
    }

    #[test]
    fn one_byte_or_one_file_is_a_difference() {
        let (_a, one) = release(&[("a", "12345"), ("b", "1")]);
        let (_b, same) = release(&[("a", "12345"), ("b", "1")]);
        assert_eq!(compare(&one, &same).unwrap(), 2);
        let (_c, byte) = release(&[("a", "12x45"), ("b", "1")]);
        let error = compare(&one, &byte).unwrap_err().to_string();
        assert!(error.contains("a has 5 and 5 bytes, 1 differ, from 2 on"), "{error}");
        let (_d, longer) = release(&[("a", "123456"), ("b", "1")]);
        assert!(compare(&one, &longer).is_err());
        let (_e, fewer) = release(&[("a", "12345")]);
        assert!(compare(&one, &fewer).is_err());
    }

    #[test]
    fn what_cargo_loaded_is_copied_and_what_it_unpacked_is_not() {
        let home = tempfile::tempdir().unwrap();
        for folder in ["registry/cache/x", "registry/index/x", "registry/src/x"] {
            fs::create_dir_all(home.path().join(folder)).unwrap();
            fs::write(home.path().join(folder).join("file"), folder).unwrap();
        }
        let copy = tempfile::tempdir().unwrap();
        copy_cargo_home(home.path(), copy.path()).unwrap();
        assert!(copy.path().join("registry/cache/x/file").is_file());
        assert!(!copy.path().join("registry/src").exists());
        // A change of the copy's index is none of the original's.
        fs::write(copy.path().join("registry/index/x/file"), "changed").unwrap();
        let original = fs::read_to_string(home.path().join("registry/index/x/file")).unwrap();
        assert_eq!(original, "registry/index/x");
    }
}
