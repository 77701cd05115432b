//! `dsops verify ARTIFACT…`: what each word stands for, and its verdict.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use dsops_release_verify::{
    Artifact, Digest, DiscoverError, Evidence, Judged, Options, ReleaseVerifier,
};

use super::inputs::{self, STDIN, Separator};
use super::outcome::{Found, Outcome};
use super::waiting::Waiting;
use super::{Args, files};
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};

/// Runs the command.
///
/// # Errors
/// What is asked for makes no sense, or what was named besides the artifacts cannot be read.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let separator = if args.null { Separator::Null } else { Separator::Line };
    let words = inputs::all(&args.artifacts, &args.files_from, separator)?;
    let done = Arc::new(AtomicUsize::new(0));
    let mut options = Options::default();
    options.done = Some(Arc::clone(&done));
    let engine = args.how.engine(options)?;
    // Named for one file, evidence is said to be of it: of another, it is a failure and no accident.
    let of = match words.as_slice() {
        [one] => Some(one.to_string_lossy()),
        _ => None,
    };
    let evidence = args.how.evidence(of.as_deref())?;
    let line = Waiting::on_stderr(cx.ui, &done);
    let found = all(&engine, &evidence, &words);
    drop(line);
    super::show(cx, &found, args.output.format(cx))
}

/// What a word stands for.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Stdin,
    File,
    Folder,
    /// `sha256:…`, and no file is called so.
    Digest(Digest),
}

impl Kind {
    fn of(word: &OsStr) -> Self {
        if word == STDIN {
            return Self::Stdin;
        }
        match Path::new(word).metadata() {
            Ok(metadata) if metadata.is_dir() => Self::Folder,
            Ok(_) => Self::File,
            Err(_) => {
                let digest = word.to_str().and_then(Digest::parse);
                digest.map_or(Self::File, Self::Digest)
            }
        }
    }
}

/// The verdicts on all words, in their order. Files are verified together: what lies beside them is
/// read once.
fn all(engine: &ReleaseVerifier, evidence: &[Evidence], words: &[OsString]) -> Found {
    let mut found = Found::default();
    let mut files: Vec<&Path> = Vec::new();
    let mut waiting = Found::default();
    for word in words {
        let path = Path::new(word);
        let kind = Kind::of(word);
        if kind == Kind::File && evidence.is_empty() {
            files.push(path);
            continue;
        }
        // What was put off comes before this word.
        found.outcomes.extend(together(engine, &mut files));
        match kind {
            Kind::Stdin => found.outcomes.push(stdin(engine, evidence)),
            Kind::File => {
                let result = engine.verify_file_with(path, evidence);
                found.outcomes.push(outcome(word.to_string_lossy().into_owned(), result));
            }
            Kind::Digest(digest) => {
                found.outcomes.push(of_digest(engine, evidence, word, digest));
            }
            Kind::Folder => folder(engine, path, &mut waiting),
        }
        found.outcomes.append(&mut waiting.outcomes);
        found.notes.append(&mut waiting.notes);
    }
    found.outcomes.extend(together(engine, &mut files));
    found
}

fn together(engine: &ReleaseVerifier, files: &mut Vec<&Path>) -> Vec<Outcome> {
    let judged = engine.verify_files(&std::mem::take(files));
    judged.into_iter().map(|Judged { name, result, .. }| outcome(name, result)).collect()
}

fn stdin(engine: &ReleaseVerifier, evidence: &[Evidence]) -> Outcome {
    match engine.verify_reader(STDIN, io::stdin().lock(), evidence) {
        Ok(report) => Outcome::Judged(report),
        Err(error) => Outcome::Unreadable {
            name: STDIN.to_owned(),
            problem: files::unreadable(OsStr::new("standard input"), &error),
        },
    }
}

fn of_digest(
    engine: &ReleaseVerifier,
    evidence: &[Evidence],
    word: &OsStr,
    digest: Digest,
) -> Outcome {
    let name = word.to_string_lossy().into_owned();
    match Artifact::from_digest(name.clone(), digest) {
        Some(artifact) => Outcome::Judged(engine.verify_artifact(&artifact, evidence)),
        None => Outcome::Unreadable {
            problem: Report::error(format!(
                "{name} is not a SHA-256, by which artifacts are named"
            )),
            name,
        },
    }
}

fn folder(engine: &ReleaseVerifier, path: &Path, found: &mut Found) {
    let name = path.display().to_string();
    match engine.verify_directory(path) {
        Err(error) => found.outcomes.push(outcome(name, Err(error))),
        Ok(release) if release.files.is_empty() => {
            // Nothing was looked at, so nothing may look verified.
            let problem = Report::error(format!("{name} has no file that could be verified"));
            found.outcomes.push(Outcome::Unreadable { name, problem });
        }
        Ok(release) => {
            let files = release.files.into_iter();
            found.outcomes.extend(files.map(|Judged { name, result, .. }| outcome(name, result)));
            found.notes.extend(release.notes);
        }
    }
}

/// A verdict, or why there is none.
pub fn outcome(
    name: String,
    result: Result<dsops_release_verify::Report, DiscoverError>,
) -> Outcome {
    match result {
        Ok(report) => Outcome::Judged(report),
        Err(error) => {
            let mut problem = Report::from_error(&error);
            problem.help = error.help().map(str::to_owned);
            Outcome::Unreadable { name, problem }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_what_is_there() {
        let kind = |word: &str| Kind::of(OsStr::new(word));
        assert_eq!(kind("-"), Kind::Stdin);
        assert_eq!(kind("."), Kind::Folder);
        assert_eq!(kind("Cargo.toml"), Kind::File);
        assert_eq!(kind("not-there"), Kind::File);
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(kind(&digest), Kind::Digest(Digest::parse(&digest).unwrap()));
    }
}
