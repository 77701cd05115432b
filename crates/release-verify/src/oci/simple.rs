//! Simple signing: how cosign 1 and 2 sign an image (cosign's signature specification).
//!
//! What is signed is a small document that names the image by the digest of its manifest. The
//! signature counts for the image only when the document says so.

use crate::json::{self, Fields, JsonError};
use crate::sigstore::Outcome;
use crate::{
    Artifact, Bundle, BundleError, Content, CosignParts, Digest, Finding, Origin, Verifier,
};

/// The only kind of payload that cosign signs.
const PAYLOAD_TYPE: &str = "cosign container image signature";
/// The largest payload that is read.
pub(crate) const PAYLOAD_LIMIT_BYTES: u64 = 1024 * 1024;

/// A simple-signing payload with its signature, not verified.
#[derive(Clone, Debug)]
pub struct SimpleSigning {
    payload: Vec<u8>,
    bundle: Bundle,
}

impl SimpleSigning {
    /// The payload of a layer, and the parts that stand in the layer's annotations.
    ///
    /// # Errors
    /// When a part is malformed.
    pub fn new(
        payload: Vec<u8>,
        parts: &CosignParts<'_>,
        origin: &Origin,
    ) -> Result<Self, BundleError> {
        Ok(Self { payload, bundle: Bundle::from_cosign(parts, origin)? })
    }

    /// Where it was read.
    pub fn origin(&self) -> &Origin {
        self.bundle.origin()
    }

    /// The image that the payload names, not verified.
    pub fn claimed_digest(&self) -> Option<Digest> {
        read(&self.payload).ok()
    }

    /// Whether the signature is good and over a payload that names `image`. The content of what
    /// is authenticated is the image itself.
    #[expect(clippy::missing_panics_doc, reason = "memory can be read")]
    pub fn authenticate(&self, verifier: &Verifier, image: &Digest) -> Outcome {
        const CODE: &str = "image/payload";
        let origin = self.origin().clone();
        let artifact =
            Artifact::read("payload", self.payload.as_slice(), &self.bundle.algorithms())
                .expect("memory can be read");
        let mut outcome = verifier.authenticate(&self.bundle, &artifact, Some(&self.payload));
        let finding = match read(&self.payload) {
            Ok(named) if named == *image => {
                Finding::passed(CODE, "the signed payload names the image")
                    .compared(image.to_string(), named.to_string())
            }
            Ok(named) => {
                outcome.authenticated = None;
                Finding::failed(CODE, "the signed payload names another image")
                    .compared(image.to_string(), named.to_string())
            }
            Err(error) => {
                outcome.authenticated = None;
                Finding::failed(CODE, format!("the signed payload is not one of cosign's: {error}"))
            }
        };
        outcome.findings.push(finding.at(&origin));
        if let Some(authenticated) = &mut outcome.authenticated {
            authenticated.content = Content::Artifact(image.clone());
        }
        outcome
    }
}

/// The image a payload names.
fn read(payload: &[u8]) -> Result<Digest, JsonError> {
    let json = json::parse(payload)?;
    let mut fields = Fields::of(&json, "")?;
    let mut critical = fields.object("critical")?;
    if critical.text("type")? != PAYLOAD_TYPE {
        return Err(critical.error("type", format!("not `{PAYLOAD_TYPE}`")));
    }
    let mut image = critical.object("image")?;
    let digest = image.text("docker-manifest-digest")?;
    Digest::parse(digest)
        .ok_or_else(|| image.error("docker-manifest-digest", "not a digest of a known kind"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn payloads() {
        let payload = |kind: &str, digest: &str| {
            format!(
                r#"{{"critical":{{"identity":{{"docker-reference":"x"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"{kind}"}},"optional":null}}"#
            )
        };
        let good = payload(PAYLOAD_TYPE, &format!("sha256:{HEX}"));
        assert_eq!(read(good.as_bytes()).unwrap().hex(), HEX);
        for bad in [
            String::new(),
            "{}".to_owned(),
            r#"{"critical":null}"#.to_owned(),
            payload("atomic container signature", &format!("sha256:{HEX}")),
            payload(PAYLOAD_TYPE, HEX),
            payload(PAYLOAD_TYPE, "sha256:00"),
            good.replace("\"optional\"", "\"critical\""),
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
