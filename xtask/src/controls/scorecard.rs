//! The checks of `OpenSSF` Scorecard that look at files, done by ourselves: its program needs the host's services.
//!
//! Points are given as its documentation describes (checks.md of Scorecard 5). Where a rule is simplified, it is to
//! the stricter side: what is not ten points here is a finding.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::rules::{self, Workflow};

/// The most a check can give.
pub const FULL: u32 = 10;

/// What a check gives, and why not more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    pub check: &'static str,
    /// What is looked at.
    pub what: &'static str,
    pub points: u32,
    pub lacks: Vec<String>,
}

/// The checks that need the host or the public: what they depend on.
pub const ELSEWHERE: &[(&str, &str)] = &[
    ("Branch-Protection", "a ruleset for `main`, see GOVERNANCE.md"),
    ("CI-Tests", "that changes are merged by pull requests with `ci` required"),
    ("CII-Best-Practices", "a registration that nobody has made"),
    ("Code-Review", "two people who review: a ruleset, and people"),
    ("Contributors", "who contributes, and for whom they work"),
    ("Maintained", "activity in the last 90 days"),
    ("Packaging", "a release that was published by a workflow"),
    ("Vulnerabilities", "asked of a service; here: the stage `deny`"),
    ("Webhooks", "settings of the host"),
];

/// The files that the checks look at.
pub struct Tree<'a> {
    pub root: &'a Path,
    pub files: &'a [PathBuf],
    pub workflows: &'a [Workflow],
    /// What a release consists of.
    pub release: &'a [String],
}

impl Tree<'_> {
    fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file == Path::new(path))
    }

    fn text(&self, path: &Path) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }

    fn uses(&self, action: &str) -> bool {
        let uses = self.workflows.iter().flat_map(Workflow::uses);
        uses.filter_map(|node| node.text()).any(|text| text.starts_with(action))
    }
}

/// Every check.
///
/// # Errors
/// A file cannot be read.
pub fn all(tree: &Tree<'_>) -> anyhow::Result<Vec<Score>> {
    Ok(vec![
        binary_artifacts(tree)?,
        dangerous_workflow(tree),
        dependency_update_tool(tree),
        fuzzing(tree),
        license(tree),
        pinned_dependencies(tree),
        sast(tree),
        sbom(tree),
        security_policy(tree),
        signed_releases(tree),
        token_permissions(tree),
    ])
}

/// Ten points if nothing is lacking, else none.
fn all_or_nothing(check: &'static str, what: &'static str, lacks: Vec<String>) -> Score {
    let points = if lacks.is_empty() { FULL } else { 0 };
    Score { check, what, points, lacks }
}

/// How programs begin: ELF, Windows, Mach-O (both byte orders, both sizes, several in one), WebAssembly, archives of
/// objects, Java.
const PROGRAMS: &[&[u8]] = &[
    b"\x7fELF",
    b"MZ",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"\0asm",
    b"!<arch>\n",
    b"PK\x03\x04",
];

fn binary_artifacts(tree: &Tree<'_>) -> anyhow::Result<Score> {
    use std::io::Read as _;
    let mut lacks = Vec::new();
    for file in tree.files {
        let mut start = Vec::new();
        std::fs::File::open(tree.root.join(file))?.take(8).read_to_end(&mut start)?;
        if PROGRAMS.iter().any(|magic| start.starts_with(magic)) {
            lacks.push(format!("{} is a program", file.display()));
        }
    }
    let found = u32::try_from(lacks.len()).unwrap_or(FULL);
    let what = "no file of the repository is a program or an archive of some";
    Ok(Score { check: "Binary-Artifacts", what, points: FULL.saturating_sub(found), lacks })
}

/// Contexts whose content an outsider writes.
const UNTRUSTED: &[&str] = &["github.event", "github.head_ref", "github.actor", "inputs."];

fn dangerous_workflow(tree: &Tree<'_>) -> Score {
    let mut lacks = Vec::new();
    for workflow in tree.workflows {
        let privileged = workflow
            .triggers()
            .iter()
            .any(|t| matches!(*t, "pull_request_target" | "workflow_run"));
        for step in workflow.jobs().iter().flat_map(|(_, job)| rules::steps(job)) {
            let place = format!("{}:{}", workflow.file.display(), step.line);
            let checkout = step.text_of("uses").is_some_and(|u| u.starts_with("actions/checkout@"));
            let reference = step.get("with").and_then(|with| with.text_of("ref"));
            if privileged && checkout && reference.is_some() {
                lacks.push(format!("{place} runs what an outsider wrote, with our rights"));
            }
            let expressions = step.text_of("run").unwrap_or_default().split("${{").skip(1);
            for expression in expressions.filter_map(|rest| rest.split("}}").next()) {
                if UNTRUSTED.iter().any(|context| expression.contains(context)) {
                    lacks.push(format!("{place} has `{}` in a script", expression.trim()));
                }
            }
        }
    }
    all_or_nothing(
        "Dangerous-Workflow",
        "no workflow runs what an outsider wrote, with our rights",
        lacks,
    )
}

fn dependency_update_tool(tree: &Tree<'_>) -> Score {
    let known = [".github/dependabot.yml", ".github/dependabot.yaml", "renovate.json"];
    let lacks = if known.iter().any(|file| tree.has(file)) {
        Vec::new()
    } else {
        vec!["no configuration of a known tool".to_owned()]
    };
    all_or_nothing("Dependency-Update-Tool", "a tool that proposes updates is configured", lacks)
}

fn fuzzing(tree: &Tree<'_>) -> Score {
    let is_target = |file: &&PathBuf| {
        let rust = file.extension().is_some_and(|extension| extension == "rs");
        rust && file.starts_with("fuzz") && tree.text(file).contains("libfuzzer_sys")
    };
    let lacks = match tree.files.iter().find(is_target) {
        Some(_) => Vec::new(),
        None => vec!["no target of cargo-fuzz".to_owned()],
    };
    all_or_nothing("Fuzzing", "fuzz targets of a known kind", lacks)
}

/// Found, at the top, and a licence that the OSI has approved: six, three and one point.
fn license(tree: &Tree<'_>) -> Score {
    let what = "a licence file at the top, of a licence approved by the OSI";
    let is_license = |file: &&PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_ascii_uppercase();
        name.starts_with("LICENSE") || name.starts_with("COPYING")
    };
    let found: Vec<&PathBuf> = tree.files.iter().filter(is_license).collect();
    let top: Vec<_> = found.iter().filter(|file| file.components().count() == 1).collect();
    let approved = top.iter().any(|file| {
        let text = tree.text(file);
        text.contains("Apache License")
            || text.contains("Permission is hereby granted, free of charge")
    });
    let mut points = 0;
    let mut lacks = Vec::new();
    for (holds, worth, lack) in [
        (!found.is_empty(), 6, "there is none"),
        (!top.is_empty(), 3, "none is at the top"),
        (approved, 1, "none is approved"),
    ] {
        if holds {
            points += worth;
        } else {
            lacks.push(lack.to_owned());
        }
    }
    Score { check: "License", what, points, lacks }
}

fn pinned_dependencies(tree: &Tree<'_>) -> Score {
    let (mut all, mut lacks) = (0_u32, Vec::new());
    for workflow in tree.workflows {
        for uses in workflow.uses() {
            all += 1;
            let text = uses.text().unwrap_or_default();
            if !text.starts_with("./") && !rules::is_pinned(text) {
                let place = workflow.file.display();
                lacks.push(format!("{place}:{}: `{text}` is not pinned", uses.line));
            }
        }
    }
    for file in tree.files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let is_image = name == "Dockerfile" || name.ends_with(".Dockerfile");
        let is_script = is_image || name.ends_with(".sh") || *file == Path::new(".ci/run");
        if !is_script {
            continue;
        }
        for (index, line) in tree.text(file).lines().enumerate() {
            let line = line.trim();
            let image = is_image && line.starts_with("FROM ") && !line.contains("@sha256:");
            let pip = line.contains("pip install") && !line.contains("--require-hashes");
            let npm = line.contains("npm install");
            let download =
                (line.contains("curl ") || line.contains("wget ")) && line.contains("| ");
            if line.starts_with("FROM ") || line.contains("install") || download {
                all += 1;
            }
            if image || pip || npm || download {
                lacks.push(format!("{}:{} is not pinned", file.display(), index + 1));
            }
        }
    }
    let what = "actions, images and packages of workflows and scripts are named by their hash";
    let bad = u32::try_from(lacks.len()).unwrap_or(u32::MAX);
    let points = (FULL * all.saturating_sub(bad)).checked_div(all).unwrap_or(FULL);
    Score { check: "Pinned-Dependencies", what, points, lacks }
}

fn sast(tree: &Tree<'_>) -> Score {
    let lacks = if tree.uses("github/codeql-action/analyze@") {
        Vec::new()
    } else {
        vec!["no workflow analyses the code".to_owned()]
    };
    all_or_nothing("SAST", "CodeQL analyses the code", lacks)
}

/// Exists as a file of a release, under a name that says so: five points each.
fn sbom(tree: &Tree<'_>) -> Score {
    let endings = [".spdx.json", ".cdx.json"];
    let named = tree.release.iter().any(|name| endings.iter().any(|ending| name.ends_with(ending)));
    let lacks = if named { Vec::new() } else { vec!["no release file is one".to_owned()] };
    all_or_nothing("SBOM", "a list of components is part of every release", lacks)
}

/// Six points for an address, three for more than that, one for what a reporter may expect.
fn security_policy(tree: &Tree<'_>) -> Score {
    let text = tree.text(Path::new("SECURITY.md"));
    let lower = text.to_lowercase();
    let words: BTreeSet<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let address = text.contains("https://") || text.contains("mailto:") || text.contains('@');
    let times = lower.match_indices(" days").count() + lower.match_indices(" hours").count();
    let said = words.iter().filter(|w| w.starts_with("vuln") || w.starts_with("disclos")).count();
    let (mut points, mut lacks) = (0, Vec::new());
    for (holds, worth, lack) in [
        (address, 6, "no address to write to"),
        (text.len() > 500, 3, "no more than an address"),
        (times >= 1 && said >= 2, 1, "no word on disclosure and times"),
    ] {
        if holds {
            points += worth;
        } else {
            lacks.push(lack.to_owned());
        }
    }
    let what = "SECURITY.md says where to report, and what happens then";
    Score { check: "Security-Policy", what, points, lacks }
}

/// A signature gives eight points, provenance ten. Only names are looked at.
fn signed_releases(tree: &Tree<'_>) -> Score {
    let has = |ending: &str| tree.release.iter().any(|name| name.ends_with(ending));
    let (points, lacks) = match (has(".intoto.jsonl"), has(".sigstore.json")) {
        (true, true) => (FULL, Vec::new()),
        (true, false) => (FULL, vec!["no signature".to_owned()]),
        (false, true) => (8, vec!["no provenance".to_owned()]),
        (false, false) => (0, vec!["neither signature nor provenance".to_owned()]),
    };
    let what = "every release has signatures and provenance";
    Score { check: "Signed-Releases", what, points, lacks }
}

/// None at the top, each job names its own; a workflow that does not is worth nothing.
fn token_permissions(tree: &Tree<'_>) -> Score {
    let (mut points, mut lacks) = (FULL, Vec::new());
    for workflow in tree.workflows {
        let file = workflow.file.display();
        let top = workflow.root.get("permissions");
        let writes = top.is_some_and(|top| {
            top.text() == Some("write-all")
                || top.entries().iter().any(|(_, v)| v.text() == Some("write"))
        });
        let undeclared = workflow.jobs().iter().any(|(_, job)| job.get("permissions").is_none());
        if writes || (top.is_none() && undeclared) {
            points = 0;
            lacks.push(format!("{file}: the token may write everywhere"));
        } else if top.is_none() {
            points = points.min(FULL - 1);
            lacks.push(format!("{file}: no permissions at the top"));
        }
        for (name, job) in workflow.jobs() {
            if job.text_of("permissions") == Some("write-all") {
                points = 0;
                lacks.push(format!("{file}: `{name}` may write everything"));
            }
        }
    }
    let what = "tokens may do what their job needs";
    Score { check: "Token-Permissions", what, points, lacks }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file, what is in it, and the checks that have fewer points for it.
    type Case = (&'static str, Option<Vec<u8>>, &'static [(&'static str, u32)]);

    const GOOD: &str = "on: push\npermissions: {}\njobs:\n  a:\n    permissions:\n      contents: read\n    steps:\n      \
        - uses: github/codeql-action/analyze@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n      - run: make\n";

    /// The points of each check on a small tree with one file changed or, without text, taken away.
    fn scores(path: &str, text: Option<&[u8]>) -> Vec<(&'static str, u32)> {
        let folder = tempfile::tempdir().unwrap();
        let policy =
            format!("report a vulnerability: mailto:a@b; disclosure in 90 days{}", " ".repeat(500));
        let mut tree: Vec<(&str, &[u8])> = vec![
            ("SECURITY.md", policy.as_bytes()),
            ("LICENSE-MIT", b"Permission is hereby granted, free of charge"),
            (".github/dependabot.yml", b"version: 2\n"),
            (".github/workflows/a.yml", GOOD.as_bytes()),
            ("fuzz/fuzz_targets/a.rs", b"use libfuzzer_sys::fuzz_target;"),
            ("release", b"a.sigstore.json a.intoto.jsonl a.spdx.json"),
        ];
        tree.retain(|(known, _)| *known != path);
        tree.extend(text.map(|text| (path, text)));
        let (mut files, mut workflows, mut release) = (Vec::new(), Vec::new(), Vec::new());
        for (path, text) in tree {
            if path == "release" {
                let names = std::str::from_utf8(text).unwrap().split(' ');
                release.extend(names.map(str::to_owned));
                continue;
            }
            let target = folder.path().join(path);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::write(target, text).unwrap();
            files.push(PathBuf::from(path));
            if path.starts_with(".github/workflows") {
                let text = std::str::from_utf8(text).unwrap();
                workflows.push(Workflow::read(Path::new(path), text).unwrap());
            }
        }
        let tree =
            Tree { root: folder.path(), files: &files, workflows: &workflows, release: &release };
        let mut scores = all(&tree).unwrap();
        assert!(scores.iter().all(|score| (score.points == FULL) == score.lacks.is_empty()));
        scores.retain(|score| score.points < FULL);
        scores.iter().map(|score| (score.check, score.points)).collect()
    }

    #[test]
    fn a_good_tree_has_all_points() {
        assert_eq!(scores("README.md", Some(b"hello")), []);
    }

    #[test]
    fn each_check_finds_what_it_is_for() {
        let with = |from: &str, to: &str| GOOD.replacen(from, to, 1).into_bytes();
        let workflow = ".github/workflows/a.yml";
        let table: &[Case] = &[
            ("tool", Some(b"\x7fELF\x02".to_vec()), &[("Binary-Artifacts", 9)]),
            ("SECURITY.md", None, &[("Security-Policy", 0)]),
            ("SECURITY.md", Some(b"write to a@b".to_vec()), &[("Security-Policy", 6)]),
            ("LICENSE-MIT", None, &[("License", 0)]),
            ("LICENSE-MIT", Some(b"all rights reserved".to_vec()), &[("License", 9)]),
            (".github/dependabot.yml", None, &[("Dependency-Update-Tool", 0)]),
            ("fuzz/fuzz_targets/a.rs", None, &[("Fuzzing", 0)]),
            ("release", Some(b"a.sigstore.json a.cdx.json".to_vec()), &[("Signed-Releases", 8)]),
            ("release", Some(b"a".to_vec()), &[("SBOM", 0), ("Signed-Releases", 0)]),
            (workflow, Some(with("analyze@aaaa", "analyze@v4 #")), &[("Pinned-Dependencies", 0)]),
            (workflow, Some(with("codeql-action/analyze", "other/thing")), &[("SAST", 0)]),
            ("Dockerfile", Some(b"FROM debian\n".to_vec()), &[("Pinned-Dependencies", 5)]),
            ("a.sh", Some(b"pip install x\n".to_vec()), &[("Pinned-Dependencies", 5)]),
            ("a.sh", Some(b"curl x | sh\n".to_vec()), &[("Pinned-Dependencies", 5)]),
            (workflow, Some(with("{}", "write-all")), &[("Token-Permissions", 0)]),
            (workflow, Some(with("permissions: {}\n", "")), &[("Token-Permissions", 9)]),
            (
                workflow,
                Some(with("run: make", "run: echo ${{ github.event.issue.title }}")),
                &[("Dangerous-Workflow", 0)],
            ),
            (
                workflow,
                Some(
                    GOOD.replace("on: push", "on: pull_request_target")
                        .replace("github/codeql-action/analyze", "actions/checkout")
                        .replace("      - run: make\n", "        with:\n          ref: x\n")
                        .into_bytes(),
                ),
                &[("Dangerous-Workflow", 0), ("SAST", 0)],
            ),
        ];
        for (path, text, wanted) in table {
            assert_eq!(scores(path, text.as_deref()), *wanted, "{path}: {text:?}");
        }
    }
}
