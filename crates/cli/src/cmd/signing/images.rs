//! Images that are signed: found by digest, in a registry or a layout, and where the bundle goes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use dsops_attest::oci::{Attachment, INDEX_TYPE, Image, MANIFEST_TYPE};
use dsops_attest::{Bundle, Statement};
use dsops_release_verify::Digest;
use dsops_release_verify::oci::{
    Layout, MANIFEST_LIMIT_BYTES, OciError, Reference, Registry, Source as _,
};
use dsops_stores::file;

use super::super::verify::images::{Place, no_reference, reference};
use super::super::verify::online::{Flags, Online, client};
use super::failed;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};

/// The mode of the files of a layout.
const PUBLIC: u32 = 0o644;

/// Where an image lies.
#[derive(Clone, Debug)]
pub enum Where {
    /// In a folder.
    Layout(Place),
    /// In a registry.
    Registry(Reference),
}

impl Where {
    /// What a word stands for, if it is an image: a layout, or a name in a registry that no file has.
    ///
    /// # Errors
    /// It is said to be an image, and is not.
    pub fn of(word: &OsStr) -> Result<Option<Self>, Failure> {
        let path = Path::new(word);
        if path.exists() {
            let is_layout = path.is_dir() && Layout::is_folder(path);
            return Ok(is_layout.then(|| Self::Layout(Place::only(path))));
        }
        let Some(text) = word.to_str() else { return Ok(None) };
        if let Some(place) = Place::read(text) {
            return Ok(Some(Self::Layout(place)));
        }
        let reference = reference(text).map_err(|error| no_reference(&error))?;
        Ok(reference.map(Self::Registry))
    }
}

/// Does something with an image that was found.
///
/// # Errors
/// It cannot be found, or is named by a tag only; those of `act`.
pub fn with_image<R>(
    cx: &Context,
    place: &Where,
    flags: &Flags,
    act: impl FnOnce(&Target<'_>) -> Result<R, Failure>,
) -> Result<R, Failure> {
    match place {
        Where::Layout(place) => act(&Target::in_layout(place)?),
        Where::Registry(reference) => {
            let online = Online::new(cx, client(cx, flags.ca_file.as_deref())?, flags)?;
            let registry = online.registry(reference).map_err(|error| unusable(&error))?;
            act(&Target::in_registry(&registry, reference)?)
        }
    }
}

/// An image, by its digest.
pub struct Target<'a> {
    keeper: Keeper<'a>,
    /// What statements call it: without a tag.
    pub name: String,
    pub image: Image,
}

enum Keeper<'a> {
    Layout(PathBuf),
    Registry(&'a Registry<'a>),
}

impl<'a> Target<'a> {
    fn in_layout(place: &Place) -> Result<Self, Failure> {
        let path = &place.path;
        if !path.is_dir() {
            return Err(Failure::usage(
                format!("{} is no layout in a folder", path.display()),
                "an archive cannot be added to; unpack it, or sign the image in a registry",
            ));
        }
        let found = Layout::open(path).and_then(|layout| {
            let descriptor = layout.image(place.name.as_deref())?;
            let bytes = layout.manifest(&descriptor.digest, MANIFEST_LIMIT_BYTES)?;
            Ok((checked(bytes, &descriptor.digest)?, descriptor.digest))
        });
        let (bytes, _) = found.map_err(|error| unusable(&error))?;
        let image = Image::read(&bytes).map_err(|error| failed(&error, None))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Self { keeper: Keeper::Layout(path.clone()), name: name.unwrap_or_default(), image })
    }

    fn in_registry(registry: &'a Registry<'a>, reference: &Reference) -> Result<Self, Failure> {
        let resolved = registry.resolve().map_err(|error| unusable(&error))?.digest;
        let name = format!("{}/{}", reference.registry(), reference.repository());
        if reference.digest().is_none() {
            return Err(Failure::usage(
                format!("{reference} can be another image tomorrow; now it is {name}@{resolved}"),
                "look at that one, and sign it by its digest",
            ));
        }
        let bytes = registry
            .manifest(&resolved, MANIFEST_LIMIT_BYTES)
            .and_then(|bytes| checked(bytes, &resolved))
            .map_err(|error| unusable(&error))?;
        let image = Image::read(&bytes).map_err(|error| failed(&error, None))?;
        Ok(Self { keeper: Keeper::Registry(registry), name, image })
    }

    /// That it is signed.
    ///
    /// # Errors
    /// Those of statements.
    pub fn signature(&self) -> Result<Statement, Failure> {
        self.image.signature(&self.name).map_err(|error| failed(&error, None))
    }

    /// The name with the digest.
    pub fn shown(&self) -> String {
        format!("{}@{}", self.name, self.image.digest())
    }

    /// Keeps a bundle with the image.
    ///
    /// # Errors
    /// Those of the registry or the files; what was sent before is of no effect.
    pub fn attach(&self, bundle: &Bundle) -> Result<(), Failure> {
        let attachment = Attachment::new(&self.image, bundle);
        match &self.keeper {
            Keeper::Layout(folder) => write(folder, &attachment),
            Keeper::Registry(registry) => push(registry, &self.image, &attachment),
        }
    }
}

/// The bytes, if they are those of the digest.
fn checked(bytes: Option<Vec<u8>>, digest: &Digest) -> Result<Vec<u8>, OciError> {
    let what = format!("manifest {digest}");
    let bytes = bytes.ok_or(OciError::NotFound { what: what.clone() })?;
    let found = Digest::of(digest.algorithm(), &bytes);
    if found != *digest {
        return Err(OciError::WrongDigest { what, expected: digest.clone(), found });
    }
    Ok(bytes)
}

/// Blobs, the manifest, and the list where the registry keeps none.
fn push(registry: &Registry<'_>, image: &Image, attachment: &Attachment) -> Result<(), Failure> {
    let pushed = || {
        for blob in &attachment.blobs {
            registry.push_blob(blob)?;
        }
        let (digest, manifest) = (attachment.digest(), &attachment.manifest);
        registry.push_manifest(&digest, MANIFEST_TYPE, manifest)
    };
    if pushed().map_err(|error| unusable(&error))? {
        return Ok(());
    }
    let tag = image.referrers_tag();
    let there = registry.tagged(&tag, MANIFEST_LIMIT_BYTES).map_err(|error| unusable(&error))?;
    if let Some(index) =
        attachment.added_to(there.as_deref()).map_err(|error| failed(&error, None))?
    {
        registry.push_manifest(&tag, INDEX_TYPE, &index).map_err(|error| unusable(&error))?;
    }
    Ok(())
}

/// Blobs, the manifest, and last the list that makes them part of the layout.
fn write(folder: &Path, attachment: &Attachment) -> Result<(), Failure> {
    let unwritten = |error: file::FileError| Failure::new(Exit::Store, Report::from_error(&error));
    for bytes in attachment.blobs.iter().chain([&attachment.manifest]) {
        let digest = Digest::of(dsops_release_verify::Algorithm::Sha256, bytes);
        let path = folder.join("blobs/sha256").join(digest.hex());
        if !path.exists() {
            file::publish_new(&path, bytes, PUBLIC).map_err(unwritten)?;
        }
    }
    let path = folder.join("index.json");
    let index = file::read(&path, MANIFEST_LIMIT_BYTES).map_err(unwritten)?;
    match attachment.added_to(Some(&index)).map_err(|error| failed(&error, None))? {
        Some(index) => file::publish(&path, &index, PUBLIC).map_err(unwritten),
        None => Ok(()),
    }
}

fn unusable(error: &OciError) -> Failure {
    let mut report = Report::from_error(error);
    report.help = error.help().map(str::to_owned);
    let exit = if error.is_a_lie() { Exit::NotVerified } else { Exit::Store };
    Failure::new(exit, report)
}
