//! `dsops verify ARTIFACT…`: what each word stands for, and its verdict.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use dsops_release_verify::oci::{Layout, Reference};
use dsops_release_verify::{
    Artifact, Digest, DiscoverError, Evidence, Judged, Options, ReleaseVerifier,
};

use super::images::{self, Place};
use super::inputs::{self, STDIN, Separator};
use super::online::Online;
use super::outcome::{Found, Outcome};
use super::waiting::Waiting;
use super::{Args, files, trust};
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
    let kinds = words.iter().map(|word| Kind::of(word)).collect::<Result<Vec<_>, _>>()?;
    let remote: Vec<&OsStr> = words
        .iter()
        .zip(&kinds)
        .filter(|(_, kind)| matches!(kind, Kind::Image(_)))
        .map(|(word, _)| word.as_os_str())
        .collect();
    if !remote.is_empty() && !args.network.online {
        return Err(images::offline(&remote));
    }
    if !args.how.bundle.is_empty()
        && let Some((word, _)) = words.iter().zip(&kinds).find(|(_, kind)| **kind == Kind::Folder)
    {
        return Err(Failure::usage(
            format!(
                "`--bundle` names evidence for files, and {} is a folder",
                Path::new(word).display()
            ),
            "put the bundle into the folder, or name the file that it is of",
        ));
    }
    // Named for one file, evidence is said to be of it: of another, it is a failure and no accident.
    let of = match words.as_slice() {
        [one] => Some(one.to_string_lossy()),
        _ => None,
    };
    let evidence = args.how.evidence(of.as_deref())?;
    let mut client = None;
    let roots = || {
        let file = args.how.trusted_root.as_deref();
        let (roots, allowed) = trust::roots(cx, file, &args.network)?;
        client = allowed;
        Ok(roots)
    };
    let engine = args.how.engine(roots, options)?;
    let online = match client.filter(|_| !remote.is_empty()) {
        Some(client) => Some(Online::new(cx, client, &args.network)?),
        None => None,
    };
    let line = Waiting::on_stderr(cx.ui, &done);
    let run = Run { engine: &engine, evidence: &evidence, online, args };
    let found = run.all(&words, kinds);
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
    /// An image in a folder or an archive.
    Layout(Place),
    /// An image in a registry, and no file is called so.
    Image(Reference),
}

impl Kind {
    fn of(word: &OsStr) -> Result<Self, Failure> {
        if word == STDIN {
            return Ok(Self::Stdin);
        }
        let path = Path::new(word);
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() && Layout::is_folder(path) => {
                Ok(Self::Layout(Place::only(path)))
            }
            Ok(metadata) if metadata.is_dir() => Ok(Self::Folder),
            Ok(_) => Ok(Self::File),
            Err(_) => Self::of_name(word),
        }
    }

    /// What no file is called.
    fn of_name(word: &OsStr) -> Result<Self, Failure> {
        let Some(text) = word.to_str() else { return Ok(Self::File) };
        if let Some(place) = Place::read(text) {
            return Ok(Self::Layout(place));
        }
        if let Some(digest) = Digest::parse(text) {
            return Ok(Self::Digest(digest));
        }
        let reference = images::reference(text).map_err(|error| images::no_reference(&error))?;
        Ok(reference.map_or(Self::File, Self::Image))
    }
}

/// What all words are verified with.
struct Run<'a> {
    engine: &'a ReleaseVerifier,
    evidence: &'a [Evidence],
    /// When there are images in registries.
    online: Option<Online<'a>>,
    args: &'a Args,
}

impl Run<'_> {
    /// The verdicts on all words, in their order. Files are verified together: what lies beside them
    /// is read once.
    fn all(&self, words: &[OsString], kinds: Vec<Kind>) -> Found {
        let mut found = Found::default();
        let mut files: Vec<&Path> = Vec::new();
        let mut waiting = Found::default();
        for (word, kind) in words.iter().zip(kinds) {
            let path = Path::new(word);
            if kind == Kind::File && self.evidence.is_empty() {
                files.push(path);
                continue;
            }
            // What was put off comes before this word.
            found.outcomes.extend(self.together(&mut files));
            match kind {
                Kind::Folder => folder(self.engine, path, &mut waiting),
                kind => found.outcomes.push(self.one(word, kind)),
            }
            found.outcomes.append(&mut waiting.outcomes);
            found.notes.append(&mut waiting.notes);
        }
        found.outcomes.extend(self.together(&mut files));
        found
    }

    fn one(&self, word: &OsStr, kind: Kind) -> Outcome {
        let Self { engine, evidence, .. } = *self;
        let platform = self.args.platform.as_ref();
        match (kind, &self.online) {
            (Kind::Stdin, _) => stdin(engine, evidence),
            (Kind::Digest(digest), _) => of_digest(engine, evidence, word, digest),
            (Kind::Layout(place), _) => images::in_layout(engine, word, &place, platform, evidence),
            (Kind::Image(reference), Some(online)) => {
                images::in_registry(engine, online, word, &reference, platform, evidence)
            }
            (Kind::File | Kind::Folder | Kind::Image(_), _) => {
                let path = Path::new(word);
                let result = engine.verify_file_with(path, evidence);
                images::remark(path, outcome(word.to_string_lossy().into_owned(), result))
            }
        }
    }

    fn together(&self, files: &mut Vec<&Path>) -> Vec<Outcome> {
        let files = std::mem::take(files);
        let judged = self.engine.verify_files(&files).into_iter().zip(&files);
        let platform = self.args.platform.as_ref();
        judged
            .map(|(Judged { name, result, .. }, path)| {
                images::instead_of_file(self.engine, path, outcome(name, result), platform)
            })
            .collect()
    }
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
        let kind = |word: &str| Kind::of(OsStr::new(word)).unwrap();
        assert_eq!(kind("-"), Kind::Stdin);
        assert_eq!(kind("."), Kind::Folder);
        assert_eq!(kind("Cargo.toml"), Kind::File);
        assert_eq!(kind("not-there"), Kind::File);
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(kind(&digest), Kind::Digest(Digest::parse(&digest).unwrap()));
        assert!(matches!(kind("oci:src"), Kind::Layout(_)));
        assert!(matches!(kind("ghcr.io/acme/app:v1"), Kind::Image(_)));
    }
}
