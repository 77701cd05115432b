//! What cosign wrote before there were bundles: detached files, its own bundle, layers beside an image.
//!
//! Source: sigstore/cosign `specs/SIGNATURE_SPEC.md`.

use serde_json::{Map, Value, json};

use super::content::Content;
use super::rekor::Entry;
use super::signing::{Signed, Signing};
use super::world::World;
use super::{base64, hex, seconds, sha256};

/// The media type of a signature's layer.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The media type of an attestation's layer.
pub const DSSE_ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";

/// A layer of the manifest that holds an image's signatures or attestations.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The blob.
    pub blob: Vec<u8>,
    /// Its descriptor with media type, digest, size and annotations.
    pub descriptor: Value,
}

impl World {
    /// Starts a signature over an image: `sha256:…`, and the name it is pulled by.
    pub fn sign_image(&self, digest: &str, reference: &str) -> Signing<'_> {
        self.sign(simple_signing(digest, reference).to_string().as_bytes())
    }
}

/// The payload of an image signature.
pub fn simple_signing(digest: &str, reference: &str) -> Value {
    json!({
        "critical": {
            "identity": { "docker-reference": reference },
            "image": { "docker-manifest-digest": digest },
            "type": "cosign container image signature",
        },
        "optional": null,
    })
}

impl Signed {
    /// The file `--output-signature` writes. The certificate's is `certificates[0].pem()`.
    pub fn detached(&self) -> String {
        base64(&self.signature.bytes)
    }

    /// The file `cosign sign-blob --bundle` wrote before version 3.
    ///
    /// The certificate is encoded twice, or the public key if there is none.
    pub fn cosign_bundle(&self) -> Value {
        let pem = match self.certificates.first() {
            Some(certificate) => certificate.pem(),
            None => self.signature.verifier.key().public_pem(),
        };
        let mut bundle = json!({
            "base64Signature": self.detached(),
            "cert": base64(pem.as_bytes()),
        });
        if let Some(entry) = self.entries.first() {
            bundle["rekorBundle"] = rekor_bundle(entry);
        }
        bundle
    }

    /// The signature as a layer beside an image. The issuing certificates are as [`World`] gives them.
    pub fn image_layer(&self, world: &World) -> Layer {
        let Content::Message(blob) = &self.signature.content else {
            panic!("an image signature is no envelope")
        };
        self.layer(world, SIMPLE_SIGNING, blob.clone(), &self.detached())
    }

    /// The attestation as a layer beside an image.
    pub fn attestation_layer(&self, world: &World, predicate_type: &str) -> Layer {
        let envelope = self.signature.envelope().to_string().into_bytes();
        let mut layer = self.layer(world, DSSE_ENVELOPE, envelope, "");
        layer.descriptor["annotations"]["predicateType"] = predicate_type.into();
        layer
    }

    fn layer(&self, world: &World, media_type: &str, blob: Vec<u8>, signature: &str) -> Layer {
        let mut annotations = Map::new();
        annotations.insert("dev.cosignproject.cosign/signature".into(), signature.into());
        if let Some(certificate) = self.certificates.first() {
            let chain = world.fulcio.intermediate.pem() + &world.fulcio.root.pem();
            annotations.insert("dev.sigstore.cosign/certificate".into(), certificate.pem().into());
            annotations.insert("dev.sigstore.cosign/chain".into(), chain.into());
        }
        if let Some(entry) = self.entries.first() {
            let bundle = rekor_bundle(entry).to_string();
            annotations.insert("dev.sigstore.cosign/bundle".into(), bundle.into());
        }
        if let Some(stamp) = self.timestamps.first() {
            let stamp = json!({ "SignedRFC3161Timestamp": base64(stamp) }).to_string();
            annotations.insert("dev.sigstore.cosign/rfc3161timestamp".into(), stamp.into());
        }
        let descriptor = json!({
            "mediaType": media_type,
            "digest": format!("sha256:{}", hex(&sha256(&blob))),
            "size": blob.len(),
            "annotations": annotations,
        });
        Layer { blob, descriptor }
    }
}

/// An entry with its promise, as cosign keeps it.
pub fn rekor_bundle(entry: &Entry) -> Value {
    json!({
        "SignedEntryTimestamp": entry.promise.as_deref().map(base64).unwrap_or_default(),
        "Payload": {
            "body": base64(&entry.body),
            "integratedTime": entry.time.map_or(0, seconds),
            "logIndex": entry.index,
            "logID": hex(&entry.log_id),
        },
    })
}
