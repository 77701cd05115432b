//! Reading the file of a configuration and those it includes, each with its limits.

use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::read::{self, Document};
use super::{Config, ConfigErrors, LoadOptions, MAX_CONFIG_BYTES, assemble};
use crate::diagnostic::{Diagnostic, Place, codes};
use crate::settings::syntax_diagnostic;
use crate::source::Source;
use crate::yaml::{self, Limits};

/// What the text of a file may ask for.
pub(super) const LIMITS: Limits =
    Limits { text_bytes: MAX_CONFIG_BYTES, depth: 32, nodes: 100_000 };

/// Files a configuration may have, one that is included twice counted twice.
const MAX_FILES: usize = 32;

/// An included file may include, and so on, this far.
const MAX_DEPTH: usize = 8;

const TOO_LARGE_HELP: &str = "keep values in a store, not in the configuration";

/// One file of a configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConfigFile {
    /// The file, as errors call it.
    pub path: PathBuf,
    /// Where it is included; `None` for the configuration itself.
    pub included_at: Option<Place>,
    /// Whether it lies outside the folder of the configuration, links followed.
    pub outside: bool,
}

pub(super) fn file(path: &Path, options: &LoadOptions<'_>) -> Result<Config, ConfigErrors> {
    let name = path.display().to_string();
    let bytes = read_file(path).map_err(|error| {
        ConfigErrors::one(match error.kind() {
            io::ErrorKind::NotFound => super::not_found(format!("there is no {name}")),
            _ => unreadable(&name, &error),
        })
    })?;
    let text = utf8(&name, &bytes).map_err(ConfigErrors::one)?;
    let mut config = self::text(&name, text, options, true)?;
    path.clone_into(&mut config.path);
    Ok(config)
}

pub(super) fn text(
    name: &str,
    text: &str,
    options: &LoadOptions<'_>,
    follow: bool,
) -> Result<Config, ConfigErrors> {
    if text.len() > MAX_CONFIG_BYTES {
        return Err(ConfigErrors::one(too_large(name)));
    }
    let mut loader = Loader::new(options, follow);
    loader.add(Path::new(name), text, None);
    let Loader { documents, files, hashed, mut problems, .. } = loader;
    let mut config = assemble::config(PathBuf::from(name), documents, &mut problems);
    config.files = files;
    config.content = Content { files: hashed, hash: OnceLock::new() };
    match ConfigErrors::from_problems(problems) {
        Some(errors) => Err(errors),
        None => Ok(config),
    }
}

struct Loader<'a> {
    options: &'a LoadOptions<'a>,
    /// Whether `include` may read files.
    follow: bool,
    /// In the order in which the later wins.
    documents: Vec<Document>,
    files: Vec<ConfigFile>,
    /// Each content of each file once, by the name it has in the hash.
    hashed: Vec<(String, [u8; 32])>,
    /// The files on the way to this one, links followed.
    way: Vec<PathBuf>,
    /// The folder of the configuration, links followed; only known once there is an `include`.
    root: Option<PathBuf>,
    bytes: usize,
    problems: Vec<Diagnostic>,
}

impl<'a> Loader<'a> {
    fn new(options: &'a LoadOptions<'a>, follow: bool) -> Self {
        Self {
            options,
            follow,
            documents: Vec::new(),
            files: Vec::new(),
            hashed: Vec::new(),
            way: Vec::new(),
            root: None,
            bytes: 0,
            problems: Vec::new(),
        }
    }

    /// Reads a text and, before it, what it includes.
    fn add(&mut self, path: &Path, text: &str, included: Option<(Place, bool, String)>) {
        let name = path.display().to_string();
        let (included_at, outside, hash_name) = match included {
            Some((place, outside, hash_name)) => (Some(place), outside, hash_name),
            None => (None, false, file_name(path)),
        };
        // A file that is included twice is read twice, and may be another one by then.
        let hashed = (hash_name, Sha256::digest(text.as_bytes()).into());
        if !self.hashed.contains(&hashed) {
            self.hashed.push(hashed);
        }
        self.files.push(ConfigFile { path: path.to_owned(), included_at, outside });
        self.bytes += text.len();
        let root = match yaml::parse_with(text, LIMITS) {
            Ok(root) => root,
            Err(error) => {
                let source = Source::unparsed(&name, text);
                self.problems.push(syntax_diagnostic(&error, &source));
                return;
            }
        };
        let source = Arc::new(Source::new(&name, text, &root, read::is_shown));
        let document = read::document(root, source, self.options, &mut self.problems);
        for (include, place) in &document.include {
            if let Err(problem) = self.include(path, include, place) {
                // One inside the included file has its place there.
                let has_place = problem.place.is_some();
                self.problems.push(if has_place { problem } else { problem.at(place.clone()) });
            }
        }
        self.documents.push(document);
    }

    fn include(&mut self, from: &Path, include: &str, place: &Place) -> Result<(), Diagnostic> {
        let error = |message: String| Diagnostic::error(codes::INCLUDE, message);
        if include.is_empty() {
            return Err(error("`include` names no file".to_owned()));
        }
        if !self.follow {
            return Err(error(format!(
                "`{include}` is not read: this configuration is only a text"
            ))
            .help("load it from its file"));
        }
        if self.files.len() >= MAX_FILES {
            return Err(error(format!(
                "the configuration includes more than {} files",
                MAX_FILES - 1
            )));
        }
        let folder = folder(from);
        let path =
            if folder == Path::new(".") { PathBuf::from(include) } else { folder.join(include) };
        let name = path.display().to_string();
        let real = fs::canonicalize(&path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => error(format!("there is no {name} to include"))
                .help("a path is relative to the file that includes it"),
            _ => error(format!("cannot read {name}: {cause}")),
        })?;
        if self.way.is_empty() {
            // The first `include` of all: now it matters where the configuration itself is.
            self.root = fs::canonicalize(folder).ok();
            self.way.push(fs::canonicalize(from).unwrap_or_else(|_| from.to_owned()));
        }
        if self.way.contains(&real) {
            return Err(error(format!("{name} includes itself, directly or by another file"))
                .help("remove one of the includes"));
        }
        if self.way.len() > MAX_DEPTH {
            return Err(error(format!("`include` goes deeper than {MAX_DEPTH} files")));
        }
        let bytes = read_file(&real).map_err(|cause| unreadable(&name, &cause))?;
        if self.bytes + bytes.len() > MAX_CONFIG_BYTES {
            let message =
                format!("the files of the configuration are larger than {MAX_CONFIG_BYTES} bytes");
            return Err(Diagnostic::error(codes::TOO_LARGE, message).help(TOO_LARGE_HELP));
        }
        let text = utf8(&name, &bytes)?;
        let below = self.root.as_ref().and_then(|root| real.strip_prefix(root).ok());
        let hash_name = below.unwrap_or(&real).display().to_string();
        let outside = below.is_none();
        self.way.push(real.clone());
        self.add(&path, text, Some((place.clone(), outside, hash_name)));
        self.way.pop();
        Ok(())
    }
}

/// What a configuration was read from: no text is kept, as it may have values in it. The hash of all
/// is made when somebody asks.
#[derive(Default)]
pub(super) struct Content {
    /// Each content of each file once, by the name it has in the hash, in the order of reading.
    files: Vec<(String, [u8; 32])>,
    hash: OnceLock<String>,
}

impl Content {
    /// SHA-256 over a name for the scheme and, for every file, the length of its name, the name, and
    /// the SHA-256 of its bytes.
    pub(super) fn hash(&self) -> &str {
        self.hash.get_or_init(|| {
            let mut hasher = Sha256::new();
            hasher.update(b"dsops configuration 1\n");
            for (name, digest) in &self.files {
                hasher.update((name.len() as u64).to_be_bytes());
                hasher.update(name.as_bytes());
                hasher.update(digest);
            }
            hasher.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
        })
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.files.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Content").field("files", &names).finish_non_exhaustive()
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The folder that a file is in.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn utf8<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, Diagnostic> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let before = Zeroizing::new(before.into_owned());
        let in_line = before.rsplit('\n').next().unwrap_or_default();
        Diagnostic::error(codes::NOT_UTF8, "the file is not UTF-8")
            .at(Place {
                file: name.into(),
                line: before.matches('\n').count() + 1,
                column: in_line.chars().count() + 1,
                width: 1,
                line_text: None,
            })
            .help("save it as UTF-8 without other encodings")
    })
}

fn too_large(name: &str) -> Diagnostic {
    let message = format!("{name} is larger than {MAX_CONFIG_BYTES} bytes");
    Diagnostic::error(codes::TOO_LARGE, message).help(TOO_LARGE_HELP)
}

fn unreadable(name: &str, error: &io::Error) -> Diagnostic {
    let problem = Diagnostic::error(codes::IO, format!("cannot read {name}: {error}"));
    match error.kind() {
        io::ErrorKind::FileTooLarge => too_large(name),
        io::ErrorKind::IsADirectory => problem.help("name the file in it"),
        io::ErrorKind::PermissionDenied => problem.help("check the permissions of the file"),
        _ => problem,
    }
}

fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Asked before it is opened: opening a FIFO waits for someone who writes to it.
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = File::open(path)?;
    // One allocation of the right size: a vector that grows leaves copies behind.
    let expected = usize::try_from(metadata.len()).unwrap_or(usize::MAX).min(MAX_CONFIG_BYTES);
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected + 1));
    file.take(MAX_CONFIG_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_CONFIG_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_another_one_when_it_is_read_again_counts_twice() {
        let options = LoadOptions::new();
        let hash = |texts: &[&str]| {
            let mut loader = Loader::new(&options, false);
            for text in texts {
                loader.add(Path::new("a.yaml"), text, None);
            }
            Content { files: loader.hashed, hash: OnceLock::new() }.hash().to_owned()
        };
        assert_eq!(hash(&["version: 1", "version: 1"]), hash(&["version: 1"]));
        assert_ne!(hash(&["version: 1", "version: 0"]), hash(&["version: 1"]));
    }
}
