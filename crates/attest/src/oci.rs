//! Attaching a bundle to an image: a manifest that names the image as its subject (OCI image and
//! distribution specifications 1.1).
//!
//! What is to be kept is made here; who keeps it, a registry or a layout, is the caller's to know.

use serde_json::{Value, json};

use crate::encoding::{base64, hex, sha256};
use crate::{Bundle, Error, Statement, Subject};

/// The media type of bundles.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The media type of a list of manifests.
pub const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of manifests.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// What an empty config is.
const EMPTY_CONFIG: &[u8] = b"{}";
/// How cosign says that an image is signed, without saying more about it.
const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// An image: its manifest or index, by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Of its manifest or index.
    pub media_type: String,
    /// SHA-256 of its manifest or index.
    pub sha256: [u8; 32],
    /// The size of its manifest or index, in bytes.
    pub size: u64,
}

impl Image {
    /// The image whose manifest or index has these bytes.
    ///
    /// # Errors
    /// [`Error::Document`] when they are neither.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let media_type = match value["mediaType"].as_str() {
            Some(media_type) => media_type.to_owned(),
            None if value["manifests"].is_array() => INDEX_TYPE.to_owned(),
            None if value["config"].is_object() => MANIFEST_TYPE.to_owned(),
            None => {
                let problem = "is neither a manifest nor an index".to_owned();
                return Err(Error::Document { what: "the image", problem });
            }
        };
        Ok(Self { media_type, sha256: digest(bytes), size: bytes.len() as u64 })
    }

    /// `sha256:…`.
    pub fn digest(&self) -> String {
        format!("sha256:{}", hex(&self.sha256))
    }

    /// That it is signed, as cosign says it.
    ///
    /// # Errors
    /// Never for an image that was read; the type is that of [`Statement::new`].
    pub fn signature(&self, name: &str) -> Result<Statement, Error> {
        Statement::new(&[Subject::sha256(name, &self.sha256)], SIGNATURE, &json!({}))
    }

    /// The tag under which clients list what is about it where the registry does not.
    pub fn referrers_tag(&self) -> String {
        format!("sha256-{}", hex(&self.sha256))
    }
}

/// What is to be kept so that a bundle is found with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Kept first: the empty config, and the bundle.
    pub blobs: [Vec<u8>; 2],
    /// Kept after them, under its digest.
    pub manifest: Vec<u8>,
}

impl Attachment {
    /// A bundle about an image. The same bundle makes the same manifest.
    pub fn new(image: &Image, bundle: &Bundle) -> Self {
        let text = bundle.to_string().into_bytes();
        let mut annotations = json!({ "dev.sigstore.bundle.content": bundle.content() });
        if let Some(predicate_type) = bundle.predicate_type() {
            annotations["dev.sigstore.bundle.predicateType"] = predicate_type.into();
        }
        let mut config = descriptor(EMPTY, EMPTY_CONFIG);
        config["data"] = base64(EMPTY_CONFIG).into();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": BUNDLE,
            "config": config,
            "layers": [descriptor(BUNDLE, &text)],
            "subject": {
                "mediaType": image.media_type,
                "digest": image.digest(),
                "size": image.size,
            },
            "annotations": annotations,
        });
        Self { blobs: [EMPTY_CONFIG.to_vec(), text], manifest: manifest.to_string().into_bytes() }
    }

    /// The digest of the manifest, `sha256:…`.
    pub fn digest(&self) -> String {
        format!("sha256:{}", hex(&digest(&self.manifest)))
    }

    /// An index with the manifest in it, beside what is there; `None` when it is there already.
    ///
    /// # Errors
    /// [`Error::Document`] when what is there is no index.
    pub fn added_to(&self, index: Option<&[u8]>) -> Result<Option<Vec<u8>>, Error> {
        let empty = || json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [] });
        let wrong =
            || Error::Document { what: "the list of referrers", problem: "is no index".into() };
        let mut index: Value = match index {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|_| wrong())?,
            None => empty(),
        };
        let list = index.get_mut("manifests").and_then(Value::as_array_mut).ok_or_else(wrong)?;
        let own = self.digest();
        if list.iter().any(|entry| entry["digest"] == own) {
            return Ok(None);
        }
        let mut entry = descriptor(MANIFEST_TYPE, &self.manifest);
        entry["artifactType"] = BUNDLE.into();
        list.push(entry);
        Ok(Some(index.to_string().into_bytes()))
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    sha256(bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    let digest = format!("sha256:{}", hex(&digest(bytes)));
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, Signer, SigningKey};

    #[test]
    fn attachments_are_added_once() {
        let image = Image::read(br#"{"manifests":[]}"#).unwrap();
        assert_eq!(image.media_type, INDEX_TYPE);
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let statement = image.signature("app").unwrap();
        let bundle = Signer::Key(&key).sign_statement(&statement).unwrap();
        let made = Attachment::new(&image, &bundle);
        assert_eq!(made, Attachment::new(&image, &bundle));
        let manifest: Value = serde_json::from_slice(&made.manifest).unwrap();
        assert_eq!(manifest["subject"]["digest"], image.digest());
        assert_eq!(manifest["annotations"]["dev.sigstore.bundle.predicateType"], SIGNATURE);
        let first = made.added_to(None).unwrap().unwrap();
        assert_eq!(made.added_to(Some(&first)).unwrap(), None);
        let others = br#"{"schemaVersion":2,"manifests":[{"digest":"x"}],"annotations":{"a":"b"}}"#;
        let both: Value =
            serde_json::from_slice(&made.added_to(Some(others)).unwrap().unwrap()).unwrap();
        assert_eq!(
            (both["manifests"].as_array().unwrap().len(), &both["annotations"]["a"]),
            (2, &json!("b"))
        );
        for bad in [&b"[]"[..], b"{}", b"", b"{\"manifests\":1}"] {
            assert!(matches!(made.added_to(Some(bad)), Err(Error::Document { .. })));
            assert!(Image::read(bad).is_err());
        }
    }
}
