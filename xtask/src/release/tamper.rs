//! What happens to a release on its way, and what the released program must say to it.
//!
//! Each case is a folder made of the release's files, some of them changed, and the exit codes that
//! are right. The first ones are unchanged and must pass, by one piece of evidence at a time: a
//! refusal proves something only where the same files pass otherwise.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};

use super::folder::{self, BUNDLE, Folder, PROVENANCE, SBOMS, SUMS};
use super::verify::{Program, Signer};

/// Exit codes of `dsops verify`.
const VERIFIED: &[i32] = &[0];
const FAILED: &[i32] = &[5];
const UNDECIDED: &[i32] = &[7];
/// A changed byte of evidence may make it false, or nothing that can be read.
const FAILED_OR_UNDECIDED: &[i32] = &[5, 7];

/// All files of a release, verified as a folder.
const WHOLE: &str = ".";

/// One thing that may happen.
struct Case {
    what: String,
    files: Vec<(String, Content)>,
    /// What is verified: one of the files, or all.
    artifact: String,
    more: Vec<String>,
    codes: &'static [i32],
}

/// What a file of a case has in it.
#[derive(Clone)]
enum Content {
    /// What that file of the release has.
    Of(String),
    /// The same with one bit turned.
    Flipped(String),
    /// Something else.
    Text(&'static str),
}

/// Makes sure that every case ends as it should.
///
/// # Errors
/// One does not: all that do not are named.
pub fn matrix(program: &Program, release: &Folder, signer: &Signer) -> anyhow::Result<()> {
    let start = Instant::now();
    let cases = cases(release, signer)?;
    let mut wrong = Vec::new();
    for case in &cases {
        let folder = tempfile::tempdir_in(release.path().parent().unwrap_or(Path::new(".")))
            .context("cannot make a folder")?;
        for (name, content) in &case.files {
            content.put(release, &folder.path().join(name))?;
        }
        let more: Vec<&str> = case.more.iter().map(String::as_str).collect();
        let (code, said) = program.verify(folder.path(), &case.artifact, &more)?;
        if !case.codes.contains(&code) {
            let Case { what, codes, .. } = case;
            wrong.push(format!("{what}: exit code {code}, not {codes:?}\n{said}"));
        }
    }
    if !wrong.is_empty() {
        bail!("{} of {} cases of tampering:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    }
    let passed = cases.iter().filter(|case| case.codes == VERIFIED).count();
    println!(
        "tampering: {passed} unchanged pass, {} changed are refused ({:.1} s)",
        cases.len() - passed,
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

impl Content {
    fn put(&self, release: &Folder, to: &Path) -> anyhow::Result<()> {
        match self {
            Self::Of(name) => {
                let from = release.path().join(name);
                if fs::hard_link(&from, to).is_err() {
                    fs::copy(&from, to).with_context(|| format!("cannot copy {name}"))?;
                }
                Ok(())
            }
            Self::Flipped(name) => {
                let mut bytes = folder::read(&release.path().join(name))?;
                let middle = bytes.len() / 2;
                *bytes.get_mut(middle).with_context(|| format!("{name} is empty"))? ^= 1;
                folder::write(to, &bytes)
            }
            Self::Text(text) => folder::write(to, text.as_bytes()),
        }
    }
}

/// Every case.
fn cases(release: &Folder, signer: &Signer) -> anyhow::Result<Vec<Case>> {
    let all = folder::names(release.path())?;
    let artifacts: Vec<String> =
        release.artifacts()?.iter().map(|path| folder::name_of(path)).collect();
    let described: Vec<String> =
        release.described().iter().map(|path| folder::name_of(path)).collect();
    let mut cases = Vec::new();
    for (index, name) in artifacts.iter().enumerate() {
        let other = &artifacts[(index + 1) % artifacts.len()];
        of_one(&mut cases, name, other);
        cases.push(whole(format!("a bit of {name}"), &all, name, &Content::Flipped(name.clone())));
    }
    for name in &described {
        of_sboms(&mut cases, name);
    }
    let components = folder::name_of(&release.image_components());
    of_all(&mut cases, &all, &described, &components);
    of_signers(&mut cases, &all, signer);
    Ok(cases)
}

/// One artifact with its own evidence alone.
fn of_one(cases: &mut Vec<Case>, name: &str, other: &str) {
    for (ending, require) in [(BUNDLE, None), (PROVENANCE, Some("provenance"))] {
        let evidence = format!("{name}{ending}");
        let more: Vec<String> =
            require.iter().flat_map(|kind| ["--require".to_owned(), (*kind).to_owned()]).collect();
        let mut add = |what: &str, artifact: Content, evidence_is: Option<Content>, codes| {
            let mut files = vec![(name.to_owned(), artifact)];
            files.extend(evidence_is.map(|content| (evidence.clone(), content)));
            let what = format!("{name}, {ending}: {what}");
            cases.push(Case { what, files, artifact: name.to_owned(), more: more.clone(), codes });
        };
        let own = || Content::Of(name.to_owned());
        let proof = || Some(Content::Of(evidence.clone()));
        add("as it is", own(), proof(), VERIFIED);
        add("a bit of the file", Content::Flipped(name.to_owned()), proof(), FAILED);
        let flipped = Some(Content::Flipped(evidence.clone()));
        add("a bit of the evidence", own(), flipped, FAILED_OR_UNDECIDED);
        add(
            "the evidence of another",
            own(),
            Some(Content::Of(format!("{other}{ending}"))),
            FAILED,
        );
        add("no evidence", own(), None, UNDECIDED);
    }
}

/// Lists of components of one artifact.
fn of_sboms(cases: &mut Vec<Case>, name: &str) {
    let signature = (format!("{name}{BUNDLE}"), Content::Of(format!("{name}{BUNDLE}")));
    for (ending, format) in SBOMS {
        let list = format!("{name}{ending}");
        let list_signature = format!("{list}{BUNDLE}");
        let mut add = |what: &str, more_files: Vec<(String, Content)>, codes| {
            let mut files =
                vec![(name.to_owned(), Content::Of(name.to_owned())), signature.clone()];
            files.extend(more_files);
            cases.push(Case {
                what: format!("{name}, {format}: {what}"),
                files,
                artifact: name.to_owned(),
                more: vec!["--require".into(), "sbom".into()],
                codes,
            });
        };
        let own = (list.clone(), Content::Of(list.clone()));
        let own_signature = (list_signature.clone(), Content::Of(list_signature.clone()));
        add("as it is", vec![own.clone(), own_signature.clone()], VERIFIED);
        add("not signed", vec![own], FAILED_OR_UNDECIDED);
        let flipped = (list.clone(), Content::Flipped(list));
        add("a bit of the list", vec![flipped, own_signature], FAILED_OR_UNDECIDED);
        add("missing", Vec::new(), UNDECIDED);
    }
}

/// The release as a whole.
fn of_all(cases: &mut Vec<Case>, all: &[String], described: &[String], components: &str) {
    let as_it_is = |name: &String| (name.clone(), Content::Of(name.clone()));
    let mut add = |what: &str, files: Vec<(String, Content)>, codes| {
        let more = ["--require", "checksums,provenance,sbom"].map(str::to_owned).to_vec();
        cases.push(Case { what: what.to_owned(), files, artifact: WHOLE.to_owned(), more, codes });
    };
    add("all as it is", all.iter().map(as_it_is).collect(), VERIFIED);
    let mut extra: Vec<_> = all.iter().map(as_it_is).collect();
    extra.push(("install.sh".to_owned(), Content::Text("curl | sh\n")));
    add("a file that nobody signed", extra, UNDECIDED);
    let without = |gone: &dyn Fn(&str) -> bool| -> Vec<(String, Content)> {
        all.iter().filter(|name| !gone(name)).map(as_it_is).collect()
    };
    for name in described {
        // The image has a statement of its components besides.
        let is_sbom = |file: &str| {
            file == components
                || SBOMS.iter().any(|(ending, _)| file.starts_with(&format!("{name}{ending}")))
        };
        add(&format!("no list of components of {name}"), without(&is_sbom), UNDECIDED);
        let is_provenance = |file: &str| file == format!("{name}{PROVENANCE}");
        add(&format!("no provenance of {name}"), without(&is_provenance), UNDECIDED);
    }
    add("no checksums", without(&|file| file.starts_with(SUMS)), UNDECIDED);
    // Another file that the publisher did sign, with all its evidence, under this one's name: only
    // the signed list says that it is out of place.
    if let [name, other, ..] = described {
        let exchanged = all
            .iter()
            .map(|file| match file.strip_prefix(name.as_str()) {
                Some(ending) if ["", BUNDLE, PROVENANCE].contains(&ending) => {
                    (file.clone(), Content::Of(format!("{other}{ending}")))
                }
                _ => as_it_is(file),
            })
            .collect();
        add(&format!("{other} as {name}"), exchanged, FAILED);
    }
}

/// Who signed.
fn of_signers(cases: &mut Vec<Case>, all: &[String], signer: &Signer) {
    let Signer { repository, tag } = signer;
    let of = |repository: &str, tag: &str| {
        Signer { repository: repository.to_owned(), tag: tag.to_owned() }.policy()
    };
    let identity = signer.identity();
    let another_workflow = identity.replace("/release.yml@", "/ci.yml@");
    let identity = |name: &str, issuer: &str| {
        ["--identity", name, "--issuer", issuer].map(str::to_owned).to_vec()
    };
    let policy = |policy: String| vec!["--policy".to_owned(), policy];
    let issuer = Signer::issuer();
    for (what, more, codes) in [
        ("the signer by name", identity(&signer.identity(), issuer), VERIFIED),
        ("another tag", policy(of(repository, "v0.0.0")), FAILED),
        ("a branch", policy(of(repository, "refs/heads/main")), FAILED),
        ("a fork", policy(of(&format!("{repository}-fork"), tag)), FAILED),
        ("another workflow", identity(&another_workflow, issuer), FAILED),
        ("another issuer", identity(&signer.identity(), "https://accounts.example"), FAILED),
    ] {
        cases.push(Case {
            what: format!("signed by: {what}"),
            files: all.iter().map(|name| (name.clone(), Content::Of(name.clone()))).collect(),
            artifact: WHOLE.to_owned(),
            more,
            codes,
        });
    }
}

/// All files, one of them changed.
fn whole(what: String, all: &[String], changed: &str, content: &Content) -> Case {
    let files = all
        .iter()
        .map(|name| {
            let own = || Content::Of(name.clone());
            (name.clone(), if name == changed { content.clone() } else { own() })
        })
        .collect();
    Case { what, files, artifact: WHOLE.to_owned(), more: Vec::new(), codes: FAILED }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// A made-up release, and a verifier that always says the same.
    fn judged_by(script: &str) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let dist = folder.path().join("dist");
        fs::create_dir(&dist)?;
        fs::write(dist.join("dsops-1-x.tar.gz"), "archive")?;
        let release = Folder::open(&dist)?;
        for name in release.wanted() {
            fs::write(dist.join(&name), &name)?;
        }
        fs::write(release.program(), format!("#!/bin/sh\n{script}\n"))?;
        let signer = Signer { repository: "octo/demo".into(), tag: "v1".into() };
        let program = Program::new(&release.program(), &signer.policy(), None)?;
        matrix(&program, &release, &signer)
    }

    #[test]
    fn a_verifier_that_accepts_everything_is_found_out() {
        let error = judged_by("exit 0").unwrap_err().to_string();
        for case in ["a bit of dsops-1-x:", "a file that nobody signed", "a fork", "missing"] {
            assert!(error.contains(case), "{case}: {error}");
        }
        assert!(!error.contains("as it is"), "{error}");
    }

    #[test]
    fn a_verifier_that_refuses_everything_is_found_out() {
        let error = judged_by("exit 5").unwrap_err().to_string();
        assert!(error.contains("all as it is: exit code 5"), "{error}");
    }

    #[test]
    fn what_cannot_start_or_crashes_refused_nothing() {
        let error = judged_by("kill -SEGV $$").unwrap_err().to_string();
        assert!(error.contains("a signal ended the program"), "{error}");
    }
}
