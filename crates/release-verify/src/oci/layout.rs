//! Images in a folder or an archive: OCI layouts, as `docker save`, `skopeo copy`, `cosign save` and
//! `buildah push` write them (OCI image layout specification).

mod archive;
mod folder;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::manifest::{Descriptor, Document, MANIFEST_LIMIT_BYTES};
use super::source::{Fetch, Presence, Source};
use super::{OciError, Reference};
use crate::json::{self, Fields, Json};
use crate::{Algorithm, Artifact, Digest};
use archive::Archive;
use folder::Folder;

/// How many manifests of a layout are looked into for what they are about.
const LOOK_LIMIT: usize = 1_000;
/// How many bytes the manifests of a layout may have together; each is read to see what it is about.
const ALL_LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// The list of images that Docker reads where it does not read layouts.
const SAVED: &str = "manifest.json";
/// The older list, which Docker reads where there is none of those.
const SAVED_FIRST: &str = "repositories";

/// What cosign calls the entries of the layouts it saves.
const KIND: &str = "dev.cosignproject.cosign/kind";
/// The name, or only the tag, of an entry.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The whole name, as containerd and Docker write it.
const FULL_NAME: &str = "io.containerd.image.name";

/// Files by their path in a layout.
trait Files {
    fn path(&self) -> &Path;
    /// The file, or `None` when there is none.
    fn read(&self, path: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, OciError>;
    /// The size and digest of the file, which may be as large as it likes; `None` when there is none.
    fn hash(&self, path: &str, algorithm: Algorithm) -> Result<Option<(u64, Digest)>, OciError>;
}

/// An OCI layout: a folder or a tar archive.
pub struct Layout {
    files: Box<dyn Files>,
    entries: Vec<Descriptor>,
}

impl Layout {
    /// Whether a folder looks like a layout.
    pub fn is_folder(path: &Path) -> bool {
        path.join("oci-layout").is_file() && path.join("index.json").is_file()
    }

    /// Opens a folder, or a tar archive that is not compressed.
    ///
    /// Nothing is unpacked: an archive is read through once for where its files lie.
    ///
    /// # Errors
    /// [`OciError::NotAnImage`], [`OciError::Io`], and for an index that is malformed.
    pub fn open(path: &Path) -> Result<Self, OciError> {
        let io = |source| OciError::Io { path: path.to_owned(), source };
        let is_folder = std::fs::metadata(path).map_err(io)?.is_dir();
        let files: Box<dyn Files> =
            if is_folder { Box::new(Folder::new(path)) } else { Box::new(Archive::open(path)?) };
        Self::read(files)
    }

    fn read(files: Box<dyn Files>) -> Result<Self, OciError> {
        let none = |why| OciError::NotAnImage { path: files.path().to_owned(), why };
        let Some(version) = files.read("oci-layout", 4096)? else {
            return Err(match files.read(SAVED, MANIFEST_LIMIT_BYTES)? {
                Some(_) => none(
                    "it was saved without its manifest, by a Docker before version 25: what was signed cannot be told from it",
                ),
                None => none("it holds no file `oci-layout`"),
            });
        };
        let version = json::parse(&version)
            .and_then(|json| Ok(Fields::of(&json, "")?.text("imageLayoutVersion")?.to_owned()))
            .map_err(|error| OciError::json("oci-layout", &error))?;
        if version != "1.0.0" {
            return Err(none("its layout is of a version that is not known"));
        }
        let index = files
            .read("index.json", MANIFEST_LIMIT_BYTES)?
            .ok_or_else(|| none("it holds no file `index.json`"))?;
        match Document::read(&index, "index.json")? {
            Document::Index(index) => {
                // One large manifest, listed often, is little to send and much to read.
                let all =
                    index.manifests.iter().fold(0, |all: u64, one| all.saturating_add(one.size));
                if all > ALL_LIMIT_BYTES {
                    let what = "all the manifests that index.json lists".to_owned();
                    return Err(OciError::TooLarge { what, limit_bytes: ALL_LIMIT_BYTES });
                }
                Ok(Self { files, entries: index.manifests })
            }
            Document::Manifest(_) => Err(OciError::malformed("index.json", "not an index")),
        }
    }

    /// The image: the one of that tag, name or digest, or the only one.
    ///
    /// # Errors
    /// [`OciError::Ambiguous`] when there are several and none is named,
    /// [`OciError::NotFound`] when there is none.
    pub fn image(&self, name: Option<&str>) -> Result<Descriptor, OciError> {
        let images: Vec<&Descriptor> =
            self.entries.iter().filter(|entry| self.is_image(entry)).collect();
        let wanted: Vec<&Descriptor> = match name {
            None => images.clone(),
            Some(name) => images.iter().copied().filter(|entry| is_called(entry, name)).collect(),
        };
        let mut distinct = wanted.clone();
        distinct.dedup_by(|one, other| one.digest == other.digest);
        match (distinct.as_slice(), name) {
            ([one], _) => Ok((*one).clone()),
            ([], Some(name)) => Err(OciError::NotFound {
                what: format!("the image `{}` in {}", name.escape_debug(), self.name()),
            }),
            ([], None) => Err(OciError::NotFound { what: format!("an image in {}", self.name()) }),
            (several, _) => Err(OciError::Ambiguous {
                what: self.name(),
                names: several.iter().map(|entry| shown_name(entry)).collect(),
            }),
        }
    }

    /// Whether an entry is an image, and not something that belongs to one.
    fn is_image(&self, entry: &Descriptor) -> bool {
        if let Some(kind) = entry.annotation(KIND) {
            return !is_marked(kind);
        }
        if entry.annotation(REF_NAME).is_some_and(is_companion_tag) {
            return false;
        }
        if entry.artifact_type.as_deref().is_some_and(|kind| !kind.contains(".image.")) {
            return false;
        }
        // An entry that cannot be read is an image until it is looked at: it is not passed over.
        !matches!(
            Fetch(self).described(entry).map(|fetched| fetched.document),
            Ok(Document::Manifest(manifest)) if manifest.subject.is_some()
        )
    }

    /// Where the layout keeps what has that digest.
    pub(super) fn blob_path(digest: &Digest) -> String {
        format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
    }
}

impl Source for Layout {
    fn name(&self) -> String {
        self.files.path().display().to_string()
    }

    fn manifest(&self, digest: &Digest, limit_bytes: u64) -> Result<Option<Vec<u8>>, OciError> {
        self.files.read(&Self::blob_path(digest), limit_bytes)
    }

    fn tagged(&self, tag: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, OciError> {
        match self.entries.iter().find(|entry| is_called(entry, tag)) {
            Some(entry) => {
                let bytes = self.manifest(&entry.digest, limit_bytes)?;
                if let Some(bytes) = &bytes {
                    let what = format!("the manifest of tag `{tag}`");
                    super::manifest::check(&what, &entry.digest, Some(entry.size), bytes)?;
                }
                Ok(bytes)
            }
            None => Ok(None),
        }
    }

    fn blob(&self, digest: &Digest, limit_bytes: u64) -> Result<Vec<u8>, OciError> {
        self.files
            .read(&Self::blob_path(digest), limit_bytes)?
            .ok_or_else(|| OciError::NotFound { what: format!("blob {digest}") })
    }

    fn check(&self, descriptor: &Descriptor) -> Result<Presence, OciError> {
        let (expected, algorithm) = (&descriptor.digest, descriptor.digest.algorithm());
        let Some((size, found)) = self.files.hash(&Self::blob_path(expected), algorithm)? else {
            return Ok(Presence::Missing);
        };
        let what = format!("blob {expected}");
        if size != descriptor.size {
            return Err(OciError::WrongSize { what, expected: descriptor.size, found: size });
        }
        if found != *expected {
            return Err(OciError::WrongDigest { what, expected: expected.clone(), found });
        }
        Ok(Presence::Good)
    }

    fn loaded(&self) -> Result<Vec<Vec<String>>, OciError> {
        let Some(text) = self.files.read(SAVED, MANIFEST_LIMIT_BYTES)? else {
            if self.files.read(SAVED_FIRST, MANIFEST_LIMIT_BYTES)?.is_some() {
                let problem = "Docker loads what it names, which is not what the index names";
                return Err(OciError::malformed(format!("the file `{SAVED_FIRST}`"), problem));
            }
            return Ok(Vec::new());
        };
        saved(&text).map_err(|error| OciError::json(SAVED, &error))
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, OciError> {
        if self.entries.len() > LOOK_LIMIT {
            return Err(OciError::TooMany { what: "the entries of the layout", limit: LOOK_LIMIT });
        }
        let mut found = Vec::new();
        for entry in &self.entries {
            let fetched = match Fetch(self).described(entry) {
                Ok(fetched) => fetched,
                // An index may list what was not saved with it.
                Err(OciError::NotFound { .. }) => continue,
                Err(error) => return Err(error),
            };
            if let Document::Manifest(manifest) = fetched.document
                && manifest.subject.is_some_and(|about| about.digest == *subject)
            {
                found.push(entry.clone());
            }
        }
        let tag = format!("{}-{}", subject.algorithm().name(), subject.hex());
        if let Some(Document::Index(index)) = Fetch(self).tagged(&tag)?.map(|it| it.document) {
            found.extend(index.manifests);
        }
        Ok(found)
    }

    fn marked(&self) -> Result<Vec<Descriptor>, OciError> {
        let is_ours = |entry: &&Descriptor| entry.annotation(KIND).is_some_and(is_marked);
        Ok(self.entries.iter().filter(is_ours).cloned().collect())
    }
}

impl std::fmt::Debug for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layout").field("path", &self.files.path()).finish_non_exhaustive()
    }
}

fn is_marked(kind: &str) -> bool {
    matches!(kind, "dev.cosignproject.cosign/sigs" | "dev.cosignproject.cosign/atts")
}

/// Whether a tag belongs to another image: `sha256-<hex>`, with or without cosign's endings.
fn is_companion_tag(tag: &str) -> bool {
    let tag = tag.rsplit_once(':').map_or(tag, |(_, tag)| tag);
    let Some((algorithm, rest)) = tag.split_once('-') else { return false };
    let digits = rest.split('.').next().unwrap_or_default();
    Algorithm::from_name(algorithm)
        .is_some_and(|algorithm| Digest::from_hex(algorithm, digits).is_some())
}

/// Whether `name` is the tag, the whole name or the digest of an entry.
fn is_called(entry: &Descriptor, name: &str) -> bool {
    let wanted = name.parse::<Reference>().ok();
    let names = [entry.annotation(REF_NAME), entry.annotation(FULL_NAME)];
    entry.digest.to_string() == name
        || names.into_iter().flatten().any(|its| {
            its == name
                || its.rsplit_once(':').is_some_and(|(_, tag)| tag == name)
                || wanted.is_some() && its.parse::<Reference>().ok() == wanted && its.contains('/')
        })
}

fn shown_name(entry: &Descriptor) -> String {
    let name = entry.annotation(FULL_NAME).or(entry.annotation(REF_NAME));
    name.map_or_else(|| entry.digest.to_string(), |name| name.escape_debug().to_string())
}

/// The config and layers of each image in the file that Docker wrote before it knew layouts, and
/// still writes beside them.
fn saved(text: &[u8]) -> Result<Vec<Vec<String>>, json::JsonError> {
    let list = json::parse(text)?;
    let Json::List(images) = &list else {
        return Err(json::JsonError::new("", "not a list"));
    };
    let plain = |path: &str| path.strip_prefix("./").unwrap_or(path).to_owned();
    let mut all = Vec::new();
    for image in images {
        let mut fields = Fields::of(image, "")?;
        let mut paths = vec![plain(fields.text("Config")?)];
        for layer in fields.list("Layers", 5_000)? {
            let layer = layer.as_str().ok_or_else(|| fields.error("Layers", "not a text"))?;
            paths.push(plain(layer));
        }
        all.push(paths);
    }
    Ok(all)
}

/// The size and digest of what `source` gives.
fn hash(source: impl Read, algorithm: Algorithm) -> io::Result<Option<(u64, Digest)>> {
    let artifact = Artifact::read("", source, &[algorithm])?;
    Ok(artifact.size().zip(artifact.digest(algorithm).cloned()))
}

/// The error for a file that cannot be read.
fn io_error(path: PathBuf) -> impl FnOnce(std::io::Error) -> OciError {
    move |source| OciError::Io { path, source }
}
