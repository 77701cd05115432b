//! `cargo xtask release VERSION [--dry-run]`: the whole way of a release, from its preconditions to files that are
//! signed, verified and refused once changed. It publishes nothing.
//!
//! All is made in a fresh clone, with a cargo folder of its own, and compared with what this
//! checkout builds. Signatures are made with a stand-in for the public services, on loopback: what
//! the real ones add, only the workflow can have. Without `--dry-run` every precondition counts,
//! the unsigned files are kept in `target/dist/VERSION`, and the tag to sign is printed: its
//! message has the checksums, which the workflow must come to as well.

mod archive;
mod auditable;
pub mod build;
pub mod dist;
pub mod folder;
mod guide;
pub mod image;
mod peers;
mod preconditions;
mod push;
pub mod repro;
pub mod sbom;
mod scan;
pub mod services;
pub mod sign;
mod tag;
mod tamper;
pub mod verify;

use std::fs;
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::process::NotRun;
use crate::workspace;
use build::Commit;
use folder::Folder;
use preconditions::Violation;
use services::Services;
use verify::Signer;

/// Runs the command.
///
/// # Errors
/// A precondition does not hold, a step fails, or what was made does not verify.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let (version, dry_run) = match args {
        [version] if !version.starts_with('-') => (version.clone(), false),
        [version, flag] | [flag, version] if flag == "--dry-run" => (version.clone(), true),
        // What continuous integration asks for: the version that the checkout is of.
        [flag] if flag == "--dry-run" => (folder::version(&workspace::root())?, true),
        _ => bail!("release takes a version, and --dry-run"),
    };
    let start = Instant::now();
    let root = workspace::root();
    must_hold(&preconditions::check(&root, &version)?, dry_run)?;
    let commit = Commit::of(&root)?.context("the checkout is at no commit")?;

    let scratch = tempfile::tempdir().context("cannot make a folder")?;
    let clone = repro::clone(&root, scratch.path())?;
    let release = Folder::here()?.at(&scratch.path().join(&version));
    repro::build(&clone, &release)?;
    repro::compare_with_here(&release, scratch.path())?;
    sbom::make(&clone.source, &release)?;
    release.write_sums()?;
    let unsigned = release.at(&scratch.path().join("unsigned"));
    copy(&release, &unsigned)?;

    let signer = Signer::of_version(&version);
    let services = Services::start(&scratch.path().join("services"), &signer, &commit.id)?;
    let with = sign::StandIn { services: &services, signer: &signer, commit: &commit.id };
    sign::sign(&release, &with)?;
    let root = services.trusted_root();
    // From here on it is as for anybody: only the root of trust is left of the services.
    drop(services);
    verify::verify(&release, &signer, Some(&root))?;
    dist::print(&release)?;
    println!("the whole way: {:.0} s", start.elapsed().as_secs_f64());
    if !dry_run {
        let kept = Folder::here()?;
        copy(&unsigned, &kept)?;
        tag::print(&kept, &signer.tag)?;
    }
    Ok(())
}

/// Says what does not hold, and whether it stops the release.
fn must_hold(violations: &[Violation], dry_run: bool) -> anyhow::Result<()> {
    let (of_place, others): (Vec<_>, Vec<_>) =
        violations.iter().partition(|violation| violation.is_of_place());
    if dry_run {
        if let [Violation::Changed(files)] = others.as_slice() {
            // Somebody is at work: there is no commit to release, and nothing wrong with it.
            let why = format!("the checkout differs from its commit: {files}");
            return Err(NotRun::because(why).into());
        }
        for violation in of_place {
            println!("release: hint: without --dry-run this stops it: {violation}");
        }
        return refuse(&others);
    }
    refuse(&violations.iter().collect::<Vec<_>>())
}

fn refuse(violations: &[&Violation]) -> anyhow::Result<()> {
    if violations.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = violations.iter().map(|violation| format!("- {violation}")).collect();
    bail!("there can be no release:\n{}", lines.join("\n"))
}

/// Copies the files of a release.
fn copy(from: &Folder, to: &Folder) -> anyhow::Result<()> {
    to.clear()?;
    for name in folder::names(from.path())? {
        let to = to.path().join(&name);
        fs::copy(from.path().join(&name), &to)
            .with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_looks_at_the_commit_and_a_release_at_its_place_too() {
        let violations = [Violation::Branch, Violation::Tag("v1".into())];
        must_hold(&violations, true).unwrap();
        let error = must_hold(&violations, false).unwrap_err().to_string();
        assert!(error.contains("not on main") && error.contains("v1 is there"), "{error}");
        must_hold(&[], false).unwrap();
        for violation in [
            Violation::Changelog("has no section".into()),
            Violation::Version("a crate is of another".into()),
        ] {
            assert!(must_hold(&[violation], true).is_err());
        }
    }

    #[test]
    fn a_changed_checkout_is_never_released() {
        let changed = [Violation::Changed("file".into())];
        let error = must_hold(&changed, true).unwrap_err();
        assert!(error.is::<NotRun>(), "{error}");
        assert!(!must_hold(&changed, false).unwrap_err().is::<NotRun>());
        let more = [Violation::Changed("file".into()), Violation::Changelog("x".into())];
        assert!(!must_hold(&more, true).unwrap_err().is::<NotRun>());
    }
}
