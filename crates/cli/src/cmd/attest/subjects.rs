//! What a statement is about: files, or names with a digest.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use dsops_attest::Subject;
use dsops_release_verify::{Algorithm, Artifact, Digest};

use crate::cmd::signing::beside;
use crate::cmd::verify::files;
use crate::exit::Exit;
use crate::report::{Failure, Report};

/// The subjects of a statement, each by its SHA-256.
pub struct Subjects(Vec<One>);

struct One {
    name: String,
    sha256: [u8; 32],
    /// The file, if it is one.
    path: Option<PathBuf>,
}

impl Subjects {
    /// Reads files, and takes `NAME@sha256:…` as it is where no file is called so.
    ///
    /// # Errors
    /// A file cannot be read, or has no name; two have the same.
    pub fn read(words: &[OsString]) -> Result<Self, Failure> {
        let all = words.iter().map(one).collect::<Result<Vec<_>, _>>()?;
        for (at, one) in all.iter().enumerate() {
            if all[..at].iter().any(|other| other.name == one.name) {
                return Err(Failure::usage(
                    format!("two subjects are called {}", one.name),
                    "a statement names files without their folders; make one for each",
                ));
            }
        }
        Ok(Self(all))
    }

    /// As a statement has them.
    pub fn list(&self) -> Vec<Subject> {
        self.0.iter().map(|one| Subject::sha256(one.name.as_str(), &one.sha256)).collect()
    }

    /// As a verifier compares them.
    pub fn digests(&self) -> Vec<(String, [u8; 32])> {
        self.0.iter().map(|one| (one.name.clone(), one.sha256)).collect()
    }

    /// Beside the only file, or as `multiple` beside all.
    pub fn place(&self, ending: &str) -> Option<PathBuf> {
        if let [One { path: Some(path), .. }] = self.0.as_slice() {
            return Some(beside(path, ending));
        }
        let folder = |one: &One| one.path.as_deref().and_then(Path::parent).map(Path::to_owned);
        let first = folder(self.0.first()?)?;
        let is_one = self.0.iter().all(|one| folder(one).as_ref() == Some(&first));
        is_one.then(|| first.join(format!("multiple{ending}")))
    }
}

fn one(word: &OsString) -> Result<One, Failure> {
    let path = Path::new(word);
    let by_digest = || {
        let (name, digest) = word.to_str()?.split_once('@')?;
        let digest = Digest::parse(digest).filter(|one| one.algorithm() == Algorithm::Sha256)?;
        let sha256 = digest.as_bytes().try_into().ok()?;
        (!name.is_empty()).then(|| One { name: name.to_owned(), sha256, path: None })
    };
    if !path.exists()
        && let Some(one) = by_digest()
    {
        return Ok(one);
    }
    let unreadable = |error| {
        let report: Report = files::unreadable(word, &error);
        Failure::new(Exit::Store, report)
    };
    let file = files::open(word).map_err(unreadable)?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Failure::usage(
            format!("{} has no name that a statement could say", path.display()),
            "a statement is UTF-8 text",
        )
    })?;
    let artifact = Artifact::read(name, file, &[]).map_err(unreadable)?;
    let sha256 = artifact.sha256().as_bytes().try_into().expect("SHA-256 has 32 bytes");
    Ok(One { name: name.to_owned(), sha256, path: Some(path.to_owned()) })
}
