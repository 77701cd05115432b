//! `cargo xtask controls [--update]`: workflows, policies and their evidence.
//!
//! Our own rules for workflows, the checks of Scorecard that look at files, the list of controls with its evidence,
//! and linters of others. `--update` writes `docs/security/controls.md` instead of comparing it.

mod evidence;
mod linters;
pub mod rules;
mod scorecard;
mod table;
mod yaml;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::release::folder::Folder;
use crate::tidy::proofs::Tests;
use crate::{ci, process, tools, workspace};
use evidence::Ground;
use rules::Workflow;
use scorecard::Tree;

/// The lists of controls, and what is written from them.
const LISTS: &str = "docs/security/controls.toml";
const DOCUMENT: &str = "docs/security/controls.md";

/// Runs every check.
///
/// # Errors
/// One finds something, evidence is missing, or the document is not the one that was written.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let update = match args {
        [] => false,
        [flag] if flag == "--update" => true,
        _ => bail!("`cargo xtask controls` takes nothing, or --update"),
    };
    let root = workspace::root();
    let files = workspace::files(&root)?;
    let mut problems = Vec::new();

    let workflows = workflows(&root, &files)?;
    for workflow in &workflows {
        problems.extend(rules::check(workflow).iter().map(ToString::to_string));
    }
    println!("rules: {} workflows", workflows.len());

    let release = Folder::here()?.wanted();
    let tree = Tree { root: &root, files: &files, workflows: &workflows, release: &release };
    let scores = scorecard::all(&tree)?;
    for score in &scores {
        println!("scorecard: {} {}", score.check, score.points);
        problems.extend(score.lacks.iter().map(|lack| format!("{}: {lack}", score.check)));
    }

    let sets = evidence::read(&read(&root.join(LISTS))?).context(LISTS)?;
    let tests = tests(&root, &files)?;
    let ground = Ground {
        root: &root,
        files: &files,
        workflows: &workflows,
        scores: &scores,
        tests: &tests,
        stages: ci::stage_names(),
        commands: crate::COMMANDS.iter().map(|(name, ..)| *name).collect(),
    };
    for control in sets.iter().flat_map(|set| &set.controls) {
        let missing = control.evidence.iter().filter_map(|evidence| evidence.missing(&ground));
        problems.extend(missing.map(|missing| format!("{}: {missing}", control.id)));
    }
    println!("evidence: {} controls", sets.iter().map(|set| set.controls.len()).sum::<usize>());

    let document = table::document(&sets, &scores);
    let path = root.join(DOCUMENT);
    if update {
        std::fs::write(&path, document).with_context(|| format!("cannot write {DOCUMENT}"))?;
    } else if std::fs::read_to_string(&path).unwrap_or_default() != document {
        problems.push(format!("{DOCUMENT} is out of date: `cargo xtask controls --update`"));
    }

    for problem in &problems {
        println!("{problem}");
    }
    let linted = match linters::install() {
        Ok(folder) => linters::run(&root, &files, &folder),
        Err(error) if error.is::<tools::WrongHash>() => Err(error),
        Err(error) => {
            process::report_part_not_run("linters", tools::reason(&error));
            Ok(())
        }
    };
    match (problems.len(), linted) {
        (0, linted) => linted,
        (count, Ok(())) => bail!("{count} problems"),
        (count, Err(error)) => Err(error.context(format!("{count} problems"))),
    }
}

/// Every workflow of the repository.
fn workflows(root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<Workflow>> {
    let ours = files.iter().filter(|file| file.starts_with(".github/workflows"));
    let workflows = ours.map(|file| {
        Workflow::read(file, &read(&root.join(file))?).with_context(|| file.display().to_string())
    });
    let workflows = workflows.collect::<anyhow::Result<Vec<_>>>()?;
    if workflows.is_empty() {
        bail!("there is no workflow");
    }
    Ok(workflows)
}

/// Every test of the repository.
fn tests(root: &Path, files: &[PathBuf]) -> anyhow::Result<Tests> {
    let mut tests = Tests::default();
    for file in files {
        if file.extension().is_some_and(|extension| extension == "rs") {
            tests.read(file, &read(&root.join(file))?);
        }
    }
    Ok(tests)
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
