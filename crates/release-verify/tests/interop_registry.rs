//! A registry and a copier of others: `docker-registry` keeps what we verify, `skopeo` copies it into folders and
//! archives that we verify again.
//!
//! `DSOPS_TEST_REGISTRY` and `DSOPS_TEST_SKOPEO` name the programs (`cargo xtask interop` looks for them); what is
//! missing is printed as "not run". The registry is started on this machine's loopback and ended with the test.

#![cfg(feature = "oci")]
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Folder, demands, engine};
use dsops_release_verify::Verdict;
use dsops_release_verify::oci::{Image, Layout, OciError, Reference, Registry};
use dsops_testkit::sigstore::{World, hex, sha256};
use dsops_testkit::{DockerRegistry, named_program};
use dsops_transport::{Client, Url};
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The other registry, for as long as the test runs.
struct Theirs {
    registry: DockerRegistry,
    client: Client,
    _dir: tempfile::TempDir,
}

impl Theirs {
    fn start(program: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let registry = DockerRegistry::start(program, dir.path());
        let client = Client::builder().allow_loopback_http().build().unwrap();
        let theirs = Self { registry, client, _dir: dir };
        theirs.client.get(&theirs.url("/v2/")).send().unwrap();
        theirs
    }

    fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.registry.address())).unwrap()
    }

    fn push_blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = format!("sha256:{}", hex(&sha256(bytes)));
        let begun = self.client.post(&self.url("/v2/app/blobs/uploads/")).send().unwrap();
        assert_eq!(begun.status(), 202);
        let to = begun.url().join(begun.header("location").unwrap()).unwrap();
        let separator = if to.query().is_some() { '&' } else { '?' };
        let to = Url::parse(&format!("{}{separator}digest={digest}", to.as_text())).unwrap();
        let put = self.client.put(&to).body("application/octet-stream", bytes).unwrap();
        assert_eq!(put.send().unwrap().status(), 201);
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    fn push(&self, tag: Option<&str>, document: &Value) -> (String, usize) {
        let bytes = document.to_string().into_bytes();
        let digest = format!("sha256:{}", hex(&sha256(&bytes)));
        let to = self.url(&format!("/v2/app/manifests/{}", tag.unwrap_or(&digest)));
        let media_type = document["mediaType"].as_str().unwrap();
        let put = self.client.put(&to).body(media_type, &bytes).unwrap().send().unwrap();
        let status = put.status();
        let said = String::from_utf8_lossy(&put.bytes(1 << 16).unwrap()).into_owned();
        assert_eq!(status, 201, "{said}");
        (digest, bytes.len())
    }

    fn push_image(&self, tag: &str, content: &[u8]) -> (String, usize) {
        let config =
            br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let config = self.push_blob("application/vnd.oci.image.config.v1+json", config);
        let layer = self.push_blob("application/vnd.oci.image.layer.v1.tar", content);
        self.push(
            Some(tag),
            &json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}),
        )
    }

    fn artifact(&self, layers: &[Value]) -> Value {
        let config = self.push_blob("application/vnd.oci.image.config.v1+json", b"{}");
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers})
    }

    fn verdict(&self, folder: &Folder, tag: &str) -> Result<Verdict, OciError> {
        let reference: Reference =
            format!("{}/app:{tag}", self.registry.address()).parse().unwrap();
        let registry = Registry::new(&self.client, &(), &reference)?;
        let image = Image::new(&registry, registry.resolve()?, None)?;
        let report = engine(folder, demands(&World::identity())).verify_image(&image, &[]);
        println!("{tag}: {} with {} findings", report.verdict.word(), report.findings.len());
        Ok(report.verdict)
    }
}

#[test]
fn images_in_a_registry_of_others() {
    let Some(program) = named_program("DSOPS_TEST_REGISTRY") else { return };
    let theirs = Theirs::start(&program);
    let folder = Folder::new("interop");

    // Not signed, and not there.
    theirs.push_image("plain", b"nobody signed this");
    assert_eq!(theirs.verdict(&folder, "plain").unwrap(), Verdict::Undecided);
    assert!(matches!(theirs.verdict(&folder, "absent"), Err(OciError::NotFound { .. })));

    // Signed as cosign 2 does.
    let (old, _) = theirs.push_image("old", b"signed with a tag");
    let signed = folder.world.sign_image(&old, "app").make().image_layer(&folder.world);
    theirs.push_blob("application/octet-stream", &signed.blob);
    let tag = format!("{}.sig", old.replace(':', "-"));
    theirs.push(Some(&tag), &theirs.artifact(std::slice::from_ref(&signed.descriptor)));
    assert_eq!(theirs.verdict(&folder, "old").unwrap(), Verdict::Verified);

    // Signed as cosign 3 does. This registry has no list of referrers: it is kept under a tag.
    let (new, size) = theirs.push_image("new", b"signed with a referrer");
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "app", "digest": {"sha256": new.strip_prefix("sha256:").unwrap()}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    });
    let bundle = folder.world.attest(&statement).bundle().to_string();
    let mut artifact = theirs.artifact(&[theirs.push_blob(BUNDLE, bundle.as_bytes())]);
    artifact["subject"] = json!({"mediaType": MANIFEST, "digest": new, "size": size});
    artifact["artifactType"] = BUNDLE.into();
    let (referrer, size) = theirs.push(None, &artifact);
    let entry =
        json!({"mediaType": MANIFEST, "digest": referrer, "size": size, "artifactType": BUNDLE});
    let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
    theirs.push(Some(&new.replace(':', "-")), &list);
    assert_eq!(theirs.verdict(&folder, "new").unwrap(), Verdict::Verified);

    // The signature of another image.
    let (other, _) = theirs.push_image("other", b"signed for another");
    let tag = format!("{}.sig", other.replace(':', "-"));
    theirs.push(Some(&tag), &theirs.artifact(std::slice::from_ref(&signed.descriptor)));
    assert_eq!(theirs.verdict(&folder, "other").unwrap(), Verdict::Failed);

    copies(&theirs, &folder, &old);
}

/// skopeo copies an image and its signature; the copies are the same image, and verify.
fn copies(theirs: &Theirs, folder: &Folder, digest: &str) {
    let Some(skopeo) = named_program("DSOPS_TEST_SKOPEO") else { return };
    let dir = tempfile::tempdir().unwrap();
    let sig = format!("{}.sig", digest.replace(':', "-"));
    let layout = dir.path().join("layout");
    let archive = dir.path().join("image.tar");
    let copy = |tag: &str, to: String| {
        let status = Command::new(&skopeo)
            .args([
                "--insecure-policy",
                "copy",
                "--quiet",
                "--preserve-digests",
                "--src-tls-verify=false",
            ])
            .arg(format!("docker://{}/app:{tag}", theirs.registry.address()))
            .arg(to)
            .status()
            .unwrap();
        assert!(status.success(), "skopeo copies {tag}");
    };
    copy("old", format!("oci:{}:old", layout.display()));
    copy(&sig, format!("oci:{}:{sig}", layout.display()));
    copy("old", format!("oci-archive:{}:old", archive.display()));
    let verdict = |path: &Path| {
        let layout = Layout::open(path).unwrap();
        let image = Image::described(&layout, &layout.image(None).unwrap(), None).unwrap();
        assert_eq!(image.digest().to_string(), digest, "{}", path.display());
        engine(folder, demands(&World::identity())).verify_image(&image, &[]).verdict
    };
    assert_eq!(verdict(&layout), Verdict::Verified);
    // The archive holds the image alone.
    assert_eq!(verdict(&archive), Verdict::Undecided);
    println!("skopeo: a folder and an archive");
}
