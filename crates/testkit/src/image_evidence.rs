//! Evidence for the images of a registry, as cosign 2, cosign 3 and GitHub attach it, and copies of images in
//! folders, as `skopeo copy` and `cosign save` make them.
#![expect(clippy::disallowed_methods, reason = "throw-away files of tests")]

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::image_registry::{INDEX, ImageRegistry, MANIFEST};
use crate::sigstore::{Identity, World, hex, sha256};

/// What a bundle says it is.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

impl ImageRegistry {
    /// Puts a signature of cosign 2 over `digest` beside the image `beside`.
    pub fn sign(
        &self,
        repository: &str,
        beside: &str,
        digest: &str,
        world: &World,
        identity: &Identity,
    ) {
        let signed = world.sign_image(digest, repository).identity(identity.clone()).make();
        let layer = signed.image_layer(world);
        self.push_blob(&layer.blob);
        self.companion(repository, beside, "sig", &layer.descriptor);
    }

    /// Puts what cosign 2 knows by a tag with that ending beside the image `digest`.
    pub fn companion(&self, repository: &str, digest: &str, ending: &str, layer: &Value) {
        let tag = format!("{}.{ending}", digest.replace(':', "-"));
        self.push_artifact(repository, Some(&tag), "", std::slice::from_ref(layer), None);
    }

    /// Attaches a bundle to the image `beside` as cosign 3 and GitHub do.
    pub fn attach(&self, repository: &str, beside: &str, bundle: &[u8]) -> String {
        let layer = self.descriptor(BUNDLE, bundle);
        self.push_artifact(repository, None, BUNDLE, &[layer], Some((beside, 1)))
    }

    /// An index over two images, for `linux/amd64` and `linux/arm64`; answers its digest and theirs.
    pub fn push_platforms(&self, repository: &str, tag: &str) -> [String; 3] {
        let [one, two] = ["amd64", "arm64"].map(|architecture| {
            let digest = self.push_image(repository, None, architecture.as_bytes());
            let entry = json!({
                "mediaType": MANIFEST, "digest": digest, "size": self.size(repository, &digest),
                "platform": { "os": "linux", "architecture": architecture },
            });
            (digest, entry)
        });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [one.1, two.1] });
        [self.push(repository, Some(tag), &index), one.0, two.0]
    }

    /// Copies images into a layout: each by its tag or digest, with the annotations it gets there.
    ///
    /// # Errors
    /// Those of the system.
    ///
    /// # Panics
    /// When there is no such image.
    pub fn save(&self, repository: &str, entries: &[(&str, Value)], to: &Path) -> io::Result<()> {
        fs::create_dir_all(to.join("blobs/sha256"))?;
        fs::write(to.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        let keep =
            |bytes: &[u8]| fs::write(to.join("blobs/sha256").join(hex(&sha256(bytes))), bytes);
        let mut manifests = Vec::new();
        for (name, annotations) in entries {
            let bytes = self.manifest(repository, name).expect("there is such an image");
            keep(&bytes)?;
            let document: Value = serde_json::from_slice(&bytes)?;
            let layers = document["layers"].as_array().cloned().unwrap_or_default();
            for blob in layers.iter().chain(document.get("config")) {
                if let Some(blob) = blob["digest"].as_str().and_then(|digest| self.blob(digest)) {
                    keep(&blob)?;
                }
            }
            let digest = format!("sha256:{}", hex(&sha256(&bytes)));
            manifests.push(json!({
                "mediaType": document["mediaType"], "digest": digest, "size": bytes.len(),
                "annotations": annotations,
            }));
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        fs::write(to.join("index.json"), index.to_string())
    }

    fn size(&self, repository: &str, digest: &str) -> usize {
        self.manifest(repository, digest).map_or(0, |bytes| bytes.len())
    }
}
