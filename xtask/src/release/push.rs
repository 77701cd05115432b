//! `cargo xtask image --push NAME`: the image into a registry, its evidence first, all by digest.
//!
//! The evidence is attached as OCI 1.1 says: a manifest for each piece with the image as its
//! `subject`, and an index of them under the tag `sha256-…` for registries that cannot be asked for
//! referrers. `skopeo` does the copying. In a dry run the registry is Debian's `docker-registry` on
//! loopback, and what is there afterwards is read back and verified.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::folder::{self, BUNDLE, Folder, PROVENANCE};
use super::image::{self, INDEX_TYPE, MANIFEST_TYPE};
use super::verify::Program;
use crate::process;

/// What a bundle is called in a registry.
const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A blob that stands for "no configuration", and its type.
const EMPTY: &[u8] = b"{}";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// What must be attached, besides a signature.
const REQUIRED: &str = "provenance,sbom";

/// How long a registry on loopback may take to start.
const START: Duration = Duration::from_secs(30);

/// Pushes the image of a release to a name in a registry: without a tag, the version becomes it.
///
/// # Errors
/// The image is not signed, there is no `skopeo`, or the registry refuses.
pub fn run(release: &Folder, name: &str) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a folder")?;
    let layout = Layout::of(release, &scratch.path().join("layout"))?;
    layout.push(name, &[])?;
    println!("{name}@{}", layout.digest);
    Ok(())
}

/// Pushes to a registry on loopback, and verifies what is in it then.
///
/// # Errors
/// It is not what was pushed, or does not verify.
pub fn rehearse(release: &Folder, program: &Program) -> anyhow::Result<()> {
    let Some(registry) = process::on_path("docker-registry") else {
        process::report_part_not_run("registry", "docker-registry is not installed");
        return Ok(());
    };
    if !process::is_on_path("skopeo") {
        process::report_part_not_run("registry", "skopeo is not installed");
        return Ok(());
    }
    let scratch = tempfile::tempdir().context("cannot make a folder")?;
    let layout = Layout::of(release, &scratch.path().join("layout"))?;
    let registry = Registry::start(&registry, scratch.path())?;
    let name = format!("{}/dsops", registry.address);
    layout.push(&name, &["--dest-tls-verify=false"])?;
    let there = process::output(
        skopeo()
            .args(["inspect", "--raw", "--tls-verify=false"])
            .arg(format!("docker://{name}@{}", layout.digest)),
    )?;
    if there.as_bytes() != folder::read(&release.manifest())? {
        bail!("the registry has another manifest than was pushed");
    }
    let image = format!("{name}:{}", layout.version);
    let (code, said) =
        program.verify(scratch.path(), &image, &["--online", "--require", REQUIRED])?;
    if code != 0 {
        bail!("`dsops verify {image} --online` exits with {code}:\n{said}");
    }
    println!("registry: pushed with its evidence, read back, verified by digest {}", layout.digest);
    Ok(())
}

/// A layout with the image and its evidence, ready to be copied.
struct Layout {
    folder: PathBuf,
    version: String,
    digest: String,
}

impl Layout {
    /// The one of a release, written to a folder.
    fn of(release: &Folder, to: &Path) -> anyhow::Result<Self> {
        let blobs = to.join("blobs/sha256");
        fs::create_dir_all(&blobs).context("cannot make a layout")?;
        let mut index = Value::Null;
        let image = folder::read(&release.image())?;
        for entry in tar::Archive::new(image.as_slice()).entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            if path == Path::new("index.json") {
                index = serde_json::from_slice(&content).context("the image's index")?;
            } else if path.starts_with("blobs/sha256") && path.components().count() == 3 {
                folder::write(&blobs.join(folder::name_of(&path)), &content)?;
            }
        }
        let put = |media_type: &str, content: &[u8]| -> anyhow::Result<Value> {
            folder::write(&blobs.join(folder::sha256(content)), content)?;
            Ok(image::descriptor(media_type, content))
        };
        let manifest = folder::read(&release.manifest())?;
        let subject = image::descriptor(MANIFEST_TYPE, &manifest);
        let empty = put(EMPTY_TYPE, EMPTY)?;
        let mut pieces = Vec::new();
        let beside = |ending| folder::with_ending(&release.manifest(), ending);
        for file in [beside(BUNDLE), beside(PROVENANCE), release.image_components()] {
            let bundle = folder::read(&file)?;
            let layer = put(BUNDLE_TYPE, bundle.trim_ascii_end())?;
            let piece = json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "artifactType": BUNDLE_TYPE,
                "config": empty,
                "layers": [layer],
                "subject": subject,
            });
            let mut piece = put(MANIFEST_TYPE, piece.to_string().as_bytes())?;
            piece["artifactType"] = BUNDLE_TYPE.into();
            pieces.push(piece);
        }
        let digest = image::digest(&manifest);
        let evidence = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": pieces });
        let mut evidence = put(INDEX_TYPE, evidence.to_string().as_bytes())?;
        evidence["annotations"] =
            json!({ "org.opencontainers.image.ref.name": fallback_tag(&digest) });
        let named = index["manifests"].as_array_mut().context("the image's index is empty")?;
        let image = named.first();
        if image.is_none_or(|image| image["digest"] != digest) {
            bail!("the image in the archive is not the one of the manifest");
        }
        let version = image
            .and_then(|image| image["annotations"]["org.opencontainers.image.ref.name"].as_str());
        let version = version.context("the image has no version")?.to_owned();
        named.push(evidence);
        folder::write(&to.join("index.json"), index.to_string().as_bytes())?;
        folder::write(&to.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(Self { folder: to.to_owned(), version, digest })
    }

    /// Copies the evidence, then the image: it is never there without.
    fn push(&self, name: &str, options: &[&str]) -> anyhow::Result<()> {
        let layout = self.folder.display();
        for (tag, exact) in [(&fallback_tag(&self.digest), false), (&self.version, true)] {
            process::run(
                skopeo()
                    .args(["copy", "--quiet", "--all"])
                    // Older versions cannot copy an index unchanged: `artifactType` is lost there. The
                    // manifests of the pieces say it too, and those are copied as they are.
                    .args(exact.then_some("--preserve-digests"))
                    .args(options)
                    .arg(format!("oci:{layout}:{tag}"))
                    .arg(format!("docker://{name}:{tag}")),
            )?;
        }
        Ok(())
    }
}

/// The tag under which evidence is looked for where a registry knows no referrers.
fn fallback_tag(digest: &str) -> String {
    digest.replace(':', "-")
}

/// It would judge images by a file of the machine otherwise; here it only copies what is verified by
/// us.
fn skopeo() -> Command {
    let mut command = Command::new("skopeo");
    command.arg("--insecure-policy");
    command
}

/// A registry on loopback. It ends when this is dropped.
struct Registry {
    child: Child,
    address: String,
}

impl Registry {
    fn start(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        // Free a moment ago.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let config = folder.join("registry.yml");
        let text = json!({
            "version": 0.1,
            "log": { "level": "error" },
            "storage": { "filesystem": { "rootdirectory": folder.join("registry") } },
            "http": { "addr": address.to_string() },
        });
        folder::write(&config, text.to_string().as_bytes())?;
        let child = Command::new(program)
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start docker-registry")?;
        let registry = Self { child, address: address.to_string() };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if start.elapsed() > START {
                bail!("docker-registry does not start");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_attached_to_the_digest_and_no_tag() {
        let folder = tempfile::tempdir().unwrap();
        let dist = folder.path().join("dist");
        fs::create_dir(&dist).unwrap();
        fs::write(dist.join("dsops-1-x86_64-y.tar.gz"), "").unwrap();
        let release = Folder::open(&dist).unwrap();
        let image = image::made();
        fs::write(release.image(), &image.archive).unwrap();
        fs::write(release.manifest(), &image.manifest).unwrap();
        let beside = |ending| folder::with_ending(&release.manifest(), ending);
        for (at, file) in
            [beside(BUNDLE), beside(PROVENANCE), release.image_components()].iter().enumerate()
        {
            assert!(Layout::of(&release, &folder.path().join("not-signed")).is_err());
            fs::write(file, at.to_string()).unwrap();
        }
        // Another manifest, with evidence as good, is not the one of the image that would be pushed.
        let other = String::from_utf8(image.manifest.clone()).unwrap().replace("dsops", "other");
        fs::write(release.manifest(), other).unwrap();
        assert!(Layout::of(&release, &folder.path().join("other")).is_err());
        fs::write(release.manifest(), &image.manifest).unwrap();
        let layout = Layout::of(&release, &folder.path().join("layout")).unwrap();
        assert_eq!(layout.digest, image::digest(&image.manifest));
        let read = |digest: &Value| -> Value {
            let name = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
            let blob = layout.folder.join("blobs/sha256").join(name);
            serde_json::from_slice(&fs::read(blob).unwrap()).unwrap()
        };
        let index: Value =
            serde_json::from_slice(&fs::read(layout.folder.join("index.json")).unwrap()).unwrap();
        assert_eq!(index["manifests"][0]["digest"], layout.digest.as_str());
        let evidence = &index["manifests"][1];
        let tag = &evidence["annotations"]["org.opencontainers.image.ref.name"];
        assert_eq!(*tag, layout.digest.replace("sha256:", "sha256-").as_str());
        let pieces = read(&evidence["digest"]);
        assert_eq!(pieces["manifests"].as_array().unwrap().len(), 3);
        for piece in pieces["manifests"].as_array().unwrap() {
            assert_eq!(read(&piece["digest"])["subject"]["digest"], layout.digest.as_str());
        }
    }
}
