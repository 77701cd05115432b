//! Images: in a layout (a folder or an archive), and with `--online` in a registry.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use dsops_release_verify::oci::{Image, Layout, OciError, Platform, Reference};
use dsops_release_verify::{
    Artifact, Digest, Evidence, Finding, Origin, ReleaseVerifier, Report as Verdict, State,
};

use super::online::Online;
use super::outcome::Outcome;
use crate::exit::Exit;
use crate::report::{Failure, Report};

/// What stands before the path of a layout, as with other tools for images.
const LAYOUT_PREFIXES: [&str; 3] = ["oci:", "oci-archive:", "docker-archive:"];
/// What stands before the name of an image in a registry.
const REGISTRY_PREFIX: &str = "docker://";
/// Where tar archives of the POSIX and GNU kinds are marked as such, and how.
const TAR_MARK: (u64, &[u8; 5]) = (257, b"ustar");

/// Reads what `--platform` takes.
pub fn platform(text: &str) -> Result<Platform, String> {
    Platform::parse(text).ok_or_else(|| "it is OS/ARCHITECTURE, as linux/amd64".to_owned())
}

/// An image in a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: PathBuf,
    /// Its tag, name or digest, where there may be several.
    pub name: Option<String>,
}

impl Place {
    /// The only image of a layout.
    pub fn only(path: &Path) -> Self {
        Self { path: path.to_owned(), name: None }
    }

    /// Reads `oci:PATH`, `oci:PATH:TAG`, `oci:PATH@DIGEST` and the same of archives.
    pub fn read(word: &str) -> Option<Self> {
        let rest = LAYOUT_PREFIXES.iter().find_map(|prefix| word.strip_prefix(prefix))?;
        let exists = |path: &str| Path::new(path).exists();
        let splits = [rest.split_once('@'), rest.split_once(':')];
        let named = splits.into_iter().flatten().find(|(path, _)| exists(path));
        Some(match named.filter(|_| !exists(rest)) {
            Some((path, name)) => Self { path: path.into(), name: Some(name.to_owned()) },
            None => Self { path: rest.into(), name: None },
        })
    }
}

/// A name that means an image in a registry: a host with a dot or a port before the first slash, a
/// digest behind an at sign, or `docker://` before it. What could as well be a file that is not there
/// is none.
///
/// # Errors
/// It is said to be one, and is not.
pub fn reference(word: &str) -> Result<Option<Reference>, OciError> {
    if let Some(name) = word.strip_prefix(REGISTRY_PREFIX) {
        return name.parse().map(Some);
    }
    let Some((host, rest)) = word.split_once('/') else { return Ok(None) };
    let has_host = host.contains(['.', ':']) || host == "localhost";
    let is_named =
        (has_host && !host.starts_with('.') && !rest.is_empty()) || word.contains("@sha256:");
    Ok(if is_named { word.parse().ok() } else { None })
}

/// The verdict on the image of a layout.
pub fn in_layout(
    engine: &ReleaseVerifier,
    word: &OsStr,
    place: &Place,
    platform: Option<&Platform>,
    evidence: &[Evidence],
) -> Outcome {
    let name = word.to_string_lossy();
    let opened = Layout::open(&place.path)
        .and_then(|layout| Ok((layout.image(place.name.as_deref())?, layout)));
    let (descriptor, layout) = match opened {
        Ok(opened) => opened,
        Err(error) => return outcome(&name, None, Err(error)),
    };
    let verdict = Image::described(&layout, &descriptor, platform)
        .map(|image| engine.verify_image(&image.asked_as(name.clone()), evidence));
    outcome(&name, Some(&descriptor.digest), verdict)
}

/// The verdict on an image in a registry. A tag is asked for once; from then on only the digest
/// counts.
pub fn in_registry(
    engine: &ReleaseVerifier,
    online: &Online<'_>,
    word: &OsStr,
    reference: &Reference,
    platform: Option<&Platform>,
    evidence: &[Evidence],
) -> Outcome {
    let name = word.to_string_lossy();
    let verdict = || {
        let registry = online.registry(reference)?;
        let image = Image::new(&registry, registry.resolve()?, platform)?;
        Ok(engine.verify_image(&image.asked_as(name.clone()), evidence))
    };
    outcome(&name, reference.digest(), verdict())
}

/// Images in registries, when the network may not be used.
pub fn offline(words: &[&OsStr]) -> Failure {
    let reports = words.iter().map(|word| {
        let name = word.to_string_lossy();
        let message = format!("{name} is no file here; as an image it is in a registry");
        let mut report = Report::error(message).help(
            "the network is used with `--online` only; without it, save the image as a layout \
             (`skopeo copy`, `cosign save`) and verify that",
        );
        report.code = Some("verify/online");
        report
    });
    Failure::many(Exit::Usage, reports)
}

/// A word that says that it is an image in a registry, and is none.
pub fn no_reference(error: &OciError) -> Failure {
    let mut report = Report::from_error(error)
        .help("it is HOST/NAME:TAG or HOST/NAME@sha256:…; docker.io/library/NAME for Docker's own");
    report.code = Some("verify/image");
    Failure::new(Exit::Usage, report)
}

/// A file for which nothing was found to verify it by, when it is an archive of an image: then the
/// image is what was meant.
pub fn instead_of_file(
    engine: &ReleaseVerifier,
    path: &Path,
    file: Outcome,
    platform: Option<&Platform>,
) -> Outcome {
    let Outcome::Judged(report) = &file else { return file };
    if report.findings.iter().any(|finding| finding.code == "evidence/none") && is_archive(path) {
        return in_layout(engine, path.as_os_str(), &Place::only(path), platform, &[]);
    }
    file
}

/// Says of a file that was verified as one that there is an image in it.
pub fn remark(path: &Path, file: Outcome) -> Outcome {
    let Outcome::Judged(mut report) = file else { return file };
    if report.verdict != dsops_release_verify::Verdict::Verified && is_archive(path) {
        let text = "the file was verified as a file, and it is an archive of an image";
        let help = format!("`oci-archive:{}` verifies the image in it", path.display());
        report.findings.push(Finding::new("image/archive", State::Note, text).help(help));
    }
    Outcome::Judged(report)
}

/// Whether a file is a tar archive with a layout in it.
fn is_archive(path: &Path) -> bool {
    let is_tar = || {
        let mut file = File::open(path)?;
        let mut mark = [0; TAR_MARK.1.len()];
        file.seek(SeekFrom::Start(TAR_MARK.0))?;
        file.read_exact(&mut mark)?;
        std::io::Result::Ok(mark == *TAR_MARK.1)
    };
    is_tar().unwrap_or(false) && Layout::open(path).is_ok()
}

/// A source that lies fails the image; what is not there or does not answer is no verdict.
fn outcome(name: &str, asked: Option<&Digest>, result: Result<Verdict, OciError>) -> Outcome {
    let error = match result {
        Ok(report) => return Outcome::Judged(report),
        Err(error) => error,
    };
    let expected = match &error {
        OciError::WrongDigest { expected, .. } => Some(expected),
        _ => asked,
    };
    let artifact = expected.and_then(|digest| Artifact::from_digest(name, digest.clone()));
    if let Some(artifact) = artifact.filter(|_| error.is_a_lie()) {
        let findings = vec![error.finding().at(&Origin::new(name))];
        return Outcome::Judged(Verdict::conclude(artifact, findings, Vec::new()));
    }
    let mut problem = Report::from_error(&error);
    problem.message = format!("{name}: {}", problem.message);
    problem.help = error.help().map(str::to_owned);
    Outcome::Unreadable { name: name.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_not_there_are_no_images() {
        let is_image = |word: &str| reference(word).unwrap().is_some();
        for word in ["dist/app", "app", "./a.b/c", "../a/b", "/a.b/c", "app.tar.gz", "a.b/"] {
            assert!(!is_image(word), "{word}");
        }
        let digest = format!("owner/app@sha256:{}", "0".repeat(64));
        for word in
            ["ghcr.io/owner/app:v1", "localhost:5000/app", "localhost/app", "docker://app", &digest]
        {
            assert!(is_image(word), "{word}");
        }
        assert!(reference("docker://-").is_err());
    }

    #[test]
    fn places_in_layouts() {
        let read = |word: &str| Place::read(word).map(|place| (place.path, place.name));
        let place =
            |path: &str, name: Option<&str>| Some((PathBuf::from(path), name.map(str::to_owned)));
        assert_eq!(read("oci:src"), place("src", None));
        assert_eq!(read("oci:src:v1"), place("src", Some("v1")));
        assert_eq!(read("oci:src:ghcr.io/a/b:v1"), place("src", Some("ghcr.io/a/b:v1")));
        assert_eq!(read("oci-archive:Cargo.toml@sha256:0"), place("Cargo.toml", Some("sha256:0")));
        assert_eq!(read("docker-archive:not-there:v1"), place("not-there:v1", None));
        assert_eq!(read("src"), None);
    }
}
