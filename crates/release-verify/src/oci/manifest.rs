//! Manifests and indexes (OCI image specification 1.1; Docker's schema 2 is the same in shape).

use super::OciError;
use crate::json::{self, Fields, Json, JsonError};
use crate::{Algorithm, Digest};

/// The largest manifest that is read: registries accept no larger one.
pub const MANIFEST_LIMIT_BYTES: u64 = 4 * 1024 * 1024;
/// How many layers, manifests or annotations one may list.
const LIST_LIMIT: usize = 5_000;

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A reference to content by digest and size (OCI image specification, "Content Descriptors").
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Descriptor {
    /// What it says it is.
    pub media_type: String,
    /// Of what.
    pub digest: Digest,
    /// How large it is.
    pub size: u64,
    /// What kind of artifact a manifest says it is.
    pub artifact_type: Option<String>,
    /// For which platform a manifest is.
    pub platform: Option<Platform>,
    /// Remarks; whoever wrote the descriptor chose them.
    pub annotations: Vec<(String, String)>,
}

impl Descriptor {
    /// The annotation of that name.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A platform, as `linux/arm64/v8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
    /// `v8`.
    pub variant: Option<String>,
}

impl Platform {
    /// Reads `os/architecture` or `os/architecture/variant`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(str::to_owned);
        let (os, architecture, variant) = (parts.next()?, parts.next()?, parts.next());
        let whole = parts.next().is_none()
            && [Some(&os), Some(&architecture), variant.as_ref()]
                .into_iter()
                .flatten()
                .all(|part| !part.is_empty());
        whole.then_some(Self { os, architecture, variant })
    }

    /// Whether `other` is what this one asks for; without a variant any will do.
    fn accepts(&self, other: &Self) -> bool {
        self.os == other.os
            && self.architecture == other.architecture
            && (self.variant.is_none() || self.variant == other.variant)
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// A manifest: one image, or an artifact that belongs to one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// What kind of artifact it is: its `artifactType`, else the media type of its config.
    pub artifact_type: Option<String>,
    /// What it is run with.
    pub config: Descriptor,
    /// Its layers, in their order.
    pub layers: Vec<Descriptor>,
    /// What it is about.
    pub subject: Option<Descriptor>,
    /// Remarks.
    pub annotations: Vec<(String, String)>,
}

/// An index: several manifests, most often one for each platform.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Index {
    /// The manifests, in their order.
    pub manifests: Vec<Descriptor>,
}

/// Either of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// One image or artifact.
    Manifest(Box<Manifest>),
    /// Several.
    Index(Index),
}

impl Document {
    /// Reads a manifest or an index, in strict JSON.
    ///
    /// What it is stands in its `mediaType`; OCI allows to leave that out, then a list of
    /// manifests makes an index. A document with the parts of both is refused: two readers could
    /// see two images in it (CVE-2021-41190).
    ///
    /// # Errors
    /// [`OciError::Malformed`] and [`OciError::TooLarge`].
    pub fn read(bytes: &[u8], what: &str) -> Result<Self, OciError> {
        if bytes.len() as u64 > MANIFEST_LIMIT_BYTES {
            let limit_bytes = MANIFEST_LIMIT_BYTES;
            return Err(OciError::TooLarge { what: what.to_owned(), limit_bytes });
        }
        parse(bytes).map_err(|error| OciError::json(what, &error))
    }

    /// The manifest for a platform, in an index; `None` when there is none.
    ///
    /// # Errors
    /// [`OciError::Ambiguous`] when several manifests are for it: which of them runs is decided by
    /// whoever runs it (by the variant of a processor, the version of Windows).
    pub fn for_platform(
        &self,
        platform: &Platform,
        what: &str,
    ) -> Result<Option<&Descriptor>, OciError> {
        let Self::Index(index) = self else { return Ok(None) };
        let is_for =
            |entry: &&Descriptor| entry.platform.as_ref().is_some_and(|its| platform.accepts(its));
        let mut found: Vec<&Descriptor> = index.manifests.iter().filter(is_for).collect();
        found.sort_by(|one, other| one.digest.cmp(&other.digest));
        found.dedup_by(|one, other| one.digest == other.digest);
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            several => {
                let its = |entry: &Descriptor| entry.platform.as_ref().map(Platform::to_string);
                let named = several.iter().map(|entry| {
                    let platform = its(entry).unwrap_or_default();
                    format!("{} ({})", entry.digest, platform.escape_debug())
                });
                let what = format!("{what} for {platform}");
                Err(OciError::Ambiguous { what, names: named.collect() })
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Document, JsonError> {
    let json = json::parse(bytes)?;
    let mut fields = Fields::of(&json, "")?;
    match fields.optional("schemaVersion") {
        Some(Json::Integer(2)) => {}
        _ => return Err(fields.error("schemaVersion", "not 2")),
    }
    let (is_index, is_manifest) = (json.get("manifests").is_some(), json.get("layers").is_some());
    let config = json.get("config").is_some();
    if is_index && (is_manifest || config) {
        return Err(JsonError::new("", "both an index and a manifest"));
    }
    match fields.optional_text("mediaType")? {
        Some(OCI_INDEX | DOCKER_INDEX) if is_index => {}
        Some(OCI_MANIFEST | DOCKER_MANIFEST) if !is_index => {}
        None => {}
        Some(_) => return Err(fields.error("mediaType", "not that of a manifest or an index")),
    }
    if is_index {
        let manifests = descriptors(&mut fields, "manifests")?;
        return Ok(Document::Index(Index { manifests }));
    }
    let own_type = fields.optional_text("artifactType")?.map(str::to_owned);
    let config = descriptor(fields.object("config")?)?;
    Ok(Document::Manifest(Box::new(Manifest {
        artifact_type: own_type.or_else(|| Some(config.media_type.clone())),
        config,
        layers: descriptors(&mut fields, "layers")?,
        subject: fields.optional_object("subject")?.map(descriptor).transpose()?,
        annotations: annotations(&mut fields)?,
    })))
}

fn descriptors(fields: &mut Fields<'_>, name: &'static str) -> Result<Vec<Descriptor>, JsonError> {
    fields.objects(name, LIST_LIMIT)?.into_iter().map(descriptor).collect()
}

fn descriptor(mut fields: Fields<'_>) -> Result<Descriptor, JsonError> {
    let media_type = fields.text("mediaType")?.to_owned();
    let digest = fields.text("digest")?;
    let lower = !digest.bytes().any(|byte| byte.is_ascii_uppercase());
    let digest = Digest::parse(digest)
        .filter(|_| lower)
        .ok_or_else(|| fields.error("digest", "not a SHA-256, SHA-384 or SHA-512 in lower case"))?;
    let size = fields.integer("size")?.ok_or_else(|| fields.error("size", "missing"))?;
    let artifact_type = fields.optional_text("artifactType")?.map(str::to_owned);
    let platform = match fields.optional_object("platform")? {
        Some(mut platform) => Some(Platform {
            os: platform.text("os")?.to_owned(),
            architecture: platform.text("architecture")?.to_owned(),
            variant: platform.optional_text("variant")?.map(str::to_owned),
        }),
        None => None,
    };
    let annotations = annotations(&mut fields)?;
    Ok(Descriptor { media_type, digest, size, artifact_type, platform, annotations })
}

fn annotations(fields: &mut Fields<'_>) -> Result<Vec<(String, String)>, JsonError> {
    match fields.optional("annotations") {
        None => Ok(Vec::new()),
        Some(Json::Object(entries)) if entries.len() <= LIST_LIMIT => entries
            .iter()
            .map(|(key, value)| match value.as_str() {
                Some(text) => Ok((key.clone(), text.to_owned())),
                None => Err(fields.error("annotations", "a value is not text")),
            })
            .collect(),
        Some(_) => Err(fields.error("annotations", "not an object of so many texts")),
    }
}

/// Checks bytes against what was announced of them.
pub(crate) fn check(
    what: &str,
    digest: &Digest,
    size: Option<u64>,
    bytes: &[u8],
) -> Result<(), OciError> {
    if let Some(expected) = size
        && expected != bytes.len() as u64
    {
        let found = bytes.len() as u64;
        return Err(OciError::WrongSize { what: what.to_owned(), expected, found });
    }
    let found = Digest::of(digest.algorithm(), bytes);
    if found == *digest {
        Ok(())
    } else {
        Err(OciError::WrongDigest { what: what.to_owned(), expected: digest.clone(), found })
    }
}

/// The digest by which a manifest without one is known.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn entry(extra: &str) -> String {
        format!(r#"{{"mediaType":"a/b","digest":"sha256:{HEX}","size":0{extra}}}"#)
    }

    fn read(text: &str) -> Result<Document, OciError> {
        Document::read(text.as_bytes(), "it")
    }

    #[test]
    fn manifests() {
        let text = format!(
            r#"{{"schemaVersion":2,"artifactType":"x/y","config":{0},"layers":[{1}],"subject":{0},"unknown":1}}"#,
            entry(""),
            entry(r#","annotations":{"a":"b"}"#)
        );
        let Document::Manifest(manifest) = read(&text).unwrap() else { panic!() };
        assert_eq!(manifest.artifact_type.as_deref(), Some("x/y"));
        assert_eq!(manifest.layers[0].annotation("a"), Some("b"));
        assert_eq!(manifest.subject.unwrap().digest.hex(), HEX);
    }

    #[test]
    fn platforms() {
        let platform = |text: &str| Platform::parse(text).unwrap();
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{0},{0},{1}]}}"#,
            entry(r#","platform":{"os":"linux","architecture":"arm","variant":"v6"}"#),
            entry(r#","platform":{"os":"linux","architecture":"arm","variant":"v7"}"#)
                .replace("e3b0", "e3b1"),
        );
        let index = read(&text).unwrap();
        let found = |text| {
            let found = index.for_platform(&platform(text), "it").unwrap();
            found.and_then(|it| it.platform.clone())
        };
        assert_eq!(found("linux/arm/v7").unwrap().to_string(), "linux/arm/v7");
        assert_eq!(found("linux/amd64"), None);
        // The same one twice is one.
        assert_eq!(found("linux/arm/v6").unwrap().to_string(), "linux/arm/v6");
        match index.for_platform(&platform("linux/arm"), "it") {
            Err(OciError::Ambiguous { names, .. }) => {
                assert_eq!(names.len(), 2);
                assert!(names.iter().any(|name| name.ends_with("(linux/arm/v6)")), "{names:?}");
            }
            other => panic!("{other:?}"),
        }
        for bad in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x"] {
            assert!(Platform::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn documents_that_are_refused() {
        let one = entry("");
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"schemaVersion":1,"manifests":[]}"#,
            r#"{"schemaVersion":2}"#,
            &format!(r#"{{"schemaVersion":2,"manifests":[],"layers":[],"config":{one}}}"#),
            &format!(
                r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","config":{one},"layers":[]}}"#
            ),
            &format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","manifests":[]}}"#),
            r#"{"schemaVersion":2,"mediaType":"text/plain","manifests":[]}"#,
            r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#,
            r#"{"schemaVersion":2,"manifests":[{"mediaType":"a/b","size":0}]}"#,
            r#"{"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"sha256:00","size":0}]}"#,
            &format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, one.replace(":0", ":-1")),
            &format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, one.replace("e3b0", "E3B0")),
        ] {
            assert!(matches!(read(bad), Err(OciError::Malformed { .. })), "{bad}");
        }
        let large = vec![b' '; 5 << 20];
        assert!(matches!(Document::read(&large, "it"), Err(OciError::TooLarge { .. })));
    }

    #[test]
    fn content_is_checked() {
        let digest = Digest::of(Algorithm::Sha256, b"abc");
        assert!(check("it", &digest, Some(3), b"abc").is_ok());
        assert!(matches!(check("it", &digest, Some(4), b"abc"), Err(OciError::WrongSize { .. })));
        assert!(check("it", &digest, Some(3), b"abd").unwrap_err().is_a_lie());
    }
}
